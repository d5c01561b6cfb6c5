"""Pictures of curvature: nets in lanes over one axis of eigenvalues, and what they come to over training.  Altair is imported inside.

Eigenvalues of one net span three powers of ten and both signs, so the axis is a signed logarithm: straight around zero, equal ratios
are equal steps further out.  Densities are per step of that axis, so that areas are shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.chart import family_shape, family_token, tokens, x_title, y_title

if TYPE_CHECKING:
    import altair as alt

#: Height of a lane in px, where in it its line lies (0 top, 1 bottom), and how high a curve may rise, both as shares of it.
LANE, BASE, RISE = 112, 0.8, 0.68
#: The part of the width that names stand in.
NAMES = 0.34
#: Half the width of what smooths a density, in steps of the axis (1 = a ratio of e far from zero).
WIDTH = 0.18
#: Moments of training in their order, as they stand under an axis.
PHASES = {"init": "start", "warmup": "warm-up", "third": "1/3", "twothirds": "2/3", "end": "end"}

Families = Mapping[str, str]


class Signed:
    """The signed logarithm that puts several nets on one axis: `u` of an eigenvalue, and back."""

    def __init__(self, values: Sequence[float] | np.ndarray) -> None:
        sizes = np.abs(np.asarray(values, dtype=float))
        sizes = sizes[sizes > 0]
        self.constant = float(10.0 ** np.floor(np.log10(np.median(sizes)))) if len(sizes) else 1.0
        u = self.u(np.asarray(values, dtype=float)) if len(values) else np.zeros(1)
        self.low, self.high = min(float(u.min()), 0.0) - 3 * WIDTH, max(float(u.max()), 0.0) + 3 * WIDTH

    def u(self, x: Any) -> Any:
        """Steps on the axis."""
        return np.sign(x) * np.log1p(np.abs(x) / self.constant)

    def x(self, u: Any) -> Any:
        """The eigenvalue at a step."""
        return np.sign(u) * self.constant * np.expm1(np.abs(u))

    def ticks(self) -> list[float]:
        """Zero and powers of ten of both signs, none nearer to zero or its neighbour than a tenth of the axis."""
        powers, found = self.constant * 10.0 ** np.arange(0, 9), [0.0]
        for sign, end in ((1, self.high), (-1, -self.low)):
            last = 0.0
            for power in powers:
                if self.u(power) <= end and self.u(power) - last >= 0.1 * (self.high - self.low):
                    found.append(float(sign * power))
                    last = self.u(power)
        return sorted(found)

    def scale(self) -> alt.Scale:
        """The axis, with room for names at its left."""
        import altair as alt

        start = self.low - (self.high - self.low) * NAMES / (1 - NAMES)
        return alt.Scale(type="symlog", constant=self.constant, domain=[float(self.x(start)), float(self.x(self.high))], nice=False)


def density(values: np.ndarray, signed: Signed, points: int = 240) -> pd.DataFrame:
    """Smoothed density of raw values per step of the axis: x, height, negative.  Its areas at both sides of zero are the true shares.

    Both sides are smoothed apart, and what would leak over zero is folded back: a bend that is up never looks as if it were down.
    """
    sides = []
    for sign, end in ((-1, -signed.low), (1, signed.high)):
        u = np.linspace(0.0, end, points)
        own = np.abs(signed.u(values[np.sign(values) == sign]))
        bells = np.exp(-0.5 * ((u[:, None] - own) / WIDTH) ** 2) + np.exp(-0.5 * ((u[:, None] + own) / WIDTH) ** 2)
        height = bells.sum(1) / (max(len(values), 1) * WIDTH * np.sqrt(2 * np.pi))
        sides.append(pd.DataFrame({"x": signed.x(sign * u), "height": height, "negative": sign < 0})[::sign])
    return pd.concat(sides, ignore_index=True)


def spectra(values: Mapping[str, np.ndarray], facts: pd.DataFrame, theme: str, families: Families, title: str) -> alt.LayerChart:
    """A lane a net: density of its values, what bends down filled stronger, the share of it by the name, the mean below.

    `facts`: net, share (words), mean (APE), mean_text, said (what the tooltip says).
    """
    import altair as alt

    c, signed = tokens(theme), Signed(np.concatenate(list(values.values())))
    curves = {net: density(own, signed) for net, own in values.items()}
    top = max(float(curve["height"].max()) for curve in curves.values()) or 1.0
    said = dict(zip(facts["net"], facts["said"], strict=True))
    table = pd.concat([
        curve.assign(net=net, base=i + BASE, top=i + BASE - RISE * curve["height"] / top, said=said[net])
        for i, (net, curve) in enumerate(curves.items())
    ], ignore_index=True)  # fmt: skip
    x, y = _x(signed, title), _y(len(values))
    base = alt.Chart(table).encode(
        x=x, detail="net:N", color=_colour(list(values), families, c), tooltip=alt.Tooltip("said:N", title="95 %")
    )
    area = base.encode(y=alt.Y("top:Q", scale=y, axis=None), y2="base:Q")
    ticks = facts[facts["mean"].notna()].assign(base=lambda t: t["net"].map({net: i + BASE for i, net in enumerate(values)}))
    ticks = ticks.assign(below=ticks["base"] + 0.06)
    tick = alt.Chart(ticks).encode(x=alt.X("mean:Q", scale=signed.scale()), y=alt.Y("base:Q", scale=y, axis=None))
    layers = [
        area.transform_filter("!datum.negative").mark_area(fillOpacity=0.15),
        area.transform_filter("datum.negative").mark_area(fillOpacity=0.85),
        base.encode(y=alt.Y("top:Q", scale=y, axis=None), order="x:Q").mark_line(strokeWidth=3),
        tick.encode(y2="below:Q").mark_rule(color=c["ink"], strokeWidth=2),
        tick.mark_text(baseline="top", dy=9, fontSize=12, color=c["ink2"]).encode(text="mean_text:N"),
        *_names(facts, values, families, c, y),
    ]
    return _whole(layers, signed, len(values), theme)


def ladder(table: pd.DataFrame, means: pd.DataFrame, facts: pd.DataFrame, theme: str, families: Families, title: str) -> alt.LayerChart:
    """A lane a net: its values by rank, a pale dot a mini-batch, the mean of each rank strong with its 95 % interval.

    `table`: net, rank, batch, eigenvalue.  `means`: net, rank, mean, low, high.  `facts` as in `spectra`.
    """
    import altair as alt

    c, nets = tokens(theme), {net: i for i, net in enumerate(facts["net"])}
    ends = means[["low", "high"]].to_numpy(dtype=float)
    signed, ranks = Signed(np.concatenate([table["eigenvalue"], ends[np.isfinite(ends)]])), int(table["rank"].max())
    rows = [rows.assign(y=rows["net"].map(nets) + 0.16 + 0.74 * (rows["rank"] - 0.5) / ranks) for rows in (table, means)]
    y, colour = _y(len(nets)), _colour(list(nets), families, c)
    tips = [
        alt.Tooltip("net:N"),
        alt.Tooltip("rank:Q"),
        alt.Tooltip("batch:Q", title="mini-batch"),
        alt.Tooltip("eigenvalue:Q", format=",.2f"),
    ]
    dots = alt.Chart(rows[0]).encode(
        x=alt.X("eigenvalue:Q", scale=signed.scale(), axis=_axis(signed, title)), y=alt.Y("y:Q", scale=y, axis=None), tooltip=tips
    )
    mean = alt.Chart(rows[1]).encode(y=alt.Y("y:Q", scale=y, axis=None))
    tips = [alt.Tooltip("net:N"), alt.Tooltip("rank:Q"), alt.Tooltip("mean:Q", format=",.2f"),
            alt.Tooltip("low:Q", title="95 % from", format=",.2f"),
            alt.Tooltip("high:Q", title="to", format=",.2f")]  # fmt: skip
    shape = alt.Shape(
        "net:N", scale=alt.Scale(domain=list(nets), range=[family_shape(_family(families, net)) for net in nets]), legend=None
    )
    whisker = mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5, color=c["ink2"])
    number = alt.Chart(rows[1]).mark_text(align="right", fontSize=12, color=c["muted"])
    layers = [
        dots.mark_point(size=34, filled=True, opacity=0.3).encode(color=colour),
        whisker.encode(x=alt.X("low:Q", scale=signed.scale()), x2="high:Q"),
        mean.mark_point(size=90, filled=True, opacity=1, stroke=c["bg"], strokeWidth=1).encode(
            x=alt.X("mean:Q", scale=signed.scale()), color=colour, shape=shape, tooltip=tips
        ),
        number.encode(x=alt.X("edge:Q", scale=signed.scale()), y=alt.Y("y:Q", scale=y, axis=None), text="rank:N"),
        *_names(facts, nets, families, c, y),
    ]
    rows[1]["edge"] = float(signed.x(signed.low))
    return _whole(layers, signed, len(nets), theme, lines=False)


def shares(
    curves: Mapping[str, pd.DataFrame], signed: Signed, facts: pd.DataFrame, theme: str, families: Families, title: str
) -> alt.LayerChart:
    """A lane a net: the share of all eigenvalues near each place, by powers of ten.  `curves`: x, share; `facts` as in `spectra`."""
    import altair as alt

    c, floor = tokens(theme), -7.0
    said = dict(zip(facts["net"], facts["said"], strict=True))
    parts = [
        curve.assign(net=net, negative=curve["x"] < 0, base=i + BASE, said=said[net],
                     top=i + BASE - RISE * (np.log10(np.maximum(curve["share"], 10.0**floor)) - floor) / -floor)
        for i, (net, curve) in enumerate(curves.items())
    ]  # fmt: skip
    x, y = _x(signed, title), _y(len(curves))
    base = alt.Chart(pd.concat(parts, ignore_index=True)).encode(x=x, detail="net:N", color=_colour(list(curves), families, c))
    area = base.encode(y=alt.Y("top:Q", scale=y, axis=None), y2="base:Q", tooltip=[alt.Tooltip("said:N", title="spectrum")])
    marks = pd.DataFrame([
        {"y": i + BASE - RISE * (power - floor) / -floor, "text": text, "end": signed.x(signed.high), "start": signed.x(signed.low)}
        for i in range(len(curves)) for power, text in ((0, "all"), (-3, "1 in 1,000"), (-6, "1 in a million"))
    ])  # fmt: skip
    at = alt.Chart(marks).encode(y=alt.Y("y:Q", scale=y, axis=None), x=alt.X("end:Q", scale=signed.scale()))
    layers = [
        at.encode(x2="start:Q").mark_rule(color=c["grid"], strokeWidth=1),
        area.transform_filter("!datum.negative").mark_area(fillOpacity=0.15),
        area.transform_filter("datum.negative").mark_area(fillOpacity=0.55),
        base.encode(y=alt.Y("top:Q", scale=y, axis=None), order="x:Q").mark_line(strokeWidth=2.4),
        at.mark_text(align="right", dy=-6, fontSize=12, color=c["muted"]).encode(text="text:N"),
        *_names(facts, curves, families, c, y),
    ]
    return _whole(layers, signed, len(curves), theme)


def phases(
    table: pd.DataFrame, theme: str, families: Families, *, title: str, shown: str, unit: str = "", height: int = 150
) -> alt.LayerChart:
    """Lines over training with 95 % whiskers, dotted where the phase shown is, names at the ends; a gap is crossed by dashes.

    `table`: net, phase, value, low, high.  A click on a point selects its phase (selection `phase`).
    """
    import altair as alt

    from core.analyses._pictures import layered

    c, places = tokens(theme), {phase: i for i, phase in enumerate(PHASES)}
    table = table.assign(x=table["phase"].map(places).astype(float)).sort_values(["net", "x"], ignore_index=True)
    nets = list(dict.fromkeys(table["net"]))
    high = float(np.nanmax(table[["value", "high"]].to_numpy(dtype=float)))
    y_scale = alt.Scale(domain=[0.0, high * 1.04 or 1.0], nice=False)
    ends = [*table["x"], *([float(places[shown])] if shown in places else [])]  # the phase shown may not be measured
    first, last = min(ends), max(ends)
    x_scale = alt.Scale(domain=[first - 0.15, last + 0.15 + 0.42 * max(last - first, 1.0)], nice=False)
    words = " : ".join(f"datum.value == {i} ? '{word}'" for i, word in enumerate(PHASES.values())) + " : ''"
    axis = alt.Axis(values=list(range(int(first), int(last) + 1)), labelExpr=words, title=None, labelOverlap=True)
    x, y = alt.X("x:Q", scale=x_scale, axis=axis), alt.Y("value:Q", scale=y_scale, axis=alt.Axis(**y_title(title), tickCount=3))
    colour = _colour(nets, families, c)
    shape = alt.Shape("net:N", scale=alt.Scale(domain=nets, range=[family_shape(_family(families, net)) for net in nets]), legend=None)
    steps = table.assign(x1=table.groupby("net")["x"].shift(-1), y1=table.groupby("net")["value"].shift(-1)).dropna(
        subset=["x1", "y1", "value"]
    )
    steps = steps.assign(whole=steps["x1"] - steps["x"] == 1)
    tips = [alt.Tooltip("net:N"), alt.Tooltip("value:Q", title=title, format=".3~g"),
            alt.Tooltip("low:Q", title="95 % from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g")]  # fmt: skip
    line = alt.Chart(steps).encode(x=x, y=y, x2="x1:Q", y2="y1:Q", color=colour)
    points = alt.Chart(table).encode(x=x, y=y, color=colour)
    pick = alt.selection_point(name="phase", fields=["phase"], on="click", empty=False)
    ends = _apart(table.dropna(subset=["value"]).groupby("net", sort=False).tail(1), 15 * high / height)
    name = alt.Chart(ends).mark_text(align="left", dx=10, fontSize=12, color=c["ink"], clip=False)
    layers = [
        line.transform_filter("datum.whole").mark_rule(strokeWidth=2.4),
        line.transform_filter("!datum.whole").mark_rule(strokeWidth=1.6, strokeDash=[5, 4]),
        points.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q"),
        points.mark_point(size=80, filled=True, opacity=1, cursor="pointer").encode(shape=shape, tooltip=tips).add_params(pick),
        name.encode(x=alt.X("x:Q", scale=x_scale), y=alt.Y("place:Q", scale=y_scale), text="net:N"),
    ]
    if shown in places:
        here = alt.Chart(pd.DataFrame({"x": [float(places[shown])]})).mark_rule(color=c["ink"], strokeWidth=1.5, strokeDash=[2, 3])
        layers.insert(0, here.encode(x=alt.X("x:Q", scale=x_scale, axis=axis)))
    return layered(layers, f"{title} over training", height)


def _apart(ends: pd.DataFrame, least: float) -> pd.DataFrame:
    """Places for names, in the order of their values and at least so far apart."""
    ends = ends.sort_values("value", ignore_index=True)
    place = ends["value"].to_numpy(dtype=float).copy()
    for i in range(1, len(place)):
        place[i] = max(place[i], place[i - 1] + least)
    return ends.assign(place=place - max(0.0, (place - ends["value"]).max() / 2) if len(place) else place)


def _family(families: Families, net: str) -> str:
    return families.get(net, "conv")


def _colour(nets: Sequence[str], families: Families, c: dict[str, str]) -> alt.Color:
    import altair as alt

    return alt.Color(
        "net:N", scale=alt.Scale(domain=list(nets), range=[c[family_token(_family(families, net))] for net in nets]), legend=None
    )


def _x(signed: Signed, title: str) -> alt.X:
    import altair as alt

    return alt.X("x:Q", scale=signed.scale(), axis=_axis(signed, title))


def _axis(signed: Signed, title: str) -> alt.Axis:
    import altair as alt

    return alt.Axis(values=signed.ticks(), labelExpr="format(datum.value, ',')", labelOverlap=False, grid=False, **x_title(title))


def _y(lanes: int) -> alt.Scale:
    import altair as alt

    return alt.Scale(domain=[0, lanes], reverse=True, nice=False)


def _names(facts: pd.DataFrame, nets: Sequence[str] | Mapping[str, Any], families: Families, c: dict[str, str], y: alt.Scale) -> list[Any]:
    """Mark and name of each lane, and below it what share bends down."""
    import altair as alt

    order = {net: i for i, net in enumerate(nets)}
    rows = facts.assign(middle=facts["net"].map(order) + BASE - 0.3)
    base = alt.Chart(rows).encode(y=alt.Y("middle:Q", scale=y, axis=None), tooltip=alt.Tooltip("said:N", title="95 %"))
    shape = alt.Shape(
        "net:N", scale=alt.Scale(domain=list(order), range=[family_shape(_family(families, net)) for net in order]), legend=None
    )
    return [
        base.mark_point(size=110, filled=True, opacity=1).encode(x=alt.XValue(8), shape=shape, color=_colour(list(order), families, c)),
        base.mark_text(align="left", fontSize=13, fontWeight=600, color=c["ink"]).encode(x=alt.XValue(20), text="net:N"),
        base.mark_text(align="left", fontSize=12, dy=17, color=c["ink2"]).encode(x=alt.XValue(20), text="share:N"),
    ]


def _whole(layers: list[Any], signed: Signed, lanes: int, theme: str, lines: bool = True) -> alt.LayerChart:
    """The lanes with their base lines, the line at zero, and the words at both sides of it."""
    import altair as alt

    from core.analyses._pictures import layered

    c, scale, y = tokens(theme), signed.scale(), _y(lanes)
    zero = alt.Chart(pd.DataFrame({"x": [0.0], "down": ["bends down"], "up": ["bends up"]})).encode(x=alt.X("x:Q", scale=scale))
    base = pd.DataFrame({"x": float(signed.x(signed.low)), "x1": float(signed.x(signed.high)), "y": np.arange(lanes) + BASE})
    rule = alt.Chart(base).mark_rule(color=c["faint"], strokeWidth=1.2)
    under = [rule.encode(x=alt.X("x:Q", scale=scale), x2="x1:Q", y=alt.Y("y:Q", scale=y, axis=None))] if lines else []
    words = {"fontSize": 12, "color": c["muted"], "clip": False, "baseline": "bottom"}
    over = [
        zero.mark_rule(color=c["ink"], strokeWidth=1.4),
        zero.mark_text(align="right", dx=-8, **words).encode(y=alt.YValue(-2), text="down:N"),
        zero.mark_text(align="left", dx=8, **words).encode(y=alt.YValue(-2), text="up:N"),
    ]
    return layered([layers[0], *under, *layers[1:], *over], "lanes", LANE * lanes)
