"""The tour: seven steps on the nets that come with the lab, each check turned by what the visitor really does."""

import json
import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import presets
from core.run import Run
from pages.ui.tour_steps import STEPS
from tests.pages import test_lens, test_lesion
from tests.pages.conftest import ROOT, stands_in

Opened = Callable[..., AppTest]


class Worker:
    """In the live worker's place: it says at once what units off cost, and what nets see through a lens."""

    state, reason = "ready", ""

    def __init__(self) -> None:
        self.of = {"lesion": test_lesion.Worker(), "lens": test_lens.Worker()}

    def warm(self, op: str, **args: object) -> None:
        self.of[op].warm(op, **args)

    def ask(self, op: str, **args: object) -> dict:
        return self.of["lens" if op == "lens" else "lesion"].ask(op, **args)


def said(app: AppTest) -> str:
    """The words of the card; "" if there is none."""
    bodies = [e.proto.body for e in app.get("html") if 'class="lab-tour"' in e.proto.body]
    assert len(bodies) < 2
    text = re.sub(r"<style>.*?</style>", "", bodies[0], flags=re.S) if bodies else ""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def labels(app: AppTest) -> set[str]:
    """The buttons of the card, by key."""
    return {key for button in app.button if (key := button.key or "").startswith("tour_")}


def question(app: AppTest) -> str:
    return app.title[0].value


def tells(app: AppTest) -> list[bool]:
    """Whether the surfaces of the page are to say that they were turned."""
    given = [json.loads(one.proto.json or "{}") for one in app.get("bidi_component")]
    return [one["tell"] for one in given if "tell" in one]


@pytest.fixture
def lab(home: object, through_app: None) -> AppTest:
    """The lab with the nets that really come with it."""
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()


