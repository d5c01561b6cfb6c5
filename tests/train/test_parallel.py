"""One training as two real processes (gloo): equal weights in both, the losses of one, stop, resume, and a killed one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from core import data, store
from core.errors import TrainError
from core.train import loop
from core.train.parallel import Team, join, ranks
from tests.train.rank import Ear, few, make

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
#: LayerNorm only, and everything that takes the gradient: one process gets the same
VIT = {"arch": "vit-mini", "limit": 45, "changes": {"batch": 15, "lr": 1e-3, "sam": 0.05, "ema": 0.9, "mixup": 1.0}}
#: batch norm, stochastic depth and shares of 4 and 5 images
MIXED = {"arch": "cm-cm/width=32,32", "limit": 64, "changes": {"batch": 9, "drop_path": 0.1, "ema": 0.9, "sam": 0.05, "cutmix": 0.8}}
PLAN = [
    VIT | {"name": "vit", "home": "vit", "report_s": 0.3},
    MIXED | {"name": "whole", "home": "whole"},
    MIXED | {"name": "stopped", "home": "parts", "stop": 3, "rank": 1},
    MIXED | {"name": "stopped at an epoch", "home": "parts", "stop": 4, "rank": 0},
    MIXED | {"name": "resumed", "home": "parts"},
    MIXED | {"name": "left", "home": "left", "stop": 3, "rank": 1},
    MIXED | {"name": "locked", "home": "left", "locked": True, "rank": 0},
    MIXED | {"name": "diverged", "home": "diverged", "broken": True, "rank": 1},
]


def launch(folder, plan, seconds=75):
    """Run a plan in two processes under torchrun; (its exit code, its output, what each process said: name -> [first, second])."""
    (folder / "told.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(ROOT / "tests/train/rank.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, str(folder)], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its processes, hard after 30 s
            process.wait(40)
            pytest.fail(f"still running after {seconds} s: {(folder / 'log').read_text()[-3000:]}")
    left = [pid for file in folder.glob("pid.*") if Path(f"/proc/{(pid := file.read_text())}").exists()]
    assert not left, f"processes {left} outlived torchrun"
    said = {told["name"]: [read(folder / f"{told['name']}.{rank}.json") for rank in (0, 1)] for told in plan}
    return process.returncode, (folder / "log").read_text(), said


def read(path):
    return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """(folder, what both processes said) of the whole plan, run once."""
    folder = tmp_path_factory.mktemp("two")
    code, log, said = launch(folder, PLAN)
    assert code == 0, log[-3000:]
    return folder, said


@pytest.fixture
def alone(monkeypatch):
    """Train a plan's line in this process, in a data folder."""

    def train(told, home):
        monkeypatch.setenv("ALTERLAB_HOME", str(home))
        monkeypatch.setattr(data, "load", few)
        run = make(told["arch"], told["limit"], **told["changes"])
        return loop.train(run, store.create(run), Ear(), device="cpu"), store.history(run.id), store.weights(run.id, "end")

    return train


def of(home, said):
    """(history, end weights) of what was trained in a data folder."""
    folder = home / "runs" / said["run"]
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()], folder / "weights" / "end.safetensors"


def test_both_processes_hold_the_same_weights(two):
    _, said = two
    for name in ("vit", "whole", "stopped", "resumed"):
        first, second = said[name]
        assert first["nets"] == second["nets"] and len(first["nets"]) == 2, name  # the net and its average
    assert said["vit"][0]["nets"] != said["whole"][0]["nets"]


