"""Pictures that several analyses share: a number over depth, its change by kind of unit.  Altair is imported inside."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.chart import depth_line, family_shape, family_token, kind_token, tokens, unit_marks, x_title, y_title

if TYPE_CHECKING:
    import altair as alt

#: The selection that a click on a unit makes; its value is a list of {"unit": "s2u3"}.
SELECTION = "unit"


def domain(values: "pd.Series | np.ndarray", room: float = 0.08, below: float | None = None, log: bool = False) -> list[float]:
    """A y range over all finite values, with room at both ends, so that panels side by side share their axis.

    `below` is the room at the lower end, as a share of the range, where it should differ.  `log`: of a logarithmic axis, over what is
    above zero.
    """
    finite = np.asarray(values, dtype=float)
    if log:
        return [float(10**end) for end in domain(np.log10(finite[finite > 0]), room, below)]
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    span = (high - low) or 1.0
    return [low - (room if below is None else below) * span, high + room * span]


def layered(layers: "list[alt.Chart]", name: str, height: int, width: int | None = None) -> "alt.LayerChart":
    """Layers in one panel, which are this chart's from now on; what a click selects in one of them belongs to the whole.

    As `alt.layer`, which copies every layer three times: a third of the time of a chart.  `name` tells panels in a row apart.
    """
    import altair as alt

    whole = alt.LayerChart(height=height, width=width or alt.Undefined)
    for layer in layers:
        if layer.params is not alt.Undefined:
            layer.name = f"marks of {name}"
            whole.params = [alt.TopLevelSelectionParameter(name=p.name, select=p.select, views=[layer.name]) for p in layer.params]
            layer.params = alt.Undefined
    whole.layer = layers
    return whole


def _once() -> "alt.Chart":
    """A chart of one row without values, for words and lines that stand in no table."""
    import altair as alt

    return alt.Chart(alt.sequence(1))


def over_depth(
    table: pd.DataFrame,
    *,
    title: str,
    theme: str = "light",
    heading: str = "",
    family: str = "",
    focus: str = "",
    note: str = "",
    scale: list[float] | None = None,
    ticks: bool = True,
    width: int | None = None,
    height: int = 230,
    side: int = 13,
    select: bool = True,
    log: bool = False,
) -> "alt.LayerChart":
    """One net's units at their depth, joined by lines; the stem is a plain dot, stages are tinted bands.

    `table` has one row a unit: unit, kind, form, stage, depth, resampling, value, low, high, name.  `note` stands
    under the focused unit.  With `select`, clicking a unit selects it (SELECTION).  `log`: equal ratios are equal steps.
    """
    import altair as alt

    c, y_range = tokens(theme), scale or domain(pd.concat([table["low"], table["high"], table["value"]]), log=log)
    x_scale, y_scale = alt.Scale(domain=[-0.04, 1.04], nice=False), alt.Scale(domain=y_range, nice=False, zero=False)
    if log:
        y_scale = alt.Scale(type="log", domain=y_range, nice=False)
    stages, side = _bands(table), _room(side, round(1 / _step(table)), 22)
    words = f"depth; 1–{len(stages)}: stages" if len(stages) > 1 else "depth, first to last unit"
    y_axis = _y_axis(title, ticks, _decades(y_range) if log else None)
    x = alt.X("depth:Q", scale=x_scale, axis=alt.Axis(values=[0, 0.5, 1], tickCount=9, format="~g", **x_title(words)))
    y = alt.Y("value:Q", scale=y_scale, axis=y_axis)
    tips = [alt.Tooltip("name:N", title="unit"), alt.Tooltip("value:Q", title=title, format=".3~g" if log else "+.2f")]
    base = alt.Chart(table).encode(x=x, y=y, tooltip=tips)
    layers: list[alt.Chart] = []
    if len(stages) > 1:
        band = alt.Chart(stages)
        layers.append(band.mark_rect(color=c["wash"], opacity=0.55, cornerRadius=4).encode(x=alt.X("x0:Q", scale=x_scale), x2=alt.X2("x1")))
        number = band.mark_text(color=c["muted"], fontSize=12, baseline="bottom").encode(
            x=alt.X("middle:Q"), y=alt.YValue(height - 4), text=alt.Text("stage:N")
        )
        layers.append(number)
    layers.append(depth_line(table, x="depth", y="value", theme=theme).encode(tooltip=alt.TooltipValue(None)))
    layers.append(base.mark_rule(strokeWidth=1.5, color=c["ink2"]).encode(y=alt.Y("low:Q"), y2=alt.Y2("high")))
    stem = base.transform_filter("datum.kind=='stem'")
    layers.append(stem.mark_point(size=36, filled=True, color=c["muted"], opacity=1))
    pick = alt.selection_point(name=SELECTION, fields=["unit"], on="click", empty=False)
    marks = unit_marks(base.transform_filter("datum.kind!='stem'"), theme, side=side, focus=focus)
    layers += [marks[0].add_params(pick) if select else marks[0], *marks[1:]]
    if note and focus:
        below = base.transform_filter(f"datum.unit=='{focus}'").mark_text(dy=side + 10, fontWeight=600, fontSize=13, color=c["ink"])
        layers.append(below.encode(text=alt.TextValue(note)))
    if heading:
        layers += _heading(heading, family, c)
    return layered(layers, heading, height, width)


def _y_axis(title: str, ticks: bool, values: list[float] | None = None) -> "alt.Axis":
    """Ticks and title on the first of several panels; the others show ticks only where a narrow screen stacks them."""
    import altair as alt

    given = {"values": values, "format": "~g"} if values else {}
    if ticks:
        return alt.Axis(**y_title(title), **given)
    return alt.Axis(title=None, labelExpr="windowSize()[0] < 640 ? datum.label : ''", **given)


def _decades(y_range: list[float]) -> list[float]:
    """Ticks of a logarithmic axis: 1, 10, 100; with 2 and 5 between where there would be fewer than three."""
    ends = range(int(np.floor(np.log10(y_range[0]))), int(np.ceil(np.log10(y_range[1]))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [float(f"{step}e{end}") for end in ends for step in steps if y_range[0] <= float(f"{step}e{end}") <= y_range[1]]
        if len(ticks) >= 3:
            return ticks
    return ticks


def _heading(text: str, family: str, c: dict[str, str], up: int = 42) -> "list[alt.Chart]":
    """The net's mark and name `up` px above the panel, left aligned with the y title."""
    import altair as alt

    one = _once()
    mark = one.mark_point(size=130, filled=True, opacity=1, color=c[family_token(family)], shape=family_shape(family), clip=False)
    rest = alt.ExprRef("width + 8")  # a longer name ends in an ellipsis
    name = one.mark_text(align="left", baseline="middle", fontSize=14, fontWeight=600, color=c["ink"], clip=False, limit=rest)
    return [
        mark.encode(x=alt.XValue(-26), y=alt.YValue(-up)),
        name.encode(x=alt.XValue(-12), y=alt.YValue(1 - up), text=alt.TextValue(text)),
    ]


