"""The figure of Curvature: the lanes of all nets on one axis, two charts over training beside them, and one foot line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import streamlit as st

from core import words
from core.analyses import density, hessian
from core.run import Run
from pages.ui import address, figure, parts, pickers
from pages.ui.curvature_ask import PHASES
from pages.ui.draw import draw
from pages.ui.measured import Answer

#: answers by moment and run id
Over = Mapping[str, Mapping[str, Answer]]
#: the two charts over training: share of negatives, mean of positives
TRENDS = ("nep", "ape")
_BATCH = ("mini-batch", "mini-batches")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What can be drawn at the moment shown; `so_far` (rows done, rows in all) of the nets that are still being measured, by run id."""

    answers: Sequence[Answer]
    so_far: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def tables(found: Iterable[Answer], named: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Tables by the nets' names."""
    return {named[answer.run.id]: answer.table for answer in found}


def sentence(here: Mapping[str, Answer], runs: Sequence[Run], phase: str, view: str) -> str:
    """The takeaway of what is whole; "" if nothing is."""
    found = tables(here.values(), pickers.names(runs))
    return _takeaway([answer.manifest["key"] for answer in here.values()], list(found), phase, view, found) if found else ""


@st.cache_data(max_entries=64, show_spinner=False)
def _takeaway(keys: list[str], titles: list[str], phase: str, view: str, _found: dict[str, pd.DataFrame]) -> str:
    return (density if view == "density" else hessian).takeaway(_found, phase)


@st.cache_data(max_entries=64, show_spinner=False)
def _said(which: str, keys: list[Any], _found: dict[str, dict[str, pd.DataFrame]]) -> str:
    return hessian.say_phases(_found, which)


def draw_all(runs: Sequence[Run], shown: Shown, over: Over, phase: str, view: str, takeaway: str) -> Any:
    """Lanes at left, the two charts over training at right, one foot line for both; the place of the lanes while there are none."""
    named, families = pickers.names(runs), {name: pickers.family(run) for run, name in zip(runs, pickers.names(runs).values(), strict=True)}
    left, right = st.columns([2, 1], gap="medium")
    charts: dict[str, Any] = {}
    if shown.answers:
        charts["lanes"] = lanes(tables(shown.answers, named), view, families)
        facts = [view, [[answer.manifest["key"], named[answer.run.id]] for answer in shown.answers]]
        with left:
            draw(charts["lanes"], facts, f"curvature_{view}", takeaway)
    if any(len(hessian.kept(answer.table)) for found in over.values() for answer in found.values()):
        with right:
            charts |= trends({p: tables(found.values(), named) for p, found in over.items()}, families, over, phase)
    foot = foot_text(shown, over, view)
    table = joined({phase: {a.run.id: a for a in shown.answers}} if view == "density" and shown.answers else over, named)

    def file() -> bytes:
        return figure.svg_rows(rows(charts), takeaway, foot)

    figure.foot_line(foot, table, f"curvature-{view}", "curvature", file)
    return None if shown.answers else left


def lanes(found: dict[str, pd.DataFrame], view: str, families: dict[str, str]) -> Any:
    """`chart(theme)` of the main picture: one lane a net on one axis."""
    make = {"spectrum": hessian.chart_spectra, "top": hessian.chart_ladder, "density": density.chart_lanes}[view]
    return lambda theme: make(found, theme, families=families)


def trends(found: dict[str, dict[str, pd.DataFrame]], families: dict[str, str], over: Over, phase: str) -> dict[str, Any]:
    """Draws NEP and APE over training and returns `chart(theme)` of both; a click on a moment shows it."""
    charts, keys = {}, [[p, list(found[p]), [answer.manifest["key"] for answer in answers.values()]] for p, answers in over.items()]
    for which in TRENDS:

        def make(theme: str, which: str = which) -> Any:
            return hessian.chart_phases(found, theme, which=which, families=families, phase=phase)

        charts[which], chart = make, f"curvature_{which}_{phase}"
        draw(make, [which, phase, keys], chart, _said(which, keys, found), on_select=lambda chart=chart: clicked(chart), selection="phase")
    parts.sub("Dotted line: the moment shown, a click moves it. Bars: 95 % over mini-batches.")
    return charts


def rows(charts: Mapping[str, Any]) -> list[list[Any]]:
    """The charts as they stand in a file: the lanes, below them those over training."""
    both = [[charts[name] for name in names if name in charts] for names in (("lanes",), TRENDS)]
    return [row for row in both if row]


def clicked(chart: str) -> None:
    """Shows the moment that was clicked in a chart over training."""
    event = st.session_state.get(chart) or {}
    hit = ((event.get("selection") or {}).get("phase") or [{}])[0]
    if isinstance(hit, dict) and hit.get("phase") in PHASES:
        st.session_state["curvature_phase"] = hit["phase"]
        address.moved("phase")


def joined(over: Over, named: Mapping[str, str]) -> pd.DataFrame:
    """Every value of every net at every moment, net and moment first."""
    found = [answer.table.assign(net=named[i], phase=phase) for phase, answers in over.items() for i, answer in answers.items()]
    if not found:
        return pd.DataFrame()
    both = pd.concat(found, ignore_index=True)
    return both[["net", "phase", *both.columns.drop(["net", "phase"])]]


def foot_text(shown: Shown, over: Over, view: str) -> str:
    """What, n, seed, caveat."""
    text = [*(_density(shown) if view == "density" else _values(shown)), _shift(shown), _same(shown)] if shown.answers else []
    text.append(_beside(shown, over, view))
    rows = ("probe", "probes") if view == "density" else _BATCH
    for answer in shown.answers:
        if answer.run.id in shown.so_far:
            done, of = shown.so_far[answer.run.id]
            text.append(f"{pickers.title(answer.run)} so far: {done} of {words.some(of, *rows)}.")
    return " ".join(part for part in text if part)


def _values(shown: Shown) -> list[str]:
    """How many values of which batches, and what did not converge."""

    def batches(answer: Answer) -> str:
        p, images = answer.manifest["params"], _notes(answer).get("said", "training images")
        return f"{words.some(answer.table['batch'].nunique(), *_BATCH)} of {p['batch']} {images}, seed {p['seed']}"

    both = pd.concat([answer.table for answer in shown.answers])
    lost, top = int((~both["converged"].astype(bool)).sum()), shown.answers[0].manifest["params"]["top"]
    what = f"The {top} largest eigenvalues" if top > 1 else "The largest eigenvalue"
    kept = f"{words.count(lost)} of {words.count(len(both))} values did not converge and are not drawn." if lost else ""
    return [f"{what} by size, {_each(shown, batches)}.", kept]


def _density(shown: Shown) -> list[str]:
    """Of which images, through how many probes."""

    def probes(answer: Answer) -> str:
        p, images = answer.manifest["params"], _notes(answer).get("said", "training images")
        seen = words.some(answer.table["probe"].nunique(), "probe")
        return f"{words.count(p['images'])} {images} together, {seen} of {p['steps']} steps, seed {p['seed']}"

    return [f"{_each(shown, probes)}.", "Flat: between −1 and 1."]


def _beside(shown: Shown, over: Over, view: str) -> str:
    """How many mini-batches the charts over training stand on, where that is not said yet."""
    counts = {answer.table["batch"].nunique() for found in over.values() for answer in found.values()}
    if not counts or (view != "density" and counts == {answer.table["batch"].nunique() for answer in shown.answers}):
        return ""
    low, high = min(counts), max(counts)
    return f"Over training: {words.some(high, *_BATCH) if low == high else f'{low} to {high} mini-batches'} a point."


def _each(shown: Shown, say: Callable[[Answer], str]) -> str:
    """What is said of every net, once where it is the same for all; nets that are still being measured are told apart elsewhere."""
    said: dict[str, list[str]] = {}
    for answer in [answer for answer in shown.answers if answer.run.id not in shown.so_far] or shown.answers:
        said.setdefault(say(answer), []).append(pickers.title(answer.run))
    return next(iter(said)) if len(said) == 1 else "; ".join(f"{words.seq(nets)}: {text}" for text, nets in said.items())


def _shift(shown: Shown) -> str:
    """What L2 would add to each value."""
    decays = {float(_notes(answer)["weight_decay"]) for answer in shown.answers if "weight_decay" in _notes(answer)}
    if not decays:
        return ""
    return f"L2 would add {words.seq([f'{d:g}' for d in sorted(decays)], 'or')} to each value and is left out."


def _same(shown: Shown) -> str:
    """Whether the nets saw the same images, which a comparison needs."""
    if len(shown.answers) < 2:
        return ""
    digests = {_notes(answer).get("batches") for answer in shown.answers}
    if len(digests) <= 1:
        return "All nets saw the same images."
    return "The nets did not see the same images, so a part of a difference may come from them."


def _notes(answer: Answer) -> Mapping[str, Any]:
    return answer.manifest.get("notes") or {}
