"""The Curvature page from stored tables whose numbers are known: every view, every moment, every state between."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, store
from core.analyses import _bends, density, hessian
from core.jobs import record
from core.run import Run
from core.table import Measurement, check
from pages.ui import curvature_figure, figure, measured, pickers
from pages.ui.curvature_ask import PHASES
from tests.pages import made_jobs
from tests.pages.test_frequency import charts, text

Opened = Callable[..., AppTest]
BATCHES = 24
#: how much the values of each net differ in size, and the share of batches with one negative value among their five
SCALE = {"ResNet-mini": 4.0, "ViT-mini": 1.0, "AlterNet-mini": 2.0}
NEGATIVE = {"ResNet-mini": 0, "ViT-mini": 12, "AlterNet-mini": 6}


def values(run: Run, phase: str = "warmup", batches: int = BATCHES, unconverged: int = 0) -> pd.DataFrame:
    """Five values a batch, 8 to 12 times the net's scale and the number of the phase; the last is -10 scales in the first few batches.

    NEP is exactly NEGATIVE / (5 · batches), for ViT-mini 12 / 120 = 10 %.
    """
    grow, scale = 1 + list(PHASES).index(phase), SCALE[run.name]
    rows = []
    for batch in range(batches):
        for rank in range(1, 6):
            value = scale * grow * (13 - rank)
            if rank == 5 and batch < NEGATIVE[run.name]:
                value = -scale * grow * 10
            good = batch * 5 + rank > unconverged
            rows.append((batch, rank, value if good else math.nan, 1e-5 if good else 0.1, good, 30, 16 * batches, 0))
    found = pd.DataFrame(rows, columns=["batch", "rank", "eigenvalue", "residual", "converged", "products", "images", "seed"])
    return found[[column.id for column in hessian.COLUMNS]]


def notes(**changes: Any) -> dict[str, Any]:
    return {"batches": "0123456789abcdef", "said": "augmented training images", "weight_decay": 0.0005, **changes}


def keep(
    run: Run, phase: str, table: pd.DataFrame | None = None, told: dict[str, Any] | None = None, shipped: bool = True, **params: Any
) -> dict[str, Any]:
    """Stores an answer as the measurement would."""
    table = values(run, phase) if table is None else table
    check(table, hessian.ANALYSIS.columns)
    asked = dataclasses.asdict(hessian.Params(phase=phase, **params))
    manifest = {"params": asked, "version": hessian.ANALYSIS.version, "phase": phase}
    key = io.digest({"of": run.id, "version": manifest["version"], **asked})
    store.save_result(run.id, "hessian", key, Measurement(table=table, notes=told or notes()), manifest, shipped=shipped)
    return manifest


def question(run: Run, **params: Any) -> dict[str, Any]:
    return {"run": run.id, "asks": {"hessian": dataclasses.asdict(hessian.Params(**params))}, "device": "auto"}


def weigh(runs: Sequence[Run], phases: Sequence[str] = tuple(PHASES)) -> None:
    """Puts weights files there, so that the moments can be measured; nothing reads them."""
    for run in runs:
        for phase in phases:
            io.write_atomic(store.folder(run.id) / "weights" / f"{phase}.safetensors", b"weights")


@pytest.fixture
def nets(shipped: list[Run]) -> list[Run]:
    """ResNet-mini, ViT-mini and AlterNet-mini, with the weights of every moment and nothing measured."""
    weigh(shipped)
    return shipped


@pytest.fixture
def filled(nets: list[Run]) -> list[Run]:
    """The same, measured at every moment."""
    for run in nets:
        for phase in PHASES:
            keep(run, phase)
    return nets


def fine(app: AppTest) -> AppTest:
    assert not app.exception and "went wrong" not in text(app) and "could not be shown" not in text(app), text(app)[-1500:]
    return app


def control(app: AppTest, key: str) -> Any:
    return next(group for group in app.get("button_group") if group.key == f"curvature_{key}")


def lanes_of(app: AppTest) -> list[str]:
    """The nets of the main picture, from the domain of its colours."""
    found = json.loads(charts(app)[0].proto.spec)
    return next(
        layer["encoding"]["color"]["scale"]["domain"] for layer in found["layer"] if "scale" in (layer["encoding"].get("color") or {})
    )


def offers(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button if "measure" in str(button.key) or "rest" in str(button.key)]


# ---- what is stored


def test_it_opens_at_the_end_of_warm_up(opened: Opened, filled: list[Run]) -> None:
    app = fine(opened("curvature"))
    assert [title.value for title in app.title] == [hessian.ANALYSIS.question]
    assert app.query_params["phase"] == "warmup" and app.query_params["view"] == "spectrum"
    assert len(charts(app)) == 3
    # the mean of the positive values is 4 times as large where the net's scale is, but for the few that are negative
    assert "ViT-mini’s loss is <b>3.9 times flatter</b> than ResNet-mini’s" in text(app)
    assert "<b>10.0 %</b> of its leading eigenvalues are negative" in text(app)
    assert lanes_of(app) == ["ResNet-mini", "ViT-mini", "AlterNet-mini"]
    assert "24 mini-batches of 16" in text(app) and "seed 0" in text(app)
    assert "All nets saw the same images" in text(app)
    assert not offers(app)


def test_it_opens_at_the_end_where_warm_up_was_not_measured_for_all(opened: Opened, nets: list[Run]) -> None:
    for run in nets:
        keep(run, "end")
    keep(nets[0], "warmup")
    assert fine(opened("curvature")).query_params["phase"] == "end"


@pytest.mark.parametrize("phase", list(PHASES))
@pytest.mark.parametrize("view", ["spectrum", "top"])
def test_every_moment_and_view_is_a_link(opened: Opened, filled: list[Run], phase: str, view: str) -> None:
    app = fine(opened("curvature", phase=phase, view=view))
    assert app.query_params["phase"] == phase and app.query_params["view"] == view
    assert control(app, "phase").value == phase and control(app, "view").value == view
    assert len(charts(app)) == 3
    assert all(len(chart.proto.alt) > 20 and "**" not in chart.proto.alt and "nan" not in chart.proto.alt for chart in charts(app))


def test_the_segments_move_the_moment(opened: Opened, filled: list[Run]) -> None:
    app = opened("curvature")
    before = charts(app)[0].proto.alt
    control(app, "phase").set_value("end").run()
    assert fine(app).query_params["phase"] == "end"
    assert "at the end of training" in text(app).lower()
    assert charts(app)[0].proto.alt != before
    control(app, "view").set_value("top").run()
    assert fine(app).query_params["view"] == "top" and len(charts(app)) == 3


def test_a_click_on_a_moment_moves_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {"chart": {"selection": {"phase": [{"phase": "third"}]}}}
    monkeypatch.setattr(curvature_figure.st, "session_state", state)
    monkeypatch.setattr("pages.ui.features_depth.st.session_state", state)
    curvature_figure.clicked("chart")
    assert state["curvature_phase"] == "third"
    state["chart"] = {"selection": {"phase": []}}  # a second click takes the selection away, not the moment
    curvature_figure.clicked("chart")
    assert state["curvature_phase"] == "third"
    state["chart"] = {"selection": {"phase": [{"phase": "../../etc"}]}}
    curvature_figure.clicked("chart")
    assert state["curvature_phase"] == "third"


HOSTILE = ["../../etc", "x" * 4000, "<script>alert(1)</script>", "9" * 400, "%00", "-1"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_links_change_nothing(opened: Opened, filled: list[Run], hostile: str) -> None:
    given = dict.fromkeys(("phase", "view", "augment", "batches", "m", "d"), hostile)
    app = fine(opened("curvature", **given))
    assert "<script>" not in text(app)
    assert app.query_params["phase"] == "warmup" and app.query_params["view"] == "spectrum"
    assert "augment" not in app.query_params and "batches" not in app.query_params


def test_values_that_did_not_converge_are_counted(opened: Opened, nets: list[Run]) -> None:
    keep(nets[0], "end", values(nets[0], "end", unconverged=3))
    for run in nets[1:]:
        keep(run, "end")
    assert "3 of 360 values did not converge and are not drawn" in text(fine(opened("curvature", phase="end")))


def test_a_net_of_which_nothing_converged_is_not_drawn(opened: Opened, nets: list[Run]) -> None:
    keep(nets[0], "end", values(nets[0], "end", unconverged=5 * BATCHES))
    for run in nets[1:]:
        keep(run, "end")
    app = fine(opened("curvature", phase="end"))
    assert "None of the values of ResNet-mini converged" in text(app)
    assert lanes_of(app) == ["ViT-mini", "AlterNet-mini"]
    app = fine(opened("curvature", phase="end", m=nets[0].id))
    assert not charts(app), "nor is anything else"


def test_unlike_batches_are_said(opened: Opened, filled: list[Run]) -> None:
    keep(filled[1], "warmup", told=notes(batches="f" * 16), seed=1)
    for place in (store.folder(filled[1].id) / "results" / "hessian").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "notes": notes(batches="f" * 16)})
    app = fine(opened("curvature"))
    assert "did not see the same images" in text(app) and "All nets saw" not in text(app)


def test_the_shift_of_weight_decay_is_said(opened: Opened, filled: list[Run]) -> None:
    assert "L2 would add 0.0005 to each value and is left out" in text(fine(opened("curvature")))


def test_the_table_of_the_figure_holds_every_moment(filled: list[Run]) -> None:
    over = {p: measured.answers(hessian.ANALYSIS, filled, dataclasses.asdict(hessian.Params(phase=p))) for p in PHASES}
    table = curvature_figure.joined(over, pickers.names(filled))
    assert list(table.columns[:2]) == ["net", "phase"]
    assert len(table) == 3 * 5 * 5 * BATCHES and set(table["phase"]) == set(PHASES)


def test_the_file_holds_lanes_and_both_charts_over_training(filled: list[Run]) -> None:
    named = pickers.names(filled)
    families = dict(zip(named.values(), ("conv", "msa", "hybrid"), strict=True))
    tables = {phase: {named[run.id]: values(run, phase) for run in filled} for phase in ("warmup", "end")}
    charts = {"lanes": curvature_figure.lanes(tables["warmup"], "spectrum", families)}
    for which in curvature_figure.TRENDS:
        charts[which] = lambda theme, which=which: hessian.chart_phases(tables, theme, which=which, families=families, phase="end")
    file = figure.svg_rows(curvature_figure.rows(charts), "**A takeaway**", "A foot line").decode()
    for said in ("A takeaway", "A foot line", "bends down", "Share negative, %", "Mean of positives", "AlterNet-mini"):
        assert said in file


def test_nets_of_one_name_are_told_apart_at_every_moment(shipped: list[Run]) -> None:
    twin = dataclasses.replace(shipped[0], seed=0, recipe={**shipped[0].recipe, "lr": 0.5})
    other = dataclasses.replace(shipped[0], data="cifar10")
    named = pickers.names([shipped[0], shipped[1], twin])
    assert list(named.values()) == [f"ResNet-mini · {shipped[0].id[-4:]}", "ViT-mini", f"ResNet-mini · {twin.id[-4:]}"]
    assert list(pickers.names([shipped[0], other]).values()) == ["ResNet-mini · Fashion-MNIST", "ResNet-mini · CIFAR-10"]


# ---- what is missing


def test_nothing_on_stage_is_said(opened: Opened, checkout: Path) -> None:
    app = fine(opened("curvature"))
    assert "No net is on stage" in text(app) and not charts(app) and not offers(app)


def test_one_button_measures_everything_the_moment_shown_first(opened: Opened, nets: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("curvature"))
    assert not charts(app)
    assert "have <b>not been measured yet</b>" in text(app)
    assert "<b>Not measured yet:</b> ResNet-mini, ViT-mini and AlterNet-mini at all five moments of training. Takes about" in text(app)
    app.button(key="curvature_measure").click().run()
    asked = [args for task, args, *_ in queued]
    assert asked[:3] == [question(run, phase="end") for run in nets]
    assert len(asked) == 15 and all(question(run, phase=phase) in asked for run in nets for phase in PHASES)
    assert {task for task, *_ in queued} == {"measure_rows"} and all(dedup for *_, dedup in queued)


def test_the_moment_shown_can_be_measured_alone(opened: Opened, nets: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("curvature", phase="third"))
    app.button(key="curvature_here").click().run()
    assert [args for _, args, *_ in queued] == [question(run, phase="third") for run in nets]


def test_a_moment_that_is_missing_beside_a_whole_picture_is_offered_quietly(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    for place in (store.folder(filled[1].id) / "results" / "hessian").iterdir():
        if io.read_json(place / "manifest.json")["params"]["phase"] == "third":
            (place / "manifest.json").unlink()
    app = fine(opened("curvature"))
    assert "<b>Not measured yet:</b> ViT-mini at 1/3." in text(app)
    assert "curvature_measure" not in [button.key for button in app.button]
    app.button(key="curvature_rest").click().run()
    assert [args for _, args, *_ in queued] == [question(filled[1], phase="third")]


def drawn(found: dict[str, dict[str, pd.DataFrame]]) -> dict[str, Any]:
    """The chart of shares over training as Vega-Lite, tables inside."""
    return hessian.chart_phases(found, which="nep", families={}, phase="warmup").to_dict()


def test_a_missing_moment_breaks_the_line(shipped: list[Run]) -> None:
    """No line crosses the gap; the axis keeps its five moments, and a click at each of them is taken."""
    found = {phase: {run.name: values(run, phase) for run in shipped} for phase in PHASES}
    del found["third"]["ViT-mini"]
    chart = drawn(found)
    lines = next(layer for layer in chart["layer"] if "y2" in layer["encoding"] and "x2" in layer["encoding"])
    rows = pd.DataFrame(chart["datasets"][lines["data"]["name"]])
    assert rows.groupby("net")["phase"].agg(list).to_dict() == {
        "AlterNet-mini": ["init", "warmup", "third", "twothirds"],
        "ResNet-mini": ["init", "warmup", "third", "twothirds"],
        "ViT-mini": ["init", "twothirds"],
    }
    assert chart["layer"][0]["encoding"]["x"]["axis"]["values"] == [0, 1, 2, 3, 4]
    taken = next(layer for layer in chart["layer"] if "name" in layer)
    assert [row["phase"] for row in chart["datasets"][taken["data"]["name"]]] == list(PHASES)


def test_nets_with_equal_values_stand_side_by_side(shipped: list[Run]) -> None:
    """Their whiskers would hide each other; and what all names end in is said once, in the lanes."""
    chart = drawn({"warmup": dict.fromkeys((run.name for run in shipped), values(shipped[0]))})
    rows = pd.concat([pd.DataFrame(rows) for rows in chart["datasets"].values()])
    places = rows.dropna(subset=["low"]).groupby("net")["x"].first()
    assert places.nunique() == 3 and places.between(0.8, 1.2).all()
    assert set(rows["said"].dropna()) == {"ResNet", "ViT", "AlterNet"}


def test_every_tick_is_written_as_a_number() -> None:
    """No 1e+1, a real minus, and as many ticks asked for as there are: Vega leaves some out otherwise."""
    signed = _bends.Signed([-3000.0, -20.0, 5.0, 40.0, 9000.0])
    assert [_bends.written(tick) for tick in signed.ticks()] == ["−1,000", "−100", "0", "100", "1,000", "10,000"]
    assert [_bends.written(tick) for tick in (0.01, -0.1, 10.0, 1e6)] == ["0.01", "−0.1", "10", "1,000,000"]
    table = pd.DataFrame({"batch": [0, 1], "rank": 1, "eigenvalue": [-3000.0, 9000.0], "converged": True})
    axis = hessian.chart_spectra({"A": table}, families={}).to_dict()["layer"][0]["encoding"]["x"]["axis"]
    assert axis["tickCount"] == len(axis["values"]) and "'−1,000'" in axis["labelExpr"]


def test_a_moment_without_weights_cannot_be_measured_and_it_is_said(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    weigh(shipped, ["end"])
    app = fine(opened("curvature"))
    assert "at the end of warm-up, 1/3 and 2/3 cannot be measured: the weights of those moments are not on this machine" in text(app)
    app.button(key="curvature_measure").click().run()
    asked = [args for _, args, *_ in queued]
    assert len(asked) == 6 and {args["asks"]["hessian"]["phase"] for args in asked} == {"init", "end"}, "the start is made from the seed"


def test_other_images_are_another_measurement(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("curvature", augment="paper", phase="warmup"))
    assert app.query_params["augment"] == "paper" and not charts(app)
    app.button(key="curvature_here").click().run()
    assert [args for _, args, *_ in queued] == [question(run, phase="warmup", augment="paper") for run in filled]


def test_more_batches_are_another_measurement(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = opened("curvature", phase="warmup")
    control(app, "batches").set_value(96).run()
    assert fine(app).query_params["batches"] == "96" and not charts(app)
    app.button(key="curvature_here").click().run()
    assert {args["asks"]["hessian"]["images"] for _, args, *_ in queued} == {96 * 16}
    control(app, "batches").set_value(24).run()
    assert "batches" not in app.query_params and len(charts(app)) == 3


def test_a_smaller_measurement_is_shown_where_nothing_was_chosen(opened: Opened, nets: list[Run]) -> None:
    for run in nets:
        keep(run, "warmup", values(run, batches=16), images=256)
    app = fine(opened("curvature"))
    assert app.query_params["phase"] == "warmup" and "16 mini-batches of 16" in text(app)


def test_few_batches_are_measured_shown_and_the_usual_number_offered(opened: Opened, nets: list[Run], queued: list[tuple]) -> None:
    for run in nets:
        for phase in PHASES:
            keep(run, phase, values(run, batches=4 if phase == "warmup" else 24), images=64 if phase == "warmup" else 384)
    chosen = fine(opened("curvature", phase="warmup", batches="4"))
    assert "4 mini-batches of 16" in text(chosen) and not [key for key in offers(chosen) if key == "curvature_more"]
    app = fine(opened("curvature", phase="warmup"))
    assert "4 mini-batches of 16" in text(app) and "Measured on fewer than the usual 384 images:" in text(app)
    app.button(key="curvature_more").click().run()
    assert [args for _, args, *_ in queued] == [question(run, phase="warmup") for run in nets]


def test_results_of_an_older_method_are_said_to_be_old(opened: Opened, filled: list[Run]) -> None:
    for place in (store.folder(filled[0].id) / "results" / "hessian").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "version": 0})
    app = fine(opened("curvature"))
    assert "ResNet-mini: measured before the last change" in text(app)
    assert len(charts(app)) == 3 and app.button(key="curvature_measure")


# ---- what runs


def rows_done(job: str, table: pd.DataFrame, count: int) -> None:
    """The first batches of a running measurement, as its worker leaves them."""
    place = record.root() / job / "shards"
    place.mkdir()
    for batch in range(count):
        rows = table[table["batch"] == batch]
        arrays = {name: rows[name].to_numpy() for name in ("eigenvalue", "residual", "converged")}
        told = {
            "products": np.array(30),
            "batches": np.array(notes()["batches"]),
            "said": np.array(notes()["said"]),
            "seconds": np.array(1.0),
        }
        np.savez(place / f"{batch:05d}.npz", **arrays, **told)


def test_a_running_measurement_shows_how_far_it_is_and_can_be_stopped(
    opened: Opened, filled: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"step": 6000, "total": 24000, "rate": 8.0, "eta_s": 22.0, "message": "batch 6 of 24"}
    job = made_jobs.write("measure_rows", question(filled[1], phase="warmup", augment="clean"), progress=said)
    rows_done(job, values(filled[1]), 6)
    for run in (filled[0], filled[2]):
        keep(run, "warmup", augment="clean")
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = fine(opened("curvature", augment="clean", phase="warmup"))
        assert "<b>ViT-mini</b> · batch 6 of 24 · about 22 s left" in text(app)
        # the batches that are there are drawn, and nothing is claimed of them
        assert "ViT-mini so far: 6 of 24 mini-batches." in text(app) and "24 mini-batches of 16" in text(app)
        assert "times flatter" in charts(app)[0].proto.alt and "ViT" not in charts(app)[0].proto.alt
        assert json.loads(charts(app)[0].proto.spec) and lanes_of(app) == ["ResNet-mini", "ViT-mini", "AlterNet-mini"]
        app.button(key=f"curvature_warmup_stop_{filled[1].id}").click().run()
    assert stopped == [job]


def test_where_all_is_in_part_the_takeaway_says_so(opened: Opened, nets: list[Run]) -> None:
    job = made_jobs.write(
        "measure_rows", question(nets[1], phase="end"), progress={"step": 6000, "total": 24000, "message": "batch 6 of 24"}
    )
    rows_done(job, values(nets[1]), 6)
    with made_jobs.alive(job):
        app = fine(opened("curvature", m=nets[1].id, phase="end"))
        assert len(charts(app)) >= 1 and "measured <b>in part</b> so far" in text(app) and "not been measured yet" not in text(app)


def test_measurements_that_wait_are_one_line(opened: Opened, nets: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    made = [made_jobs.write("measure_rows", question(run, phase="end"), started=False) for run in nets]
    app = fine(opened("curvature"))
    assert "3 measurements wait for their turn" in text(app)
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    app.button(key="curvature_back").click().run()
    assert sorted(stopped) == sorted(made)


def test_a_failed_measurement_says_why_and_goes_on(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    asked = question(filled[1], phase="end", augment="clean")
    made_jobs.write("measure_rows", asked, end={"state": "failed", "reason": "The memory of this machine was full."})
    app = fine(opened("curvature", phase="end", augment="clean"))
    assert "The measurement of ViT-mini stopped" in text(app) and "The memory of this machine was full." in text(app)
    app.button(key=f"curvature_end_again_{filled[1].id}").click().run()
    assert [args for _, args, *_ in queued] == [asked]


def test_a_stopped_measurement_keeps_its_batches_and_goes_on(opened: Opened, nets: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    end = {"state": "cancelled", "cause": "user", "reason": "Stopped as asked."}
    job = made_jobs.write("measure_rows", question(nets[1], phase="end"), end=end)
    rows_done(job, values(nets[1]), 6)
    app = fine(opened("curvature", m=nets[1].id, phase="end"))
    assert "6 of 24 batches are kept" in text(app) and "at the end" not in text(app)
    gone_on: list[str] = []
    monkeypatch.setattr(jobs, "resume", gone_on.append)
    app.button(key=f"curvature_end_on_{nets[1].id}").click().run()
    assert gone_on == [job]


# ---- density


def spread(run: Run) -> pd.DataFrame:
    """A tenth of all directions at twenty times the net's scale, a twentieth a tenth as far below zero, the rest at zero."""
    scale = 20 * SCALE[run.name]
    rows = [(probe, node, weight, 512, 0) for probe in range(2) for node, weight in ((-0.1 * scale, 0.05), (0.0, 0.85), (scale, 0.1))]
    found = pd.DataFrame(rows, columns=["probe", "node", "weight", "images", "seed"])
    return found[[column.id for column in density.COLUMNS]]


def test_the_density_is_a_measurement_of_its_own(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("curvature", view="density", phase="end"))
    assert len(charts(app)) == 2, "the charts over training stay"
    app.button(key="curvature_density_measure").click().run()
    wanted = dataclasses.asdict(density.Params(phase="end"))
    assert [args["asks"] for _, args, *_ in queued] == [{"density": wanted}] * 3


def test_the_density_is_shown(opened: Opened, filled: list[Run]) -> None:
    for run in filled:
        asked = dataclasses.asdict(density.Params(phase="end"))
        manifest = {"params": asked, "version": density.ANALYSIS.version, "phase": "end"}
        table = spread(run)
        check(table, density.ANALYSIS.columns)
        store.save_result(
            run.id, "density", io.digest({"of": run.id, **asked}), Measurement(table=table, notes=notes()), manifest, shipped=True
        )
    app = fine(opened("curvature", view="density", phase="end"))
    assert len(charts(app)) == 3 and not offers(app)
    assert "2 probes" in text(app) and "**" not in text(app)
    assert "at least <b>85.0 %</b> of directions are flat" in text(app) and "<b>5.0 %</b> of ViT-mini’s" in text(app)
    assert "Flat: between −1 and 1" in text(app)
