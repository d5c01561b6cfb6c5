"""Measurements of one trained net, one file each.  A file here that ends in an ANALYSIS is found by its name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from core import data, spec, store
from core.errors import MeasureError, unknown
from core.params import check
from core.run import Run
from core.table import Column, Measurement
from core.table import check as check_table

if TYPE_CHECKING:
    import torch

    from core.models import Net

Progress = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A method.  `version` is raised when its numbers change; `card` is the module's docstring, shown on the page.

    `cost(arch, image_size, params)` is the FLOPs it needs; `supports(arch)` is "" or why it does not apply.
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
        from core.models import build
        from core.train.snapshot import load_weights

        net = build(self.arch, self.run.image_size, self.run.classes, seed=self.run.seed).to(self.device)
        load_weights(net, store.weights(self.run.id, self.phase))
        return net.attend("sdpa").eval()

    @cached_property
    def weights_digest(self) -> str:
        """Digest of the stored weights that are measured."""
        from core.io import digest_file

        return digest_file(store.weights(self.run.id, self.phase))

    @cached_property
    def data_digest(self) -> str:
        """Digest of the test images."""
        return data.load(self.run.data, "test", self.run.image_size).digest

    def images(self, split: str, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 3, H, W) normalised and (n,) labels: a sample balanced over classes, the same for the same seed."""
        import torch

        from core.data.augment import eval_batches

        images = data.load(self.run.data, split, self.run.image_size)
        if n > len(images.labels):
            raise MeasureError(f"{n} images are asked for; the {split} split of {self.spec.title} has {len(images.labels)}.")
        indices = data.subset(images.labels, 1.0, n, seed)
        parts = list(eval_batches(images, indices, 512, self.device, torch.float32))
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


def measure_run(
    run_id: str,
    analysis_id: str,
    params: dict[str, Any] | None = None,
    *,
    device: str = "auto",
    progress: Progress = lambda *a, **k: None,
    shipped: bool = False,
) -> store.Stored:
    """Measure a run and store the result, or return the stored one if the same question was answered before.

    Raises MeasureError if the analysis does not apply to the net; other LabErrors if run, weights or images are missing.
    """
    analysis, run = get(analysis_id), store.find(run_id)
    if odd := sorted(set(params or {}) - {field.name for field in dataclasses.fields(analysis.params)}):
        raise unknown(MeasureError, f"setting of {analysis_id}", odd[0], [field.name for field in dataclasses.fields(analysis.params)])
    values = analysis.params(**(params or {}))
    check(values, MeasureError)
    subject = Subject(run, device)
    if reason := analysis.supports(subject.arch):
        raise MeasureError(reason)
    key = store.result_key(analysis.id, analysis.version, dataclasses.asdict(values), subject.weights_digest, subject.data_digest)
    if stored := store.load_result(run_id, analysis_id, key):
        return stored
    begun = time.perf_counter()
    measurement = analysis.measure(subject, values, progress)
    check_table(measurement.table, analysis.columns)
    manifest = {
        "version": analysis.version,
        "params": dataclasses.asdict(values),
        "phase": subject.phase,
        "weights": subject.weights_digest,
        "data": run.data,
        "data_digest": subject.data_digest,
        "seconds": time.perf_counter() - begun,
        "device": str(subject.device),
    }
    store.save_result(run_id, analysis_id, key, measurement, manifest, shipped=shipped)
    stored = store.load_result(run_id, analysis_id, key)
    if stored is None:
        raise MeasureError(f"The result of {analysis_id} was written but cannot be read back; is the disk full?")
    return stored
