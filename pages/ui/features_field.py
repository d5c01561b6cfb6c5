"""The part of the picture that the focused unit answers to, beside units of the other nets at a like depth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import io, store, words
from core.analyses import receptive
from pages.ui import features_maps, figure, focus, measured, parts, pickers
from pages.ui.measured import Answer

#: px of a map on the page
SIDE = 168


@st.cache_data(max_entries=16, show_spinner=False)
def _maps(run_id: str, key: str, home: str) -> np.ndarray | None:
    stored = store.load_result(run_id, "receptive", key)
    return stored.arrays.get("maps") if stored else None


def fields(found: Sequence[Answer], run_id: str, unit: str) -> list[tuple[Answer, Any, np.ndarray]]:
    """(answer, table row, map) of the unit and of the unit at the nearest depth of each other net, the unit itself first."""
    own = next(answer for answer in found if answer.run.id == run_id)
    depth = float(own.table.loc[own.table["unit"] == unit, "depth"].iloc[0])
    picked = []
    for answer in (own, *(other for other in found if other is not own)):
        maps = _maps(answer.run.id, answer.manifest["key"], str(io.home()))
        if maps is None:
            continue
        rows = list(answer.table.itertuples())
        units = [i for i, row in enumerate(rows) if row.kind != "stem"]
        place = min(units, key=lambda i: (answer is own and rows[i].unit != unit, abs(rows[i].depth - depth)))
        picked.append((answer, rows[place], maps[place]))
    return picked


def section(found: Sequence[Answer], place: str) -> None:
    """The maps in a row, the focused unit's first, and their foot line."""
    run_id, _, unit = place.partition("~")
    picked = fields(found, run_id, unit)
    theme, figures, drawn = parts.theme(), [], []
    for number, (answer, row, values) in enumerate(picked):
        title = title_of(answer, row)
        small = f"{words.plain(row.radius, 1)} px (95 % {words.plain(row.ci_low, 1)} to {words.plain(row.ci_high, 1)})"
        over = features_maps.circle(row.radius, values.shape[-1])
        said = f"{'In focus: ' if number == 0 else ''}{title}: half lies within {small}"
        net, _, where = title.partition(", ")
        figures.append(features_maps.figure(features_maps.png(values, theme), said, net, [where, small], over, side=SIDE))
        drawn.append(lambda theme, values=values, title=title: features_maps.chart(values, theme, title))
    st.html(features_maps.row(figures, SIDE))
    text = f"{measured.images_said(found)} Each map has its own scale, from no gradient (paper) to its largest (ink). "
    text += "Dashed: the radius that holds half, round the middle of the picture."
    if len(picked) > 1:
        text += " The focused unit first, then the units of the other nets nearest to it in depth."
    answer, row, _ = picked[0]
    said = f"{title_of(answer, row)}: {receptive.describe(answer.table, unit)}"
    figure.foot_line(text, table(picked), f"receptive-{unit}", "features_field", lambda: figure.svg_file(drawn, said, text))


def title_of(answer: Answer, row: Any) -> str:
    """`ViT-mini, Stage 1, unit 3 · MSA`."""
    slot = next(slot for slot in focus.slots(answer.run) if slot.id == row.unit)
    return f"{pickers.title(answer.run)}, {focus.word(slot)}"


def table(picked: Sequence[tuple[Answer, Any, np.ndarray]]) -> pd.DataFrame:
    """The numbers behind the maps: one row a net and pixel."""
    frames = []
    for answer, row, values in picked:
        rows, columns = (place.ravel() + 1 for place in np.indices(values.shape))
        cells = {"net": pickers.title(answer.run), "unit": row.unit, "row": rows, "column": columns, "share": values.ravel()}
        frames.append(pd.DataFrame(cells))
    return pd.concat(frames, ignore_index=True)
