"""Pictures of nets under noise, and of how sure they are: one colour and shape a net.  Altair is imported inside."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.chart import family_shape, family_token, tokens, x_title, y_title
from core.metrics.bands import CENTRES

if TYPE_CHECKING:
    import altair as alt

#: px for names beside the ends of curves: at most, and what a letter takes.
NAME_PX, LETTER_PX = 140, 7.4
#: Bins of fewer images are drawn as marks, but no line goes through them.
FEW = 10
#: Change of accuracy in the paper's figure, points at 0.1π to 0.9π: ImageNet at 224 pixels, signs of one strength (paper, Fig. 2b).
PAPER = {
    "ResNet, paper": (-5.01, -8.84, -12.72, -10.74, -10.29, -10.10, -9.67, -13.59, -15.38),
    "ViT, paper": (-5.50, -12.07, -14.93, -13.43, -11.56, -9.77, -6.29, -4.32, -4.84),
}


def colour(nets: Sequence[str], families: Mapping[str, str], c: dict[str, str]) -> "alt.Color":
    """Each net in its family's colour."""
    import altair as alt

    found = [c[family_token(families.get(net, "conv"))] for net in nets]
    return alt.Color("net:N", scale=alt.Scale(domain=list(nets), range=found), legend=None)


def shape(nets: Sequence[str], families: Mapping[str, str]) -> "alt.Shape":
    """The shape that goes with `colour`."""
    import altair as alt

    found = [family_shape(families.get(net, "conv")) for net in nets]
    return alt.Shape("net:N", scale=alt.Scale(domain=list(nets), range=found), legend=None)


def apart(values: np.ndarray, least: float, top: float) -> np.ndarray:
    """Places for names beside these values, from the highest down: at least so far apart, none above `top`."""
    order, places = np.argsort(-values, kind="stable"), np.array(values, dtype=float)
    highest = top
    for i in order:
        places[i] = min(places[i], highest)
        highest = places[i] - least
    return places


def curves(table: pd.DataFrame, theme: str, families: Mapping[str, str], *, paper: bool = False, height: int = 260) -> "alt.LayerChart":
    """Change of accuracy over the noise's frequency: a line a net with its 95 % band, its name at the end.

    `table`: net, frequency [π], change, ci_low, ci_high [points], rms, accuracy.  `paper`: the paper's two curves too, thin and dashed.
    """
    import altair as alt

    from core.analyses._pictures import layered

    c, nets = tokens(theme), list(dict.fromkeys(table["net"]))
    published = pd.DataFrame(
        [(net, centre / 100, value) for net, values in PAPER.items() for centre, value in zip(CENTRES, values, strict=True)],
        columns=["net", "frequency", "change"],
    )  # fmt: skip
    shown = pd.concat([table["ci_low"], table["ci_high"], *([published["change"]] if paper else [])])
    low, high = min(float(shown.min()), -1.0), max(float(shown.max()), 0.0)
    span = high - low
    y_range = [low - 0.04 * span, high + 0.04 * span]
    ends = table.sort_values("frequency").groupby("net", sort=False).tail(1)[["net", "frequency", "change"]]
    if paper:
        ends = pd.concat([ends, published[published["frequency"] == 0.9]], ignore_index=True)
    ends = ends.assign(place=apart(ends["change"].to_numpy(), 1.15 * 16 * span / height, y_range[1]), end=ends["frequency"].max())
    room = min(NAME_PX, 32 + LETTER_PX * max(len(name) for name in ends["net"]))
    pi = "format(datum.value, '~g') + 'π'"
    x_axis = alt.Axis(values=[0.1, 0.3, 0.5, 0.7, 0.9], tickCount=9, labelExpr=pi, labelOverlap=False, **x_title("frequency of the noise"))
    x_scale = alt.Scale(domain=[0.05, 0.9], nice=False, rangeMin=0, rangeMax=alt.expr(f"width - {room}"))
    y_scale = alt.Scale(domain=y_range, nice=False, zero=False)
    x = alt.X("frequency:Q", scale=x_scale, axis=x_axis)
    y = alt.Y("change:Q", scale=y_scale, axis=alt.Axis(**y_title("change of accuracy, points")))
    said = [f"{row.change:+.1f} ({row.ci_low:+.1f} to {row.ci_high:+.1f})".replace("-", "−") for row in table.itertuples()]
    table = table.assign(said=said, right=100 * table["accuracy"])
    tips = [
        alt.Tooltip("net:N"), alt.Tooltip("frequency:Q", title="frequency [π]"), alt.Tooltip("said:N", title="change, points (95 %)"),
        alt.Tooltip("right:Q", title="accuracy, %", format=".1f"), alt.Tooltip("rms:Q", title="RMS", format=".3~g"),
    ]  # fmt: skip
    zero = alt.Chart(pd.DataFrame({"x0": [0.05], "x1": [0.9], "y": [0.0]}))
    base = alt.Chart(table).encode(x=x, color=colour(nets, families, c))
    layers: list[Any] = [
        zero.mark_rule(color=c["faint"], strokeWidth=1.4).encode(x=alt.X("x0:Q", scale=x_scale), x2="x1:Q", y=alt.Y("y:Q", scale=y_scale)),
        base.mark_area(fillOpacity=0.15).encode(y=alt.Y("ci_low:Q", scale=y_scale), y2="ci_high:Q", detail="net:N"),
        base.mark_line(strokeWidth=3).encode(y=y, detail="net:N"),
        base.mark_point(size=70, filled=True, opacity=1).encode(y=y, shape=shape(nets, families), tooltip=tips),
    ]
    if paper:
        line = alt.Chart(published).mark_line(strokeWidth=1.6, strokeDash=[4, 4], color=c["ref"])
        layers.insert(1, line.encode(x=x, y=y, detail="net:N", tooltip=[alt.Tooltip("net:N"), alt.Tooltip("change:Q", format="+.1f")]))
    layers += names(ends, x.copy(), y_scale, nets, families, c)
    return layered(layers, "noise by frequency", height)


