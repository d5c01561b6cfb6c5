"""Processes of this machine: which belong to an attempt, how they are ended, and which boot this is.

Every process of an attempt carries its folder in its environment, and so do all that it starts: the mark survives a dead parent, a new
session and a new process number.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

MARK = "ALTERLAB_ATTEMPT"
SUBREAPER, PDEATHSIG = 36, 1


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Children whose parent dies become ours, so that we can end them."""
    _control(SUBREAPER, 1)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone."""
    _control(PDEATHSIG, signal.SIGKILL)


def boot_id() -> str:
    """A name of this start of this machine."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def oom_kills() -> int:
    """How often the kernel has killed a process of this machine for memory."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def attempt_of(pid: int) -> str:
    """The folder of the attempt that a process belongs to; "" if none, or it is not ours to look at, or a zombie."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(MARK.encode() + b"="):
                return entry.partition(b"=")[2].decode(errors="replace")
    return ""


def marked() -> dict[int, str]:
    """All living processes of attempts: number -> folder of the attempt.  Our own is left out."""
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return {}
    return {pid: place for pid in numbers if pid != os.getpid() and (place := attempt_of(pid))}


def parents(attempt: Path) -> list[int]:
    """The shepherd of an attempt, which does not carry the mark: its command names the folder."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            if b"core.jobs.shepherd" in words and str(attempt).encode() in words:
                found.append(int(name))
    return found


def end(attempt: Path, patience_s: float = 2.0, parent: bool = False) -> bool:
    """Kill every process of an attempt, and with `parent` its shepherd; whether none is left."""
    until = time.monotonic() + patience_s
    while left := [pid for pid, place in marked().items() if place == str(attempt)] + (parents(attempt) if parent else []):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
