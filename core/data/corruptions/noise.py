"""Noise: gaussian, shot, speckle and impulse.  (Kinds: images uint8 (B, C, H, W), constants, draws -> uint8.)

No law is sampled: a uniform draw of 16 bits is looked up among the quantiles, made once.  Grey levels are cut, not rounded, as published.
"""

from functools import lru_cache

import torch
from torch import Tensor

from core.data.corruptions.draws import STEPS, Draws, normal_quantiles

CPU = torch.device("cpu")
BITS = 12
LEVELS = 1 << BITS  # quantiles of the Poisson law of each grey level: more would not fit into the cache


@lru_cache(maxsize=8)
def gaussian_table(sigma: float, device: torch.device) -> Tensor:
    """What is added for each draw, int16: 255 sigma z, cut downwards."""
    return (normal_quantiles(STEPS, CPU).double() * (255 * sigma)).floor().to(device, torch.int16)


@lru_cache(maxsize=8)
def impulse_table(share: float, device: torch.device) -> Tensor:
    """What is added for each draw, int16: -255, nothing or 255."""
    half, table = round(share * STEPS / 2), torch.zeros(STEPS, dtype=torch.int16)
    table[:half], table[STEPS - half :] = -255, 255
    return table.to(device)


@lru_cache(maxsize=8)
def speckle_table(sigma: float, device: torch.device) -> Tensor:
    """What a value is multiplied with for each draw, float32: 1 + sigma z."""
    return (1 + sigma * normal_quantiles(STEPS, CPU).double()).to(device, torch.float32)


@lru_cache(maxsize=8)
def shot_table(photons: float, device: torch.device) -> Tensor:
    """Poisson(x photons) / photons for each of 256 values and each quantile, as grey levels: uint8, flat."""
    mean = torch.arange(256, dtype=torch.float64)[:, None] * (photons / 255)
    count = torch.arange(int(photons + 8 * photons**0.5 + 20), dtype=torch.float64)
    reached = (torch.xlogy(count, mean) - mean - torch.lgamma(count + 1)).exp().cumsum(1)
    middles = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    counted = torch.searchsorted(reached, middles.expand(256, -1).contiguous())
    return (counted.clamp(max=photons) * 255 / photons).floor().to(device, torch.uint8).flatten()


def _found(x: Tensor, table: Tensor, draws: Draws) -> Tensor:
    """For each value of the images a draw, and what the table has for it."""
    places = draws.words(x[0].numel()).to(torch.int32).add_(STEPS // 2)
    return table.index_select(0, places.view(-1)).view(x.shape)


def gaussian_noise(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: standard deviation as a share of white."""
    return _found(x, gaussian_table(c[0], x.device), draws).add_(x).clamp_(0, 255).to(torch.uint8)


def impulse_noise(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: share of the values that become 0 or 255."""
    return _found(x, impulse_table(c[0], x.device), draws).add_(x).clamp_(0, 255).to(torch.uint8)


def speckle_noise(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: standard deviation as a share of the value."""
    return _found(x, speckle_table(c[0], x.device), draws).mul_(x).clamp_(0, 255).to(torch.int32).to(torch.uint8)


def shot_noise(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: photons at white."""
    words = draws.words(x[0].numel()).to(torch.int32).bitwise_and_(LEVELS - 1)
    places = (x.reshape(len(x), -1).to(torch.int32) << BITS).bitwise_or_(words)
    return shot_table(c[0], x.device).index_select(0, places.view(-1)).view(x.shape)
