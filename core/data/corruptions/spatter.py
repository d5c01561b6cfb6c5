"""Spatter: drops of water or mud on the lens.  (Images uint8 (B, C, H, W), constants, draws -> uint8.)

Mud is where smoothed noise is high.  Water shines by a relief: edges of the wet places (Canny), distance to them, equalised and
embossed, all as OpenCV defines these.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.corruptions import linear
from core.data.corruptions.blur import cut, gaussian_operator
from core.data.corruptions.draws import Draws
from core.data.corruptions.weather import LUMA

WATER, MUD = (175.0, 238.0, 238.0), (63.0, 42.0, 20.0)
WEAK, STRONG = 50, 150  # of Canny's gradient
STEEP = (0.5**0.5 - 0.5) * 2  # tangent of 22.5 degrees
FAR = 20  # distances count up to here
DIAGONAL, KNIGHT = 1.4, 2.1969
EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


@lru_cache(maxsize=8)
def _operators(side: int, device: torch.device) -> tuple[linear.Operator, linear.Operator]:
    """The mean of 3 x 3 and the relief."""
    mean = linear.band(side, np.full(3, 1 / 3), linear.mirror_inside)
    return linear.fold([(mean, mean)], device), linear.fold(linear.kernel_pairs(side, np.array(EMBOSS, float)), device)


def _above(a: Tensor, b: Tensor) -> Tensor:
    """1.0 where a > b, else 0.0, of whole numbers (faster than comparing)."""
    return (a - b).clamp_(0, 1)


def _three(x: Tensor, dim: int, combine: Callable[..., Tensor]) -> Tensor:
    """Each with the ones before and after it."""
    n = x.shape[dim] - 2
    return combine(combine(x.narrow(dim, 0, n), x.narrow(dim, 2, n)), x.narrow(dim, 1, n))


def edges(x: Tensor) -> Tensor:
    """Canny's edges of float (B, H, W) whole grey levels: 1.0 or 0.0.  3 x 3 Sobel, sum of absolute slopes, thresholds WEAK and STRONG."""
    high, wide = x.shape[-2:]
    p = F.pad(x[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    down = _three(p, 1, torch.add).add_(p[:, 1:-1])
    across = _three(p, 2, torch.add).add_(p[:, :, 1:-1])
    dx, dy = down[:, :, 2:] - down[:, :, :-2], across[:, 2:] - across[:, :-2]
    ax, ay = dx.abs(), dy.abs()
    slope = ax + ay
    around = F.pad(slope, (1, 1, 1, 1))

    def beside(y: int, x: int) -> Tensor:
        return around[:, 1 + y : 1 + y + high, 1 + x : 1 + x + wide]

    # across the edge the slope is highest: compared along its own direction, one of four
    along = _above(slope, beside(0, -1)).mul_(_above(slope + 1, beside(0, 1)))
    upright = _above(slope, beside(-1, 0)).mul_(_above(slope + 1, beside(1, 0)))
    falling = _above(slope, torch.maximum(beside(-1, -1), beside(1, 1)))
    rising = _above(slope, torch.maximum(beside(-1, 1), beside(1, -1)))
    aslant = torch.where((dx < 0) == (dy < 0), falling, rising)
    ridge = torch.where(ay < ax * STEEP, along, torch.where(ay > ax * (STEEP + 2), upright, aslant))
    ridge.mul_((slope - WEAK).clamp_(0, 1))
    found = ridge * (slope - STRONG).clamp_(0, 1)
    rest = ridge.sub_(found)
    while True:  # weak ridges that touch an edge belong to it
        near = _three(_three(F.pad(found, (1, 1, 1, 1)), 1, torch.maximum), 2, torch.maximum).mul_(rest)
        if not float(near.amax()):
            return found
        found.add_(near)
        rest.sub_(near)


@lru_cache(maxsize=8)
def _ways(device: torch.device) -> Tensor:
    """Length of a way of so many rows and so many columns, at most FAR: float32 (FAR, FAR + 1).

    Steps are those of a 5 x 5 mask: 1 straight, 1.4 aslant, 2.1969 as a knight; the cheapest way is the largest of two sums.
    """
    rows, columns = np.indices((FAR, FAR + 1))
    far, near = np.maximum(rows, columns), np.minimum(rows, columns)
    ways = np.maximum(far + (KNIGHT - 2) * near, (KNIGHT - DIAGONAL) * far + (2 * DIAGONAL - KNIGHT) * near)
    return torch.tensor(np.minimum(ways, FAR), dtype=torch.float32, device=device)


def distance(marked: Tensor) -> Tensor:
    """Distance of each pixel to the nearest marked one (float (B, H, W), 1.0 or 0.0), at most FAR: float.

    First along the rows; then every row offers its own distances to those above and below.
    """
    high, wide = marked.shape[-2:]
    row = ((1 - marked) * FAR).to(torch.int32)
    step = 1
    while step < min(FAR, wide):
        before = row.clone()
        torch.minimum(row[..., step:], before[..., :-step] + step, out=row[..., step:])
        torch.minimum(row[..., :-step], before[..., step:] + step, out=row[..., :-step])
        step *= 2
    best, ways = row.float(), _ways(marked.device)
    for away in range(1, min(FAR, high)):
        if away >= float(best.amax()):
            break
        way = ways[away].index_select(0, row.view(-1)).view(row.shape)
        torch.minimum(best[:, away:], way[:, :-away], out=best[:, away:])
        torch.minimum(best[:, :-away], way[:, away:], out=best[:, :-away])
    return best


def equalised(x: Tensor) -> Tensor:
    """Whole levels 0..FAR float (B, H, W) -> 0..255, evenly spread by rank; an image of one level stays."""
    n, levels = len(x), FAR + 1
    first = torch.arange(0, n * levels, levels, device=x.device)[:, None]
    places = (x.to(torch.int64).view(n, -1) + first).view(-1)
    count = torch.bincount(places, minlength=n * levels).view(n, levels)
    total, lowest = x[0].numel(), count.gather(1, (count > 0).long().argmax(1, keepdim=True))
    spread = (count.cumsum(1) - lowest).clamp(min=0) * (255.0 / (total - lowest).clamp(min=1))
    levelled = torch.where(lowest == total, torch.arange(levels, device=x.device), spread.round())
    return levelled.float().view(-1).index_select(0, places).view(x.shape)


def shine(wet: Tensor) -> Tensor:
    """How bright the water is, float (B, H, W) with the brightest place at 1, from whole grey levels."""
    mean, emboss = _operators(wet.shape[-1], wet.device)
    near = mean(distance(edges(wet))).add_(1e-3).floor_()
    relief = emboss(equalised(near)).add_(0.5).floor_().clamp_(0, 255)
    light = mean(relief).add_(0.5).floor_().mul_(wet)
    return light / light.amax((1, 2), keepdim=True).clamp(min=1)


def spatter(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: mean, deviation, sigma and threshold of the wet places, strength (mud: sigma of the edges), whether mud."""
    (_, channels, side, _), (mean, deviation, sigma, threshold, strength, mud) = x.shape, c
    noise = draws.normal(side * side).mul_(deviation).add_(mean).view(-1, side, side)
    layer = gaussian_operator(side, sigma, x.device)(noise)
    colour = MUD if mud else WATER
    tint = torch.tensor(colour if channels == 3 else (float(np.dot(LUMA, colour)),), device=x.device).view(1, -1, 1, 1)
    if mud:
        cover = gaussian_operator(side, strength, x.device)((layer > threshold).float())
        cover.masked_fill_(cover < 0.8, 0)
        return cut(x * (1 - cover[:, None]) + tint * cover[:, None])
    wet = layer.masked_fill_(layer < threshold, 0).mul_(255).clamp_(max=255).floor_()
    return cut((tint * (shine(wet) * strength)[:, None]).add_(x))
