"""What a report is about: the nets, the stored answers that still hold, and which of them are drawn together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from core import analyses, claims, data, presets, store
from core.claims.nets import FREE, base, of_store
from core.data import set_title
from core.errors import MeasureError, StoreError, unknown
from core.io import canonical, digest
from core.run import Run, title

#: Most nets in one figure.
TOGETHER = 4


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A net of the report: its run, what training ended with, the name and family it is shown by, and its stored answers."""

    run: Run
    final: Mapping[str, Any]
    title: str
    family: str
    results: Sequence[store.Stored] = field(default_factory=tuple)
    old: int = 0


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question (an analysis with its settings) and the answers of the nets that are drawn together; `missing` have none."""

    analysis: analyses.Analysis
    params: Mapping[str, Any]
    answers: Sequence[tuple[Reported, store.Stored]]
    missing: Sequence[Reported]


def chosen(run_ids: Sequence[str], data_id: str) -> list[Run]:
    """The runs of a report: those named, else all that came with the lab; of one set of images if one is named.

    Raises StoreError if a run is unknown or unfinished, or if none is left; DataError for an unknown set.
    """
    of = base(data.get(data_id).id) if data_id else ""
    found = [store.find(run_id) for run_id in dict.fromkeys(run_ids)]
    for run in found:
        if not store.final(run.id):
            raise StoreError(f"The run {run.id} is not trained to the end, so there is nothing to report of it yet.")
    if not run_ids:
        found = [run for run in store.list_runs() if store.is_shipped(run.id) and store.final(run.id)]
    kept = [run for run in found if not of or base(run.data) == of]
    if not kept:
        which = "these runs" if run_ids else "the shipped nets"
        raise StoreError(f"None of {which} was trained on {set_title(data_id)}." if data_id else "There is no trained net to report of.")
    order = {presets.resolve(name).notation: place for place, name in enumerate(presets.SHIPPED)}
    if run_ids:
        return kept
    return sorted(kept, key=lambda run: (base(run.data), run.fraction < 1, run.seed, order.get(run.arch, len(order))))


def nets(runs: Sequence[Run]) -> list[Reported]:
    """The runs with all that is stored of them and still holds."""
    titles = [title(run, run.arch) for run in runs]
    found = []
    for run, name in zip(runs, titles, strict=True):
        final, known = store.final(run.id) or {}, store.list_results(run.id)
        fresh = [m for m in known if holds(m, final)]
        loaded = [store.load_result(run.id, m["analysis"], m["key"]) for m in fresh]
        results = tuple(one for one in loaded if one is not None)
        name = name if titles.count(name) == 1 else f"{name} ({run.id[-4:]})"
        found.append(Reported(run=run, final=final, title=name, family=store.family(run), results=results, old=len(known) - len(results)))
    return found


def holds(manifest: Mapping[str, Any], final: Mapping[str, Any]) -> bool:
    """Whether a stored answer is whole, made by today's method, and about today's weights."""
    known, notes = analyses.catalogue().get(str(manifest.get("analysis"))), manifest.get("notes") or {}
    same = manifest.get("phase") != "end" or manifest.get("weights") in (None, final.get("digest"))
    whole = "rows" not in notes or notes["rows"] == notes.get("of")
    return known is not None and manifest.get("version") == known.version and not manifest.get("error") and same and whole


def verdicts(runs: Sequence[Run], only: Iterable[str]) -> list[claims.Verdict]:
    """The verdicts on all claims (or `only` some), set of images by set; none where no net was trained here.

    Raises MeasureError for an unknown claim.
    """
    only = tuple(only)
    if odd := sorted(set(only) - set(claims.CLAIMS)):
        raise unknown(MeasureError, "claim", odd[0], claims.CLAIMS)
    judged = [net for run in runs if (net := of_store(run))]
    return [verdict for shelf in claims.shelves(judged) for verdict in claims.judge_nets(shelf, only)]


def drawn(found: Sequence[Reported]) -> list[list[Reported]]:
    """The nets whose figures are drawn, in groups that share figures: same images, at most TOGETHER.

    Of more nets than fit in one figure, one of each architecture: the first seed.
    """
    groups: dict[Any, list[Reported]] = {}
    for net in found:
        groups.setdefault((net.run.data, net.run.fraction, net.run.limit), []).append(net)
    shown = []
    for group in groups.values():
        if len(group) > TOGETHER:
            group = list({net.run.arch: net for net in reversed(group)}.values())[::-1]
        shown += [group[i : i + TOGETHER] for i in range(0, len(group), TOGETHER)]
    return shown


def questions(group: Sequence[Reported]) -> list[Question]:
    """What the nets of a group were asked, in the order of ORDER; of one question asked twice, the answer with most images."""
    asked: dict[tuple[str, str], dict[str, store.Stored]] = {}
    for net in group:
        for one in sorted(net.results, key=_images):
            params = {name: value for name, value in one.manifest["params"].items() if name not in FREE}
            asked.setdefault((one.manifest["analysis"], digest(params)), {})[net.run.id] = one
    found = []
    for (analysis_id, _), answers in asked.items():
        held = [(net, answers[net.run.id]) for net in group if net.run.id in answers]
        analysis, first = analyses.get(analysis_id), held[0][1].manifest["params"]
        missing = [net for net in group if net.run.id not in answers and not analyses.refusal(analysis, net.run)]
        found.append(Question(analysis=analysis, params=first, answers=held, missing=missing))
    return sorted(found, key=_place)


def unasked(group: Sequence[Reported]) -> list[str]:
    """The titles of the analyses that apply to a net of the group and of which nothing is stored."""
    held = {one.manifest["analysis"] for net in group for one in net.results}
    return [a.title for a in analyses.catalogue().values()
            if a.id not in held and any(not analyses.refusal(a, net.run) for net in group)]  # fmt: skip


#: The order of the figures: the order of the app.
ORDER = ("landscape", "hessian", "density", "fourier", "variance", "cka", "attention", "receptive", "lesion", "subsets", "band_noise",
         "corruption", "adversarial", "calibration", "shape_texture")  # fmt: skip
_PHASES = ("init", "warmup", "third", "twothirds", "end")


def _place(question: Question) -> tuple[Any, ...]:
    known, phase = question.analysis.id in ORDER, question.params.get("phase", "end")
    place = ORDER.index(question.analysis.id) if known else len(ORDER)
    return place, question.analysis.id, len(unusual(question)), _PHASES.index(phase) if phase in _PHASES else 9, canonical(question.params)


def _images(one: store.Stored) -> float:
    return one.manifest["params"].get("images") or float("inf")


def unusual(question: Question) -> dict[str, Any]:
    """The settings of a question that differ from the analysis' own, but for the number of images and the phase: label -> value."""
    usual = {f.name: f for f in fields(question.analysis.params)}
    return {str(usual[name].metadata.get("label", name)): value for name, value in question.params.items()
            if name in usual and name not in (*FREE, "phase") and value != usual[name].default}  # fmt: skip
