"""Weather: snow, frost, fog and brightness.  (Kinds: images uint8 (B, C, H, W), constants, draws -> uint8.)"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from core.data.corruptions import linear
from core.data.corruptions.blur import cut, motion_weights, smear
from core.data.corruptions.draws import Draws

LUMA = (0.299, 0.587, 0.114)


def luma(x: Tensor) -> Tensor:
    """Float (B, C, H, W) -> (B, 1, H, W): the weighted sum of three channels, or the only one."""
    return x if x.shape[1] == 1 else (x[:, :1] * LUMA[0]).add_(x[:, 1:2], alpha=LUMA[1]).add_(x[:, 2:], alpha=LUMA[2])


# ---- snow


@lru_cache(maxsize=8)
def _flakes_operator(side: int, factor: float, device: torch.device) -> linear.Operator:
    matrix = linear.magnify(side, factor)
    return linear.fold([(matrix, matrix)], device)


def flakes(side: int, c: tuple[float, ...], draws: Draws) -> Tensor:
    """The layer of snow, float (B, 1, side, side) of whole grey levels."""
    mean, deviation, factor, threshold, radius, sigma = c[:6]
    drawn = draws.normal(side * side).mul_(deviation).add_(mean).view(-1, 1, side, side)
    layer = _flakes_operator(side, factor, drawn.device)(drawn)
    layer = cut(layer.masked_fill_(layer < threshold, 0).mul_(255)).float()
    return smear(layer, motion_weights(radius, sigma), draws.uniform(1, -135, -45, stream=1)[:, 0]).add_(0.5).floor_()


def snow(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: mean, deviation, zoom and threshold of the flakes, radius and sigma of their fall, share of the image."""
    share, fallen, clear = c[6], flakes(x.shape[-1], c, draws), x.float()
    white = luma(clear).mul(1.5).add_(127.5)
    return cut((clear * share).add_(torch.maximum(clear, white), alpha=1 - share).add_(fallen + fallen.flip(2, 3)))


# ---- frost

# What the published photographs were measured to be: mean colour, and the deviation of their grey values as they are and at a fifth
# of their size, which is how the 32-pixel generator takes them.  Two of the five are the same picture.
FROSTS = (
    ((78, 149, 166), 20, 17), ((201, 205, 214), 22, 18), ((201, 205, 214), 22, 18), ((138, 153, 165), 29, 22), ((112, 123, 135), 43, 35),
)  # fmt: skip
FROST_SIDE = 256


@lru_cache(maxsize=8)
def frosts(side: int, channels: int, fifth: bool, device: torch.device) -> Tensor:
    """The five textures, float (5, C, FROST_SIDE + side, FROST_SIDE + side): ridges of noise whose power falls as frequency^-1.8.

    They repeat after FROST_SIDE pixels, so that a crop may start anywhere.
    """
    n = FROST_SIDE * max(1, -(-side // FROST_SIDE))
    rng = np.random.default_rng(5)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None])
    frequency[0, 0] = np.inf
    made = []
    for colour, deviation, small in FROSTS:
        field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, n))) * frequency**-0.9, (n, n))
        ridges = -np.abs(field)
        ridges = (ridges - ridges.mean()) / ridges.std() * (small if fifth else deviation)
        wanted = np.array(colour if channels == 3 else [np.dot(LUMA, colour)])
        made.append(np.clip(wanted[:, None, None] + ridges, 0, 255).round())
    tiles = np.pad(np.stack(made), ((0, 0), (0, 0), (0, side), (0, side)), mode="wrap")
    return torch.tensor(tiles, dtype=torch.float32, device=device)


def frost(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: share of the image, share of the frost."""
    _, channels, side, _ = x.shape
    tiles = frosts(side, channels, side < 85, x.device)
    wide = tiles.shape[-1]
    which, corner = draws.below(len(tiles), 1), draws.below(wide - side, 2, stream=1)
    along, planes = (torch.arange(n, dtype=torch.int32, device=x.device) for n in (side, channels))
    inside = planes[:, None, None] * (wide * wide) + along[:, None] * wide + along
    start = which[:, 0] * (channels * wide * wide) + corner[:, 0] * wide + corner[:, 1]
    piece = tiles.view(-1).index_select(0, (start[:, None] + inside.view(-1)).view(-1)).view(x.shape)
    return cut(piece.mul_(c[1]).add_(x, alpha=c[0]))


# ---- fog


def plasma(side: int, decay: float, draws: Draws) -> Tensor:
    """A random cloud by the diamond-square algorithm on a torus: float (B, side, side), from 0 to 1 over the next power of two."""
    size = 1 << max(1, side - 1).bit_length()
    drawn, used = draws.uniform(size * size - 1, -1, 1), 0
    cloud = torch.zeros(len(drawn), size, size, device=drawn.device)
    step, swing = size, 100.0

    def fill(rows: int, columns: int, total: Tensor) -> None:
        nonlocal used
        n = total.shape[-1]
        noise = drawn[:, used : used + n * n].view(-1, n, n)
        cloud[:, rows::step, columns::step] = total.mul_(0.25).add_(noise, alpha=swing * swing)
        used += n * n

    while step >= 2:
        half = step // 2
        corners = cloud[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        fill(half, half, pairs + pairs.roll(-1, 2))
        centres, corners = cloud[:, half::step, half::step], cloud[:, ::step, ::step]
        fill(0, half, centres + centres.roll(1, 1) + corners + corners.roll(-1, 2))
        fill(half, 0, centres + centres.roll(1, 2) + corners + corners.roll(-1, 1))
        step, swing = half, swing / decay
    cloud -= cloud.amin((1, 2), keepdim=True)
    return (cloud / cloud.amax((1, 2), keepdim=True))[:, :side, :side]


def fog(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: thickness, decay of the cloud from one scale to the next."""
    cloud = plasma(x.shape[-1], c[1], draws)[:, None]
    most = x.amax((1, 2, 3), keepdim=True).float()
    return cut((x + cloud * (255 * c[0])).mul_(most / (most + 255 * c[0])))


def brightness(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: what is added to the value.  Hue and saturation stay, so the channels keep their ratios; black turns grey."""
    value = x.amax(1, keepdim=True).float()
    raised = (value + 255 * c[0]).clamp_(max=255)
    if x.shape[1] == 1:
        return cut(raised)
    return cut(torch.where(value == 0, raised, x * (raised / value.clamp(min=1))))
