"""Schedule and SAM against their formulas."""

import math

import pytest
import torch

from core import recipe
from core.errors import TrainError
from core.train.device import attention_form, resolve
from core.train.optim import make_optimiser, rate, sam_step


def test_rate_warms_up_linearly_then_follows_a_cosine_to_zero():
    rates = [rate(s, 10, 110, 2.0) for s in range(110)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0) and rates[10] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(1.0) and rates[-1] == pytest.approx(1 + math.cos(math.pi * 0.99))


def test_paper_recipe_is_the_papers():
    paper = recipe.RECIPES["paper"]
    assert (paper.total_epochs, paper.batch, paper.lr, paper.clip, paper.drop_path) == (305, 96, 1.25e-4, 5.0, 0.1)
    assert (paper.mixup, paper.cutmix, paper.smoothing, paper.decay_all) == (1.0, 0.8, 0.1, True)


@pytest.mark.parametrize(
    ("field", "value"), [("lr", -1.0), ("batch", 0), ("epochs", 10**9), ("optimiser", "adam"), ("lr", float("nan")), ("flip", 3)]
)
def test_a_recipe_out_of_bounds_is_refused_in_words(field, value):
    with pytest.raises(TrainError, match=field):
        recipe.get("quick", **{field: value})


def test_every_field_says_where_it_comes_from():
    import dataclasses

    for field in dataclasses.fields(recipe.Recipe):
        assert field.metadata["origin"] and field.metadata["label"], field.name


def test_vectors_are_spared_weight_decay_unless_the_recipe_says_all():
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    groups = make_optimiser(net, recipe.get("quick"), torch.device("cpu")).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(1, 0.05), (3, 0.0)]
    groups = make_optimiser(net, recipe.get("paper"), torch.device("cpu")).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(4, 0.05)]


def test_sam_takes_the_gradient_at_the_worst_point():
    # loss a w^2 / 2: gradient a w, worst point w + rho sign(w), gradient there a (w + rho)
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 3.0)

    def loss():
        return 2.0 * net.weight.pow(2).sum() / 2

    loss().backward()
    sam_step(net, 0.5, loss)
    assert net.weight.grad.item() == pytest.approx(2.0 * 3.5)
    assert net.weight.item() == pytest.approx(3.0)


@pytest.mark.parametrize("norm", [torch.nn.BatchNorm2d, torch.nn.SyncBatchNorm])
def test_sam_leaves_batch_norm_statistics_alone(norm):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), norm(2)).train()
    x = torch.randn(4, 1, 3, 3)
    net(x).pow(2).sum().backward()
    before = net[1].running_mean.clone()
    sam_step(net, 0.1, lambda: net(x).pow(2).sum())
    assert torch.equal(before, net[1].running_mean) and net[1].momentum == 0.1


def test_unknown_devices_are_refused_in_words():
    for name in ("tpu", "cuda:99", "meta"):
        with pytest.raises(TrainError, match=r"device|Devices"):
            resolve(name)
    assert attention_form(torch.device("cpu"), torch.bfloat16) == "plain"
