"""The Lesion page: units off by plain controls and by link, what it says live and from the stored sweep, and every state between."""

import base64
import dataclasses
import io as bytes_io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import chart, data, io, jobs, live, presets, size, spec, store
from core.analyses import lesion, subsets
from core.analyses._units import head
from core.errors import LiveError
from core.recipe import RECIPES
from core.run import Run
from core.table import Measurement, check
from pages.ui import address, bars, figure, flips
from tests.pages import made_jobs
from tests.pages.conftest import pictured, stands_in
from tests.pages.test_frequency import text

Opened = Callable[..., AppTest]
CLASSES = data.get("fashion").classes
SVG = "{http://www.w3.org/2000/svg}"


@dataclasses.dataclass
class Worker:
    """Stands in for the live worker: each unit that is off costs 5 points, all of them in the first class."""

    state: str = "ready"
    reason: str = ""
    error: str = ""
    warmed: list[dict] = dataclasses.field(default_factory=list)
    asked: list[dict] = dataclasses.field(default_factory=list)

    def warm(self, op: str, **args: object) -> None:
        self.warmed.append({"op": op, **args})
        self.state = "warming"

    def ask(self, op: str, timeout_s: float = 10.0, **args: object) -> dict:
        if op == "picture":
            return pictured(int(str(args["index"])))
        self.asked.append({"op": op, **args})
        if self.error:
            raise LiveError(self.error)
        units = args["off"]
        assert isinstance(units, list)
        change = -5.0 * len(units)
        return ANSWER | {"accuracy": 0.926 + change / 100, **around(change), "classes": [one_class(name, change) for name in CLASSES],
                         "flips": turned() if units else [], "off": units}  # fmt: skip


ANSWER = {"images": 256, "seed": 0, "clean": 0.926, "clean_low": 0.887, "clean_high": 0.952, "lost": 8, "gained": 1, "p": 0.01, "nll": 0.4,
          "nll_change": 0.1, "seconds": 0.31}  # fmt: skip


def around(change: float) -> dict:
    return {"change": change, "ci_low": change - 3.1 if change else 0.0, "ci_high": change + 3.0 if change else 0.0}


def one_class(name: str, change: float) -> dict:
    return {"class": name, "images": 25, "clean": 0.9, "accuracy": 0.8, **around(10 * change if name == CLASSES[0] else 0.0)}


def turned() -> list[dict]:
    wrong = [{"index": i, "label": CLASSES[3], "before": CLASSES[3], "after": "<i>bold</i>", "turned": "wrong"} for i in range(9)]
    return [*wrong, {"index": 12, "label": CLASSES[5], "before": CLASSES[6], "after": CLASSES[5], "turned": "right"}]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return stands_in(Worker(), monkeypatch)


def sweep(arch: spec.Architecture, lost: dict[str, float]) -> pd.DataFrame:
    """A table as lesion measures it: every unit costs 1 point but those in `lost`; half a point of interval."""
    slots, rows = [slot for slot in spec.layout(arch, 32) if slot.kind != "none"], []
    for place, slot in enumerate(slots):
        if slot.kind == "merge":
            continue
        for name in ("", *CLASSES):
            points = lost.get(slot.id, 1.0)
            found = {"class": name, "accuracy": 0.9 - points / 100, "clean": 0.9, "change": -points, "ci_low": -points - 0.5,
                     "ci_high": -points + 0.5, "lost": 200, "gained": 100, "p": 0.01, "nll": 0.4, "nll_change": 0.1, "nll_low": 0.05,
                     "nll_high": 0.15, "images": 1000 if name else 10_000, "seed": 0}  # fmt: skip
            rows.append((*head(place, slots), *(found[c.id] for c in lesion.COLUMNS[len(head(place, slots)) :])))
    table = pd.DataFrame(rows, columns=[column.id for column in lesion.COLUMNS])
    check(table, lesion.COLUMNS)
    return table


@pytest.fixture
def swept(shipped: list[Run], worker: Worker) -> list[Run]:
    """The shipped nets with their sweeps: the last MSA of AlterNet-mini costs 7 points, its second unit gains 0.4."""
    for run in shipped:
        manifest = {"params": dataclasses.asdict(lesion.Params()), "version": lesion.ANALYSIS.version}
        table = sweep(spec.parse(run.arch), {"s2u6": 7.0, "s1u2": -0.4, "s2u1": 12.0})
        store.save_result(run.id, "lesion", io.digest({"of": run.id}), Measurement(table=table), manifest, shipped=True)
    return shipped


