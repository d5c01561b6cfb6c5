"""A figure's file stands alone: title, labels and caveats inside, drawn on white, nothing fetched."""

import re
import xml.etree.ElementTree as ET

import altair as alt
import pandas as pd
import pyarrow as pa
import pytest

from core import chart
from pages.ui import figure, parts
from pages.ui.draw import on_page

TABLE = pd.DataFrame(
    {
        "depth": [0.2, 0.5, 1.0],
        "value": [-1.0, -2.0, -1.5],
        "kind": ["conv", "msa", "mlp"],
        "form": ["basic", "windowed", ""],
        "resampling": [True, False, False],
        "unit": ["s1u1", "s1u2", "s1u3"],
    }
)


def draw(theme: str) -> alt.LayerChart:
    base = alt.Chart(TABLE).encode(x=alt.X("depth:Q", axis=alt.Axis(**chart.x_title("depth"))), y=alt.Y("value:Q"))
    pick = alt.selection_point(name="unit", fields=["unit"])
    marks = chart.unit_marks(base, theme, focus="s1u2")
    return alt.layer(chart.depth_line(TABLE, theme=theme), marks[0].add_params(pick), *marks[1:]).properties(width=300, height=120)


@pytest.mark.parametrize("count", [1, 3])
def test_the_svg_holds_title_and_caveats_and_asks_for_nothing(count: int) -> None:
    file = figure.svg_file([draw] * count if count > 1 else draw, "**MSA** units blur & <sharpen>", "256 images, seed 0.").decode()
    root = ET.fromstring(file)
    words = " ".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "MSA units blur & <sharpen>" in words and "256 images, seed 0." in words and "depth" in words
    assert chart.LIGHT["msa"].lower() in file.lower() and chart.DARK["bg"].lower() not in file.lower()
    assert not re.search(r"https?://(?!www\.w3\.org)", file) and "light-dark" not in file
    assert float(root.get("height", "0")) > 150, "the caveats stand below the picture, not over it"


def test_marks_are_drawn_in_the_colour_of_their_kind() -> None:
    file = figure.svg_file(draw, "t", "f").decode().lower()
    assert all(chart.LIGHT[token].lower() in file for token in ("conv", "msa", "mlp", "ink"))


def test_a_single_view_keeps_its_height_and_takes_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "theme", lambda: "dark")
    spec = on_page(draw)
    assert spec["autosize"] == {"type": "fit-x", "contains": "padding"} and spec["height"] == 120
    assert spec["config"]["background"] == chart.DARK["bg"]


def test_a_page_sends_each_table_of_a_chart_once_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "theme", lambda: "light")
    spec, plain = on_page(draw), draw("light").to_dict()
    sent = {name: pa.ipc.open_stream(table).read_pandas() for name, table in spec["datasets"].items()}
    assert len(sent) == len(plain["datasets"]) == 2, "the line's table and the marks'"
    assert [name for layer in spec["layer"] for name in [layer["data"]["name"]]].count("table1") == len(spec["layer"]) - 1
    pd.testing.assert_frame_equal(sent["table1"], TABLE)
    for here, there in zip(spec["layer"], plain["layer"], strict=True):
        rows = plain["datasets"][there["data"]["name"]]
        pd.testing.assert_frame_equal(sent[here["data"]["name"]], pd.DataFrame(rows), check_dtype=False)


def test_text_of_a_user_is_escaped_and_bold_is_bold() -> None:
    assert parts.rich("**a** <b>x</b> & y") == "<b>a</b> &lt;b&gt;x&lt;/b&gt; &amp; y"
    assert "<script>" not in parts.chip_html("you", "<script>", "<i>")
