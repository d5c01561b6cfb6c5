"""A presentation in a real browser: through the whole deck by keys, one picture a view in large type, and a way out."""

import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from core import deck
from tests.browser.lab import PAGES, PATIENCE_MS, Server, Visit, clean, fits, settle, visit

pytestmark = pytest.mark.browser


def shown(page: Page, number: int, of: int = 10) -> None:
    expect(page.locator(".st-key-present_bar").get_by_text(f"{number} of {of} · ")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(f"present={number}\\b"), timeout=PATIENCE_MS)
    settle(page)


def size(page: Page, what: str) -> float:
    return float(page.locator(what).first.evaluate("one => parseFloat(getComputedStyle(one).fontSize)"))


@pytest.mark.timeout(300)
def test_the_deck_is_gone_through_by_keys_with_one_picture_a_view(tab: Visit) -> None:
    page = tab.open("frequency")
    before = size(page, "h1"), size(page, ".lab-take"), page.get_by_test_id("stVegaLiteChart").first.bounding_box()
    page.keyboard.press("Alt+p")
    page.get_by_role("button", name="Present the deck").click()
    shown(page, 1)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    for number in range(2, 11):
        page.keyboard.press("ArrowRight")
        shown(page, number)
        assert fits(page), number
        assert page.locator("[data-testid=stExpander]:visible, [data-testid=stPopover]:visible").count() == 0, number
        if number == 2:
            expect(page.locator("h1")).to_have_text("Which blocks blur, and which sharpen?")
            chart = page.get_by_test_id("stVegaLiteChart").first.bounding_box()
            assert chart and before[2] and chart["height"] > 1.15 * before[2]["height"]
            assert size(page, "h1") > before[0] and size(page, ".lab-take") > before[1]
            assert page.locator("[data-testid=stVegaLiteChart]:visible").count() == 3, "one row of panels and nothing below"
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).not_to_have_url(re.compile("present="), timeout=PATIENCE_MS)


@pytest.mark.timeout(240)
def test_a_view_of_ones_own_is_kept_and_comes_back_as_it_was(browser: Browser, server: Server) -> None:
    own = server.home / "deck.json"
    try:
        with visit(browser, server) as tab:
            page = tab.open("curvature?phase=end&view=density")
            page.get_by_role("button", name="Present").click()
            page.get_by_role("button", name="Add this view").click()
            expect(page.get_by_text("11 views, yours")).to_be_visible(timeout=PATIENCE_MS)
            page.get_by_role("button", name="Remove").first.click()
            expect(page.get_by_text("10 views, yours")).to_be_visible(timeout=PATIENCE_MS)
            clean(tab)
        last = deck.parted(deck.checked(json.loads(own.read_text())[-1], PAGES))
        assert last[0] == "curvature" and last[1]["view"] == ["density"]
        with visit(browser, server) as tab:
            page = tab.open("curvature?present=9")
            page.keyboard.press("PageDown")
            shown(page, 10)
            expect(page).to_have_url(re.compile("view=density"))
            page.get_by_role("button", name="Leave").click()
            expect(page.get_by_test_id("stSidebar")).to_be_visible(timeout=PATIENCE_MS)
            settle(page)
            expect(page.get_by_role("radio", name="Density")).to_be_checked(timeout=PATIENCE_MS)
            clean(tab)
    finally:
        own.unlink(missing_ok=True)


@pytest.mark.timeout(120)
def test_the_sidebar_fits_and_a_hostile_place_changes_nothing(tab: Visit) -> None:
    page = tab.open("features?present=%3Cscript%3E")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    expect(page).not_to_have_url(re.compile("present="), timeout=PATIENCE_MS)
    content = page.get_by_test_id("stSidebarContent")
    assert content.evaluate("one => one.scrollHeight") <= 900
    expect(page.locator(".st-key-side_foot .lab-foot")).to_be_in_viewport()
    assert page.get_by_test_id("stSidebar").evaluate("one => one.offsetWidth") == 248
