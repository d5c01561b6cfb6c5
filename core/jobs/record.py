"""A job's folder: what was asked, what its attempts say, and what can be told from that.  The folder is the truth.

<home>/jobs/<id>/job.json       what was asked; only its priority may change
                 state.slot     the last decision: ended (how), or queued again
                 cancel         there once somebody asked to stop
                 progress.json  metrics.jsonl  shards/  and what the work keeps
                 attempts/<n>/  alive.lock  begun.json  out.log  report.slot (the worker's word)  exit.slot (its parent's)
"""

import fcntl
import json
import os
import re
import signal
import time
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import io
from core.errors import JobError, unknown
from core.jobs import processes
from core.jobs.state import Seen

ID = re.compile(r"\d{6,12}-[a-z_]{1,20}-[0-9a-f]{6}")
#: layout of the folder; one of another layout is left alone
FORMAT = 2
#: what job.json holds besides `format`
ASKED = (
    "seq", "task", "args", "label", "dedup", "priority", "device", "devices", "processes", "engine", "attempts", "needs", "parent",
    "rows", "grace_s", "created",
)  # fmt: skip
#: bytes of a slot: written in place, so that a full disk cannot refuse the last word
SLOT = 4096
#: below so many free bytes nothing is started or queued
FLOOR = 8 << 20


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

    `seq` orders jobs (the clock does not); `state` is one of `core.jobs.state`; `cause` says in a word and `reason` in plain
    words why it ended, waits or is tried again; times are seconds since 1970, only to be shown.  `device` is what it waits for
    (`devices` of them), `where` what it has; `attempt` counts all starts, `tries` those since it was last queued by hand.
    """

    id: str
    seq: int
    task: str
    args: dict[str, Any]
    label: str
    state: str
    cause: str = ""
    reason: str = ""
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    device: str = "cpu"
    devices: int = 1
    processes: int = 1
    engine: str = "local"
    where: str = ""
    priority: int = 0
    dedup: str = ""
    needs: tuple[str, ...] = ()
    parent: str = ""
    rows: int = 0
    attempt: int = 0
    tries: int = 0
    attempts: int = 3
    grace_s: float = 10.0

    @property
    def folder(self) -> Path:
        """Where everything about it lies."""
        return root() / self.id

    @property
    def place(self) -> Path:
        """The folder of its latest attempt."""
        return self.folder / "attempts" / str(self.attempt)


def root() -> Path:
    """The folder of all job folders."""
    return io.home() / "jobs"


def names() -> list[str]:
    """Ids of all jobs that have a folder, newest first."""
    if not root().is_dir():
        return []
    return sorted((n for n in os.listdir(root()) if ID.fullmatch(n)), key=lambda n: int(n.partition("-")[0]), reverse=True)


def folder(job_id: str) -> Path:
    """A job's folder.  JobError lists the known ids; a name that is none of them never becomes a path."""
    if not isinstance(job_id, str) or not ID.fullmatch(job_id) or not (root() / job_id).is_dir():
        raise unknown(JobError, "job", job_id, names()[:20])
    return root() / job_id


def attempt_numbers(job: Path) -> list[int]:
    """Numbers of the attempts that have a folder, in order."""
    try:
        return sorted(int(name) for name in os.listdir(job / "attempts") if name.isdecimal())
    except FileNotFoundError:
        return []


# ---- slots: a last word that needs no free disk


def reserve(path: Path) -> None:
    """Make an empty slot, its blocks taken."""
    with path.open("wb") as file:
        file.write(bytes(SLOT))
        file.flush()
        os.fsync(file.fileno())


