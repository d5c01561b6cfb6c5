"""What units do to features: contrast over the picture, likeness of layers, where attention looks, how much of the picture is seen."""

from pages.ui import frame

frame.require()

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses, live, words
from core.analyses import Analysis, attention, cka, fourier, receptive, variance
from core.analyses._pictures import domain
from core.run import Run
from pages.ui import address, features_depth, features_field, features_look, features_pairs, figure, focus, measured, parts, pickers, states
from pages.ui.measured import Answer, Asked

#: what `show` in the address may be
SHOW = {"variance": "Variance", "cka": "CKA", "attention": "Attention", "receptive": "Receptive field"}
#: what else stands in the address of a view
OWN = {"variance": (), "cka": ("rows", "against", "column"), "attention": ("image", "at"), "receptive": ()}
Head = st.delta_generator.DeltaGenerator


def page() -> None:
    """Question, answer, controls, the figure, the focused unit, the method: those of the chosen view."""
    for given in address.brought("show")[:1]:
        if given in SHOW:
            st.session_state["features_show"] = given
    show = st.session_state.setdefault("features_show", "variance")
    analysis = analyses.get(show)
    parts.header(analysis.question, over="Blocks")
    head = st.container()
    with states.guard():
        runs = pickers.stage()
        with parts.row("bottom"):
            st.segmented_control(
                "Show", list(SHOW), format_func=SHOW.get, required=True, key="features_show", persist_state="session",
                on_change=lambda: address.moved("show"), wrap=True,
            )  # fmt: skip
            of = features_pairs.controls(runs) if show == "cka" else ("", "")
        VIEWS[show](head, runs, *of)
    figure.method(analysis.card)


def said(head: Head, sentence: str, *more: str) -> None:
    """The takeaway, and under it what is to be known of it."""
    with head:
        parts.take(sentence)
        for line in more:
            if line:
                parts.sub(line)


def link(show: str, place: str, **own: Sequence[str]) -> None:
    """View, focused unit and the view's own choices into the address; those of other views out of it."""
    others = {key: [] for view, keys in OWN.items() if view != show for key in keys}
    focus.write(show=[show], unit=[place] if place else [], **own, **others)


def lacking(runs: Sequence[Run]) -> str:
    """In place of the takeaway while nothing is measured."""
    if not runs:
        return "No net is on stage. Choose one under **Models on stage**, or train one first."
    return "The nets on stage have **not been measured yet**."


def missing(runs: Sequence[Run], found: dict[str, Answer]) -> list[Run]:
    """The runs without a fresh result."""
    return [run for run in runs if run.id not in found or found[run.id].stale]


def asks(first: tuple[Analysis, Any], runs: Sequence[Run]) -> list[tuple[Analysis, Any]]:
    """The question, and those of the same forward pass that one of the runs has not been asked either."""
    beside = [(analyses.get(a), p) for a, p in (("variance", variance.Params()), ("cka", cka.Params()), ("fourier", fourier.Params()))]
    lack = [(a, p) for a, p in beside if a.id != first[0].id and missing(runs, measured.answers(a, runs, dataclasses.asdict(p)))]
    return [first, *lack]


def over_depth(
    head: Head,
    runs: Sequence[Run],
    analysis: Analysis,
    takeaway: Callable[[dict[str, pd.DataFrame]], str],
    scale: Callable[[list[Answer]], list[float]],
    foot: Callable[[list[Answer]], str],
    kinds: Callable[[dict[str, pd.DataFrame]], Callable[[str], Any] | None] = lambda _: None,
    known: dict[str, str] | None = None,
    otherwise: Callable[[list[Answer]], str] = lambda _: "",
) -> tuple[list[Answer], str, list[Run]]:
    """The first figure of three views: (answers shown, the place in focus, runs to be measured)."""
    found = measured.answers(analysis, runs, dataclasses.asdict(analysis.params()))
    shown = list(found.values())
    every = focus.places(runs)
    place = focus.near(focus.current(every, otherwise(shown)), every if known is None else known, runs)
    if not shown:
        said(head, lacking(runs))
        return [], place, missing(runs, found)
    said(head, takeaway(measured.tables(shown)), measured.stale_said(shown))
    st.space("xsmall")
    features_depth.panels(
        analysis, shown, place=place, scale=scale(shown), takeaway=takeaway, foot=foot(shown), kinds=kinds(measured.tables(shown))
    )
    return shown, place, missing(runs, found)


