"""Long measurements in rows: each is stored as it is done, and several jobs may share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.run import Run
from core.spec import Architecture
from core.table import Measurement

if TYPE_CHECKING:
    import numpy as np

    from core.analyses._subject import Subject

Progress = Callable[..., None]
#: what a row gives, by name
Arrays = dict[str, "np.ndarray"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An analysis in rows.

    `count(arch, params)` is how many there are; `start(subject, params)` sets up and returns `row(i, progress)`, which depends on nothing
    but these and i, and whose arrays hold the `seconds` it took.  `gather(run, params, rows by number)` makes the measurement of all rows,
    or a part of it from those that are there; it needs no torch.  `word` is what a row is called on screen.
    """

    count: Callable[[Architecture, Any], int]
    start: Callable[[Subject, Any], Callable[[int, Progress], Arrays]]
    gather: Callable[[Run, Any, dict[int, Arrays]], Measurement]
    word: str = "part"


def in_rows(rows: Rows) -> Callable[[Subject, Any, Progress], Measurement]:
    """The `measure` of an analysis in rows: all of them, here and now."""

    def measure(subject: Subject, params: Any, progress: Progress) -> Measurement:
        """Every row in its order, then what they make."""
        total, found = rows.count(subject.arch, params), {}
        row = rows.start(subject, params)
        for i in range(total):
            told, said = part(progress, i, total), f"{rows.word} {i + 1} of {total}"
            found[i] = row(i, lambda step, of, *_a, told=told, said=said, **_k: told(1000 * step // max(of, 1), 1000, said))
            told(1000, 1000, said)
        return rows.gather(subject.run, params, found)

    return measure


def part(progress: Progress, done: int, parts: int) -> Progress:
    """Progress of one of several equal parts, as a share of them all."""

    def told(step: int, total: int, message: str = "", **metrics: float) -> None:
        progress(done * total + step, parts * total, message, **metrics)

    return told
