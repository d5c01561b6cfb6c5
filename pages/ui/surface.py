"""Linked surfaces: up to four nets side by side, one camera, one height scale, drawn by an own component on plain canvases.

Heights go to the browser as they were measured.  What is decided here: the scale, what is cut, what a coarse grid looks like.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core import words
from core.chart import family_shape, family_token
from pages.ui import tour

_CSS = """:host{display:block}
.box{font-family:var(--st-font);font-variant-numeric:tabular-nums;color:var(--lab-ink)}
.panels{display:grid;gap:12px 24px;border-radius:8px;outline:none}
.panels:focus-visible{outline:2px solid var(--lab-ink);outline-offset:4px}
figure{margin:0;min-width:0;position:relative}
figure[hidden]{display:none}
figcaption{position:absolute;left:0;top:0;display:grid;grid-template-columns:16px 1fr;gap:0 8px;align-items:center;pointer-events:none}
figcaption svg,.switch svg{width:16px;height:16px}
figcaption b{font-size:14px;line-height:20px;font-weight:650;overflow-wrap:anywhere}
figcaption small{grid-column:2;font-size:13px;line-height:18px;color:var(--lab-muted)}
.alone b,.alone figcaption svg{display:none}
canvas{display:block;cursor:grab;touch-action:pan-y pinch-zoom}
canvas:active{cursor:grabbing}
.theme{position:absolute;visibility:hidden;color:var(--lab-bg);transition:color 1ms}
.say{min-height:20px;margin-top:8px;text-align:center;font-size:14px;line-height:20px;color:var(--lab-muted)}
.switch{display:flex;flex-wrap:wrap;gap:8px;margin-bottom:12px}
.switch[hidden]{display:none}
.switch button{all:unset;box-sizing:border-box;min-height:44px;padding:0 12px;display:flex;align-items:center;gap:8px;cursor:pointer;
font-size:14px;line-height:20px;border:1px solid var(--lab-line);border-radius:8px}
.switch button[aria-checked=true]{font-weight:650;background:var(--lab-wash);box-shadow:inset 0 -2px 0 var(--lab-ink)}
.switch button:focus-visible{outline:2px solid var(--lab-ink);outline-offset:2px}
"""
_JS = Path(__file__).parent / "js"
_COMPONENT = st.components.v2.component(
    "lab_surface",
    html='<div class="box"><div class="switch" role="radiogroup" aria-label="Net shown"></div>'
    '<div class="panels" tabindex="0" role="application" aria-roledescription="surfaces to turn"></div><div class="say"></div>'
    '<i class="theme"></i></div>',
    css=_CSS,
    js="\n".join((_JS / name).read_text(encoding="utf-8") for name in ("surface_scene.js", "surface.js")),
)
AXES = ("direction x", "direction y")
#: what a point of a grid is
BRIDGED, MEASURED, DIVERGED = 0, 1, 2
#: the shapes of the component for the point shapes of charts
_SHAPES = {"triangle-up": "triangle"}


@dataclass(frozen=True, kw_only=True)
class Surface:
    """One net: heights over a square grid (rows are y), what each point is, the height at the weights."""

    title: str
    family: str
    axis: np.ndarray
    heights: np.ndarray
    state: np.ndarray
    centre: float
    sub: str = ""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The one height axis: `high` is where surfaces are cut."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False
    cut: bool = False

    def share(self, heights: np.ndarray) -> np.ndarray:
        """Heights as shares of the axis, 0 at its foot and 1 at its top."""
        if not self.log:
            return (heights - self.low) / (self.high - self.low)
        return np.log(np.maximum(heights, 1e-12) / self.low) / math.log(self.high / self.low)


def scale(surfaces: Sequence[Surface], title: str, *, log: bool = False) -> Scale:
    """A scale that holds all surfaces; on a linear one a far peak is cut, so that the rest can be seen."""
    held = [s.heights[np.isfinite(s.heights)] for s in surfaces]
    values = np.concatenate([*held, np.array([s.centre for s in surfaces if math.isfinite(s.centre)])])
    if not len(values):
        return Scale(title=title, low=0.0, high=1.0, ticks=(0.0, 1.0))
    low, high = float(values.min()), float(values.max())
    if log and low > 0:
        ends = (10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)))
        nice = [m * 10.0**e for e in range(round(math.log10(ends[0])), round(math.log10(ends[1])) + 1) for m in (1, 2, 5)]
        bottom = max((t for t in nice if t <= low), default=ends[0])
        high = max(high, bottom * 1.5)
        ticks = tuple(t for t in nice if bottom <= t <= high * 1.001)
        ticks = ticks if len(ticks) <= 6 else tuple(t for t in ticks if math.isclose(t, 10.0 ** round(math.log10(t))) or t == bottom)
        return Scale(title=title, low=bottom, high=high, ticks=ticks, log=True)
    # the valley matters, not the summit: nothing above three times what nine in ten points of some net stay under
    most = 3 * max(float(np.quantile(h, 0.9)) for h in held if len(h)) if any(map(len, held)) else high
    cut = high > most
    high = min(high, most)
    base = 0.0 if low >= 0 and low < 0.6 * high else low
    step = _step(max(high - base, 1e-9 * max(abs(high), 1.0)))
    base = math.floor(base / step) * step
    high = max(math.ceil(high / step) * step if cut else high, base + step)
    ticks = tuple(base + step * i for i in range(int((high - base) / step + 1e-6) + 1))
    return Scale(title=title, low=base, high=high, ticks=ticks, cut=cut)


def _step(span: float) -> float:
    """The step of a linear axis with three to six ticks."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)