def answer_of(shown: list[Answer], place: str) -> Answer | None:
    """The answer in which the focused unit has a row."""
    run_id, _, name = place.partition("~")
    return next((answer for answer in shown if answer.run.id == run_id and name in set(answer.table["unit"])), None)


def unit(run: Run, place: str, known: dict[str, str], says: str) -> None:
    """The focused unit: a select that does what a click does, the ribbon, words, the way to other pages."""
    focus.box("Focused unit", place, known, "features_unit")
    focus.card(run, place.partition("~")[2], says, "features", here="features")


# ---- variance


def show_variance(head: Head, runs: Sequence[Run], *_: str) -> None:
    """What each unit does to the variance over the picture."""
    analysis = analyses.get("variance")

    def kinds(named: dict[str, pd.DataFrame]) -> Callable[[str], Any] | None:
        if variance.by_kind(pd.concat(named.values(), ignore_index=True)).empty:
            return None
        return lambda theme: variance.chart_kinds(named, theme, heading="Change made by each unit")

    shown, place, todo = over_depth(
        head, runs, analysis, variance.takeaway,
        scale=lambda shown: domain(pd.concat([a.table["variance"] for a in shown]), below=0.2, log=True),
        foot=foot_variance, kinds=kinds, otherwise=telling,
    )  # fmt: skip
    ask(analysis, variance.Params(), todo)
    if answer := answer_of(shown, place):
        parts.h2("What the focused unit does")
        with st.container(width=560):
            unit(answer.run, place, focus.places([a.run for a in shown]), describe_variance(answer.table, place.partition("~")[2]))
    link("variance", place)


def foot_variance(shown: list[Answer]) -> str:
    """What, n, seed, caveat."""
    text = [f"{measured.images_said(shown)} Logarithmic axis: equal factors are equal steps. Levels of two nets do not compare."]
    if hatched := features_depth.hatched(shown):
        text.append(f"{hatched}, so they are left out of the means.")
    text.append("Bars: 95 %, of a unit over images, of a kind over its units.")
    return " ".join(text)


def telling(shown: list[Answer]) -> str:
    """The unit to begin with: of the attention units, else of all, the one whose ratio is farthest from 1."""
    best = []
    for answer in shown:
        for row in answer.table.itertuples():
            if row.kind != "stem" and not pd.isna(row.ratio):
                far = 0.0 if row.resampling else max(row.ratio, 1 / row.ratio)
                best.append((row.kind == "msa", far, f"{answer.run.id}~{row.unit}"))
    return max(best)[2] if best else ""


def describe_variance(table: pd.DataFrame, unit: str) -> str:
    """What one unit does to the variance, in words with its interval."""
    row = next(table[table["unit"] == unit].itertuples())
    if pd.isna(row.ratio):
        return f"The variance of its output is {words.plain(row.variance)}; there is nothing before it to compare with."
    interval = f"(95 % ×{row.ratio_low:.2f} to ×{row.ratio_high:.2f})"
    if row.resampling:
        return f"×{row.ratio:.2f} {interval}: it changes the resolution, so this is no evening out or contrast and counts in no mean."
    if row.ratio_low <= 1 <= row.ratio_high:
        return f"×{row.ratio:.2f} {interval}: it does not change the variance clearly over {row.images} images."
    verb = "Lowers" if row.ratio < 1 else "Raises"
    return f"{verb} the variance over the picture to ×{row.ratio:.2f} of what went in {interval}, over {row.images} images."


# ---- CKA


def show_cka(head: Head, runs: Sequence[Run], first: str = "", second: str = "") -> None:
    """Which layers see alike, in each net or between two."""
    analysis, by_id = analyses.get("cka"), {run.id: run for run in runs}
    other = by_id.get(second)
    asked = [by_id[first]] if other else list(runs)
    params = features_pairs.params(other.id if other else "")
    found = measured.answers(analysis, asked, dataclasses.asdict(params))
    shown = list(found.values())
    every, here = focus.places(runs), focus.places([answer.run for answer in shown])
    place = focus.current(every, next(iter(here), ""))
    column, beside = "", None
    if shown:
        takeaway = features_pairs.takeaway(shown, other)
        said(head, takeaway, measured.stale_said(shown))
        row, column = features_pairs.pair(shown, focus.near(place, here, runs), other)
        st.space("xsmall")
        beside = features_pairs.maps(shown, other, row, column, takeaway)
    else:
        pair = f"{pickers.title(asked[0])} against {pickers.title(other)} has **not been measured yet**." if other else ""
        said(head, pair or lacking(runs))
    todo = missing(asked, found)
    if other:
        measured.watch([Asked(asks=[(analysis, params)], runs=todo, key="features_cka_two")])
    else:
        ask(analysis, params, todo)
    if shown:
        run_id, _, name = focus.near(place, here, runs).partition("~")
        with beside or st.container():
            parts.h2("The chosen pair")
            left, right = (st.container(), st.container()) if beside else st.columns(2, gap="large")
        with left:
            features_pairs.chosen(shown, row, column, other, here)
        with right:
            parts.label("In focus")
            focus.card(by_id[run_id], name, "", "features", here="features")
    link("cka", place, rows=[first] if other else [], against=[second] if other else [], column=[column] if column else [])


