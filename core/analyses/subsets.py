"""How many blocks can this net lose at once?

**Idea.** Switch off several residual units at once, drawn at random. Where accuracy falls step by step, the units work as an
ensemble that grows thinner; where it breaks down at once, each works on what the one before it made.

**Formula.** For 0, 1, 2, 4, … and all of the units that keep the resolution: `draws` different sets of that size, drawn at random, or
every set where there are no more; accuracy of each on the same test images. Mean over the sets, with Student's 95 % interval.

**How to read it.** A pale dot is one set, the line joins the means. Dots far apart say that it matters which units are off.

**What it cannot say.** Nothing is retrained, and batch norms keep the statistics of the whole net. The units of a set are drawn without
regard to kind, so the curve is about the net, not about MSA or Conv. Units that change the resolution always stay on, so nets with
many of those keep more. The interval is over the draws, not over images.

**Sources.** Veit, Wilber and Belongie, Residual Networks Behave Like Ensembles of Relatively Shallow Networks, NeurIPS 2016, Sec. 4.2;
Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Sec. 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

#: Images whose unit inputs are held at once.
CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(500, label="Images", unit="test images", low=8, high=10_000, origin="ours: the sets differ by more than images do")
    draws: int = param(10, label="Draws a size", low=2, high=100, origin="ours")
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images and which units are drawn.")


COLUMNS = (
    Column(id="off", dtype="int", unit="units", term="units_off"),
    Column(id="draw", dtype="int", unit="", term="draw"),
    Column(id="units", dtype="str", unit="", term="units"),
    Column(id="accuracy", dtype="float", unit="share", term="accuracy"),
    Column(id="change", dtype="float", unit="points", term="accuracy_change"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def measure(subject: Subject, params: Params, progress: Callable[..., None]) -> Measurement:
    """Accuracy with random sets of units off, all on the same images.

    Raises MeasureError if every unit changes the resolution.  Source: Veit et al. 2016, Sec. 4.2.
    """
    from core.models import Kept, refusal

    slots = subject.net.units
    usable = [i for i, slot in enumerate(slots) if not slot.resampling and not refusal(slot)]
    if not usable:
        raise MeasureError("Every unit of this net changes the resolution; there is none to switch off.")
    sets = [chosen for size in sizes(len(usable)) for chosen in draw(usable, size, params.draws, params.seed)]
    right, seen = np.zeros(len(sets), dtype=np.int64), 0
    for x, y in subject.chunks("test", params.images, params.seed, CHUNK):
        kept = Kept(subject.net, x)
        for i, chosen in enumerate(sets):
            right[i] += int((kept.logits(chosen).argmax(1) == y).sum())
            progress(seen * len(sets) + (i + 1) * len(x), params.images * len(sets), f"{i + 1} of {len(sets)} sets")
        seen += len(x)
    table = pd.DataFrame(
        {
            "off": [len(chosen) for chosen in sets],
            "draw": 0,
            "units": [",".join(slots[i].id for i in chosen) for chosen in sets],
            "accuracy": right / seen,
            "change": 100 * (right - right[0]) / seen,
            "images": seen,
            "seed": params.seed,
        }
    )
    table["draw"] = table.groupby("off").cumcount() + 1
    notes = {"units": [slots[i].id for i in usable], "left_out": [slot.id for i, slot in enumerate(slots) if i not in usable],
             "images": seen, "seed": params.seed, "on": "test"}  # fmt: skip
    return Measurement(table=table, notes=notes)


def sizes(n: int) -> list[int]:
    """How many units are off: 0, 1, 2, 4, … and all `n`."""
    return sorted({0, n, *(2**i for i in range(n.bit_length()) if 2**i <= n)})


def draw(places: list[int], size: int, draws: int, seed: int) -> list[list[int]]:
    """Different sets of `size` places, each in order: `draws` at random, or all there are if there are no more."""
    if comb(len(places), size) <= draws:
        return [list(chosen) for chosen in combinations(places, size)]
    rng, found = np.random.default_rng([seed, size]), dict[tuple[int, ...], None]()
    while len(found) < draws:
        found[tuple(sorted(map(int, rng.choice(places, size, replace=False))))] = None
    return [list(chosen) for chosen in found]


def means(table: pd.DataFrame) -> pd.DataFrame:
    """One row a size: off, draws, mean, low, high of the accuracy; a single set has no interval."""
    rows = []
    for off, group in table.groupby("off"):
        mean, low, high = map(float, mean_interval(group["accuracy"].to_numpy()))
        # a mean of shares lies between 0 and 1, where Student's interval over few draws may not stop
        rows.append((int(off), len(group), mean, max(low, 0.0) if low == low else low, min(high, 1.0) if high == high else high))
    return pd.DataFrame(rows, columns=["off", "draws", "mean", "low", "high"])


def takeaway(table: pd.DataFrame, net: str) -> str:
    """What is left with one unit off and with about half of them, in one sentence; ** marks the key words."""
    found = means(table)
    n, whole = int(found["off"].max()), found.iloc[0]
    some = found[(found["off"] > 0) & (found["off"] < n)]
    if some.empty:
        return f"{net} has one unit that keeps the resolution; sets of units cannot be drawn."
    half = some.iloc[(some["off"] - n / 2).abs().argmin()]
    parts = [f"{_share(half)} with **{int(half['off'])} of {n}** units off at random"]
    if half["off"] > 1:
        parts.insert(0, f"{_share(some.iloc[0])} with one")
    return f"{net} is right on {words.percent(whole['mean'])} of the images, on {words.seq(parts)}."


def _share(row: Any) -> str:
    text = f"**{words.percent(row['mean'])}**"
    return text if np.isnan(row["low"]) else f"{text} (95 % {words.plain(100 * row['low'], 1)} to {words.plain(100 * row['high'], 1)})"


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes, each of which starts at the first unit that is off."""
    n = len(arch.letters)
    passes = 1 + sum(min(params.draws, comb(n, size)) * (1 - 1 / (size + 1)) for size in sizes(n) if size)
    return count(arch, image_size, 10)["flops"] * params.images * passes


