"""The focused unit of a page of results: which one, how it is changed, and what is said of it; the same on all pages.

A unit in focus is a place, `run~unit`.  It stands in the address as `unit` and comes back from there; what a link brings is used
only if it is a unit of a net that is shown.
"""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core import ribbon, spec
from core.run import Run
from core.spec import Unit
from core.unit import stays_on
from pages.ui import address, frame, parts, pickers, tour

#: where the place is kept between pages
PLACE = "focus_place"


def slots(run: Run) -> tuple[Unit, ...]:
    """The units of a run's net, empty places left out."""
    return tuple(slot for slot in spec.layout(run.plan, run.image_size) if slot.kind != "none")


def word(slot: Unit) -> str:
    """`Stage 1, unit 3 · MSA`."""
    return f"Stage {slot.stage}, unit {slot.index} · {spec.WORDS[slot.letter]}"


def places(runs: Sequence[Run], keep: Callable[[Unit], bool] = lambda _: True) -> dict[str, str]:
    """Every unit of some nets that may be in focus: `run~unit` -> words, net by net in the order of depth."""
    return {f"{run.id}~{slot.id}": f"{pickers.title(run)} · {word(slot)}" for run in runs for slot in slots(run) if keep(slot)}


def current(known: Mapping[str, str], otherwise: str = "") -> str:
    """Which of the known places is in focus: brought by a link, chosen before, the same unit of another net, else `otherwise`."""
    for place in address.brought("unit")[:1]:
        if place in known:
            _keep(place)
    place, unit = st.session_state.get(PLACE, ""), pickers.focus()
    if place in known and unit in ("", place.partition("~")[2]):
        return place
    # another page moved the focus: the net that was in focus before goes first
    same = [other for other in known if unit and other.endswith(f"~{unit}")]
    same.sort(key=lambda other: other.partition("~")[0] != str(place).partition("~")[0])
    return next(iter(same), otherwise)


def put(place: str) -> None:
    """Moves the focus to a place; for callbacks, before the page is drawn again.  It travels on to the other pages."""
    _keep(place)
    address.moved("unit")
    tour.did("frequency")


def _keep(place: str) -> None:
    st.session_state[PLACE] = place
    pickers.set_focus(place.partition("~")[2])


def near(place: str, known: Mapping[str, str], runs: Sequence[Run]) -> str:
    """The place if it is known here, else the known unit at the nearest depth, of the same net if it has one; "" if nothing is known."""
    if place in known or not known:
        return place if place in known else ""
    deep = {f"{run.id}~{slot.id}": slot.depth for run in runs for slot in slots(run)}
    net = place.partition("~")[0]
    if all(other.partition("~")[0] != net for other in known):
        net = next(iter(known)).partition("~")[0]
    here = [other for other in known if other.partition("~")[0] == net]
    return min(here, key=lambda other: abs(deep.get(other, 0.0) - deep.get(place, 0.0)))


def write(**wanted: Sequence[str]) -> None:
    """Puts several parameters into the address in one step of the browser's history; no value takes a parameter out."""
    new = {key: list(values) for key, values in wanted.items() if values and st.query_params.get_all(key) != list(values)}
    if new:
        st.query_params.update(new)
    for key, values in wanted.items():
        address.write(key, list(values))


def box(label: str, place: str, known: Mapping[str, str], key: str) -> None:
    """The focused unit as a select: the native twin of a click on a unit."""
    st.session_state[key] = place
    st.selectbox(
        label, list(known), format_func=lambda other: known.get(other, other), key=key, on_change=lambda: put(st.session_state[key])
    )


def card(run: Run, unit: str, says: str, key: str, here: str = "") -> None:
    """Ribbon, name and sentence of one unit, and the way to it on the other pages of units; `here` is the page this is on."""
    found = slots(run)
    slot = next(slot for slot in found if slot.id == unit)
    parts.svg(ribbon.draw(found, side=16, focus=unit, label=f"The units of {pickers.title(run)}; {ribbon.describe(slot)} is in focus"))
    parts.h2(f"{pickers.title(run)}, {ribbon.describe(slot)}")
    if says:
        parts.sub(says)
    place = f"{run.id}~{unit}"
    ways = [("lesion", "Switch it off in Lesion", {"net": run.id, "off": unit}), ("frequency", "Its frequencies", {})]
    ways += [("features", "Its features", {})]
    with parts.row():
        for stem, label, more in ways:
            if stem == here or not frame.exists(stem) or (stem == "lesion" and stays_on(slot)):
                continue
            if st.button(label, key=f"{key}_{stem}", type="secondary" if stem == "lesion" else "tertiary"):
                frame.go(stem, unit=place, **more)
