"""What answers under noise of one ring after the other say: contrast, crossing, floor, and the takeaway.  No torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from core import words
from core.errors import MeasureError
from core.metrics import bands
from core.metrics.interval import mean_interval

#: Where no more than this share of what a net knows above guessing is left, its curve has come near the floor.
FLOOR = 0.2
Interval = tuple[float, float, float]


def rings(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are about a ring, by rising frequency; without the one of images as they are."""
    return table[table["frequency"].notna()].sort_values("frequency", ignore_index=True)


def _centres(found: Any) -> list[int]:
    return [round(100 * f) for f in rings(found.table)["frequency"]]


def _right(found: Any) -> np.ndarray:
    """(1 + rings, images) float64: 1 where the answer is right; row 0 without noise."""
    return (found.arrays["predicted"] == found.arrays["label"]).astype(np.float64)


def contrasts(found: Any) -> np.ndarray:
    """Each image's own contrast, in points: their mean is K.  `found` has a `table` and `arrays`, as measured or as stored.

    Images as they are fall out of the difference.  MeasureError if low or high rings are missing.
    """
    return 100 * bands.contrast(_right(found)[1:].T, _centres(found))


def contrast(found: Any) -> Interval:
    """(K, low, high) in points, 95 % over images (Student t).  Positive: what is high in frequency hurts less than what is low."""
    k, low, high = mean_interval(contrasts(found))
    return float(k), float(low), float(high)


def pair(one: Any, other: Any) -> Interval:
    """(K of one minus K of the other, low, high) in points, image by image.  MeasureError unless images and noise are the same."""
    _check_same(one, other)
    k, low, high = mean_interval(contrasts(one) - contrasts(other))
    return float(k), float(low), float(high)


def crossing(one: Any, other: Any, seed: int = 0, resamples: int = 1000) -> Interval | None:
    """(frequency [π], low, high) from which on one net loses no more than the other; None if it loses more at the highest ring.

    95 % from resampled images.  `high` is inf if in 2.5 % of the samples or more they do not cross: then it is not clear that they do.
    MeasureError unless images and noise are the same.  Source: paper, Fig. 2b (0.58π for ViT and ResNet).
    """
    _check_same(one, other)
    centres = _centres(one)
    changes = [right[1:] - right[0] for right in (_right(one), _right(other))]
    place = bands.crossing(changes[0].mean(1), changes[1].mean(1), centres)
    if place is None:
        return None
    gap, n, rng, again = (changes[0] - changes[1]).T, changes[0].shape[1], np.random.default_rng(seed), []
    for _ in range(resamples):
        curve = np.bincount(rng.integers(0, n, n), minlength=n) @ gap / n
        found = bands.crossing(curve, np.zeros(len(centres)), centres)
        again.append(np.inf if found is None else found)
    low, high = np.quantile(again, [0.025, 0.975], method="nearest")
    return place, float(low), float(high)


def say_crossing(one: Any, other: Any, net: str, against: str) -> str:
    """From which frequency on a net loses no more than another, in a sentence.  MeasureError unless images and noise are the same."""
    place = crossing(one, other)
    if place is None:
        if (rings(one.table)["change"] < rings(other.table)["change"]).all():
            return f"{net} loses more than {against} in every ring, so their curves do not cross."
        return f"{net} loses more than {against} in the highest ring, but not in every one: their curves cross, and not for good."
    at, low, high = place
    if high == float("inf"):
        return f"Whether there is a frequency from which on {net} loses no more than {against} is not clear."
    return (
        f"From {words.plain(at)}π on {net} loses no more than {against} "
        f"(95 % {words.plain(low)}π to {words.plain(high)}π, over images). The paper’s ViT and ResNet cross at 0.58π."
    )


def _check_same(one: Any, other: Any) -> None:
    same = all(np.array_equal(one.arrays[name], other.arrays[name]) for name in ("index", "label"))
    if not (same and _noise(one.table) == _noise(other.table)):
        raise MeasureError("These nets were measured on different images or with different noise, so they do not compare; measure again.")


def _noise(table: pd.DataFrame) -> tuple[Any, ...]:
    """What tells one noise from another: its seed, and the strength in each ring."""
    rows = rings(table)
    return int(table["seed"].iloc[0]), *rows["frequency"].round(6), *(float(f"{rms:.4g}") for rms in rows["rms"])