def test_the_whole_tour_each_check_turned_by_a_real_act(lab: AppTest, queued: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    stands_in(Worker(), monkeypatch)
    app = lab
    assert said(app) == "" and "tour" not in app.query_params
    app.button(key="way_tour").click().run()

    def at(number: int) -> None:
        assert not app.exception
        step = STEPS[number - 1]
        assert said(app).startswith(f"Tour, {number} of 7 {step.title} To do {step.do}"), said(app)
        assert step.look in said(app) and app.query_params["tour"] == str(number)
        assert labels(app) >= {"tour_next", "tour_leave"} and ("tour_back" in labels(app)) is (number > 1)

    def done() -> None:
        assert not app.exception
        assert " Done " in said(app) and "To do" not in said(app), said(app)

    at(1)
    assert question(app) == "What if this block were attention?"
    app.selectbox(key="twin_kind").set_value("c").run()
    assert app.session_state["arch"].endswith("c")
    done()

    app.button(key="tour_next").click().run()
    at(2)
    assert "arch" in app.query_params, "the flipped net travels on"
    app.button(key="tour_finished").click().run()
    done()
    assert any("AlterNet-mini reached" in e.proto.body for e in app.get("html")) and len(app.get("vega_lite_chart")) == 2
    assert not queued, "nothing is trained to look at a curve"

    app.button(key="tour_next").click().run()
    at(3)
    box = app.selectbox(key="f_unit")
    box.set_value(next(option for option in box.options if option != box.value)).run()
    done()

    app.button(key="tour_next").click().run()
    at(4)
    app.pills(key="l_off").set_value(["s2u2"]).run()
    done()
    assert app.query_params["off"] == "s2u2"

    app.button(key="tour_next").click().run()
    at(5)
    assert tells(app) == [True], "the surface is asked to say that it was turned, which only a browser can do"
    app.button(key="tour_next").click().run()

    at(6)
    app.select_slider(key="l_step").set_value(0).run()
    done()

    app.button(key="tour_next").click().run()
    at(7)
    app.button(key="toggle_F1").click().run()
    done()

    app.button(key="tour_next").click().run()
    assert "tour" not in app.query_params and question(app) == "Which of the paper’s claims hold here?"
    assert said(app).startswith("The tour is over 6 of 7 steps done") and "Turn the surface: not done" in said(app)
    assert labels(app) == {"tour_on_build", "tour_on_lens", "tour_on_compare", "tour_leave"}
    app.button(key="tour_on_compare").click().run()
    assert said(app) == "" and "tour" not in app.query_params


def test_a_short_training_of_the_flipped_net_can_be_started_instead(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    flipped = f"{presets.resolve('alternet-mini').notation[:-1]}c"
    app = opened("train", tour="2", arch=flipped)
    assert "To do" in said(app)
    app.button(key="tour_train").click().run()
    assert " Done " in said(app)
    ((task, args, *_),) = queued
    run = args["run"]
    assert task == "train" and (run["arch"], run["limit"], run["recipe"]["epochs"], run["seed"]) == (flipped, 2000, 1, 0)
    assert "Open ResNet-mini" not in {b.label for b in app.button}, "no net is offered whose curve is not stored"


@pytest.mark.parametrize("given", ["0", "8", "-1", "07", "1e0", "٣", "<b>3</b>", "3;drop", "", "9" * 400, " 3"])
def test_what_is_no_step_is_ignored_and_leaves_the_address(opened: Opened, shipped: list[Run], given: str) -> None:
    app = opened("lesion", tour=given)
    assert not app.exception and said(app) == "" and "tour" not in app.query_params
    assert question(app) == "Which block can this net live without?"


def test_a_link_opens_any_step_and_a_second_value_does_not_matter(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency", tour=["3", "7"])
    assert said(app).startswith("Tour, 3 of 7 See the frequencies To do") and app.query_params["tour"] == "3"
    app = opened("lesion", tour="4", off="s2u2", net=shipped[2].id)
    assert app.query_params["off"] == "s2u2" and "To do" in said(app), "what a link did the visitor did not do"
    app.button(key="lesion_restore").click().run()
    assert "To do" in said(app)


def test_on_another_page_the_tour_waits_and_leads_back_or_ends(opened: Opened, shipped: list[Run]) -> None:
    assert "The tour waits on the page Frequency." in said(opened("features", tour="3"))
    app = opened(tour="3")
    assert said(app) == "Tour, 3 of 7 See the frequencies The tour waits on the page Frequency."
    assert labels(app) == {"tour_there", "tour_leave"}
    app.button(key="tour_there").click().run()
    assert question(app).startswith("Which blocks blur") and "To do" in said(app)
    app.button(key="tour_back").click().run()
    assert said(app).startswith("Tour, 2 of 7 Train it") and app.query_params["tour"] == "2"
    app.button(key="tour_leave").click().run()
    assert not app.exception and said(app) == "" and "tour" not in app.query_params
    assert question(app).startswith("Is it learning")


def test_without_a_tour_nothing_is_told_and_nothing_is_counted(opened: Opened, shipped: list[Run]) -> None:
    app = opened("frequency")
    box = app.selectbox(key="f_unit")
    box.set_value(next(option for option in box.options if option != box.value)).run()
    assert said(app) == "" and "tour_done" not in app.session_state
    app = opened("frequency", tour="4")
    box = app.selectbox(key="f_unit")
    box.set_value(next(option for option in box.options if option != box.value)).run()
    app.switch_page("pages/lesion.py").run()
    assert "To do" in said(app), "the act of another step does not count"


def test_the_tour_puts_nets_with_results_on_stage(opened: Opened, shipped: list[Run]) -> None:
    app = opened(m=[shipped[1].id])
    app.button(key="way_tour").click().run()
    assert app.session_state["m"] == [shipped[1].id], "a choice of shipped nets stays"
    assert "tour" in app.query_params and question(app) == "What if this block were attention?"


def test_without_results_there_is_no_tour_to_take(opened: Opened) -> None:
    app = opened()
    assert "way_tour" not in {button.key for button in app.button}
