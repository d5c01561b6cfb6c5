"""The drawing of a net: one mark for each unit, the right shape, a label that a screen reader can say."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from core import chart, presets, ribbon
from core.spec import BLOCKS, layout, parse
from pages.ui.stage_view import lanes, stage_view

SVG = "{http://www.w3.org/2000/svg}"
ENDS = (("Image", "32×32×1"), ("Class", "GAP, 10"))


def shapes(kind: str, form: str = "", resampling: bool = False, state: str = "") -> list[str]:
    markup = ribbon.mark(kind, form, 0, 0, 20, paint=chart.LIGHT, resampling=resampling, state=state)
    return [element.tag for element in ET.fromstring(markup).iter()][1:]


def test_shape_says_reach_and_dot_says_dependence_on_the_image() -> None:
    assert shapes("conv") == ["rect"]
    assert shapes("mix") == ["circle"]
    assert shapes("msa", "global") == ["circle", "circle"]
    assert shapes("msa", "windowed") == ["rect", "circle", "circle"]
    assert shapes("conv", "depthwise") == ["rect", "rect", "rect"]
    assert shapes("conv", resampling=True) == ["rect", "path", "rect"]


def test_each_fact_is_coded_twice_so_grey_print_still_tells_kinds_apart() -> None:
    drawn = {}
    for letter, block in BLOCKS.items():
        markup = ribbon.mark(block.kind, block.form, 0, 0, 20, paint=dict.fromkeys(chart.LIGHT, "#000"))
        drawn.setdefault(markup, []).append(letter)
    # c and b differ inside only; shifted windows are windows; a merge is drawn by its hatching, which is a state
    assert sorted("".join(letters) for letters in drawn.values() if len(letters) > 1) == ["cbg", "ws"]


def test_a_lesioned_unit_is_hollow_and_dashed() -> None:
    markup = ribbon.mark("msa", "global", 0, 0, 20, paint=chart.LIGHT, state="hollow")
    assert 'fill="none"' in markup and "stroke-dasharray" in markup


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_every_preset_is_drawn_whole_and_in_order(name: str) -> None:
    preset = presets.PRESETS[name]
    slots = layout(presets.resolve(name), preset.image_size)
    root = ET.fromstring(stage_view(slots, ends=ENDS, paint=chart.LIGHT))
    units = [element for element in root.iter(f"{SVG}g") if element.get("data-id")]
    assert [unit.get("data-id") for unit in units] == [slot.id for slot in slots]
    assert all("·" in unit.get("aria-label", "") for unit in units)
    places = [(float(u.get("transform", "").split("(")[1].split()[1].rstrip(")")), float(u.get("data-x", "nan"))) for u in units]
    assert places == sorted(places)
    sides = [float(element.get("data-side", "nan")) for element in root.iter(f"{SVG}g") if element.get("class") == "m"]
    assert min(sides) >= 24, "a unit too small to click"


def test_long_nets_break_by_stage_and_lose_no_unit() -> None:
    slots = layout(parse("c" * 40 + "-" + "c" * 3), 32)
    rows = lanes(slots, 16)
    assert [slot.id for row in rows for slot in row] == [slot.id for slot in slots]
    assert max(map(len, rows)) <= 16


def test_units_of_a_gallery_ribbon_do_not_overlap() -> None:
    slots = layout(presets.resolve("resnet-mini"), 32)
    xs, step = ribbon.centres(slots, 0, ribbon.natural_width(slots, 11))
    gaps = [b - a for a, b in pairwise(xs)]
    assert min(gaps) == pytest.approx(step) and step > 11
    assert gaps[5] == pytest.approx(step * (1 + ribbon.GAP / ribbon.STEP)), "stages are parted by a wider gap"


def test_the_label_counts_kinds() -> None:
    assert ribbon.summary(layout(presets.resolve("alternet-mini"), 32)) == "12 units in 2 stages: 8 Conv, 4 MSA"


def test_a_unit_is_described_with_its_reach() -> None:
    slots = {slot.id: slot for slot in layout(presets.resolve("alternet-mini"), 32)}
    assert ribbon.describe(slots["s1u3"]) == "Stage 1, unit 3 · Windowed MSA · 1 head · window 4×4 · 16×16"
    assert ribbon.describe(slots["s2u1"]) == "Stage 2, unit 1 · Conv · 8×8 · halves the map"


def test_a_page_drawing_follows_the_scheme_and_a_file_does_not() -> None:
    slots = layout(presets.resolve("vit-mini"), 32)
    assert "light-dark(" in ribbon.draw(slots)
    alone = ribbon.draw(slots, paint=chart.LIGHT)
    assert "light-dark(" not in alone and "var(" not in alone
    assert not re.search(r"https?://(?!www\.w3\.org)", alone)
