"""How much a feature map varies over the picture."""

import torch
from torch import Tensor

from core.errors import MeasureError


def spatial_variance(x: Tensor) -> Tensor:
    """Variance over positions, unbiased, mean over channels: (batch, channel, height, width) -> (batch,) in float64.

    Raises MeasureError for maps of one position, which have none.  Source: paper, Fig. 9 and its notebook.
    """
    if x.dim() != 4 or x.shape[-1] * x.shape[-2] < 2:
        raise MeasureError(f"A map of shape {tuple(x.shape)} has no variance over positions; it should be (batch, channel, height, width).")
    # two passes in double precision: a large mean must not drown a small variance
    flat = x.flatten(2).to(torch.float64)
    return flat.var(dim=2, unbiased=True).mean(dim=1)
