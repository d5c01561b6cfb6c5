"""Submit, stop and resume jobs, from any process.  What is due then is done by the dispatcher, which is started when needed."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from core import io
from core.errors import JobError, unknown
from core.jobs import engines, index, leases, processes, record, state, wake
from core.jobs.record import FORMAT, Job
from core.jobs.state import LIVE
from core.jobs.view import get, seen

#: the highest and lowest
PRIORITY = 1000
T = TypeVar("T")


def submit(
    task: str, args: dict[str, Any], *, label: str = "", dedup: str = "", priority: int = 0, needs: Sequence[str] = (), parent: str = "",
    devices: int = 1, processes: int = 1, attempts: int = 3, grace_s: float = 10.0, parts: int = 0, rows: int = 0,
) -> Job:  # fmt: skip
    """Queue a job and return at once; a living job with the same `dedup` is returned instead of a second one.

    `args["device"]` (auto if absent) is what it waits for, `devices` how many of them; `processes` share one node's work under
    torchrun.  A higher `priority` (-1000 … 1000) goes first.  `needs` are jobs that must succeed before; `parent` is the job that
    this one belongs to.  It is tried up to `attempts` times when it is killed or lost, and has `grace_s` seconds to stop.
    A task in rows (`core.jobs.shards`) may be shared: `parts` jobs compute its `rows`, and the job returned needs them all.
    Raises JobError if it cannot be queued.
    """
    asked = _asked(task, args, label, dedup, priority, needs, parent, devices, processes, attempts, grace_s)
    if not (parts == rows == 0 or 1 <= parts <= rows <= 100_000):
        raise JobError(f"{parts!r} parts for {rows!r} rows; there should be 1 to as many parts as rows, and at most 100,000 rows.")

    def queue() -> Job:
        with index.connect(write=True) as db:
            if twin := index.twin(db, dedup):
                found = index.row(db, twin)
                assert found is not None
                return found
            for name in {*needs, *([parent] if parent else [])}:
                if index.row(db, name) is None:
                    raise unknown(JobError, "job", name, record.names()[:20])
            first = index.next_seq(db)
            ids = [f"{first + n:06d}-{task}-{secrets.token_hex(3)}" for n in range(parts + 1)]
            try:
                for c, name in enumerate(ids[1:]):
                    own = {"args": {**asked["args"], "part": [c, parts]}, "label": f"{label} · part {c + 1} of {parts}", "dedup": ""}
                    _add(db, name, {**asked, **own, "seq": first + 1 + c, "parent": ids[0], "rows": 0})
                return _add(db, ids[0], {**asked, "seq": first, "needs": [*needs, *ids[1:]], "rows": rows})
            except BaseException:
                for name in ids:  # a folder without a row would be taken for a job
                    shutil.rmtree(record.root() / name, ignore_errors=True)
                raise

    record.root().mkdir(parents=True, exist_ok=True)
    if record.free() < record.FLOOR:
        raise JobError(f"The disk has {record.free() >> 20} MB left: nothing was queued. Free some space in {record.root().parent}.")
    job = _written(queue)
    wake.ensure()
    wake.ring()
    return job


def _add(db: sqlite3.Connection, name: str, asked: dict[str, Any]) -> Job:
    """Make a job's folder, which is the truth, then its row."""
    asked = {"format": FORMAT, **asked, "created": record.now()}

    def fill(aside: Path) -> None:
        io.write_json(aside / "job.json", asked)
        record.reserve(aside / "state.slot")
        (aside / "attempts").mkdir()

    io.publish_folder(record.root() / name, fill)
    index.insert(db, name, asked, state="waiting" if asked["needs"] else "queued")
    job = index.row(db, name)
    assert job is not None
    return job


def _asked(
    task: str, args: dict[str, Any], label: str, dedup: str, priority: int, needs: Sequence[str], parent: str, devices: int,
    processes: int, attempts: int, grace_s: float,
) -> dict[str, Any]:  # fmt: skip
    """What job.json will hold, checked."""
    if not re.fullmatch(r"[a-z_]{1,20}", task):
        raise JobError(f"{task[:40]!r} is not the name of a task: up to 20 lower-case letters make one.")
    _check_priority(priority)
    for name, value, top in (("devices", devices, 64), ("processes", processes, 64), ("attempts", attempts, 100)):
        if type(value) is not int or not 1 <= value <= top:
            raise JobError(f"{name} is {value!r:.40}; it should be a whole number from 1 to {top}.")
    if not 0 <= grace_s <= 3600:
        raise JobError(f"grace_s is {grace_s!r:.40}; it should be 0 to 3600 seconds.")
    try:
        args = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise JobError(f"The arguments of a job should be plain JSON: {error}.") from None
    engine = engines.setting()[0]
    device = args.get("device", "auto")
    if engine == "local" or device not in ("", "auto"):
        device = leases.canonical(device)
    return {
        "task": task, "args": args, "label": label, "dedup": dedup, "priority": priority, "device": device, "devices": devices,
        "processes": processes, "engine": "local" if device == "network" else engine, "attempts": attempts, "needs": list(needs),
        "parent": parent, "grace_s": float(grace_s),
    }  # fmt: skip


def _check_priority(priority: int) -> None:
    if type(priority) is not int or not -PRIORITY <= priority <= PRIORITY:
        raise JobError(f"The priority is {priority!r:.40}; it should be a whole number from -1000 to 1000.")


