"""Brings a part of the page into view that a link named; needs the browser, so it is a component of a few lines."""

from pathlib import Path

import streamlit as st

_JS = (Path(__file__).parent / "js" / "scroll.js").read_text(encoding="utf-8")
_SCROLL = st.components.v2.component("lab_scroll", html="<span></span>", css=":host{display:none}", js=_JS)


def scroll_to(key: str) -> None:
    """Scrolls to the container with this key, once."""
    _SCROLL(key=f"scroll_{key}", data={"to": f".st-key-{key}"}, width="content", height="content")
