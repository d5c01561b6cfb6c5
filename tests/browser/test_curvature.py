"""Curvature in a real browser: the charts over training are a scrubber, views and moments are links, and a phone shows all of it."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core import io, store
from core.analyses import density
from core.table import Measurement, check
from pages.ui.curvature_ask import PHASES
from tests.browser.lab import PATIENCE_MS, Server, Visit, chart, clean, fits, prepared, settle, shipped, visit
from tests.pages.test_curvature import keep, notes, spread

pytestmark = pytest.mark.browser
#: chart 0 is the lanes, 1 the share of negatives, 2 the mean of positives
NETS = ("ResNet-mini", "ViT-mini", "AlterNet-mini")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab in which the shipped nets were measured at every moment, ViT-mini not at 1/3; the density at the end only."""
    with prepared(tmp_path_factory.mktemp("curvature"), measured) as running:
        yield running


def measured() -> None:
    """On clean images: the usual question has answers that come with the lab."""
    for run in map(shipped, NETS):
        for phase in PHASES:
            if (run.name, phase) != ("ViT-mini", "third"):
                keep(run, phase, shipped=False, augment="clean")
        asked, table = dataclasses.asdict(density.Params(phase="end", augment="clean")), spread(run)
        check(table, density.COLUMNS)
        manifest = {"params": asked, "version": density.ANALYSIS.version, "phase": "end"}
        store.save_result(run.id, "density", io.digest({"of": run.id, **asked}), Measurement(table=table, notes=notes()), manifest)


def labels(found: Locator) -> list[str]:
    """The texts of a chart, axes included."""
    return found.locator("svg text").all_text_contents()


def press(page: Page, number: int, phase: str) -> None:
    """A click between the points above a moment's label, where nothing is drawn."""
    columns = chart(page, number).locator("g.mark-rect path")
    expect(columns).to_have_count(len(PHASES), timeout=PATIENCE_MS)
    box = columns.nth(list(PHASES).index(phase)).bounding_box()
    assert box and box["width"] >= 24
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 8)


def test_a_click_on_a_moment_moves_lanes_address_and_sentence(tab: Visit) -> None:
    """In either chart, on empty ground, on a point, at a moment that lacks a net; back undoes it."""
    page = tab.open("curvature?augment=clean&phase=warmup")
    take = page.locator(".lab-take")
    expect(take).to_contain_text("At the end of warm-up ViT-mini’s loss is 3.9 times flatter", timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile("phase=warmup"))
    press(page, 1, "end")
    expect(page).to_have_url(re.compile("phase=end"), timeout=PATIENCE_MS)
    expect(take).to_contain_text("At the end of training ViT-mini", timeout=PATIENCE_MS)
    settle(page)
    press(page, 2, "third")
    expect(page).to_have_url(re.compile("phase=third"), timeout=PATIENCE_MS)
    expect(take).to_contain_text("After a third of training AlterNet-mini’s loss is 2.0 times flatter", timeout=PATIENCE_MS)
    settle(page)
    assert "ViT-mini" not in labels(chart(page, 0)), "there is no lane of what was not measured"
    expect(page.get_by_text("ViT-mini at 1/3 cannot be measured")).to_be_visible()
    points = chart(page, 1).locator("g.mark-symbol path")
    points.nth(0).click()  # the first net's first moment
    expect(page).to_have_url(re.compile("phase=init"), timeout=PATIENCE_MS)
    expect(take).to_contain_text("Before training", timeout=PATIENCE_MS)
    page.wait_for_timeout(700)  # an address of before that comes sooner is taken for that of a late rerun
    page.go_back()
    expect(page).to_have_url(re.compile("phase=third"), timeout=PATIENCE_MS)
    expect(take).to_contain_text("After a third of training", timeout=PATIENCE_MS)


def test_the_views_are_links_and_every_tick_is_there(tab: Visit) -> None:
    page = tab.open("curvature?augment=clean&phase=end")
    take = page.locator(".lab-take")
    expect(take).to_contain_text("times flatter", timeout=PATIENCE_MS)
    assert {"start", "warm-up", "1/3", "2/3", "end"} <= set(labels(chart(page, 1))), "no label is dropped for want of room"
    for view, said, texts in (
        ("Top 5", "times flatter", {"1", "5", "0", "100", "bends down", "10.0 % negative"}),
        ("Density", "of directions are flat", {"0", "10", "100", "all", "1 in 1,000", "85.0 % flat", "5.0 % down"}),
        ("Spectrum", "times flatter", {"−100", "0", "100", "10.0 % negative", "none negative"}),
    ):
        page.get_by_role("radio", name=view).or_(page.get_by_role("button", name=view, exact=True)).first.click()
        expect(page).to_have_url(re.compile(f"view={view.split()[0].lower()}"), timeout=PATIENCE_MS)
        settle(page)
        expect(take).to_contain_text(said, timeout=PATIENCE_MS)
        found = set(labels(chart(page, 0)))
        assert texts <= found, f"{view}: {sorted(texts - found)} not in {sorted(found)}"
        assert not [text for text in found if re.search(r"\de[+−-]?\d", text)], found
        box = take.bounding_box()
        assert box and box["height"] <= 2 * 28 + 8, "two lines at most"
    page.reload()
    expect(take).to_contain_text("At the end of training", timeout=PATIENCE_MS)


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser: Browser, server: Server) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}) as tab:
        for view in ("spectrum", "top", "density"):
            page = tab.open(f"curvature?augment=clean&phase=end&view={view}")
            lanes = chart(page, 0)
            assert fits(page)
            boxes = lanes.locator("svg text").evaluate_all("all => all.map(t => [t.textContent, t.getBoundingClientRect().toJSON()])")
            assert len(boxes) > 10 and not (over := overlapping(boxes)), over
            assert {"start", "warm-up", "1/3", "2/3", "end"} <= set(labels(chart(page, 1)))
        clean(tab)


def overlapping(boxes: list[list[Any]]) -> list[tuple[str, str]]:
    """The texts whose boxes lie on each other, but for what ascenders and descenders take."""
    found = []
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            across = min(a["right"], b["right"]) - max(a["left"], b["left"])
            down = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
            if across > 0 and down > 5:
                found.append((one, other))
    return found