def supports(arch: Architecture) -> str:
    """Every net can be asked; one whose units all change the resolution is refused when it is measured."""
    return ""


def chart(
    table: pd.DataFrame,
    theme: str = "light",
    *,
    net: str = "",
    family: str = "ref",
    width: int | None = None,
    height: int = 230,
    **_settings: Any,
) -> Any:
    """Accuracy against how many units are off: each set a pale dot, the means joined, with their 95 % interval."""
    import altair as alt

    from core.analyses._pictures import _heading
    from core.chart import tokens, x_title, y_title

    c, found = tokens(theme), means(table)
    rows = table.assign(share=100 * table["accuracy"], said=[units.replace(",", ", ") or "none" for units in table["units"]])
    found = found.assign(share=100 * found["mean"], low=100 * found["low"], high=100 * found["high"])
    last = int(found["off"].max())
    x_scale = alt.Scale(domain=[-0.03 * last - 0.1, 1.03 * last + 0.1], nice=False)
    # the theme's number of ticks would thin out the ones that are named
    axis = alt.Axis(values=found["off"].tolist(), tickCount=99, format="d", labelOverlap=False, **x_title("units off"))
    x = alt.X("off:Q", scale=x_scale, axis=axis)
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(**y_title("accuracy, %")))
    tips = [alt.Tooltip("said:N", title="units off"), alt.Tooltip("share:Q", title="accuracy [%]", format=".1f")]
    dots = alt.Chart(rows).mark_point(size=46, filled=True, opacity=0.3, color=c["ink2"]).encode(x=x, y=y, tooltip=tips)
    mean = alt.Chart(found).encode(x=x, y=y)
    bar = mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5, color=c["ink2"]).encode(y="low:Q", y2="high")
    line, dot = mean.mark_line(strokeWidth=2.4, color=c["ink"]), mean.mark_point(size=70, filled=True, opacity=1, color=c["ink"])
    layers = [dots, bar, line, dot, *(_heading(net, family, c) if net else [])]
    return alt.layer(*layers, height=height, width=width or alt.Undefined)


ANALYSIS = Analysis(
    id="subsets",
    title="Several units off",
    question="How many blocks can this net lose at once?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Veit, Wilber and Belongie, Residual Networks Behave Like Ensembles of Relatively Shallow Networks, NeurIPS 2016, Sec. 4.2",
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Sec. 4",
    ),
    cost=cost,
    supports=supports,
    needs="units",
    measure=measure,
    chart=chart,
)
