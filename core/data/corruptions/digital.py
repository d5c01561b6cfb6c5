"""Digital: contrast, elastic, pixelate, saturate.  (Kinds: images uint8 (B, C, H, W), constants, draws -> uint8.)"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.corruptions import linear
from core.data.corruptions.blur import cut
from core.data.corruptions.draws import Draws


def contrast(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: what is left of the distance to the mean of the channel."""
    clear = x.float()
    # whole numbers below 2^24 are summed exactly in any order; float64 for the sums of large images
    mean = clear.mean((2, 3), keepdim=True, dtype=torch.float64).float()
    return cut(clear.mul_(c[0]).add_(mean, alpha=1 - c[0]))


def saturate(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: factor of the saturation, what is added to it.  Value and hue stay; the hue of grey is red."""
    if x.shape[1] == 1:
        return x.clone()
    most, least = x.amax(1, keepdim=True).float(), x.amin(1, keepdim=True).float()
    old = (most - least) / most.clamp(min=1)
    new = (old * c[0]).add_(c[1]).clamp_(0, 1)
    grey = most == least
    vivid = most - (most - x).mul_(new / old.masked_fill(grey, 1))
    if c[1]:
        vivid[:, 1:] = torch.where(grey, most * (1 - new), vivid[:, 1:])
    return cut(vivid)


@lru_cache(maxsize=16)
def _box(side: int, share: float, device: torch.device) -> Tensor:
    return torch.tensor(linear.box(side, int(side * share)), dtype=torch.float32, device=device)


def pixelate(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: size of the small image as a share.  Rounded after either direction, as Pillow does."""
    matrix, side = _box(x.shape[-1], c[0], x.device), x.shape[-1]
    across = (x.float().view(-1, side) @ matrix.T).add_(0.5).floor_()
    return cut((matrix @ across.view(-1, side, side)).add_(0.5)).view(x.shape)


# ---- elastic


@lru_cache(maxsize=16)
def _smooth(side: int, sigma: float, device: torch.device) -> linear.Operator:
    matrix = linear.gaussian(side, sigma, linear.mirror, cut=3.0)
    return linear.fold([(matrix, matrix)], device)


@lru_cache(maxsize=16)
def _grid(side: int, device: torch.device) -> Tensor:
    """Column, row and 1 of every pixel: float32 (side · side, 3)."""
    line = torch.arange(side, dtype=torch.float32, device=device)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([columns, rows, torch.ones_like(rows)], 2).view(-1, 3)


def affine(moves: Tensor, side: int) -> Tensor:
    """The map from new to old positions, float64 (B, 2, 3), that takes three corners of a middle square back from where they moved.

    moves: (B, 3, 2), in pixels, to the right and down.
    """
    centre, half = float(side // 2), float(side // 3)
    corners = ((centre + half, centre + half), (centre + half, centre - half), (centre - half, centre - half))
    old = torch.tensor(corners, dtype=torch.float64, device=moves.device)
    new = old + moves.double()
    (ax, ay), (bx, by), (cx, cy) = (new[:, i].T for i in range(3))
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    ab, ac = old[1] - old[0], old[2] - old[0]
    rows = []
    for k in range(2):
        by_x = (ab[k] * (cy - ay) - ac[k] * (by - ay)) / area
        by_y = (ac[k] * (bx - ax) - ab[k] * (cx - ax)) / area
        rows.append(torch.stack([by_x, by_y, old[0, k] - by_x * ax - by_y * ay], 1))
    return torch.stack(rows, 1)


def elastic_transform(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: strength and smoothness of the field, reach of the affine map, as shares of the side."""
    n, side = len(x), x.shape[-1]
    # positions count from -1 to 1.  First the middles of the border pixels are -1 and 1 (align_corners), and mirrors
    back = affine(draws.uniform(6, -c[2] * side, c[2] * side).view(n, 3, 2), side).mul_(2 / (side - 1))
    back[:, :, 2] -= 1
    at = (_grid(side, x.device) @ back.float().mT).view(n, side, side, 2)
    turned = F.grid_sample(x.float(), at, padding_mode="reflection", align_corners=True)
    # then their outer edges are
    field = draws.uniform(2 * side * side, -1, 1, stream=1).view(n, 2, side, side)
    shift = _smooth(side, c[1] * side, x.device)(field)
    home = _grid(side, x.device)[:, :2].mul(2 / side).add_(1 / side - 1).view(side, side, 2)
    at = torch.add(home, shift.movedim(1, 3), alpha=2 * c[0], out=at)
    return cut(F.grid_sample(turned, at, padding_mode="reflection", align_corners=False))
