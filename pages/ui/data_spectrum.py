"""The mean spectrum of a set of images, beside that of a second one."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import data, words
from core.analyses._pictures import layered
from core.chart import tokens, x_title, y_title
from core.data.dataset import DatasetSpec
from pages.ui import data_jobs, data_shelf, figure, parts, pickers
from pages.ui.draw import draw

if TYPE_CHECKING:
    import altair as alt

QUESTION = "How fine is what they show?"
#: the frequency [π] from which the fall is taken, so that neither brightness nor contrast counts; Student's t for eight parts
BROAD, T_7 = 0.1, 2.365
METHOD = """**What is measured.** Of each image, every colour by itself on the scale 0 to 1, the Fourier transform; the natural log of its
amplitude over the number of pixels is averaged over rings of one frequency, over colours, then over images. Frequency 0 is the mean
brightness, 1.0π the finest pattern that the pixels can hold: one cycle in two pixels.

Δ log amplitude = log amplitude at a frequency − log amplitude at zero frequency, both of the mean over images. The fall in the sentence
above goes from 0.1π to 1.0π, so that neither brightness nor contrast counts; its 95 % interval is over eight parts of the sample.

**How to read it.** A line that falls far: smooth images, whose finest detail is weak against their broad patterns. A line that stays
level: edges, textures, noise; of pure noise it is flat. A net that sharpens or blurs (page Frequency) does so to this.