def _room(side: int, units: int, most: int) -> int:
    """The side of a mark [px] when more than `most` units stand beside each other."""
    return min(side, max(5, round(side * most / max(units, 1))))


def _step(table: pd.DataFrame) -> float:
    """The least distance of two units on the depth axis."""
    return min((b - a for a, b in pairwise(sorted({0.0, *table["depth"]}))), default=1.0)


def _bands(table: pd.DataFrame) -> pd.DataFrame:
    """One row a stage with its extent on the depth axis, half a step wider than its units."""
    units = table[table["stage"] > 0]
    half = _step(units) / 2
    ends = units.groupby("stage")["depth"].agg(["min", "max"]).reset_index()
    return pd.DataFrame(
        {
            "stage": ends["stage"].astype(str),
            "x0": ends["min"] - half * 0.92,
            "x1": ends["max"] + half * 0.92,
            "middle": (ends["min"] + ends["max"]) / 2,
        }
    )


def strip(
    units: pd.DataFrame,
    means: pd.DataFrame,
    *,
    labels: dict[str, str],
    title: str,
    theme: str = "light",
    heading: str = "",
    ends: tuple[str, str] = ("lowers", "raises"),
    said: tuple[str, ...] = (),
    factors: bool = False,
    width: int | None = None,
) -> "alt.LayerChart":
    """Every unit's change as a pale mark, one row a kind, and under it the mean with its 95 % interval.

    `units`: kind, form, resampling, unit, change, name.  `means`: kind, units, mean, low, high.  `factors`: all of these are base-2
    logarithms of factors, and the axis shows the factors; `said` is then what stands beside the means.
    """
    import altair as alt

    c = tokens(theme)
    rows = {kind: i for i, kind in enumerate(means["kind"])}
    units = units[units["kind"].isin(list(rows))].copy()
    units["y"] = units["kind"].map(rows) + _spread(units)
    means = means.assign(
        y=means["kind"].map(rows) + 0.3,
        row=means["kind"].map(rows).astype(float),
        label=means["kind"].map(labels),
        text=list(said) or [_signed(value) for value in means["mean"]],
        near=means["low"].fillna(means["mean"]),
        far=means["high"].fillna(means["mean"]),
    )
    lowest = pd.concat([units["change"], means["low"], means["high"]])
    low, high = domain(pd.concat([lowest, pd.Series([0.0])]), 0.12)
    span = high - low
    x_scale, y_scale = (
        alt.Scale(domain=[low - 0.32 * span, high + 0.1 * span], nice=False),
        alt.Scale(domain=[-0.75, len(rows) - 0.45], reverse=True),
    )
    axis: dict[str, Any] = {"format": "~g", "tickCount": 4}
    if factors:
        steps = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0) if span > 1.6 else (0.6, 0.8, 1.0, 1.25, 1.6, 2.0)
        ticks = [float(np.log2(step)) for step in steps if low <= np.log2(step) <= high]
        axis = {"values": ticks, "labelExpr": "'×' + format(pow(2, datum.value), '.2~f')"}
    x = alt.X("change:Q", scale=x_scale, axis=alt.Axis(**axis, **x_title(title)))
    tip = alt.Tooltip("factor:N", title="out / in") if factors else alt.Tooltip("change:Q", format="+.3f")
    base = alt.Chart(units).encode(x=x, y=alt.Y("y:Q", scale=y_scale, axis=None), tooltip=[alt.Tooltip("name:N", title="unit"), tip])
    pale = [layer.encode(opacity=alt.OpacityValue(0.45)) for layer in unit_marks(base, theme, side=11)[:1]]
    zero = _once().mark_rule(color=c["faint"], strokeWidth=1.4).encode(x=alt.XDatum(0.0, scale=x_scale, type="quantitative"))
    mean = alt.Chart(means).encode(y=alt.Y("y:Q", scale=y_scale))
    bar = mean.transform_filter("isValid(datum.low)").mark_rule(color=c["ink"], strokeWidth=2).encode(x=alt.X("low:Q"), x2=alt.X2("high"))
    dot = mean.mark_point(size=70, filled=True, opacity=1, color=c["ink"]).encode(x=alt.X("mean:Q"))
    # the number stands on the side away from zero, where no line crosses it
    style = {"fontWeight": 600, "fontSize": 13, "color": c["ink"]}
    number = mean.encode(text=alt.Text("text:N"))
    left = number.transform_filter("datum.mean < 0").mark_text(align="right", dx=-8, **style).encode(x=alt.X("near:Q"))
    right = number.transform_filter("datum.mean >= 0").mark_text(align="left", dx=8, **style).encode(x=alt.X("far:Q"))
    kind = alt.Chart(means).mark_text(align="left", fontWeight=600, fontSize=13, color=c["ink"])
    kind = kind.encode(x=alt.XValue(0), y=alt.Y("row:Q", scale=y_scale), text=alt.Text("label:N"))
    layers = [zero, *pale, bar, dot, left, right, kind]
    height = 30 + 66 * max(len(rows), 1)
    for text, align, place in ((ends[0], "left", alt.XValue(0)), (ends[1], "right", alt.XValue("width"))):
        corner = _once().mark_text(align=align, fontSize=12, color=c["muted"], clip=False)
        layers.append(corner.encode(x=place, y=alt.YValue(-14), text=alt.TextValue(text)))
    if heading:
        head = _once().mark_text(align="left", baseline="middle", fontSize=14, fontWeight=600, color=c["ink"])
        layers.append(head.encode(x=alt.XValue(0), y=alt.YValue(-41), text=alt.TextValue(heading)))
    return layered(layers, heading, height, width)


