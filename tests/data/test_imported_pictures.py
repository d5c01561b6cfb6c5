"""Pictures of every kind: what is left out with which words, and what becomes of the odd ones that are taken."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.data import imported, importing, picture
from tests.data.bad_pictures import FILES, bad, encoded, good, noise


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The report's rows of a set with every bad file in it, by file."""
    folder = tmp_path_factory.mktemp("bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALTERLAB_HOME", str(folder / "home"))
        source = good(folder / "set")
        wanted = bad(source / "red")
        found = importing.add(source, "bad", importing.Import(image_size=32))
        assert imported.names() == ["bad"] and imported.unfinished() == []
    assert (found["train_n"], found["test_n"]) == (16, 4) and found["left_out_n"] == len(wanted)
    assert sum(found["left_out"].values()) == len(wanted)
    return wanted, {row["file"]: row for row in found["rows"] if row["outcome"] == "left out"}


@pytest.mark.parametrize("name", [*FILES, "heavy.png", "nowhere.png", "itself.png", "out.png", "circle", "pipe.png"])
def test_each_kind_of_bad_file_is_left_out_with_its_reason(rows, name):
    wanted, found = rows
    name = {"1/2/3/4/5/6/7/8/9/10/deep.png": "1/2/3/4/5/6/7/8/9/10", "__MACOSX/._a.png": "__MACOSX"}.get(name, name)
    reason, words = wanted[name]
    row = found[f"red/{name}"]
    assert row["reason"] == reason and words in row["words"], row
    assert "Traceback" not in row["words"] and "/tmp" not in row["words"].partition("out of")[0]


def read(content, name="a.png", size=32, **how):
    return picture.read(io.BytesIO(content), name, size, **how)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_stand_upright_as_their_exif_says(turn, kind):
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encoded(noise(1, (40, 64)), kind, exif=exif)
    with Image.open(io.BytesIO(content)) as raw:
        upright = ImageOps.exif_transpose(raw)
        wanted = np.asarray(ImageOps.fit(upright, (40, 40), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    found = read(content, f"a.{kind.lower()}", 40)
    assert (found.square == wanted).all()
    assert (found.width, found.height) == upright.size == ((64, 40) if turn < 5 else (40, 64))


@pytest.mark.parametrize(
    ("content", "name", "note", "colour"),
    [
        (encoded(Image.new("L", (40, 40), 77)), "a.png", "grey", (77, 77, 77)),
        (encoded(Image.new("1", (40, 40), 1)), "a.png", "grey", (255, 255, 255)),
        (encoded(Image.new("LA", (40, 40), (80, 0))), "a.png", "alpha", (255, 255, 255)),
        (encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "TIFF"), "a.tif", "cmyk", (255, 0, 0)),
        (encoded(Image.new("RGB", (40, 40), (10, 200, 30)).quantize(4)), "a.png", "palette", (10, 200, 30)),
        (encoded(Image.new("RGBA", (40, 40), (9, 9, 9, 0))), "a.png", "alpha", (255, 255, 255)),
        (encoded(Image.fromarray(np.full((40, 40), 30_000, np.uint16))), "a.png", "deep", (117, 117, 117)),
        (encoded(Image.new("RGB", (40, 40), (1, 2, 3)), "BMP"), "a.png", "ending", (1, 2, 3)),
        (encoded(Image.new("RGB", (40, 40), (1, 2, 3)), "BMP"), "a", "ending", (1, 2, 3)),
        (encoded(Image.new("RGB", (20, 20), (1, 2, 3))), "a.png", "enlarged", (1, 2, 3)),
        (
            encoded(Image.new("RGB", (40, 40), (9, 9, 9)), "GIF", save_all=True, append_images=[Image.new("RGB", (40, 40), (200, 0, 0))]),
            "a.gif", "animated", (9, 9, 9),
        ),
        (
            encoded(Image.new("RGB", (40, 40), (9, 9, 9)), "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 40), (200, 0, 0))]),
            "a.tiff", "animated", (9, 9, 9),
        ),
    ],
)  # fmt: skip
def test_odd_pictures_are_taken_and_noted(content, name, note, colour):
    found = read(content, name)
    assert note in found.notes and set(found.notes) <= set(picture.NOTES)
    assert (found.square == np.array(colour)[:, None, None]).all()


def test_an_ordinary_picture_is_taken_without_a_word():
    assert read(encoded(noise(1))).notes == () and read(encoded(noise(1), "JPEG"), "a.JPG").notes == ()
    opaque = noise(1)
    opaque.putalpha(255)
    assert read(encoded(opaque)).notes == () and (read(encoded(opaque)).square == read(encoded(noise(1))).square).all()


def test_the_middle_share_of_a_picture_is_cut_out():
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[10:30, 30:50] = (10, 200, 30)
    content = encoded(Image.fromarray(wide))
    assert (read(content, size=20, crop=0.5).square == np.array([10, 200, 30])[:, None, None]).all()
    assert (read(content, size=20).square[:, 0] == 0).all()


def test_a_large_jpeg_is_read_smaller_and_its_own_size_is_told():
    found = read(encoded(noise(1, (300, 400)), "JPEG"), "a.jpg")
    assert (found.width, found.height) == (400, 300) and found.square.shape == (3, 32, 32)
