"""A study in a real browser: a link opens it, its cost is said, its figure fills while it runs, it fits a phone, its numbers download."""

import csv
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from core import studies
from pages.ui import study_known
from tests.browser.lab import PATIENCE_MS, Server, Visit, clean, fits, prepared, saved, settle, visit
from tests.pages import made_jobs
from tests.pages.test_studies import MINI, do

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab in which two of three nets of a study are done."""
    with prepared(tmp_path_factory.mktemp("studies"), lambda: do("heads", only=2)) as running:
        yield running


def test_a_link_opens_a_study_that_fills_while_it_runs(tab: Visit) -> None:
    page = tab.open("train?study=heads")
    expect(page.get_by_role("heading", name="Do more heads make the loss smoother?")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("1 net to train, 2 are there already")).to_be_visible()
    expect(page.get_by_role("button", name="Run the study")).to_be_enabled()
    panels = page.get_by_test_id("stVegaLiteChart")
    expect(panels).to_have_count(3)
    expect(panels.last.locator("svg")).to_be_visible(timeout=PATIENCE_MS)
    with saved(page, "CSV").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1 head", "3 heads", "6 heads"]
    assert [row["state"] for row in rows] == ["ready", "ready", "new"] and rows[2]["accuracy"] == ""
    assert "Mean of positive eigenvalues" in saved(page, "SVG").read_text(encoding="utf-8")

    told = {"step": 2350, "total": 3000, "rate": 3.0, "eta_s": 540.0, "message": "6 heads: epoch 2 of 6 · 900 images/s", "attempt": 1}
    job = made_jobs.write("study", study_known.args(studies.get("heads"), MINI), label="Heads", progress=told)
    with made_jobs.alive(job):
        page.get_by_role("radio", name="Full").click()
        expect(page.get_by_text("9 nets to train")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("radio", name="Mini").click()
        expect(page.get_by_text("Net 3 of 3: 6 heads, epoch 2 of 6")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name="Run the study")).to_be_disabled()
        do("heads")
        expect(page.get_by_text("The share of negative eigenvalues falls from 30.0 % (1 head) to 10.0 % (6 heads)")).to_be_visible(
            timeout=PATIENCE_MS
        )
        made_jobs.finish(job, state="succeeded")
    expect(page.get_by_text("3 nets trained and measured; nothing is left to do.")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)


def test_the_mode_is_an_address_and_a_study_fits_a_phone(browser: Browser, server: Server) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}) as tab:
        page = tab.open("train")
        expect(page.get_by_role("heading", name="Is it learning, and when is it done?")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("radio", name="A study").click()
        expect(page).to_have_url(re.compile(r"study=buildup"), timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="How many MSAs does a conv net want, and where?")).to_be_visible()
        settle(page)
        assert fits(page)
        page.get_by_role("radio", name="One net").click()
        expect(page).not_to_have_url(re.compile("study="), timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="Is it learning, and when is it done?")).to_be_visible()
        settle(page)
        assert fits(page)
        clean(tab)
