"""What the units that are off cost now: the big number, the change of each class, and what stands there while it cannot be said."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from core import live, words
from core.chart import kind_token
from core.errors import LabError
from core.spec import Unit
from pages.ui import parts, states

#: classes that fit beside the ribbon
_CLASSES = 10


def number(off: Sequence[str], asked: dict[str, Any], loading: bool) -> dict[str, Any] | None:
    """The big number: what the net gets right with these units off, measured now.  None while it cannot be said.

    `loading`: the page knows that the net is being loaded, and looks again by itself.
    """
    state = live.state("lesion", **asked)
    if state == "failed":
        if states.failed("The net could not be loaded", live.reason("lesion", **asked), button="Try again", key="lesion_again"):
            live.warm("lesion", **asked)
            st.rerun()
        return None
    if state != "ready":
        if not loading:  # the worker has ended since, as it does when nobody asks for long
            st.rerun()
        parts.label("Accuracy now")
        st.html('<div class="lab-wait">Loading the net, about 5 s</div>')
        return None
    try:
        told = live.ask("lesion", off=list(off), **asked)
    except LabError as error:
        if states.failed("This could not be measured", str(error), button="Try again", key="lesion_again"):
            st.rerun()
        return None
    parts.big("Accuracy now", words.plain(100 * told["accuracy"], 1), "%")
    lines = [sentence(told), f"live on {words.count(told['images'])} test images, seed {told['seed']}, {quick(told['seconds'])}"]
    st.html(f'<div class="lab-sub" role="status">{"<br>".join(map(parts.rich, lines))}</div>')
    return told


def sentence(told: dict[str, Any]) -> str:
    """`was 92.6 %: **−5.0** points (−8.1 to −2.0)`."""
    if not told["off"]:
        return f"nothing is off (95 %: {words.plain(100 * told['clean_low'], 1)} to {words.plain(100 * told['clean_high'], 1)})"
    change = f"**{words.signed(told['change'], 1)}** points ({words.signed(told['ci_low'], 1)} to {words.signed(told['ci_high'], 1)})"
    unclear = ", not clear" if told["ci_low"] <= 0 <= told["ci_high"] else ""
    return f"was {words.percent(told['clean'])}: {change}{unclear}"


def quick(seconds: float) -> str:
    """`0.3 s`."""
    return "under 0.1 s" if seconds < 0.1 else f"{words.plain(seconds, 1)} s"


def per_class(told: dict[str, Any], units: list[Unit]) -> None:
    """Change per class with its interval, the largest losses first; before anything is off, what to do."""
    if not units:
        parts.sub("Click a unit to switch it off, again to restore it. With the keyboard: arrows, then L.")
        return
    rows = sorted(told["classes"], key=lambda row: row["change"])
    kinds = {unit.kind for unit in units}
    colour = f"var(--lab-{kind_token(kinds.pop())})" if len(kinds) == 1 else "var(--lab-muted)"
    shown = rows if len(rows) <= _CLASSES else sorted(sorted(rows, key=lambda row: -abs(row["change"]))[:_CLASSES], key=rows.index)
    parts.label("Change per class, points")
    st.html(class_bars(shown, colour))
    if len(shown) < len(rows):
        with st.popover(f"All {len(rows)} classes", type="tertiary", key="lesion_all_classes"):
            st.dataframe(rows, hide_index=True, width=560)


def class_bars(rows: list[dict[str, Any]], colour: str) -> str:
    """One bar a class on a common axis, left of the line lost, right of it gained."""
    low = min(0.0, *(row["ci_low"] for row in rows), *(row["change"] for row in rows))
    high = max(0.0, *(row["ci_high"] for row in rows), *(row["change"] for row in rows))
    wide = max(high - low, 1e-9)

    def at(points: float) -> str:
        return f"{100 * (points - low) / wide:.2f}%"

    def between(a: float, b: float) -> str:
        return f"left:{at(min(a, b))};width:{100 * abs(a - b) / wide:.2f}%"

    lines = []
    for row in rows:
        name, change = escape(str(row["class"])), words.signed(row["change"], 1)
        said = f"{words.signed(row['ci_low'], 1)} to {words.signed(row['ci_high'], 1)}, {words.some(row['images'], 'image')}"
        lines.append(
            f'<div title="{name}: {change} points ({said})"><span>{name}</span><i><u style="left:{at(0)}"></u>'
            f'<b style="{between(0, row["change"])};background:{colour}"></b><s style="{between(row["ci_low"], row["ci_high"])}"></s></i>'
            f"<em>{change}</em></div>"
        )
    return f'<div class="lab-classes">{"".join(lines)}</div>'
