"""Choices of one page that stand in its address: from a link, as they were before, or as they are to begin with."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui import address


def take(page: str, key: str, known: Sequence[Any], default: Any) -> Any:
    """A choice as a link brings it, as it was before, or as it is to begin with."""
    chosen, own = st.session_state, f"{page}_{key}"
    for given in address.brought(key)[:1]:
        for value in known:
            if given == str(value):
                chosen[own] = value
    if chosen.get(own) not in known:
        chosen[own] = default
    return chosen[own]


def choose(page: str, label: str, key: str, known: Mapping[Any, str], default: Any, **more: Any) -> Any:
    """One of a few, side by side; it stands in the address as `key`."""
    take(page, key, list(known), default)
    return st.segmented_control(
        label, list(known), format_func=lambda value: known.get(value, str(value)), required=True, key=f"{page}_{key}", wrap=True,
        on_change=lambda: address.moved(key), persist_state="session", **more,
    )  # fmt: skip
