"""Oracles for NEP and APE: by hand, and intervals that hold the truth as often as they say."""

import math

import numpy as np
import pytest

from core.errors import MeasureError
from core.metrics.sharpness import ape_ratio, exact_interval, negative_share, nep_difference, positive_mean, sharpness


def test_shares_and_means_come_from_raw_values():
    values = np.array([3.0, -1.0, 1.0, -2.0, 2.0])
    assert negative_share(values) == 0.4 and positive_mean(values) == 2.0
    assert negative_share([1.0]) == 0.0 and math.isnan(positive_mean([-1.0]))
    for measure in (negative_share, positive_mean):
        with pytest.raises(MeasureError, match="no eigenvalue"):
            measure([])


def test_all_batches_alike_leave_nothing_open_about_the_mean():
    values, batch = np.tile([4.0, 2.0, -3.0], 10), np.repeat(np.arange(10), 3)
    found = sharpness(values, batch)
    assert (found.nep, found.ape, found.ape_low, found.ape_high) == (pytest.approx(1 / 3), 3.0, 3.0, 3.0)
    assert found.nep_low == pytest.approx(exact_interval(10, 10)[0] / 3) and found.nep_high == pytest.approx(1 / 3)


def test_one_batch_has_no_interval_of_the_mean():
    found = sharpness(np.array([1.0, -1.0]), np.array([7, 7]))
    assert found.ape == 1.0 and math.isnan(found.ape_low) and found.nep_low < 0.5 <= found.nep_high
    assert all(math.isnan(x) for x in ape_ratio((np.array([1.0]), np.array([0])), (np.array([2.0]), np.array([0])))[1:])


def test_no_negative_value_is_not_a_width_of_zero():
    found = sharpness(np.ones(120), np.repeat(np.arange(24), 5))
    assert found.nep == found.nep_low == 0.0
    assert found.nep_high == pytest.approx(1 - 0.025 ** (1 / 24), abs=1e-9), "nothing in 24 batches leaves 14 % open"


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0.0, 0.3084971), (1, 10, 0.0025286, 0.4450161), (5, 20, 0.0865715, 0.4910459)]
)
def test_the_exact_interval_is_the_tables(hits, n, low, high):
    assert exact_interval(hits, n) == pytest.approx((low, high), abs=1e-6)
    mirrored = exact_interval(n - hits, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_the_same_seed_gives_the_same_interval_and_the_order_does_not_matter():
    rng = np.random.default_rng(0)
    values, batch = rng.normal(size=60), np.repeat(np.arange(12), 5)
    turned = rng.permutation(60)
    assert sharpness(values, batch) == sharpness(values, batch)
    again, one = sharpness(values[turned], batch[turned]), sharpness(values, batch)
    assert (again.nep, again.nep_low, again.nep_high) == (one.nep, one.nep_low, one.nep_high)
    assert again.ape_low == pytest.approx(one.ape_low, rel=1e-12)


def drawn(rng: np.random.Generator, batches: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Five values a batch that belong together: a common size, and negatives that come in the same few batches."""
    size = rng.lognormal(3.0, 0.6, batches)[:, None] * np.array([4.0, 2.0, 1.2, 0.8, 0.6])
    odd = rng.random(batches) < share
    negative = odd[:, None] & (np.arange(5) >= 5 - rng.integers(1, 4, batches)[:, None])
    return np.where(negative, -size, size).ravel(), np.repeat(np.arange(batches), 5)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_intervals_hold_the_truth_in_batches_whose_values_belong_together(share):
    rng, trials = np.random.default_rng(1), 120
    everything, _ = drawn(np.random.default_rng(99), 400_000, share)
    nep, ape = negative_share(everything), positive_mean(everything)
    held = np.zeros(2)
    for _ in range(trials):
        found = sharpness(*drawn(rng, 24, share))
        held += found.nep_low <= nep <= found.nep_high, found.ape_low <= ape <= found.ape_high
    assert held[0] / trials >= 0.92, held / trials
    assert held[1] / trials >= 0.87, held / trials  # a skewed mean of 24


def test_values_counted_one_by_one_would_be_too_sure():
    """What the interval is for: within a batch values agree, so 120 values are not 120 witnesses."""
    rng = np.random.default_rng(2)
    values, batch = drawn(rng, 24, 0.4)
    together, alone = sharpness(values, batch), sharpness(values, np.arange(len(values)))
    assert together.ape_high - together.ape_low > 1.2 * (alone.ape_high - alone.ape_low)


def test_ratios_and_differences_hold_what_is_true():
    rng, held, trials = np.random.default_rng(3), np.zeros(2), 100
    for _ in range(trials):
        (one, batch), (other, _) = drawn(rng, 24, 0.3), drawn(rng, 24, 0.3)
        _, low, high = ape_ratio((3 * one, batch), (other, batch))
        held[0] += low <= 3 <= high
        _, low, high = nep_difference(sharpness(one, batch), sharpness(other, batch))
        held[1] += low <= 0 <= high
    assert (held / trials >= 0.89).all(), held / trials


def test_a_ratio_needs_positive_values_at_both_sides():
    up, down, batch = np.array([1.0, 2.0]), np.array([-1.0, -2.0]), np.array([0, 1])
    assert all(math.isnan(x) for x in ape_ratio((up, batch), (down, batch)))
    assert ape_ratio((up, batch), (up / 2, batch))[0] == pytest.approx(2.0)
