"""SVG for a file that stands alone: charts made small, drawings of verdicts in the colours of paper."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from core import chart as look
from core import vega
from core.claims import Part, _drawn
from core.claims.noise import BETWEEN
from core.claims.paper import size
from core.ribbon import number

if TYPE_CHECKING:
    import altair as alt

#: An SVG over this many bytes is drawn in pixels instead: it would hold thousands of marks.
MOST = 300_000
_NUMBERS = re.compile(r' (d|x|y|x1|x2|y1|y2|width|height|transform|viewBox)="([^"]*)"')
_LONG = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?")


def row(pictures: Sequence[Any], says: Sequence[str], name: str, wide: int) -> list[str]:
    """Charts that stand side by side, each in `wide` px: all of them are drawn to one scale, whatever their axes take."""
    drawn = [of_chart(picture, said, f"{name}{i}") for i, (picture, said) in enumerate(zip(pictures, says, strict=True))]
    widths = [float(found[1]) if (found := re.search(r'<svg [^>]*?width="([\d.]+)"', one)) else wide for one in drawn]
    most = max(wide, *widths)
    return [one.replace("max-width:100%", f"width:{number(100 * width / most)}%;max-width:{number(width)}px", 1)
            for one, width in zip(drawn, widths, strict=True)]  # fmt: skip


def of_chart(picture: alt.TopLevelMixin, says: str, name: str) -> str:
    """A chart as an `<svg>` of the light theme; `says` is what a screen reader says, `name` keeps its ids apart from others'."""
    spec, tables = vega.specification(picture)
    rows = {place: json.loads(table.to_json(orient="records", double_precision=12)) for place, table in tables.items()}
    spec |= {"config": look.config("light"), "datasets": spec["datasets"] | rows}
    drawn = slim(look.to_svg(spec), says, name)
    return drawn if len(drawn) <= MOST else _pixels(spec, says)


def slim(markup: str, says: str, name: str) -> str:
    """The same drawing with coordinates to 0.01 px, one spoken text for the whole, and ids of its own."""
    markup = re.sub(r' (?:aria-[a-z]+|role|pointer-events|font-family|xmlns:xlink|version|class)="[^"]*"', "", markup)
    markup = re.sub(r'<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>', "", markup)
    markup = _NUMBERS.sub(_short, markup)
    markup = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", markup)
    size = f'role="img" aria-label="{escape(says)}" style="max-width:100%;height:auto;display:block"'
    return markup.replace("<svg ", f"<svg {size} ", 1)


def _short(found: re.Match[str]) -> str:
    if "scale" in found[2] or "matrix" in found[2]:
        return found[0]
    return f' {found[1]}="{_LONG.sub(lambda one: number(float(one[0])), found[2])}"'


def _pixels(spec: dict[str, Any], says: str) -> str:
    import vl_convert

    code = base64.b64encode(vl_convert.vegalite_to_png(spec, scale=2)).decode()
    return f'<img src="data:image/png;base64,{code}" alt="{escape(says)}" style="max-width:100%">'


def light(markup: str) -> str:
    """A drawing of the page in the colours of paper."""
    for token, colour in look.CSS.items():
        markup = markup.replace(colour, look.LIGHT[token])
    return markup


def interval(claim_id: str, part: Part, verdict: str, says: str) -> str:
    """The effect of a claim between no effect and threshold, beside what the paper reports."""
    band, paper = BETWEEN if claim_id == "N2" else None, size(claim_id, part.title)
    return light(_drawn.interval(part.effect, part.rule, verdict, paper=paper, band=band, label=says, width=168, height=20))
