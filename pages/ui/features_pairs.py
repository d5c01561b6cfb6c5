"""Which layers see alike: a map of all pairs of units a net, or of two nets, and the pair that was chosen."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses, words
from core.analyses import cka
from core.run import Run
from pages.ui import address, features_depth, figure, focus, measured, parts, pickers
from pages.ui.draw import draw
from pages.ui.measured import Answer

ANALYSIS = analyses.get("cka")
OF = {"each": "Each net", "two": "Two nets"}


def controls(runs: Sequence[Run]) -> tuple[str, str]:
    """Each net, or two: the ids of the nets in rows and columns, both "" for each net with itself."""
    known = pickers.names(runs)
    ids, chosen = list(known), st.session_state
    if address.emptied("against", "show"):
        chosen["features_of"] = "each"
    for key in ("rows", "against"):
        for given in address.brought(key)[:1]:
            if given in known:
                chosen[f"features_{key}"], chosen["features_of"] = given, "two"
    if len(ids) < 2:
        return "", ""
    chosen.setdefault("features_of", "each")
    kept: dict[str, Any] = {"persist_state": "session", "on_change": _moved}
    st.segmented_control("Of", list(OF), format_func=OF.get, required=True, key="features_of", **kept)
    if chosen["features_of"] != "two":
        return "", ""
    first, second = chosen.get("features_rows"), chosen.get("features_against")
    first = first if first in known else ids[0]
    chosen["features_rows"] = first
    chosen["features_against"] = second if second in known and second != first else next(i for i in ids if i != first)
    for key, label in (("features_rows", "A, in the rows"), ("features_against", "B, in the columns")):
        st.selectbox(label, ids, format_func=lambda i: known.get(i, i), key=key, width=190, **kept)
    return chosen["features_rows"], chosen["features_against"]


def _moved() -> None:
    for key in ("rows", "against"):
        address.moved(key)


def params(against: str = "") -> cka.Params:
    """What is asked of one net, alone or against another."""
    return cka.Params(against=against)


def takeaway(found: Sequence[Answer], other: Run | None) -> str:
    """The sentence of the map, computed from the stored tables."""
    named = measured.tables(found)
    if other is not None:
        return cka.takeaway_pair(found[0].table, next(iter(named)), pickers.title(other))
    contrasts = {t: (a.manifest.get("notes") or {}).get("contrast") for t, a in zip(named, found, strict=True)}
    if len(contrasts) == 1:
        return " ".join(cka.takeaway(title, contrast) for title, contrast in contrasts.items())
    return together(contrasts)


def together(contrasts: dict[str, dict[str, float] | None]) -> str:
    """Several nets' contrasts between stages in one sentence, nets that agree side by side."""
    groups: dict[str, list[str]] = {}
    for title, contrast in contrasts.items():
        if not contrast or "difference" not in contrast:
            groups.setdefault("one", []).append(title)
            continue
        low, high, value = contrast.get("low"), contrast.get("high"), words.signed(contrast["difference"])
        if low is None or high is None:
            groups.setdefault("unsure", []).append(f"{title} ({value}, one batch, no interval)")
            continue
        verdict = "more" if low > 0 else "less" if high < 0 else "unsure"
        groups.setdefault(verdict, []).append(f"{title} ({value}, 95 % {words.signed(low)} to {words.signed(high)})")
    said = [
        f"**units of one stage see {verdict} alike** than units of different stages in {words.seq(groups[verdict])}"
        for verdict in ("more", "less")
        if verdict in groups
    ]
    if "unsure" in groups:
        said.append(f"stages **cannot be told apart** in {words.seq(groups['unsure'])}")
    if "one" in groups:
        has = "has one stage" if len(groups["one"]) == 1 else "have one stage each"
        said.append(f"{words.seq(groups['one'])} {has}")
    text = "; ".join(said) + "."
    return text[:2] + text[2].upper() + text[3:] if text.startswith("**") else text[0].upper() + text[1:]