def number(value: float) -> str:
    """A tick: `0.05`, `2`, `1,000`."""
    return words.plain(value, 0) if abs(value) >= 10 or value == int(value) else f"{value:.6g}".replace("-", "−")


def bridged(axis: np.ndarray, heights: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A grid of which only some points are known, as a grid without gaps: (axis, heights, state), or None before its corners are known.

    The surface takes the finest mesh that has been begun; points that are still missing there lie on straight lines between those
    of the finest mesh that is complete, and are marked as such.  `state` is BRIDGED where nothing is known yet.
    """
    steps = [np.array(step) for step in _halvings(len(axis))]
    done = [i for i, places in enumerate(steps) if (state[np.ix_(places, places)] != BRIDGED).all()]
    if not done:
        return None
    coarse = steps[done[-1]]
    finer = steps[done[-1] + 1] if done[-1] + 1 < len(steps) else coarse
    new = state != BRIDGED
    for places in steps[: done[-1] + 1]:  # meshes need not lie within each other
        new[np.ix_(places, places)] = False
    places = finer if new[np.ix_(finer, finer)].any() else coarse
    at = np.ix_(places, places)
    flat = _bilinear(coarse, heights[np.ix_(coarse, coarse)], places)
    return axis[places], np.where(state[at] == BRIDGED, flat, heights[at]), state[at]


def _halvings(side: int) -> list[list[int]]:
    """The places of ever finer meshes about the middle of an axis, in the order in which a grid is measured."""
    middle, found = side // 2, []
    step = middle
    while step >= 1:
        found.append([i for i in range(side) if (i - middle) % step == 0])
        step //= 2
    return found


def _bilinear(places: np.ndarray, heights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Heights at (wanted, wanted) of the grid (places, places); NaN outside and beside a NaN."""

    def along(rows: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(wanted, places, row, left=np.nan, right=np.nan) for row in rows])

    return along(along(heights).T).T


def surfaces(shown: Sequence[Surface], height: Scale, *, key: str, said: str, axes: tuple[str, str] = AXES, pale: bool = False) -> None:
    """The surfaces side by side; on a phone one at a time.  `said` is what a screen reader says of them."""
    told = payload(shown, height, said=said, axes=axes, pale=pale) | {"tell": tour.wants("landscape")}
    _COMPONENT(key=key, data=told, on_turned_change=lambda: tour.did("landscape"), height="content")


def payload(shown: Sequence[Surface], height: Scale, *, said: str, axes: tuple[str, str], pale: bool) -> dict[str, Any]:
    """What the component is given."""
    diverged, several = any((s.state == DIVERGED).any() for s in shown), len(shown) > 1
    help_ = [
        "One camera, one height scale. Drag, or use the arrow keys." if several else "Drag, or use the arrow keys.",
        "○ the weights",
        *(["× diverged"] if diverged else []),
        *([f"cut at {number(round(height.high, 2))}"] if height.cut else []),
    ]
    return {
        "panels": [
            {
                "title": s.title,
                "sub": s.sub,
                "token": family_token(s.family),
                "shape": _SHAPES.get(family_shape(s.family), family_shape(s.family)),
                "axis": _packed(s.axis, "<f4"),
                "values": _packed(s.heights, "<f4"),
                "state": _packed(s.state, "u1"),
                "centre": s.centre if math.isfinite(s.centre) else None,
            }
            for s in shown
        ],
        "scale": {
            "log": height.log, "low": height.low, "high": height.high, "title": height.title,
            "ticks": [{"at": t, "label": number(t)} for t in height.ticks],
        },
        "axes": list(axes),
        "said": said,
        "help": " · ".join([help_[0] + " " + help_[1], *help_[2:]]),
        "digits": 2 if height.high - height.low > 0.2 else 4,
        "pale": pale,
    }  # fmt: skip


def _packed(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


def whole(surface: Surface) -> Surface | None:
    """The same surface without gaps, as far as it is known; None before its corners are."""
    found = bridged(surface.axis, surface.heights, surface.state)
    return None if found is None else replace(surface, axis=found[0], heights=found[1], state=found[2])
