"""What is said of a verdict: its effect in words, why it is open, and the sentence over the scorecard."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from core import words
from core.claims import CLAIMS, Part, Verdict
from core.claims.judge import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED, VERDICTS, WITHDRAWN
from core.claims.paper import HEADLINES, size
from core.size import count
from pages.ui import pickers
from pages.ui.verdict_found import Found, head

#: units as they stand behind a number
_UNITS = {"points": " points", "π": "π", "ln": "", "times": "", "": ""}


def title(claim_id: str) -> str:
    """A headline claim in plain words, any other as the claims name it."""
    return HEADLINES.get(claim_id, CLAIMS[claim_id].title)


def number(value: float | None, unit: str, signed: bool = False, like: float | None = None) -> str:
    """A number with as many digits as are worth reading, or as one `like` it has; – for none."""
    if value is None or not math.isfinite(value):
        return words.NOTHING
    big = abs(value if like is None else like)
    digits = 0 if big >= 100 else 1 if big >= 10 or unit == "points" else 2 if big >= 0.1 else 3
    return (words.signed if signed else words.plain)(value, digits)


def effect(part: Part) -> str:
    """`−13.0 points`, `0.35 ×`, `0.82π`: the effect of a statement; differences have a sign, ratios a ×."""
    ratio = part.rule.zero == 1
    text = number(part.effect.value, part.unit, signed=not ratio and part.unit != "π")
    return f"{text} ×" if ratio and text != words.NOTHING else f"{text}{_UNITS.get(part.unit, f' {part.unit}')}"


def limits(part: Part) -> str:
    """`0.29 to 0.43`; "no interval" where there is none."""
    low, high = part.effect.low, part.effect.high
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{number(low, part.unit, like=part.effect.value)} to {number(high, part.unit, like=part.effect.value)}"


def plainly(verdict: Verdict) -> str:
    """The effect of a headline claim as a visitor would say it."""
    part = head(verdict)
    if part is None:
        return ""
    value = part.effect.value
    if verdict.id == "L2" and value > 0:
        factor, word = (1 / value, "flatter") if value < 1 else (value, "steeper")
        return f"{number(factor, 'points')} × {word}"
    return f"{effect(part)}{' per unit' if part.effect.of == 'units' else ''}"


def basis(verdict: Verdict) -> str:
    """`24 mini-batches · 1 seed`: what an effect stands on."""
    return stands_on(verdict.n, verdict.of, verdict.seeds) if verdict.effect is not None else ""


def stands_on(n: int, of: str, seeds: int) -> str:
    """A count of what was counted, and the seeds."""
    one = {"mini-batches": "mini-batch"}.get(of, of.removesuffix("s"))
    return f"{words.some(n, one, of)} · {words.some(seeds, 'seed')}"


def why(verdict: Verdict) -> str:
    """Why the verdict is as it is, in one line: what each statement came to, alike ones put together."""
    if verdict.verdict == WITHDRAWN:
        return verdict.reason
    counted = [part for part in verdict.parts if part.counted]
    if verdict.verdict == NOT_MEASURED:  # the reason names what is missing, each with the command that makes it
        told = re.sub(r": `[^`]*`", "", verdict.reason)
        missing = re.split(r"Missing: |Not measured: ", told)[-1]
        return f"{'Measured in part. ' if counted else ''}Missing: {missing}"
    said: dict[str, list[str]] = {}
    for part in counted:
        said.setdefault(part.why, []).append(part.title.partition(" (")[0])
    if len(said) == 1:
        return f"{_capital(next(iter(said)))}."
    return ". ".join(f"{_capital(words.seq(titles))}: {text}" for text, titles in said.items()) + "."


def shortly(verdict: Verdict) -> str:
    """Why a claim is open, in a few words; "" for one that is not."""
    if verdict.verdict != UNDECIDED:
        return ""
    open_ = next((part.why for part in verdict.parts if part.counted and part.verdict == UNDECIDED), "")
    told = open_.partition(":")[0].replace("clear here, the way of the claim, with", "clear here, but with")
    return _capital(told.replace("clear here, the other way, with", "the other way here, but with"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def spoken(verdict: Verdict) -> str:
    """The drawing of an effect for who cannot see it."""
    part = head(verdict)
    if part is None:
        return f"{verdict.verdict}, no effect is drawn"
    paper = size(verdict.id, part.title)
    zero = number(part.rule.zero, "points") if verdict.id != "N2" else ""
    lines = [f"effect {effect(part)}, 95 % {limits(part)}", *([f"no effect {zero}"] if zero else [])]
    lines += [f"threshold {number(part.rule.least, part.unit)}"] if part.rule.least != part.rule.zero else []
    lines += [f"the paper {number(paper, part.unit)}"] if paper is not None else []
    return "; ".join(lines)


# ---- takeaways


def tally(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many there are of each verdict, in their order."""
    found = Counter(one.verdict for one in verdicts)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def takeaway(found: Found) -> str:
    """`Of 33 claims, 4 are supported, 1 contradicted, …`"""
    counts = tally(found.verdicts)
    gone = counts.pop(WITHDRAWN, 0)
    total = sum(counts.values())
    where = f"on {pickers.set_title(found.data)} with {words.some(len(found.runs), 'net')}"
    if not total - counts.get(NOT_MEASURED, 0):
        return f"**None of {words.some(total, 'claim')} can be judged yet** {where}."
    held = counts.get(SUPPORTED, 0)
    others = [f"{counts[v]} {v}" for v in (CONTRADICTED, UNDECIDED, NOT_MEASURED) if counts.get(v)]
    tail = " One more was withdrawn by its authors." if gone == 1 else ""
    verb = "is" if held == 1 else "are"
    return f"**Of {total} claims, {held or 'none'} {verb} supported**{', ' if others else ''}{words.seq(others)} {where}.{tail}"


