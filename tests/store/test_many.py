"""What the lists of runs cost the disk, and that a file is read again only when it has changed."""

import dataclasses
import os

import pytest

from core import io, store
from core.run import Run
from core.store import runs

RUN = Run(arch="cc-cm", data="fashion", recipe={"name": "quick"}, name="Yours")


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    """An empty user's root and an empty shipped one."""
    monkeypatch.setattr(runs, "shipped_root", lambda: tmp_path / "shipped")
    return home / "runs"


def finish(number: int) -> None:
    """So many finished runs with a history."""
    for seed in range(number):
        folder = store.create(dataclasses.replace(RUN, seed=seed))
        io.write_json(folder / "final.json", {"accuracy": 0.9})
        store.append_history(folder, {"epoch": 1, "accuracy": 0.9})


def asked(monkeypatch, do) -> int:
    """How often the disk was asked about a path or a folder."""
    calls = []
    with monkeypatch.context() as patch:
        for name in ("stat", "scandir", "listdir", "open"):
            real = getattr(os, name)
            patch.setattr(os, name, lambda *args, real=real, **kwargs: calls.append(1) or real(*args, **kwargs))
        do()
    return len(calls)


def everything() -> None:
    """What a page asks of each run in its list."""
    for run in store.list_runs():
        assert store.final(run.id) == {"accuracy": 0.9}
        assert len(store.history(run.id)) == 1
        assert store.find(run.id) == run and not store.is_shipped(run.id)
        assert store.list_results(run.id) == []


def test_ten_times_the_runs_cost_ten_times_as_much(place, monkeypatch):
    finish(20)
    few = asked(monkeypatch, everything)
    finish(200)
    many = asked(monkeypatch, everything)
    assert few > 20 and many < 11 * few, f"{few} questions to the disk for 20 runs, {many} for 200"


def test_making_a_run_costs_the_same_among_many(place, monkeypatch):
    alone = asked(monkeypatch, lambda: store.create(RUN))
    finish(50)
    assert asked(monkeypatch, lambda: store.create(dataclasses.replace(RUN, seed=999))) <= alone + 2


def test_a_last_measurement_is_read_once_and_again_when_it_changes(place, monkeypatch):
    finish(1)
    read = []
    real = io.read_json
    monkeypatch.setattr(io, "read_json", lambda path: read.append(path) or real(path))
    first = store.final(RUN.id)
    first["accuracy"] = 0.1
    assert store.final(RUN.id) == {"accuracy": 0.9}, "what a caller does with it is not kept"
    assert len(read) == 1
    io.write_json(place / RUN.id / "final.json", {"accuracy": 0.95})
    assert store.final(RUN.id) == {"accuracy": 0.95} and len(read) == 2
    (place / RUN.id / "final.json").unlink()
    assert store.final(RUN.id) is None


@pytest.mark.parametrize("content", ["{", "[]", "7", "", "\xff", "[" * 100_000])
def test_a_last_measurement_that_is_none_is_told_each_time(place, content):
    finish(1)
    (place / RUN.id / "final.json").write_bytes(content.encode("latin-1"))
    for _ in range(2):
        with pytest.raises(store.runs.StoreError, match="cannot be read"):
            store.final(RUN.id)
