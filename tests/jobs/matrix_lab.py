"""What the failure matrix stands on: a data folder and devices of its own, and the four numbers that must stay 0."""

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import io, jobs
from core.jobs import index, leases, processes, record, wake

#: answers two questions from two files; where there is a third it fails, hangs, or says nothing of programs
TOOL = """#!/bin/sh
here=$(dirname "$0")
test -e "$here/dead" && exit 9
test -e "$here/hangs" && exec sleep 60
case "$1" in
  --query-gpu*) cat "$here/gpus" ;;
  --query-compute-apps*) test -e "$here/mute" && exit 9; cat "$here/apps" ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A data folder, the folder where tasks leave traces, and the one with the driver's tool."""

    home: Path
    traces: Path
    driver: Path

    def gpus(self, count: int) -> None:
        """Say that the machine has so many GPUs."""
        (self.driver / "gpus").write_text("".join(f"{n}, GPU-{n}-of-the-matrix, Fake {n}\n" for n in range(count)))
        leases._gpus.cache_clear()

    def apps(self, *rows: str) -> None:
        """Say which programs compute on a GPU; here they are not cached."""
        (self.driver / "apps").write_text("".join(f"{row}\n" for row in rows))
        leases._strangers.clear()

    def traced(self) -> list[list[str]]:
        """What the tasks have said: [event, job, place, process]."""
        path = self.traces / "log"
        return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []


