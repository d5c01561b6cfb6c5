"""The Landscape page: surfaces, bands and lines from stored tables, what is asked when nothing was measured, and every state between."""

import base64
import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, store, words
from core.analyses import landscape
from core.analyses._steps import plan
from core.jobs import record
from core.metrics.flatness import coarse_to_fine
from core.run import Run
from core.table import Measurement, check
from pages.ui import measured, surface, surface_file
from tests.pages import made_jobs
from tests.pages.test_frequency import charts, text

Opened = Callable[..., AppTest]
#: how steep the bowls of the three shipped nets are
STEEP = (2.0, 1.0, 1.5)


def bowl(steep: float, params: landscape.Params, gone: int = 0) -> Measurement:
    """What the analysis makes of loss = 0.5 + steep (x² + y²), or of a straight way down from 2.5; the last `gone` points diverged."""
    rows = [(plane, x, y) for plane, points in landscape.plan(params) for x, y in points]
    rows += [(plane, 0.0, 0.0) for plane in range(1, params.planes if params.along == "random" else 1)]
    table = pd.DataFrame(rows, columns=["plane", "x", "y"])
    table["nll"] = 2.5 - 2 * table["x"] if params.along == "line" else 0.5 + steep * (table["x"] ** 2 + table["y"] ** 2)
    table.loc[len(table) - gone :, "nll"] = np.nan
    table["rise"], table["diverged"] = table["nll"] - 0.5, table["nll"].isna()
    size = table["x"] ** 2 + table["y"] ** 2
    table = table.assign(l2_norm=20 + size, l2_half=0.2 + size / 100, images=params.images, seed=params.seed)
    table = table[[column.id for column in landscape.COLUMNS]]
    check(table, landscape.COLUMNS, ("plane", "x", "y"))
    arrays, radii = {}, np.array(landscape.radii(params))
    if len(radii):
        spread = 1 + np.linspace(-0.05, 0.05, params.images)
        rise = steep * np.ones((params.planes, 1, 1)) * (radii**2)[None, :, None] * spread
        arrays = {"radii": radii, "ring_rise": rise.astype(np.float32), "ring_diverged": np.zeros((params.planes, len(radii)))}
    notes: dict[str, Any] = {
        "along": params.along, "points": len(table), "diverged": gone, "said": "augmented training images", "batches": "abc",
        "precision": "bf16", "error": 0.0012, "checked": 5, "bn": params.bn, "norm": params.norm,
    }  # fmt: skip
    notes |= {"eigenvalues": [55.3, -29.9]} if params.along == "curvature" else {}
    notes |= {"barrier": 0.0, "barrier_at": 0.0, "other": params.other or "init"} if params.along == "line" else {}
    return Measurement(table=table, arrays=arrays, notes=notes)


def keep(run: Run, steep: float, params: landscape.Params, *, gone: int = 0, shipped: bool = True) -> None:
    """Stores a bowl as the result of a measurement."""
    manifest = {"params": dataclasses.asdict(params), "version": landscape.ANALYSIS.version}
    key = io.digest([run.id, dataclasses.asdict(params)])
    store.save_result(run.id, "landscape", key, bowl(steep, params, gone), manifest, shipped=shipped)


@pytest.fixture
def hills(shipped: list[Run]) -> list[Run]:
    """The three shipped nets with a bowl each: 11 x 11 points, two pairs of directions."""
    for run, steep in zip(shipped, STEEP, strict=True):
        keep(run, steep, landscape.Params(images=16, side=11, planes=2))
    return shipped


def given(app: AppTest) -> dict[str, Any]:
    """What the component was given."""
    return next(d for c in app.get("bidi_component") if "panels" in (d := json.loads(c.proto.json or "{}")))


def values(panel: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(panel["values"]), "<f4")
    return flat.reshape([round(len(flat) ** 0.5)] * 2)


def states(panel: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(panel["state"]), "u1")
    return flat.reshape([round(len(flat) ** 0.5)] * 2)


def press(app: AppTest, key: str, value: str) -> AppTest:
    return app.segmented_control(key=key).set_value(value).run()


