"""Frozen training batches: the same for every net that learned from the same images in the same way, and what the recipe says."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core import data, io, spec, store
from core.analyses import Subject
from core.analyses._batches import frozen, losses
from core.errors import MeasureError
from core.models import build
from core.recipe import RECIPES
from core.run import Run
from core.train.snapshot import rounded, save_weights

SMALL = spec.parse("cm-cm/width=16,32/heads=1,2").notation


def subject(arch: str = SMALL, recipe: str = "quick", **settings) -> Subject:
    return Subject(Run(arch=arch, data="fashion", recipe=dataclasses.asdict(RECIPES[recipe]), **settings), "cpu")


def test_two_nets_of_one_recipe_see_the_same_and_another_seed_does_not():
    one, two = frozen(subject(), "recipe", 40, 16, 3), frozen(subject("mt/stem=patch4/width=32", seed=5), "recipe", 40, 16, 3)
    assert one.digest == two.digest and [len(x) for x in one.x] == [16, 16, 8]
    assert all(torch.equal(a, b) for a, b in zip(one.x, two.x, strict=True))
    assert one.digest != frozen(subject(), "recipe", 40, 16, 4).digest
    assert len({frozen(subject(), how, 40, 16, 3).digest for how in ("recipe", "paper", "clean")}) == 3


def test_clean_images_are_training_images_as_they_are_with_hard_labels():
    found, pictures = frozen(subject(), "clean", 30, 16, 0), data.load("fashion", "train")
    chosen = data.subset(pictures.labels, 1.0, 30, 0)
    mean, std = pictures.spec.mean[0], pictures.spec.std[0]
    known = {((pictures.pixels[i, 0] / 255 - mean) / std).astype(np.float32).round(3).tobytes(): int(pictures.labels[i]) for i in chosen}
    assert len(known) == 30
    for x, target in zip(torch.cat(found.x), torch.cat(found.target), strict=True):
        assert known.pop(x[0].numpy().round(3).tobytes()) == int(target.argmax()) and target.sum() == target.max() == 1
    assert not known, "every image once"


def test_soft_labels_are_those_of_the_recipe():
    smooth = torch.cat(frozen(subject(), "recipe", 32, 16, 0).target)
    assert torch.allclose(smooth.amax(1), torch.tensor(0.91)) and torch.allclose(smooth.sum(1), torch.ones(32))
    mixed = torch.cat(frozen(subject(), "paper", 32, 16, 0).target)
    assert torch.allclose(mixed.sum(1), torch.ones(32)) and (mixed > 0.02).sum(1).max() == 2, "two classes share an image"


def test_the_loss_is_cross_entropy_with_label_smoothing():
    logits, y = torch.randn(8, 10, generator=torch.Generator().manual_seed(0)) * 4, torch.arange(8)
    target = F.one_hot(y, 10).float() * 0.9 + 0.01
    assert torch.allclose(losses(logits, target), F.cross_entropy(logits, y, label_smoothing=0.1, reduction="none"), atol=1e-6)
    huge = losses(logits * 1e30, target)
    assert torch.isfinite(huge).all(), "far away is no overflow"


def test_a_part_of_the_images_is_the_runs_own_part():
    part = subject(limit=50, seed=7)
    pictures = data.load("fashion", "train")
    own = set(data.subset(pictures.labels, 1.0, 50, 7).tolist())
    mean, std = pictures.spec.mean[0], pictures.spec.std[0]
    known = {((pictures.pixels[i, 0] / 255 - mean) / std).astype(np.float32).round(3).tobytes() for i in own}
    assert all(x[0].numpy().round(3).tobytes() in known for x in torch.cat(frozen(part, "clean", 50, 16, 0).x))
    with pytest.raises(MeasureError, match=r"51 images are asked for; .* was trained on 50"):
        frozen(part, "clean", 51, 16, 0)
    with pytest.raises(MeasureError, match="no way to feed images 'mixed'"):
        frozen(part, "mixed", 10, 16, 0)


def test_a_run_on_all_of_fashion_is_measured_on_the_part_that_comes_with_the_lab():
    whole = Subject(Run(arch=SMALL, data="fashion-full", recipe=dataclasses.asdict(RECIPES["quick"])), "cpu")
    assert whole.pictures("train").digest == data.load("fashion", "train").digest
    assert frozen(whole, "recipe", 16, 16, 0).digest == frozen(subject(), "recipe", 16, 16, 0).digest


def test_init_is_rebuilt_from_the_seed_where_no_file_is_kept(home):
    run = subject(seed=3).run
    place = store.create(run) / "weights"
    fresh = build(spec.parse(run.arch), 32, 10, seed=3)
    rebuilt = Subject(run, "cpu", "init")
    assert rebuilt.weights_digest == io.digest(rounded(fresh))
    weights = {name: t.clone() for name, t in rebuilt.net.state_dict().items()}
    save_weights(fresh, place / "init.safetensors")
    kept = Subject(run, "cpu", "init")
    assert kept.weights_digest == rebuilt.weights_digest
    assert all(torch.equal(t, weights[name]) for name, t in kept.net.state_dict().items())
