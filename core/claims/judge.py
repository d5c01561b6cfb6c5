"""Statistics and rules of the judge: effects with 95 % intervals, how seeds are put together, and when an effect decides.

Numbers in, numbers out; it knows no claim and no net.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core import words
from core.errors import MeasureError
from core.metrics.interval import mean_interval, t_quantile

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_MEASURED, WITHDRAWN = "not measured", "withdrawn"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURED, WITHDRAWN)
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A number with its 95 % interval: over `n` of what `of` names (images, mini-batches, units, nets, …), in one net or pair.

    `agree` is the share of the units that go the way of the claim, where units are counted.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int = 0
    of: str = "images"
    agree: float = NAN


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When an effect decides; fixed before any result was looked at.

    `sign` is the way that the claim says, away from `zero` (0 of a difference, 1 of a ratio); `least` the effect that supports needs,
    `share` the share of units that has to agree.  `n` is how many images, mini-batches or units a net takes, `seeds` how many nets of a
    kind; with `either`, three seeds make up for few units.
    """

    sign: int
    least: float
    zero: float = 0.0
    share: float = 0.0
    n: int = 0
    seeds: int = 1
    either: bool = False


#: Seeds that stand for a kind of net.  Origin: three nets a kind for every verdict about a pair, planned before the nets were trained.
SEEDS = 3
#: What is counted in a net and is no sample of anything where seeds are counted.
COUNTED = ("units", "stages")


# ---- effects


def of_mean(values: Sequence[float] | np.ndarray, of: str = "images", sign: int = 0) -> Effect:
    """The mean and its Student-t interval; with a `sign`, also the share of values that have it.  MeasureError for none."""
    array = np.asarray(values, dtype=np.float64)
    mean, low, high = map(float, mean_interval(array))
    return Effect(value=mean, low=low, high=high, n=len(array), of=of, agree=float((sign * array > 0).mean()) if sign else NAN)


def linear(weights: Sequence[float], effects: Sequence[Effect]) -> Effect:
    """A sum of weighted, independent effects, its interval from theirs by squaring and adding.

    Source: Zou and Donner, Statistics in Medicine 27, 2008.
    """
    value = sum(w * e.value for w, e in zip(weights, effects, strict=True))
    below = above = 0.0
    for w, e in zip(weights, effects, strict=True):
        down, up = w * (e.value - e.low), w * (e.high - e.value)
        below, above = below + (down if w > 0 else up) ** 2, above + (up if w > 0 else down) ** 2
    n = min(e.n for e in effects)
    return replace(effects[0], value=value, low=value - below**0.5, high=value + above**0.5, n=n, agree=NAN)


def slope(x: Sequence[float], effects: Sequence[Effect]) -> Effect:
    """The least-squares slope of effects over x, with `linear`'s interval.  MeasureError for fewer than two different x."""
    centred = np.asarray(x, dtype=np.float64) - np.mean(x)
    if len(effects) < 2 or not (square := float(centred @ centred)):
        raise MeasureError("A slope takes effects at two different places or more.")
    return linear((centred / square).tolist(), effects)


def spearman(x: Sequence[float], y: Sequence[float], of: str = "nets") -> Effect:
    """Spearman's rank correlation with Bonett and Wright's interval on Fisher's scale.

    Few points can agree by chance, so the correlation is first drawn in by half of the smallest step that it can make; without that
    a perfect order would have an interval of no width.  Fewer than four points, or no spread, have no interval.
    Source: Bonett and Wright, Psychometrika 65, 2000.
    """
    ranks = [pd.Series(np.asarray(v, dtype=np.float64)).rank().to_numpy() for v in (x, y)]
    n = len(ranks[0])
    if n != len(ranks[1]) or n < 2:
        raise MeasureError(f"A rank correlation takes two numbers or more on each side, as many on both; there are {n}.")
    if min(np.ptp(r) for r in ranks) == 0:
        return Effect(value=NAN, n=n, of=of)
    rho = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    if n < 4:
        return Effect(value=rho, n=n, of=of)
    half = 6 / (n * (n**2 - 1))
    z = np.arctanh(np.sign(rho) * max(0.0, abs(rho) - half))
    wide = 1.959964 * ((1 + rho**2 / 2) / (n - 3)) ** 0.5
    return Effect(value=rho, low=min(rho, float(np.tanh(z - wide))), high=max(rho, float(np.tanh(z + wide))), n=n, of=of)


