"""Two nets or more on the same axes: what B gains against A, how sure that is, and what it costs."""

from pages.ui import frame

frame.require()

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from core import analyses, io, jobs, words
from core.claims import alike, gain_words, gains, profiles
from core.claims.gains import MEASURES, Gain
from core.claims.nets import Net
from core.claims.profiles import Profile
from core.run import Run
from pages.ui import choices, compare_figure, compare_nets, compare_table, figure, focus, measured, parts, pickers, states
from pages.ui.measured import Asked

OF = {"all": "All at once", **{key: measure.title for key, measure in MEASURES.items()}}
SEEDS = "One training of each net: the interval does not hold what another seed would change."
Head = st.delta_generator.DeltaGenerator


def page() -> None:
    """Question, answer, controls, the nets, the figure or the table of all measures, the method."""
    parts.header("What does B give that A does not?", over="Verdict")
    st.html(compare_nets.CSS)
    head, of = st.container(), "all"
    with states.guard():
        runs = compare_nets.chosen()
        with parts.row("bottom", key="compare_controls"):
            of = choices.choose("compare", "Measure", "of", OF, "all") or "all"
            compare_nets.beside()
            if len(runs) > 2:  # the columns are too narrow for it
                compare_nets.swapping()
        body(head, runs, of)
        also = st.session_state.get("compare_also", [])
        focus.write(of=[of], also=[run.id for run in runs[2:] if run.id in also])
    figure.method(compare_table.CARD if of == "all" else analyses.get(MEASURES[of].analysis).card)
    if of != "all":
        figure.method(compare_table.CARD, "How nets are compared")


def body(head: Head, runs: Sequence[Run], of: str) -> None:
    """Everything that depends on the nets."""
    if not pickers.finished():
        with head:
            parts.take("No net is trained yet. **Train two**, and they can be set side by side.")
        if states.empty("**Two nets side by side stand here.**", "Train a net", "compare_train"):
            frame.go("train")
        return
    compare_nets.heads(runs)
    if len(runs) < 2:
        with head:
            parts.take("A comparison takes **two nets**: choose one as A and one as B." if len(pickers.finished()) > 1 else
                       "A comparison takes **two nets**, and one is here. Train a second one.")  # fmt: skip
        if len(pickers.finished()) < 2 and states.empty("**There is no net to compare with yet.**", "Train a net", "compare_train"):
            frame.go("train")
        return
    nets, named = [net for run in runs if (net := gains.side(run))], compare_nets.names()
    if len(nets) < len(runs):  # gone since the stage was read
        return
    a, b = nets[:2]
    one, other = (named[net.run.id] for net in (a, b))
    found = compared(a, b)
    chosen = [gain for gain in found if gain.measure == (of if of != "all" else "accuracy")]
    said = [text for gain in chosen if (text := gain_words.sentence(gain, one, other, gain_words.price(a, b) if gain is chosen[0] else ""))]
    takeaway = said[0] if said else nothing(of, a, b, one, other, found)
    with head:
        parts.take(takeaway)
        for more in [*said[1:], *([counted(found)] if of == "all" else [])]:
            parts.sub(more)
        if reasons := alike.unlike(a, b):
            ends = "A difference may be of that." if alike.same_images(a, b) else "Their numbers do not compare."
            states.note(f"**{one} and {other} differ in more than their units**: {'; '.join(reasons)}. {ends}")
    if of == "all":
        asked = summary(nets, [named[net.run.id] for net in nets], found)
    elif of == "cka":
        asked = compare_figure.show_likeness(nets, named, takeaway, foot(of, nets, None)) if alike.same_images(a, b) else []
    else:
        profile = profiled(of, a, b) if alike.same_images(a, b) else None
        asked = compare_figure.show(of, nets, named, profile, takeaway, foot(of, nets, profile))
    measured.watch(asked)


def compared(a: Net, b: Net) -> list[Gain]:
    """All differences of two nets; worked out anew only where a result has come or gone."""
    return _gains(a.run.id, b.run.id, _stamp(a, b), _a=a, _b=b)


@st.cache_data(max_entries=64, show_spinner=False)
def _gains(one: str, other: str, stamp: str, _a: Net, _b: Net) -> list[Gain]:
    return gains.gains(_a, _b)


def profiled(of: str, a: Net, b: Net) -> Profile | None:
    """The difference in pieces, kept as `compared` is."""
    return _profile(of, a.run.id, b.run.id, _stamp(a, b), _a=a, _b=b)


@st.cache_data(max_entries=64, show_spinner=False)
def _profile(of: str, one: str, other: str, stamp: str, _a: Net, _b: Net) -> Profile | None:
    return profiles.profile(of, _a, _b)


@st.cache_data(max_entries=64, show_spinner=False)
def _unmeasured(ids: list[str], stamp: str, _nets: Sequence[Net]) -> list[tuple[str, dict[str, Any], list[str]]]:
    return [(analysis.id, dataclasses.asdict(params), [run.id for run in runs])
            for analysis, params, runs in compare_figure.unmeasured(_nets)]  # fmt: skip


