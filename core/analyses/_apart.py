"""Pictures of two nets and what lies between them: a number by name for several nets, and a difference with its 95 % interval.

Altair is imported inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.analyses._bands_drawn import LETTER_PX, colour, shape
from core.analyses._pictures import domain, layered
from core.chart import tokens, unit_marks, x_title, y_title

if TYPE_CHECKING:
    import altair as alt

#: Height of a row in px, and how far apart in it the marks of nets stand, as a share of it.
ROW, APART = 26, 0.24


def _range(table: pd.DataFrame, ratio: bool, none: bool = True) -> list[float]:
    """A range over values and limits; with `none`, no difference is within it."""
    ends = pd.concat([table["value"], table["low"], table["high"], pd.Series([1.0 if ratio else 0.0] if none else [])])
    return domain(ends, log=ratio)


def _scale(ends: Sequence[float], ratio: bool) -> alt.Scale:
    import altair as alt

    return alt.Scale(type="log", domain=list(ends), nice=False) if ratio else alt.Scale(domain=list(ends), nice=False, zero=False)


def _axis(ends: Sequence[float], ratio: bool, **settings: Any) -> alt.Axis:
    import altair as alt

    if not ratio:
        return alt.Axis(tickCount=4, **settings)
    steps = [step * 10.0**power for power in range(-4, 5) for step in (1, 2, 5)]
    close = [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75] if ends[1] < 3 * ends[0] else []
    ticks = sorted({step for step in (close or steps) if ends[0] <= step <= ends[1]})
    every, first = -(-len(ticks) // 6) or 1, ticks.index(1.0) if 1.0 in ticks else 0
    ticks = [tick for i, tick in enumerate(ticks) if (i - first) % every == 0]
    return alt.Axis(values=ticks, tickCount=len(ticks), labelOverlap=False, labelExpr="'×' + format(datum.value, '~g')", **settings)


def _said(row: Any, ratio: bool) -> str:
    write = (lambda v: f"×{v:.2f}") if ratio else (lambda v: f"{v:+.2f}".replace("-", "−"))
    return f"{write(row.value)} ({write(row.low)} to {write(row.high)})"


def curve(
    table: pd.DataFrame, theme: str = "light", *, title: str, over: str, ratio: bool = False, height: int = 180, width: int | None = None
) -> alt.LayerChart:  # fmt: skip
    """A difference over a number x as a line of ink with its 95 % band; over depth, a unit's mark where B has another kind than A.

    `table`: x, value, low, high; over depth also unit, kind, form, resampling, other.  `ratio`: factors, on a logarithmic axis.
    """
    import altair as alt

    c, ends = tokens(theme), _range(table, ratio)
    table = table.assign(said=[_said(row, ratio) for row in table.itertuples()])
    deep = "other" in table
    room = 0.04 * (float(table["x"].max() - table["x"].min()) or 1.0)
    reach = [-0.04, 1.04] if deep else [float(table["x"].min()) - room, float(table["x"].max()) + room]
    values = [0, 0.25, 0.5, 0.75, 1] if deep else sorted(table["x"].round(6)) if len(table) < 10 else []
    # with a smaller count Vega would leave some values out
    ticks: dict[str, Any] = {"values": values, "tickCount": len(values)} if values else {"tickCount": 5}
    words = "depth, first to last unit" if deep else over
    x = alt.X("x:Q", scale=alt.Scale(domain=reach, nice=False), axis=alt.Axis(format=".3~g", labelOverlap=True, **ticks, **x_title(words)))
    scale = _scale(ends, ratio)
    y = alt.Y("value:Q", scale=scale, axis=_axis(ends, ratio, **y_title(title)))
    tips = [alt.Tooltip("said:N", title="B against A (95 %)"), alt.Tooltip("x:Q", title=over.partition(",")[0], format=".3~g")]
    if deep:
        tips.insert(0, alt.Tooltip("unit:N", title="unit of B"))
    none = alt.Chart(pd.DataFrame({"y": [1.0 if ratio else 0.0]})).mark_rule(color=c["faint"], strokeWidth=1.4)
    base = alt.Chart(table).encode(x=x, y=y, tooltip=tips)
    band = base.transform_filter("isValid(datum.low)")
    layers: list[Any] = [
        none.encode(y=alt.Y("y:Q", scale=scale)),
        band.mark_area(color=c["ink"], fillOpacity=0.12).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=2.6, color=c["ink"]),
        base.mark_point(size=30, filled=True, opacity=1, color=c["ink"]),
    ]
    if deep and table["other"].any():
        layers += unit_marks(base.transform_filter("datum.other"), theme, side=13)
    return layered(layers, "difference", height, width)


def rows(
    table: pd.DataFrame, theme: str = "light", *, title: str, families: Mapping[str, str] | None = None, ratio: bool = False,
    width: int | None = None,
) -> alt.LayerChart:  # fmt: skip
    """A number by name with its 95 % interval: a mark a net where `families` names them, else a difference in ink against none.

    `table`: label, value, low, high, and net with `families`; rows stand in its order.
    """
    import altair as alt

    c, ends = tokens(theme), _range(table, ratio, none=families is None)
    names, nets = list(dict.fromkeys(table["label"])), list(families or {})
    off = {net: APART * (i - (len(nets) - 1) / 2) for i, net in enumerate(nets)}
    place = table["label"].map({name: i for i, name in enumerate(names)}).astype(float)
    if families is not None:
        place = place + table["net"].map(off)
    table = table.assign(place=place, said=[_said(row, ratio) if families is None else _share(row) for row in table.itertuples()])
    scale, y_scale = _scale(ends, ratio), alt.Scale(domain=[-0.6, len(names) - 0.4], reverse=True, nice=False)
    label = f"{json.dumps(names)}[datum.value]"
    axis = alt.Axis(values=list(range(len(names))), tickCount=len(names), labelExpr=label, labelOverlap=False, grid=False, title=None,
                    labelLimit=150, labelColor=c["ink2"], labelFontSize=13)  # fmt: skip
    x = alt.X("value:Q", scale=scale, axis=_axis(ends, ratio, grid=True, **x_title(title)))
    y = alt.Y("place:Q", scale=y_scale, axis=axis)
    tips = [alt.Tooltip("label:N", title="of"), alt.Tooltip("said:N", title="95 %")]
    base = alt.Chart(table).encode(x=x, y=y, tooltip=[alt.Tooltip("net:N"), *tips] if families is not None else tips)
    bar = base.transform_filter("isValid(datum.low)").encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    if families is not None:
        layers = [
            bar.mark_rule(strokeWidth=1.5).encode(color=colour(nets, families, c)),
            base.mark_point(size=80, filled=True, opacity=1).encode(color=colour(nets, families, c), shape=shape(nets, families)),
            *_key(nets, families, c),
        ]
    else:
        none = alt.Chart(pd.DataFrame({"x": [1.0 if ratio else 0.0]})).mark_rule(color=c["faint"], strokeWidth=1.4)
        layers = [
            none.encode(x=alt.X("x:Q", scale=scale)),
            bar.mark_rule(strokeWidth=2, color=c["ink"]),
            base.mark_point(size=60, filled=True, opacity=1, color=c["ink"]),
            *(
                alt.Chart(alt.sequence(1)).mark_text(align=side, baseline="middle", fontSize=12, color=c["muted"], clip=False)
                .encode(x=at, y=alt.YValue(-16), text=alt.TextValue(said))
                for side, at, said in (("left", alt.XValue(0), "B lower"), ("right", alt.XValue("width"), "B higher"))
            ),
        ]  # fmt: skip
    return layered(layers, "rows", ROW * len(names), width)


def _key(nets: Sequence[str], families: Mapping[str, str], c: dict[str, str]) -> list[Any]:
    """Mark and name of each net in a row above the panel."""
    import altair as alt

    layers, x = [], 6.0
    for net in nets:
        one = alt.Chart(pd.DataFrame({"net": [net]})).encode(y=alt.YValue(-16), x=alt.XValue(x))
        style = {"align": "left", "baseline": "middle", "dx": 10, "fontSize": 13, "fontWeight": 600, "color": c["ink"], "clip": False}
        mark = one.mark_point(size=80, filled=True, opacity=1, clip=False)
        layers += [mark.encode(color=colour(nets, families, c), shape=shape(nets, families)), one.mark_text(**style).encode(text="net:N")]
        x += 34 + LETTER_PX * len(net)
    return layers


def _share(row: Any) -> str:
    limits = f" ({row.low:.1f} to {row.high:.1f})" if np.isfinite(row.low) else ""
    return f"{row.value:.1f} %{limits}"
