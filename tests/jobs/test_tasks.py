"""The map from a job's name to work, with the work stood in for."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from core import io, store
from core.errors import JobError, StoreError
from core.jobs import Cancelled, Context
from core.run import Run
from core.tasks import TASKS

RUN = Run(arch="cc", data="fashion", recipe={"name": "quick"}, name="Yours")


def stand_in(monkeypatch, name, **members):
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_training_fills_the_runs_folder_and_is_not_done_twice(home, monkeypatch):
    calls = []

    def train(run, folder, listener, *, device):
        calls.append((run, folder, listener, device))
        io.write_json(folder / "final.json", {"accuracy": 0.5})
        return {"accuracy": 0.5}

    stand_in(monkeypatch, "core.train.loop", train=train)
    stand_in(monkeypatch, "core.train")
    context = Context(home)
    args = {"run": RUN.to_json(), "device": "cpu"}
    assert TASKS["train"](args, context) == {"run": RUN.id, "final": {"accuracy": 0.5}}
    assert TASKS["train"](args, context) == {"run": RUN.id, "final": {"accuracy": 0.5}}
    assert calls == [(RUN, store.folder(RUN.id), context, "cpu")]
    with pytest.raises(StoreError, match="not the description of a run"):
        TASKS["train"]({"run": {"arch": "cc"}}, context)


def test_measuring_stops_where_it_says_how_far_it_is(home, monkeypatch):
    context = Context(home)

    def measure_together(run_id, asks, *, device, progress):
        assert (run_id, asks, device) == ("r", {"fourier": {"images": 8}}, "cpu")
        progress(1, 2, "first half")
        context.stop = stop
        progress(2, 2)
        return {"fourier": SimpleNamespace(manifest={"key": "k"})}

    stand_in(monkeypatch, "core.analyses", measure_together=measure_together)
    args = {"run": "r", "asks": {"fourier": {"images": 8}}, "device": "cpu"}
    stop = False
    assert TASKS["measure"](args, context) == {"run": "r", "keys": {"fourier": "k"}}
    assert io.read_json(home / "progress.json")["step"] == 2
    stop = True
    with pytest.raises(Cancelled):
        TASKS["measure"](args, context)


def test_the_self_test_refuses_nothing_to_count(home):
    with pytest.raises(JobError, match="at least 1"):
        TASKS["sleep"]({"steps": 0}, Context(home))


def test_images_are_fetched_with_progress_and_can_be_stopped(home, monkeypatch):
    from core import data

    asked = []

    def fetch(dataset, progress):
        asked.append(dataset)
        progress(1, 2, "half")
        progress(2, 2, "all")

    monkeypatch.setattr(data, "fetch", fetch)
    context = Context(home)
    assert TASKS["fetch"]({"id": "cifar10"}, context) == {"data": "cifar10"}
    assert asked == ["cifar10"]
    context.stop = True
    with pytest.raises(Cancelled):
        TASKS["fetch"]({"id": "cifar10"}, context)
