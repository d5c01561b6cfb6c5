"""The one process that starts jobs and records how they end.  Elected by a file lock; anybody may start another when it is gone.

It remembers nothing that matters: after a kill the next one reads the list and the folders and goes on.
"""

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path

from core import io
from core.errors import LabError
from core.jobs import engines, index, processes, queue, record, state, wake
from core.jobs.record import Job

#: seconds without a live job after which it leaves
IDLE_S = 600.0
#: seconds between two looks: while attempts run, while jobs wait, while nothing does
LOOK_S, WAIT_S, REST_S = 0.2, 0.5, 30.0
#: attempts whose folders are kept; of older ones nothing is
KEPT_ATTEMPTS = 3
#: seconds beyond the grace after which an engine is told to end what its shepherd did not
HARD_S = 5.0


def main(idle_s: float = IDLE_S) -> int:
    """Do what is due until nothing has been for `idle_s` seconds; 1 at once if another dispatcher lives."""
    record.root().mkdir(parents=True, exist_ok=True)
    lock = _elected()
    if lock is None:
        return 1
    lab = _Dispatcher(lock, idle_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lab.leave)
    lab.run()
    return 0


def _elected(patience_s: float = 1.0) -> int | None:
    """The lock that makes us the one; asked for a second, because those who look whether one lives hold it for an instant."""
    handle = os.open(record.root() / "dispatcher.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(handle)
                return None
            time.sleep(0.01)


class _Dispatcher:
    """The loop; only `main` makes it."""

    def __init__(self, lock: int, idle_s: float) -> None:
        self.lock, self.idle_s, self.leaving = lock, idle_s, False
        self.engines: dict[str, engines.Engine] = {}
        #: when the next attempt of a job that failed may start; by the monotonic clock, so forgotten with us
        self.not_before: dict[tuple[str, int], float] = {}
        #: since when we know that an attempt should stop
        self.stopping: dict[tuple[str, int], float] = {}
        self.said: dict[str, str] = {}
        self.names: frozenset[str] = frozenset()
        self.bell = self._hang_bell()

    def leave(self, *_: object) -> None:
        """Leave after this look; if we wait, now."""
        self.leaving = True
        wake.ring()

    def _hang_bell(self) -> list[int]:
        path = record.root() / "bell"
        try:
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path)
            return [os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)]
        except OSError:
            return []  # a disk without such files: we look more often

    def run(self) -> None:
        """Look, do what is due, wait for the bell."""
        busy, first = time.monotonic(), True
        while not self.leaving and self._still_the_one():
            pause = WAIT_S
            try:
                if first:
                    self._sweep()
                    first = False
                pause = index.checked(self.look)
                record.ballast()
                if pause < REST_S:
                    busy = time.monotonic()
                elif time.monotonic() - busy > self.idle_s and index.checked(self._gave_up):
                    return
            except (LabError, OSError, sqlite3.Error) as error:
                if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or str(error) == index.FULL:
                    record.give_room()
                self._say("", f"{type(error).__name__}: {error}")
            self._wait(min(pause, self.idle_s) if self.bell else min(pause, WAIT_S))

    def _gave_up(self) -> bool:
        """Give the lock back at a moment when nobody can submit, so that whoever does so next starts another dispatcher."""
        with index.connect(write=True) as db:
            if index.rows(db, state.LIVE):
                return False
            os.close(self.lock)
        return True

    def _still_the_one(self) -> bool:
        """Whether our lock is that of this data folder: it may have been deleted, and made again with another dispatcher."""
        try:
            return os.path.samestat(os.fstat(self.lock), os.stat(record.root() / "dispatcher.lock"))
        except FileNotFoundError:
            return False

    def _wait(self, seconds: float) -> None:
        ready, _, _ = select.select(self.bell, [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.bell[0], 4096)

    def _say(self, about: str, words: str) -> None:
        """A line in our log, once for as long as it is true."""
        if self.said.get(about) != words:
            self.said[about] = words
            with contextlib.suppress(OSError):  # a full disk
                print(f"{time.strftime('%F %T')} {about} {words}", file=sys.stderr, flush=True)

    def _agree(self) -> None:
        """Take in folders that the list does not know (a submit that was killed half-way, a copied job); forget jobs without a folder."""
        if (names := frozenset(os.listdir(record.root()))) == self.names:
            return
        with index.connect(write=True) as db:  # whoever submits or removes has the list until both agree
            known, there = {job.id: job for job in index.rows(db)}, set(record.names())
            for name in there - known.keys():
                index.adopt(db, name)
            for name in known.keys() - there:
                processes.end(known[name].place)
                index.delete(db, name)
        self.names = names

    def _sweep(self) -> None:
        """End processes of attempts of this store that nobody watches any more."""
        for place in {Path(place) for place in processes.marked().values()}:
            if place.parent.parent.parent == record.root().absolute() and not record.alive(place):
                processes.end(place)

    def engine(self, name: str) -> engines.Engine:
        """An engine, made once."""
        if name not in self.engines:
            self.engines[name] = engines.engine(name)
        return self.engines[name]

    # ---- one look

    def look(self) -> float:
        """Do all that is due; returns the seconds until it is worth looking again."""
        self._agree()
        self.engine("local").poll(())  # lets go of shepherds that have ended
        with index.connect() as db:
            started, waiting = index.rows(db, state.STARTED), index.rows(db, ("waiting",))
        stands = self._stand(started)
        ended = [job for job in started if self._ended(job, stands.get(job.id, ""))]
        if waiting:
            self._release(waiting)
        with index.connect() as db:
            queued, started = index.first(db), index.rows(db, state.STARTED)
        begun = self._start_what_can(queued, started)
        return LOOK_S if begun or started else WAIT_S if queued or waiting or ended else REST_S

    def _ended(self, job: Job, stands: str) -> bool:
        """Record what has become of a started job, of which its engine says how it stands; whether its attempt is over."""
        known = self._seen(job, stands)
        due = state.after(job.state, job.tries, job.attempts, known)
        if due.state == job.state:
            words = state.UNREACHABLE if known.remote and known.lives is None else ""
            if words != job.reason:
                with index.connect(write=True) as db:
                    index.change(db, job, job.state, reason=words)
            return False
        over = due.state not in state.STARTED
        if over:
            if job.place.is_dir():
                self._clear(job)
            if due.state == "queued":
                self.not_before[job.id, job.attempt] = time.monotonic() + state.pause(job.tries)
        begun = record.load(job.place / "begun.json")
        with index.connect(write=True) as db:
            if over:
                queue.settle(db, job, due)
            else:
                index.change(db, job, due.state, started=begun.get("started"), place=begun.get("where", job.where))
        return over

    def _clear(self, job: Job) -> None:
        """End what an attempt left behind, and see its parent go: then its devices are free."""
        until = time.monotonic() + 0.5
        while job.engine == "local" and record.alive(job.place) and time.monotonic() < until:
            time.sleep(0.002)
        processes.end(job.place)

    def _stand(self, started: list[Job]) -> dict[str, str]:
        """What the engines of other machines say of their attempts, each asked once."""
        stands: dict[str, str] = {}
        for name in {job.engine for job in started} - {"local"}:
            asked = {job.place: job.id for job in started if job.engine == name}
            try:
                stands |= {asked[place]: said for place, said in self.engine(name).poll(list(asked)).items()}
            except LabError as error:
                self._say(name, str(error))
        return stands

    def _seen(self, job: Job, stands: str) -> state.Seen:
        """What is known of an attempt: its own last word, else the lock or the engine."""
        if job.engine == "local":
            if not job.place.is_dir():  # we, or another dispatcher, were stopped between claim and start
                return state.Seen(lives=False, cancel=(job.folder / "cancel").exists())
            known = record.seen(job.place)
            if known.cancel and known.lives and self._overdue(job):
                processes.end(job.place, parent=True)  # a shepherd that is frozen
            return known
        # asked after the engine: the last word may have come meanwhile
        known = record.seen(job.place, job.engine, {"pending": True, "running": True, "ended": False}.get(stands))
        if known.cancel and known.lives and known.code is None and not known.launch:
            self._stop_elsewhere(job, known.begun)
        return known

    def _overdue(self, job: Job) -> bool:
        """Whether an attempt was asked to stop so long ago that its shepherd should have ended it."""
        since = self.stopping.setdefault((job.id, job.attempt), time.monotonic())
        return time.monotonic() - since > job.grace_s + HARD_S

    def _stop_elsewhere(self, job: Job, begun: bool) -> None:
        """Stop an attempt on another machine: its shepherd sees the request itself; the engine is told too, and again in earnest."""
        overdue = self._overdue(job)
        if not begun and record.take(job.place):  # it waits in the engine's queue: now it can never begin
            record.write_slot(job.place / "exit.slot", {"code": None, "launch": "cancelled", "ended": record.now()})
        try:
            self.engine(job.engine).stop(job.place, hard=overdue)
        except LabError as error:
            self._say(job.id, str(error))

    def _release(self, waiting: list[Job]) -> None:
        """Queue the waiting jobs whose needs have succeeded; fail those whose needs have not."""
        with index.connect(write=True) as db:
            for job in waiting:
                due = state.ready(index.states(db, job.needs))
                if due.state == "queued":
                    index.change(db, job, "queued")
                elif due.state == "failed":
                    queue.settle(db, job, due)
                    for part in index.rows(db, parent=job.id):  # nobody will put these together
                        if part.state in ("waiting", "queued"):
                            queue.settle(db, part, state.Next(state="cancelled", cause="user", reason=state.NO_USE))

    # ---- starting

    def _start_what_can(self, queued: list[Job], started: list[Job]) -> int:
        """Start jobs in order.  Who cannot start keeps its claim: nobody behind it takes a device that it waits for."""
        if not queued or record.free() < record.FLOOR:
            return 0
        blocked: set[str] = set()
        count = 0
        for job in queued:
            family = index.family(job.engine, job.device)
            if family in blocked or ((job.tries or job.cause) and time.monotonic() < self.not_before.get((job.id, job.attempt), 0.0)):
                continue
            live = sum(other.engine == job.engine for other in started) + count
            try:
                claim = self.engine(job.engine).claim(job, live)
            except LabError as error:
                claim = str(error)
            if isinstance(claim, str):
                blocked.add(family)
                if claim != job.reason and (claim or not job.cause):  # why it is tried again is worth more than no words
                    with index.connect(write=True) as db:
                        index.change(db, job, "queued", reason=claim)
                continue
            try:
                count += self._start(job, claim)
            finally:
                for handle in claim.handles:
                    os.close(handle)
        return count

    def _start(self, job: Job, claim: engines.Claim) -> bool:
        """Claim the job in the list, make the attempt's folder, start its shepherd."""
        number = job.attempt + 1
        with index.connect(write=True) as db:
            if not index.change(db, job, "starting", attempt=number, cause="", reason="", place=claim.where, started=None):
                return False
        attempt = job.folder / "attempts" / str(number)
        shutil.rmtree(attempt.parent / str(number - KEPT_ATTEMPTS), ignore_errors=True)

        def fill(aside: Path) -> None:
            record.reserve(aside / "exit.slot")
            record.reserve(aside / "report.slot")

        io.publish_folder(attempt, fill)
        self.said.pop(job.id, None)
        try:
            self.engine(job.engine).start(job, attempt, claim)
        except LabError as error:  # should it have started all the same, the next attempt's folder ends it
            self._say(job.id, str(error))
            self.not_before[job.id, number] = time.monotonic() + state.pause(1)
            begun = replace(job, state="starting", attempt=number, tries=job.tries + 1)
            with index.connect(write=True) as db:
                queue.settle(db, begun, state.Next(state="queued", cause="unstarted", reason=str(error), free=True))
            return False
        return True


if __name__ == "__main__":
    sys.exit(main())
