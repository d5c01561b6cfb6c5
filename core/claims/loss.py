"""Claims about the loss: how sharp, how convex, how steep; at equal epoch and at equal accuracy (paper, Figs. 1, 4, 5, 6, 7 and C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core import store
from core.analyses import hessian, landscape
from core.claims.claim import Missing, Part, mean, part
from core.claims.judge import SEEDS, Effect, Rule
from core.claims.nets import PHASES, ROLES, WHEN, Net, Shelf, answers, equal_accuracy, measure_command, preset, train_command, without

#: Mini-batches that give the mean of positives to 10 % and the negative share to 4 points; images of 16 a batch.
#: Origin: the spread between batches of five small nets, measured before.
APE_BATCHES, NEP_BATCHES, A_BATCH = 24, 40, 16
#: Images and pairs of directions of a surface: less spread between images than between directions; three seeds of directions.
SURFACE_IMAGES, PLANES, RADIUS = 256, 3, 0.4
#: Softer than the paper's sizes, as the nets are small; fixed before they were measured.
FLATTER = Rule(sign=-1, least=0.9, zero=1.0, n=APE_BATCHES, seeds=SEEDS)
SLOWER = Rule(sign=-1, least=0.9, zero=1.0, n=SURFACE_IMAGES, seeds=SEEDS)
MORE_NEGATIVE = Rule(sign=1, least=1.0, n=NEP_BATCHES, seeds=SEEDS)
ANY_NEGATIVE = Rule(sign=1, least=0.0, n=NEP_BATCHES, seeds=SEEDS)
FEWER_LATER = Rule(sign=1, least=0.0, n=NEP_BATCHES)
HYBRID_FLATTER = Rule(sign=-1, least=0.95, zero=1.0, n=APE_BATCHES, seeds=SEEDS)

#: Two nets at their phases.
At = tuple[Net, str]


@dataclass(frozen=True, kw_only=True)
class Curved:
    """Two nets' curvature: APE of one by that of the other, NEP of one minus that of the other [points], and both numbers of both nets."""

    effects: tuple[Effect, Effect]
    each: dict[str, float]


def curvature(one: At, other: At) -> Curved | None:
    """How two nets at their phases compare in APE and NEP; None if not measured on the same question."""
    found = answers([(net, {"phase": phase}) for net, phase in (one, other)], "hessian")
    if found is None:
        return None
    sums = [hessian.summary(stored.table) for stored in found]
    two = hessian.pair(found[0].table, found[1].table)
    batches = {"n": min(int(s["batches"]) for s in sums), "of": "mini-batches"}
    ratio = Effect(value=two["ratio"], low=two["ratio_low"], high=two["ratio_high"], **batches)
    points = Effect(**{k: 100 * two[f"difference{end}"] for k, end in (("value", ""), ("low", "_low"), ("high", "_high"))}, **batches)
    each = {f"{which} {i}": s[which] * factor for i, s in enumerate(sums) for which, factor in (("ape", 1), ("nep", 100))}
    return Curved(effects=(ratio, points), each=each)


def sharpness(net: Net, phase: str) -> tuple[Effect, Effect] | None:
    """(APE, NEP [points]) of a net at a phase with their intervals over mini-batches; None if not measured."""
    found = answers([(net, {"phase": phase})], "hessian")
    if found is None:
        return None
    one = hessian.summary(found[0].table)
    ape, nep = (Effect(value=f * one[k], low=f * one[f"{k}_low"], high=f * one[f"{k}_high"], n=int(one["batches"]), of="mini-batches")
                for k, f in (("ape", 1), ("nep", 100)))  # fmt: skip
    return ape, nep


def hessian_command(net: Net, phase: str, batches: int = NEP_BATCHES) -> str:
    """Measures the curvature of a net at a phase on enough mini-batches."""
    return measure_command(net, "hessian", phase=phase, images=batches * A_BATCH)


