"""Changes to a net: what a click makes of a unit, what a refusal says, what the build-up rule advises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import edit, presets, rule
from core.errors import SpecError
from core.spec import BLOCKS, layout, parse

RESNET, ALTER = parse("cccccc-cccccc"), parse("ccwccw-ccmccm")


def test_clicks_go_through_conv_msa_mlp_none_and_back() -> None:
    once = edit.flipped(RESNET, 32, 2, 6)
    assert once.notation == "cccccc-cccccm"
    twice = edit.flipped(once, 32, 2, 6)
    thrice = edit.flipped(twice, 32, 2, 6)
    assert [net.stages[1].letters[-1] for net in (once, twice, thrice)] == ["m", "t", "o"]
    assert edit.flipped(thrice, 32, 2, 6) == RESNET


def test_the_form_of_attention_fits_the_stage() -> None:
    assert edit.flipped(RESNET, 32, 1, 6).stages[0].letters == "cccccw", "windows on a 16x16 map"
    assert edit.flipped(ALTER, 32, 2, 2).stages[1].letters == "cmmccm", "the form that the stage holds already"


def test_a_slot_that_halves_the_map_refuses_and_says_why() -> None:
    with pytest.raises(SpecError, match=r"Stage 2, unit 1 .* halves the map"):
        edit.flipped(RESNET, 32, 2, 1)


def test_a_unit_that_is_not_there_is_named() -> None:
    with pytest.raises(SpecError, match="no stage 2, unit 99"):
        edit.flipped(RESNET, 32, 2, 99)


@given(name=st.sampled_from(sorted(presets.PRESETS)), pick=st.integers(0, 10**6))
def test_a_flip_gives_a_net_that_can_be_built_or_a_reason(name: str, pick: int) -> None:
    arch, size = presets.resolve(name), presets.PRESETS[name].image_size
    slots = layout(arch, size)
    slot = slots[pick % len(slots)]
    try:
        new = edit.flipped(arch, size, slot.stage, slot.index)
    except SpecError as error:
        assert str(error).endswith(".")
        return
    assert len(layout(new, size)) == len(slots)
    assert parse(new.notation) == new
    assert edit.changed(new, arch) == [(slot.stage, slot.index)]


def test_a_stage_grows_in_its_own_rhythm() -> None:
    assert edit.resized(presets.resolve("vit-mini"), 1, 14).stages[0].letters == "mt" * 7
    assert edit.resized(RESNET, 2, 8).stages[1].letters == "c" * 8
    assert edit.resized(RESNET, 2, 2).stages[1].letters == "cc"
    assert edit.resized(parse("mtmt-g/width=64,96/stem=patch2"), 2, 3).stages[1].letters == "gcc"
    with pytest.raises(SpecError, match="65 units"):
        edit.resized(RESNET, 1, 65)


def test_a_setting_that_cannot_be_is_refused_by_the_parser() -> None:
    with pytest.raises(SpecError, match="heads"):
        edit.with_stage(ALTER, 1, heads=3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ccwccw-ccmccm", "This is **AlterNet-mini**: 12 units, 4 of them attention. Change one and see what it costs."),
        ("ccwccw-cmmccm", "You changed **1 of 12 units** of AlterNet-mini: stage 2 now attends three times."),
        ("cccccc-ccmccm", "You changed **2 of 12 units** of AlterNet-mini: stage 1 no longer attends."),
        ("ctwccw-ccmccm", "You changed **1 of 12 units** of AlterNet-mini: stage 1, unit 2 is now MLP."),
        ("ccwccwc-ccmccm", "Your net has **13 units** in 2 stages, 4 of them attention."),
        ("ccwccw-ccmccm/window=8", "These are the units of AlterNet-mini with **other settings**: 12 units, 4 of them attention."),
    ],
)
def test_the_change_in_a_sentence(text: str, says: str) -> None:
    assert edit.difference(parse(text), ALTER, "AlterNet-mini") == says


def test_the_nearest_preset_is_the_one_with_the_fewest_changes() -> None:
    assert edit.nearest_preset(parse("cccccc-cccccm")) == "resnet-mini"
    assert edit.nearest_preset(parse("ccwccw-ccmcmm")) == "alternet-mini"
    assert edit.nearest_preset(parse("c-c-c-c-c")) == ""


@pytest.mark.parametrize(
    ("text", "title", "after"),
    [
        ("cccccc-cccccc", "Build-up rule.", "cccccc-cccccm"),
        ("cccccc-cccccm", "By the build-up rule.", "cccccc-cccmcm"),
        ("cccccc-cmcmcm", "By the build-up rule.", "cccccw-cmcmcm"),
        ("ccwccc-cccccc", "Against the build-up rule.", "cccccw-cccccc"),
        ("cccccw-cccccc", "Against the build-up rule.", "cccccc-cccccm"),
        ("cccccc-ccccmm", "Against the build-up rule.", "cccccc-cccmcm"),
    ],
)
def test_the_build_up_rule_goes_from_the_end_of_the_last_stage(text: str, title: str, after: str) -> None:
    found = rule.hint(parse(text), 32)
    assert found is not None and found.title == title
    assert found.after is not None and found.after.stages_text() == after
    assert found.action


def test_the_rule_builds_the_papers_own_net() -> None:
    """Followed from the conv net, in the paper's trials, the rule reaches MSAs at 4-4, 4-2, 3-6 and 2-4."""
    base = "bbb-bbbb-bbbbbb-bbbb/width=256,512,1024,2048/stem=conv3/stem_width=64"
    arch = parse(base)
    steps = []
    for _ in range(3):
        found = rule.hint(arch, 32)
        assert found is not None and found.after is not None
        steps += [(s, u) for s, u in edit.changed(found.after, arch) or []]
        arch = found.after
    assert steps == [(4, 4), (4, 2), (3, 6)]
    assert rule.next_place(arch, 32, [2]) == (2, 4)


def test_the_rule_is_silent_on_nets_it_does_not_speak_of() -> None:
    assert rule.hint(presets.resolve("vit-mini"), 32) is None
    assert rule.hint(presets.resolve("mixer-mini"), 32) is None


def test_every_kind_has_a_letter_that_the_editor_can_set() -> None:
    assert set(BLOCKS) == set("cbdmwslxtpgo")
