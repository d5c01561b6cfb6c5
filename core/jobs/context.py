"""What a running job may say and ask."""

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from core.table import append_row


class Cancelled(Exception):
    """Work ended because it was asked to; what it saved is kept.  Raised by the work, at a place where that is true."""


class Context:
    """A job's line to the outside: progress, metrics, and whether it should stop.

    `folder` is the job's own; `stop` is set by the worker's signal handler.  Of several processes of one job only rank 0 speaks.
    `part` (which, of how many equal ones) is the part of the work that progress is of, for work in rows.
    """

    def __init__(self, folder: Path, attempt: int = 1, rank: int = 0) -> None:
        self.folder, self.attempt, self.rank, self.stop = folder, attempt, rank, False
        self.part: tuple[int, int] | None = None
        self._said = float("-inf")
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=30)

    def cancelled(self) -> bool:
        """Whether to stop: the job was asked to, or another attempt has taken its place and writes in its folder."""
        return self.stop or (self.folder / "attempts" / str(self.attempt + 1)).exists()

    def check(self) -> None:
        """Raise Cancelled if the job should stop."""
        if self.cancelled():
            raise Cancelled

    def progress(self, step: int, total: int, message: str = "", **metrics: float) -> None:
        """Say how far the work is; written at most once a second, and at the last step.  `metrics` go to `metric` then."""
        if self.rank:
            return
        if self.part is not None:  # always of one total, or the rate would begin anew with each row
            step, total = 1000 * self.part[0] + 1000 * step // max(total, 1), 1000 * self.part[1]
        now = time.monotonic()  # never the clock on the wall: it jumps
        if now - self._said < 1.0 and step < total:
            return
        if self._marks and (step < self._marks[-1][1] or total != self._marks[-1][2]):
            self._marks.clear()
        self._marks.append((now, step, total))
        self._said = now
        since, first, _ = self._marks[0]
        rate = (step - first) / (now - since) if step > first and now > since else None
        left = (total - step) / rate if rate else 0.0 if step >= total else None
        said = {"step": int(step), "total": int(total), "rate": rate, "eta_s": left, "message": message, "attempt": self.attempt}
        aside = self.folder / f".progress.{os.getpid()}"
        aside.write_text(json.dumps(said), encoding="utf-8")  # not flushed to disk: the next second brings another
        os.replace(aside, self.folder / "progress.json")
        if metrics:
            self.metric({"step": int(step), **metrics})

    def metric(self, row: dict[str, Any]) -> None:
        """Add a row of numbers to the job's metrics, marked with the attempt."""
        if self.rank == 0:
            append_row(self.folder / "metrics.jsonl", {**row, "attempt": self.attempt})
