"""The Data page: sets without a net, the sentence of every view, import by path and by upload, what stopped, deletion."""

import dataclasses
import io as bytes_io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import data, io, jobs, store
from core.data import imported, importing
from core.recipe import RECIPES
from core.run import Run
from pages.ui import data_add, data_classes, data_gallery, data_jobs, data_left, data_shelf, data_spectrum, jobwords, pickers
from tests.data.bad_pictures import encoded, good, noise
from tests.pages import made_jobs

Opened = Callable[..., AppTest]
SMALL = importing.Import(image_size=32)


def text(app: AppTest) -> str:
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


def param(app: AppTest, key: str) -> str:
    """A parameter of the address."""
    given = dict(app.query_params).get(key, "")
    return given if isinstance(given, str) else given[0]


def group(app: AppTest, label: str):
    return next(g for g in app.get("button_group") if g.label == label)


@pytest.fixture
def mine(home: Path, tmp_path: Path) -> str:
    """A set of 12 + 12 pictures with a grey one, a broken one, one that is there twice, and one class of an odd name; its id."""
    root = good(tmp_path / "source", ("<b>blue</b>".replace("/", ""), "red"), each=12)
    (root / "red" / "grey.png").write_bytes(encoded(noise(77).convert("L")))
    (root / "red" / "words.png").write_bytes(b"no picture at all")
    shutil.copy(root / "red" / "000.png", root / "red" / "same.png")
    return importing.add(root, "My pictures", SMALL)["id"]


def zipped(classes: tuple[str, ...] = ("cats", "dogs"), each: int = 3) -> bytes:
    out = bytes_io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for label, name in enumerate(classes):
            for i in range(each):
                archive.writestr(f"{name}/{i}.png", encoded(noise(100 * label + i)))
    return out.getvalue()


# ---- looking


def test_the_page_opens_on_the_images_of_the_chosen_set(opened: Opened) -> None:
    app = opened("data")
    assert not app.exception
    assert [title.value for title in app.title] == [data_gallery.QUESTION]
    assert "<b>Fashion</b> holds <b>20,000 training and 10,000 test images</b> of 10 classes, 32 × 32 pixels, grey." in text(app)
    assert text(app).count('<img src="data:image/webp') >= 100 and "Ankle boot<small>2,000</small>" in text(app)
    for name in ("CIFAR-10", "Imagenette", "Shapes and textures"):
        assert f"<b>{name}</b>" in text(app)
    assert "170 MB to get" in text(app) and "Licence" in text(app)
    assert app.session_state["d"] == "fashion"


def test_every_view_of_an_own_set_and_its_link(opened: Opened, mine: str) -> None:
    for show, said in (
        ("images", "<b>My pictures</b> holds <b>20 training and 5 test images</b> of 2 classes, 32 × 32 pixels, in colour."),
        ("classes", "<b>All 2 classes are even</b>: 10 training images each."),
        ("spectrum", "<b>My pictures</b> falls by"),
        ("left", "<b>2 files left out</b>, 25 pictures taken. Why: "),
    ):
        app = opened("data", d="own:my-pictures", show=show)  # a link may leave the digest out
        assert not app.exception and said in text(app), (show, text(app)[:900])
        assert app.session_state["d"] == mine
        assert param(app, "show") == ("" if show == "images" else show)
    assert "<b>blue" not in text(app)  # a class name is no markup


def test_one_class_is_shown_in_order_page_by_page(opened: Opened) -> None:
    app = opened("data", d="fashion", split="test", **{"class": "Bag"})
    assert "60 of 1,000 images of Bag, in the order of the set" in text(app) and "Page 1 of 17" in text(app)
    app.button(key="data_on").click().run()
    assert "Page 2 of 17" in text(app) and param(app, "page") == "2"
    places = np.flatnonzero(data.load("fashion", "test").labels == 8)
    assert f"Bag, image {places[60]}" in text(app) and f"Bag, image {places[59]}" not in text(app)
    app.selectbox(key="data_class").set_value("Coat").run()
    assert "Page 1 of 17" in text(app)


def test_an_unknown_set_in_a_link_is_said(opened: Opened) -> None:
    app = opened("data", d="own:../../etc", **{"class": "<b>", "page": "9", "show": "left"})
    assert not app.exception
    assert "The set of this link is not on this machine." in text(app) and data_gallery.QUESTION in [t.value for t in app.title]


def test_a_set_that_is_not_here_is_offered(opened: Opened, queued: list[tuple]) -> None:
    app = opened("data", d="cifar10")
    assert "CIFAR-10 is not on this machine." in text(app) and "170 MB from Krizhevsky" in text(app)
    app.button(key="data_get").click().run()
    assert queued == [("fetch", {"id": "cifar10", "device": "network"}, "Get CIFAR-10", "fetch cifar10")]


