"""How alike the representations of units are: linear CKA from small batches, without bias.

Per batch of n images and features X, Y (n rows): K = XXᵀ and L = YYᵀ with empty diagonals, and
HSIC(K, L) = [tr KL + (1ᵀK1)(1ᵀL1) / ((n-1)(n-2)) - 2/(n-2) · 1ᵀKL1] / (n(n-3)), which has no bias for any n > 3.
Its mean over batches, then CKA = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)).
Source: Nguyen, Raghu and Kornblith, ICLR 2021 (the paper's Fig. 10a); Song et al., 2012, for the estimator.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.errors import MeasureError

#: the estimator divides by n - 3
LEAST = 4


def gram(features: Tensor) -> Tensor:
    """Inner products of a batch's images, diagonal empty: (batch, …) -> (batch, batch) in float64.

    Features are centred before they are multiplied: the estimator does not change by it, float32 products lose less.
    """
    if len(features) < LEAST:
        raise MeasureError(f"A batch of {len(features)} images is too small; the estimator needs at least {LEAST}.")
    flat = features.flatten(1)
    flat = flat - flat.mean(dim=0)
    return (flat @ flat.T).double().fill_diagonal_(0.0)


class Cka:
    """Streaming CKA between all of `rows` units and all of `columns` units; memory does not grow with the images."""

    def __init__(self, rows: int, columns: int) -> None:
        self.batches = 0
        self.cross = torch.zeros(rows, columns, dtype=torch.float64)
        self.own_rows = torch.zeros(rows, dtype=torch.float64)
        self.own_columns = torch.zeros(columns, dtype=torch.float64)

    def add(self, rows: Sequence[Tensor], columns: Sequence[Tensor] | None = None) -> None:
        """One batch: the features of each unit, (batch, …); `columns` left out means the same units again."""
        left = torch.stack([gram(features) for features in rows])
        right = left if columns is None else torch.stack([gram(features) for features in columns])
        if left.shape[1] != right.shape[1]:
            raise MeasureError(f"Batches of {left.shape[1]} and {right.shape[1]} images do not compare; both should see the same images.")
        self.cross += _hsic(left, right).cpu()
        self.own_rows += _hsic_own(left).cpu()
        self.own_columns += _hsic_own(right).cpu()
        self.batches += 1

    def value(self) -> Tensor:
        """CKA, (rows, columns); NaN where a unit does not vary over the images.  MeasureError before the first batch."""
        if self.batches == 0:
            raise MeasureError("No batch has been seen; there is nothing to compare.")
        scale = (self.own_rows[:, None] * self.own_columns[None, :]).clamp(min=0.0).sqrt()
        return torch.where(scale > 0, self.cross / scale, torch.nan)


def _hsic(left: Tensor, right: Tensor) -> Tensor:
    """All pairs at once: (a, n, n) and (b, n, n) -> (a, b)."""
    n = left.shape[1]
    row_left, row_right = left.sum(2), right.sum(2)
    product = left.flatten(1) @ right.flatten(1).T
    sums = row_left.sum(1)[:, None] * row_right.sum(1)[None, :] / ((n - 1) * (n - 2))
    return (product + sums - 2 / (n - 2) * (row_left @ row_right.T)) / (n * (n - 3))


def _hsic_own(grams: Tensor) -> Tensor:
    """Each with itself: (a, n, n) -> (a,)."""
    n = grams.shape[1]
    rows = grams.sum(2)
    sums = rows.sum(1) ** 2 / ((n - 1) * (n - 2))
    return (grams.flatten(1).square().sum(1) + sums - 2 / (n - 2) * rows.square().sum(1)) / (n * (n - 3))
