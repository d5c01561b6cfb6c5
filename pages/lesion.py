"""Which block can this net live without?  Units off at a press and what that costs at once, beside the stored sweep of all units."""

from pages.ui import frame

frame.require()

import dataclasses
from typing import Any

import streamlit as st

from core import analyses, chart, data, live, ribbon, spec, words
from core.analyses import lesion, subsets
from core.ribbon import describe
from core.run import Run
from core.spec import Unit
from core.unit import stays_on
from pages.ui import address, bars, figure, flips, focus, measured, parts, pickers, states, toll, tour
from pages.ui.draw import draw
from pages.ui.measured import Answer, Asked

HOW = {"branch": "Whole branch", "3x3": "3×3 only"}
ANALYSIS, SUBSETS = analyses.get("lesion"), analyses.get("subsets")
#: the live numbers: test images, and the seed that draws them
IMAGES, SEED = 256, 0


def page() -> None:
    """Question, answer, controls, the ribbon and the number, the images that flip, random subsets, the method."""
    parts.header(ANALYSIS.question, over="Blocks")
    head = st.container()
    with states.guard():
        body(head)
    figure.method(ANALYSIS.card)


def body(head: st.delta_generator.DeltaGenerator) -> None:
    """Everything that depends on the net."""
    run = chosen(nets := offered())
    if run is None:
        with head:
            parts.take("No net is on stage. Choose one under **Models on stage**, or train one first.")
        return
    slots = focus.slots(run)
    if why := analyses.refusal(ANALYSIS, run):
        with head:
            parts.take(why)
        choose(run, nets)
        focus.write(net=[run.id], off=[], unit=[])
        if slots:
            parts.svg(ribbon.draw(slots, side=26, label=f"The blocks of {pickers.title(run)}"))
        return
    how = controls(run, nets, slots)
    fixed = stays(slots, how)
    said = take_link(run, slots, fixed)
    params, random = lesion.Params(how=how), subsets.Params()
    answer = measured.answers(ANALYSIS, [run], dataclasses.asdict(params), free=("images", "seed", "precision")).get(run.id)
    with head:
        parts.take(lesion.takeaway(answer.table, pickers.title(run)) if answer else nothing(run))
        for sentence in (said, measured.stale_said([answer] if answer else [])):
            if sentence:
                parts.sub(sentence)
    asked = dict(run=run.id, how=how, images=min(IMAGES, data.get(run.data).test_n), seed=SEED)
    if live.state("lesion", **asked) == "cold":
        live.warm("lesion", **asked)
    loading = live.state("lesion", **asked) == "warming"
    with st.container(key="lesion_desk"):
        places = {name: st.container(key=f"lesion_{name}") for name in ("now", "ribbon", "sweep", "classes")}
    desk(run, slots, fixed, answer, asked, loading, places)
    wanted = [Asked(asks=[(ANALYSIS, params)], runs=[run] if answer is None or answer.stale else [], key="lesion", place=places["sweep"])]
    if answer:  # one offer at a time, the question of the page first
        many = measured.answers(SUBSETS, [run], dataclasses.asdict(random)).get(run.id)
        parts.h2(SUBSETS.question)
        if many:
            several(run, many)
        wanted.append(Asked(asks=[(SUBSETS, random)], runs=[run] if many is None or many.stale else [], key="subsets"))
    measured.watch(wanted, waits=lambda: live.state("lesion", **asked) == "warming", waited=loading)


def nothing(run: Run) -> str:
    """In place of the takeaway."""
    return f"Click a unit of **{pickers.title(run)}** to switch it off. What each one costs has **not been measured yet**."


# ---- which net, which units


def offered() -> list[Run]:
    """The models on stage, and the one that a link names."""
    for given in address.brought("net")[:1]:
        st.session_state["lesion_net"] = given
    stage, wanted = pickers.stage(), st.session_state.get("lesion_net", "")
    if wanted in {run.id for run in stage}:
        return stage
    return [*stage, *(run for run in pickers.finished() if run.id == wanted)]


