"""One chart on a page: dressed, as wide as its column and as high as it says."""

from collections.abc import Callable
from typing import Any

import altair as alt
import streamlit as st

from core import chart as look
from pages.ui import parts


def draw(chart: Any, key: str, says: str, *, on_select: Callable[[], None] | None = None, selection: str = "") -> None:
    """Draws an undressed single-view chart; `says` is its alt text.  A click calls `on_select`.

    Only the width is fitted: headings above the view would otherwise be taken from the height of the plot.
    """
    theme = parts.theme()
    dressed = look.dress(chart, theme).properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    extra = {"on_select": on_select, "selection_mode": selection} if on_select else {}
    st.altair_chart(dressed, theme=None, width="stretch", key=key, alt=parts.spoken(says), **extra)
