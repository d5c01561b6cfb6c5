"""Work in rows that several jobs share: each row is its own file, so what is killed repeats at most one row.

A sharded task is three functions of its arguments.  The same task runs whole (one job computes all rows) or in parts: `submit(...,
parts=n, rows=r)` queues n jobs, part c taking the rows r with r % n == c, and the job that needs them all, which puts the rows
together.  Either way rows are added up in their order, so the result is the same to the last bit.
"""

import io as memory
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import io
from core.jobs import record
from core.jobs.context import Context

#: the arrays of a row, by name
Arrays = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """A task in rows: how many there are, one of them, and what all of them (in order) make; `word` is what a row is called on screen."""

    rows: Callable[[dict[str, Any]], int]
    row: Callable[[dict[str, Any], int, Context], Arrays]
    reduce: Callable[[dict[str, Any], list[Arrays], Context], dict[str, Any]]
    word: Callable[[dict[str, Any]], str] = lambda _args: "row"

    def __call__(self, args: dict[str, Any], context: Context) -> dict[str, Any]:
        """Do this job's rows that are not there yet; then, unless it is only a part, put all together."""
        total, part = self.rows(args), args.get("part")
        whole = context.folder if part is None else record.root() / record.load(context.folder / "job.json")["parent"]
        mine = range(total) if part is None else range(part[0], total, part[1])
        for done, row in enumerate(mine):
            context.check()
            context.part = done, len(mine)
            if not _file(whole, row).exists():
                _save(_file(whole, row), self.row(args, row, context))
            context.progress(1, 1, f"{self.word(args)} {row + 1} of {total}")
        context.part = None
        if part is not None:
            return {"rows": len(mine)}
        return self.reduce(args, [_load(_file(whole, row)) for row in range(total)], context)


def parts(rows: int, row_s: float, devices: int, least_s: float = 60.0) -> int:
    """How many jobs to share `rows` among, if one takes `row_s` seconds: each at least `least_s` long, at most four a device."""
    return max(1, min(rows, 4 * devices, int(rows * row_s / least_s)))


def done(job: Path) -> int:
    """How many rows of a job are there."""
    return sum(1 for _ in (job / "shards").glob("*.npz"))


def found(job: Path) -> dict[int, Arrays]:
    """The rows of a job that are there, by number."""
    return {int(path.stem): _load(path) for path in sorted((job / "shards").glob("*.npz")) if path.stem.isdecimal()}


def _file(job: Path, row: int) -> Path:
    return job / "shards" / f"{row:05d}.npz"


def _save(path: Path, arrays: Arrays) -> None:
    import numpy as np

    buffer = memory.BytesIO()
    np.savez(buffer, **arrays)
    io.write_atomic(path, buffer.getvalue())


def _load(path: Path) -> Arrays:
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
