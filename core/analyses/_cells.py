"""What cells of kinds by severities come to: means, mCE, a sentence; and their picture, from paper (nothing wrong) to ink (all wrong).

Numpy only; Altair is imported where a picture is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.chart import tokens
from core.data.corruptions import KINDS, SEVERITIES, counted
from core.data.corruptions.catalog import GROUPS
from core.errors import MeasureError, unknown
from core.metrics.interval import mean_interval

if TYPE_CHECKING:
    import altair as alt

    from core.analyses import Arrays

#: The selection that a click on a cell makes; its value is a list of {"kind": "fog", "severity": 3, "net": "ViT-mini"}.
SELECTION = "cell"
#: What may stand in the cells, and the words for it.
SHOWN = {"accuracy": "accuracy, %", "change": "change of accuracy, points"}
#: The severity that stands for the mean over all of them.
EVERY = 0
MEAN, EXTRA = "Mean of the 15", "Extra, not in the mean"
#: What a letter of a name takes in px.
LETTER_PX = 7.4
#: Height of a row in px, and the share of ink from which on words in a cell are written in paper: the contrast is the same at both sides.
ROW, TURNS = 24, {"light": 0.6, "dark": 0.44}


# ---- what a table says


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and change of each kind over its severities, in the order of the table: kind, group, extra, accuracy, change."""
    return table.groupby(["kind", "group", "extra"], sort=False)[["accuracy", "change"]].mean().reset_index()


def whole(table: pd.DataFrame) -> bool:
    """Whether all cells are there that the mean is over."""
    return len(table[~table["extra"]]) == len(counted()) * len(SEVERITIES)


def shares(table: pd.DataFrame, arrays: Arrays) -> np.ndarray:
    """For each image the share of the 75 cells of the mean in which it is answered rightly.  MeasureError if a cell is missing."""
    if not whole(table):
        raise MeasureError(
            f"{len(table[~table['extra']])} of {len(counted()) * len(SEVERITIES)} cells are measured; a mean takes all of them."
        )
    cells = arrays["predicted"][~table["extra"].to_numpy(dtype=bool)]
    return (cells == arrays["label"]).mean(0)


def mean_accuracy(table: pd.DataFrame, arrays: Arrays) -> tuple[float, float, float]:
    """(mean, low, high) of the accuracy over 15 kinds and 5 severities, as shares; 95 % over images.  MeasureError as `shares`."""
    mean, low, high = (float(value) for value in mean_interval(shares(table, arrays)))
    return mean, max(0.0, low), min(1.0, high)


def mce(table: pd.DataFrame, baseline: pd.DataFrame) -> float:
    """Mean corruption error [%] against a baseline net, which is to be named with it: 100 is as good as the baseline, less is better.

    Raises MeasureError if a cell is missing, if the two were not measured on the same images, or the baseline makes no error.
    Source: Hendrycks and Dietterich 2019, section 4.1.
    """
    same = ["source", "table", "images", "seed"]
    if not (whole(table) and whole(baseline)):
        raise MeasureError("mCE takes all 15 kinds at all 5 severities, of the net and of its baseline.")
    if not table[same].drop_duplicates().reset_index(drop=True).equals(baseline[same].drop_duplicates().reset_index(drop=True)):
        raise MeasureError("The net and its baseline were not measured on the same images; mCE compares errors on the same ones.")
    errors = [(1 - rows[~rows["extra"]].groupby("kind")["accuracy"].mean()).loc[counted()] for rows in (table, baseline)]
    if (errors[1] <= 0).any():
        raise MeasureError(f"The baseline makes no error at {KINDS[str(errors[1].idxmin())].title.lower()}; a ratio to it does not exist.")
    return float(100 * (errors[0] / errors[1]).mean())


