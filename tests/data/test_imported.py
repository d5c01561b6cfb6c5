"""Sets that a user brings: splits, what is left out, the digest in the id, and removal."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core import jobs, store
from core.data import dataset, folder, imported, importing, intake, prepare
from core.errors import DataError
from core.jobs import wake
from core.run import Run
from tests.data.bad_pictures import good, noise

SMALL = importing.Import(image_size=32)
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path, home):
    """Ten blue and ten red pictures."""
    return good(tmp_path / "set")


def read(name, split, size=32):
    return imported.read(f"own:{name}", split, size)


def reasons(report):
    return {row["file"]: row["reason"] for row in report["rows"] if row["outcome"] == "left out"}


def test_a_folder_becomes_a_set_with_all_its_pictures(source):
    said = []
    report = importing.add(source, "My Set", SMALL, lambda done, of, words: said.append((done, of, words)))
    assert report["id"].startswith("own:my-set@") and imported.names() == ["my-set"] and report["rows"] == []
    spec = imported.spec_of("own:my-set")
    assert (spec.id, spec.title, spec.classes, spec.image_size) == (report["id"], "My Set", ("blue", "red"), 32)
    assert (spec.train_n, spec.test_n) == (16, 4) and spec.source == str(source)
    found = {}
    for split in ("train", "test"):
        pixels, labels, name = read("my-set", split)
        assert np.bincount(labels).tolist() == ([8, 8] if split == "train" else [2, 2])
        assert name == dataset.digest(pixels, labels) == spec.digests[split == "test"]
        for (file, width, height), square, label in zip(imported.files("my-set", split), pixels, labels, strict=True):
            assert (width, height) == (40, 40) and file.startswith(spec.classes[label])
            assert (square == folder.decode(source / file, 32)).all()
            found[file] = split
    assert sorted(found) == sorted(str(p.relative_to(source)) for p in source.rglob("*.png"))
    done, of, words = zip(*said[1:], strict=True)
    assert list(done) == sorted(done) and done[-1] == of[-1] and set(of) == {of[0]} and words[-1] == "putting the set together"


def test_mean_and_deviation_are_those_of_the_training_images(source):
    importing.add(source, "a", SMALL)
    pixels = read("a", "train")[0] / 255
    card = imported.card("a")
    assert np.allclose(card["mean"], pixels.mean((0, 2, 3)), atol=1e-4) and np.allclose(card["std"], pixels.std((0, 2, 3)), atol=1e-4)
    assert "its own training images" in imported.spec_of("own:a").note
    importing.add(source, "b", dataclasses.replace(SMALL, normalise="imagenet"))
    assert imported.spec_of("own:b").mean == dataset.PHOTO_MEAN and "those of ImageNet" in imported.spec_of("own:b").note


def test_the_seed_chooses_what_is_tested(source):
    sets = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        importing.add(source, name, dataclasses.replace(SMALL, seed=seed, test_share=0.5))
        sets[name] = {file for file, *_ in imported.files(name, "test")}
    assert sets["a"] == sets["b"] != sets["c"] and len(sets["c"]) == 10


def test_a_set_for_testing_only(source):
    report = importing.add(source, "a", dataclasses.replace(SMALL, test_share=1.0))
    assert (report["train_n"], report["test_n"]) == (0, 20) and len(read("a", "train")[0]) == 0
    assert min(imported.card("a")["std"]) > 0.1


@pytest.mark.parametrize(("train", "held_out"), [("train", "test"), ("train", "val"), ("Training", "Validation")])
def test_splits_are_those_of_the_folders(tmp_path, home, train, held_out):
    good(tmp_path / "set" / train)
    good(tmp_path / "set" / held_out, each=3)
    for path in (tmp_path / "set" / held_out).rglob("*.png"):
        noise(int.from_bytes(str(path).encode()[-12:])).save(path)
    good(tmp_path / "set" / "else", ("green",), each=1)
    (tmp_path / "set" / held_out / "only here").mkdir()
    noise(7).save(tmp_path / "set" / held_out / "only here" / "0.png")
    report = importing.add(tmp_path / "set", "a", SMALL)
    assert (report["train_n"], report["test_n"]) == (20, 6) and "as in its folders" in imported.spec_of("own:a").note
    assert reasons(report) == {"else/green/000.png": "stray", f"{held_out}/only here/0.png": "untrained"}


@pytest.mark.parametrize("around", ["val", "photos", "photos/val", "a/b"])
def test_folders_around_a_set_are_looked_through(tmp_path, home, around):
    good(tmp_path / "set" / around)
    report = importing.add(tmp_path / "set", "a", SMALL)
    assert [row["class"] for row in report["classes"]] == ["blue", "red"] and (report["train_n"], report["test_n"]) == (16, 4)


def test_the_same_picture_counts_once_and_stays_where_it_is_tested(tmp_path, home):
    good(tmp_path / "set" / "train")
    good(tmp_path / "set" / "test", each=3)  # the same pictures as the first three of each class in train
    shutil.copy(tmp_path / "set" / "test" / "red" / "000.png", tmp_path / "set" / "test" / "red" / "again.bmp")
    noise(1005).save(tmp_path / "set" / "train" / "red" / "a blue one.bmp")
    report = importing.add(tmp_path / "set", "a", SMALL)
    twins = {f"train/{c}/{i:03}.png": "duplicate" for c in ("blue", "red") for i in range(3)}
    assert reasons(report) == twins | {"test/red/again.bmp": "duplicate", "train/red/a blue one.bmp": "other class"}
    words = {row["file"]: row["words"] for row in report["rows"]}
    assert words["train/red/000.png"] == "is the same picture as test/red/000.png"
    assert words["train/red/a blue one.bmp"] == "is the same picture as train/blue/005.png, which is of the class blue"
    assert report["test_n"] == 6
    assert importing.add(tmp_path / "set", "b", dataclasses.replace(SMALL, same=True))["left_out_n"] == 0


def test_classes_without_pictures_are_left_out(source):
    (source / "empty").mkdir()
    (source / "words").mkdir()
    (source / "words" / "a.txt").write_text("a")
    report = importing.add(source, "a", SMALL)
    assert reasons(report) == {"empty": "empty class", "words": "empty class", "words/a.txt": "no picture"}
    assert imported.card("a")["classes"] == ["blue", "red"] and set(read("a", "train")[1]) == {0, 1}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "There is no folder and no zip file"),
        (lambda p: p.mkdir(), "holds 0 folders; it should hold one for each class"),
        (lambda p: [p.mkdir(), noise(1).save(p / "a.png"), noise(2).save(p / "b.png")], "2 files lie in it side by side"),
        (lambda p: good(p, ("only",)), "holds 1 folders"),
        (lambda p: good(p, ("Cat", "cat")), "'Cat' and 'cat' differ only in capitals"),
        (lambda p: good(p, each=0), "pictures of 0 classes that could be taken"),
        (lambda p: [good(p, each=0), (p / "red" / "a.png").write_text("x")], "1 left out as no picture, as red/a.png cannot be read"),
        (lambda p: [good(p, each=0), noise(1).save(p / "red" / "a.png"), noise(2).save(p / "blue" / "a.png")], "too few to keep some"),
        (lambda p: p.symlink_to(p), "There is no folder and no zip file"),
    ],
)
def test_a_source_that_is_no_set_is_told_and_nothing_stays(tmp_path, home, make, words):
    make(tmp_path / "set")
    with pytest.raises(DataError, match=words):
        importing.add(tmp_path / "set", "a", SMALL)
    assert imported.names() == imported.unfinished() == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size": 31}, "from 32 to 384"), ({"image_size": 385}, "at most 384"), ({"test_share": 0.0}, "above 0"),
        ({"crop": 0.0}, "at least 0.1"), ({"normalise": "half"}, "one of auto, own, imagenet"), ({"seed": "a"}, "type int"),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_told(values, words):
    with pytest.raises(DataError, match=words):
        importing.Import(**values)


@pytest.mark.parametrize(("side", "size"), [((40, 90), 32), ((100, 130), 96), ((300, 300), 224), ((10, 10), 32)])
def test_the_size_suits_the_pictures_if_none_is_asked_for(tmp_path, home, side, size):
    good(tmp_path / "set", each=4, size=side)
    assert importing.add(tmp_path / "set", "a", importing.Import(smallest=1))["image_size"] == size


def test_names_come_from_titles(source):
    assert [importing.name_of(t) for t in ("My Set!", "Ünïcode", "../../etc", "CON", "x")] == ["my-set", "unicode", "etc", "con", "x"]
    assert importing.name_of("猫") == importing.name_of(" 猫 ") != importing.name_of("犬")
    with pytest.raises(DataError, match="has no name"):
        importing.name_of(" \n")
    assert importing.add(source, "", SMALL)["name"] == "set"


# ---- the same name, other pictures, other sizes


def test_another_set_of_the_same_name_is_refused_and_the_same_one_is_told_again(source, tmp_path):
    first = importing.add(source, "a", SMALL)
    made = (imported.root() / "a" / "card.json").stat().st_mtime_ns
    assert importing.add(source, "a", SMALL) == first and (imported.root() / "a" / "card.json").stat().st_mtime_ns == made
    with pytest.raises(DataError, match=r"There is a set 'a' already\. .* python -m core data remove a"):
        importing.add(source, "a", importing.Import(image_size=64))
    noise(5).save(source / "red" / "new.png")
    with pytest.raises(DataError, match="There is a set 'a' already"):
        importing.add(source, "a", SMALL)


def test_the_digest_in_the_id_is_of_the_content(source, monkeypatch):
    first = importing.add(source, "a", SMALL)["id"]
    run = Run(arch="c-c", data=first, recipe={})
    imported.remove("a")
    assert importing.add(source, "a", SMALL)["id"] == first
    imported.remove("a")
    noise(5).save(source / "red" / "000.png")
    second = importing.add(source, "a", SMALL)["id"]
    assert second != first and dataclasses.replace(run, data=second).id != run.id
    with pytest.raises(DataError, match="holds other pictures than"):
        imported.spec_of(first)
    assert imported.spec_of("own:a").id == imported.spec_of(second).id == second
    assert imported.title(first) == "a" and imported.title("own:gone@12") == "gone"


@pytest.mark.parametrize("id", ["own:", "own:none", "own:none@12345678", "own:../../a", "own:.a.part"])
def test_no_such_set(source, id):
    importing.add(source, "a", SMALL)
    with pytest.raises(DataError, match=r"There is no set of your own .*Known: own:a"):
        imported.spec_of(id)
    for ask in (imported.card, imported.report, imported.remove):
        with pytest.raises(DataError, match="There is no set of your own"):
            ask(id.removeprefix("own:"))


def test_other_sizes_are_made_once_and_go_with_the_set(source):
    importing.add(source, "a", SMALL)
    assert imported.prepared("own:a", "train", 32) and not imported.prepared("own:a", "train", 48)
    pixels, labels, name = read("a", "train", 48)
    assert (pixels == dataset.resize(read("a", "train")[0], 48)).all() and name == dataset.digest(pixels, labels)
    read("a", "test", 48)
    assert imported.prepared("own:a", "train", 48) and imported.prepared("own:a", "test", 48)
    imported.remove("a")
    assert list(imported.root().iterdir()) == []


def test_large_sets_are_memory_mapped(source, monkeypatch):
    importing.add(source, "a", SMALL)
    monkeypatch.setattr(prepare, "MEMORY_LIMIT", 1000)
    assert isinstance(read("a", "train")[0], np.memmap)


def test_damage_is_told(source):
    importing.add(source, "a", SMALL)
    (imported.root() / "a" / "train" / "pixels.npy").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):
        read("a", "train")
    (imported.root() / "a" / "card.json").write_text("{")
    with pytest.raises(DataError, match="The set a is damaged"):
        imported.spec_of("own:a")


# ---- stopped, killed, resumed


class Stop(Exception):
    """The wish to stop, as a job's progress raises it."""


