"""The ribbon with bars: what each unit costs when it is off, drawn below it, and a component to switch units with.

The drawing is pure Python and holds every unit twice, standing and hollow; the component only shows one of the two, so a click is
seen at once.  Which units are off is decided here: whatever the component sends is checked against the net.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

import streamlit as st

from core import words
from core.chart import CSS, kind_token
from core.ribbon import centres, describe, mark, natural_width, number
from core.spec import Unit
from pages.ui.stage_view import lanes

_CSS = """:host{display:block}
svg{display:block;overflow:visible;font-family:var(--st-font);font-variant-numeric:tabular-nums}
.unit{cursor:pointer;outline:none}
.unit.locked{cursor:help}
.hollow{opacity:0}
.unit.out .hollow{opacity:1}
.unit.out .solid{opacity:0}
.unit.out .value{font-weight:650}
.solid,.hollow{transition:opacity 120ms ease-out}
.pale .bar{opacity:.4}
.ring{visibility:hidden}
.unit:hover .ring{visibility:visible;stroke:var(--lab-faint)}
.unit.focused .ring{visibility:visible;stroke:var(--lab-ink)}
.unit:focus-visible .ring{visibility:visible;stroke:var(--lab-ink);stroke-width:3}
@media(prefers-reduced-motion:reduce){.solid,.hollow{transition:none}}
"""
_COMPONENT = st.components.v2.component(
    "lab_bars",
    html='<div class="box"></div>',
    css=_CSS,
    js=(Path(__file__).parent / "js" / "bars.js").read_text(encoding="utf-8"),
)
CAPTION = "Points of accuracy lost when the unit is off"
#: px: the width each drawing is made for, the side of a mark, the most units in a row
WIDE, NARROW = (624, 26, 16), (358, 20, 12)
_DEEPEST, _TALLEST = 140.0, 14.0
_STATES = ("solid", "hollow")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a unit costs: points of accuracy lost (negative: gained) with the 95 % interval."""

    lost: float
    low: float
    high: float

    @property
    def said(self) -> str:
        """`costs 5.0 points (4.4 to 5.6)`."""
        verb, size = ("costs", self) if self.lost >= 0 else ("gains", Bar(lost=-self.lost, low=-self.high, high=-self.low))
        return f"{verb} {words.plain(size.lost, 1)} points ({words.plain(size.low, 1)} to {words.plain(size.high, 1)})"


def drawing(
    slots: Sequence[Unit],
    bars: Mapping[str, Bar],
    fixed: Mapping[str, str],
    size: tuple[int, int, int] = WIDE,
    *,
    off: Collection[str] | None = None,
    paint: dict[str, str] = CSS,
) -> str:
    """The net with a bar below each measured unit, as `<svg>`; no bars, no caption.

    `fixed` holds why a unit cannot be switched off.  Every part that the component moves carries its x in `data-x`.  Each unit is drawn
    standing and hollow, one over the other, unless `off` says which are hollow.
    """
    width, side, most = size
    rows = lanes(slots, most)
    widest = max(natural_width(row, 1.0) for row in rows)
    ends = [edge for bar in bars.values() for edge in (bar.lost, bar.low, bar.high)]
    scale = _DEEPEST / max(1.0, *ends, *(-edge * _DEEPEST / (4 * _TALLEST) for edge in ends)) if ends else 0.0
    body, top = [], 0.0
    for place, row in enumerate(rows):
        xs, _ = centres(row, 0, width * natural_width(row, 1.0) / widest)
        edge = xs[-1] + xs[0] if place == len(rows) - 1 else width
        y = top + 46
        body.append(_line("span", 0, edge, y, paint["faint"], 1.4))
        for stage in sorted({slot.stage for slot in row}):
            body.append(_stage(stage, [x for slot, x in zip(row, xs, strict=True) if slot.stage == stage], top, side, paint))
        here = [bars[slot.id] for slot in row if slot.id in bars]
        up = max((-min(bar.lost, bar.low) * scale for bar in here), default=0.0)
        up = max(0.0, up) + (14 if any(_above(bar) for bar in here) else 0)
        zero, bottom = y + side / 2 + (34 if not place else 16) + up, y + side / 2 + 20
        if here:
            if not place:
                body.append(_text(0, y + side / 2 + 24, CAPTION, paint["muted"], "start"))
            body.append(_line("span", 0, edge, zero, paint["faint"], 1))
            bottom = zero + max(max(bar.lost, bar.high) for bar in here) * scale + 20
        for slot, x in zip(row, xs, strict=True):
            why = fixed.get(slot.id, "")
            shown = ("solid",) if why else _STATES if off is None else ("hollow",) if slot.id in off else ("solid",)
            body.append(_unit(slot, x, (y, zero, bottom), side, scale, bars.get(slot.id), why, shown, paint))
        top = bottom + 14
    height = number(top - 8)
    said = escape(f"The units of the net{'; below each: ' + CAPTION.lower() if bars else ''}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'data-width="{width}" role="group" aria-label="{said}">{"".join(body)}</svg>'
    )


