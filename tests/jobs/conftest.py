"""Real jobs in a data folder of their own, with leases of their own; a test that leaves a process behind fails."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import jobs
from core.jobs import leases, processes, record, wake
from core.jobs.state import LIVE


@pytest.fixture
def lab(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A queue of its own that knows the tasks of `stand_in`; all its processes are ended with the test."""
    monkeypatch.setenv("ALTERLAB_TASKS", "tests.jobs.stand_in")
    monkeypatch.setenv("ALTERLAB_LEASES", str(tmp_path / "leases"))
    monkeypatch.delenv("ALTERLAB_ENGINE", raising=False)
    yield home
    try:
        if all(job.state not in LIVE for job in jobs.list()):
            until(lambda: not of_jobs(), 3.0)  # a process without a job
    finally:
        end_all(home)
    until(lambda: all(child.poll() is not None for _, _, child in wake._children))
    wake._children.clear()


@pytest.fixture(autouse=True)
def nothing_known_of_drivers() -> Iterator[None]:
    """What one test's driver said, or has not said yet, is not the next one's."""
    yield
    for _, child in leases._late.values():
        child.kill()
        child.communicate()
    leases._late.clear()
    leases._strangers.clear()
    leases._gpus.cache_clear()
    leases._last[:] = [()]


def of_jobs() -> dict[int, str]:
    """Living processes of this lab's attempts, their parents left out."""
    return {pid: place for pid, place in processes.marked().items() if place.startswith(f"{record.root()}/")}


def of_lab(home: Path, word: str = "") -> list[int]:
    """Living processes that work in a data folder: dispatcher, parents of workers, workers, and what those started."""
    found, mark = [], f"ALTERLAB_HOME={home}".encode()
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # ended meanwhile
            place = Path("/proc", name)
            told = mark in (place / "environ").read_bytes().split(b"\0") and word.encode() in (place / "cmdline").read_bytes()
            if told and int(name) != os.getpid():
                found.append(int(name))
    return found


def end_all(home: Path) -> None:
    """Kill the dispatcher first, or it would start what is killed again; then all others."""
    for word in ("core.jobs.dispatcher", ""):
        patience = time.monotonic() + 10
        while pids := of_lab(home, word):
            assert time.monotonic() < patience, f"{pids} cannot be ended"
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def until(found: Callable[[], object], seconds: float = 20.0) -> float:
    """Wait until `found()` is true; returns the seconds that it took."""
    begun = time.monotonic()
    while not found():
        if time.monotonic() - begun > seconds:
            log = record.root() / "dispatcher.log"
            raise AssertionError(f"nothing for {seconds} s; jobs: {jobs.list()}; {log.read_text() if log.exists() else ''}")
        time.sleep(0.005)
    return time.monotonic() - begun


def ended(job_id: str, seconds: float = 30.0) -> jobs.Job:
    """Wait until a job has ended, and its processes too."""
    until(lambda: jobs.get(job_id).state not in LIVE, seconds)
    return jobs.get(job_id)


def running(job_id: str, attempt: int = 1) -> int:
    """Wait until an attempt of a job runs and has counted once; the worker's process."""
    counted = record.root() / job_id / "count.json"

    def counts() -> bool:
        job = jobs.get(job_id)
        assert job.state in LIVE, f"it has ended: {job}\n{jobs.tail(job_id)}"
        return job.state == "running" and job.attempt == attempt and counted.exists()

    until(counts, 30)
    return begun(job_id, attempt)["worker"]


def begun(job_id: str, attempt: int = 1) -> dict:
    """Wait until the worker of an attempt was started; what its parent wrote then (`pid` is the parent's, `worker` its own)."""
    path = record.root() / job_id / "attempts" / str(attempt) / "begun.json"
    until(lambda: record.load(path), 30)
    return record.load(path)


def dispatcher(home: Path) -> int:
    """Wait for the dispatcher; its process."""
    until(lambda: wake.lives() and of_lab(home, "core.jobs.dispatcher"))
    return of_lab(home, "core.jobs.dispatcher")[0]


def there(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