def question(run: Run, **changes: object) -> dict:
    return {"run": run.id, "asks": {"lesion": dataclasses.asdict(lesion.Params(**changes))}, "device": "auto"}


def ribbon(app: AppTest) -> dict:
    """What the component was given."""
    return next(d for c in app.get("bidi_component") if "wide" in (d := json.loads(c.proto.json or "{}")))


def test_it_opens_on_the_stored_sweep_and_the_whole_net(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion")
    assert not app.exception
    assert [title.value for title in app.title] == [lesion.ANALYSIS.question]
    assert "last MSA of stage 2" in text(app) and "7.0 points" in text(app)
    assert '<div class="lab-big">92.6 <small>%</small></div>' in text(app)
    assert "nothing is off (95 %: 88.7 to 95.2)" in text(app)
    assert "live on 256 test images, seed 0, 0.3 s" in text(app)
    assert worker.asked[-1] == {"op": "lesion", "run": swept[2].id, "off": [], "how": "branch", "images": 256, "seed": 0}
    assert "lesion_measure" not in {button.key for button in app.button}
    assert "10,000 test images, seed 0; whisker 95 %, paired. Above the line: gained. Hatched units" in text(app)


def test_plain_controls_switch_units_off_and_on_again(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion")
    app.pills(key="l_off").set_value(["s2u3", "s1u1"]).run()
    assert not app.exception
    assert worker.asked[-1]["off"] == ["s1u1", "s2u3"]
    assert '<div class="lab-big">82.6 <small>%</small></div>' in text(app)
    assert "was 92.6 %: <b>−10.0</b> points (−13.1 to −7.0)" in text(app)
    assert app.query_params["off"] == ["s1u1", "s2u3"]
    app.button(key="lesion_restore").click().run()
    assert worker.asked[-1]["off"] == [] and "off" not in app.query_params
    assert app.pills(key="l_off").value == []


def test_a_link_brings_net_units_and_focus(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion")
    app.query_params["net"] = swept[0].id
    app.query_params["off"] = ["s2u4", "s1u2"]
    app.query_params["unit"] = f"{swept[0].id}~s2u4"
    app.run()
    assert worker.asked[-1]["run"] == swept[0].id and worker.asked[-1]["off"] == ["s1u2", "s2u4"]
    assert app.session_state["focus"] == "s2u4"
    assert "Stage 2, unit 4 · Conv" in text(app)
    assert ribbon(app)["off"] == ["s1u2", "s2u4"] and ribbon(app)["focus"] == "s2u4"


def test_going_back_to_the_whole_net_restores_all(
    opened: Opened, swept: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("lesion")
    app.pills(key="l_off").set_value(["s1u1"]).run()
    assert app.query_params["off"] == "s1u1"
    monkeypatch.setattr(address, "_LATE_S", -1.0)
    del app.query_params["off"]  # the browser's Back button
    app.run()
    assert worker.asked[-1]["off"] == []
    assert "off" not in app.query_params


def test_units_that_the_net_does_not_have_are_said_and_never_asked(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion", off=["s9u9", "s1u1", "<script>alert(1)</script>"], net=swept[1].id)
    assert "2 units of the link cannot be switched off in this net and were left out." in text(app)
    assert worker.asked[-1]["off"] == ["s1u1"]
    app.pills(key="l_off").set_value([]).run()
    app.run()
    assert "of the link" not in text(app)


@pytest.mark.parametrize("hostile", ["../../etc", "x" * 4000, "<script>alert(1)</script>", "s1u1~", "~", "%00"])
def test_hostile_links_change_nothing(opened: Opened, swept: list[Run], worker: Worker, hostile: str) -> None:
    app = opened("lesion", off=hostile, net=hostile, unit=hostile, l_how=hostile, m=hostile, d=hostile)
    assert not app.exception
    assert "<script>" not in text(app)
    assert worker.asked[-1]["off"] == [] and worker.asked[-1]["run"] in {run.id for run in swept} and worker.asked[-1]["how"] == "branch"


def test_another_net_keeps_its_own_units(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion")
    app.pills(key="l_off").set_value(["s1u3"]).run()
    net = next(group for group in app.button_group if group.key == "l_net")
    net.set_value(swept[0].id).run()
    assert worker.asked[-1]["run"] == swept[0].id and worker.asked[-1]["off"] == []
    assert app.query_params["net"] == swept[0].id and "off" not in app.query_params
    next(group for group in app.button_group if group.key == "l_net").set_value(swept[2].id).run()
    assert worker.asked[-1]["off"] == ["s1u3"]


def test_remove_is_offered_only_where_there_is_a_bottleneck(opened: Opened, swept: list[Run], checkout: object, worker: Worker) -> None:
    assert "l_how" not in {group.key for group in opened("lesion").button_group}
    run = finished("bbb-bbc", "Bottle")
    app = opened("lesion", net=run.id)
    how = next(group for group in app.button_group if group.key == "l_how")
    how.set_value("3x3").run()
    assert worker.asked[-1]["how"] == "3x3"
    units = app.pills(key="l_off").options
    assert [unit.partition(" ")[0] for unit in units] == ["1.1", "1.2", "1.3", "2.2"]  # not the strided one, not the basic conv


def finished(notation: str, name: str, dataset: str = "fashion") -> Run:
    """A trained net of the reader's own."""
    run = Run(arch=notation, data=dataset, recipe=dataclasses.asdict(RECIPES["quick"]), name=name)
    place = io.home() / "runs" / run.id
    place.mkdir(parents=True)
    io.write_json(place / "run.json", run.to_json())
    facts = {
        "seconds": 10.0,
        "cpu_seconds": 10.0,
        "steps": 100,
        "batch": 128,
        "device": "cpu",
        "threads": 1,
        "n_train": 20_000,
        "n_test": 10_000,
    }
    io.write_json(place / "final.json", {"accuracy": 0.8, "nll": 0.4, "ece": 0.02, **facts, **size.count(spec.parse(notation), 32, 10)})
    return run


def test_merges_stay_and_say_why(opened: Opened, swept: list[Run], worker: Worker) -> None:
    run = finished(presets.resolve("swin-mini").notation, "Swin")
    app = opened("lesion", net=run.id, off="s2u1")
    assert worker.asked[-1]["off"] == [] and "1 unit of the link cannot be switched off" in text(app)
    assert "A patch merging has no branch to switch off." in ribbon(app)["wide"]


def test_a_net_that_is_being_loaded_says_so_calmly(opened: Opened, swept: list[Run], worker: Worker) -> None:
    worker.state = "cold"
    app = opened("lesion", off="s1u1")
    assert not app.exception
    assert worker.warmed == [{"op": "lesion", "run": swept[2].id, "how": "branch", "images": 256, "seed": 0}]
    assert "Loading the net, about 5 s" in text(app) and not worker.asked
    assert ribbon(app)["off"] == ["s1u1"]
    worker.state = "ready"
    app.run()
    assert '<div class="lab-big">87.6' in text(app)


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_net_that_is_loaded_while_the_page_is_drawn_gets_its_number(
    opened: Opened, swept: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    left = [looks]

    def state(op: str, **args: object) -> str:
        left[0] -= 1
        return "warming" if left[0] >= 0 else "ready"

    monkeypatch.setattr(live, "state", state)
    app = opened("lesion")
    assert '<div class="lab-big">92.6' in text(app)


def test_a_worker_that_ended_is_started_by_the_next_press(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion")
    worker.state = "cold"
    app.pills(key="l_off").set_value(["s1u1"]).run()
    assert len(worker.warmed) == 1 and "Loading the net" in text(app)
    worker.state = "ready"
    app.run()
    assert '<div class="lab-big">87.6' in text(app)


def test_a_net_that_cannot_be_loaded_can_be_tried_again(opened: Opened, swept: list[Run], worker: Worker) -> None:
    worker.state, worker.reason = "failed", "The weights of this run are not on this machine."
    app = opened("lesion")
    assert "The net could not be loaded" in text(app) and worker.reason in text(app)
    app.button(key="lesion_again").click().run()
    assert len(worker.warmed) == 1 and "Loading the net" in text(app)


def test_a_worker_that_breaks_leaves_the_ribbon(opened: Opened, swept: list[Run], worker: Worker) -> None:
    worker.error = "There was no answer within 10 s."
    app = opened("lesion")
    assert not app.exception
    assert worker.error in text(app) and "Bars: stored sweep" in text(app)
    worker.error = ""
    app.button(key="lesion_again").click().run()
    assert '<div class="lab-big">92.6' in text(app)


def test_the_sweep_is_one_button(opened: Opened, shipped: list[Run], worker: Worker, queued: list[tuple]) -> None:
    app = opened("lesion")
    assert not app.exception
    assert "What each one costs has <b>not been measured yet</b>" in text(app)
    assert "AlterNet-mini: not measured yet" in text(app)
    assert "costs" not in ribbon(app)["wide"] and 'class="bar"' not in ribbon(app)["wide"]
    app.button(key="lesion_measure").click().run()
    assert [(task, args) for task, args, *_ in queued] == [("measure", question(shipped[2]))]


def test_a_running_sweep_shows_its_progress_and_can_be_stopped(
    opened: Opened, shipped: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"step": 640, "total": 10_000, "rate": 8.0, "eta_s": 24.0, "message": "640 of 10000 images"}
    job = made_jobs.write("measure", question(shipped[2]), progress=said)
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = opened("lesion")
        assert "640 of 10000 images · about 24 s left" in text(app)
        app.button(key=f"lesion_stop_{shipped[2].id}").click().run()
    assert stopped == [job]


def test_a_failed_sweep_says_why_and_goes_on(opened: Opened, shipped: list[Run], worker: Worker, queued: list[tuple]) -> None:
    made_jobs.write("measure", question(shipped[2]), end={"state": "failed", "reason": "The memory of this machine was full."})
    app = opened("lesion")
    assert "The measurement of AlterNet-mini stopped" in text(app) and "The memory of this machine was full." in text(app)
    app.button(key=f"lesion_again_{shipped[2].id}").click().run()
    assert queued[0][1]["run"] == shipped[2].id


def test_an_older_sweep_is_pale_and_can_be_measured_again(opened: Opened, swept: list[Run], worker: Worker) -> None:
    for place in (store.folder(swept[2].id) / "results" / "lesion").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "version": 0})
    app = opened("lesion")
    assert "AlterNet-mini: measured before the last change" in text(app)
    assert ribbon(app)["pale"] is True and app.button(key="lesion_measure")


def test_random_subsets_are_offered(opened: Opened, swept: list[Run], worker: Worker, queued: list[tuple]) -> None:
    app = opened("lesion")
    assert subsets.ANALYSIS.question in text(app)
    app.button(key="subsets_measure").click().run()
    assert [args["asks"] for _, args, *_ in queued] == [{"subsets": dataclasses.asdict(subsets.Params())}]


def test_nothing_on_stage_is_said(opened: Opened, checkout: object, worker: Worker) -> None:
    app = opened("lesion")
    assert not app.exception
    assert "No net is on stage" in text(app) and not worker.warmed


def test_the_images_that_flip_are_the_test_images(opened: Opened, swept: list[Run], worker: Worker) -> None:
    app = opened("lesion", off="s1u1")
    said = text(app)
    assert "9 of 256, right before; 1 other turned right" in said
    shown = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="96" height="96" alt="([^"]*)"', said)
    assert [alt for _, alt in shown] == ["Dress, now &lt;i&gt;bold&lt;/i&gt;"] * 8
    pixels = data.load("fashion-full", "test", 32).pixels
    for place, (code, _) in enumerate(shown):
        assert np.array_equal(np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(code)))), pixels[place, 0])
    app.button(key="lesion_flips_all").click().run()
    assert text(app).count("<figure>") == 10 and "was Shirt" in text(app)


def test_images_that_are_not_at_hand_leave_their_words(
    opened: Opened, swept: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_picture(op: str, **args: object) -> dict:
        if op == "picture":
            raise LiveError("no picture")
        return worker.ask(op, **args)

    flips.picture.clear()
    monkeypatch.setattr(live, "ask", no_picture)
    said = text(opened("lesion", off="s1u1"))
    assert said.count("<figure><figcaption>Dress<small>now &lt;i&gt;bold&lt;/i&gt;</small></figcaption></figure>") == 8


def drawn(bars_: dict[str, bars.Bar], notation: str = "ccm-gcm", **options: object) -> ET.Element:
    slots = spec.layout(spec.parse(notation), 32)
    fixed = {slot.id: "fixed" for slot in slots if slot.kind == "merge"}
    return ET.fromstring(bars.drawing(slots, bars_, fixed, paint=chart.LIGHT, **options))


def test_every_unit_is_drawn_standing_and_hollow_and_a_merge_only_standing() -> None:
    root = drawn({"s1u1": bars.Bar(lost=5, low=4, high=6), "s2u2": bars.Bar(lost=1, low=0.5, high=1.5)})
    units = {unit.get("data-id"): unit for unit in root.iter(f"{SVG}g") if unit.get("data-id")}
    assert list(units) == ["s1u1", "s1u2", "s1u3", "s2u1", "s2u2", "s2u3"]
    assert [sum(part.get("class") == "hollow" for part in unit.iter()) for unit in units.values()] == [2, 1, 1, 0, 2, 1]
    assert units["s2u1"].get("aria-disabled") == "true" and units["s1u1"].get("aria-pressed") == "false"
    assert "Off it costs 5.0 points (4.0 to 6.0)" in (units["s1u1"].get("aria-label") or "")


def test_gains_stand_above_the_line_and_nothing_is_clipped() -> None:
    slots = spec.layout(presets.resolve("alternet-mini"), 32)
    every = {s.id: bars.Bar(lost=5.0 * i - 9, low=5.0 * i - 12, high=5.0 * i - 6) for i, s in enumerate(slots)}
    for wide in (bars.WIDE, bars.NARROW):
        root = ET.fromstring(bars.drawing(slots, every, {}, wide, paint=chart.LIGHT))
        height = float(root.get("height", "nan"))
        values = {t.text: float(t.get("y", "nan")) for t in root.iter(f"{SVG}text") if t.get("class") == "value"}
        assert set(values) == {"+9.0", "+4.0", *(f"{5.0 * i - 9:.1f}" for i in range(2, 12))}
        assert all(0 < y < height for y in values.values())
        assert values["+9.0"] < values["+4.0"] < values["1.0"] < values["46.0"]
        for rect in root.iter(f"{SVG}rect"):
            top, tall = float(rect.get("y", "nan")), float(rect.get("height", "nan"))
            assert tall > 0 and top >= 0 and top + tall <= height + 1
        caption = next(float(t.get("y", "nan")) for t in root.iter(f"{SVG}text") if t.text == bars.CAPTION)
        assert caption < values["+9.0"] - 8, "the highest value runs into the caption"


@pytest.mark.parametrize("points", [0.0, 0.004, -0.004, 92.0])
def test_extreme_costs_can_be_drawn(points: float) -> None:
    root = drawn({"s1u1": bars.Bar(lost=points, low=points, high=points)})
    assert {t.text for t in root.iter(f"{SVG}text") if t.get("class") == "value"} == {f"{abs(points):.1f}"}


def test_the_file_shows_what_is_off_and_says_what_it_is() -> None:
    slots = spec.layout(spec.parse("ccm-gcm"), 32)
    every = {slot.id: bars.Bar(lost=5, low=4, high=6) for slot in slots if slot.kind != "merge"}
    drawing = bars.drawing(slots, every, {"s2u1": "stays"}, off=["s1u2"], paint=chart.LIGHT)
    root = ET.fromstring(figure.framed(drawing, "In A & B, **one** unit " * 9, "Bars: <stored> sweep."))
    said = [t.text or "" for t in root.iter(f"{SVG}text")]
    assert said[0].startswith("In A & B, one unit") and said[-1] == "Bars: <stored> sweep."
    hollow = {u.get("data-id") for u in root.iter(f"{SVG}g") for part in u.iter() if u.get("data-id") and part.get("class") == "hollow"}
    solid = {u.get("data-id") for u in root.iter(f"{SVG}g") for part in u.iter() if u.get("data-id") and part.get("class") == "solid"}
    assert hollow == {"s1u2"} and solid == {slot.id for slot in slots} - hollow


def test_long_nets_break_into_rows_that_can_be_pressed() -> None:
    slots = spec.layout(presets.resolve("vit-ti"), 32)
    every = {slot.id: bars.Bar(lost=1, low=0.5, high=1.5) for slot in slots}
    for wide in (bars.WIDE, bars.NARROW):
        root = ET.fromstring(bars.drawing(slots, every, {}, wide, paint=chart.LIGHT))
        hits = [float(r.get("width", "nan")) for r in root.iter(f"{SVG}rect") if r.get("class") == "hit"]
        assert len(hits) == 24 and min(hits) >= 24


@pytest.mark.parametrize(
    "act", [None, "x", {}, {"off": "s1u1", "n": 1}, {"off": ["s1u1"]}, {"off": ["s1u1"], "n": "1"}, {"off": ["s1u1"], "n": True}]
)
def test_what_is_no_press_is_not_taken(act: object) -> None:
    assert bars.checked(act, {"s1u1"}, set()) is None


def test_only_units_of_the_net_are_taken_from_the_component() -> None:
    act = {"off": ["s1u1", "s9u9", 3, "s2u1", "<b>"], "unit": "<b>", "n": 4}
    assert bars.checked(act, {"s1u1", "s2u1"}, {"s2u1"}) == (["s1u1"], "", 4)
