"""A net from elsewhere, as a reader brings it: search, import, measure, see."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import PATIENCE_MS, clean, serve, settle, visit

pytestmark = pytest.mark.browser
#: loading torch and timm on a small machine
START_MS = 120_000


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_net_is_found_added_measured_and_seen(browser: Browser, tmp_path: Path) -> None:
    with serve(tmp_path) as server, visit(browser, server) as tab:
        page = tab.open("build")
        page.get_by_role("button", name="Add a net").click()
        form = page.get_by_role("dialog")
        form.get_by_role("searchbox", name="Net").press_sequentially("test_resn", delay=20)
        expect(form.get_by_text("test_resnet", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        expect(form.get_by_text(re.compile(r"match(es)?; 1,\d{3} nets are known"))).to_be_visible()
        form.get_by_role("button", name="Add this net").click()
        expect(page.get_by_text("test_resnet is on stage")).to_be_visible(timeout=START_MS)
        settle(page)
        expect(page.get_by_text(re.compile(r"Read into \d+ units in \d stages: \d+ Conv"))).to_have_count(2)
        news = page.locator(".st-key-net_news")
        news.get_by_role("link", name="Features").click()
        expect(page.get_by_text("test_resnet: not measured yet.")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Measure").click()
        picture = page.locator("[data-testid='stVegaLiteChart'], [data-testid='stImage']").first
        expect(picture).to_be_visible(timeout=START_MS)
        expect(page.get_by_text(re.compile(r"512 test images of Fashion"))).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        clean(tab)
