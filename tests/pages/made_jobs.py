"""Jobs in any state, written as the queue writes them, without a process."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from core import io

_SEQ = iter(range(1, 10_000))


def write(task: str, args: dict[str, Any], *, label: str = "", started: bool = True, progress: dict[str, Any] | None = None,
          end: dict[str, Any] | None = None) -> str:  # fmt: skip
    """A job's folder; with `end` it has ended so, without it looks dead unless `alive` holds it."""
    seq = next(_SEQ)
    place = io.home() / "jobs" / f"{seq:06d}-{task}-00000{seq % 10}"
    place.mkdir(parents=True)
    asked = {"seq": seq, "task": task, "args": args, "label": label, "dedup": "", "priority": 0, "device": "cpu", "created": time.time()}
    io.write_json(place / "job.json", asked)
    if started:
        io.write_json(place / "worker.json", {"attempt": 1, "started": time.time()})
    if progress:
        io.write_json(place / "progress.json", progress)
    if end:
        io.write_json(place / "exit.json", {"ended": time.time(), "result": None, "reason": "", **end})
    (place / "out.log").write_text("first line\nlast line\n")
    (place / "alive.lock").touch()
    return place.name


@contextlib.contextmanager
def alive(job_id: str) -> Iterator[None]:
    """While this lasts the job's process seems to live."""
    handle = os.open(io.home() / "jobs" / job_id / "alive.lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def history(run_id: str, accuracies: list[float], *, seconds: float = 10) -> None:
    """Learning curves of a run in the user's folder."""
    rows = [
        {
            "epoch": i,
            "step": 10 * i,
            "train_loss": 2 - a,
            "test_nll": 1 - a / 2,
            "accuracy": a,
            "ece": 0.02,
            "n_test": 1000,
            "seconds": seconds,
        }
        for i, a in enumerate(accuracies, 1)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    io.write_atomic(io.home() / "runs" / run_id / "history.jsonl", text)
