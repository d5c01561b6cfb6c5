"""Results by content: same question, same folder; whole or not there; two writers at once."""

import subprocess
import sys
import zlib

import numpy as np
import pandas as pd
import pytest

from core import io, store
from core.errors import StoreError
from core.run import Run
from core.store import results, runs
from core.table import Measurement

RUN = Run(arch="cc", data="fashion", recipe={"name": "quick"}, name="Yours")
QUESTION = {
    "analysis_id": "fourier",
    "version": 1,
    "params": {"images": 256, "seed": 0},
    "weights_digest": "a" * 16,
    "data_digest": "b" * 16,
}
KEY = store.result_key(**QUESTION)


def measurement(value: float = 1.5) -> Measurement:
    table = pd.DataFrame({"unit": ["s1u1", "s1u2"], "k": [0, 1], "value": [value, float("nan")], "top": [False, True]})
    return Measurement(table=table, arrays={"high": np.arange(6, dtype=np.float32).reshape(2, 3)}, notes={"left_out": ["s2u1"]})


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "shipped_root", lambda: tmp_path / "shipped")
    return store.create(RUN)


@pytest.mark.parametrize(
    "change", [{"analysis_id": "lesion"}, {"version": 2}, {"params": {"images": 257, "seed": 0}},
               {"params": {"images": 256, "seed": 0, "new": 1}}, {"weights_digest": "c" * 16}, {"data_digest": "c" * 16}],
)  # fmt: skip
def test_another_question_has_another_key(change):
    assert store.result_key(**{**QUESTION, **change}) != KEY
    assert store.result_key(**{**QUESTION, "params": {"seed": 0, "images": 256}}) == KEY, "order of parameters does not matter"


def test_what_goes_in_comes_out(place):
    assert store.load_result(RUN.id, "fourier", KEY) is None and store.list_results(RUN.id) == []
    path = store.save_result(RUN.id, "fourier", KEY, measurement(), {"version": 1, "seconds": 2.5})
    assert path == place / "results" / "fourier" / KEY
    assert sorted(p.name for p in path.iterdir()) == ["arrays.npz", "manifest.json", "table.parquet"]
    stored = store.load_result(RUN.id, "fourier", KEY)
    pd.testing.assert_frame_equal(stored.table, measurement().table)
    assert list(stored.arrays) == ["high"] and stored.arrays["high"].dtype == np.float32
    np.testing.assert_array_equal(stored.arrays["high"], measurement().arrays["high"])
    facts = {"run": RUN.id, "analysis": "fourier", "key": KEY, "version": 1, "seconds": 2.5, "notes": {"left_out": ["s2u1"]}, "error": ""}
    assert facts.items() <= stored.manifest.items()
    assert stored.manifest["code"] and stored.manifest["created"].endswith("+00:00")
    assert stored.manifest["versions"]["numpy"] == np.__version__
    assert store.list_results(RUN.id, "fourier") == [{**stored.manifest, "shipped": False}]
    assert store.list_results(RUN.id, "lesion") == []


def test_a_result_of_a_shipped_run_goes_to_the_user_and_a_shipped_one_is_found(home, tmp_path, monkeypatch):
    root = tmp_path / "shipped"
    monkeypatch.setattr(runs, "shipped_root", lambda: root)
    (root / RUN.id).mkdir(parents=True)
    io.write_json(root / RUN.id / "run.json", RUN.to_json())
    shipped = store.save_result(RUN.id, "fourier", KEY, measurement(1.0), {}, shipped=True)
    assert shipped.is_relative_to(root) and store.load_result(RUN.id, "fourier", KEY).table["value"][0] == 1.0
    before = sorted(p for p in root.rglob("*"))
    other = store.result_key(**{**QUESTION, "version": 2})
    assert store.save_result(RUN.id, "fourier", other, measurement(2.0), {}).is_relative_to(home / "runs")
    assert sorted(root.rglob("*")) == before, "the shipped root was written"
    assert [(m["key"], m["shipped"]) for m in store.list_results(RUN.id)] == [(KEY, True), (other, False)]
    assert [run.id for run in store.list_runs()] == [RUN.id], "a folder of results alone is not a run"


@pytest.mark.parametrize(
    "analysis, key",
    [("../x", KEY), ("Fourier", KEY), ("", KEY), ("fourier", "../../run.json"), ("fourier", "a" * 15), ("fourier", KEY + "\n")],
)
def test_hostile_names(place, analysis, key):
    with pytest.raises(StoreError):
        store.save_result(RUN.id, analysis, key, measurement(), {})
    with pytest.raises(StoreError):
        store.load_result(RUN.id, analysis, key)


def test_no_pickles(place):
    odd = Measurement(table=measurement().table, arrays={"bad": np.array([object()], dtype=object)})
    with pytest.raises(StoreError, match="'bad' holds Python objects"):
        store.save_result(RUN.id, "fourier", KEY, odd, {})
    path = store.save_result(RUN.id, "fourier", KEY, measurement(), {})
    np.savez(path / "arrays.npz", evil=np.array([{"a": 1}], dtype=object))
    assert store.load_result(RUN.id, "fourier", KEY) is None, "a pickle was loaded"


