"""The figure of a study: a panel a measure, or a row a net with its ribbon.  Altair is imported inside."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import ribbon, words
from core.analyses._pictures import domain, layered
from core.chart import CSS, LIGHT, SANS, family_shape, family_token, tokens, x_title, y_title
from core.claims.judge import Effect, over_seeds
from core.presets import family
from core.spec import layout, parse
from core.studies._family import Member, Study
from core.studies._told import MEASURES

if TYPE_CHECKING:
    import altair as alt

#: how a number of each unit is written on a figure
FORMATS = {"%": ".1f", "points": "+.1f", "nats": ".2f", "": ".3~g"}
#: what a measure is read from, and at which phase of training; what is not here is there with every trained net
_FROM = {"corrupted": ("corruption", ""), "gap": ("calibration", ""), "ape": ("hessian", "warmup"), "nep": ("hessian", "warmup"),
         "ape_end": ("hessian", "end")}  # fmt: skip
#: px: a strip with a dot on a scale
STRIP = (200, 30)


def asked(member: Member, measure: str) -> bool:
    """Whether a study measures this of a net at all."""
    if measure not in _FROM:
        return True
    name, phase = _FROM[measure]
    return any(ask == name and phase in ("", settings.get("phase")) for ask, settings in member.asks)


def nets(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """A row a net with all its seeds, in order: label, line, family, where it stands, how many seeds there are and are measured.

    Each measure is the mean over those seeds that have it, with the interval of `over_seeds`.  `table` has beside the columns of
    `studies.table` for each measure whether it is `asked` of a net.
    """
    labels, rows = list(dict.fromkeys(table["label"])), []
    for (label, line), own in table.groupby(["label", "line"], sort=False):
        first = own.iloc[0]
        row: dict[str, Any] = {
            "label": label, "line": line, "arch": first["arch"], "family": family(parse(first["arch"])), "seeds": len(own),
            "ready": int((own["state"] == "ready").sum()), "parameters": first["parameters"], "said": first["said"],
            "x": first["x"], "at": float(np.log2(first["x"])) if first["x"] > 0 and not study.most else float(labels.index(label)),
        }  # fmt: skip
        for name in study.shows:
            known = own[np.isfinite(own[name])]
            row |= {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan, f"{name}_seeds": len(known),
                    f"{name}_asked": bool(own[f"{name}_asked"].any())}  # fmt: skip
            if len(known):
                effect = over_seeds([_effect(one, name, len(known) > 1) for _, one in known.iterrows()])
                row |= {name: effect.value, f"{name}_low": effect.low, f"{name}_high": effect.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _effect(row: pd.Series, name: str, several: bool) -> Effect:
    """A measure of one net; of several seeds one without an interval has one of no width, so that theirs is over the seeds."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if several and not np.isfinite(low + high):
        low = high = row[name]
    return Effect(value=row[name], low=low, high=high, n=int(row[f"{name}_n"]))


def titled(measure: str) -> tuple[str, str]:
    """(heading, what stands at its axis): the unit, and what the heading leaves to say."""
    title, _, more = MEASURES[measure].title.partition(", ")
    return title, " · ".join(part for part in (MEASURES[measure].unit, more) if part)


