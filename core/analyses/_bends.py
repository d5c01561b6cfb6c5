"""Pictures of curvature: nets in lanes over one axis of eigenvalues.  Altair is imported inside.

Eigenvalues of one net span three powers of ten and both signs, so the axis is a signed logarithm: straight around zero, equal ratios
are equal steps further out.  Densities are per step of that axis, so that areas are shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.chart import family_shape, family_token, tokens, x_title
from core.words import MINUS

if TYPE_CHECKING:
    import altair as alt

#: Height of a lane in px, where in it its line lies (0 top, 1 bottom), and how high a curve may rise, both as shares of it.
LANE, BASE, RISE = 112, 0.8, 0.68
#: The part of the width that names stand in.
NAMES = 0.34
#: Below this width in px words are brief.
NARROW = 420
#: Half the width of what smooths a density, in steps of the axis (1 = a ratio of e far from zero).
WIDTH = 0.18
Families = Mapping[str, str]


class Signed:
    """The signed logarithm that puts several nets on one axis: `u` of an eigenvalue, and back."""

    def __init__(self, values: Sequence[float] | np.ndarray, room: float = 0.0) -> None:
        """An axis for these values; `room` is what is left free at its right, as a share of it."""
        sizes = np.abs(np.asarray(values, dtype=float))
        sizes = sizes[sizes > 0]
        self.constant = float(10.0 ** np.floor(np.log10(np.median(sizes)))) if len(sizes) else 1.0
        u = self.u(np.asarray(values, dtype=float)) if len(values) else np.zeros(1)
        self.low, self.high = min(float(u.min()), 0.0) - 3 * WIDTH, max(float(u.max()), 0.0) + 3 * WIDTH
        self.high += room * (self.high - self.low)

    def u(self, x: Any) -> Any:
        """Steps on the axis."""
        return np.sign(x) * np.log1p(np.abs(x) / self.constant)

    def x(self, u: Any) -> Any:
        """The eigenvalue at a step."""
        return np.sign(u) * self.constant * np.expm1(np.abs(u))

    def ticks(self) -> list[float]:
        """Zero and powers of ten of both signs, none nearer to its neighbour than a tenth of the axis, or to zero than a sixteenth."""
        powers, found = self.constant * 10.0 ** np.arange(0, 9), [0.0]
        for sign, end in ((1, self.high), (-1, -self.low)):
            last = 0.0
            for power in powers:
                if self.u(power) <= end and self.u(power) - last >= (0.1 if last else 0.06) * (self.high - self.low):
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
        x=x, detail="net:N", color=colour_by_net(list(values), families, c), tooltip=alt.Tooltip("said:N", title="95 %")
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
    y, colour = _y(len(nets)), colour_by_net(list(nets), families, c)
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
    shape = alt.Shape("net:N", scale=alt.Scale(domain=list(nets), range=[family_shape(family(families, net)) for net in nets]), legend=None)
    whisker = mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5, color=c["ink2"])
    number = alt.Chart(rows[1]).mark_text(align="left", fontSize=12, color=c["muted"])
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
    bars: pd.DataFrame, signed: Signed, facts: pd.DataFrame, theme: str, families: Families, title: str, level: float
) -> alt.LayerChart:
    """A lane a net: the share of all eigenvalues in each step of the axis, by powers of ten, and how many are flat, within ±`level`.

    `bars`: net, low, high, share, said.  `facts` as in `spectra`, with flat [0 to 1] and flat_text.
    """
    import altair as alt

    c, floor, nets = tokens(theme), -7.0, {net: i for i, net in enumerate(facts["net"])}

    def raised(table: pd.DataFrame, share: str) -> pd.DataFrame:
        base, powers = table["net"].map(nets) + BASE, np.log10(np.maximum(table[share].to_numpy(dtype=float), 10 ** (floor + 0.2)))
        return table.assign(base=base, top=base - RISE * (powers - floor) / -floor)

    y, colour, tip = _y(len(nets)), colour_by_net(list(nets), families, c), alt.Tooltip("said:N", title="share")
    gap = {"xOffset": 0.5, "x2Offset": -0.5}
    marks = pd.DataFrame([
        {"y": i + BASE - RISE * (power - floor) / -floor, "text": text, "brief": brief, "end": signed.x(signed.high),
         "start": signed.x(signed.low)}
        for i in range(len(nets))
        for power, text, brief in ((0, "all", "all"), (-3, "1 in 1,000", "1 in 10³"), (-6, "1 in a million", "1 in 10⁶"))
    ])  # fmt: skip
    at = alt.Chart(marks).encode(y=alt.Y("y:Q", scale=y, axis=None), x=alt.X("end:Q", scale=signed.scale(), axis=_axis(signed, title)))
    bar = alt.Chart(raised(bars, "share")).encode(
        x=alt.X("low:Q", scale=signed.scale()), x2="high:Q", y=alt.Y("top:Q", scale=y, axis=None), color=colour, tooltip=tip
    )
    flat = alt.Chart(raised(facts, "flat").assign(low=-level, high=level)).encode(y=alt.Y("top:Q", scale=y, axis=None))
    at_high = flat.encode(x=alt.X("high:Q", scale=signed.scale()))
    layers = [
        at.encode(x2="start:Q").mark_rule(color=c["grid"], strokeWidth=1),
        bar.transform_filter("datum.low >= 0").mark_rect(fillOpacity=0.2, **gap).encode(y2="base:Q"),
        bar.transform_filter("datum.low < 0").mark_rect(fillOpacity=0.85, **gap).encode(y2="base:Q"),
        bar.mark_rule(strokeWidth=2.4, strokeCap="butt"),
        at_high.mark_rect(color=c["line"]).encode(x2="low:Q", y2="base:Q", tooltip=alt.Tooltip("flat_text:N", title="share")),
        at_high.mark_rule(strokeWidth=2.4, color=c["faint"], strokeCap="butt").encode(x2="low:Q"),
        at_high.mark_text(align="left", dx=6, dy=9, fontSize=12, color=c["ink2"]).encode(text="flat_text:N"),
        at.mark_text(align="right", dy=-6, fontSize=12, color=c["muted"], text=alt.expr(f"width < {NARROW} ? datum.brief : datum.text")),
        *_names(facts, nets, families, c, y),
    ]
    return _whole(layers, signed, len(nets), theme)


def family(families: Families, net: str) -> str:
    """The family of a net; `conv` if nothing is known of it."""
    return families.get(net, "conv")


def colour_by_net(nets: Sequence[str], families: Families, c: dict[str, str]) -> alt.Color:
    """Each net in the colour of its family."""
    import altair as alt

    return alt.Color(
        "net:N", scale=alt.Scale(domain=list(nets), range=[c[family_token(family(families, net))] for net in nets]), legend=None
    )


def _x(signed: Signed, title: str) -> alt.X:
    import altair as alt

    return alt.X("x:Q", scale=signed.scale(), axis=_axis(signed, title))


def _axis(signed: Signed, title: str) -> alt.Axis:
    ticks = signed.ticks()
    return labelled(ticks, [written(tick) for tick in ticks], **x_title(title))


def labelled(values: Sequence[float], texts: Sequence[str], **settings: Any) -> alt.Axis:
    """An axis with these ticks and texts, all of them: with a smaller count Vega would leave some out."""
    import altair as alt

    said = _said(values, texts)
    return alt.Axis(values=values, tickCount=len(values), labelExpr=said, labelOverlap=False, labelFlush=False, grid=False, **settings)


def written(tick: float) -> str:
    """A power of ten as a reader expects it: 1,000, 0.1, −10."""
    digits = max(0, -int(np.floor(np.log10(abs(tick))))) if tick else 0
    return f"{tick:,.{digits}f}".replace("-", MINUS)


def _said(values: Sequence[float], texts: Sequence[str]) -> str:
    """The expression that labels each value of an axis with its text, whatever rounding the axis does to it."""
    middles = [(one + other) / 2 for one, other in pairwise(values)]
    return "".join(f"datum.value < {middle} ? '{text}' : " for middle, text in zip(middles, texts, strict=False)) + f"'{texts[-1]}'"


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
        "net:N", scale=alt.Scale(domain=list(order), range=[family_shape(family(families, net)) for net in order]), legend=None
    )
    return [
        base.mark_point(size=110, filled=True, opacity=1).encode(
            x=alt.XValue(8), shape=shape, color=colour_by_net(list(order), families, c)
        ),
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