def _text(x: float, y: float, said: str, colour: str, anchor: str = "middle", extra: str = "") -> str:
    look = f'font-size="12" fill="{colour}" text-anchor="{anchor}"{extra}'
    return f'<text x="{number(x)}" y="{number(y)}" {look}>{escape(said)}</text>'


def _line(name: str, x1: float, x2: float, y: float, colour: str, thick: float) -> str:
    ends = f'data-x1="{number(x1)}" data-x2="{number(x2)}" x1="{number(x1)}" x2="{number(x2)}"'
    return f'<line class="{name}" {ends} y1="{number(y)}" y2="{number(y)}" stroke="{colour}" stroke-width="{thick}"/>'


def _stage(stage: int, xs: Sequence[float], top: float, side: float, paint: dict[str, str]) -> str:
    left, right = xs[0] - side / 2 - 2, xs[-1] + side / 2 + 2
    middle = (xs[0] + xs[-1]) / 2
    name = f"Stage {stage}" if len(xs) > 1 else str(stage)  # the whole word would run into its neighbours
    label = f'<g class="at" data-x="{number(middle)}" transform="translate({number(middle)} 0)">'
    return f"{label}{_text(0, top + 13, name, paint['muted'])}</g>{_line('span', left, right, top + 20, paint['line'], 1)}"


def _above(bar: Bar) -> bool:
    """Whether the value stands above the line: a gain that one decimal can show."""
    return round(bar.lost, 1) < 0


def _unit(
    slot: Unit,
    x: float,
    ys: tuple[float, float, float],
    side: float,
    scale: float,
    bar: Bar | None,
    why: str,
    shown: Sequence[str],
    paint: dict[str, str],
) -> str:
    """A unit with its bar: a group that is pressed as one, as tall as both."""
    y, zero, bottom = ys
    said = escape(f"{describe(slot)}{'. Off it ' + bar.said if bar else ''}{'. ' + why if why else ''}", quote=True)
    marks = []
    for state in shown:
        drawn = mark(slot.kind, slot.form, 0, y, side, paint=paint, resampling=slot.resampling, state="hollow" if state == "hollow" else "")
        marks.append(f'<g class="{state}">{drawn}</g>')
    if bar:
        marks.append(f'<g class="bar">{_bar(slot, zero, side, scale, bar, shown, paint)}</g>')
    half = side / 2 + 5
    ring = f'<rect class="ring" x="{-half}" y="{y - half}" width="{2 * half}" height="{2 * half}" rx="6" fill="none" stroke-width="2"/>'
    hit = f'<rect class="hit" x="{-half}" y="{y - half}" width="{2 * half}" height="{number(bottom - y + half)}" fill="transparent"/>'
    facts = f'data-id="{slot.id}" data-x="{number(x)}" transform="translate({number(x)} 0)"'
    state = 'aria-disabled="true"' if why else 'aria-pressed="false"'
    return (
        f'<g class="unit at{" locked" if why else ""}" {facts} role="button" tabindex="-1" {state} aria-label="{said}">'
        f"<title>{said}</title>{''.join(marks)}{ring}{hit}</g>"
    )


