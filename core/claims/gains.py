"""Two nets side by side: every measure that is stored of both, the difference with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from core import store
from core.analyses import band_noise, calibration, corruption, landscape
from core.claims.accuracy import difference, right, sturdiness
from core.claims.alike import same_images
from core.claims.judge import NAN, Effect, linear, of_mean
from core.claims.lesions import sweep
from core.claims.loss import RADIUS, curvature, rising, sharpness
from core.claims.nets import Net, answers
from core.errors import MeasureError
from core.run import Run
from core.store import Stored

#: How a difference was made, as the reader is told.
BY_IMAGE, APART = "by image", "from the two intervals"


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One number of nets A and B.  `sides` are theirs (NaN where not measured); `effect` is B minus A, with `ratio` B by A.

    `measure` is the id of its measure (MEASURES); `better` says whether more (1) or less (-1) is better, 0 that neither is; `how` the
    interval was made; `digits` are those worth showing.  `effect` is None where the two do not compare or one is not measured.
    """

    measure: str
    title: str
    noun: str
    unit: str
    sides: tuple[float, float]
    effect: Effect | None
    better: int = 0
    ratio: bool = False
    how: str = BY_IMAGE
    digits: int = 1

    @property
    def paired(self) -> bool:
        """Whether both sides saw the same images or mini-batches, drawn together."""
        return self.how.startswith(BY_IMAGE)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out no difference."""
        zero = 1.0 if self.ratio else 0.0
        return self.effect is not None and (self.effect.low > zero or self.effect.high < zero)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What can be compared: its title, the analysis and settings that answer it, and what it says of nets A and B."""

    title: str
    analysis: str
    gains: Callable[[Net, Net], list[Gain]]


def side(run: Run) -> Net | None:
    """A finished net of any origin with what is stored of it; None if it is unfinished."""
    final = store.final(run.id)
    if not final:
        return None
    held = cache(lambda analysis, key: store.load_result(run.id, analysis, key))
    return Net(
        run=run, final=final, history=tuple(store.history(run.id)), manifests=cache(lambda analysis: store.list_results(run.id, analysis)),
        load=lambda manifest: held(manifest["analysis"], manifest["key"]),
    )  # fmt: skip


def gains(a: Net, b: Net) -> list[Gain]:
    """All measures of two nets, in the order of MEASURES; no differences where their images differ."""
    found = [gain for measure in MEASURES.values() for gain in measure.gains(a, b)]
    return found if same_images(a, b) else [replace(gain, effect=None) for gain in found]


# ---- measures, one by one


def _both(a: Net, b: Net, analysis: str) -> tuple[list[Stored | None], bool]:
    """The answers of two nets, and whether they are to the same question."""
    if found := answers([(a, {}), (b, {})], analysis):
        return list(found), True
    alone = [answers([(net, {})], analysis) for net in (a, b)]
    return [found[0] if found else None for found in alone], False


def _sides(found: Sequence[Any], value: Callable[[Any], float]) -> tuple[float, float]:
    a, b = (NAN if one is None else float(value(one)) for one in found)
    return a, b


def of_accuracy(a: Net, b: Net) -> list[Gain]:
    """Accuracy on all test images."""
    held = right(a), right(b)
    paired = held[0] is not None and held[1] is not None and np.array_equal(held[0][0], held[1][0])
    sides = _sides((a, b), lambda net: 100 * net.final["accuracy"])
    effect = difference(b, a) if all("n_test" in net.final for net in (a, b)) else None
    return [Gain(measure="accuracy", title="Accuracy", noun="accuracy", unit="%", sides=sides, effect=effect, better=1,
                 how=BY_IMAGE if paired else APART)]  # fmt: skip


def of_calibration(a: Net, b: Net) -> list[Gain]:
    """Expected calibration error; its parts are not sums over images, so the two intervals make that of the difference."""
    found, same = _both(a, b, "calibration")

    def ece(stored: Stored) -> Effect:
        row = calibration.measures(stored.table).loc["ece"]
        return Effect(value=100 * row["value"], low=100 * row["ci_low"], high=100 * row["ci_high"], n=int(row["n"]))

    effect = linear((1, -1), [ece(found[1]), ece(found[0])]) if same and found[0] and found[1] else None
    return [Gain(measure="calibration", title="Calibration error", noun="calibration error", unit="%",
                 sides=_sides(found, lambda s: ece(s).value), effect=effect, better=-1, how=APART)]  # fmt: skip