@pytest.fixture
def shards(monkeypatch):
    """Shards of sixteen pictures; the numbers of those decoded."""
    decoded = []
    monkeypatch.setattr(intake, "SHARD_BYTES", 1)
    one = intake._one
    monkeypatch.setattr(intake, "_one", lambda get, item, *a: decoded.append(item.path) or one(get, item, *a))
    return decoded


def test_a_stopped_import_is_no_set_and_goes_on_where_it_was(tmp_path, home, shards):
    source = good(tmp_path / "set", each=40)

    def stop(done, of, words):
        if done >= 48:
            raise Stop

    with pytest.raises(Stop):
        importing.add(source, "a", SMALL, stop)
    assert imported.names() == [] and imported.unfinished() == ["a"] and len(shards) == 48
    with pytest.raises(DataError, match="There is no set"):
        imported.spec_of("own:a")
    report = importing.add(source, "a", SMALL)
    assert len(shards) == 80 == len(set(shards)) and imported.unfinished() == []
    assert importing.add(source, "b", SMALL)["classes"] == report["classes"]
    assert imported.card("b")["content"] == imported.card("a")["content"]


def test_stopped_while_it_is_put_together_or_moved(tmp_path, home, shards, monkeypatch):
    source = good(tmp_path / "set", each=20)

    def stop(done, of, words):
        if "together" in words:
            raise Stop

    with pytest.raises(Stop):
        importing.add(source, "a", SMALL, stop)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(intake, "assemble", lambda *a: (_ for _ in ()).throw(Stop))
        importing.add(source, "a", SMALL)
    importing.add(source, "a", SMALL)
    assert len(shards) == 40 and imported.names() == ["a"]


