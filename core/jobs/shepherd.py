"""The parent of a worker: starts it, passes on the wish to stop, ends its whole tree, and writes how it ended.

`python -S -E -m core.jobs.shepherd <attempt folder>`, the same on every engine.  Standard library only: it lives as long as the work.
"""

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from core.jobs import processes, record, wake
from core.jobs.state import STOPPED_CODE

#: seconds between two looks at the files that ask it to stop
LOOK_S = 0.2
CHECKOUT = Path(__file__).resolve().parents[2]


def main(attempt: Path) -> int:
    """Run an attempt to its end; the exit code is the worker's (128 + n for signal n), so that any engine can tell."""
    return _Shepherd(attempt).run()


def worker_command(attempt: Path, count: int) -> list[str]:
    """What does the work; several processes of one node are started by torchrun."""
    worker = ["-m", "core", "worker", str(attempt)]
    if count > 1:
        worker = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *worker]
    return [sys.executable, *worker]


class _Shepherd:
    """One attempt; only `main` makes it."""

    def __init__(self, attempt: Path) -> None:
        self.attempt, self.job = attempt, attempt.parent.parent
        self.next = attempt.parent / str(int(attempt.name) + 1)
        self.asked = record.load(self.job / "job.json")
        self.told_to_stop = False
        self.hard = 0.0
        self.parent = os.getppid()
        self.tied = os.environ.get("ALTERLAB_TIED") == "1"

    def run(self) -> int:
        if not self._first():
            return STOPPED_CODE
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, self._told)
        processes.adopt_orphans()
        kills = processes.oom_kills()
        try:
            worker = self._start()
        except OSError as error:
            return self._end(None, kills, launch=str(error))
        self._watch(worker)
        return self._end(worker.returncode, kills)

    def _first(self) -> bool:
        """Take the attempt; False if it was started before (a cluster may start a command again by itself)."""
        given = int(os.environ.pop("ALTERLAB_ALIVE_FD", "-1"))
        if given >= 0:  # our lock: the worker must not hold it
            os.set_inheritable(given, False)
        elif (self.attempt / "taken").exists():  # else we would wait for the lock until the first one ends
            return False
        else:
            record.hold(self.attempt)
        return record.take(self.attempt)

    def _told(self, *_: object) -> None:
        self.told_to_stop = True

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the worker.  It keeps the leases, so that a device is free only when the last of its processes is gone."""
        count = int(self.asked.get("processes", 1))
        env = {**os.environ, processes.MARK: str(self.attempt)}
        for name in (name for name in env if name.endswith("_NUM_THREADS") and env[name].isdecimal()):
            env[name] = str(max(1, int(env[name]) // count))
        with (self.attempt / "out.log").open("ab") as log:
            worker = subprocess.Popen(
                worker_command(self.attempt, count), cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, close_fds=False, process_group=0,
            )  # fmt: skip
        begun = {
            "pid": os.getpid(), "worker": worker.pid, "boot": processes.boot_id(), "host": socket.gethostname(), "started": time.time(),
            "where": os.environ.get("ALTERLAB_WHERE", ""),
        }  # fmt: skip
        aside = self.attempt / ".begun.json"
        aside.write_text(json.dumps(begun), encoding="utf-8")
        os.replace(aside, self.attempt / "begun.json")
        self._ring()
        return worker

    def _watch(self, worker: subprocess.Popen[bytes]) -> None:
        """Until the worker has ended: see wishes to stop, and whether this attempt has been replaced."""
        end = _end_of(worker.pid)
        deadline = None
        grace = float(self.asked.get("grace_s", 10.0))
        while worker.poll() is None:
            if self.next.exists() or not self.attempt.exists() or (self.tied and os.getppid() != self.parent):
                processes.end(self.attempt)  # somebody else goes on with this work, or nobody wants it
            elif deadline is None and (self.told_to_stop or (self.job / "cancel").exists()):
                deadline = time.monotonic() + grace
                with contextlib.suppress(ProcessLookupError):
                    worker.send_signal(signal.SIGTERM)
            elif deadline is not None and time.monotonic() > deadline:
                self.hard = grace
                processes.end(self.attempt)
            select.select(end, [], [], LOOK_S if end else LOOK_S / 4)

    def _end(self, code: int | None, kills: int, launch: str = "") -> int:
        """End what the worker left behind and write the last word, in a slot that needs no free disk."""
        processes.end(self.attempt)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not self.attempt.exists():  # somebody deleted the job
            return 1
        word = {
            "code": code, "oom": processes.oom_kills() > kills, "full": shutil.disk_usage(self.job).free < 1 << 20, "hard": self.hard,
            "launch": launch, "ended": time.time(), "peak_rss": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        }  # fmt: skip
        record.write_slot(self.attempt / "exit.slot", word)
        self._ring()
        return 1 if code is None else code if code >= 0 else 128 - code

    def _ring(self) -> None:
        wake.ring(self.job.parent)


def _end_of(pid: int) -> list[int]:
    """A file that can be read as soon as a process has ended; none where the system has no such thing."""
    try:
        return [os.pidfd_open(pid)]
    except (AttributeError, OSError):
        return []


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
