"""Linear corruptions as sums of products: image -> sum over k of A_k · image · B_kᵀ, few terms for any blur of a square image.

Two small matrix products a batch take the place of a convolution, borders included.  The matrices are made in float64; how many
terms are kept is decided once (`fold`) and leaves an error far below one grey level.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# A term is left out when all that are left out could move no pixel by more than about this share of white.
TOLERANCE = 2e-4
BLOCK = 1 << 17  # values between the two products at a time: they stay in the cache
SPAN = 56  # rows that are made at a time where an image is much larger than what a row sees
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Operator:
    """left (H, H·r) and right (W, r, W) float32 matrices of r terms.

    rows and columns: parts of what comes out, with the part of what goes in that they see (first, end, lowest, highest).
    """

    left: Tensor
    right: Tensor
    rows: tuple[tuple[int, int, int, int], ...]
    columns: tuple[tuple[int, int, int, int], ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Float32 maps (..., H, W) -> the same shape."""
        high, (wide, terms, _) = x.shape[-2], self.right.shape
        maps = x.reshape(-1, high, wide)
        made = torch.empty_like(maps)
        together = max(1, BLOCK // (high * terms * wide))
        for start in range(0, len(maps), together):
            part = slice(start, start + together)
            across = self._across(maps[part].reshape(-1, wide)).view(-1, high * terms, wide)
            if len(self.rows) == 1:
                torch.matmul(self.left, across, out=made[part])
                continue
            for first, end, low, top in self.rows:
                made[part, first:end] = self.left[first:end, low * terms : top * terms] @ across[:, low * terms : top * terms]
        return made.view(x.shape)

    def _across(self, lines: Tensor) -> Tensor:
        wide, terms, _ = self.right.shape
        if len(self.columns) == 1:
            return lines @ self.right.view(wide, -1)
        across = lines.new_empty(len(lines), terms, wide)
        for first, end, low, top in self.columns:
            some = self.right[low:top, :, first:end].reshape(top - low, -1)
            across[:, :, first:end] = (lines[:, low:top] @ some).view(-1, terms, end - first)
        return across


def _bands(matrices: np.ndarray) -> tuple[tuple[int, int, int, int], ...]:
    """Of (r, n, n) matrices, SPAN rows at a time: first and last + 1, and likewise of the columns that are not zero there."""
    n = matrices.shape[1]
    seen = np.abs(matrices).max(0)
    seen = seen > 1e-9 * seen.max()
    bands = []
    for first in range(0, n, SPAN if n >= 3 * SPAN else n):
        end = min(n, first + SPAN) if n >= 3 * SPAN else n
        used = np.flatnonzero(seen[first:end].any(0))
        bands.append((first, end, int(used[0]), int(used[-1]) + 1))
    return tuple(bands)


def fold(pairs: list[Pair], device: torch.device) -> Operator:
    """The sum of products as an operator, with as few terms as the tolerance allows (singular values of the rearranged operator)."""
    high, wide = pairs[0][0].shape[0], pairs[0][1].shape[0]
    left, right = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    if len(pairs) > 1:
        a, r_a = np.linalg.qr(left.reshape(len(pairs), -1).T)
        b, r_b = np.linalg.qr(right.reshape(len(pairs), -1).T)
        u, values, v = np.linalg.svd(r_a @ r_b.T)
        rest = np.sqrt(np.cumsum(values[::-1] ** 2))[::-1]
        keep = max(1, int((rest > TOLERANCE * np.sqrt(high * wide)).sum()))
        left, right = ((a @ u[:, :keep]) * values[:keep]).T.reshape(keep, high, high), (b @ v[:keep].T).T.reshape(keep, wide, wide)
    rows, columns = _bands(left), _bands(right)
    by_row = np.ascontiguousarray(left.transpose(1, 2, 0)).reshape(high, -1)  # columns in the order (row, term)
    by_term = np.ascontiguousarray(right.transpose(2, 0, 1))  # (column in, term, column out)
    return Operator(*(torch.tensor(m, dtype=torch.float32, device=device) for m in (by_row, by_term)), rows=rows, columns=columns)


# ---- borders: where a position outside is read


def clamp(i: np.ndarray, n: int) -> np.ndarray:
    """aaa|abcd|ddd"""
    return np.clip(i, 0, n - 1)


def mirror(i: np.ndarray, n: int) -> np.ndarray:
    """cba|abcd|dcb"""
    i = np.mod(i, 2 * n)
    return np.where(i < n, i, 2 * n - 1 - i)


def mirror_inside(i: np.ndarray, n: int) -> np.ndarray:
    """dcb|abcd|cba"""
    i = np.mod(i, max(1, 2 * n - 2))
    return np.where(i < n, i, 2 * n - 2 - i)


def band(n: int, weights: np.ndarray, border: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """The (n, n) matrix of a correlation with weights of odd length."""
    reach = len(weights) // 2
    matrix, rows = np.zeros((n, n)), np.arange(n)
    for offset, weight in zip(range(-reach, reach + 1), weights, strict=True):
        np.add.at(matrix, (rows, border(rows + offset, n)), weight)
    return matrix


def gaussian(n: int, sigma: float, border: Callable[[np.ndarray, int], np.ndarray] = clamp, cut: float = 4.0) -> np.ndarray:
    """Matrix of a Gaussian of `sigma` pixels, cut after `cut` sigmas, weights summing to one."""
    reach = int(cut * sigma + 0.5)
    if reach == 0:
        return np.eye(n)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return band(n, weights / weights.sum(), border)


def kernel_pairs(n: int, kernel: np.ndarray) -> list[Pair]:
    """A square kernel of odd side, mirrored inside at the borders, as products."""
    u, values, v = np.linalg.svd(kernel)
    keep = values > 1e-9 * values[0]
    columns, rows = (u * values).T[keep], v[keep]
    return [(band(n, column, mirror_inside), band(n, row, mirror_inside)) for column, row in zip(columns, rows, strict=True)]


def disk(radius: float, sigma: float) -> np.ndarray:
    """The kernel of defocus: an even disk with an edge softened by a Gaussian of 3 x 3 (5 x 5 above a radius of 8)."""
    reach = 8 if radius <= 8 else int(radius)
    taps = 3 if radius <= 8 else 5
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    even = (x**2 + y**2 <= radius**2).astype(np.float64)
    weights = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / sigma) ** 2)
    soft = band(2 * reach + 1, weights / weights.sum(), mirror_inside)
    return soft @ (even / even.sum()) @ soft.T


