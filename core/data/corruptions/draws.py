"""The random numbers of a corruption: for each image from (seed, kind, severity, index of the image) alone.

They come from numpy's Philox, whose stream is fixed for ever: an image's place in it is its index, so the images of a batch that
follow each other are drawn in one call, and no image's numbers depend on what is drawn beside it or on the device.
"""

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

STEPS = 1 << 16
_BLOCK = 16  # numbers of 16 bits in one block of Philox4x64


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Numbers for the images `indices` (int64 array).  `stream` tells apart what one kind draws for several purposes."""

    seed: int
    kind: str
    severity: int
    indices: np.ndarray
    device: torch.device

    def words(self, n: int, stream: int = 0) -> Tensor:
        """n whole numbers of 16 bits for each image, int16 (B, n): equally likely, from -32768 to 32767."""
        blocks = -(-n // _BLOCK)
        key = [self.seed, crc32(self.kind.encode()) | self.severity << 32 | stream << 40]
        ends = np.flatnonzero(np.diff(self.indices) != 1) + 1
        parts = []
        for run in np.split(self.indices, ends):
            philox = np.random.Philox(key=key, counter=int(run[0]) * blocks)
            parts.append(philox.random_raw(len(run) * blocks * 4))
        drawn = (parts[0] if len(parts) == 1 else np.concatenate(parts)).view(np.int16).reshape(len(self.indices), blocks * _BLOCK)
        return torch.from_numpy(drawn[:, :n]).to(self.device)

    def uniform(self, n: int, low: float = 0.0, high: float = 1.0, stream: int = 0) -> Tensor:
        """n numbers for each image, equally likely between low and high: float32 (B, n)."""
        step = (high - low) / STEPS
        return self.words(n, stream).to(torch.float32).mul_(step).add_(low + (STEPS / 2 + 0.5) * step)

    def normal(self, n: int, stream: int = 0) -> Tensor:
        """n standard normal numbers for each image, float32 (B, n)."""
        words = self.words(n, stream)
        places = words.to(torch.int32).add_(STEPS // 2)
        return normal_quantiles(STEPS, self.device).index_select(0, places.reshape(-1)).view(places.shape)

    def below(self, limit: int, n: int, stream: int = 0) -> Tensor:
        """n whole numbers for each image, from 0 to limit - 1: int32 (B, n)."""
        return self.words(n, stream).to(torch.int32).add_(STEPS // 2).mul_(limit) >> 16


@lru_cache
def normal_quantiles(steps: int, device: torch.device) -> Tensor:
    """The middles of `steps` equally likely parts of the normal law, rising: float32 (steps,)."""
    middles = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return torch.special.ndtri(middles).to(device, torch.float32)