def test_a_damaged_set_takes_nothing_else_with_it(opened: Opened, mine: str) -> None:
    (imported.root() / "my-pictures" / "card.json").write_text("{")
    app = opened("data")
    assert not app.exception and "<b>Fashion</b> holds" in text(app)
    assert "<b>my-pictures</b> cannot be used." in text(app)
    app.button(key="data_damaged_my-pictures").click().run()
    assert imported.names() == [] and "cannot be used" not in text(app)


# ---- sentences


def test_balance_says_how_uneven() -> None:
    spec = data.get("fashion")
    even = [{"class": "a", "train": 5, "test": 2}, {"class": "b", "train": 5, "test": 2}]
    assert data_classes.sentence(spec, even) == (
        "**All 2 classes are even**: 5 training images each. Always saying the commonest gets 50.0 % of the test images right."
    )
    uneven = [{"class": "a", "train": 30, "test": 3}, {"class": "b", "train": 10, "test": 1}]
    said = data_classes.sentence(spec, uneven)
    assert said.startswith("**a (30) has 3.0 times** the training images of b (10).") and "75.0 %" in said
    tested = dataclasses.replace(spec, train_n=0)
    assert "test images" in data_classes.sentence(tested, [{"class": "a", "train": 0, "test": 8}, {"class": "b", "train": 0, "test": 2}])
    assert list(data_classes.table_of(uneven)["share"]) == [75.0, 25.0]


def test_many_classes_become_one_shape() -> None:
    few = data_classes.table_of([{"class": str(i), "train": i + 1, "test": 1} for i in range(3)])
    many = data_classes.table_of([{"class": str(i), "train": i + 1, "test": 1} for i in range(100)])
    marks = [{layer["mark"]["type"] for layer in data_classes.chart(table).to_dict()["layer"]} for table in (few, many)]
    assert marks == [{"bar", "text"}, {"bar", "text"}]
    assert data_classes.chart(few).to_dict()["height"] != data_classes.chart(many).to_dict()["height"] == 260


def test_the_finer_set_is_named_and_only_if_it_is_clear() -> None:
    tell = data_spectrum.sentence
    assert "**b is the finer one**" in tell({"a": (3.0, 2.9, 3.1), "b": (2.0, 1.9, 2.1)})
    assert "No clear difference" in tell({"a": (3.0, 2.5, 3.5), "b": (2.9, 2.4, 3.4)})
    assert "Too few images" in tell({"a": (3.0, float("nan"), float("nan")), "b": (2.0, 1.9, 2.1)})


def test_noise_is_finer_than_smooth_pictures(home: Path, tmp_path: Path) -> None:
    good(tmp_path / "noise", each=24)
    for name in ("x", "y"):
        (tmp_path / "smooth" / name).mkdir(parents=True)
        for i in range(24):
            picture = noise(i if name == "x" else 50 + i, (5, 5)).resize((40, 40), Image.Resampling.BICUBIC)
            picture.save(tmp_path / "smooth" / name / f"{i}.png")
    ids = [importing.add(tmp_path / name, name, SMALL)["id"] for name in ("noise", "smooth")]
    (flat, low, high), steep = data_spectrum.fall(ids[0]), data_spectrum.fall(ids[1])
    assert low <= flat <= high and abs(flat) < 1 and steep[1] > high + 1
    table = data_spectrum.table_of(data.get(ids[0]))
    assert table["delta_log_amplitude"].iloc[0] == 0 and table["frequency"].iloc[-1] == 1


def test_the_report_counts_and_lists_every_file(mine: str) -> None:
    report = imported.report("my-pictures")
    table, counts = data_left.table_of(report), data_left.counted(report)
    assert sorted(table["file"]) == ["red/grey.png", "red/same.png", "red/words.png"]
    assert dict(zip(counts["reason"], counts["files"], strict=True)) == {
        "no picture": 1, "duplicate": 1, "grey, made three equal channels": 1,
    }  # fmt: skip
    assert data_left.sentence(data.get(mine), report).endswith("1 picture taken with a change.")


def test_the_pictures_are_those_of_the_set_and_stand_in_the_svg(mine: str) -> None:
    rows = data_shelf.pictures(mine, "train", range(2), 3, 0)
    images = data.load(mine, "train")
    assert len(rows) == 6
    for row in rows:
        shown = np.asarray(Image.open(bytes_io.BytesIO(row["image"])).convert("RGB")).transpose(2, 0, 1)
        assert (shown == images.pixels[row["index"]]).all() and images.labels[row["index"]] == row["label"]
    drawing = data_gallery.svg(rows, "**A** & B", "foot").decode()
    assert drawing.count("<image") == 6 and "A &amp; B" in drawing and "&lt;b&gt;blue" in drawing