def test_two_processes_train_as_one(two, alone, tmp_path):
    folder, said = two
    final, rows, weights = alone(VIT, tmp_path)
    other, shared = of(folder / "vit", said["vit"][0])
    assert (final["processes"], said["vit"][0]["final"]["processes"]) == (1, 2)
    for one, both in zip(rows, other, strict=True):
        assert both["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
        assert both["test_nll"] == pytest.approx(one["test_nll"], rel=1e-4)
        assert both["n_test"] == one["n_test"] == 101
    one, both = load_file(weights), load_file(shared)
    for name, values in one.items():
        np.testing.assert_allclose(both[name].astype(np.float64), values.astype(np.float64), atol=2e-4, err_msg=name)
    assert said["vit"][0]["final"]["nll"] == pytest.approx(final["nll"], rel=1e-4)


def test_a_stop_in_either_process_stops_both_and_resumes_to_the_same_weights(two):
    folder, said = two
    for name, look, step in (("stopped", 3, 3), ("stopped at an epoch", 4, 7)):
        first, second = said[name]
        assert [s["ended"] for s in (first, second)] == ["Cancelled", "Cancelled"]
        assert first["looks"] == second["looks"] == look and first["steps"][-1] == step
    assert said["resumed"][0]["final"]["digest"] == said["whole"][0]["final"]["digest"]
    assert said["resumed"][0]["nets"] == said["whole"][0]["nets"]
    histories = [of(folder / home, said["whole"][0])[0] for home in ("whole", "parts")]
    timing = {"seconds", "images_per_s"}
    assert len({json.dumps([{k: v for k, v in row.items() if k not in timing} for row in h]) for h in histories}) == 1


def test_what_two_processes_left_one_goes_on_with(two, alone):
    folder, said = two
    final, rows, _ = alone(MIXED, folder / "left")
    assert final["processes"] == 1 and final["steps"] == 14 and [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["train_loss"] == pytest.approx(said["whole"][0]["rows"][0]["train_loss"], rel=0.2)


def test_only_the_first_process_speaks_and_both_return_the_scores(two):
    _, said = two
    first, second = said["whole"]
    assert first["steps"][-1] == 14 and len(first["rows"]) == 2
    assert second["steps"] == [] and second["rows"] == []
    timing = {"seconds", "images_per_s"}
    assert {k: v for k, v in first["final"].items() if k not in timing} == {k: v for k, v in second["final"].items() if k not in timing}


def test_a_loss_that_breaks_in_one_process_ends_both_in_words(two):
    folder, said = two
    for one in said["diverged"]:
        assert one["ended"] == "TrainError" and "no longer finite at step 1 " in one["words"]
    assert not list((folder / "diverged").glob("runs/*/final.json"))


def test_a_run_that_is_being_trained_is_refused_by_both(two):
    _, said = two
    assert ["being trained by another process" in one["words"] for one in said["locked"]] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other(tmp_path, victim):
    code, log, said = launch(tmp_path, [MIXED | {"name": "killed", "home": "home", "die": 4, "rank": victim}])
    assert code != 0, log[-3000:]
    assert said["killed"][victim] is None
    other = said["killed"][1 - victim]
    assert other is None or other["ended"] == "PeerLost"  # torchrun may be quicker than the broken line


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_the_whole_batch(size):
    rows = list(range(19))
    parts = [rows[Team(device=CPU, rank=rank, size=size).share(19)] for rank in range(size)]
    assert [row for part in parts for row in part] == rows
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_there_is_nobody_to_meet(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join(CPU) as team:
        assert team == Team(device=CPU) and team.leads and not torch.distributed.is_initialized()
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert ranks() == (0, 1)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"RANK": "2", "LOCAL_RANK": "2", "WORLD_SIZE": "2"}, "no place among"),
        ({"RANK": "-1", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "no place among"),
        ({"RANK": "", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "no place among"),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "many"}, "no place among"),
        ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}, "one machine"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused_in_words(told, words, monkeypatch):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainError, match=words):
        ranks()


@pytest.mark.parametrize(("device", "words"), [("cuda", "2 processes need 2 GPUs; 1 are"), ("cuda:1", "not cuda:1"), ("mps", "on mps")])
def test_devices_that_do_not_suffice_are_refused_before_anyone_waits(device, words, monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainError, match=words), join(torch.device(device)):
        pass


def test_a_batch_has_two_images_for_each_process(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path))
    run = make("cm-cm/width=32,32", 64, batch=5)
    with pytest.raises(TrainError, match="5 training images a step are too few; at least 6 are needed"):
        loop._Training(run, store.create(run), Ear(), Team(device=CPU, size=3), False)
