"""Measurements of one trained net, one file each.  A file here that ends in an ANALYSIS is found by its name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from core import cost, data, size, spec, store
from core.analyses._rows import Arrays, Progress, Rows, in_rows, part
from core.analyses._subject import Subject
from core.errors import DataError, MeasureError, unknown
from core.io import digest
from core.outline import LEVELS, Outline
from core.params import check
from core.table import Column, Measurement
from core.table import check as check_table

if TYPE_CHECKING:
    from core.analyses._pass import Watch
    from core.run import Run

__all__ = [
    "Analysis", "Arrays", "Progress", "Rows", "Subject", "catalogue", "finish", "fitted", "get", "in_rows", "measure_run",
    "measure_together", "refusal", "row", "rows_of", "seconds", "there",
]  # fmt: skip
#: Loading torch, the net and the images before the first forward pass [s], on two ordinary cores.
START_S = 6


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A method.  `version` is raised when its numbers change; `card` is the module's docstring, shown on the page.

    `cost(arch, image_size, params)` is the FLOPs it needs; `supports(arch)` is "" or why it does not apply; `trained_on` is the image
    set, if any, that a net must have learned, and `needs` how far an imported net must have been read.  `refusal` asks all three.
    An analysis with a `watch` can share its forward pass with others that ask for the same images; one with `rows` can be shared by
    several jobs and goes on where it was stopped.  `others(params)` are the runs it compares with.
    """

    id: str
    title: str
    question: str
    version: int
    params: type
    columns: tuple[Column, ...]
    sources: tuple[str, ...]
    cost: Callable[[spec.Architecture, int, Any], float]
    supports: Callable[[spec.Architecture], str]
    measure: Callable[[Subject, Any, Progress], Measurement]
    chart: Callable[..., Any]
    watch: Callable[[Subject, Any], Watch] | None = None
    rows: Rows | None = None
    trained_on: str = ""
    needs: str = "logits"
    others: Callable[[Any], tuple[str, ...]] = lambda _params: ()
    card: str = ""


@cache
def catalogue() -> dict[str, Analysis]:
    """Every analysis by id; the id is the file's name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if analysis := getattr(module, "ANALYSIS", None):
            found[analysis.id] = dataclasses.replace(analysis, card=(module.__doc__ or "").strip())
    return found


def get(analysis_id: str) -> Analysis:
    """One analysis; MeasureError lists the known ones."""
    if analysis_id not in catalogue():
        raise unknown(MeasureError, "analysis", analysis_id, catalogue())
    return catalogue()[analysis_id]


def refusal(analysis: Analysis, run: Run) -> str:
    """Why an analysis does not apply to a run, as a sentence; "" if it does."""
    if not run.data.startswith(analysis.trained_on):
        return (
            f"{analysis.title} is asked of nets that were trained on {data.title(analysis.trained_on)}; "
            f"{run.name} was trained on {data.title(run.data)}."
        )
    plan = run.plan
    if isinstance(plan, Outline) and LEVELS.index(plan.level) > LEVELS.index(analysis.needs):
        return f"{analysis.title} does not apply to {run.name or plan.name}. {plan.why}"
    return analysis.supports(plan)


def seconds(analysis: Analysis, run: Run, params: Any) -> float | None:
    """About how long one measurement takes here [s]; None if nothing was ever timed on any machine."""
    plan, most = run.plan, there(run, params)
    if most:  # 0 asks for all
        params = dataclasses.replace(params, images=min(params.images or most, most))
    flops = size.count(plan, run.image_size, run.classes)["flops"]
    forward = cost.forward_seconds(plan, run.image_size, analysis.cost(plan, run.image_size, params) / max(flops, 1))
    return None if forward is None else START_S + forward


def there(run: Run, params: Any) -> int:
    """How many images a question about a run can be asked of; 0 if the set is not here, or a folder that would have to be listed."""
    on = getattr(params, "on", "test")
    chosen = run.data if on in ("test", "train") else on
    if chosen.startswith("folder:"):
        return 0
    try:
        images = data.get(chosen)
    except DataError:  # whoever measures is told so
        return 0
    if on != "train":
        return images.test_n
    own = round(images.train_n * run.fraction)
    return min(own, run.limit) if run.limit else own


def fitted(run: Run, params: Any) -> Any:
    """The question as the run's images can answer it: of a set that has fewer than are asked for, all are taken."""
    most = there(run, params)
    return dataclasses.replace(params, images=most) if 0 < most < params.images else params


def measure_run(run_id: str, analysis_id: str, params: dict[str, Any] | None = None, **settings: Any) -> store.Stored:
    """Measure a run and store the result, or return the stored one if the same question was answered before; see `measure_together`."""
    return measure_together(run_id, {analysis_id: params or {}}, **settings)[analysis_id]


