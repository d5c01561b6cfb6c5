"""Damaged files and moved folders hide nothing but themselves."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import cost, data, io, jobs, presets, recipe, size, spec, store
from core.analyses import fourier
from core.run import Run
from core.table import Measurement
from pages.ui import pickers
from tests.pages import made_jobs
from tests.pages.conftest import spectra

Opened = Callable[..., AppTest]
PAGES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "pages").glob("[a-z]*.py"))
DAMAGED = ["{", "[]", '{"accuracy": "x", "seconds": "y", "flops": 0}', '{"accuracy": NaN}', '{"accuracy": true}', "{}"]


def text(app: AppTest) -> str:
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


def fine(app: AppTest) -> bool:
    return not app.exception and "could not be shown" not in text(app) and "Something unexpected" not in text(app)


def mine(**changes: object) -> Run:
    how = dataclasses.asdict(recipe.get("quick", epochs=3))
    return Run(arch=presets.resolve("ccwccw-cmmccm").notation, data="fashion", recipe=how, name="Yours", **changes)


def finish(run: Run, accuracy: float = 0.875) -> Path:
    place = store.create(run)
    facts = {"accuracy": accuracy, "seconds": 100.0, "cpu_seconds": 100.0, "steps": 1000, "batch": 128, "device": "cpu", "threads": 1}
    io.write_json(place / "final.json", {**facts, **size.count(spec.parse(run.arch), 32, 10)})
    made_jobs.history(run.id, [0.5, 0.6, accuracy])
    return place


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_last_measurement_hides_no_page(opened: Opened, shipped: list[Run], content: str) -> None:
    run = mine()
    (finish(run) / "final.json").write_text(content)
    (store.folder(shipped[0].id) / "final.json").write_text(content)
    assert pickers.accuracy(run) is None and pickers.accuracy(shipped[1]) == 0.8
    speed = cost.train_speed(presets.resolve("vit-mini"), 32)
    assert speed is not None and speed[0] > 0, "the other runs still tell how fast this machine is"
    app = opened("train")
    assert fine(app) and app.session_state["m"] == [shipped[1].id, shipped[2].id]
    assert f"remove_{run.id}" in {button.key for button in app.button}, "the damaged run is listed, to be removed"
    assert ("cannot be read" in text(app)) == (content in ("{", "[]"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_beside_a_damaged_last_measurement(opened: Opened, shipped: list[Run], page: str) -> None:
    (finish(mine()) / "final.json").write_text("{")
    app = opened(page)
    assert fine(app) and app.session_state["m"] == [run.id for run in shipped]


def test_a_run_with_a_damaged_last_measurement_can_be_trained_again(
    opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(jobs, "submit", lambda task, args, **more: asked.append(Run.from_json(args["run"]).id))
    app = opened("train", arch="ccwccw-cmmccm")
    app.button(key="train_start").click().run()
    (finish(store.find(asked[0])) / "final.json").write_text("{")
    app.button(key="train_start").click().run()
    assert fine(app) and asked == [asked[0]] * 2
    finish(store.find(asked[0]))
    app.button(key="train_start").click().run()
    assert len(asked) == 2 and "Trained already" in text(app)


def test_an_error_in_the_sidebar_leaves_the_page(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("x")

    monkeypatch.setattr(pickers, "write_links", broken)
    monkeypatch.setattr(pickers, "take_links", broken)
    app = opened()
    assert not app.exception
    assert [title.value for title in app.title] == ["See how vision transformers work"]
    assert text(app).count("Something unexpected went wrong") == 2 and "Three trained nets" in text(app)


@pytest.mark.parametrize("started", [True, False])
def test_a_net_is_not_deleted_while_it_is_measured(opened: Opened, checkout: Path, started: bool) -> None:
    run = mine()
    finish(run)
    job = made_jobs.write("measure", {"run": run.id, "asks": {"fourier": {}}}, label="Frequency", started=started)
    app = opened("train")
    with made_jobs.alive(job) if started else contextlib.nullcontext():
        app.run()
        app.button(key=f"remove_{run.id}").click().run()
        app.button(key="delete_run").click().run()
        assert "Yours is being measured right now" in text(app)
        assert store.find(run.id) == run
    made_jobs.finish(job, state="cancelled", cause="user")
    app.button(key="delete_run").click().run()
    assert run.id not in {r.id for r in store.list_runs()}


def test_a_net_is_not_deleted_while_it_is_trained(opened: Opened, checkout: Path) -> None:
    run = mine()
    ended = made_jobs.write("train", {"run": run.to_json()}, end={"state": "failed", "reason": "x"})
    store.create(run)
    made_jobs.write("train", {"run": run.to_json()}, started=False)
    app = opened("train")
    app.button(key=f"details_{ended}").click().run()
    app.button(key="details_remove").click().run()
    app.button(key="delete_run").click().run()
    assert "Yours is being trained right now" in text(app)
    assert store.find(run.id) == run


def test_a_job_on_another_net_does_not_keep_one(opened: Opened, checkout: Path) -> None:
    run, other = mine(), mine(seed=1)
    finish(run)
    finish(other)
    job = made_jobs.write("measure", {"run": other.id, "asks": {"fourier": {}}})
    with made_jobs.alive(job):
        app = opened("train")
        app.button(key=f"remove_{run.id}").click().run()
        app.button(key="delete_run").click().run()
    assert [r.id for r in store.list_runs()] == [other.id]


def test_a_moved_folder_of_pictures_hides_nothing(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its curve, its line in the list and its stored figure are there, and the folder is never looked into."""
    monkeypatch.setattr(data.folder, "listing", lambda path: pytest.fail("a folder was listed"))
    run = dataclasses.replace(mine(), data="folder:/moved/away/cats")
    finish(run)
    question = dataclasses.asdict(fourier.Params(of="output"))
    manifest = {"params": question, "version": fourier.ANALYSIS.version}
    store.save_result(run.id, "fourier", io.digest("q"), Measurement(table=spectra(spec.parse(run.arch))), manifest)
    job = made_jobs.write("train", {"run": run.to_json()}, label="Yours, seed 0", end={"state": "succeeded"})
    app = opened("train", m=[run.id])
    assert fine(app) and len(app.get("vega_lite_chart")) == 2
    assert "seed 0, cats, recipe quick." in text(app) and "87.5 % after 3 epochs" in text(app)
    assert app.button(key=f"open_{job}")
    app.switch_page("pages/frequency.py").run()
    assert fine(app) and "64 test images of cats, seed 0" in text(app)


def test_images_of_another_version_stand_for_themselves(opened: Opened, shipped: list[Run]) -> None:
    run = dataclasses.replace(mine(), data="set-of-tomorrow")
    finish(run)
    made_jobs.write("train", {"run": run.to_json()}, label="Yours, seed 0", end={"state": "succeeded"})
    app = opened("train")
    assert fine(app) and "seed 0, set-of-tomorrow, recipe quick." in text(app)