def no_net(shelf: Shelf, *roles: str) -> Missing:
    """What to say where nets that compare are not there: train the first that no run plays, or the twin of one that is."""
    held = {net.role for net in shelf.nets}
    lacking = [role for role in roles if role not in held] or list(roles)
    like = next((net for group in shelf.settings() for net in group if net.role in roles), None)
    like = like or next((net for group in shelf.settings() for net in group if net.role), None)
    command = train_command(preset(lacking[0]), shelf.data, like)
    return Missing(title=f"{ROLES[lacking[0]]}, trained like the others", command=command)


def no_curvature(nets: Sequence[Net], phase: str, needed: bool = False) -> list[Missing]:
    """What to say where the curvature of nets at a phase does not compare."""
    return [Missing(title=f"curvature of {net.title} at {WHEN[phase]}", command=hessian_command(net, phase), needed=needed)
            for net, _ in without([(net, {"phase": phase}) for net in nets], "hessian")]  # fmt: skip


def ratios(shelf: Shelf, role: str, rule: Rule, counted: Sequence[str] = PHASES) -> list[Part | Missing]:
    """APE of the nets of a part by that of their conv nets: at each phase, of which some count, and at equal accuracy."""
    pairs = shelf.together(role, "conv", twins=role == "hybrid")
    if not pairs:
        return [no_net(shelf, role, "conv")]
    return _compared(pairs, rule, PHASES, 0, counted)


def differences(shelf: Shelf, role: str, rule: Rule) -> list[Part | Missing]:
    """NEP of the nets of a part minus that of their conv nets, at the end of warm-up and at equal accuracy."""
    pairs = shelf.together(role, "conv", twins=role == "hybrid")
    return _compared(pairs, rule, ["warmup"], 1) if pairs else [no_net(shelf, role, "conv")]


def _compared(
    pairs: Sequence[tuple[Net, ...]], rule: Rule, phases: Sequence[str], which: int, counted: Sequence[str] = PHASES
) -> list[Part | Missing]:
    found: list[Part | Missing] = []
    for phase in phases:
        got = [(one, other, curvature((one, phase), (other, phase))) for one, other in pairs]
        held = [(one, other, c) for one, other, c in got if c]
        if held:
            found.append(_part(WHEN[phase], held, rule, which, phase in counted, phase))
        found += [one for *pair, c in got if not c for one in no_curvature(pair, phase)]
    near, phrases = [], []
    for one, other in pairs:
        same = equal_accuracy(one, other, lambda a, b, one=one, other=other: bool(
            one.results("hessian", phase=a) and other.results("hessian", phase=b)))  # fmt: skip
        c = same and curvature((one, same[0]), (other, same[1]))
        if same and c:
            near.append((one, other, c))
            phrases.append(f"{one.title} {WHEN[same[0]]}, {other.title} {WHEN[same[1]]}")
    if near:
        found.append(_part(f"equal accuracy ({'; '.join(dict.fromkeys(phrases))})", near, rule, which))
    return found


def _part(title: str, held: Sequence[tuple[Net, Net, Curved]], rule: Rule, which: int,
          counted: bool = True, phase: str = "") -> Part:  # fmt: skip
    name = ("ape", "nep")[which]
    names = "hybrid" if held[0][0].role == "hybrid" else "MSA", "Conv"
    sides = {names[i]: mean([c.each[f"{name} {i}"] for _, _, c in held]) for i in (0, 1)}
    nets = [net for one, other, _ in held for net in (one, other)]
    return part(title, [c.effects[which] for _, _, c in held], rule, nets=nets, unit=("", "points")[which], sides=sides,
                counted=counted, phase=phase)  # fmt: skip


# ---- L1 to L5


def l1(shelf: Shelf) -> list[Part | Missing]:
    """MSAs flatten the loss: curvature."""
    return ratios(shelf, "vit", FLATTER)