def chosen(nets: list[Run]) -> Run | None:
    """The net on the page: the one chosen before, else the first that mixes kinds."""
    wanted = st.session_state.get("lesion_net", "")
    mixed = [run for run in nets if pickers.family(run) == "hybrid"]
    return next((run for run in nets if run.id == wanted), next(iter(mixed or nets), None))


def choose(run: Run, nets: list[Run]) -> None:
    """The net."""
    named = pickers.names(nets)
    st.session_state["l_net"] = run.id
    st.segmented_control("Net", list(named), format_func=named.get, required=True, key="l_net", on_change=_net_chosen, wrap=True)


def controls(run: Run, nets: list[Run], slots: tuple[Unit, ...]) -> str:
    """Net, what is removed, and the way back; the value of Remove."""
    how = "branch"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choose(run, nets)
        if any(not stays(slots, "3x3").get(slot.id) for slot in slots):
            how = st.segmented_control(
                "Remove", list(HOW), format_func=HOW.get, default="branch", required=True, key="l_how", bind="query-params"
            )
        with st.container(horizontal=True, horizontal_alignment="right", width="stretch"):
            st.button("Restore all", key="lesion_restore", on_click=lambda: put_off(run, []))
    return how or "branch"


def _net_chosen() -> None:
    st.session_state["lesion_net"] = st.session_state["l_net"]
    st.session_state.pop("lesion_odd", None)


def stays(slots: tuple[Unit, ...], how: str) -> dict[str, str]:
    """The units that cannot be switched off in this way, with the reason."""
    words_of = {"merge": "A patch merging has no branch to switch off.", "plain": "No path leads around it, so it cannot be switched off."}
    other = "It has no 3×3 convolution that could be left out."
    return {slot.id: words_of.get(slot.kind) or words_of.get(slot.form) or other for slot in slots if stays_on(slot, how)}


def off(run: Run) -> list[str]:
    """The units that are off, in the order of the net."""
    return st.session_state.get("lesion_off", {}).get(run.id, [])


def put_off(run: Run, units: list[str], pressed: str = "") -> None:
    """Switches exactly these units off; each net remembers its own."""
    st.session_state["lesion_off"] = {**st.session_state.get("lesion_off", {}), run.id: units}
    st.session_state.pop("lesion_odd", None)
    if pressed:
        focus.put(f"{run.id}~{pressed}")


def press(run: Run, units: list[str], pressed: str = "") -> None:
    """What the visitor does with a unit: switches exactly these off."""
    put_off(run, units, pressed)
    if units:
        tour.did("lesion")


def take_link(run: Run, slots: tuple[Unit, ...], fixed: dict[str, str]) -> str:
    """Takes the units of a link over; a sentence if the link names some that cannot be switched off here, else ""."""
    known = [slot.id for slot in slots]
    for place in address.brought("unit")[:1]:
        if place.partition("~")[2] in known:
            pickers.set_focus(place.partition("~")[2])
    emptied = address.emptied("off", "net")
    given = set(address.brought("off"))
    if given or emptied:
        put_off(run, [unit for unit in known if unit in given and unit not in fixed])
        st.session_state["lesion_odd"] = len(given) - len(off(run))
    elif any(unit in fixed for unit in off(run)):
        put_off(run, [unit for unit in off(run) if unit not in fixed])
    odd = st.session_state.get("lesion_odd", 0)
    return (
        f"{words.some(odd, 'unit')} of the link cannot be switched off in this net and {'was' if odd == 1 else 'were'} left out."
        if odd
        else ""
    )


# ---- the ribbon, the number, the images


