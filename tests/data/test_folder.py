"""Folders of pictures: splits, order, and nothing that a hostile folder can do."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core import data
from core.data import folder, prepare
from core.data import picture as picture_file
from core.errors import DataError


def picture(path, colour, size=(20, 14)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def plain(tmp_path, home):
    """Ten red and twenty blue pictures, in two class folders."""
    for i in range(10):
        picture(tmp_path / "set" / "red" / f"{i}.png", (200 + i, 0, 0))
    for i in range(20):
        picture(tmp_path / "set" / "blue" / "deeper" / f"{i:02}.png", (0, 0, 200 + i))
    return tmp_path / "set"


def read(path, split, size=16):
    return data.load(f"folder:{path}", split, size)


def test_a_fifth_of_every_class_is_for_testing(plain):
    train, test = read(plain, "train"), read(plain, "test")
    assert train.spec.classes == ("blue", "red") and (train.spec.train_n, train.spec.test_n) == (24, 6)
    assert np.bincount(train.labels).tolist() == [16, 8] and np.bincount(test.labels).tolist() == [4, 2]
    every = np.concatenate([images.pixels.reshape(len(images), 3, -1).max((1, 2)) for images in (train, test)])
    assert len(every) == 30 and set(every) == {*range(200, 220)}
    assert (train.pixels[train.labels == 1, 0] >= 200).all() and (train.pixels[train.labels == 0, 0] == 0).all()


def test_same_folder_same_digest_and_a_change_is_seen(plain):
    before = read(plain, "train")
    assert data.prepared(f"folder:{plain}", "train", 16) and not data.prepared(f"folder:{plain}", "train", 24)
    assert read(plain, "train").digest == before.digest
    for path in plain.rglob("*.png"):
        picture(path, (9, 9, 9))
    assert read(plain, "train").digest != before.digest
    kept = [p for p in (prepare.home() / "data" / "prepared").glob("*/*") if p.is_dir()]
    assert len(kept) == 1  # what was decoded before is gone


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_split_folders_are_taken_as_they_are(tmp_path, home, held_out):
    for split, n in (("train", 3), (held_out, 2)):
        for name in ("a", "b"):
            for i in range(n):
                picture(tmp_path / split / name / f"{i}.png", (i, 0, 0))
    assert len(read(tmp_path, "train")) == 6 and len(read(tmp_path, "test")) == 4
    picture(tmp_path / held_out / "c" / "0.png", (0, 0, 0))
    with pytest.raises(DataError, match="the class 'c'"):
        data.get(f"folder:{tmp_path}")


def test_pictures_are_cut_to_the_middle_square(tmp_path, home):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (10, 200, 30)
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    assert (folder.decode(tmp_path / "a" / "wide.png", 20) == np.array([10, 200, 30])[:, None, None]).all()


def test_large_sets_are_memory_mapped(plain, monkeypatch):
    monkeypatch.setattr(prepare, "MEMORY_LIMIT", 1000)
    images = read(plain, "train")
    assert isinstance(images.pixels, np.memmap) and not images.pixels.flags.writeable


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_broken_picture_is_named(plain, content):
    broken = plain / "red" / "broken.png"
    broken.write_bytes(content)
    with pytest.raises(DataError, match=r"red/broken\.png cannot be read"):
        for split in ("train", "test"):
            read(plain, split)


def test_a_cut_off_picture_is_named(plain):
    path = plain / "red" / "0.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match=r"0\.png cannot be read"):
        folder.decode(path, 16)


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bomb = tmp_path / "bomb.png"
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9_000, 9_000, 8, 2, 0, 0, 0))
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"bomb\.png is 9000 x 9000"):
        folder.decode(bomb, 16)


def test_a_huge_file_is_not_opened(tmp_path):
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(picture_file.MOST_BYTES + 1)
    with pytest.raises(DataError, match=r"large\.png has 256 MB"):
        folder.decode(large, 16)


def test_links_out_of_the_folder_are_refused(plain, tmp_path):
    picture(tmp_path / "secret.png", (1, 2, 3))
    (plain / "red" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"red/link\.png is a link"):
        data.get(f"folder:{plain}")


def test_a_link_in_a_circle_ends(plain):
    (plain / "red" / "again").symlink_to(plain)
    with pytest.raises(DataError, match="red/again is a link"):
        data.get(f"folder:{plain}")


@pytest.mark.parametrize("target", ["again.png", "other.png", "gone.png"])
def test_links_that_lead_nowhere_are_refused(plain, target):
    """To itself, to one another, to nothing."""
    (plain / "red" / "again.png").symlink_to(target)
    if target == "other.png":
        (plain / "red" / "other.png").symlink_to("again.png")
    with pytest.raises(DataError, match=r"red/again\.png cannot be read: it is a link that ends nowhere"):
        data.get(f"folder:{plain}")
    (plain / "again").symlink_to("again")
    with pytest.raises(DataError, match=r"again cannot be read"):
        data.get(f"folder:{plain}")


def test_the_title_is_told_without_looking(plain, monkeypatch):
    monkeypatch.setattr(folder, "listing", lambda path: pytest.fail("the folder was listed"))
    assert data.title(f"folder:{plain}") == "set"
    assert data.title("folder:/moved/away/") == "away" and data.title("folder:/") == "folder:/"
    assert data.title("fashion") == "Fashion"
    with pytest.raises(DataError, match="no-such-set"):
        data.title("no-such-set")


def test_the_title_is_the_one_of_the_card(plain):
    assert data.title(f"folder:{plain}") == data.get(f"folder:{plain}").title


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "holds 0 folders"),
        (lambda p: picture(p / "only" / "0.png", (0, 0, 0)), "holds 1 folders"),
        (lambda p: [(p / n).mkdir() for n in "ab"], "holds no pictures"),
        (lambda p: [picture(p / n / "0.png", (0, 0, 0)) for n in "ab"], "too few"),
    ],
)
def test_a_folder_laid_out_wrongly_is_told(tmp_path, make, words):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    with pytest.raises(DataError, match=words):
        data.get(f"folder:{tmp_path / 'set'}")


@pytest.mark.parametrize("id", ["folder:relative/path", "folder:/there/is/none", "folder:"])
def test_no_such_folder(id):
    with pytest.raises(DataError, match="There is no folder"):
        data.get(id)
