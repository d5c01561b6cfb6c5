"""Verdicts on the paper's claims for the chosen images: which nets are judged, and what became of each claim.

Judging reads what is stored and takes about a second, so it is done once a process for the same nets and results.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core import claims, store
from core.claims import CLAIMS, Part, Shelf, Verdict
from core.claims.nets import base, of_store
from core.claims.paper import HEADLINES
from core.claims.pictures import picture
from core.errors import LabError
from core.run import Run
from pages.ui import pickers

#: which nets are judged, by what `nets` in the address may be
NETS = {"usual": "Shipped and on stage", "stage": "On stage", "all": "All trained"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """Verdicts on claims for one set of images, in the order of the claims, and the nets that they are about."""

    data: str
    runs: tuple[Run, ...]
    verdicts: tuple[Verdict, ...]

    def by(self, verdict: str) -> list[Verdict]:
        """Those of one kind."""
        return [one for one in self.verdicts if one.verdict == verdict]


def judged(which: str = "usual", only: Sequence[str] = tuple(CLAIMS)) -> Found:
    """Verdicts for the chosen images on the nets that `which` of NETS names."""
    return _on(base(pickers.images()), _chosen(which, base(pickers.images())), only)


def headlines() -> Found:
    """The headline claims on the nets that came with the lab: of the chosen images, or of the gallery's where none is of those."""
    shown = pickers.gallery()
    data = base(shown[0].data) if shown else base(pickers.images())
    found = _on(data, [run for run in pickers.shipped() if _fit(run, data)], tuple(HEADLINES))
    return dataclasses.replace(found, verdicts=tuple(sorted(found.verdicts, key=lambda one: list(HEADLINES).index(one.id))))


def headline_pictures(found: Found) -> dict[str, str]:
    """The mini picture of each claim, by its id."""
    return _pictures(found.data, _state(found.runs), found.runs)


def ahead(only: Sequence[str] = tuple(HEADLINES)) -> None:
    """Judges what a first visitor will see, while the server starts."""
    runs = [run for run in pickers.shipped() if pickers.accuracy(run) is not None]
    if runs:
        data = base(runs[0].data)
        found = _on(data, [run for run in runs if _fit(run, data)], only)
        headline_pictures(found)


def head(verdict: Verdict) -> Part | None:
    """The statement whose effect stands for the claim: the first that counts, or that contradicts; None without a number."""
    if verdict.effect is None:
        return None
    counted = [part for part in verdict.parts if part.counted]
    return next((part for part in counted if part.effect.value == verdict.effect), None)


def _fit(run: Run, data: str) -> bool:
    return base(run.data) == data and pickers.accuracy(run) is not None and not run.outline


def _chosen(which: str, data: str) -> list[Run]:
    staged = {run.id for run in pickers.stage()}
    known = [run for run in pickers.runs() if _fit(run, data)]
    if which == "all":
        return known
    return [run for run in known if run.id in staged or (which == "usual" and store.is_shipped(run.id))]


def _on(data: str, runs: Sequence[Run], only: Sequence[str]) -> Found:
    runs = tuple(runs)
    return Found(data=data, runs=runs, verdicts=_verdicts(data, _state(runs), tuple(only), runs))


def _state(runs: Sequence[Run]) -> tuple:
    """What changes when a run gets another result: its folders' times.  To read all manifests would take a second where nets are many."""
    return tuple((run.id, *(_times(root / run.id) for root in (store.shipped_root(), store.user_root()))) for run in runs)


def _times(folder: Path) -> tuple:
    final = folder / "final.json"
    try:
        with os.scandir(folder / "results") as found:
            results = tuple(sorted((entry.name, entry.stat().st_mtime_ns) for entry in found if not entry.name.startswith(".")))
    except OSError:
        results = ()
    return (str(folder), final.stat().st_mtime_ns if final.is_file() else 0, results)


def _shelf(data: str, runs: Sequence[Run]) -> Shelf:
    nets = []
    for run in runs:
        try:
            net = of_store(run)
            if net and net.role:
                nets.append(net)
        except LabError:  # a net of letters or with files that this version cannot read plays no part
            continue
    return Shelf(data=data, nets=tuple(nets))


@st.cache_resource(max_entries=24, show_spinner=False)
def _verdicts(data: str, state: tuple, only: tuple[str, ...], _runs: Sequence[Run]) -> tuple[Verdict, ...]:
    # the nets of the parts hold every table that was read: what stays in memory goes without
    return tuple(
        dataclasses.replace(one, parts=tuple(dataclasses.replace(part, nets=()) for part in one.parts))
        for one in claims.judge_nets(_shelf(data, _runs), only)
    )


@st.cache_resource(max_entries=24, show_spinner=False)
def _pictures(data: str, state: tuple, _runs: Sequence[Run]) -> dict[str, str]:
    shelf = _shelf(data, _runs)
    return {claim_id: picture(claim_id, shelf) for claim_id in HEADLINES}
