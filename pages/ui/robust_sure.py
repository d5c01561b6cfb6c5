"""Calibration: how often answers are right that a net is so and so sure of, clean and spoiled, with the usual scores."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses, words
from core.analyses import calibration
from core.data.corruptions import KINDS, SEVERITIES
from core.run import Run
from pages.ui import address, figure, parts, robust_nets
from pages.ui.draw import draw
from pages.ui.robust_nets import KEEP, Head, Own, Seen

ANALYSIS = analyses.get("calibration")
HEIGHT = 300


def show(head: Head, runs: Sequence[Run]) -> Own:
    """Reliability diagrams side by side where a corruption is chosen, and the scores."""
    usual = ANALYSIS.params()
    with parts.row("bottom"):
        kind, severity = spoiled()
        scaled = robust_nets.switch(
            "With a temperature", "temperature", help="Fitted to one half of the clean images; the other half is judged."
        )
    params = dataclasses.replace(usual, corruption=kind, severity=severity if kind else usual.severity, temperature=scaled)
    free = ["images", "seed", "bins"]
    free += [] if kind else ["corruption", "severity"]
    free += [] if scaled else ["temperature"]
    seen = robust_nets.gathered(ANALYSIS, runs, params, free)
    condition = kind or calibration.CLEAN
    takeaway = calibration.takeaway(robust_nets.tables(seen), condition, scaled) if seen else robust_nets.nothing(ANALYSIS, runs, seen)
    robust_nets.said(head, takeaway, robust_nets.stale_said(seen))
    if seen:
        conditions = list(dict.fromkeys([calibration.CLEAN, condition]))
        scale = start(seen, conditions, scaled)
        drawings = [drawing(seen, each, scaled, scale) for each in conditions]
        st.space("xsmall")
        for i, (place, each, make) in enumerate(zip(st.columns(len(drawings), gap="medium"), conditions, drawings, strict=True)):
            with place:
                if len(drawings) > 1:
                    parts.h2(title(each, severity))
                said = calibration.takeaway(robust_nets.tables(seen), each, scaled)
                draw(make, [robust_nets.facts(seen), each, scaled, list(scale)], f"robust_sure_{i}", said)
        caveats = foot(seen, scaled)
        both = robust_nets.together(seen)
        figure.foot_line(caveats, both, "calibration", "robust_calibration", lambda: figure.svg_file(drawings, takeaway, caveats))
        for place, each in zip(st.columns(len(conditions), gap="large"), conditions, strict=True):
            with place:
                parts.h2("Scores", title(each, severity) if len(conditions) > 1 else "95 % beneath")
                scores(seen, each, scaled)
    robust_nets.ask(ANALYSIS, params, runs, seen)
    return {"under": [kind] if kind else [], "at": [str(severity)] if kind else [], "temperature": ["1"] if scaled else []}


def spoiled() -> tuple[str, int]:
    """(the corruption beside the clean images or "", its severity)."""
    known = ["", *KINDS]
    if address.emptied("under", "show"):
        st.session_state["robust_under"] = ""
    robust_nets.take("under", known, "")
    kind = st.selectbox(
        "Beside the clean images", known, format_func=lambda k: KINDS[k].title if k else "Nothing", key="robust_under", width=200,
        on_change=lambda: address.moved("under"), **KEEP,
    )  # fmt: skip
    if not kind:
        return "", 3
    return kind, robust_nets.choose("Severity", "at", {s: str(s) for s in SEVERITIES}, 3)


def title(condition: str, severity: int) -> str:
    """What a panel is of."""
    return "Images as they are" if condition == calibration.CLEAN else f"{KINDS[condition].title}, severity {severity}"


def start(seen: Sequence[Seen], conditions: Sequence[str], scaled: bool) -> tuple[float, float]:
    """Where the axes of all panels begin: (confidence, share right)."""
    bins = pd.concat([calibration.reliability(one.table, each, scaled) for one in seen for each in conditions])
    return float(bins["low"].min()), float(min(bins["low"].min(), bins["ci_low"].min()))


def drawing(seen: Sequence[Seen], condition: str, scaled: bool, scale: tuple[float, float]) -> Any:
    """`chart(theme)` of one reliability diagram."""
    return lambda theme: calibration.chart_nets(
        robust_nets.tables(seen), theme, families=robust_nets.families(seen), condition=condition, scaled=scaled, height=HEIGHT, scale=scale
    )


def scores(seen: Sequence[Seen], condition: str, scaled: bool) -> None:
    """A row a measure, a column a net."""
    each = {one.name: calibration.measures(one.table, condition, scaled) for one in seen}
    rows = [[name, *(_score(measure, found.loc[measure]) for found in each.values())] for measure, name in calibration.TITLES.items()]
    if scaled:
        rows.append(
            ["Temperature", *(words.plain(float(calibration.part(one.table, condition, True)["temperature"].iloc[0])) for one in seen)]
        )
    robust_nets.table(["", *each], rows, "Scores of calibration")


def _score(measure: str, row: "pd.Series[Any]") -> str:
    """The value with its interval beneath; shares in percent, the gap in points."""
    if pd.isna(row["value"]):
        return words.NOTHING
    if measure in ("nll", "brier"):
        say = words.plain
        return f"{say(row['value'], 3)}|{say(row['ci_low'], 3)} to {say(row['ci_high'], 3)}"
    if measure == "gap":
        return f"{words.signed(100 * row['value'], 1)}|{words.signed(100 * row['ci_low'], 1)} to {words.signed(100 * row['ci_high'], 1)}"
    return f"{words.percent(row['value'])}|{words.plain(100 * row['ci_low'], 1)} to {words.plain(100 * row['ci_high'], 1)}"


def foot(seen: Sequence[Seen], scaled: bool) -> str:
    """What, n, seed, bins, caveat."""

    def about(one: Seen) -> str:
        fitted = int(one.notes.get("fitted") or 0)
        half = f", judged; the temperature was fitted to {words.count(fitted)} others" if scaled and fitted else ""
        return f"{one.images}, {one.params.get('bins', 15)} bins{half}"

    text = [f"{robust_nets.each(seen, about)}.", "On the line: as sure as it may be; above it less sure, below it too sure."]
    text.append(f"Whiskers: 95 %. Larger marks hold more images; no line goes through bins of fewer than {_few()}.")
    return " ".join(text)


def _few() -> int:
    from core.analyses import _bands_drawn

    return _bands_drawn.FEW
