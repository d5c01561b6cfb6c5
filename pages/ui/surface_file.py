"""The linked surfaces as a drawing that stands alone, for files: the camera as the page opens, in the tokens of paper."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from core.chart import LIGHT, family_token
from core.ribbon import family_icon, number
from pages.ui import figure
from pages.ui.surface import AXES, DIVERGED, Scale, Surface
from pages.ui.surface import number as tick

#: the camera of js/surface.js as it opens, the height of the axis in sides of the floor, where the light is (right, near, up)
TURN, TILT, RISE = math.radians(38), math.radians(35), 1.15
_LIGHT = np.array([-0.55, 0.3, 0.78])
_WIDE, _SIDE, _GAP = 300, 172, 16
_TALL = round(1.76 * _SIDE + 18)


def svg(shown: Sequence[Surface], height: Scale, title: str, foot: str, axes: tuple[str, str] = AXES) -> bytes:
    """A row of surfaces on white, the sentence above, the caveats below."""
    body = [
        f'<g transform="translate({i * (_WIDE + _GAP)} 0)">{_panel(surface, height, axes if i == 0 else None)}</g>'
        for i, surface in enumerate(shown)
    ]
    size = f'width="{len(shown) * (_WIDE + _GAP) - _GAP}" height="{_TALL}"'
    return figure.framed(f"<svg {size}>{''.join(body)}</svg>", title, foot)


def _at(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(right, down, nearness) of points in a floor of side 1 and a height of RISE."""
    near = x * math.sin(TURN) - y * math.cos(TURN)
    right = x * math.cos(TURN) + y * math.sin(TURN)
    return _WIDE / 2 + 8 + _SIDE * right, _TALL / 2 + 4 + _SIDE * (near * math.sin(TILT) - (z - RISE / 2) * math.cos(TILT)), near


def _point(x: float, y: float, z: float) -> tuple[float, float]:
    right, down, _ = _at(np.float64(x), np.float64(y), np.float64(z))
    return float(right), float(down)


def _path(points: Sequence[tuple[float, float]], close: bool = True) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + ("Z" if close else "")


def _panel(surface: Surface, height: Scale, axes: tuple[str, str] | None) -> str:
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    across = [line for t in (-0.25, 0, 0.25) for line in (((t, -0.5), (t, 0.5)), ((-0.5, t), (0.5, t)))]
    lines = [_path([_point(*a, 0), _point(*b, 0)], False) for a, b in across]
    floor = _path([_point(*c, 0) for c in corners])
    body = [f'<path d="{floor}{"".join(lines)}" fill="{LIGHT["card"]}" stroke="{LIGHT["line"]}"/>', _axis(height, axes) if axes else ""]
    body += [d for _, d in sorted([*_faces(surface, height), *_crosses(surface)], key=lambda pair: pair[0])]
    if math.isfinite(surface.centre):
        x, y = _point(0, 0, RISE * float(height.share(np.array(surface.centre))))
        body.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="4.5" fill="{LIGHT["bg"]}" stroke="{LIGHT["ink"]}" stroke-width="2"/>')
    name = _text(24, 12, surface.title, "ink", extra=' font-weight="650"')
    body += [family_icon(surface.family, 15, LIGHT), name, _text(24, 29, surface.sub, "muted")]
    return "".join(body)


def _text(x: float, y: float, said: str, token: str, anchor: str = "start", extra: str = "") -> str:
    look = f'font-size="12" fill="{LIGHT[token]}" text-anchor="{anchor}"{extra}'
    return f'<text x="{number(x)}" y="{number(y)}" {look}>{escape(said)}</text>'


