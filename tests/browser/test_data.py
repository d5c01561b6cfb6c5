"""Data in a real browser: a folder and an uploaded zip become sets, every view is a link, a phone shows all of it, a set is deleted."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.data import importing
from pages.data import SHOW
from tests.browser.lab import PATIENCE_MS, Server, Visit, chart, clean, fits, prepared, settle, visit
from tests.data.bad_pictures import good

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to bring, and beside it the same as a zip file."""
    source = tmp_path_factory.mktemp("pictures") / "fish and birds"
    good(source, ("fish <i>", "birds"), each=30, size=(60, 60))
    (source / "birds" / "words.jpg").write_bytes(b"no picture")
    with zipfile.ZipFile(source.with_suffix(".zip"), "w") as archive:
        for path in source.rglob("*.*"):
            archive.write(path, path.relative_to(source))
    return source


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Server]:
    """A lab with a set of the reader's own."""
    with prepared(tmp_path_factory.mktemp("data"), lambda: importing.add(source, "Here", importing.Import(image_size=32))) as running:
        yield running


def begin(page: Page) -> None:
    page.get_by_role("button", name="Import pictures").click()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE_MS)


def take_in(page: Page, name: str) -> None:
    """Press Import and wait until the new set is shown."""
    box = page.get_by_role("textbox", name="Name")
    box.fill(name)
    box.press("Tab")
    settle(page)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("It is there.")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    expect(page.get_by_text(f"{name} holds 48 training and 12 test images of 2 classes")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("1 file left out. It can be chosen on every page now.")).to_be_visible()


def test_a_folder_becomes_a_set_and_goes_again(tab: Visit, source: Path) -> None:
    page = tab.open("data?show=classes")
    begin(page)
    path = page.get_by_role("textbox", name="Folder, or a zip file that is here")
    path.fill(f"{source}/nothing")
    path.press("Tab")
    settle(page)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("This cannot be imported. There is no folder")).to_be_visible(timeout=PATIENCE_MS)
    path.fill(str(source))
    path.press("Tab")
    settle(page)
    take_in(page, "From a folder")
    expect(page).to_have_url(re.compile("d=own%3Afrom-a-folder%40"), timeout=PATIENCE_MS)
    pictures = page.locator(".data-rows img")
    expect(pictures).to_have_count(20)
    assert set(pictures.evaluate_all("all => all.map(one => one.naturalWidth)")) == {32}
    expect(page.get_by_text("fish <i>").first).to_be_visible()
    page.get_by_role("button", name="See the report").click()
    expect(page.get_by_text("1 file left out, 60 pictures taken. Why: no picture (1).")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.get_by_role("button", name="Delete this set").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Fashion holds 20,000 training")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    expect(page.get_by_test_id("stSidebar").get_by_role("combobox", name="Images")).to_have_value("Fashion")
    assert not (tab.server.home / "data" / "own" / "from-a-folder").exists()


def test_an_uploaded_zip_becomes_a_set(tab: Visit, source: Path) -> None:
    page = tab.open("data")
    begin(page)
    page.get_by_role("radio", name="A zip file to upload").click()
    page.locator("input[type=file]").set_input_files(source.with_suffix(".zip"))
    expect(page.get_by_text("fish and birds.zip")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    take_in(page, "From a zip")
    expect(page.get_by_text("an uploaded zip file")).to_be_visible()
    assert list((tab.server.home / "data" / "inbox").iterdir()) == []


def test_every_view_is_a_link_and_fits_a_phone(browser: Browser, server: Server) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}) as tab:
        page = tab.open("data?d=own:here")
        for show, title in list(SHOW.items())[1:]:
            page.get_by_role("radio", name=title).click()
            expect(page).to_have_url(re.compile(f"show={show}"), timeout=PATIENCE_MS)
            settle(page)
            chart(page)
            expect(page.get_by_text("undefined")).to_have_count(0)
            assert fits(page)
        clean(tab)
