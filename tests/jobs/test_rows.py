"""Curvature and surfaces as jobs: killed, resumed and shared, they give what one process gives, to the last bit."""

import dataclasses
import os
import signal

import numpy as np
import pandas as pd
import pytest

from core import analyses, jobs, spec, store
from core.analyses import Subject
from core.jobs import record, shards
from core.models import build
from core.recipe import RECIPES
from core.run import Run
from core.train.snapshot import save_weights
from tests.jobs.conftest import begun, ended, until

ASKS = {
    "hessian": {"images": 48, "batch": 8, "top": 2},  # six batches
    "landscape": {"images": 64, "side": 7, "planes": 2},
}


@pytest.fixture
def run(lab, monkeypatch) -> Run:
    """A small net that was not trained; its jobs compute as this process does, with one thread."""
    monkeypatch.setenv("ALTERLAB_TASKS", "core.tasks")
    monkeypatch.setenv("ALTERLAB_THREADS", "1")
    notation = spec.parse("cm-cm/width=16,32/heads=1,2").notation
    made = Run(arch=notation, data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]))
    save_weights(build(spec.parse(notation), 32, 10, seed=0), store.create(made) / "weights" / "end.safetensors")
    return made


def args(run: Run, name: str) -> dict:
    params = analyses.get(name).params(**ASKS[name])
    return {"run": run.id, "asks": {name: dataclasses.asdict(params)}, "device": "cpu"}


def alone(run: Run, name: str):
    import torch

    torch.set_num_threads(1)
    method = analyses.get(name)
    return method.measure(Subject(run, "cpu"), method.params(**ASKS[name]), lambda *_a, **_k: None)


def same(stored: store.Stored, whole) -> None:
    pd.testing.assert_frame_equal(stored.table, whole.table, check_exact=True)
    assert set(stored.arrays) == set(whole.arrays)
    assert all(np.array_equal(stored.arrays[name], array, equal_nan=True) for name, array in whole.arrays.items())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_measurement_repeats_one_row_at_most(run):
    name = "landscape"
    job = jobs.submit("measure_rows", args(run, name))
    until(lambda: shards.done(job.folder) >= 2, 120)
    kept = {path.name: path.stat().st_mtime_ns for path in (job.folder / "shards").iterdir() if path.suffix == ".npz"}
    os.kill(begun(job.id)["worker"], signal.SIGKILL)
    done = ended(job.id, 120)
    assert (done.state, done.attempt) == ("succeeded", 2), done
    assert all((job.folder / "shards" / place).stat().st_mtime_ns == when for place, when in kept.items()), "a row was measured twice"
    same(store.load_result(run.id, name, done.result["keys"][name]), alone(run, name))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_shared_by_three_jobs_it_is_the_same(run):
    rows = analyses.rows_of(run.id, "hessian", ASKS["hessian"])
    whole = jobs.submit("measure_rows", args(run, "hessian"), parts=3, rows=rows)
    done = ended(whole.id, 200)
    assert done.state == "succeeded", [(job.id, job.reason) for job in jobs.list()]
    assert sorted(record.names()) and len(jobs.list()) == 4 and rows == 6 == shards.done(whole.folder)
    same(store.load_result(run.id, "hessian", done.result["keys"]["hessian"]), alone(run, "hessian"))
    stored = [m for m in store.list_results(run.id, "hessian")]
    assert len(stored) == 1 and stored[0]["seconds"] > 0
