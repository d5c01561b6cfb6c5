"""How long something will take on this machine, from runs that were really timed.  No torch."""

from statistics import median

from core import store
from core.presets import family
from core.run import Run
from core.spec import Architecture, count, parse

#: what a finished run has to tell to be counted
TIMING = {"flops", "steps", "batch", "threads", "cpu_seconds", "device"}
BACKWARD = 3  # a training step costs three forward passes
MONITOR = 1 / 12  # a quarter as many test images as training images an epoch, forward only


def _rate(run: Run, final: dict) -> float:
    """FLOP/s of forward passes that a run got through while training.

    One's own run counts by its wall time, which is what one waits for; a shipped one by CPU time, since its machine was shared.
    """
    if store.is_shipped(run.id):
        return final["flops"] * final["steps"] * final["batch"] * final["threads"] / final["cpu_seconds"]
    return final["flops"] * median(row["images_per_s"] for row in store.history(run.id))


def train_speed(arch: Architecture, image_size: int) -> tuple[float, str] | None:
    """(images/s, where that comes from) for training a net, scaled by FLOPs from finished runs; None without any.

    Runs of this machine count before shipped ones, those on a GPU before others, nets of the same family before others.
    """
    timed = []
    for run in store.list_runs():
        final = store.final(run.id)
        if final and final.keys() >= TIMING and (store.is_shipped(run.id) or store.history(run.id)):
            order = (not store.is_shipped(run.id), final["device"] != "cpu", family(parse(run.arch)) == family(arch))
            timed.append((order, _rate(run, final)))
    if not timed:
        return None
    best = max(order for order, _ in timed)
    rate = median(r for order, r in timed if order == best)
    source = "from runs on this machine" if best[0] else "timed with the shipped nets; this machine may differ"
    return rate / (1 + MONITOR) / count(arch, image_size, 10)["flops"], source


def forward_seconds(arch: Architecture, image_size: int, images: float) -> float | None:
    """Seconds for so many image forwards in fp32, which are about half as fast as those of bf16 training; None without a run."""
    speed = train_speed(arch, image_size)
    return None if speed is None else images / speed[0] / BACKWARD * 2
