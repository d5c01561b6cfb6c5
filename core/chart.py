"""The look of every figure: colour tokens, type sizes, the Vega-Lite theme and the unit marks in a chart.

Ink on paper; colour is data.  The data colours are the same on light and dark, and each is paired with a shape,
so a figure survives grey print and every kind of colour vision.  Altair is imported where a chart is made, not before.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

LIGHT: dict[str, str] = {
    "bg": "#FFFFFF", "side": "#F8F7F4", "card": "#FAF9F6", "ink": "#1C1B19", "ink2": "#45433E", "muted": "#66635C",
    "faint": "#96918A", "line": "#E4E1DA", "grid": "#F0EEE9", "wash": "#F1EFEA", "onink": "#FFFFFF",
    "conv": "#2360ED", "msa": "#BC6E08", "hyb": "#12A763", "you": "#DD2DB6", "ref": "#696969", "mlp": "#6B7688",
    "conv-w": "#E9EFFD", "msa-w": "#F8EFE1", "hyb-w": "#E3F4EC", "you-w": "#FBE6F6",
}  # fmt: skip
DARK: dict[str, str] = LIGHT | {
    "bg": "#171614", "side": "#1D1C19", "card": "#1E1D1A", "ink": "#ECEAE4", "ink2": "#CFCCC4", "muted": "#A8A499",
    "faint": "#6F6B63", "line": "#35332E", "grid": "#262420", "wash": "#2A2824", "onink": "#171614",
    "ref": "#8A8780", "mlp": "#8A95A8",
    "conv-w": "#1A2440", "msa-w": "#33260F", "hyb-w": "#132C20", "you-w": "#391531",
}  # fmt: skip
#: For SVG inside a page: colours that follow the reader's theme (its CSS color-scheme) without a redraw.
CSS: dict[str, str] = {t: LIGHT[t] if LIGHT[t] == DARK[t] else f"light-dark({LIGHT[t]},{DARK[t]})" for t in LIGHT}

SANS = '"Source Sans", "Source Sans 3", "Source Sans Pro", "Helvetica Neue", Arial, sans-serif'
#: role -> (size in px, line height in px, weight); the whole type scale.
TYPE: dict[str, tuple[int, int, int]] = {
    "h1": (32, 38, 620), "take": (19, 28, 400), "h2": (18, 24, 620), "body": (15, 23, 400), "control": (14, 20, 400),
    "foot": (13, 18, 400), "label": (12, 16, 400), "big": (34, 40, 350),
}  # fmt: skip

_KINDS = {"conv": "conv", "msa": "msa", "mix": "conv", "mlp": "mlp", "pool": "ref", "merge": "ref", "block": "muted",
          "none": "faint", "stem": "muted"}  # fmt: skip
_FAMILIES = {
    "conv": ("conv", "square"),
    "msa": ("msa", "circle"),
    "hybrid": ("hyb", "diamond"),
    "you": ("you", "triangle-up"),
    "ref": ("ref", "cross"),
}

# unit marks as Vega paths in a box of side 1 about (0, 0)
_SQUARE = "M-.5,-.5h1v1h-1Z"
_BAR = "M-.17,-.5h.34v1h-.34Z"
_DISC = "M-.53,0a.53,.53 0 1,0 1.06,0a.53,.53 0 1,0 -1.06,0Z"
_SMALL_DISC = "M-.38,0a.38,.38 0 1,0 .76,0a.38,.38 0 1,0 -.76,0Z"
_SLITS = "M-.5,-.5L.5,-.5L.5,-.25L-.5,-.25ZM-.5,-.125L.5,-.125L.5,.125L-.5,.125ZM-.5,.25L.5,.25L.5,.5L-.5,.5Z"
_HATCH = "M-.5,-.5L.5,-.5L.5,.5L-.5,.5ZM-.5,0L0,-.5ZM-.5,.5L.5,-.5ZM0,.5L.5,0Z"


def tokens(theme: str) -> dict[str, str]:
    """The colours of `light` or `dark`."""
    return DARK if theme == "dark" else LIGHT


def css() -> str:
    """Custom properties that hold the tokens for both themes, as one CSS declaration list."""
    return "".join(f"--lab-{token}:{colour};" for token, colour in CSS.items())


def kind_token(kind: str) -> str:
    """The colour token of a unit kind; colour says where the weights come from."""
    return _KINDS[kind]


def family_token(family: str) -> str:
    """The colour token of a net's family: conv, msa, hybrid, you (the user's own) or ref."""
    return _FAMILIES[family][0]


def family_shape(family: str) -> str:
    """The Vega point shape that goes with `family_token`."""
    return _FAMILIES[family][1]


def x_title(text: str) -> dict[str, Any]:
    """Axis settings for a title that stands right aligned under the ticks."""
    return {"title": text, "titleAnchor": "end"}


def y_title(text: str) -> dict[str, Any]:
    """Axis settings for a title that lies flat above the axis, left aligned with the heading."""
    return {
        "title": text,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "start",
        "titleBaseline": "bottom",
        "titleX": -34,
        "titleY": -8,
    }


def config(theme: str = "light", scale: float = 1.0) -> dict[str, Any]:
    """The Vega-Lite configuration of the lab; `scale` enlarges the type for a talk."""
    c = tokens(theme)
    small, foot, body = 12 * scale, 13 * scale, 14 * scale
    axis = {
        "domain": False, "ticks": False, "grid": True, "gridColor": c["grid"], "gridWidth": 1, "labelColor": c["muted"],
        "labelFontSize": small,
        "labelPadding": 6, "titleColor": c["muted"], "titleFontSize": small, "titleFontWeight": "normal", "titlePadding": 8, "tickCount": 4,
    }  # fmt: skip
    return {
        "background": c["bg"], "font": SANS, "padding": {"left": 2, "right": 2, "top": 6, "bottom": 2},
        "view": {"stroke": None}, "axis": axis, "axisX": {"grid": False, "titleAnchor": "end"},
        "header": {"labelColor": c["ink"], "labelFontSize": body, "labelFontWeight": 600, "labelAnchor": "start", "title": None},
        "title": {"color": c["ink"], "subtitleColor": c["muted"], "anchor": "start", "fontSize": 18 * scale, "fontWeight": 600,
                  "subtitleFontSize": foot, "offset": 12},
        "legend": {"disable": True}, "line": {"strokeWidth": 3, "strokeCap": "round", "strokeJoin": "round"},
        "text": {"color": c["ink"], "fontSize": foot, "font": SANS}, "rule": {"color": c["faint"], "strokeWidth": 1.4},
        "area": {"fillOpacity": 0.15}, "point": {"filled": True, "size": 90, "opacity": 1},
        "range": {"category": [c[t] for t in ("conv", "msa", "hyb", "you", "ref", "mlp")]},
        "concat": {"spacing": 36}, "facet": {"spacing": 36},
    }  # fmt: skip


def for_talk(spec: dict[str, Any], theme: str, type_: float, tall: float, highest: float) -> dict[str, Any]:
    """A specification for a room: type `type_` times as large, its own marks too, plots `tall` times as high up to `highest` px."""
    grown = _grown(spec, type_)
    for one in (grown, grown.get("spec", {})):
        if isinstance(one.get("height"), int | float):
            one["height"] = max(one["height"], min(round(one["height"] * tall), highest))
    return {**grown, "config": config(theme, type_)}


#: what grows with the type of a chart
_TYPED = {
    "fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize", "titlePadding", "labelPadding", "lineHeight", "titleX", "dx", "dy",
}  # fmt: skip


def _grown(part: Any, by: float) -> Any:
    if isinstance(part, dict):
        return {key: value * by if key in _TYPED and isinstance(value, int | float) else value if key == "datasets" else _grown(value, by)
                for key, value in part.items()}  # fmt: skip
    return [_grown(one, by) for one in part] if isinstance(part, list) else part


def unit_shape(kind: str, form: str = "", resampling: bool = False) -> str:
    """The Vega path of a unit's mark: its outline says how far the unit reaches."""
    if kind == "msa":
        return _DISC if form == "global" else _SMALL_DISC
    if kind == "mix":
        return _DISC
    if kind == "mlp":
        return _BAR
    if resampling:
        return _HATCH
    return _SLITS if form == "depthwise" else _SQUARE


