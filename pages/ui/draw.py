"""One chart on a page, made once: building a chart costs a quarter of a second, showing it again nothing."""

from collections.abc import Callable
from typing import Any

import altair as alt
import streamlit as st
from altair.utils.schemapi import debug_mode

from core import chart as look
from core import io
from pages.ui import parts


def draw(
    make: Callable[[str], Any], facts: Any, key: str, says: str, *, on_select: Callable[[], None] | None = None, selection: str = ""
) -> None:
    """Draws `make(theme)`, an undressed single-view chart, as wide as its column; `says` is its alt text.

    `facts` (JSON) must name everything that the drawing depends on but the theme: the same facts, the same drawing.
    A click on the named selection calls `on_select`.
    """
    theme = parts.theme()
    spec = _spec(io.digest([key.partition("_")[0], theme, facts]), make)
    extra = {"on_select": on_select, "selection_mode": selection} if on_select else {}
    st.vega_lite_chart(spec=spec, theme=None, width="stretch", key=key, alt=parts.spoken(says), **extra)


def on_page(chart: Callable[[str], Any]) -> Any:
    """The chart dressed for this reader; a single view takes the page's width and keeps the height it was given."""
    theme = parts.theme()
    drawn = chart(theme)
    if isinstance(drawn, alt.Chart | alt.LayerChart):
        drawn = drawn.properties(autosize={"type": "fit-x", "contains": "padding"})
    return look.dress(drawn, theme)


@st.cache_data(max_entries=256, show_spinner=False)
def _spec(name: str, _make: Callable[[str], Any]) -> dict[str, Any]:
    # altair checks every part against the schema while it is made, half of the time; the tests let it
    with debug_mode(False), alt.data_transformers.enable("default", max_rows=None):
        return on_page(_make).to_dict(validate=False)
