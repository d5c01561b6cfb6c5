"""Statistics of the judge: intervals that hold what they should, and the rules that turn them into verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from core.claims.judge import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Effect,
    Rule,
    decide,
    linear,
    of_mean,
    over_seeds,
    slope,
    spearman,
    together,
)
from core.claims.loss import curvature
from core.errors import MeasureError
from tests.claims import made

RULE = Rule(sign=1, least=1.0, n=10, seeds=3)


@pytest.mark.parametrize(
    ("effect", "seeds", "wanted", "said"),
    [
        (Effect(value=2.0, low=1.5, high=2.5, n=10), 3, SUPPORTED, "the way of the claim"),
        (Effect(value=-2.0, low=-2.5, high=-1.5, n=10), 3, CONTRADICTED, "the other way"),
        (Effect(value=2.0, low=-0.1, high=2.5, n=10), 3, UNDECIDED, "holds 0"),
        (Effect(value=0.5, low=0.1, high=0.9, n=10), 3, UNDECIDED, "threshold 1"),
        (Effect(value=2.0, low=1.5, high=2.5, n=9), 3, UNDECIDED, "9 of 10 images"),
        (Effect(value=2.0, low=1.5, high=2.5, n=9), 2, UNDECIDED, "9 of 10 images and 2 of 3 seeds"),
        (Effect(value=2.0, n=10), 3, UNDECIDED, "no interval"),
        (Effect(value=float("nan"), n=10), 3, UNDECIDED, "no number"),
    ],
)
def test_rules(effect: Effect, seeds: int, wanted: str, said: str) -> None:
    verdict, why = decide(effect, RULE, seeds)
    assert verdict == wanted and said in why


def test_a_ratio_is_judged_against_one_and_a_share_of_units_can_be_asked_for() -> None:
    below = Rule(sign=-1, least=0.9, zero=1.0, share=0.7)
    assert decide(Effect(value=0.8, low=0.7, high=0.95, agree=0.75), below, 1)[0] == SUPPORTED
    assert decide(Effect(value=0.8, low=0.7, high=0.95, agree=0.5), below, 1)[0] == UNDECIDED
    assert decide(Effect(value=0.95, low=0.92, high=0.98, agree=1.0), below, 1)[0] == UNDECIDED
    assert decide(Effect(value=1.2, low=1.1, high=1.3, agree=0.0), below, 1)[0] == CONTRADICTED


def test_units_or_seeds() -> None:
    either = Rule(sign=1, least=0.0, n=6, either=True)
    few = Effect(value=1.0, low=0.5, high=1.5, n=4, of="units")
    assert decide(few, either, 2)[0] == UNDECIDED and decide(few, either, 3)[0] == SUPPORTED
    assert decide(Effect(value=1.0, low=0.5, high=1.5, n=6, of="units"), either, 1)[0] == SUPPORTED


def test_together() -> None:
    assert together([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert together([SUPPORTED, UNDECIDED]) == together([SUPPORTED, CONTRADICTED]) == together([]) == UNDECIDED
    assert together([CONTRADICTED, UNDECIDED]) == CONTRADICTED


def test_linear_and_slope() -> None:
    one, other = Effect(value=3.0, low=2.0, high=5.0, n=7), Effect(value=1.0, low=0.0, high=3.0, n=5)
    found = linear((1, -1), (one, other))
    assert (found.value, found.low, found.high, found.n) == (2.0, pytest.approx(2 - 5**0.5), pytest.approx(2 + 5**0.5), 5)
    line = slope((0.0, 1.0, 2.0), [Effect(value=v, low=v - 1, high=v + 1, n=9) for v in (1.0, 3.0, 5.0)])
    assert line.value == pytest.approx(2.0) and line.high - line.value == pytest.approx(0.5**0.5)
    with pytest.raises(MeasureError, match="two different places"):
        slope((1.0, 1.0), [one, other])


def test_spearman() -> None:
    assert spearman((1, 2, 3), (1, 2, 3)).low != spearman((1, 2, 3), (1, 2, 3)).low  # three points: no interval
    assert spearman((1, 2, 3, 4), (2, 4, 6, 8)).low < 0 < spearman((1, 2, 3, 4, 5, 6), (2, 4, 6, 8, 9, 10)).low
    assert spearman((1, 2, 3, 4, 5), (5, 4, 3, 2, 1)).value == pytest.approx(-1)
    assert np.isnan(spearman((1, 1, 1, 1), (1, 2, 3, 4)).value)


def test_seeds() -> None:
    one = Effect(value=2.0, low=1.0, high=3.0, n=10)
    assert over_seeds([one]) == one
    two = over_seeds([one, Effect(value=4.0, low=3.5, high=4.5, n=8)])
    assert (two.value, two.low, two.high, two.n) == (3.0, 1.0, 4.5, 8)
    same = over_seeds([one, one, one])
    assert (same.value, same.low, same.high) == (2.0, 1.0, 3.0)  # all saw the same images: seeds take nothing off that
    units = over_seeds([Effect(value=v, low=v - 9, high=v + 9, n=4, of="units") for v in (1.0, 2.0, 3.0)])
    assert units.high - units.value == pytest.approx(4.303 / 3**0.5)
    ratio = over_seeds([Effect(value=v, low=v / 2, high=2 * v, n=4) for v in (0.25, 1.0, 4.0)], log=True)
    assert ratio.value == pytest.approx(1.0) and ratio.low == pytest.approx(1 / ratio.high)
    with pytest.raises(MeasureError):
        over_seeds([])


# ---- coverage by simulation: how often 95 % intervals hold the truth


def covered(draw, truth: float, times: int) -> float:
    found = [draw(np.random.default_rng([5, i])) for i in range(times)]
    return float(np.mean([effect.low <= truth <= effect.high for effect in found]))


def test_coverage_over_units_and_seeds() -> None:
    def units(rng):
        return of_mean(rng.normal(0.3, 1.0, 7), "units")

    def nets(rng):
        shift, truth = rng.normal(0, 0.5), 1.0 + rng.normal(0, 1.0, 3)  # what all seeds share of the images, and the seeds
        return over_seeds([Effect(value=v + shift, low=v + shift - 0.98, high=v + shift + 0.98) for v in truth])

    assert 0.93 <= covered(units, 0.3, 2000) <= 0.97
    assert 0.94 <= covered(nets, 1.0, 2000) <= 0.995


def test_coverage_of_spearman() -> None:
    """Six nets whose two numbers have the rank correlation of a normal pair with r = 0.6."""
    rank = 6 / np.pi * np.arcsin(0.3)

    def nets(rng):
        x = rng.normal(size=6)
        return spearman(x, 0.6 * x + 0.8 * rng.normal(size=6))

    assert covered(nets, rank, 2000) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("batches", "least"), [(24, 0.91), (40, 0.92)])
def test_coverage_of_the_bootstrap_over_mini_batches(batches: int, least: float) -> None:
    """Values of a batch belong together: each batch has its own level and its own share of negatives."""

    def table(rng: np.random.Generator, level: float, share: float):
        own = rng.gamma(8.0, 1 / 8, (batches, 1))
        negative = rng.random((batches, 5)) < np.clip(share * 2 * rng.random((batches, 1)), 0, 1)
        rows = made.hessian(1.0, 0.0, batches=batches)
        return rows, np.where(negative, -1.0, level * own * rng.gamma(20.0, 1 / 20, (batches, 5))).ravel()

    held = {"ratio": 0, "points": 0}
    times = 200
    for i in range(times):
        rng, nets = np.random.default_rng([7, i]), []
        for arch, level, share in ((made.VIT, 50.0, 0.2), (made.RESNET, 100.0, 0.05)):
            rows, values = table(rng, level, share)
            rows.table["eigenvalue"] = values
            nets.append((made.net(arch, 0, [rows]), "warmup"))
        found = curvature(*nets)
        assert found is not None
        ratio, points = found.effects
        held["ratio"] += ratio.low <= 0.5 <= ratio.high
        held["points"] += points.low <= 15.0 <= points.high
    assert min(held.values()) >= least * times, held
