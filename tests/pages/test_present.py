"""Presentation mode: the address, the deck and its drawer, larger charts; exports stay as they are."""

import pytest

from core import chart, deck
from pages.ui import frame, present_deck


def bar(app) -> str:
    said = [str(one.proto.body) for one in app.get("html")]
    return next((text for text in said if 'role="status">' in text and " of " in text and " · " in text), "")


def labels(app) -> set[str]:
    return {button.label for button in app.button}


@pytest.mark.parametrize("value", ["0", "-1", "99", "11", "true", "HERE", "1e1", "٣", "<b>", "1&x", ""])
def test_anything_but_a_place_is_ignored(opened, shipped, value: str) -> None:
    app = opened(present=value)
    assert not app.exception and "Leave" not in labels(app) and "Help" in labels(app)


@pytest.mark.parametrize(("value", "says"), [("here", ">Start<"), ("1", ">1 of 10 · Start<"), ("3", ">3 of 10 · Start<")])
def test_a_place_presents(opened, shipped, value: str, says: str) -> None:
    app = opened(present=value)
    assert not app.exception and "Leave" in labels(app)
    assert any(says in str(one.proto.body) for one in app.get("html"))
    css = next(str(one.proto.body) for one in app.get("html") if "present_bar{" in str(one.proto.body))
    assert '[data-testid="stSidebar"]' in css


def test_next_and_previous_turn_the_views_and_leave_ends_it(opened, shipped) -> None:
    app = opened(present="1")
    assert app.button(key="present_previous").disabled
    app.button(key="present_next").click().run()
    assert not app.exception and "2 of 10 · Frequency" in bar(app)
    assert "2" in app.query_params["present"] and app.session_state["m"] == [run.id for run in shipped]
    app.button(key="present_pagedown").click().run()
    assert "3 of 10 · Features" in bar(app)
    app.button(key="present_previous").click().run()
    assert "2 of 10 · Frequency" in bar(app)
    app.button(key="present_leave").click().run()
    assert "Leave" not in labels(app) and "present" not in app.query_params


def test_a_view_is_opened_as_a_fresh_visitor_sees_it(opened, shipped) -> None:
    deck.keep([f"frequency?m={shipped[0].id}", f"frequency?m={shipped[1].id}&m={shipped[2].id}", "frequency"], list(frame.titles()))
    app = opened(present="here")
    seen = []
    for _ in range(3):
        app.button(key="present_next").click().run()
        seen.append(app.session_state["m"])
    ids = [run.id for run in shipped]
    assert seen == [ids[:1], ids[1:], ids]
    assert app.button(key="present_next").disabled


def test_the_visitors_own_deck_is_put_together_in_the_drawer(opened, shipped) -> None:
    app = opened("lens")
    app.button(key="open_present").click().run()
    assert not app.exception and {"Present the deck", "Present this view", "Add this view"} <= labels(app)
    app.button(key="present_add").click().run()
    pages = list(frame.titles())
    assert [deck.parted(one)[0] for one in deck.own(pages)][-1] == "lens" and len(deck.own(pages)) == 11
    app.button(key="open_present").click().run()
    app.button(key="present_remove_0").click().run()
    app.button(key="open_present").click().run()
    app.button(key="present_down_0").click().run()
    assert [deck.parted(one)[0] for one in deck.own(pages)][:2] == ["features", "frequency"]
    app.button(key="open_present").click().run()
    app.button(key="present_reset").click().run()
    assert deck.own(pages) == []


def test_without_shipped_nets_there_is_a_deck_too(opened) -> None:
    app = opened(present="2")
    assert not app.exception and "Leave" in labels(app)


def test_words_of_a_view_name_its_nets(shipped) -> None:
    assert present_deck.about({"m": [shipped[0].id, "gone"], "show": ["cka"]}) == "ResNet-mini, a net that is not here · cka"


def test_charts_for_a_room_are_larger_and_the_rest_is_kept() -> None:
    marks = [{"mark": {"type": "text", "fontSize": 13, "dx": 4}}]
    spec = {"height": 260, "layer": marks, "datasets": {"t": b"x"}, "config": chart.config()}
    grown = chart.for_talk(spec, "dark", 1.5, 1.3, 400)
    assert grown["height"] == 338 and grown["layer"][0]["mark"] == {"type": "text", "fontSize": 19.5, "dx": 6}
    assert grown["config"] == chart.config("dark", 1.5) and grown["datasets"] is spec["datasets"]
    assert spec["height"] == 260 and spec["layer"][0]["mark"]["fontSize"] == 13, "what is kept in the cache is not touched"
    assert chart.for_talk({"height": 600}, "light", 1.5, 1.3, 400)["height"] == 600
