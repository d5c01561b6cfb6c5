"""The dispatcher as others see it: whether it lives, how it is started and woken."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from core import io
from core.jobs import record

#: a longer log is begun again
LOG_BYTES = 1 << 20
#: dispatchers that this process has started and that have not ended: data folder, when, process
_children: list[tuple[Path, float, subprocess.Popen[bytes]]] = []


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
    return record.locked(handle)


def ensure() -> None:
    """Start the dispatcher unless one lives."""
    for child in _children.copy():
        if child[2].poll() is not None:  # else it would stay as a zombie while the app lives
            with contextlib.suppress(ValueError):  # another thread was faster
                _children.remove(child)
    now, root = time.monotonic(), record.root()
    if lives() or any(place == root and now - since < 1.0 for place, since, _ in _children):
        return  # one takes a moment to hold its lock
    env = {**os.environ, "ALTERLAB_HOME": str(io.home().absolute())}
    path = root / "dispatcher.log"
    with path.open("wb" if path.exists() and path.stat().st_size > LOG_BYTES else "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-S", "-E", "-m", "core.jobs.dispatcher"], cwd=io.CHECKOUT, env=env, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    _children.append((root, now, child))
