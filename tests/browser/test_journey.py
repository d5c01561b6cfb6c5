"""The lab in a real browser: what would leave the machine is noticed, and the main job from end to end."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import PATIENCE_MS, Visit, clean, saved, serve, settle, visit

pytestmark = pytest.mark.browser


def test_an_outside_request_is_noticed(browser: Browser, tab: Visit) -> None:
    """The proof that no page leaves the machine can fail: a request made on purpose is aborted and noted."""
    page = tab.open("")
    page.evaluate("fetch('http://outside.invalid/x').catch(() => 0)")
    page.evaluate("console.error('on purpose')")
    page.wait_for_timeout(300)
    assert tab.outside == ["http://outside.invalid/x"]
    assert any("on purpose" in error for error in tab.errors)
    tab.outside.clear()
    tab.errors.clear()


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_from_a_flipped_block_to_its_frequencies(browser: Browser, tmp_path: Path) -> None:
    """The main job: flip a Conv to MSA, train it for one epoch on 2,000 images, see its curve, see its frequencies beside a shipped net."""
    with serve(tmp_path) as server, visit(browser, server) as tab:  # a server of its own: the rows of no other test's jobs
        _main_job(tab)
        clean(tab)


def _main_job(tab: Visit) -> None:
    page = tab.open("build?arch=resnet-mini&d=fashion")
    unit = page.locator(".st-key-ribbon .unit[data-id='s2u6']")
    expect(unit).to_have_attribute("data-kind", "c")
    unit.click()
    expect(unit).to_have_attribute("data-kind", "m", timeout=PATIENCE_MS)
    expect(page.get_by_text("cannot be built")).to_have_count(0)
    page.get_by_role("button", name="Train this net").click()

    expect(page.get_by_role("heading", level=1, name="Is it learning")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.locator(".st-key-train_more button").first.click()
    epochs = page.get_by_role("spinbutton", name="Epochs")
    epochs.fill("1")
    epochs.press("Enter")
    page.get_by_role("combobox", name="At most so many images").click()
    page.get_by_role("option", name="2,000", exact=True).click()
    expect(page.get_by_text("1 run of 1 epoch, 2,000 images each")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Train", exact=True).click()
    # the page must say so at once; the job itself takes its time
    expect(page.get_by_text(re.compile("^(Waiting|Running|Done)$")).first).to_be_visible(timeout=10_000)
    expect(page.get_by_text(re.compile(r"Yours reached [\d.]+\s% after 1 epoch"))).to_be_visible(timeout=240_000)
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    page.get_by_test_id("stMain").locator("[class*='st-key-open_'] button").first.click()

    expect(page.get_by_role("heading", level=1, name="Which blocks blur")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Measure", exact=True).click()
    yours = page.locator("[class*='st-key-frequency_chart_cccccc-cccccm-fashion-s0']")
    shipped = page.locator("[class*='st-key-frequency_chart_']")
    expect(yours).to_have_count(1, timeout=180_000)
    settle(page)
    assert shipped.count() >= 2, "no shipped net stands beside the new one"
    nets = set(csv_column(saved(page, "CSV"), "net"))
    assert "Yours" in nets and len(nets) == shipped.count()


def csv_column(path: Path, name: str) -> list[str]:
    """One column of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]