# ---- bringing


def form(app: AppTest) -> AppTest:
    app.button(key="data_add").click().run()
    return app


def test_a_folder_is_imported_as_a_job(opened: Opened, queued: list[tuple], tmp_path: Path) -> None:
    source = good(tmp_path / "My cats")
    app = form(opened("data"))
    app.button(key="data_import").click().run()
    assert "Give a folder or a zip file first." in text(app) and not queued
    app.text_input(key="data_path").set_value(str(source)).run()
    app.selectbox(key="data_set_image_size").set_value(64).run()
    app.button(key="data_import").click().run()
    assert not app.exception
    args = {"source": str(source), "name": "My cats", "settings": {"image_size": 64}, "device": "network"}
    assert queued == [("import_images", args, "Import of My cats", "import my-cats")]
    assert data_add.OPEN not in app.session_state


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{}/nothing", "There is no folder and no zip file"),
        ("relative/folder", "is not a whole path"),
        ("{}/one", "it should hold one for each class"),
    ],
)
def test_what_cannot_be_imported_is_said_in_the_form(opened: Opened, queued: list[tuple], tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "one" / "cats").mkdir(parents=True)
    app = form(opened("data"))
    app.text_input(key="data_path").set_value(path.format(tmp_path)).run()
    app.button(key="data_import").click().run()
    assert not app.exception and said in text(app) and not queued
    assert app.session_state[data_add.OPEN]


def test_a_name_that_is_taken_is_refused(opened: Opened, queued: list[tuple], mine: str, tmp_path: Path) -> None:
    app = form(opened("data"))
    app.text_input(key="data_path").set_value(str(tmp_path / "source")).run()
    app.text_input(key="data_name").set_value("my PICTURES").run()
    app.button(key="data_import").click().run()
    assert "There is a set my-pictures already" in text(app) and not queued


def test_an_upload_is_kept_under_a_name_of_ours(opened: Opened, queued: list[tuple], home: Path) -> None:
    app = form(opened("data"))
    group(app, "From").set_value("zip").run()
    app.file_uploader[0].set_value(("../../../<b>evil.zip", zipped(), "application/zip")).run()
    app.button(key="data_import").click().run()
    assert not app.exception
    [(task, args, label, _)] = queued
    place = Path(args["source"])
    assert task == "import_images" and place.parent == imported.inbox() and place.read_bytes() == zipped()
    assert place.stem.isalnum() and "evil" in args["name"] and "/" not in args["name"] and label.startswith("Import of")
    report = importing.add(place, args["name"], SMALL)
    assert report["train_n"] + report["test_n"] == 6 and not list(imported.inbox().iterdir())
    assert data_gallery.source(data.get(report["id"])) == "an uploaded zip file"


@pytest.mark.parametrize(
    ("content", "said"), [(b"no zip", "The file is no zip file"), (zipped(("one",)), "it should hold one for each class")]
)
def test_a_bad_upload_leaves_nothing_behind(opened: Opened, queued: list[tuple], home: Path, content: bytes, said: str) -> None:
    app = form(opened("data"))
    group(app, "From").set_value("zip").run()
    app.file_uploader[0].set_value(("a.zip", content, "application/zip")).run()
    app.button(key="data_import").click().run()
    assert said in text(app) and str(home) not in text(app) and not queued
    assert list(imported.inbox().iterdir()) == []


def test_old_uploads_that_no_job_needs_are_swept(home: Path, mine: str) -> None:
    imported.inbox().mkdir(parents=True)
    needed, old, young = (imported.inbox() / f"{name}.zip" for name in ("needed", "old", "young"))
    for place in (needed, old, young):
        place.write_bytes(b"x")
        if place is not young:
            os.utime(place, (1, 1))
    made_jobs.write("import_images", {"source": str(needed), "name": "n", "settings": {}}, started=False)
    data_jobs.sweep()
    assert sorted(p.name for p in imported.inbox().iterdir()) == ["needed.zip", "young.zip"]


# ---- under way, stopped, done


def importing_job(source: Path | str, title: str = "Cats", **state: object) -> str:
    return made_jobs.write("import_images", {"source": str(source), "name": title, "settings": {}}, label=f"Import of {title}", **state)


def test_progress_is_shown_and_can_be_stopped(opened: Opened, tmp_path: Path) -> None:
    said = {"step": 500, "total": 1000, "rate": 50.0, "eta_s": 10.0, "message": "checking and decoding pictures", "attempt": 1}
    job = importing_job(tmp_path, progress=said)
    with made_jobs.alive(job):
        app = opened("data")
        assert "<b>Import of Cats</b> · checking and decoding pictures · about 10 s left" in text(app)
        app.button(key=f"data_stop_{job}").click().run()
        assert (jobs.get(job).folder / "cancel").exists()


