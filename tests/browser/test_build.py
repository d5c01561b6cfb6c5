"""Build in a real browser: the ribbon by mouse and by keyboard, the cards, the link, undo, and a narrow screen."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import PATIENCE_MS, Server, Visit, clean, fits, settle, visit

pytestmark = pytest.mark.browser


def unit(page: Page, name: str):
    """A unit of the ribbon, s2u3."""
    return page.locator(f".st-key-ribbon [data-id='{name}']")


def notation(page: Page, text: str) -> None:
    """The net on the page and in its address."""
    expect(page.get_by_role("textbox", name="Notation")).to_have_value(text, timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(rf"[?&]arch={text}(&|$)"), timeout=PATIENCE_MS)


def test_a_click_flips_a_unit_and_undo_takes_it_back(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    unit(page, "s2u6").locator(".hit").click()
    notation(page, "cccccc-cccccm")
    expect(unit(page, "s2u6")).to_have_class(re.compile("focused"))
    expect(unit(page, "s2u6")).to_have_attribute("aria-label", re.compile("MSA · 2 heads · 8×8. Press to make it MLP"))
    expect(page.get_by_text("You changed 1 of 12 units of ResNet-mini: stage 2 now attends once.")).to_be_visible()
    for last in "toc":
        unit(page, "s2u6").locator(".hit").click()
        notation(page, f"cccccc-ccccc{last}")
    page.get_by_role("button", name="Undo").click()
    notation(page, "cccccc-ccccco")


def test_a_unit_that_cannot_change_keeps_its_kind_and_says_why(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    unit(page, "s2u1").locator(".hit").click()
    expect(page.get_by_role("heading", name="Stage 2, unit 1")).to_be_visible(timeout=PATIENCE_MS)
    refused = page.locator(".st-key-options [data-letter=m]")
    expect(refused).to_contain_text("cannot halve the map")
    expect(refused).to_have_attribute("aria-disabled", "true")
    expect(refused).to_have_attribute("title", re.compile("Put a conv"))
    notation(page, "cccccc-cccccc")


def test_the_ribbon_is_driven_by_the_keyboard_alone(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    unit(page, "s2u6").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Stage 2, unit 4")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press(" ")
    notation(page, "cccccc-cccmcc")
    assert page.evaluate("document.activeElement.shadowRoot?.activeElement?.dataset.id ?? document.activeElement.dataset.id") == "s2u4"
    page.keyboard.press("Control+z")
    notation(page, "cccccc-cccccc")


def test_a_card_sets_the_kind_of_the_focused_unit(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    unit(page, "s1u4").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Stage 1, unit 5")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".st-key-options [data-letter=t]").click()
    notation(page, "cccctc-cccccc")


def test_the_native_controls_do_the_same(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    page.get_by_text("The same with plain controls Pick a unit").click()
    page.locator(".st-key-twin_stage_1").get_by_role("radio", name="3 Conv").click()
    expect(page.get_by_role("heading", name="Stage 1, unit 3")).to_be_visible(timeout=PATIENCE_MS)
    expect(unit(page, "s1u3")).to_have_class(re.compile("focused"))


def test_a_link_opens_the_net_and_a_press_copies_it(browser: Browser, server: Server) -> None:
    with visit(browser, server, permissions=["clipboard-read", "clipboard-write"]) as tab:
        page = tab.open("build?arch=cccccc-ccmccm")
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("button", name="Link copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").endswith("/build?arch=cccccc-ccmccm")
        clean(tab)


def test_another_page_and_back_keeps_the_net(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-ccmccm")
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", level=1, name="See how vision transformers work")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Build", exact=True).click()
    settle(page)
    notation(page, "cccccc-ccmccm")


def test_the_browsers_back_button_goes_back_one_change(tab: Visit) -> None:
    page = tab.open("build?arch=cccccc-cccccc")
    unit(page, "s2u6").locator(".hit").click()
    notation(page, "cccccc-cccccm")
    page.wait_for_timeout(1000)  # a reader looks before going back; at once it could be a late answer to the click
    page.go_back()
    notation(page, "cccccc-cccccc")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_reads_the_ribbon_and_edits_with_the_native_controls(browser: Browser, server: Server, scheme: str) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}, color_scheme=scheme) as tab:
        page = tab.open("build?arch=cccccc-cccccc")
        expect(page.get_by_text("On a narrow screen the ribbon is for looking.")).to_be_visible(timeout=PATIENCE_MS)
        unit(page, "s1u2").locator(".hit").click(force=True)
        page.wait_for_timeout(600)
        notation(page, "cccccc-cccccc")
        assert fits(page)
        clean(tab)


def test_the_chosen_images_stand_in_the_address_by_their_id(tab: Visit) -> None:
    page = tab.open("build?d=cifar100")
    expect(page.locator(".st-key-ribbon").get_by_text("GAP, 100")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".st-key-d").get_by_role("combobox").click()
    page.get_by_role("option", name="CIFAR-10", exact=True).click()
    expect(page.locator(".st-key-ribbon").get_by_text("GAP, 10", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(r"[?&]d=cifar10(&|$)"), timeout=PATIENCE_MS)
