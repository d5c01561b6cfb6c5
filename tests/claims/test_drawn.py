"""Drawings of verdicts: where effect, threshold and paper stand, what each verdict looks like, what is drawn of nothing."""

import re

import numpy as np
import pytest

from core.claims import CLAIMS, VERDICTS, _drawn
from core.claims.judge import CONTRADICTED, SUPPORTED, UNDECIDED, WITHDRAWN, Effect, Rule
from core.claims.paper import HEADLINES, SIZES, size
from core.claims.pictures import PICTURES

RISES, FLATTER = Rule(sign=1, least=1.0), Rule(sign=-1, least=0.9, zero=1.0)


def dot(markup: str) -> float:
    return float(re.search(r'<circle cx="([\d.]+)"', markup)[1])


def uprights(markup: str) -> list[tuple[float, bool]]:
    """(x, dashed) of the lines that stand."""
    return [(float(x), "dasharray" in rest) for x, rest in re.findall(r'<path d="M([\d.]+) 0V[\d.]+"([^>]*)>', markup)]


def bar(markup: str) -> tuple[float, float]:
    found = re.search(r'<path d="M([\d.]+) [\d.]+H([\d.]+)"', markup)
    return float(found[1]), float(found[2])


def test_the_way_of_the_claim_is_to_the_right_for_differences_and_ratios_alike() -> None:
    up = _drawn.interval(Effect(value=3.0, low=2.0, high=4.0), RISES, SUPPORTED)
    flat = _drawn.interval(Effect(value=0.5, low=0.4, high=0.6), FLATTER, SUPPORTED)
    for markup in (up, flat):
        (zero, solid), (threshold, dashed) = uprights(markup)
        left, right = bar(markup)
        assert not solid and dashed and zero < threshold < left < dot(markup) < right
    other = _drawn.interval(Effect(value=2.0, low=1.6, high=2.5), FLATTER, CONTRADICTED)
    assert bar(other)[1] < uprights(other)[0][0]


def test_ratios_are_drawn_by_their_logarithm_half_as_far_as_double() -> None:
    half, double = (_drawn.along(v, FLATTER) for v in (0.5, 2.0))
    assert half == pytest.approx(-double) and half > 0
    assert _drawn.along(0.0, FLATTER) == float("inf") and np.isnan(_drawn.along(float("nan"), FLATTER))


def test_everything_stays_inside_and_a_whisker_that_is_too_long_gets_an_arrow() -> None:
    for value, low, high in ((3.0, -400.0, 5.0), (-13.0, -14.0, -12.0), (0.01, 0.0, 0.02), (74.0, 73.0, 75.0)):
        markup = _drawn.interval(Effect(value=value, low=low, high=high), RISES, UNDECIDED, paper=9.7)
        assert all(0 <= x <= _drawn.WIDE for x in (dot(markup), *bar(markup), *(x for x, _ in uprights(markup))))
        assert ('fill="none" stroke="' in markup) == (low == -400.0)


def test_a_sign_that_decides_has_no_threshold_of_its_own_and_a_band_has_two() -> None:
    alone = _drawn.interval(Effect(value=0.2, low=0.1, high=0.3), Rule(sign=1, least=0.0), SUPPORTED)
    assert [dashed for _, dashed in uprights(alone)] == [False]
    within = _drawn.interval(Effect(value=0.58, low=0.5, high=0.7), Rule(sign=1, least=0.0), SUPPORTED, band=(0.4, 0.8))
    assert [dashed for _, dashed in uprights(within)] == [True, True]


def test_verdicts_differ_without_colour_and_a_withdrawn_claim_is_a_word_only() -> None:
    signs = {verdict: _drawn.sign(verdict) for verdict in VERDICTS}
    assert signs.pop(WITHDRAWN) == "" and len(set(signs.values())) == 4
    filled, hollow = (_drawn.interval(Effect(value=1.0, low=0.5, high=2.0), RISES, v) for v in (SUPPORTED, UNDECIDED))
    assert filled != hollow


@pytest.mark.parametrize("effect", [None, Effect(value=float("nan"))])
def test_without_a_number_only_no_effect_stands(effect: Effect | None) -> None:
    markup = _drawn.interval(effect, RISES, UNDECIDED, paper=2.0)
    assert len(uprights(markup)) == 1 and "circle" not in markup


def test_an_effect_without_an_interval_is_a_dot_without_a_bar() -> None:
    markup = _drawn.interval(Effect(value=1.0), RISES, UNDECIDED)
    assert "circle" in markup and not re.search(r"M[\d.]+ [\d.]+H", markup)


def test_mini_pictures_stay_in_their_box_and_say_so_where_nothing_is_known() -> None:
    curves = _drawn.lines([([0, 1, 2], [5.0, np.nan, -1.0], "conv"), ([0, 1, 2], [1.0, 2.0, 3.0], "msa")])
    assert curves.count("<path") == 2 and "nan" not in curves
    places = [tuple(map(float, pair.split(" "))) for path in re.findall(r'd="M([^"]+)"', curves) for pair in path.split("L")]
    assert all(0 <= x <= _drawn.MINI[0] and 0 <= y <= _drawn.MINI[1] for x, y in places)
    steps = _drawn.steps([0.0, 1.0, 0.5, 2.0], [None, "conv", "msa", None])
    assert [found in steps for found in ("#2360ED", "#BC6E08")] == [True, True] and steps.count("<path") == 3
    assert "dasharray" in _drawn.lines([]) and "dasharray" in _drawn.steps([1.0], [None]) and "dasharray" in _drawn.humps({})
    assert _drawn.humps({"conv": [1.0, 2.0, 3.0], "msa": [-1.0, 0.5, np.nan]}).count("<path") == 3, "two curves and the line at zero"
    assert _drawn.rows([[("conv", "", True), ("msa", "", False)], [("msa", "", False)]]).count("<circle") == 4


# ---- what the paper reports


def test_each_size_of_the_paper_stands_in_the_text_of_its_claim() -> None:
    for claim_id, held in SIZES.items():
        numbers = [float(n.replace("−", "-")) for n in re.findall(r"[+−]?\d+(?:\.\d+)?", CLAIMS[claim_id].paper)]
        every = {*numbers, *(round(a - b, 6) for a in numbers for b in numbers)}
        assert all(round(value, 6) in every for value in held.values()), (claim_id, held, numbers)


def test_a_statement_gets_the_size_that_is_about_it() -> None:
    assert size("L1", "end of warm-up") == 0.08 and size("L1", "end of training") == 0.57
    assert size("L1", "equal accuracy (ViT end, ResNet end)") is None and size("S1", "ResNet-mini") is None
    assert size("F2", "MLP") == 0.112 and size("F2", "Conv") == 0.024


def test_headlines_and_pictures_are_of_claims() -> None:
    assert len(HEADLINES) == 8 and set(HEADLINES) <= set(CLAIMS) and set(PICTURES) == set(HEADLINES)