def of_corruption(a: Net, b: Net) -> list[Gain]:
    """Mean accuracy over 15 corruptions at 5 severities."""
    found, _ = _both(a, b, "corruption")
    whole = [one if one and corruption.whole(one.table) else None for one in found]
    sides = _sides(whole, lambda s: 100 * corruption.mean_accuracy(s.table, s.arrays)[0])
    return [Gain(measure="corruption", title="Accuracy under corruption", noun="accuracy under corruption", unit="%", sides=sides,
                 effect=sturdiness(b, a), better=1)]  # fmt: skip


def noisy(stored: Stored) -> np.ndarray:
    """For each image the share of the rings of noise in which it is answered rightly [%]."""
    return 100 * (stored.arrays["predicted"][1:] == stored.arrays["label"]).mean(0)


def of_noise(a: Net, b: Net) -> list[Gain]:
    """Mean accuracy over the rings of noise, and how much less high frequencies hurt than low ones."""
    found, same = _both(a, b, "band_noise")
    mean = contrast = None
    if same and found[0] and found[1]:
        try:  # refuses other images and other noise
            k, low, high = band_noise.pair(found[1], found[0])
            mean = of_mean(noisy(found[1]) - noisy(found[0]))
            contrast = Effect(value=k, low=low, high=high, n=mean.n)
        except MeasureError:
            mean = contrast = None
    return [
        Gain(measure="noise", title="Accuracy under noise", noun="accuracy under noise", unit="%",
             sides=_sides(found, lambda s: noisy(s).mean()), effect=mean, better=1),
        Gain(measure="noise", title="High noise against low, K", noun="contrast K of high against low noise", unit="points",
             sides=_sides(found, lambda s: band_noise.contrast(s)[0]), effect=contrast),
    ]  # fmt: skip


def of_curvature(a: Net, b: Net) -> list[Gain]:
    """Mean of the positive leading eigenvalues, and the share of negative ones."""
    each, two = [sharpness(net, "end") for net in (a, b)], curvature((b, "end"), (a, "end"))
    effects: Sequence[Effect | None] = two.effects if two else (None, None)
    ape, nep = (_sides(each, lambda one, i=i: one[i].value) for i in (0, 1))
    return [
        Gain(measure="curvature", title="Sharpness, mean positive eigenvalue", noun="mean positive eigenvalue", unit="", sides=ape,
             effect=effects[0], ratio=True, how="mini-batches drawn apart", digits=1),
        Gain(measure="curvature", title="Negative eigenvalues", noun="share of negative eigenvalues", unit="%", sides=nep,
             effect=effects[1], how=APART),
    ]  # fmt: skip


def surface(stored: Stored) -> landscape.Found:
    """A stored surface as the functions of the landscape take it."""
    return stored.table, stored.arrays, stored.manifest["notes"]


def of_landscape(a: Net, b: Net) -> list[Gain]:
    """How far the loss rises at RADIUS of a step."""
    found, _ = _both(a, b, "landscape")
    held = [one if one and "ring_rise" in one.arrays else None for one in found]
    two = rising((b, "end"), (a, "end"))
    return [Gain(measure="landscape", title=f"Rise of the loss at {RADIUS:g} of a step", noun=f"rise of the loss at {RADIUS:g} of a step",
                 unit="nat", sides=_sides(held, lambda s: landscape.rings_of(surface(s), RADIUS)[0]), effect=two[0] if two else None,
                 ratio=True, how="by image, directions drawn apart", digits=2)]  # fmt: skip


def drops(stored: Stored) -> np.ndarray:
    """For each image, what switching off one unit that keeps the resolution costs on average [points]."""
    rows, off = sweep(stored)
    clean = 100.0 * (stored.arrays["predicted"][0] == stored.arrays["label"])
    return clean - off[(~rows["resampling"]).to_numpy(dtype=bool)].mean(0)


def of_lesion(a: Net, b: Net) -> list[Gain]:
    """What a unit costs when it is switched off, on average."""
    found, same = _both(a, b, "lesion")
    found = [one if one and not one.table["resampling"].all() else None for one in found]
    effect = None
    if same and found[0] and found[1] and np.array_equal(found[0].arrays["index"], found[1].arrays["index"]):
        effect = of_mean(drops(found[1]) - drops(found[0]))
    return [Gain(measure="lesion", title="Mean cost of a unit switched off", noun="mean cost of a unit", unit="points",
                 sides=_sides(found, lambda s: drops(s).mean()), effect=effect)]  # fmt: skip