def reliability(
    table: pd.DataFrame, theme: str, families: Mapping[str, str], *, height: int = 300, scale: tuple[float, float] | None = None
) -> "alt.LayerChart":  # fmt: skip
    """Share right over mean confidence, a line a net with 95 % whiskers; larger marks hold more images, the diagonal is calibrated.

    `table`, a row a bin: net, low, high, confidence, value, ci_low, ci_high (all shares), n.  `scale`: where the two axes begin, for panels
    that share them.
    """
    import altair as alt

    from core.analyses._pictures import layered

    c, nets = tokens(theme), list(dict.fromkeys(table["net"]))
    left, start = scale or (float(table["low"].min()), float(min(table["low"].min(), table["ci_low"].min())))
    ends = table.sort_values("confidence").groupby("net", sort=False).tail(1)
    ends = ends.assign(place=apart(ends["value"].to_numpy(), 1.15 * 16 * (1 - start) / height, 1.0), end=1.0)
    room = min(NAME_PX, 32 + LETTER_PX * max(len(net) for net in nets))
    x_scale = alt.Scale(domain=[left, 1.0], nice=False, rangeMin=0, rangeMax=alt.expr(f"width - {room}"))
    y_scale = alt.Scale(domain=[start, 1.0], nice=False, zero=False)
    percent = "format(100 * datum.value, '~g')"
    x = alt.X("confidence:Q", scale=x_scale, axis=alt.Axis(labelExpr=percent, **x_title("confidence, %")))
    y = alt.Y("value:Q", scale=y_scale, axis=alt.Axis(labelExpr=percent, **y_title("share right, %")))
    said = [f"{100 * row.value:.1f} % ({100 * row.ci_low:.1f} to {100 * row.ci_high:.1f})" for row in table.itertuples()]
    tips = [
        alt.Tooltip("net:N"), alt.Tooltip("confidence:Q", title="confidence", format=".1%"), alt.Tooltip("said:N", title="right (95 %)"),
        alt.Tooltip("n:Q", title="images", format=","),
    ]  # fmt: skip
    base = alt.Chart(table.assign(said=said)).encode(x=x, color=colour(nets, families, c))
    size = alt.Size("n:Q", scale=alt.Scale(domain=[0, int(table["n"].max())], range=[14, 260]), legend=None)
    diagonal = alt.Chart(pd.DataFrame({"x0": [max(start, left)], "x1": [1.0]}))
    layers: list[Any] = [
        diagonal.mark_rule(color=c["faint"], strokeWidth=1.4).encode(
            x=alt.X("x0:Q", scale=x_scale), x2="x1:Q", y=alt.Y("x0:Q", scale=y_scale), y2="x1:Q"
        ),
        base.mark_rule(strokeWidth=1.5, opacity=0.45).encode(y=alt.Y("ci_low:Q", scale=y_scale), y2="ci_high:Q"),
        base.transform_filter(f"datum.n >= {FEW}").mark_line(strokeWidth=2.4).encode(y=y, detail="net:N"),
        base.mark_point(filled=True, opacity=1).encode(y=y, shape=shape(nets, families), size=size, tooltip=tips),
    ]
    layers += names(ends, x.copy(), y_scale, nets, families, c)
    return layered(layers, "reliability", height)


def names(
    ends: pd.DataFrame, x: "alt.X", y_scale: "alt.Scale", nets: Sequence[str], families: Mapping[str, str], c: dict[str, str]
) -> "list[alt.Chart]":
    """Names beside the ends of curves, with their marks, and quiet ones of what is only compared with.  `ends`: net, end, place."""
    import altair as alt

    x["shorthand"] = "end:Q"
    text = alt.Chart(ends.assign(own=ends["net"].isin(list(nets)))).encode(x=x, y=alt.Y("place:Q", scale=y_scale))
    own = text.transform_filter("datum.own")
    style = {"align": "left", "baseline": "middle", "dx": 26, "limit": NAME_PX - 26, "clip": False}
    mark = own.mark_point(filled=True, opacity=1, size=70, xOffset=16, clip=False)
    return [
        mark.encode(color=colour(nets, families, c), shape=shape(nets, families)),
        own.mark_text(fontSize=13, fontWeight=600, color=c["ink"], **style).encode(text="net:N"),
        text.transform_filter("!datum.own").mark_text(fontSize=12, color=c["muted"], **style).encode(text="net:N"),
    ]
