"""95 % intervals: of a mean, of a share, of what changed between two answers to the same images.

Numbers in, numbers out; no torch, so that pages and claims can use it on stored tables.
"""

from collections.abc import Sequence

import numpy as np

from core.errors import MeasureError

#: The 97.5 % point of the normal distribution.
_Z = 1.959964

#: 97.5 % points of Student's t for 1 to 30 degrees of freedom.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def t_quantile(degrees: int) -> float:
    """The 97.5 % point of Student's t, to 0.001; above 30 degrees of freedom by Cornish and Fisher's expansion."""
    if degrees < 1:
        raise MeasureError(f"An interval with {degrees} degrees of freedom does not exist; it takes two values or more.")
    if degrees <= len(_T):
        return _T[degrees - 1]
    z = _Z
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def mean_interval(values: Sequence[float] | np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, low, high) along `axis`: the mean and its 95 % Student-t interval.

    One value has a mean and no interval: low and high are NaN.  Raises MeasureError for none.
    """
    array = np.asarray(values, dtype=np.float64)
    n = array.shape[axis] if array.ndim else 0
    if n == 0:
        raise MeasureError("There is no value to take a mean of.")
    mean = array.mean(axis)
    if n == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = t_quantile(n - 1) * array.std(axis, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def share_interval(hits: int, n: int) -> tuple[float, float, float]:
    """(share, low, high) of `hits` in `n`, 95 % after Wilson.  Raises MeasureError for an empty set.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    if n < 1 or not 0 <= hits <= n:
        raise MeasureError(f"{hits} of {n} is no share; it takes one image or more.")
    share, square = hits / n, _Z**2
    middle = (hits + square / 2) / (n + square)
    half = _Z / (n + square) * np.sqrt(n * share * (1 - share) + square / 4)
    return share, float(max(0.0, middle - half)), float(min(1.0, middle + half))


def paired_interval(lost: int, gained: int, n: int) -> tuple[float, float, float]:
    """(change, low, high) of a share measured twice on the same n images: `lost` turned from right to wrong, `gained` the other way.

    The change is (gained - lost) / n; its 95 % interval is Wald's after half an image is added to each of the four cells, so that it has
    a width even where nothing changed.  Raises MeasureError for an empty set.
    Source: Agresti and Min, Statistics in Medicine 24, 2005 (the adjustment "Wald+2").
    """
    if n < 1 or min(lost, gained) < 0 or lost + gained > n:
        raise MeasureError(f"{lost} lost and {gained} gained of {n} do not belong together; it takes one image or more.")
    difference, size = gained - lost, n + 2
    middle = difference / size
    half = _Z * np.sqrt(lost + gained + 1 - difference**2 / size) / size
    return difference / n, float(max(-1.0, middle - half)), float(min(1.0, middle + half))


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided p of McNemar's exact test: as many images turn wrong as turn right, and chance alone makes the difference.

    Twice the smaller tail of a fair coin thrown lost + gained times, at most 1.  Source: McNemar, Psychometrika 12, 1947, in its
    exact binomial form.
    """
    if min(lost, gained) < 0:
        raise MeasureError(f"{lost} lost and {gained} gained are no counts; they should be 0 or more.")
    flips, ways, tail = lost + gained, 1, 0
    for k in range(min(lost, gained) + 1):
        tail += ways
        ways = ways * (flips - k) // (k + 1)
    return min(1.0, 2 * tail / 2**flips)  # whole numbers up to the last step: exact however many images flip
