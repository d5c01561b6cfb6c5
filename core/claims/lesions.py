"""Claims about units that are switched off: which stages, and which ends of a stage, a net can least do without (paper, Figs. 10b, D.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from core.analyses import lesion
from core.claims.claim import Missing, Part, mean, part
from core.claims.judge import Effect, Rule, of_mean
from core.claims.loss import no_net
from core.claims.nets import Net, Shelf, answers, measure_command
from core.store import Stored

#: Test images of a sweep: at 2,000 a difference has a standard error of 0.3 to 1.3 points, at 10,000 of 0.14 to 0.6.  Measured before.
IMAGES = 10_000
MATTERS = Rule(sign=1, least=0.0, n=IMAGES)
#: Differences of two drops, image by image [points], by what they are of.
Stages = dict[str, np.ndarray]
#: Half of the stages have to agree, as in the paper, where not every one does.
IN_HALF = Rule(sign=1, least=0.0, share=0.5, n=IMAGES)


def sweep(found: Stored) -> tuple[pd.DataFrame, np.ndarray]:
    """The units in order, and (units, images) 100 where the net is right without the unit, 0 where wrong."""
    return lesion.whole(found.table), 100.0 * (found.arrays["predicted"][1:] == found.arrays["label"])


def starts(rows: pd.DataFrame, right: np.ndarray) -> Stages:
    """For each stage of two convs or more, image by image [points]: drop of the first that keeps the resolution minus drop of the last."""
    stages = rows[(rows["kind"] == "conv") & ~rows["resampling"]].groupby("stage")
    # a drop is the clean share minus what is right
    return {f"stage {number}": right[stage.index[-1]] - right[stage.index[0]] for number, stage in stages if len(stage) > 1}


def early(rows: pd.DataFrame, right: np.ndarray) -> Stages:
    """Mean drop of the first stage's units minus that of the last stage's, image by image [points]."""
    stages = [stage.index for _, stage in rows[(rows["kind"] == "conv") & ~rows["resampling"]].groupby("stage")]
    return {"all": right[stages[-1]].mean(0) - right[stages[0]].mean(0)} if len(stages) > 1 else {}


def ends(rows: pd.DataFrame, right: np.ndarray, kind: str, place: int) -> Stages:
    """For each stage but the first with two MSAs and two MLPs: drop of a kind's unit at `place` minus the others' mean drop [points]."""
    found = {}
    for number, stage in rows[~rows["resampling"]].groupby("stage"):
        counts = stage["kind"].value_counts()
        if number > 1 and min(counts.get("msa", 0), counts.get("mlp", 0)) >= 2:
            same = stage.index[stage["kind"] == kind]
            chosen = same[place]
            found[f"stage {number}"] = right[same[same != chosen]].mean(0) - right[chosen]
    return found


def over_stages(differences: Stages) -> Effect:
    """The mean over stages with its interval over images, and the share of stages above zero."""
    each = list(differences.values())
    return replace(of_mean(np.mean(each, axis=0)), agree=float(np.mean([d.mean() > 0 for d in each])))


def _statement(
    shelf: Shelf, role: str, title: str, rule: Rule, of: Callable[[pd.DataFrame, np.ndarray], Stages], counted: bool = True
) -> list[Part | Missing]:
    nets = [chosen[0] for chosen in shelf.together(role)]
    held: list[tuple[Net, Stages]] = []
    for net in nets:
        found = answers([(net, {})], "lesion")
        if found and (differences := of(*sweep(found[0]))):
            held.append((net, differences))
    if held:
        effects = [over_stages(differences) for _, differences in held]
        sides = {name: mean([d[name].mean() for _, d in held]) for name in held[0][1]}
        return [part(title, effects, rule, nets=[net for net, _ in held], unit="points", sides=sides, counted=counted)]
    if not counted:
        return []
    gaps = [Missing(title=f"lesions of {net.title}", command=measure_command(net, "lesion")) for net in nets
            if not answers([(net, {})], "lesion")]  # fmt: skip
    return list(gaps) or [no_net(shelf, role)]


def s2(shelf: Shelf) -> list[Part | Missing]:
    """In conv nets the beginning of a stage matters more than its end; early stages beside it."""
    return [
        *_statement(shelf, "conv", "first minus last of a stage", MATTERS, starts),
        *_statement(shelf, "conv", "first stage minus last", MATTERS, early, counted=False),
    ]


def s3(shelf: Shelf) -> list[Part | Missing]:
    """In nets like Swin the first MLP and the last MSA of a stage matter more than the others."""
    return [
        *_statement(shelf, "swin", "first MLP minus the others", IN_HALF, lambda rows, right: ends(rows, right, "mlp", 0)),
        *_statement(shelf, "swin", "last MSA minus the others", IN_HALF, lambda rows, right: ends(rows, right, "msa", -1)),
    ]
