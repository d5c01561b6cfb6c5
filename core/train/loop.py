"""The training loop: a run in, weights, history and a final measurement out."""

import copy
import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import data, size
from core.data.augment import Feeder
from core.errors import MeasureError, TrainError
from core.io import digest_file, write_json
from core.jobs import Cancelled
from core.models import Net, build
from core.recipe import Recipe, from_dict
from core.run import Run
from core.store import append_history, rewrite_history, weights
from core.train import device as hardware
from core.train.evaluate import evaluate
from core.train.optim import make_optimiser, rate, sam_step, set_rate
from core.train.parallel import Team, join
from core.train.snapshot import load_point, load_weights, save_point, save_weights

#: Seconds between two looks at the losses, which wait for the device; also how soon a wish to stop is heard.
REPORT_S = 0.5


class Busy(TrainError):
    """Another process is training this run."""


class Listener(Protocol):
    """Who hears about progress and may ask to stop (a job's context, or the command line)."""

    def progress(self, step: int, total: int, message: str = "", **metrics: float) -> None:
        """Steps done of all steps."""
        ...

    def metric(self, row: dict) -> None:
        """One row of history."""
        ...

    def cancelled(self) -> bool:
        """Whether to stop after this step."""
        ...


def train(run: Run, folder: Path, listener: Listener, *, device: str = "auto", compile: bool = False) -> dict[str, Any]:
    """Train `run` in its folder and return what final.json holds; goes on from a resume point if there is one.

    The same run gives the same weights on the same device, threads and processes, interrupted or not.

    Started by torchrun it is one of several processes (parallel.py); all call this with the same arguments, the first one writes the
    files and tells the listener, any of them may be asked to stop.  The steps are those of one process up to rounding, but for two
    things: stochastic depth draws other branches, and on CPUs batch norm normalises each share by itself (on GPUs the whole batch) and
    keeps the mean of their statistics.  final.json says how many `processes` there were.

    Raises TrainError if it cannot start (Busy: it is being trained elsewhere) or the loss is not finite, Cancelled if the listener
    asked to stop (a resume point is kept), PeerLost if another process of the training is gone.
    """
    with join(hardware.resolve(device)) as team, _locked(run, folder, team):
        return _Training(run, folder, listener, team, compile).go()


@contextmanager
def _locked(run: Run, folder: Path, team: Team) -> Iterator[None]:
    """Keep other trainings out of the folder; the leading process holds the lock for all."""
    with (folder / "training.lock").open("w") as lock:
        busy = False
        try:
            if team.leads:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = True
        if team.any(busy):
            raise Busy(f"{run.id} is being trained by another process. Wait for it, or stop it.")
        yield


