"""How long something will take on this machine, from runs that were really timed.  No torch."""

from statistics import median

from core import store
from core.presets import family
from core.spec import Architecture, count, parse

BACKWARD = 3  # forward and backward pass cost three forwards


def train_speed(arch: Architecture, image_size: int) -> tuple[float, str] | None:
    """(images/s, where that comes from) for training a net, scaled by FLOPs from finished runs; None without any.

    Runs of this machine count before shipped ones, nets of the same family before others.
    """
    timed = []
    for run in store.list_runs():
        final = store.final(run.id)
        if final and final.get("seconds") and final.get("device") == "cpu":
            rate = final["flops"] * final["steps"] * final["batch"] / final.get("cpu_seconds", final["seconds"])
            timed.append((not store.is_shipped(run.id), family(parse(run.arch)) == family(arch), rate))
    if not timed:
        return None
    best = max((own, same) for own, same, _ in timed)
    rate = median(r for own, same, r in timed if (own, same) == best)
    source = "from runs on this machine" if best[0] else "from the shipped runs; another machine may be faster or slower"
    return rate / count(arch, image_size, 10)["flops"], source


def train_seconds(arch: Architecture, image_size: int, images: int) -> float | None:
    """Seconds to train on so many image views; None if nothing was ever timed."""
    speed = train_speed(arch, image_size)
    return images / speed[0] if speed else None


def forward_seconds(arch: Architecture, image_size: int, images: float) -> float | None:
    """Seconds for so many image forwards in fp32 (about the cost of a bf16 training image each)."""
    seconds = train_seconds(arch, image_size, 1)
    return None if seconds is None else seconds * images / BACKWARD * 2
