"""The process of a job: wait for the device, do the work, write how it ended.  Loads nothing heavy before its turn."""

import contextlib
import errno
import json
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from core import io
from core.errors import JobError, LabError, unknown
from core.jobs import Cancelled, Context, lease, record
from core.tasks import TASKS

Task = Callable[[dict[str, Any], Context], dict[str, Any]]
NEVER_BEGUN = "Cancelled before its turn came."
STOPPED = "Stopped as asked. Kept: its log and all it saved; Resume goes on from that."
OUTSIDE = "Another program, or the machine shutting down, asked it to stop. Kept: all it saved; Resume goes on from that."
FINISHED_FIRST = "The work was done before the request to stop came through."
MEMORY = "The device ran out of memory. A smaller batch or a smaller net needs less."
DISK = "The disk is full. Free some space; Resume goes on from what was saved."


def main(folder: str | Path, tasks: dict[str, Task] | None = None) -> int:
    """Run the job in a folder to its end; returns only if that cannot be begun.  `tasks` is what a task's name means."""
    place = Path(folder).absolute()
    asked = record.load(place / "job.json")
    if "task" not in asked:
        raise JobError(f"There is no job in {place}.")
    return _Worker(place, asked, TASKS if tasks is None else tasks).run()


class _Worker:
    """One attempt; only `main` makes it."""

    def __init__(self, place: Path, asked: dict[str, Any], tasks: dict[str, Task]) -> None:
        self.place, self.asked, self.tasks = place, asked, tasks
        self.attempt = record.load(place / "worker.json").get("attempt", 1)
        self.context = Context(place, self.attempt)
        self.ending = threading.Lock()

    def run(self) -> int:
        self._own_alive_lock()
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        self._sign(None)
        threading.Thread(target=self._watch, daemon=True).start()
        self._end(*self._outcome())
        return 0

    def _own_alive_lock(self) -> None:
        """Keep the lock that says we live to ourselves: a forked child that outlives us must not speak for us."""
        handle = int(os.environ.pop("ALTERLAB_ALIVE_FD", "-1"))
        if handle < 0:
            raise JobError("A worker is started by the queue, not by hand. Resume the job instead.")
        os.set_inheritable(handle, False)

        def let_go() -> None:
            with contextlib.suppress(OSError):
                os.close(handle)

        os.register_at_fork(after_in_child=let_go)

    def _asked_to_stop(self, *_: object) -> None:
        self.context.stop = True

    def _sign(self, started: float | None) -> None:
        io.write_json(self.place / "worker.json", {"attempt": self.attempt, "pid": os.getpid(), "started": started})

    def _watch(self) -> None:
        """See the request to stop even if the signal was missed, and end a job that does not react to it."""
        while not (self.place / "cancel").exists():
            time.sleep(0.2)
        self.context.stop = True
        time.sleep(record.GRACE_S)
        self._end("cancelled", record.HARD_STOP, None)

    def _outcome(self) -> tuple[str, str, dict[str, Any] | None]:
        """Wait, work, and say how it ended: state, reason in words, result."""
        asked = self.asked
        try:
            if asked["task"] not in self.tasks:
                raise unknown(JobError, "task", asked["task"], self.tasks)
            # the lease stays open to the end: children share it, so the device is free when the last of them is gone
            lease.wait_turn(asked["device"], asked["priority"], asked["seq"], self.place.name, self.context.check)
            self._sign(time.time())
            print(f"attempt {self.attempt}: {asked['task']} on {asked['device']}", flush=True)
            result = self.tasks[asked["task"]](asked["args"], self.context)
            return "succeeded", FINISHED_FIRST if self._cancel_asked() else "", result
        except Cancelled:
            if self._cancel_asked():
                return "cancelled", STOPPED if record.load(self.place / "worker.json").get("started") else NEVER_BEGUN, None
            return "failed", OUTSIDE, None
        except LabError as error:
            return "failed", str(error), None
        except BaseException as error:
            reference = secrets.token_hex(2)
            print(f"reference {reference}", file=sys.stderr)
            with contextlib.suppress(OSError):  # a full disk must not hide what happened
                traceback.print_exc()
            if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
                return "failed", MEMORY, None
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                return "failed", DISK, None
            return "failed", f"Something unexpected went wrong (reference {reference}); see the log.", None

    def _cancel_asked(self) -> bool:
        return (self.place / "cancel").exists()

    def _end(self, state: str, reason: str, result: dict[str, Any] | None) -> None:
        """Write how it ended, once, and end with every process that it started."""
        with self.ending:
            end = {"state": state, "reason": reason, "ended": time.time(), "result": result}
            try:
                json.dumps(result, allow_nan=False)
            except (TypeError, ValueError) as error:
                end |= {"state": "failed", "reason": f"The work returned what is not plain JSON: {error}.", "result": None}
            try:
                io.write_json(self.place / "exit.json", end)
                sys.stdout.flush()
            finally:
                self._leave(int(end["state"] != "succeeded"))

    def _leave(self, code: int) -> NoReturn:
        """End this process at once, and all that it started."""
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(code)