def _signed(value: float) -> str:
    from core.words import signed

    return signed(value)


def _spread(units: pd.DataFrame) -> pd.Series:
    """Small vertical offsets that keep neighbours apart: 0, up, down, in the order of their change."""
    order = units.groupby("kind")["change"].rank(method="first").fillna(0).astype(int)
    return order.mod(3).map({0: 0.0, 1: -0.14, 2: 0.14}).astype(float)


def spectrum(
    table: pd.DataFrame,
    focus: str,
    *,
    value: str,
    title: str,
    theme: str = "light",
    scale: list[float] | None = None,
    heading: str = "",
    family: str = "",
    ticks: bool = True,
    width: int | None = None,
    height: int = 230,
) -> "alt.LayerChart":
    """Lines over frequency, one a unit.  With a focused unit: its own line thick with its band, the one going in dashed.

    `table`: unit, position, kind, frequency, ci_low, ci_high, top, name and the column `value`.
    """
    import altair as alt

    c = tokens(theme)
    y_range = scale or domain(table[value])
    pi = "datum.value == 0 ? '0' : datum.value == 1 ? 'π' : format(datum.value, '~g') + 'π'"
    x_axis = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], tickCount=9, labelExpr=pi, labelOverlap=False, **x_title("frequency"))
    x = alt.X("frequency:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=x_axis)
    y_axis = _y_axis(title, ticks)
    y = alt.Y(f"{value}:Q", scale=alt.Scale(domain=y_range, nice=False, zero=False), axis=y_axis)
    tips = [
        alt.Tooltip("name:N", title="unit"),
        alt.Tooltip("frequency:Q", title="frequency [π]", format=".3f"),
        alt.Tooltip(f"{value}:Q", format="+.2f"),
    ]
    base = alt.Chart(table).encode(x=x, y=y, detail=alt.Detail("unit:N"), tooltip=tips)
    layers: list[alt.Chart] = []
    if not focus:
        last = int(table["position"].max()) or 1
        deep = alt.Opacity("position:Q", scale=alt.Scale(domain=[0, last], range=[0.25, 1]), legend=None)
        kinds = [k for k in ("conv", "msa", "mix", "mlp", "pool", "merge", "block") if (table["kind"] == k).any()]
        colour = alt.Color(
            "kind:N", scale=alt.Scale(domain=["stem", *kinds], range=[c["muted"], *(c[kind_token(k)] for k in kinds)]), legend=None
        )
        layers.append(base.mark_line(strokeWidth=2).encode(color=colour, opacity=deep))
    else:
        layers.append(base.mark_line(strokeWidth=1.2, color=c["faint"], opacity=0.55))
        row = table[table["unit"] == focus].iloc[0]
        own = c["muted"] if row["kind"] == "stem" else c[kind_token(row["kind"])]
        out, into = table[table["unit"] == focus], table[table["position"] == row["position"] - 1]
        band = alt.Chart(out).mark_area(color=own, opacity=0.15).encode(x=x, y=alt.Y("ci_low:Q"), y2=alt.Y2("ci_high"))
        layers.append(band)
        gap = 0.0
        if len(into):
            gap = float(out[value].iloc[-1] - into[value].iloc[-1])
            layers.append(alt.Chart(into).encode(x=x, y=y, tooltip=tips).mark_line(strokeWidth=2.2, strokeDash=[5, 4], color=c["ink2"]))
            layers.append(_end(into, value, "going in", x, y, c, 1 if gap >= 0 else -1, False))
        layers.append(alt.Chart(out).encode(x=x, y=y, tooltip=tips).mark_line(strokeWidth=3, color=own))
        layers.append(_end(out, value, "coming out", x, y, c, -1 if gap >= 0 else 1, True))
    if heading:
        layers += _heading(heading, family, c)
    return layered(layers, heading, height, width)


def _end(rows: pd.DataFrame, value: str, text: str, x: "alt.X", y: "alt.Y", c: dict[str, str], up: int, bold: bool) -> "alt.Chart":
    import altair as alt

    last = alt.Chart(rows[rows["top"]]).encode(x=x, y=y)
    return last.mark_text(
        align="left", dx=8, dy=7 * up, fontSize=13, fontWeight=600 if bold else 400, color=c["ink"] if bold else c["muted"], clip=False
    ).encode(text=alt.TextValue(text))


def pairs(
    table: pd.DataFrame,
    *,
    value: str,
    title: str,
    theme: str = "light",
    across: str = "",
    down: str = "",
    heading: str = "",
    family: str = "",
    focus: str = "",
    chosen: tuple[str, str] | None = None,
    width: int | None = None,
    height: int = 420,
) -> "alt.LayerChart":
    """Every pair of units as a cell from paper (0) to ink (1), stages parted by a gap, unit marks along both sides.

    `table`: the columns of HEAD for rows, the same with `with_` for columns, row_name, column_name and the column `value`.
    Rows run down as depth does.  A click selects a pair: SELECTION holds unit and with_unit.  A focused unit is ringed on its row, the
    `chosen` pair has a frame.
    """
    import altair as alt

    c = tokens(theme)
    rows, columns = _places(table, ""), _places(table, "with_")
    table = table.assign(
        y0=table["unit"].map(rows["at"]), y1=table["unit"].map(rows["at"]) + 1, x0=table["with_unit"].map(columns["at"]),
        x1=table["with_unit"].map(columns["at"]) + 1, said=[f"{v:.2f}" if pd.notna(v) else "none" for v in table[value]],
    )  # fmt: skip
    x_scale = alt.Scale(domain=[-1.6, columns["at"].max() + 1.2], nice=False)
    y_scale = alt.Scale(domain=[-1.6, rows["at"].max() + 1.2], nice=False, reverse=True)
    x, y = alt.X("x0:Q", scale=x_scale, axis=None), alt.Y("y0:Q", scale=y_scale, axis=None)
    tips = [
        alt.Tooltip("row_name:N", title=down or "row"),
        alt.Tooltip("column_name:N", title=across or "column"),
        alt.Tooltip("said:N", title=title),
    ]
    shade = alt.Color(f"{value}:Q", scale=alt.Scale(domain=[0, 1], range=[c["wash"], c["ink"]], clamp=True), legend=None)
    pick = alt.selection_point(name=SELECTION, fields=["unit", "with_unit"], on="click", empty=False)
    cell = alt.Chart(table).mark_rect(stroke=c["bg"], strokeWidth=0.6, cursor="pointer")
    cell = cell.encode(x=x, x2="x1", y=y, y2="y1", color=shade, tooltip=tips).add_params(pick)
    layers: list[alt.Chart] = [cell]
    if chosen:  # paper round ink: seen on cells of any shade
        frame = alt.Chart(table[(table["unit"] == chosen[0]) & (table["with_unit"] == chosen[1])]).encode(x=x, x2="x1", y=y, y2="y1")
        layers += [frame.mark_rect(filled=False, stroke=c[token], strokeWidth=wide) for token, wide in (("bg", 5.5), ("ink", 2.2))]
    for places, one, other in ((rows, "y", "x"), (columns, "x", "y")):
        marks = places.reset_index().assign(middle=places["at"].to_numpy() + 0.5, edge=-0.75, name="")
        scales = {"x": x_scale, "y": y_scale}
        base = alt.Chart(marks[marks["kind"] != "stem"]).encode(
            **{one: (alt.X if one == "x" else alt.Y)("middle:Q", scale=scales[one], axis=None),
               other: (alt.X if other == "x" else alt.Y)("edge:Q", scale=scales[other], axis=None)},
        )  # fmt: skip
        layers += unit_marks(base, theme, side=_room(9, len(marks), 24), focus=focus if one == "y" else "")
    words = [
        {"text": f"columns: {across}" if across != down else "", "x": 0.0, "align": "left"},
        {"text": f"rows: {down}" if across != down else "", "x": float(columns["at"].max() + 1), "align": "right"},
    ]
    for one in words:
        if one["text"]:
            label = _once().mark_text(align=one["align"], fontSize=12, color=c["muted"], clip=False)
            place = alt.XDatum(one["x"], scale=x_scale, type="quantitative", axis=None)
            layers.append(label.encode(x=place, y=alt.YValue(-10), text=alt.TextValue(one["text"])))
    if heading:
        layers += _heading(heading, family, c, up=14)
    return layered(layers, heading, height, width)


def _places(table: pd.DataFrame, side: str) -> pd.DataFrame:
    """Where each unit of a side stands, by its id: one step a unit and a gap of 0.35 between stages; and how it is drawn."""
    heads = table[[f"{side}{name}" for name in ("unit", "position", "stage", "kind", "form", "resampling")]]
    heads = heads.rename(columns=lambda column: column.removeprefix(side)).drop_duplicates("unit").sort_values("position")
    gaps = (heads["stage"].diff().fillna(0) != 0).cumsum() * 0.35
    return heads.assign(at=heads["position"].astype(float) + gaps).set_index("unit")
