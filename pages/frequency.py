"""Which blocks blur, and which sharpen?  Δ log amplitude over depth and frequency, for the models on stage."""

from pages.ui import frame

frame.require()

import dataclasses
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses, ribbon, spec
from core.analyses import fourier
from core.analyses._pictures import SELECTION, domain
from core.run import Run
from core.unit import stays_on
from pages.ui import features_depth, figure, focus, measured, parts, pickers, states
from pages.ui.draw import draw
from pages.ui.measured import Answer

SHOW = {"high": "Highest frequency", "all": "All frequencies"}
OF = {"output": "Unit output", "branch": "Branch only"}
LOOK = {"unit": "As a whole", "layers": "Layer by layer"}
ANALYSIS = analyses.get("fourier")


def page() -> None:
    """Question, answer, controls, the figure, the focused unit, the method."""
    parts.header(ANALYSIS.question, over="Blocks")
    head = st.container()
    with parts.row("bottom"):
        show = st.segmented_control(
            "Show", list(SHOW), format_func=SHOW.get, default="high", required=True, key="f_show", bind="query-params"
        )
        of = st.segmented_control("Of", list(OF), format_func=OF.get, default="output", required=True, key="f_of", bind="query-params")
        sets = measured.sets_to_measure(pickers.stage())
        on = st.selectbox("Images measured", list(sets), format_func=sets.get, key="f_on", bind="query-params", width=220)
    with states.guard():
        body(head, show or "high", of or "output", on)
    figure.method(ANALYSIS.card)


def body(head: st.delta_generator.DeltaGenerator, show: str, of: str, on: str) -> None:
    """Everything that depends on results."""
    runs, params = pickers.stage(), fourier.Params(of=of, on=on)
    found = measured.answers(ANALYSIS, runs, dataclasses.asdict(params))
    shown = list(found.values())
    said = sentence(shown, of) if shown else nothing(runs)
    with head:
        parts.take(said)
    known = options(shown)
    place = focus.current(known, telling(shown)) if shown else ""
    if shown:
        st.space("xsmall")
        pictures(shown, show, of, place, said)
    missing = [run for run in runs if run.id not in found or found[run.id].stale]
    if stale := measured.stale_said(shown):
        parts.sub(stale)
    asked = [measured.Asked(asks=[(ANALYSIS, params)], runs=missing, key="frequency", place=st.container())] if missing else []
    if shown:
        asked += unit(shown, params, place, known)
    if asked:
        measured.watch(asked)


def sentence(found: list[Answer], of: str) -> str:
    """The takeaway; branches have no before and after, so nothing is claimed of them."""
    if of == "output":
        return fourier.takeaway(measured.tables(found))
    return "What each unit **adds** to its input. Whether it blurs or sharpens shows in the unit output, not here."


def nothing(runs: list[Run]) -> str:
    """In place of the takeaway."""
    if not runs:
        return "No net is on stage. Choose one under **Models on stage**, or train one first."
    return "The nets on stage have **not been measured yet**."


