"""What lies behind a difference of two nets: B minus A over depth, frequency, class or whatever the measure runs over, with 95 %."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import data, words
from core.analyses import band_noise, calibration, fourier, hessian, landscape
from core.analyses._bands_drawn import FEW
from core.analyses._cells import lanes
from core.claims.gains import APART, BY_IMAGE, surface
from core.claims.judge import Effect, linear, of_mean
from core.claims.lesions import sweep
from core.claims.nets import Net, answers
from core.data.corruptions import KINDS
from core.errors import DataError, MeasureError
from core.metrics.interval import mean_interval
from core.run import Run
from core.store import Stored

#: Classes that a picture has room for.
MOST = 20
#: Two units stand at the same place if their depths agree to this.
SAME = 1e-6
#: What is said where A has no unit at the depth of one of B's.
BETWEEN = ", A on straight lines between its units"
#: Parts of the depth that nets are compared in whose units do not stand side by side.
PARTS = ("first third", "middle third", "last third")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A difference in pieces.  `table`: x (a number, or `label` in its place), value, low, high; with `ratio` B by A.

    Over depth also kind, form, resampling and unit of B's units, and `other`: whether A has another kind there.  `over` says what x is.
    """

    table: pd.DataFrame
    title: str
    over: str
    how: str
    n: int = 0
    of: str = "images"
    ratio: bool = False


def profile(measure: str, a: Net, b: Net) -> Profile | None:
    """The difference B minus A of a measure in pieces; None if it is not measured of both in one way, or has no pieces."""
    found = pieces[measure](a, b) if measure in pieces else None
    return found if found is not None and len(found.table) else None


def _pair(a: Net, b: Net, analysis: str) -> tuple[Stored, Stored] | None:
    found = answers([(a, {}), (b, {})], analysis)
    return (found[0], found[1]) if found else None


def _same(found: tuple[Stored, Stored]) -> bool:
    """Whether two answers are about the same images in the same order."""
    return all(np.array_equal(found[0].arrays[name], found[1].arrays[name]) for name in ("index", "label"))


def _rows(labels: Sequence[str], differences: np.ndarray) -> pd.DataFrame:
    """One row a label of (labels, images) differences."""
    return pd.DataFrame([(label, *map(float, mean_interval(row))) for label, row in zip(labels, differences, strict=True)],
                        columns=["label", "value", "low", "high"])  # fmt: skip


def answered(a: Net, b: Net) -> tuple[Stored, Stored] | None:
    """Answers of both to all test images, from one analysis that kept them."""
    for analysis in ("calibration", "lesion"):
        found = _pair(a, b, analysis)
        if found and _same(found) and not found[0].manifest["params"].get("images"):
            return found
    return None


def by_class(stored: Stored, run: Run) -> pd.DataFrame:
    """Accuracy of each class that has images, with its interval over them: label, value, low, high [%]."""
    hit, label = _right(stored)[0], stored.arrays["label"]
    held = {name: label == i for i, name in enumerate(classes_of(run)) if (label == i).any()}
    return pd.concat([_rows([name], hit[None, mask]) for name, mask in held.items()], ignore_index=True)


def by_kind(stored: Stored) -> pd.DataFrame:
    """Accuracy under each kind of corruption over its severities, with its interval over images: label, value, low, high [%]."""
    each = _by_kind(stored)
    return _rows([KINDS[kind].title for kind in each], np.stack(list(each.values())))


def _by_kind(stored: Stored) -> dict[str, np.ndarray]:
    """For each kind and image the share of severities that is answered rightly [%], in the order that kinds are shown in."""
    kind = stored.table["kind"].to_numpy()
    return {name: _right(stored)[kind == name].mean(0) for name in lanes().values() if name not in ("", "mean") and (kind == name).any()}


def classes_of(run: Run) -> tuple[str, ...]:
    """The names of a net's classes; numbers where its images are not here."""
    try:
        known = data.get(run.data).classes
    except DataError:
        known = ()
    return known if len(known) == run.classes else tuple(str(i) for i in range(run.classes))


