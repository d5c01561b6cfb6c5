"""The Robustness page: every view from stored tables, the cell and its flipped images, rows of a running sweep, and every state between."""

import base64
import dataclasses
import io as bytes_io
import json
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import analyses, data, io, jobs, store
from core.analyses import _cells, adversarial, band_noise, calibration, corruption, shape_texture
from core.data.corruptions import KINDS, SEVERITIES
from core.errors import LiveError
from core.jobs import record
from core.metrics import bands
from core.metrics import calibration as metric
from core.run import Run
from core.table import Measurement, check
from pages.ui import jobwords, robust_cells, robust_flips
from tests.pages import made_jobs
from tests.pages.conftest import stands_in
from tests.pages.test_frequency import charts, text

Opened = Callable[..., AppTest]
VIEWS = ("corruption", "band_noise", "adversarial", "calibration")
#: images of each made measurement; what a net answers rightly of them, clean
N, CLEAN = 200, 180
LABEL, INDEX = (np.arange(N) % 10).astype(np.uint8), np.arange(N, dtype=np.int32) * 7


def said(right: int) -> np.ndarray:
    """Answers that are right for the first images and one class off for the others."""
    return np.where(np.arange(N) < right, LABEL, (LABEL + 1) % 10).astype(np.uint8)


def spoiled_row(kind: str, lost: int) -> dict[str, Any]:
    """One kind as its row is kept: ten images a severity are lost, `lost` more each where it is fog."""
    predicted = np.stack([said(CLEAN - 10 * severity - (lost if kind == "fog" else 0)) for severity in SEVERITIES])
    return {"predicted": predicted, "nll": np.full(5, 0.5), "clean": said(CLEAN), "label": LABEL, "index": INDEX,
            "precision": np.array("bfloat16"), "seconds": np.array(1.0)}  # fmt: skip


def cells(run: Run, lost: int) -> Measurement:
    return corruption.gather(run, corruption.Params(), {i: spoiled_row(kind, lost) for i, kind in enumerate(KINDS)})


def noise_row(lost: int, low: bool) -> dict[str, Any]:
    return {"predicted": said(CLEAN - (lost if low else 5)), "loss": np.full(N, 0.6), "rms": np.array(0.025), "clean": said(CLEAN),
            "clean_loss": np.full(N, 0.4), "label": LABEL, "index": INDEX, "precision": np.array("float32"),
            "seconds": np.array(1.0)}  # fmt: skip


def noise(run: Run, lost: int) -> Measurement:
    rows = {i: noise_row(lost, centre <= 30) for i, centre in enumerate(bands.CENTRES)}
    return band_noise.gather(run, band_noise.Params(), rows)


def attacked(run: Run, lost: int, **ring: int) -> Measurement:
    params, rows = adversarial.Params(**ring), {}
    for i, (attack, norm) in enumerate(adversarial.lines(params)):
        strengths = [0.0, *adversarial.strengths(params, norm)]
        step = lost // 2 if attack == "fgsm" else lost
        rows[i] = {"predicted": np.stack([said(CLEAN - step * k) for k in range(len(strengths))]), "strength": np.array(strengths),
                   "label": LABEL, "index": INDEX, "seconds": np.array(1.0)}  # fmt: skip
    return adversarial.gather(run, params, rows)


def sure(run: Run, lost: int, kind: str = "") -> Measurement:
    """Logits that are as sure of what is wrong; under a corruption more is wrong."""
    rows, params = [], calibration.Params(corruption=kind)
    for condition, severity in (("clean", 0), *([(kind, 3)] if kind else [])):
        logits = np.full((N, 10), 0.0, np.float32)
        logits[np.arange(N), said(CLEAN - (lost if severity else 0))] = np.linspace(2, 7, N)
        found = metric.answers(logits, LABEL.astype(np.int64), 1.0)
        rows += [(condition, severity, False, 1.0, *row, N, 0) for row in calibration._rows(found, params)]
    table = pd.DataFrame(rows, columns=[c.id for c in calibration.COLUMNS])
    return Measurement(table=table, arrays={}, notes={"fitted": 0})


