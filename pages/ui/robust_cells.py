"""Corruptions: a heat map of kinds and nets, and of the chosen cell the very images that flip."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import analyses, live, words
from core.analyses import _cells, corruption
from core.data.corruptions import KINDS, SEVERITIES
from core.errors import MeasureError
from core.run import Run
from pages.ui import address, figure, parts, robust_flips, robust_nets
from pages.ui.draw import draw
from pages.ui.robust_nets import Head, Own, Seen

ANALYSIS = analyses.get("corruption")
FREE = ("images", "seed", "source", "extra", "precision")
SEVERITY: dict[int, str] = {severity: str(severity) for severity in SEVERITIES} | {_cells.EVERY: "Mean"}
CELLS = {"accuracy": "Accuracy", "change": "Change"}
CHART = "robust_map"


def show(head: Head, runs: Sequence[Run]) -> Own:
    """The whole view; what it puts into the address."""
    params = ANALYSIS.params()
    seen = robust_nets.gathered(ANALYSIS, runs, params, FREE)
    severity, cells = controls(alone=len(seen) == 1)
    ready = robust_nets.some(seen)
    takeaway = corruption.takeaway(robust_nets.by_name(ready)) or robust_nets.nothing(ANALYSIS, runs, seen)
    robust_nets.said(head, takeaway, robust_nets.stale_said(seen))
    above = st.container()
    own: Own = {"severity": [str(severity)] if len(seen) != 1 else [], "cells": [cells] if cells != "accuracy" else []}
    waited = False
    if seen and not ready:  # begun, and not a cell yet
        draw(drawing(seen, severity, cells), [robust_nets.facts(seen), severity, cells], CHART, takeaway)
    if ready:
        one, kind, level = chosen(ready, severity, len(seen) == 1)
        if live.state("spoiled", run=one.run.id) == "cold":
            live.warm("spoiled", run=one.run.id)
        waited = live.state("spoiled", run=one.run.id) == "warming"
        free = severity not in SEVERITIES or len(seen) == 1
        own |= {"kind": [kind], "net": [one.run.id], "level": [str(level)] if free else []}
        st.space("xsmall")
        left, right = st.columns([7, 5], gap="large")
        with left:
            make = drawing(seen, severity, cells, one, kind, level)
            facts = [robust_nets.facts(seen), severity, cells, one.name, kind, level]
            draw(make, facts, CHART, takeaway, on_select=lambda: clicked(seen, severity), selection=_cells.SELECTION)
        with right:
            cell(ready, one, kind, level, free)
        caveats = foot(seen, cells)

        def file() -> bytes:
            return figure.svg_file(drawing(seen, severity, cells), takeaway, caveats)

        figure.foot_line(caveats, robust_nets.together(seen), "corruptions", "robust_corruption", file)
        whole(ready)
    warming = robust_flips.warming(one.run) if ready else None
    robust_nets.ask(ANALYSIS, params, runs, seen, above, waits=warming or (lambda: False), waited=waited)
    return own


def controls(alone: bool) -> tuple[int, str]:
    """(severity, what stands in the cells); a net alone has its severities side by side."""
    with parts.row("bottom"):
        severity = 3 if alone else robust_nets.choose("Severity", "severity", SEVERITY, 3)
        return severity, robust_nets.choose("In the cells", "cells", CELLS, "accuracy")


# ---- the heat map


def drawing(seen: Sequence[Seen], severity: int, cells: str, one: Seen | None = None, kind: str = "", level: int = 0) -> Any:
    """`chart(theme)`: nets in the columns, or of one net alone the severities; the chosen cell is framed."""
    tables, alone = robust_nets.tables(seen), len(seen) == 1
    look: dict[str, Any] = {"show": cells, "select": one is not None}
    look["chosen"] = (kind, str(level) if alone else one.name) if one else None
    look["extra"] = True if any(each.so_far and each.params["extra"] for each in seen) else None  # room for what is to come

    def make(theme: str) -> Any:
        if alone:
            return _cells.by_severity(seen[0].table, theme, net=seen[0].name, **look)
        return _cells.by_net(tables, theme, severity=severity, **look)

    return make


def clicked(seen: Sequence[Seen], severity: int) -> None:
    """Takes the cell that was clicked; a mean has no images of its own and changes nothing."""
    event = st.session_state.get(CHART) or {}
    hit = ((event.get("selection") or {}).get(_cells.SELECTION) or [{}])[0]
    ids = {one.name: one.run.id for one in seen}
    if isinstance(hit, dict) and hit.get("kind") in KINDS and hit.get("net") in ids:
        choose(ids[hit["net"]], hit["kind"], hit.get("severity") if len(seen) == 1 else None)


def choose(run_id: str = "", kind: str = "", level: Any = None) -> None:
    """Another cell; for callbacks, before the page is drawn again."""
    for key, value in (("net", run_id), ("kind", kind)):
        if value:
            st.session_state[f"robust_{key}"] = value
    if level in SEVERITIES:
        st.session_state["robust_level"] = level
    for key in ("net", "kind", "level"):
        address.moved(key)


def chosen(ready: Sequence[Seen], severity: int, alone: bool) -> tuple[Seen, str, int]:
    """The net, kind and severity whose images are shown: of the link, of the last click, else the cell that costs most."""
    ids = {one.run.id: one for one in ready}
    for key, known in (("net", ids), ("kind", KINDS)):
        for given in address.brought(key)[:1]:
            if given in known:
                st.session_state[f"robust_{key}"] = given
    level = robust_nets.take("level", SEVERITIES, 3) if alone or severity not in SEVERITIES else severity
    one, kind = ids.get(st.session_state.get("robust_net", "")), st.session_state.get("robust_kind", "")
    rows = [(row.change, i, str(row.kind)) for i, each in enumerate(ready) for row in each.table.itertuples()
            if row.severity == level and (one is None or each is one) and (not row.extra or row.kind == kind)]  # fmt: skip
    same = [row for row in rows if row[2] == kind]
    _, place, found = min(same or rows or [(0.0, 0, str(ready[0].table["kind"].iloc[0]))])
    return ready[place], found, level


# ---- the chosen cell


def cell(ready: Sequence[Seen], one: Seen, kind: str, level: int, free: bool) -> None:
    """Selects that do what a click does, the cell in words, its images."""
    kinds = list(dict.fromkeys(one.table["kind"]))
    chosen = st.session_state
    chosen["robust_twin_kind"], chosen["robust_twin_net"], chosen["robust_twin_level"] = kind, one.run.id, level
    with st.container(horizontal=True):
        st.selectbox("Corruption", kinds, format_func=lambda k: KINDS[k].title if k in KINDS else k, key="robust_twin_kind", width=160,
                     on_change=lambda: choose(one.run.id, st.session_state["robust_twin_kind"], level))  # fmt: skip
        if len(ready) > 1:
            named = {each.run.id: each.name for each in ready}
            st.selectbox("Net", list(named), format_func=lambda i: named.get(i, i), key="robust_twin_net", width=150,
                         on_change=lambda: choose(st.session_state["robust_twin_net"], kind, level))  # fmt: skip
        if free:
            st.selectbox("Severity of the images", SEVERITIES, key="robust_twin_level", width=150,
                         on_change=lambda: choose(one.run.id, kind, st.session_state["robust_twin_level"]))  # fmt: skip
    row = one.table[(one.table["kind"] == kind) & (one.table["severity"] == level)].iloc[0]
    parts.sub(
        f"**{KINDS[kind].title}, severity {level}: {words.signed(row['change'], 1)} points** "
        f"(95 % {words.signed(row['change_low'], 1)} to {words.signed(row['change_high'], 1)}). {one.name} gets "
        f"{words.percent(row['accuracy'])} right, {words.percent(row['clean'])} clean. {KINDS[kind].card}"
    )
    robust_flips.strip(one, kind, level)


# ---- over all cells


def whole(ready: Sequence[Seen]) -> None:
    """Clean, mean over the 75 cells, mCE against a named baseline; nothing while no net has all its cells."""
    full = [one for one in ready if corruption.whole(one.table)]
    if not full:
        return
    parts.h2("Over all 75 cells", "15 kinds at 5 severities, the extra kinds left out")
    first, rows = full[0], []
    for one in full:
        mean, low, high = corruption.mean_accuracy(one.table, one.arrays)
        try:
            ratio = "" if one is first else words.plain(corruption.mce(one.table, first.table), 1)
        except MeasureError:
            ratio = words.NOTHING
        clean = float(one.table["clean"].iloc[0])
        interval = f"{words.plain(100 * low, 1)} to {words.plain(100 * high, 1)}"
        rows.append([one.name, words.percent(clean), f"{words.percent(mean)}|{interval}", *([ratio or "100"] if len(full) > 1 else [])])
    baseline = [f"mCE, {first.name} = 100"] if len(full) > 1 else []
    robust_nets.table(["Net", "Clean", "Mean of 75, 95 %", *baseline], rows, "Mean over all corruptions")


def foot(seen: Sequence[Seen], cells: str) -> str:
    """What, n, seed, where the constants are from, caveat."""

    def about(one: Seen) -> str:
        made = (
            "published files" if one.notes.get("source") == "official" else f"severities of {one.notes.get('table', 'CIFAR-C')}, made here"
        )
        return f"{one.images}, {made}"

    text = [f"{robust_nets.each(seen, about)}.", "Ink: error." if cells == "accuracy" else "Ink: points lost."]
    if len(robust_nets.some(seen)) > 1:
        text.append("Every net saw the same spoiled images.")
    text += [robust_nets.so_far(ANALYSIS, seen), "Intervals stand in the table and at a cell. Click a cell for its images."]
    return " ".join(part for part in text if part)
