"""95 % intervals of a mean.  Numbers in, numbers out; no torch, so that pages and claims can use it on stored tables."""

from collections.abc import Sequence

import numpy as np

from core.errors import MeasureError

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
    z = 1.959964
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
