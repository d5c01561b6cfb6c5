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
    # the order of features does not matter: of channels_last maps this is a free view
    flat = (features.permute(0, 2, 3, 1) if features.dim() == 4 else features).flatten(1)
    flat = flat - flat.mean(dim=0)
    return (flat @ flat.T).double().fill_diagonal_(0.0)


class Cka:
    """Streaming CKA between all of `rows` units and all of `columns` units; keeps one number a batch and pair."""

    def __init__(self, rows: int, columns: int) -> None:
        self.shape = rows, columns
        self.cross: list[Tensor] = []
        self.own_rows: list[Tensor] = []
        self.own_columns: list[Tensor] = []

    def add(self, rows: Sequence[Tensor], columns: Sequence[Tensor] | None = None) -> None:
        """One batch: the features of each unit, (batch, …); `columns` left out means the same units again."""
        left = torch.stack([gram(features) for features in rows])
        right = left if columns is None else torch.stack([gram(features) for features in columns])
        if left.shape[1] != right.shape[1]:
            raise MeasureError(f"Batches of {left.shape[1]} and {right.shape[1]} images do not compare; both should see the same images.")
        if (len(left), len(right)) != self.shape:
            raise MeasureError(f"{len(left)} and {len(right)} units were seen; {self.shape[0]} and {self.shape[1]} were announced.")
        self.cross.append(_hsic(left, right).cpu())
        self.own_rows.append(_hsic_own(left).cpu())
        self.own_columns.append(_hsic_own(right).cpu())

    def value(self) -> Tensor:
        """CKA, (rows, columns); NaN where a unit does not vary over the images.  MeasureError before the first batch."""
        cross, rows, columns = self._batches()
        return _ratio(cross.mean(0), rows.mean(0), columns.mean(0))

    def without_each(self) -> Tensor:
        """CKA with one batch left out in turn, (batches, rows, columns): what a jackknife needs.  MeasureError below two batches."""
        cross, rows, columns = self._batches()
        n = len(cross)
        if n < 2:
            raise MeasureError("One batch has no spread; a jackknife takes two or more.")
        return _ratio(*((values.sum(0) - values) / (n - 1) for values in (cross, rows, columns)))

    def _batches(self) -> tuple[Tensor, Tensor, Tensor]:
        if not self.cross:
            raise MeasureError("No batch has been seen; there is nothing to compare.")
        return torch.stack(self.cross), torch.stack(self.own_rows), torch.stack(self.own_columns)


def _ratio(cross: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """HSIC over the square root of both own HSICs: (…, a, b), (…, a), (…, b) -> (…, a, b)."""
    scale = (rows[..., :, None] * columns[..., None, :]).clamp(min=0.0).sqrt()
    return torch.where((scale > 0) & (rows[..., :, None] > 0), cross / scale, torch.nan)


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
