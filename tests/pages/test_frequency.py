"""The Frequency page: what it says from stored tables, and what stands there when nothing was measured."""

import dataclasses
import json
import math
import re
import shutil
from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, spec, store
from core.analyses import fourier
from core.run import Run
from core.table import Measurement
from tests.pages import made_jobs

Opened = Callable[..., AppTest]


def text(app: AppTest) -> str:
    """Everything that is written in the page's HTML parts."""
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


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
    assert [button.key for button in app.main.button] == ["frequency_lesion"]  # nothing to measure


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
    assert app.session_state["focus_place"] == place
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
    assert [args["asks"]["fourier"]["of"] for _, args, *_ in queued] == ["branch"] * 3


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


def inside(run: Run, unit: str) -> None:
    """Stores the spectra of a unit's layers: each layer lowers the highest frequency by 0.5."""
    slot = next(s for s in spec.layout(spec.parse(run.arch), 32) if s.id == unit)
    about = (slot.id, 3, slot.stage, slot.index, slot.kind, slot.form, slot.letter, slot.depth, slot.resampling, slot.side)
    rows = []
    for place, layer in enumerate(("Going in", "LayerNorm", "Attended values", "Projection", "Coming out")):
        for k in range(slot.side // 2):
            level, top = -0.5 * place * k / (slot.side // 2 - 1), k == slot.side // 2 - 1
            numbers = (level, level - 0.02, level + 0.02, *[math.nan] * 3, 64, 0)
            rows.append((*about, layer, k, 2 * k / slot.side, top, *numbers))
    table = pd.DataFrame(rows, columns=[column.id for column in fourier.COLUMNS])
    manifest = {"params": dataclasses.asdict(fourier.Params(images=64, inside=unit)), "version": fourier.ANALYSIS.version}
    store.save_result(run.id, "fourier", io.digest({"inside": run.id}), Measurement(table=table), manifest, shipped=True)


def test_the_layers_of_the_focused_unit(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    vit = shipped[1]
    app = opened("frequency", unit=f"{vit.id}~s1u3")
    app.segmented_control(key="f_look").set_value("layers").run()
    assert "ViT-mini: not measured yet" in text(app)
    app.button(key="frequency_inside_measure").click().run()
    assert [args for _, args, *_ in queued] == [question(vit, inside="s1u3")]
    inside(vit, "s1u3")
    app.run()
    assert "The highest frequency lies at −1.00 (95 % −1.02 to −0.98); before it at −0.50." in text(app)
    layer = next(box for box in app.selectbox if box.label == "Layer")
    assert layer.options == ["Going in", "LayerNorm", "Attended values", "Projection", "Coming out"]
    layer.set_value("Going in").run()
    assert "The highest frequency lies at 0.00 (95 % −0.02 to +0.02)." in text(app)
    assert not app.exception


def test_another_set_of_images_is_another_measurement(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    app = opened("frequency")
    box = app.selectbox(key="f_on")
    assert box.options[:2] == ["Own test images", "Own training images"] and "Shapes and textures" in box.options
    assert "Fashion-MNIST" not in box.options, "its test images are the nets' own"
    box.set_value("shapes-textures").run()
    app.button(key="frequency_measure").click().run()
    assert {args["asks"]["fourier"]["on"] for _, args, *_ in queued} == {"shapes-textures"}
