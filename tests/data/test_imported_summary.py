"""What a set looks like: counts, colours, and a spectrum with answers known without it."""

import io

import numpy as np
import pytest
from PIL import Image

from core import data
from core.data import summary
from core.data.dataset import Images
from core.errors import DataError
from tests.data.bad_pictures import good


def made(pixels):
    pixels = np.asarray(pixels, np.uint8)
    return Images(pixels=pixels, labels=np.zeros(len(pixels), np.int64), spec=data.get("fashion"), split="train", digest="")


def test_a_wave_stands_in_the_spectrum_at_its_frequency():
    """128 + 100 cos(2π 5 x / 32): amplitude 50 at five cycles to the right and to the left, of 255, and the mean at zero."""
    wave = np.rint(128 + 100 * np.cos(2 * np.pi * 5 * np.arange(32) / 32))
    rows = summary.mean_spectrum(made(np.broadcast_to(wave, (3, 1, 32, 32))), np.arange(3))
    assert [row["frequency"] for row in rows] == [k / 16 for k in range(17)]
    values = np.array([row["log_amplitude"] for row in rows])
    assert values[0] == pytest.approx(np.log(wave.mean() / 255)) and values[5] > max(values[4], values[6]) + 0.5
    ring = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(32) * 32, np.fft.fftfreq(32) * 32))) == 5
    peak = np.log(np.abs(np.fft.fft(wave))[5] / 32 / 255)
    # two of the ring's frequencies hold the wave, the others nothing
    assert values[5] == pytest.approx((2 * peak + (ring.sum() - 2) * np.log(1e-7)) / ring.sum(), rel=0.02)
    assert all(row["low"] == pytest.approx(row["high"]) for row in rows)


def test_the_half_transform_stands_for_the_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 15, 15))
    rows = summary.mean_spectrum(made(pixels), np.arange(4))
    logs = np.log(np.abs(np.fft.fft2(pixels / 255)) / 225)
    cycles = np.fft.fftfreq(15) * 15
    ring = np.rint(np.hypot(cycles[:, None], cycles[None]))
    assert [row["log_amplitude"] for row in rows] == pytest.approx([logs[:, :, ring == k].mean() for k in range(8)])
    with pytest.raises(DataError, match="no images"):
        summary.mean_spectrum(made(pixels), np.arange(0))


def test_the_summary_of_a_grey_set():
    found = summary.summary("fashion", images=64)
    assert found["sample"] == 64 and found["image_size"] == 32 and found["sizes"] == []
    assert {(row["train"], row["test"]) for row in found["classes"]} == {(2000, 1000)} and len(found["classes"]) == 10
    assert found["mean"] == pytest.approx([0.219] * 3, abs=0.04) and found["std"] == pytest.approx([0.332] * 3, abs=0.04)
    for channel in ("red", "green", "blue"):
        assert sum(row["share"] for row in found["colour"] if row["channel"] == channel) == pytest.approx(1)


def test_pictures_to_look_at(tmp_path, home):
    source = good(tmp_path / "set", ("blue", "red", "rare"), each=10)
    for path in list((source / "rare").iterdir())[2:]:
        path.unlink()
    id = f"folder:{source}"
    rows = summary.thumbnails(id, each=3, size=32)
    assert [row["class"] for row in rows] == ["blue"] * 3 + ["rare"] * (len(rows) - 6) + ["red"] * 3 and 1 <= len(rows) - 6 <= 2
    train = data.load(id, "train")
    for row in rows:
        with Image.open(io.BytesIO(row["image"])) as picture:
            assert picture.format == "WEBP"
            assert (np.asarray(picture).transpose(2, 0, 1) == train.pixels[row["index"]]).all()
        assert train.labels[row["index"]] == row["label"]
    assert rows == summary.thumbnails(id, each=3, size=32)
    with Image.open(io.BytesIO(summary.webp(train, 0, 16))) as small:
        assert small.size == (16, 16)
