"""Mean and spread of numbers that come in batches, without keeping them; intervals over batches.  Numbers in, numbers out; no torch."""

import numpy as np

from core.errors import MeasureError
from core.metrics.interval import t_quantile


class Moments:
    """Count, mean and sum of squared deviations along the first axis of every batch added (Chan, Golub and LeVeque, 1983)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: np.ndarray = np.zeros(())
        self.squares: np.ndarray = np.zeros(())

    def add(self, batch: np.ndarray) -> None:
        """One batch, (images, …); every batch has the same shape but for its first axis."""
        batch = np.asarray(batch, dtype=np.float64)
        count = len(batch)
        if count == 0:
            return
        mean = batch.mean(0)
        squares = np.square(batch - mean).sum(0)
        both, gap = self.n + count, mean - self.mean
        self.squares = self.squares + squares + np.square(gap) * (self.n * count / both)
        self.mean = self.mean + gap * (count / both)
        self.n = both

    def interval(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(mean, low, high): the 95 % Student-t interval of the mean; NaN ends for one value.  MeasureError for none."""
        if self.n == 0:
            raise MeasureError("There is no value to take a mean of.")
        if self.n == 1:
            return self.mean, np.full_like(self.mean, np.nan), np.full_like(self.mean, np.nan)
        half = t_quantile(self.n - 1) * np.sqrt(self.squares / (self.n - 1) / self.n)
        return self.mean, self.mean - half, self.mean + half


def jackknife(value: np.ndarray, without_each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of the 95 % interval of `value` from its values with one batch left out in turn, (batches, …).

    Student t with batches - 1 degrees of freedom.  Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 11.
    """
    n = len(without_each)
    spread = np.sqrt((n - 1) / n * np.square(without_each - without_each.mean(0)).sum(0))
    half = t_quantile(n - 1) * spread
    return value - half, value + half