def of_variance(a: Net, b: Net) -> list[Gain]:
    """By what a unit multiplies the variance over the picture, on average; over units that keep the resolution."""
    found, same = _both(a, b, "variance")

    def factor(stored: Stored) -> Effect:
        rows = stored.table[stored.table["ratio"].notna() & ~stored.table["resampling"]]
        return of_mean(np.log(rows["ratio"].to_numpy(dtype=float)), "units") if len(rows) else Effect(value=NAN, of="units")

    effect = None
    if same and found[0] and found[1]:
        log = linear((1, -1), [factor(found[1]), factor(found[0])])
        effect = replace(log, value=float(np.exp(log.value)), low=float(np.exp(log.low)), high=float(np.exp(log.high)))
    return [Gain(measure="variance", title="Variance, out against in of a unit", noun="mean change of variance by a unit", unit="×",
                 sides=_sides(found, lambda s: np.exp(factor(s).value)), effect=effect, ratio=True, how="from the two intervals over units",
                 digits=2)]  # fmt: skip


def of_frequency(a: Net, b: Net) -> list[Gain]:
    """Δ log amplitude at the highest frequency of what leaves the last unit."""
    found, same = _both(a, b, "fourier")
    effect, how = None, BY_IMAGE
    if same and found[0] and found[1]:
        high = [one.arrays.get("high") for one in found if one]
        if high[0] is not None and high[1] is not None and len(high[0]) == len(high[1]):
            effect = of_mean(high[1][:, -1].astype(float) - high[0][:, -1])
        else:
            effect, how = linear((1, -1), [_last(found[1]), _last(found[0])]), APART
    return [Gain(measure="frequency", title="Finest detail after the last unit", unit="ln", sides=_sides(found, lambda s: _last(s).value),
                 noun="finest detail after the last unit (Δ log amplitude)", effect=effect, how=how, digits=2)]  # fmt: skip


def _last(stored: Stored) -> Effect:
    row = stored.table[stored.table["top"]].iloc[-1]
    return Effect(value=row["delta_log_amplitude"], low=row["ci_low"], high=row["ci_high"], n=int(row["images"]))


def likeness(a: Net, b: Net) -> tuple[Stored, bool] | None:
    """CKA between the layers of two nets, and whether its rows are those of A; None if it is not measured."""
    for one, other, first in ((a, b, True), (b, a, False)):
        for manifest in one.results("cka", against=other.run.id):
            if found := one.load(manifest):
                return found, first
    return None


def of_cka(a: Net, b: Net) -> list[Gain]:
    """How like the last units of both see; no difference, so `effect` holds the likeness itself."""
    found, effect = likeness(a, b), None
    if found:
        table = found[0].table
        last = table[(table["position"] == table["position"].max()) & (table["with_position"] == table["with_position"].max())].iloc[0]
        effect = Effect(value=last["cka"], low=last["ci_low"], high=last["ci_high"], n=int(last["images"]))
    return [Gain(measure="cka", title="CKA of the last units", noun="likeness of the last units", unit="CKA", sides=(NAN, NAN),
                 effect=effect, how="one net against the other", digits=2)]  # fmt: skip


#: What can be compared, by the id in the address.
MEASURES = {
    "accuracy": Measure(title="Accuracy", analysis="calibration", gains=of_accuracy),
    "calibration": Measure(title="Calibration", analysis="calibration", gains=of_calibration),
    "corruption": Measure(title="Corruption", analysis="corruption", gains=of_corruption),
    "noise": Measure(title="Noise", analysis="band_noise", gains=of_noise),
    "landscape": Measure(title="Landscape", analysis="landscape", gains=of_landscape),
    "curvature": Measure(title="Curvature", analysis="hessian", gains=of_curvature),
    "frequency": Measure(title="Frequency", analysis="fourier", gains=of_frequency),
    "variance": Measure(title="Variance", analysis="variance", gains=of_variance),
    "lesion": Measure(title="Lesion", analysis="lesion", gains=of_lesion),
    "cka": Measure(title="CKA", analysis="cka", gains=of_cka),
}
