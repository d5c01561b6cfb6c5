"""The dispatcher as others see it: whether it lives, how it is started and woken."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from core import io
from core.jobs import record

#: a longer log is begun again
LOG_BYTES = 1 << 20
_children: list[subprocess.Popen[bytes]] = []
_started = float("-inf")


def ring(root: Path | None = None) -> None:
    """Tell the dispatcher that something happened; nothing happens if there is none."""
    with contextlib.suppress(OSError):
        bell = os.open((root or record.root()) / "bell", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(bell, b".")
        finally:
            os.close(bell)


def lives() -> bool:
    """Whether a dispatcher lives: it holds a lock."""
    try:
        handle = os.open(record.root() / "dispatcher.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def ensure() -> None:
    """Start the dispatcher unless one lives."""
    global _started
    for child in _children.copy():
        if child.poll() is not None:  # else it would stay as a zombie while the app lives
            with contextlib.suppress(ValueError):  # another thread was faster
                _children.remove(child)
    if lives() or (_children and time.monotonic() - _started < 1.0):
        return
    _started = time.monotonic()
    env = {**os.environ, "ALTERLAB_HOME": str(io.home().absolute())}
    path = record.root() / "dispatcher.log"
    with path.open("wb" if path.exists() and path.stat().st_size > LOG_BYTES else "ab") as log:
        _children.append(
            subprocess.Popen(
                [sys.executable, "-S", "-E", "-m", "core.jobs.dispatcher"], cwd=io.CHECKOUT, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )
        )  # fmt: skip