def measure_together(
    run_id: str,
    asks: dict[str, dict[str, Any]],
    *,
    device: str = "auto",
    progress: Progress = lambda *a, **k: None,
    shipped: bool = False,
) -> dict[str, store.Stored]:
    """Several analyses of one run by id, each stored as it is done; those that can share one forward pass do.

    Raises MeasureError if an analysis does not apply to the net; other LabErrors if run, weights or images are missing.
    """
    from core.analyses._pass import through

    subjects: dict[str, Subject] = {}
    asked = [_question(run_id, analysis_id, params, device, subjects) for analysis_id, params in asks.items()]
    found = {q.analysis.id: store.load_result(run_id, q.analysis.id, q.key) for q in asked}
    todo = [q for q in asked if found[q.analysis.id] is None]
    shared: dict[tuple[Any, ...], list[_Question]] = {}
    for q in todo:
        same = (q.subject.phase, q.params.on, q.params.images, q.params.seed) if q.analysis.watch else (q.analysis.id,)
        shared.setdefault(same, []).append(q)
    for done, group in enumerate(shared.values()):
        begun = time.perf_counter()
        told = progress if len(shared) == 1 else part(progress, done, len(shared))
        subject, first = group[0].subject, group[0].params
        if len(group) == 1:
            measured = [group[0].analysis.measure(subject, first, told)]
        else:
            watches = [q.analysis.watch(subject, q.params) for q in group if q.analysis.watch]
            measured = through(subject, watches, first.on, first.images, first.seed, told)
        seconds = time.perf_counter() - begun
        for q, measurement in zip(group, measured, strict=True):
            together = sorted({g.analysis.id for g in group})
            found[q.analysis.id] = _stored(q, measurement, shipped, seconds=seconds, device=str(subject.device), together=together)
    return {analysis_id: stored for analysis_id, stored in found.items() if stored is not None}


def rows_of(run_id: str, analysis_id: str, params: dict[str, Any]) -> int:
    """How many rows a measurement has; 0 for one that is not made in rows.  Raises MeasureError for an unknown analysis."""
    analysis = get(analysis_id)
    run = store.find(run_id)
    return analysis.rows.count(run.plan, _values(analysis, run, params)) if analysis.rows else 0


def row(run_id: str, analysis_id: str, params: dict[str, Any], device: str = "auto") -> Callable[[int, Progress], Arrays]:
    """Set up an analysis in rows and return what measures one of them; raises as `measure_together` does.

    A row says on which `weights` it was measured: a job may be stopped and go on much later.
    """
    import numpy as np

    q = _question(run_id, analysis_id, params, device, {})
    if q.analysis.rows is None:
        raise MeasureError(f"{q.analysis.title} is not measured in rows.")
    measured, weights = q.analysis.rows.start(q.subject, q.params), q.subject.weights_digest

    def one(number: int, progress: Progress) -> Arrays:
        return {**measured(number, progress), "weights": np.array(weights)}

    return one


def finish(run_id: str, analysis_id: str, params: dict[str, Any], found: dict[int, Arrays], device: str = "auto") -> store.Stored:
    """Store what all rows of an analysis make; the same table and arrays as if it had been measured in one piece."""
    q = _question(run_id, analysis_id, params, device, {})
    if q.analysis.rows is None:
        raise MeasureError(f"{q.analysis.title} is not measured in rows.")
    if any(str(arrays.get("weights", "")) != q.subject.weights_digest for arrays in found.values()):
        raise MeasureError("The weights have changed since this measurement began; measure again.")
    seconds = sum(float(arrays.get("seconds", 0.0)) for arrays in found.values())
    measurement = q.analysis.rows.gather(q.subject.run, q.params, found)
    return _stored(q, measurement, False, seconds=seconds, device=str(q.subject.device), together=[analysis_id])


def _values(analysis: Analysis, run: Run, params: dict[str, Any]) -> Any:
    """The parameters, checked; only a number of images that nobody chose gives way to what there is."""
    values = analysis.params(**params)
    check(values, MeasureError)
    return values if "images" in params else fitted(run, values)


@dataclass(frozen=True, kw_only=True)
class _Question:
    """An analysis with its checked parameters, the key of its answer, and what the manifest says of both."""

    analysis: Analysis
    subject: Subject
    params: Any
    key: str
    facts: dict[str, Any]


def _question(run_id: str, analysis_id: str, params: dict[str, Any], device: str, subjects: dict[str, Subject]) -> _Question:
    """The question, checked; questions about the same weights share their subject by way of `subjects`, by phase."""
    analysis, run = get(analysis_id), store.find(run_id)
    if odd := sorted(set(params) - {field.name for field in dataclasses.fields(analysis.params)}):
        raise unknown(MeasureError, f"setting of {analysis_id}", odd[0], [field.name for field in dataclasses.fields(analysis.params)])
    values = _values(analysis, run, params)
    phase = getattr(values, "phase", "end")
    subject = subjects.setdefault(phase, Subject(run, device, phase))
    if reason := refusal(analysis, run):
        raise MeasureError(reason)
    images = subject.pictures(getattr(values, "on", "test"))
    others = {other: Subject(store.find(other)).weights_digest for other in analysis.others(values)}
    weights = digest([subject.weights_digest, *others.values()]) if others else subject.weights_digest
    facts = {
        "version": analysis.version,
        "params": dataclasses.asdict(values),
        "phase": subject.phase,
        "weights": subject.weights_digest,
        "others": others,
        "data": images.spec.id,
        "data_digest": images.digest,
    }
    return _Question(
        analysis=analysis, subject=subject, params=values, facts=facts,
        key=store.result_key(analysis.id, analysis.version, facts["params"], weights, images.digest),
    )  # fmt: skip


def _stored(q: _Question, measurement: Measurement, shipped: bool, **facts: Any) -> store.Stored:
    """A measurement as it can be read back, checked against what the analysis promised."""
    check_table(measurement.table, q.analysis.columns)
    store.save_result(q.subject.run.id, q.analysis.id, q.key, measurement, {**q.facts, **facts}, shipped=shipped)
    stored = store.load_result(q.subject.run.id, q.analysis.id, q.key)
    if stored is None:
        raise MeasureError(f"The result of {q.analysis.id} was written but cannot be read back; is the disk full?")
    return stored
