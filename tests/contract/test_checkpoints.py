"""What is shipped is what it says: digests, accuracies, results that answer today's question, sizes."""

import dataclasses

import pytest
import torch

from core import analyses, data, io, presets, spec, store
from core.models import build
from core.train.evaluate import evaluate
from core.train.snapshot import load_weights

RUNS = [run for run in store.list_runs() if store.is_shipped(run.id)]


def test_the_three_nets_are_there_and_small():
    assert {run.arch for run in RUNS} >= {presets.resolve(preset).notation for preset in presets.SHIPPED}
    files = [path for path in store.shipped_root().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 26e6
    assert {path.suffix for path in files} == {".json", ".jsonl", ".safetensors", ".parquet", ".npz"}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.id)
def test_digests_and_accuracy_are_of_the_shipped_file(run):
    final = store.final(run.id)
    assert io.digest_file(store.weights(run.id)) == final["digest"]
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
@pytest.mark.parametrize("method", analyses.catalogue().values(), ids=lambda method: method.id)
def test_shipped_results_answer_todays_question(run, method):
    subject = analyses.Subject(run, "cpu")
    if why := analyses.refusal(method, run):
        pytest.skip(why)
    images = subject.pictures(getattr(method.params(), "on", "test")).digest
    key = store.result_key(method.id, method.version, dataclasses.asdict(method.params()), subject.weights_digest, images)
    stored = store.load_result(run.id, method.id, key)
    assert stored is not None, "measure it again: make checkpoints"
    for told in store.list_results(run.id, method.id):
        assert "dirty" not in told["code"] and told["version"] == method.version, "it answers no question of today"
        weights = told["weights"] if not told["others"] else io.digest([told["weights"], *told["others"].values()])
        assert told["params"] == dataclasses.asdict(method.params(**told["params"]))
        assert told["key"] == store.result_key(method.id, method.version, told["params"], weights, images)
        if told["phase"] == "end":
            assert told["weights"] == subject.weights_digest
    if "phase" in stored.manifest["params"]:
        return  # minutes long; that it gives the same again is asked of small nets
    few = method.measure(subject, method.params(images=32), lambda *a, **k: None).table
    shared = [name for name in ("unit", "with_unit", "head", "off", "draw") if name in few]
    assert list(few.columns) == list(stored.table.columns)
    for name in shared:
        assert list(few[name].unique()) == list(stored.table[name].unique())
