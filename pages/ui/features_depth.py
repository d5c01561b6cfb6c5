"""A number over depth, one panel a net on a shared axis: variance, attention distance, receptive field."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import words
from core.analyses import Analysis
from core.analyses._pictures import SELECTION
from core.run import Run
from pages.ui import figure, focus, measured, pickers
from pages.ui.draw import draw
from pages.ui.measured import Answer


def panels(
    analysis: Analysis,
    found: Sequence[Answer],
    *,
    place: str,
    scale: list[float],
    takeaway: Callable[[dict[str, pd.DataFrame]], str],
    foot: str,
    kinds: Callable[[str], Any] | None = None,
) -> None:
    """The analysis' chart of each net, the picture by kind beside or below them, and the foot line.

    `place` is the focused `run~unit`; a click on a unit moves it.  `takeaway` is the sentence of some nets' tables.
    """
    named, stored, key = measured.tables(found), [answer.manifest["key"] for answer in found], analysis.id
    count, wide = len(found), kinds is not None and len(found) < 3
    across = count + wide if count != 4 else 2
    cells = [cell for _ in range(-(-(count + wide) // across)) for cell in st.columns(across, gap="medium")]
    drawings: list[Callable[[str], Any]] = []
    for i, (answer, (title, table)) in enumerate(zip(found, named.items(), strict=True)):
        run = answer.run
        ring = place.partition("~")[2] if place.startswith(f"{run.id}~") else ""
        settings = {"net": title, "family": pickers.family(run), "focus": ring, "scale": scale, "ticks": i % across == 0}

        def make(theme: str, table: pd.DataFrame = table, settings: dict[str, Any] = settings) -> Any:
            return analysis.chart(table, theme, **settings)

        chart = f"{key}_chart_{run.id}"
        pick = {"on_select": lambda run=run, chart=chart: clicked(run, chart), "selection": SELECTION}
        with cells[i]:
            draw(make, [stored[i], key, settings], chart, takeaway({title: table}), **pick)
        drawings.append(make)
    said = takeaway(named)
    if kinds is not None:
        with cells[count] if wide else st.container():
            draw(kinds, [stored, list(named)], f"{key}_kinds", said)
        drawings.append(kinds)
    figure.foot_line(foot, together(found), key, key, lambda: figure.svg_file(drawings, said, foot))


def together(found: Sequence[Answer]) -> pd.DataFrame:
    """The tables of several nets as one, the net's name first."""
    both = pd.concat([table.assign(net=title) for title, table in measured.tables(found).items()], ignore_index=True)
    return both[["net", *both.columns.drop("net")]]


def clicked(run: Run, chart: str) -> None:
    """Puts the focus on the unit that was clicked in a panel."""
    hit = hits(chart)
    if "unit" in hit and hit["unit"] in {slot.id for slot in focus.slots(run)}:
        focus.put(f"{run.id}~{hit['unit']}")


def hits(chart: str) -> dict[str, Any]:
    """The fields of the mark that was clicked in a chart; empty if a click took the selection away."""
    event = st.session_state.get(chart) or {}
    hit = (event.get("selection") or {}).get(SELECTION) or []
    return hit[0] if hit and isinstance(hit[0], dict) else {}


def hatched(found: Sequence[Answer]) -> str:
    """The units that change the resolution, by place, for the foot line; "" if there are none."""
    nets: dict[str, list[str]] = {}
    for title, table in measured.tables(found).items():
        units = [str(row.unit) for row in table.drop_duplicates("unit").itertuples() if row.resampling and row.kind != "stem"]
        if units:
            nets.setdefault(words.seq([re.sub(r"^s(\d+)u(\d+)$", r"stage \1, unit \2", unit) for unit in units]), []).append(title)
    said = "; ".join(f"{units} of {words.seq(titles)}" for units, titles in nets.items())
    return f"Hatched: {said}; the map changes its resolution there" if said else ""
