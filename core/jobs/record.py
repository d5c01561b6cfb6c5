"""A job as it is read from its folder.  Its state is derived each time, so that it cannot be stale."""

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import io
from core.errors import JobError, unknown

ID = re.compile(r"\d{6,12}-[a-z_]{1,20}-[0-9a-f]{6}")
#: what job.json holds
ASKED = {"seq", "task", "args", "label", "dedup", "priority", "device", "created"}
LIVE = ("waiting", "running", "cancelling")
#: seconds between a polite request to stop and the hard one
GRACE_S = 10.0
HARD_STOP = f"It did not stop within {GRACE_S:.0f} s of being asked, so it was ended. Resume goes on from what it saved."


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is: steps done of `total`, steps a second (None at first), seconds left, and a line of words."""

    step: int
    total: int
    rate: float | None = None
    eta_s: float | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of background work.

    `seq` orders jobs (the clock does not); `state` is waiting, running, cancelling, succeeded, failed or cancelled;
    `reason` says in plain words why it ended as it did; times are seconds since 1970, only to be shown.
    """

    id: str
    seq: int
    task: str
    args: dict[str, Any]
    label: str
    state: str
    reason: str = ""
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    device: str = "cpu"
    priority: int = 0
    dedup: str = ""
    attempt: int = 1


def root() -> Path:
    """The folder of all job folders."""
    return io.home() / "jobs"


def names() -> list[str]:
    """Ids of all jobs, newest first."""
    if not root().is_dir():
        return []
    return sorted((n for n in os.listdir(root()) if ID.fullmatch(n)), key=lambda n: int(n.partition("-")[0]), reverse=True)


def folder(job_id: str) -> Path:
    """A job's folder.  JobError lists the known ids; a name that is none of them never becomes a path."""
    if not isinstance(job_id, str) or not ID.fullmatch(job_id) or job_id not in names():
        raise unknown(JobError, "job", job_id, names()[:20])
    return root() / job_id


def alive(place: Path) -> bool:
    """Whether the job's process lives: it holds a lock that only its death releases.

    Asks with a shared lock, so that two askers never take each other for the process.
    """
    try:
        handle = os.open(place / "alive.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def load(path: Path) -> dict[str, Any]:
    """A JSON object, or {} where there is none that can be read."""
    try:
        value = io.read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def progress(place: Path) -> Progress | None:
    """What the job last said; None before the first word."""
    said = load(place / "progress.json")
    facts: dict[str, Any] = {name: said.get(name) for name in Progress.__dataclass_fields__}
    return Progress(**facts) if "step" in said and "total" in said else None


_ended: dict[str, tuple[int, int, Job]] = {}


def read(place: Path) -> Job:
    """The job in a folder.  JobError if what was asked cannot be read."""
    try:
        end = (place / "exit.json").stat()
    except FileNotFoundError:
        return _read(place)
    known = _ended.get(str(place))
    if known is None or known[:2] != (end.st_ino, end.st_mtime_ns):  # an end does not change: read it once
        known = (end.st_ino, end.st_mtime_ns, _read(place))
        _ended[str(place)] = known
    return known[2]


def _read(place: Path) -> Job:
    asked = load(place / "job.json")
    if not asked.keys() >= ASKED:
        raise JobError(f"The job {place.name} is damaged: job.json cannot be read. Delete the folder {place}.")
    # the order matters: a process writes its end before its lock is released
    end = load(place / "exit.json")
    lives = "state" not in end and alive(place)
    if "state" not in end and not lives:
        end = load(place / "exit.json")
    worker, said = load(place / "worker.json"), progress(place)
    if lives:
        asked_to_stop = (place / "cancel").exists()
        now: dict[str, Any] = {"state": "cancelling" if asked_to_stop else "running" if worker.get("started") else "waiting"}
    else:
        now = end if "state" in end else _silent_end(place, worker, said)
    facts: dict[str, Any] = {
        **{key: asked[key] for key in ASKED},
        **{key: now[key] for key in ("state", "reason", "ended", "result") if key in now},
        **{key: worker[key] for key in ("started", "attempt") if key in worker},
    }
    return Job(id=place.name, progress=said, **facts)


def _silent_end(place: Path, worker: dict[str, Any], said: Progress | None) -> dict[str, Any]:
    """How a job ended whose process is gone without having written how."""
    marks = [p.stat().st_mtime for p in (place / n for n in ("cancel", "progress.json", "worker.json", "out.log")) if p.exists()]
    ended = max(marks, default=None)
    if (place / "cancel").exists():
        return {
            "state": "cancelled",
            "reason": "It was ended after it was asked to stop. Resume goes on from what it saved.",
            "ended": ended,
        }
    if not worker.get("started"):
        return {
            "state": "failed",
            "reason": "The process ended before its turn came; it was probably killed. Resume queues it again.",
            "ended": ended,
        }
    kept = f" It had come to step {said.step:,} of {said.total:,}." if said else ""
    reason = f"The process ended without a word; it was probably killed.{kept} Kept: its log and all it saved; Resume goes on from that."
    return {"state": "failed", "reason": reason, "ended": ended}