def takeaway(found: Mapping[str, Any]) -> str:
    """Which net holds up best and what costs it most; of one net its mean.  "" as long as no net has all its cells.

    `found` holds by net what was measured, with `table` and `arrays`.  Nets that saw other images are left out of the comparison.
    """
    ready = {net: one for net, one in found.items() if whole(one.table)}
    if not ready:
        return ""
    each = {net: shares(one.table, one.arrays) for net, one in ready.items()}
    best = max(each, key=lambda net: each[net].mean())
    rows = means(ready[best].table)
    rows = rows[~rows["extra"]]
    worst = rows.loc[rows["change"].idxmin()]
    costs = f"{KINDS[worst['kind']].title.lower()} costs it most ({words.plain(worst['change'], 1)} points)"
    mean, low, high = mean_accuracy(ready[best].table, ready[best].arrays)
    over = "over 15 corruptions at 5 severities"
    near = {net: own for net, own in each.items() if net != best and _same(ready[net].arrays, ready[best].arrays)}
    if not near:
        return (
            f"{best} gets **{words.percent(mean)}** right {over} (95 % {words.plain(100 * low, 1)} to {words.plain(100 * high, 1)}), "
            f"{words.percent(float(ready[best].table['clean'].iloc[0]))} clean; {costs}."
        )
    second = max(near, key=lambda net: near[net].mean())
    more, low, high = (100 * float(value) for value in mean_interval(each[best] - near[second]))
    if low <= 0:
        return (
            f"It is **not clear** whether {best} ({words.percent(mean)}) or {second} ({words.percent(float(near[second].mean()))}) "
            f"holds up better {over}."
        )
    return (
        f"**{best}** holds up best: {words.percent(mean)} right {over}, **{words.plain(more, 1)} points** more than {second} "
        f"(95 % {words.plain(low, 1)} to {words.plain(high, 1)}); {costs}."
    )


def _same(one: Arrays, other: Arrays) -> bool:
    return np.array_equal(one["index"], other["index"]) and np.array_equal(one["label"], other["label"])


# ---- pictures


def by_severity(table: pd.DataFrame, theme: str = "light", *, net: str, show: str = "accuracy", **settings: Any) -> alt.LayerChart:
    """Kinds by severities for one net; what is not measured yet is an empty cell."""
    columns = [str(severity) for severity in SEVERITIES]
    return _grid(table.assign(net=net, column=table["severity"].astype(str)), columns, "severity", theme, show, **settings)


def by_net(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, severity: int = 3, show: str = "accuracy", **settings: Any
) -> alt.LayerChart:
    """Kinds by nets at one severity, or over all of them for EVERY; a net of which nothing is measured yet has an empty column.

    Raises MeasureError for a severity that does not exist.
    """
    if severity not in (EVERY, *SEVERITIES):
        raise unknown(MeasureError, "severity", severity, SEVERITIES)
    named = [table.assign(net=net, column=net) for net, table in found.items()]
    rows = pd.concat([table for table in named if len(table)] or named, ignore_index=True)
    if severity == EVERY and len(rows):
        by = ["kind", "group", "extra", "net", "column"]
        rows = rows.groupby(by, sort=False)[["accuracy", "change"]].mean().reset_index()
        rows = rows.assign(severity=EVERY, ci_low=np.nan, ci_high=np.nan, change_low=np.nan, change_high=np.nan)
    title = "mean over severities" if severity == EVERY else f"severity {severity}"
    return _grid(rows[rows["severity"] == severity], list(found), title, theme, show, **settings)


def lanes(extra: bool = True) -> dict[str, str]:
    """The rows from the top by their words, and the kind each is of: "" for a heading, `mean` for the mean."""
    found = {MEAN: "mean"}
    sections = {group.capitalize(): [kind for kind in counted() if KINDS[kind].group == group] for group in GROUPS}
    if extra:
        sections[EXTRA] = [kind for kind, about in KINDS.items() if about.extra]
    for heading, kinds in sections.items():
        found |= {heading: "", **{KINDS[kind].title: kind for kind in kinds}}
    return found


