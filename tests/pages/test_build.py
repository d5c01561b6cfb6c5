"""Build through its native controls: every change that the ribbon makes, hostile links, undo, the numbers."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import presets, size, spec
from core.run import Run

Open = Callable[..., AppTest]


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html")).replace("\u00a0", " ")


def net(app: AppTest) -> str:
    return app.text_input(key="build_notation").value


def test_it_opens_on_alternet_and_says_what_it_is(opened: Open) -> None:
    app = opened("build")
    assert not app.exception
    assert [title.value for title in app.title] == ["What if this block were attention?"]
    assert net(app) == "ccwccw-ccmccm"
    assert "This is <b>AlterNet-mini</b>: 12 units, 4 of them attention." in said(app)


def test_a_kind_chosen_in_the_list_changes_the_net_the_sentence_and_the_numbers(opened: Open) -> None:
    app = opened("build")
    app.segmented_control(key="twin_stage_2").set_value(2).run()
    app.selectbox(key="twin_kind").set_value("m").run()
    assert net(app) == "ccwccw-cmmccm"
    assert "You changed <b>1 of 12 units</b> of AlterNet-mini: stage 2 now attends three times." in said(app)
    before, now = (size.count(spec.parse(t), 32, 10) for t in ("ccwccw-ccmccm", "ccwccw-cmmccm"))
    assert f"{now['parameters'] / 1e6:.2f} <small>M</small>" in said(app)
    difference = f"{(now['parameters'] - before['parameters']) / 1e6:+.2f}".replace("-", "−")
    assert f"{difference} M against AlterNet-mini" in said(app)


def test_the_net_comes_from_the_link_and_goes_back_into_it(opened: Open) -> None:
    app = opened("build", arch="cccccc-cccccm")
    assert net(app) == "cccccc-cccccm"
    assert app.query_params["arch"] == "cccccc-cccccm"
    app.selectbox(key="twin_kind").set_value("c").run()
    assert app.query_params["arch"] == "cccccc-cccccc"


def test_undo_goes_back_step_by_step(opened: Open) -> None:
    app = opened("build")
    assert app.button(key="build_undo").disabled
    app.text_input(key="build_notation").set_value("cccccc-cccccc").run()
    app.text_input(key="build_notation").set_value("mtmt/stem=patch4/width=96").run()
    app.button(key="build_undo").click().run()
    assert net(app) == "cccccc-cccccc"
    app.button(key="build_undo").click().run()
    assert net(app) == presets.resolve("alternet-mini").notation
    assert app.button(key="build_undo").disabled


@pytest.mark.parametrize("preset", ["resnet-mini", "vit-mini", "alternet-reversed-mini", "swin-mini"])
def test_a_preset_starts_the_net_anew(opened: Open, preset: str) -> None:
    app = opened("build")
    app.segmented_control(key="build_from").set_value(preset).run()
    assert net(app) == presets.resolve(preset).notation
    assert f"This is <b>{presets.PRESETS[preset].title}</b>" in said(app)


@pytest.mark.parametrize(
    "preset", sorted(set(presets.PRESETS) - {"resnet-mini", "vit-mini", "alternet-mini", "alternet-reversed-mini", "swin-mini"})
)
def test_every_other_preset_opens_from_its_link(opened: Open, preset: str) -> None:
    app = opened("build", arch=preset)
    assert not app.exception
    assert "Something unexpected" not in said(app) and "could not be shown" not in said(app)
    assert net(app) == presets.resolve(preset).notation


@pytest.mark.parametrize(
    "text",
    [
        "g-ccm",
        "zzz",
        "c" * 600,
        "c" * 200,
        "<script>alert(1)</script>",
        "c/width=999999",
        "../../etc/passwd",
        "mm-mm",
        "ooo",
        "m/width=64/heads=7",
    ],
)
def test_a_bad_link_is_told_plainly_and_a_net_that_can_be_built_is_shown(opened: Open, text: str) -> None:
    app = opened("build", arch=text)
    assert not app.exception
    assert "The net in this link cannot be built." in said(app)
    assert net(app) == presets.resolve("alternet-mini").notation
    assert "<script>" not in said(app)


def test_a_net_for_larger_images_is_drawn_at_the_first_size_it_fits(opened: Open) -> None:
    for text, drawn in (("c-c-c-c-c/stem=patch8", 512), ("ccw-ccc/window=7", 224)):
        app = opened("build", arch=text)
        assert not app.exception
        assert re.search(rf"This net does not fit Fashion at 32×32\.</b> .* It is drawn for {drawn}×{drawn} pixels\.", said(app))
        assert app.session_state["build_size"] == drawn
        size.count(spec.parse(text), drawn, 10)
        assert "Work per image" in said(app)


def test_a_net_that_fits_no_size_can_be_mended(opened: Open) -> None:
    app = opened("build", arch="ccw-ccm/window=5")
    assert not app.exception and "could not be shown" not in said(app)
    assert "This net does not fit Fashion at 32×32." in said(app) and "It is drawn for" not in said(app)
    assert app.button(key="build_code").disabled and "Work per image" not in said(app)
    assert net(app) == "ccw-ccm/window=5,5", "the text is there to be mended"
    app.text_input(key="build_notation").set_value("ccw-ccm/window=zz").run()
    assert "Not changed." in said(app)
    app.text_input(key="build_notation").set_value("ccw-ccm/window=4").run()
    assert "does not fit" not in said(app) and "Work per image" in said(app)
    assert net(app) == spec.parse("ccw-ccm/window=4").notation


def test_a_preset_rescues_a_net_that_fits_no_size(opened: Open) -> None:
    app = opened("build", arch="ccw-ccm/window=5")
    app.segmented_control(key="build_from").set_value("vit-mini").run()
    assert "does not fit" not in said(app) and net(app) == presets.resolve("vit-mini").notation


def test_a_bad_paste_keeps_the_net_and_the_text_and_names_the_place(opened: Open) -> None:
    app = opened("build")
    app.text_input(key="build_notation").set_value("ccwccw-mcmccm").run()
    assert "<b>Not changed.</b> Stage 2, unit 1 is MSA in the slot that halves the map" in said(app)
    assert net(app) == "ccwccw-mcmccm", "the text stays, to be mended"
    app.text_input(key="build_notation").set_value("ccwccw-ccmccc").run()
    assert net(app) == "ccwccw-ccmccc" and "Not changed" not in said(app)


def test_the_rules_hint_can_be_followed_with_one_press(opened: Open) -> None:
    app = opened("build", arch="cccccc-ccmccc")
    assert "Against the build-up rule." in said(app)
    assert app.button(key="build_rule").label == "Move it to the end"
    app.button(key="build_rule").click().run()
    assert net(app) == "cccccc-cccccm"


def test_settings_change_one_stage_and_refusals_are_told(opened: Open) -> None:
    app = opened("build")
    app.number_input(key="set_depth_2").set_value(8).run()
    assert net(app).startswith("ccwccw-ccmccmcm") or len(net(app).split("/")[0].split("-")[1]) == 8
    app.number_input(key="set_width_1").set_value(64).run()
    assert spec.parse(net(app)).stages[0].width == 64 and spec.parse(net(app)).stages[0].heads == 2
    kept = net(app)
    app.number_input(key="set_heads_1").set_value(3).run()
    assert net(app) == kept
    assert re.search(r"Not changed\.</b> Stage 1: .* heads", said(app))
    app.selectbox(key="set_stem").set_value("patch2").run()
    assert spec.parse(net(app)).stem == "patch2"


def test_the_time_to_train_is_measured_or_not_stated(opened: Open, shipped: list[Run]) -> None:
    app = opened("build")
    assert re.search(r"Time to train</div><div class=\"lab-big\">\d+ <small>(s|min|h)", said(app))


def test_without_a_timed_run_no_time_is_invented(opened: Open) -> None:
    app = opened("build")
    assert 'Time to train</div><div class="lab-big">– ' in said(app)
    assert "no run has been timed here yet" in said(app)


def test_the_components_get_a_drawing_of_the_net_and_no_text_of_the_link(opened: Open) -> None:
    app = opened("build", arch="cccccc-cccccm")
    sent = "".join(str(component.proto) for component in app.get("bidi_component"))
    assert sent.count("data-id=") >= 12 or sent.count("s2u6") >= 1
