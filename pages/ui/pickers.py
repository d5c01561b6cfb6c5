"""What the reader has chosen, everywhere: models on stage, images, the net of Build, the focused unit.

All of it stands in the page's address (`m`, `d`, `arch`) and comes back from there.  What a link brings is checked
against what is known before it is used; a path is never made from it.
"""

import math
import re
from collections.abc import Sequence

import streamlit as st

from core import data, presets, store
from core.data import imported, set_title
from core.errors import LabError
from core.run import Run, title
from core.spec import Architecture
from core.store import family as family
from pages.ui import address

MAX_ON_STAGE = 4
DEFAULT_ARCH = "alternet-mini"
_UNDO = 50


def runs() -> list[Run]:
    """All stored runs, shipped first, by images, seed and the order of the gallery; unreadable ones are left out by the store."""
    order = {presets.resolve(preset).notation: place for place, preset in enumerate(presets.SHIPPED)}
    sets = list(data.DATASETS)

    def place(run: Run) -> tuple[bool, int, int, int]:
        if not store.is_shipped(run.id):
            return True, 0, 0, order.get(run.arch, len(order))
        known = test_set(run.data)
        return False, sets.index(known) if known in sets else len(sets), run.seed, order.get(run.arch, len(order))

    return sorted(store.list_runs(), key=place)


def finished() -> list[Run]:
    """Stored runs that have been trained to the end."""
    return [run for run in runs() if accuracy(run) is not None]


def added() -> list[Run]:
    """Nets that were made elsewhere, as they were taken in; not what was fine-tuned from them."""
    return [run for run in finished() if run.outline and not run.recipe]


def shipped() -> list[Run]:
    """The nets that came with the lab."""
    return [run for run in runs() if store.is_shipped(run.id)]


def gallery() -> list[Run]:
    """The trained nets that came with the lab, one of each architecture: of the chosen images, or of the first where none is of those."""
    shown = [run for run in shipped() if accuracy(run) is not None]
    alike = [run for run in shown if test_set(run.data) == test_set(images())] or [run for run in shown if run.data == shown[0].data]
    return list({run.arch: run for run in reversed(alike)}.values())[::-1]  # the first seed of each


def usual_stage() -> list[str]:
    """The ids of the nets that stand on stage before any is chosen: three of the gallery, or the reader's first."""
    return [run.id for run in gallery()[:3] or finished()[:1]]


def accuracy(run: Run) -> float | None:
    """Test accuracy after training (a share), or None while there is none that can be read."""
    try:
        share = (store.final(run.id) or {}).get("accuracy")
    except LabError:  # damaged: the net counts as not trained to the end, and can be trained again
        return None
    known = isinstance(share, int | float) and not isinstance(share, bool) and math.isfinite(share)
    return float(share) if known else None


def names(runs: Sequence[Run]) -> dict[str, str]:
    """Names on screen by run id, no two alike: where titles are, the images are said if they differ, and if need be the end of the id.

    Streamlit tells the options of a list apart by their names alone.
    """
    said = {run.id: title(run) for run in runs}
    for more in (lambda run: set_title(run.data), lambda run: run.id[-4:]):
        kinds: dict[str, set[str]] = {}
        for run in runs:
            kinds.setdefault(said[run.id], set()).add(more(run))
        said = {run.id: f"{name} · {more(run)}" if len(kinds[name := said[run.id]]) > 1 else name for run in runs}
    return said


def stage() -> list[Run]:
    """The models on stage in the order chosen, at most four; drawn by the frame's sidebar."""
    known = {run.id: run for run in runs()}
    return [known[i] for i in st.session_state.get("m", []) if i in known][:MAX_ON_STAGE]


def beside(stage: Sequence[Run], new: Run) -> list[Run]:
    """A stage with a new net on it; from a full one goes the last that has to do with other images, else the one that stood longest."""
    others = [run for run in stage if run.id != new.id]
    while len(others) >= MAX_ON_STAGE:
        others.remove(next((run for run in reversed(others) if run.data != new.data), others[0]))
    return [*others, new]


def sets() -> list[str]:
    """The ids of all sets that can be chosen: the known ones, then the reader's own; a damaged one is left out."""
    found = list(data.DATASETS)
    for name in imported.names():
        try:
            found.append(imported.card(name)["id"])
        except LabError:  # the Data page says what is wrong with it
            continue
    return found


def images() -> str:
    """The id of the chosen data set; always a known one."""
    chosen, known = st.session_state.get("d", ""), sets()
    return chosen if chosen in known else known[0]


def _linked_set(given: str) -> str:
    """The set that a link means: of the reader's own also without the digest of its content; "" if it is not here."""
    return next((known for known in sets() if given in (known, known.partition("@")[0])), "")


def test_set(dataset: str) -> str:
    """The id of the set whose test images are meant; a subset shares those of the whole.  Any other id stands for itself."""
    known = data.DATASETS.get(dataset)
    return (known.subset_of if known else "") or dataset


def arch() -> Architecture:
    """The net of Build; always one that can be built."""
    return presets.resolve(st.session_state.get("arch", DEFAULT_ARCH))


def arch_error() -> str:
    """Why the net of the link was refused, or nothing."""
    return st.session_state.get("arch_error", "")


def set_arch(text: str, remember: bool = True) -> None:
    """Makes a preset id or a notation the net of Build.  Raises SpecError; the net then stays as it was."""
    new = presets.resolve(text).notation
    old = arch().notation
    if remember and old != new:
        st.session_state["arch_undo"] = [*st.session_state.get("arch_undo", []), old][-_UNDO:]
    st.session_state["arch"] = new
    address.moved("arch")
    st.session_state.pop("arch_error", None)


def undo() -> None:
    """Back to the net before the last change, if there is one."""
    before = st.session_state.get("arch_undo", [])
    if before:
        st.session_state["arch_undo"] = before[:-1]
        set_arch(before[-1], remember=False)


def take_links() -> None:
    """Before anything is drawn: the net, the models and the images that a link or the history brought."""
    for given in address.brought("arch")[:1]:
        try:
            set_arch(given, remember="arch" in st.session_state)
        except LabError as error:
            st.session_state["arch_error"] = str(error)
        st.session_state.pop("_moved_arch", None)
    if models := address.brought("m"):
        known = {run.id for run in finished()}
        if here := [i for i in dict.fromkeys(models) if i in known][:MAX_ON_STAGE]:
            st.session_state["m"] = here
        st.session_state["m_missing"] = len(set(models) - known)
    for given in address.brought("d")[:1]:
        found = _linked_set(given)
        st.session_state["d_missing"] = "" if found else given[:100]
        if found:
            st.session_state["d"] = found


def write_links(models: list[str], dataset: str) -> None:
    """After the sidebar is drawn: the choices as they are now; a default needs no place in the address."""
    chosen = st.session_state.get("m", models)
    address.write("m", [] if chosen == models else list(chosen))
    address.write("d", [] if images() == dataset else [images()])
    net = st.session_state.get("arch")
    if not arch_error():
        address.write("arch", [net] if net else [])


def focus() -> str:
    """The focused unit (`s2u3`), the same on all pages; empty if none."""
    unit = st.session_state.get("focus", "")
    return unit if isinstance(unit, str) and re.fullmatch(r"s[1-6]u[0-9]{1,3}", unit) else ""


def set_focus(unit: str) -> None:
    """Puts the focus on a unit."""
    st.session_state["focus"] = unit