def _grid(
    cells: pd.DataFrame, columns: list[str], title: str, theme: str, show: str, *, extra: bool | None = None, select: bool = True,
    chosen: tuple[str, str] | None = None, width: int | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Every cell of lanes x columns; a click selects one (SELECTION), whose kind is `mean` in the row of means.

    `extra` says whether the extra kinds have rows; not given, they have where one of them is measured.  `chosen` is the kind and the
    column of the cell that is framed.
    """
    import altair as alt

    from core.analyses._pictures import layered

    if show not in SHOWN:
        raise unknown(MeasureError, "number to show", show, SHOWN)
    c, rows = tokens(theme), lanes(bool(cells["extra"].any()) if extra is None else extra)
    every = pd.DataFrame(
        [(lane, kind, column) for lane, kind in rows.items() if kind for column in columns], columns=["lane", "kind", "column"]
    )
    table = every.merge(_worded(cells, columns, show), how="left", on=["kind", "column"])
    headings = [lane for lane, kind in rows.items() if not kind]
    narrow = f"bandwidth('x') < {LETTER_PX * max(len(column) for column in columns):g}"
    strong = f"indexof({[MEAN, *headings]!r}, datum.value) >= 0"
    y = alt.Y("lane:N", sort=None, scale=alt.Scale(domain=list(rows), paddingInner=0.08), axis=alt.Axis(
        title=None, grid=False, labelAlign="left", labelPadding=150, labelLimit=300, labelColor=c["ink2"],
        labelFontWeight=alt.condition(strong, alt.value(600), alt.value("normal")),
    ))  # fmt: skip
    x = alt.X("column:N", sort=None, scale=alt.Scale(domain=columns, paddingInner=0.04), axis=alt.Axis(
        orient="top", labelAngle=0, title=f"{SHOWN[show]} · {title}", titleAnchor="end", labelFontSize=13, labelColor=c["ink"],
        labelPadding=alt.ExprRef(f"{narrow} ? 24 : 8"), labelOverlap=False,
        labelExpr=f"{narrow} ? {json.dumps(_lines(columns))}[datum.label] : datum.label",
    ))  # fmt: skip
    base = alt.Chart(table).encode(x=x, y=y)
    there = base.transform_filter("isValid(datum.ink)").encode(
        tooltip=[alt.Tooltip("net:N"), alt.Tooltip("lane:N", title="kind"), alt.Tooltip("at:N", title="severity"),
                 alt.Tooltip("said:N", title="accuracy"), alt.Tooltip("lowered:N", title="change, points")],
    )  # fmt: skip
    ink = alt.Color("ink:Q", scale=alt.Scale(domain=[0, 1], range=[c["bg"], c["ink"]], interpolate="rgb"), legend=None)
    edge = there.mark_rect(strokeWidth=1, stroke=c["line"]).encode(color=ink)
    if select:
        pick = alt.selection_point(name=SELECTION, fields=["kind", "severity", "net"], on="click", empty=False)
        edge = edge.add_params(pick)
    number = there.mark_text(fontSize=13).encode(
        text="text:N", color=alt.condition(f"datum.ink < {TURNS[theme]}", alt.value(c["ink"]), alt.value(c["bg"]))
    )
    empty = base.transform_filter("!isValid(datum.ink)").mark_rect(color=c["wash"], strokeWidth=0)
    layers = [empty, edge, number]
    if chosen is not None:
        framed = there.transform_filter((alt.datum.kind == chosen[0]) & (alt.datum.column == chosen[1]))
        # paper within ink: seen on cells of either
        layers += [framed.mark_rect(fill=None, stroke=c[token], strokeWidth=px) for token, px in (("ink", 5), ("bg", 2))]
    whole = layered(layers, "cells", alt.Step(ROW), width)
    whole.resolve = alt.Resolve(scale=alt.ScaleResolveMap(color="independent"))
    return whole


def _lines(columns: list[str]) -> dict[str, list[str]]:
    """Names of columns in two lines, for where they would not fit into one."""
    return {name: re.sub(r"(?<=-)|\s+", "\n", name, count=1).split("\n") for name in columns}


def _worded(cells: pd.DataFrame, columns: list[str], show: str) -> pd.DataFrame:
    """The cells with their words and their share of ink; and for each column that has all 15 kinds, the mean of them."""
    found = [cells]
    for column in columns:
        rows = cells[(cells["column"] == column) & ~cells["extra"]]
        if len(rows) == len(counted()):
            mean = {"kind": "mean", "column": column, **rows[["accuracy", "change"]].mean()}
            found.append(pd.DataFrame([{**mean, **rows[["net", "severity"]].iloc[0]}]))
    table = pd.concat(found, ignore_index=True)
    write = (lambda row: words.plain(100 * row.accuracy, 0)) if show == "accuracy" else (lambda row: words.signed(row.change, 0))
    rows = list(table.itertuples())
    return table.assign(
        ink=1 - table["accuracy"] if show == "accuracy" else (-table["change"] / 100).clip(0, 1),
        text=[write(row) for row in rows],
        said=[words.percent(row.accuracy) + _range(100 * row.ci_low, 100 * row.ci_high) for row in rows],
        lowered=[words.signed(row.change, 1) + _range(row.change_low, row.change_high) for row in rows],
        at=["mean of 1 to 5" if row.severity == EVERY else str(int(row.severity)) for row in rows],
    )[["kind", "column", "net", "severity", "at", "ink", "text", "said", "lowered"]]


def _range(low: float, high: float) -> str:
    """95 % limits in words; nothing for a mean, whose limits are not in the table."""
    return f" ({words.plain(low, 1)} to {words.plain(high, 1)})" if low == low else ""
