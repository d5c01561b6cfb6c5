"""Training for real on a few hundred real images: resume equals uninterrupted, divergence is a sentence, history is true."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from core import data, recipe, size, store
from core.errors import TrainError
from core.jobs import Cancelled
from core.models import build
from core.presets import resolve
from core.run import Run
from core.train import loop
from core.train.evaluate import evaluate
from core.train.loop import train
from core.train.snapshot import load_weights

TINY = "cm-cm/width=32,32"


class Ear:
    """A listener that asks to stop once, after `stop` steps."""

    def __init__(self, stop=None):
        self.stop, self.steps, self.rows = stop, [], []

    def progress(self, step, total, message="", **_):
        self.steps.append((step, total))

    def metric(self, row):
        self.rows.append(row)

    def cancelled(self):
        return self.stop is not None and self.steps[-1][0] >= self.stop


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A data folder of its own, and 500 test images instead of 10,000 (the last measurement would take most of the time)."""
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path))
    torch.set_num_threads(1)
    monkeypatch.setattr(data, "load", few)


def few(name, split, size=None, load=data.load):
    images = load(name, split, size)
    return images if split == "train" else dataclasses.replace(images, pixels=images.pixels[:500], labels=images.labels[:500])


def make(seed=0, arch=TINY, **changes):
    settings = {"epochs": 2, "batch": 8, "lr": 1e-3, "drop_path": 0.1} | changes
    chosen = recipe.get("quick", **settings)
    return Run(arch=resolve(arch).notation, data="fashion", recipe=dataclasses.asdict(chosen), seed=seed, limit=320)


def final_weights(run):
    return load_file(store.weights(run.id, "end"))


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "sam": 0.05, "mixup": 1.0, "cutmix": 0.8}], ids=["quick", "everything"])
def test_resume_gives_the_same_weights_as_no_stop(changes, monkeypatch):
    plain, other = make(**changes), make(**changes, lr=1e-3)
    folder = store.create(plain)
    ear = Ear()
    first = train(plain, folder, ear, device="cpu")
    expected, history = final_weights(plain), store.history(plain.id)
    store.delete(plain.id)
    folder = store.create(other)
    monkeypatch.setattr(loop, "REPORT_S", 0.0)
    for stop in (17, 40, 53):  # inside the first epoch of 40 steps, at its end, inside the second
        with pytest.raises(Cancelled):
            train(other, folder, Ear(stop), device="cpu")
        assert store.final(other.id) is None
    again = train(other, folder, Ear(), device="cpu")
    for name, tensor in final_weights(other).items():
        assert torch.equal(tensor, expected[name]), name
    assert again["digest"] == first["digest"]
    timing = {"seconds", "images_per_s", "cpu_seconds"}
    rows = [[{k: v for k, v in r.items() if k not in timing} for r in h] for h in (history, store.history(other.id))]
    assert rows[0] == rows[1]
    assert [r["epoch"] for r in rows[1]] == [1, 2]
    assert again["seconds"] > 0


@pytest.mark.parametrize("arch", ["cwcs", "lt/stem=patch4/width=32"])
@pytest.mark.parametrize("decay", [0.9, 0.9995])
def test_an_average_keeps_masks_and_indices_and_follows_the_weights(arch, decay):
    average, net = build(resolve(arch), 32, 10, seed=0), build(resolve(arch), 32, 10, seed=1)
    start = {k: v.clone() for k, v in average.state_dict().items()}
    for _ in range(3):
        loop.blend(average, net, 1 - decay)
    for name, kept in average.state_dict().items():
        now = net.state_dict()[name]
        assert torch.allclose(kept.float(), (decay**3 * start[name] + (1 - decay**3) * now).float(), atol=1e-5), name
    for kept, now in zip(average.buffers(), net.buffers(), strict=True):
        assert kept.shape == now.shape
    assert torch.isfinite(average.eval()(torch.randn(2, 3, 32, 32))).all()
    masks = [m.mask for m in average.modules() if hasattr(m, "mask")]
    assert masks and all(set(m.unique().tolist()) == {float("-inf"), 0.0} for m in masks)