def test_a_source_or_settings_that_changed_begin_anew(tmp_path, home, shards):
    source = good(tmp_path / "set", each=20)

    def stop(done, of, words):
        if done >= 32:
            raise Stop

    for settings in (SMALL, SMALL, importing.Import(image_size=48)):
        with pytest.raises(Stop):
            importing.add(source, "a", settings, stop)
    assert len(shards) == 64
    noise(3).save(source / "red" / "001.png")
    importing.add(source, "a", importing.Import(image_size=48))
    assert len(shards) == 104


def test_an_unfinished_import_can_be_dropped_but_not_while_it_works(tmp_path, home, shards):
    source = good(tmp_path / "set", each=20)

    def meddle(done, of, words):
        if done:
            with pytest.raises(DataError, match="being imported already"):
                importing.add(source, "a", SMALL)
            with pytest.raises(DataError, match="being imported now"):
                imported.remove("a")
            raise Stop

    with pytest.raises(Stop):
        importing.add(source, "a", SMALL, meddle)
    assert imported.remove("a") == [] and list(imported.root().iterdir()) == []


def test_a_killed_import_leaves_no_set_and_goes_on(tmp_path, home, shards):
    """The process is killed by its own hand in the middle, as no code of ours could prepare for."""
    source = good(tmp_path / "set", each=40)
    work = (
        "import os, signal\nfrom core.data import importing, intake\nintake.SHARD_BYTES = 1\n"
        "def kill(done, of, words):\n    if done >= 48: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"importing.add({str(source)!r}, 'a', importing.Import(image_size=32), kill)\n"
    )
    ended = subprocess.run([sys.executable, "-c", work], cwd=CHECKOUT, timeout=60, check=False)
    assert ended.returncode == -9 and imported.names() == [] and imported.unfinished() == ["a"]
    assert len(list((imported.root() / ".a.part" / "shards").glob("*.npz"))) == 3
    assert importing.add(source, "a", SMALL)["train_n"] == 64 and len(shards) == 32


