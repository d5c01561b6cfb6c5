"""How much a feature map varies over the picture."""

from torch import Tensor

from core.errors import MeasureError


def spatial_variance(x: Tensor) -> Tensor:
    """Variance over positions, unbiased, mean over channels: (batch, channel, height, width) -> (batch,) in float64.

    Raises MeasureError for maps of one position, which have none.  Source: paper, Fig. 9 and its notebook.
    """
    if x.dim() != 4 or x.shape[-1] * x.shape[-2] < 2:
        raise MeasureError(f"A map of shape {tuple(x.shape)} has no variance over positions; it should be (batch, channel, height, width).")
    tokens = x.permute(0, 2, 3, 1).flatten(1, 2)  # a free view of maps as nets make them, channels last
    # two passes: a large mean must not drown a small variance
    from_mean = tokens - tokens.mean(dim=1, keepdim=True)
    return from_mean.square_().sum(dim=1).double().mean(dim=1) / (tokens.shape[1] - 1)