def _axis(height: Scale, axes: tuple[str, str]) -> str:
    """Ticks and title at the left corner of the floor, the names of the directions at its near edges."""
    x, foot = _point(-0.5, -0.5, 0)
    top = _point(-0.5, -0.5, RISE)[1]
    body, marks = [], f"M{number(x)} {number(foot)}V{number(top)}"
    for value in height.ticks:
        y = _point(-0.5, -0.5, RISE * float(height.share(np.array(value))))[1]
        marks += f"M{number(x - 4)} {number(y)}H{number(x)}"
        body.append(_text(x - 7, y + 4, tick(value), "muted", "end"))
    for name, (a, b), anchor, step in ((axes[0], (0, -0.5), "end", 10), (axes[1], (0.5, 0), "start", -10)):
        right, down = _point(a, b, 0)
        body.append(_text(right + step, down + 24, name, "muted", anchor))
    return f'<path d="{marks}" stroke="{LIGHT["faint"]}" fill="none"/>{"".join(body)}{_text(x - 16, top - 12, height.title, "muted")}'


def _faces(surface: Surface, height: Scale) -> list[tuple[float, str]]:
    """(nearness, drawing) of each cell whose corners are known and not cut off whole."""
    half = 2 * float(np.abs(surface.axis).max())
    x, y = np.meshgrid(surface.axis / half, surface.axis / half)
    z = RISE * height.share(surface.heights)
    found, n = [], len(surface.axis)
    for i in range(n - 1):
        for j in range(n - 1):
            places = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            corner = np.array([[x[p], y[p], z[p]] for p in places])
            if not np.isfinite(corner).all() or corner[:, 2].min() > RISE:
                continue
            normal = np.cross(corner[2] - corner[0], corner[3] - corner[1])
            normal /= np.linalg.norm(normal)
            right, near = normal[0] * math.cos(TURN) + normal[1] * math.sin(TURN), normal[0] * math.sin(TURN) - normal[1] * math.cos(TURN)
            seen = 1 if near * math.cos(TILT) + normal[2] * math.sin(TILT) >= 0 else -1
            lit = seen * float(np.array([right, near, normal[2]]) @ _LIGHT)
            high = min(max(corner[:, 2].mean() / RISE, 0.0), 1.0)
            share = min(max(0.98 - 0.66 * high - 0.24 * (lit - 0.5), 0.26), 1.0)
            sure = all(surface.state[p] for p in places)
            face, line = _mix(surface.family, share), _mix(surface.family, min(share + (0.2 if sure else 0.0), 1.0))
            flat, edge = _cut(corner)
            drawn = f'<path d="{_path(flat)}" fill="{face}" stroke="{line}" stroke-width=".6" stroke-linejoin="round"/>'
            drawn += f'<path d="{_path(edge, False)}" stroke="{LIGHT["ink"]}" stroke-width="1.4"/>' if len(edge) == 2 else ""
            found.append((float(_at(*corner.mean(0))[2]), drawn))
    return found


def _cut(corner: np.ndarray) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """A face as it is seen, cut off at the top of the axis, and the edge of the cut."""
    flat, edge = [], []
    for p, q in zip(corner, np.roll(corner, -1, axis=0), strict=True):
        if p[2] <= RISE:
            flat.append(_point(*p))
        if (p[2] <= RISE) != (q[2] <= RISE):
            edge.append(_point(*(p + (RISE - p[2]) / (q[2] - p[2]) * (q - p))))
            flat.append(edge[-1])
    return flat, edge


def _crosses(surface: Surface) -> list[tuple[float, str]]:
    """A cross on the floor where the loss was no number."""
    half, found = 2 * float(np.abs(surface.axis).max()), []
    for i, j in zip(*np.nonzero(surface.state == DIVERGED), strict=True):
        a, b = surface.axis[j] / half, surface.axis[i] / half
        x, y = _point(a, b, 0)
        shape = f"M{number(x - 3.5)} {number(y - 3.5)}l7 7m0 -7l-7 7"
        found.append((float(_at(a, b, 0.0)[2]), f'<path d="{shape}" stroke="{LIGHT["ink2"]}" stroke-width="1.5" fill="none"/>'))
    return found


def _mix(family: str, share: float) -> str:
    """The net's colour over white."""
    base = [int(LIGHT[family_token(family)][i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * v + (1 - share) * 255):02x}" for v in base)