def of_accuracy(a: Net, b: Net) -> Profile | None:
    """By class, in the order of the difference; of many classes those that differ most."""
    found = answered(a, b)
    if not found or a.run.classes != b.run.classes:
        return None
    (hits, hits_b), label = (_right(stored)[0] for stored in found), found[0].arrays["label"]
    held = {name: label == i for i, name in enumerate(classes_of(a.run)) if (label == i).any()}
    table = pd.concat([_rows([name], (hits_b - hits)[None, mask]) for name, mask in held.items()], ignore_index=True)
    return Profile(table=_most(table), title="accuracy, points", over="class", how=BY_IMAGE, n=len(label))


def _most(table: pd.DataFrame) -> pd.DataFrame:
    order = table["value"].abs().sort_values(ascending=False, kind="stable").index[:MOST]
    return table.loc[order].sort_values("value", kind="stable").reset_index(drop=True)


def of_calibration(a: Net, b: Net) -> Profile | None:
    """Share right by confidence; other images fall into a bin for each net, so the intervals of both make that of the difference."""
    found = _pair(a, b, "calibration")
    if not found:
        return None
    one, other = (calibration.reliability(stored.table).set_index("low") for stored in found)
    both = [low for low in one.index if low in other.index and min(one.loc[low, "n"], other.loc[low, "n"]) >= FEW]
    rows = []
    for low in both:
        effect = linear((1, -1), [_points(other.loc[low]), _points(one.loc[low])])
        rows.append((100 * (low + one.loc[low, "high"]) / 2, effect.value, effect.low, effect.high))
    table = pd.DataFrame(rows, columns=["x", "value", "low", "high"])
    return Profile(table=table, title="share right, points", over="confidence, %", how=APART, n=int(found[0].table["images"].iloc[0]))


def _points(row: pd.Series) -> Effect:
    return Effect(value=100 * float(row["value"]), low=100 * float(row["ci_low"]), high=100 * float(row["ci_high"]))


def of_corruption(a: Net, b: Net) -> Profile | None:
    """By kind of corruption, over its severities."""
    found = _pair(a, b, "corruption")
    if not found or not _same(found):
        return None
    each, other = (_by_kind(stored) for stored in found)
    kinds = [kind for kind in each if kind in other]
    table = _rows([KINDS[kind].title for kind in kinds], np.stack([other[kind] - each[kind] for kind in kinds]))
    return Profile(table=table, title="accuracy, points", over="corruption", how=BY_IMAGE, n=len(found[0].arrays["label"]))


def _right(stored: Stored) -> np.ndarray:
    return 100.0 * (stored.arrays["predicted"] == stored.arrays["label"])


def of_noise(a: Net, b: Net) -> Profile | None:
    """By the frequency of the noise: what it changes for B minus what it changes for A."""
    found = _pair(a, b, "band_noise")
    if not found:
        return None
    try:  # refuses other images and other noise
        band_noise.pair(*found)
    except MeasureError:
        return None
    change = [_right(stored)[1:] - _right(stored)[0] for stored in found]
    table = pd.DataFrame(np.stack(mean_interval(change[1] - change[0], 1), 1), columns=["value", "low", "high"])
    table.insert(0, "x", band_noise.rings(found[0].table)["frequency"])
    return Profile(table=table, title="change of accuracy, points", over="frequency of the noise, π", how=BY_IMAGE, n=change[0].shape[1])