def write_slot(path: Path, value: dict[str, Any]) -> None:
    """Overwrite a slot in place; texts too long for it are cut.  Torn writes are seen by their checksum."""
    for room in (3000, 1000, 200):
        body = json.dumps({k: v[:room] if isinstance(v, str) else v for k, v in value.items()}, ensure_ascii=False).encode()
        if len(body) <= SLOT - 10:
            break
    content = f"{zlib.crc32(body):08x} ".encode() + body + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(handle, content.ljust(SLOT, b"\0"), 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def read_slot(path: Path) -> dict[str, Any]:
    """What a slot holds; {} if it is empty, torn, or not there."""
    try:
        content = path.read_bytes().rstrip(b"\0").rstrip(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    mark, _, body = content.partition(b" ")
    if mark != f"{zlib.crc32(body):08x}".encode():
        return {}
    value = json.loads(body)
    return value if isinstance(value, dict) else {}


def load(path: Path) -> dict[str, Any]:
    """A JSON object, or {} where there is none that can be read."""
    try:
        value = io.read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# ---- what can be seen


def alive(attempt: Path) -> bool:
    """Whether the parent of an attempt's worker lives on this machine: it holds a lock that only its death releases."""
    try:
        handle = os.open(attempt / "alive.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    return locked(handle)


def locked(handle: int) -> bool:
    """Whether somebody holds the lock of an open file, which is closed then.

    Asks with a shared lock, so that two askers never take each other for the holder.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def hold(attempt: Path) -> int:
    """Take the lock that says an attempt's parent lives, as an open file for it to inherit."""
    handle = os.open(attempt / "alive.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(handle, fcntl.LOCK_EX)  # a reader's shared lock lasts microseconds
    return handle


def take(attempt: Path) -> bool:
    """Take an attempt, to run it or to see that nobody does; False if somebody has."""
    try:
        os.close(os.open(attempt / "taken", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def progress(job: Path) -> Progress | None:
    """What the job last said; None before the first word."""
    said = load(job / "progress.json")
    facts: dict[str, Any] = {name: said.get(name) for name in Progress.__dataclass_fields__}
    return Progress(**facts) if type(said.get("step")) is int and type(said.get("total")) is int else None


def seen(attempt: Path, engine: str = "local", lives: bool | None = None) -> Seen:
    """What can be seen of an attempt.  Here, `lives` is asked of the lock; of another engine's attempt the caller knows.

    The order matters: a parent writes the end before its lock is released.
    """
    job, remote = attempt.parent.parent, engine != "local"
    if not remote:
        lives = alive(attempt)
    over, begun = read_slot(attempt / "exit.slot"), load(attempt / "begun.json")
    code = over.get("code")
    said = progress(job)
    facts = {key: over[key] for key in ("oom", "full", "hard", "launch") if over.get(key)}
    report = read_slot(attempt / "report.slot")
    facts |= {key: report[key] for key in ("outcome", "cause", "message") if report.get(key)}
    return Seen(
        lives=lives, begun=bool(begun), cancel=(job / "cancel").exists(), code=code, remote=remote,
        signal=signal_name(-code) if code is not None and code < 0 else "",
        rebooted=begun.get("boot") not in (None, processes.boot_id()),
        said=f"It had come to step {said.step:,} of {said.total:,}." if said else "",
        moved=load(job / "progress.json").get("attempt") == int(attempt.name), **facts,
    )  # fmt: skip


def ended(attempt: Path) -> float:
    """When an attempt that is over ended: as its parent says, else now."""
    return read_slot(attempt / "exit.slot").get("ended") or now()


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@lru_cache(maxsize=4096)
def _result(path: Path, stamp: int) -> dict[str, Any] | None:
    return load(path) or None


def result(attempt: Path) -> dict[str, Any] | None:
    """What a succeeded attempt returned."""
    path = attempt / "result.json"
    try:
        return _result(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


# ---- room on the disk


def free() -> int:
    """Free bytes where jobs are kept."""
    found = os.statvfs(root() if root().exists() else io.home())
    return found.f_bavail * found.f_frsize


def ballast(size: int = 4 << 20) -> None:
    """Keep a few megabytes that can be given up when the disk is full."""
    path = root() / "ballast"
    if not path.exists() and free() > FLOOR + 4 * size:
        with path.open("wb") as file:
            file.write(bytes(size))


def give_room() -> bool:
    """Give the ballast up; whether there was one."""
    try:
        (root() / "ballast").unlink()
    except FileNotFoundError:
        return False
    return True


def usage(job: Path) -> int:
    """Bytes that a job's folder takes."""
    return sum(path.lstat().st_size for path in job.rglob("*") if path.is_file())


def now() -> float:
    """The clock on the wall, only ever shown."""
    return time.time()
