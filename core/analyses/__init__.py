"""Measurements of one trained net, one file each.  A file here that ends in an ANALYSIS is found by its name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from core import data, spec, store
from core.errors import MeasureError, unknown
from core.io import digest
from core.params import check
from core.run import Run
from core.table import Column, Measurement
from core.table import check as check_table

if TYPE_CHECKING:
    import torch

    from core.analyses._pass import Watch
    from core.models import Net

Progress = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A method.  `version` is raised when its numbers change; `card` is the module's docstring, shown on the page.

    `cost(arch, image_size, params)` is the FLOPs it needs; `supports(arch)` is "" or why it does not apply.  An analysis with a
    `watch` can share its forward pass with others that ask for the same images.  `others(params)` are the runs it compares with.
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
    others: Callable[[Any], tuple[str, ...]] = lambda _params: ()
    card: str = ""


class Subject:
    """What an analysis measures: one trained run on one device.  Nothing is loaded before it is asked for."""

    def __init__(self, run: Run, device: str = "auto", phase: str = "end") -> None:
        self.run, self.phase, self._device = run, phase, device
        self.arch = spec.parse(run.arch)
        self.spec = data.get(run.data)

    @cached_property
    def device(self) -> torch.device:
        """The device to measure on."""
        from core.train.device import resolve

        return resolve(self._device)

    @cached_property
    def net(self) -> Net:
        """The net with the weights of `phase`, in eval mode and fp32."""
        import torch

        from core.models import build
        from core.train.snapshot import load_weights

        with torch.inference_mode(False):  # whoever asks first: weights made in inference mode could never have a gradient
            net = build(self.arch, self.run.image_size, self.run.classes, seed=self.run.seed).to(self.device)
            load_weights(net, store.weights(self.run.id, self.phase))
        return net.attend("sdpa").eval()

    @cached_property
    def weights_digest(self) -> str:
        """Digest of the stored weights that are measured."""
        from core.io import digest_file

        return digest_file(store.weights(self.run.id, self.phase))

    def pictures(self, on: str = "test") -> data.Images:
        """A set of images at the net's size: its own `test` or `train` images, or the test images of another data set by its id.

        They are normalised as the net's own, whatever the set.  DataError lists the known sets.
        """
        own = data.load(self.run.data, on if on in ("test", "train") else "test", self.run.image_size)
        if on in ("test", "train"):
            return own
        if on not in data.DATASETS:  # a name from a link or a form: never a folder
            raise unknown(MeasureError, "set of images", on, ["test", "train", *data.DATASETS])
        other = data.load(on, "test", self.run.image_size)
        return dataclasses.replace(other, spec=dataclasses.replace(other.spec, mean=own.spec.mean, std=own.spec.std))

    def chunks(self, on: str, n: int, seed: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(x (size or less, 3, H, W) normalised, y) of a sample balanced over classes, the same for the same seed.

        Chunks differ by one image at most.  `n` = 0 takes all images.  Raises MeasureError if the set has fewer than `n`.
        """
        import numpy as np
        import torch

        from core.data.augment import eval_batches

        images = self.pictures(on)
        if n > len(images):
            raise MeasureError(f"{n} images are asked for; the {images.split} split of {images.spec.title} has {len(images)}.")
        indices = data.subset(images.labels, 1.0, n, seed) if n else np.arange(len(images))
        for part in np.array_split(indices, -(-len(indices) // size)):
            yield from eval_batches(images, part, len(part), self.device, torch.float32)

    def images(self, on: str, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same sample as one pair of tensors, (n, 3, H, W) and (n,)."""
        import torch

        parts = list(self.chunks(on, n, seed, 512))
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


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

    subject = Subject(store.find(run_id), device)
    asked = [_question(subject, analysis_id, params) for analysis_id, params in asks.items()]
    found = {q.analysis.id: store.load_result(run_id, q.analysis.id, q.key) for q in asked}
    todo = [q for q in asked if found[q.analysis.id] is None]
    shared: dict[tuple[Any, ...], list[_Question]] = {}
    for q in todo:
        same = (q.params.on, q.params.images, q.params.seed) if q.analysis.watch else (q.analysis.id,)
        shared.setdefault(same, []).append(q)
    for done, group in enumerate(shared.values()):
        begun = time.perf_counter()
        told = progress if len(shared) == 1 else _part(progress, done, len(shared))
        if len(group) == 1:
            measured = [group[0].analysis.measure(subject, group[0].params, told)]
        else:
            first = group[0].params
            watches = [q.analysis.watch(subject, q.params) for q in group if q.analysis.watch]
            measured = through(subject, watches, first.on, first.images, first.seed, told)
        seconds = time.perf_counter() - begun
        for q, measurement in zip(group, measured, strict=True):
            check_table(measurement.table, q.analysis.columns)
            facts = {**q.facts, "seconds": seconds, "device": str(subject.device), "together": sorted({g.analysis.id for g in group})}
            store.save_result(run_id, q.analysis.id, q.key, measurement, facts, shipped=shipped)
            found[q.analysis.id] = store.load_result(run_id, q.analysis.id, q.key)
    answers = {}
    for analysis_id, stored in found.items():
        if stored is None:
            raise MeasureError(f"The result of {analysis_id} was written but cannot be read back; is the disk full?")
        answers[analysis_id] = stored
    return answers


@dataclass(frozen=True, kw_only=True)
class _Question:
    """An analysis with its checked parameters, the key of its answer, and what the manifest says of both."""

    analysis: Analysis
    params: Any
    key: str
    facts: dict[str, Any]


def _question(subject: Subject, analysis_id: str, params: dict[str, Any]) -> _Question:
    analysis = get(analysis_id)
    if odd := sorted(set(params) - {field.name for field in dataclasses.fields(analysis.params)}):
        raise unknown(MeasureError, f"setting of {analysis_id}", odd[0], [field.name for field in dataclasses.fields(analysis.params)])
    values = analysis.params(**params)
    check(values, MeasureError)
    if reason := analysis.supports(subject.arch):
        raise MeasureError(reason)
    images = subject.pictures(getattr(values, "on", "test"))
    others = {run_id: Subject(store.find(run_id)).weights_digest for run_id in analysis.others(values)}
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
        analysis=analysis, params=values, facts=facts,
        key=store.result_key(analysis.id, analysis.version, facts["params"], weights, images.digest),
    )  # fmt: skip


def _part(progress: Progress, done: int, parts: int) -> Progress:
    """Progress of one of several passes, as a share of them all."""

    def told(step: int, total: int, message: str = "", **metrics: float) -> None:
        progress(done * total + step, parts * total, message, **metrics)

    return told
