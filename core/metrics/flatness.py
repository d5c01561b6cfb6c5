"""How flat the loss is around trained weights: in which order to look, and how sure a rise is over directions and images.

Numbers in, numbers out; no torch, so that pages can use it on stored tables.
"""

from collections.abc import Sequence

import numpy as np

from core.errors import MeasureError
from core.metrics.interval import t_quantile

#: Draws of a bootstrap; an interval of nothing.
RESAMPLES, UNKNOWN = 1000, (float("nan"), float("nan"), float("nan"))


def coarse_to_fine(side: int) -> list[tuple[int, int]]:
    """The points (row, column) of a side x side grid, the centre first, then a coarse grid, then what lies between.

    Every point stands once, so that a picture of the whole exists after the first few.  MeasureError for an even side: it has no centre.
    """
    if side < 3 or side % 2 == 0:
        raise MeasureError(f"The grid is {side} points wide; it should be odd and at least 3, so that the weights are its centre.")
    middle, order, seen = side // 2, [(side // 2, side // 2)], {(side // 2, side // 2)}
    step = middle
    while step >= 1:
        rows = [i for i in range(side) if (i - middle) % step == 0]
        for point in ((i, j) for i in rows for j in rows):
            if point not in seen:
                seen.add(point)
                order.append(point)
        step = step // 2 if step > 1 else 0
    return order


# ---- how sure


def rise(planes: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """(rise, low, high): the mean of a ring (planes, images) and its 95 % interval over both, by a two-level bootstrap.

    Planes and images are drawn with replacement, apart from each other.  Few planes spread too little when they are drawn anew, so their
    deviations are widened as Student's t is; with one plane the interval is over images only.  Planes that have no number (NaN) are left
    out; without any all three are NaN.
    """
    planes = _held(planes)
    if not len(planes):
        return UNKNOWN
    low, high = np.quantile(_drawn([planes], seed)[0], [0.025, 0.975])
    return float(planes.mean()), float(low), float(high)


def ratio(one: np.ndarray, other: np.ndarray, *, paired: bool, seed: int = 0) -> tuple[float, float, float]:
    """(ratio, low, high): the rise of one net by that of another, with the 95 % interval of `rise`; low and high are NaN where the other's
    rise is not clearly above zero.

    `paired`: both saw the same images in the same order, so the same ones are drawn for both; directions are always drawn apart.
    """
    one, other = _held(one), _held(other)
    if not len(one) or not len(other) or other.mean() <= 0:
        return UNKNOWN
    found = float(one.mean() / other.mean())
    top, bottom = _drawn([one, other], seed) if paired else (_drawn([one], seed)[0], _drawn([other], seed + 1)[0])
    if np.quantile(bottom, 0.025) <= 0:
        return found, float("nan"), float("nan")
    low, high = np.quantile(top / bottom, [0.025, 0.975])
    return found, float(low), float(high)


def _held(planes: np.ndarray) -> np.ndarray:
    planes = np.asarray(planes, dtype=np.float64)
    return planes[np.isfinite(planes).all(1)]


def _drawn(groups: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """For each group (planes, images) the RESAMPLES means of what was drawn; all groups get the same images."""
    rng = np.random.default_rng(seed)
    images = groups[0].shape[1]
    if any(group.shape[1] != images for group in groups):
        raise MeasureError("Two nets were measured on different numbers of images; they cannot be paired.")
    stacked = np.concatenate(groups)
    means = np.array([stacked @ np.bincount(rng.integers(images, size=images), minlength=images) for _ in range(RESAMPLES)]) / images
    found, start = [], 0
    for group in groups:
        n = len(group)
        part, start = means[:, start : start + n], start + n
        found.append((part * _shares(n, rng)).sum(1))
    return found


def _shares(n: int, rng: np.random.Generator) -> np.ndarray:
    """(RESAMPLES, n) what each plane counts; rows add up to one."""
    if n == 1:
        return np.ones((RESAMPLES, 1))
    drawn = np.stack([np.bincount(row, minlength=n) for row in rng.integers(n, size=(RESAMPLES, n))]) / n
    wider = (n / (n - 1)) ** 0.5 * t_quantile(n - 1) / 1.959964
    return 1 / n + wider * (drawn - 1 / n)
