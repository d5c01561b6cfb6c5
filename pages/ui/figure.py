"""A figure as the lab shows it: the picture, and under it what, n, seed, caveat and Table · CSV · SVG · Copy link."""

import re
from collections.abc import Callable, Sequence
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


def panels(charts: Sequence[Draw], takeaway: str, foot: str, table: pd.DataFrame, name: str, key: str) -> None:
    """Charts side by side (one under the other on a phone) with one foot line; the caller gives them one y range.

    `charts` are `chart(theme)`, undressed; the takeaway is also the alt text; `table` holds the numbers behind the picture, `name`
    becomes the file name of downloads.  In the SVG the same charts stand in one row.
    """
    facts = table.to_csv(index=False)
    for number, (column, chart) in enumerate(zip(st.columns(len(charts), gap="medium"), charts, strict=True)):
        said = takeaway if number == 0 else f"Panel {number + 1} of the same figure"
        with column:
            draw(chart, [number, facts], f"{key}_chart_{number}", said)
    foot_line(foot, table, name, key, lambda: svg_file(charts, takeaway, foot))


def beside(charts: Sequence[Any], panel_width: int = 290) -> dict[str, Any]:
    """Charts in one row as a Vega-Lite specification for a file; selections are dropped, a file cannot be clicked."""
    specs, datasets = [], {}
    with alt.data_transformers.enable("default", max_rows=None):
        for chart in charts:
            spec = chart.properties(width=panel_width).to_dict()
            datasets |= spec.pop("datasets", {})
            specs.append({key: value for key, value in _without_params(spec).items() if key not in ("$schema", "config")})
    return {"$schema": alt.SCHEMA_URL, "hconcat": specs, "datasets": datasets}


def _without_params(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _without_params(value) for key, value in spec.items() if key != "params"}
    return [_without_params(item) for item in spec] if isinstance(spec, list) else spec


def svg_file(charts: Draw | Sequence[Draw], title: str, foot: str) -> bytes:
    """The figure (or several in a row) as a file that stands alone: on white, its title above, its caveats below."""
    drawn = [chart("light") for chart in ([charts] if callable(charts) else charts)]
    if len(drawn) > 1:
        spec, width = beside(drawn), 150
    else:
        with alt.data_transformers.enable("default", max_rows=None):
            spec, width = drawn[0].to_dict(), 78
    spec["title"] = {
        "text": _lines(parts.spoken(title), width),
        "fontSize": 15,
        "fontWeight": 600,
        "color": look.LIGHT["ink"],
        "offset": 18,
    }
    spec["config"] = look.config("light")
    return _with_foot(look.to_svg(spec), _lines(parts.spoken(foot), 110 if len(drawn) == 1 else 190)).encode()


def _lines(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 > width and line:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def _with_foot(svg: str, lines: list[str]) -> str:
    """The drawing made taller by the foot line's height, with the foot line in it."""
    size = re.search(r'<svg[^>]*?width="([\d.]+)" height="([\d.]+)" viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if not size or not "".join(lines):
        return svg
    width, height = float(size[3]), float(size[4])
    taller = height + 10 + 16 * len(lines)
    head = size[0].replace(f'height="{size[2]}"', f'height="{taller:g}"').replace(f'0 0 {size[3]} {size[4]}"', f'0 0 {size[3]} {taller:g}"')
    safe = [line.replace("&", "&amp;").replace("<", "&lt;") for line in lines]
    words = "".join(f'<tspan x="4" dy="16">{line}</tspan>' for line in safe)
    font = look.SANS.replace('"', "'")
    text = f'<text y="{height + 2:g}" font-family="{font}" font-size="12" fill="{look.LIGHT["muted"]}">{words}</text>'
    back = f'<rect width="{width:g}" height="{taller:g}" fill="{look.LIGHT["bg"]}"/>'
    start = svg.index(size[0])
    end = svg.index(">", start + len(size[0]) - 1) + 1
    return svg[:start] + head + svg[start + len(size[0]) : end] + back + svg[end : svg.rindex("</svg>")] + text + "</svg>"


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
