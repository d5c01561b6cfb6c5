"""Oracles for how much of a picture a field covers: one pixel, a disc, a whole picture; and an interval with a closed form."""

import math

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.metrics.receptive import central, covered, jackknife, radius


def test_the_centre_of_a_map():
    assert central(1) == [(0, 0)] and central(7) == [(3, 3)]
    assert central(8) == [(3, 3), (3, 4), (4, 3), (4, 4)]


def test_one_pixel():
    field = np.zeros((9, 9))
    field[4, 7] = 2.0
    assert radius(field, (4.0, 7.0)) == 0.0
    assert 2.9 < radius(field, (4.0, 4.0)) <= 3.0
    assert covered(field) == covered(field, 0.0) == 1 / 81


def test_a_disc_holds_half_of_itself_within_its_radius_over_root_two():
    y, x = np.indices((201, 201))
    disc = (np.hypot(y - 100, x - 100) <= 80).astype(float)
    assert radius(disc, (100.0, 100.0)) == pytest.approx(80 / math.sqrt(2), abs=0.5)
    assert radius(disc, (100.0, 100.0), share=0.25) == pytest.approx(40, abs=0.5)
    assert covered(disc) == pytest.approx(math.pi * 80**2 / 201**2, rel=0.01)


def test_a_gaussian_by_hand():
    """Half of a Gaussian lies within σ√(2 ln 2); it is above 5 % within σ√(2 ln 20)."""
    y, x = np.indices((101, 101))
    field = np.exp(-((y - 50) ** 2 + (x - 50) ** 2) / (2 * 8.0**2))
    assert radius(field, (50.0, 50.0)) == pytest.approx(8 * math.sqrt(2 * math.log(2)), abs=0.3)
    assert covered(field) == pytest.approx(2 * math.pi * 64 * math.log(20) / 101**2, rel=0.02)


def test_the_jackknife_of_a_mean_is_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(3.0, 1.0, 8)
    without = np.array([np.delete(values, i).mean() for i in range(8)])
    mean, low, high = mean_interval(values)
    assert jackknife(float(mean), without) == pytest.approx((float(low), float(high)))
    assert all(map(math.isnan, jackknife(3.0, np.array([3.0]))))


def test_nothing_is_no_number():
    for field in (np.zeros((4, 4)), np.array([[1.0, -0.5]])):
        with pytest.raises(MeasureError, match="nothing of the picture"):
            radius(field, (0.0, 0.0))
        with pytest.raises(MeasureError, match="nothing of the picture"):
            covered(field)