def unit_marks(base: "alt.Chart", theme: str = "light", side: int = 13, focus: str = "") -> list["alt.Chart"]:
    """Layers that draw each row of `base` as its unit's mark, in place of a plain point.

    The rows need the columns kind, form, resampling and unit (`s2u3`); `base` brings x, y and tooltips.
    """
    import altair as alt

    c, area = tokens(theme), (2 * side) ** 2  # Vega scales a path by half the root of its size
    fill = _by_kind({k: c[t] for k, t in _KINDS.items()})
    shape = _cases({f"datum.kind=='{k}'&&{_form(f)}{_halves(r)}": unit_shape(k, f, r) for k, f, r in _MARKS}, _SQUARE)
    marks = base.transform_calculate(_mark=shape).mark_point(size=area, opacity=1)
    hatched = "datum.resampling && (datum.kind=='conv'||datum.kind=='merge')"
    marks = marks.encode(
        shape=alt.Shape("_mark:N", scale=None),
        stroke=fill,
        strokeWidth=alt.StrokeWidthValue(0, condition={"test": hatched, "value": 1.4}),
        fill=alt.condition(hatched, alt.value(c["bg"]), fill),
    )
    layers = [marks]
    framed = "datum.kind=='msa' && (datum.form=='windowed'||datum.form=='shifted'||datum.form=='local')"
    frame = base.transform_filter(framed).mark_point(
        shape=_SQUARE, size=area * 1.12, filled=False, strokeWidth=1.2, stroke=c["msa"], opacity=1
    )
    layers.append(frame.encode(strokeDash=alt.StrokeDashValue([1, 0], condition={"test": "datum.form=='local'", "value": [2, 1.6]})))
    layers.append(
        base.transform_filter("datum.kind=='msa'").mark_point(shape=_DISC, size=area * 0.055, fill=c["bg"], strokeWidth=0, opacity=1)
    )
    if focus:
        ringed = base.transform_filter(f"datum.unit=='{focus}'")
        ring = ringed.mark_point(shape=_ROUNDED, size=(2 * (side + 9)) ** 2, filled=False, strokeWidth=2)
        layers.append(ring.encode(stroke=alt.StrokeValue(c["ink"]), opacity=alt.OpacityValue(1)))
    return layers