def keep(run: Run, analysis: str, measured: Measurement, shipped: bool = True, **params: Any) -> None:
    found = analyses.get(analysis)
    check(measured.table, found.columns)
    asked = dataclasses.asdict(found.params(**params))
    manifest = {"params": asked, "version": found.version}
    key = io.digest({"of": run.id, **manifest, "table": measured.table.to_csv()})
    store.save_result(run.id, analysis, key, measured, manifest, shipped=shipped)


#: what each net loses to fog, to broad noise, and to each strength of an attack
LOST = {"ResNet-mini": 60, "ViT-mini": 20, "AlterNet-mini": 40}


@pytest.fixture
def filled(shipped: list[Run]) -> list[Run]:
    """ResNet-mini, ViT-mini and AlterNet-mini with all that the page shows but shape against texture."""
    for run in shipped:
        keep(run, "corruption", cells(run, LOST[run.name]))
        keep(run, "band_noise", noise(run, LOST[run.name]))
        keep(run, "adversarial", attacked(run, LOST[run.name] // 2))
        keep(run, "calibration", sure(run, LOST[run.name]))
    return shipped


@dataclasses.dataclass
class Worker:
    """Stands in for the live worker: a clean image is as bright as its place, a spoiled one all white."""

    state: str = "ready"
    reason: str = ""
    error: str = ""
    warmed: list[str] = dataclasses.field(default_factory=list)
    asked: list[dict] = dataclasses.field(default_factory=list)

    def warm(self, op: str, **args: object) -> None:
        self.warmed.append(f"{op} {args['run']}")
        self.state = "warming"

    def ask(self, op: str, timeout_s: float = 10.0, **args: Any) -> dict:
        self.asked.append({"op": op, **args})
        if self.error:
            raise LiveError(self.error)
        clean = np.stack([np.full((1, 32, 32), place % 251, np.uint8) for place in args["index"]])
        pack = {"clean": clean, "spoiled": np.full_like(clean, 255)}
        return {"shape": list(clean.shape), **{name: base64.b64encode(x.tobytes()).decode() for name, x in pack.items()}, "seconds": 0.1}


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    robust_flips.pairs.clear()
    return stands_in(Worker(), monkeypatch)


def fine(app: AppTest) -> AppTest:
    assert not app.exception and "went wrong" not in text(app) and "could not be shown" not in text(app), text(app)[-1500:]
    return app


def control(app: AppTest, key: str) -> Any:
    return next(group for group in app.get("button_group") if group.key == f"robust_{key}")


def question(run: Run, analysis: str, **params: Any) -> dict:
    return {"run": run.id, "asks": {analysis: dataclasses.asdict(analyses.get(analysis).params(**params))}, "device": "auto"}


def columns(app: AppTest) -> list[str]:
    """The columns of the heat map."""
    return json.loads(charts(app)[0].proto.spec)["layer"][0]["encoding"]["x"]["scale"]["domain"]


def shown(app: AppTest) -> list[str]:
    """What each pair of pictures says."""
    return re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", text(app))


# ---- every view


@pytest.mark.parametrize(
    ("show", "count", "sentence", "foot"),
    [
        ("corruption", 1, "<b>ViT-mini</b> holds up best: 74.3 %", "200 test images of Fashion-MNIST, seed 0, severities of CIFAR-C"),
        ("band_noise", 1, "Noise at 0.1π costs <b>ResNet-mini 30.0 points and ViT-mini 10.0 points</b>", "equal RMS 0.025"),
        ("adversarial", 1, "<b>ViT-mini</b> is hardest to mislead: PGD of L∞ size 4/255", "PGD of 10 steps"),
        ("calibration", 1, "<b>less sure than they may be</b>", "200 test images of Fashion-MNIST, seed 0, 15 bins"),
    ],
)
def test_a_view_is_a_link(opened: Opened, filled: list[Run], worker: Worker, show: str, count: int, sentence: str, foot: str) -> None:
    app = fine(opened("robustness", show=show))
    assert [title.value for title in app.title] == [analyses.get(show).question]
    assert sentence in text(app) and foot in text(app)
    assert len(charts(app)) == count and app.query_params["show"] == show
    assert not [b for b in app.button if "measure" in str(b.key)]
    assert all(len(chart.proto.alt) > 20 and "**" not in chart.proto.alt and "nan" not in chart.proto.alt for chart in charts(app))


def test_the_view_is_chosen_and_leaves_nothing_of_others_in_the_address(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("robustness", kind="fog", net=filled[0].id, severity="5")
    assert app.query_params["kind"] == "fog" and app.query_params["severity"] == "5"
    control(app, "show").set_value("adversarial").run()
    assert [title.value for title in fine(app).title] == [adversarial.ANALYSIS.question]
    assert app.query_params["show"] == "adversarial" and not {"kind", "net", "severity"} & set(app.query_params)


HOSTILE = ["../../etc", "<script>alert(1)</script>", "٣"]
OWN = ("severity", "cells", "kind", "net", "level", "strength", "energy", "paper", "attack", "norm", "ring", "under", "at", "temperature")


@pytest.mark.parametrize("show", [*VIEWS, "shape_texture"])
def test_hostile_links_change_nothing(opened: Opened, filled: list[Run], worker: Worker, show: str) -> None:
    for hostile in HOSTILE:
        app = fine(opened("robustness", show=show, **dict.fromkeys((*OWN, "m", "d"), hostile)))
        assert hostile not in text(app)
        assert not [key for key in OWN if key in app.query_params and app.query_params[key] == hostile]
    assert opened("robustness", show=HOSTILE[0]).query_params["show"] == "corruption"


# ---- corruptions


def test_the_cell_that_costs_most_is_open_and_its_images_are_shown(opened: Opened, filled: list[Run], worker: Worker) -> None:
    """Fog costs ResNet-mini 10 images a severity and 60 more: at severity 3 that is 90 of 200, all of them right before."""
    app = fine(opened("robustness"))
    assert columns(app) == ["ResNet-mini", "ViT-mini", "AlterNet-mini"]
    assert "<b>Fog, severity 3: −45.0 points</b>" in text(app) and "90 of 200 turn wrong, 0 right" in text(app)
    asked = worker.asked[-1]
    assert asked == {"op": "spoiled", "run": filled[0].id, "kind": "fog", "severity": 3, "seed": 0, "source": "generated",
                     "index": [int(i) for i in INDEX[90:98]]}  # fmt: skip
    titles = data.get("fashion-full").classes
    assert [re.sub("<[^>]+>", "", one) for one in shown(app)] == [f"{titles[i % 10]} now {titles[(i + 1) % 10]}" for i in range(90, 98)]
    codes = re.findall(r'base64,([^"]+)"[^>]*alt="[^"]*read', text(app))
    pictures = [np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(code)))) for code in codes]
    assert [int(p[0, 0]) for p in pictures[:4]] == [INDEX[90] % 251, 255, INDEX[91] % 251, 255]
    app.button(key="robust_flips_all").click().run()
    assert len(shown(app)) == 48 and len(worker.asked[-1]["index"]) == 48


