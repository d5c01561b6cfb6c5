"""Real jobs in a data folder of their own; whatever a test leaves running is ended."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import jobs
from core.jobs import engine, record
from core.jobs.record import LIVE


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(engine, "COMMAND", [sys.executable, "-m", "tests.jobs.stand_in"])
    yield home
    for place in (record.root() / name for name in record.names()):
        engine._signal(place, signal.SIGKILL, group=True)
    for child in engine._children.copy():
        if child.poll() is None:  # one that has not signed yet
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    engine._reap()


def until(found: Callable[[], object], seconds: float = 15.0) -> float:
    """Wait until `found()` is true; returns the seconds that it took."""
    begun = time.monotonic()
    while not found():
        assert time.monotonic() - begun < seconds, f"nothing for {seconds} s; jobs: {jobs.list()}"
        time.sleep(0.005)
    return time.monotonic() - begun


def ended(job_id: str) -> jobs.Job:
    until(lambda: jobs.get(job_id).state not in LIVE)
    return jobs.get(job_id)


def running(job_id: str) -> int:
    """Wait until a job runs and has counted once; its process."""
    until(lambda: jobs.get(job_id).state == "running" and (record.root() / job_id / "count.json").exists())
    return process(job_id)


def process(job_id: str) -> int:
    until(lambda: record.load(record.root() / job_id / "worker.json").get("pid"))
    return record.load(record.root() / job_id / "worker.json")["pid"]


def there(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
