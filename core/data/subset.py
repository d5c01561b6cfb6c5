"""Choosing some of the images, class by class."""

import numpy as np

from core.errors import DataError


def subset(labels: np.ndarray, fraction: float = 1.0, limit: int = 0, seed: int = 0) -> np.ndarray:
    """Sorted positions of a stratified part of the images: every class keeps its share.

    `fraction` of the images first, then at most `limit` of them (0 is all), always at least one.  One seed orders each class once,
    so a smaller part lies within every larger one of the same seed.  Raises DataError on an empty set or impossible numbers.
    """
    n = len(labels)
    if n == 0:
        raise DataError("There are no images to choose from; at least one is needed.")
    if not 0 < fraction <= 1:
        raise DataError(f"The fraction of images is {fraction}; it should be above 0 and at most 1.")
    if limit < 0:
        raise DataError(f"The limit of images is {limit}; it should be 0 (all) or more.")
    wanted = max(1, round(n * fraction))
    wanted = min(wanted, limit) if limit else wanted
    if wanted == n:
        return np.arange(n)
    # An image's key is its rank within its class over the size of the class; the smallest keys are an equal share of each class.
    shuffled = np.random.default_rng([seed, n]).permutation(n)
    classes, inverse, counts = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(inverse, kind="stable")
    rank = np.empty(n, np.int64)
    rank[by_class] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    # ties (rank 0 of each class, and so on) are broken by a random order of the classes, so that no class is favoured
    lot = np.random.default_rng([seed, len(classes)]).permutation(len(classes))
    order = np.lexsort((lot[inverse], (rank + 0.5) / counts[inverse]))
    return np.sort(shuffled[order[:wanted]])