def of_curvature(a: Net, b: Net) -> Profile | None:
    """By rank of the eigenvalue: by mini-batch where both saw the same, else from the two intervals."""
    found = _pair(a, b, "hessian")
    if not found:
        return None
    wide = [hessian.kept(s.table).pivot(index="batch", columns="rank", values="eigenvalue") for s in found]
    drawn = {stored.manifest["notes"].get("batches") for stored in found}
    alike, rows = len(drawn) == 1 and None not in drawn, []
    for rank in [rank for rank in wide[0].columns if rank in wide[1].columns]:
        one, other = (values[rank].dropna() for values in wide)
        if alike:
            both = one.index.intersection(other.index)
            effect = of_mean((other[both] - one[both]).to_numpy()) if len(both) else None
        else:
            effect = linear((1, -1), [of_mean(other.to_numpy()), of_mean(one.to_numpy())]) if len(one) and len(other) else None
        rows += [(float(rank), effect.value, effect.low, effect.high)] if effect else []
    table = pd.DataFrame(rows, columns=["x", "value", "low", "high"])
    return Profile(table=table, title="eigenvalue", over="rank of the eigenvalue", how="by mini-batch" if alike else APART,
                   n=min(len(values) for values in wide), of="mini-batches")  # fmt: skip


def of_landscape(a: Net, b: Net) -> Profile | None:
    """By distance from the trained weights: the rise of B by that of A."""
    found = _pair(a, b, "landscape")
    if not found or any("ring_rise" not in stored.arrays for stored in found):
        return None
    one, other = map(surface, found)
    shared = [float(r) for r in found[0].arrays["radii"] if np.isclose(found[1].arrays["radii"], r).any()]
    rows = [(r, *landscape.ratio(other, one, r)) for r in shared]
    table = pd.DataFrame(rows, columns=["x", "value", "low", "high"]).dropna(subset=["value"])
    same = one[2].get("batches") == other[2].get("batches")
    how = "by image, directions drawn apart" if same else APART
    return Profile(table=table, title="rise of the loss", over="step from the trained weights", how=how,
                   n=found[0].arrays["ring_rise"].shape[2], ratio=True)  # fmt: skip


# ---- over depth


