"""Drawings of a verdict as SVG: its sign, an effect with its interval, and the small lines of mini pictures.  Numbers in, markup out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from core import ribbon
from core.chart import CSS
from core.claims.judge import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED, Effect, Rule
from core.ribbon import number as n

#: px of an interval's drawing, and of a mini picture
WIDE, HIGH = 180, 36
MINI = (88, 34)
#: where no effect lies in an interval's drawing; the way of the claim is to the right
ZERO = 0.34
#: how many times the rest a whisker may be long before it is cut off, with an arrow
LONGEST = 3.0
_INK, _MUTED, _FAINT, _BG = CSS["ink"], CSS["muted"], CSS["faint"], CSS["bg"]


def sign(verdict: str, side: float = 16) -> str:
    """The sign of a verdict: disc with tick, ring with cross, half disc, dotted ring; "" for a withdrawn claim, which is a word only."""
    body = {
        SUPPORTED: f'<circle cx="8" cy="8" r="6.5" fill="{_INK}"/>'
        f'<path d="M5 8.2l2.1 2.1 3.9-4.3" fill="none" stroke="{_BG}" stroke-width="1.7" stroke-linecap="round"/>',
        CONTRADICTED: f'<circle cx="8" cy="8" r="6" fill="none" stroke="{_INK}" stroke-width="1.7"/>'
        f'<path d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6" stroke="{_INK}" stroke-width="1.7" stroke-linecap="round"/>',
        UNDECIDED: f'<circle cx="8" cy="8" r="6" fill="none" stroke="{_MUTED}" stroke-width="1.7"/>'
        f'<path d="M8 2a6 6 0 0 0 0 12z" fill="{_MUTED}"/>',
        NOT_MEASURED: f'<circle cx="8" cy="8" r="6" fill="none" stroke="{_FAINT}" stroke-width="1.6" stroke-dasharray="2 2.4"/>',
    }.get(verdict, "")
    return ribbon.svg(f'<g transform="scale({n(side / 16)})">{body}</g>', side, side) if body else ""


def diamond(x: float, y: float, r: float = 5) -> str:
    """The mark of what the paper reports."""
    return f'<path d="M{n(x)} {n(y - r)}l{n(r)} {n(r)}l{n(-r)} {n(r)}l{n(-r)} {n(-r)}z" fill="{_BG}" stroke="{_MUTED}" stroke-width="1.3"/>'


def _upright(x: float, high: float, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="2 3"' if dashed else ""
    return f'<path d="M{n(x)} 0V{n(high)}" stroke="{_FAINT}" stroke-width="1.2"{dash}/>'


def along(value: float, rule: Rule) -> float:
    """How far a value lies the way of the claim from no effect; a ratio by its logarithm, so that half and double are as far."""
    if rule.zero == 1:
        return rule.sign * float(np.log(value)) if value > 0 else float("nan") if value != value else -rule.sign * float("inf")
    return rule.sign * (value - rule.zero)


def interval(
    effect: Effect | None, rule: Rule | None, verdict: str, *, paper: float | None = None, band: tuple[float, float] | None = None,
    label: str = "", width: float = WIDE, height: float = HIGH,
) -> str:  # fmt: skip
    """An effect with its 95 % interval between no effect (solid) and threshold (dashed), beside what the paper reports.

    Each drawing has its own scale.  With a `band` there is no "no effect": the claim says that the effect lies within it.  Without an
    effect only the lines stand.  A threshold of any size the way of the claim is the line of no effect itself.
    """
    zero, middle = ZERO * width, height / 2
    if effect is None or rule is None or not np.isfinite(effect.value):
        return ribbon.svg(_upright(zero, height), width, height, label)
    value, low, high = (along(v, rule) for v in (effect.value, effect.low, effect.high))
    low, high = min(low, high), max(low, high)
    marks = [along(v, rule) for v in (*(band or (rule.least,)), *(() if paper is None else (paper,)))]
    longest = LONGEST * max(abs(v) for v in (value, *marks) if np.isfinite(v)) or 1.0
    held = [v for v in (value, *marks, *(np.clip([low, high], -longest, longest) if np.isfinite([low, high]).all() else ())) if v == v]
    scale = min((width - 9 - zero) / max(*held, 1e-12), (zero - 9) / max(-min(held), 1e-12))

    def x(at: float) -> float:
        return zero + scale * at

    body = "" if band else _upright(zero, height)
    body += "".join(_upright(x(m), height, dashed=True) for m in marks[: len(band or (0,))] if abs(m) > 1e-9)
    firm = verdict in (SUPPORTED, CONTRADICTED)
    colour = _INK if firm else _MUTED
    if np.isfinite(value) and not np.isnan(low) and not np.isnan(high):
        a, b = (x(float(np.clip(v, -longest, longest))) for v in (low, high))
        body += f'<path d="M{n(a)} {n(middle)}H{n(b)}" stroke="{colour}" stroke-width="2.2" stroke-linecap="round"/>'
        for at, end, turn in ((a, low, 1), (b, high, -1)):
            if abs(end) > longest:
                arrow = f"M{n(at + 4 * turn)} {n(middle - 4)}L{n(at)} {n(middle)}L{n(at + 4 * turn)} {n(middle + 4)}"
                body += f'<path d="{arrow}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    if paper is not None:
        body += diamond(x(marks[-1]), middle)
    body += f'<circle cx="{n(x(value))}" cy="{n(middle)}" r="5" fill="{_INK if firm else _BG}" stroke="{colour}" stroke-width="2"/>'
    return ribbon.svg(body, width, height, label)


# ---- mini pictures


def place(low: float, high: float, start: float, end: float) -> tuple[float, float]:
    """(factor, offset) that take low to start and high to end."""
    factor = (end - start) / ((high - low) or 1.0)
    return factor, start - factor * low


def lines(curves: Iterable[tuple[Sequence[float], Sequence[float], str]], size: tuple[float, float] = MINI, floor: float | None = None,
          rule: float | None = None) -> str:  # fmt: skip
    """Curves (x, y, colour token) in one box; `floor` is a y that has to be in it, `rule` an x where an upright stands."""
    held = [(np.asarray(x, float), np.asarray(y, float), token) for x, y, token in curves]
    held = [(x[np.isfinite(y)], y[np.isfinite(y)], token) for x, y, token in held]
    held = [one for one in held if len(one[0]) > 1]
    if not held:
        return nothing(size)
    width, height = size
    xs, ys = (np.concatenate([one[i] for one in held]) for i in (0, 1))
    ys = np.append(ys, [] if floor is None else [floor])
    fx, ox = place(xs.min(), xs.max(), 2, width - 2)
    fy, oy = place(ys.min(), ys.max(), height - 3, 3)
    body = "" if rule is None else _upright(fx * rule + ox, height)
    for x, y, token in held:
        path = "L".join(f"{n(fx * a + ox)} {n(fy * b + oy)}" for a, b in zip(x, y, strict=True))
        body += f'<path d="M{path}" fill="none" stroke="{CSS[token]}" stroke-width="2.2" stroke-linejoin="round" stroke-linecap="round"/>'
    return ribbon.svg(body, width, height)


def steps(values: Sequence[float], tokens: Sequence[str | None], size: tuple[float, float] = MINI) -> str:
    """A number over depth: each step in the colour of the unit that makes it; faint where a unit counts in no statement (None)."""
    held = np.asarray(values, float)
    if len(held) < 2 or not np.isfinite(held).all():
        return nothing(size)
    width, height = size
    fx, ox = place(0, len(held) - 1, 2, width - 2)
    fy, oy = place(held.min(), held.max(), height - 3, 3)
    body = ""
    for i, (a, b) in enumerate(pairwise(held)):
        token = tokens[i + 1]
        look = f'stroke="{CSS[token]}" stroke-width="2.4"' if token else f'stroke="{_FAINT}" stroke-width="1.2"'
        body += f'<path d="M{n(fx * i + ox)} {n(fy * a + oy)}L{n(fx * (i + 1) + ox)} {n(fy * b + oy)}" {look} stroke-linecap="round"/>'
    return ribbon.svg(body, width, height)


def rows(stages: Sequence[Sequence[tuple[str, str, bool]]], size: tuple[float, float] = MINI) -> str:
    """Stages one under the other, their units (kind, form, whether it halves the map) from left to right."""
    width, height = size
    longest, side = max(map(len, stages)), min(11.0, height / len(stages) - 5)
    step, body = min(side * 1.7, (width - 4) / longest), ""
    for i, stage in enumerate(stages):
        y, first = height * (i + 0.5) / len(stages), (width - step * (len(stage) - 1)) / 2
        last = first + step * (len(stage) - 1)
        body += f'<path d="M{n(first - side)} {n(y)}H{n(last + side)}" stroke="{_FAINT}" stroke-width="1.4"/>'
        for k, (kind, form, halves) in enumerate(stage):
            body += ribbon.mark(kind, form, first + step * k, y, side, resampling=halves)
    return ribbon.svg(body, width, height)


def humps(values: Mapping[str, Sequence[float]], size: tuple[float, float] = MINI) -> str:
    """How values lie around zero, a curve a colour token: a smooth density on an axis that is linear near zero and logarithmic beyond."""
    held = {token: np.asarray(v, float)[np.isfinite(v)] for token, v in values.items()}
    held = {token: v for token, v in held.items() if len(v) > 1}
    if not held:
        return nothing(size)
    unit = float(np.median(np.abs(np.concatenate(list(held.values()))))) / 3 or 1.0
    bent = {token: np.arcsinh(v / unit) for token, v in held.items()}
    low, high = (f([f(v) for v in bent.values()]) for f in (min, max))
    grid = np.linspace(min(low, 0.0) - 0.6, high + 0.6, 72)
    wide = (high - low) / 14 or 1.0
    curves = [(grid, np.exp(-0.5 * ((grid[:, None] - v) / wide) ** 2).mean(1), token) for token, v in bent.items()]
    return lines(curves, size, floor=0.0, rule=0.0)


def nothing(size: tuple[float, float] = MINI) -> str:
    """What stands where nothing was measured."""
    width, height = size
    box = f'x="1" y="1" width="{n(width - 2)}" height="{n(height - 2)}" rx="4"'
    return ribbon.svg(f'<rect {box} fill="none" stroke="{_FAINT}" stroke-dasharray="2 3"/>', width, height)