# ---- attention


def show_attention(head: Head, runs: Sequence[Run], *_: str) -> None:
    """How far attention looks, and where one unit looks in one image."""
    analysis = analyses.get("attention")
    why = {run.id: analyses.refusal(analysis, run) for run in runs}
    able = [run for run in runs if not why[run.id]]
    if runs and not able:
        said(head, next(iter(why.values())))
        link("attention", "")
        return
    known = features_look.units(able)
    _, place, todo = over_depth(
        head, able, analysis, attention.takeaway,
        scale=lambda shown: domain(pd.concat([a.table[c] for a in shown for c in ("distance", "distance_uniform")] + [pd.Series([0.0])])),
        foot=foot_attention, known=known,
    )  # fmt: skip
    for run in runs:
        if why[run.id]:
            parts.sub(f"{pickers.title(run)}: {why[run.id]}")
    run_id, _, name = place.partition("~")
    run = next((run for run in able if run.id == run_id), None)
    waits = run is not None and features_look.warming(run)
    measured.watch(
        [Asked(asks=asks((analysis, attention.Params()), todo), runs=todo, key="features_attention")],
        waits=lambda: run is not None and live.state("attention", run=run_id) == "warming",
        waited=waits,
    )
    link("attention", place)
    if run is not None:
        found = measured.answers(analysis, [run], dataclasses.asdict(attention.Params())).get(run.id)
        parts.h2("Where the focused unit looks", "in one image")
        left, right = st.columns([2, 1], gap="large")
        with left:
            features_look.section(run, next(slot for slot in focus.slots(run) if slot.id == name))
        with right:
            unit(run, place, known, attention.describe(found.table, name) if found else "")


def foot_attention(shown: list[Answer]) -> str:
    """What, n, seed, caveat."""
    text = f"{measured.images_said(shown)} Mark: mean over the unit’s heads; pale dots: its heads; tick: all within reach alike."
    return f"{text} Bars: 95 % over images. Weight is not influence."


# ---- receptive field


def show_receptive(head: Head, runs: Sequence[Run], *_: str) -> None:
    """How much of the picture units answer to."""
    analysis = analyses.get("receptive")
    shown, place, todo = over_depth(
        head, runs, analysis, receptive.takeaway,
        scale=lambda shown: domain(pd.concat([a.table[c] for a in shown for c in ("ci_low", "ci_high")]), below=0.2),
        foot=foot_receptive,
    )  # fmt: skip
    measured.watch([Asked(asks=[(analysis, receptive.Params())], runs=todo, key="features_receptive")])
    if answer := answer_of(shown, place):
        parts.h2("What the focused unit answers to")
        left, right = st.columns([2, 1], gap="large")
        with left:
            features_field.section(shown, place)
        with right:
            unit(answer.run, place, focus.places([a.run for a in shown]), receptive.describe(answer.table, place.partition("~")[2]))
    link("receptive", place)


def foot_receptive(shown: list[Answer]) -> str:
    """What, n, seed, caveat."""
    text = [f"{measured.images_said(shown)} Radius of the circle that holds half of the gradient of a unit in the middle of its map."]
    if hatched := features_depth.hatched(shown):
        text.append(f"{hatched}.")
    return " ".join([*text, "Bars: 95 % over images."])


def ask(analysis: Analysis, params: Any, runs: Sequence[Run]) -> None:
    """One offer to measure for all that is missing, with what the same pass can answer."""
    measured.watch([Asked(asks=asks((analysis, params), runs), runs=runs, key=f"features_{analysis.id}")])


VIEWS: dict[str, Callable[..., None]] = {
    "variance": show_variance, "cka": show_cka, "attention": show_attention, "receptive": show_receptive,
}  # fmt: skip

page()
