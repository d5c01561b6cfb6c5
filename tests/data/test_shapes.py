"""Generated pictures: independent cues, and each where in the spectrum it is said to be."""

import numpy as np
import pytest

from core import data
from core.data import shapes
from core.errors import DataError


def frequency(size):
    """The larger of the two frequencies of each point of a 2-D spectrum, in units of π."""
    f = np.abs(np.fft.fftfreq(size)) * 2
    return np.maximum(f[:, None], f[None, :])


def energy_above(images, limit):
    """Share of the energy without the mean that lies above a frequency, over all images."""
    power = np.abs(np.fft.fft2(images - images.mean((-2, -1), keepdims=True))) ** 2
    return power[..., frequency(images.shape[-1]) > limit].sum() / power.sum()


def test_same_arguments_same_pictures():
    a, b = shapes.generate(64, seed=5), shapes.generate(64, seed=5)
    assert np.array_equal(a[0], b[0]) and all(np.array_equal(a[1][cue], b[1][cue]) for cue in a[1])
    assert not np.array_equal(a[0], shapes.generate(64, seed=6)[0])


def test_cues_are_balanced_and_independent():
    n = 6_400
    _, cues = shapes.generate(n, 8, seed=1)
    for cue in cues.values():
        assert np.bincount(cue).tolist() == [n // 8] * 8
    for one, other in (("shape", "texture"), ("shape", "colour"), ("texture", "colour")):
        table = np.zeros((8, 8))
        np.add.at(table, (cues[one], cues[other]), 1)
        chi2 = ((table - n / 64) ** 2 / (n / 64)).sum()
        assert chi2 < 85.4, (one, other)  # 49 degrees of freedom, p = 0.001


def test_agreement_ties_texture_to_shape():
    _, cues = shapes.generate(800, 8, agreement=1.0)
    assert np.array_equal(cues["texture"], cues["shape"])
    _, cues = shapes.generate(8_000, 8, agreement=0.5)
    assert np.mean(cues["texture"] == cues["shape"]) == pytest.approx(0.5 + 0.5 / 8, abs=0.02)


@pytest.mark.parametrize("size", [32, 64, 96])
def test_shape_is_low_and_texture_is_high_in_frequency(size):
    rng = np.random.default_rng(0)
    n = 40
    half, centre = rng.uniform(0.30, 0.40, n) * size, size / 2 + rng.uniform(-0.12, 0.12, (2, n)) * size
    for shape in range(8):
        mask = shapes.figure(shape, size, half, centre, rng.uniform(-0.25, 0.25, n))
        assert mask.min() == 0 and mask.max() == pytest.approx(1, abs=0.05)
        assert energy_above(mask, 0.4) < 0.06, shapes.SHAPES[shape]
        wave = mask * shapes.grating(rng.integers(0, 8, n), size, rng.uniform(0, 6.28, n))
        assert energy_above(wave, 0.4) > 0.94, shapes.SHAPES[shape]


def test_all_figures_differ_from_each_other():
    masks = [shapes.figure(s, 64, np.array([22.0]), np.array([[32.0], [32.0]]), np.zeros(1))[0] > 0.5 for s in range(8)]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert (one & other).sum() / (one | other).sum() < 0.85


def test_texture_tells_nothing_about_colour():
    pixels, cues = shapes.generate(4_000, 32, seed=2)
    mean = pixels.mean((2, 3))
    by_texture = np.stack([mean[cues["texture"] == t].mean(0) for t in range(8)])
    by_colour = np.stack([mean[cues["colour"] == c].mean(0) for c in range(8)])
    assert by_texture.std(0).max() < 0.15 * by_colour.std(0).max()
    assert pixels.min() > 0 and pixels.max() < 255  # nothing was clipped


def test_split_size_and_labels():
    train, test = (data.load("shapes-textures", split) for split in ("train", "test"))
    assert len(train) == train.spec.train_n and len(test) == test.spec.test_n
    assert train.spec.mean == pytest.approx(train.pixels.mean((0, 2, 3)) / 255, abs=2e-3)
    assert train.spec.std == pytest.approx(train.pixels.std((0, 2, 3)) / 255, abs=2e-3)
    assert data.load("shapes-textures", "test", 48).pixels.shape == (2_000, 3, 48, 48)
    pixels, cues = shapes.generate(2_000, seed=1)
    assert np.array_equal(test.pixels, pixels) and np.array_equal(test.labels, cues["shape"])


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 8, "agreement": 1.5}, {"n": 8, "size": 4}])
def test_impossible_numbers_are_told(wrong):
    with pytest.raises(DataError):
        shapes.generate(**wrong)
