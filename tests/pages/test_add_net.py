"""Add a net: the search, what the form asks for, what becomes of a file, and how the import is told."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import imports, io, jobs, store, zoo_names
from core.data import importing
from core.errors import StoreError
from core.outline import Outline
from core.run import Run
from core.spec import layout, parse
from pages.ui import add_net, pickers
from tests.data.bad_pictures import good
from tests.pages import made_jobs

Open = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html")).replace("\u00a0", " ")


def imported(name: str = "timm:test_resnet", **changes) -> Run:
    """A stored net from elsewhere with random weights, made without torch; no weights are stored."""
    units = tuple(layout(parse("ccm-ct/width=16,32"), 32))
    facts = {"name": name, "image_size": 32, "units": units, "parameters": 1_000_000, "flops": 2_000_000, "scores": 10}
    outline = Outline(**{**facts, "weights": "random, seed 0", "digest": "a" * 16, **changes})
    run = Run(arch=name, data="fashion", recipe={}, outline=outline.to_json(), name=name.removeprefix("timm:"))
    io.write_json(store.create(run) / "final.json", {"accuracy": 0.12, "n_test": 10_000, "seconds": 31.0, "weights": outline.weights})
    return run


def arrived() -> tuple[Run, str]:
    """A net from elsewhere and the job that brought it."""
    run, args = imported(), {"name": "test_resnet", "images": "fashion"}
    return run, made_jobs.write("import_net", args, label="Add test_resnet", end={"state": "succeeded", "result": {"run": run.id}})


def form(opened: Open, **query: str) -> AppTest:
    app = opened("build", **query)
    app.button(key="build_add").click().run()
    assert not app.exception
    return app


# ---- search


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("resnet18", "resnet18"), ("RESNET18 ", "resnet18"), ("timm:resnet18", "resnet18"), ("vit tiny patch16", "vit_tiny_patch16_224"),
        ("swin-ti", "paper-swin-ti"), ("pit-ti of", "paper-pit-ti"), ("resnet18.a1_in1k", "resnet18.a1_in1k"), ("test_v", "test_vit"),
    ],
)  # fmt: skip
def test_a_part_of_a_name_finds_the_net(typed: str, first: str) -> None:
    assert add_net.matches(typed)[0] == first


@pytest.mark.parametrize("typed", ["no such net", "../../etc/passwd", "<b>", "[", "resnet18.<script>", "💥"])
def test_what_is_no_name_finds_nothing(typed: str) -> None:
    assert add_net.matches(typed) == []


def test_the_search_shows_the_first_and_how_many_there_are(opened: Open) -> None:
    app = form(opened)
    assert app.get("button_group")[-2].options[:4] == list(zoo_names.PAPER.values())
    app.text_input(key="net_search").set_value("resnet").run()
    found = add_net.matches("resnet")
    assert len(app.get("button_group")[-2].options) == add_net.SHOWN < len(found)
    assert f"The first {add_net.SHOWN} of {len(found)} matches; {len(zoo_names.every()):,} nets are known." in said(app)
    app.text_input(key="net_search").set_value("qqqq").run()
    assert "None of" in said(app) and app.button(key="net_add").disabled


# ---- what is asked for


def test_a_net_by_name_becomes_a_job(opened: Open, queued: list[tuple]) -> None:
    app = form(opened)
    app.text_input(key="net_search").set_value("test_vit2").run()
    app.text_input(key="net_label").set_value("Tiny").run()
    app.number_input(key="net_seed").set_value(3).run()
    app.selectbox(key="net_size").set_value(64).run()
    assert "tested on all 10,000 test images of Fashion at 64 × 64" in said(app)
    app.button(key="net_add").click().run()
    assert not app.exception
    [(task, args, label, dedup)] = queued
    assert (task, label) == ("import_net", "Add Tiny") and dedup.startswith("net ")
    assert args == {"name": "test_vit2", "images": "fashion", "image_size": 64, "label": "Tiny", "seed": 3, "device": "auto"}
    assert "net_adding" not in app.session_state


def test_the_papers_nets_take_one_size_and_are_never_fetched(opened: Open) -> None:
    app = form(opened)
    assert app.selectbox(key="net_size_ours").disabled and app.selectbox(key="net_size_ours").value == 32
    assert app.segmented_control(key="net_weights").options == ["Random", "From a file"]
    app.text_input(key="net_search").set_value("resnet18").run()
    app.segmented_control(key="net_weights").set_value("published").run()
    assert "needs a network" in said(app)
    app.text_input(key="net_search").set_value("paper-vit-ti").run()
    assert app.segmented_control(key="net_weights").value == "random"


def test_the_size_follows_the_images_until_it_is_chosen(opened: Open, tmp_path: Path) -> None:
    """The paper's nets stand first in the form and take 32 px; that must not stick to the net that is then searched."""
    own = importing.add(good(tmp_path / "own", each=12), "mine", importing.Import(image_size=64))["id"]
    app = form(opened, d=own)
    app.text_input(key="net_search").set_value("resnet18").run()
    assert "test images of mine at 64 × 64" in said(app) and app.selectbox(key="net_size").value == 0
    app.selectbox(key="net_images").set_value("fashion").run()
    assert "test images of Fashion at 32 × 32" in said(app)
    app.selectbox(key="net_size").set_value(64).run()
    app.selectbox(key="net_images").set_value(own).run()
    assert not app.exception and "test images of mine at 64 × 64" in said(app) and app.selectbox(key="net_size").value == 0


