"""The Features page: every view from stored tables, the pair and the focus from links and boxes, live maps, and every state between."""

import base64
import dataclasses
import io as bytes_io
import json
import re
import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import analyses, data, io, jobs, spec, store
from core.analyses import attention, cka, fourier, receptive, variance
from core.analyses._units import head
from core.errors import LiveError
from core.run import Run
from core.table import Measurement, check
from pages.ui import features_look, features_maps, features_pairs, focus
from tests.pages import made_jobs
from tests.pages.conftest import pictured, stands_in
from tests.pages.test_frequency import charts, text

Opened = Callable[..., AppTest]
VIEWS = ("variance", "cka", "attention", "receptive")


def slots_of(run: Run) -> list[spec.Unit]:
    return list(spec.layout(spec.parse(run.arch), run.image_size))


def varied(run: Run) -> pd.DataFrame:
    """MSA halves the variance, everything else doubles it, to the last digit alike."""
    slots, level, rows = slots_of(run), 1.0, []
    for place in range(-1, len(slots)):
        ratio = np.nan if place < 0 else 0.5 if slots[place].kind == "msa" else 2.0
        level *= 1 if place < 0 else ratio
        rows.append((*head(place, slots), level, level * 0.9, level * 1.1, ratio, ratio * 0.9, ratio * 1.1, 64, 0))
    return pd.DataFrame(rows, columns=[c.id for c in variance.COLUMNS])


def alike(run: Run, other: Run) -> pd.DataFrame:
    """CKA falls by a twentieth a step between two positions."""
    rows, columns = slots_of(run), slots_of(other)
    found = [
        (*head(i, rows), *head(j, columns), 1 - abs(i - j) / 20, 0.9 - abs(i - j) / 20, min(1.0, 1.1 - abs(i - j) / 20), 64, 0)
        for i in range(-1, len(rows))
        for j in range(-1, len(columns))
    ]
    return pd.DataFrame(found, columns=[c.id for c in cka.COLUMNS])


def looked(run: Run) -> pd.DataFrame:
    """Each MSA unit looks 10 pixels far, its first head 9 and its second 11."""
    slots, rows = slots_of(run), []
    for place, slot in enumerate(slots):
        if slot.kind == "msa":
            rows += [
                (*head(place, slots), n, d, d - 0.1, d + 0.1, 16.5, 2.0, 1.9, 2.1, 4.16, np.nan, np.nan, np.nan, 64, 0)
                for n, d in ((0, 10.0), (1, 9.0), (2, 11.0))
            ]
    return pd.DataFrame(rows, columns=[c.id for c in attention.COLUMNS])


def seen(run: Run) -> Measurement:
    """Each unit sees a pixel farther than the one before; the maps hold one lit pixel at the place of the unit."""
    slots, rows = slots_of(run), []
    for place in range(-1, len(slots)):
        r = place + 2.0
        rows.append((*head(place, slots), r, r - 0.1, r + 0.1, 12.7, 0.3, 0.2, 0.4, 0.5, 64, 0))
    maps = np.zeros((len(rows), 32, 32), np.float32)
    maps[np.arange(len(rows)), 0, np.arange(len(rows))] = 1.0
    return Measurement(table=pd.DataFrame(rows, columns=[c.id for c in receptive.COLUMNS]), arrays={"maps": maps})


def keep(run: Run, analysis: analyses.Analysis, measured: Measurement, **params: object) -> None:
    check(measured.table, analysis.columns)
    asked = dataclasses.asdict(analysis.params(images=64, **params))
    manifest = {"params": asked, "version": analysis.version}
    store.save_result(run.id, analysis.id, io.digest({"of": run.id, **asked}), measured, manifest, shipped=True)


@pytest.fixture
def filled(shipped: list[Run]) -> list[Run]:
    """ResNet-mini, ViT-mini and AlterNet-mini with all that the page shows but a pair of nets."""
    for run in shipped:
        keep(run, variance.ANALYSIS, Measurement(table=varied(run)))
        notes = {"batches": 4}
        if run.name != "ViT-mini":
            notes["contrast"] = {"within": 0.9, "between": 0.7, "difference": 0.2, "low": 0.15, "high": 0.25}  # type: ignore[assignment]
        keep(run, cka.ANALYSIS, Measurement(table=alike(run, run), notes=notes))
        if not attention.supports(spec.parse(run.arch)):
            keep(run, attention.ANALYSIS, Measurement(table=looked(run)))
        keep(run, receptive.ANALYSIS, seen(run))
    return shipped


