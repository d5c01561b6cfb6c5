"""Several questions about one run: one forward pass, the same answers as alone, each stored under its own key."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from core import analyses, data, store
from core.analyses import Subject
from core.errors import LabError, MeasureError
from core.models import build
from core.recipe import RECIPES
from core.run import Run
from core.spec import parse
from core.train.snapshot import save_weights

THREE = ("fourier", "variance", "cka")


@pytest.fixture
def run(home) -> Run:
    """A stored net that was not trained: features are features."""
    torch.set_num_threads(1)
    made = Run(arch="cwt-cmo/width=16,32/heads=1,1", data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]))
    folder = store.create(made)
    save_weights(build(parse(made.arch), 32, 10, seed=0), folder / "weights" / "end.safetensors")
    return made


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """How many images each forward pass saw."""
    seen: list[int] = []
    plain = Subject.chunks

    def counted(self, *ask):
        for x, y in plain(self, *ask):
            seen.append(len(x))
            yield x, y

    monkeypatch.setattr(Subject, "chunks", counted)
    return seen


def test_one_pass_serves_three(run, passes):
    told = []
    found = analyses.measure_together(run.id, {name: {"images": 100} for name in THREE}, progress=lambda *a, **_: told.append(a[:2]))
    assert passes == [25] * 4 and told == [(25, 100), (50, 100), (75, 100), (100, 100)]
    for name in THREE:
        alone = analyses.get(name)
        table = alone.measure(Subject(run), alone.params(images=100), lambda *_a, **_k: None).table
        pd.testing.assert_frame_equal(found[name].table, table)
        assert found[name].manifest["together"] == sorted(THREE)
    count = len(passes)
    again = analyses.measure_together(run.id, {name: {"images": 100} for name in THREE})
    assert len(passes) == count and again["cka"].manifest["created"] == found["cka"].manifest["created"]


def test_what_is_stored_is_not_measured_again_and_other_images_take_another_pass(run, passes):
    analyses.measure_run(run.id, "fourier", {"images": 20})
    del passes[:]
    told = []
    asks = {"fourier": {"images": 20}, "variance": {"images": 20}, "cka": {"images": 30}}
    analyses.measure_together(run.id, asks, progress=lambda *a, **_: told.append(a[:2]))
    assert passes == [20, 30]
    assert told == [(20, 40), (60, 60)], "each pass is a share of the whole"


def test_the_set_of_images_is_chosen_and_named(run):
    tables = {on: analyses.measure_run(run.id, "variance", {"images": 40, "on": on}) for on in ("test", "train", "shapes-textures")}
    digests = {stored.manifest["data_digest"] for stored in tables.values()}
    assert len(digests) == 3 and tables["shapes-textures"].manifest["data"] == "shapes-textures"
    x, _ = Subject(run).images("shapes-textures", 40, 0)
    theirs = data.load("shapes-textures", "test", 32)
    pixels = theirs.pixels[data.subset(theirs.labels, 1.0, 40, 0)] / 255
    mean, std = (np.array(getattr(data.get("fashion"), name))[:, None, None] for name in ("mean", "std"))
    assert torch.allclose(x, torch.from_numpy((pixels - mean) / std).float(), atol=1e-5), "normalised as the net's own images"
    with pytest.raises(MeasureError, match="set of images"):
        analyses.measure_run(run.id, "variance", {"on": "folder:."})


def test_a_net_that_was_first_used_without_gradients_can_still_have_them(run):
    subject = Subject(run)
    with torch.inference_mode():
        x, _ = next(subject.chunks("test", 8, 0, 8))
        subject.net(x)
    subject.net(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert all(weight.grad is not None for weight in subject.net.parameters())


def test_questions_that_cannot_be_asked(run):
    with pytest.raises(MeasureError, match="no setting"):
        analyses.measure_run(run.id, "variance", {"depth": 3})
    with pytest.raises(MeasureError, match="at most 10000"):
        analyses.measure_run(run.id, "variance", {"images": 10**6})
    with pytest.raises(LabError, match="no run"):
        analyses.measure_run(run.id, "cka", {"against": "nobody"})


def test_the_other_net_is_part_of_the_question(run):
    other = dataclasses.replace(run, seed=5)
    folder = store.create(other)
    keys = []
    for seed in (5, 6):
        save_weights(build(parse(other.arch), 32, 10, seed=seed), folder / "weights" / "end.safetensors")
        stored = analyses.measure_run(run.id, "cka", {"images": 16, "against": other.id})
        keys.append(stored.manifest["key"])
        assert list(stored.manifest["others"]) == [other.id]
    assert len(set(keys)) == 2, "other weights, another answer"
