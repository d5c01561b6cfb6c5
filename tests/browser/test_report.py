"""The report in a browser without a network: no request, no console message, nothing cut on paper or on a phone."""

import re

import pytest

from core import report
from core.report import gather

pytestmark = pytest.mark.browser
#: what an A4 page with the report's margins holds, in CSS px
PAPER = {"width": 695, "height": 1017}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    [run, *_] = [one for one in gather.chosen((), "") if one.name == "AlterNet-mini"]
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write(path, report.build([run.id]))
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the report in a window of a size; it must end without a request or a message."""
    asked, said, contexts = [], [], []

    def visit(width, height):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, offline=True))
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(address)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert set(asked) == {address} and not said


def test_it_opens_offline_and_fits_a_desk_and_a_phone(opened):
    for width in (1280, 390):
        tab = opened(width, 844)
        assert "claims hold here" in tab.inner_text("h1")
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        boxes = tab.eval_on_selector_all("figure svg", "all => all.map(one => one.getBoundingClientRect().width)")
        assert len(boxes) > 10 and all(60 < wide <= width for wide in boxes)
        closed = tab.eval_on_selector_all("details", "all => all.every(one => !one.open)")
        assert closed
    tab.locator("summary", has_text="How this is measured").first.click()
    assert tab.locator("details[open]").count() == 1


def test_it_prints_without_cutting_a_figure(opened):
    tab = opened(PAPER["width"], PAPER["height"])
    tab.emulate_media(media="print")
    high = tab.eval_on_selector_all("figure, .verdicts tbody, .net", "all => all.map(one => one.getBoundingClientRect().height)")
    assert max(high) < PAPER["height"], "what must not be cut fits on a page"
    whole = tab.eval_on_selector_all("figure, .verdicts tbody", "all => all.every(one => getComputedStyle(one).breakInside == 'avoid')")
    assert whole and tab.evaluate("document.documentElement.scrollWidth") == PAPER["width"]
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", tab.pdf(prefer_css_page_size=True)))
    assert 6 <= pages <= 30
