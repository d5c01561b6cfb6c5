"""One image: where one MSA unit looks in it, head by head, answered live."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import data, live, words
from core.analyses import attention
from core.errors import LabError
from core.run import Run
from core.spec import Unit
from pages.ui import address, features_maps, figure, flips, focus, parts, pickers, states

#: px of the picture and of each map on the page
SIDE = 128
OF = {"mean": "All positions", "one": "One position"}


def warming(run: Run) -> bool:
    """Whether the worker is loading this net; begins it if nobody has."""
    if live.state("attention", run=run.id) == "cold":
        live.warm("attention", run=run.id)
    return live.state("attention", run=run.id) == "warming"


@st.fragment
def section(run: Run, slot: Unit) -> None:
    """Image, unit and position; the picture beside one small map a head."""
    with states.guard():
        count = data.get(run.data).test_n
        index = _index(count)
        where = _position(slot)
        told = answer(run, index, slot)
        if told:
            _pictures(run, slot, index, where, told)
        focus.write(image=[str(index)], at=[f"{where[0]}.{where[1]}"] if where else [])


def _index(count: int) -> int:
    """Which test image, from 0: number box, and one back or on."""
    chosen = st.session_state
    for given in address.brought("image")[:1]:
        if given.isascii() and given.isdecimal() and len(given) < 9 and int(given) < count:
            chosen["features_image"] = int(given)
    chosen["features_image"] = min(max(int(chosen.get("features_image") or 0), 0), count - 1)
    with parts.row("bottom"):
        st.number_input("Test image", 0, count - 1, step=1, key="features_image", persist_state="session", width=150, on_change=_moved)
        for label, step in (("Previous", -1), ("Next", 1)):
            st.button(label, key=f"features_{label.lower()}", on_click=_step, args=(step, count))
    return chosen["features_image"]


def _step(step: int, count: int) -> None:
    st.session_state["features_image"] = (st.session_state.get("features_image", 0) + step) % count
    _moved()


def _moved() -> None:
    address.moved("image")
    address.moved("at")


def _position(slot: Unit) -> tuple[int, int] | None:
    """The position that looks, (row, column) from 1, or None for the mean over all; kept as a share of the map between units."""
    chosen, side = st.session_state, slot.side
    if address.emptied("at", "image"):
        chosen["features_at"] = "mean"
    for given in address.brought("at")[:1]:
        row, _, column = given.partition(".")
        if all(x.isascii() and x.isdecimal() and len(x) < 4 and 1 <= int(x) <= side for x in (row, column)):
            chosen["features_at"], chosen["features_q_row"], chosen["features_q_column"] = "one", int(row), int(column)
    chosen.setdefault("features_at", "mean")
    kept: dict[str, Any] = {"persist_state": "session", "on_change": _moved}
    with parts.row("bottom"):
        st.segmented_control("Looking", list(OF), format_func=OF.get, required=True, key="features_at", **kept)
        if chosen["features_at"] != "one" or side < 2:
            return None
        for key, label in (("features_q_row", "Row"), ("features_q_column", "Column")):
            chosen[key] = min(max(int(chosen.get(key) or (side + 1) // 2), 1), side)
            st.slider(label, 1, side, key=key, width=150, **kept)
    return chosen["features_q_row"], chosen["features_q_column"]


def answer(run: Run, index: int, slot: Unit) -> dict[str, Any] | None:
    """What the worker says; None while it cannot, and then that stands here in words."""
    state = live.state("attention", run=run.id)
    if state == "failed":
        if states.failed("The net could not be loaded", live.reason("attention", run=run.id), button="Try again", key="features_again"):
            live.warm("attention", run=run.id)
            st.rerun()
        return None
    if state != "ready":
        st.html('<div class="lab-wait" role="status">Loading the net, about 5 s</div>')
        return None
    try:
        return live.ask("attention", run=run.id, index=index, unit=slot.id)
    except LabError as error:
        if states.failed("This could not be measured", str(error), button="Try again", key="features_again"):
            st.rerun()
        return None


def maps(told: dict[str, Any], where: tuple[int, int] | None) -> np.ndarray:
    """(heads, side, side): where a position looks, or all positions on average; a CLS token is left out."""
    weights = attention.unpack(told)
    first = int(told["cls"])
    among = weights[:, first:, first:]
    side = told["side"]
    chosen = among.mean(1) if where is None else among[:, (where[0] - 1) * side + where[1] - 1]
    return chosen.reshape(-1, side, side)


def _pictures(run: Run, slot: Unit, index: int, where: tuple[int, int] | None, told: dict[str, Any]) -> None:
    shown, theme, side = maps(told, where), parts.theme(), told["side"]
    whose = "all positions, on average" if where is None else f"row {where[0]}, column {where[1]}"
    over = features_maps.cell(where[0] - 1, where[1] - 1, side) if where else ""
    figures = []
    if picture := flips.png(run, index):
        name = label(run, index)
        figures.append(features_maps.figure(picture, f"Test image {index}: {name}", name, [f"test image {index}"], over, side=SIDE))
    for head, (values, distance) in enumerate(zip(shown, told["distance"], strict=True), 1):
        title, small = f"Head {head}", [f"{words.plain(distance, 1)} px far", f"ink: {words.percent(float(values.max()))}"]
        heard = f"{title}, {whose}: {', '.join(small)}"
        figures.append(features_maps.figure(features_maps.png(values, theme), heard, title, small, over, side=SIDE))
    st.html(features_maps.row(figures, SIDE))
    text = foot_text(run, slot, index, whose, told)
    said = f"Where {focus.word(slot)} of {pickers.title(run)} looks in test image {index}, from {whose}"
    drawn = [lambda theme, v=v, i=i: features_maps.chart(v, theme, f"Head {i}") for i, v in enumerate(shown, 1)]
    figure.foot_line(text, table(shown, told), f"attention-{index}-{slot.id}", "features_look", lambda: figure.svg_file(drawn, said, text))


def label(run: Run, index: int) -> str:
    """The class of a test image; its number if the live worker cannot say."""
    try:
        return flips.picture(run.id, index)[1]
    except LabError:
        return f"Test image {index}"


def foot_text(run: Run, slot: Unit, index: int, whose: str, told: dict[str, Any]) -> str:
    """What, n, caveat."""
    text = [f"Test image {index} of {pickers.set_title(pickers.test_set(run.data))}: one image, so no interval."]
    text.append(f"Attention of {whose}, over {slot.side}×{slot.side} positions; each map has its own scale, from no weight (paper) to ink.")
    text.append(f"Distance in pixels, mean over all positions; everything within reach alike: {words.plain(told['distance_uniform'], 1)}.")
    if told["cls"]:
        text.append("The CLS token is left out.")
    seconds = told["seconds"]
    text.append(f"Live, {'under 0.1' if seconds < 0.1 else words.plain(seconds, 1)} s.")
    return " ".join(text)


def table(shown: np.ndarray, told: dict[str, Any]) -> pd.DataFrame:
    """The numbers behind the maps: one row a head and position."""
    heads, rows, columns = (place.ravel() + 1 for place in np.indices(shown.shape))
    found = pd.DataFrame({"head": heads, "row": rows, "column": columns, "weight": shown.ravel()})
    return found.assign(distance=found["head"].map(dict(enumerate(told["distance"], 1))))


def units(runs: Sequence[Run]) -> dict[str, str]:
    """Every MSA unit that can be looked at: `run~unit` -> words."""
    return focus.places(runs, lambda slot: slot.kind == "msa")
