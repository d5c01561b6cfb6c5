"""What is shipped is what it says: digests, accuracies, results that answer today's question, sizes."""

import dataclasses
import importlib.util
from types import ModuleType

import pytest
import torch

from core import analyses, data, io, presets, spec, store
from core.models import build
from core.train.evaluate import evaluate
from core.train.snapshot import load_weights

RUNS = [run for run in store.list_runs() if store.is_shipped(run.id)]
#: those that can be measured again
WHOLE = [run for run in RUNS if (store.shipped_root() / run.id / "weights" / "end.safetensors").is_file()]


def shipping() -> ModuleType:
    """What makes checkpoints/."""
    spec = importlib.util.spec_from_file_location("ship", io.CHECKOUT / ".ci" / "ship.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs_images(run):
    """Test images of Fashion-MNIST come with the lab; others may not be on this machine."""
    if not run.data.startswith("fashion") and (why := data.available(run.data)):
        pytest.skip(why)


def test_the_nets_are_there_and_small():
    assert len(WHOLE) >= 6 and {run.arch for run in WHOLE} <= {presets.resolve(preset).notation for preset in presets.SHIPPED}
    files = [path for path in store.shipped_root().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 26e6
    assert {path.suffix for path in files} == {".json", ".jsonl", ".safetensors", ".parquet", ".npz"}


def test_what_is_shipped_is_measured():
    """`make checkpoints` would train more nets, but has nothing to measure on those that are here."""
    held = {run.id for run in RUNS}
    assert [command for command in shipping().commands() if command[0] == "measure" and command[1] in held] == []


def test_every_shipped_run_is_one_that_can_be_made_again():
    made = {command[1] for command in shipping().commands(everything=True) if command[0] == "export"}
    assert {run.id for run in RUNS} <= made


@pytest.mark.parametrize("run", WHOLE, ids=lambda run: run.id)
def test_digests_and_accuracy_are_of_the_shipped_file(run):
    final = store.final(run.id)
    assert io.digest_file(store.weights(run.id)) == final["digest"]
    needs_images(run)
    test = data.load(run.data, "test", run.image_size)
    assert test.digest == final["test_digest"] and final["n_test"] == len(test) == 10_000
    torch.set_num_threads(1)
    net = build(spec.parse(run.arch), run.image_size, run.classes)
    load_weights(net, store.weights(run.id))
    some = data.subset(test.labels, 1.0, 1000, 0)
    share = evaluate(net.attend("sdpa"), test, some, torch.device("cpu"), torch.float32)["accuracy"]
    # 1,000 of the 10,000: four standard errors
    assert abs(share - final["accuracy"]) < 4 * (final["accuracy"] * (1 - final["accuracy"]) / 1000) ** 0.5
    assert store.history(run.id)[-1]["accuracy"] == pytest.approx(final["accuracy"], abs=0.005)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.id)
def test_shipped_results_are_of_the_shipped_weights_and_answer_todays_question(run):
    final = store.final(run.id)
    for told in store.list_results(run.id):
        method = analyses.get(told["analysis"])
        assert "dirty" not in told["code"] and told["version"] == method.version, "it answers no question of today"
        weights = told["weights"] if not told["others"] else io.digest([told["weights"], *told["others"].values()])
        assert told["params"] == dataclasses.asdict(method.params(**told["params"]))
        assert told["key"] == store.result_key(method.id, method.version, told["params"], weights, told["data_digest"])
        if told["phase"] == "end":
            assert told["weights"] == final["digest"]
        assert store.load_result(run.id, method.id, told["key"]) is not None


def asked_again():
    """Each method of two nets, each time of two others; all of them together take minutes."""
    offline = [run for run in WHOLE if run.data.startswith("fashion")]
    for place, method in enumerate(analyses.catalogue().values()):
        apply = [run for run in offline if not analyses.refusal(method, run)]
        for run in {run.id: run for run in (apply[i % len(apply)] for i in (place, place + 1))}.values() if apply else ():
            yield pytest.param(run, method, id=f"{method.id}-{run.id}")


@pytest.mark.parametrize(("run", "method"), list(asked_again()))
def test_shipped_results_have_the_shape_of_what_is_measured_now(run, method):
    told = max(store.list_results(run.id, method.id), key=lambda m: m["params"] == dataclasses.asdict(method.params()))
    subject = analyses.Subject(run, "cpu")
    assert told["data_digest"] == subject.pictures(getattr(method.params(**told["params"]), "on", "test")).digest
    if "phase" in told["params"]:
        return  # minutes long; that it gives the same again is asked of small nets
    stored = store.load_result(run.id, method.id, told["key"])
    few = method.measure(subject, method.params(images=32), lambda *a, **k: None).table
    shared = [name for name in ("unit", "with_unit", "head", "off", "draw") if name in few]
    assert list(few.columns) == list(stored.table.columns)
    for name in shared:
        assert list(few[name].unique()) == list(stored.table[name].unique())
