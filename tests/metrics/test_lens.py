"""The lens against plain waves, and its noise against the one that measurements use."""

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics import bands, lens, noise

MEAN = (0.219, 0.3, 0.4)


def drawn(channels: int = 1, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((channels, side, side))


def wave(side: int, turns: int) -> np.ndarray:
    """A plain wave along x, (1, side, side), about mid-grey."""
    return np.broadcast_to(0.5 + 0.3 * np.cos(2 * np.pi * turns * np.arange(side) / side), (1, side, side))


@pytest.mark.parametrize("kind", lens.KINDS)
@pytest.mark.parametrize("side", [8, 28, 32, 33, 64, 224])
def test_every_step_is_another_set_of_frequencies_in_rising_order(kind: str, side: int) -> None:
    steps = lens.steps(kind, side)
    sets = [bands.radii(side, *ring) for ring in steps]
    assert len(set(sets)) == len(sets) <= lens.MOST and sets == sorted(sets)
    places = [lens.at(kind, ring) for ring in steps]
    assert places == sorted(places) and places[0] >= 0 and places[-1] <= 100
    if kind in ("low", "high"):
        whole, nothing = (steps[-1], steps[0]) if kind == "low" else (steps[0], steps[-1])
        assert whole == (0, 100) and bands.radii(side, *nothing)[0] == bands.radii(side, *nothing)[1]
    else:
        assert all(start < end for start, end in sets)
        assert (sets[0][0] == 0) == (kind == "band")


def test_small_images_have_all_cut_offs_that_differ_and_large_ones_at_least_33() -> None:
    assert len(lens.steps("low", 32)) == len(lens.steps("high", 32)) == 18
    assert [high for _, high in lens.steps("low", 32)] == list(bands.cuts(32))
    assert len(lens.steps("low", 64)) == 34 and len(lens.steps("low", 224)) == lens.MOST >= 33


def test_the_ends_of_the_sweep_are_the_whole_image_and_the_mean_colour() -> None:
    image = drawn(3)
    for kind, whole, nothing in (("low", -1, 0), ("high", 0, -1)):
        steps = lens.steps(kind, 32)
        assert np.abs(lens.view(image, MEAN, kind, steps[whole]) - image).max() < 1e-12
        left = lens.view(image, MEAN, kind, steps[nothing])
        assert np.array_equal(left, np.broadcast_to(np.reshape(MEAN, (3, 1, 1)), image.shape))


@pytest.mark.parametrize("turns", [1, 5, 11, 16])
def test_a_plain_wave_passes_or_becomes_the_mean(turns: int) -> None:
    image, place = wave(32, turns), 200 * turns / 32
    for low, high in lens.steps("low", 32)[1:]:
        through = lens.view(image, MEAN, "low", (low, high))
        kept = place < high or high == 100
        assert np.abs(through - (image if kept else 0.5)).max() < 1e-12  # brightness stays
    for low, high in lens.steps("high", 32)[1:]:
        through = lens.view(image, MEAN, "high", (low, high))
        wanted = image - 0.5 + MEAN[0] if place >= low and low < 100 else MEAN[0]
        assert np.abs(through - wanted).max() < 1e-12


def test_low_and_high_make_the_image_together() -> None:
    image = drawn(3)
    for edge in bands.cuts(32):
        low, high = (lens.view(image, MEAN, kind, ring) for kind, ring in (("low", (0, edge)), ("high", (edge, 100))))
        assert np.abs(low + high - np.reshape(MEAN, (3, 1, 1)) - image).max() < 1e-12


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_is_that_of_measurements(channels: int) -> None:
    for ring in lens.steps("noise", 32):
        own = lens.added((channels, 32, 32), ring, 0.2, 4113)
        other = noise.limited(noise.white([4113], 32, channels=channels), ring, strength=0.2)[0].numpy()
        assert np.abs(own - other).max() < 1e-6
        assert np.sqrt((own**2).mean()) == pytest.approx(0.2, rel=1e-12)
    image = drawn(channels)
    assert np.abs(lens.view(image, MEAN, "noise", ring, strength=0.2, index=4113) - image - own).max() < 1e-15
    assert np.abs(own - lens.added((channels, 32, 32), ring, 0.2, 4114)).max() > 0.1


def test_brightness_is_known_to_be_there_or_not() -> None:
    image = drawn() * 0.2 + 0.7
    for kind in lens.KINDS:
        for ring in lens.steps(kind, 32):
            level = lens.view(image, MEAN, kind, ring, strength=0.1, index=1).mean()
            assert abs(level - (image.mean() if lens.bright(kind, ring, 32) else MEAN[0])) < 1e-12


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(MeasureError, match="There is no kind of lens 'blur'"):
        lens.steps("blur", 32)
    with pytest.raises(MeasureError, match="There is no noise from"):
        lens.view(drawn(), MEAN, "noise", (0, 10), strength=0.1)
    with pytest.raises(MeasureError, match="should be square"):
        lens.view(np.zeros((1, 32, 31)), MEAN, "low", (0, 40))
