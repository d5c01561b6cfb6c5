"""How much of a picture a gradient covers.  Arrays in, numbers out; no torch."""

from functools import lru_cache

import numpy as np

from core.errors import MeasureError
from core.metrics.interval import t_quantile


def central(side: int) -> list[tuple[int, int]]:
    """The middle position (row, column) of a map, or the four around the middle of a map of even side."""
    middle = sorted({(side - 1) // 2, side // 2})
    return [(i, j) for i in middle for j in middle]


def radius(field: np.ndarray, centre: tuple[float, float], share: float = 0.5) -> float:
    """The radius of the circle around `centre` (row, column; in pixels) that holds `share` of a field (height, width), in pixels.

    Linear between the distances that occur.  Raises MeasureError for a field that is zero everywhere or negative somewhere.
    """
    total = _total(field)
    distance, ring = _rings(field.shape, centre)
    held = np.cumsum(np.bincount(ring, weights=field.ravel())) / total
    return float(np.interp(share, np.concatenate([[0.0], held]), np.concatenate([[0.0], distance])))


@lru_cache(maxsize=64)
def _rings(shape: tuple[int, ...], centre: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The distances from `centre` that occur, rising, and for each pixel which of them is its own."""
    y, x = np.indices(shape)
    distance, ring = np.unique(np.hypot(y - centre[0], x - centre[1]).round(9), return_inverse=True)
    return distance, ring.ravel()


def covered(field: np.ndarray, above: float = 0.05) -> float:
    """The share of pixels of a field above a share of its largest value; `above` = 0 counts all that are not zero."""
    _total(field)
    return float(np.mean(field > above * field.max()))


def jackknife(value: float, without: np.ndarray) -> tuple[float, float]:
    """(low, high): 95 % interval of a value from what it is `without` each of several groups in turn; NaN for fewer than two."""
    groups = len(without)
    if groups < 2:
        return np.nan, np.nan
    half = t_quantile(groups - 1) * np.sqrt((groups - 1) * np.var(without))
    return float(value - half), float(value + half)


def _total(field: np.ndarray) -> float:
    total = float(field.sum())
    if not total > 0 or field.min() < 0:
        raise MeasureError("The gradient is zero for every pixel, so nothing of the picture is seen.")
    return total
