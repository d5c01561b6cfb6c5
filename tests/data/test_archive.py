"""Zip files of pictures: nothing in one leads out of it, blows up, or stops the rest from being read."""

import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from core.data import archive, imported, importing
from core.errors import DataError
from tests.data.bad_pictures import FILES, encoded, good, noise

SMALL = importing.Import(image_size=32)


def pack(path, extra=(), top="", each=5):
    """A zip of two classes, with more entries as (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for label, name in enumerate(("blue", "red")):
            packed.writestr(f"{top}{name}/", b"")
            for i in range(each):
                packed.writestr(f"{top}{name}/{i}.png", encoded(noise(100 * label + i)))
        for name, content in extra:
            packed.writestr(name, content)
    return path


def info(name, mode=0, **more):
    found = zipfile.ZipInfo(name)
    found.filename = found.orig_filename = name  # zipfile would mend some names
    found.external_attr = mode << 16
    for key, value in more.items():
        setattr(found, key, value)
    return found


def left(report):
    return {row["file"]: (row["reason"], row["words"]) for row in report["rows"] if row["outcome"] == "left out"}


def test_a_zip_gives_the_same_set_as_its_folder(tmp_path, home):
    source = good(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        for path in sorted(source.rglob("*.png"), reverse=True):
            packed.write(path, f"some folder/{path.relative_to(source)}")
    a, b = (importing.add(tmp_path / name, title, SMALL) for name, title in (("set", "a"), ("set.zip", "b")))
    one, two = imported.card("a"), imported.card("b")
    assert one["content"] == two["content"] and a["rows"] == b["rows"] == [] and one["classes"] == ["blue", "red"]
    assert sorted(p.name for p in (home / "data" / "own" / "a").iterdir()) == [
        "card.json", "files.json", "report.json", "test", "train",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../../out.png", "/etc/out.png", "C:/out.png", "red/../../out.png", "..\\out.png", "red//out.png"])
def test_a_path_that_leads_out_leads_nowhere(tmp_path, home, name):
    found = importing.add(pack(tmp_path / "set.zip", [(info(name), encoded(noise(1)))]), "a", SMALL)
    assert left(found) == {name.replace("\\", "/"): ("unsafe path", "has a path that leads out of the archive")}
    assert not list(tmp_path.rglob("out.png")) and found["train_n"] + found["test_n"] == 10


def test_entries_that_are_no_files_or_not_to_be_opened_are_left_out(tmp_path, home):
    twice = "red/0.png"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(tmp_path / "set.zip", [
            (info("red/link.png", stat.S_IFLNK | 0o777), b"/etc/passwd"),
            (info("red/pipe.png", stat.S_IFIFO | 0o666), b""),
            ("red/more.zip", FILES["more.zip"][0]),
            ("red/more.tgz", b"\x1f\x8b"),
            ("__MACOSX/red/._0.png", b"\0\5\26\7"),
            ("red/.DS_Store", b"\0"),
            ("notes.txt", b"words"),
            (twice, encoded(noise(999))),
        ])  # fmt: skip
    found = left(importing.add(path, "a", SMALL))
    assert {name: reason for name, (reason, _) in found.items()} == {
        "red/link.png": "link", "red/pipe.png": "no file", "red/more.zip": "archive", "red/more.tgz": "archive",
        "__MACOSX/red/._0.png": "hidden", "red/.DS_Store": "hidden", "notes.txt": "stray", "red/0.png": "twice",
    }  # fmt: skip


def test_bombs_are_not_unpacked(tmp_path, home):
    bomb, heavy = bytes(30 << 20), np.random.default_rng(0).integers(0, 256, archive.MOST_FILE + 1, np.uint8).tobytes()
    path = pack(tmp_path / "set.zip", [("red/bomb.png", bomb), (info("red/heavy.png"), heavy)])
    assert path.stat().st_size < len(heavy) + (1 << 20)
    del bomb, heavy
    tracemalloc.start()
    found = left(importing.add(path, "a", SMALL))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["red/bomb.png"][0] == "bomb" and "times its size" in found["red/bomb.png"][1]
    assert found["red/heavy.png"] == ("heavy", "has 32 MB; pictures in a zip file are read up to 32 MB") and peak < 20 << 20


def test_a_file_that_lies_about_its_size_is_read_no_further(tmp_path, home):
    """The list at the end says 40 bytes; what is packed there is far more."""
    path = pack(tmp_path / "set.zip", [("red/liar.png", encoded(noise(5)))])
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"red/liar.png") - 46
    struct.pack_into("<I", whole, at + 24, 40)
    path.write_bytes(whole)
    reason, words = left(importing.add(path, "a", SMALL))["red/liar.png"]
    assert reason in ("broken", "cut off", "no picture") and "cannot be read" in words


def test_damage_inside_costs_one_picture(tmp_path, home):
    path = pack(tmp_path / "set.zip", [("red/last.png", encoded(noise(5)))])
    whole = bytearray(path.read_bytes())
    at = whole.index(b"red/last.png") + 400
    whole[at : at + 50] = bytes(50)
    path.write_bytes(whole)
    reason, words = left(importing.add(path, "a", SMALL))["red/last.png"]
    assert reason == "broken" and "the archive is damaged there" in words


def test_files_that_overlap_are_not_read(tmp_path, home):
    """The list names one packed file a second time under another name, as the smallest bombs do."""
    path = pack(tmp_path / "set.zip", [("red/aaaa.png", encoded(noise(5))), ("red/bbbb.png", encoded(noise(6)))])
    whole = bytearray(path.read_bytes())
    first, second = whole.rindex(b"red/aaaa.png") - 46, whole.rindex(b"red/bbbb.png") - 46
    whole[second + 42 : second + 46] = whole[first + 42 : first + 46]
    path.write_bytes(whole)
    assert left(importing.add(path, "a", SMALL))["red/bbbb.png"][0] == "broken"


def test_locked_and_oddly_packed_files_are_left_out(tmp_path, home):
    path = pack(tmp_path / "set.zip", [("red/locked.png", encoded(noise(5))), ("red/odd.png", encoded(noise(6)))])
    whole = bytearray(path.read_bytes())
    struct.pack_into("<H", whole, whole.rindex(b"red/locked.png") - 46 + 8, 1)
    for at, field in ((whole.index(b"red/odd.png") - 30, 8), (whole.rindex(b"red/odd.png") - 46, 10)):
        struct.pack_into("<H", whole, at + field, 97)
    path.write_bytes(whole)
    found = left(importing.add(path, "a", SMALL))
    assert found["red/locked.png"] == ("locked", "is locked with a password")
    assert found["red/odd.png"] == ("broken", "is packed in a way that is not read; pack it again")


def test_what_is_no_zip_file_is_told(tmp_path, home):
    whole = pack(tmp_path / "whole.zip").read_bytes()
    for name, content in (("cut.zip", whole[:-200]), ("empty.zip", b""), ("words.zip", b"no archive" * 9), ("garbled.zip", whole[-22:])):
        (tmp_path / name).write_bytes(content)
    later = bytearray(whole)
    struct.pack_into("<H", later, later.index(b"PK\x01\x02") + 6, 99)  # "needs zip 9.9 to be read"
    (tmp_path / "later.zip").write_bytes(later)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "whole.zip", "x")
    for name in ("cut.zip", "empty.zip", "words.zip", "set.tar.gz", "garbled.zip", "later.zip"):
        with pytest.raises(DataError, match=r"is no zip file|cannot be opened as a zip file"):
            importing.add(tmp_path / name, "a", SMALL)
    assert imported.names() == imported.unfinished() == []


def test_too_much_in_all_is_refused_before_anything_is_read(tmp_path, home, monkeypatch):
    path = pack(tmp_path / "set.zip")
    monkeypatch.setattr(archive, "MOST_TOTAL", 10_000)
    with pytest.raises(DataError, match="would unpack to"):
        importing.add(path, "a", SMALL)
    monkeypatch.setattr(archive, "MOST_DIRECTORY", 300)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a: pytest.fail("the list of files was read"))
    with pytest.raises(DataError, match="lists more files"):
        importing.add(path, "a", SMALL)


def test_names_in_any_script_and_none_at_all(tmp_path, home):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for label, name in enumerate(("Bären", "猫", "cafe\u0301")):
            for i in range(5):
                packed.writestr(f"{name}/{i} ☃.png", encoded(noise(10 * label + i)))
        packed.writestr("猫/\u202egnp.exe", b"x")
    found = importing.add(path, "Ünïcode 猫", SMALL)
    assert [row["class"] for row in found["classes"]] == ["Bären", "caf\u00e9", "猫"]
    assert found["title"] == "Ünïcode 猫" and found["name"] == "unicode" and list(left(found)) == ["猫/�gnp.exe"]


@pytest.mark.skipif(os.name != "posix", reason="names of bytes are POSIX's")
def test_a_file_whose_name_is_no_text_is_taken(tmp_path, home):
    source = good(tmp_path / "set")
    os.rename(os.fsencode(source / "red" / "000.png"), os.fsencode(source) + b"/red/\xff\xfe.png")
    found = importing.add(source, "a", SMALL)
    assert found["train_n"] + found["test_n"] == 20
    assert any("�" in file for split in ("train", "test") for file, *_ in imported.files("a", split))
