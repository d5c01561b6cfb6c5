"""Look at jobs: as the list has them, and as their folders say now."""

from dataclasses import dataclass, replace
from typing import Any

from core.errors import JobError
from core.jobs import engines, index, leases, record, shards, state, wake
from core.jobs.record import Job
from core.jobs.state import LIVE, STARTED
from core.table import read_rows

TAIL_BYTES = 512 * 1024


def everything() -> list[Job]:
    """All jobs, newest first, as they are now."""

    def read() -> list[Job]:
        with index.connect() as db:
            return index.rows(db)

    if not record.root().is_dir():
        return []
    listed = index.checked(read)
    if any(job.state in LIVE for job in listed):  # an end that only the folder tells has to be recorded, and cleared away
        wake.ensure()
    return [seen(job) for job in listed]


def get(job_id: str) -> Job:
    """One job.  JobError lists the known ids."""
    job = _row(job_id)
    if job.state in LIVE:
        wake.ensure()
    return seen(job)


def _row(job_id: str) -> Job:
    place = record.folder(job_id)

    def read() -> Job | None:
        with index.connect() as db:
            return index.row(db, place.name)

    job = index.checked(read)
    if job is None:
        raise JobError(f"The job {job_id} is damaged: job.json cannot be read. Delete the folder {place}.")
    return job


_ended: dict[tuple[str, int, float], Job] = {}


def seen(job: Job) -> Job:
    """The job with what its folder says now: an end that nobody has recorded yet, progress, result."""
    if job.state in state.ENDED:
        key = (job.id, job.attempt, job.ended or 0.0)
        if key not in _ended:
            _ended[key] = _told(job)
        return _ended[key]
    if job.state in STARTED:
        known = record.seen(job.place, job.engine)
        if known.begun or known.code is not None or known.launch:  # else it is being started just now
            due = state.after(job.state, job.tries, job.attempts, known)
            if due.state != job.state:
                job = replace(job, state=due.state, cause=due.cause, reason=due.reason)
                if due.state in state.ENDED:
                    job = replace(job, ended=record.ended(job.place))
    if job.attempt:
        return _told(job)
    return replace(job, progress=record.Progress(step=shards.done(job.folder), total=job.rows)) if job.rows else job


def _told(job: Job) -> Job:
    begun = record.load(job.place / "begun.json")
    return replace(
        job, progress=record.progress(job.folder), result=record.result(job.place) if job.state == "succeeded" else None,
        started=begun.get("started", job.started), where=begun.get("where", job.where),
    )  # fmt: skip


def tail(job_id: str, lines: int = 200) -> str:
    """The last lines of a job's log, over its attempts; of a line that was drawn over again only what stands."""
    place = record.folder(job_id)
    parts: list[str] = []
    for number in reversed(record.attempt_numbers(place)):
        path = place / "attempts" / str(number) / "out.log"
        if path.exists():
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL_BYTES))
                parts.insert(0, file.read().decode(errors="replace"))
        if sum(part.count("\n") for part in parts) > lines:
            break
    text = "".join(part if part.endswith("\n") or part is parts[-1] else part + "\n" for part in parts)
    whole = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(whole[-lines - 1 :] if whole[-1] == "" else whole[-lines:])


def metrics(job_id: str) -> list[dict[str, Any]]:
    """The rows that a job has written, in order; each has its `attempt`."""
    return read_rows(record.folder(job_id) / "metrics.jsonl")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a job: when, where, and how it ended (`cause` as of a job; "" while it runs or if it was the last word)."""

    n: int
    started: float | None
    ended: float | None
    host: str
    code: int | None
    cause: str
    peak_bytes: int | None


def history(job_id: str) -> list[Attempt]:
    """A job's attempts, oldest first, as far as they are kept."""
    job, found = get(job_id), []
    for number in record.attempt_numbers(job.folder):
        place = job.folder / "attempts" / str(number)
        begun, over = record.load(place / "begun.json"), record.read_slot(place / "exit.slot")
        end = state.verdict(record.seen(place, job.engine, lives=False if number < job.attempt else None))
        found.append(
            Attempt(
                n=number, started=begun.get("started"), ended=over.get("ended"), host=begun.get("host", ""), code=over.get("code"),
                cause=(end.cause or end.state) if end else "", peak_bytes=over.get("peak_rss"),
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, kw_only=True)
class Place:
    """A device of this machine: its name for jobs, words, and who has it ("" if it is free, else words)."""

    id: str
    title: str
    taken: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """How the queue stands: engine and devices, bytes that jobs take and that are free, why nothing starts, and what happened."""

    engine: str
    devices: tuple[Place, ...]
    used_bytes: int
    free_bytes: int
    held: str
    notice: str


def status() -> Status:
    """How the queue stands.  Walks all folders of jobs: not for every second."""
    record.root().mkdir(parents=True, exist_ok=True)
    running = {title: job for job in everything() if job.state in STARTED for title in job.where.split(", ")}
    places = []
    for device in (*leases.devices("cpu"), *leases.gpus()):
        if device.title in running:
            taken = running[device.title].label or running[device.title].id
        else:
            taken = "another lab on this machine" if leases.held(device) else leases.stranger(device)
        places.append(Place(id=device.id, title=device.title, taken=taken))
    free, notice = record.free(), record.root() / "notice"
    return Status(
        engine=engines.setting()[0], devices=tuple(places), used_bytes=record.usage(record.root()), free_bytes=free,
        held=f"The disk has {free >> 20} MB left; jobs wait until there is more." if free < record.FLOOR else "",
        notice=notice.read_text(encoding="utf-8") if notice.exists() else "",
    )  # fmt: skip


def dismiss() -> None:
    """Take away the notice of `status`."""
    (record.root() / "notice").unlink(missing_ok=True)