# ---- the page


def test_it_opens_on_stored_surfaces(opened: Opened, hills: list[Run]) -> None:
    app = opened("landscape")
    assert not app.exception
    assert [title.value for title in app.title] == [landscape.ANALYSIS.question]
    # by construction: 2 / 1, the same on every image and in every direction
    assert "<b>ViT-mini’s loss rises 2.0 times slower</b> than ResNet-mini’s" in text(app)
    assert [button.key for button in app.main.button] == ["landscape_finer"]  # nothing is missing
    sent = given(app)
    assert [(p["title"], p["token"], p["shape"]) for p in sent["panels"]] == [
        ("ResNet-mini", "conv", "square"), ("ViT-mini", "msa", "circle"), ("AlterNet-mini", "hyb", "diamond"),
    ]  # fmt: skip
    for panel, steep in zip(sent["panels"], STEEP, strict=True):
        drawn = values(panel)
        assert drawn.shape == (11, 11) and (states(panel) == surface.MEASURED).all()
        assert drawn[5, 5] == pytest.approx(0.5) == panel["centre"]
        assert drawn[0, 0] == pytest.approx(0.5 + 2 * steep, rel=1e-6) and drawn[5, 10] == pytest.approx(0.5 + steep)
        assert panel["sub"] == f"+{0.64 * steep:.1f} at 0.8 of a step"
    assert sent["scale"] | {"ticks": 0} == {"log": False, "low": 0.0, "high": 4.5, "title": "Loss", "ticks": 0}
    assert "One camera, one height scale" in sent["help"] and "×" not in sent["help"]
    assert "ResNet-mini from 0.50 to 4.50" in sent["said"] and "**" not in sent["said"]


def test_the_foot_says_on_what_it_stands(opened: Opened, hills: list[Run]) -> None:
    said = text(opened("landscape"))
    assert "11×11 points, 16 augmented training images, seed 0; none diverged. All nets saw the same batches." in said
    assert "Computed in bf16, off float32 by at most 0.12 % where both were computed." in said


def test_the_bands_share_one_axis(opened: Opened, hills: list[Run]) -> None:
    app = opened("landscape")
    assert "4 random directions, band: 95 % of them" in text(app)
    specs = [json.loads(chart.proto.spec) for chart in charts(app)]
    assert len(specs) == 3
    heights = [layer["encoding"].get("y", {}) for s in specs for layer in s["layer"]]
    domains = {json.dumps(y["scale"]["domain"]) for y in heights if "scale" in y}
    assert len(domains) == 1
    for chart in charts(app):
        assert len(chart.proto.alt) > 20 and "nan" not in chart.proto.alt


def test_parts_of_the_loss_and_scales(opened: Opened, hills: list[Run]) -> None:
    app = press(opened("landscape"), "ls_part", "l2")
    assert values(given(app)["panels"][0])[5, 5] == pytest.approx(20)
    assert given(app)["scale"]["title"] == "L2 part" and "not squared" in text(app)
    app.selectbox(key="ls_l2").set_value("half").run()
    assert values(given(app)["panels"][0])[5, 5] == pytest.approx(0.2)
    app = press(app, "ls_part", "sum")
    assert values(given(app)["panels"][1])[5, 10] == pytest.approx(0.5 + 1 + 21)
    app = press(press(app, "ls_part", "data"), "ls_scale", "log")
    scale = given(app)["scale"]
    assert scale["log"] and 0 < scale["low"] <= 0.5 and [tick["label"] for tick in scale["ticks"]] == ["0.5", "1", "2"]
    assert not app.exception


def test_from_above_there_are_height_lines(opened: Opened, hills: list[Run]) -> None:
    app = press(opened("landscape"), "ls_view", "contour")
    assert not app.exception
    assert len(charts(app)) == 6
    assert not any("panels" in json.loads(c.proto.json or "{}") for c in app.get("bidi_component"))


