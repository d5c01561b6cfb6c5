"""How sharply the loss bends, and which way: leading Hessian eigenvalues of mini-batches, over training, and the density of all of them."""

from pages.ui import frame

frame.require()

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import analyses, io, words
from core.analyses import Analysis, hessian
from core.run import Run
from pages.ui import address, coarse, curvature_figure, figure, focus, measured, parts, pickers, states
from pages.ui.curvature_ask import PHASES, Lack, ask
from pages.ui.curvature_figure import Shown
from pages.ui.measured import Answer

VIEWS = {"spectrum": "Spectrum", "top": "Top 5", "density": "Density"}
AUGMENT = {"recipe": "As in training", "paper": "Paper’s mix-up", "clean": "Clean"}
#: mini-batches; the fewest are for large images and little patience, 40 are what claims ask for, the last is the paper's tenth of CIFAR
BATCHES = (4, 8, 24, 40, 96, 312)
HESSIAN, DENSITY = analyses.get("hessian"), analyses.get("density")
Head = st.delta_generator.DeltaGenerator


def page() -> None:
    """Question, answer, controls, the figure with its charts over training, what is missing, the method."""
    parts.header(HESSIAN.question, over="Loss")
    head = st.container()
    with states.guard():
        runs = pickers.stage()
        phase, view, params = controls(runs)
        body(head, runs, phase, view, params)
    figure.method((DENSITY if st.session_state.get("curvature_view") == "density" else HESSIAN).card)


def controls(runs: Sequence[Run]) -> tuple[str, str, Any]:
    """One row: the moment of training, the view, and the rarer choices; all of them in the address."""
    chosen, usual = st.session_state, HESSIAN.params()
    for key, known in (("phase", PHASES), ("view", VIEWS), ("augment", AUGMENT)):
        for given in address.brought(key)[:1]:
            if given in known:
                chosen[f"curvature_{key}"] = given
    for given in address.brought("batches")[:1]:
        if given in {str(count) for count in BATCHES}:
            chosen["curvature_batches"] = int(given)
    if "curvature_phase" not in chosen:
        chosen["curvature_phase"] = first_phase(runs)
    chosen.setdefault("curvature_view", "spectrum")
    chosen.setdefault("curvature_augment", usual.augment)
    chosen.setdefault("curvature_batches", usual.images // usual.batch)
    with parts.row("bottom"):
        _choose("Phase", "phase", PHASES)
        _choose("View", "view", VIEWS)
        with st.popover("Options"):
            _choose("Training images", "augment", AUGMENT)
            _choose(f"Mini-batches of {usual.batch}", "batches", {count: str(count) for count in BATCHES})
    phase, view, augment, batches = (chosen[f"curvature_{key}"] for key in ("phase", "view", "augment", "batches"))
    params = dataclasses.replace(usual, phase=phase, augment=augment, images=batches * usual.batch)
    focus.write(
        phase=[phase],
        view=[view],
        augment=[augment] if augment != usual.augment else [],
        batches=[str(batches)] if params.images != usual.images else [],
    )
    return phase, view, params


def _choose(label: str, key: str, known: dict[Any, str]) -> None:
    st.segmented_control(
        label, list(known), format_func=known.get, required=True, key=f"curvature_{key}", persist_state="session",
        on_change=lambda: address.moved(key), wrap=True,
    )  # fmt: skip


def first_phase(runs: Sequence[Run]) -> str:
    """The moment to begin with: the end of warm-up, where the paper looks, if all nets on stage were measured there."""
    early = measured.answers(HESSIAN, runs, dataclasses.asdict(HESSIAN.params(phase="warmup")))
    return "warmup" if runs and len(early) == len(runs) else "end"


def free(params: Any) -> tuple[str, ...]:
    """What may differ from the question: how many images too, unless the reader has chosen that."""
    return ("images", "seed") if params.images == HESSIAN.params().images else ("seed",)


def body(head: Head, runs: Sequence[Run], phase: str, view: str, params: Any) -> None:
    """Everything that depends on results."""
    over = {p: measured.answers(HESSIAN, runs, dataclasses.asdict(dataclasses.replace(params, phase=p)), free(params)) for p in PHASES}
    if over[phase] and "images" not in free(params):  # the other moments with what they have: their charts say of how many mini-batches
        over |= {p: measured.answers(HESSIAN, runs, dataclasses.asdict(dataclasses.replace(params, phase=p))) | over[p]
                 for p in PHASES if p != phase}  # fmt: skip
    if view == "density":
        analysis, question = DENSITY, dataclasses.replace(DENSITY.params(), phase=phase, augment=params.augment)
        asked = {phase: measured.answers(DENSITY, runs, dataclasses.asdict(question))}
    else:
        analysis, question, asked = HESSIAN, params, over
    here, shown = asked[phase], gathered(analysis, runs, question, asked[phase])
    takeaway = curvature_figure.sentence(here, runs, phase, view)
    takeaway = takeaway or nothing(runs, bool(shown.so_far), view)
    with head:
        parts.take(takeaway)
        if stale := measured.stale_said(list(here.values())):
            parts.sub(stale)
        drawn = {answer.run.id for answer in shown.answers}
        if none := [pickers.title(answer.run) for answer in here.values() if answer.run.id not in drawn]:
            parts.sub(f"None of the values of {words.seq(none)} converged, so there is nothing to draw.")
    place = None
    if shown.answers or any(over.values()):
        st.space("xsmall")
        place = curvature_figure.draw_all(runs, shown, over, phase, view, takeaway)
    lacks = [
        Lack(run=run, params=dataclasses.replace(question, phase=p), coarse=run.id in found and not found[run.id].stale)
        for p, found in asked.items()
        for run in runs
        if run.id not in found or found[run.id].stale or coarse.coarser(run, found[run.id].manifest["params"], question)
    ]
    with place or st.container():
        ask(analysis, lacks, phase, "curvature" if analysis is HESSIAN else "curvature_density")


def gathered(analysis: Analysis, runs: Sequence[Run], params: Any, found: dict[str, Answer]) -> Shown:
    """What can be drawn of each net: its stored answer, else what a running measurement has reached."""
    answers, so_far = [], {}
    for run in runs:
        answer = found.get(run.id)
        if answer is None and (part := measured.partial(analysis, run, params)) is not None:
            asked = dataclasses.asdict(params)
            key = f"{part.notes['rows']} of {io.digest(asked)}"
            answer = Answer(run=run, table=part.table, manifest={"key": key, "params": asked, "notes": part.notes}, stale=False)
            so_far[run.id] = (part.notes["rows"], part.notes["of"])
        if answer is not None and (analysis is DENSITY or len(hessian.kept(answer.table))):
            answers.append(answer)
    return Shown(answers=answers, so_far=so_far)


def nothing(runs: Sequence[Run], begun: bool, view: str) -> str:
    """In place of the takeaway; `begun` is whether a part of a measurement is drawn."""
    if not runs:
        return "No net is on stage. Choose one under **Models on stage**, or train one first."
    if begun:
        return "The loss has been measured **in part** so far."
    if view == "density":  # the charts beside it may well be there
        return "The density of all eigenvalues has **not been measured yet** at this moment of training."
    return "The nets on stage have **not been measured yet** at this moment of their training."


page()
