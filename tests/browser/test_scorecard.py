"""The scorecard in a real browser: from the verdicts on Start to the evidence with the very nets, back, a claim by its link, the file."""

import csv
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from core import claims
from core.claims.judge import NOT_MEASURED
from tests.browser.lab import PATIENCE_MS, Visit, fits, saved, settle

pytestmark = pytest.mark.browser


@pytest.mark.timeout(240)
def test_from_a_verdict_to_its_evidence_and_back_and_into_a_file(tab: Visit) -> None:
    told = {one.id: one for one in claims.judge() if one.data == "fashion-full"}
    page = tab.open("")
    expect(page.locator(".lab-claims.strip .claim")).to_have_count(8, timeout=PATIENCE_MS)
    page.get_by_role("link", name=f"All {len(claims.CLAIMS)} claims").click()
    expect(page.get_by_role("heading", level=1, name="Which of the paper’s claims hold here?")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[class*='st-key-row_claim_']")).to_have_count(len(claims.CLAIMS), timeout=PATIENCE_MS)
    settle(page)

    # the evidence: the page, and exactly the nets that the judge compared
    place = urlsplit(told["N1"].evidence)
    page.locator(".st-key-row_claim_N1").get_by_role("link", name="See it").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Which of the paper’s claims hold here?", timeout=PATIENCE_MS)
    settle(page)
    assert urlsplit(page.url).path == f"/{place.path}"
    assert parse_qs(urlsplit(page.url).query)["m"] == parse_qs(place.query)["m"] == list(told["N1"].nets)
    page.go_back()
    expect(page.locator("[class*='st-key-row_claim_']")).to_have_count(len(claims.CLAIMS), timeout=PATIENCE_MS)
    settle(page)

    with saved(page, "CSV").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert {i: row["verdict"] for i, row in rows.items()} == {i: one.verdict for i, one in told.items()}
    assert float(rows["F1"]["effect"]) == pytest.approx(told["F1"].effect)


@pytest.mark.timeout(180)
def test_a_claim_is_a_link_that_opens_it_in_view_and_a_phone_shows_all_of_it(tab: Visit) -> None:
    page = tab.open("scorecard?claim=A4")
    details = page.locator(".st-key-why_claim_A4")
    expect(details).to_be_in_viewport(timeout=PATIENCE_MS)
    expect(details.get_by_text("Supported if")).to_be_visible()
    page.locator(".st-key-row_claim_A4").get_by_role("button", name="Close").click()
    expect(details).to_have_count(0, timeout=PATIENCE_MS)
    expect(page).not_to_have_url(re.compile("claim="), timeout=PATIENCE_MS)
    open_ = sum(one.verdict == NOT_MEASURED for one in claims.judge() if one.data == "fashion-full")
    page.get_by_role("radio", name=f"Not measured {open_}").click()
    expect(page.locator("[class*='st-key-row_claim_']")).to_have_count(open_, timeout=PATIENCE_MS)
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert fits(page)
    row = page.locator("[class*='st-key-row_claim_']").first
    box, why = row.bounding_box(), row.get_by_role("button", name="Why").bounding_box()
    assert box and why, "the row and its way on are drawn"
    assert why["x"] + why["width"] <= box["x"] + box["width"] + 1 and why["y"] - box["y"] < 24, "the way on is at the top right"
