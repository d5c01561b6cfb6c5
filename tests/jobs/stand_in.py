"""More tasks than the lab has: those that misbehave, and small ones that stand for long ones.  ALTERLAB_TASKS names this module."""

import dataclasses
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time

from core import io, tasks
from core.errors import TrainError
from core.jobs import Cancelled, shards


class OutOfMemoryError(RuntimeError):
    """Called like torch's, which only a GPU raises."""


def chain(args, context):
    """Hash a hash, `steps` times, saving each; the end depends on every step, and `ran.txt` says which were done."""
    saved = context.folder / "count.json"
    now = io.read_json(saved) if saved.exists() else {"count": 0, "digest": ""}
    first = now["count"]
    while now["count"] < args["steps"]:
        if context.cancelled():
            raise Cancelled
        time.sleep(args.get("delay_s", 0.0))
        step = now["count"] + 1
        with (context.folder / "ran.txt").open("a") as file:
            file.write(f"{context.attempt} {step}\n")
        now = {"count": step, "digest": hashlib.sha256(f"{now['digest']} {step}".encode()).hexdigest()}
        io.write_json(saved, now)
        context.metric({"step": step})
        context.progress(step, args["steps"], f"hashed {step} times")
    return {**now, "from": first}


def fails(args, context):
    errors = {
        "words": TrainError("The loss was no longer finite. Try a lower rate."),
        "bug": ValueError("secret detail"),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
        "memory": MemoryError(),
        "gpu": OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        "exit": SystemExit(0),
    }
    if args["how"] == "silent":
        os._exit(0)
    if args["how"] == "abort":
        os.kill(os.getpid(), signal.SIGSEGV)
    if args["how"] == "odd":
        return {"value": object()}
    raise errors[args["how"]]


def stuck(args, context):
    """Hears no request to stop, and neither do its children: one forked, which keeps the device, and one a program."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    deaf = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.setsid(); print(flush=True); time.sleep(60)"
    program = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    program.stdout.readline()
    io.write_json(context.folder / "pids.json", [os.getpid(), child, program.pid])
    while True:
        time.sleep(0.05)


def modules(args, context):
    heavy = ("torch", "numpy", "pandas", "streamlit", "altair", "timm")
    named = {k: v for k, v in os.environ.items() if "THREADS" in k or k.startswith(("CUDA_", "ALTERLAB_"))}
    return {"loaded": [name for name in heavy if name in sys.modules], "env": named}


def few(whole):
    """`data.load`, but with 500 test images instead of 10,000: the last measurement would take most of the time."""

    def load(name, split, size=None):
        images = whole(name, split, size)
        return images if split == "train" else dataclasses.replace(images, pixels=images.pixels[:500], labels=images.labels[:500])

    return load


def train_few(args, context):
    """The lab's training with a few test images."""
    from core import data

    data.load = few(data.load)
    return tasks.train(args, context)


def row(args, number, context):
    """A row of a grid: numbers whose sum depends on the order in which they are added.  `ran.txt` of the job says what was done."""
    with (context.folder / "ran.txt").open("a") as file:
        file.write(f"{context.attempt} {number}\n")
    time.sleep(args.get("delay_s", 0.0))
    import numpy as np

    values = [1 / (number * 7 + i + 3) for i in range(5)]
    return {"sums": np.array(values), "n": np.array(number)}


def together(args, rows, context):
    """Sums in row order: the last bit tells another order."""
    total, scale = 0.0, 1e16
    for arrays in rows:
        for value in arrays["sums"]:
            total, scale = total + scale * float(value), -scale / 3
    return {"total": total, "rows": [int(arrays["n"]) for arrays in rows]}


TASKS = {
    **tasks.TASKS,
    "chain": chain,
    "fails": fails,
    "stuck": stuck,
    "modules": modules,
    "train_few": train_few,
    "rows": shards.Sharded(rows=lambda args: args["rows"], row=row, reduce=together),
}
