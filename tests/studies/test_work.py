"""One net of a study: trained and measured once, whoever asks; what fails is told, and the others go on."""

from __future__ import annotations

import fcntl
import threading
from typing import Any

import pytest

from core import io, store, studies
from core.errors import DataError, JobError, MeasureError, TrainError
from core.jobs import Cancelled, Context
from core.studies import Setting, _work
from core.tasks import TASKS
from core.train.loop import Busy
from core.train.parallel import PeerLost
from tests.studies import made

STUDY = studies.get("tokens")


class Heard:
    """A listener that counts, and asks to stop after so many words."""

    def __init__(self, stop_after: int = 10**6) -> None:
        self.said: list[tuple[int, str]] = []
        self.stop_after = stop_after

    def progress(self, step: int, total: int, message: str = "", **_: float) -> None:
        assert total == 1000 and 0 <= step <= 1000
        self.said.append((step, message))

    def metric(self, row: dict) -> None:
        raise AssertionError("metrics are the run's own")

    def cancelled(self) -> bool:
        return len(self.said) >= self.stop_after


@pytest.fixture
def lab(home, monkeypatch, tmp_path):
    """Training and measuring stood in for; `calls` says what was asked for."""
    calls: list[Any] = []
    monkeypatch.setattr("core.store.runs.shipped_root", lambda: tmp_path / "shipped")
    monkeypatch.setattr(_work, "PAUSE_S", 0.02)
    monkeypatch.setattr("core.studies._told.store.weights", lambda run_id, phase="end": store.folder(run_id))

    def train(run, folder, listener, *, device):
        calls.append((run.id, folder, device))
        for step in range(3):
            listener.progress(step, 2, "epoch")
            listener.metric({"epoch": step})
        made.trained(run)

    def measure_run(run_id, name, settings, *, device, progress):
        calls.append((run_id, name, device))
        progress(0, 2, "half")
        progress(2, 2, "all")
        made.keep(store.find(run_id), made.answer(name, settings))

    monkeypatch.setattr(_work, "train", train)
    monkeypatch.setattr(_work.analyses, "measure_run", measure_run)
    return calls


def member():
    return STUDY.members(Setting())[0]


def test_trained_then_measured_and_the_second_time_nothing(lab):
    one, heard = member(), Heard()
    assert _work.do(one, heard, "cpu") == ""
    assert lab == [(one.run.id, store.folder(one.run.id), "cpu"), *((one.run.id, name, "cpu") for name, _ in one.asks)]
    steps = [step for step, _ in heard.said]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 1000
    assert heard.said[1][1] == "CLS: epoch" and heard.said[-1][1].startswith("CLS: Calibration: all")
    assert _work.do(one, heard, "cpu") == "" and len(lab) == 3


def test_one_that_came_with_the_lab_is_not_trained(lab, tmp_path):
    one = member()
    io.write_json(tmp_path / "shipped" / one.run.id / "run.json", one.run.to_json())
    io.write_json(tmp_path / "shipped" / one.run.id / "final.json", {"accuracy": 0.5, "n_test": 10, "n_train": 20})
    assert _work.do(one, Heard()) == ""
    assert [call[1] for call in lab] == ["hessian", "calibration"]


@pytest.mark.parametrize("error", [TrainError("The loss was no longer finite."), MeasureError("It does not fit.")])
def test_a_net_that_fails_is_told(lab, monkeypatch, error):
    def fails(*_a, **_k):
        raise error

    monkeypatch.setattr(_work, "train", fails)
    assert _work.do(member(), Heard()) == f"CLS, seed 0: {error}"


@pytest.mark.parametrize("error", [DataError("They are not here."), PeerLost("gone"), OSError(28, "full"), Cancelled()])
def test_what_is_no_fault_of_the_net_ends_the_work(lab, monkeypatch, error):
    def fails(*_a, **_k):
        raise error

    monkeypatch.setattr(_work, "train", fails)
    with pytest.raises(type(error)):
        _work.do(member(), Heard())


def test_what_another_job_trains_is_waited_for(lab, monkeypatch):
    one, tries = member(), []

    def busy(run, folder, listener, *, device):
        tries.append(1)
        if len(tries) == 3:
            made.trained(run)
        raise Busy("by another")

    monkeypatch.setattr(_work, "train", busy)
    heard = Heard()
    assert _work.do(one, heard) == "" and len(tries) == 3
    assert heard.said[0] == (0, "CLS: being trained by another job")
    (store.folder(one.run.id) / "final.json").unlink()
    tries.clear()
    with pytest.raises(Cancelled):
        _work.do(one, Heard(stop_after=1))


def test_what_another_job_measures_is_waited_for(lab):
    one, heard = member(), Heard()
    made.trained(one.run)
    with (store.user_root() / one.run.id / "measuring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = threading.Thread(target=_work.do, args=(one, heard))
        worker.start()
        while not heard.said:
            pass
        for name, settings in one.asks:
            made.keep(one.run, made.answer(name, settings))
    worker.join(10)
    assert not worker.is_alive() and lab == [] and heard.said[0][1] == "CLS: being measured by another job"


def test_a_wish_to_stop_is_heard_while_measuring(lab):
    made.trained(member().run)
    with pytest.raises(Cancelled):
        _work.do(member(), Heard(stop_after=1))
    assert len(lab) == 1


def test_the_job_goes_on_after_a_net_that_failed(lab, monkeypatch, home):
    asked = []

    def do(one, context, device):
        asked.append(one.label)
        return "CLS, seed 0: no" if one.label == "CLS" else ""

    monkeypatch.setattr(_work, "do", do)
    result = TASKS["study"]({"study": "tokens", "setting": {"data": "fashion"}, "device": "cpu"}, Context(home))
    assert asked == ["CLS", "GAP"] and result["failed"] == ["CLS, seed 0: no"]
    assert result["runs"] == [one.run.id for one in STUDY.members(Setting())]


def test_a_study_that_grows_is_done_one_after_the_other_in_one_job(lab, monkeypatch, home):
    def do(one, context, device):
        made.trained(one.run, [0.8, 0.81, 0.79, 0.78][len(asked)])
        asked.append(one.label)
        return ""

    asked: list[str] = []
    monkeypatch.setattr(_work, "do", do)
    result = TASKS["study"]({"study": "buildup", "setting": {}}, Context(home))
    assert asked == ["0. conv net", "1. stage 2, unit 6", "2. stage 2, unit 4", "3. stage 1, unit 6"] and len(result["runs"]) == 4
    io.write_json(home / "part" / "job.json", {"parent": "x"})
    with pytest.raises(JobError, match="Build-up decides on its next net"):
        TASKS["study"]({"study": "buildup", "setting": {}, "part": [0, 2]}, Context(home / "part"))
