"""Landscape in a real browser: surfaces that turn together, by mouse, keys and touch, and stay where the reader left them."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.analyses import landscape
from tests.browser.lab import PATIENCE_MS, Server, Visit, clean, fits, prepared, settle, shipped, visit
from tests.pages.test_landscape import STEEP, keep

pytestmark = pytest.mark.browser
NETS = ("ResNet-mini", "ViT-mini", "AlterNet-mini")
#: the seed of directions that the fixture's bowls are stored under
DIRECTION = 7
#: the component's own element, found through its shadow root
BOX = "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.box')).find(b => b?._redraw)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab in which the three shipped nets have a bowl each, the first a net that diverges at three points."""

    def bowls() -> None:
        for name, steep in zip(NETS, STEEP, strict=True):
            params = landscape.Params(planes=1, direction=DIRECTION)
            keep(shipped(name), steep, params, gone=3 * (name == NETS[0]), shipped=False)

    with prepared(tmp_path_factory.mktemp("landscape"), bowls) as running:
        yield running


def surfaces(tab: Visit) -> Page:
    """The page once its surfaces are drawn: those of the fixture's own directions, not the measured ones that are shipped."""
    page = tab.open(f"landscape?ls_direction={DIRECTION}")
    expect(page.locator(".panels canvas").first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(f"() => {BOX}?._took !== undefined", timeout=PATIENCE_MS)
    return page


def camera(page: Page) -> dict[str, Any]:
    return page.evaluate(f"() => ({{...{BOX}._camera}})")


def at_rest(page: Page) -> dict[str, Any]:
    """The camera when it moves no more."""
    page.wait_for_function(f"() => {{ const b = {BOX}; return !b._frame && b._camera.turn === b._aim.turn }}", timeout=PATIENCE_MS)
    return camera(page)


def middle(canvas: Locator) -> tuple[float, float]:
    box = canvas.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def colours(canvas: Locator) -> dict[str, int]:
    """How many pixels of a canvas are drawn, are of each primary hue, and are dark."""
    return canvas.evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, n = {drawn: 0, blue: 0, warm: 0, dark: 0}
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) { const [r, g, b] = d.subarray(i, i + 3)
        n.drawn++; n.blue += b > r + 60; n.warm += r > b + 40; n.dark += r + g + b < 200 } return n }"""
    )


def test_dragging_turns_all_nets_and_asks_the_server_nothing(tab: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[int] = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    page = surfaces(tab)
    assert page.locator(".panels canvas").count() == 3
    assert camera(page) == {"turn": 38, "tilt": 35, "zoom": 1}
    seen = [colours(page.locator(".panels canvas").nth(i)) for i in range(3)]
    assert seen[0]["blue"] > 5000 and seen[1]["warm"] > 5000 and seen[0]["warm"] < 500
    x, y = middle(page.locator(".panels canvas").nth(1))
    page.mouse.move(x, y)
    page.mouse.down()
    quiet = len(sent)
    page.mouse.move(x + 100, y + 20, steps=10)
    page.mouse.up()
    turned = at_rest(page)
    assert turned["turn"] == pytest.approx(38 + 45) and turned["tilt"] == pytest.approx(35 + 7)
    assert len(sent) == quiet, "turning is no business of the server"
    times = page.evaluate(f"() => {{ const b = {BOX}; return Array.from({{length: 41}}, () => (b._redraw(), b._took)) }}")
    with capsys.disabled():
        print(f"\nredraw of three 21x21 surfaces [ms]: median {sorted(times)[20]:.1f}, longest {max(times):.1f}")


def test_the_camera_stays_when_the_heights_change(tab: Visit) -> None:
    page = surfaces(tab)
    page.locator(".panels").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "+"):
        page.keyboard.press(key)
    turned = at_rest(page)
    assert turned == {"turn": 50, "tilt": 41, "zoom": pytest.approx(1.15)}
    page.get_by_text("Log", exact=True).click()
    settle(page)
    page.wait_for_function("() => location.search.includes('ls_scale=Log')", timeout=PATIENCE_MS)
    page.get_by_text("L2 part", exact=True).click()
    settle(page)
    assert camera(page) == turned
    page.locator(".panels").focus()
    page.keyboard.press("Home")
    assert at_rest(page) == {"turn": 38, "tilt": 35, "zoom": 1}


def test_a_point_is_told_for_all_nets(tab: Visit) -> None:
    page = surfaces(tab)
    say = page.locator(".say")
    expect(say).to_contain_text("One camera, one height scale")
    expect(say).to_contain_text("× diverged")
    x, y = middle(page.locator(".panels canvas").nth(1))
    page.mouse.move(x, y)
    expect(say).to_contain_text("ViT-mini")
    told = say.inner_text()
    place, _, rest = told.partition(": ")
    step = [float(part.split(" ")[1].replace("−", "-")) for part in place.split(", ")]
    heights = [float(part.rsplit(" ", 1)[1]) for part in rest.split(" · ")]
    size = step[0] ** 2 + step[1] ** 2
    assert heights == pytest.approx([0.5 + steep * size for steep in STEEP], abs=0.0051)
    page.mouse.move(5, 5)
    expect(say).to_contain_text("One camera")


def test_the_wheel_is_left_to_the_page(tab: Visit) -> None:
    page = surfaces(tab)
    page.locator(".panels").focus()
    page.mouse.move(*middle(page.locator(".panels canvas").nth(1)))
    page.mouse.wheel(0, 300)
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollTop > 100", timeout=PATIENCE_MS)
    assert camera(page)["zoom"] == 1


def test_without_motion_a_key_turns_at_once(browser: Browser, server: Server) -> None:
    with visit(browser, server, reduced_motion="reduce") as tab:
        page = surfaces(tab)
        page.locator(".panels").focus()
        steps = page.evaluate(
            f"""async () => {{ const b = {BOX}, seen = []
            b.querySelector('.panels').dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowLeft', bubbles: true}}))
            for (let i = 0; i < 3; i++) await new Promise(r => requestAnimationFrame(() => (seen.push(b._camera.turn), r())))
            return seen }}"""
        )
        assert steps[-1] == 32 and set(steps) <= {38, 32}
        clean(tab)


def test_it_follows_the_theme(browser: Browser, server: Server) -> None:
    with visit(browser, server, color_scheme="light") as tab:
        page = surfaces(tab)
        light = colours(page.locator(".panels canvas").first)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(1000)
        dark = colours(page.locator(".panels canvas").first)
        assert dark["dark"] > 5 * light["dark"] and dark["drawn"] > 0.8 * light["drawn"]
        clean(tab)


def test_it_takes_its_colours_when_the_pages_style_comes_late(tab: Visit) -> None:
    page = surfaces(tab)
    first = page.locator(".panels canvas").first
    style = "[...document.querySelectorAll('style')].find(s => s.textContent.includes('--lab-conv:'))"
    page.evaluate(f"() => {{ window.late = {style}; window.home = late.parentElement; late.remove() }}")
    page.wait_for_timeout(400)
    assert colours(first)["blue"] < 500
    page.evaluate("() => home.append(late)")
    page.wait_for_timeout(400)
    assert colours(first)["blue"] > 5000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_there_is_one_net_with_a_switch(browser: Browser, server: Server, scheme: str) -> None:
    with visit(browser, server, viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True) as tab:
        page = surfaces(tab)
        assert [canvas.is_visible() for canvas in page.locator(".panels canvas").all()] == [True, False, False]
        choice = page.get_by_role("radio", name="ViT-mini")
        box = choice.bounding_box()
        assert box and box["height"] >= 44
        choice.tap()
        expect(choice).to_be_checked()
        assert [canvas.is_visible() for canvas in page.locator(".panels canvas").all()] == [False, True, False]
        assert colours(page.locator(".panels canvas").nth(1))["warm"] > 5000
        assert fits(page)
        clean(tab)
