"""A figure as the lab shows it: the picture, and under it what, n, seed, caveat and Table · CSV · SVG · Copy link."""

import json
import re
from collections.abc import Callable, Sequence
from html import escape
from math import ceil
from textwrap import wrap
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from core import chart as look
from core import glossary
from pages.ui import parts
from pages.ui.copylink import copy_link
from pages.ui.draw import draw

Draw = Callable[[str], Any]
#: A file with several charts: the most in a row, the width of a row, what axes take of a chart's, the gap between charts [px].
MOST, WIDE, AXIS, GAP = 3, 1080, 52, 16
#: px: a file is no narrower, for its words; a row that long names would make wider is parted
NARROWEST, WIDEST = 620, 1200
#: where a chart asks whether the screen is so narrow that panels stand one under the other and each needs its ticks
_NARROW = "windowSize()[0] < 640"
#: how a heading is kept to its panel
_CUT = '"limit": {"expr": "width + 8"}'
_OF_ID = re.compile(r'(\bid="|url\(#|href="#)')


def panels(charts: Sequence[Draw], takeaway: str, foot: str, table: pd.DataFrame, name: str, key: str) -> None:
    """Charts side by side (one under the other on a phone) with one foot line; the caller gives them one y range.

    `charts` are `chart(theme)`, undressed; the takeaway is also the alt text; `table` holds the numbers behind the picture, `name`
    becomes the file name of downloads.
    """
    facts = table.to_csv(index=False)
    for number, (column, chart) in enumerate(zip(st.columns(len(charts), gap="medium"), charts, strict=True)):
        said = takeaway if number == 0 else f"Panel {number + 1} of the same figure"
        with column:
            draw(chart, [number, facts], f"{key}_chart_{number}", said)
    foot_line(foot, table, name, key, lambda: svg_file(charts, takeaway, foot))


def svg_file(charts: Draw | Sequence[Draw], title: str, foot: str) -> bytes:
    """The figure as a file that stands alone: on white, its title above, its caveats below; several charts in one row or in rows.

    Each chart is drawn for itself and put beside the others: in one specification they would share their scales.
    """
    specs = [_spec(chart) for chart in ([charts] if callable(charts) else charts)]
    return framed(_laid_out(lambda most: _in_rows(specs, most)), title, foot)


def svg_rows(rows: Sequence[Sequence[Draw]], title: str, foot: str) -> bytes:
    """As `svg_file`, of charts whose rows are given; a row of too many is parted."""
    specs = [[_spec(chart) for chart in row] for row in rows]
    return framed(_laid_out(lambda most: [part for row in specs for part in _even(row, most)]), title, foot)


def _spec(chart: Draw) -> str:
    with alt.data_transformers.enable("default", max_rows=None):
        spec = json.dumps(chart("light").to_dict() | {"config": look.config("light")})
    return spec.replace(_CUT, '"limit": 0')  # where a name has to fit a column of the page, a file makes room


def _in_rows(specs: list[str], most: int) -> list[list[str]]:
    """One row if all fit; else panels that leave their ticks to the first stay with it, as on the page, and the rest is dealt evenly."""
    if len(specs) <= most:
        return [specs]
    groups: list[list[str]] = []
    for spec in specs:
        if groups and _NARROW in spec:
            groups[-1].append(spec)
        else:
            groups.append([spec])
    return [row for group in ([specs] if len(groups) == len(specs) else groups) for row in _even(group, most)]


def _even(charts: list[str], most: int) -> list[list[str]]:
    across = ceil(len(charts) / ceil(len(charts) / most))
    return [charts[first : first + across] for first in range(0, len(charts), across)]


def _laid_out(rows: Callable[[int], list[list[str]]]) -> str:
    """The drawing of specifications in `rows(most in a row)`: as many in a row as a file has room for."""
    for most in range(MOST, 0, -1):
        body, width, height = _composed(rows(most))
        if width <= WIDEST:
            break
    return f'<svg width="{width:g}" height="{height:g}">{body}</svg>'


def _composed(rows: Sequence[Sequence[str]]) -> tuple[str, float, float]:
    """(SVG, width, height) of given rows; plots of a row start at one height, and one alone in its row takes all of it."""
    most, several = max(map(len, rows)), sum(map(len, rows)) > 1
    body, down, widest = "", 0.0, 0.0
    for row in rows:
        across = 1 if len(row) == 1 else most
        plot = (WIDE - AXIS * across - GAP * (across - 1)) / across if several else None
        drawn = [look.to_svg(_sized(spec, plot, first=not place)) for place, spec in enumerate(row)]
        measures = [_measures(one) for one in drawn]
        top, right = max(origin for *_, origin in measures), 0.0
        for one, (width, _, origin) in zip(drawn, measures, strict=True):
            own = _OF_ID.sub(rf"\g<1>c{len(body)}-", one)
            body += own.replace("<svg ", f'<svg x="{right:g}" y="{down + top - origin:g}" ', 1)
            right += width + GAP
        down += max(top - origin + height for _, height, origin in measures) + GAP
        widest = max(widest, right - GAP)
    return body, widest, down - GAP


