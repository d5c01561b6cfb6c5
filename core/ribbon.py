"""The drawing of a net: a row of units on a residual stream, in pure Python, the same on every page and in the report.

Shape says how far a unit reaches (square near, circle far, bar one position), colour and dot say where its weights
come from.  Coordinates are px; `paint` maps the tokens of core.chart to colours: CSS variables in a page, hex in a file.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from core.chart import CSS, family_token, kind_token
from core.spec import BLOCKS, WORDS, Unit

#: Horizontal rhythm in units of the mark's side: step between units, extra gap between stages (README: 0.7 unit).
STEP, GAP = 1.37, 0.7
_DASH = {"windowed": "", "shifted": "", "local": ' stroke-dasharray="2.5 2"'}


def number(value: float) -> str:
    """A coordinate as short text."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _rect(left: float, top: float, width: float, height: float, extra: str) -> str:
    return f'<rect x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" {extra}/>'


def _square(x: float, y: float, s: float, extra: str) -> str:
    return _rect(x - s / 2, y - s / 2, s, s, f'rx="{number(0.14 * s)}" {extra}')


def _disc(x: float, y: float, d: float, extra: str) -> str:
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(d / 2)}" {extra}/>'


def _bar(x: float, y: float, s: float, extra: str) -> str:
    return _rect(x - 0.17 * s, y - s / 2, 0.34 * s, s, f'rx="{number(0.08 * s)}" {extra}')


def hatch(x: float, y: float, s: float, colour: str, gap: float = 0.0) -> str:
    """45° strokes clipped to a square of side `s` about (x, y); written as lines, so no pattern id can clash."""
    gap = gap or max(3.2, s / 5)
    half, lines, offset = s / 2, [], -s + gap / 2
    while offset < s:
        a = (max(-half, offset - half), min(half, offset + half))
        x0, x1 = a
        lines.append(f"M{number(x + x0)} {number(y + offset - x0)}L{number(x + x1)} {number(y + offset - x1)}")
        offset += gap
    return f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="{number(max(1.1, gap * 0.42))}" fill="none"/>'


def mark(
    kind: str, form: str, x: float, y: float, side: float, *, paint: dict[str, str] = CSS, resampling: bool = False, state: str = ""
) -> str:
    """One unit's mark centred on (x, y).

    state: "" standing, "hollow" lesioned, "ghost" of another net, "refused" not allowed here.
    """
    colour, bg, s = paint[kind_token(kind)], paint["bg"], side
    if kind == "none" or state == "refused":
        r = s / 2 - 1
        pale = f'stroke="{paint["faint"]}"'
        slash = (
            f'<path d="M{number(x - r / 2)} {number(y + r / 2)}L{number(x + r / 2)} {number(y - r / 2)}" {pale} stroke-width="1.4"/>'
            if state
            else ""
        )
        dashed = _square(x, y, s - 2, f'fill="{bg}" {pale} stroke-width="1.2" stroke-dasharray="3 2.4"')
        return f"<g>{dashed}{slash}</g>"
    if state == "hollow":
        dashed = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="3.4 2.6"'
        shape = _bar if kind == "mlp" else _disc if kind in ("msa", "mix") else _square
        return f"<g>{shape(x, y, s - (shape is _square), dashed)}</g>"
    opacity = ' opacity="0.55"' if state == "ghost" else ""
    return f"<g{opacity}>{_standing(kind, form, x, y, s, colour, bg, resampling)}</g>"


def _standing(kind: str, form: str, x: float, y: float, s: float, colour: str, bg: str, resampling: bool) -> str:
    fill = f'fill="{colour}"'
    if kind == "msa" and form in _DASH:
        frame = _square(x, y, s, f'fill="{bg}" stroke="{colour}" stroke-width="{number(max(1.0, s / 19))}"{_DASH[form]}')
        return frame + _disc(x, y, 0.7 * s, fill) + _disc(x, y, 0.2 * s, f'fill="{bg}"')
    if kind == "msa":
        return _disc(x, y, 1.06 * s, fill) + _disc(x, y, 0.24 * s, f'fill="{bg}"')
    if kind == "mix":
        return _disc(x, y, 1.06 * s, fill)
    if kind == "mlp":
        return _bar(x, y, s, fill)
    if resampling:
        edge = max(1.2, s / 21)
        outline = _square(x, y, s - edge, f'fill="none" stroke="{colour}" stroke-width="{number(edge)}"')
        return _square(x, y, s, f'fill="{bg}"') + hatch(x, y, s - 1, colour) + outline
    if kind == "pool":
        return _square(x, y, s, fill) + _square(x, y, 0.44 * s, f'fill="{bg}" fill-opacity="0.55"')
    slits = ""
    if form == "depthwise":
        thick = max(1.2, 0.08 * s)
        slits = "".join(_rect(x - s / 2, y + d * s - thick / 2, s, thick, f'fill="{bg}"') for d in (-0.17, 0.17))
    return _square(x, y, s, fill) + slits


def ring(x: float, y: float, side: float, colour: str) -> str:
    """The focus ring: 2 px, 5 px off the mark."""
    s = side + (10 if side >= 20 else 7)
    return _rect(x - s / 2, y - s / 2, s, s, f'rx="{6 if side >= 20 else 4}" fill="none" stroke="{colour}" stroke-width="2"')