def over_seeds(effects: Sequence[Effect], log: bool = False) -> Effect:
    """One effect from the nets of several seeds; a ratio (`log`) on its logarithm.

    One seed: as it is.  Two: the mean and both intervals together, as two nets say nothing on their spread.  Three or more: Student's t
    over seeds; what images or mini-batches leave open is squared and added, since all seeds saw the same.  Units are no sample of
    units where seeds are counted, so theirs is left out.
    """
    if not effects:
        raise MeasureError("There is no net to take an effect from.")
    if len(effects) == 1:
        return effects[0]
    n, agree = min(e.n for e in effects), float(np.mean([e.agree for e in effects]))
    there, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    with np.errstate(invalid="ignore", divide="ignore"):
        values, lows, highs = (np.array(there([getattr(e, name) for e in effects]), dtype=float) for name in ("value", "low", "high"))
    middle = float(values.mean())
    if len(effects) == 2:
        low, high = float(lows.min()), float(highs.max())
    else:
        seeds = t_quantile(len(effects) - 1) * float(values.std(ddof=1)) / len(effects) ** 0.5
        inside = effects[0].of not in COUNTED
        below, above = ((values - lows).mean(), (highs - values).mean()) if inside else (0.0, 0.0)
        low, high = middle - float(np.hypot(seeds, below)), middle + float(np.hypot(seeds, above))
    return replace(effects[0], value=float(back(middle)), low=float(back(low)), high=float(back(high)), n=n, agree=agree)


# ---- verdicts


def decide(effect: Effect, rule: Rule, seeds: int) -> tuple[str, str]:
    """(verdict, why in words).  An interval that holds no effect, too few of what is counted, or too small an effect: undecided."""
    if not np.isfinite(effect.value):
        return UNDECIDED, "there is no number"
    if short := _short(effect, rule, seeds):
        return UNDECIDED, f"{_leaning(effect, rule)}, with {short}"
    if np.isnan(effect.low) or np.isnan(effect.high):
        return UNDECIDED, "there is no interval"
    if effect.low <= rule.zero <= effect.high:
        return UNDECIDED, f"the interval holds {rule.zero:g}"
    if (effect.low > rule.zero) != (rule.sign > 0):
        return CONTRADICTED, "clearly the other way"
    if rule.sign * (effect.value - rule.least) <= 0:
        return UNDECIDED, f"the way of the claim, but short of the threshold {words.plain(rule.least, 3).rstrip('0').rstrip('.')}"
    if rule.share and not effect.agree >= rule.share:
        return UNDECIDED, f"only {words.percent(effect.agree, 0)} of the units go this way, {words.percent(rule.share, 0)} are needed"
    return SUPPORTED, "clearly the way of the claim"


def _short(effect: Effect, rule: Rule, seeds: int) -> str:
    """What there is too little of; "" if there is enough.  With `either`, enough of one is enough."""
    few = effect.n < rule.n
    wanted = SEEDS if rule.either and few else rule.seeds
    if rule.either and seeds >= SEEDS:
        return ""
    said = [f"{words.count(effect.n)} of {words.count(rule.n)} {effect.of}"] if few else []
    said += [f"{seeds} of {wanted} seeds"] if seeds < wanted else []
    return words.seq(said, "or" if rule.either else "and")


def _leaning(effect: Effect, rule: Rule) -> str:
    if np.isfinite([effect.low, effect.high]).all() and not effect.low <= rule.zero <= effect.high:
        return "clear here, the way of the claim" if (effect.low > rule.zero) == (rule.sign > 0) else "clear here, the other way"
    return "not clear"


def together(verdicts: Sequence[str]) -> str:
    """The verdict of a claim from those of its statements.

    Supported if all are; contradicted if one is and none is supported; else undecided: what holds here and fails there, or is open.
    """
    if verdicts and set(verdicts) == {SUPPORTED}:
        return SUPPORTED
    return CONTRADICTED if CONTRADICTED in verdicts and SUPPORTED not in verdicts else UNDECIDED
