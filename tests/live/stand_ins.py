"""What the live worker answers in tests: no torch, and every way to misbehave."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.errors import MeasureError


def echo(value: Any = None, delay_s: float = 0.0) -> dict[str, Any]:
    time.sleep(delay_s)
    return {"value": value, "pid": os.getpid(), "modules": [name for name in ("torch", "streamlit") if name in sys.modules]}


def noisy() -> dict[str, Any]:
    """Prints in every way there is, as libraries do, and reads what is not meant for it."""
    print("printed", flush=True)
    os.write(1, b"\0\0\0\2{}")
    sys.__stdout__.write("more")
    subprocess.run(["echo", "from a child"], check=True)
    return {"read": sys.stdin.read()}


def wrong(unit: str) -> dict[str, Any]:
    raise MeasureError(f"There is no unit {unit}.")


def unexpected(what: str) -> dict[str, Any]:
    if what == "exit":
        sys.exit(3)
    if what == "answer":
        return {"value": object()}
    if what == "no answer":
        return None  # type: ignore[return-value]
    raise ValueError("the very bug")


def deadly(flag: str, number: int = signal.SIGKILL) -> dict[str, Any]:
    """Dies at the first time, or at every time where there is no flag."""
    if flag and os.path.exists(flag):
        return {"value": "at last"}
    if flag:
        Path(flag).touch()
    os.kill(os.getpid(), number)
    return {}


def begun(flag: str, delay_s: float) -> dict[str, Any]:
    Path(flag).write_text(str(os.getpid()))
    time.sleep(delay_s)
    return {"value": "done"}


OPS = {"echo": echo, "noisy": noisy, "wrong": wrong, "unexpected": unexpected, "deadly": deadly, "begun": begun}