def panel(
    study: Study, table: pd.DataFrame, measure: str, theme: str = "light", *, width: int | None = None, height: int = 230
) -> alt.LayerChart:
    """One measure over the nets: means with their interval, a pale dot a seed, a dashed place for what is not measured yet."""
    import altair as alt

    c, rows = tokens(theme), nets(study, table)
    lines, numeric = list(dict.fromkeys(rows["line"])), bool(rows["x"].notna().all())
    ats = sorted(set(rows["at"]))
    step = min((b - a for a, b in pairwise(ats)), default=1.0)
    shift = {line: (place - (len(lines) - 1) / 2) * 0.14 * step for place, line in enumerate(lines)}
    rows = rows.assign(at=rows["at"] + rows["line"].map(shift), value=rows[measure], low=rows[f"{measure}_low"],
                       high=rows[f"{measure}_high"])  # fmt: skip
    dots = table.merge(rows[["label", "line", "at", "family", f"{measure}_seeds"]], on=["label", "line"])
    dots = dots[(dots[f"{measure}_seeds"] > 1) & dots[measure].notna()].rename(columns={measure: "value"})
    known, empty = rows[rows["value"].notna()], rows[rows["value"].isna() & rows[f"{measure}_asked"]]
    x_scale = alt.Scale(domain=[ats[0] - 0.6 * step, ats[-1] + 0.6 * step], nice=False)
    axis = alt.Axis(values=ats, tickCount=9, labelExpr=_said_at(rows, ats, shift, numeric), labelOverlap=False, **x_title(study.axis))
    x = alt.X("at:Q", scale=x_scale, axis=axis)
    held = pd.concat([rows[["value", "low", "high"]].stack(), dots["value"]]) if len(known) else pd.Series([0.0, 1.0])
    heading, unit = titled(measure)
    low, high = domain(held, 0.16)
    if held.dropna().size and (rows["value"].dropna() >= 0).all() and MEASURES[measure].unit != "points":  # an interval may go where
        low = max(low, 0.0)  # no value can be
    y_axis = alt.Axis(**({} if len(known) else {"values": []}), **{**y_title(unit), "titleY": -14})
    y = alt.Y("value:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=y_axis)
    pattern = FORMATS[MEASURES[measure].unit]
    names = ["conv", "msa", "hybrid"]
    colour = alt.Color("family:N", scale=alt.Scale(domain=names, range=[c[family_token(one)] for one in names]), legend=None)
    shape = alt.Shape("family:N", scale=alt.Scale(domain=names, range=[family_shape(one) for one in names]), legend=None)
    tips = [alt.Tooltip("label:N", title=study.axis), alt.Tooltip("value:Q", title=heading, format=pattern)]
    tips += [alt.Tooltip(f"{end}:Q", title=f"95 %, {said}", format=pattern) for end, said in (("low", "from"), ("high", "to"))]
    layers = []
    if len(empty):
        place = alt.Chart(empty.assign(x0=empty["at"] - 0.06 * step, x1=empty["at"] + 0.06 * step))
        dashed = place.mark_rect(filled=False, stroke=c["faint"], strokeDash=[3, 3], strokeWidth=1.2, cornerRadius=4)
        layers.append(dashed.encode(x=alt.X("x0:Q", scale=x_scale, axis=axis), x2="x1", y=alt.YValue(14), y2=alt.YValue(height - 8),
                                    tooltip=tips[:1]))  # fmt: skip
    base = alt.Chart(known).encode(x=x, y=y)
    if numeric:
        layers.append(base.mark_line(strokeWidth=2.2, opacity=0.5).encode(color=colour, detail="line:N"))
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5, color=c["ink2"], clip=True)
    layers.append(bars.encode(y=alt.Y("low:Q"), y2=alt.Y2("high")))
    if len(dots):
        pale = alt.Chart(dots).encode(x=x, y=y, color=colour, tooltip=[alt.Tooltip("seed:Q"), tips[1]])
        layers.append(pale.mark_point(size=34, filled=True, opacity=0.5, shape="circle", xOffset=9))
    layers.append(base.mark_point(size=110, filled=True, opacity=1).encode(color=colour, shape=shape, tooltip=tips))
    layers += _labels(known, lines, base, pattern, c)
    head = alt.Chart(alt.sequence(1)).mark_text(align="left", baseline="middle", fontSize=14, fontWeight=600, color=c["ink"])
    layers.append(head.encode(x=alt.XValue(-34), y=alt.YValue(-41), text=alt.TextValue(heading)))
    return layered(layers, measure, height, width)


