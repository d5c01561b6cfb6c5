"""Streaming moments against the interval over all values at once."""

import math

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.metrics.moments import Moments, jackknife


@pytest.mark.parametrize("cuts", [[], [1], [3, 3, 40], [10, 20, 30]])
def test_batches_give_what_all_values_give(cuts):
    values = np.random.default_rng(0).normal(1e6, 1.0, (50, 3))  # a large mean must not drown the spread
    found = Moments()
    for part in np.split(values, cuts):
        found.add(part)
    assert found.n == 50
    for got, wanted in zip(found.interval(), mean_interval(values), strict=True):
        assert got == pytest.approx(wanted, rel=1e-12)


def test_one_value_has_no_interval_and_none_is_an_error():
    found = Moments()
    with pytest.raises(MeasureError, match="no value"):
        found.interval()
    found.add(np.array([[2.0]]))
    mean, low, high = found.interval()
    assert mean == [2.0] and math.isnan(low[0]) and math.isnan(high[0])


def test_the_jackknife_of_a_mean_is_the_interval_of_the_mean():
    """In closed form: leaving each value out of a mean gives back the ordinary standard error."""
    values = np.random.default_rng(1).gamma(2.0, 1.0, 12)
    without = (values.sum() - values) / 11
    mean, low, high = mean_interval(values)
    assert jackknife(mean, without) == pytest.approx((low, high))
