"""The deck of a presentation: what is kept, and what a hostile file or link cannot bring in."""

import json

import pytest

from core import deck, io
from core.errors import StoreError

PAGES = ("start", "frequency", "lens", "scorecard")


def test_a_deck_comes_back_as_it_was_kept(home) -> None:
    views = ["lens?m=a-s0&m=b-s0&lens=low&step=38", "start", "frequency?unit=a~s1u2"]
    deck.keep(views, PAGES)
    assert [deck.parted(one) for one in deck.own(PAGES)] == [deck.parted(one) for one in views]
    deck.keep([], PAGES)
    assert deck.own(PAGES) == []


def test_the_labs_own_deck_has_only_pages_that_exist() -> None:
    found = deck.default(PAGES, ["a", "b"], "fashion-full")
    assert [deck.parted(one)[0] for one in found] == ["start", "frequency", "lens", "scorecard"]
    assert deck.parted(found[1])[1] == {"m": ["a", "b"], "d": ["fashion-full"]}
    assert [deck.checked(one, PAGES) for one in found] == found


@pytest.mark.parametrize(
    "text",
    [
        "https://outside.invalid/lens", "//outside.invalid/lens", "javascript:alert(1)", "../lens", "lens/../../etc", "passwd",
        "nowhere?m=a", "lens?<script>=1", "lens?m=a%00b", "lens?m=a%0Ab", "lens\nfrequency", f"lens?m={'x' * 601}",
        "lens?" + "&".join("m=a" for _ in range(41)),
        "x" * 5000, 3, None, {"page": "lens"}, "lens?m=%ff%fe",
    ],
)  # fmt: skip
def test_what_is_no_view_of_this_lab_is_refused(text: object) -> None:
    with pytest.raises(StoreError):
        deck.checked(text, PAGES)


def test_what_belongs_to_a_visit_is_left_out_of_a_view() -> None:
    assert deck.checked("/lens?present=3&tour=2&embed=true&step=5", PAGES) == "lens?step=5"
    assert deck.checked("?d=fashion", PAGES) == "start?d=fashion"


@pytest.mark.parametrize("content", ["{", "[]", "{}", "null", '["nowhere", 3, ["lens"]]', "\x00"])
def test_a_damaged_deck_counts_as_none(home, content: str) -> None:
    (home / "deck.json").parent.mkdir(parents=True, exist_ok=True)
    (home / "deck.json").write_text(content)
    assert deck.own(PAGES) == []


def test_a_deck_is_bounded(home) -> None:
    with pytest.raises(StoreError, match="at most 60"):
        deck.keep(["lens"] * 61, PAGES)
    (io.home()).mkdir(parents=True, exist_ok=True)
    (io.home() / "deck.json").write_text(json.dumps(["lens"] * 500))
    assert len(deck.own(PAGES)) == 60
