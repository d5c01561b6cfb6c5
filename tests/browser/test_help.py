"""Help in a real browser: the drawer, its search, and every key that it lists is pressed and does what is said of it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from pages.ui import frame, help_entries
from pages.ui.help_keys import KEYS, Press
from tests.browser.lab import PATIENCE_MS, ROOT, Visit, fits, settle

pytestmark = pytest.mark.browser
RUN = next(path.name for path in (ROOT / "checkpoints").glob("alternet-mini-fashion-full-s0*"))
_NAMES = {"Right": "ArrowRight", "Left": "ArrowLeft", "Up": "ArrowUp", "Down": "ArrowDown", "Esc": "Escape", "Ctrl": "Control",
          "Space": " "}  # fmt: skip
BOX = "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.box')).find(b => b?._redraw)"


def press(page: Page, key: str) -> None:
    """A key as the list names it."""
    parts = [key] if key in ("+", "-") else [_NAMES.get(part, part) for part in key.split("+")]
    parts[-1] = parts[-1].lower() if len(parts[-1]) == 1 else parts[-1]
    page.keyboard.press("+".join(parts))


def dialog(page: Page) -> Locator:
    return page.get_by_test_id("stDialog")


def active(page: Page) -> str:
    return page.evaluate("(document.activeElement.shadowRoot?.activeElement ?? document.activeElement).dataset.id")


def soon(page: Page, found: Callable[[], object], wanted: object) -> None:
    """Waits until something is so."""
    for _ in range(100):
        if found() == wanted:
            return
        page.wait_for_timeout(100)
    assert found() == wanted


@dataclass(frozen=True, kw_only=True)
class Ribbon:
    """A ribbon of units: where it is and how a unit says that it was changed."""

    link: str
    key: str
    changed: Callable[[Locator], object]

    def unit(self, page: Page, name: str) -> Locator:
        return page.locator(f"{self.key} .unit[data-id='{name}']")

    def __call__(self, page: Page, keys: Press) -> None:
        """Each key of one line of the list, from the third unit of the second stage."""
        moves = {"Right": "s2u4", "Down": "s2u4", "Left": "s2u2", "Up": "s2u2", "Home": "s1u1", "End": "s2u6"}
        for key in keys.keys:
            unit = self.unit(page, "s2u3")
            unit.focus()
            if key in moves:
                press(page, key)
                soon(page, lambda: active(page), moves[key])
            else:
                self.change_and_undo(page, unit, "Space" if key == "Ctrl+Z" else key)

    def change_and_undo(self, page: Page, unit: Locator, key: str) -> None:
        before = self.changed(unit)
        press(page, key)
        soon(page, lambda: self.changed(unit) != before, True)
        settle(page)
        press(page, "Ctrl+Z")
        soon(page, lambda: self.changed(unit), before)
        settle(page)


BUILD = Ribbon(link="build?arch=cccccc-cccccc", key=".st-key-ribbon", changed=lambda unit: unit.get_attribute("data-kind"))
LESION = Ribbon(link=f"lesion?net={RUN}", key=".st-key-lesion_bars", changed=lambda unit: unit.get_attribute("aria-pressed"))


def camera(page: Page, keys: Press) -> None:
    """Each key turns, tilts or zooms, or brings all back."""
    group = page.locator(".st-key-landscape_surface .panels")
    for key in keys.keys:
        group.focus()
        before = page.evaluate(f"() => ({{...{BOX}._aim}})")
        if key in ("Home", "R"):
            press(page, "Left")
        press(page, key)
        page.wait_for_timeout(150)
        after = page.evaluate(f"() => ({{...{BOX}._aim}})")
        assert after == {"turn": 38, "tilt": 35, "zoom": 1} if key in ("Home", "R") else after != before, key


def slider(page: Page, keys: Press) -> None:
    """Each key moves the lens, from the third tenth of its range."""
    plot = page.locator(".st-key-lens_view .plot")

    def step() -> int:
        return int(plot.get_attribute("aria-valuenow") or 0)

    last = int(plot.get_attribute("aria-valuemax") or 0)
    wide = max(1, round((last + 1) / 10))
    by = {"Right": 1, "Up": 1, "Left": -1, "Down": -1, "PageUp": wide, "PageDown": -wide}
    for key in keys.keys:
        plot.focus()
        page.keyboard.press("Home")
        soon(page, step, 0)
        for _ in range(3):
            page.keyboard.press("PageUp")
        soon(page, step, 3 * wide)
        press(page, key)
        if key == "N":
            soon(page, lambda: step() != 3 * wide, True)
        else:
            soon(page, step, {"Home": 0, "End": last}.get(key, 3 * wide + by.get(key, 0)))


def everywhere(page: Page, keys: Press) -> None:
    """The shortcuts of the whole lab."""
    order = list(frame.titles().values())
    for key in keys.keys:
        if keys.does == "Close a drawer or a list":
            press(page, "Ctrl+K")
            expect(dialog(page)).to_be_visible(timeout=PATIENCE_MS)
            press(page, key)
            expect(dialog(page)).to_have_count(0, timeout=PATIENCE_MS)
        elif "page" in keys.does:
            here = page.locator("[data-testid=stSidebarNavLink][aria-current=page]").inner_text()
            there = order[order.index(here) + (1 if keys.does == "Next page" else -1)]
            press(page, key)
            wanted = page.locator("[data-testid=stSidebarNavLink][aria-current=page]", has_text=there)
            expect(wanted).to_have_count(1, timeout=PATIENCE_MS)
            settle(page)
        else:
            press(page, key)
            title = "Help" if keys.does == "Open this help" else "Present"
            expect(dialog(page).get_by_text(title, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
            press(page, "Esc")
            expect(dialog(page)).to_have_count(0, timeout=PATIENCE_MS)


def presenting(page: Page, keys: Press) -> None:
    """Views are turned and left."""
    bar = page.locator(".st-key-present_bar")
    for key in keys.keys:
        number = 1 if keys.does == "Next view" else 2
        if keys.does == "Leave the presentation":
            press(page, key)
            expect(bar).to_have_count(0, timeout=PATIENCE_MS)
            expect(page.get_by_test_id("stSidebar")).to_be_visible()
            return
        expect(bar.get_by_text(f"{number} of 10 · ")).to_be_visible(timeout=PATIENCE_MS)
        press(page, key)
        expect(bar.get_by_text(f"{3 - number} of 10 · ")).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        if key != keys.keys[-1]:
            press(page, "Left" if number == 1 else "Right")
            settle(page)


#: page of the list -> its link, what has to be there before keys are pressed, and what presses the keys of a line
PLACES: dict[str, tuple[str, str, Callable[[Page, Press], None]]] = {
    "": ("features", "h1", everywhere),
    "present": ("?present=1", ".st-key-present_bar", presenting),
    "build": (BUILD.link, f"{BUILD.key} .unit", BUILD),
    "lesion": (LESION.link, f"{LESION.key} .unit", LESION),
    "landscape": ("landscape", ".panels canvas", camera),
    "lens": ("lens?image=7&lens=low&step=0", ".st-key-lens_view .plot", slider),
}


@pytest.mark.parametrize("place", [place for place in dict.fromkeys(one.page for one in KEYS)], ids=lambda place: place or "everywhere")
@pytest.mark.timeout(300)
def test_every_listed_key_does_what_is_said(tab: Visit, place: str) -> None:
    link, there, check = PLACES[place]
    tab.page.goto(f"{tab.server.url}/{link}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
    expect(tab.page.locator(there).first).to_be_visible(timeout=120_000)  # the lens waits for its worker
    settle(tab.page)
    for keys in [one for one in KEYS if one.page == place]:
        check(tab.page, keys)


@pytest.mark.timeout(180)
def test_a_measure_is_found_by_typing_and_read_on_a_phone(tab: Visit) -> None:
    page = tab.open("curvature")
    page.get_by_role("button", name="Help").click()
    drawer = dialog(page)
    expect(drawer.locator("details")).to_have_count(len(help_entries.entries()), timeout=PATIENCE_MS)
    box = drawer.get_by_role("combobox")
    box.fill("convex")
    page.get_by_role("option", name="Share negative · negative max-eigenvalue").or_(page.get_by_role("option").first).first.click()
    expect(drawer.locator("article dt")).to_have_count(4, timeout=PATIENCE_MS)
    summary = drawer.locator("summary", has_text="Curvature").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(drawer.locator("details[open] dt").first).to_have_text("What it is")
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert fits(page)
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0, timeout=PATIENCE_MS)