def chance(label: np.ndarray) -> float:
    """What naming the most frequent class gets right."""
    return float(np.bincount(label).max() / len(label))


def floor(found: Any, net: str) -> str:
    """Where a curve ends because the net guesses, and not because the noise does no more harm; "" where it nowhere does."""
    guess, rows = chance(found.arrays["label"]), rings(found.table)
    clean = float(found.table["clean"].iloc[0])
    if clean - guess <= FLOOR * (1 - guess):
        return (
            f"{net} gets {words.percent(clean)} right without noise, where guessing gets {words.percent(guess)}: "
            "it has little to lose, so its curve says **little**."
        )
    down = rows.loc[rows["accuracy"] - guess <= FLOOR * (clean - guess), "frequency"]
    if down.empty:
        return ""
    return f"At {words.seq([pi(f) for f in down])} {net} is **hardly better than guessing**: it can lose little more there (floor)."


def takeaway(found: Mapping[str, Any]) -> str:
    """Which ring costs most, and whether broad or fine noise hurts more, in two sentences; what lies at the floor is added.

    For measurements with all their rings; of several nets those with the highest and the lowest contrast are named.
    """
    found = {net: one for net, one in found.items() if len(rings(one.table))}
    if not found:
        return "No net on stage has been measured yet."
    floors = [said for net, one in found.items() if (said := floor(one, net))]
    if len({_noise(one.table) for one in found.values()}) > 1:
        return " ".join(["These nets were measured with **different noise**, so they do not compare.", *floors])
    order = sorted(found, key=lambda net: -contrast(found[net])[0])
    said = _alone(order[0], found[order[0]]) if len(order) == 1 else _together(order, found)
    return " ".join([said, *floors])


def _alone(net: str, one: Any) -> str:
    k, low, high = contrast(one)
    rows = rings(one.table)
    row = rows.loc[rows["change"].idxmin()]
    if row["ci_high"] < 0:
        first = f"Noise at **{pi(row['frequency'])} costs {net} {words.plain(-row['change'], 1)} points**"
        first += f" (95 % {words.plain(-row['ci_high'], 1)} to {words.plain(-row['ci_low'], 1)})"
    else:
        first = f"**In no ring does noise cost {net} anything clearly**"
    between = f"({words.signed(low, 1)} to {words.signed(high, 1)})"
    if low <= 0 <= high:
        second = f"Whether broad or fine noise hurts more is not clear: K {words.signed(k, 1)} {between}"
    else:
        second = f"{'Broad' if k > 0 else 'Fine'} noise hurts more: K {words.signed(k, 1)} {between}"
    return f"{first}, RMS {_rms(one.table)}. {second}."


def _together(order: list[str], found: Mapping[str, Any]) -> str:
    most, least = order[0], order[-1]
    worst = {}
    for net in (most, least):
        rows = rings(found[net].table)
        worst[net] = rows.loc[rows["change"].idxmin()]
    where = {row["frequency"] for row in worst.values()}
    costs = []
    for net, row in worst.items():
        at = f" at {pi(row['frequency'])}" if len(where) > 1 else ""
        costs.append(f"{net} {words.plain(-row['change'], 1)} points{at}" if row["ci_high"] < 0 else f"{net} nothing clear{at}")
    at = f" at {pi(where.pop())}" if len(where) == 1 else ""
    first = f"Noise{at} costs **{words.seq(costs)}** (RMS {_rms(found[most].table)})."
    difference, low, high = pair(found[most], found[least])
    k, other = (words.signed(contrast(found[net])[0], 1) for net in (most, least))
    if low <= 0:
        return f"{first} Whether broad noise, against fine, hurts them differently is **not clear**: K {k} for {most}, {other} for {least}."
    between = f"{words.plain(difference, 1)} apart, {words.plain(low, 1)} to {words.plain(high, 1)}"
    return f"{first} Broad noise, against fine, hurts {most} more: K {k}, {least} {other} ({between})."


def _rms(table: pd.DataFrame) -> str:
    """The strength of the noise: one number, or a range where rings differ."""
    rms = rings(table)["rms"]
    low, high = f"{rms.min():.2g}", f"{rms.max():.2g}"
    return low if low == high else f"{low} to {high}"


def pi(frequency: float) -> str:
    """0.3 -> `0.3π`."""
    return f"{frequency:g}π"