@dataclasses.dataclass
class Worker:
    """Stands in for the live worker: head h of a unit with an 8×8 map looks at position h alone, from everywhere."""

    state: str = "ready"
    reason: str = ""
    error: str = ""
    warmed: list[str] = dataclasses.field(default_factory=list)
    asked: list[dict] = dataclasses.field(default_factory=list)

    def warm(self, op: str, **args: object) -> None:
        self.warmed.append(str(args["run"]))
        self.state = "warming"

    def ask(self, op: str, timeout_s: float = 10.0, **args: object) -> dict:
        if op == "picture":
            return pictured(int(str(args["index"])))
        self.asked.append({"op": op, **args})
        if self.error:
            raise LiveError(self.error)
        weights = np.zeros((2, 64, 64), np.float16)
        weights[0, :, 0] = weights[1, :, 1] = 1.0
        return {"shape": [2, 64, 64], "weights": base64.b64encode(weights.tobytes()).decode(), "cls": False, "side": 8, "heads": 2,
                "distance": [9.0, 11.0], "distance_uniform": 16.5, "seconds": 0.2}  # fmt: skip


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return stands_in(Worker(), monkeypatch)


def emptied(run: Run, analysis: str) -> None:
    shutil.rmtree(store.folder(run.id) / "results" / analysis)


# ---- every view


@pytest.mark.parametrize(
    ("show", "count", "sentence"),
    [
        ("variance", 4, "<b>MSA units lower the variance</b> (×0.50"),
        ("cka", 3, "<b>Units of one stage see more alike</b> than units of different stages in ResNet-mini (+0.20, 95 % +0.15 to +0.25)"),
        ("attention", 2, "<b>10.0 pixels far in ViT-mini</b>"),
        ("receptive", 3, "13.0 pixels in ResNet-mini"),
    ],
)
def test_a_view_is_a_link(opened: Opened, filled: list[Run], worker: Worker, show: str, count: int, sentence: str) -> None:
    app = opened("features", show=show)
    assert not app.exception and "went wrong" not in text(app) and "could not be shown" not in text(app)
    assert [title.value for title in app.title] == [analyses.get(show).question]
    assert sentence in text(app)
    assert len(charts(app)) == count
    assert "64 test images of Fashion-MNIST, seed 0" in text(app)
    assert app.query_params["show"] == show
    assert not [b for b in app.button if "measure" in str(b.key)]
    assert all(len(chart.proto.alt) > 20 and "**" not in chart.proto.alt and "nan" not in chart.proto.alt for chart in charts(app))


