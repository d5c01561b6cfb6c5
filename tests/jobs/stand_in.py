"""A worker with more tasks than the lab has: those that misbehave.  Started as `python -m tests.jobs.stand_in <job folder>`."""

import errno
import os
import signal
import subprocess
import sys
import time

from core import io, worker
from core.errors import TrainError
from core.jobs import record
from core.tasks import TASKS

record.GRACE_S = 0.6


def fails(args, context):
    errors = {
        "words": TrainError("The loss was no longer finite. Try a lower rate."),
        "bug": ValueError("secret detail"),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
        "memory": MemoryError(),
        "exit": SystemExit(0),
    }
    if args["how"] == "odd":
        return {"value": object()}
    raise errors[args["how"]]


def stuck(args, context):
    """Hears no request to stop, and neither do its children: one forked, one a program."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(args.get("child_s", 60))
        os._exit(0)
    program = subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
    io.write_json(context.folder / "pids.json", [os.getpid(), child, program.pid])
    while True:
        time.sleep(0.05)


def modules(args, context):
    heavy = ("torch", "numpy", "pandas", "streamlit", "altair", "timm")
    return {"loaded": [name for name in heavy if name in sys.modules], "env": {k: v for k, v in os.environ.items() if "THREADS" in k}}


if __name__ == "__main__":
    worker.main(sys.argv[1], {**TASKS, "fails": fails, "stuck": stuck, "modules": modules})