class _Training:
    """State of one training; only `train` makes it."""

    def __init__(self, run: Run, folder: Path, listener: Listener, team: Team, compile: bool) -> None:
        self.run, self.folder, self.listener = run, folder, listener
        self.team, self.device = team, team.device
        self.recipe: Recipe = from_dict(run.recipe)
        self.dtype = hardware.precision(self.recipe.precision, self.device)
        self.arch = run.plan
        self.images = data.normalised_for(run.plan, data.load(run.data, "train", run.image_size))
        self.test = data.normalised_for(run.plan, data.load(run.data, "test", run.image_size))
        self.indices = data.subset(self.images.labels, run.fraction, run.limit, run.seed)
        self.batch = min(self.recipe.batch, len(self.indices))
        if self.batch < 2 * team.size:
            raise TrainError(f"{self.batch} training images a step are too few; at least {2 * team.size} are needed.")
        self.share = team.share(self.batch)
        self.weight = (self.share.stop - self.share.start) / self.batch
        self.feeder = self._feeder()
        self.per_epoch = self.feeder.steps_per_epoch
        self.total = self.per_epoch * self.recipe.total_epochs
        # a run shorter than three times its warm-up still has time to come down again
        self.warm = min(self.per_epoch * self.recipe.warmup, self.total // 3)
        self.marks = {"warmup": self.warm, "third": self.total // 3, "twothirds": 2 * self.total // 3}
        self.net: Net = build(self.arch, run.image_size, run.classes, self.recipe.drop_path, seed=run.seed)
        if run.outline:  # fine-tuning
            load_weights(self.net, weights(run.origin.id))
        self.net.to(self.device)
        self.net.attend(hardware.attention_form(self.device, self.dtype))
        self.statistics: list[Tensor] = []  # of batch norm, which each process has seen its own of
        if team.size > 1 and self.device.type == "cuda":
            self.net = nn.SyncBatchNorm.convert_sync_batchnorm(self.net)
        elif team.size > 1:
            norms = [m for m in self.net.modules() if isinstance(m, nn.BatchNorm2d)]
            self.statistics = [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
        self.optimiser = make_optimiser(self.net, self.recipe, self.device)
        self.average: Net | None = copy.deepcopy(self.net).requires_grad_(False) if self.recipe.ema else None
        self.forward = torch.compile(self.net) if compile else self.net
        self.monitor = data.subset(self.test.labels, 1.0, min(len(self.test.labels), max(1000, len(self.indices) // 4)), 0)

    def _feeder(self) -> Feeder:
        r = self.recipe
        pad = r.pad if r.pad >= 0 else self.images.spec.pad
        return Feeder(
            self.images, self.indices, self.batch, pad=pad, flip=r.flip, randaugment=r.randaugment, mixup=r.mixup, cutmix=r.cutmix,
            smoothing=r.smoothing, erasing=r.erasing, seed=self.run.seed, device=self.device, dtype=torch.float32,
            # Pillow would starve a GPU; beside training on the CPU it would only take its cores
            workers=min(8, max(1, (os.cpu_count() or 2) // 2 // self.team.size)) if r.randaugment and self.device.type == "cuda" else 0,
        )  # fmt: skip

    def go(self) -> dict[str, Any]:
        """Run from the resume point, or from the start, to the end."""
        (self.folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        # nobody writes a new point before all have read this one: that takes a step, and a step takes all
        info = load_point(self.folder / "checkpoint", self.net, self.optimiser, self.average)
        step = int(info["step"]) if info else 0
        self.spent = float(info["seconds"]) if info else 0.0
        self.cpu_spent = float(info["cpu_seconds"]) if info and self.team.leads else 0.0  # added up when it is told
        self.sums = list(info["sums"]) if info else [0.0, 0]
        self.look_at = step + 1
        if self.team.leads:
            # rows after the resume point would be written twice
            rewrite_history(self.folder, keep=step // self.per_epoch)
            if step == 0:
                save_weights(self.net, self.folder / "weights" / "init.safetensors")
        self.clock, self.cpu_clock = time.perf_counter(), time.process_time()
        self.net.train()
        try:
            while step < self.total:
                step = self._epoch(step)
        finally:
            self.feeder.close()
        return self._finish()

    def _epoch(self, step: int) -> int:
        """The rest of the epoch that `step` stands in; returns the step after it."""
        epoch, first = divmod(step, self.per_epoch)
        begun, seen, pending = time.perf_counter(), 0, []
        told = begun
        for x, y in self.feeder.epoch(epoch, start_step=first):
            torch.manual_seed(hash_seed(self.run.seed, step, self.team.rank))  # stochastic depth: the same draws after a resume
            set_rate(self.optimiser, rate(step, self.warm, self.total, self.recipe.lr))
            pending.append(self._step(x[self.share], y[self.share]))
            step, seen = step + 1, seen + len(x)
            now = time.perf_counter()
            if self._due(step, now - told) or step % self.per_epoch == 0 or step in self.marks.values():
                self._plan(step, (now - told) / len(pending))
                told = now
                self._collect(pending, step, epoch)
                self._snapshot(step)  # after the look at the losses: a diverged net is no snapshot
                self._tell(step, epoch, seen / (time.perf_counter() - begun))
                if step % self.per_epoch and self.team.any(self.listener.cancelled()):
                    self._save_point(step)
                    raise Cancelled
        self._row(step, epoch, seen, time.perf_counter() - begun)
        self._save_point(step)
        if step < self.total and self.team.any(self.listener.cancelled()):
            raise Cancelled
        return step

    def _due(self, step: int, waited: float) -> bool:
        """Whether it is time to look at the losses.  Clocks differ, but all processes have to look at the same step."""
        return waited > REPORT_S if self.team.size == 1 else step >= self.look_at

    def _plan(self, step: int, pace: float) -> None:
        """At which step all processes look next: the leading one counts out REPORT_S by its `pace`, seconds a step."""
        if self.team.size > 1:
            self.look_at = step + int(self.team.number(max(1, round(REPORT_S / pace)) if self.team.leads else 0))

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        """What this process's share adds to the loss of the batch."""
        with hardware.autocast(self.device, self.dtype):
            logits = self.forward(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=0.0 if y.ndim == 2 else self.recipe.smoothing)
        # before the backward pass: batch norm over all processes mixes their gradients on the way
        return loss if self.team.size == 1 else loss * self.weight

    def _add_up(self, statistics: list[Tensor]) -> None:
        """The gradients of all shares together, and the mean of batch-norm statistics, in every process."""
        if self.team.size > 1:
            means = [t.mul_(self.weight) for t in statistics]
            self.team.add_up([p.grad for p in self.net.parameters() if p.grad is not None] + means)

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(x, y)
        loss.backward()
        self._add_up(self.statistics)
        if self.recipe.sam:
            sam_step(self.net, self.recipe.sam, lambda: self._loss(x, y))
            self._add_up([])
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimiser.step()
        if self.average is not None:
            blend(self.average, self.net, 1 - self.recipe.ema)
        return loss.detach()

    def _collect(self, pending: list[Tensor], step: int, epoch: int) -> None:
        """Add the pending losses to the epoch's sum; one wait for the device, and the check that they are finite."""
        losses = self.team.total(torch.stack(pending)).tolist()
        if not all(map(math.isfinite, losses)):
            kept = ", ".join(sorted(p.stem for p in (self.folder / "weights").glob("*.safetensors")))
            raise TrainError(
                f"The loss was no longer finite at step {step} (epoch {epoch + 1}). Kept: the curves of {epoch} whole epochs and the "
                f"snapshots {kept}. Try a lower learning rate; it was {self.recipe.lr:g}."
            )
        for loss in losses:  # one by one: the sum does not depend on when it was asked for
            self.sums[0] += loss
        self.sums[1] += len(losses)
        pending.clear()

    def _tell(self, step: int, epoch: int, speed: float) -> None:
        if self.team.leads:
            message = f"epoch {epoch + 1} of {self.recipe.total_epochs} · {speed:,.0f} images/s"
            self.listener.progress(step, self.total, message)

    def _snapshot(self, step: int) -> None:
        """Weights at the end of warm-up, one third and two thirds (needed for curvature over training, paper, Fig. 4)."""
        for phase, mark in self.marks.items():
            if step == mark > 0 and self.team.leads:
                save_weights(self._shown(), self.folder / "weights" / f"{phase}.safetensors")

    def _shown(self) -> Net:
        return self.net if self.average is None else self.average

    def _elapsed(self) -> tuple[float, float]:
        """Seconds on the wall, and on the processors of all processes."""
        now, cpu = time.perf_counter(), time.process_time()
        self.spent, self.clock = self.spent + now - self.clock, now
        self.cpu_spent, self.cpu_clock = self.cpu_spent + cpu - self.cpu_clock, cpu
        return self.spent, self.team.number(self.cpu_spent)

    def _save_point(self, step: int) -> None:
        seconds, cpu = self._elapsed()
        info = {"step": step, "seconds": seconds, "cpu_seconds": cpu, "sums": self.sums}
        if self.team.leads:
            save_point(self.folder / "checkpoint", self.net, self.optimiser, self.average, info)

    def _row(self, step: int, epoch: int, seen: int, seconds: float) -> None:
        """One line of history: the loss as optimised (soft labels, augmented images) and test scores on hard labels."""
        try:
            test = evaluate(self._shown(), self.test, self.monitor, self.device, self.dtype, team=self.team)
        except MeasureError as error:
            raise TrainError(f"After epoch {epoch + 1}: {error} Try a lower learning rate; it was {self.recipe.lr:g}.") from error
        row = {
            "epoch": epoch + 1, "step": step, "train_loss": self.sums[0] / self.sums[1], "test_nll": test["nll"],
            "accuracy": test["accuracy"], "ece": test["ece"], "n_test": test["images"], "seconds": seconds,
            "images_per_s": seen / seconds, "lr": rate(step - 1, self.warm, self.total, self.recipe.lr),
        }  # fmt: skip
        self.sums = [0.0, 0]
        if self.team.leads:
            append_history(self.folder, row)
            self.listener.metric(row)

    def _finish(self) -> dict[str, Any]:
        """Store the end weights rounded, then measure the stored file on all test images in fp32."""
        seconds, cpu = self._elapsed()
        path = self.folder / "weights" / "end.safetensors"
        if self.team.leads:
            save_weights(self._shown(), path)
            self.listener.progress(self.total, self.total, "measuring on all test images")
        self.team.any(False)  # the others wait for the file
        net = build(self.arch, self.run.image_size, self.run.classes, seed=0).to(self.device)
        load_weights(net, path)
        scores = evaluate(net.attend("sdpa"), self.test, None, self.device, torch.float32, team=self.team)
        counted = size.count(self.arch, self.run.image_size, self.run.classes)
        final = {
            **{k: scores[k] for k in ("accuracy", "nll", "ece", "brier")}, "n_test": scores["images"], "n_train": len(self.indices),
            "test_digest": self.test.digest, "train_digest": self.images.digest, "steps": self.total, "batch": self.batch,
            "seconds": seconds, "cpu_seconds": cpu, "images_per_s": self.total * self.batch / seconds, **counted,
            **hardware.describe(self.device), "processes": self.team.size, "precision": str(self.dtype).removeprefix("torch."),
            "torch": torch.__version__, "digest": digest_file(path),
        }  # fmt: skip
        if self.team.leads:
            write_json(self.folder / "final.json", final)
            for point in (self.folder / "checkpoint").glob("*.safetensors"):
                point.unlink()
        self.team.any(False)  # nobody has succeeded before all is written
        return final


@torch.no_grad()
def blend(average: Net, net: Net, share: float) -> None:
    """Move an average a `share` of the way to a net: weights and batch-norm statistics; counts are copied, masks left alone."""
    for kept, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(now, share)
        else:
            kept.copy_(now)


def hash_seed(seed: int, step: int, rank: int = 0) -> int:
    """One random seed a step, and a process: the draws of a step depend on nothing before it."""
    return int(np.random.SeedSequence([seed, step, rank] if rank else [seed, step]).generate_state(1)[0])