def pictures(found: list[Answer], show: str, of: str, place: str, said: str) -> None:
    """One panel a net on the same y axis, the change by kind beside or below, the foot line; `said` is the takeaway."""
    named, stored = measured.tables(found), [answer.manifest["key"] for answer in found]
    # room below for the number under the focused unit and the stage numbers
    scale = domain(pd.concat([t.loc[t["top"] | (show == "all"), "delta_log_amplitude"] for t in named.values()]), below=0.2)
    steps = of == "output" and show == "high" and any(len(fourier.by_kind(t)) for t in named.values())
    count = len(found)
    wide = steps and count < 3
    across = count + wide if count != 4 else 2
    cells = [cell for _ in range(-(-(count + wide) // across)) for cell in st.columns(across, gap="medium")]
    drawings = []
    for i, (answer, (title, table)) in enumerate(zip(found, named.items(), strict=True)):
        run, first = answer.run, i % across == 0
        ring = place.partition("~")[2] if place.startswith(f"{run.id}~") and show == "high" else ""
        settings = {"net": title, "family": pickers.family(run), "focus": ring, "scale": scale, "ticks": first}

        def make(theme: str, table: pd.DataFrame = table, settings: dict[str, Any] = settings) -> Any:
            return (fourier.chart if show == "high" else fourier.chart_spectra)(table, theme, **settings)

        key = f"frequency_chart_{run.id}"
        press = {"on_select": lambda run=run, key=key: features_depth.clicked(run, key), "selection": SELECTION}
        pick = press if show == "high" else {}
        with cells[i]:
            draw(make, [stored[i], show, settings], key, f"{title}: {sentence([answer], of)}", **pick)
        drawings.append(make)
    if steps:

        def kinds(theme: str) -> Any:
            return fourier.chart_kinds(named, theme, heading="Change made by each unit")

        with cells[count] if wide else st.container():
            draw(kinds, [stored, list(named)], "frequency_kinds", said)
        drawings.append(kinds)
    foot = foot_text(found, show, of, bool(steps))
    figure.foot_line(foot, features_depth.together(found), "frequency", "frequency", lambda: figure.svg_file(drawings, said, foot))


def foot_text(found: list[Answer], show: str, of: str, steps: bool) -> str:
    """What, n, seed, caveat."""
    text = [measured.images_said(found), "Relative to each unit’s own zero frequency."]
    if show == "all":
        text.append("One line a unit in the colour of its kind, deeper units stronger.")
    if show == "high" and any(answer.table["resampling"].any() for answer in found):
        text.append(
            "Hatched: the unit that halves the map; its jump is a change of resolution" + (", left out of the changes." if steps else ".")
        )
    if show == "high":
        text.append("Bars: 95 %, of a unit over images, of a kind over its units." if steps else "Bars: 95 % over images.")
    if of == "branch":
        text.append("Branch only: what a unit adds, before the sum.")
    small = {answer.run.id for answer in found if (answer.manifest.get("notes") or {}).get("left_out")}
    if small:
        text.append("Maps under 4×4 are left out.")
    return " ".join(text)


def options(found: list[Answer]) -> dict[str, str]:
    """Every unit that can be focused: `run~unit` -> words, in the order of the panels."""
    every = {}
    for answer in found:
        for row in answer.table[answer.table["top"]].itertuples():
            if row.kind != "stem":
                every[f"{answer.run.id}~{row.unit}"] = fourier.name(row, pickers.title(answer.run))
    return every


def telling(found: list[Answer]) -> str:
    """The unit with the largest change of those that keep their resolution, attention before others."""
    best = []
    for answer in found:
        rows = answer.table[answer.table["top"] & (answer.table["kind"] != "stem")]
        for row in rows.itertuples():
            size = 0.0 if row.resampling or pd.isna(row.change) else abs(row.change)
            best.append((row.kind == "msa", size, f"{answer.run.id}~{row.unit}"))
    return max(best)[2]


def unit(found: list[Answer], params: fourier.Params, place: str, known: dict[str, str]) -> list[measured.Asked]:
    """The focused unit: its spectrum or those of its layers, the ribbon, a sentence; what still has to be measured for it."""
    heading = st.container()
    left, right = st.columns([2, 1], gap="large")
    run_id, _, name = place.partition("~")
    answer = next(a for a in found if a.run.id == run_id)
    row = _row(answer, name)
    with right:
        focus.box("Focused unit", place, known, "f_unit")
        focus.write(unit=[place])
        slots = spec.layout(answer.run.plan, answer.run.image_size)
        parts.svg(ribbon.draw(slots, side=16, focus=name, label=f"The units of {pickers.title(answer.run)}"))
        parts.h2(fourier.name(row))
        look = "unit"
        if params.of == "output" and row.kind != "merge":
            look = st.segmented_control(
                "Look at it", list(LOOK), format_func=LOOK.get, default="unit", required=True, key="f_look", bind="query-params"
            )
    with heading:
        others = "layers of the unit" if look == "layers" else "units"
        parts.h2("What the focused unit does" if params.of == "output" else "What the focused unit adds", f"thin lines: the other {others}")
    if look == "layers":
        return layers(answer, dataclasses.replace(params, inside=name), known[place], (left, right))
    says = fourier.describe(answer.table, name)

    def picture(theme: str) -> Any:
        return fourier.chart_spectra(answer.table, theme, focus=name, height=260)

    with left:
        draw(picture, [answer.manifest["key"], name], "frequency_unit", f"{known[place]}. {says}")
    with right:
        parts.sub(says)
        slot = next((slot for slot in slots if slot.id == name), None)
        if slot and not stays_on(slot) and st.button("Switch it off in Lesion", key="frequency_lesion"):
            frame.go("lesion", unit=place, net=run_id, off=name)
    rows = answer.table[answer.table["unit"].isin([name, _before(answer, name)])]
    foot = f"{known[place]}. {measured.images_said([answer])} Band: 95 % over images."
    title = f"{known[place]}: {says}"
    figure.foot_line(foot, rows, f"frequency-{name}", "frequency_one", lambda: figure.svg_file(picture, title, foot))
    return []


def layers(answer: Answer, params: fourier.Params, title: str, columns: tuple[Any, Any]) -> list[measured.Asked]:
    """Inside the focused unit: the spectrum after each of its layers, or the offer to measure them."""
    left, right = columns
    found = measured.answers(ANALYSIS, [answer.run], dataclasses.asdict(params)).get(answer.run.id)
    if found is None or found.stale:
        return [measured.Asked(asks=[(ANALYSIS, params)], runs=[answer.run], key="frequency_inside", place=left.container())]
    names = fourier.layers_of(found.table)
    with right:
        telling = next((i for i, name in enumerate(names) if "Conv" in name or "Attended" in name or "Linear" in name), 0)
        layer = st.selectbox("Layer", names, index=telling, key=f"f_layer_{params.inside}_{len(names)}")
    says = fourier.describe_layer(found.table, layer)

    def picture(theme: str) -> Any:
        return fourier.chart_layers(found.table, theme, focus=layer, height=260)

    with left:
        draw(picture, [found.manifest["key"], layer], "frequency_layers", f"{title}, {layer}. {says}")
    with right:
        parts.sub(says)
    foot = f"{title}, after {layer}. {measured.images_said([found])} Thin lines: the unit’s other layers. Band: 95 % over images."
    draw_file = f"frequency-{params.inside}-layers"
    figure.foot_line(foot, found.table, draw_file, "frequency_inside", lambda: figure.svg_file(picture, f"{title}: {says}", foot))
    return []


def _row(answer: Answer, name: str) -> Any:
    return next(answer.table[answer.table["unit"] == name].itertuples())


def _before(answer: Answer, name: str) -> str:
    place = _row(answer, name).position - 1
    rows = answer.table[answer.table["position"] == place]
    return str(rows["unit"].iloc[0]) if len(rows) else ""


page()