def _sized(spec: str, plot: float | None, *, first: bool) -> dict[str, Any]:
    """The specification with its plot so wide [px]; the first of a row shows its ticks even if the page would not."""
    found = json.loads(spec.replace(_NARROW, "true") if first else spec)
    return found if plot is None else found | {"width": plot}


def _measures(svg: str) -> tuple[float, float, float]:
    """Width, height and where the plot begins from above [px]."""
    size, origin = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg), re.search(r'transform="translate\(-?[\d.]+,(-?[\d.]+)\)"', svg)
    assert size and origin
    return float(size[1]), float(size[2]), float(origin[1])


def framed(drawn: str, title: str, foot: str) -> bytes:
    """An `<svg>` as a file that stands alone: on white, the sentence above, the caveats below, wrapped to its width.

    ValueError if the drawing does not say its width and height.
    """
    size = re.match(r'<svg(?: xmlns="[^"]*")? width="([\d.]+)" height="([\d.]+)"', drawn)
    if size is None:
        raise ValueError("no drawing of a known size")
    width, height = max(float(size[1]), NARROWEST), float(size[2])
    # room for the widest of the usual fonts: which one draws the words is the reader’s choice
    above, below = wrap(parts.spoken(title), int(width / 9)), wrap(parts.spoken(foot), int(width / 6.6))
    down = 28 + 20 * len(above)
    tall = down + height + 24 + 16 * len(below)

    def lines(said: list[str], y: float, step: int, dress: str) -> str:
        return "".join(f'<text x="16" y="{y + step * i:g}" {dress}>{escape(line)}</text>' for i, line in enumerate(said))

    head = lines(above, 30, 20, f'font-size="15" font-weight="600" fill="{look.LIGHT["ink"]}"')
    end = lines(below, down + height + 22, 16, f'font-size="12" fill="{look.LIGHT["muted"]}"')
    inside = drawn.replace("<svg", f'<svg x="16" y="{down}" overflow="visible"', 1)
    whole, font = f'width="{width + 32:g}" height="{tall:g}" viewBox="0 0 {width + 32:g} {tall:g}"', look.SANS.replace('"', "'")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {whole} font-family="{font}"><rect width="100%" height="100%" fill="{look.LIGHT["bg"]}"/>'
        f"{head}{inside}{end}</svg>"
    ).encode()


def foot_line(foot: str, table: pd.DataFrame, name: str, key: str, svg: Callable[[], bytes] | None = None) -> None:
    """The line under a figure; files are made when they are asked for, not before."""
    st.html('<div class="lab-rule"></div>')
    with st.container(key=f"{key}_foot"), st.container(horizontal=True, vertical_alignment="top"):
        with st.container(width="stretch", key=f"lab_says_{key}"):
            st.html(f'<div class="lab-foot">{parts.rich(foot)}</div>')
        with st.container(horizontal=True, width="content", vertical_alignment="top", gap="small"):
            with st.popover("Table", type="tertiary", key=f"{key}_table", on_change="rerun") as opened:
                if opened.open:
                    st.dataframe(table, hide_index=True, width=720, column_config=_tips(table))
            st.download_button(
                "CSV",
                lambda: table.to_csv(index=False).encode(),
                f"{name}.csv",
                "text/csv",
                key=f"{key}_csv",
                on_click="ignore",
                type="tertiary",
            )
            if svg is not None:
                st.download_button("SVG", svg, f"{name}.svg", "image/svg+xml", key=f"{key}_svg", on_click="ignore", type="tertiary")
            copy_link(f"{key}_link")


#: columns whose term has another name
_TERM_OF = {"ci_low": "interval", "ci_high": "interval", "change_low": "interval", "change_high": "interval", "k": "sample"}


def _tips(table: pd.DataFrame) -> dict[str, Any]:
    """What the headings of a table mean, for those that the glossary knows."""
    terms = {column: _TERM_OF.get(column, column) for column in table.columns}
    return {column: st.column_config.Column(help=glossary.tip(term)) for column, term in terms.items() if term in glossary.TERMS}


def method(card: str, title: str = "How this is measured") -> None:
    """The method card, closed: question, formula, how to read it, what it cannot say."""
    with st.expander(title):
        st.markdown(card)
