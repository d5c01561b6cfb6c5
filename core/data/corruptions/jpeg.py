"""JPEG: what encoding and decoding with the IJG reference code does to the pixels, for a batch at a time and without the bits.

Rounded where that code rounds: colour conversion, halved colour (4:2:0), both passes of the slow integer cosine transform,
quantisation, and the triangle filter that enlarges the colour again.  Sums of whole numbers are exact in float32, so almost all
pixels come out as Pillow's.  (ITU-T T.81; quality to quantisation as in the IJG code.)
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.corruptions.draws import Draws

# ITU-T T.81, tables K.1 and K.2
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92), (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_COLOUR = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)  # fmt: skip


def quantisation(table: tuple[tuple[int, ...], ...], quality: int) -> np.ndarray:
    """The steps (8, 8) of a quality from 1 to 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(table) * scale + 50) // 100, 1, 255)


# The cosine transform of Loeffler, Ligtenberg and Moschytz with constants of 13 bits, as the integer code has it: the left half of
# each row; the right half mirrors it, with the other sign in every second row.
_TRANSFORM = (
    (8192, 8192, 8192, 8192), (11363, 9633, 6437, 2260), (10703, 4433, -4433, -10703), (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192), (6437, -11362, 2261, 9633), (4433, -10704, 10704, -4433), (2260, -6436, 9633, -11363),
)  # fmt: skip


@lru_cache
def _cosines(device: torch.device) -> Tensor:
    """The 8 x 8 cosine transform times the root of 8."""
    half = np.array(_TRANSFORM)
    sign = np.array([1, -1] * 4)[:, None]
    return torch.tensor(np.concatenate([half, sign * half[:, ::-1]], 1) / 8192, dtype=torch.float32, device=device)


@lru_cache(maxsize=32)
def _steps(colour: bool, quality: int, wide: int, device: torch.device) -> Tensor:
    """The steps, repeated to the width of an image: (8, wide)."""
    table = quantisation(_COLOUR if colour else _LUMA, quality)
    return torch.tensor(np.tile(table, (1, wide // 8)), dtype=torch.float32, device=device)


@lru_cache(maxsize=16)
def _halve(n: int, device: torch.device) -> Tensor:
    """(n / 2, n): sums of pairs."""
    return torch.tensor(np.kron(np.eye(n // 2), [1.0, 1.0]), dtype=torch.float32, device=device)


@lru_cache(maxsize=16)
def _double(n: int, device: torch.device) -> Tensor:
    """(2 n, n): three times the pixel and once its neighbour on that side, the border repeated."""
    matrix, at = np.zeros((2 * n, n)), np.arange(n)
    for side, rows in ((-1, slice(0, None, 2)), (1, slice(1, None, 2))):
        matrix[rows] += 3 * np.eye(n)
        matrix[2 * at + (side > 0), np.clip(at + side, 0, n - 1)] += 1
    return torch.tensor(matrix, dtype=torch.float32, device=device)


@lru_cache(maxsize=16)
def _alternating(even: float, odd: float, n: int, device: torch.device) -> Tensor:
    return torch.tensor([even, odd], device=device).repeat(n // 2)


def _nearest(x: Tensor) -> Tensor:
    return x.add_(0.5).floor_()


def coded(plane: Tensor, colour: bool, quality: int) -> Tensor:
    """Planes (N, H, W) of whole grey levels, sides multiples of 8, through transform, quantisation and back."""
    cosines, (n, high, wide) = _cosines(plane.device), plane.shape
    steps = _steps(colour, quality, wide, plane.device)
    across = _nearest((plane - 128).view(-1, 8) @ (4 * cosines.T))
    values = _nearest((cosines / 4) @ across.view(-1, 8, wide))
    # eight times the coefficient, to the nearest step, halves away from zero
    levels = values.add_(torch.copysign(4 * steps, values)).div_(8 * steps).trunc_()
    down = _nearest((4 * cosines.T) @ levels.mul_(steps))
    return _nearest(down.view(-1, 8) @ (cosines / 32)).add_(128).clamp_(0, 255).view(n, high, wide)


def jpeg_compression(x: Tensor, c: tuple[float, ...], draws: Draws) -> Tensor:
    """c: quality.  Images uint8 (B, C, H, W) -> uint8."""
    (n, channels, high, wide), quality = x.shape, int(c[0])
    unit = 8 if channels == 1 else 16
    clear = x.float()
    if high % unit or wide % unit:
        clear = F.pad(clear, (0, -wide % unit, 0, -high % unit), mode="replicate")
    if channels == 1:
        return coded(clear[:, 0], False, quality)[:, None, :high, :wide].to(torch.int32).to(torch.uint8)
    red, green, blue = clear.unbind(1)
    # the weights of the integer code, 16 bits after the point: exact in float32
    y = _nearest((red * (19595 / 65536)).add_(green, alpha=38470 / 65536).add_(blue, alpha=7471 / 65536))
    half = torch.empty(n, 2, *y.shape[1:], device=x.device)
    torch.mul(blue, 0.5, out=half[:, 0]).sub_(red, alpha=11059 / 65536).sub_(green, alpha=21709 / 65536)
    torch.mul(red, 0.5, out=half[:, 1]).sub_(green, alpha=27439 / 65536).sub_(blue, alpha=5329 / 65536)
    half = half.add_(128.5 - 1 / 65536).floor_().view(n * 2, *y.shape[1:])
    small = _halve(y.shape[1], x.device) @ (half.view(-1, y.shape[2]) @ _halve(y.shape[2], x.device).T).view(n * 2, -1, y.shape[2] // 2)
    small = small.add_(_alternating(1, 2, small.shape[2], x.device)).mul_(0.25).floor_()
    small = coded(small, True, quality)[:, : (high + 1) // 2, : (wide + 1) // 2]
    tall, broad = _double(small.shape[1], x.device), _double(small.shape[2], x.device)
    large = tall @ (small.reshape(-1, small.shape[2]) @ broad.T).view(n * 2, -1, len(broad))
    large = large.add_(_alternating(8, 7, len(broad), x.device)).mul_(1 / 16).floor_().sub_(128)
    u, v = large.view(n, 2, *large.shape[1:])[:, :, :high, :wide].unbind(1)
    y = coded(y, False, quality)[:, :high, :wide]
    made = torch.empty(n, 3, high, wide, device=x.device)
    torch.add(y, _nearest(v * 1.402), out=made[:, 0])
    torch.add(y, _nearest((u * (-22554 / 65536)).sub_(v, alpha=46802 / 65536)), out=made[:, 1])
    torch.add(y, _nearest(u * 1.772), out=made[:, 2])
    return made.clamp_(0, 255).to(torch.int32).to(torch.uint8)
