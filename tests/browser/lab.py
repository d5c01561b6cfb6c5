"""A real server, a real browser, and what is watched while a page is open."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect

from core import store
from core.run import Run
from tests.jobs.conftest import end_all

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
#: generous: a small machine that also trains
PATIENCE_MS = 45_000
#: on a deep link the client asks below the page's own path first and is told 404; it then asks at the right place
PROBES = re.compile(r"/\w+/_stcore/(?:health|host-config)$")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running lab: its address, its data folder, its log."""

    url: str
    home: Path
    log: Path


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One browser tab and what went wrong in it."""

    page: Page
    server: Server
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path of the lab and wait until it stands still."""
        self.page.goto(f"{self.server.url}/{path.lstrip('/')}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
        return settle(self.page)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serve(home: Path) -> Iterator[Server]:
    """`streamlit run app.py` as `make run` starts it, on a free port, with a data folder of its own."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    env = {**os.environ, "ALTERLAB_HOME": str(home), "ALTERLAB_LEASES": str(home / "leases")}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "127.0.0.1", "--server.port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url, process, log)
        yield Server(url=url, home=home, log=log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        end_all(home)  # jobs and their dispatcher outlive the server
        process.wait(10)


@contextlib.contextmanager
def prepared(home: Path, fill: Callable[[], object]) -> Iterator[Server]:
    """A running lab over what `fill` has stored; until it ends, the test's own process works on the same data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALTERLAB_HOME", str(home))
        fill()
        with serve(home) as server:
            yield server


def shipped(name: str) -> Run:
    """A run that comes with the lab, by the name of its net: ViT-mini."""
    return store.find(next((ROOT / "checkpoints").glob(f"{name.lower()}-*")).name)


def wait_until_healthy(url: str, process: subprocess.Popen, log: Path) -> None:
    """Return when the server answers; fail with its log if it ends or stays silent."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"The server did not start:\n{log.read_text(errors='replace')[-3000:]}")


@contextlib.contextmanager
def visit(browser: Browser, server: Server, **context_options: object) -> Iterator[Visit]:
    """A fresh tab.  Requests to anywhere but the server are aborted and noted; so are errors of the page's scripts."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context_options})
    page = context.new_page()
    tab = Visit(page=page, server=server)

    def only_the_lab(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(server.url).netloc:
            route.continue_()
        else:
            tab.outside.append(route.request.url)
            route.abort()

    def note(message: ConsoleMessage) -> None:
        source = message.location.get("url", "")
        if message.type == "error" and not ("404" in message.text and PROBES.search(urlsplit(source).path)):
            tab.errors.append(f"{message.text} ({source})")

    context.route(re.compile(r"^https?://"), only_the_lab)
    page.on("console", note)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on(
        "websocket",
        lambda socket_: tab.outside.append(socket_.url) if urlsplit(socket_.url).netloc != urlsplit(server.url).netloc else None,
    )
    try:
        yield tab
    finally:
        context.close()


def settle(page: Page, timeout: float = PATIENCE_MS) -> Page:
    """Wait until the script has run, nothing is loading, and the page is connected.

    Not for a page whose fragment reruns each second: wait there for what should be seen.
    """
    page.wait_for_timeout(210)  # widgets wait this long before they send
    ready = "[data-testid='stApp'][data-test-connection-state='CONNECTED'][data-test-script-state='notRunning']"
    page.locator(ready).wait_for(state="attached", timeout=timeout)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=timeout)
    page.wait_for_timeout(100)
    return page


def chart(page: Page, number: int = 0) -> Locator:
    """A chart of the page, from 0, once it is drawn."""
    found = page.get_by_test_id("stVegaLiteChart").nth(number)
    expect(found.locator("svg")).to_be_visible(timeout=PATIENCE_MS)
    return found


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return page.evaluate(
        """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
        .every(part => part.scrollWidth <= Math.min(part.clientWidth, innerWidth))"""
    )


def saved(page: Page, button: str) -> Path:
    """The file that a button gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).first.click()
    return download.value.path()


def clean(tab: Visit) -> None:
    """Fail if the tab asked anything of the outside, logged an error or shows an exception."""
    assert not tab.outside, f"requests that left the machine: {tab.outside}"
    assert not tab.errors, f"errors in the browser's console: {tab.errors}"
    assert tab.page.get_by_test_id("stException").count() == 0, tab.page.get_by_test_id("stException").all_inner_texts()
    for sentence in ("Something unexpected went wrong", "This could not be shown"):
        assert tab.page.get_by_text(sentence).count() == 0, tab.server.log.read_text(errors="replace")[-3000:]
