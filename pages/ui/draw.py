"""One chart on a page, made once: building a chart costs up to a tenth of a second, showing it again nothing."""

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa
import streamlit as st
from altair.utils.schemapi import debug_mode

from core import chart as look
from core import io, vega
from pages.ui import parts, present


def draw(
    make: Callable[[str], Any], facts: Any, key: str, says: str, *, on_select: Callable[[], None] | None = None, selection: str = ""
) -> None:
    """Draws `make(theme)`, an undressed single-view chart, as wide as its column; `says` is its alt text.

    `facts` (JSON) must name everything that the drawing depends on but the theme: the same facts, the same drawing.
    A click on the named selection calls `on_select`.
    """
    theme = parts.theme()
    spec = _spec(io.digest([key.partition("_")[0], theme, facts]), make)
    if present.on():
        spec = look.for_talk(spec, theme, present.TYPE, present.TALL, present.HIGHEST)
    extra = {"on_select": on_select, "selection_mode": selection} if on_select else {}
    st.vega_lite_chart(spec=spec, theme=None, width="stretch", key=key, alt=parts.spoken(says), **extra)


@st.cache_data(max_entries=256, show_spinner=False)
def _spec(name: str, _make: Callable[[str], Any]) -> dict[str, Any]:
    # altair checks every part against the schema while it is made, half of the time; the tests let it
    with debug_mode(False):
        return on_page(_make)


def on_page(make: Callable[[str], Any], theme: str = "") -> dict[str, Any]:
    """The specification of a chart dressed for this reader; a single view takes the page's width and keeps the height it was given.

    Tables stand in `datasets` as Arrow bytes, as Streamlit sends them.
    """
    theme = theme or parts.theme()
    chart = make(theme)
    spec, tables = vega.specification(chart)
    if isinstance(chart, alt.Chart | alt.LayerChart):
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    named = {name: _arrow(table) for name, table in tables.items()}
    return {**spec, "config": look.config(theme), "datasets": {**spec["datasets"], **named}}


def _arrow(table: pd.DataFrame) -> bytes:
    arrow, sink = pa.Table.from_pandas(table, preserve_index=False), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return sink.getvalue().to_pybytes()