def honest(found: Found) -> str:
    """What nets like these can show: their seeds, and their size."""
    if not found.runs:
        return "Train nets on these images, and the claims are judged on them."
    archs: dict[str, set[int]] = {}
    for run in found.runs:
        archs.setdefault(run.arch, set()).add(run.seed)
    most = max(map(len, archs.values()))
    sizes = [count(run.plan, run.image_size, run.classes)["parameters"] for run in found.runs]
    span = words.millions(min(sizes)) if min(sizes) == max(sizes) else f"{words.millions(min(sizes))} to {words.millions(max(sizes))}"
    said = [f"These nets are small ({span} parameters): what fails here fails for nets like these, not for all."]
    short = [one for one in found.by(UNDECIDED) if any("clear here" in p.why and "seed" in p.why for p in one.parts if p.counted)]
    if short:
        nets = f"{words.some(most, 'training seed')} a net at most"
        said.append(f"With {nets}, {words.some(len(short), 'claim')} that {'is' if len(short) == 1 else 'are'} clear here stay"
                    f"{'s' if len(short) == 1 else ''} undecided until three seeds agree.")  # fmt: skip
    return " ".join(said)


def opening(found: Found) -> str:
    """The takeaway of Start."""
    counts, total = tally(found.verdicts), len(found.verdicts)
    held = counts.get(SUPPORTED, 0)
    others = [f"{counts[v]} {v}{' yet' if v == NOT_MEASURED else ''}" for v in (CONTRADICTED, UNDECIDED, NOT_MEASURED) if counts.get(v)]
    if others:
        first, _, rest = others[0].partition(" ")
        others[0] = f"{first} {'is' if first == '1' else 'are'} {rest}"
    verb = "holds" if held == 1 else "hold"
    return f"On the nets shipped here, **{held or 'none'} of {total} headline claims {verb}**{', ' if others else ''}{words.seq(others)}."


def nets_said(found: Found) -> str:
    """`3 nets, seed 0`; architectures and seeds where there are several."""
    archs, seeds = {run.arch for run in found.runs}, sorted({run.seed for run in found.runs})
    many = f"{words.some(len(archs), 'net')}" + (f" × {len(seeds)} seeds" if len(seeds) > 1 else f", seed {seeds[0]}" if seeds else "")
    return many
