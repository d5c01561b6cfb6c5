"""Jobs in any state, in their folder and in the list, made with the queue's own functions and without a process."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from typing import Any

from core import io
from core.jobs import index, queue, record, state

#: seconds since 1970 at which made jobs begin and end
BEGAN, ENDED = 1_700_000_000.0, 1_700_000_120.0


def write(
    task: str, args: dict[str, Any], *, label: str = "", started: bool = True, progress: dict[str, Any] | None = None,
    end: dict[str, Any] | None = None, where: str = "CPU", tries: int = 1, reason: str = "", **asked: Any,
) -> str:  # fmt: skip
    """A job that runs (to the eye only while `alive` holds it), or with `end` one that has ended so; not started, it is queued."""
    facts = {
        "task": task, "args": args, "label": label, "dedup": "", "priority": 0, "device": "cpu", "devices": 1, "processes": 1,
        "engine": "local", "attempts": 3, "needs": [], "parent": "", "rows": 0, "grace_s": 10.0, "created": BEGAN, **asked,
    }  # fmt: skip
    with index.connect(write=True) as db:
        facts["seq"] = index.next_seq(db)
        name = f"{facts['seq']:06d}-{task}-{secrets.token_hex(3)}"
        place = record.root() / name
        (place / "attempts").mkdir(parents=True)
        io.write_json(place / "job.json", {"format": record.FORMAT, **facts})
        record.reserve(place / "state.slot")
        for number in range(1, tries + 1 if started else 1):
            attempt(name, number, where=where)
        if progress:
            io.write_json(place / "progress.json", progress)
        stands = "running" if started else "waiting" if facts["needs"] else "queued"
        now = {"place": where if started else "", "started": BEGAN if started else None, "reason": reason}
        index.insert(db, name, facts, state=stands, attempt=tries if started else 0, **now)
        if end:
            _end(db, name, end)
    return name


def attempt(job_id: str, number: int, *, where: str = "CPU", code: int | None = None) -> None:
    """An attempt's folder as its parent leaves it; with `code` it is over."""
    place = record.root() / job_id / "attempts" / str(number)
    place.mkdir()
    (place / "alive.lock").touch()
    for slot in ("exit.slot", "report.slot"):
        record.reserve(place / slot)
    begun = {"pid": 1, "worker": 1, "host": "this-machine", "started": BEGAN, "where": where}
    io.write_json(place / "begun.json", begun)
    (place / "out.log").write_text(f"first line\nlast line of attempt {number}\n")
    if code is not None:
        record.write_slot(place / "exit.slot", {"code": code, "ended": ENDED, "peak_rss": 800 << 20})


def _end(db: Any, job_id: str, end: dict[str, Any]) -> None:
    job = index.row(db, job_id)
    assert job is not None
    due = state.Next(state=end["state"], cause=end.get("cause", ""), reason=end.get("reason", ""))
    if job.attempt:
        code = 0 if due.state == "succeeded" else 1
        record.write_slot(job.place / "exit.slot", {"code": code, "ended": ENDED, "peak_rss": 800 << 20})
        if due.state == "succeeded":
            record.write_slot(job.place / "report.slot", {"outcome": "done"})
            io.write_json(job.place / "result.json", end.get("result") or {})
    queue.settle(db, job, due)


def finish(job_id: str, **end: Any) -> None:
    """End a job that runs or waits."""
    with index.connect(write=True) as db:
        _end(db, job_id, end)


@contextlib.contextmanager
def alive(job_id: str) -> Iterator[None]:
    """While this lasts the job's process seems to live."""
    place = record.root() / job_id / "attempts"
    handle = record.hold(place / str(record.attempt_numbers(place.parent)[-1]))
    try:
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
