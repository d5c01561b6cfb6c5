"""A training that is killed, tried again, stopped and resumed, as a reader sees it."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.lab import PATIENCE_MS, Visit, clean, serve, visit

pytestmark = pytest.mark.browser
#: loading torch on a small machine
START_MS = 90_000


def row(page: Page) -> Locator:
    """The only job's row; while it moves from one part of the list to another it stands there twice for a moment."""
    return page.locator("[class*='st-key-row_job_']").first


def at_epoch(page: Page) -> int:
    """The epoch that the running job is in, from its row; it says one."""
    progress = row(page).get_by_text(re.compile(r"epoch \d+ of 300"))
    expect(progress).to_be_visible(timeout=START_MS)
    return int(re.search(r"epoch (\d+) of", progress.inner_text())[1])


def epochs(home: Path) -> list[int]:
    """The epochs in the run's stored history."""
    [path] = (home / "runs").glob("*/history.jsonl")
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines() if line.endswith("}")]


def asked(page: Page, frames: list, seconds: float = 3.5) -> int:
    """How often the page asks the server within some seconds."""
    before = len(frames)
    page.wait_for_timeout(1000 * seconds)
    return len(frames) - before


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_training_is_tried_again_stopped_and_resumed(browser: Browser, tmp_path: Path) -> None:
    with serve(tmp_path) as server, visit(browser, server) as tab:  # a server of its own: no other job's row stands there
        _journey(tab)
        clean(tab)


def _journey(tab: Visit) -> None:
    frames: list = []
    tab.page.on("websocket", lambda line: line.on("framesent", lambda sent: frames.append(sent)))
    page = tab.open("train?arch=cm-cm&epochs=300&t_limit=500")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(row(page)).to_contain_text("Running", timeout=START_MS)
    at_epoch(page)

    [job] = (tab.server.home / "jobs").glob("*-train-*")
    os.kill(json.loads((job / "attempts" / "1" / "begun.json").read_text())["worker"], signal.SIGKILL)
    expect(row(page)).to_contain_text("The process was killed from outside.", timeout=10_000)
    expect(row(page)).to_contain_text(re.compile("attempt 2 of 3", re.I))
    expect(row(page)).to_contain_text("Waiting")
    expect(row(page)).to_contain_text(re.compile(r"Running.*attempt 2", re.S), timeout=START_MS)
    reached = at_epoch(page)
    assert asked(page, frames) >= 2, "the page stands still"

    row(page).get_by_role("button", name="Details").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile(r"Attempt 1 on .*: killed from outside"), timeout=PATIENCE_MS)
    expect(dialog).to_contain_text(re.compile(r"Attempt 2 on .*: under way"))
    expect(dialog.get_by_test_id("stCode")).to_contain_text("attempt 2: train on CPU")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)

    row(page).get_by_role("button", name="Stop").click()
    expect(row(page)).to_contain_text("Stopped as asked.", timeout=30_000)
    expect(row(page).get_by_role("button")).to_have_text(["Go on", "Details"])
    page.wait_for_timeout(1500)
    assert asked(page, frames) == 0, "the page asks on when nothing lives"

    row(page).get_by_role("button", name="Go on").click()
    expect(row(page)).to_contain_text("Running", timeout=START_MS)
    assert at_epoch(page) >= reached, "it began anew"
    row(page).get_by_role("button", name="Stop").click()
    expect(row(page)).to_contain_text("Stopped as asked.", timeout=30_000)
    done = epochs(tab.server.home)
    assert done == list(range(1, len(done) + 1)), "an epoch is missing, or stands there twice"
