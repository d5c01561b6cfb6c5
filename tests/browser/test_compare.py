"""Compare in a real browser: a link is the first request of a server, nets change places, numbers leave as a file, a phone shows all."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from core import store
from core.claims import gains
from core.run import Run
from tests.browser.lab import PATIENCE_MS, Server, clean, fits, saved, serve, settle, visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab of its own that nobody has visited."""
    with serve(tmp_path_factory.mktemp("compare")) as server:
        yield server


def two() -> list[Run]:
    """AlterNet-mini as A and ResNet-mini as B, as they come with the lab."""
    found = {run.name: run for run in store.list_runs() if store.is_shipped(run.id) and run.data == "fashion-full" and run.seed == 0
             and run.fraction == 1}  # fmt: skip
    return [found["AlterNet-mini"], found["ResNet-mini"]]


def test_a_link_a_swap_a_file_and_a_phone(browser: Browser, fresh: Server) -> None:
    a, b = two()
    with visit(browser, fresh) as tab:
        page = settle(tab.open(f"compare?m={a.id}&m={b.id}&of=variance"))
        for letter, run in (("A", a), ("B", b)):
            expect(page.get_by_role("combobox", name=re.compile(f"Net {letter}"))).to_have_value(run.name, timeout=PATIENCE_MS)
        expect(page.get_by_role("radio", name="Variance")).to_be_checked()
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(3)
        expect(page.locator(".lab-take")).to_contain_text("ResNet-mini’s mean change of variance by a unit is ×")

        page.get_by_role("button", name="Swap").click()
        expect(page.locator(".lab-take")).to_contain_text("AlterNet-mini’s mean change", timeout=PATIENCE_MS)
        settle(page)
        query = parse_qs(urlsplit(page.url).query)
        assert query.get("of") == ["variance"] and query.get("m") == [b.id, a.id]

        page.get_by_role("radio", name="All at once").click()
        expect(page.get_by_role("table", name="All measures of both nets")).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        table = pd.read_csv(saved(page, "CSV")).set_index("measure")
        sides = [gains.side(run) for run in (b, a)]
        assert sides[0] and sides[1]
        for gain in gains.gains(sides[0], sides[1]):
            if gain.effect is not None:
                assert table.loc[gain.title, "difference"] == pytest.approx(float(gain.effect.value)), gain.title
        clean(tab)

    with visit(browser, fresh, viewport={"width": 390, "height": 844}) as tab:
        for of in ("all", "corruption", "lesion"):
            page = settle(tab.open(f"compare?m={b.id}&m={a.id}&of={of}"))
            expect(page.locator(".lab-take")).to_be_visible(timeout=PATIENCE_MS)
            assert fits(page)
        clean(tab)