def open_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab for one test.  At its end the matrix's numbers are looked at, then every process that is left is killed."""
    lab = Lab(home=tmp_path / "home", traces=tmp_path / "traces", driver=tmp_path / "driver")
    for place in (lab.home, lab.traces, lab.driver):
        place.mkdir()
    tool = lab.driver / "nvidia-smi"
    tool.write_text(TOOL)
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    settings = {
        "ALTERLAB_HOME": lab.home, "ALTERLAB_LEASES": tmp_path / "leases", "ALTERLAB_TASKS": "tests.jobs.matrix_tasks",
        "ALTERLAB_TRACES": lab.traces, "PATH": f"{lab.driver}:{os.environ['PATH']}", "ALTERLAB_ENGINE": "local",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    lab.gpus(0)
    lab.apps()
    try:
        yield lab
        if wrong := {name: count for name, count in numbers(lab).items() if count}:
            raise AssertionError(f"{wrong}; {stand()}")
    finally:
        sweep(tmp_path)


def numbers(lab: Lab) -> dict[str, int]:
    """Jobs lost, devices booked twice, jobs that run without a process, processes without a job that runs: all should be 0."""
    listed = {job.id: job for job in jobs.list()}
    until(lambda: not (loose(listed) or ghosts()), 5.0, fail=False)
    submitted = lab.traces / "submitted"
    known = set(submitted.read_text().split()) if submitted.exists() else set()
    return {
        "lost": len((known | set(record.names())) - listed.keys()),
        "double": sum(event == "double" for event, *_ in lab.traced()),
        "ghosts": len(ghosts()),
        "orphans": len(loose(listed)),
    }


def ghosts() -> list[str]:
    """Jobs said to be under way with no process of theirs, nor a dispatcher that is just at it."""
    return [job.id for job in jobs.list() if job.state in ("running", "cancelling") and not record.alive(job.place)]


def loose(listed: dict[str, jobs.Job]) -> list[str]:
    """Processes of attempts of this data folder whose job is not under way."""
    root = str(record.root().absolute())
    under_way = {job.id for job in jobs.list() if job.state in jobs.STARTED}
    return [place for place in processes.marked().values() if place.startswith(root) and Path(place).parents[1].name not in under_way]


# ---- processes


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; {} if it is gone."""
    try:
        pairs = (entry.decode(errors="replace").partition("=") for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
        return {name: value for name, _, value in pairs}
    except OSError:
        return {}


def there(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def named(word: str, home: Path) -> list[int]:
    """Living processes of a data folder with a word in their command, shepherds and dispatchers of it for two."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if word in command and environment(int(name)).get("ALTERLAB_HOME") == str(home) and there(int(name)):
                found.append(int(name))
    return found


def dispatchers(home: Path | None = None) -> list[int]:
    """Living dispatchers of a data folder."""
    return named("core.jobs.dispatcher", home or io.home())


def workers(job_id: str) -> list[int]:
    """Living processes of a job, other than its shepherd."""
    return [pid for pid, place in processes.marked().items() if Path(place).parents[1].name == job_id and there(pid)]


def shepherd(job: jobs.Job) -> int:
    """The parent of a job's worker."""
    return int(record.load(job.place / "begun.json")["pid"])


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Send a signal; who is gone already is no mistake."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def sweep(tmp: Path) -> None:
    """Kill all that was started for a test, known by its folders, and see it gone."""
    own = str(tmp)

    def left() -> list[int]:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return [p for p in numbers if p != os.getpid() and environment(p).get("ALTERLAB_HOME", "").startswith(own) and there(p)]

    until(lambda: not (kill(left()) or left()), 5.0)
    for _, _, child in wake._children:
        child.wait()
    wake._children.clear()


DISPATCHER = ["-S", "-E", "-m", "core.jobs.dispatcher"]


def start(command: list[str], **env: str) -> "subprocess.Popen[bytes]":
    """A program of Python in a session of its own, with settings of its own; what it says goes to the dispatcher's log."""
    record.root().mkdir(parents=True, exist_ok=True)
    with (record.root() / "dispatcher.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *command], cwd=io.CHECKOUT, env={**os.environ, **env}, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip


def stop_dispatcher() -> None:
    """Kill the dispatcher and see it gone."""
    while wake._children:  # one of them may not have its name yet
        child = wake._children.pop()[2]
        child.kill()
        child.wait()
    until(lambda: not (kill(dispatchers()) or dispatchers()))


# ---- waiting


def stand() -> str:
    """How jobs stand, and the end of the dispatcher's log, for a test that failed."""
    log = record.root() / "dispatcher.log"
    lines = [f"{job.id} {job.state} {job.cause} #{job.attempt}: {job.reason}" for job in jobs.list()]
    return "\n".join([*lines, log.read_text()[-3000:] if log.exists() else ""])


def until(found: Callable[[], object], seconds: float = 15.0, fail: bool = True) -> float:
    """Wait until `found()` is true; returns the seconds that it took."""
    begun = time.monotonic()
    while not found():
        if time.monotonic() - begun > seconds:
            assert not fail, f"nothing for {seconds} s; {stand()}"
            break
        time.sleep(0.01)
    return time.monotonic() - begun


def ended(job_id: str, seconds: float = 20.0) -> jobs.Job:
    """The job once it has ended."""
    until(lambda: jobs.get(job_id).state in jobs.ENDED, seconds)
    return jobs.get(job_id)


def running(job_id: str, seconds: float = 20.0) -> jobs.Job:
    """The job once its task has begun."""
    until(lambda: jobs.get(job_id).state == "running" and (record.root() / job_id / "begun").exists(), seconds)
    return jobs.get(job_id)


def recorded(job_id: str) -> str:
    """The state that the list has."""
    wake.ensure()
    with index.connect() as db:
        return index.states(db, [job_id])[0]


def next_try(job_id: str) -> jobs.Job:
    """The job once it is queued again; its pause is skipped, for a new dispatcher knows of none."""
    until(lambda: recorded(job_id) == "queued")  # the folder says so before the list does
    job = jobs.get(job_id)
    stop_dispatcher()
    wake.ensure()
    return job


# ---- traces of tasks


def trace(event: str, job: str, place: str) -> None:
    """Add a line to the traces, in one write."""
    with (Path(os.environ["ALTERLAB_TRACES"]) / "log").open("ab") as file:
        file.write(f"{event}\t{job}\t{place}\t{os.getpid()}\n".encode())


_probes: list[int] = []


def occupy(job: str, places: str) -> None:
    """Take a lock of the test's own for each device; if somebody has it, the device is booked twice, and the traces say so."""
    for place in places.split(", "):
        name = "".join(c if c.isalnum() else "-" for c in place)
        _probes.append(os.open(Path(os.environ["ALTERLAB_TRACES"]) / f"{name}.probe", os.O_CREAT | os.O_RDWR, 0o644))
        try:
            fcntl.flock(_probes[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            trace("double", job, place)


def starts(lab: Lab) -> Counter[str]:
    """How often each job's task began."""
    return Counter(job for event, job, *_ in lab.traced() if event == "start")


def listing() -> list[tuple[object, ...]]:
    """The list of jobs as far as it should not change when it is made again."""
    return [
        (job.id, job.seq, job.task, json.dumps(job.args), job.label, job.state, job.cause, job.reason, job.priority, job.attempt, job.tries)
        for job in jobs.list()
    ]
