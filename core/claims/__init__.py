"""The paper's claims, judged on stored tables alone: statistic, interval, verdict, and the run that is missing where there is none.

    judge.py      statistics and rules of a verdict          nets.py    which nets there are and which compare
    claim.py      Claim, Verdict, how statements add up      paper.py   the claims as data
    _drawn.py  pictures.py   a verdict drawn                gains.py  gain_words.py  profiles.py   two nets side by side
    loss.py  vary.py  features.py  lesions.py  noise.py  accuracy.py    the statements of each claim

Nothing here trains or measures.  A claim is judged for each set of images by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core import store
from core.claims.claim import Claim, Part, Verdict, conclude
from core.claims.judge import VERDICTS
from core.claims.nets import Net, Shelf, base, of_store
from core.claims.paper import CLAIMS, page
from core.errors import MeasureError, unknown

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Net", "Part", "Shelf", "Verdict", "judge", "judge_nets", "shelves", "to_json"]


def judge(runs: Sequence[str] = (), only: Iterable[str] = ()) -> list[Verdict]:
    """Verdicts on all claims (or `only` some) for each set of images that the runs were trained on; without runs, all finished ones.

    Raises StoreError for an unknown run, MeasureError for an unknown claim or if none of the runs is finished.
    """
    chosen = [store.find(run_id) for run_id in runs] if runs else store.list_runs()
    nets = [net for run in chosen if (net := of_store(run))]
    if runs and not nets:
        raise MeasureError("None of these runs can be judged: they are unfinished, or were imported and not trained here.")
    return [verdict for shelf in shelves(nets) for verdict in judge_nets(shelf, only)]


def judge_nets(shelf: Shelf, only: Iterable[str] = ()) -> list[Verdict]:
    """Verdicts on the nets of one set of images, in the order of CLAIMS.  MeasureError for an unknown claim."""
    wanted = set(only) or set(CLAIMS)
    if odd := sorted(wanted - set(CLAIMS)):
        raise unknown(MeasureError, "claim", odd[0], CLAIMS)
    return [conclude(claim, shelf, page) for claim in CLAIMS.values() if claim.id in wanted]


def shelves(nets: Iterable[Net]) -> list[Shelf]:
    """Nets by the set of images that theirs is a part of; those with most nets first."""
    found: dict[str, list[Net]] = {}
    for net in nets:
        found.setdefault(base(net.run.data), []).append(net)
    return [Shelf(data=data, nets=tuple(held)) for data, held in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))]


def to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its claim, as the command line hands it over; `null` where there is no number."""
    claim = CLAIMS[verdict.id]
    return {
        "id": verdict.id, "title": claim.title, "verdict": verdict.verdict, "effect": verdict.effect, "low": verdict.low,
        "high": verdict.high, "n": verdict.n, "seeds": verdict.seeds, "reason": verdict.reason, "evidence": verdict.evidence,
        "data": verdict.data, "group": claim.group, "unit": verdict.unit, "of": verdict.of, "statistic": claim.statistic,
        "expected": claim.expected, "paper": claim.paper, "threshold": claim.threshold, "origin": claim.origin, "source": claim.source,
        "sides": _numbers(verdict.sides), "runs": list(verdict.nets), "missing": list(verdict.missing),
        "parts": [{"title": part.title, "verdict": part.verdict, "effect": _number(part.effect.value), "low": _number(part.effect.low),
                   "high": _number(part.effect.high), "unit": part.unit, "n": part.effect.n, "of": part.effect.of, "seeds": part.seeds,
                   "why": part.why, "sides": _numbers(part.sides), "counted": part.counted} for part in verdict.parts],
    }  # fmt: skip


def _numbers(sides: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in sides.items()}


def _number(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