def _said_at(rows: pd.DataFrame, ats: Sequence[float], shift: dict[str, float], numeric: bool) -> str:
    """The words under each place of the axis, in lines of a few letters, as a Vega expression."""
    text = "''"
    for at in reversed(ats):
        row = rows[np.isclose(rows["at"] - rows["line"].map(shift), at)].iloc[0]
        said = [f"{row['x']:,g}"] if numeric else textwrap.wrap(str(row["label"]), 11)
        text = f"abs(datum.value-{at:.6f})<1e-4?{said!r}:{text}"
    return text


def _labels(known: pd.DataFrame, lines: Sequence[str], base: alt.Chart, pattern: str, c: dict[str, str]) -> list[alt.Chart]:
    """Names of lines at their last net, away from the other line; with one line the value of every net."""
    import altair as alt

    if len(lines) < 2:
        text = base.mark_text(dy=-9, baseline="bottom", fontSize=12, color=c["ink"])
        return [text.transform_calculate(top="isValid(datum.high) ? datum.high : datum.value").encode(
            y=alt.Y("top:Q"), text=alt.Text("value:Q", format=pattern))]  # fmt: skip
    layers, last = [], known.sort_values("at").groupby("line").tail(1)
    for _, row in last.iterrows():
        up = row["value"] >= last["value"].max()
        end = row["high" if up else "low"]
        one = alt.Chart(pd.DataFrame([{"at": row["at"], "y": end if np.isfinite(end) else row["value"], "line": row["line"]}]))
        text = one.mark_text(
            align="right", dx=10, dy=-9 if up else 9, baseline="bottom" if up else "top", fontSize=12, fontWeight=600, color=c["ink"]
        )
        layers.append(text.encode(x=alt.X("at:Q"), y=alt.Y("y:Q"), text=alt.Text("line:N")))
    return layers


# ---- rows with ribbons


def in_rows(study: Study) -> bool:
    """Whether the picture is a row a net with its ribbon: where there is one measure."""
    return len(study.shows) == 1


def reach(study: Study, table: pd.DataFrame) -> tuple[float, float]:
    """The scale that all strips of the rows share."""
    rows, name = nets(study, table), study.shows[0]
    held = pd.concat([rows[name], rows[f"{name}_low"], rows[f"{name}_high"], table[name]]).dropna()
    low, high = domain(held, 0.12) if len(held) else (0.0, 1.0)
    return low, high


def drawn_net(row: Any, side: float = 12, paint: dict[str, str] = CSS) -> str:
    """A net's ribbon; the unit that a step has changed is ringed."""
    place = re.search(r"stage (\d+), unit (\d+)", row["label"])
    return ribbon.draw(layout(parse(row["arch"]), 32), side=side, paint=paint, focus=f"s{place[1]}u{place[2]}" if place else "")


def strip(row: Any, measure: str, seeds: Sequence[float], scale: tuple[float, float], paint: dict[str, str] = CSS) -> str:
    """A net's mean with its interval as a dot with a whisker, its seeds as pale dots; dashed where it is not measured."""
    (width, height), (low, high) = STRIP, scale
    middle, edge = height / 2, 8

    def at(value: float) -> str:
        return ribbon.number(edge + (width - 2 * edge) * (value - low) / (high - low))

    if not np.isfinite(row[measure]):
        shape = f'x="1" y="{middle - 6}" width="{width - 2}" height="12" rx="6" fill="none" stroke="{paint["faint"]}"'
        return ribbon.svg(f'<rect {shape} stroke-dasharray="3 3"/>', width, height, "not measured yet")
    body = f'<line x1="0" x2="{width}" y1="{middle}" y2="{middle}" stroke="{paint["grid"]}"/>'
    ends = row[f"{measure}_low"], row[f"{measure}_high"]
    if np.isfinite(ends).all():
        style = f'stroke="{paint["ink2"]}" stroke-width="1.5"'
        body += f'<line x1="{at(ends[0])}" x2="{at(ends[1])}" y1="{middle}" y2="{middle}" {style}/>'
    fill = paint[family_token(row["family"])]
    if len(seeds) > 1:
        body += "".join(f'<circle cx="{at(one)}" cy="{middle + 9}" r="2.6" fill="{fill}" opacity="0.5"/>' for one in seeds)
    mark = re.sub(r"^<svg[^>]*>|</svg>$", "", ribbon.family_icon(row["family"], 12, paint))
    body += f'<g transform="translate({float(at(row[measure])) - 6:g} {middle - 6:g})">{mark}</g>'
    return ribbon.svg(body, width, height, f"{words.plain(row[measure], 1)} {MEASURES[measure].unit}")


