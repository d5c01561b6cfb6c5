"""`Copy link`: puts the page's address on the clipboard.  Needs the browser, so it is a component of ten lines."""

from pathlib import Path

import streamlit as st

_JS = (Path(__file__).parent / "js" / "copylink.js").read_text(encoding="utf-8")
_CSS = """:host{display:block}
button{all:unset;display:flex;align-items:center;min-height:2.5rem;cursor:pointer;font:400 14px/20px var(--st-font);
color:var(--st-text-color);text-decoration:underline;text-decoration-color:var(--lab-faint);text-underline-offset:3px;white-space:nowrap}
button:focus-visible{outline:2px solid var(--st-text-color);outline-offset:3px;border-radius:3px}
"""
_BUTTON = st.components.v2.component("lab_copylink", html='<button type="button">Copy link</button>', css=_CSS, js=_JS)


def copy_link(key: str) -> None:
    """The link-like button; the words say for two seconds that it worked."""
    _BUTTON(
        key=key,
        data={"label": "Copy link", "done": "Link copied", "failed": "Copy it from the address bar"},
        width="content",
        height="content",
    )