def _bar(slot: Unit, zero: float, side: float, scale: float, bar: Bar, shown: Sequence[str], paint: dict[str, str]) -> str:
    """The bar in the states that are `shown`, its whisker, its value."""
    colour, wide = paint[kind_token(slot.kind)], round(0.8 * side)
    tall = max(1.5, abs(bar.lost) * scale)
    top = zero if bar.lost >= 0 else zero - tall
    shape = f'x="{-wide / 2}" y="{number(top)}" width="{wide}" height="{number(tall)}" rx="{min(2.0, tall / 2):g}"'
    hollow = f'<rect class="hollow" {shape} fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="3.2 2.4"/>'
    if slot.resampling:
        solid = f'<rect {shape} fill="{paint["bg"]}" stroke="{colour}" stroke-width="1.4"/>' + _hatch(-wide / 2, top, wide, tall, colour)
    else:
        solid = f'<rect {shape} fill="{colour}"/>'
    low, high = zero + bar.low * scale, zero + bar.high * scale
    whisker = f'<line x1="0" x2="0" y1="{number(low)}" y2="{number(high)}" stroke="{paint["ink"]}" stroke-width="1.5"/>'
    if _above(bar):
        value, at = f"+{words.plain(-bar.lost, 1)}", min(top, low) - 5
    else:
        value, at = words.plain(max(bar.lost, 0.0), 1), max(top + tall, high) + 15
    label = _text(0, at, value, paint["ink"], extra=' class="value"')
    states = {"hollow": hollow, "solid": f'<g class="solid">{solid}</g>'}
    return f"{''.join(states[state] for state in shown)}{whisker}{label}"


def _hatch(left: float, top: float, wide: float, tall: float, colour: str, gap: float = 5.2) -> str:
    """45° strokes inside a rectangle, as lines: no pattern id can clash."""
    lines, offset = [], gap / 2
    while offset < wide + tall:
        x0, x1 = max(0.0, offset - tall), min(wide, offset)
        lines.append(f"M{number(left + x0)} {number(top + offset - x0)}L{number(left + x1)} {number(top + offset - x1)}")
        offset += gap
    return f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="2.2" fill="none"/>'


@lru_cache(maxsize=32)
def _drawings(slots: tuple[Unit, ...], bars: tuple[tuple[str, Bar], ...], fixed: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    wide, narrow = (drawing(slots, dict(bars), dict(fixed), size) for size in (WIDE, NARROW))
    return wide, narrow


def bars(
    slots: Sequence[Unit],
    found: Mapping[str, Bar],
    fixed: Mapping[str, str],
    off: Sequence[str],
    *,
    focus: str,
    key: str,
    net: str,
    on_press: Callable[[list[str], str], None],
    pale: bool = False,
) -> None:
    """The ribbon with bars, to click and to drive with the keyboard; `on_press(units that are off, focused unit)` follows a press."""
    known = {slot.id for slot in slots}
    wide, narrow = _drawings(tuple(slots), tuple(found.items()), tuple(fixed.items()))
    data = {
        "wide": wide,
        "narrow": narrow,
        "off": list(off),
        "focus": focus,
        "pale": pale,
        "net": net,
        "n": st.session_state.get(f"{key}_n", 0),
    }

    def act() -> None:
        pressed = checked(st.session_state.get(key, {}).get("act"), known, set(fixed))
        if pressed is not None:
            now, unit, turn = pressed
            st.session_state[f"{key}_n"] = turn
            on_press(now, unit)

    _COMPONENT(key=key, data=data, on_act_change=act, height="content")


def checked(act: object, known: Collection[str], fixed: Collection[str]) -> tuple[list[str], str, int] | None:
    """(units off, focused unit or "", turn) of what the component sent, or None; only units of the net that can be off are let through."""
    if not isinstance(act, dict) or not isinstance(act.get("off"), list) or type(act.get("n")) is not int:
        return None
    off = [unit for unit in act["off"] if isinstance(unit, str) and unit in known and unit not in fixed]
    unit = act.get("unit")
    return off, unit if isinstance(unit, str) and unit in known else "", act["n"]
