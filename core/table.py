"""Tidy tables: what a measurement hands over, the check that it is what it promised, and rows of JSON on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import MeasureError

if TYPE_CHECKING:  # a waiting job reads rows of JSON; it should not pay half a second for pandas
    import numpy as np
    import pandas as pd

KINDS = {"int": "iu", "float": "f", "bool": "b", "str": "OTU"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a result: its name, `dtype` (int, float, bool, str), unit and the glossary term that explains it.

    `optional` allows missing values (no number, or no text).
    """

    id: str
    dtype: str
    unit: str = ""
    term: str = ""
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an analysis found: a tidy table (one row an observation), larger arrays by name, and notes (JSON)."""

    table: pd.DataFrame
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def check(table: pd.DataFrame, columns: tuple[Column, ...], keys: tuple[str, ...] = ()) -> None:
    """Raise MeasureError in words unless the table is tidy: the promised columns and types, no row missing, none twice.

    `keys` are the columns that name an observation; no two rows may agree in all of them.
    """
    import numpy as np

    promised = [column.id for column in columns]
    if list(table.columns) != promised:
        raise MeasureError(f"The table has the columns {', '.join(map(str, table.columns))}; it should have {', '.join(promised)}.")
    if table.empty:
        raise MeasureError("The table has no rows: nothing was measured.")
    for column in columns:
        if column.dtype not in KINDS:
            raise MeasureError(f"The column {column.id} promises the type {column.dtype!r}. Known: {', '.join(KINDS)}.")
        values = table[column.id]
        if values.dtype.kind not in KINDS[column.dtype]:
            raise MeasureError(f"The column {column.id} holds {values.dtype}; it should hold {column.dtype}.")
        missing = np.count_nonzero(values.isna())
        if missing and not column.optional:
            raise MeasureError(f"The column {column.id} has {missing} missing values; it should have none.")
        if column.dtype == "float" and np.isinf(values.to_numpy(dtype=float)).any():
            raise MeasureError(f"The column {column.id} holds infinite values; it should hold finite ones.")
    if keys and (repeated := np.count_nonzero(table.duplicated(list(keys)))):
        raise MeasureError(f"{repeated} rows repeat the same {', '.join(keys)}; each should stand once.")


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one row to a file of JSON lines in a single write; a line that a crash left unfinished is closed first."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none if there is no file.  A line that is not whole (a crash, a full disk) is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