def test_the_view_is_chosen_and_leaves_nothing_of_others_in_the_address(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("features", show="attention", image="3", at="2.5")
    assert app.query_params["image"] == "3" and app.query_params["at"] == "2.5"
    app.get("button_group")[0].set_value("receptive").run()
    assert [title.value for title in app.title] == [receptive.ANALYSIS.question]
    assert app.query_params["show"] == "receptive" and not {"image", "at"} & set(app.query_params)


@pytest.mark.parametrize("show", ["variance", "receptive", "attention"])
def test_panels_share_their_y_axis(opened: Opened, filled: list[Run], worker: Worker, show: str) -> None:
    found = [json.loads(chart.proto.spec) for chart in charts(opened("features", show=show))]
    panels = found[: 3 if show != "attention" else 2]
    ends = {
        json.dumps(layer["encoding"]["y"]["scale"]["domain"])
        for panel in panels
        for layer in panel["layer"]
        if "scale" in layer["encoding"].get("y", {})
    }
    assert len(ends) == 1


def test_resampling_units_are_named(opened: Opened, filled: list[Run]) -> None:
    assert "Hatched: stage 2, unit 1 of ResNet-mini and AlterNet-mini; the map changes" in text(opened("features"))


# ---- the focused unit


@pytest.mark.parametrize("show", VIEWS)
def test_a_link_brings_the_unit(opened: Opened, filled: list[Run], worker: Worker, show: str) -> None:
    app = opened("features", show=show, unit=f"{filled[1].id}~s1u3")
    assert "ViT-mini, Stage 1, unit 3 · MSA" in text(app)
    assert app.session_state["focus"] == "s1u3"
    assert app.query_params["unit"] == f"{filled[1].id}~s1u3"


def test_the_box_moves_the_focus(opened: Opened, filled: list[Run]) -> None:
    app = opened("features")
    place = f"{filled[0].id}~s2u1"
    app.selectbox(key="features_unit").set_value(place).run()
    assert "counts in no mean" in text(app)
    assert app.session_state["focus"] == "s2u1" and app.query_params["unit"] == place


def test_the_unit_of_frequency_is_the_unit_of_features(opened: Opened, filled: list[Run]) -> None:
    app = opened("frequency")
    app.selectbox(key="f_unit").set_value(f"{filled[2].id}~s1u4").run()
    app.switch_page("pages/features.py").run()
    assert app.selectbox(key="features_unit").value == f"{filled[2].id}~s1u4"
    app.selectbox(key="features_unit").set_value(f"{filled[1].id}~s1u5").run()
    app.switch_page("pages/frequency.py").run()
    assert app.selectbox(key="f_unit").value == f"{filled[1].id}~s1u5"


def test_a_focus_that_another_page_moved_is_followed_in_the_same_net(opened: Opened, filled: list[Run]) -> None:
    app = opened("features", unit=f"{filled[1].id}~s1u3")
    app.session_state["focus"] = "s1u6"  # as Lesion does
    app.run()
    assert app.selectbox(key="features_unit").value == f"{filled[1].id}~s1u6"


def test_attention_takes_the_nearest_msa_and_leaves_the_focus(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("features", show="attention", unit=f"{filled[2].id}~s2u4")
    assert app.selectbox(key="features_unit").value == f"{filled[2].id}~s2u3"
    assert app.session_state["focus"] == "s2u4"


HOSTILE = ["../../etc", "x" * 4000, "<script>alert(1)</script>", "resnet~s1u1", "~", "9" * 400, "1.1.1", "٣.٣"]


@pytest.mark.parametrize(("show", "hostile"), list(zip(2 * [*VIEWS], HOSTILE, strict=True)))
def test_hostile_links_change_nothing(opened: Opened, filled: list[Run], worker: Worker, show: str, hostile: str) -> None:
    given = dict.fromkeys(("unit", "rows", "against", "column", "image", "at", "m", "d"), hostile)
    app = opened("features", show=show, **given)
    assert not app.exception and "went wrong" not in text(app) and "<script>" not in text(app)
    run, _, unit = app.query_params["unit"].partition("~")
    assert run in {run.id for run in filled} and re.fullmatch(r"s[12]u\d+", unit)
    assert opened("features", show=hostile).query_params["show"] == "variance"


# ---- pairs


def test_a_pair_is_a_link_and_two_boxes(opened: Opened, filled: list[Run]) -> None:
    app = opened("features", show="cka", unit=f"{filled[1].id}~s1u3", column="s1u9")
    assert "In ViT-mini, <b>Stage 1, unit 3 · MSA</b> and <b>Stage 1, unit 9 · MSA</b>: CKA 0.70 (95 % 0.60 to 0.80)." in text(app)
    app.selectbox(key="features_column").set_value("s1u5").run()
    assert "CKA 0.90" in text(app) and app.query_params["column"] == "s1u5"
    app.selectbox(key="features_row").set_value(f"{filled[0].id}~s1u6").run()
    assert "In ResNet-mini, <b>Stage 1, unit 6 · Conv</b> and <b>Stage 1, unit 5 · Conv</b>" in text(app)
    assert app.session_state["focus"] == "s1u6" and app.query_params["unit"] == f"{filled[0].id}~s1u6"
    app.selectbox(key="features_row").set_value(f"{filled[0].id}~stem").run()
    assert "<b>Stem</b> and <b>Stage 1, unit 5 · Conv</b>: CKA 0.75" in text(app)
    assert app.session_state["focus"] == "s1u6"


def test_two_nets_that_were_not_measured_together_are_offered(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = opened("features", show="cka", rows=filled[1].id, against=filled[0].id)
    assert "ViT-mini against ResNet-mini has <b>not been measured yet</b>" in text(app)
    assert not charts(app)
    app.button(key="features_cka_two_measure").click().run()
    assert [args for _, args, *_ in queued] == [question(filled[1], cka=cka.Params(against=filled[0].id))]


def test_two_nets_in_rows_and_columns(opened: Opened, filled: list[Run]) -> None:
    keep(filled[1], cka.ANALYSIS, Measurement(table=alike(filled[1], filled[0])), against=filled[0].id)
    app = opened("features", show="cka", rows=filled[1].id, against=filled[0].id, unit=f"{filled[1].id}~s1u3")
    assert "ViT-mini and ResNet-mini see most alike at" in text(app)
    assert len(charts(app)) == 1
    # to begin with, the column that is most alike: the same place in this made table
    assert "<b>ViT-mini · Stage 1, unit 3 · MSA</b> and <b>ResNet-mini · Stage 1, unit 3 · Conv</b>: CKA 1.00" in text(app)
    app.get("button_group")[1].set_value("each").run()
    assert len(charts(app)) == 3 and not {"rows", "against"} & set(app.query_params)


def test_the_same_net_cannot_be_on_both_sides(opened: Opened, filled: list[Run]) -> None:
    app = opened("features", show="cka", rows=filled[1].id, against=filled[1].id)
    assert app.query_params["rows"] == filled[1].id and app.query_params["against"] == filled[0].id


def test_contrasts_of_several_nets_are_one_sentence() -> None:
    near = {"difference": 0.02, "low": -0.1, "high": 0.1}
    far = {"difference": -0.3, "low": -0.4, "high": -0.2}
    said = features_pairs.together({"A": near, "B": far, "C": None, "D": {"difference": 0.1}})
    assert said.startswith("**Units of one stage see less alike** than units of different stages in B (−0.30, 95 % −0.40 to −0.20); ")
    assert "stages **cannot be told apart** in A (+0.02, 95 % −0.10 to +0.10) and D (+0.10, one batch, no interval); " in said
    assert said.endswith("C has one stage.")


# ---- one image


def test_where_a_unit_looks(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("features", show="attention", unit=f"{filled[1].id}~s1u3", image="7")
    assert worker.asked[-1] == {"op": "attention", "run": filled[1].id, "index": 7, "unit": "s1u3"}
    shown = [base64.b64decode(found) for found in re.findall(r'src="data:image/png;base64,([^"]+)" alt="[^"]*(?:Head|Test)', text(app))]
    picture, first, second = (np.asarray(Image.open(bytes_io.BytesIO(one))) for one in shown)
    assert (picture == data.load("fashion-full", "test", 32).pixels[7][0]).all()
    assert first.shape == (8, 8, 3) and first[0, 0].max() < 40 and first[0, 1].min() == first[7, 7].min() == 255
    assert second[0, 1].max() < 40 and second[0, 0].min() == 255
    assert "9.0 px far" in text(app) and "11.0 px far" in text(app) and "one image, so no interval" in text(app)


def test_the_image_is_stepped_and_the_position_slid(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("features", show="attention", unit=f"{filled[1].id}~s1u3")
    app.button(key="features_previous").click().run()
    assert worker.asked[-1]["index"] == 9999 and app.query_params["image"] == "9999"
    app.button(key="features_next").click().run()
    assert worker.asked[-1]["index"] == 0
    app.number_input(key="features_image").set_value(12).run()
    assert worker.asked[-1]["index"] == 12
    app.get("button_group")[1].set_value("one").run()
    app.slider(key="features_q_row").set_value(2).run()
    assert app.query_params["at"] == "2.4"
    assert "Attention of row 2, column 4, over 8×8 positions" in text(app)


def test_maps_are_rows_of_the_weights_without_cls() -> None:
    weights = np.arange(1 * 5 * 5, dtype="<f2").reshape(1, 5, 5)
    told = {"shape": [1, 5, 5], "weights": base64.b64encode(weights.tobytes()).decode(), "cls": True, "side": 2}
    assert (features_look.maps(told, (2, 1)) == [[[16, 17], [18, 19]]]).all()
    assert (features_look.maps(told, None) == [[[13.5, 14.5], [15.5, 16.5]]]).all()


def test_before_the_worker_is_warm_a_line_stands_there(opened: Opened, filled: list[Run], worker: Worker) -> None:
    worker.state = "cold"
    app = opened("features", show="attention", unit=f"{filled[1].id}~s1u3")
    assert set(worker.warmed) == {filled[1].id}
    assert "Loading the net, about 5 s" in text(app) and not worker.asked


def test_a_worker_that_cannot_is_said(opened: Opened, filled: list[Run], worker: Worker) -> None:
    worker.state, worker.reason = "failed", "The weights are not on this machine."
    app = opened("features", show="attention", unit=f"{filled[1].id}~s1u3")
    assert "The weights are not on this machine." in text(app)
    app.button(key="features_again").click().run()
    assert worker.warmed == [filled[1].id]
    worker.state, worker.error = "ready", "The live worker broke twice."
    assert "The live worker broke twice." in text(opened("features", show="attention"))


def test_only_nets_without_attention(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("features", show="attention", m=filled[0].id)
    assert "This net has no MSA unit, so there is no attention to look at." in text(app)
    assert not charts(app) and not worker.asked
    assert "ResNet-mini: This net has no MSA unit" in text(opened("features", show="attention"))


# ---- receptive fields


def test_the_field_of_the_focused_unit_stands_first(opened: Opened, filled: list[Run]) -> None:
    said = text(opened("features", show="receptive", unit=f"{filled[1].id}~s1u3"))
    found = re.findall(r'src="data:image/png;base64,([^"]+)" alt="((?:In focus: )?\w+-mini, Stage[^"]*)"', said)
    assert [alt.split(",")[0] for _, alt in found] == ["In focus: ViT-mini", "ResNet-mini", "AlterNet-mini"]
    # row 3 of the table, for the stem is row 0
    shade = np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(found[0][0]))))[0, :, 0]
    assert shade.argmin() == 3 and (np.delete(shade, 3) == 255).all()


@pytest.mark.parametrize(("theme", "paper", "ink"), [("light", 255, 28), ("dark", 23, 236)])
def test_maps_run_from_paper_to_ink(theme: str, paper: int, ink: int) -> None:
    shade = np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(features_maps.png(np.array([[0.0, 1.0, 2.0]]), theme)))))[0, :, 0]
    assert list(shade) == [paper, round((paper + ink) / 2 + 1e-9), ink]
    nothing = np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(features_maps.png(np.zeros((2, 2)), theme)))))
    assert (nothing[..., 0] == paper).all()


