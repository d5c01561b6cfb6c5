"""The images that a net reads rightly as they are and wrongly as they were spoiled, each beside its spoiled self."""

import base64
import io as bytes_io
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from core import data, live, words
from core.errors import LabError
from core.run import Run
from pages.ui import parts, states
from pages.ui.robust_nets import Seen

#: px of a picture on the page; the images shown before the reader asks for more, and after
_SIDE, _FIRST, _MOST = 74, 8, 48


def found(one: Seen, kind: str, severity: int) -> tuple[list[dict[str, Any]], int]:
    """(images that turn wrong, how many others turn right): place in the test set, class, what the net says now."""
    row = np.flatnonzero(((one.table["kind"] == kind) & (one.table["severity"] == severity)).to_numpy())[0]
    label, now = one.arrays["label"], one.arrays["predicted"][row]
    before, titles = one.arrays["clean"] == label, data.get(one.run.data).classes
    turned = [
        {"index": int(one.arrays["index"][i]), "label": titles[int(label[i])], "after": titles[int(now[i])]}
        for i in np.flatnonzero(before & (now != label))
    ]
    return turned, int(np.sum(~before & (now == label)))


def warming(run: Run) -> Callable[[], bool]:
    """Whether the worker is loading this net's images."""
    return lambda: live.state("spoiled", run=run.id) == "warming"


def strip(one: Seen, kind: str, severity: int) -> None:
    """`Images that flip`: the first few, more on a press."""
    turned, right = found(one, kind, severity)
    n = words.count(len(one.arrays["label"]))
    if not turned:
        parts.h2("Images that flip", f"none of {n} turns wrong")
        return
    parts.h2("Images that flip", f"{words.count(len(turned))} of {n} turn wrong, {right} right")
    opened = st.session_state.get("robust_flips", False)
    shown = turned[: _MOST if opened else _FIRST]
    pictures = spoiled(one, kind, severity, tuple(flip["index"] for flip in shown))
    if pictures:
        figures = [_figure(flip, *pair) for flip, pair in zip(shown, pictures, strict=True)]
        grid = f"display:grid;grid-template-columns:repeat(auto-fill,{2 * _SIDE + 4}px);gap:14px 18px"
        st.html(f'<div class="robust-flips" style="{grid}">{"".join(figures)}</div>')
    if len(turned) > _FIRST:
        more = f"All {len(turned)}" if len(turned) <= _MOST else f"The first {_MOST}"
        st.button(f"Show only {_FIRST}" if opened else more, key="robust_flips_all", type="tertiary",
                  on_click=lambda: st.session_state.update({"robust_flips": not opened}))  # fmt: skip


def spoiled(one: Seen, kind: str, severity: int, index: tuple[int, ...]) -> list[tuple[str, str]]:
    """(clean, spoiled) as base64 PNG; nothing while the worker cannot say, and then that stands here in words."""
    run = one.run
    state = live.state("spoiled", run=run.id)
    if state == "failed":
        if states.failed("The images could not be loaded", live.reason("spoiled", run=run.id), button="Try again", key="robust_again"):
            live.warm("spoiled", run=run.id)
            st.rerun()
        return []
    if state != "ready":
        st.html('<div class="lab-wait" role="status">Loading the images, about 5 s</div>')
        return []
    try:
        return pairs(run.id, kind, severity, index, int(one.params.get("seed", 0)), str(one.params.get("source", "generated")))
    except LabError as error:
        if states.failed("The images could not be made", str(error), button="Try again", key="robust_again"):
            st.rerun()
        return []


@st.cache_data(max_entries=64, show_spinner=False)
def pairs(run_id: str, kind: str, severity: int, index: tuple[int, ...], seed: int, source: str) -> list[tuple[str, str]]:
    """(clean, spoiled) of test images as base64 PNG, from the live worker.  Raises LabError if it cannot say."""
    told = live.ask("spoiled", timeout_s=30.0, run=run_id, kind=kind, severity=severity, index=list(index), seed=seed, source=source)
    both = [np.frombuffer(base64.b64decode(told[name]), np.uint8).reshape(told["shape"]) for name in ("clean", "spoiled")]
    return [(_png(clean), _png(made)) for clean, made in zip(*both, strict=True)]


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    out = bytes_io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def _figure(flip: dict[str, Any], clean: str, made: str) -> str:
    label, after = escape(str(flip["label"])), escape(str(flip["after"]))
    look = f'width="{_SIDE}" height="{_SIDE}" style="display:block;border-radius:4px;image-rendering:pixelated"'
    alts = (f"{label}, as it is: read rightly", f"{label}, spoiled: read as {after}")
    shown = "".join(f'<img src="data:image/png;base64,{code}" {look} alt="{alt}">' for code, alt in zip((clean, made), alts, strict=True))
    return (
        f'<figure style="margin:0"><div style="display:flex;gap:4px">{shown}</div>'
        f'<figcaption style="font-size:13px;line-height:18px;color:var(--lab-ink);margin-top:5px;overflow-wrap:anywhere">{label} '
        f'<span style="color:var(--lab-muted)">now {after}</span></figcaption></figure>'
    )