def magnify(n: int, factor: float) -> np.ndarray:
    """Matrix of a zoom into the middle: n / factor pixels, rounded up, are stretched linearly and the surplus is cut off."""
    inside = int(np.ceil(n / factor))
    top, size = (n - inside) // 2, round(inside * factor)
    matrix = np.zeros((n, n))
    for row, place in enumerate(range((size - n) // 2, (size - n) // 2 + n)):
        at = place * (inside - 1) / max(1, size - 1)
        below = min(int(at), inside - 2) if inside > 1 else 0
        matrix[row, top + below] += 1 - (at - below)
        if inside > 1:
            matrix[row, top + below + 1] += at - below
    return matrix


def box(n: int, size: int) -> np.ndarray:
    """Matrix that shrinks n pixels to `size` with a box filter (a pixel counts wholly or not at all) and repeats them back to n."""
    scale = n / size
    small = np.zeros((size, n))
    for row in range(size):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - scale / 2 + 0.5)), min(n, int(centre + scale / 2 + 0.5))
        offsets = (np.arange(first, last) - centre + 0.5) / scale
        small[row, first:last] = (offsets > -0.5) & (offsets <= 0.5)
    small /= small.sum(1, keepdims=True)
    return small[((np.arange(n) + 0.5) / scale).astype(int)]