def _written(work: Callable[[], T]) -> T:
    """Do `work`; if the disk is full, give up the ballast and do it again; JobError in words if that is not enough."""
    for last in (False, True):
        try:
            return index.checked(work)
        except (OSError, JobError) as error:
            full = str(error) == index.FULL or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
            if not full:
                raise
            if last or not record.give_room():
                raise JobError(index.FULL) from error
    raise AssertionError


# ---- change


def cancel(job_id: str) -> None:
    """Ask a job and its parts to stop: one that runs saves and ends, or is ended after its grace.  An ended one stays as it is."""
    place = record.folder(job_id)

    def stop() -> None:
        with index.connect(write=True) as db:
            job = index.row(db, place.name)
            for one in [*([job] if job else []), *index.rows(db, parent=place.name)]:
                if one.state in ("waiting", "queued"):
                    settle(db, one, state.Next(state="cancelled", cause="user", reason=state.STOPPED if one.attempt else state.NEVER_BEGUN))
                elif one.state in ("starting", "running"):
                    (one.folder / "cancel").touch()
                    index.change(db, one, "cancelling")

    _written(stop)
    wake.ensure()
    wake.ring()


def settle(db: sqlite3.Connection, job: Job, due: state.Next) -> bool:
    """Record a decision about a job in the list and in its folder; whether it still was as `job` says, else nothing is recorded."""
    ended = None
    if due.state in state.ENDED:
        ended = record.ended(job.place) if job.state in state.STARTED else record.now()
    base = job.attempt - job.tries + due.free
    if not index.change(db, job, due.state, cause=due.cause, reason=due.reason, ended=ended, base=base):
        return False
    if due.state in state.ENDED or due.state == "queued":
        word = {"state": due.state, "cause": due.cause, "reason": due.reason, "attempt": job.attempt, "ended": ended}
        record.write_slot(job.folder / "state.slot", {**word, "base": base, "started": job.started})
    return True


def resume(job_id: str) -> Job:
    """Run a failed or cancelled job again, in its folder, from what it saved; its failed parts too.

    JobError if it runs, is done, or has a twin.
    """
    place = record.folder(job_id)

    def again() -> None:
        with index.connect(write=True) as db:
            job = index.row(db, place.name)
            now = seen(job).state if job else "damaged"
            if job is None or now not in ("failed", "cancelled"):
                raise JobError(f"The job {job_id} is {now}; only a failed or cancelled one can be resumed.")
            if job.state not in state.ENDED:  # seen to have ended, not recorded yet
                processes.end(job.place.absolute())  # what it left behind would keep its device, and nobody would look at it again
                settle(db, job, state.after(job.state, job.tries, job.attempts, record.seen(job.place, job.engine)))
                job = index.row(db, place.name) or job
            if twin := index.twin(db, job.dedup):
                raise JobError(f"The same work is under way already, as job {twin}.")
            stopped = {one.id: one for name in job.needs if (one := index.row(db, name)) and one.state in ("failed", "cancelled")}
            stopped |= {one.id: one for one in index.rows(db, parent=job.id) if one.state in ("failed", "cancelled")}
            for one in [*stopped.values(), job]:
                (one.folder / "cancel").unlink(missing_ok=True)
                word = {"state": "queued", "attempt": one.attempt, "base": one.attempt, "started": None}
                record.write_slot(one.folder / "state.slot", word)
                to = "waiting" if one.needs else "queued"
                index.change(db, one, to, cause="", reason="", ended=None, started=None, base=one.attempt)

    _written(again)
    wake.ensure()
    wake.ring()
    return get(job_id)


def prioritise(job_id: str, priority: int) -> None:
    """Change where a job and its parts stand in the queue: -1000 … 1000, higher first.  JobError for another number."""
    _check_priority(priority)
    place = record.folder(job_id)

    def move() -> None:
        with index.connect(write=True) as db:
            for name in [place.name, *(part.id for part in index.rows(db, parent=place.name))]:
                file = record.root() / name / "job.json"
                io.write_json(file, {**io.read_json(file), "priority": priority})
                db.execute("UPDATE job SET priority=? WHERE id=?", (priority, name))

    _written(move)
    wake.ring()


def remove(job_id: str) -> None:
    """Delete an ended job with its log and its ended parts.  What it produced stays in the run store.  JobError if it has not ended."""
    place = record.folder(job_id)
    get(job_id)  # of one that cannot be read it says so
    aside = []

    def forget() -> None:
        with index.connect(write=True) as db:
            job = index.row(db, place.name)
            found = [*index.rows(db, parent=place.name), *([job] if job else [])]
            for one in found:
                if (now := seen(one).state) in LIVE:
                    raise JobError(f"The job {job_id} {'is' if one is job else 'has a part that is'} {now}; cancel it first.")
            for one in found:
                if one.state in LIVE:  # seen to have ended, not recorded yet: nobody will look at what it left behind
                    processes.end(one.place.absolute())
                aside.append(record.root() / f".removed-{secrets.token_hex(4)}")
                with contextlib.suppress(FileNotFoundError):
                    os.rename(one.folder, aside[-1])
                index.delete(db, one.id)

    index.checked(forget)
    for folder in aside:
        shutil.rmtree(folder, ignore_errors=True)