def test_published_weights_with_a_new_classifier(opened: Open, queued: list[tuple]) -> None:
    app = form(opened)
    app.text_input(key="net_search").set_value("resnet18").run()
    app.segmented_control(key="net_weights").set_value("published").run()
    app.toggle(key="net_new_head").set_value(True).run()
    assert "made anew for the 10 classes of Fashion, and is random until the net is fine-tuned" in said(app)
    app.button(key="net_add").click().run()
    assert queued[0][1] == {"name": "resnet18", "images": "fashion", "published": True, "new_head": True, "device": "auto"}


# ---- a file


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("net.pth", "no whole path"), ("../net.pth", "no whole path"), ("/nowhere/net.pth", "There is no file net.pth"),
        ("/etc/passwd", "does not end like a file of weights"), ("/nowhere/net.exe", "does not end like a file of weights"),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_is_told_in_the_form(opened: Open, queued: list[tuple], typed: str, why: str) -> None:
    app = form(opened)
    app.segmented_control(key="net_weights").set_value("file").run()
    assert app.button(key="net_add").disabled
    app.text_input(key="net_path").set_value(typed).run()
    app.button(key="net_add").click().run()
    assert "This net cannot be added." in said(app) and why in said(app)
    assert not queued and app.session_state["net_adding"]


def test_an_uploaded_file_is_kept_under_a_name_of_safe_letters(opened: Open, queued: list[tuple]) -> None:
    app = form(opened)
    app.segmented_control(key="net_weights").set_value("file").run()
    app.file_uploader(key="net_file").set_value(("../../My Nét<1>.PTH.tar", b"weights", "application/x-tar")).run()
    app.button(key="net_add").click().run()
    assert not app.exception
    kept = Path(queued[0][1]["weights"])
    assert kept.read_bytes() == b"weights" and kept.is_relative_to(io.home() / "inbox")
    assert kept.name.endswith(".pth.tar") and kept.name.removesuffix(".pth.tar").replace("-", "").isalnum() and kept.name.isascii()
    imports.forget(str(kept))
    assert not list(imports.inbox().iterdir())


def test_a_file_elsewhere_is_the_readers_and_stays(home: Path, tmp_path: Path) -> None:
    mine = tmp_path / "one" / "net.pth"
    mine.parent.mkdir()
    mine.write_bytes(b"weights")
    imports.forget(str(mine))
    imports.forget("")
    assert mine.exists()


def test_uploads_that_no_job_reads_are_swept_after_an_hour(opened: Open, home: Path) -> None:
    import os

    places = [imports.inbox() / name / "net.pth" for name in ("old", "new", "needed")]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(b"weights")
    for place in (places[0], places[2]):
        os.utime(place, (time.time() - 4000,) * 2)
    args = {"name": "resnet18", "images": "fashion", "weights": str(places[2].absolute())}
    made_jobs.write("import_net", args, label="Add resnet18", end={"state": "failed", "cause": "exception", "reason": "No."})
    opened("build")
    assert [place.exists() for place in places] == [False, True, True]


# ---- how it goes


