"""Robustness in a real browser: a cell is clicked and its images come from the live worker, views are links, a phone shows all of it."""

import dataclasses
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core import io, store
from core.analyses import _cells
from core.run import Run
from pages.robustness import SHOW
from tests.browser.lab import PATIENCE_MS, Server, Visit, chart, clean, fits, prepared, settle, shipped, visit
from tests.pages.test_robustness import LOST, attacked, cells, keep, noise, sure

pytestmark = pytest.mark.browser
#: loading torch and the images on a small machine
LOAD_MS = 120_000
NETS = ("ResNet-mini", "ViT-mini")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab with two nets of the user's own, made of shipped weights, whose answers are known."""
    with prepared(tmp_path_factory.mktemp("robustness"), answered) as running:
        yield running


def own() -> list[Run]:
    return [dataclasses.replace(shipped(name), seed=77) for name in NETS]


def answered() -> None:
    for name, run in zip(NETS, own(), strict=True):
        place, weights = store.create(run), store.folder(shipped(name).id)
        shutil.copytree(weights / "weights", place / "weights", dirs_exist_ok=True)
        io.write_json(place / "final.json", io.read_json(weights / "final.json"))
        keep(run, "corruption", cells(run, LOST[name]), shipped=False)
        keep(run, "band_noise", noise(run, LOST[name]), shipped=False)
        keep(run, "adversarial", attacked(run, LOST[name] // 2), shipped=False)
        keep(run, "calibration", sure(run, LOST[name]), shipped=False)


def stage() -> str:
    return "&".join(f"m={run.id}" for run in own())


def number(page: Page, kind: str, column: int) -> Locator:
    """What stands in a cell of the heat map; numbers stand in the order of the table, two nets a row, means first."""
    order = [found for found in _cells.lanes().values() if found]
    return chart(page).locator("g.mark-text.role-mark text").nth(len(NETS) * order.index(kind) + column)


def test_a_click_on_a_cell_shows_its_images(tab: Visit) -> None:
    """On the number itself; the pictures come from the worker, and the cell stands in the address."""
    page = tab.open(f"robustness?{stage()}&severity=2")
    figures = page.locator(".robust-flips figure")
    expect(page.get_by_text("Fog, severity 2:")).to_be_visible(timeout=PATIENCE_MS)
    expect(figures).to_have_count(8, timeout=LOAD_MS)
    settle(page)
    snow = number(page, "snow", 1)
    expect(snow).to_have_text("80")
    snow.click()
    expect(page.get_by_text("Snow, severity 2:")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(rf"kind=snow.*net={own()[1].id}"), timeout=PATIENCE_MS)
    expect(figures).to_have_count(8, timeout=PATIENCE_MS)
    expect(page.get_by_text("20 of 200 turn wrong, 0 right")).to_be_visible()
    sides = page.locator(".robust-flips img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert sides == [32] * 16
    before, after = page.locator(".robust-flips img").evaluate_all("all => all.slice(0, 2).map(one => one.src)")
    assert before != after
    page.get_by_role("radio", name="Mean", exact=True).click()
    expect(page).to_have_url(re.compile("severity=0"), timeout=PATIENCE_MS)
    assert "kind=snow" in page.url


def test_every_view_is_a_link_and_fits_a_phone(browser: Browser, server: Server) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}) as tab:
        page = tab.open(f"robustness?{stage()}&show=band_noise")
        for show, title in list(SHOW.items())[1:]:
            page.get_by_role("radio", name=title).click()
            expect(page).to_have_url(re.compile(f"show={show}"), timeout=PATIENCE_MS)
            settle(page)
            if show != "shape_texture":
                chart(page)
            assert fits(page)
        clean(tab)
