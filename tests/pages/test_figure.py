"""A figure's file stands alone: title, labels and caveats inside, drawn on white, nothing fetched."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa
import pytest

from core import chart
from core.analyses._pictures import over_depth
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


SVG = "{http://www.w3.org/2000/svg}"
UNITS = TABLE.assign(stage=1, low=TABLE["value"] - 0.1, high=TABLE["value"] + 0.1, name=TABLE["unit"])
NETS = ("ResNet-mini", "AlterNet-mini, no MSA at the end", "my-vit · 13b3", "Swin-mini", "ViT-mini on few images")


def panel(net: str, *, ticks: bool = True, title: str = "Δ log amplitude") -> Callable[[str], Any]:
    return lambda theme: over_depth(UNITS, title=title, theme=theme, heading=net, family="hybrid", scale=[-3.0, 0.0], ticks=ticks)


def bars(names: list[str], down: bool = False) -> Callable[[str], Any]:
    """Coloured by a scale that another chart of the same field has otherwise."""
    rows = pd.DataFrame({"kind": names, "value": [float(i + 1) for i in range(len(names))]})
    y = alt.Y("value:Q", scale=alt.Scale(reverse=down), axis=alt.Axis(values=[0, 1, 2], format=".3f"))
    return lambda theme: alt.Chart(rows).mark_bar().encode(x="kind:N", y=y, color="kind:N")


def insides(file: bytes) -> list[ET.Element]:
    """The charts in a file, in order."""
    return [chart for box in ET.fromstring(file).findall(f"{SVG}svg") for chart in box.findall(f"{SVG}svg")]


def paint(drawing: ET.Element) -> Counter:
    return Counter(value for node in drawing.iter() for value in (node.get("fill"), node.get("stroke")) if value)


def words(drawing: ET.Element) -> list[str]:
    return ["".join(node.itertext()) for node in drawing.iter(f"{SVG}text")]


def at(drawing: ET.Element) -> float:
    """How far down the plot begins."""
    shift = next(found for node in drawing.iter() if (found := re.match(r"translate\(-?[\d.]+,(-?[\d.]+)\)", node.get("transform") or "")))
    return float(drawing.get("y", "0")) + float(shift[1])


def test_each_of_several_charts_has_the_colours_that_it_has_alone() -> None:
    charts = [draw, bars(["msa", "conv"]), bars(["conv", "mlp", "msa"])]
    composed = insides(figure.svg_file(charts, "t", "f"))
    assert len(composed) == 3
    for inside, make in zip(composed, charts, strict=True):
        assert paint(inside) == paint(insides(figure.svg_file(make, "t", "f"))[0]) and len(paint(inside)) > 2


def test_an_axis_keeps_its_direction_beside_another() -> None:
    both = insides(figure.svg_file([bars(["a", "b"]), bars(["a", "b"], down=True)], "t", "f"))
    for inside, down in zip(both, (False, True), strict=True):
        places = {
            text: float(re.findall(r",(-?[\d.]+)\)", node.get("transform", ""))[0])
            for node in inside.iter(f"{SVG}text")
            if re.fullmatch(r"\d\.000", text := "".join(node.itertext()))
        }
        assert len(places) == 3 and (places["2.000"] > places["0.000"]) == down


@pytest.mark.parametrize("names", [NETS[:3], ("ResNet-mini", "W" * 60, "ViT-mini")])
def test_no_name_of_a_net_is_cut(names: tuple[str, ...]) -> None:
    for charts, several in ((panel(names[1]), False), ([panel(net, ticks=not i) for i, net in enumerate(names)], True)):
        file = figure.svg_file(charts, "t", "f")
        assert set(names if several else names[1:2]) <= set(words(ET.fromstring(file))) and "…" not in file.decode()
    assert max(float(one.get("x", "0")) + float(one.get("width", "0")) for one in insides(file)) <= figure.WIDEST


def test_ids_of_charts_do_not_collide_and_each_reference_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def clipped(theme: str) -> alt.Chart:
        return alt.Chart(TABLE).mark_area(clip=True).encode(
            x="depth:Q", y="value:Q",
            fill=alt.value({"gradient": "linear", "stops": [{"offset": 0, "color": "#123456"}, {"offset": 1, "color": "#654321"}]}),
        )  # fmt: skip

    drawn = chart.to_svg(clipped("light").to_dict())
    monkeypatch.setattr(chart, "to_svg", lambda spec: drawn)  # one process numbers on from chart to chart, two may give the same numbers
    file = figure.svg_file([clipped] * 5, "t", "f").decode()
    ids = [found for node in ET.fromstring(file).iter() if (found := node.get("id"))]
    asked = re.findall(r"url\(#([^)]+)\)", file)
    assert len(ids) == len(set(ids)) >= 10 and set(asked) == set(ids), "a clip and a gradient a chart, each its own"


def test_rows_are_no_wider_than_a_screen_and_do_not_lie_over_each_other() -> None:
    file = figure.svg_file([panel(net, ticks=not i) for i, net in enumerate(NETS)], "t", "f")
    charts, root = insides(file), ET.fromstring(file)
    box = [[float(one.get(key, "0")) for key in ("x", "y", "width", "height")] for one in charts]
    assert float(root.get("width", "0")) <= 1200
    assert [x for x, *_ in box].count(0) == 2, "three and two"
    assert all(a[0] + a[2] <= b[0] or a[1] + a[3] <= b[1] for a, b in pairwise(box))
    assert len({at(one) for one in charts[:3]}) == len({at(one) for one in charts[3:]}) == 1, "plots of a row begin at one height"
    high, low = insides(figure.svg_file([panel("a net"), bars(["a", "b"])], "t", "f"))
    assert at(high) == at(low) and high.get("y") != low.get("y"), "whatever stands above them"
    ticks = ["−3" in words(one) for one in charts]
    assert ticks == [True, False, False, True, False], "the first of a row shows the ticks of all"


def test_rows_are_as_on_the_page() -> None:
    def rows(charts: list[Callable[[str], Any]]) -> list[int]:
        return list(Counter(at(one) for one in insides(figure.svg_file(charts, "t", "f"))).values())

    nets = [panel(net, ticks=not i % 2) for i, net in enumerate(NETS[:4])]
    other = panel("all", title="change")
    assert rows([*nets, other]) == [2, 2, 1]
    assert rows([*(panel(net, ticks=not i) for i, net in enumerate(NETS[:3])), other]) == [3, 1]
    assert rows([draw] * 4) == [2, 2]
    given = insides(figure.svg_rows([nets[:2], [other]], "t", "f"))
    assert [float(one.get("x", "0")) > 0 for one in given] == [False, True, False]


def test_words_are_wrapped_to_the_width() -> None:
    for charts in (draw, [draw] * 3):
        root = ET.fromstring(figure.svg_file(charts, "A sentence goes on and on. " * 20, "A caveat goes on and on. " * 20))
        lines, width = root.findall(f"{SVG}text"), float(root.get("width", "0"))
        wide = [len("".join(line.itertext())) * int(line.get("font-size", "0")) for line in lines]
        assert " ".join("".join(line.itertext()) for line in lines).count("goes on and on.") == 40
        assert 0.8 * width < max(wide) / 2 < width, "letters are half as wide as high"
        assert 0 < max(float(line.get("y", "0")) for line in lines) < float(root.get("height", "0"))


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
