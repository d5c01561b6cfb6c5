"""The frequency content of feature maps: how strong are fine patterns beside the mean of the map?"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from core.errors import MeasureError

#: Smaller maps have one diagonal sample or none beside zero frequency, and say nothing about frequencies (paper, Figs. 2a and 8).
MIN_SIDE = 4
#: Added to an amplitude before its logarithm, so that an empty map has a finite one (paper, Figs. 2a and 8).
FLOOR = 1e-6


def frequencies(side: int) -> list[float]:
    """True frequency of each diagonal sample of a `side` x `side` map, in units of π: 2k / side.

    The highest sample of an even side is (side - 2) / side, not 1: the map's own limit is never on the diagonal.
    """
    return [2 * k / side for k in range(math.ceil(side / 2))]


@lru_cache(maxsize=32)
def _diagonal_waves(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """cos and -sin of 2π k (y + x) / side, as (2 * K, side * side): times a map's positions this is its transform's diagonal."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    k = torch.arange(math.ceil(side / 2))
    turns = ((y + x).reshape(-1, 1) * k) % side  # whole numbers: the angle stays exact however large the map is
    angle = turns.to(torch.float64) * (2 * math.pi / side)
    return torch.cat([torch.cos(angle), -torch.sin(angle)], dim=1).T.contiguous().to(device=device, dtype=dtype)


def log_amplitude(maps: Tensor) -> Tensor:
    """ln(|F| + 1e-6) on the diagonal of the 2-D Fourier transform, mean over channels of the log.

    `maps` (batch, channel, side, side) of any float type -> (batch, K) float32, K = ceil(side / 2), sample k at
    frequency 2k / side π.  Only the K diagonal values are computed, as one matrix product; they equal fft2's.

    Raises MeasureError for an empty batch, maps that are not square, or values that are not finite.
    Source: paper, Figs. 2a and 8 (mean of the log, not log of the mean).
    """
    if maps.ndim != 4 or 0 in maps.shape:
        raise MeasureError(f"Feature maps have the shape {tuple(maps.shape)}; they should be (batch, channel, side, side) and not empty.")
    side, width = maps.shape[2:]
    if side != width:
        raise MeasureError(f"The feature map is {side}x{width}; the diagonal of its spectrum is read on square maps only.")
    # The GPU may round float32 products to 10 bits of mantissa, and a caller's autocast would round to 8: neither here.
    dtype = torch.float64 if maps.is_cuda or maps.dtype == torch.float64 else torch.float32
    with torch.autocast(maps.device.type, enabled=False):
        positions = maps.permute(0, 2, 3, 1).flatten(1, 2)  # (batch, side * side, channel): a free view of channels_last maps
        real, imaginary = (_diagonal_waves(side, maps.device, dtype) @ positions.to(dtype)).chunk(2, dim=1)
        logs = torch.log(torch.hypot(real, imaginary) + FLOOR).mean(dim=2)
    if not torch.isfinite(logs).all():
        raise MeasureError("A feature map holds values that are not finite; the net may have diverged.")
    return logs.float()


def delta_log_amplitude(maps: Tensor) -> Tensor:
    """`log_amplitude` minus its own value at zero frequency: (batch, K), 0 at k = 0.

    Relative to each map's own mean, so only changes within one resolution compare (paper, Figs. 2a and 8).
    """
    logs = log_amplitude(maps)
    return logs - logs[:, :1]