# ---- states


def question(run: Run, **asks: object) -> dict:
    return {"run": run.id, "asks": {name: dataclasses.asdict(params) for name, params in asks.items()}, "device": "auto"}  # type: ignore[call-overload]


def test_nothing_on_stage_is_said(opened: Opened, checkout: object) -> None:
    for show in VIEWS:
        app = opened("features", show=show)
        assert not app.exception and "No net is on stage" in text(app) and not charts(app)


def test_one_offer_asks_for_what_the_same_pass_can_answer(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    for analysis in ("variance", "cka"):
        emptied(filled[1], analysis)
    app = opened("features")
    assert "ViT-mini: not measured yet" in text(app) and "Takes about" in text(app)
    assert len(charts(app)) == 3  # two nets and the ratio by kind
    app.button(key="features_variance_measure").click().run()
    assert [args for _, args, *_ in queued] == [question(filled[1], variance=variance.Params(), cka=cka.Params())]


def test_a_net_without_any_result_asks_for_all_three(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    shutil.rmtree(store.folder(filled[1].id) / "results")
    app = opened("features", show="cka")
    app.button(key="features_cka_measure").click().run()
    assert set(queued[0][1]["asks"]) == {"cka", "variance", "fourier"}
    assert queued[0][1]["asks"]["fourier"] == dataclasses.asdict(fourier.Params())


@pytest.mark.parametrize("show", VIEWS)
def test_states_of_a_measurement(opened: Opened, filled: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch, show: str) -> None:
    run, stopped = filled[1], []
    emptied(run, show)
    asked = question(run, **{show: analyses.get(show).params()})
    job = made_jobs.write("measure", asked, progress={"step": 3, "total": 12, "rate": 1.0, "eta_s": 9.0, "message": "3 of 12 images"})
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = opened("features", show=show)
        assert "3 of 12 images · about 9 s left" in text(app) and "ViT-mini: not measured yet" not in text(app)
        app.button(key=f"features_{show}_stop_{run.id}").click().run()
    assert stopped == [job]


def test_a_failed_measurement_says_why_and_goes_on(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    emptied(filled[1], "receptive")
    made_jobs.write("measure", question(filled[1], receptive=receptive.Params()), end={"state": "failed", "reason": "The memory was full."})
    app = opened("features", show="receptive")
    assert "The measurement of ViT-mini stopped" in text(app) and "The memory was full." in text(app)
    app.button(key=f"features_receptive_again_{filled[1].id}").click().run()
    assert queued[0][1] == question(filled[1], receptive=receptive.Params())


@pytest.mark.parametrize("show", VIEWS)
def test_results_of_an_older_method_are_shown_as_such(opened: Opened, filled: list[Run], worker: Worker, show: str) -> None:
    for place in (store.folder(filled[1].id) / "results" / show).iterdir():
        io.write_json(place / "manifest.json", {**io.read_json(place / "manifest.json"), "version": 0})
    app = opened("features", show=show)
    assert "ViT-mini: measured before the last change" in text(app)
    assert app.button(key=f"features_{show}_measure")


def test_the_nearest_unit_is_of_the_same_net(filled: list[Run]) -> None:
    resnet, vit, _ = filled
    known = focus.places(filled, lambda slot: slot.kind == "msa")
    assert focus.near(f"{vit.id}~s1u3", known, filled) == f"{vit.id}~s1u3"
    assert focus.near(f"{vit.id}~s1u12", known, filled) == f"{vit.id}~s1u11"
    assert focus.near(f"{resnet.id}~s2u6", known, filled) == f"{vit.id}~s1u11"
    assert focus.near(f"{resnet.id}~s2u6", {}, filled) == ""
