"""An app: `python -m tests.jobs.matrix_app <task> <jobs> <device> <steps> [wait]` submits, notes the ids, and waits to be killed."""

import os
import signal
import sys
import time
from pathlib import Path

from core import jobs

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests started in the background of a shell inherit that ^C is ignored
    task, count, device, steps = sys.argv[1:5]
    for _ in range(int(count)):
        job = jobs.submit(task, {"steps": int(steps), "device": device})
        with (Path(os.environ["ALTERLAB_TRACES"]) / "submitted").open("ab") as file:
            file.write(f"{job.id}\n".encode())
    while sys.argv[5:]:
        time.sleep(1)
