"""A conv net in which Convs become MSAs one after the other, as long as that helps: the way to AlterNet.

The rule: from the end of the last stage on, every second Conv becomes an MSA; where accuracy no longer rises, that MSA is taken back
and the end of the stage before is tried.  Accuracies are compared image by image; a rise counts also where its interval holds 0, as in
the paper, and is then called not clear.

The paper: 82.5 % becomes 84.0 % with four MSAs (Fig. 12a).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from core import store
from core.claims.accuracy import difference
from core.claims.judge import Effect, over_seeds
from core.claims.nets import of_store
from core.presets import resolve
from core.spec import BLOCKS, Architecture, parse, write
from core.studies._family import ANSWERS, Member, Setting, Study

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
    hybrid = parse(setting.base("hybrid"))
    kept = [stage.letters for stage in parse(setting.base("conv")).stages]
    found, before = [Step(arch=setting.base("conv"))], setting.base("conv")
    stage, place = len(kept) - 1, len(kept[-1]) - 1
    while stage >= 0 and len(found) < MOST[setting.size]:
        if place < 1:  # a stage begins with a conv
            stage -= 1
            place = len(kept[stage]) - 1
            continue
        letters = [*kept[:stage], kept[stage][:place] + _msa(hybrid, stage) + kept[stage][place + 1 :], *kept[stage + 1 :]]
        arch = _net(hybrid, letters)
        rise = _rise(setting, arch, before, known)
        said = f"stage {stage + 1}, unit {place + 1}"
        if rise is None:
            return [*found, Step(arch=arch, place=said)]
        clear = "" if rise.low > 0 or rise.high < 0 else ", not clear"
        found.append(Step(arch=arch, place=said, rise=rise, verdict=f"{'kept' if rise.value > 0 else 'taken back'}{clear}"))
        if rise.value > 0:
            kept, before, place = letters, arch, place - 2
        else:
            stage -= 1
            place = len(kept[stage]) - 1
    return found


def _msa(hybrid: Architecture, stage: int) -> str:
    """The kind of MSA that the hybrid has in a stage, or in the next one that has any."""
    letters = "".join(s.letters for s in (*hybrid.stages[stage:], *hybrid.stages[:stage]))
    return next(letter for letter in letters if BLOCKS[letter].kind == "msa")


def _net(hybrid: Architecture, letters: list[str]) -> str:
    stages = tuple(replace(stage, letters=own) for stage, own in zip(hybrid.stages, letters, strict=True))
    return resolve(write(replace(hybrid, stages=stages))).notation


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
