"""Lesion in a real browser: a press is seen at once and the number follows, with the worker and the nets as they ship."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.lab import PATIENCE_MS, ROOT, Visit, clean, fits, serve, visit

pytestmark = pytest.mark.browser
#: loading torch and the net on a small machine
LOAD_MS = 120_000
RUN = next(path.name for path in (ROOT / "checkpoints").glob("alternet-mini-*"))
_CORE = """
import json, sys
from core import store
from core.analyses import Subject
from core.analyses.lesion import Bench
bench = Bench(Subject(store.find(sys.argv[1]), "cpu"), 256, 0)
print(json.dumps([f"{100 * bench.answer(off)['accuracy']:.1f}" for off in json.loads(sys.argv[2])]))
"""


@pytest.fixture(scope="module")
def lesioned(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """The page on a server of its own, with the net loaded: loading takes longer than all the tests."""
    with serve(tmp_path_factory.mktemp("lesion")) as server, visit(browser, server) as tab:
        opened(tab, f"lesion?net={RUN}")
        yield tab
        clean(tab)


def opened(tab: Visit, path: str) -> Page:
    """The page with its number.  It may poll while the net is loaded, so what is waited for is the number itself."""
    tab.page.goto(f"{tab.server.url}/{path}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
    expect(unit(tab.page, "s1u1")).to_be_visible(timeout=PATIENCE_MS)
    expect(big(tab.page)).to_be_visible(timeout=LOAD_MS)
    return tab.page


def unit(page: Page, name: str) -> Locator:
    return page.locator(f".st-key-lesion_bars .unit[data-id='{name}']")


def big(page: Page) -> Locator:
    return page.locator(".st-key-lesion_now .lab-big")


def core_says(*offs: list[str]) -> list[str]:
    """Accuracies in per cent, computed in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CORE, RUN, json.dumps(offs)], cwd=ROOT, capture_output=True, text=True, timeout=LOAD_MS / 1000
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def hollow(page: Page, *names: str) -> None:
    """Exactly these units are drawn hollow, and are said to be pressed."""
    for name in names:
        expect(unit(page, name)).to_have_attribute("aria-pressed", "true")
        expect(unit(page, name).locator(".hollow").first).to_have_css("opacity", "1")
        expect(unit(page, name).locator(".solid").first).to_have_css("opacity", "0")
    expect(page.locator(".st-key-lesion_bars .unit.out")).to_have_count(len(names))


def address_is(page: Page, *names: str) -> None:
    """Exactly these units are off in the address."""
    page.wait_for_function(
        "off => new URLSearchParams(location.search).getAll('off').join() === off", arg=",".join(names), timeout=PATIENCE_MS
    )


def number_is(page: Page, share: str) -> None:
    expect(big(page)).to_have_text(re.compile(rf"^{re.escape(share)}\s*%$"), timeout=PATIENCE_MS)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_press_is_seen_at_once_and_the_number_follows(lesioned: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    page = opened(lesioned, f"lesion?net={RUN}")
    whole, one, two = core_says([], ["s2u3"], ["s1u2", "s2u3"])
    assert len({whole, one, two}) == 3, "the test needs units whose loss can be told apart"
    number_is(page, whole)
    times = []
    for name, off, share in (("s2u3", ("s2u3",), one), ("s1u2", ("s1u2", "s2u3"), two), ("s1u2", ("s2u3",), one), ("s2u3", (), whole)):
        begun = time.perf_counter()
        unit(page, name).locator(".hit").click()
        hollow(page, *off)
        seen = time.perf_counter() - begun
        number_is(page, share)
        times.append((seen, time.perf_counter() - begun))
        address_is(page, *off)
    with capsys.disabled():
        print("\nclick to hollow, to number [s]:", ", ".join(f"{a:.2f} {b:.2f}" for a, b in times))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_works_by_keyboard_alone(lesioned: Visit) -> None:
    page = opened(lesioned, f"lesion?net={RUN}&unit={RUN}~s2u4")
    unit(page, "s2u4").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".lab-sub b", has_text="Stage 2, unit 3 · MSA")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("l")
    hollow(page, "s2u3")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    hollow(page, "s2u3", "s2u4")
    assert page.evaluate("document.activeElement.shadowRoot?.activeElement?.dataset.id ?? document.activeElement.dataset.id") == "s2u4"
    page.keyboard.press("Control+z")
    hollow(page, "s2u3")
    page.keyboard.press("Control+z")
    hollow(page)
    expect(page.locator(".st-key-lesion_now [role=status]")).to_contain_text("nothing is off", timeout=PATIENCE_MS)
    hollow(page)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_reload_and_the_back_button_bring_the_same_state_back(lesioned: Visit) -> None:
    page = opened(lesioned, f"lesion?net={RUN}")
    for name in ("s1u3", "s2u3"):
        unit(page, name).locator(".hit").click()
    address_is(page, "s1u3", "s2u3")
    expect(page.locator(".st-key-lesion_now [role=status]")).to_contain_text("was", timeout=PATIENCE_MS)
    page.wait_for_timeout(700)  # the second number
    said = big(page).inner_text()
    flips = page.locator(".lab-flips img").count()
    assert flips, "no image flips"
    page.reload()
    expect(big(page)).to_be_visible(timeout=LOAD_MS)
    hollow(page, "s1u3", "s2u3")
    expect(big(page)).to_have_text(said, timeout=PATIENCE_MS)
    expect(page.locator(".lab-flips img")).to_have_count(flips)
    page.get_by_role("button", name="Restore all").click()
    hollow(page)
    address_is(page)
    page.wait_for_timeout(1000)  # a reader looks before going back
    page.go_back()
    address_is(page, "s1u3", "s2u3")
    hollow(page, "s1u3", "s2u3")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_plain_controls_do_the_same(lesioned: Visit) -> None:
    page = opened(lesioned, f"lesion?net={RUN}")
    page.get_by_text("The same with plain controls").click()
    page.get_by_role("button", name="2.3 MSA").click()
    hollow(page, "s2u3")
    page.get_by_role("button", name="2.3 MSA").click()
    hollow(page)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_units_can_be_pressed_and_nothing_scrolls_sideways(browser: Browser, lesioned: Visit, scheme: str) -> None:
    with visit(browser, lesioned.server, viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True) as tab:
        page = opened(tab, f"lesion?net={RUN}")
        box = unit(page, "s2u3").locator(".hit").bounding_box()
        assert box and box["width"] >= 24 and box["height"] >= 44
        unit(page, "s2u3").locator(".hit").tap()
        hollow(page, "s2u3")
        expect(page.locator(".st-key-lesion_now [role=status]")).to_contain_text("was", timeout=PATIENCE_MS)
        assert fits(page)
        clean(tab)
