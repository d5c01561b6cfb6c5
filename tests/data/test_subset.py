"""Choosing images: every class keeps its share, smaller parts lie within larger ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import subset
from core.errors import DataError

LABELS = np.repeat(np.arange(10), 200)[np.random.default_rng(0).permutation(2_000)]


@pytest.mark.parametrize("fraction", [0.02, 0.06, 0.1, 0.3, 0.5, 1.0])
def test_fractions_are_stratified(fraction):
    chosen = subset(LABELS, fraction)
    assert len(chosen) == round(2_000 * fraction)
    assert set(np.bincount(LABELS[chosen])) == {round(200 * fraction)}
    assert np.array_equal(chosen, np.unique(chosen))


def test_same_seed_same_images_other_seed_others():
    assert np.array_equal(subset(LABELS, 0.1, seed=1), subset(LABELS, 0.1, seed=1))
    assert not np.array_equal(subset(LABELS, 0.1, seed=1), subset(LABELS, 0.1, seed=2))


def test_limit_comes_after_the_fraction_and_zero_is_none():
    assert len(subset(LABELS, 0.5, 100)) == 100
    assert len(subset(LABELS, 0.02, 100)) == 40
    assert len(subset(LABELS, 1.0, 0)) == 2_000
    assert len(subset(LABELS, 1e-9)) == 1


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 5), st.data())
def test_parts_are_nested_and_as_even_as_can_be(labels, seed, more):
    labels = np.array(labels)
    small = more.draw(st.integers(1, len(labels)))
    large = more.draw(st.integers(small, len(labels)))
    part, whole = subset(labels, limit=small, seed=seed), subset(labels, limit=large, seed=seed)
    assert len(part) == small and set(part) <= set(whole)
    counts, of_all = np.bincount(labels[part], minlength=5), np.bincount(labels, minlength=5)
    share = counts - small * of_all / len(labels)
    assert np.abs(share).max() < 2.5  # never a whole class more or less than its share


@pytest.mark.parametrize("wrong", [{"fraction": 0}, {"fraction": 1.5}, {"limit": -1}])
def test_impossible_numbers_are_told(wrong):
    with pytest.raises(DataError):
        subset(LABELS, **wrong)


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(DataError, match="no images"):
        subset(np.array([], np.int64))