def test_a_run_is_not_trained_twice_at_once():
    run = make()
    folder = store.create(run)

    class Second(Ear):
        def metric(self, row):
            with pytest.raises(TrainError, match="being trained by another process"):
                train(run, folder, Ear(), device="cpu")
            super().metric(row)

    ear = Second()
    train(run, folder, ear, device="cpu")
    assert len(ear.rows) == 2


def test_a_torn_resume_point_falls_back_to_the_one_before(monkeypatch):
    run = make()
    folder = store.create(run)
    train(run, folder, Ear(), device="cpu")
    expected = final_weights(run)
    store.delete(run.id)
    folder = store.create(run)
    monkeypatch.setattr(loop, "REPORT_S", 0.0)
    for stop in (17, 53):
        with pytest.raises(Cancelled):
            train(run, folder, Ear(stop), device="cpu")
    last = folder / "checkpoint" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:1000])
    train(run, folder, Ear(), device="cpu")
    assert all(torch.equal(t, expected[n]) for n, t in final_weights(run).items())


def test_final_numbers_are_those_of_the_stored_file():
    run = make()
    folder = store.create(run)
    final = train(run, folder, Ear(), device="cpu")
    assert json.loads((folder / "final.json").read_text()) == final == store.final(run.id)
    net = build(resolve(TINY), 32, 10)
    load_weights(net, store.weights(run.id))
    scores = evaluate(net, data.load("fashion", "test"), None, torch.device("cpu"), torch.float32)
    assert scores["accuracy"] == final["accuracy"]
    assert final["n_test"] == 500 and final["n_train"] == 320 and final["steps"] == 80
    assert final["parameters"] == size.count(resolve(TINY), 32, 10)["parameters"]
    assert final["accuracy"] > 0.3, "80 steps teach a net more than chance"
    assert not list((folder / "checkpoint").glob("*.safetensors"))


@pytest.mark.parametrize("epochs", [2, 3], ids=["apart", "warm-up ends at a third"])
def test_snapshots_are_there_and_init_is_rebuilt_from_the_seed(epochs):
    run = make(epochs=epochs)
    train(run, store.create(run), Ear(), device="cpu")
    for phase in ("init", "warmup", "third", "twothirds", "end"):
        assert store.weights(run.id, phase).exists()
    init, fresh = build(resolve(TINY), 32, 10), build(resolve(TINY), 32, 10, seed=0)
    load_weights(init, store.weights(run.id, "init"))
    for (name, a), b in zip(init.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b.half().to(b.dtype) if b.ndim > 1 else b), name


def test_divergence_is_a_sentence_and_keeps_what_was_there():
    run = make(arch="mtmt/stem=patch4/width=32", lr=10.0, clip=0.0, optimiser="sgd", warmup=0)
    folder = store.create(run)
    with pytest.raises(TrainError, match=r"no longer finite|not finite") as caught:
        train(run, folder, Ear(), device="cpu")
    assert "lower learning rate" in str(caught.value)
    assert store.final(run.id) is None
    assert store.weights(run.id, "init").exists()


def test_progress_counts_steps_to_the_end():
    run, ear = make(epochs=1), Ear()
    train(run, store.create(run), ear, device="cpu")
    assert ear.steps[-1] == (40, 40)
    assert len(ear.rows) == 1 and ear.rows[0]["accuracy"] == store.history(run.id)[0]["accuracy"]


def test_two_seeds_are_two_runs_with_other_weights():
    one, two = make(0, epochs=1), make(1, epochs=1)
    assert one.id != two.id
    for run in (one, two):
        train(run, store.create(run), Ear(), device="cpu")
    assert not torch.equal(final_weights(one)["head.weight"], final_weights(two)["head.weight"])