def test_a_full_disk_is_told_before_work_begins(source, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(intake.shutil, "disk_usage", lambda path: usage._replace(free=256 << 20))
    with pytest.raises(DataError, match=r"MB free\. Take a smaller size"):
        importing.add(source, "a", SMALL)
    assert imported.unfinished() == []


def test_an_upload_is_deleted_once_it_is_taken_in(source, home):
    imported.inbox().mkdir(parents=True)
    packed = shutil.make_archive(str(imported.inbox() / "upload"), "zip", source)
    importing.add(packed, "a", SMALL)
    assert not os.path.exists(packed) and imported.names() == ["a"]
    assert importing.add(packed, "a", SMALL)["name"] == "a"  # a job that begins again after its last step


# ---- removal


def test_a_set_that_runs_use_is_removed_only_by_force(source, monkeypatch):
    monkeypatch.setattr(wake, "ensure", lambda: None)
    id = importing.add(source, "a", SMALL)["id"]
    importing.add(source, "ab", SMALL)
    run = Run(arch="c-c", data=id, recipe={}, classes=2)
    store.create(run)
    waiting = jobs.submit("train", {"run": dataclasses.replace(run, seed=1).to_json(), "device": "cpu"})
    with pytest.raises(DataError, match=f"The set a is used by {run.id}, {waiting.id}, which"):
        imported.remove("a")
    assert imported.names() == ["a", "ab"] and imported.users("ab") == []
    assert imported.remove("ab") == []
    assert imported.remove("a", force=True) == [run.id, waiting.id] and imported.names() == []


def test_neither_torch_nor_pandas_is_needed(source):
    """What pages call runs in a process that has to stay light."""
    work = (
        f"import sys\nfrom core.data import imported, importing\nimporting.add({str(source)!r}, 'a')\n"
        "imported.report('a'), imported.spec_of('own:a'), imported.read('own:a', 'test', 40), imported.users('a'), imported.remove('a')\n"
        "assert not {'torch', 'timm', 'torchvision', 'streamlit', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", work], cwd=CHECKOUT, timeout=60, check=True)