def side_by_side(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether the units of two tables, a row a unit, stand at the same depths."""
    return len(one) == len(other) and bool(np.allclose(one["depth"], other["depth"], atol=SAME))


def _about(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """B's units with the kind of what A has there, the nearest where it has none."""
    near = [int(np.abs(one["depth"].to_numpy() - depth).argmin()) for depth in other["depth"]]
    about = other[["unit", "kind", "form", "resampling"]].reset_index(drop=True)
    return about.assign(x=other["depth"].to_numpy(dtype=float), other=one["kind"].to_numpy()[near] != about["kind"].to_numpy())


def between(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """(A's units, B's units) what each of A's counts at the depth of each of B's, on straight lines between them."""
    at = np.eye(len(one))
    return np.stack([np.interp(other["depth"], one["depth"], row) for row in at])


def of_frequency(a: Net, b: Net) -> Profile | None:
    """Over depth, at each map's highest frequency; A on straight lines where B has units at other depths."""
    found = _pair(a, b, "fourier")
    if not found:
        return None
    one, other = (fourier.points(stored.table) for stored in found)
    high, how = [stored.arrays.get("high") for stored in found], BY_IMAGE
    if high[0] is not None and high[1] is not None and len(high[0]) == len(high[1]):
        values = np.stack(mean_interval(high[1].astype(float) - high[0].astype(float) @ between(one, other)), 1)
    else:
        values, how = _apart(one, other, lambda rows: rows[["value", "low", "high"]].to_numpy(dtype=float)), APART
    table = _about(one, other).join(pd.DataFrame(values, columns=["value", "low", "high"]))
    how += "" if side_by_side(one, other) else BETWEEN
    return Profile(table=table, title=fourier.TITLE, over="depth", how=how, n=int(found[0].table["images"].iloc[0]))


def _apart(one: pd.DataFrame, other: pd.DataFrame, values: Callable[[pd.DataFrame], np.ndarray]) -> np.ndarray:
    """(B's units, 3) B minus A from the two intervals, A and its ends on straight lines between its units."""
    ends = np.stack([np.interp(other["depth"], one["depth"], column) for column in values(one).T], 1)
    rows = []
    for (v, low, high), (v0, low0, high0) in zip(values(other), ends, strict=True):
        effect = linear((1, -1), [Effect(value=v, low=low, high=high), Effect(value=v0, low=low0, high=high0)])
        rows.append((effect.value, effect.low, effect.high))
    return np.array(rows)


def of_variance(a: Net, b: Net) -> Profile | None:
    """Over depth, as a factor."""
    found = _pair(a, b, "variance")
    if not found:
        return None
    one, other = (stored.table.reset_index(drop=True) for stored in found)

    def logs(rows: pd.DataFrame) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.log(rows[["variance", "ci_low", "ci_high"]].to_numpy(dtype=float))
        return np.where(np.isfinite(found), found, np.nan)

    table = _about(one, other).join(pd.DataFrame(np.exp(_apart(one, other, logs)), columns=["value", "low", "high"]))
    return Profile(table=table.dropna(subset=["value"]), title="variance over the picture", over="depth", ratio=True,
                   how=APART + ("" if side_by_side(one, other) else BETWEEN), n=int(one["images"].iloc[0]))  # fmt: skip


def of_lesion(a: Net, b: Net) -> Profile | None:
    """Unit by unit where units stand side by side, else by thirds of the depth; units that change the resolution are left out."""
    found = _pair(a, b, "lesion")
    if not found or not _same(found):
        return None
    (one, off), (other, off_b) = (sweep(stored) for stored in found)
    change = [after - _right(stored)[0] for after, stored in zip((off, off_b), found, strict=True)]
    about = {"title": "change of accuracy, points", "how": BY_IMAGE, "n": off.shape[1]}
    if side_by_side(one, other):
        values = pd.DataFrame(np.stack(mean_interval(change[1] - change[0], 1), 1), columns=["value", "low", "high"])
        table, keep = _about(one, other).join(values), ~(one["resampling"] | other["resampling"]).to_numpy(dtype=bool)
        return Profile(table=table[keep].reset_index(drop=True), over="depth", **about)
    each = [_thirds(rows, lost) for rows, lost in ((one, change[0]), (other, change[1]))]
    both = [part for part in PARTS if part in each[0] and part in each[1]]
    table = _rows([f"Units of the {part}" for part in both], np.stack([each[1][part] - each[0][part] for part in both]))
    return Profile(table=table, over="part of the depth", **about)


def _thirds(rows: pd.DataFrame, change: np.ndarray) -> dict[str, np.ndarray]:
    """The mean over the units that keep the resolution in each third of the depth, image by image."""
    place = np.minimum((rows["depth"].to_numpy(dtype=float) * 3).astype(int), 2)
    held = {part: (place == i) & ~rows["resampling"].to_numpy(dtype=bool) for i, part in enumerate(PARTS)}
    return {part: change[mask].mean(0) for part, mask in held.items() if mask.any()}


pieces: dict[str, Callable[[Net, Net], Profile | None]] = {
    "accuracy": of_accuracy, "calibration": of_calibration, "corruption": of_corruption, "noise": of_noise, "curvature": of_curvature,
    "landscape": of_landscape, "frequency": of_frequency, "variance": of_variance, "lesion": of_lesion,
}  # fmt: skip


def largest(found: Profile) -> str:
    """Where the difference is clear and largest, in words; "" where it is nowhere clear."""
    zero = 1.0 if found.ratio else 0.0
    clear = found.table[(found.table["low"] > zero) | (found.table["high"] < zero)]
    if clear.empty:
        return ""
    size = np.log(clear["value"]).abs() if found.ratio else clear["value"].abs()
    row = clear.loc[size.idxmax()]
    value = f"×{row['value']:.2f}" if found.ratio else words.signed(float(row["value"]), 1 if abs(row["value"]) >= 1 else 2)
    where = str(row["label"]) if "label" in row else f"{found.over.partition(',')[0]} {float(row['x']):.3g}"
    return f"largest at {where}: {value}"
