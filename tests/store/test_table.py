"""The check that a table is what its analysis promised."""

import numpy as np
import pandas as pd
import pytest

from core.errors import MeasureError
from core.table import Column, append_row, check, read_rows

COLUMNS = (
    Column(id="unit", dtype="str"),
    Column(id="k", dtype="int"),
    Column(id="value", dtype="float", unit="ln"),
    Column(id="top", dtype="bool"),
    Column(id="maybe", dtype="float", optional=True),
)


def table() -> pd.DataFrame:
    return pd.DataFrame({"unit": ["a", "b"], "k": [0, 1], "value": [0.5, 1.0], "top": [True, False], "maybe": [np.nan, 1.0]})


def test_a_tidy_table_passes():
    check(table(), COLUMNS, keys=("unit", "k"))
    check(table().astype({"unit": object, "k": np.int32, "value": np.float32}), COLUMNS)
    check(table().astype({"unit": "category"}), COLUMNS)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop(columns="k"), "should have unit, k"),
        (lambda t: t[["k", "unit", "value", "top", "maybe"]], "should have unit, k"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(k=[0.0, 1.0]), "column k holds float64"),
        (lambda t: t.assign(value=[1, 2]), "column value holds int64"),
        (lambda t: t.assign(unit=[1, 2]), "column unit holds int64"),
        (lambda t: t.assign(value=[1.0, np.nan]), "value has 1 missing"),
        (lambda t: t.assign(maybe=[np.inf, np.nan]), "infinite"),
        (lambda t: t.assign(unit="a", k=0), "1 rows repeat the same unit, k"),
    ],
)
def test_what_is_not_tidy_is_named(spoil, words):
    with pytest.raises(MeasureError, match=words):
        check(spoil(table()), COLUMNS, keys=("unit", "k"))


def test_rows_close_a_torn_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_rows(path) == []
    append_row(path, {"a": 1})
    path.write_bytes(path.read_bytes() + b'{"a": 2')
    append_row(path, {"a": 3, "word": "ä\n"})
    path.write_bytes(path.read_bytes() + b"[1]\n\xff\xfe\n")
    append_row(path, {"a": 4})
    assert read_rows(path) == [{"a": 1}, {"a": 3, "word": "ä\n"}, {"a": 4}]
    with pytest.raises(ValueError):
        append_row(path, {"a": float("nan")})
    assert len(read_rows(path)) == 3
