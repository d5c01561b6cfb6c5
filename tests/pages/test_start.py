"""Start: real results or an honest empty state, never a number that was not measured."""

import re
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core import io, presets, store
from core.analyses import fourier
from core.run import Run
from core.table import Measurement
from tests.pages.conftest import ship


def text(app: AppTest) -> str:
    """All HTML of a page, main area and sidebar."""
    return "\n".join(element.proto.body for element in app.get("html")).replace("\u00a0", " ")


def test_without_any_shipped_net_the_page_says_so_and_offers_a_way_on(opened: Callable[..., AppTest]) -> None:
    app = opened()
    assert not app.exception
    assert [title.value for title in app.title] == ["See how vision transformers work"]
    assert "No measured net yet." in text(app)
    assert text(app).count("not trained here") == len(presets.SHIPPED)
    assert not app.get("vega_lite_chart")
    assert not re.search(r"\d %", text(app)), "a percentage with nothing measured"
    assert any(button.label == "Build your own net" for button in app.button)


def test_the_takeaway_is_computed_from_the_stored_results(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened()
    assert not app.exception
    said = text(app)
    # the stored steps are -0.2 at all 10 MSAs; 0.1 at the convs that do not resample (11 + 7) and the 6 MLPs
    assert "<b>MSA units blur</b> (−0.20 ± 0.00, all 10)" in said
    assert "<b>Conv units sharpen</b> (+0.10 ± 0.00, all 18)" in said
    assert "Three trained nets to start from" in said
    assert "Accuracy on 10,000 test images, trained on 60,000 images of Fashion-MNIST in 1,000 steps, seed 0." in said
    assert "90.0 % · 0.54 M" in said and "80.0 % · 0.68 M" in said and "85.0 % · 0.40 M" in said


def test_the_picture_has_one_panel_a_net_with_one_range_and_its_numbers(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened()
    charts = app.get("vega_lite_chart")
    assert len(charts) == 3
    ranges = {str(re.findall(r'"domain": (\[-[^]]*\]), "nice": false, "zero": false', chart.proto.spec)[:1]) for chart in charts}
    assert len(ranges) == 1 and "[]" not in ranges
    assert charts[0].proto.alt.startswith("In these 3 nets, MSA units blur")
    assert "Mean over 64 test images of Fashion-MNIST, seed 0. One training seed a net (0)." in text(app)
    assert "before the last change" not in text(app)


def test_answers_of_an_older_method_give_way_and_unlike_images_are_said(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    """Beside the fixture's result: an older one of more images for one net, another seed of the images for another."""
    for run, change in ((shipped[0], {"version": fourier.ANALYSIS.version - 1}), (shipped[1], {})):
        old = next((store.folder(run.id) / "results" / "fourier").iterdir())
        stored = store.load_result(run.id, "fourier", old.name)
        params = {**stored.manifest["params"], "images": 128, "seed": 3}
        table = stored.table.assign(images=128, seed=3)
        store.save_result(run.id, "fourier", io.digest(run.id), Measurement(table=table), {**stored.manifest, **change, "params": params})
    said = text(opened())
    assert "64 test images of Fashion-MNIST, seed 0" in said and "ViT-mini on 128 test images of Fashion-MNIST, seed 3" in said
    assert "before the last change" not in said, "the newer answer is shown, though of fewer images"


def test_an_answer_that_is_old_is_shown_as_such(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    for place in (store.folder(shipped[0].id) / "results" / "fourier").iterdir():
        manifest = io.read_json(place / "manifest.json")
        io.write_json(place / "manifest.json", {**manifest, "version": 0})
    said = text(opened())
    assert "ResNet-mini: measured before the last change of the method or the weights." in said


def test_models_on_stage_show_the_shipped_nets_in_the_gallerys_order(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened()
    assert app.session_state["m"] == [run.id for run in shipped]
    sidebar = "\n".join(element.proto.body for element in app.sidebar.get("html"))
    assert re.findall(r"<span>([^<]*)</span><i>([^<]*)</i>", sidebar) == [
        ("ResNet-mini", "90.0 %"),
        ("ViT-mini", "80.0 %"),
        ("AlterNet-mini", "85.0 %"),
    ]


def test_other_images_bring_their_nets_to_the_stage_and_the_gallery_if_none_was_chosen(
    opened: Callable[..., AppTest], shipped: list[Run]
) -> None:
    others = [ship(name, share, data="cifar10") for name, share in (("alternet-mini", 0.7), ("swin-mini", 0.6))]
    seed = ship("swin-mini", 0.61, data="cifar10", seed=1)
    app = opened()
    assert app.session_state["m"] == [run.id for run in shipped]
    app.selectbox(key="d").set_value("cifar10").run()
    assert app.session_state["m"] == [run.id for run in others] and "m" not in app.query_params
    assert "Two trained nets to start from" in text(app) and "images of CIFAR-10" in text(app)
    assert len(app.get("vega_lite_chart")) == 2
    app.multiselect(key="m").set_value([seed.id]).run()
    app.selectbox(key="d").set_value("fashion").run()
    assert app.session_state["m"] == [seed.id], "what the reader has chosen stays"
    assert "Three trained nets to start from" in text(app) and len(app.get("vega_lite_chart")) == 3


def test_a_link_with_an_unknown_model_or_data_set_opens_all_the_same(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened(m="../../etc/passwd", d="no-such-set")
    assert not app.exception
    assert app.session_state["d"] in app.selectbox(key="d").options or app.session_state["d"] == "fashion"


def test_a_link_chooses_models_and_images_by_their_ids(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened(m=[shipped[2].id, shipped[0].id], d="cifar10")
    assert app.session_state["m"] == [shipped[2].id, shipped[0].id]
    assert app.session_state["d"] == "cifar10"
    assert app.query_params["m"] == [shipped[2].id, shipped[0].id] and app.query_params["d"] == "cifar10"
    app.multiselect(key="m").set_value([shipped[1].id]).run()
    assert app.query_params["m"] == shipped[1].id
    app.selectbox(key="d").set_value("fashion").run()
    assert "d" not in app.query_params, "the default needs no place in the address"


def test_a_net_of_the_link_that_is_not_here_is_said_and_left_out(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened(m=[shipped[1].id, "somebody-elses-s0-12345678"])
    assert app.session_state["m"] == [shipped[1].id]
    assert "1 net of the link is not on this machine." in "\n".join(e.proto.body for e in app.sidebar.get("html"))