@st.fragment
def desk(
    run: Run,
    slots: tuple[Unit, ...],
    fixed: dict[str, str],
    answer: Answer | None,
    asked: dict[str, Any],
    loading: bool,
    places: dict[str, Any],
) -> None:
    """What changes with a press: the ribbon with its bars, the number, the classes, the images that flip."""
    with states.guard():
        known = {slot.id: slot for slot in slots}
        found = {} if answer is None else costs(answer)
        unit = focused(run, known, found)
        focus.write(net=[run.id], off=off(run), unit=[f"{run.id}~{unit}"])
        with places["ribbon"]:
            bars.bars(
                slots, found, fixed, off(run), focus=unit, key="lesion_bars", net=run.id, pale=bool(answer and answer.stale),
                on_press=lambda units, pressed: press(run, [i for i in known if i in units], pressed),
            )  # fmt: skip
            # always there: an element that came and went would close the expander below
            parts.sub(f"**{describe(known[unit])}.** {lesion.describe(answer.table, unit) if answer else ''}")
            twin(run, known, fixed)
        # a container of its own in each place: a place that a run leaves out cannot be written to later
        with places["now"], st.container(gap=None):
            told = toll.number(off(run), asked, loading)
        with places["classes"], st.container():
            if told:
                toll.per_class(told, [known[i] for i in told["off"]])
        if answer:
            foot(run, answer, slots)
        if told and told["off"]:
            flips.strip(run, told["flips"], told["images"], "lesion_flips")


def costs(answer: Answer) -> dict[str, bars.Bar]:
    """The bars of the stored sweep: points lost, so the sign of the table's change is turned."""
    rows = lesion.whole(answer.table).itertuples()
    return {str(row.unit): bars.Bar(lost=-row.change, low=-row.ci_high, high=-row.ci_low) for row in rows}


def focused(run: Run, known: dict[str, Unit], found: dict[str, bars.Bar]) -> str:
    """The shared focus if this net has such a unit, else one that is off, else the costliest that keeps its resolution, else the first."""
    for unit in (pickers.focus(), *off(run)):
        if unit in known:
            return unit
    usable = [unit for unit in found if not known[unit].resampling] or list(found)
    return max(usable, key=lambda unit: found[unit].lost, default=next(iter(known)))


def twin(run: Run, known: dict[str, Unit], fixed: dict[str, str]) -> None:
    """The same with plain controls: for a screen reader, a phone, and tests."""
    with st.expander("The same with plain controls"):
        st.session_state["l_off"] = off(run)
        st.pills(
            "Units switched off",
            [unit for unit in known if unit not in fixed],
            selection_mode="multi",
            format_func=lambda unit: f"{known[unit].stage}.{known[unit].index} {spec.WORDS[known[unit].letter]}",
            key="l_off",
            on_change=lambda: press(run, [unit for unit in known if unit in st.session_state["l_off"]]),
        )


def foot(run: Run, answer: Answer, slots: tuple[Unit, ...]) -> None:
    """What, n, seed, caveat of the bars."""
    params, table = answer.manifest.get("params") or {}, answer.table
    n = words.count(int(lesion.whole(table)["images"].iloc[0]))
    text = [f"Bars: stored sweep over {n} test images, seed {params.get('seed', 0)}; whisker 95 %, paired."]
    if any(bar.lost < 0 for bar in costs(answer).values()):
        text.append("Above the line: gained.")
    if any(slot.resampling for slot in slots):
        text.append("Hatched units also change the map’s size or width: compare them with each other only.")
    said, caveats = lesion.takeaway(table, pickers.title(run)), " ".join(text)

    def file() -> bytes:
        kept = {slot.id: "stays" for slot in slots if stays_on(slot)}
        return figure.framed(bars.drawing(slots, costs(answer), kept, off=off(run), paint=chart.LIGHT), said, caveats)

    figure.foot_line(caveats, table, f"lesion-{run.id}", "lesion", file)


def several(run: Run, many: Answer) -> None:
    """Random subsets off: accuracy against how many."""
    said = subsets.takeaway(many.table, pickers.title(run))
    parts.sub(said)

    def make(theme: str) -> Any:
        return subsets.chart(many.table, theme, net=pickers.title(run), family=pickers.family(run))

    draw(make, [many.manifest["key"]], "subsets_chart", said)
    if stale := measured.stale_said([many]):
        parts.sub(stale)
    text = f"{measured.images_said([many])} Pale dots: one random set of units each; bars: 95 % over the sets."
    figure.foot_line(text, many.table, f"subsets-{run.id}", "subsets", lambda: figure.svg_file(make, said, text))


page()
