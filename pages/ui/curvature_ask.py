"""What has not been measured of several nets at several moments of training: one offer, progress of what runs, what waits, what failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import jobs, store, words
from core.analyses import Analysis
from core.errors import StoreError
from core.run import Run
from pages.ui import measured, parts, pickers, states

#: the moments of training of which weights are kept, in their order
PHASES = {"init": "Start", "warmup": "Warm-up", "third": "1/3", "twothirds": "2/3", "end": "End"}
_AT = {"init": "the start", "warmup": "the end of warm-up", "third": "1/3", "twothirds": "2/3", "end": "the end"}


@dataclass(frozen=True, kw_only=True)
class Lack:
    """A question about one run at one moment (`params.phase`) that has no fresh answer, or one of fewer images (`coarse`)."""

    run: Run
    params: Any
    coarse: bool = False


def measurable(run: Run, phase: str) -> bool:
    """Whether the weights of that moment are here; those of the start of an own net are made again from the seed."""
    if phase == "init" and not run.outline:
        return True
    try:
        store.weights(run.id, phase)
    except StoreError:
        return False
    return True


def ask(analysis: Analysis, lacks: Sequence[Lack], phase: str, key: str) -> None:
    """The offer to measure what can be measured, and cards for what is being measured or has failed.

    `phase` is the moment shown: it is measured first, and can be measured alone.  One clock looks after all of it.
    """
    gone = [lack for lack in lacks if not measurable(lack.run, lack.params.phase)]
    open_ = sorted((lack for lack in lacks if lack not in gone), key=lambda lack: lack.params.phase != phase)
    found = [(lack, measured.job_of(analysis, lack.run, lack.params)) for lack in open_]
    waiting = [job for _, job in found if job is not None and job.state in jobs.LIVE and job.state not in jobs.STARTED]
    cards: dict[str, list[Lack]] = {}
    quiet = []
    for lack, job in found:
        # one that was stopped goes on from the batches that it has
        if job is not None and (job.state in (*jobs.STARTED, "failed") or measured.kept(analysis, lack.run, lack.params, job)):
            cards.setdefault(lack.params.phase, []).append(lack)
        elif job is None or job.state not in jobs.LIVE:
            quiet.append(lack)
    asked = []
    for moment, group in cards.items():
        parts.label(PHASES[moment])
        runs = [lack.run for lack in group]
        asked.append(measured.Asked(asks=[(analysis, group[0].params)], runs=runs, key=f"{key}_{moment}", place=st.container()))
    _line(waiting, key)
    _offer(analysis, [lack for lack in quiet if not lack.coarse], phase, key)
    _offer_more(analysis, [lack for lack in quiet if lack.coarse], key)
    if said := _gone(gone):
        parts.sub(said)
    if asked or waiting:
        line = {job.id for job in waiting}
        measured.watch(asked, waits=lambda: bool(line) and line == _in_line(analysis, open_), waited=bool(line))


def _in_line(analysis: Analysis, lacks: Sequence[Lack]) -> set[str]:
    """The jobs that wait for their turn now."""
    found = [measured.job_of(analysis, lack.run, lack.params) for lack in lacks]
    return {job.id for job in found if job is not None and job.state in jobs.LIVE and job.state not in jobs.STARTED}


def _line(waiting: Sequence[jobs.Job], key: str) -> None:
    """How many measurements wait for their turn, and the way to take them back."""
    if not waiting:
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_line"):
        with st.container(width="stretch"):
            verb = "waits" if len(waiting) == 1 else "wait"
            parts.sub(f"{words.some(len(waiting), 'measurement')} {verb} for {'its' if len(waiting) == 1 else 'their'} turn.")
        if st.button("Take back", key=f"{key}_back", type="tertiary"):
            for job in waiting:
                jobs.cancel(job.id)
            st.rerun()


def _offer(analysis: Analysis, lacks: Sequence[Lack], phase: str, key: str) -> None:
    """One button for everything that is missing; a second one where that is more than the moment shown."""
    if not lacks:
        return
    here = [lack for lack in lacks if lack.params.phase == phase]
    said, cost = f"**Not measured yet:** {_listed(lacks)}.", _cost(analysis, lacks)
    if not here:  # the picture is whole; the rest is for the charts over training
        states.note(f"{said} {cost}", "Measure them", f"{key}_rest", on_click=_submit, args=(analysis, lacks))
        return
    with st.container(gap="xsmall"):
        if states.empty(said, "Measure", f"{key}_measure", cost=cost):
            _submit(analysis, lacks)
            st.rerun()
        if len(here) < len(lacks):
            took = _took(analysis, here)
            st.button(
                f"Measure only at {_AT[phase]}{f', {took}' if took else ''}", key=f"{key}_here", type="tertiary",
                on_click=_submit, args=(analysis, here),
            )  # fmt: skip


def _offer_more(analysis: Analysis, lacks: Sequence[Lack], key: str) -> None:
    """What is there is of fewer images than are asked for; that number is offered quietly."""
    if lacks:
        many = lacks[0].params.images
        which = "usual" if many == analysis.params().images else "chosen"
        said = f"**Measured on fewer than the {which} {words.count(many)} images:** {_listed(lacks)}."
        button = f"Measure the {which} number"
        states.note(f"{said} {_cost(analysis, lacks)}", button, f"{key}_more", on_click=_submit, args=(analysis, lacks))


def _submit(analysis: Analysis, lacks: Sequence[Lack]) -> None:
    for lack in lacks:
        measured.submit(lack.run, [(analysis, lack.params)])


def _listed(lacks: Sequence[Lack]) -> str:
    """`ResNet-mini and ViT-mini at the start and 1/3`; nets that lack the same moments stand together."""
    lacked: dict[str, list[str]] = {}
    for lack in lacks:
        lacked.setdefault(pickers.title(lack.run), []).append(lack.params.phase)
    alike: dict[tuple[str, ...], list[str]] = {}
    for title, phases in lacked.items():
        alike.setdefault(tuple(p for p in PHASES if p in phases), []).append(title)
    every = "all five moments of training"
    at = {phases: every if len(phases) == len(PHASES) else words.seq([_AT[p] for p in phases]) for phases in alike}
    return "; ".join(f"{words.seq(titles)} at {at[phases]}" for phases, titles in alike.items())


def _took(analysis: Analysis, lacks: Sequence[Lack]) -> str:
    """`about 3 min`; "" where nothing was ever timed."""
    times = [measured.seconds(analysis, lack.run, lack.params) for lack in lacks]
    known = [t for t in times if t is not None]
    return f"about {words.duration(sum(known))}" if len(known) == len(times) else ""


def _cost(analysis: Analysis, lacks: Sequence[Lack]) -> str:
    took = _took(analysis, lacks)
    return f"Takes {took}, estimated from training times." if took else "Nothing was timed here yet, so the time is not known."


def _gone(lacks: Sequence[Lack]) -> str:
    """What cannot be measured, and why, in a sentence; "" if everything can."""
    if not lacks:
        return ""
    one = len({lack.params.phase for lack in lacks}) == 1
    those = "that moment" if one else "those moments"
    return f"{_listed(lacks)} cannot be measured: the weights of {those} are not on this machine. A net that is trained here keeps them."