def test_a_stopped_import_goes_on_or_is_dropped(opened: Opened, home: Path, tmp_path: Path) -> None:
    job = importing_job(tmp_path, end={"state": "cancelled", "cause": "user"})
    (imported.root() / ".cats.part").mkdir(parents=True)
    app = opened("data")
    assert "Import of Cats was stopped" in text(app) and "What was decoded is kept." in text(app)
    app.button(key=f"data_on_{job}").click().run()
    assert jobs.get(job).state == "queued"
    jobs.cancel(job)
    app = opened("data")
    app.button(key=f"data_drop_{job}").click().run()
    assert imported.unfinished() == [] and jobs.list() == [] and "was stopped" not in text(app)


def test_why_an_import_failed_is_said(opened: Opened, home: Path) -> None:
    upload = imported.inbox() / "ab.zip"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"x")
    end = {"state": "failed", "cause": "exception", "reason": "It holds pictures of 1 classes that could be taken; there should be two."}
    job = importing_job(upload, end=end)
    app = opened("data")
    assert "Import of Cats has ended early" in text(app) and "there should be two" in text(app)
    assert f"data_on_{job}" not in [button.key for button in app.button]  # the same upload would end so again
    app.button(key=f"data_drop_{job}").click().run()
    assert not upload.exists() and jobs.list() == []


def test_a_left_over_of_the_command_line_can_be_dropped(opened: Opened, home: Path) -> None:
    (imported.root() / ".old.part").mkdir(parents=True)
    app = opened("data")
    assert "<b>old</b> was not imported to its end" in text(app)
    app.button(key="data_rest_old").click().run()
    assert imported.unfinished() == []


def test_the_job_list_tells_of_imports(opened: Opened, mine: str, tmp_path: Path) -> None:
    result = {"data": mine, "name": "my-pictures"}
    job = importing_job(tmp_path, "My pictures", end={"state": "succeeded", "cause": "succeeded", "result": result})
    found = jobs.get(job)
    assert jobwords.images_of(found) == mine and jobwords.next_step(found, [found]) == "open"
    app = opened("train")
    assert "25 images in 2 classes, 2 files left out" in text(app)
    app.button(key=f"open_{job}").click().run()
    assert app.session_state["d"] == mine and data_gallery.QUESTION in [title.value for title in app.title]
    imported.remove("my-pictures")
    assert jobwords.images_of(found) == "" and jobwords.next_step(found, [found]) == ""
    assert "its set was deleted" in text(opened("train"))


# ---- everywhere, and gone


def test_an_own_set_can_be_trained_on(opened: Opened, mine: str, queued: list[tuple]) -> None:
    app = opened("train", d="own:my-pictures")
    assert app.selectbox(key="train_images").value == mine and app.session_state["d"] == mine
    assert "20 images each" in text(app)
    app.button(key="train_start").click().run()
    run = Run.from_json(queued[0][1]["run"])
    assert run.data == mine and run.classes == 2 and run.image_size == 32


def test_a_set_is_deleted_after_a_question_unless_a_run_uses_it(opened: Opened, mine: str) -> None:
    run = Run(arch="cc", data=mine, recipe=dataclasses.asdict(RECIPES["quick"]), name="Yours", classes=2)
    store.create(run)
    app = opened("data", d=mine)
    app.button(key="data_ask_remove").click().run()
    assert run.id in text(app)
    app.button(key="data_delete").click().run()
    assert "It stays." in text(app) and f"is used by {run.id}" in text(app)
    app.button(key="data_keep").click().run()
    assert imported.names() == ["my-pictures"]
    app.button(key="data_ask_remove").click().run()
    app.checkbox(key="data_force").check().run()
    app.button(key="data_delete").click().run()
    assert not app.exception and imported.names() == []
    assert app.session_state["d"] == "fashion" and "<b>Fashion</b> holds" in text(app)
    assert pickers.set_title(mine) == "my-pictures"  # what was trained on it keeps its name


def test_the_page_needs_no_torch(home: Path, mine: str) -> None:
    code = (
        "import sys; from pages.ui import data_add, data_classes, data_gallery, data_left, data_spectrum, data_shelf\n"
        f"data_shelf.counts({mine!r}); data_spectrum.fall({mine!r}); data_shelf.pictures('fashion', 'test', range(2), 2, 0)\n"
        "print([name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=io.CHECKOUT, check=True, timeout=60)
    assert json.loads(told.stdout.strip().splitlines()[-1].replace("'", '"')) == []
