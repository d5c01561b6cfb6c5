"""Claims about nets that differ in one thing: data, head, stages, heads, patches, size, augmentation (paper, Figs. 4, 6, C and F)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.analyses import calibration
from core.claims.accuracy import IMAGES, SHARES
from core.claims.claim import Missing, Part, mean, part
from core.claims.judge import SEEDS, Effect, Rule, slope
from core.claims.loss import ANY_NEGATIVE, APE_BATCHES, NEP_BATCHES, curvature, hessian_command, no_curvature, no_net, sharpness
from core.claims.nets import WHEN, Net, Shelf, alike_but, answers, common, ladder, measure_command, preset, skeleton, train_command

SHARPER, LESS_SHARP = (Rule(sign=sign, least=1.0, zero=1.0, n=APE_BATCHES, seeds=SEEDS) for sign in (1, -1))
RISES, FALLS = (Rule(sign=sign, least=0.0, n=APE_BATCHES, seeds=SEEDS) for sign in (1, -1))
MORE, FEWER = (Rule(sign=sign, least=0.0, n=NEP_BATCHES, seeds=SEEDS) for sign in (1, -1))
UNSURE = Rule(sign=-1, least=0.0, n=IMAGES)
#: A net is called larger from so many times the parameters on.
LARGER = 1.5
STRONG = ("randaugment", "mixup", "cutmix", "erasing", "drop_path")


def _curved(
    pairs: Sequence[tuple[Net, ...]], phase: str, which: int, title: str, rule: Rule, names: tuple[str, str]
) -> list[Part | Missing]:
    """A statement on the APE ratio (0) or the NEP difference (1) of pairs at a phase; else what is missing."""
    held = [(pair, c) for pair in pairs if (c := curvature((pair[0], phase), (pair[1], phase)))]
    key = ("ape", "nep")[which]
    if held:
        told = {name: mean([c.each[f"{key} {i}"] for _, c in held]) for i, name in enumerate(names)}
        nets = [net for pair, _ in held for net in pair]
        return [part(title, [c.effects[which] for _, c in held], rule, nets=nets, unit=("", "points")[which], sides=told, phase=phase)]
    return list(no_curvature(pairs[0], phase, needed=True))


def l4(shelf: Shelf) -> list[Part | Missing]:
    """More training images remove negatives."""
    ordered = sorted(shelf.nets, key=lambda net: net.final.get("steps", 0))
    family = ladder(ordered, lambda net: net.images if net.role == "vit" else None, alike_but("images", "epochs", "warmup"))
    ends = {at: family[at] for at in (min(family), max(family))} if family else {}
    if not (pairs := common(ends)):
        like = next((net for group in shelf.settings() for net in group if net.role == "vit"), None)
        arch = like.run.arch if like else preset("vit")
        return [Missing(title="a ViT on few images", command=train_command(arch, shelf.data, like, fraction=SHARES[1]))]
    return _curved(pairs, "warmup", 1, f"{min(ends):,} minus {max(ends):,} images", MORE, ("few", "many"))


def l6(shelf: Shelf) -> list[Part | Missing]:
    """Averaging over positions (GAP) convexifies, against a CLS token."""
    pairs = shelf.together("vit-cls", "vit", twins=True)
    return _curved(pairs, "warmup", 1, "CLS minus GAP", ANY_NEGATIVE, ("CLS", "GAP")) if pairs else [no_net(shelf, "vit-cls", "vit")]


def l10(shelf: Shelf) -> list[Part | Missing]:
    """Stages remove negatives early; windows lower the eigenvalues."""
    found: list[Part | Missing] = []
    statements = ("pit", 1, "negative share, ViT minus PiT", MORE), ("swin", 0, "mean of positives, Swin by ViT", LESS_SHARP)
    for role, which, title, rule in statements:
        pairs = shelf.together("vit", role) if which else shelf.together(role, "vit")
        names = ("ViT", "PiT") if which else ("Swin", "ViT")
        found += _curved(pairs, "warmup", which, title, rule, names) if pairs else [no_net(shelf, role, "vit")]
    return found


def _slopes(
    family: dict[Any, dict[int, Net]], x: Callable[[Any], float], phase: str, rules: tuple[Rule, Rule], per: str
) -> list[Part | Missing]:
    """Statements on how log₂ APE and NEP change over a ladder of nets, each time its number doubles."""
    rows, gaps = [], []
    for nets in common(family):
        got = [sharpness(net, phase) for net in nets]
        if all(got):
            rows.append((nets, [one for one in got if one]))
        gaps += [net for net, one in zip(nets, got, strict=True) if one is None]
    found: list[Part | Missing] = []
    for which, (title, unit) in enumerate((("log₂ of the mean of positives", ""), ("negative share", "points"))):
        if rows:
            places = [x(at) for at in family]
            effects = [slope(places, [_log2(one[0]) if which == 0 else one[1] for one in got]) for _, got in rows]
            told = {f"{at:g}": mean([got[i][which].value for _, got in rows]) for i, at in enumerate(family)}
            nets = [net for row, _ in rows for net in row]
            found.append(part(f"{title}, {per}", effects, rules[which], nets=nets, unit=unit, sides=told, phase=phase))
    missing = [Missing(title=f"curvature of {n.title} at {WHEN[phase]}", command=hessian_command(n, phase), needed=not rows) for n in gaps]
    return found + missing


def _log2(effect: Effect) -> Effect:
    with np.errstate(invalid="ignore", divide="ignore"):
        value, low, high = (float(np.log2(v)) for v in (effect.value, effect.low, effect.high))
    return Effect(value=value, low=low, high=high, n=effect.n, of=effect.of)


def _vit(shelf: Shelf) -> list[Net]:
    """ViTs; where two play the same part, the named one is taken last and so counts."""
    return sorted((net for net in shelf.nets if net.role == "vit"), key=lambda net: (bool(net.run.name), net.run.id))


def _variant(shelf: Shelf, title: str, *options: str) -> list[Part | Missing]:
    like = next(iter(_vit(shelf)), None)
    arch = like.run.arch if like else preset("vit")
    made = ["/".join([*(p for p in arch.split("/") if p.partition("=")[0] != o.partition("=")[0]), o]) for o in options]
    return [Missing(title=f"{title}: {o}", command=train_command(m, shelf.data, like)) for o, m in zip(options, made, strict=True)]


def l11(shelf: Shelf) -> list[Part | Missing]:
    """More heads: fewer negatives, smaller eigenvalues."""

    def rest(net: Net) -> tuple[Any, ...]:
        return skeleton(net.arch), net.arch.pos, net.arch.bias, net.setting

    family = ladder(_vit(shelf), lambda net: net.arch.stages[0].heads, rest, least=3)
    if not common(family):
        return _variant(shelf, "a ViT with other heads", "heads=1", "heads=6")
    return _slopes(family, np.log2, "warmup", (FALLS, FEWER), "for twice the heads")


def l12(shelf: Shelf) -> list[Part | Missing]:
    """Small patches: flat, but not convex."""

    def rest(net: Net) -> tuple[Any, ...]:
        return skeleton(net.arch)[1:], net.arch.stages[0].heads, net.arch.pos, net.setting

    family = ladder(_vit(shelf), lambda net: int(net.arch.stem.removeprefix("patch")), rest)
    if not common(family):
        return _variant(shelf, "a ViT with other patches", "stem=patch8")
    return _slopes(family, np.log2, "warmup", (RISES, FEWER), "for patches twice as wide")


def l13(shelf: Shelf) -> list[Part | Missing]:
    """A large net is flatter early and sharper late."""
    family = ladder(_vit(shelf), lambda net: int(net.final["parameters"]), lambda net: (net.arch.stem, net.arch.pos, net.setting))
    ends = {at: family[at] for at in (max(family), min(family))} if family and max(family) >= LARGER * min(family) else {}
    if not (pairs := common(ends)):
        return _variant(shelf, "a larger ViT", "width=192")
    return [
        *_curved(pairs, "warmup", 0, "end of warm-up, large by small", LESS_SHARP, ("large", "small")),
        *_curved(pairs, "end", 0, "end of training, large by small", SHARPER, ("large", "small")),
    ]


# ---- augmentation


def strong(net: Net) -> bool:
    """Whether a net was trained with more than shifts and mirrors."""
    return any(net.run.recipe.get(name) for name in ("randaugment", "mixup", "cutmix"))


def _no_strong(shelf: Shelf) -> list[Part | Missing]:
    like = next((net for group in shelf.settings() for net in group if net.role == "vit"), None)
    arch = like.run.arch if like else preset("vit")
    command = train_command(arch, shelf.data, like, mixup=1.0, cutmix=0.8, randaugment="rand-m9-n2-mstd1.0")
    return [Missing(title="a ViT trained with strong augmentation", command=command)]


def gap(net: Net) -> Effect | None:
    """Mean confidence minus accuracy [points] on clean images; None if not measured."""
    found = answers([(net, {})], "calibration")
    if not found:
        return None
    row = calibration.measures(found[0].table).loc["gap"]
    return Effect(value=100 * row["value"], low=100 * row["ci_low"], high=100 * row["ci_high"], n=int(row["n"]))


def g1(shelf: Shelf) -> list[Part | Missing]:
    """Strong augmentation makes nets less sure than they may be; without it beside."""
    found: list[Part | Missing] = []
    for role, title in (("vit", "MSA"), ("conv", "Conv")):
        nets = [chosen[0] for chosen in shelf.together(role, among=[net for net in shelf.nets if strong(net)])]
        plain = [chosen[0] for chosen in shelf.together(role, among=[net for net in shelf.nets if not strong(net)])]
        for group, said, counted in ((nets, title, True), (plain, f"{title} without it", False)):
            held = [(net, e) for net in group if (e := gap(net))]
            if held:
                found.append(part(said, [e for _, e in held], UNSURE, nets=[net for net, _ in held], unit="points", counted=counted))
            elif counted:
                found += [Missing(title=f"calibration of {net.title}", command=measure_command(net, "calibration")) for net in group]
    return found if any(isinstance(one, Missing) or one.counted for one in found) else [*found, *_no_strong(shelf)]


def g2(shelf: Shelf) -> list[Part | Missing]:
    """Strong augmentation lowers the eigenvalues and adds negatives."""
    family = ladder(_vit(shelf), strong, alike_but(*STRONG))
    if not (pairs := [pair[::-1] for pair in common(family)]):
        return _no_strong(shelf)
    return [
        *_curved(pairs, "warmup", 0, "mean of positives, with by without", LESS_SHARP, ("with", "without")),
        *_curved(pairs, "warmup", 1, "negative share, with minus without", MORE, ("with", "without")),
    ]
