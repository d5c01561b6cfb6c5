"""Blurs: defocus, glass, motion, zoom and gaussian.  (Kinds: images uint8 (B, C, H, W), constants, draws -> uint8.)"""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.corruptions import linear
from core.data.corruptions.draws import Draws

TOGETHER = 64  # images of like slope that are smeared together: few enough to stay in the cache


def cut(x: Tensor) -> Tensor:
    """Grey levels as published: what is left of the comma, 0 to 255.  What is meant whole stays: a rounding error is no level."""
    return x.add_(1e-3).clamp_(0, 255).to(torch.int32).to(torch.uint8)


@lru_cache(maxsize=16)
def gaussian_operator(side: int, sigma: float, device: torch.device) -> linear.Operator:
    """Gaussian weights, the border repeated."""
    matrix = linear.gaussian(side, sigma)
    return linear.fold([(matrix, matrix)], device)


@lru_cache(maxsize=16)
def defocus_operator(side: int, radius: float, sigma: float, device: torch.device) -> linear.Operator:
    """A soft disk."""
    return linear.fold(linear.kernel_pairs(side, linear.disk(radius, sigma)), device)


@lru_cache(maxsize=16)
def zoom_operator(side: int, end: float, step: float, device: torch.device) -> linear.Operator:
    """The mean of the image and of its copies magnified by 1, 1 + step, ... below `end`."""
    matrices = [np.eye(side), *(linear.magnify(side, float(factor)) for factor in np.arange(1, end, step))]
    return linear.fold([(m / len(matrices), m) for m in matrices], device)


def gaussian_blur(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: sigma in pixels."""
    return cut(gaussian_operator(x.shape[-1], c[0], x.device)(x.float()))


def defocus_blur(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: radius, sigma of the edge, in pixels."""
    return cut(defocus_operator(x.shape[-1], c[0], c[1], x.device)(x.float()))


def zoom_blur(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: end and step of the factors."""
    return cut(zoom_operator(x.shape[-1], c[0], c[1], x.device)(x.float()))


# ---- motion


def motion_weights(radius: float, sigma: float) -> np.ndarray:
    """Weights along the line, from the pixel itself on: half a Gaussian of 2 radius + 1 pixels.  Those too small to be seen go."""
    weights = np.exp(-0.5 * (np.arange(2 * math.ceil(radius) + 1) / sigma) ** 2)
    weights /= weights.sum()
    return weights[: int((weights[::-1].cumsum()[::-1] > 1e-4).sum())]


def smear(x: Tensor, weights: np.ndarray, degrees: Tensor) -> Tensor:
    """Float maps (B, C, H, W), each smeared along its own slope; the border is repeated.

    Images are taken in the order of their slope, so that those beside each other read the same neighbours.
    """
    high, wide = x.shape[-2:]
    order = torch.argsort(degrees, stable=True)
    angles = np.deg2rad(degrees[order].double().cpu().numpy())
    steps = np.arange(len(weights))
    down = np.ceil(steps * np.sin(angles)[:, None] - 0.5).astype(int)
    right = np.ceil(steps * np.cos(angles)[:, None] - 0.5).astype(int)
    blurred = torch.empty_like(x)
    for start in range(0, len(x), TOGETHER):
        part = order[start : start + TOGETHER]
        dy, dx = down[start : start + TOGETHER], right[start : start + TOGETHER]
        top, left = -min(0, dy.min()), -min(0, dx.min())
        wider = F.pad(x[part], (left, max(0, dx.max()), top, max(0, dy.max())), mode="replicate")
        dy, dx = dy + top, dx + left
        total = wider[:, :, top : top + high, left : left + wide] * float(weights[0])
        ends = (np.diff(dy, axis=0) != 0) | (np.diff(dx, axis=0) != 0)
        for tap in range(1, len(weights)):
            bounds = [0, *(np.flatnonzero(ends[:, tap]) + 1), len(part)]
            for a, b in pairwise(bounds):
                y, z = dy[a, tap], dx[a, tap]
                total[a:b].add_(wider[a:b, :, y : y + high, z : z + wide], alpha=float(weights[tap]))
        blurred[part] = total
    return blurred


def motion_blur(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: radius and sigma in pixels.  Rounded, not cut, as published."""
    smeared = smear(x.float(), motion_weights(*c), draws.uniform(1, -45, 45)[:, 0])
    return cut(smeared.add_(0.5))


# ---- glass


def moved(steps: Tensor, side: int, reach: int) -> Tensor:
    """Where each pixel of an image comes from, int32 (B, side · side), given steps (B, n, n): how much further on in the image.

    Every pixel that is more than `reach` from the border in turn, from the last row and column to the first, takes the value of the
    pixel one step away.  So one that had its turn (its place is later) hands on what it took: chains, which are followed by two
    links, four links, ... at a time.
    """
    n, pixels, inner = len(steps), side * side, slice(reach + 1, side - reach + 1)
    # a pixel's old value, then its new one: where that comes from
    both = torch.arange(pixels, dtype=torch.int32, device=steps.device).expand(n, 2, -1).contiguous()
    links = both[:, 1]
    links.view(n, side, side)[:, inner, inner].add_(steps).add_(steps > 0, alpha=pixels)
    first = torch.arange(0, 2 * pixels * n, 2 * pixels, dtype=torch.int32, device=steps.device)[:, None]
    while int(links.amax()) >= pixels:
        links.copy_(both.view(-1).index_select(0, (links + first).view(-1)).view(n, pixels))
    return links


@lru_cache(maxsize=16)
def _steps(side: int, reach: int, device: torch.device) -> Tensor:
    """All steps of -reach to reach - 1 down and to the right, as ways from one place to another."""
    line = torch.arange(-reach, reach, dtype=torch.int32, device=device)
    return (line[:, None] * side + line).flatten()


def glass_blur(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: sigma, reach of a step in pixels, rounds.

    In the published generator two pixels are meant to change places, but its assignment of views of an array copies one over the
    other; the published images are made that way, so these are too.
    """
    (n, channels, side, _), reach, rounds = x.shape, int(c[1]), int(c[2])
    blurred = gaussian_operator(side, c[0], x.device)
    span = side - 2 * reach
    choice = draws.below(4 * reach * reach, rounds * span * span)
    steps = _steps(side, reach, x.device).index_select(0, choice.view(-1))
    links = moved(steps.view(n * rounds, span, span), side, reach).unflatten(0, (n, rounds))
    first = torch.arange(0, n * side * side, side * side, dtype=torch.int32, device=x.device)[:, None]
    source = links[:, -1]
    for earlier in range(rounds - 2, -1, -1):
        source = links[:, earlier].reshape(-1).index_select(0, (source + first).view(-1)).view(n, -1)
    each = torch.arange(0, n * channels * side * side, side * side, dtype=torch.int32, device=x.device).view(n, channels, 1)
    pixels = cut(blurred(x.float())).view(-1).index_select(0, (source[:, None] + each).view(-1)).view(x.shape)
    return cut(blurred(pixels.float()))
