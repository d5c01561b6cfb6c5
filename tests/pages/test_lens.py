"""The Lens page with a stand-in for the live worker: links, lenses, own pictures, the twin, and every state between."""

import base64
import dataclasses
import io as bytes_io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import data, io
from core.errors import LiveError
from core.metrics import lens
from core.run import Run
from pages.ui import lens_view, lens_words
from pages.ui.lens_view import Lane, View
from tests.pages.conftest import pictured, stands_in
from tests.pages.test_frequency import text
from tests.pages.test_lens_upload import halves, saved
from tests.pages.test_lesion import finished

Opened = Callable[..., AppTest]
CLASSES = data.get("fashion").classes


@dataclasses.dataclass
class Worker:
    """Stands in for the live worker: net n says Bag at its first 3 + n steps and then what is right."""

    state: str = "ready"
    reason: str = ""
    error: str = ""
    warmed: list[dict] = dataclasses.field(default_factory=list)
    asked: list[dict] = dataclasses.field(default_factory=list)

    def warm(self, op: str, **args: object) -> None:
        self.warmed.append({"op": op, **args})
        self.state = "warming"

    def ask(self, op: str, timeout_s: float = 10.0, **args) -> dict:
        assert op == "lens"
        self.asked.append(args)
        if self.error:
            raise LiveError(self.error)
        if "index" in args:
            own = pictured(args["index"])
            shape, pixels, label = own["shape"], own["pixels"], own["class"]
        else:
            shape, pixels, label = [args["channels"], 32, 32], args["pixels"], None
        steps, nets = lens.steps(args["kind"], 32), {}
        for place, run in enumerate(args["runs"]):
            answers = ["Bag"] * (3 + place) + [label or "Coat"] * (len(steps) - 2 - place)
            right = None if label is None else [answer == label for answer in answers]
            nets[run] = {"answers": answers, "sure": [0.414] * len(answers), "right": right, "places": None}
        return {"steps": json.loads(json.dumps(steps)), "mean": [0.219], "label": label, "shape": shape, "pixels": pixels,
                "nets": nets, "seconds": 0.31}  # fmt: skip


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return stands_in(Worker(), monkeypatch)


def given(app: AppTest) -> dict:
    """What the component was given."""
    return next(d for c in app.get("bidi_component") if "lanes" in (d := json.loads(c.proto.json or "{}")))


def group(app: AppTest, key: str):
    return next(group for group in app.button_group if group.key == key)


