"""One Chromium and one server for all browser tests; a fresh tab for each."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import find
from tests.browser.lab import Server, Visit, clean, serve, visit


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = find()
    assert path, "no Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running lab, shared; a test that has to be the first visitor starts its own with `serve`."""
    with serve(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def tab(browser: Browser, server: Server) -> Iterator[Visit]:
    """A tab on the shared server that must end clean: no outside request, no console error, no exception."""
    with visit(browser, server) as opened:
        yield opened
        clean(opened)
