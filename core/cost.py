"""How long something will take on this machine, from runs that were really timed.  No torch."""

from math import isfinite
from statistics import median
from typing import Any

from core import store
from core.errors import LabError
from core.presets import family
from core.run import Run
from core.size import count
from core.spec import Architecture

#: numbers that a finished run has to tell to be counted
TIMING = ("flops", "steps", "batch", "threads", "cpu_seconds")
BACKWARD = 3  # a training step costs three forward passes
MONITOR = 1 / 12  # a quarter as many test images as training images an epoch, forward only


def _counts(value: Any) -> bool:
    """Whether a number of a file can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0


def _rate(run: Run) -> tuple[float, str] | None:
    """(FLOP/s of forward passes that a run got through while training, its device); None if it is unfinished or damaged.

    One's own run counts by its wall time, which is what one waits for; a shipped one by CPU time, since its machine was shared.
    """
    try:
        final = store.final(run.id)
    except LabError:  # the pages say so where the run is shown
        return None
    if not final or "device" not in final or not all(_counts(final.get(name)) for name in TIMING):
        return None
    if store.is_shipped(run.id):
        rate = final["flops"] * final["steps"] * final["batch"] * final["threads"] / final["cpu_seconds"]
    else:
        speeds = [speed for row in store.history(run.id) if _counts(speed := row.get("images_per_s"))]
        if not speeds:
            return None
        rate = final["flops"] * median(speeds)
    return rate, final["device"]


def train_speed(arch: Architecture, image_size: int) -> tuple[float, str] | None:
    """(images/s, where that comes from) for training a net, scaled by FLOPs from finished runs; None without any.

    Runs of this machine count before shipped ones, those on a GPU before others, nets of the same family before others.
    A run whose files are damaged does not count.
    """
    timed = []
    for run in store.list_runs():
        if known := _rate(run):
            rate, device = known
            timed.append(((not store.is_shipped(run.id), device != "cpu", _family(run) == family(arch)), rate))
    if not timed:
        return None
    best = max(order for order, _ in timed)
    rate = median(r for order, r in timed if order == best)
    source = "from runs on this machine" if best[0] else "timed with the shipped nets; this machine may differ"
    return rate / (1 + MONITOR) / count(arch, image_size, 10)["flops"], source


def _family(run: Run) -> str:
    """The family of a run's net; "" for a notation that this version cannot read."""
    try:
        return family(run.plan)
    except LabError:
        return ""


def forward_seconds(arch: Architecture, image_size: int, images: float) -> float | None:
    """Seconds for so many image forwards in fp32, which are about half as fast as those of bf16 training; None without a run."""
    speed = train_speed(arch, image_size)
    return None if speed is None else images / speed[0] / BACKWARD * 2