def test_a_crash_while_writing_leaves_nothing(place, monkeypatch):
    """Every file of a result in turn fails to be written: nothing is found afterwards, and the next try works."""
    real, done, plan = io.write_atomic, [], {"fail_at": 0}

    def breaks(path, content):
        done.append(path.name)
        if len(done) == plan["fail_at"]:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(io, "write_atomic", breaks)
    for fail_at in (1, 2, 3):
        done.clear()
        plan["fail_at"] = fail_at
        with pytest.raises(OSError, match="No space"):
            store.save_result(RUN.id, "fourier", KEY, measurement(), {})
        assert store.load_result(RUN.id, "fourier", KEY) is None
        assert list((place / "results" / "fourier").iterdir()) == []
    plan["fail_at"] = 0
    store.save_result(RUN.id, "fourier", KEY, measurement(), {})
    assert store.load_result(RUN.id, "fourier", KEY)


@pytest.mark.parametrize("name", ["arrays.npz", "table.parquet", "manifest.json"])
@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"{}"])
def test_a_damaged_result_counts_as_not_measured_and_heals(place, name, content):
    path = store.save_result(RUN.id, "fourier", KEY, measurement(), {})
    (path / name).write_bytes(content)
    assert store.load_result(RUN.id, "fourier", KEY) is None
    store.save_result(RUN.id, "fourier", KEY, measurement(2.0), {})
    assert store.load_result(RUN.id, "fourier", KEY).table["value"][0] == 2.0
    assert [p.name for p in path.parent.iterdir()] == [KEY], "the damaged one is left over"


def test_a_flipped_byte_counts_as_not_measured(place):
    """In each place of the arrays, and in every seventh of the table: either the numbers are whole or there are none."""
    path = store.save_result(RUN.id, "fourier", KEY, measurement(), {})
    lost = 0
    for name, step in (("arrays.npz", 1), ("table.parquet", 7)):
        whole = (path / name).read_bytes()
        for i in range(0, len(whole), step):
            for flip in (0x01, 0xFF):
                (path / name).write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
                stored = store.load_result(RUN.id, "fourier", KEY)
                lost += stored is None
                if stored is not None and "high" in stored.arrays:
                    np.testing.assert_array_equal(stored.arrays["high"], measurement().arrays["high"])
        (path / name).write_bytes(whole)
    assert lost > 100
    assert store.load_result(RUN.id, "fourier", KEY)


def test_an_array_that_cannot_be_unpacked_counts_as_not_measured(place):
    """A block of no known type is told by zlib itself, in an error of its own."""
    path = store.save_result(RUN.id, "fourier", KEY, measurement(), {})
    content = bytearray((path / "arrays.npz").read_bytes())
    # the first block of deflate stands behind zip's local header of 30 bytes, a name and an extra field; type 3 is none
    content[30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")] = 0b111
    (path / "arrays.npz").write_bytes(content)
    with np.load(path / "arrays.npz") as file, pytest.raises(zlib.error):
        _ = file["high"]
    assert store.load_result(RUN.id, "fourier", KEY) is None


def test_the_first_answer_stays(place):
    store.save_result(RUN.id, "fourier", KEY, measurement(1.0), {})
    store.save_result(RUN.id, "fourier", KEY, measurement(2.0), {})
    assert store.load_result(RUN.id, "fourier", KEY).table["value"][0] == 1.0


WRITER = """
import sys
import numpy as np, pandas as pd
from core import store
from core.run import Run
from core.table import Measurement
run = Run(arch="cc", data="fashion", recipe={"name": "quick"}, name="Yours")
me = float(sys.argv[1])
for i in range(40):
    store.create(run)
    key = f"{i:016x}"
    m = Measurement(table=pd.DataFrame({"value": [me] * 50}), arrays={"a": np.full(50, me)})
    store.save_result(run.id, "fourier", key, m, {"writer": me})
    stored = store.load_result(run.id, "fourier", key)
    assert stored is not None, "half-written"
    assert set(stored.table["value"]) == set(stored.arrays["a"]) == {stored.manifest["writer"]}, "mixed"
"""


def test_two_processes_write_the_same_results_at_once(home):
    """Nothing half-written, nothing mixed of two, nothing left over."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(n)], cwd=io.CHECKOUT, stderr=subprocess.PIPE, text=True) for n in (1, 2)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    assert len(store.list_results(RUN.id)) == 40
    assert len(list((home / "runs" / RUN.id / "results" / "fourier").iterdir())) == 40


def test_revision_outside_a_checkout_is_the_version(tmp_path, monkeypatch):
    import core

    results.revision.cache_clear()
    monkeypatch.setattr(io, "CHECKOUT", tmp_path)
    assert results.revision() == core.__version__
    results.revision.cache_clear()
