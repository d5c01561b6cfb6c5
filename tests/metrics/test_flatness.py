"""The order of points, and intervals that hold the truth as often as they say."""

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.flatness import coarse_to_fine, ratio, rise


@pytest.mark.parametrize("side", [3, 5, 11, 21, 41])
def test_coarse_comes_first_and_nothing_is_forgotten(side):
    order = coarse_to_fine(side)
    assert order[0] == (side // 2, side // 2) and sorted(order) == [(i, j) for i in range(side) for j in range(side)]
    corners = {(0, 0), (0, side - 1), (side - 1, 0), (side - 1, side - 1)}
    assert corners <= set(order[:9]), "nine points already span the whole"
    with pytest.raises(MeasureError, match="odd"):
        coarse_to_fine(side + 1)


def ring(rng: np.random.Generator, planes: int, images: int = 100, of_planes: float = 0.3, of_images: float = 1.0) -> np.ndarray:
    """Rises around 1 with a known spread over planes and over images."""
    effect = of_planes * rng.standard_normal((planes, 1)) if planes > 1 else 0.0
    return 1 + effect + of_images * rng.standard_normal((1, images)) + 0.2 * rng.standard_normal((planes, images))


@pytest.mark.parametrize("planes", [1, 2, 4, 8])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(planes):
    rng, hits = np.random.default_rng(planes), 0
    for _ in range(100):
        _, low, high = rise(ring(rng, planes))
        hits += low <= 1 <= high
    assert hits >= 88, "a plain bootstrap of four planes holds it in 75 of 100"


def test_with_one_plane_it_is_the_interval_over_images():
    values = ring(np.random.default_rng(0), 1, 400)
    mean, low, high = rise(values)
    half = 1.96 * values.std() / 20
    assert mean == pytest.approx(values.mean()) and (low, high) == pytest.approx((mean - half, mean + half), abs=0.2 * half)
    assert rise(values) == (mean, low, high), "drawn from a seed"


def test_planes_without_a_number_are_left_out():
    values = ring(np.random.default_rng(0), 3)
    gone = np.concatenate([values, np.full((1, 100), np.nan)])
    assert rise(gone) == rise(values)
    assert np.isnan(rise(np.full((2, 100), np.nan))).all() and np.isnan(ratio(values, np.full((2, 100), np.nan), paired=True)).all()


def test_a_ratio_is_sure_where_both_saw_the_same_images():
    # what an image adds is the same for both nets, times two for the steeper one: paired, the ratio does not depend on the images at all
    rng = np.random.default_rng(0)
    flat = 1 + 0.3 * rng.standard_normal((1, 200))
    found, low, high = ratio(2 * flat, flat, paired=True)
    assert (found, low, high) == pytest.approx((2, 2, 2))
    found, low, high = ratio(2 * flat, flat, paired=False)
    # of two means with spread 0.3 / sqrt(200) each, the ratio spreads sqrt(2) as much
    half = 1.96 * 2 * 2**0.5 * 0.3 / 200**0.5
    assert found == pytest.approx(2) and (high - low) / 2 == pytest.approx(half, rel=0.2)
    with pytest.raises(MeasureError, match="cannot be paired"):
        ratio(flat, flat[:, :100], paired=True)


def test_a_ratio_to_what_does_not_clearly_rise_has_no_interval():
    rng = np.random.default_rng(0)
    steep, level = ring(rng, 4), 0.01 + rng.standard_normal((4, 100)) - 0.0
    level += 0.05 - level.mean()
    found, low, high = ratio(steep, level, paired=False)
    assert np.isfinite(found) and np.isnan([low, high]).all()
    assert np.isnan(ratio(steep, -steep, paired=True)).all()
