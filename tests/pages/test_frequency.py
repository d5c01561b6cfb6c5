"""The Frequency page: what it says from stored tables, and what stands there when nothing was measured."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, store
from core.analyses import fourier
from core.run import Run
from tests.pages import made_jobs

Opened = Callable[..., AppTest]


def text(app: AppTest) -> str:
    """Everything that is written in the page's HTML parts."""
    return " ".join(block.proto.body for block in app.get("html"))


def charts(app: AppTest) -> list:
    return list(app.get("vega_lite_chart"))


def question(run: Run, **changes: object) -> dict:
    return {"run": run.id, "asks": {"fourier": dataclasses.asdict(fourier.Params(**changes))}, "device": "auto"}


def unmeasured(run: Run) -> None:
    shutil.rmtree(store.folder(run.id) / "results")


def test_it_opens_on_the_shipped_results(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency")
    assert not app.exception
    assert [title.value for title in app.title] == [fourier.ANALYSIS.question]
    assert "In these 3 nets, <b>MSA units blur</b> (−0.20 ± 0.00, all 10)" in text(app)
    # one panel a net, the change by kind, the focused unit
    assert len(charts(app)) == 5
    assert not app.button  # nothing to measure


def test_panels_share_their_y_axis(opened: Opened, shipped: list[Run]) -> None:
    specs = [json.loads(chart.proto.spec) for chart in charts(opened("frequency"))[:3]]
    scales = [
        {json.dumps(e["y"]["scale"]["domain"]) for layer in s["layer"] if "scale" in (e := layer["encoding"]).get("y", {})} for s in specs
    ]
    assert len(set().union(*scales)) == 1


def test_every_chart_can_be_heard(opened: Opened, shipped: list[Run]) -> None:
    for chart in charts(opened("frequency")):
        assert len(chart.proto.alt) > 20
        assert "**" not in chart.proto.alt and "nan" not in chart.proto.alt


def test_the_focused_unit_is_chosen_by_a_native_box(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency")
    box = app.selectbox(key="f_unit")
    place = f"{shipped[1].id}~s1u3"
    box.set_value(place).run()
    assert "Stage 1, unit 3 · MSA" in text(app)
    assert app.session_state["frequency_focus"] == place
    assert app.session_state["focus"] == "s1u3"
    assert app.query_params["unit"] == place


def test_a_link_brings_the_unit(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency")
    app.query_params["unit"] = f"{shipped[0].id}~s2u4"
    app.run()
    assert app.selectbox(key="f_unit").value == f"{shipped[0].id}~s2u4"


def test_all_frequencies_drops_the_change_by_kind(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency")
    app.get("button_group")[0].set_value("all").run()
    assert not app.exception
    assert len(charts(app)) == 4
    assert "One line a unit" in text(app)


@pytest.mark.parametrize("hostile", ["../../etc", "x" * 4000, "<script>alert(1)</script>", "resnet~s1u1", "~", "%00"])
def test_hostile_links_change_nothing(opened: Opened, shipped: list[Run], hostile: str) -> None:
    app = opened("frequency", unit=hostile, f_show=hostile, f_of=hostile, m=hostile, d=hostile, arch=hostile)
    assert not app.exception
    assert "<script>" not in text(app)
    run, _, unit = app.selectbox(key="f_unit").value.partition("~")
    assert run in {run.id for run in shipped} and re.fullmatch(r"s[12]u\d+", unit)


def test_nothing_on_stage_is_said(opened: Opened, checkout: object) -> None:
    app = opened("frequency")
    assert not app.exception
    assert "No net is on stage" in text(app)
    assert not charts(app)


def test_an_unmeasured_net_offers_to_be_measured(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    unmeasured(shipped[1])
    app = opened("frequency")
    assert "ViT-mini: not measured yet" in text(app)
    assert "Takes about" in text(app)
    assert len(charts(app)) == 4  # two nets, the change, the focused unit
    app.button(key="frequency_measure").click().run()
    assert [(task, args) for task, args, *_ in queued] == [("measure", question(shipped[1]))]
    assert queued[0][3]  # a dedup key


def test_branch_is_another_measurement(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    app = opened("frequency")
    app.get("button_group")[1].set_value("branch").run()
    assert "not measured yet" in text(app)
    app.button(key="frequency_measure").click().run()
    assert [args["params"]["of"] for _, args, *_ in queued] == ["branch"] * 3


def test_a_running_measurement_shows_its_progress_and_can_be_stopped(
    opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    unmeasured(shipped[1])
    said = {"step": 64, "total": 256, "rate": 8.0, "eta_s": 24.0, "message": "64 of 256 images"}
    job = made_jobs.write("measure", question(shipped[1]), progress=said)
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = opened("frequency")
        assert "64 of 256 images · about 24 s left" in text(app)
        assert "not measured yet" not in text(app)
        app.button(key=f"frequency_stop_{shipped[1].id}").click().run()
    assert stopped == [job]


def test_a_waiting_measurement_says_so(opened: Opened, shipped: list[Run]) -> None:
    unmeasured(shipped[1])
    made_jobs.write("measure", question(shipped[1]), started=False)
    assert "waiting for its turn" in text(opened("frequency"))


def test_a_failed_measurement_says_why_and_goes_on(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    unmeasured(shipped[1])
    made_jobs.write("measure", question(shipped[1]), end={"state": "failed", "reason": "The memory of this machine was full."})
    app = opened("frequency")
    assert "The measurement of ViT-mini stopped" in text(app)
    assert "The memory of this machine was full." in text(app)
    app.button(key=f"frequency_again_{shipped[1].id}").click().run()
    assert queued[0][1]["run"] == shipped[1].id


def test_results_of_an_older_method_are_shown_as_such(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (store.folder(shipped[0].id) / "results" / "fourier").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "version": 0})
    app = opened("frequency")
    assert "ResNet-mini: measured before the last change" in text(app)
    assert app.button(key="frequency_measure")


def test_unlike_image_sets_are_said(opened: Opened, shipped: list[Run]) -> None:
    for place in (store.folder(shipped[0].id) / "results" / "fourier").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "params": {**manifest["params"], "seed": 3}})
    said = text(opened("frequency"))
    assert "Different image sets" in said and "seed 3" in said
