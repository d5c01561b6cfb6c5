"""One job computes on a device at a time.  A lease is a file lock that dies with the process tree; tickets keep the order.

A ticket's name sorts by priority, then by age.  Only the first living ticket tries the lock, so nobody overtakes.
"""

import fcntl
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

from core import io
from core.errors import JobError
from core.jobs import record

#: `network` is what downloads wait for: they need no processor, but one at a time is enough
DEVICE = re.compile(r"cpu|mps|network|cuda(:\d{1,2})?")
POLL_S = 0.1


def canonical(device: str) -> str:
    """`cpu`, `mps`, `network` or `cuda:<n>`; `auto` is the first GPU that the system shows.  JobError if it is no device.

    Asks the system and not torch, which would cost seconds; where the guess is wrong, jobs only wait for each other more.
    """
    if device in ("", "auto"):
        if Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists():
            return "cuda:0"
        return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"
    if not isinstance(device, str) or not DEVICE.fullmatch(device):
        raise JobError(f"There is no device {str(device)[:40]!r}. Known: auto, cpu, cuda, cuda:0, mps.")
    return "cuda:0" if device == "cuda" else device


def _queue(device: str) -> Path:
    return io.home() / "leases" / f"{device.replace(':', '-')}.queue"


def _ticket(device: str, priority: int, seq: int, job_id: str) -> Path:
    return _queue(device) / f"{5000 - priority:05d}.{seq:012d}.{job_id}"


def queue_up(device: str, priority: int, seq: int, job_id: str) -> Path:
    """Take a ticket.  The job's alive.lock must be held by now: a ticket without a living job is swept away."""
    ticket = _ticket(device, priority, seq, job_id)
    ticket.parent.mkdir(parents=True, exist_ok=True)
    ticket.touch()
    return ticket


def _first(device: str) -> str:
    """Name of the first ticket whose job lives; those of dead jobs are swept away."""
    for name in sorted(os.listdir(_queue(device))):
        job_id = name.split(".", 2)[-1]
        if record.alive(record.root() / job_id):
            return name
        (_queue(device) / name).unlink(missing_ok=True)
    return ""


def wait_turn(device: str, priority: int, seq: int, job_id: str, pause: Callable[[], None]) -> int:
    """Wait for the device and return the lease: an open file that children inherit, free when the last of them is gone.

    `pause` is called before each new try and may raise to give up.
    """
    ticket = queue_up(device, priority, seq, job_id)
    lease = os.open(ticket.parent.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            pause()
            if not ticket.exists():  # somebody tidied up
                queue_up(device, priority, seq, job_id)
            if _first(device) == ticket.name:
                try:
                    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lease
                except BlockingIOError:
                    pass  # somebody computes
            time.sleep(POLL_S)
    except BaseException:
        os.close(lease)
        raise
    finally:
        ticket.unlink(missing_ok=True)
