"""The notation: round trip, places named in errors, bounds against hostile text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.edit import choices, set_unit
from core.errors import LabError, SpecError
from core.presets import PRESETS, alternate, family, resolve
from core.size import count
from core.spec import BLOCKS, STEMS, layout, parse


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.id)
def test_every_preset_is_its_own_round_trip(preset):
    arch = resolve(preset.id)
    assert parse(arch.notation) == arch
    assert parse(arch.notation).notation == arch.notation


@st.composite
def notations(draw):
    """Any text that is made of known parts, sound or not."""
    count_ = draw(st.integers(1, 3))
    stages = [draw(st.text("cbdmwslxtpgo", min_size=1, max_size=5)) for _ in range(count_)]
    parts = ["-".join(stages)]
    if draw(st.booleans()):
        parts.append(f"stem={draw(st.sampled_from(list(STEMS)))}")
    if draw(st.booleans()):
        parts.append("width=" + ",".join(str(draw(st.sampled_from([32, 64, 96, 128]))) for _ in range(count_)))
    if draw(st.booleans()):
        parts.append(f"window={draw(st.integers(2, 9))}")
    if draw(st.booleans()):
        parts.append(f"kernel={draw(st.integers(2, 9))}")
    if draw(st.booleans()):
        parts.append(f"stem_width={draw(st.sampled_from([32, 64]))}")
    extra = st.sampled_from(["pos=abs", "pos=none", "mlp=2", "bias=0", "msa=bottleneck", "head=cls", "dim_head=16"])
    parts += draw(st.lists(extra, unique=True))
    return "/".join(parts)


@given(notations())
@settings(max_examples=400, deadline=None)
def test_what_is_read_is_written_the_same(text):
    try:
        arch = parse(text)
    except SpecError:
        return
    assert parse(arch.notation) == arch


@given(st.text(max_size=600))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_net_or_a_sentence(text):
    try:
        count(parse(text), 32, 10)
    except SpecError as error:
        assert str(error).endswith((".", "?"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cc-mc", "Stage 2, unit 1 is MSA in the slot that halves the map"),
        ("cc-oc", "Stage 2, unit 1 is None in the slot"),
        ("cqc", "Stage 1, unit 2 is 'q'"),
        ("cc-cw/window=3", "a window of 3 does not divide the 8x8 map; 2, 4, 8 would"),
        ("cl/kernel=4", "has no centre; use an odd number"),
        ("mm/width=100", "multiple of 8"),
        ("mm/width=96/heads=5", "do not divide among 5 heads"),
        ("cc/width=64,128", "width has 2 values for 1 stages"),
        ("cc/width=99999", "should be from 8 to 4096"),
        ("cc/width=-1", "should be a whole number"),
        ("cc/colour=3", "There is no option 'colour'"),
        ("cc/mlp=2/mlp=3", "given twice"),
        ("c-c-c-c-c-c", "would halve"),
        ("c" * 600, "at most 512"),
        ("c" * 200, "at most 160"),
        ("", "empty"),
        ("cc--cc", "Stage 2 is empty"),
        ("oo", "Every unit of the net is empty"),
        ("mg", "patch merging; it can only be the first"),
        ("mt/stem_width=64", "cannot widen 64 channels to 32"),
        ("cm/head=cls", "CLS token only passes"),
        ("../../etc/passwd", "holds '.'"),
        ("b" * 100 + "/width=4096", "M parameters; at most"),
    ],
)
def test_a_bad_net_is_refused_at_its_place(text, says):
    with pytest.raises(SpecError) as caught:
        count(parse(text), 32, 10)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["m/stem=patch1", "mt/stem=patch2/width=192/heads=3", "l/stem=patch1/kernel=31", "xt/stem=patch2"])
def test_a_net_that_no_memory_holds_is_refused_before_it_is_built(text):
    with pytest.raises(SpecError, match="need too much memory"):
        count(parse(text), 224, 10)


def test_usual_heads_always_divide_the_width():
    for width in range(8, 2049, 8):
        assert count(parse(f"m/stem=patch4/width={width}"), 32, 10)["parameters"] > 0


def test_alternate_counts_from_the_stage_end_and_never_truncates():
    assert alternate((3, 4, 6, 4), (0, 1, 3, 2)) == "bbb-bbbw-bwbwbw-bwbw"
    with pytest.raises(SpecError, match="at most 1 do"):
        alternate((3, 4), (2, 0))


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(LabError, match="resnet-mini"):
        resolve("resnet-mega")


def test_depth_runs_from_the_stem_to_the_last_unit_and_skips_empty_slots():
    units = [u for u in layout(parse("coc-cc"), 32) if u.kind != "none"]
    assert [u.depth for u in units] == [0.25, 0.5, 0.75, 1.0]
    assert [u.resampling for u in units] == [False, False, True, False]
    assert [u.id for u in units] == ["s1u1", "s1u3", "s2u1", "s2u2"]


def test_a_window_as_large_as_the_map_is_global_and_unshifted():
    units = layout(parse("css/window=16"), 32)
    assert [(u.form, u.window) for u in units[1:]] == [("windowed", 16)] * 2


def test_choices_give_a_reason_for_every_refusal():
    arch = resolve("alternet-mini")
    first = choices(arch, 32, 2, 1)
    assert [k for k in BLOCKS if not first[k]] == ["c", "b", "d", "g"]
    assert "halves the map" in first["m"]
    assert set_unit(arch, 2, 2, "m").stages[1].letters == "cmmccm"


def test_families():
    assert [family(resolve(p)) for p in ("resnet-mini", "vit-mini", "alternet-mini")] == ["conv", "msa", "hybrid"]
