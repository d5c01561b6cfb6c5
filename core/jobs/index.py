"""The queue and the index of jobs: one SQLite file, which can be rebuilt from the folders at any time.

Every change is a compare-and-set on (id, attempt, state), so a late or second report changes nothing.  Connections are opened for
each use: no process keeps one to a file that another has set aside.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from core.errors import JobError
from core.jobs import record
from core.jobs.record import ASKED, FORMAT, Job
from core.jobs.state import ENDED, LEGAL, LIVE

VERSION = 1
BUSY = "Another program has been changing the list of jobs for 10 s. Try again."
FULL = "The disk is full: the list of jobs could not be changed. Free some space and try again."
SCHEMA = """
CREATE TABLE job(
  id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, asked TEXT NOT NULL, priority INTEGER NOT NULL, parent TEXT NOT NULL,
  dedup TEXT NOT NULL, family TEXT NOT NULL, state TEXT NOT NULL, cause TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  place TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL DEFAULT 0, base INTEGER NOT NULL DEFAULT 0, started REAL, ended REAL);
CREATE UNIQUE INDEX job_dedup ON job(dedup) WHERE dedup <> '' AND state IN ('waiting', 'queued', 'starting', 'running', 'cancelling');
CREATE INDEX job_next ON job(state, family, priority DESC, seq);
CREATE INDEX job_parent ON job(parent);
"""
COLUMNS = "id, asked, state, cause, reason, place, attempt, base, started, ended, priority"
T = TypeVar("T")


def path() -> Path:
    """The file."""
    return record.root() / "jobs.db"


@contextlib.contextmanager
def connect(write: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection; with `write`, all that is done in it happens at once or not at all.

    A file that is damaged is set aside and made again from the folders.  Raises JobError if it stays locked, or the disk is full.
    """
    with _opened() as db:
        try:
            if write:
                db.execute("BEGIN IMMEDIATE")
            yield db
            if write:
                db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise _in_words(error) from error
            raise


