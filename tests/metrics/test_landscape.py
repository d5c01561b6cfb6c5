"""Oracles for walks away from weights: norms filter by filter, the L2 part by brute force."""

import math

import pytest
import torch

from core.errors import MeasureError
from core.metrics.landscape import direction, l2
from core.models import build
from core.spec import parse


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    net = build(parse("cbm-cwt/width=16,32/heads=1,2"), 32, 10, seed=0)
    return {name: weight.detach() for name, weight in net.named_parameters()}


def test_every_filter_has_the_norm_of_its_weights(weights):
    found = direction(weights, seed=0)
    for name, d in found.items():
        w = weights[name]
        assert d.shape == w.shape
        for filter_d, filter_w in zip(d.flatten(1), w.flatten(1), strict=True):
            assert float(filter_d.norm()) == pytest.approx(float(filter_w.norm()), rel=1e-5)


def test_the_papers_norm_runs_over_the_first_axis(weights):
    for name, d in direction(weights, seed=0, norm="dim0").items():
        assert torch.allclose(d.norm(dim=0), weights[name].norm(dim=0), rtol=1e-4, atol=1e-7), name


def test_what_does_not_move():
    net = build(parse("mt/stem=patch4/width=32/heads=2/head=cls"), 32, 10, seed=0)
    found = direction(dict(net.named_parameters()), seed=0)
    assert "pos" not in found and "cls" not in found and "stem.weight" in found and "head.weight" in found
    assert all(dict(net.named_parameters())[name].dim() > 1 for name in found)
    swin = build(parse("wt/stem=patch2/width=32/heads=2/pos=rel"), 32, 10, seed=0)
    tables = [name for name, _ in swin.named_parameters() if name.endswith("table")]
    assert tables and not set(tables) & set(direction(dict(swin.named_parameters()), seed=0))
    with pytest.raises(MeasureError, match="no direction"):
        direction({"bias": torch.ones(3)}, seed=0)
    with pytest.raises(MeasureError, match="Known: filter, dim0"):
        direction({"w": torch.ones(3, 3)}, seed=0, norm="layer")


def test_the_same_seed_is_the_same_direction(weights):
    one, two, other = direction(weights, 3), direction(weights, 3), direction(weights, 4)
    assert all(torch.equal(one[name], two[name]) for name in one) and not torch.equal(one["head.weight"], other["head.weight"])
    near = torch.cat([(one[name] * other[name]).flatten() for name in one]).sum()
    sizes = [sum(float(d[name].square().sum()) for name in d) ** 0.5 for d in (one, other)]
    assert abs(float(near)) / math.prod(sizes) < 0.05, "random directions of many weights are nearly orthogonal"


def test_the_l2_part_equals_moving_the_weights(weights):
    a, b = direction(weights, 1), direction(weights, 2)
    found = l2(weights, a, b)
    for x, y in ((0.0, 0.0), (0.5, -0.25), (-1.0, 1.0)):
        moved = [w.detach().double() + x * a.get(name, torch.zeros(1)) + y * b.get(name, torch.zeros(1)) for name, w in weights.items()]
        assert found.norm(x, y) == pytest.approx(sum(float(m.norm()) for m in moved), rel=1e-6)
        assert found.half_square(x, y) == pytest.approx(sum(float(m.square().sum()) for m in moved) / 2, rel=1e-6)
    assert l2(weights, a).norm(0.5, 9.0) == pytest.approx(found.norm(0.5, 0.0))