**What it cannot say.** Frequencies are per pixel: a set at 224 pixels and one at 32 pixels have their detail at other places of the same
axis. Small pictures that were enlarged have little near 1.0π, and JPEG takes some away there. The band is the spread of single images, not
the uncertainty of the mean."""


def table_of(spec: DatasetSpec) -> pd.DataFrame:
    """set, frequency, log amplitude, Δ log amplitude with the spread over images, images, seed."""
    rows, _, images = data_shelf.spectrum(spec.id)
    table = pd.DataFrame(rows)
    zero = float(table["log_amplitude"].iloc[0])
    return pd.DataFrame(
        {
            "set": spec.title, "split": data_shelf.part(spec), "frequency": table["frequency"], "log_amplitude": table["log_amplitude"],
            "delta_log_amplitude": table["log_amplitude"] - zero, "spread_low": table["low"] - zero, "spread_high": table["high"] - zero,
            "image_size": spec.image_size, "images": images, "seed": 0,
        }
    )  # fmt: skip


def fall(dataset: str) -> tuple[float, float, float]:
    """How far the log amplitude falls from 0.1π to 1.0π, and its 95 % interval over eight parts of the sample (NaN without any)."""
    rows, some, _ = data_shelf.spectrum(dataset)
    at = [row["frequency"] for row in rows]

    def one(values: Sequence[float]) -> float:
        return float(np.interp(BROAD, at, values)) - values[-1]

    whole = one([row["log_amplitude"] for row in rows])
    if not some:
        return whole, math.nan, math.nan
    half = T_7 * float(np.std([one(part) for part in some], ddof=1)) / math.sqrt(len(some))
    return whole, whole - half, whole + half


def sentence(falls: Mapping[str, tuple[float, float, float]]) -> str:
    """How far each line falls to its finest pattern, and which set is the finer one."""

    def said(name: str) -> str:
        value, low, high = falls[name]
        return words.plain(value) + ("" if math.isnan(low) else f" (95 %: {words.plain(low)} to {words.plain(high)})")

    first, *others = falls
    text = f"From broad patterns (0.1π) to the finest (1.0π), **{first}** falls by {said(first)} in log amplitude"
    if not others:
        return f"{text}."
    text += f", {others[0]} by {said(others[0])}"
    (value, low, high), (other, other_low, other_high) = falls[first], falls[others[0]]
    if math.isnan(low) or math.isnan(other_low):
        return f"{text}. Too few images to tell them apart."
    if low <= other_high and other_low <= high:
        return f"{text}. **No clear difference** in how fine they are."
    return f"{text}: **{first if value < other else others[0]} is the finer one**."


def show(spec: DatasetSpec, place: Any) -> dict[str, list[str]]:
    """The whole view; what it puts into the address."""
    others = {i: pickers.set_title(i) for i in pickers.sets() if i != spec.id and not data_jobs.lacks(i)}
    usual = next((i for i in others if data.get(i).subset_of != spec.id and data.get(spec.id).subset_of != i), "")
    with parts.row("bottom"):
        beside = data_shelf.select("Beside", "beside", {"none": "Nothing", **others}, usual or "none", width=208)
    tables = {spec.title: table_of(spec)}
    if beside != "none":
        other = data.get(beside)
        name = other.title if other.title != spec.title else f"{other.title} ({other.id})"
        tables[name] = table_of(other).assign(set=name)
    said = sentence({name: fall(i) for name, i in zip(tables, [spec.id, beside], strict=False)})
    with place:
        parts.take(said)
    both = pd.concat(tables.values(), ignore_index=True)

    def make(theme: str) -> "alt.LayerChart":
        return chart(tables, theme)

    draw(make, both.to_csv(index=False), "data_spectrum_chart", said)
    told = "; ".join(
        f"{name}: {words.some(int(t['images'].iloc[0]), 'image')} for {'training' if t['split'].iloc[0] == 'train' else 'testing'} "
        f"at {t['image_size'].iloc[0]} px" for name, t in tables.items()
    )  # fmt: skip
    foot = f"{told}; seed 0, equal shares of the classes. Relative to the zero frequency of the set’s mean. Band: 8 of 10 single images."
    figure.foot_line(foot, both, "spectrum", "data_spectrum", lambda: figure.svg_file(make, said, foot))
    return {"beside": [beside] if beside != (usual or "none") else []}


def chart(tables: Mapping[str, pd.DataFrame], theme: str = "light") -> "alt.LayerChart":
    """A line with its band for the set, a dashed one for the second; names stand at their ends."""
    import altair as alt

    c = tokens(theme)
    both = pd.concat(tables.values(), ignore_index=True)
    low, high = float(both[["spread_low", "delta_log_amplitude"]].min().min()), float(both["spread_high"].max())
    pi = "datum.value == 0 ? '0' : datum.value == 1 ? 'π' : format(datum.value, '~g') + 'π'"
    axis = alt.Axis(
        values=[0, 0.25, 0.5, 0.75, 1],
        tickCount=9,
        labelExpr=pi,
        labelOverlap=False,
        **x_title("frequency, relative to each set’s own pixels"),
    )
    x = alt.X("frequency:Q", scale=alt.Scale(domain=[0, 1.0], nice=False), axis=axis)
    scale = alt.Scale(domain=[low - 0.05 * (high - low), high + 0.05 * (high - low)], nice=False, zero=False)
    y = alt.Y("delta_log_amplitude:Q", scale=scale, axis=alt.Axis(**y_title("Δ log amplitude")))
    tips = [
        alt.Tooltip("set:N"), alt.Tooltip("frequency:Q", title="frequency [π]", format=".3f"),
        alt.Tooltip("delta_log_amplitude:Q", title="Δ log amplitude", format="+.2f"),
    ]  # fmt: skip
    layers = []
    lines = list(tables.items())
    for place, (_, table) in enumerate(lines):
        colour = c["ink"] if place == 0 else c["ref"]
        layers.append(alt.Chart(table).mark_area(color=colour, fillOpacity=0.15).encode(
            x=x, y=alt.Y("spread_low:Q", scale=scale), y2=alt.Y2("spread_high")
        ))  # fmt: skip
    for place, (_, table) in reversed(list(enumerate(lines))):
        look = {"strokeWidth": 3, "color": c["ink"]} if place == 0 else {"strokeWidth": 2.2, "strokeDash": [5, 4], "color": c["ref"]}
        layers.append(alt.Chart(table).mark_line(**look).encode(x=x, y=y, tooltip=tips))
    tops = {name: float(table["delta_log_amplitude"].iloc[-1]) for name, table in tables.items()}
    for name, table in tables.items():
        up = all(tops[name] >= other for other in tops.values())
        end = table.iloc[[-1]].assign(name=name)
        layers.append(
            alt.Chart(end).mark_text(align="right", dx=-2, dy=-12 if up else 16, fontSize=13, fontWeight=600, color=c["ink"]).encode(
                x=x, y=y, text="name:N"
            )
        )  # fmt: skip
    return layered(layers, "spectra", 300)
