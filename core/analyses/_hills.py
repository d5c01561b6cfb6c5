"""Pictures of a loss surface: over single directions, as height lines, and between two nets.  Altair is imported inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.chart import family_token, tokens, x_title, y_title
from core.errors import MeasureError, unknown

if TYPE_CHECKING:
    import altair as alt

#: What a height is made of: its title.  `sum` has the L2 part as in the paper's figure.
PARTS = {"nll": "Loss", "l2_norm": "L2 part, λ·Σ‖w‖", "l2_half": "L2 part, λ/2·Σ‖w‖²", "sum": "Loss and L2 part"}


def height(table: pd.DataFrame, part: str = "nll") -> pd.Series:
    """The heights of a part, NaN where the point diverged.  Raises MeasureError for an unknown part."""
    if part not in PARTS:
        raise unknown(MeasureError, "part of the loss", part, PARTS)
    values = table["nll"] + table["l2_norm"] if part == "sum" else table[part]
    return values.where(~table["diverged"])


def grid(table: pd.DataFrame, plane: int = 0, part: str = "nll") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, z): both axes and the heights (len(y), len(x)) of a plane; NaN where a point diverged or is not measured yet."""
    rows = table[table["plane"] == plane]
    wide = rows.assign(z=height(rows, part)).pivot(index="y", columns="x", values="z")
    return wide.columns.to_numpy(dtype=float), wide.index.to_numpy(dtype=float), wide.to_numpy(dtype=float)


def along(table: pd.DataFrame, part: str = "nll") -> pd.DataFrame:
    """Heights on the axes of all planes: direction (`1x`, `1y`, `2x`, …), step, value, diverged; in the order of steps."""
    rows = table.assign(value=height(table, part))
    lines = []
    for axis, other in (("x", "y"), ("y", "x")):
        on = rows[rows[other] == 0]
        lines.append(on.assign(direction=(on["plane"] + 1).astype(str) + axis, step=on[axis]))
    return pd.concat(lines)[["direction", "step", "value", "diverged"]].sort_values(["direction", "step"], ignore_index=True)


def spread(table: pd.DataFrame, part: str = "nll") -> pd.DataFrame:
    """At each step the mean over directions and the range that holds 95 % of them: step, mean, low, high, directions, diverged.

    Only steps that all directions have been measured at; diverged ones are counted, not averaged.
    """
    lines = along(table, part)
    directions, rows = lines["direction"].nunique(), []
    for step, group in lines.groupby("step"):
        finite = group["value"].dropna()
        if len(group) == directions and len(finite):
            low, high = np.quantile(finite, [0.025, 0.975])
            rows.append((float(step), float(finite.mean()), low, high, len(finite), int(group["diverged"].sum())))
    return pd.DataFrame(rows, columns=["step", "mean", "low", "high", "directions", "diverged"])


def heights(tables: Sequence[pd.DataFrame], part: str = "nll", lines: bool = False) -> list[float]:
    """[lowest, highest] finite height of several nets, so that their pictures share a scale; `lines`: on the axes alone."""
    values = pd.concat([along(table, part)["value"] if lines else height(table, part) for table in tables]).dropna()
    return [float(values.min()), float(values.max())] if len(values) else [0.0, 1.0]