def test_where_the_loss_is_no_number_there_is_a_hole(opened: Opened, hills: list[Run]) -> None:
    keep(hills[0], 2.0, landscape.Params(images=16, side=11, planes=1), gone=3)
    for place in (store.folder(hills[0].id) / "results" / "landscape").iterdir():
        if io.read_json(place / "manifest.json")["params"]["planes"] == 2:
            for file in place.iterdir():
                file.unlink()
            place.rmdir()
    app = opened("landscape")
    panel = given(app)["panels"][0]
    assert (states(panel) == surface.DIVERGED).sum() == 3 == np.isnan(values(panel)).sum()
    assert "× diverged" in given(app)["help"]
    assert "3 of 121 of ResNet-mini diverged (×)" in text(app)


def test_an_unmeasured_choice_offers_to_be_measured(opened: Opened, hills: list[Run], queued: list[tuple]) -> None:
    app = opened("landscape")
    for key, value, asked in (
        ("ls_phase", "init", {"phase": "init"}), ("ls_augment", "paper", {"augment": "paper"}), ("ls_norm", "dim0", {"norm": "dim0"}),
        ("ls_bn", "batch", {"bn": "batch"}),
    ):  # fmt: skip
        before = app.selectbox(key=key).value
        app.selectbox(key=key).set_value(value).run()
        assert "not been measured yet" in text(app) and "Takes about" in text(app)
        queued.clear()
        app.button(key="landscape_measure").click().run()
        assert [(task, args["run"], args["asks"]["landscape"]) for task, args, *_ in queued] == [
            ("measure_rows", run.id, dataclasses.asdict(landscape.Params(**asked))) for run in hills
        ]
        app.selectbox(key=key).set_value(before).run()
        assert "times slower" in text(app)
    app.number_input(key="ls_direction").set_value(3).run()
    queued.clear()
    app.button(key="landscape_measure").click().run()
    assert {args["asks"]["landscape"]["direction"] for _, args, *_ in queued} == {3}


def test_how_fine_it_is_can_be_chosen(opened: Opened, hills: list[Run], queued: list[tuple]) -> None:
    app = opened("landscape")
    for key, value in (("ls_side", "5"), ("ls_planes", "1"), ("ls_images", "16")):
        app.selectbox(key=key).set_value(value).run()
    assert "not been measured yet" in text(app), "what was chosen counts: the finer bowls are another measurement"
    app.button(key="landscape_measure").click().run()
    wanted = dataclasses.asdict(landscape.Params(side=5, planes=1, images=16))
    assert [args["asks"]["landscape"] for _, args, *_ in queued] == [wanted] * 3
    for run, steep in zip(hills, STEEP, strict=True):
        keep(run, steep, landscape.Params(side=5, planes=1, images=16))
    app = opened("landscape", ls_side="5 × 5", ls_planes="1", ls_images="16")
    assert not app.exception and "could not be shown" not in text(app)
    assert "Options (3)" in [block.proto.popover.label for block in app.get("popover")], "also on the first run of a link"
    assert values(given(app)["panels"][0]).shape == (5, 5)
    assert "5×5 points" in text(app) and "Is that slice typical?" in text(app)


def test_a_coarse_measurement_is_shown_and_a_finer_one_offered(opened: Opened, hills: list[Run], queued: list[tuple]) -> None:
    keep(hills[0], 2.0, landscape.Params())
    app = opened("landscape")
    assert "ViT-mini and AlterNet-mini: measured more coarsely than usual." in text(app)
    assert "measured <b>on different numbers of images</b>, so their rise cannot be compared" in text(app)
    assert len(given(app)["panels"]) == 3 and "could not be shown" not in text(app)
    assert "4 to 16 random directions" in text(app), "two pairs of some, eight of another"
    app.button(key="landscape_finer").click().run()
    assert [(args["run"], args["asks"]["landscape"]) for _, args, *_ in queued] == [
        (run.id, dataclasses.asdict(landscape.Params())) for run in hills[1:]
    ]
    for run in hills[1:]:
        keep(run, 1.0, landscape.Params())
    assert "landscape_finer" not in [button.key for button in opened("landscape").button]