def test_an_import_at_work_can_be_stopped(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    job = made_jobs.write(
        "import_net", {"name": "resnet18", "images": "fashion"}, label="Add resnet18",
        progress={"step": 1, "total": 3, "message": "testing on all test images", "at": 0.0},
    )  # fmt: skip
    with made_jobs.alive(job):
        app = opened("build")
        assert "<b>Add resnet18</b> · testing on all test images" in said(app)
        monkeypatch.setattr(jobs, "cancel", stopped.append)
        app.button(key=f"net_stop_{job}").click().run()
    assert stopped == [job]


def test_a_refused_import_says_why_and_can_be_changed(opened: Open, home: Path) -> None:
    place = imports.inbox().absolute() / "abc" / "mine.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    args = {"name": "resnet18", "images": "fashion", "weights": str(place), "image_size": 64, "label": "Mine", "seed": 2}
    reason = "The classifier of these weights knows 1,000 classes. Import it with a new classifier."
    job = made_jobs.write("import_net", args, label="Add Mine", end={"state": "failed", "cause": "exception", "reason": reason})
    app = opened("build")
    assert "Mine was not added" in said(app) and reason in said(app)
    app.button(key=f"net_change_{job}").click().run()
    assert not app.exception
    assert app.text_input(key="net_search").value == "resnet18" and app.selectbox(key="net_size").value == 64
    assert app.text_input(key="net_label").value == "Mine" and app.number_input(key="net_seed").value == 2
    assert "<b>mine.pth</b> that was uploaded before" in said(app) and not app.button(key="net_add").disabled
    app.button(key="net_other").click().run()
    assert app.button(key="net_add").disabled
    app.button(key=f"net_drop_{job}").click().run()
    assert not place.exists() and not [known for known in jobs.list() if known.id == job]


def test_a_stopped_import_can_be_tried_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[str] = []
    job = made_jobs.write(
        "import_net",
        {"name": "resnet18", "images": "fashion"},
        label="Add resnet18",
        started=False,
        end={"state": "cancelled", "cause": "user"},
    )
    app = opened("build")
    assert "resnet18 was stopped before it was there" in said(app)
    monkeypatch.setattr(jobs, "resume", again.append)
    app.button(key=f"net_again_{job}").click().run()
    assert again == [job]


def test_a_net_that_has_come_is_put_on_stage_with_ways_on(opened: Open) -> None:
    run, job = arrived()
    app = opened("build")
    app.session_state["net_waits"] = job
    app.run()
    app.run()
    assert run.id in app.session_state["m"] and "net_waits" not in app.session_state
    text = said(app)
    assert "test_resnet is on stage" in text
    assert "12.0 % of 10,000 test images of Fashion; weights: random, seed 0. Read into 5 units in 2 stages: 3 Conv, 1 MSA, 1 MLP." in text
    links = [link.proto.label for link in app.get("page_link")]
    assert {"Frequency", "Features", "Lesion", "Landscape", "Curvature", "Robustness", "Lens", "Fine-tune"} <= set(links)


def test_a_job_of_an_import_opens_its_net(opened: Open) -> None:
    run, job = arrived()
    app = opened("train")
    assert "12.0 % as it came, its weights random, seed 0, 31 s" in said(app)
    assert app.button(key=f"open_{job}") and not [b for b in app.button if b.key == f"remove_{run.id}"], "one line for one net"
    store.delete(run.id)
    assert "its net was deleted" in said(opened("train"))


def test_a_job_deletes_the_upload_when_its_net_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import tasks

    place = imports.inbox().absolute() / "abc" / "mine.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    args = {"name": "test_resnet", "images": "fashion", "weights": str(place), "device": "cpu"}

    def refuse(*_args: object, **_settings: object) -> Run:
        raise StoreError("No.")

    monkeypatch.setattr(imports, "take_in", refuse)
    with pytest.raises(StoreError):
        tasks.import_net(args, None)
    assert place.exists(), "the reader may change the choices and try again"
    monkeypatch.setattr(imports, "take_in", lambda *_args, **_settings: imported())
    assert tasks.import_net(args, None)["run"].startswith("timm-test-resnet-")
    assert not place.exists()


def test_a_new_net_takes_the_place_of_one_of_other_images(opened: Open) -> None:
    first, second = imported(), imported("timm:test_vit")
    other = [Run(arch="ccm", data="cifar10", recipe={}, seed=seed) for seed in range(3)]
    assert pickers.beside(other, first) == [*other, first]
    assert pickers.beside([*other, first], second) == [*other[:2], first, second], "the net that was added before stays"
    assert pickers.beside([*other, first], first) == [*other, first]
    four = [imported(f"timm:test_{name}") for name in ("a", "b", "c", "d")]
    assert pickers.beside(four, first) == [*four[1:], first]


def test_why_a_page_has_nothing_of_a_net_is_said_in_its_words(opened: Open) -> None:
    coarse = tuple(dataclasses.replace(unit, side=2, stride=1) for unit in layout(parse("ccm-ct/width=16,32"), 32))
    imported(units=coarse)
    app = opened("build")
    assert "Frequency: timm:test_resnet has no map of 4×4 positions or more at 32 pixels" in said(app)
    assert "told apart" not in said(app)


def test_of_many_that_failed_two_are_told_and_the_rest_are_folded(opened: Open) -> None:
    for number in range(4):
        args = {"name": "resnet18", "images": "fashion", "label": f"Try {number}"}
        made_jobs.write("import_net", args, label=f"Add Try {number}", end={"state": "failed", "cause": "exception", "reason": "No."})
    app = opened("build")
    assert not app.exception and [one.label for one in app.expander if "not added" in one.label] == ["2 more that were not added"]
    assert all(f"Try {number} was not added" in said(app) for number in range(4))