def levels(tables: Sequence[pd.DataFrame], part: str = "nll", log: bool = False, n: int = 8) -> list[float]:
    """About n round heights between the lowest and the highest of several nets; `log`: with equal ratios between them."""
    low, high = heights(tables, part)
    if log and low > 0:
        found = np.geomspace(low, high, n + 2)[1:-1]
        return sorted({float(f"{value:.2g}") for value in found})
    wide = (high - low) / n or 1.0
    power = 10.0 ** np.floor(np.log10(wide))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= wide * 0.999)
    return [float(round(value, 10)) for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


# ---- charts


def chart(table: pd.DataFrame, theme: str = "light", **settings: Any) -> alt.LayerChart:
    """The loss over single directions, or between two nets."""
    flat = (table["y"] == 0).all() and (table["x"] >= 0).all()
    return (chart_line if flat else chart_lines)(table, theme, **settings)


def chart_lines(
    table: pd.DataFrame, theme: str = "light", *, part: str = "nll", log: bool = False, scale: list[float] | None = None,
    ticks: bool = True, family: str = "conv", net: str = "", width: int | None = None, height: int = 170,
) -> alt.LayerChart:  # fmt: skip
    """Height over the step along each direction: their mean, the range of 95 % of them, thin lines for each; ○ the trained weights.

    `scale` is the range of heights that panels side by side share, `ticks` whether this one names them.  × at a step where a
    direction diverged.
    """
    import altair as alt

    c = tokens(theme)
    colour = c[family_token(family)]
    lines, band = along(table, part), spread(table, part)
    x = alt.X("step:Q", axis=alt.Axis(tickCount=5, format="~g", **x_title("step along the direction")))
    y_scale = _scale(scale or heights([table], part, lines=True), log)
    axis = alt.Axis(**y_title(f"{PARTS[part]} along the direction"), tickCount=3) if ticks else _bare()
    y = alt.Y("mean:Q", scale=y_scale, axis=axis)
    tips = [alt.Tooltip("step:Q", format=".2f"), alt.Tooltip("mean:Q", title=PARTS[part], format=".3~f"),
            alt.Tooltip("low:Q", title="95 % from", format=".3~f"), alt.Tooltip("high:Q", title="to", format=".3~f"),
            alt.Tooltip("directions:Q"), alt.Tooltip("diverged:Q")]  # fmt: skip
    base = alt.Chart(band).encode(x=x)
    layers = [
        base.mark_area(color=colour, fillOpacity=0.15, opacity=1).encode(y=alt.Y("low:Q", scale=y_scale, axis=axis), y2="high:Q"),
        alt.Chart(lines[lines["value"].notna()]).mark_line(strokeWidth=1.2, color=colour, opacity=0.35)
        .encode(x=x, y=alt.Y("value:Q", scale=y_scale, axis=axis), detail="direction:N"),
        base.mark_line(strokeWidth=3, color=colour).encode(y=y, tooltip=tips),
        _centre(band[band["step"] == 0], c).encode(x=x, y=y),
    ]  # fmt: skip
    if lines["diverged"].any():
        gone = alt.Chart(lines[lines["diverged"]]).encode(x=x, y=alt.YValue(4), tooltip=alt.TooltipValue("a direction diverged here"))
        layers.append(gone.mark_point(shape=CROSS, size=60, stroke=c["ink2"], strokeWidth=1.4, filled=False))
    return alt.layer(*layers, *_heading(net, family, c), height=height, width=width or alt.Undefined)


#: × as a Vega path.
CROSS = "M-.6,-.6L.6,.6M-.6,.6L.6,-.6"


def chart_contour(
    table: pd.DataFrame, theme: str = "light", *, part: str = "nll", log: bool = False, plane: int = 0,
    at: Sequence[float] = (), ticks: bool = True, family: str = "conv", net: str = "", width: int | None = None, height: int = 260,
) -> alt.LayerChart:  # fmt: skip
    """Height lines of a plane at the levels `at` (several nets: `levels`), each with its number; ○ the trained weights, × diverged."""
    import altair as alt
    import contourpy

    c = tokens(theme)
    colour = c[family_token(family)]
    x, y, z = grid(table, plane, part)
    at = list(at) or levels([table], part, log)
    pieces, tags, reach = [], [], float(np.abs(x).max())
    if min(z.shape) > 1:
        generator = contourpy.contour_generator(x, y, np.ma.masked_invalid(z))
        for i, level in enumerate(at):
            drawn = [line for line in generator.lines(level) if len(line) > 2]
            for k, line in enumerate(drawn):
                pieces.append(pd.DataFrame(line, columns=["x", "y"]).assign(piece=f"{i}-{k}", order=range(len(line)), level=level))
            if drawn:
                longest, turn = max(drawn, key=len), np.deg2rad(80 - 24 * i)  # numbers of neighbouring lines stand apart
                inner = longest[np.abs(longest).max(1) <= 0.93 * reach] if (np.abs(longest).max(1) <= 0.93 * reach).any() else longest
                tags.append((*inner[np.argmax(inner @ [np.cos(turn), np.sin(turn)])], f"{level:g}"))
    sides = alt.Scale(domain=[-reach * 1.02, reach * 1.02], nice=False)
    ex = alt.X("x:Q", scale=sides, axis=alt.Axis(tickCount=5, format="~g", **x_title("step in direction x")))
    ey = alt.Y("y:Q", scale=sides, axis=alt.Axis(tickCount=5, format="~g", **y_title("Step in direction y")) if ticks else _bare())
    measured = table[table["plane"] == plane]
    layers: list[Any] = []
    if pieces:
        strong = alt.Opacity("level:Q", scale=alt.Scale(domain=[min(at), max(at)], range=[1, 0.45]), legend=None)
        lines = alt.Chart(pd.concat(pieces)).mark_line(strokeWidth=1.6, color=colour)
        tip = [alt.Tooltip("level:Q", title=PARTS[part])]
        layers.append(lines.encode(x=ex, y=ey, detail="piece:N", order="order:O", opacity=strong, tooltip=tip))
        tag = alt.Chart(pd.DataFrame(tags, columns=["x", "y", "text"])).encode(x=ex, y=ey, text="text:N")
        layers += [tag.mark_text(fontSize=12, stroke=c["bg"], strokeWidth=4), tag.mark_text(fontSize=12, color=c["ink2"])]
    gone = alt.Chart(measured[measured["diverged"]]).mark_point(shape=CROSS, size=40, stroke=c["ink2"], strokeWidth=1.3, filled=False)
    layers.append(gone.encode(x=ex, y=ey, tooltip=alt.TooltipValue("diverged")))
    layers.append(_centre(measured[(measured["x"] == 0) & (measured["y"] == 0)], c).encode(x=ex, y=ey))
    return alt.layer(*layers, *_heading(net, family, c), height=height, width=width or alt.Undefined)


def chart_line(
    table: pd.DataFrame, theme: str = "light", *, part: str = "nll", log: bool = False, scale: list[float] | None = None,
    ticks: bool = True, family: str = "conv", net: str = "", start: str = "from", end: str = "to", width: int | None = None,
    height: int = 230,
) -> alt.LayerChart:  # fmt: skip
    """The loss straight from one net to another; dashed, the line that a barrier is measured from; × diverged."""
    import altair as alt

    c = tokens(theme)
    colour = c[family_token(family)]
    rows = along(table, part)
    rows = rows[rows["direction"] == "1x"]
    finite = rows.dropna(subset=["value"])
    y_scale = _scale(scale or heights([table], part), log)
    x = alt.X("step:Q", scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format="~g", **x_title(f"share of the way, {start} to {end}")))  # fmt: skip
    y = alt.Y("value:Q", scale=y_scale, axis=alt.Axis(**y_title(PARTS[part]), tickCount=4) if ticks else _bare())
    tips = [alt.Tooltip("step:Q", title="share of the way", format=".2f"), alt.Tooltip("value:Q", title=PARTS[part], format=".3~f")]
    base = alt.Chart(finite).encode(x=x, y=y)
    ends = alt.Chart(finite[finite["step"].isin([0.0, 1.0])]).encode(x=x, y=y)
    layers = [
        ends.mark_line(strokeWidth=2.2, strokeDash=[5, 4], color=c["ref"]),
        base.mark_line(strokeWidth=3, color=colour).encode(tooltip=tips),
        ends.mark_point(size=110, filled=True, fill=c["bg"], stroke=c["ink"], strokeWidth=2.4).encode(tooltip=tips),
    ]
    if rows["diverged"].any():
        gone = alt.Chart(rows[rows["diverged"]]).mark_point(shape=CROSS, size=60, stroke=c["ink2"], strokeWidth=1.4, filled=False)
        layers.append(gone.encode(x=x, y=alt.YValue(4), tooltip=alt.TooltipValue("diverged")))
    return alt.layer(*layers, *_heading(net, family, c), height=height, width=width or alt.Undefined)


def _centre(rows: pd.DataFrame, c: dict[str, str]) -> alt.Chart:
    import altair as alt

    return alt.Chart(rows.head(1)).mark_point(size=110, filled=True, fill=c["bg"], stroke=c["ink"], strokeWidth=2.4, opacity=1)


def _scale(ends: Sequence[float], log: bool) -> alt.Scale:
    import altair as alt

    low, high = ends
    if log and low > 0:
        return alt.Scale(type="log", domain=[low / 1.1, high * 1.1], nice=False)
    room = 0.04 * ((high - low) or 1.0)
    return alt.Scale(domain=[min(0.0, low - room) if low < (high - low) else low - room, high + room], nice=False, zero=False)


def _bare() -> alt.Axis:
    """No title, and ticks only where a narrow screen stacks the panels."""
    import altair as alt

    return alt.Axis(title=None, tickCount=3, labelExpr="windowSize()[0] < 640 ? datum.label : ''")


def _heading(net: str, family: str, c: dict[str, str]) -> list[Any]:
    from core.analyses._pictures import _heading as drawn

    return drawn(net, family, c) if net else []
