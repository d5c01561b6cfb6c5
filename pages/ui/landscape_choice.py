"""What the reader of Landscape has chosen: which part of the loss, on what scale, along which directions, of which weights and images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import store, words
from core.analyses import landscape
from core.errors import StoreError
from core.run import Run
from pages.ui import address, parts, pickers

PART = {"data": "Data", "l2": "L2 part", "sum": "Sum"}
SCALE = {"linear": "Linear", "log": "Log"}
ALONG = {"random": "Random", "curvature": "Top curvature", "line": "Between two nets"}
VIEW = {"surface": "3D", "contour": "2D"}
L2 = {"norm": "Sum of norms, as in the paper’s figure", "half": "Half the squares, as weight decay has it"}
PHASE = {
    "end": "End of training", "twothirds": "Two thirds", "third": "One third", "warmup": "End of warm-up", "init": "Before training",
}  # fmt: skip
AUGMENT = {"recipe": "As in training", "paper": "With the paper’s mix-up", "clean": "As they are"}
NORM = {"filter": "Each output filter", "dim0": "Over the first axis, as the paper’s code"}
BN = {"frozen": "Kept as trained", "batch": "Taken anew at each point"}
#: how fine: points a side (odd), pairs of directions, images; the first is the usual, the last is for large images and little patience
SIDE = {"21": "21 × 21", "41": "41 × 41", "11": "11 × 11", "5": "5 × 5"}
PLANES = {"8": "8", "4": "4", "2": "2", "1": "1"}
IMAGES = {"256": "256", "1024": "1,024", "64": "64", "16": "16"}
#: how far to walk along unit eigenvectors, whose curvature is tens to hundreds: to where the loss has risen by some units
REACH = 0.5
#: the options, which are quiet: key -> (their words, the default)
_OPTIONS = {
    "ls_phase": PHASE, "ls_augment": AUGMENT, "ls_norm": NORM, "ls_bn": BN, "ls_l2": L2, "ls_side": SIDE, "ls_planes": PLANES,
    "ls_images": IMAGES,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`part` is one of landscape.PARTS; `params` is the question to the analysis."""

    part: str
    log: bool
    contour: bool
    params: landscape.Params

    @property
    def title(self) -> str:
        """What the height is."""
        return {"nll": "Loss", "l2_norm": "L2 part", "l2_half": "L2 part"}.get(self.part, "Loss with L2 part")


def controls(runs: Sequence[Run]) -> Choice:
    """One row: loss, scale, direction, view, and the options behind a button."""
    with parts.row("bottom", key="landscape_controls"):
        part = _segments("Loss", PART, "ls_part")
        scale = _segments("Scale", SCALE, "ls_scale")
        along = _segments("Direction", ALONG, "ls_along")
        view = _segments("View", VIEW, "ls_view") if along != "line" else "surface"
        changed = sum(_chosen(key, known) for key, known in _OPTIONS.items())
        changed += bool(st.session_state.get("ls_direction", st.query_params.get("ls_direction", "0") != "0"))
        with st.popover(f"Options ({changed})" if changed else "Options"):
            phase = _select("Weights of", PHASE, "ls_phase")
            augment = _select("Training images", AUGMENT, "ls_augment")
            norm = _select("Directions scaled to", NORM, "ls_norm", disabled=along != "random")
            direction = st.number_input(
                "Seed of the directions", 0, 999, step=1, key="ls_direction", bind="query-params", disabled=along != "random"
            )
            bn = _select("Statistics of BatchNorm", BN, "ls_bn")
            l2 = _select("L2 part alone", L2, "ls_l2")
            parts.sub("How fine: each point is one pass over all images, so less of any takes less time.")
            left, middle, right = st.columns(3, gap="small")
            with left:
                side = _select("Points", SIDE, "ls_side")
            with middle:
                planes = _select("Pairs of directions", PLANES, "ls_planes", disabled=along != "random")
            with right:
                images = _select("Images", IMAGES, "ls_images")
    other = _other(runs) if along == "line" else ""
    if along != "line":
        address.write("other", [])
    asked: dict[str, Any] = {"along": along, "phase": phase, "augment": augment, "bn": bn, "side": int(side), "images": int(images)}
    asked |= {"norm": norm, "direction": direction, "planes": int(planes)} if along == "random" else {}
    asked |= {"reach": REACH} if along == "curvature" else {}
    asked |= {"other": other} if along == "line" else {}
    return Choice(
        part={"data": "nll", "l2": f"l2_{l2}", "sum": "sum"}[part],
        log=scale == "log",
        contour=view == "contour",
        params=landscape.Params(**asked),
    )


def _chosen(key: str, known: dict[str, str]) -> bool:
    """Whether an option is not as usual; on the first run of a link only the address knows, in the words on screen."""
    if key in st.session_state:
        return st.session_state[key] != next(iter(known))
    return st.query_params.get(key) in list(known.values())[1:]


def _segments(label: str, known: dict[str, str], key: str) -> str:
    first = next(iter(known))
    chosen = st.segmented_control(
        label, list(known), format_func=known.get, default=first, required=True, key=key, bind="query-params", wrap=True
    )
    return chosen or first


def _select(label: str, known: dict[str, str], key: str, disabled: bool = False) -> str:
    return st.selectbox(label, list(known), format_func=known.get, key=key, bind="query-params", disabled=disabled)


def _other(runs: Sequence[Run]) -> str:
    """The other end of the line: each net's own start, or a run of the same architecture; its id, or ""."""
    archs = {run.arch for run in runs}
    known = {"": "Each net’s own start"}
    known |= {run.id: f"{pickers.title(run)}, {run.id[-4:]}" for run in pickers.finished() if run.arch in archs}
    for given in address.brought("other")[:1]:
        st.session_state["landscape_other"] = given
    if st.session_state.get("landscape_other", "") not in known:
        st.session_state["landscape_other"] = ""
    chosen = st.selectbox(
        "Other end of the line", list(known), format_func=known.get, key="landscape_other", persist_state="session", width=320,
        on_change=address.moved, args=("other",),
    )  # fmt: skip
    address.write("other", [chosen] if chosen else [])
    return chosen


def able(runs: Sequence[Run], choice: Choice) -> tuple[list[Run], str]:
    """Of runs without a result those that can be measured, and a sentence about the others."""
    fit, said = [], {}
    for run in runs:
        if why := _refused(run, choice.params):
            said.setdefault(why, []).append(pickers.title(run))
        else:
            fit.append(run)
    return fit, " ".join(f"{words.seq(nets)}: {why}" for why, nets in said.items())


def _refused(run: Run, params: landscape.Params) -> str:
    from_start = params.along == "line" and not params.other
    for phase in {params.phase, *(["init"] if from_start else [])} - ({"end"} if run.outline else {"init", "end"}):
        try:
            store.weights(run.id, phase)
        except StoreError:
            if run.outline and not run.recipe:
                return "it came from elsewhere with its last weights alone; nothing is known of its training."
            return f"the weights of this phase ({PHASE[phase].lower()}) are not kept here; train such a net to have them."
    if params.along != "line":
        return ""
    if params.other == run.id:
        return "this is the other end itself."
    if not params.other and params.phase == "init":
        return "before training it stands at its own start, and there is no line."
    other = next((r for r in pickers.finished() if r.id == params.other), None)
    return "another architecture than the other end; no line joins the two." if other is not None and other.arch != run.arch else ""