def l2(shelf: Shelf) -> list[Part | Missing]:
    """MSAs flatten the loss: how far it rises around the weights; NLL alone."""
    pairs = shelf.together("vit", "conv")
    if not pairs:
        return [no_net(shelf, "vit", "conv")]
    found: list[Part | Missing] = []
    held = [(one, other, r) for one, other in pairs if (r := rising((one, "end"), (other, "end")))]
    found += [_rise("end", held)] if held else []
    found += [Missing(title=f"surface of {net.title}", command=measure_command(net, "landscape"), needed=False) for pair in pairs
              if not rising(*((net, "end") for net in pair)) for net, _ in without([(net, {}) for net in pair], "landscape")]  # fmt: skip
    near = []
    for one, other in pairs:
        same = equal_accuracy(one, other, lambda a, b, one=one, other=other: bool(
            one.results("landscape", phase=a) and other.results("landscape", phase=b)))  # fmt: skip
        if same and (r := rising((one, same[0]), (other, same[1]))):
            near.append((one, other, r))
        elif not same and (want := equal_accuracy(one, other, lambda _a, _b: True)):
            found += [Missing(title=f"surface of {net.title} at {WHEN[phase]}, where accuracies are equal", needed=False,
                              command=measure_command(net, "landscape", phase=phase))
                      for net, phase in ((one, want[0]), (other, want[1])) if not net.results("landscape", phase=phase)]  # fmt: skip
    return found + ([_rise("equal accuracy", near)] if near else [])


def rising(one: At, other: At) -> tuple[Effect, float, float] | None:
    """Rise of the loss of one at RADIUS by that of the other, and the two rises; None if not measured."""
    found = answers([(net, {"phase": phase}) for net, phase in (one, other)], "landscape")
    if found is None or any("ring_rise" not in stored.arrays for stored in found):
        return None
    sides = [(stored.table, stored.arrays, stored.manifest["notes"]) for stored in found]
    ratio, low, high = landscape.ratio(sides[0], sides[1], RADIUS)
    planes = min(int(_planes(stored)) for stored in found)
    n = min(stored.arrays["ring_rise"].shape[2] for stored in found) if planes >= PLANES else 0
    rises = [landscape.rings_of(side, RADIUS)[0] for side in sides]
    return Effect(value=ratio, low=low, high=high, n=n), rises[0], rises[1]


def _planes(stored: store.Stored) -> int:
    return int(np.isfinite(stored.arrays["ring_rise"]).all((1, 2)).sum())


def _rise(title: str, held: Sequence[tuple[Net, Net, tuple[Effect, float, float]]]) -> Part:
    sides = {"MSA": mean([r[1] for _, _, r in held]), "Conv": mean([r[2] for _, _, r in held])}
    return part(title, [r[0] for _, _, r in held], SLOWER, nets=[n for one, other, _ in held for n in (one, other)], sides=sides)


def l3(shelf: Shelf) -> list[Part | Missing]:
    """A ViT's loss is not convex early."""
    return differences(shelf, "vit", MORE_NEGATIVE)


def l5(shelf: Shelf) -> list[Part | Missing]:
    """Training removes the negatives."""
    return [*_later(shelf, "vit", True), *_later(shelf, "conv", False)]


def _later(shelf: Shelf, role: str, counted: bool) -> list[Part | Missing]:
    nets = [pair[0] for pair in shelf.together(role)]
    held = [(net, c) for net in nets if (c := curvature((net, "warmup"), (net, "end")))]
    if held:
        sides = {"warm-up": mean([c.each["nep 0"] for _, c in held]), "end": mean([c.each["nep 1"] for _, c in held])}
        title = {"vit": "MSA", "conv": "Conv"}[role]
        effects, nets = [c.effects[1] for _, c in held], [net for net, _ in held]
        return [part(title, effects, FEWER_LATER, nets=nets, unit="points", sides=sides, counted=counted, phase="end")]
    if not counted:
        return []
    if not nets:
        return [no_net(shelf, role)]
    return [one for phase in ("warmup", "end") for one in no_curvature(nets[:1], phase)]


def a4(shelf: Shelf) -> list[Part | Missing]:
    """AlterNet's loss is flatter than that of the conv net."""
    return ratios(shelf, "hybrid", HYBRID_FLATTER, counted=("warmup",))
