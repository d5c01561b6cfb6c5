"""A number of several nets over training: lines from moment to moment, with a click that chooses one.  Altair is imported inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analyses._bends import Families, colour_by_net, family, labelled
from core.chart import family_shape, tokens, y_title

if TYPE_CHECKING:
    import altair as alt

#: Px for the labels at the left and for a name at the right, and how far apart nets stand, in steps of a phase.
LABEL_PX, NAME_PX, APART = 36, 76, 0.1
#: Moments of training in their order, as they stand under an axis.
PHASES = {"init": "start", "warmup": "warm-up", "third": "1/3", "twothirds": "2/3", "end": "end"}


def phases(table: pd.DataFrame, theme: str, families: Families, *, title: str, shown: str, height: int = 150) -> alt.LayerChart:
    """Lines over training with 95 % whiskers, dotted where the phase shown is, names at the ends; a line breaks where a phase is missing.

    `table`: net, phase, value, low, high.  A click anywhere at a phase selects it (selection `phase`).
    """
    import altair as alt

    from core.analyses._pictures import layered

    c, places = tokens(theme), {phase: i for i, phase in enumerate(PHASES)}
    nets, last = list(dict.fromkeys(table["net"])), len(PHASES) - 1
    beside = {net: APART * (i - (len(nets) - 1) / 2) for i, net in enumerate(nets)}
    table = table.assign(place=table["phase"].map(places)).sort_values(["net", "place"], ignore_index=True)
    table["x"] = table["place"] + table["net"].map(beside)
    high = float(np.nanmax(table[["value", "high"]].to_numpy(dtype=float)))
    ends = _apart(table.dropna(subset=["value"]).groupby("net", sort=False).tail(1), 15 * high / height)
    ends = ends.assign(said=_short(ends["net"]), edge=table.dropna(subset=["value"])["x"].max())
    # names stand in px right of the last phase, however wide the chart is
    room = min(NAME_PX, 7 * max((len(name) for name in ends["said"]), default=0)) + 18
    x_scale = alt.Scale(domain=[0, last], nice=False, rangeMin=12, rangeMax=alt.expr(f"width - {room}"))
    y_scale = alt.Scale(domain=[0.0, high * 1.04 or 1.0], nice=False)
    axis = labelled(list(places.values()), list(PHASES.values()), title=None)
    heading = y_title(title) | {"titleFontSize": 14, "titleFontWeight": 600, "titleColor": c["ink"], "titleX": -LABEL_PX}
    x = alt.X("x:Q", scale=x_scale, axis=axis)
    y = alt.Y("value:Q", scale=y_scale, axis=alt.Axis(**heading, minExtent=LABEL_PX, tickCount=3))
    colour = colour_by_net(nets, families, c)
    shape = alt.Shape("net:N", scale=alt.Scale(domain=nets, range=[family_shape(family(families, net)) for net in nets]), legend=None)
    after = table.groupby("net")[["place", "x", "value"]].shift(-1)
    steps = table.assign(x1=after["x"], y1=after["value"])[after["place"] - table["place"] == 1].dropna(subset=["value", "y1"])
    tips = [alt.Tooltip("net:N"), alt.Tooltip("value:Q", title=title, format=".3~g"),
            alt.Tooltip("low:Q", title="95 % from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g")]  # fmt: skip
    columns = pd.DataFrame({"phase": list(places), "x": [max(i - 0.5, -0.2) for i in places.values()]})
    columns = columns.assign(x1=[*columns["x"][1:], last + 0.2])
    pick = alt.selection_point(name="phase", fields=["phase"], on="click", empty=False)
    whole = alt.Chart(columns).mark_rect(opacity=0, cursor="pointer").encode(x=x, x2="x1:Q").add_params(pick)
    line, points = alt.Chart(steps).encode(x=x, y=y, x2="x1:Q", y2="y1:Q", color=colour), alt.Chart(table).encode(x=x, y=y, color=colour)
    name = alt.Chart(ends).mark_text(align="left", dx=10, fontSize=12, color=c["ink"], limit=NAME_PX)
    layers = [
        whole,
        line.mark_rule(strokeWidth=2.4),
        points.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q"),
        points.mark_point(size=80, filled=True, opacity=1, cursor="pointer").encode(shape=shape, tooltip=tips),
        name.encode(x=alt.X("edge:Q", scale=x_scale, axis=axis), y=alt.Y("place:Q", scale=y_scale), text="said:N"),
    ]
    if shown in places:
        here = alt.Chart(pd.DataFrame({"x": [float(places[shown])]})).mark_rule(color=c["ink"], strokeWidth=1.5, strokeDash=[2, 3])
        layers.insert(0, here.encode(x=x))
    return layered(layers, f"{title} over training", height)


def _short(nets: pd.Series) -> list[str]:
    """Names without the last part they all share: `ViT` for `ViT-mini`, where all are `-mini`."""
    tails = {net.rpartition("-")[2] for net in nets}
    return [net.rpartition("-")[0] or net for net in nets] if len(nets) > 1 and len(tails) == 1 else list(nets)


def _apart(ends: pd.DataFrame, least: float) -> pd.DataFrame:
    """Places for names, in the order of their values and at least so far apart."""
    ends = ends.sort_values("value", ignore_index=True)
    place = ends["value"].to_numpy(dtype=float).copy()
    for i in range(1, len(place)):
        place[i] = max(place[i], place[i - 1] + least)
    return ends.assign(place=place - max(0.0, (place - ends["value"]).max() / 2) if len(place) else place)
