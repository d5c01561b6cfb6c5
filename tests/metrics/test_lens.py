"""The lens against plain waves, and its noise against the one that measurements use."""

from itertools import pairwise

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


def halves(kind: str, side: int) -> list[lens.Step]:
    """The steps that stand half-way between two."""
    return [step for step in lens.steps(kind, side) if len(step) > 1]


def weights(side: int, step: lens.Step) -> np.ndarray:
    """What a step keeps of each frequency of a Fourier transform, from radii alone."""
    turns = np.abs(np.fft.fftfreq(side, 1 / side))
    radius = np.maximum(turns[:, None], turns)
    edges = [[side if edge == 100 else edge * side / 200 for edge in ring] for ring in step]
    return np.mean([(low <= radius) & (radius < high) for low, high in edges], axis=0)


@pytest.mark.parametrize("kind", lens.KINDS)
@pytest.mark.parametrize("side", [8, 28, 32, 33, 48, 64, 224])
def test_every_step_is_another_filter_in_rising_order(kind: str, side: int) -> None:
    steps = lens.steps(kind, side)
    sets = [bands.radii(side, *step[0]) for step in steps if len(step) == 1]
    assert len(set(sets)) == len(sets) and sets == sorted(sets)
    places = [lens.at(kind, step) for step in steps]
    assert places == sorted(set(places)) and places[0] >= 0 and places[-1] <= 100
    assert len(steps) <= lens.MOST and (side < 32 or len(steps) >= 33)
    if kind in ("low", "high"):
        whole, nothing = (steps[-1], steps[0]) if kind == "low" else (steps[0], steps[-1])
        assert whole == ((0, 100),) and weights(side, nothing).max() == 0
    else:
        assert all(start < end for start, end in sets)
        assert (sets[0][0] == 0) == (kind == "band")


@pytest.mark.parametrize(("kind", "whole"), [("low", 18), ("high", 18), ("band", 27), ("noise", 30)])
def test_a_small_image_has_all_filters_that_differ_and_half_way_ones_up_to_33(kind: str, whole: int) -> None:
    steps = lens.steps(kind, 32)
    found = [ring for step in steps if len(step) == 1 for ring in step]
    assert len(found) == whole and len(steps) == 33
    gaps = dict(pairwise(found))
    wide = {ring: lens.at(kind, (gaps[ring],)) - lens.at(kind, (ring,)) for ring in gaps}
    filled = [before for before, after in halves(kind, 32) if gaps[before] == after]
    assert len(filled) == 33 - whole and min(map(wide.get, filled)) >= max(wide[ring] for ring in gaps if ring not in filled)
    if kind == "low":
        assert [high for _, high in found] == list(bands.cuts(32))


def test_an_image_with_enough_filters_has_no_step_half_way() -> None:
    assert len(lens.steps("low", 64)) == 34 and len(lens.steps("low", 224)) == lens.MOST
    assert not any(halves(kind, side) for kind in lens.KINDS for side in (64, 224))


@pytest.mark.parametrize("kind", ["low", "high", "band"])
@pytest.mark.parametrize("side", [28, 32, 33, 48])
def test_a_step_is_a_mask_over_the_fourier_transform(kind: str, side: int) -> None:
    image, ground = drawn(3, side), np.reshape(MEAN, (3, 1, 1))
    for step in lens.steps(kind, side):
        wanted = ground + np.fft.ifft2(np.fft.fft2(image - ground) * weights(side, step)).real
        assert np.abs(lens.view(image, MEAN, kind, step) - wanted).max() < 1e-12


@pytest.mark.parametrize("kind", ["low", "high"])
def test_half_way_a_plain_wave_comes_through_with_half_its_amplitude(kind: str) -> None:
    for step in halves(kind, 32):
        a, b = (bands.first(32, lens.at(kind, (ring,))) for ring in step)
        assert b == a + 1
        for turns, share in ((a - 1, kind == "low"), (a, 0.5), (b, kind == "high")):
            if 0 < turns <= 16:
                image = wave(32, turns)
                wanted = share * (image - 0.5) + (0.5 if kind == "low" else MEAN[0])
                assert np.abs(lens.view(image, MEAN, kind, step) - wanted).max() < 1e-12
        assert lens.at(kind, (step[0],)) < lens.at(kind, step) < lens.at(kind, (step[1],))


@pytest.mark.parametrize("side", range(8, 65))
def test_no_step_keeps_half_of_the_brightness(side: int) -> None:
    for kind in ("low", "high", "band"):
        for step in lens.steps(kind, side):
            assert weights(side, step)[0, 0] == lens.bright(kind, step, side)


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
    for low, high in [step[0] for step in lens.steps("low", 32)[1:] if len(step) == 1]:
        through = lens.view(image, MEAN, "low", ((low, high),))
        kept = place < high or high == 100
        assert np.abs(through - (image if kept else 0.5)).max() < 1e-12  # brightness stays
    for low, high in [step[0] for step in lens.steps("high", 32)[1:] if len(step) == 1]:
        through = lens.view(image, MEAN, "high", ((low, high),))
        wanted = image - 0.5 + MEAN[0] if place >= low and low < 100 else MEAN[0]
        assert np.abs(through - wanted).max() < 1e-12


def test_low_and_high_make_the_image_together() -> None:
    image = drawn(3)
    for one, other in zip(lens.steps("low", 32), lens.steps("high", 32), strict=True):
        assert lens.at("low", one) == lens.at("high", other) and len(one) == len(other)
        low, high = lens.view(image, MEAN, "low", one), lens.view(image, MEAN, "high", other)
        assert np.abs(low + high - np.reshape(MEAN, (3, 1, 1)) - image).max() < 1e-12


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_is_that_of_measurements(channels: int) -> None:
    white = bands.signs(0, [4113], (channels, 32, 32))[0]
    for step in lens.steps("noise", 32):
        own = lens.added((channels, 32, 32), step, 0.2, 4113)
        assert np.sqrt((own**2).mean()) == pytest.approx(0.2, rel=1e-12)
        if len(step) == 1:
            other = noise.limited(noise.white([4113], 32, channels=channels), step[0], strength=0.2)[0].numpy()
            assert np.abs(own - other).max() < 1e-6
        else:
            mixed = np.fft.ifft2(np.fft.fft2(white) * weights(32, step)).real
            assert np.abs(own - mixed * 0.2 / np.sqrt((mixed**2).mean())).max() < 1e-12
    image = drawn(channels)
    assert np.abs(lens.view(image, MEAN, "noise", step, strength=0.2, index=4113) - image - own).max() < 1e-15
    assert np.abs(own - lens.added((channels, 32, 32), step, 0.2, 4114)).max() > 0.1


def test_brightness_is_known_to_be_there_or_not() -> None:
    image = drawn() * 0.2 + 0.7
    for kind in lens.KINDS:
        for step in lens.steps(kind, 32):
            level = lens.view(image, MEAN, kind, step, strength=0.1, index=1).mean()
            assert abs(level - (image.mean() if lens.bright(kind, step, 32) else MEAN[0])) < 1e-12


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(MeasureError, match="There is no kind of lens 'blur'"):
        lens.steps("blur", 32)
    with pytest.raises(MeasureError, match="There is no noise from"):
        lens.view(drawn(), MEAN, "noise", ((3, 13), (0, 10)), strength=0.1)
    with pytest.raises(MeasureError, match="should be square"):
        lens.view(np.zeros((1, 32, 31)), MEAN, "low", ((0, 40),))
