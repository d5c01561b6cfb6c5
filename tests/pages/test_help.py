"""The help drawer: what it lists first, what it finds, and the keys."""

import re

import pytest

from pages.ui import frame, help_drawer, help_entries, help_keys
from tests.pages.conftest import ROOT


def texts(app) -> str:
    return " ".join(str(one.proto.body) for one in app.get("html"))


def opened_help(opened, page: str = "start"):
    app = opened(page)
    app.button(key="open_help").click().run()
    assert not app.exception
    return app


def test_every_page_has_its_words_and_they_come_first() -> None:
    pages = {path.stem for path in (ROOT / "pages").glob("[a-z]*.py")}
    assert set(help_entries.PAGES) == pages == set(frame.titles())
    for page in pages:
        (title, here), *rest = help_entries.sections(page)
        assert title == "On this page" and len(here) >= 4
        listed = [one.id for one in here] + [one.id for _, group in rest for one in group]
        assert sorted(listed) == sorted(help_entries.entries()), "every entry once"


def test_names_to_choose_from_are_told_apart() -> None:
    said = [help_drawer.said(one) for one in help_entries.entries().values()]
    assert not {one for one in said if said.count(one) > 1}


def test_the_drawer_shows_all_entries_and_the_keys(opened) -> None:
    app = opened_help(opened)
    shown = texts(app)
    assert shown.index("On this page") < shown.index("<h3>Methods") < shown.index("<h3>Words")
    assert shown.count("<details>") == len(help_entries.entries())
    for heading in help_entries.ANSWERS.values():
        assert heading in shown
    assert "In the paper: Fig. 2a, Fig. 8" in shown
    assert all(press.does in shown for press in help_keys.KEYS)


def test_what_is_chosen_stands_open_with_its_four_answers() -> None:
    article = help_drawer.card(help_entries.entries()["term:nep"])
    assert "Share negative" in article and all(f"<dt>{heading}</dt>" in article for heading in help_entries.ANSWERS.values())


def test_the_keys_of_the_page_in_view_come_after_those_of_everywhere() -> None:
    html = help_drawer.keyboard("lens", frame.titles())
    places = [html.index(f"<h3>{name}") for name in ("Everywhere", "Lens", "Build", "While presenting")]
    assert places == sorted(places)


@pytest.mark.parametrize("script", ["ribbon", "bars", "surface", "lens"])
def test_every_key_that_a_component_listens_to_is_listed(script: str) -> None:
    """The other way round, that a listed key works, is asked in the browser."""
    page = {"ribbon": "build", "bars": "lesion", "surface": "landscape", "lens": "lens"}[script]
    code = (ROOT / "pages" / "ui" / "js" / f"{script}.js").read_text(encoding="utf-8")
    heard = set(re.findall(r"\b(Arrow\w+|Home|End|Page\w+)(?=:)", code)) | {
        key.upper() for key in re.findall(r'event\.key(?:\.toLowerCase\(\))? === "(\w)"|\["L"', code) if key
    }
    listed = {part for press in help_keys.KEYS if press.page == page for key in press.keys for part in [key.split("+")[-1]]}
    names = {"ArrowRight": "Right", "ArrowLeft": "Left", "ArrowUp": "Up", "ArrowDown": "Down"}
    assert heard and {names.get(key, key) for key in heard} <= listed