def centres(slots: Sequence[Unit], left: float, right: float) -> tuple[list[float], float]:
    """x of each unit between two edges, and the step: units evenly spaced, stages parted by a gap."""
    gaps = sum(1 for a, b in pairwise(slots) if a.stage != b.stage)
    step = (right - left) / (len(slots) + gaps * GAP / STEP)
    xs, x = [], left + step / 2
    for i, slot in enumerate(slots):
        if i and slot.stage != slots[i - 1].stage:
            x += step * GAP / STEP
        xs.append(x)
        x += step
    return xs, step


def natural_width(slots: Sequence[Unit], side: float) -> float:
    """Width at which the units of side `side` have their usual distance."""
    gaps = sum(1 for a, b in pairwise(slots) if a.stage != b.stage)
    return side * (len(slots) * STEP + gaps * GAP) + 6


def draw(
    slots: Sequence[Unit],
    *,
    side: float = 16,
    paint: dict[str, str] = CSS,
    focus: str = "",
    hollow: Iterable[str] = (),
    width: float = 0,
    label: str = "",
) -> str:
    """A whole net as one `<svg>` without words: for galleries, chips and figures.  `width` 0 = its natural width."""
    hollow, height = set(hollow), side * 1.06 + 14
    width = width or natural_width(slots, side)
    side = min(side, max(5.0, (width - 6) / natural_width(slots, 1.0)))
    xs, _ = centres(slots, 3, width - 3)
    y, parts = height / 2, []
    parts.append(f'<line x1="0" y1="{number(y)}" x2="{number(width)}" y2="{number(y)}" stroke="{paint["faint"]}" stroke-width="1.4"/>')
    for slot, x in zip(slots, xs, strict=True):
        state = "hollow" if slot.id in hollow else ""
        parts.append(mark(slot.kind, slot.form, x, y, side, paint=paint, resampling=slot.resampling, state=state))
        if slot.id == focus:
            parts.append(ring(x, y, side, paint["ink"]))
    return svg("".join(parts), width, height, label or summary(slots))


def svg(body: str, width: float, height: float, label: str = "") -> str:
    """An `<svg>` that scales down to its container; `label` is what a screen reader says."""
    said = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="max-width:100%;height:auto;display:block" {said}>{body}</svg>'


def icon(letter: str, side: float = 24, paint: dict[str, str] = CSS, state: str = "") -> str:
    """The mark of one kind of unit as an `<svg>`, for keys and option cards."""
    block = BLOCKS[letter]
    body = mark(block.kind, block.form, side / 2, side / 2, side * 0.76, paint=paint, state=state, resampling=block.kind == "merge")
    return svg(body, side, side)


def family_icon(family: str, side: float = 16, paint: dict[str, str] = CSS) -> str:
    """The mark of a net: square conv, circle msa, diamond hybrid, triangle the user's own."""
    h, fill = side / 2, f'fill="{paint[family_token(family)]}"'
    body = {
        "conv": _square(h, h, side * 0.82, fill),
        "msa": _disc(h, h, side * 0.9, fill),
        "hybrid": f'<path d="M{number(h)} 0L{number(side)} {number(h)}L{number(h)} {number(side)}L0 {number(h)}Z" {fill}/>',
        "you": f'<path d="M{number(h)} {number(side * 0.06)}L{number(side)} {number(side * 0.92)}L0 {number(side * 0.92)}Z" {fill}/>',
        "ref": f'<path d="M0 {number(h)}H{number(side)}" stroke="{paint["ref"]}" stroke-width="2.2" stroke-dasharray="5 4"/>',
    }[family]
    return svg(body, side, side)


def describe(slot: Unit) -> str:
    """`Stage 3, unit 5 · MSA · 4 heads · 8×8`: what a tooltip and a screen reader say."""
    facts = [f"Stage {slot.stage}, unit {slot.index}", WORDS[slot.letter]]
    if slot.kind == "msa":
        facts.append(f"{slot.heads} head{'s' if slot.heads > 1 else ''}")
    if slot.kind == "msa" and slot.form != "global":
        reach = slot.kernel if slot.form == "local" else slot.window
        facts.append(f"{'kernel' if slot.form == 'local' else 'window'} {reach}×{reach}")
    facts.append(f"{slot.side}×{slot.side}")
    if slot.stride > 1:
        facts.append("halves the map")
    elif slot.resampling:
        facts.append("widens the map")
    return " · ".join(facts)


def summary(slots: Sequence[Unit]) -> str:
    """A ribbon in words: `12 units in 2 stages: 8 Conv, 4 MSA`."""
    names = {"conv": "Conv", "msa": "MSA", "mix": "Mix", "mlp": "MLP", "pool": "Pool", "merge": "Merge", "block": "Block", "none": "empty"}
    counts = {kind: sum(slot.kind == kind for slot in slots) for kind in names}
    stages = len({slot.stage for slot in slots})
    held = ", ".join(f"{n} {names[kind]}" for kind, n in counts.items() if n)
    return f"{len(slots)} units in {stages} stage{'s' if stages > 1 else ''}: {held}"