def rows_file(study: Study, table: pd.DataFrame, title: str, foot: str) -> bytes:
    """The rows as a drawing that stands alone: on white, the sentence above, the caveats below."""
    rows, scale, measure = nets(study, table), reach(study, table), study.shows[0]
    above, below = textwrap.wrap(title, 96), textwrap.wrap(foot, 130)
    wide = max(ribbon.natural_width(layout(parse(arch), 32), 12) for arch in rows["arch"])
    names = [", ".join(part for part in (row["label"], row["line"]) if part) for _, row in rows.iterrows()]
    left, top, tall = 32 + 8 * max(map(len, names)), 30 + 20 * len(above), 40
    width = round(left + wide + 30 + STRIP[0] + 240)

    def text(x: float, y: float, said: str, look: str = "") -> str:
        return f'<text x="{x:g}" y="{y:g}" font-size="13" fill="{LIGHT["ink"]}" {look}>{escape(said)}</text>'

    body = [text(16, 30 + 20 * i, line, 'font-weight="600"') for i, line in enumerate(above)]
    for place, row in enumerate(rows.to_dict("records")):
        y = top + tall * place
        own = (table["label"] == row["label"]) & (table["line"] == row["line"]) & table[measure].notna()
        seeds = table[own][measure].tolist()
        body.append(text(16, y + 24, names[place]))
        for x, drawing in ((left, drawn_net(row, paint=LIGHT)), (left + wide + 20, strip(row, measure, seeds, scale, LIGHT))):
            high = float(re.search(r'height="([\d.]+)"', drawing)[1])  # type: ignore[index]
            body.append(f'<g transform="translate({x:g} {y + 19 - high / 2:g})">{drawing}</g>')
        body.append(text(left + wide + 40 + STRIP[0], y + 24, " · ".join(part for part in (written(row, measure), row["said"]) if part)))
    low, high = (words.plain(end, 1) for end in scale)
    y = top + tall * len(rows) + 8
    grey = f'style="font-size:12px;fill:{LIGHT["muted"]}"'
    if rows[measure].notna().any():
        body += [text(left + wide + 20, y, low, grey), text(left + wide + 20 + STRIP[0], y, high, f'{grey} text-anchor="end"')]
    body += [text(16, y + 26 + 16 * i, line, grey) for i, line in enumerate(below)]
    height, font = y + 36 + 16 * len(below), SANS.replace('"', "'")
    size = f'width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}"'
    paper = f'<rect width="100%" height="100%" fill="{LIGHT["bg"]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{font}">{paper}{"".join(body)}</svg>'.encode()


def written(row: Any, measure: str) -> str:
    """`87.9 % (87.3 to 88.5)`; "" where it is not measured."""
    if not np.isfinite(row[measure]):
        return ""
    digits, unit = (2, "nats") if MEASURES[measure].unit == "nats" else (1, MEASURES[measure].unit)
    if not unit:
        return f"{row[measure]:.3g}"
    low, high = row[f"{measure}_low"], row[f"{measure}_high"]
    spread = f" ({words.plain(low, digits)} to {words.plain(high, digits)})" if np.isfinite([low, high]).all() else ""
    return f"{words.plain(row[measure], digits)} {unit}{spread}"
