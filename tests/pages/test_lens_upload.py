"""Pictures of the reader's own: what is taken and how, and every file that is refused in a plain sentence."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.errors import DataError
from pages.ui import lens_upload


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(width: int = 64, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Black above, white below."""
    image = Image.new(mode, (width, height), 0)
    image.paste(Image.new(mode, (width, height // 2), "white"), (0, height - height // 2))
    return image


def edges(pixels: np.ndarray) -> dict[str, float]:
    """How bright the outer quarters of an image are."""
    plane = pixels[0].astype(float)
    part = plane.shape[0] // 4
    return {"top": plane[:part].mean(), "bottom": plane[-part:].mean(), "left": plane[:, :part].mean(), "right": plane[:, -part:].mean()}


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that says it is so large, with next to nothing inside."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body or zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_format_is_read_at_the_nets_size_and_colours(kind: str, channels: int) -> None:
    seen = lens_upload.read(saved(halves(), kind), 32, channels)
    assert seen.dtype == np.uint8 and seen.shape == (channels, 32, 32)
    found = edges(seen)
    assert found["top"] < 12 and found["bottom"] > 243
    assert abs(found["left"] - 128) < 8


def test_the_middle_square_is_taken() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste(Image.new("RGB", (100, 100), (0, 255, 0)), (100, 0))
    assert (lens_upload.read(saved(wide), 32, 3) == np.array([0, 255, 0], np.uint8).reshape(3, 1, 1)).all()
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    assert (lens_upload.read(saved(tall), 32, 3)[1] == 255).all()


@pytest.mark.parametrize(
    ("turn", "bright"),
    [(1, "bottom"), (2, "bottom"), (3, "top"), (4, "top"), (5, "right"), (6, "left"), (7, "left"), (8, "right")],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_cameras_turn_is_undone(turn: int, bright: str, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    found = edges(lens_upload.read(saved(halves(80, 64), kind, exif=exif), 32, 1))
    assert max(found, key=lambda edge: found[edge]) == bright and found[bright] > 230


def test_grey_is_grey_and_pixels_at_size_stay_as_they_are() -> None:
    values = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    assert np.array_equal(lens_upload.read(saved(Image.fromarray(values)), 32, 1)[0], values)
    assert np.array_equal(lens_upload.read(saved(Image.fromarray(values)), 32, 3), np.stack([values] * 3))


def test_16_bits_are_scaled_and_not_cut_off() -> None:
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    seen = lens_upload.read(saved(Image.fromarray(values)), 32, 1)[0]
    assert np.abs(seen - values / 257).max() <= 0.5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_black(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 64, 32))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    found = edges(lens_upload.read(saved(image), 32, 1))
    assert found["top"] > 243 and found["bottom"] < 12


def test_of_an_animation_the_first_frame_is_taken() -> None:
    first, second = halves(), halves().transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    for kind in ("GIF", "WEBP"):
        found = edges(lens_upload.read(saved(first, kind, save_all=True, append_images=[second] * 3), 32, 1))
        assert found["bottom"] > 240 and found["top"] < 15


@pytest.mark.parametrize("mode", ["CMYK", "1", "L", "P", "YCbCr"])
def test_other_colour_modes_are_read(mode: str) -> None:
    kind = "PNG" if mode in ("1", "L", "P") else "JPEG"
    found = edges(lens_upload.read(saved(halves().convert(mode), kind), 32, 3))
    assert found["top"] < 20 and found["bottom"] > 235


FILES = {
    "nothing": (b"", "The file is empty"),
    "text": (b"hello, this is no picture" * 20, "not a picture that the lab can read"),
    "html": (b"<html><script>alert(1)</script></html>", "not a picture that the lab can read"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>', "not a picture that the lab can read"),
    "tiff": (saved(halves(), "TIFF"), "not a picture that the lab can read"),
    "bmp": (saved(halves(), "BMP"), "not a picture that the lab can read"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture that the lab can read"),
    "pickle": (b"\x80\x04\x95" + b"\0" * 64, "not a picture that the lab can read"),
    "large PNG": (png(5_001, 5_000), "too many pixels; at most 25 million"),
    "huge PNG": (png(30_000, 30_000), "too many pixels; at most 25 million"),
    "huge JPEG": (saved(Image.new("L", (64, 64)), "JPEG").replace(b"\x00\x40\x00\x40", b"\xff\xf0\xff\xf0", 1), "too many pixels"),
    "thin": (saved(Image.new("L", (4000, 3))), "4000 x 3 pixels; each side should have at least 8"),
    "cut PNG": (saved(Image.effect_noise((64, 64), 60))[:900], "damaged|not a picture"),
    "cut JPEG": (saved(Image.effect_noise((256, 256), 60), "JPEG")[:4000], "damaged"),
    "cut WEBP": (saved(Image.effect_noise((128, 128), 60), "WEBP")[:300], "damaged|not a picture"),
    "cut GIF": (saved(Image.effect_noise((128, 128), 60), "GIF")[:1000], "damaged"),
    "empty PNG": (png(64, 64), "damaged"),
    "head only": (b"\x89PNG\r\n\x1a\n", "damaged|not a picture"),
    "too long": (b"\x89PNG\r\n\x1a\n" + b"\0" * lens_upload.MOST_BYTES, r"10\.0 MB; a picture may have 10 MB"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_good_is_refused_in_a_sentence(name: str) -> None:
    content, why = FILES[name]
    with pytest.raises(DataError, match=why) as caught:
        lens_upload.read(content, 32, 1)
    said = str(caught.value)
    assert said.endswith(".") and "Error" not in said and "object at" not in said and len(said) < 160


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A real one: 25,000 x 25,000 white pixels in under a megabyte."""
    bomb = png(25_000, 25_000, zlib.compress(b"\0" * 75_001 * 200, 9))
    tracemalloc.start()
    with pytest.raises(DataError, match="too many pixels"):
        lens_upload.read(bomb, 32, 3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


def test_a_chunk_that_unpacks_into_gigabytes_is_refused() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b" * 40_000_000, zip=True)
    content = saved(halves(), pnginfo=info)
    assert len(content) < 200_000
    try:
        assert lens_upload.read(content, 32, 1).shape == (1, 32, 32)
    except DataError as error:
        assert "damaged" in str(error)


def test_bytes_changed_at_random_are_read_or_refused() -> None:
    rng = np.random.default_rng(5)
    sources = [saved(halves(48, 40), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")]
    refused = 0
    for turn in range(240):
        content = bytearray(sources[turn % 4])
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(0, 256)
        try:
            assert lens_upload.read(bytes(content), 32, 3).shape == (3, 32, 32)
        except DataError:
            refused += 1
    assert 0 < refused < 240