def test_weights_that_are_not_kept_are_said(opened: Opened, hills: list[Run]) -> None:
    app = opened("landscape")
    app.selectbox(key="ls_phase").set_value("third").run()
    assert "ResNet-mini, ViT-mini and AlterNet-mini: the weights of this phase (one third) are not kept here" in text(app)
    assert not [button.key for button in app.main.button]


def test_along_the_curvature(opened: Opened, hills: list[Run], queued: list[tuple]) -> None:
    app = press(opened("landscape"), "ls_along", "curvature")
    app.button(key="landscape_measure").click().run()
    params = landscape.Params(**queued[0][1]["asks"]["landscape"])
    assert (params.along, params.reach) == ("curvature", 0.5)
    for run in hills:
        keep(run, 4.0, dataclasses.replace(params, side=9, images=16))
    app.run()
    assert "curvature 55.3 and −29.9" in given(app)["panels"][0]["sub"]
    assert "1 = a step of length 1" in text(app) and not charts(app)


def test_the_line_between_two_nets(opened: Opened, hills: list[Run], queued: list[tuple]) -> None:
    app = press(opened("landscape"), "ls_along", "line")
    app.button(key="landscape_measure").click().run()
    assert [args["asks"]["landscape"]["other"] for _, args, *_ in queued] == ["", "", ""]
    keep(hills[1], 1.0, landscape.Params(along="line", side=9, images=16))
    app.run()
    assert "Between its start and ViT-mini" in text(app) and len(charts(app)) == 1
    box = app.selectbox(key="landscape_other")
    app = box.set_value(hills[0].id).run()
    assert app.query_params["other"] == hills[0].id
    assert "ViT-mini and AlterNet-mini: another architecture than the other end" in text(app)
    assert "ResNet-mini: this is the other end itself" in text(app)
    assert not app.exception and "landscape_measure" not in [button.key for button in app.main.button]
    again = opened("landscape", ls_along="Between two nets", other=hills[2].id)
    assert again.selectbox(key="landscape_other").value == hills[2].id


