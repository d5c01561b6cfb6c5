"""Learning curves: a number over epochs for one run, its other seeds as thin lines, a stored run as a dashed ghost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from core.chart import family_token, tokens, x_title, y_title


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run's history rows under its name; `role` is own (thick, with its last value), seed (thin) or ghost (dashed)."""

    name: str
    family: str
    role: str
    rows: Sequence[dict[str, Any]]


def table(curves: Sequence[Curve]) -> pd.DataFrame:
    """All rows of all curves: net, role and the history's columns."""
    rows = [{"net": curve.name, "role": curve.role, **row} for curve in curves for row in curve.rows]
    return pd.DataFrame(rows)


def draw(
    curves: Sequence[Curve],
    column: str,
    *,
    title: str,
    unit: str,
    epochs: int,
    theme: str = "light",
    factor: float = 1.0,
    pattern: str = ".2f",
    suffix: str = "",
    above: bool = True,
    width: int | None = None,
    height: int = 220,
) -> alt.LayerChart:
    """`factor` times `column` over epochs, up to `epochs`; the last value of the running curve stands at its end."""
    c = tokens(theme)
    data = table(curves)
    data = data.assign(value=pd.to_numeric(data[column], errors="coerce") * factor).dropna(subset=["value"])
    ghosted = (data["role"] == "ghost").any()
    low, high = float(data["value"].min()), float(data["value"].max())
    # one epoch, or two alike, should not look like a drama: the axis spans at least a tenth of the value
    pad = max(0.08 * (high - low), 0.05 * abs(high) - (high - low) / 2)
    # room at the right for the ghost's name; the ticks end where the epochs do
    x_scale = alt.Scale(domain=[0, max(epochs, 1) * (1.3 if ghosted else 1.12)], nice=False)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if epochs <= 5 * s)
    ticks = list(range(0, epochs + 1, step))
    x = alt.X("epoch:Q", scale=x_scale, axis=alt.Axis(values=ticks, tickCount=20, format="d", labelOverlap=False, **x_title("epoch")))
    y = alt.Y("value:Q", scale=alt.Scale(domain=[low - pad, high + pad], nice=True, zero=False), axis=alt.Axis(**y_title(unit)))
    tips = [alt.Tooltip("net:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", title=title, format=pattern)]
    base = alt.Chart(data).encode(x=x, y=y, detail="net:N", tooltip=tips)
    own = next((curve for curve in curves if curve.role == "own"), None)
    colour = c[family_token(own.family)] if own else c["ref"]
    layers = [
        base.transform_filter("datum.role=='ghost'").mark_line(strokeWidth=2.2, strokeDash=[5, 4], color=c["ref"]),
        base.transform_filter("datum.role=='seed'").mark_line(strokeWidth=1.2, color=colour, opacity=0.7),
        base.transform_filter("datum.role=='own'").mark_line(strokeWidth=3, color=colour),
    ]
    last = data.sort_values("epoch").groupby("net").tail(1)
    ends = alt.Chart(last).encode(x=x, y=y)
    layers.append(ends.transform_filter("datum.role!='ghost'").mark_point(size=80, filled=True, opacity=1, color=colour))
    layers.append(ends.transform_filter("datum.role=='ghost'").mark_point(size=30, filled=True, opacity=1, color=c["ref"]))
    layers.append(
        ends.transform_filter("datum.role=='ghost'").mark_text(align="left", dx=8, fontSize=12, color=c["muted"]).encode(text="net:N")
    )
    value = ends.transform_filter("datum.role=='own'").mark_text(
        align="left", dx=8, dy=-12 if above else 14, fontSize=13, fontWeight=600, color=c["ink"]
    )
    layers.append(value.transform_calculate(said=f"format(datum.value,'{pattern}')+'{suffix}'").encode(text="said:N"))
    head = alt.Chart(pd.DataFrame({"text": [title]})).mark_text(
        align="left", baseline="middle", fontSize=14, fontWeight=600, color=c["ink"]
    )
    layers.append(head.encode(x=alt.value(-34), y=alt.value(-41), text="text:N"))
    chart = alt.layer(*layers).properties(height=height)
    return chart.properties(width=width) if width else chart


def both(curves: Sequence[Curve], epochs: int, theme: str = "light", width: int | None = None) -> tuple[alt.LayerChart, alt.LayerChart]:
    """Test accuracy and training loss, side by side."""
    settings: dict[str, Any] = {"epochs": epochs, "theme": theme, "width": width}
    accuracy = draw(curves, "accuracy", title="Test accuracy", unit="%", factor=100, pattern=".1f", suffix=" %", **settings)
    loss = draw(curves, "train_loss", title="Training loss, as optimised", unit="NLL, training labels", above=False, **settings)
    return accuracy, loss