def _stamp(*nets: Net) -> str:
    """What differences depend on: the stored results and last measurements of both nets."""
    keys = [[m.get("key"), m.get("version")] for net in nets for analysis in {one.analysis for one in MEASURES.values()} | {"lesion"}
            for m in net.manifests(analysis)]  # fmt: skip
    return io.digest([sorted(map(str, keys)), [dict(net.final) for net in nets], str(io.home()), str(io.CHECKOUT)])


def nothing(of: str, a: Net, b: Net, one: str, other: str, found: Sequence[Gain]) -> str:
    """In place of the takeaway where there is no difference to tell."""
    if not alike.same_images(a, b):
        return f"{one} and {other} see **other images**, so they stand side by side without a difference."
    if of == "cka":
        return f"How alike {one} and {other} see has **not been measured yet**."
    title = OF[of] if of != "all" else "Accuracy"
    sides = next(gain.sides for gain in found if gain.measure == (of if of != "all" else "accuracy"))
    if lacks := [name for name, value in zip((one, other), sides, strict=True) if value != value]:
        return f"{title}: {words.seq(lacks)} {'is' if len(lacks) == 1 else 'are'} **not measured yet**."
    return f"{title}: {one} and {other} were **not measured in the same way**, so no difference is shown."


def counted(found: Sequence[Gain]) -> str:
    """`Of 11 differences that are measured, 5 are clear: …`."""
    held = [gain for gain in found if gain.effect is not None and gain.measure != "cka"]
    clear = [gain for gain in held if gain.clear]
    if len(held) < 2:
        return ""
    good = [gain.title.lower() for gain in clear if gain_words.judged(gain) == "B better"]
    bad = [gain.title.lower() for gain in clear if gain_words.judged(gain) == "A better"]
    ways = [f"B is better in {words.seq(good)}"] * bool(good) + [f"A is better in {words.seq(bad)}"] * bool(bad)
    many = f"Of {len(held)} differences that are measured, {len(clear) or 'none'} {'is' if len(clear) < 2 else 'are'} clear"
    return f"{'; '.join([many, *ways])}."


def foot(of: str, nets: Sequence[Net], profile: Profile | None) -> str:
    """What, n, how the interval was made, what else may make the difference."""
    named = compare_nets.names()
    sets = [pickers.set_title(pickers.test_set(net.run.data)) for net in nets[:2]]
    on = "" if sets[0] == sets[1] else f" on {sets[1]}"
    said = [f"A: {named[nets[0].run.id]}{f' on {sets[0]}' if on else ''}, B: {named[nets[1].run.id]}{on or f'; on {sets[0]}'}."]
    if of in ("curvature", "landscape"):
        said.append("At the end of training, on training images.")
    if profile is None:
        return " ".join(said)
    said.append(f"Difference over {words.count(profile.n)} {profile.of}, {profile.how}; 95 %.")
    return " ".join([*said, _price(nets), SEEDS])


def _price(nets: Sequence[Net]) -> str:
    price = gain_words.price(*nets[:2])
    return f"B has {price}; part of a difference may be size." if price else ""


def summary(nets: Sequence[Net], names: Sequence[str], found: Sequence[Gain]) -> list[Asked]:
    """The table of all measures, and what is missing in it."""
    more = [compared(nets[0], net) for net in nets[2:]]
    compare_table.show(found, more, nets, names)
    how = "95 %, image by image; “2 ×”: from the intervals of both. Each row has its own scale, its line in the middle is no difference."
    figure.foot_line(f"{how} {_price(nets)} {SEEDS}", compare_table.table(found, more, nets, names), "compare-all", "compare_all",
                     partial(compare_table.file, found, nets, names))  # fmt: skip
    asked, todo, here = [], [], {net.run.id: net.run for net in nets}
    for analysis_id, settings, lacks in _unmeasured([*here], _stamp(*nets), _nets=nets):
        analysis = analyses.get(analysis_id)
        params = analysis.params(**settings)
        for run in (here[run_id] for run_id in lacks):
            job = measured.job_of(analysis, run, params)
            if job is not None and (job.state in jobs.LIVE or job.state == "failed"):
                asked.append(Asked(asks=[(analysis, params)], runs=[run], key=f"compare_all_{analysis.id}_{run.id}", place=st.container()))
            else:
                todo.append((analysis, params, run))
    if todo and states.empty(_missing(todo), "Measure what is missing", "compare_missing", cost=_cost(todo), outline=False):
        for analysis, params, run in todo:
            measured.submit(run, [(analysis, params)])
        st.rerun()
    return asked


def _missing(todo: Sequence[tuple[Any, Any, Run]]) -> str:
    each: dict[str, list[str]] = {}
    for analysis, _, run in todo:
        each.setdefault(pickers.title(run), []).append(analysis.title if analysis.title.isupper() else analysis.title.lower())
    return f"**Not measured yet.** {'; '.join(f'{net}: {words.seq(titles)}' for net, titles in each.items())}."


def _cost(todo: Sequence[tuple[Any, Any, Run]]) -> str:
    times = [measured.seconds(analysis, run, params) for analysis, params, run in todo]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return "Nothing was timed here yet, so the time is not known."
    return f"Takes about {words.duration(sum(known))}, estimated from training times."


page()
