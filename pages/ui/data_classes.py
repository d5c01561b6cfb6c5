"""How many images of each class: bars, and what a net gains that says the commonest class every time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from core import words
from core.analyses._pictures import layered
from core.chart import tokens, x_title, y_title
from core.data.dataset import DatasetSpec
from pages.ui import data_shelf, figure, parts
from pages.ui.draw import draw

if TYPE_CHECKING:
    import altair as alt

QUESTION = "Are all classes there equally often?"
#: more classes than this stand as one shape, without names
NAMED = 40
METHOD = """**What is counted.** The images of each class, those for training and those for testing. Nothing is estimated.

**How to read it.** Bars of one length: every class weighs the same. A net that is trained on uneven classes learns to say the common ones;
its accuracy then says less than it seems to. *Always saying the commonest* gives the accuracy that needs no picture at all.

**What it cannot say.** How different the images of a class are, and how alike two classes are."""


def table_of(rows: data_shelf.Counts) -> pd.DataFrame:
    """class, train, test, and the share of each class in percent."""
    table = pd.DataFrame(rows)
    total = table["train"] + table["test"]
    return table.assign(share=(100 * total / max(int(total.sum()), 1)).round(3))


def sentence(spec: DatasetSpec, rows: data_shelf.Counts) -> str:
    """Even, or how uneven; and what one gets without looking."""
    split = data_shelf.part(spec)
    most, least = max(rows, key=lambda row: row[split]), min(rows, key=lambda row: row[split])
    kind = data_shelf.SPLITS[split].lower()
    without = guess(rows, split)
    blind = f"Always saying the commonest gets {words.percent(without)} of the test images right." if without is not None else ""
    if most[split] == least[split]:
        return f"**All {len(rows)} classes are even**: {words.some(most[split], f'{kind} image')} each. {blind}".strip()
    ratio = most[split] / max(least[split], 1)
    if ratio < 1.2:
        counts = f"{words.count(least[split])} to {words.some(most[split], f'{kind} image')} each"
        return f"The {len(rows)} classes are **nearly even**: {counts}. {blind}".strip()
    most_said, least_said = (f"{row['class']} ({words.count(row[split])})" for row in (most, least))
    return f"**{most_said} has {words.plain(ratio, 1)} times** the {kind} images of {least_said}. {blind}".strip()


def guess(rows: data_shelf.Counts, split: str) -> float | None:
    """The share of test images that are of the class which is commonest in a split."""
    total = sum(row["test"] for row in rows)
    return max(rows, key=lambda row: row[split])["test"] / total if total else None


def show(spec: DatasetSpec, place: Any) -> dict[str, list[str]]:
    """The whole view; nothing of its own goes into the address."""
    rows = data_shelf.counts(spec.id)
    said, table = sentence(spec, rows), table_of(rows)
    with place:
        parts.take(said)

    def make(theme: str) -> "alt.LayerChart":
        return chart(table, theme)

    draw(make, table.to_csv(index=False), "data_classes_chart", said)
    order = "" if _even(table) else " Commonest first."
    foot = (
        f"{data_shelf.named(spec)}: all {words.count(spec.train_n + spec.test_n)} images. Solid: {words.count(spec.train_n)} for training; "
        f"{'outlined' if len(rows) <= NAMED else 'paler'}: {words.count(spec.test_n)} for testing.{order}"
    )
    figure.foot_line(foot, table, "classes", "data_classes", lambda: figure.svg_file(make, said, foot))
    return {}


def _even(table: pd.DataFrame) -> bool:
    return table["train"].nunique() == 1 and table["test"].nunique() == 1


def chart(table: pd.DataFrame, theme: str = "light") -> "alt.LayerChart":
    """A bar for each class: training solid, testing outlined behind it; of many classes one shape."""
    if not _even(table):
        table = table.assign(_all=table["train"] + table["test"]).sort_values("_all", ascending=False, kind="stable")
    table = table.reset_index(drop=True).assign(rank=range(1, len(table) + 1))
    return _named(table, theme) if len(table) <= NAMED else _many(table, theme)


def _long(table: pd.DataFrame) -> pd.DataFrame:
    """Two rows a class with the ends of its two bars."""
    rows = []
    for row in table.itertuples():
        rows += [
            (row.rank, row[1], "train", 0, row.train, row.train),
            (row.rank, row[1], "test", row.train, row.train + row.test, row.test),
        ]
    return pd.DataFrame(rows, columns=["rank", "class", "split", "start", "end", "images"])


def _named(table: pd.DataFrame, theme: str) -> "alt.LayerChart":
    import altair as alt

    c, long = tokens(theme), _long(table)
    names = alt.Axis(title=None, labelColor=c["ink"], labelFontSize=13, labelLimit=150, grid=False)
    y = alt.Y("class:N", sort=list(table["class"]), axis=names)
    x = alt.X("start:Q", axis=None, scale=alt.Scale(domain=[0, max(1.0, float((table["train"] + table["test"]).max()))], nice=False))
    tips = [alt.Tooltip("class:N"), alt.Tooltip("split:N"), alt.Tooltip("images:Q", format=",")]
    base = alt.Chart(long).encode(y=y, x=x, x2=alt.X2("end"), tooltip=tips)
    layers = [
        base.transform_filter("datum.split == 'train' && datum.images > 0").mark_bar(color=c["ink2"], height=14, cornerRadius=2),
        base.transform_filter("datum.split == 'test' && datum.images > 0").mark_bar(
            height=13, cornerRadius=2, filled=False, stroke=c["ink2"], strokeWidth=1.2
        ),
    ]
    ends = table.assign(_end=table["train"] + table["test"])
    ends["said"] = [
        f"{words.count(int(a))} + {words.count(int(b))}" if a else words.count(int(b))
        for a, b in zip(ends["train"], ends["test"], strict=True)
    ]
    layers.append(alt.Chart(ends).mark_text(align="left", dx=8, fontSize=13, color=c["ink"]).encode(y=y, x=alt.X("_end:Q"), text="said:N"))
    return room(layered(layers, "classes", max(60, 26 * len(table))), list(ends["said"]))


def room(whole: "alt.LayerChart", said: Sequence[str]) -> "alt.LayerChart":
    """The chart with room on its right for the longest text that stands at the end of a bar."""
    whole.padding = {"left": 2, "right": 14 + 7 * max(map(len, said)), "top": 6, "bottom": 2}
    return whole


def _many(table: pd.DataFrame, theme: str) -> "alt.LayerChart":
    import altair as alt

    c, long = tokens(theme), _long(table)
    top = float((table["train"] + table["test"]).max())
    x = alt.X(
        "rank:Q",
        axis=alt.Axis(**x_title("class" if _even(table) else "class, commonest first")),
        scale=alt.Scale(domain=[0.5, len(table) + 0.5], nice=False),
    )
    y = alt.Y("start:Q", axis=alt.Axis(**y_title("images")), scale=alt.Scale(domain=[0, 1.08 * top], nice=False))
    tips = [alt.Tooltip("class:N"), alt.Tooltip("split:N"), alt.Tooltip("images:Q", format=",")]
    wide = max(1.0, min(7.0, 620 / len(table)))
    shade = alt.Color("split:N", scale=alt.Scale(domain=["train", "test"], range=[c["ink2"], c["faint"]]), legend=None)
    bars = alt.Chart(long).mark_bar(width=wide).encode(x=x, y=y, y2=alt.Y2("end"), color=shade, tooltip=tips)
    ends = table.iloc[[0, -1]].assign(_end=table["train"] + table["test"], anchor=["left", "right"])
    said = alt.Chart(ends).encode(x=alt.X("rank:Q"), y=alt.Y("_end:Q"), text="class:N")
    labels = [
        said.transform_filter(f"datum.anchor == '{side}'").mark_text(align=side, dy=-8, fontSize=13, color=c["ink"])
        for side in ("left", "right")
    ]
    return layered([bars, *labels], "classes", 260)
