"""Intervals against tabled values and against how often they cover the truth."""

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.interval import mean_interval, t_quantile


@pytest.mark.parametrize(("degrees", "value"), [(1, 12.7062), (5, 2.5706), (30, 2.0423), (31, 2.0395), (60, 2.0003), (255, 1.9693)])
def test_quantiles_are_the_tabled_ones(degrees, value):
    assert t_quantile(degrees) == pytest.approx(value, abs=6e-4)


def test_a_hand_solved_interval():
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2)
    assert high - mean == pytest.approx(4.303 / np.sqrt(3), abs=1e-6)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize("n", [3, 8])
def test_it_covers_the_truth_in_95_of_100_samples(n):
    samples = np.random.default_rng(0).normal(1.5, 2.0, size=(n, 20_000))
    _, low, high = mean_interval(samples)
    assert np.mean((low < 1.5) & (high > 1.5)) == pytest.approx(0.95, abs=0.006)


def test_one_value_has_no_interval_and_none_has_no_mean():
    mean, low, high = mean_interval([4.0])
    assert mean == 4
    assert np.isnan(low) and np.isnan(high)
    with pytest.raises(MeasureError):
        mean_interval([])
