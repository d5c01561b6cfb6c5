"""What a claim is, what becomes of it, and how its statements are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np

from core import analyses, words
from core.claims.judge import CONTRADICTED, NAN, NOT_MEASURED, UNDECIDED, WITHDRAWN, Effect, Rule, decide, over_seeds, together
from core.claims.nets import Net, Shelf, measure_command, train_command


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper as a question to stored tables.

    `statistic` and `expected` in words, `paper` the size that the paper reports, `threshold` what supports needs and `origin` where that
    comes from; `parts` measures its statements on the nets of a shelf, and is None for a claim that was withdrawn.
    """

    id: str
    group: str
    title: str
    statistic: str
    expected: str
    paper: str
    threshold: str
    origin: str
    source: str
    parts: Callable[[Shelf], Sequence[Part | Missing]] | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One statement of a claim as it was measured: an effect with its interval and what follows from that alone.

    `sides` are the numbers that were compared, by name: Conv and MSA side by side.  `counted` is false for what is only shown beside;
    `phase` is the moment of training where there is one.
    """

    title: str
    verdict: str
    effect: Effect
    unit: str
    seeds: int
    why: str
    nets: tuple[Net, ...]
    rule: Rule
    phase: str = ""
    sides: Mapping[str, float] = field(default_factory=dict)
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A statement that cannot be judged yet, and the command that makes what is missing; `needed` if nothing can be said without it."""

    title: str
    command: str
    needed: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim on one set of images.

    `effect`, `low` and `high` in `unit` (None where there is no number) are those of the first statement, or of the first that
    contradicts; `n` counts what `of` says in one net, `seeds` the nets of a kind.  `evidence` is the address of the page that shows it;
    `missing` the commands that would say more.
    """

    id: str
    data: str
    verdict: str
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int = 0
    of: str = ""
    seeds: int = 0
    evidence: str = ""
    nets: tuple[str, ...] = ()
    sides: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()


def part(
    title: str, effects: Sequence[Effect], rule: Rule, *, nets: Sequence[Net], unit: str = "", sides: Mapping[str, float] | None = None,
    counted: bool = True, but: str = "", seeds: int = 0, phase: str = "",
) -> Part:  # fmt: skip
    """A statement from one effect a seed, or from one effect of so many `seeds`.

    `but` says why no verdict may follow, whatever the effect is.
    """
    effect, seeds = over_seeds(effects, log=rule.zero == 1), seeds or len(effects)
    verdict, why = decide(effect, rule, seeds)
    if but:
        verdict, why = UNDECIDED, but
    return Part(
        title=title, verdict=verdict, effect=effect, unit=unit, seeds=seeds, why=why, nets=tuple(dict.fromkeys(nets)),
        sides=dict(sides or {}), counted=counted, rule=rule, phase=phase,
    )  # fmt: skip


def conclude(claim: Claim, shelf: Shelf, page: Callable[[str], tuple[str, Mapping[str, Any]]]) -> Verdict:
    """The verdict on a claim from its statements; `page` names the page of a claim and what its address carries."""
    if claim.parts is None:
        return Verdict(id=claim.id, data=shelf.data, verdict=WITHDRAWN, reason="The authors withdrew this experiment; it is not measured.")
    found = list(claim.parts(shelf))
    parts = tuple(one for one in found if isinstance(one, Part))
    counted = [one for one in parts if one.counted]
    gaps = list({one.command: one for one in found if isinstance(one, Missing)}.values())
    more = dict.fromkeys(command for one in counted if one.verdict == UNDECIDED for command in _more(one, shelf.data))
    needed = [one for one in gaps if one.needed]
    nets = tuple(dict.fromkeys(net.run.id for one in parts for net in one.nets))
    known = {
        "id": claim.id, "data": shelf.data, "nets": nets, "parts": parts,
        "missing": tuple(dict.fromkeys([*(one.command for one in gaps), *more])),
    }  # fmt: skip
    if not counted:
        return Verdict(**known, evidence=_address(claim, shelf, nets, None, page), verdict=NOT_MEASURED, reason=_missing(gaps))
    verdict, reason = together([one.verdict for one in counted]), _reason(counted, parts, gaps)
    head = next((one for one in counted if one.verdict == verdict == CONTRADICTED), counted[0])
    known["evidence"] = _address(claim, shelf, nets, head, page)
    if needed and verdict != CONTRADICTED:  # a part of a claim is not the claim; its numbers stand in `parts`
        return Verdict(**known, verdict=NOT_MEASURED, reason=reason)
    return Verdict(
        **known, verdict=verdict, reason=reason, effect=_number(head.effect.value), low=_number(head.effect.low),
        high=_number(head.effect.high), unit=head.unit, n=head.effect.n, of=head.effect.of, seeds=min(one.seeds for one in counted),
        sides=head.sides,
    )  # fmt: skip


def _more(one: Part, data: str) -> list[str]:
    """Commands for the mini-batches and the next seeds that a statement is short of."""
    found, few = [], one.effect.n < one.rule.n
    if few and one.effect.of == "mini-batches" and one.phase:
        images = one.rule.n * analyses.get("hessian").params().batch
        found += [measure_command(net, "hessian", phase=one.phase, images=images) for net in one.nets]
    if one.seeds < one.rule.seeds or (one.rule.either and few):
        seeds: dict[str, list[Net]] = {}
        for net in one.nets:
            seeds.setdefault(net.run.arch, []).append(net)
        found += [train_command(arch, data, nets[0], max(net.run.seed for net in nets) + 1) for arch, nets in seeds.items()]
    return found


def _address(
    claim: Claim, shelf: Shelf, nets: Sequence[str], head: Part | None, page: Callable[[str], tuple[str, Mapping[str, Any]]]
) -> str:
    """Where the numbers of `head` stand: its nets come first, and one minus other is B minus A."""
    name, query = page(claim.id)
    more: dict[str, Any] = {}
    if head is not None:
        first = [net.run.id for net in head.nets]
        together = query.get("of") == "all"
        if name == "compare" and not together:
            first[:2] = first[1::-1]
        nets = list(dict.fromkeys([*first, *nets]))
        more = {"also": nets[2:]} if together else {"net": nets[0]} if name == "lesion" else {}
        more |= {"batches": head.effect.n} if head.effect.of == "mini-batches" else {}
    data = next((net.run.data for net in shelf.nets if net.run.id in nets), shelf.data)
    return f"{name}?{urlencode({'m': list(nets), 'd': data, **query, **more}, doseq=True)}" if nets else name


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _missing(gaps: Sequence[Missing]) -> str:
    said = [f"{one.title}: `{one.command}`" for one in gaps]
    return f"Not measured yet. Missing: {'; '.join(said[:3])}{f'; and {len(said) - 3} more' if len(said) > 3 else ''}."


def _reason(counted: Sequence[Part], parts: Sequence[Part], gaps: Sequence[Missing]) -> str:
    """What was found, statement by statement, what was compared, and what is missing."""
    said = [_said(one, name=len(counted) > 1) for one in counted]
    said += [f"Beside it, {_said(one, name=True)}" for one in parts if not one.counted]
    if gaps:
        said.append(_missing(gaps).replace("Not measured yet. Missing", "Not measured", 1).rstrip("."))
    return f"{'. '.join(said)}."


def _said(one: Part, name: bool) -> str:
    effect, unit = one.effect, f" {one.unit}" if one.unit else ""
    size = abs(effect.value)
    digits = 0 if size >= 100 else 1 if size >= 10 or one.unit == "points" else 2 if size >= 0.1 else 3
    text = f"{one.title}: " if name else ""
    text += f"{words.plain(effect.value, digits)}{unit}"
    if np.isfinite([effect.low, effect.high]).all():
        text += f" (95 % {words.plain(effect.low, digits)} to {words.plain(effect.high, digits)})"
    text += f", {one.why}; {words.count(effect.n)} {effect.of}, {words.some(one.seeds, 'seed')}"
    if one.sides:
        text += f" [{', '.join(f'{name} {_short(value)}' for name, value in one.sides.items())}]"
    return text


def _short(value: float) -> str:
    return words.plain(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3)


def mean(values: Sequence[float]) -> float:
    """The mean of the numbers that are there; NaN for none."""
    held = [value for value in values if value == value]
    return float(np.mean(held)) if held else NAN