def test_a_running_measurement_is_drawn_as_far_as_it_is(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bowl(1.0, landscape.Params())
    rows = 0

    def partial(_analysis: Any, run: Run, _params: Any) -> Measurement | None:
        return dataclasses.replace(whole, table=whole.table[:rows], arrays={}) if run == shipped[1] and rows else None

    monkeypatch.setattr(measured, "partial", partial)
    asks = {"landscape": dataclasses.asdict(landscape.Params())}
    said = {"step": 9, "total": 861, "rate": 8.0, "eta_s": 100.0, "message": "9 of 861 points"}
    job = made_jobs.write("measure_rows", {"run": shipped[1].id, "asks": asks, "device": "auto"}, progress=said)
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = opened("landscape")
        assert "9 of 861 points · about 2 min left" in text(app) and not charts(app)
        for rows, side, there in ((9, 3, 9), (25, 5, 25), (40, 11, 24), (137, 11, 121), (200, 21, 200), (441, 21, 441)):
            app.run()
            panel = given(app)["panels"][0]
            assert len(values(panel)) == side, f"{rows} points"
            assert (states(panel) == surface.MEASURED).sum() == there
            assert np.isfinite(values(panel)).all()
            assert panel["sub"] == f"{rows} of {words.count(len(whole.table) - landscape.Params().planes + 1)} points so far"
        assert "measured <b>in part</b> so far" in text(app) and "nan" not in text(app)
        for rows in (9, 40, 500):
            assert len(charts(press(app, "ls_view", "contour"))) == 2 and "could not be shown" not in text(app), f"{rows} points"
        press(app, "ls_view", "surface")
        app.button(key=f"landscape_stop_{shipped[1].id}").click().run()
    assert stopped == [job] and not app.exception


def test_grids_without_a_common_distance_are_not_compared(opened: Opened, shipped: list[Run]) -> None:
    for run, side in zip(shipped, (11, 9, 9), strict=True):  # rings at 0.2, 0.4 … 1; at 1 alone
        keep(run, 1.0, landscape.Params(images=16, side=side, planes=1))
    assert "at 1 of a step" in text(opened("landscape", m=[shipped[1].id])) and "could not be shown" not in text(opened("landscape"))


def test_a_result_of_an_older_method_is_shown_as_such(opened: Opened, hills: list[Run]) -> None:
    for run in hills:
        for place in (store.folder(run.id) / "results" / "landscape").iterdir():
            manifest = io.read_json(place / "manifest.json")
            io.write_json(place / "manifest.json", {**manifest, "version": 0})
    app = opened("landscape")
    assert "measured before the last change" in text(app)
    assert given(app)["pale"] and app.button(key="landscape_measure")


def test_a_failed_measurement_says_why(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    asks = {"landscape": dataclasses.asdict(landscape.Params())}
    made_jobs.write(
        "measure_rows", {"run": shipped[0].id, "asks": asks, "device": "auto"}, end={"state": "failed", "reason": "The disk was full."}
    )  # fmt: skip
    app = opened("landscape")
    assert "The measurement of ResNet-mini stopped" in text(app) and "The disk was full." in text(app)
    app.button(key=f"landscape_again_{shipped[0].id}").click().run()
    assert queued[0][1]["run"] == shipped[0].id


def test_a_stopped_measurement_keeps_its_rows_and_goes_on(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    params = landscape.Params()
    asks = {"landscape": dataclasses.asdict(params)}
    end = {"state": "cancelled", "cause": "user", "reason": "Stopped as asked."}
    job = made_jobs.write("measure_rows", {"run": shipped[0].id, "asks": asks, "device": "auto"}, end=end)
    points = [len(points) for _, points in plan(params)]
    for row in (0, 1):
        arrays = {
            "nll": np.linspace(0.5, 2.0, points[row]), "l2": np.ones((points[row], 2)), "first": np.ones(params.images),
            "checked": np.ones((1, 2)), "sums": np.zeros((5, params.images)), "on_ring": np.zeros((5, 2), int),
            "precision": np.array("bf16"), "batches": np.array("0" * 16), "lengths": np.ones(2), "seconds": np.array(3.0),
        }  # fmt: skip
        (record.root() / job / "shards").mkdir(exist_ok=True)
        np.savez(record.root() / job / "shards" / f"{row:05d}.npz", **arrays)
    gone_on: list[str] = []
    monkeypatch.setattr(jobs, "resume", gone_on.append)
    app = opened("landscape")
    assert f"Stopped as asked. 2 of {len(points)} parts are kept." in text(app)
    assert given(app)["panels"][0]["sub"].startswith(f"{sum(points[:2])} of ")
    app.button(key=f"landscape_on_{shipped[0].id}").click().run()
    assert gone_on == [job] and not app.exception


def test_nothing_on_stage_is_said(opened: Opened, checkout: object) -> None:
    app = opened("landscape")
    assert not app.exception and "No net is on stage" in text(app) and not charts(app)


@pytest.mark.parametrize("hostile", ["../../etc", "x" * 4000, "<script>alert(1)</script>", "-1", "nan", "%00", "2D,3D"])
def test_hostile_links_change_nothing(opened: Opened, hills: list[Run], hostile: str) -> None:
    keys = ("ls_part", "ls_scale", "ls_along", "ls_view", "ls_phase", "ls_augment", "ls_norm", "ls_bn", "ls_l2", "ls_direction", "other")
    app = opened("landscape", **dict.fromkeys((*keys, "m", "d", "arch"), hostile))
    assert not app.exception
    assert "<script>" not in text(app) and "unexpected" not in text(app)
    assert app.segmented_control(key="ls_part").value == "data"
    assert len(given(app)["panels"]) == 3
    line = opened("landscape", ls_along="Between two nets", other=hostile)
    assert line.selectbox(key="landscape_other").value == "" and not line.exception


# ---- the surface itself


def known(side: int, points: int) -> surface.Surface:
    axis = np.linspace(-1, 1, side)
    x, y = np.meshgrid(axis, axis)
    heights, state = np.full((side, side), np.nan), np.zeros((side, side), dtype=np.uint8)
    for i, j in coarse_to_fine(side)[:points]:
        heights[i, j], state[i, j] = 3 * x[i, j] + 2 * y[i, j] + 7, surface.MEASURED
    return surface.Surface(title="A", family="conv", axis=axis, heights=heights, state=state, centre=7.0)


@pytest.mark.parametrize("side", [5, 11, 21, 23])
def test_a_coarse_grid_is_a_coarser_surface(side: int) -> None:
    order, sizes = coarse_to_fine(side), []
    for points in range(len(order) + 1):
        found = surface.whole(known(side, points))
        if found is None:
            assert points < 9
            continue
        sizes.append(len(found.axis))
        x, y = np.meshgrid(found.axis, found.axis)
        # what is missing lies on straight lines, and a plane is straight: every height is the true one
        inside = np.isfinite(found.heights)
        assert np.allclose(found.heights[inside], (3 * x + 2 * y + 7)[inside]) and inside[found.state == surface.MEASURED].all()
        assert found.heights[len(x) // 2, len(x) // 2] == 7
    assert sizes == sorted(sizes) and sizes[-1] == side
    assert (found.state == surface.MEASURED).all()


def test_a_far_peak_is_cut_and_said() -> None:
    flat = known(21, 441)
    peaked = dataclasses.replace(flat, heights=flat.heights + 1000 * (np.arange(441).reshape(21, 21) < 5))
    assert not surface.scale([flat], "Loss").cut
    scale = surface.scale([flat, peaked], "Loss")
    assert scale.cut and 12 < scale.high < 100 and max(scale.ticks) <= scale.high
    sent = surface.payload([flat, peaked], scale, said="", axes=surface.AXES, pale=False)
    assert f"cut at {surface.number(scale.high)}" in sent["help"]
    assert surface.scale([flat, peaked], "Loss", log=True).high == pytest.approx(1000 + peaked.heights[0, 4] - 1000)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("factor", [1e-4, 0.02, 1.0, 37.0, 1e5])
def test_scales_are_round_and_hold_everything(factor: float, log: bool) -> None:
    one = known(11, 121)
    one = dataclasses.replace(one, heights=one.heights * factor, centre=7 * factor)
    scale = surface.scale([one], "Loss", log=log)
    assert scale.low <= one.heights.min() and (scale.cut or scale.high >= one.heights.max() * 0.999)
    assert 2 <= len(scale.ticks) <= 8 and list(scale.ticks) == sorted(scale.ticks)
    share = scale.share(one.heights)
    assert share.min() >= -1e-9 and share.max() <= 1 + 1e-9


def test_nothing_known_yet_has_a_scale_too() -> None:
    assert surface.whole(known(11, 0)) is None
    empty = dataclasses.replace(known(11, 0), centre=float("nan"))
    assert surface.scale([empty], "Loss").high == 1
    json.dumps(surface.payload([empty], surface.scale([empty], "Loss"), said="", axes=surface.AXES, pale=False), allow_nan=False)


def test_the_file_holds_every_face_and_the_words() -> None:
    one = known(11, 121)
    one.heights[2, 3], one.state[2, 3] = np.nan, surface.DIVERGED
    drawn = surface_file.svg([one, dataclasses.replace(one, title="B < C")], surface.scale([one], "Loss"), "**A** is flat", "11×11 points")
    root = ET.fromstring(drawn)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A is flat", "11×11 points", "Loss", "direction x", "A", "B < C"} <= set(texts)
    faces = [node for node in root.iter("{http://www.w3.org/2000/svg}path") if node.get("stroke-width") == ".6"]
    assert len(faces) == 2 * (100 - 4)
    assert b"nan" not in drawn and b"var(" not in drawn and b'stroke-width="1.4"' not in drawn
    low = dataclasses.replace(surface.scale([one], "Loss"), high=6.0)
    cut = ET.fromstring(surface_file.svg([one], low, "", ""))
    edges = [node for node in cut.iter("{http://www.w3.org/2000/svg}path") if node.get("stroke-width") == "1.4"]
    heights = {round(float(y), 1) for node in edges for y in re.findall(r"[ML][-\d.]+ ([-\d.]+)", node.get("d", ""))}
    assert len(edges) > 8 and len(heights) > 4, "a cut has an edge, level in space and slanted on paper"
