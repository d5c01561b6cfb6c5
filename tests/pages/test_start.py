"""Start: real results or an honest empty state, never a number that was not measured."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from core import claims, presets
from core.claims.judge import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED
from core.claims.paper import HEADLINES
from core.run import Run
from pages.ui import parts, verdict_found, verdict_words
from tests.pages.conftest import ROOT, ship


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


def strip(app: AppTest) -> dict[str, str]:
    """The rows of the verdict strip, by claim."""
    found = [e.proto.body for e in app.main.get("html") if 'class="lab-claims strip"' in e.proto.body]
    return {re.search(r'class="claim"><b>([^<]*)</b>', body)[1]: body.replace("\u00a0", " ") for body in found}


def test_the_strip_has_the_judges_verdicts_on_the_shipped_nets_and_their_evidence(home: Path, through_app: None) -> None:
    """The nets that really come with the lab; every number is the judge's."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    told = {one.id: one for one in claims.judge(only=HEADLINES) if one.data == "fashion-full"}
    found = strip(app)
    assert list(found) == list(HEADLINES.values())
    for claim_id, title in HEADLINES.items():
        one, row = told[claim_id], found[title]
        assert f">{one.verdict.capitalize()}</div>" in row and row.count("<img") == (3 if one.effect is not None else 2)
        assert (verdict_words.plainly(one) in row) if one.effect is not None else ("about" in row)
    counts = {kind: sum(one.verdict == kind for one in told.values()) for kind in claims.VERDICTS}
    said = text(app)
    held = counts[SUPPORTED]
    assert f"On the nets shipped here, <b>{held or 'none'} of 8 headline claims hold{'s' if held == 1 else ''}</b>" in said
    assert "contradicted" in said or not counts["contradicted"]
    links = {e.proto.label: [] for e in app.main.get("page_link")}
    for e in app.main.get("page_link"):
        links[e.proto.label].append((e.proto.page, parse_qs(e.proto.query_string)))
    evidence = [urlsplit(told[i].evidence) for i in HEADLINES if told[i].effect is not None]
    assert links["See it"] == [(place.path, parse_qs(place.query)) for place in evidence]
    assert links["Why"] == [("scorecard", {"claim": [i]}) for i in HEADLINES if told[i].effect is None]
    assert links[f"All {len(claims.CLAIMS)} claims"] == [("scorecard", {})]


def test_nets_with_one_measurement_have_one_verdict_and_the_rest_is_open(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = opened()
    assert not app.exception
    said, found = text(app), strip(app)
    # of the stored spectra too few images were looked at, so not even F1 is judged
    assert all("Not measured" in row for row in found.values()) and len(found) == 8
    assert "<b>none of 8 headline claims hold</b>, 8 are not measured yet." in said
    assert "Three trained nets to start from" in said
    assert "Accuracy on 10,000 test images, trained on 60,000 images of Fashion-MNIST in 1,000 steps, seed 0." in said
    assert "90.0 % · 0.54 M" in said and "80.0 % · 0.68 M" in said and "85.0 % · 0.40 M" in said
    assert "3 nets, seed 0, trained on Fashion-MNIST." in said


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ([SUPPORTED] * 8, "<b>8 of 8 headline claims hold</b>."),
        ([SUPPORTED, CONTRADICTED, *[UNDECIDED] * 6], "<b>1 of 8 headline claims holds</b>, 1 is contradicted and 6 undecided."),
        ([CONTRADICTED] * 2 + [NOT_MEASURED] * 6, "<b>none of 8 headline claims hold</b>, 2 are contradicted and 6 not measured yet."),
    ],
)
def test_the_takeaway_counts_the_verdicts(kinds: list[str], sentence: str) -> None:
    made = tuple(claims.Verdict(id=i, data="fashion-full", verdict=kind, reason="") for i, kind in zip(HEADLINES, kinds, strict=True))
    found = verdict_found.Found(data="fashion-full", runs=(), verdicts=made)
    assert parts.rich(verdict_words.opening(found)) == f"On the nets shipped here, {sentence}"


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
    assert "3 nets" not in text(app) and "2 nets × 2 seeds, trained on CIFAR-10." in text(app)
    app.multiselect(key="m").set_value([seed.id]).run()
    app.selectbox(key="d").set_value("fashion").run()
    assert app.session_state["m"] == [seed.id], "what the reader has chosen stays"
    assert "Three trained nets to start from" in text(app) and "3 nets, seed 0, trained on Fashion-MNIST." in text(app)


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
