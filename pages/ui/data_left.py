"""What an import left out or changed, and why: counts by reason, a row for each file."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from core import words
from core.analyses._pictures import layered
from core.chart import tokens
from core.data import imported
from core.data.dataset import DatasetSpec
from core.data.picture import NOTES
from pages.ui import data_classes, data_gallery, figure, parts
from pages.ui.draw import draw

if TYPE_CHECKING:
    import altair as alt

QUESTION = "What was left out, and why?"
METHOD = """**What is looked at.** Every file in the folder or the zip file is opened and decoded once. Nothing that a file says of itself
is believed: a picture is one if its pixels can be read, whatever it is called. Of pictures that are the same to a net the first one stays,
and one that is for testing comes before one for training, so that nothing is tested that was trained on.

**How to read it.** *Left out*: the file is not in the set. *Changed*: it is, but not as it was; a grey picture has three equal channels, a
transparent one lies on white. An empty class is a folder without a picture that could be taken.

**What it cannot say.** Whether a label is right, and whether two pictures that differ in a few pixels show the same thing."""


def table_of(report: dict[str, Any]) -> pd.DataFrame:
    """file, outcome, reason, why."""
    rows = [(row["file"], row["outcome"], row["reason"], row["words"]) for row in report["rows"]]
    return pd.DataFrame(rows, columns=["file", "outcome", "reason", "why"])


def sentence(spec: DatasetSpec, report: dict[str, Any]) -> str:
    """How many were left out and for what; how many are not as they were."""
    kept, left = spec.train_n + spec.test_n, report["left_out_n"]
    changed = len({row["file"] for row in report["rows"] if row["outcome"] == "changed"})
    more = f" {words.some(changed, 'picture')} taken with a change." if changed else ""
    if not left:
        return f"**Nothing was left out** of {spec.title}: {words.some(kept, 'picture')} taken.{more}"
    most = [f"{reason} ({words.count(n)})" for reason, n in list(report["left_out"].items())[:2]]
    why = "Commonest reasons" if len(report["left_out"]) > 2 else "Why"
    return f"**{words.some(left, 'file')} left out**, {words.some(kept, 'picture')} taken. {why}: {words.seq(most)}.{more}"


def show(spec: DatasetSpec, place: Any) -> dict[str, list[str]]:
    """The whole view; nothing of its own goes into the address."""
    report = imported.report(imported.find(spec.id))
    said, table = sentence(spec, report), table_of(report)
    with place:
        parts.take(said)
    if table.empty:
        parts.sub("Every file was a picture, as it should be, and none of them was there twice.")
        return {}
    counts = counted(report)

    def make(theme: str) -> "alt.LayerChart":
        return chart(counts, theme)

    draw(make, counts.to_csv(index=False), "data_left_chart", said)
    foot = f"{spec.title}, {spec.id}: all files of {data_gallery.source(spec)}. Solid: left out; outlined: taken with a change."
    figure.foot_line(foot, table, "left-out", "data_left", lambda: figure.svg_file(make, said, foot))
    parts.h2("File by file", words.some(len(table), "row"))
    st.dataframe(table, hide_index=True, width="stretch", height=min(38 + 35 * len(table), 420), column_config=_WIDTHS)
    return {}


_WIDTHS = {"file": st.column_config.Column(width="medium"), "why": st.column_config.Column(width="large")}


def counted(report: dict[str, Any]) -> pd.DataFrame:
    """outcome, reason (in words), files."""
    rows = [("left out", reason, n) for reason, n in report["left_out"].items()]
    rows += [("changed", NOTES.get(reason, reason), n) for reason, n in report["changed"].items()]
    return pd.DataFrame(rows, columns=["outcome", "reason", "files"])


def chart(counts: pd.DataFrame, theme: str = "light") -> "alt.LayerChart":
    """A bar for each reason: left out solid, changed outlined."""
    import altair as alt

    c = tokens(theme)
    names = alt.Axis(title=None, labelColor=c["ink"], labelFontSize=13, labelLimit=260, grid=False)
    y = alt.Y("reason:N", sort=list(counts["reason"]), axis=names)
    x = alt.X("files:Q", axis=None, scale=alt.Scale(domain=[0, float(counts["files"].max())], nice=False))
    base = alt.Chart(counts).encode(y=y, x=x, tooltip=[alt.Tooltip("reason:N"), alt.Tooltip("files:Q", format=",")])
    solid = base.transform_filter("datum.outcome == 'left out'").mark_bar(color=c["ink2"], height=14, cornerRadius=2)
    outlined = base.transform_filter("datum.outcome == 'changed'").mark_bar(
        height=13, cornerRadius=2, filled=False, stroke=c["ink2"], strokeWidth=1.2
    )
    said = base.mark_text(align="left", dx=8, fontSize=13, color=c["ink"]).encode(text=alt.Text("files:Q", format=","))
    whole = layered([solid, outlined, said], "left out", max(60, 26 * len(counts)))
    return data_classes.room(whole, [words.count(int(n)) for n in counts["files"]])