def maps(found: Sequence[Answer], other: Run | None, row: str, column: str, said: str) -> Any:
    """One map a net with itself, or one of two nets; the pair of `row` (`run~unit`) and `column` (unit) is framed.

    The place beside the map of two nets, None where maps fill the row.
    """
    named = measured.tables(found)
    beside = None
    if other is None:
        cells = st.columns(max(len(found), 2) if len(found) != 4 else 2, gap="medium") * (2 if len(found) == 4 else 1)
    else:
        first, beside = st.columns([3, 2], gap="large")
        cells = [first]
    drawings = []
    for answer, (title, table), cell in zip(found, named.items(), cells, strict=False):
        run = answer.run
        here = row.partition("~")[0] == run.id
        unit = row.partition("~")[2] if here else ""
        settings: dict[str, Any] = {"net": title, "focus": unit, "chosen": (unit, column) if here else None, "height": 300}
        settings |= {"other": pickers.title(other), "height": 440} if other else {"heading": title, "family": pickers.family(run)}

        def make(theme: str, table: pd.DataFrame = table, settings: dict[str, Any] = settings) -> Any:
            return cka.chart(table, theme, **settings)

        chart = f"cka_chart_{run.id}" + (f"_{other.id}" if other else "")
        with cell:
            alone = takeaway([answer], other)
            facts = [answer.manifest["key"], {**settings, "chosen": list(settings["chosen"] or ())}]
            draw(make, facts, chart, alone, on_select=lambda run=run, chart=chart: clicked(run, chart), selection="unit")
        drawings.append(make)
    foot = foot_text(found, other)
    figure.foot_line(foot, features_depth.together(found), "cka", "cka", lambda: figure.svg_file(drawings, said, foot))
    return beside


def foot_text(found: Sequence[Answer], other: Run | None) -> str:
    """What, n, seed, caveat."""
    batches = (found[0].manifest.get("notes") or {}).get("batches", 0)
    text = [f"{measured.images_said(found)} Paper: 0, ink: 1; without bias, over {words.some(batches, 'batch', 'batches')}."]
    text.append("First row and column: the stem." if other is None else "First row and column: the stems.")
    if said := features_depth.hatched(found):
        text.append(f"{said}.")
    text.append("Intervals: 95 %, jackknife over batches. Click a cell for its two units.")
    return " ".join(text)


def clicked(run: Run, chart: str) -> None:
    """Takes the pair that was clicked; its row comes into focus."""
    hit = features_depth.hits(chart)
    if isinstance(hit.get("unit"), str) and isinstance(hit.get("with_unit"), str):
        choose(f"{run.id}~{hit['unit']}", hit["with_unit"])


def choose(row: str, column: str) -> None:
    """A row (`run~unit`) and a column (a unit); the stem can be chosen, but not be in focus."""
    st.session_state["features_pair"] = (row, column)
    address.moved("column")
    if not row.endswith("~stem"):
        focus.put(row)


def pair(found: Sequence[Answer], place: str, other: Run | None) -> tuple[str, str]:
    """The chosen pair: a row `run~unit` and a column unit, both in the tables shown; the row follows the focus unless it is the stem."""
    tables = {answer.run.id: answer.table for answer in found}
    for given in address.brought("column")[:1]:
        st.session_state["features_pair"] = (place, given)
    row, column = st.session_state.get("features_pair", ("", ""))
    run_id, _, unit = row.partition("~")
    if unit != "stem" or run_id not in tables:
        row = place
    run_id, _, unit = row.partition("~")
    rows = tables[run_id]
    partners = rows[rows["unit"] == unit]
    if column not in set(partners["with_unit"]):  # to begin with: the other end of the net; of two nets those most alike
        by = "cka" if other else "with_position"
        apart = partners[(partners["with_unit"] != unit) & (partners["with_kind"] != "stem")] if other is None else partners
        column = str(apart.sort_values(by)["with_unit"].iloc[-1]) if len(apart) else unit
    return row, column


def chosen(found: Sequence[Answer], row: str, column: str, other: Run | None, known: dict[str, str]) -> None:
    """The chosen pair in words, with two selects that do what a click does; `known` are the rows by `run~unit`."""
    run_id, _, unit = row.partition("~")
    answer = next(answer for answer in found if answer.run.id == run_id)
    second = pickers.title(other or answer.run)
    rows = {f"{a.run.id}~stem": f"{pickers.title(a.run)} · Stem" for a in found} | known
    columns = {"stem": "Stem"} | {slot.id: focus.word(slot) for slot in focus.slots(other or answer.run)}
    st.session_state["features_row"], st.session_state["features_column"] = row, column
    st.selectbox(
        "Row", list(rows), format_func=lambda i: rows.get(i, i), key="features_row",
        on_change=lambda: choose(st.session_state["features_row"], column),
    )  # fmt: skip
    st.selectbox(
        f"Column, {second}", list(columns), format_func=lambda i: columns.get(i, i), key="features_column",
        on_change=lambda: choose(row, st.session_state["features_column"]),
    )  # fmt: skip
    one, two = rows[row].partition(" · ")[2], columns[column]
    pair_of = f"**{rows[row]}** and **{second} · {two}**" if other else f"In {second}, **{one}** and **{two}**"
    st.html(f'<p class="lab-take" role="status">{parts.rich(f"{pair_of}: {cka.describe(answer.table, unit, column)}")}</p>')
