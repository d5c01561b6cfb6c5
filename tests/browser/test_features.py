"""Features in a real browser: the focused unit goes with the reader from page to page, every view is a link, and a cell can be clicked."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from core import spec, store
from core.analyses import attention, cka, fourier, receptive, variance
from tests.browser.lab import PATIENCE_MS, ROOT, Visit, clean, fits, serve, settle, visit

pytestmark = pytest.mark.browser
#: loading torch and the net on a small machine
LOAD_MS = 120_000
RESNET, VIT = (next(path.name for path in (ROOT / "checkpoints").glob(f"{name}-mini-*")) for name in ("resnet", "vit"))
QUESTIONS = {
    "variance": variance.ANALYSIS.question,
    "cka": cka.ANALYSIS.question,
    "attention": attention.ANALYSIS.question,
    "receptive": receptive.ANALYSIS.question,
}


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A tab on a server of its own, which must end clean."""
    with serve(tmp_path_factory.mktemp("features")) as server, visit(browser, server) as tab:
        yield tab
        clean(tab)


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1, name=words)).to_be_visible(timeout=PATIENCE_MS)


def box(page: Page, words: str) -> None:
    """The focused unit in the select of a page."""
    expect(page.get_by_role("combobox", name=re.compile("Focused unit"))).to_have_value(re.compile(words), timeout=PATIENCE_MS)


def choose(page: Page, words: str) -> None:
    """Another focused unit, by its select."""
    select = page.get_by_role("combobox", name="Focused unit")
    select.click()
    select.fill(words)
    page.get_by_role("option", name=words).click()


def likeness(unit: str, other: str) -> float:
    """The stored CKA of two units of the shipped ViT."""
    table = store.load_result(VIT, "cka", store.list_results(VIT, "cka")[0]["key"]).table
    return float(table.set_index(["unit", "with_unit"]).loc[(unit, other), "cka"])


def test_every_view_may_be_the_first_thing_a_visitor_opens(lab: Visit) -> None:
    """Each link opens its view with its unit; a link to another tab's pair and image too."""
    page, unit = lab.page, f"unit={VIT}~s1u3"
    stage = f"m={RESNET}&m={VIT}"
    links = {"variance": "", "cka": "&column=s1u9", "receptive": "", "attention": "&image=7&at=2.3"}
    for show, more in links.items():
        page.goto(f"{lab.server.url}/features?show={show}&{unit}&{stage}{more}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
        heading(page, QUESTIONS[show])
        expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", level=2, name="ViT-mini, Stage 1, unit 3 · MSA")).to_be_visible(timeout=PATIENCE_MS)
        if show == "cka":
            expect(page.get_by_role("status").filter(has_text=f"CKA {likeness('s1u3', 's1u9'):.2f}")).to_be_visible()
        assert fits(page)
    # the worker as it ships: seven heads and the picture, once it has loaded the net
    maps = page.locator(".lab-flips img")
    expect(maps).to_have_count(
        1 + next(s for s in spec.layout(spec.parse(store.find(VIT).arch), 32) if s.id == "s1u3").heads, timeout=LOAD_MS
    )
    expect(page.get_by_text("Attention of row 2, column 3")).to_be_visible()
    assert maps.nth(1).evaluate("image => image.naturalWidth") == 8


def test_the_focused_unit_goes_with_the_reader(lab: Visit) -> None:
    """Frequency to Features, there to another unit, on to Lesion where it is off, and back."""
    page = lab.open(f"frequency?m={RESNET}&m={VIT}")
    choose(page, "ViT-mini · Stage 1, unit 5 · MSA")
    expect(page).to_have_url(re.compile(rf"unit={VIT}~s1u5"), timeout=PATIENCE_MS)
    page.get_by_role("link", name="Features").click()
    heading(page, QUESTIONS["variance"])
    box(page, "ViT-mini · Stage 1, unit 5")
    choose(page, "ViT-mini · Stage 1, unit 7 · MSA")
    expect(page.get_by_role("heading", level=2, name="ViT-mini, Stage 1, unit 7 · MSA")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Switch it off in Lesion").click()
    expect(page.locator(".st-key-lesion_bars .unit[data-id='s1u7']")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(rf"/lesion\?.*net={VIT}.*off=s1u7"), timeout=PATIENCE_MS)
    page.get_by_role("link", name="Frequency").click()
    heading(page, fourier.ANALYSIS.question)
    box(page, "ViT-mini · Stage 1, unit 7")
    page.get_by_role("link", name="Features").click()
    box(page, "ViT-mini · Stage 1, unit 7")


def test_a_click_on_a_cell_takes_the_pair(lab: Visit) -> None:
    """The row's unit comes into focus and both stand in the address."""
    page = lab.open(f"features?show=cka&m={RESNET}&m={VIT}&unit={RESNET}~s1u3")
    chart = page.get_by_test_id("stVegaLiteChart").nth(1)
    expect(chart).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    chart.locator("g.mark-rect path").nth(13 * 13 - 1).click()  # the last of the stem and twelve units
    expect(
        page.get_by_role("status").filter(has_text="In ViT-mini, Stage 1, unit 12 · MLP and Stage 1, unit 12 · MLP: CKA 1.00")
    ).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile(rf"unit={VIT}~s1u12.*column=s1u12"))
