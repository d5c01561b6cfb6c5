"""What the app and its live worker say to each other: frames of four bytes of length, then JSON.  And what both have to know."""

import contextlib
import json
import os
import select
import time
from typing import Any

from core.errors import LiveError

#: nets that the worker keeps loaded for each kind of question; the one that was asked for longest ago goes first
KEPT = 4
#: bytes of a question: as much as an empty pipe takes at once where it can be made as large as Linux lets anybody make it, so that
#: giving one does not block; a picture of 384 pixels takes 0.6 MB.  And of an answer
PIPE = 1 << 20
LONGEST_QUESTION, LONGEST_ANSWER = PIPE - 4096, 64 << 20
#: a longer log is begun again
LOG_BYTES = 1 << 20


def pack(value: Any, longest: int) -> bytes:
    """A frame.  LiveError if the value is not plain JSON or too long."""
    try:
        data = json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LiveError(f"Only plain values can be sent to and from the live worker: {error}.") from error
    if len(data) > longest:
        raise LiveError(f"The live worker takes at most {longest:,} bytes at a time; these are {len(data):,}.")
    return len(data).to_bytes(4, "big") + data


def send(handle: int, frame: bytes) -> None:
    """Write a whole frame.  OSError if nobody reads any more."""
    rest = memoryview(frame)
    while rest:
        rest = rest[os.write(handle, rest) :]


def receive(handle: int, longest: int, until: float | None = None) -> Any:
    """The value of the next frame; None at the end of the file, at the time `until`, or if what comes is no frame."""
    head = _read(handle, 4, until)
    size = int.from_bytes(head, "big")
    if len(head) < 4 or size > longest:
        return None
    body = _read(handle, size, until)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(body) if len(body) == size else None
    return None


def _read(handle: int, size: int, until: float | None) -> bytes:
    poll = select.poll()  # not select(), which knows no file above number 1023
    poll.register(handle, select.POLLIN)
    got = bytearray()
    while len(got) < size:
        if until is not None and not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            break
        part = os.read(handle, min(size - len(got), 1 << 20))
        if not part:
            break
        got += part
    return bytes(got)
