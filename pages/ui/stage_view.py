"""The editable ribbon as SVG: stages with their sizes, units that can be found and moved, a ghost of another net.

It differs from core.ribbon.draw in one thing: a component fits it to the width of the page and listens to its units.
"""

from collections.abc import Iterable, Sequence
from html import escape

from core.chart import CSS
from core.ribbon import centres, describe, mark, natural_width, number, summary
from core.spec import Unit

#: Fixed margins of `stage_view` for the words at the ends of the line; only what lies between them stretches.
MARGIN = 66
_PER_LANE = 16


def lanes(slots: Sequence[Unit], most: int = _PER_LANE) -> list[list[Unit]]:
    """The slots in rows that stay large enough to click: whole stages together where they fit, long stages cut."""
    rows: list[list[Unit]] = [[]]
    for stage in sorted({slot.stage for slot in slots}):
        units = [slot for slot in slots if slot.stage == stage]
        if rows[-1] and len(rows[-1]) + len(units) > most:
            rows.append([])
        while len(units) > most:
            rows[-1], units = units[:most], units[most:]
            rows.append([])
        rows[-1].extend(units)
    return [row for row in rows if row]


def stage_view(
    slots: Sequence[Unit],
    *,
    ends: tuple[tuple[str, str], tuple[str, str]],
    ghost: Sequence[Unit] = (),
    ghost_title: str = "",
    notes: dict[str, str] | None = None,
    locked: Iterable[str] = (),
    width: float = 936,
    side: float = 34,
    paint: dict[str, str] = CSS,
) -> str:
    """The editable ribbon: stages named with map size and channels, a ghost row of another net below.

    Every part that a component may move carries its x in `data-x`; units are groups of class `unit` with `data-id`.
    `notes` adds to a unit's spoken text; `locked` units cannot be flipped by a click.
    """
    notes, locked, rows = notes or {}, set(locked), lanes(slots)
    widest = max(natural_width(row, 1.0) for row in rows)
    ghosts = {slot.id: slot for slot in ghost}
    pitch = 150 if ghosts else 118
    body = []
    for lane, row in enumerate(rows):
        y = 92 + lane * pitch
        xs, step = centres(row, MARGIN, MARGIN + (width - 2 * MARGIN) * natural_width(row, 1.0) / widest)
        shown = min(side, step * 0.84)
        body.append(_span(8 if lane else MARGIN - 4, width - MARGIN + 4 if lane == len(rows) - 1 else width - 8, y, paint["faint"], 1.4))
        body.extend(_stage_words(row, xs, y - 38, paint))
        for slot, x in zip(row, xs, strict=True):
            body.append(_unit(slot, x, y, (shown, step), paint, notes.get(slot.id, ""), slot.id in locked))
            if slot.id in ghosts:
                g = ghosts[slot.id]
                drawn = mark(g.kind, g.form, 0, 0, 11, paint=paint, resampling=g.resampling, state="ghost")
                body.append(f'<g class="at" data-x="{number(x)}" transform="translate({number(x)} {number(y + 58)})">{drawn}</g>')
        if ghosts:
            body.append(_text(0, y + 62, ghost_title, paint["muted"], 12))
    first, last = 92, 92 + (len(rows) - 1) * pitch
    for (title, below), x, y, anchor in ((ends[0], 0, first, "start"), (ends[1], width, last, "end")):
        fixed = ' data-end="1"' if anchor == "end" else ""
        body.append(
            _text(x, y - 2, title, paint["ink"], 13, 650, anchor, fixed) + _text(x, y + 14, below, paint["muted"], 12, 400, anchor, fixed)
        )
    height = 92 + (len(rows) - 1) * pitch + (74 if ghosts else 46)
    said = escape(f"Editable ribbon: {summary(slots)}")
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    facts = f'data-width="{number(width)}" data-margin="{MARGIN}" role="group" aria-label="{said}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {facts}>{"".join(body)}</svg>'


def _text(x: float, y: float, words: str, colour: str, size: int, weight: int = 400, anchor: str = "start", extra: str = "") -> str:
    look = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{number(x)}" y="{number(y)}" {look}{extra}>{escape(words)}</text>'


def _span(x1: float, x2: float, y: float, colour: str, thick: float) -> str:
    ends = f'data-x1="{number(x1)}" data-x2="{number(x2)}" x1="{number(x1)}" x2="{number(x2)}"'
    return f'<line class="span" {ends} y1="{number(y)}" y2="{number(y)}" stroke="{colour}" stroke-width="{thick}"/>'


def _stage_words(row: Sequence[Unit], xs: Sequence[float], y: float, paint: dict[str, str]) -> list[str]:
    """For each stage of a lane: its name over map size and channels, and the bracket line."""
    parts = []
    for stage in sorted({slot.stage for slot in row}):
        here = [(slot, x) for slot, x in zip(row, xs, strict=True) if slot.stage == stage]
        slot, left, right = here[0][0], here[0][1], here[-1][1]
        middle = (left + right) / 2
        size = f"{slot.side}×{slot.side} · {slot.width} ch"
        words = _text(0, 0, f"Stage {stage}", paint["ink"], 13, 650, "middle") + _text(0, 17, size, paint["muted"], 12, 400, "middle")
        parts.append(f'<g class="at" data-x="{number(middle)}" transform="translate({number(middle)} {number(y - 17)})">{words}</g>')
    return parts


def _unit(slot: Unit, x: float, y: float, size: tuple[float, float], paint: dict[str, str], note: str, locked: bool) -> str:
    said = escape(f"{describe(slot)}{'. ' + note if note else ''}")
    side, step = size
    half = (side + 10) / 2
    box = f'x="{number(-half)}" y="{number(-half)}" width="{number(2 * half)}" height="{number(2 * half)}"'
    facts = f'data-id="{slot.id}" data-kind="{slot.letter}" data-x="{number(x)}" transform="translate({number(x)} {number(y)})"'
    drawn = mark(slot.kind, slot.form, 0, 0, side, paint=paint, resampling=slot.resampling)
    tail = f'<line class="tail" x1="0" x2="0" y1="{number(half)}" y2="{number(half + 12)}" stroke="{paint["ink"]}" stroke-width="1.5"/>'
    return (
        f'<g class="unit at{" locked" if locked else ""}" {facts} role="button" tabindex="-1" aria-label="{said}"><title>{said}</title>'
        f'<g class="m" data-side="{number(side)}" data-step="{number(step)}">{drawn}'
        f'<rect class="ring" {box} rx="6" fill="none" stroke="{paint["ink"]}" stroke-width="2"/>{tail}</g>'
        f'<rect class="hit" {box} fill="transparent"/></g>'
    )
