"""A picture of what units cost: bars that hang from the row of unit marks.  Altair is imported inside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from core.analyses._pictures import SELECTION, _heading, domain
from core.chart import kind_token, tokens, unit_marks, y_title

if TYPE_CHECKING:
    import altair as alt

#: px between the zero line and the middle of the marks above it
_ABOVE = 20


def bars(
    table: pd.DataFrame,
    *,
    title: str = "change of accuracy, points",
    theme: str = "light",
    heading: str = "",
    family: str = "ref",
    focus: str = "",
    off: Sequence[str] = (),
    scale: list[float] | None = None,
    width: int | None = None,
    height: int = 230,
    side: int = 13,
    select: bool = True,
) -> "alt.LayerChart":
    """One bar a unit from the zero line, in the unit's colour, with its 95 % whisker; stages are tinted bands.

    `table`: unit, position, stage, kind, form, resampling, change, ci_low, ci_high, name.  Bars of resampling units are outlines, as
    their marks are hatched.  Units in `off` are crossed out; the one in `focus` is ringed and its change written under its bar.  With
    `select`, clicking a unit selects it (SELECTION).
    """
    import altair as alt

    c = tokens(theme)
    y_range = scale or domain(pd.concat([table["ci_low"], table["ci_high"], table["change"], pd.Series([0.0])]), 0.1)
    top = y_range[1] + (y_range[1] - y_range[0]) * (_ABOVE + side) / height
    text = [f"{row.change:+.1f} ({row.ci_low:+.1f} to {row.ci_high:+.1f})".replace("-", "−") for row in table.itertuples()]
    table = table.assign(x=table["position"].astype(float), x0=table["position"] - 0.3, x1=table["position"] + 0.3, zero=0.0, said=text)
    table = table.assign(far=table[["ci_low", "change", "zero"]].min(axis=1))
    x_scale = alt.Scale(domain=[table["x"].min() - 0.8, table["x"].max() + 0.8], nice=False)
    y_scale = alt.Scale(domain=[y_range[0], top], nice=False, zero=False)
    tips = [alt.Tooltip("name:N", title="unit"), alt.Tooltip("said:N", title=title)]
    below = f"datum.value > {y_range[1]} ? '' : datum.label"  # beside the marks no label: no bar reaches there
    y = alt.Y("change:Q", scale=y_scale, axis=alt.Axis(labelExpr=below, **y_title(title)))
    base = alt.Chart(table).encode(x=alt.X("x:Q", scale=x_scale, axis=None), y=y, tooltip=tips)
    layers: list[alt.Chart] = []
    stages = table.groupby("stage")["x"].agg(["min", "max"]).reset_index()
    if len(stages) > 1:
        bands = stages.assign(x0=stages["min"] - 0.46, x1=stages["max"] + 0.46, middle=(stages["min"] + stages["max"]) / 2)
        band = alt.Chart(bands)
        tint = band.mark_rect(color=c["wash"], opacity=0.55, cornerRadius=4)
        layers.append(tint.encode(x=alt.X("x0:Q", scale=x_scale, axis=None), x2=alt.X2("x1")))
        number = band.mark_text(color=c["muted"], fontSize=12, baseline="bottom")
        layers.append(number.encode(x=alt.X("middle:Q", scale=x_scale, axis=None), y=alt.YValue(height - 4), text=alt.Text("stage:N")))
    zero = alt.Chart(pd.DataFrame({"y": [0.0]}))
    layers.append(zero.mark_rule(color=c["faint"], strokeWidth=1.4).encode(y=alt.Y("y:Q", scale=y_scale)))
    kinds = list(dict.fromkeys(table["kind"]))
    colour = alt.Scale(domain=kinds, range=[c["ink2"] if kind == "several" else c[kind_token(kind)] for kind in kinds])
    bar = base.mark_bar(cornerRadius=2, strokeWidth=1.4).encode(
        x=alt.X("x0:Q", scale=x_scale, axis=None), x2=alt.X2("x1"), y2=alt.Y2("zero"),
        stroke=alt.Stroke("kind:N", scale=colour, legend=None),
        fill=alt.condition("datum.resampling", alt.value(c["bg"]), alt.Color("kind:N", scale=colour, legend=None)),
    )  # fmt: skip
    pick = alt.selection_point(name=SELECTION, fields=["unit"], on="click", empty=False)
    layers.append(bar.add_params(pick) if select else bar)
    layers.append(base.mark_rule(strokeWidth=1.5, color=c["ink2"]).encode(y=alt.Y("ci_low:Q", scale=y_scale), y2=alt.Y2("ci_high")))
    row = base.encode(y=alt.YDatum(y_range[1], scale=y_scale)).transform_filter("datum.kind!='several'")
    layers += [layer.encode(yOffset=alt.YOffsetValue(-_ABOVE / 2)) for layer in unit_marks(row, theme, side=side, focus=focus)]
    if out := [unit for unit in table["unit"] if unit in set(off)]:
        cross = row.transform_filter(alt.FieldOneOfPredicate("unit", out)).mark_point(
            shape="M-.6,-.6L.6,.6M-.6,.6L.6,-.6", size=(2 * side) ** 2, strokeWidth=2.4, filled=False, opacity=1, stroke=c["ink"],
        )  # fmt: skip
        layers.append(cross.encode(yOffset=alt.YOffsetValue(-_ABOVE / 2)))
    if focus in set(table["unit"]):
        note = base.transform_filter(f"datum.unit=='{focus}'").encode(
            y=alt.Y("far:Q", scale=y_scale), text=alt.Text("change:Q", format="+.1f")
        )
        layers.append(note.mark_text(baseline="top", dy=5, fontWeight=600, fontSize=13, color=c["ink"]))
    if heading:
        layers += _heading(heading, family, c)
    return alt.layer(*layers, height=height, width=width or alt.Undefined)