def test_it_opens_on_a_test_image_with_a_lane_a_net(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens")
    assert not app.exception and [title.value for title in app.title] == ["What does each net see in this image?"]
    assert worker.asked == [{"runs": [run.id for run in shipped], "kind": "low", "index": 0}]
    shown = given(app)
    assert [lane["title"] for lane in shown["lanes"]] == ["ResNet-mini", "ViT-mini", "AlterNet-mini"]
    assert [lane["token"] for lane in shown["lanes"]] == ["conv", "msa", "hyb"]
    assert len(shown["steps"]) == 33 and shown["labels"][0] == "0.00π" and shown["labels"][-1] == "1.00π"
    assert shown["labels"][shown["step"]] == "0.38π" and shown["captions"]["kept"][shown["step"]] == "Kept: below 0.38π"
    assert [run["name"] for run in shown["lanes"][1]["runs"]] == ["Bag", CLASSES[9]]
    assert shown["flips"] == [3, 4, 5]
    assert shown["lanes"][0]["steps"][2]["said"].replace("\u00a0", " ") == "41 % sure · wrong"
    assert "To say Ankle boot, <b>ResNet-mini</b> needs the frequencies below <b>0.07π</b>; ViT-mini those below 0.10π" in text(app)
    assert "33 cut-offs at 32×32 pixels, 15 of them half-way between two; each net asked once, 0.3 s" in text(app)
    assert "Test image 0 of Fashion-MNIST: one image, so no interval." in text(app)
    assert app.query_params["image"] == "0" and app.query_params["lens"] == "low" and app.query_params["step"] == "38"


def test_what_is_known_is_not_asked_again(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens")
    app.select_slider(key="l_step").set_value(4).run()
    group(app, "lens_kind").set_value("high").run()
    group(app, "lens_kind").set_value("low").run()
    assert [asked["kind"] for asked in worker.asked] == ["low", "high"]
    app.button(key="lens_next").click().run()
    assert worker.asked[-1]["index"] == 1 and app.query_params["image"] == "1"
    app.button(key="lens_previous").click().run()
    app.button(key="lens_previous").click().run()
    assert worker.asked[-1]["index"] == 9_999


@pytest.mark.parametrize(("kind", "number"), [("low", 1), ("low", 2), ("high", 2), ("high", 1), ("band", 2), ("noise", 2), ("noise", 1)])
def test_the_twin_shows_the_same_image_and_answers(opened: Opened, shipped: list[Run], worker: Worker, kind: str, number: int) -> None:
    app = opened("lens", lens=kind, image="7")
    app.select_slider(key="l_step").set_value(number).run()
    assert given(app)["step"] == number
    step = lens.steps(kind, 32)[number]
    assert app.query_params["step"] == str(lens.at(kind, step))
    assert lens_view.captions(kind, step)[0] in text(app) and "<b>ViT-mini</b>: Bag, 41 % sure · wrong" in text(app)
    code = re.search(r'<img src="data:image/png;base64,([^"]+)" width="96"', text(app))
    assert code
    seen = np.asarray(Image.open(bytes_io.BytesIO(base64.b64decode(code[1])))).astype(float)
    image = data.load("fashion-full", "test", 32).pixels[7] / 255
    wanted = lens.view(image, (0.219,) * 3, kind, step, strength=0.1, index=7)[0]
    if not lens.bright(kind, step, 32):
        wanted = wanted - 0.219 + 0.5
    assert np.abs(seen - 255 * wanted.clip(0, 1)).max() <= 0.5 + 1e-6


def test_the_next_flip_is_a_press_away_and_comes_round(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens", step="0")
    seen = []
    for _ in range(4):
        app.button(key="lens_flip").click().run()
        seen.append(given(app)["step"])
    assert seen == [3, 4, 5, 3]


def test_noise_has_a_strength(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens", lens="noise", strength="0.2", image="12")
    assert worker.asked[-1] == {"runs": [run.id for run in shipped], "kind": "noise", "index": 12, "strength": 0.2}
    assert given(app)["strength"] == 0.2 and given(app)["index"] == 12
    assert "33 steps of a band 0.10π wide at 32×32 pixels, 3 of them half-way between two; root" in text(app)
    assert "root mean square 0.20 of the range of pixels, draw 12;" in text(app)
    group(app, "lens_strength").set_value(0.05).run()
    assert worker.asked[-1]["strength"] == 0.05 and app.query_params["strength"] == "0.05"
    group(app, "lens_kind").set_value("low").run()
    assert "strength" not in app.query_params and "strength" not in worker.asked[-1]


def test_a_link_brings_image_lens_and_step(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens", image="4113", lens="band", step="61")
    assert worker.asked == [{"runs": [run.id for run in shipped], "kind": "band", "index": 4113}]
    place = lens.at("band", lens.steps("band", 32)[given(app)["step"]])
    assert abs(place - 61) <= 3 and app.query_params["step"] == "61"


HOSTILE = ["../../etc", "9" * 4000, "10000", "101", "-1", "1e3", "٣", "<script>alert(1)</script>", "nan", "%00", ""]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_links_change_nothing(opened: Opened, shipped: list[Run], worker: Worker, hostile: str) -> None:
    app = opened("lens", image=hostile if hostile != "101" else "x", lens=hostile, step=hostile, strength=hostile, m=hostile, d=hostile)
    assert not app.exception and "<script>" not in text(app) and "went wrong" not in text(app)
    assert worker.asked == [{"runs": [run.id for run in shipped], "kind": "low", "index": 0}]
    assert given(app)["step"] == 13


# ---- the reader's own picture


def test_an_upload_is_asked_for_as_the_nets_take_it(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens")
    group(app, "lens_source").set_value("upload").run()
    assert not app.exception and len(worker.asked) == 1 and "Drag a filter over one image" in text(app)
    assert "The middle square is taken, in grey, at 32×32 pixels. It stays in this visit and is not kept on disk." in text(app)
    assert "image" not in app.query_params
    app.file_uploader[0].set_value(("shirt.jpg", saved(halves(90, 60), "JPEG"), "image/jpeg")).run()
    assert not app.exception
    pixels = np.frombuffer(base64.b64decode(worker.asked[-1]["pixels"]), np.uint8).reshape(32, 32)
    assert worker.asked[-1]["channels"] == 1 and pixels[:8].mean() < 10 and pixels[-8:].mean() > 245
    assert "index" not in worker.asked[-1] and given(app)["pixels"] == worker.asked[-1]["pixels"]
    assert given(app)["captions"]["whole"] == "As it is"
    assert given(app)["lanes"][0]["steps"][0]["said"].endswith("not as for the whole")
    assert "Coloured: the answer to the whole picture." in text(app) and "Your own picture: one image" in text(app)
    app.toggle(key="lens_invert").set_value(True).run()
    turned = np.frombuffer(base64.b64decode(worker.asked[-1]["pixels"]), np.uint8).reshape(32, 32)
    assert np.array_equal(turned, 255 - pixels)
    assert not list(io.home().rglob("*.jpg")) and not [p for p in io.home().rglob("*") if p.is_file() and b"JFIF" in p.read_bytes()]


def test_a_photo_of_the_camera_is_taken_the_same_way(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens")
    group(app, "lens_source").set_value("camera").run()
    app.camera_input[0].set_value(("photo.jpg", saved(halves(), "JPEG"), "image/jpeg")).run()
    assert not app.exception and "pixels" in worker.asked[-1] and "Your own photo" in text(app)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<script>alert(1)</script>", "The file is not a picture that the lab can read. Give a PNG, JPEG, WebP or GIF."),
        (b"", "The file is empty."),
        (saved(Image.effect_noise((256, 256), 60), "JPEG")[:3000], "The picture is damaged and cannot be read."),
    ],
)
def test_a_bad_file_is_refused_and_the_page_goes_on(
    opened: Opened, shipped: list[Run], worker: Worker, content: bytes, why: str
) -> None:  # fmt: skip
    app = opened("lens")
    group(app, "lens_source").set_value("upload").run()
    app.file_uploader[0].set_value(("../../<b>x.png", content, "image/png")).run()
    assert not app.exception and why in text(app) and "This picture was not taken" in text(app)
    assert "<b>x" not in text(app) and "went wrong" not in text(app) and len(worker.asked) == 1
    group(app, "lens_source").set_value("sample").run()
    assert given(app)["steps"]


def test_two_visits_know_nothing_of_each_other(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    one, two = opened("lens"), opened("lens")
    group(one, "lens_source").set_value("upload").run()
    one.file_uploader[0].set_value(("a.png", saved(halves()), "image/png")).run()
    group(two, "lens_source").set_value("upload").run()
    assert "lanes" in given(one)
    assert not any("lanes" in json.loads(c.proto.json or "{}") for c in two.get("bidi_component"))
    assert not any("pixels" in json.dumps(asked, default=str) for asked in two.session_state["lens_told"])


# ---- states


def test_nets_that_are_being_loaded_are_waited_for(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    worker.state = "cold"
    app = opened("lens", lens="high")
    assert not app.exception and worker.warmed == [{"op": "lens", "runs": [run.id for run in shipped]}]
    assert "Loading the nets, about 5 s" in text(app) and not worker.asked
    assert "Drag a filter over one image: <b>ResNet-mini</b>, <b>ViT-mini</b> and <b>AlterNet-mini</b> say what they see." in text(app)
    worker.state = "ready"
    app.run()
    assert worker.asked[0]["kind"] == "high" and given(app)["kind"] == "high"


def test_a_worker_that_ended_is_started_by_the_next_image(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    app = opened("lens")
    worker.state = "cold"
    app.button(key="lens_next").click().run()
    assert len(worker.warmed) == 1 and "Loading the nets" in text(app)
    worker.state = "ready"
    app.run()
    assert worker.asked[-1]["index"] == 1 and given(app)["steps"]


def test_nets_that_cannot_be_loaded_can_be_tried_again(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    worker.state, worker.reason = "failed", "The weights of this run are not on this machine."
    app = opened("lens")
    assert "The nets could not be loaded" in text(app) and worker.reason in text(app)
    app.button(key="lens_again").click().run()
    assert len(worker.warmed) == 1 and "Loading the nets" in text(app)


def test_a_worker_that_breaks_says_so_and_goes_on(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    worker.error = "There was no answer within 60 s."
    app = opened("lens")
    assert not app.exception and worker.error in text(app)
    worker.error = ""
    app.button(key="lens_again").click().run()
    assert given(app)["steps"]


def test_nothing_on_stage_is_said(opened: Opened, checkout: object, worker: Worker) -> None:
    app = opened("lens")
    assert not app.exception and "No net is on stage" in text(app) and not worker.warmed and not worker.asked


def test_nets_of_other_images_are_left_out_and_named(opened: Opened, shipped: list[Run], worker: Worker) -> None:
    other = finished("cc-cm/width=16,32/heads=1,2", "Mine", "shapes-textures")
    near = finished("cc-gm/width=16,32/heads=1,2", "Near", "fashion")
    app = opened("lens", m=[shipped[0].id, other.id, near.id])
    assert worker.asked[-1]["runs"] == [shipped[0].id, near.id]
    assert "Mine: trained on other images, so not asked here." in text(app)
    assert [lane["token"] for lane in given(app)["lanes"]] == ["conv", "you"]


def test_only_other_nets_are_shown_their_own_images(
    opened: Opened, shipped: list[Run], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    other = finished("cc-cm/width=16,32/heads=1,2", "Mine", "shapes-textures")
    worker.error = "not here"
    app = opened("lens", m=other.id, image="3999")
    assert not app.exception and worker.asked[-1]["runs"] == [other.id]


# ---- words and drawings


def view(kind: str, *answers: str, label: str = "Shirt") -> View:
    """Lanes given as one letter a step and one for the whole image: S Shirt, B Bag, C Coat."""
    names = {"S": "Shirt", "B": "Bag", "C": "Coat"}
    steps = lens.steps(kind, 32)
    lanes = []
    for number, letters in enumerate(answers):
        through = letters * len(steps) if len(letters) == 1 else letters[:-1].ljust(len(steps), letters[-2])
        said = tuple(names[x] for x in through + letters[-1])
        good = tuple(x == (label or said[-1]) for x in said)
        lanes.append(Lane(run=str(number), title=f"Net {number}", family="conv", answers=said, sure=(0.5,) * len(said), good=good))
    pixels = base64.b64encode(bytes(1024)).decode()
    return View(kind=kind, steps=steps, lanes=tuple(lanes), label=label, shape=(1, 32, 32), pixels=pixels, mean=(0.2,), strength=0.1,
                index=3, seconds=0.02)  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (view("low", "BBBSS", "BSBSS"), "To say Shirt, **Net 0 and Net 1** need the frequencies below **0.07π**."),
        (view("low", "S", "BSS"), "To say Shirt, **Net 0** needs **nothing of the image**; Net 1 those below 0.01π."),
        (view("low", "BSS", "BBSS", "CSS"), "To say Shirt, **Net 0 and Net 2** need the frequencies below **0.01π**; "
         "Net 1 those below 0.04π."),
        (view("low", "BBSSB"), "To say Bag, which is wrong (Shirt), **Net 0** needs the frequencies below **1.00π**."),
        (view("low", "BSS", "B"), "To keep the answer to the whole image, **Net 1 (Bag)** needs **nothing of the image**; "
         "Net 0 (Shirt) those below 0.01π."),
        (view("high", "SSSBS", "SBSBS"), "**Net 0** can do without the frequencies below **0.04π** and still say Shirt; "
         "Net 1 cannot do without the lowest."),
        (view("high", "SSSBS", "SSBBS"), "**Net 0** can do without the frequencies below **0.04π** and still say Shirt; "
         "Net 1 without those below 0.01π."),
        (view("high", "SBS", "SBS"), "**Net 0 and Net 1** cannot do without the lowest frequencies and still say Shirt."),
        (view("band", "SSBS", "SBS"), "In **2** of 33 steps a band 0.20π wide is enough for **Net 0** to say Shirt; in 1 for Net 1."),
        (view("noise", "BBSS", "BSC", "CS"), "Noise turns the answer of **Net 0** in **2** of 33 steps; of Net 1 and Net 2 in 33."),
    ],
)  # fmt: skip
def test_the_takeaway_is_computed(shown: View, said: str) -> None:
    assert lens_words.takeaway(shown) == said


def test_the_table_holds_every_answer() -> None:
    table = lens_words.table(view("low", "BBSS", "BSS"))
    assert len(table) == 2 * 34 and list(table["net"].unique()) == ["Net 0", "Net 1"]
    first = table.iloc[1]
    assert (first["high_pi"], first["answer"], first["right"]) == (0.01, "Bag", False)
    assert table.iloc[2]["seen"] == "Kept: below 0.01π, half to 0.07π" and table.iloc[2]["high_pi"] == 0.04
    assert table.iloc[33]["seen"] == "the whole image" and bool(np.isnan(table.iloc[33]["low_pi"]))
    assert "as_whole" in lens_words.table(view("low", "BBSS", label=""))


@pytest.mark.parametrize("kind", lens.KINDS)
def test_the_file_is_a_drawing_of_all_lanes(kind: str) -> None:
    root = ET.fromstring(lens_words.file(view(kind, "BBBBBBSS", "BSS"), "Test <3> & more"))
    said = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Net 0", "Net 1", "Shirt"} <= set(said) and "Test <3> & more" in " ".join(map(str, said))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 2


@pytest.mark.parametrize(
    "act",
    [
        None, "x", {}, {"step": 3}, {"step": "3", "n": 1}, {"step": True, "n": 1}, {"step": -1, "n": 1}, {"step": 18, "n": 1},
        {"step": 1, "n": 1.0},
    ],
)  # fmt: skip
def test_what_is_no_step_is_not_taken(act: object) -> None:
    assert lens_view.checked(act, 18) is None


def test_a_step_is_taken() -> None:
    assert lens_view.checked({"step": 17, "n": 4, "more": 1}, 18) == (17, 4)


@pytest.mark.parametrize(
    ("kind", "step", "kept", "gone"),
    [
        ("low", ((0, 0),), "Kept: nothing", "Removed: all"), ("low", ((0, 100),), "Kept: all", "Removed: nothing"),
        ("high", ((0, 100),), "Kept: all", "Removed: nothing"), ("high", ((100, 100),), "Kept: nothing", "Removed: all"),
        ("low", ((0, 38),), "Kept: below 0.38π", "Removed: 0.38π and above"),
        ("low", ((0, 38), (0, 44)), "Kept: below 0.38π, half to 0.44π", "Removed: 0.44π and above, half from 0.38π"),
        ("low", ((0, 94), (0, 100)), "Kept: below 0.94π, half to 1.00π", "Removed: half from 0.94π"),
        ("high", ((38, 100), (44, 100)), "Kept: 0.44π and above, half from 0.38π", "Removed: below 0.38π, half to 0.44π"),
        ("high", ((94, 100), (100, 100)), "Kept: half from 0.94π", "Removed: below 0.94π, half to 1.00π"),
        ("band", ((1, 21),), "Kept: 0.01–0.21π", "Removed: all else"),
        ("band", ((1, 21), (6, 26)), "Kept: half of 0.01–0.21π and of 0.06–0.26π", "Removed: all else"),
        ("noise", ((8, 18), (12, 22)), "With noise in 0.08–0.18π and 0.12–0.22π", "The noise alone"),
    ],
)  # fmt: skip
def test_a_step_is_said(kind: str, step: lens.Step, kept: str, gone: str) -> None:
    assert lens_view.captions(kind, step) == (kept, gone)


def test_runs_and_flips_are_counted() -> None:
    shown = view("low", "BBSSBS", "S")
    assert shown.lanes[0].runs() == [(0, 2), (2, 4), (4, 33)] and shown.lanes[1].runs() == [(0, 33)]
    assert shown.flips() == [2, 4]
    assert shown.near(0) == 0 and shown.near(100) == 32
    assert all(shown.near(lens.at("low", step)) == number for number, step in enumerate(shown.steps))