def test_severity_and_what_stands_in_the_cells(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("robustness")
    control(app, "severity").set_value(5).run()
    assert app.query_params["severity"] == "5" and "Fog, severity 5: −55.0 points" in text(fine(app))
    control(app, "cells").set_value("change").run()
    assert app.query_params["cells"] == "change" and "Ink: points lost." in text(fine(app))
    title = json.loads(charts(app)[0].proto.spec)["layer"][0]["encoding"]["x"]["axis"]["title"]
    assert title == "change of accuracy, points · severity 5"
    control(app, "severity").set_value(_cells.EVERY).run()
    assert "mean over severities" in charts(fine(app))[0].proto.spec
    # a mean has no images of its own: those of one severity, which is chosen beside them
    app.selectbox(key="robust_twin_level").set_value(1).run()
    assert worker.asked[-1]["severity"] == 1 and app.query_params["level"] == "1" and app.query_params["severity"] == "0"


def test_the_boxes_do_what_a_click_does(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = opened("robustness")
    app.selectbox(key="robust_twin_kind").set_value("snow").run()
    app.selectbox(key="robust_twin_net").set_value(filled[1].id).run()
    assert app.query_params["kind"] == "snow" and app.query_params["net"] == filled[1].id
    assert "<b>Snow, severity 3: −15.0 points</b>" in text(fine(app)) and worker.asked[-1]["run"] == filled[1].id
    linked = fine(opened("robustness", kind="snow", net=filled[1].id, severity="2"))
    assert "<b>Snow, severity 2: −10.0 points</b>" in text(linked) and linked.selectbox(key="robust_twin_net").value == filled[1].id


@pytest.mark.parametrize(
    ("hit", "kept"),
    [
        ([{"kind": "fog", "severity": 3, "net": "ViT-mini"}], ("vit", "fog")), ([], ("", "")),
        ([{"kind": "mean", "severity": 3, "net": "ViT-mini"}], ("", "")), ([{"kind": "fog", "severity": 3, "net": "<b>"}], ("", "")),
        ([{"kind": None, "net": None}], ("", "")), (["x"], ("", "")),
    ],
)  # fmt: skip
def test_a_click_takes_a_cell_that_has_images(
    hit: list, kept: tuple[str, str], shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    state: dict[str, Any] = {robust_cells.CHART: {"selection": {_cells.SELECTION: hit}}}
    monkeypatch.setattr(st, "session_state", state)
    seen = [robust_cells.Seen(run=run, name=run.name, table=pd.DataFrame(), arrays={}, params={}, notes={}, facts="") for run in shipped]
    robust_cells.clicked(seen, 3)
    run_id = state.get("robust_net", "")
    assert (run_id.partition("-")[0], state.get("robust_kind", "")) == kept
    assert "robust_level" not in state, "of several nets the severity is that of the map"


def test_one_net_has_its_severities_side_by_side(opened: Opened, filled: list[Run], worker: Worker) -> None:
    app = fine(opened("robustness", m=filled[1].id, kind="fog", level="4"))
    assert columns(app) == ["1", "2", "3", "4", "5"]
    assert "<b>Fog, severity 4: −30.0 points</b>" in text(app) and worker.asked[-1]["severity"] == 4
    assert "severity" not in app.query_params and "mCE" not in text(app)


def test_mean_and_mce_stand_with_their_baseline(opened: Opened, filled: list[Run], worker: Worker) -> None:
    """Clean 10 % wrong; 15 points more on average, and fog 30 / 15 of them for the two nets."""
    app = opened("robustness")
    rows = re.findall(r"<tr><th scope=\"row\"[^>]*>([^<]*)</th>(.*?)</tr>", text(app))
    table = {name: [re.sub("<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", rest)] for name, rest in rows}
    errors = {run.name: [25.0] * 14 + [25.0 + LOST[run.name] / 2] for run in filled}
    assert "mCE, ResNet-mini = 100" in text(app) and table["ResNet-mini"][2] == ["100"]
    for name in ("ViT-mini", "AlterNet-mini"):
        mce = 100 * np.mean([e / b for e, b in zip(errors[name], errors["ResNet-mini"], strict=True)])
        assert table[name][2] == [f"{mce:.1f}"] and table[name][1][0] == f"{100 - np.mean(errors[name]):.1f}"


def test_before_the_worker_is_warm_a_line_stands_there(opened: Opened, filled: list[Run], worker: Worker) -> None:
    worker.state = "cold"
    app = fine(opened("robustness"))
    assert worker.warmed == [f"spoiled {filled[0].id}"] and "Loading the images, about 5 s" in text(app) and not worker.asked
    worker.state, worker.reason = "failed", "The weights are not on this machine."
    app = opened("robustness")
    assert "The weights are not on this machine." in text(app)
    worker.state, worker.error = "ready", "The live worker broke twice."
    assert "The live worker broke twice." in text(opened("robustness"))


def test_a_cell_without_flips_is_said(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    rows = {i: {**spoiled_row(kind, 0), "predicted": np.stack([said(CLEAN)] * 5)} for i, kind in enumerate(KINDS)}
    keep(shipped[0], "corruption", corruption.gather(shipped[0], corruption.Params(), rows))
    app = fine(opened("robustness", m=shipped[0].id))
    assert "none of 200 turns wrong" in text(app) and not worker.asked


# ---- noise


def test_contrast_and_crossing_are_said(opened: Opened, filled: list[Run]) -> None:
    """Broad noise costs ResNet-mini 30 points, ViT-mini 10, fine noise both 2.5: they are level from the ring where broad noise ends."""
    app = fine(opened("robustness", show="band_noise"))
    assert "+27.5" in text(app) and "+7.5" in text(app) and "Contrast K, 95" in text(app)
    assert re.search(r"From 0\.\d\dπ on ResNet-mini loses no more than ViT-mini", text(app))
    assert "paper’s nets on ImageNet" not in text(app)
    app.toggle(key="robust_paper").set_value(True).run()
    assert "paper’s nets on ImageNet" in text(fine(app)) and app.query_params["paper"] == "1"


def test_another_strength_is_another_question(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("robustness", show="band_noise", strength="0.1", energy="reference"))
    assert not charts(app) and "not been measured yet" in text(app)
    app.button(key="robust_band_noise_measure").click().run()
    assert [args for _, args, *_ in queued] == [question(run, "band_noise", rms=0.1, energy="reference") for run in filled]


def test_nets_that_saw_other_images_are_not_compared(opened: Opened, filled: list[Run]) -> None:
    shutil.rmtree(store.folder(filled[1].id) / "results" / "band_noise")
    rows = {i: {**noise_row(20, centre <= 30), "index": INDEX + 1} for i, centre in enumerate(bands.CENTRES)}
    keep(filled[1], "band_noise", band_noise.gather(filled[1], band_noise.Params(), rows))
    app = fine(opened("robustness", show="band_noise", m=[filled[0].id, filled[1].id]))
    assert "measured on different images or with different noise" in text(app) and "on ResNet-mini loses" not in text(app)
    assert len(charts(app)) == 1


# ---- attacks


def test_attack_norm_and_frequencies_are_chosen(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = opened("robustness", show="adversarial", attack="fgsm", norm="l2")
    assert "FGSM, strength in L2" in charts(fine(app))[0].proto.spec and "one step" in text(app)
    control(app, "ring").set_value("high").run()
    assert not charts(fine(app)) and app.query_params["ring"] == "high"
    app.button(key="robust_adversarial_measure").click().run()
    assert queued[0][1] == question(filled[0], "adversarial", ring_low=70, ring_high=100)
    for run in filled:
        keep(run, "adversarial", attacked(run, 10, ring_low=0, ring_high=30), ring_low=0, ring_high=30)
    low = fine(opened("robustness", show="adversarial", ring="low"))
    assert len(charts(low)) == 1 and "With changes below 0.3π only: PGD" in text(low) and "pixels may leave their range" in text(low)


# ---- calibration


def test_clean_and_spoiled_stand_side_by_side_on_the_same_axes(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("robustness", show="calibration", under="fog"))
    assert not charts(app)
    app.button(key="robust_calibration_measure").click().run()
    assert queued[0][1] == question(filled[0], "calibration", corruption="fog")
    for run in filled:
        keep(run, "calibration", sure(run, LOST[run.name], "fog"), corruption="fog")
    app = fine(opened("robustness", show="calibration", under="fog", at="3"))
    found = [json.loads(chart.proto.spec) for chart in charts(app)]
    ends = {json.dumps(layer["encoding"][axis]["scale"]["domain"]) for spec in found for layer in spec["layer"] for axis in "x"
            if "scale" in layer["encoding"].get(axis, {})}  # fmt: skip
    assert len(found) == 2 and len(ends) == 1
    assert "Images as they are" in text(app) and "Fog, severity 3" in text(app) and text(app).count("Unc-90") == 2
    assert app.query_params["under"] == "fog" and app.query_params["at"] == "3"
    # clean images alone are in the larger answer too
    assert len(charts(fine(opened("robustness", show="calibration")))) == 1


# ---- shape or texture


def test_shape_or_texture_is_asked_of_nets_that_know_the_shapes(
    opened: Opened, filled: list[Run], checkout: Any, queued: list[tuple]
) -> None:
    app = fine(opened("robustness", show="shape_texture"))
    assert "none is on stage" in text(app) and app.button(key="robust_train") and not charts(app)
    runs = [dataclasses.replace(run, data="shapes-textures", name=f"{run.name} S") for run in filled[:2]]
    for run, first in zip(runs, filled, strict=False):
        place = checkout / "checkpoints" / run.id
        place.mkdir()
        io.write_json(place / "run.json", run.to_json())
        io.write_json(place / "final.json", io.read_json(checkout / "checkpoints" / first.id / "final.json"))
    stage = [runs[0].id, runs[1].id, filled[2].id]
    app = fine(opened("robustness", show="shape_texture", m=stage))
    assert "AlterNet-mini: trained on other images, so not asked here." in text(app)
    app.button(key="robust_shape_texture_measure").click().run()
    assert [args for _, args, *_ in queued] == [question(run, "shape_texture") for run in runs]
    for run, share in zip(runs, (900, 300), strict=True):
        row = ("", share / 1000, share / 1000 - 0.02, share / 1000 + 0.02, share, 1000 - share, 5, 6, 1011, 0)
        keep(run, "shape_texture", Measurement(table=pd.DataFrame([row], columns=[c.id for c in shape_texture.COLUMNS]), arrays={}))
    app = fine(opened("robustness", show="shape_texture", m=stage))
    assert len(charts(app)) == 1 and "<b>90.0 %</b>" in text(app) and "1,011 pictures in which the cues disagree" in text(app)


# ---- states


def test_nothing_on_stage_is_said(opened: Opened, checkout: object) -> None:
    for show in (*VIEWS, "shape_texture"):
        app = fine(opened("robustness", show=show))
        assert "No net is on stage" in text(app) and not charts(app)


def test_one_button_measures_all_nets_on_stage(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    for show in VIEWS:
        app = fine(opened("robustness", show=show))
        assert "have <b>not been measured yet</b>" in text(app) and "Takes about" in text(app) and not charts(app)
        app.button(key=f"robust_{show}_measure").click().run()
        assert [args for _, args, *_ in queued] == [question(run, show) for run in shipped]
        queued.clear()


def rows_done(job: str, rows: Sequence[dict[str, Any]]) -> None:
    """The first rows of a running measurement, as its worker leaves them."""
    place = record.root() / job / "shards"
    place.mkdir(exist_ok=True)
    for i, arrays in enumerate(rows):
        np.savez(place / f"{i:05d}.npz", **arrays)


def test_cells_of_a_running_sweep_are_drawn_as_they_come(
    opened: Opened, filled: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nets are whole; of the third two kinds are there, and its other cells are open."""
    vit, stopped = filled[1], []
    shutil.rmtree(store.folder(vit.id) / "results" / "corruption")
    told = {"step": 2, "total": 19, "rate": 1.0, "eta_s": 17.0, "message": "kind 3 of 19"}
    job = made_jobs.write("measure_rows", question(vit, "corruption"), progress=told)
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        begun = fine(opened("robustness"))
        assert columns(begun) == ["ResNet-mini", "ViT-mini", "AlterNet-mini"] and "<b>ViT-mini</b> · kind 3 of 19" in text(begun)
        rows_done(job, [spoiled_row(kind, 150) for kind in list(KINDS)[:2]])
        app = fine(opened("robustness", kind="shot_noise", net=vit.id))
        assert "ViT-mini 2 of 19 kinds so far." in text(app) and columns(app) == columns(begun)
        assert "<b>AlterNet-mini</b> holds up best" in text(app) and "kind 3 of 19 · about 17 s left" in text(app)
        assert app.selectbox(key="robust_twin_kind").options == [KINDS[kind].title for kind in list(KINDS)[:2]]
        assert worker.asked[-1]["run"] == vit.id and worker.asked[-1]["kind"] == "shot_noise"
        app.button(key=f"robust_corruption_stop_{vit.id}").click().run()
    assert stopped == [job]


@pytest.mark.parametrize("show", ["corruption", "band_noise", "adversarial"])
def test_a_sweep_that_has_made_nothing_yet(opened: Opened, shipped: list[Run], worker: Worker, show: str) -> None:
    job = made_jobs.write("measure_rows", question(shipped[0], show), progress={"step": 0, "total": 9, "message": "first"})
    with made_jobs.alive(job):
        app = fine(opened("robustness", show=show, m=shipped[0].id))
        assert "<b>Being measured</b>" in text(app) and len(charts(app)) == (show == "corruption")
        rows = {"corruption": spoiled_row("gaussian_noise", 0), "band_noise": noise_row(10, True)}
        if show in rows:
            rows_done(job, [rows[show]])
            app = fine(opened("robustness", show=show, m=shipped[0].id))
            assert len(charts(app)) == 1 and "Measured <b>in part</b>: ResNet-mini 1 of" in text(app)


def test_a_failed_measurement_says_why_and_goes_on(opened: Opened, filled: list[Run], queued: list[tuple]) -> None:
    ended = {"state": "failed", "reason": "The memory was full."}
    made_jobs.write("measure", question(filled[1], "calibration", temperature=True), end=ended)
    app = fine(opened("robustness", show="calibration", temperature="1"))
    assert "The measurement of ViT-mini stopped" in text(app) and "The memory was full." in text(app)
    app.button(key=f"robust_calibration_again_{filled[1].id}").click().run()
    assert queued[0][1] == question(filled[1], "calibration", temperature=True)


def test_results_of_an_older_method_are_shown_as_such(opened: Opened, filled: list[Run], worker: Worker) -> None:
    for show in VIEWS:
        for place in (store.folder(filled[1].id) / "results" / show).iterdir():
            io.write_json(place / "manifest.json", {**io.read_json(place / "manifest.json"), "version": 0})
        app = fine(opened("robustness", show=show))
        assert "ViT-mini: measured before the last change" in text(app)
        assert app.button(key=f"robust_{show}_measure")


def test_jobs_lead_here(filled: list[Run]) -> None:
    for show in (*VIEWS, "shape_texture"):
        job = made_jobs.write("measure", question(filled[0], show), end={"state": "succeeded"})
        assert jobwords.shown_on(jobs.get(job)) == ("robustness", "See what breaks it", {"show": show})


def test_the_page_is_in_the_menu_before_the_lens() -> None:
    from pages.ui import frame

    assert [stem for stem, *_ in frame.SECTIONS["Images"]] == ["robustness", "lens"]
