"""Studies as jobs, with real processes: to their end, killed, stopped, and two at a time."""

from __future__ import annotations

import os
import signal

import pandas as pd
import pytest

from core import io, jobs, store, studies
from core.studies import Setting
from tests.jobs.conftest import begun, ended, lab, nothing_known_of_drivers, until  # noqa: F401 - fixtures
from tests.studies import tiny

pytestmark = pytest.mark.slow
EPOCHS = 3


@pytest.fixture(autouse=True)
def _tiny(lab, monkeypatch):  # noqa: F811 - the fixture of that name
    """A lab whose workers know the tiny studies, and so does this process."""
    monkeypatch.setenv("ALTERLAB_TASKS", "tests.studies.tiny_tasks")
    tiny.register()
    yield
    tiny.forget()


def submit(name: str = "three", **settings: int) -> jobs.Job:
    return jobs.submit("study", {"study": name, "setting": tiny.SETTING, "device": "cpu"}, **settings)


def table(name: str = "three") -> pd.DataFrame:
    """What does not depend on the clock."""
    return studies.table(studies.get(name), Setting(**tiny.SETTING)).drop(columns="seconds")


def epochs() -> list[list[str]]:
    """[process, run, epoch] in the order in which they were trained."""
    path = io.home() / "epochs.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> list[pd.DataFrame]:
    """The table of a study that nothing happened to; filled by the first test."""
    return []


def undisturbed(whole: list[pd.DataFrame]) -> pd.DataFrame:
    """Run it once in this data folder, unless that was done before."""
    if not whole:
        job = ended(submit().id, 120)
        assert job.state == "succeeded", jobs.tail(job.id)
        whole.append(table())
    return whole[0]


def test_three_nets_from_the_first_to_the_verdict(whole):
    job = ended(submit().id, 120)
    assert job.state == "succeeded", jobs.tail(job.id)
    found = table()
    whole.append(found)
    assert list(found["state"]) == ["ready"] * 3 and list(found["label"]) == list(tiny.KINDS)
    assert job.result == {"study": "three", "runs": list(found["run"]), "failed": []}
    assert (found["accuracy_n"] == 500).all() and found["accuracy"].between(5, 95).all() and (found["images"] == 320).all()
    assert [int(epoch) for _, _, epoch in epochs()] == [*range(1, EPOCHS + 1)] * 3
    assert len(studies.verdicts(studies.get("three"), Setting(**tiny.SETTING))) == 1
    price = studies.cost(studies.get("three"), Setting(**tiny.SETTING))
    assert (price.nets, price.shared, price.measurements, price.seconds) == (0, 3, 0, 0.0)
    again = ended(submit().id, 60)  # all is there
    assert again.state == "succeeded" and len(epochs()) == 3 * EPOCHS


def test_killed_half_way_it_ends_with_the_same_table(whole, home, monkeypatch, tmp_path):
    monkeypatch.setenv("ALTERLAB_HOME", str(home / "quiet"))
    wanted = undisturbed(whole)
    monkeypatch.setenv("ALTERLAB_HOME", str(home))
    monkeypatch.setenv("ALTERLAB_TEST_PAUSE", "0.3")
    job = submit(attempts=1)
    until(lambda: len(epochs()) >= EPOCHS + 2, 120)  # in the midst of the second net
    os.kill(begun(job.id)["worker"], signal.SIGKILL)
    assert ended(job.id, 60).cause == "killed"
    assert list(table()["state"]) == ["ready", "started", "new"]
    jobs.resume(job.id)
    until(lambda: jobs.get(job.id).state == "succeeded", 120)
    pd.testing.assert_frame_equal(table(), wanted)
    trained = pd.DataFrame(epochs(), columns=["process", "run", "epoch"])
    assert list(trained["run"].unique()) == list(wanted["run"]) and len(trained) <= 3 * EPOCHS + 1  # at most one epoch again
    assert all([row["epoch"] for row in store.history(run)] == [*range(1, EPOCHS + 1)] for run in wanted["run"])


def test_stopped_it_keeps_what_it_has(monkeypatch):
    monkeypatch.setenv("ALTERLAB_TEST_PAUSE", "0.3")
    job = submit()
    until(lambda: len(epochs()) >= EPOCHS + 1, 120)
    jobs.cancel(job.id)
    assert ended(job.id, 60).state == "cancelled"
    found = table()
    assert list(found["state"]) == ["ready", "started", "new"] and found["accuracy"].notna().tolist() == [True, False, False]
    assert list((store.folder(found["run"][1]) / "checkpoint").iterdir())
    price = studies.cost(studies.get("three"), Setting(**tiny.SETTING))
    assert (price.nets, price.shared, price.measurements) == (2, 1, 2)


def test_two_studies_that_share_a_run_train_it_once(monkeypatch):
    monkeypatch.setenv("ALTERLAB_CPU_JOBS", "2")
    monkeypatch.setenv("ALTERLAB_TEST_PAUSE", "0.2")
    both = [submit(name) for name in ("three", "two")]
    until(lambda: all(jobs.get(job.id).state == "running" for job in both), 60)
    for job in both:
        assert ended(job.id, 120).state == "succeeded", jobs.tail(job.id)
    trained = pd.DataFrame(epochs(), columns=["process", "run", "epoch"])
    assert len(trained) == 3 * EPOCHS and not trained.duplicated(["run", "epoch"]).any()
    assert (trained.groupby("run")["process"].nunique() == 1).all()
    assert (table("two")["state"] == "ready").all() and set(table("two")["run"]) < set(table()["run"])
    for run in set(table()["run"]):
        assert len(store.list_results(run, "calibration")) == 1
        assert [row["epoch"] for row in store.history(run)] == [*range(1, EPOCHS + 1)]
