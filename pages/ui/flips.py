"""The test images whose answer changes, as they are, with their label and what the net says now."""

import base64
import io as bytes_io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from core import live, words
from core.errors import LabError
from core.run import Run
from pages.ui import parts

#: px on the page; the images shown before the reader asks for all
_SIDE, _FIRST = 96, 8


def strip(run: Run, flips: Sequence[dict[str, Any]], images: int, key: str) -> None:
    """`Images that flip`: the first few that were right, the others on a press; nothing if no answer changes."""
    wrong, right = ([flip for flip in flips if flip["turned"] == turned] for turned in ("wrong", "right"))
    if not flips:
        parts.h2("Images that flip", f"none of {words.count(images)}: the net says the same of every image")
        return
    parts.h2("Images that flip", _aside(len(wrong), len(right), images))
    opened = st.session_state.get(key, False)
    first = (wrong or right)[:_FIRST]
    st.html(_grid(run, wrong or right if opened else first))
    if opened and wrong and right:
        parts.label("Turned right")
        st.html(_grid(run, right))
    if len(flips) > len(first):
        label = f"Show only {len(first)}" if opened else f"All {len(flips)}"
        st.button(label, key=f"{key}_all", type="tertiary", on_click=lambda: st.session_state.update({key: not opened}))


def _aside(wrong: int, right: int, images: int) -> str:
    """`15 of 256, right before; 2 others turned right`."""
    said = f"{wrong} of {words.count(images)}, right before"
    return f"{said}; {right} other{'' if right == 1 else 's'} turned right" if right else said


def _grid(run: Run, flips: Sequence[dict[str, Any]]) -> str:
    return f'<div class="lab-flips">{"".join(_figure(run, flip) for flip in flips)}</div>'


def _figure(run: Run, flip: dict[str, Any]) -> str:
    label, before, now = (escape(str(flip[name])) for name in ("label", "before", "after"))
    then = f"now {now}" if flip["turned"] == "wrong" else f"was {before}"
    picture = png(run, int(flip["index"]))
    shown = f'<img src="data:image/png;base64,{picture}" width="{_SIDE}" height="{_SIDE}" alt="{label}, {then}">' if picture else ""
    return f"<figure>{shown}<figcaption>{label}<small>{then}</small></figcaption></figure>"


def png(run: Run, index: int) -> str:
    """A test image as base64 PNG at its own size; "" if the live worker cannot give it."""
    try:
        return picture(run.id, index)[0]
    except LabError:
        return ""


@st.cache_data(max_entries=1024, show_spinner=False)
def picture(run_id: str, index: int) -> tuple[str, str]:
    """(base64 PNG, class) of a run's test image, from the live worker.  Raises LabError if it cannot say."""
    from PIL import Image

    told = live.ask("picture", run=run_id, index=index)
    pixels = np.frombuffer(base64.b64decode(told["pixels"]), np.uint8).reshape(told["shape"])
    out = bytes_io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode(), told["class"]
