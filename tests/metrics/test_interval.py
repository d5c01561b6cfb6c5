"""Intervals against tabled values and against how often they cover the truth."""

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.interval import mcnemar, mean_interval, paired_interval, share_interval, t_quantile


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


def test_a_share_has_wilsons_interval():
    # Wilson's limits solve (p - share)^2 = z^2 p (1 - p) / n
    for hits, n in ((0, 10), (3, 10), (10, 10), (953, 1000)):
        share, low, high = share_interval(hits, n)
        assert share == hits / n and 0 <= low <= share <= high <= 1 and low < high
        for p in (low, high):
            if 0 < p < 1:
                assert (p - share) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / n, rel=1e-6)
    for hits, n in ((0, 0), (3, 2), (-1, 4)):
        with pytest.raises(MeasureError):
            share_interval(hits, n)


def test_a_paired_change_by_hand():
    # 20 lost, 5 gained of 100: the cells 20.5 and 5.5 of 102
    change, low, high = paired_interval(20, 5, 100)
    p, q = 20.5 / 102, 5.5 / 102
    half = 1.959964 * np.sqrt((p + q - (p - q) ** 2) / 102)
    assert change == pytest.approx(-0.15)
    assert (low, high) == (pytest.approx(q - p - half), pytest.approx(q - p + half))
    assert paired_interval(5, 20, 100) == (pytest.approx(0.15), pytest.approx(-high), pytest.approx(-low))


@pytest.mark.parametrize(("lost", "gained", "n"), [(0, 0, 1), (0, 0, 10_000), (1, 0, 1), (7, 0, 7), (0, 9, 9), (3, 3, 6)])
def test_a_paired_change_lies_in_its_interval_which_is_never_empty(lost, gained, n):
    change, low, high = paired_interval(lost, gained, n)
    assert -1 <= low <= change <= high <= 1 and low < high


@pytest.mark.parametrize(("lost", "gained", "n"), [(0.02, 0.01, 1000), (0.1, 0.02, 100), (0.004, 0.003, 10_000), (0.3, 0.1, 30)])
def test_a_paired_interval_covers_the_true_change_in_95_of_100_samples(lost, gained, n):
    draws = np.random.default_rng(0).multinomial(n, [lost, gained, 1 - lost - gained], size=4000)
    held = [low <= gained - lost <= high for _, low, high in (paired_interval(int(a), int(b), n) for a, b, _ in draws)]
    assert 0.94 <= np.mean(held) <= 0.97


def test_impossible_counts_are_refused():
    for counts in ((1, 1, 1), (-1, 0, 3), (0, 0, 0)):
        with pytest.raises(MeasureError):
            paired_interval(*counts)
    with pytest.raises(MeasureError):
        mcnemar(-1, 2)


def test_mcnemar_equals_all_throws_of_a_coin():
    for flips in range(11):
        throws = [bin(number).count("1") for number in range(2**flips)]
        for lost in range(flips + 1):
            # as far from the middle or farther, on both sides
            far = abs(2 * lost - flips)
            assert mcnemar(lost, flips - lost) == pytest.approx(np.mean([abs(2 * heads - flips) >= far for heads in throws]))


def test_mcnemar_of_many_images_is_a_number():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5000, 5000) == 1
    assert mcnemar(9000, 0) == 0 or mcnemar(9000, 0) < 1e-300
    # the normal approximation with a continuity correction, (|530 - 470| - 1) / sqrt(1000) = 1.8657 -> p = 0.0621
    assert mcnemar(530, 470) == pytest.approx(0.0621, abs=2e-4)
