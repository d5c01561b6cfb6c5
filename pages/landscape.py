"""How bumpy is the valley the net sits in?  The loss around the trained weights: linked surfaces, bands over directions, lines."""

from pages.ui import frame

frame.require()

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import jobs, words
from core.analyses import landscape
from core.run import Run
from pages.ui import coarse, figure, landscape_choice, landscape_line, landscape_planes, measured, parts, pickers, states
from pages.ui.landscape_choice import Choice
from pages.ui.landscape_planes import ANALYSIS, Shown
from pages.ui.measured import Asked

#: the distance of the takeaway: far enough for a rise, near enough for the net to be one still
BEFORE = 0.4


def page() -> None:
    """Question, answer, controls, the figure, what a slice cannot tell, the method."""
    parts.header(ANALYSIS.question, over="Loss")
    head = st.container()
    with states.guard():
        runs = pickers.stage()
        body(head, runs, landscape_choice.controls(runs))
    figure.method(ANALYSIS.card)


def body(head: st.delta_generator.DeltaGenerator, runs: list[Run], choice: Choice) -> None:
    """Everything that depends on results."""
    shown = landscape_planes.found(runs, choice)
    fresh = {one.run.id for one in shown if not one.stale and not one.partial}
    missing, refused = landscape_choice.able([run for run in runs if run.id not in fresh], choice)
    said = sentence(shown) if shown else nothing(runs, missing)
    with head:
        parts.take(said)
        for more in (stale_said(shown), refused):
            if more:
                parts.sub(more)
    above = st.container()  # always there, so that the surfaces keep their place and with it their camera
    if shown:
        (landscape_line if choice.params.along == "line" else landscape_planes).main(shown, choice, said)
    if rough := [one.run for one in shown if one.run.id in fresh and coarse.coarser(one.run, one.params, choice.params)]:
        missing += finer(rough, choice)
    if missing:
        place = above if any(one.partial for one in shown) else st.container()
        measured.watch([Asked(asks=[(ANALYSIS, choice.params)], runs=missing, key="landscape", place=place)])
    if shown:
        numbers(landscape_planes.rings([one for one in shown if not one.partial]))
        limits(runs, choice)


def finer(runs: Sequence[Run], choice: Choice) -> list[Run]:
    """A quiet offer to measure as finely as usual what is there coarser; the runs of which that is under way or has failed."""
    found = {run.id: measured.job_of(ANALYSIS, run, choice.params) for run in runs}
    begun = [run for run in runs if (job := found[run.id]) is not None and job.state in (*jobs.LIVE, "failed")]
    if rest := landscape_choice.able([run for run in runs if run not in begun], choice)[0]:
        times = [measured.seconds(ANALYSIS, run, choice.params) for run in rest]
        took = "" if None in times else f" Takes about {words.duration(sum(filter(None, times)))}, estimated from training times."
        states.note(
            f"**{words.seq([pickers.title(run) for run in rest])}: measured more coarsely than usual.**{took}",
            "Measure as finely as usual", "landscape_finer", on_click=_submit, args=(rest, choice),
        )  # fmt: skip
    return begun


def _submit(runs: Sequence[Run], choice: Choice) -> None:
    for run in runs:
        measured.submit(run, [(ANALYSIS, choice.params)])


def sentence(shown: Sequence[Shown]) -> str:
    """The takeaway of what is whole; while only parts are there, that."""
    whole = {name: one.found for name, one in landscape_planes.named(shown).items() if not one.partial}
    if not whole:
        return "The loss has been measured **in part** so far, from coarse to fine."
    if shown[0].params["along"] != "random":
        return landscape.takeaway(whole)
    if len({int(one.table["images"].iloc[0]) for one in shown if not one.partial}) > 1:
        return "The nets were measured **on different numbers of images**, so their rise cannot be compared."
    held = [{round(float(r), 6) for r in arrays.get("radii", ())} for _, arrays, _ in whole.values()]
    shared = set.intersection(*held)
    if not shared:
        return "The nets were measured **at different distances**, so their rise cannot be compared."
    return landscape.takeaway(whole, min(shared, key=lambda r: abs(r - BEFORE)))


def stale_said(shown: Sequence[Shown]) -> str:
    """Which results are older than the method or the weights."""
    names = words.seq([one.title for one in shown if one.stale])
    return f"{names}: measured before the last change of the method or the weights." if names else ""


def nothing(runs: list[Run], missing: list[Run]) -> str:
    """In place of the takeaway."""
    if not runs:
        return "No net is on stage. Choose one under **Models on stage**, or train one first."
    if not missing:
        return "**None of the nets on stage** can be measured so."
    return "The nets on stage have **not been measured yet** in this way."


def numbers(table: pd.DataFrame) -> None:
    """The rise on each ring with its interval, closed."""
    if table.empty:
        return
    with st.expander("How far the loss rises, in numbers"):
        plain = {name: st.column_config.NumberColumn(name, format="%.2f") for name in ("rise", "low", "high")}
        share = {"diverged": st.column_config.NumberColumn("diverged", format="percent")}
        st.dataframe(table, hide_index=True, column_config={**plain, **share})
        parts.sub("Mean rise of the loss over the points at this distance; 95 % over directions and images. Diverged points have no rise.")


def limits(runs: list[Run], choice: Choice) -> None:
    """What a slice cannot tell, closed; its first line says the most."""
    count = landscape_planes.parameters(runs)
    line = choice.params.along == "line"
    seen = f"One line through a space of {count} weights" if line else f"Two directions out of {count}"
    off = "valleys beside it" if line else "valleys off the slice"
    first = f"**What a slice cannot tell.** {seen}; {off} stay unseen. Read it beside the Hessian spectrum."
    with st.expander(first):
        st.markdown(
            "- A bump that every plane misses is not drawn; a smooth picture does not prove a smooth loss.\n"
            "- The same net can be written with other weights of other sizes. Scaling each filter takes much of that away, not all.\n"
            "- The surface is the loss of a few hundred training images, not of all, and says nothing of test images.\n"
            "- Steps here are as large as the weights themselves; training walks far smaller ones."
        )
        if frame.exists("curvature"):
            st.page_link(frame.PAGES / "curvature.py", label="The Hessian spectrum, in Curvature")


page()
