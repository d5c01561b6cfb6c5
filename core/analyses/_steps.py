"""Which points of a landscape are measured, in which order: rows of planes from coarse to fine, and the rings among them.  No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.metrics.flatness import coarse_to_fine

if TYPE_CHECKING:
    from core.analyses.landscape import Params

#: Distances whose rise is told, and points in a row.
RADII, ROW = (0.2, 0.4, 0.6, 0.8, 1.0), 20
Point = tuple[float, float]


def plan(params: Params) -> list[tuple[int, list[Point]]]:
    """The rows: (plane, its points), coarse before fine, the first row the nine points that span plane 0.

    The centre stands in the first row only.  Raises MeasureError for an even side.
    """
    side, rows = params.side, []
    order = coarse_to_fine(side)
    if params.along == "line":
        return list(_cut(0, list(dict.fromkeys((j / (side - 1), 0.0) for j in _ends_first(side)))))
    middle, stride = side // 2, _stride(side)
    for plane in range(params.planes if params.along == "random" else 1):
        points = []
        for i, j in order:
            dy, dx = i - middle, j - middle
            if plane == 0 or ((dx or dy) and (dx == 0 or dy == 0 or (dx % stride == 0 and dy % stride == 0))):
                points.append((params.reach * (dx / middle), params.reach * (dy / middle)))
        rows += _cut(plane, points)
    return rows


def _cut(plane: int, points: list[Point]) -> Iterator[tuple[int, list[Point]]]:
    first = 9 if plane == 0 else ROW
    yield plane, points[:first]
    for start in range(first, len(points), ROW):
        yield plane, points[start : start + ROW]


def _ends_first(side: int) -> list[int]:
    """0 to side - 1: the ends, the middle, then halves of what is left."""
    step, order = side - 1, []
    while step >= 1:
        order += list(range(0, side, step))
        step //= 2
    return order


def _stride(side: int) -> int:
    """All planes but the first are measured at every second point, where the outermost and every second ring are among them."""
    return 2 if side // 2 % 2 == 0 and side > 5 else 1


def radii(params: Params) -> list[float]:
    """The distances of RADII at which all planes have a whole ring, or the outermost one."""
    if params.along != "random":
        return []
    middle, stride = params.side // 2, _stride(params.side)
    steps = {r: r * middle / params.reach for r in RADII if r <= params.reach * (1 + 1e-9)}
    return [r for r, n in steps.items() if abs(n - round(n)) < 1e-6 and round(n) % stride == 0 and round(n)] or [params.reach]


def ring(params: Params, plane: int, x: float, y: float) -> int | None:
    """Which of `radii` a point lies on."""
    middle, stride = params.side // 2, 1 if plane == 0 else _stride(params.side)
    dx, dy = round(x * middle / params.reach), round(y * middle / params.reach)
    if dx % stride or dy % stride:
        return None
    return next((k for k, r in enumerate(radii(params)) if round(r * middle / params.reach) == max(abs(dx), abs(dy))), None)


def is_checked(params: Params, x: float, y: float) -> bool:
    """Whether a point is measured in both precisions: the centre and the corners, or both ends of a line."""
    return x in (0, 1) if params.along == "line" else x == y == 0 or abs(x) == abs(y) == params.reach
