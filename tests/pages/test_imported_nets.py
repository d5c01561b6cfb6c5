"""Nets from elsewhere on every page: read into units, into whole blocks, into nothing; and trained on from their weights."""

import dataclasses
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import io, store
from core.outline import Outline
from core.run import Run
from core.spec import layout, parse
from core.unit import Unit
from pages.ui import pickers, plan

Open = Callable[..., AppTest]
LONG = "EfficientNet of somebody else, fine-tuned twice and named at length"


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html")).replace("\u00a0", " ")


def block(stage: int, index: int, depth: float, side: int) -> Unit:
    facts = {"width_in": 8, "width": 8, "heads": 0, "window": 0, "kernel": 0, "stride": 1}
    return Unit(stage=stage, index=index, letter="k", kind="block", form="whole", depth=depth, resampling=False, side=side, **facts)


def kept(name: str, units: tuple[Unit, ...], **changes) -> Run:
    """A stored net from elsewhere, made without torch; its weights are a file that no page opens."""
    facts = {"name": f"timm:{name}", "image_size": 32, "units": units, "parameters": 1_000_000, "flops": 2_000_000, "scores": 10}
    label = changes.pop("label", name)
    outline = Outline(**{**facts, "weights": "random, seed 0", "digest": io.digest(name), **changes})
    run = Run(arch=outline.name, data="fashion", recipe={}, outline=outline.to_json(), name=label)
    folder = store.create(run)
    io.write_json(folder / "final.json", {"accuracy": 0.12, "n_test": 10_000, "seconds": 31.0})
    io.write_atomic(folder / "weights" / "end.safetensors", b"weights")
    return run


@pytest.fixture
def nets(checkout: object) -> dict[str, Run]:
    """One of each kind: hybrid units, plain convolutions among the units, sixty units with a long name, whole blocks, nothing inside."""
    plain = tuple(dataclasses.replace(unit, form="plain") if unit.index == 1 else unit for unit in layout(parse("ccc-ccc/width=16,32"), 32))
    why = "This net cannot be taken apart into residual units."
    return {
        "units": kept("test_units", tuple(layout(parse("ccm-cmt/width=16,32"), 32))),
        "plain": kept("test_plain", plain, weights="published"),
        "many": kept("test_many", tuple(layout(parse(f"{'cmt' * 10}-{'cmt' * 10}/width=16,32"), 32)), label=LONG),
        "blocks": kept("test_blocks", (block(1, 1, 0.5, 8), block(1, 2, 1.0, 8)), level="blocks", why=why),
        "logits": kept("test_logits", (), level="logits", why=f"{why} What can be measured are its answers."),
    }


PAGES = ("start", "build", "train", "landscape", "curvature", "lens", "lesion", "frequency", "data")
VIEWS = [("features", show) for show in ("variance", "cka", "attention", "receptive")]
VIEWS += [("robustness", show) for show in ("corruption", "band_noise", "adversarial", "calibration", "shape_texture")]


@pytest.mark.parametrize("kind", ["units", "plain", "many", "blocks", "logits"])
def test_every_page_opens_on_it(opened: Open, nets: dict[str, Run], kind: str) -> None:
    for page, show in [*((page, "") for page in PAGES), *VIEWS]:
        app = opened(page, m=[nets[kind].id], **({"show": show} if show else {}))
        assert not app.exception, (page, show)
        text = said(app)
        assert "Something unexpected" not in text and "could not be shown" not in text, (page, show, text[-600:])


def test_four_together_open_every_page_of_units(opened: Open, nets: dict[str, Run]) -> None:
    four = [nets[kind].id for kind in ("units", "many", "blocks", "logits")]
    for page in ("frequency", "lesion", "lens", "train", "build"):
        app = opened(page, m=four)
        assert not app.exception and "Something unexpected" not in said(app), page


def test_its_mark_is_that_of_its_family_where_its_units_are_known(nets: dict[str, Run]) -> None:
    assert pickers.family(nets["units"]) == "hybrid" and pickers.family(nets["plain"]) == "conv"
    assert pickers.family(nets["blocks"]) == pickers.family(nets["logits"]) == "you"
    assert [run.id for run in pickers.added()] and pickers.title(nets["many"]) == LONG