_ROUNDED = "M-.3,-.5h.6a.2,.2 0 0,1 .2,.2v.6a.2,.2 0 0,1 -.2,.2h-.6a.2,.2 0 0,1 -.2,-.2v-.6a.2,.2 0 0,1 .2,-.2Z"
_MARKS = (
    ("msa", "global", None), ("msa", "", None), ("mix", "", None), ("mlp", "", None),
    ("conv", "", True), ("merge", "", True), ("conv", "depthwise", False),
)  # fmt: skip


def _form(form: str) -> str:
    return f"datum.form=='{form}'" if form else "true"


def _halves(resampling: bool | None) -> str:
    return "" if resampling is None else "&&datum.resampling" if resampling else "&&!datum.resampling"


def _cases(cases: dict[str, str], otherwise: str) -> str:
    text = f"'{otherwise}'"
    for test, value in reversed(cases.items()):
        text = f"({test})?'{value}':{text}"
    return text


def _by_kind(colours: dict[str, str]) -> Any:
    import altair as alt

    return alt.Color("kind:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)


def depth_line(table: "pd.DataFrame", x: str = "depth", y: str = "value", theme: str = "light") -> "alt.Chart":
    """2.4 px segments between successive rows at 55 %, each in the colour of the unit it arrives at.

    `table` holds one net in depth order with the columns x, y and kind.
    """
    import altair as alt

    c = tokens(theme)
    steps = table.assign(_x0=table[x].shift(), _y0=table[y].shift()).iloc[1:]
    return (
        alt.Chart(steps)
        .mark_rule(strokeWidth=2.4, opacity=0.55, strokeCap="round")
        .encode(x=alt.X("_x0:Q"), x2=alt.X2(x), y=alt.Y("_y0:Q"), y2=alt.Y2(y), color=_by_kind({k: c[t] for k, t in _KINDS.items()}))
    )


def to_svg(spec: dict[str, Any]) -> str:
    """Stand-alone SVG of a Vega-Lite specification (`chart.to_dict()`), every label inside."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec)
