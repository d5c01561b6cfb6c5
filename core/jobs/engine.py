"""Start, list, stop and resume jobs on this machine.  No server: whoever looks does what is due."""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import io
from core.errors import JobError
from core.jobs import lease, record
from core.jobs.record import LIVE, Job
from core.table import read_rows

#: what runs a job; its folder is added
COMMAND = [sys.executable, "-m", "core", "worker"]
TAIL_BYTES = 512 * 1024
_children: list[subprocess.Popen[bytes]] = []


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time changes the list of jobs.  JobError if another holds it for 10 s."""
    record.root().mkdir(parents=True, exist_ok=True)
    with (record.root() / ".lock").open("a") as file:
        _lock(file.fileno(), 10.0, "Another program has been changing the list of jobs for 10 s. Try again.")
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _lock(handle: int, patience_s: float, words: str) -> None:
    end = time.monotonic() + patience_s
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise JobError(words) from None
        time.sleep(0.005)


def submit(task: str, args: dict[str, Any], *, label: str = "", dedup: str = "", priority: int = 0) -> Job:
    """Start a job and return at once; a living job with the same `dedup` is returned instead of a second one.

    `args["device"]` (auto if absent) is what it waits for; a higher `priority` (-1000 … 1000) goes first.
    Raises JobError if it cannot be queued.
    """
    if not re.fullmatch(r"[a-z_]{1,20}", task):
        raise JobError(f"{task[:40]!r} is not the name of a task: up to 20 lower-case letters make one.")
    if type(priority) is not int or not -1000 <= priority <= 1000:
        raise JobError(f"The priority is {priority!r:.40}; it should be a whole number from -1000 to 1000.")
    try:
        args = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise JobError(f"The arguments of a job should be plain JSON: {error}.") from None
    device = lease.canonical(args.get("device", "auto"))
    with _alone():
        known = record.names()
        if dedup and (twin := next((j for j in _read(known) if j.dedup == dedup and j.state in LIVE), None)):
            return twin
        seq = 1 + (int(known[0].partition("-")[0]) if known else 0)
        place = record.root() / f"{seq:06d}-{task}-{secrets.token_hex(3)}"
        asked = {"seq": seq, "task": task, "args": args, "label": label, "dedup": dedup, "priority": priority, "device": device}
        handles: list[int] = []

        def fill(aside: Path) -> None:
            io.write_json(aside / "job.json", {**asked, "created": time.time()})
            handles.append(_hold(aside))  # before anybody can see the folder: it is never taken for dead

        try:
            io.publish_folder(place, fill)
            _launch(place, handles[0], attempt=1)
        finally:
            for handle in handles:
                os.close(handle)
    return record.read(place)


def _hold(place: Path) -> int:
    handle = os.open(place / "alive.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(handle, 3.0, f"The process of the job {place.name} is still ending. Try again in a moment.")
    except JobError:
        os.close(handle)
        raise
    return handle


def _launch(place: Path, alive: int, attempt: int) -> None:
    """Start the worker in a session of its own, with the lock that says it lives already in its hands."""
    asked = record.load(place / "job.json")
    io.write_json(place / "worker.json", {"attempt": attempt, "pid": 0, "started": None})
    if (place / "exit.json").exists():
        os.replace(place / "exit.json", place / f"exit.{attempt - 1}.json")
    lease.queue_up(asked["device"], asked["priority"], asked["seq"], place.name)  # here, so that order of submission is order of turns
    env = {**os.environ, **_threads(), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    env |= {"ALTERLAB_HOME": str(io.home().absolute()), "ALTERLAB_ALIVE_FD": str(alive)}
    _reap()
    try:
        with (place / "out.log").open("ab") as log:
            _children.append(
                subprocess.Popen(
                    [*COMMAND, str(place)], cwd=io.CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, pass_fds=(alive,),
                )
            )  # fmt: skip
    except OSError as error:
        end = {"state": "failed", "reason": f"The process could not be started: {error}.", "ended": time.time(), "result": None}
        io.write_json(place / "exit.json", end)


def _threads() -> dict[str, str]:
    """The number of CPU threads of a job, for every library that asks."""
    count = str(io.threads())
    return {f"{library}_NUM_THREADS": count for library in ("OMP", "MKL", "OPENBLAS")} | {"OMP_WAIT_POLICY": "passive"}


def _reap() -> None:
    """Let go of children that have ended (they would stay as zombies while the app lives)."""
    for child in _children.copy():
        if child.poll() is not None:
            with contextlib.suppress(ValueError):  # another thread was faster
                _children.remove(child)


def _read(ids: list[str]) -> list[Job]:
    jobs = []
    for job_id in ids:
        with contextlib.suppress(JobError):  # damaged or just removed; get() says which
            jobs.append(record.read(record.root() / job_id))
    return jobs


def everything() -> list[Job]:
    """All jobs, newest first.  Ends those that did not stop in time after they were asked to."""
    _reap()
    jobs = _read(record.names())
    for job in jobs:
        if job.state == "cancelling":
            _end_overdue(record.root() / job.id)
    return jobs


def get(job_id: str) -> Job:
    """One job.  JobError lists the known ids."""
    _reap()
    place = record.folder(job_id)
    job = record.read(place)
    if job.state == "cancelling":
        _end_overdue(place)
    return job


def _end_overdue(place: Path) -> None:
    """Kill a process group that outlived the grace.  The worker does so itself; this is for one that is frozen."""
    if _overdue(place):
        with _alone():  # nobody resumes it meanwhile
            if _overdue(place):
                _signal(place, signal.SIGKILL, group=True)


def _overdue(place: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return time.time() - (place / "cancel").stat().st_mtime > record.GRACE_S + 2.0
    return False


def _signal(place: Path, number: int, group: bool = False) -> None:
    """Signal a job's process.  The lock is asked first: while it is held the number is the process's own."""
    pid = record.load(place / "worker.json").get("pid")
    if isinstance(pid, int) and pid > 1 and record.alive(place):
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(pid, number)


def cancel(job_id: str) -> None:
    """Ask a job to stop: it saves and ends, or is ended after 10 s.  Nothing happens to one that has ended."""
    place = record.folder(job_id)
    with _alone():
        if record.read(place).state in ("waiting", "running"):
            (place / "cancel").touch()
            _signal(place, signal.SIGTERM)


def resume(job_id: str) -> Job:
    """Run a failed or cancelled job again, in its folder, from what it saved.  JobError if it runs, is done, or has a twin."""
    place = record.folder(job_id)
    with _alone():
        job = record.read(place)
        if job.state not in ("failed", "cancelled"):
            raise JobError(f"The job {job_id} is {job.state}; only a failed or cancelled one can be resumed.")
        if job.dedup and (twin := next((j for j in _read(record.names()) if j.dedup == job.dedup and j.state in LIVE), None)):
            raise JobError(f"The same work is under way already, as job {twin.id}.")
        alive = _hold(place)
        try:
            (place / "cancel").unlink(missing_ok=True)
            _launch(place, alive, job.attempt + 1)
        finally:
            os.close(alive)
    return record.read(place)


def remove(job_id: str) -> None:
    """Delete an ended job with its log.  What it produced stays in the run store.  JobError if it has not ended."""
    place = record.folder(job_id)
    with _alone():
        if (state := record.read(place).state) in LIVE:
            raise JobError(f"The job {job_id} is {state}; cancel it first.")
        aside = place.with_name(f".removed-{secrets.token_hex(4)}")
        os.rename(place, aside)
    shutil.rmtree(aside)


def tail(job_id: str, lines: int = 200) -> str:
    """The last lines of a job's log; of a line that was drawn over again only what stands."""
    path = record.folder(job_id) / "out.log"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    whole = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(whole[-lines - 1 :] if whole[-1] == "" else whole[-lines:])


def metrics(job_id: str) -> list[dict[str, Any]]:
    """The rows that a job has written, in order; each has its `attempt`."""
    return read_rows(record.folder(job_id) / "metrics.jsonl")
