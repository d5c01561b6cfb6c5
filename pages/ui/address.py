"""The page's address: what a link brings in, and what the reader's choices write back.

Streamlit's own binding writes the words on screen into the URL; ours must hold ids, which stay true when a title
changes.  So the frame takes a parameter in before the widget is drawn, and writes it out after.
"""

import time

import streamlit as st

#: A rerun that was asked for while the last one still ran carries the address as it was before: not a new link.
_LATE_S = 0.6


def brought(key: str) -> list[str]:
    """The values of a parameter if a link or the browser's history brought them, empty if they are our own."""
    given = st.query_params.get_all(key)
    return given if _foreign(key, given) else []


def emptied(key: str, beside: str) -> bool:
    """Whether the browser's history took all values of a parameter away, on a page whose addresses always hold `beside`."""
    return beside in st.query_params and not st.query_params.get_all(key) and _foreign(key, [])


def _foreign(key: str, given: list[str]) -> bool:
    written, before, when = st.session_state.get(f"_address_{key}", ([], [], -_LATE_S))
    moved = st.session_state.pop(f"_moved_{key}", False)
    late = given == before and time.monotonic() - when < _LATE_S
    return not (moved or given == written or late)


def moved(key: str) -> None:
    """Says that the reader changed a choice in this run, so that the address of before is not read back."""
    st.session_state[f"_moved_{key}"] = True


def write(key: str, values: list[str]) -> None:
    """Puts values into the address; none takes the parameter out."""
    written, before, when = st.session_state.get(f"_address_{key}", ([], [], -_LATE_S))
    if values != written:
        before, when = written, time.monotonic()
    st.session_state[f"_address_{key}"] = (values, before, when)
    if st.query_params.get_all(key) == values:
        return
    if values:
        st.query_params[key] = values
    elif key in st.query_params:
        del st.query_params[key]
