"""How sharp a valley is, and whether it is one: what is read off the leading eigenvalues of many mini-batches, and how sure that is.

Numbers in, numbers out; no torch, so that pages and claims can use it on stored tables.  Values are taken as they are, signs included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import MeasureError
from core.metrics.interval import t_quantile

RESAMPLES = 2000
_TAIL = 0.025


def negative_share(values: Sequence[float] | np.ndarray) -> float:
    """NEP: the share of negative values [0 to 1].  MeasureError for none.  Source: paper, Fig. 1c."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise MeasureError("There is no eigenvalue to take a share of.")
    return float((array < 0).mean())


def positive_mean(values: Sequence[float] | np.ndarray) -> float:
    """APE: the mean of the positive values; NaN if there is none.  MeasureError for no value at all.  Source: paper, Fig. 1c."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise MeasureError("There is no eigenvalue to take a mean of.")
    positive = array[array > 0]
    return float(positive.mean()) if len(positive) else float("nan")


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """NEP [0 to 1] and APE of some values with their 95 % intervals over mini-batches; NaN where there is no number."""

    nep: float
    nep_low: float
    nep_high: float
    ape: float
    ape_low: float
    ape_high: float


def sharpness(values: np.ndarray, batch: np.ndarray, seed: int = 0) -> Sharpness:
    """NEP and APE of all values, and their intervals by drawing whole mini-batches, whose values belong together.

    Percentiles of RESAMPLES draws, widened as Student's t is, since few batches drawn anew spread too little.  The interval of NEP holds
    at least the exact one (Clopper and Pearson) of how many batches have any negative value, times their share of negatives; where no
    batch has one, that share is taken as 1, its worst, so nothing found in 24 batches leaves up to 14 % open.  One batch has no interval
    of APE.  MeasureError for no value.
    """
    values, found = np.asarray(values, dtype=np.float64), (negative_share(values), positive_mean(values))
    sums = _per_batch(values, batch)
    nep_low, nep_high = _exact(sums)
    if len(sums) < 2:
        return Sharpness(nep=found[0], nep_low=nep_low, nep_high=nep_high, ape=found[1], ape_low=float("nan"), ape_high=float("nan"))
    drawn = _drawn(sums, seed)
    low, high = _widened(drawn[:, 0] / drawn[:, 1], found[0], len(sums))
    ape_low, ape_high = _widened(_ape(drawn), found[1], len(sums))
    return Sharpness(
        nep=found[0], nep_low=max(0.0, min(low, nep_low)), nep_high=min(1.0, max(high, nep_high)),
        ape=found[1], ape_low=ape_low, ape_high=ape_high,
    )  # fmt: skip


def ape_ratio(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], seed: int = 0) -> tuple[float, float, float]:
    """(ratio, low, high): the APE of one net by that of another, each given as (values, batch); 95 % over the batches of both.

    Batches are drawn apart for the two, which is right for different batches and cautious for the same ones.  The interval is made on
    the logarithm.  All NaN where one has no positive value, the interval NaN where one has fewer than two batches.
    """
    sums = [_per_batch(np.asarray(values, dtype=np.float64), batch) for values, batch in (one, other)]
    top, bottom = (positive_mean(values) for values, _ in (one, other))
    if not top > 0 or not bottom > 0:
        return (float("nan"),) * 3
    if min(map(len, sums)) < 2:
        return top / bottom, float("nan"), float("nan")
    logs = np.log(_ape(_drawn(sums[0], seed))) - np.log(_ape(_drawn(sums[1], seed + 1)))
    low, high = _widened(logs, float(np.log(top / bottom)), min(map(len, sums)))
    return top / bottom, float(np.exp(low)), float(np.exp(high))


def nep_difference(one: Sharpness, other: Sharpness) -> tuple[float, float, float]:
    """(difference, low, high): NEP of one minus NEP of the other, from their intervals by squaring and adding.

    Source: Zou and Donner, Statistics in Medicine 27, 2008 (after Newcombe's hybrid for two shares).
    """
    difference = one.nep - other.nep
    below = np.hypot(one.nep - one.nep_low, other.nep_high - other.nep)
    above = np.hypot(one.nep_high - one.nep, other.nep - other.nep_low)
    return difference, float(difference - below), float(difference + above)


def _per_batch(values: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """(batches, 4): negatives, values, sum of positives, positives."""
    _, place = np.unique(np.asarray(batch), return_inverse=True)
    kinds = (values < 0, np.ones(len(values)), np.where(values > 0, values, 0.0), values > 0)
    return np.stack([np.bincount(place, weights=kind) for kind in kinds], 1)


def _drawn(sums: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES, 4): the sums of as many batches as there are, drawn with replacement."""
    n = len(sums)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return counts @ sums


def _ape(drawn: np.ndarray) -> np.ndarray:
    """The mean of positives of each draw; NaN for a draw without any."""
    return np.divide(drawn[:, 2], drawn[:, 3], out=np.full(len(drawn), np.nan), where=drawn[:, 3] > 0)


def _widened(drawn: np.ndarray, found: float, batches: int) -> tuple[float, float]:
    """The middle 95 % of what was drawn, its distances from what was found stretched for the few batches."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not np.isfinite(found):
        return float("nan"), float("nan")
    stretch = (batches / (batches - 1)) ** 0.5 * t_quantile(batches - 1) / t_quantile(10**9)
    low, high = np.quantile(drawn, [_TAIL, 1 - _TAIL])
    return float(found + stretch * min(low - found, 0.0)), float(found + stretch * max(high - found, 0.0))


def _exact(sums: np.ndarray) -> tuple[float, float]:
    """The exact 95 % interval of the share of batches with any negative value, times the share of negatives in those that have."""
    hit = sums[:, 0] > 0
    share = float(sums[hit, 0].sum() / sums[hit, 1].sum()) if hit.any() else 1.0
    low, high = exact_interval(int(hit.sum()), len(sums))
    return low * share, high * share


def exact_interval(hits: int, n: int) -> tuple[float, float]:
    """(low, high) of the share behind `hits` in `n`, 95 % after Clopper and Pearson: never too narrow.  MeasureError for no share.

    Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    if n < 1 or not 0 <= hits <= n:
        raise MeasureError(f"{hits} of {n} is no share; it takes one batch or more.")
    low = _root(lambda p: 1 - _at_most(hits - 1, n, p), rising=True) if hits else 0.0
    high = _root(lambda p: _at_most(hits, n, p), rising=False) if hits < n else 1.0
    return low, high


def _at_most(hits: int, n: int, p: float) -> float:
    """The chance of `hits` or fewer in n draws of chance p."""
    if hits < 0 or not 0 < p < 1:
        return 0.0 if hits < 0 or p >= 1 else 1.0
    k = np.arange(n)
    steps = np.log((n - k) / (k + 1)) + np.log(p / (1 - p))
    logs = n * np.log1p(-p) + np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.exp(logs[: hits + 1]).sum())


def _root(chance: Callable[[float], float], rising: bool) -> float:
    """Where a chance that rises or falls with p is 2.5 %, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if (chance(middle) < _TAIL) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2
