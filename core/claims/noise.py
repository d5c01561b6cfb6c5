"""Claims about noise in rings of frequencies: what a ViT bears and a conv net does not (paper, Fig. 2b)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core import data
from core.analyses import band_noise
from core.claims.claim import Missing, Part, mean, part
from core.claims.judge import SEEDS, Effect, Rule, of_mean
from core.claims.loss import no_net
from core.claims.nets import Net, Shelf, answers, measure_command, without
from core.store import Stored

#: Test images that changes of 2 points are clear at.  Measured before.
IMAGES = 2_000
#: What the worst ring has to cost one of the two nets [points]: less is no test, more leaves only guessing.  Chosen before.
COST = (10.0, 30.0)
BEARS_HIGH = Rule(sign=1, least=0.0, n=IMAGES, seeds=SEEDS)
#: Where the curves cross [π]; the paper’s 0.58 in the middle of a wide band, as rings and images are coarser here.
BETWEEN = (0.4, 0.8)


def pairs(shelf: Shelf) -> tuple[list[tuple[Net, Net, Stored, Stored]], list[Missing]]:
    """ViTs and conv nets with their answers under noise, a pair a seed; else what is missing."""
    held, gaps = [], []
    chosen = shelf.together("vit", "conv")
    for vit, conv in chosen:
        if found := answers([(vit, {}), (conv, {})], "band_noise"):
            held.append((vit, conv, *found))
        else:
            gaps += [net for net, _ in without([(vit, {}), (conv, {})], "band_noise")]
    missing = [Missing(title=f"noise of {net.title}", command=measure_command(net, "band_noise"), needed=not held) for net in gaps]
    return held, missing if chosen else [no_net(shelf, "vit", "conv")]


def unfit(shelf: Shelf, held: list[tuple[Net, Net, Stored, Stored]]) -> str:
    """Why no verdict on noise may follow here: images that are no photographs, or noise of an unfit strength; "" if one may."""
    known = data.DATASETS.get(shelf.data)
    if known and known.channels == 1:
        return "noise is judged on photographs: a plain ground and a frame of zeros are cues of low frequency"
    worst = max(-float(band_noise.rings(one.table)["change"].min()) for _, _, *both in held for one in both)
    if not COST[0] <= worst <= COST[1]:
        return f"the worst ring costs {worst:.0f} points; the strength is fit where it costs {COST[0]:g} to {COST[1]:g}"
    return ""


def n1(shelf: Shelf) -> list[Part | Missing]:
    """Noise of high frequency spares a ViT more than a conv net."""
    held, missing = pairs(shelf)
    if not held:
        return list(missing)
    effects = []
    for _, _, one, other in held:
        k, low, high = band_noise.pair(one, other)
        effects.append(Effect(value=k, low=low, high=high, n=int(one.table["images"].iloc[0])))
    sides = {name: mean([band_noise.contrast(both[i])[0] for _, _, *both in held]) for i, name in enumerate(("MSA", "Conv"))}
    sides |= {"RMS": float(held[0][2].manifest["notes"]["rms"])}
    nets = [net for vit, conv, *_ in held for net in (vit, conv)]
    title = "K of ViT minus K of conv net"
    return [part(title, effects, BEARS_HIGH, nets=nets, unit="points", sides=sides, but=unfit(shelf, held)), *missing]


def n2(shelf: Shelf) -> list[Part | Missing]:
    """From a middle frequency on a ViT loses less than a conv net, below it more."""
    held, missing = pairs(shelf)
    if not held:
        return list(missing)
    effects = []
    for _, _, one, other in held:
        found, n = band_noise.crossing(one, other), int(one.table["images"].iloc[0])
        # a ViT that loses more at the highest ring has no crossing: it lies beyond all frequencies
        value, low, high = found or (1.0, *_beyond(one, other))
        effects.append(Effect(value=value, low=low, high=min(high, 1.0), n=n))
    nets = [net for vit, conv, *_ in held for net in (vit, conv)]
    return [_within(effects, nets, unfit(shelf, held)), *missing]


def _beyond(one: Stored, other: Stored) -> tuple[float, float]:
    """(low, high) where the curves do not cross: certain if the highest ring's gap is."""
    right = [(s.arrays["predicted"] == s.arrays["label"]).astype(float) for s in (one, other)]
    gap = of_mean((right[0][-1] - right[0][0]) - (right[1][-1] - right[1][0]))
    return (1.0, 1.0) if gap.high < 0 else (0.0, 1.0)


def _within(effects: list[Effect], nets: list[Net], but: str) -> Part:
    """Supported if the interval lies between the two frequencies, contradicted if it lies outside."""
    low, high = BETWEEN
    found = part("crossing", effects, Rule(sign=1, least=0.0, n=IMAGES, seeds=SEEDS), nets=nets, unit="π", but=but)
    effect = found.effect
    if but or effect.n < IMAGES or len(effects) < SEEDS:
        why = but or (found.why if found.verdict == "undecided" else "")
        return _with(found, "undecided", why)
    if not np.isfinite([effect.low, effect.high]).all():
        return _with(found, "undecided", "there is no interval")
    if low <= effect.low and effect.high <= high:
        return _with(found, "supported", f"between {low:g}π and {high:g}π")
    if effect.high < low or effect.low > high:
        return _with(found, "contradicted", "not for good" if effect.value >= 1 else f"not between {low:g}π and {high:g}π")
    return _with(found, "undecided", f"the interval leaves {low:g}π to {high:g}π")


def _with(found: Part, verdict: str, why: str) -> Part:
    return replace(found, verdict=verdict, why=why)
