"""The Compare page: nothing to compare, shipped nets as they are, nets that do not compare, what is missing, links."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import analyses, io, spec, store
from core.analyses import cka
from core.claims import gain_words, gains, profiles
from core.claims.gains import MEASURES
from core.claims.nets import Net
from core.run import Run
from core.table import Measurement
from pages.ui import compare_figure, compare_table, figure
from tests.pages.conftest import ROOT, ship
from tests.pages.test_frequency import charts, text
from tests.pages.test_imported_nets import kept

Opened = Callable[..., AppTest]
HOSTILE = ("../../etc", "<script>alert(1)</script>", "all' or 1=1", "x" * 5000, "")


def fine(app: AppTest) -> AppTest:
    assert not app.exception
    for sentence in ("Something unexpected went wrong", "This could not be shown"):
        assert sentence not in text(app), text(app).partition("<style>")[0][-600:]
    assert not re.search(r"\bnan\b", text(app))
    return app


def takeaway(app: AppTest) -> str:
    found = re.search(r'<p class="lab-take">(.*?)</p>', text(app))
    assert found
    return re.sub(r"</?b>", "", found[1])


def plain(sentence: str) -> str:
    return sentence.replace("**", "")


@pytest.fixture
def real(home: Path, through_app: None) -> Opened:
    """Opens the page on the nets that come with the lab."""

    def open_page(**query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run().switch_page("pages/compare.py").run()

    return open_page


@pytest.fixture(scope="module")
def two() -> tuple[Run, Run]:
    """A convolutional net and one with attention, shipped, trained alike."""
    found = {run.name: run for run in store.list_runs() if store.is_shipped(run.id) and run.data == "fashion-full" and run.seed == 0
             and run.fraction == 1}  # fmt: skip
    return found["ResNet-mini"], found["AlterNet-mini"]


def sides(runs: tuple[Run, Run]) -> tuple[Net, Net]:
    a, b = (gains.side(run) for run in runs)
    assert a is not None and b is not None
    return a, b


# ---- nothing to compare


def test_no_net(opened: Opened) -> None:
    app = fine(opened("compare"))
    assert "No net is trained yet" in takeaway(app)
    assert [button.key for button in app.main.button] == ["compare_train"]


def test_one_net(opened: Opened, checkout: Path) -> None:
    ship("resnet-mini", 0.9)
    app = fine(opened("compare"))
    assert "one is here. Train a second one" in takeaway(app)
    assert [button.key for button in app.main.button] == ["compare_train"]


def test_two_nets_and_one_on_stage(opened: Opened, shipped: list[Run]) -> None:
    app = fine(opened("compare", m=shipped[0].id))
    assert "choose one as A and one as B" in takeaway(app)
    assert app.selectbox(key="compare_b").value is None
    app = fine(app.selectbox(key="compare_b").set_value(shipped[2].id).run())
    assert app.session_state["m"] == [shipped[0].id, shipped[2].id]
    assert "AlterNet-mini is 5.0 points less accurate than ResNet-mini" in takeaway(app)


# ---- shipped nets


def test_all_measures_at_once(real: Opened, two: tuple[Run, Run]) -> None:
    app = fine(real(m=[run.id for run in two]))
    a, b = sides(two)
    found = gains.gains(a, b)
    assert takeaway(app) == plain(gain_words.sentence(found[0], "ResNet-mini", "AlterNet-mini", gain_words.price(a, b)))
    said = r"AlterNet-mini is .* ResNet-mini \(95 % .*\) with 26 % fewer parameters and 23 % fewer FLOPs\."
    assert re.fullmatch(said, takeaway(app))
    page = text(app)
    for gain in found:
        assert gain.title in page
        if gain.effect is not None:
            assert gain_words.difference(gain) in page and gain_words.limited(gain) in page and gain_words.judged(gain) in page
    assert not charts(app)
    assert app.query_params["of"] == "all"


@pytest.mark.parametrize("of", [of for of in MEASURES if of != "cka"])
def test_each_measure(real: Opened, two: tuple[Run, Run], of: str) -> None:
    app = fine(real(m=[run.id for run in two], of=of))
    a, b = sides(two)
    found = MEASURES[of].gains(a, b)[0]
    assert takeaway(app) == plain(gain_words.sentence(found, "ResNet-mini", "AlterNet-mini", gain_words.price(a, b)))
    drawn = charts(app)
    assert len(drawn) == (3 if of in ("frequency", "variance", "lesion", "landscape") else 2)
    for chart in drawn:
        assert len(chart.proto.alt) > 15 and "**" not in chart.proto.alt and "nan" not in chart.proto.alt
    profile = profiles.profile(of, a, b)
    assert profile is not None and f"{profile.how}; 95 %" in text(app)
    assert not [button for button in app.button if "measure" in button.key]  # nothing is missing


def test_panels_share_their_axis(real: Opened, two: tuple[Run, Run]) -> None:
    for of in ("frequency", "variance", "lesion", "landscape"):
        specs = [json.loads(chart.proto.spec) for chart in charts(real(m=[run.id for run in two], of=of))[:2]]
        scales = [{json.dumps(e["y"]["scale"]["domain"]) for layer in s["layer"] if "scale" in (e := layer["encoding"]).get("y", {})
                   and "domain" in e["y"]["scale"]} for s in specs]  # fmt: skip
        assert scales[0] and len(set().union(*scales)) == 1, of


def test_swap(real: Opened, two: tuple[Run, Run]) -> None:
    app = real(m=[run.id for run in two])
    before = takeaway(app)
    assert " less accurate " in before
    app = fine(app.button(key="compare_swap").click().run())
    assert app.session_state["m"] == [two[1].id, two[0].id]
    assert takeaway(app).startswith("ResNet-mini is 0.1 points more accurate than AlterNet-mini")
    assert "36 % more parameters" in takeaway(app)
    assert takeaway(app.button(key="compare_swap").click().run()) == before


def test_a_select_swaps_what_is_there_and_replaces_what_is_not(opened: Opened, shipped: list[Run]) -> None:
    resnet, vit, alter = (run.id for run in shipped)
    app = opened("compare", m=[resnet, vit])
    app = fine(app.selectbox(key="compare_a").set_value(vit).run())
    assert app.session_state["m"] == [vit, resnet]
    app = fine(app.selectbox(key="compare_a").set_value(alter).run())
    assert app.session_state["m"] == [alter, resnet]


def test_more_nets_stand_beside(real: Opened, two: tuple[Run, Run]) -> None:
    third = next(run for run in store.list_runs() if run.name == "ViT-mini" and store.is_shipped(run.id) and run.data == "fashion-full"
                 and run.seed == 0 and run.fraction == 1)  # fmt: skip
    stage = [*(run.id for run in two), third.id]
    assert len(charts(fine(real(m=stage, of="variance")))) == 3
    app = fine(real(m=stage, of="variance", also=third.id))
    assert len(charts(app)) == 4
    assert app.query_params["also"] == third.id
    app = fine(real(m=stage, also=third.id))
    assert ">C ViT-mini</th>" in text(app)


def test_the_csv_holds_every_number(two: tuple[Run, Run]) -> None:
    nets = sides(two)
    found = gains.gains(*nets)
    table = compare_table.table(found, [], nets, ["ResNet-mini", "AlterNet-mini"])
    assert list(table["measure"][: len(found)]) == [gain.title for gain in found]
    for row, gain in zip(table.itertuples(), found, strict=False):
        if gain.effect is not None:
            assert (row.difference, row.low, row.high, row.n) == (gain.effect.value, gain.effect.low, gain.effect.high, gain.effect.n)
    assert table.set_index("measure").loc["Parameters", "B: AlterNet-mini"] == nets[1].final["parameters"]
    drawn = compare_table.file(found, nets, ["ResNet-mini", "AlterNet-mini"]).decode()
    assert drawn.startswith("<svg") and all(gain.title in drawn for gain in found)


@pytest.mark.parametrize("of", [of for of in MEASURES if of != "cka"])
def test_the_file_of_a_figure_stands_alone(two: tuple[Run, Run], of: str) -> None:
    nets = sides(two)
    names = {net.run.id: name for net, name in zip(nets, ("First", "Second"), strict=True)}
    seen, profile = compare_figure.together(of, nets, names), profiles.profile(of, *nets)
    assert profile is not None
    own = compare_figure.over_depth(of, seen) if of in compare_figure.PANELS else [compare_figure.on_one(of, seen, profile)]
    rows = compare_figure.in_rows(of, [*own, compare_figure.apart(profile)], profile)
    drawn = figure.svg_rows(rows, "The **title**", "The foot").decode()
    root = ElementTree.fromstring(drawn)
    words = [node.text for node in root.iter() if node.text]
    assert {"First", "Second", "The title", "The foot"} <= set(words)
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= set(ids)


# ---- nets that do not compare


def test_other_images(opened: Opened, shipped: list[Run]) -> None:
    other = ship("vit-mini", 0.7, data="cifar10")
    io.write_json(store.folder(other.id) / "run.json", {**other.to_json(), "name": "Elsewhere"})
    for of in ("all", "frequency", "corruption", "cka"):
        app = fine(opened("compare", m=[shipped[0].id, other.id], of=of))
        assert "see other images" in takeaway(app)
        assert "other images (Fashion-MNIST and CIFAR-10)" in text(app) and "do not compare" in text(app)
    app = opened("compare", m=[shipped[0].id, other.id], of="frequency")
    assert len(charts(app)) == 2  # each net, and no difference


def test_nets_named_alike_are_told_apart(opened: Opened, shipped: list[Run]) -> None:
    ship("vit-mini", 0.7, data="cifar10")
    ship("resnet-mini", 0.7, seed=1)
    options = opened("compare", m=[shipped[0].id, shipped[2].id]).selectbox(key="compare_a").options
    assert len(set(options)) == len(options) == 5
    assert {"ResNet-mini", "ResNet-mini (seed 1)", "ViT-mini, Fashion-MNIST", "ViT-mini, CIFAR-10", "AlterNet-mini"} == set(options)


def test_another_recipe_and_other_steps(opened: Opened, shipped: list[Run]) -> None:
    first = shipped[0]
    run = dataclasses.replace(first, recipe={**first.recipe, "epochs": 77}, seed=5)
    place = store.create(run)
    io.write_json(place / "final.json", {**(store.final(first.id) or {}), "steps": 9, "n_train": 50})
    app = fine(opened("compare", m=[first.id, run.id]))
    assert f"epochs {first.recipe['epochs']} against 77" in text(app)
    assert "1,000 and 9 steps of training" in text(app) and "60,000 and 50 training images" in text(app)
    assert "ResNet-mini (seed 5) is as accurate as ResNet-mini" in takeaway(app)


def test_nets_trained_alike_need_no_warning(opened: Opened, shipped: list[Run]) -> None:
    assert "differ in more than their units" not in text(opened("compare", m=[shipped[0].id, shipped[2].id]))


def test_nets_from_elsewhere(opened: Opened, shipped: list[Run]) -> None:
    """Read into units or not at all: what they cannot be asked is said, and nothing is known of how they were trained."""
    units = kept("test_units", tuple(spec.layout(spec.parse("ccm-cmt/width=16,32"), 32)))
    logits = kept("test_logits", (), level="logits", why="This net cannot be taken apart.")
    for run in (units, logits):
        for of in ("all", "lesion", "noise", "cka"):
            app = fine(opened("compare", m=[shipped[0].id, run.id], of=of))
            assert f"how {run.name} was trained is not known here" in text(app), of
    app = fine(opened("compare", m=[logits.id, units.id], of="lesion"))
    assert "cannot be taken apart" in text(app)


# ---- what is missing


def test_one_side_is_not_measured(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    run = dataclasses.replace(shipped[1], seed=3)
    place = store.create(run)
    io.write_json(place / "final.json", store.final(shipped[1].id))
    app = fine(opened("compare", m=[shipped[0].id, run.id], of="frequency"))
    assert takeaway(app) == "Frequency: ViT-mini (seed 3) is not measured yet."
    assert len(charts(app)) == 1 and "ViT-mini (seed 3): not measured yet" in re.sub("</?b>", "", text(app))
    assert re.search(r"Takes about \d+ ", text(app))
    app.button(key="compare_frequency_1_measure").click().run()
    analysis = analyses.get("fourier")
    assert queued[0][1] == {"run": run.id, "asks": {"fourier": dataclasses.asdict(analysis.params())}, "device": "auto"}


def test_all_that_is_missing_is_measured_at_once(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    app = fine(opened("compare", m=[shipped[0].id, shipped[1].id]))
    assert "Not measured yet" in text(app) and "not measured" in text(app)
    app.button(key="compare_missing").click().run()
    asked = {(args["run"], analysis) for _, args, *_ in queued for analysis in args["asks"]}
    wanted = {"calibration", "corruption", "band_noise", "landscape", "hessian", "variance", "lesion"}
    assert asked == {(run.id, analysis) for run in shipped[:2] for analysis in wanted} | {(shipped[0].id, "cka")}
    pair = next(args for _, args, *_ in queued if "cka" in args["asks"])
    assert pair["asks"]["cka"] == dataclasses.asdict(cka.Params(against=shipped[1].id))


def test_likeness_of_two_nets(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    a, b = shipped[:2]
    app = fine(opened("compare", m=[a.id, b.id], of="cka"))
    assert "not been measured yet" in takeaway(app) and not charts(app)
    head = ["unit", "position", "stage", "index", "kind", "form", "letter", "depth", "resampling", "side"]

    def units(run: Run) -> list[tuple]:
        slots = spec.layout(spec.parse(run.arch), 32)[:3]
        return [(s.id, i, s.stage, s.index, s.kind, s.form, s.letter, s.depth, s.resampling, s.side) for i, s in enumerate(slots, 1)]

    rows = [(*one, *other, 0.1 * one[1] * other[1], 0.05 * one[1] * other[1], 0.11 * one[1] * other[1], 512, 0)
            for one in units(a) for other in units(b)]  # fmt: skip
    table = pd.DataFrame(rows, columns=[*head, *(f"with_{name}" for name in head), "cka", "ci_low", "ci_high", "images", "seed"])
    manifest: dict[str, Any] = {"params": dataclasses.asdict(cka.Params(against=b.id)), "version": cka.ANALYSIS.version}
    store.save_result(a.id, "cka", io.digest(manifest), Measurement(table=table[[c.id for c in cka.COLUMNS]]), manifest, shipped=True)
    for stage in ([a.id, b.id], [b.id, a.id]):  # measured once, it serves both ways
        app = fine(opened("compare", m=stage, of="cka"))
        assert "see alike to 0.90 in CKA (95 % 0.45 to 0.99)" in takeaway(app)
        assert len(charts(app)) == 1


# ---- links


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_addresses_are_ignored(opened: Opened, shipped: list[Run], hostile: str) -> None:
    app = fine(opened("compare", of=hostile, also=hostile, m=hostile, d=hostile))
    assert app.query_params["of"] == "all" and "also" not in app.query_params
    assert hostile == "" or hostile[:40] not in text(app)
    app = fine(opened("compare", m=[shipped[0].id, hostile, shipped[2].id], also=shipped[0].id, of="lesion"))
    assert app.session_state["m"] == [shipped[0].id, shipped[2].id] and "also" not in app.query_params


def test_a_link_restores_the_view(opened: Opened, shipped: list[Run]) -> None:
    app = fine(opened("compare", m=[shipped[2].id, shipped[1].id], of="frequency"))
    assert app.selectbox(key="compare_a").value == shipped[2].id and app.selectbox(key="compare_b").value == shipped[1].id
    assert app.query_params["m"] == [shipped[2].id, shipped[1].id] and app.query_params["of"] == "frequency"
    assert len(charts(app)) == 3


def test_a_net_that_is_gone_is_left_out(opened: Opened, shipped: list[Run]) -> None:
    app = fine(opened("compare", m=[shipped[0].id, "vit-mini-fashion-full-s9-00000000"]))
    assert "A comparison takes two nets" in takeaway(app)
