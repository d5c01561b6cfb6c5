"""A conv net in which Convs become MSAs one after the other, as long as that helps: the way to AlterNet.

The build-up rule says which Conv is next; where accuracy no longer rises, the MSA is taken back and the stage before is tried.
Accuracies are compared image by image; a rise counts also where its interval holds 0, as in the paper, and is then called not clear.

The paper: 82.5 % becomes 84.0 % with four MSAs (Fig. 12a).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from core import store
from core.claims.accuracy import difference
from core.claims.judge import Effect, over_seeds
from core.claims.nets import of_store
from core.edit import attention_letter, set_unit
from core.rule import next_place
from core.spec import parse
from core.studies._family import ANSWERS, SIDE, Member, Setting, Study

#: Nets at most.  Origin: six are a mini study; in the full net nine are all that the rule can try.
MOST = {"mini": 6, "full": 9}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A net on the way: what was replaced, what became of it ("" while it is not trained), and by how much accuracy rose [points]."""

    arch: str
    place: str = "conv net"
    verdict: str = ""
    rise: Effect | None = None


def steps(setting: Setting) -> list[Step]:
    """The nets that are decided so far; the last one may wait to be trained."""
    known = {run.id for run in store.list_runs()}
    hybrid, before = parse(setting.base("hybrid")), setting.base("conv")
    pairs = zip(hybrid.stages, parse(before).stages, strict=True)
    kept = replace(hybrid, stages=tuple(replace(own, letters=conv.letters) for own, conv in pairs))
    found, last = [Step(arch=before)], len(kept.stages)
    while last and len(found) < MOST[setting.size]:
        place = next_place(kept, SIDE, range(last, 0, -1))
        if place is None:
            break
        tried = set_unit(kept, *place, attention_letter(hybrid, SIDE, place[0]))
        arch, said = tried.notation, f"stage {place[0]}, unit {place[1]}"
        rise = _rise(setting, arch, before, known)
        if rise is None:
            return [*found, Step(arch=arch, place=said)]
        clear = "" if rise.low > 0 or rise.high < 0 else ", not clear"
        found.append(Step(arch=arch, place=said, rise=rise, verdict=f"{'kept' if rise.value > 0 else 'taken back'}{clear}"))
        if rise.value > 0:
            kept, before, last = tried, arch, place[0]
        else:
            last = place[0] - 1
    return found


def _rise(setting: Setting, arch: str, before: str, known: set[str]) -> Effect | None:
    """Accuracy of a net minus that of the one before [points], over all seeds; None until all are trained."""
    effects = []
    for seed in range(setting.count):
        pair = [setting.run(one, seed).id for one in (arch, before)]
        finals = [store.final(run_id) for run_id in pair if run_id in known]
        if len(finals) < 2 or not all(finals):
            return None
        stored = [m["key"] for run_id in pair for analysis in ("lesion", "calibration") for m in store.list_results(run_id, analysis)]
        effects.append(_difference(*pair, state=(*(final["accuracy"] for final in finals if final), *stored)))
    return over_seeds(effects)


@lru_cache(maxsize=1024)
def _difference(one: str, other: str, state: tuple[float | str, ...]) -> Effect:
    """The difference of two runs, read again when their `state` on disk is another: a page asks for the whole way each time."""
    nets = [of_store(store.find(run_id)) for run_id in (one, other)]
    return difference(*(net for net in nets if net))


def family(setting: Setting, seed: int) -> list[Member]:
    """The conv net, then each MSA that was tried."""
    return [Member(label=f"{number}. {step.place}", x=number, run=setting.run(step.arch, seed), asks=(ANSWERS,), said=step.verdict)
            for number, step in enumerate(steps(setting))]  # fmt: skip


STUDY = Study(
    id="buildup", title="Build-up", question="How many MSAs does a conv net want, and where?", axis="Step", claims=("A3",), family=family,
    most=lambda setting: MOST[setting.size], ended=lambda setting: bool(steps(setting)[-1].verdict),
)  # fmt: skip
