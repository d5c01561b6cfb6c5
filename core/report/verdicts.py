"""The verdict table of a report: each claim with its sign, its effect beside no effect, threshold and paper, its n and seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from html import escape

from core import words
from core.claims import CLAIMS, VERDICTS, Part, Verdict
from core.claims._drawn import sign
from core.claims.judge import NOT_MEASURED, SUPPORTED, WITHDRAWN
from core.report import drawing
from core.words import rich

_COMMAND = re.compile(r":? `([^`]*)`")
_GAPS = re.compile(r"Not measured(?: yet\. Missing)?: (.*)$")
_HEAD = (
    '<thead><tr><th scope="col" class="verdict">Verdict</th><th scope="col">Claim and test</th>'
    '<th scope="col" class="at">│ no effect<br>┆ threshold ◇ paper</th><th scope="col" class="num">Effect, 95 %</th>'
    '<th scope="col" class="paper">Supported if · paper</th><th scope="col" class="num n">n · seeds</th></tr></thead>'
)


def tally(found: Sequence[Verdict]) -> str:
    """`**3 of 34 claims** are supported, 1 is contradicted, …`."""
    counts = {word: sum(one.verdict == word for one in found) for word in VERDICTS}
    said = [f"**{counts[SUPPORTED]} of {words.some(len(found), 'claim')}** {_are(counts[SUPPORTED])} supported"]
    said += [f"{n} {_are(n)} {word}" for word, n in counts.items() if n and word not in (SUPPORTED, NOT_MEASURED, WITHDRAWN)]
    said += [f"{counts[NOT_MEASURED]} not measured"] if counts[NOT_MEASURED] else []
    said += [f"{counts[WITHDRAWN]} withdrawn by its authors"] if counts[WITHDRAWN] else []
    return f"{words.seq(said)}."


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def table(found: Sequence[Verdict]) -> str:
    """The claims of one set of images, by group."""
    by_group: dict[str, list[Verdict]] = {}
    for one in found:
        by_group.setdefault(CLAIMS[one.id].group, []).append(one)
    body = [f'<tbody class="group"><tr><th colspan="6" scope="rowgroup">{escape(group)}</th></tr></tbody>{"".join(map(_claim, held))}'
            for group, held in by_group.items()]  # fmt: skip
    return f'<table class="verdicts">{_HEAD}{"".join(body)}</table>{_commands(found)}'


def _claim(one: Verdict) -> str:
    claim, judged = CLAIMS[one.id], bool(one.parts)
    head = _head(one)
    name = f"<b>{escape(claim.title)}</b><small>{one.id} · {escape(claim.source)}</small>"
    cells = f'<th scope="row" class="verdict">{drawing.light(sign(one.verdict, 14))}{one.verdict.capitalize()}</th>'
    if not judged:
        text = "The authors withdrew this experiment." if one.verdict == WITHDRAWN else _missing(one.reason) or one.reason
        return f'<tbody><tr>{cells}<td>{name}</td><td colspan="4" class="quiet">{rich(text)}</td></tr></tbody>'
    test = f"<small>{rich(claim.statistic)}</small>"
    drawn = "" if head is None else drawing.interval(one.id, head, one.verdict, f"{claim.title}: {_effect(head)}")
    effect = "–" if head is None else _cell(head)
    paper = f"{rich(claim.threshold) or '–'}<small>paper: {rich(claim.paper)}</small>"
    n = f"{words.count(one.n)}<small>{escape(one.of)}</small><small>{words.some(one.seeds, 'seed')}</small>" if one.n else "–"
    first = f'{cells}<td>{name}{test}</td><td class="at">{drawn}</td><td class="num">{effect}</td><td class="paper">{paper}</td>'
    said = "".join(f"<li>{line}</li>" for line in _statements(one))
    why = f'<tr class="why"><td></td><td colspan="5"><ul>{said}</ul></td></tr>'
    return f'<tbody><tr>{first}<td class="num n">{n}</td></tr>{why}</tbody>'


def _head(one: Verdict) -> Part | None:
    """The statement whose effect stands in the table."""
    return next((part for part in one.parts if part.counted and part.effect.value == one.effect), None)


def _statements(one: Verdict) -> Iterator[str]:
    """Each statement as it was measured, then what is missing; of a claim with one, the row above has its numbers."""
    alone = len(one.parts) == 1 and one.effect is not None
    for part in one.parts:
        sides = f" [{', '.join(f'{name} {number(value)}' for name, value in part.sides.items())}]" if part.sides else ""
        nets = words.seq(list(dict.fromkeys(net.title for net in part.nets)))
        if alone:
            yield rich(f"{part.why[:1].upper()}{part.why[1:]}; {nets}{sides}.")
            continue
        n = f"{words.count(part.effect.n)} {part.effect.of}, {words.some(part.seeds, 'seed')}"
        beside = "" if part.counted else "shown beside, not counted; "
        yield rich(f"{part.title}: **{part.verdict}**, {_effect(part)}: {beside}{part.why}; {n}; {nets}{sides}.")
    if missing := _missing(one.reason):
        yield rich(missing)


def _missing(reason: str) -> str:
    """`Not measured: …` of a reason, without the commands, which are listed below the table."""
    found = _GAPS.search(reason)
    return f"Not measured: {_COMMAND.sub('', found[1])}" if found else ""


def _effect(part: Part) -> str:
    unit = f" {part.unit}" if part.unit else ""
    low, high = part.effect.low, part.effect.high
    limits = f" (95 % {number(low, part)} to {number(high, part)})" if math.isfinite(low) and math.isfinite(high) else " (no interval)"
    return f"{number(part.effect.value, part)}{unit}{limits}"


def _cell(part: Part) -> str:
    low, high = part.effect.low, part.effect.high
    limits = f"{number(low, part)} to {number(high, part)}" if math.isfinite(low) and math.isfinite(high) else "no interval"
    return f"<b>{number(part.effect.value, part)}</b><small>{escape(part.unit)}</small><small>{limits}</small>"


def number(value: float, part: Part | None = None) -> str:
    """A number as long as its effect needs: 237, 12.5, 0.35, 0.052."""
    if not math.isfinite(value):
        return words.NOTHING
    size = abs(value if part is None else part.effect.value)
    digits = 0 if size >= 100 else 1 if size >= 10 or (part and part.unit == "points") else 2 if size >= 0.1 else 3
    return words.plain(value, digits)


def _commands(found: Sequence[Verdict]) -> str:
    """What would measure what is missing, as commands; "" where nothing is."""
    each = list(dict.fromkeys(command for one in found for command in one.missing))
    if not each:
        return ""
    lines = "\n".join(map(escape, each))
    return f"<details><summary>{words.some(len(each), 'command')} would measure what is missing</summary><pre>{lines}</pre></details>"
