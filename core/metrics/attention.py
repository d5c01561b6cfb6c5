"""Where attention looks: how far, and how widely."""

import torch
from torch import Tensor

from core.errors import MeasureError


def distances(height: int, width: int) -> Tensor:
    """Distances between the positions of a grid, in positions: (height·width, height·width)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], dim=1).double()
    return torch.cdist(places, places)


def mean_distance(weights: Tensor, between: Tensor) -> Tensor:
    """Mean distance between a position and what it attends to: (…, heads, N, N) weights and (N, N) distances -> (…, heads).

    Rows of `weights` add up to one.  Source: Raghu et al., NeurIPS 2021 (mean attention distance).
    """
    _check(weights)
    if between.shape != weights.shape[-2:]:
        raise MeasureError(f"Distances of shape {tuple(between.shape)} do not fit weights of shape {tuple(weights.shape)}.")
    return (weights * between.to(weights)).sum(-1).double().mean(-1)


def entropy(weights: Tensor) -> Tensor:
    """Mean entropy of where a position looks, in nats: 0 for one place, ln N for all alike; (…, heads, N, N) -> (…, heads)."""
    _check(weights)
    return torch.special.entr(weights).sum(-1).double().mean(-1)


def patches(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Without CLS, the first token: weights among the patches, made to add up to one again, and each head's mean share that goes to CLS.

    (…, heads, 1 + N, 1 + N) -> (…, heads, N, N) and (…, heads), in float64.  What CLS itself looks at is left out.
    """
    _check(weights)
    rows = weights[..., 1:, :].double()
    among, to_cls = rows[..., 1:], rows[..., 0].mean(-1)
    return among / among.sum(-1, keepdim=True).clamp_min(torch.finfo(among.dtype).tiny), to_cls


def _check(weights: Tensor) -> None:
    if weights.dim() < 3 or weights.numel() == 0:
        raise MeasureError(f"Attention weights have the shape {tuple(weights.shape)}; it should be (…, heads, positions, positions).")
    if not torch.allclose(weights.sum(-1), weights.new_ones(()), atol=1e-3):
        raise MeasureError("The attention weights of a position do not add up to one.")
