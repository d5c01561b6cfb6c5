"""The tour in a real browser: from Start to its end by clicks and drags on the nets as they ship, with nothing outside to be reached."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pages.ui.tour_steps import STEPS
from tests.browser.lab import PATIENCE_MS, chart, clean, fits, serve, settle, visit

pytestmark = pytest.mark.browser
#: loading torch and the nets on a small machine
LOAD_MS = 120_000
PHONE = {"viewport": {"width": 390, "height": 844}}


def card(page: Page) -> Locator:
    return page.locator(".st-key-tour")


def at(page: Page, number: int) -> None:
    """The card of this step stands on its page, and its check is still open."""
    expect(card(page)).to_contain_text(f"Tour, {number} of 7", timeout=PATIENCE_MS)
    expect(card(page).locator(".check")).to_have_text("To do", timeout=PATIENCE_MS)
    assert f"/{STEPS[number - 1].stem}?" in page.url and f"tour={number}" in page.url
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE_MS)


def press(page: Page, name: str) -> None:
    card(page).get_by_role("button", name=name, exact=True).click()


def drag(page: Page, target: Locator, across: float) -> None:
    """A drag from the middle of an element, so many px to the right."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across, y, steps=12)
    page.mouse.up()


def flip(page: Page) -> None:
    unit = page.locator(".st-key-ribbon .unit[data-id='s2u5']")
    expect(unit).to_have_attribute("data-kind", "c", timeout=PATIENCE_MS)
    unit.click()
    expect(unit).to_have_attribute("data-kind", "m", timeout=PATIENCE_MS)


def watch(page: Page) -> None:
    card(page).get_by_role("button", name="Open AlterNet-mini").click()
    expect(page.get_by_text(re.compile("AlterNet-mini reached"))).to_be_visible(timeout=PATIENCE_MS)


def look(page: Page) -> None:
    picture = chart(page, 2)
    picture.scroll_into_view_if_needed()
    box = picture.locator("g[class*=marks_of_] path").nth(8).bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def switch_off(page: Page) -> None:
    page.locator(".st-key-lesion_bars .unit[data-id='s2u3'] .hit").click(timeout=PATIENCE_MS)


def turn(page: Page) -> None:
    drag(page, page.locator(".panels canvas").first, 80)


def move_lens(page: Page) -> None:
    expect(page.locator(".lane").first).to_be_visible(timeout=LOAD_MS)
    page.locator(".plot").scroll_into_view_if_needed()
    box = page.locator(".plot").bounding_box()
    assert box
    y = box["y"] + box["height"] - 10
    page.mouse.move(box["x"] + 0.4 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], y, steps=12)
    page.mouse.up()


def read(page: Page) -> None:
    page.get_by_role("button", name="Why", exact=True).first.click()


ACTS: tuple[Callable[[Page], None], ...] = (flip, watch, look, switch_off, turn, move_lens, read)


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_the_whole_tour_by_clicks_and_drags(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(tmp_path) as server, visit(browser, server) as tab:
        page, times = tab.open(""), []
        began = time.monotonic()
        page.get_by_role("button", name="Take the tour").click()
        for number, act in enumerate(ACTS, 1):
            begun = time.monotonic()
            at(page, number)
            came = time.monotonic()
            act(page)
            expect(card(page).locator(".check")).to_have_text("Done", timeout=LOAD_MS)
            times.append((came - begun, time.monotonic() - came))
            press(page, "Next" if number < len(STEPS) else "Finish")
        expect(card(page)).to_contain_text("The tour is over", timeout=PATIENCE_MS)
        expect(card(page)).to_contain_text("all seven steps done")
        took = time.monotonic() - began
        settle(page)
        assert "tour=" not in page.url
        for step in STEPS:
            expect(card(page)).to_contain_text(step.done)
        card(page).get_by_role("button", name="Build a net").click()
        expect(page.get_by_role("heading", level=1, name="What if this block")).to_be_visible(timeout=PATIENCE_MS)
        expect(card(page)).to_have_count(0)
        expect(page.locator(".st-key-ribbon .unit[data-id='s2u5']")).to_have_attribute("data-kind", "m", timeout=PATIENCE_MS)
        clean(tab)
    with capsys.disabled():
        print(f"\nthe tour without reading: {took:.1f} s; page there, act to Done [s]:", ", ".join(f"{a:.1f} {b:.1f}" for a, b in times))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_turn_is_told_once_and_only_on_the_tour(browser: Browser, tmp_path: Path) -> None:
    with serve(tmp_path) as server, visit(browser, server) as tab:
        sent: list[int] = []
        tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
        page = tab.open("landscape?tour=5")
        at(page, 5)
        surface = page.locator(".panels canvas").first
        expect(surface).to_be_visible(timeout=PATIENCE_MS)
        surface.scroll_into_view_if_needed()
        box = surface.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.up()
        page.wait_for_timeout(300)
        quiet = len(sent)
        expect(card(page).locator(".check")).to_have_text("To do")
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=20)
        assert len(sent) == quiet, "a drag asks nobody while it lasts"
        page.mouse.up()
        expect(card(page).locator(".check")).to_have_text("Done", timeout=PATIENCE_MS)
        assert len(sent) == quiet + 1 and sent[-1] < 2000, sent[quiet:]
        settle(page)
        told = len(sent)
        drag(page, surface, -60)
        page.wait_for_timeout(400)
        assert len(sent) == told, "what is done need not be told again"
        press(page, "Leave")
        expect(card(page)).to_have_count(0)
        clean(tab)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_on_a_phone_the_question_stays_on_the_first_screen(browser: Browser, tmp_path: Path) -> None:
    with serve(tmp_path) as server, visit(browser, server, **PHONE) as tab:
        for number, step in enumerate(STEPS, 1):
            page = tab.page
            page.goto(f"{server.url}/{step.stem}?tour={number}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
            at(page, number)
            page.wait_for_timeout(600)
            low, high = card(page).bounding_box(), page.get_by_role("heading", level=1).bounding_box()
            assert low and high
            assert low["height"] <= 220 and high["y"] + high["height"] <= 420, (step.stem, low, high)
            assert fits(page), step.stem
            for button in card(page).get_by_role("button").all():
                box = button.bounding_box()
                assert box and box["height"] >= 44 and box["x"] + box["width"] <= 390, (step.stem, box)
        clean(tab)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_browsers_history_walks_the_steps(browser: Browser, tmp_path: Path) -> None:
    with serve(tmp_path) as server, visit(browser, server) as tab:
        page = tab.open("train?tour=2")
        at(page, 2)
        settle(page)
        press(page, "Next")
        at(page, 3)
        settle(page)
        page.wait_for_timeout(800)
        for _ in range(4):  # the page's own choices are steps of the history too
            page.go_back()
            settle(page)
            page.wait_for_timeout(800)
            if page.url.endswith("/train?tour=2"):
                break
        expect(card(page)).to_contain_text("Tour, 2 of 7", timeout=PATIENCE_MS)
        expect(card(page).get_by_role("button", name="Open AlterNet-mini")).to_be_visible()
        clean(tab)