@pytest.mark.parametrize("kind", ["blocks", "logits"])
def test_a_net_without_units_says_that_it_has_no_lesion(
    opened: Open, nets: dict[str, Run], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import live

    asked: list[str] = []
    monkeypatch.setattr(live, "warm", lambda op, **_args: asked.append(op))
    app = opened("lesion", m=[nets[kind].id], net=nets[kind].id)
    text = said(app)
    assert f"Lesion does not apply to {nets[kind].name}. {nets[kind].outline['why']}" in text
    assert "Click a unit" not in text and not asked, "the live worker is not asked what it would refuse"


def test_units_without_a_path_around_them_cannot_be_switched_off(opened: Open, nets: dict[str, Run]) -> None:
    run = nets["plain"]
    app = opened("lesion", m=[run.id], net=run.id, off=["s1u1", "s1u2"])
    assert not app.exception
    assert app.get("button_group")[-1].options == ["1.2 Conv", "1.3 Conv", "2.2 Conv", "2.3 Conv"]
    assert app.session_state["lesion_off"][run.id] == ["s1u2"]


def test_it_cannot_be_changed_unit_by_unit_and_build_says_so(opened: Open, nets: dict[str, Run]) -> None:
    text = said(opened("build"))
    assert "Nets from elsewhere" in text and "cannot be exchanged here" in text and LONG in text
    assert "Lesion and Curvature" not in text and "Frequency, Features and Lesion: not for this net" in text


def test_moments_of_its_training_are_not_asked_for(opened: Open, nets: dict[str, Run]) -> None:
    run = nets["units"]
    text = said(opened("curvature", m=[run.id]))
    assert "at the start, the end of warm-up, 1/3 and 2/3 cannot be measured" in text
    from core.analyses import landscape
    from pages.ui.landscape_choice import _refused

    assert not _refused(run, landscape.Params())
    for asked in (landscape.Params(phase="third"), landscape.Params(phase="init"), landscape.Params(along="line")):
        assert "nothing is known of its training" in _refused(run, asked)


# ---- training on


def test_fine_tuning_starts_from_its_weights_with_its_own_recipe(opened: Open, nets: dict[str, Run], queued: list[tuple]) -> None:
    run = nets["plain"]
    app = opened("train", m=[run.id], tune=run.id)
    assert app.selectbox(key="train_net").value == run.id and app.query_params["tune"] == run.id
    assert "its weights are where it starts" in said(app)
    app.number_input(key="t_epochs_quick_3").set_value(2).run()
    app.segmented_control(key="t_seeds").set_value(3).run()
    app.button(key="train_start").click().run()
    assert not app.exception
    made = [Run.from_json(args["run"]) for task, args, _, _ in queued]
    assert [task for task, *_ in queued] == ["train"] * 3 and [one.seed for one in made] == [0, 1, 2]
    assert all(one.origin.id == run.id and one.recipe["epochs"] == 2 and one.recipe["lr"] == pytest.approx(2e-4) for one in made)
    assert len({one.id for one in (*made, run)}) == 4 and made[0].name == "test_plain fine-tuned"


def test_random_weights_are_trained_as_the_recipe_says_and_are_another_run(opened: Open, nets: dict[str, Run], queued: list[tuple]) -> None:
    run = nets["units"]
    app = opened("train", m=[run.id], tune=run.id)
    assert "its first training" in said(app)
    app.button(key="train_start").click().run()
    [made] = [Run.from_json(args["run"]) for _, args, _, _ in queued]
    assert made.recipe["epochs"] == 10 and made.recipe["lr"] == 2e-3 and made.name == "test_units trained"
    assert made.id != run.id and made.origin.id == run.id, "all of its recipe is at the default, and yet it is not the net as it came"


def test_an_added_net_on_stage_is_offered_and_can_be_left(opened: Open, nets: dict[str, Run]) -> None:
    run = nets["plain"]
    app = opened("train", m=[run.id])
    assert "<b>test_plain</b> is on stage. It can be fine-tuned here." in said(app)
    app.button(key="train_offer").click().run()
    assert app.selectbox(key="train_net").value == run.id and app.selectbox(key="train_images_only").disabled
    app.selectbox(key="train_net").set_value("resnet-mini").run()
    assert "tune" not in app.query_params and app.query_params["arch"]
    assert "10 epochs" in said(app)


@pytest.mark.parametrize("link", ["nothing-like-it", "../../etc", ""])
def test_a_link_to_a_net_that_is_not_here_is_left_out(opened: Open, nets: dict[str, Run], link: str) -> None:
    app = opened("train", tune=link)
    assert not app.exception and "tune" not in app.query_params
    assert app.selectbox(key="train_net").value == "alternet-mini"


def test_a_net_whose_weights_are_gone_cannot_be_trained_on(nets: dict[str, Run]) -> None:
    (store.folder(nets["plain"].id) / "weights" / "end.safetensors").unlink()
    found = plan.tuning_of(nets["plain"], "quick", 3, 10, 1.0, 0, 1, "auto")
    assert found.refusal and not found.runs