def _in_words(error: sqlite3.OperationalError) -> Exception:
    """What people can do about it; or the file is damaged: a plain DatabaseError."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own: text that is none
        return sqlite3.DatabaseError("a row cannot be read")
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JobError(BUSY)
    if code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return JobError(FULL)
    if code & 0xFF == sqlite3.SQLITE_ERROR:  # tables and columns that are not ours
        return sqlite3.DatabaseError(str(error))
    return JobError(f"The list of jobs cannot be used: {error}.")


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    try:
        db = _open()
    except sqlite3.DatabaseError as error:
        rebuild(str(error))
        db = _open()
    try:
        yield db
    finally:
        db.close()


def _open() -> sqlite3.Connection:
    """Open and look at the first pages; a file without tables is filled from the folders."""
    record.root().mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path(), timeout=10.0, isolation_level=None)
    try:
        # not WAL: SQLite before 3.51.3 can damage a file in that mode
        db.executescript("PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                _fill(db)
            db.execute("COMMIT")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"jobs.db has the version {version}, not {VERSION}")
        db.execute("SELECT max(seq) FROM job").fetchone()
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise _in_words(error) from error
        raise
    return db


def _fill(db: sqlite3.Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        db.execute(statement)
    for name in reversed(record.names()):
        adopt(db, name)
    db.execute(f"PRAGMA user_version={VERSION}")


def rebuild(why: str) -> None:
    """Set the file aside and make it again from the folders; of several processes one does it."""
    with (record.root() / ".rebuild.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with contextlib.closing(_open()) as db:  # another process may have been faster
                if (said := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                    raise sqlite3.DatabaseError(said)
                rows(db)
        except sqlite3.DatabaseError:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            for name in ("jobs.db", "jobs.db-journal"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(record.root() / name, record.root() / f"{name}.damaged-{stamp}")
            _open().close()
            (record.root() / "notice").write_text(
                f"The list of jobs was damaged ({why}). It was made again from the jobs' folders; the damaged file is kept beside it.",
                encoding="utf-8",
            )


def checked(work: Callable[[], T]) -> T:
    """Do `work`, which opens connections; once more on a list made again if it turns out to be damaged on the way."""
    try:
        return work()
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        rebuild(str(error))
        return work()


def adopt(db: sqlite3.Connection, name: str) -> None:
    """Take the job of a folder into the list.  What is of another layout, or cannot be read, is left alone."""
    asked = record.load(record.root() / name / "job.json")
    if asked.get("format") != FORMAT or not asked.keys() >= set(ASKED):
        return
    said = record.read_slot(record.root() / name / "state.slot")
    numbers = record.attempt_numbers(record.root() / name)
    last = numbers[-1] if numbers else 0
    facts = {"cause": "", "reason": "", "started": None, "ended": None, "base": 0} | {
        k: said[k] for k in ("cause", "reason", "started", "ended", "base") if k in said
    }
    if said.get("state") in ENDED or (said.get("state") == "queued" and said.get("attempt") == last):
        state = said["state"]
    else:
        state = "running" if last else "waiting"
    if last:
        begun = record.load(record.root() / name / "attempts" / str(last) / "begun.json")
        facts |= {"started": begun.get("started", facts["started"]), "place": begun.get("where", "")}
    if db.execute("SELECT 1 FROM job WHERE seq=?", (asked["seq"],)).fetchone():
        asked["seq"] = next_seq(db)
    insert(db, name, asked, state=state, attempt=last, **facts)


def insert(db: sqlite3.Connection, name: str, asked: dict[str, Any], **facts: Any) -> None:
    """Add a row.  A twin of a living job loses its `dedup`: the folders say that both exist."""
    row = {
        "id": name, "seq": asked["seq"], "asked": json.dumps(asked), "priority": asked["priority"], "parent": asked["parent"],
        "dedup": asked["dedup"], "family": family(asked["engine"], asked["device"]), "state": "waiting", **facts,
    }  # fmt: skip
    if row["state"] in LIVE and twin(db, row["dedup"]):
        row["dedup"] = ""
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO job({', '.join(row)}) VALUES({marks})", tuple(row.values()))


def next_seq(db: sqlite3.Connection) -> int:
    """One more than the highest there is."""
    return 1 + (db.execute("SELECT max(seq) FROM job").fetchone()[0] or 0)


def twin(db: sqlite3.Connection, dedup: str) -> str:
    """Id of the living job that does the same; "" if there is none."""
    states = ", ".join(f"'{state}'" for state in LIVE)
    found = db.execute(f"SELECT id FROM job WHERE dedup=? AND dedup<>'' AND state IN ({states})", (dedup,)).fetchone()
    return found[0] if found else ""


def rows(db: sqlite3.Connection, states: Iterable[str] = (), parent: str = "") -> list[Job]:
    """Jobs, newest first, of these states (all if none are named), or of one parent."""
    where, values = "", tuple(states)
    if values:
        where = f" WHERE state IN ({', '.join('?' * len(values))})"
    if parent:
        where, values = " WHERE parent=?", (parent,)
    return [_job(*row) for row in db.execute(f"SELECT {COLUMNS} FROM job{where} ORDER BY seq DESC", values)]


def family(engine: str, device: str) -> str:
    """What queues in one line."""
    return f"{engine} {device}"


def first(db: sqlite3.Connection, count: int = 100) -> list[Job]:
    """The queued jobs that may start next, in order: the first of each family."""
    found = []
    for (name,) in db.execute("SELECT DISTINCT family FROM job WHERE state='queued'").fetchall():
        select = f"SELECT {COLUMNS} FROM job WHERE state='queued' AND family=? ORDER BY priority DESC, seq LIMIT ?"
        found += [_job(*row) for row in db.execute(select, (name, count))]
    return sorted(found, key=lambda job: (-job.priority, job.seq))


def row(db: sqlite3.Connection, job_id: str) -> Job | None:
    """One job."""
    found = db.execute(f"SELECT {COLUMNS} FROM job WHERE id=?", (job_id,)).fetchone()
    return _job(*found) if found else None


def _job(
    job_id: str, asked: str, state: str, cause: str, reason: str, place: str, attempt: int, base: int, started: float | None,
    ended: float | None, priority: int,
) -> Job:  # fmt: skip
    try:
        facts = json.loads(asked)
        facts = {key: facts[key] for key in ASKED} | {"priority": priority, "needs": tuple(facts["needs"])}
        tries = attempt - base
    except (ValueError, KeyError, TypeError) as error:
        raise sqlite3.DatabaseError("a row cannot be read") from error
    if not record.ID.fullmatch(job_id) or state not in LEGAL:
        raise sqlite3.DatabaseError("a row cannot be read")
    return Job(
        id=job_id, state=state, cause=cause, reason=reason, where=place, attempt=attempt, tries=tries, started=started, ended=ended,
        **facts,
    )  # fmt: skip


def states(db: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    """The states of jobs; "" for one that is gone."""
    wanted = list(ids)
    found = dict(db.execute(f"SELECT id, state FROM job WHERE id IN ({', '.join('?' * len(wanted))})", wanted).fetchall())
    return [found.get(job_id, "") for job_id in wanted]


def change(db: sqlite3.Connection, job: Job, state: str, **facts: Any) -> bool:
    """Move a job on if it still is as `job` says; whether it was.  Raises ValueError for a move that is none."""
    if state != job.state and state not in LEGAL[job.state]:
        raise ValueError(f"{job.id}: {job.state} -> {state}")
    named = {"state": state, **facts}
    if not state or (state in LIVE and job.state in ENDED and twin(db, job.dedup)):
        return False
    sets = ", ".join(f"{name}=?" for name in named)
    done = db.execute(f"UPDATE job SET {sets} WHERE id=? AND attempt=? AND state=?", (*named.values(), job.id, job.attempt, job.state))
    return done.rowcount == 1


def delete(db: sqlite3.Connection, job_id: str) -> None:
    """Forget a job."""
    db.execute("DELETE FROM job WHERE id=?", (job_id,))
