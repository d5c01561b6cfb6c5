"""Tasks of the failure matrix: those that count, and those that misbehave.  Each leaves a trace, and takes a lock for its device."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.jobs import Cancelled, Context
from tests.jobs.matrix_lab import occupy, trace

Work = Callable[[dict[str, Any], Context], dict[str, Any]]


def traced(work: Work) -> Work:
    """A task with its traces."""

    def task(args: dict[str, Any], context: Context) -> dict[str, Any]:
        job, where = context.folder.name, os.environ["ALTERLAB_WHERE"]
        occupy(job, where)
        trace("start", job, where)
        (context.folder / "begun").touch()
        result = work(args, context)
        trace("end", job, where)
        return result

    return task


def count(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Count to `steps` with `delay_s` between, saving each count as a checkpoint would be: aside, then renamed."""
    saved = context.folder / "count.json"
    first = int(saved.read_text()) if saved.exists() else 0
    for step in range(first + 1, args["steps"] + 1):
        context.check()
        time.sleep(args.get("delay_s", 0.02))
        aside = context.folder / ".count"
        aside.write_text(str(step))
        os.replace(aside, saved)
        context.progress(step, args["steps"], loss=1 / step)
    return {"count": args["steps"], "from": first}


def gated(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Wait until the test lets it end."""
    while not (context.folder / "go").exists():
        context.check()
        time.sleep(0.02)
    return {}


def stuck(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Hears nothing, and neither does its child, which sits in a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    while True:
        time.sleep(0.05)


def loader(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Read batches with two processes of torch's DataLoader, for ever."""
    import torch
    from torch.utils.data import DataLoader

    data = DataLoader([torch.zeros(8) for _ in range(64)], batch_size=4, num_workers=2, persistent_workers=True)
    while True:
        for _ in data:
            context.check()
            (context.folder / "batches").touch()
            time.sleep(0.01)


def flood(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Count while it fills the disk to the last byte, slowly enough to be seen running."""
    with (context.folder / "flood").open("ab", buffering=0) as file:
        for step in range(1, 10**6):
            context.check()
            context.metric({"step": step})
            file.write(bytes(args.get("bytes", 1 << 18)))
            time.sleep(0.01)
    return {}


def gulp(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Enter a group of processes with little memory, and ask for more."""
    Path(args["group"], "cgroup.procs").write_text(str(os.getpid()))
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 20)))


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


def gpu(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """A GPU that is full."""
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def bug(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """A mistake in the work."""
    raise ValueError("secret detail")


def stops(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Says that it was stopped, though nobody asked."""
    raise Cancelled


TASKS: dict[str, Work] = {work.__name__: traced(work) for work in (count, gated, stuck, loader, flood, gulp, gpu, bug, stops)}
