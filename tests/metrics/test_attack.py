"""Oracles for attacks: linear nets whose worst image is known, balls, and a net that must be left as it was."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from core import presets, spec
from core.errors import MeasureError
from core.metrics import attack, bands, noise
from core.metrics.classify import nll
from core.models import build

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
SCALE = {"mean": MEAN, "std": STD}
SIDE = 16


def pictures(n: int = 8, side: int = SIDE, margin: float = 0.0, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(1)
    x = torch.rand(n, channels, side, side, generator=make) * (1 - 2 * margin) + margin
    return x, torch.arange(n) % 2


def linear(scale: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 2))
    with torch.no_grad():
        net[1].weight.mul_(scale)
        net[1].bias.zero_()
    return net.eval()


def small(seed: int = 0) -> nn.Module:
    arch = spec.parse("c-cm/width=16,32/heads=1,2")
    return build(arch, SIDE, 4, seed=seed).eval()


def loss(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return nll(net((x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)), y)


def uphill(net: nn.Sequential, y: torch.Tensor) -> torch.Tensor:
    """The direction in pixels that turns a linear net of two classes to the other class, through the normalisation."""
    weight = net[1].weight.detach().view(2, 3, SIDE, SIDE) / torch.tensor(STD).view(1, 3, 1, 1)
    return weight[1 - y] - weight[y]


def length(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).norm(dim=1)


@pytest.mark.parametrize("how", ["fgsm", "pgd"])
def test_linf_finds_the_worst_image_of_a_linear_net(how):
    net, (x, y) = linear(), pictures()
    found = getattr(attack, how)(net, x, y, strength=0.1, **SCALE)
    # each pixel by itself: to the end of the ball or of the range that lies uphill
    assert torch.allclose(found, (x + 0.1 * uphill(net, y).sign()).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("how", ["fgsm", "pgd"])
def test_l2_finds_the_worst_image_of_a_linear_net_and_uses_the_whole_ball(how):
    net, (x, y) = linear(), pictures(margin=0.2)
    found = getattr(attack, how)(net, x, y, strength=0.5, norm="l2", **SCALE)
    way = uphill(net, y)
    assert torch.allclose(found, x + 0.5 * way / length(way).view(-1, 1, 1, 1), atol=1e-5)
    assert length(found - x) == pytest.approx([0.5] * len(x), rel=1e-5)


@pytest.mark.parametrize("norm", attack.NORMS)
def test_a_net_that_is_sure_beyond_rounding_is_attacked_all_the_same(norm):
    # a gap of 200 and more in the logits: the gradient of the loss itself is 1e-87, nothing in float32
    net, (x, _) = linear(), pictures(margin=0.2)
    with torch.no_grad():
        logits = net((x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1))
    y, sure = logits.argmax(1), linear(200 / float((logits[:, 0] - logits[:, 1]).abs().min()))
    assert loss(sure, x, y).max() < 1e-60
    found, way = attack.fgsm(sure, x, y, strength=0.1, norm=norm, **SCALE), uphill(sure, y)
    step = way.sign() if norm == "linf" else way / length(way).view(-1, 1, 1, 1)
    assert torch.allclose(found, x + 0.1 * step, atol=1e-5)


@pytest.mark.parametrize("norm", attack.NORMS)
@pytest.mark.parametrize("started", [False, True])
def test_attacks_stay_in_their_ball_and_in_range_and_never_help(norm, started):
    net, (x, y) = small(), pictures()
    x[0], x[1] = 0.0, 1.0  # images at both ends of the range
    strength = 8 / 255 if norm == "linf" else 0.5
    start = attack.random_start(3, range(len(x)), x.shape[1:], strength=strength, norm=norm) if started else None
    found = attack.pgd(net, x, y, strength=strength, norm=norm, steps=5, start=start, **SCALE)
    assert found.min() >= 0 and found.max() <= 1
    size = (found - x).flatten(1).abs().amax(1) if norm == "linf" else length(found - x)
    assert (size <= strength + 1e-6).all()
    assert (loss(net, found, y) >= loss(net, x, y) - 1e-6).all()
    assert (loss(net, found, y) - loss(net, x, y)).mean() > 0.01


@pytest.mark.parametrize("norm", attack.NORMS)
@pytest.mark.parametrize("ring", [None, (25, 45)])
def test_a_small_step_has_its_own_size(norm, ring):
    net, (x, y) = linear(), pictures(margin=0.2)
    found = attack.pgd(net, x, y, strength=0.1, norm=norm, steps=1, step_size=0.03, ring=ring, **SCALE)
    size = (found - x).flatten(1).abs().amax(1) if norm == "linf" else length(found - x)
    assert size == pytest.approx([0.03] * len(x), rel=1e-4)


def test_more_steps_are_no_weaker_than_one():
    net, (x, y) = small(), pictures()
    one = loss(net, attack.fgsm(net, x, y, strength=0.1, **SCALE), y).mean()
    ten = loss(net, attack.pgd(net, x, y, strength=0.1, steps=10, **SCALE), y).mean()
    assert ten > one


def test_of_all_points_met_the_worst_is_kept():
    class Bowl(nn.Module):
        """A loss with its peak close to the start, that a step of the whole ball leaps over."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            distance = (x - 0.51).square().flatten(1).mean(1)
            return torch.stack([10 * distance, torch.zeros_like(distance)], dim=1)

    x, y = torch.full((2, 3, SIDE, SIDE), 0.5), torch.zeros(2, dtype=torch.int64)
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    net = Bowl()
    with torch.no_grad():
        clean, leapt = nll(net(x), y), nll(net(attack.fgsm(net, x, y, strength=0.3, **plain)), y)
        kept = nll(net(attack.pgd(net, x, y, strength=0.3, steps=1, step_size=0.3, **plain)), y)
        far = attack.pgd(net, x, y, strength=0.3, steps=1, step_size=0.0, start=torch.full_like(x, 0.3), **plain)
    assert (leapt < clean).all()
    assert torch.equal(kept, clean)
    assert torch.equal(far, x)  # it began at a milder image and went nowhere


@pytest.mark.parametrize("norm", attack.NORMS)
@pytest.mark.parametrize("ring", [None, (35, 45)])
def test_no_strength_no_change(norm, ring):
    net, (x, y) = small(), pictures()
    assert torch.equal(attack.fgsm(net, x, y, strength=0, norm=norm, ring=ring, **SCALE), x)
    assert torch.equal(attack.pgd(net, x, y, strength=0, norm=norm, ring=ring, steps=2, **SCALE), x)


@pytest.mark.parametrize("norm", attack.NORMS)
@pytest.mark.parametrize("ring", [(5, 25), (45, 55), (75, 100)])
def test_an_attack_in_a_ring_has_all_its_energy_there(norm, ring):
    net, (x, y) = small(), pictures()
    strength = 0.05 if norm == "linf" else 0.5
    start = attack.random_start(0, range(len(x)), x.shape[1:], strength=strength, norm=norm)
    k = np.rint(np.abs(np.fft.fftfreq(SIDE)) * SIDE * 200 / SIDE)
    radius = np.maximum(k[:, None], k)
    inside = (radius >= ring[0]) & (radius < ring[1] + (ring[1] == 100))
    for found in (
        attack.fgsm(net, x, y, strength=strength, norm=norm, ring=ring, **SCALE),
        attack.pgd(net, x, y, strength=strength, norm=norm, ring=ring, steps=4, start=start, **SCALE),
    ):
        change = found.double() - x.double()
        energy = np.abs(np.fft.fft2(change.numpy())) ** 2
        assert energy[..., ~inside].sum() < 1e-6 * energy.sum()
        size = change.flatten(1).abs().amax(1) if norm == "linf" else length(change)
        assert (size <= strength + 1e-6).all()
        assert (size > 0.5 * strength).all()
    assert (loss(net, found, y) >= loss(net, x, y) - 1e-6).all()
    once = (attack.fgsm(net, x, y, strength=strength, norm=norm, ring=ring, **SCALE) - x).flatten(1)
    assert (once.abs().amax(1) if norm == "linf" else once.norm(dim=1)) == pytest.approx([strength] * len(x), rel=1e-4)


def test_l2_in_a_ring_is_the_worst_change_that_a_linear_net_can_see_there():
    net, (x, y), ring = linear(), pictures(), (25, 45)
    found = attack.fgsm(net, x, y, strength=0.5, norm="l2", ring=ring, **SCALE)
    way = noise.keep(uphill(net, y), *ring)
    assert torch.allclose(found, x + 0.5 * way / length(way).view(-1, 1, 1, 1), atol=1e-5)


def test_an_attack_where_the_net_is_blind_does_nothing_to_it():
    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = linear()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(noise.keep(x, 0, 40))

    net, (x, y) = Blurred(), pictures()
    found = attack.pgd(net, x, y, strength=0.5, norm="l2", ring=(75, 85), steps=2, **SCALE)
    assert torch.allclose(loss(net, found, y), loss(net, x, y), atol=1e-5)
    found = attack.pgd(net, x, y, strength=0.5, norm="l2", ring=(25, 35), steps=2, **SCALE)
    assert (loss(net, found, y) > loss(net, x, y) + 1e-3).all()


def test_the_net_is_left_as_it_was():
    net, (x, y) = small(), pictures()
    net.train()
    net.blocks[0].eval()  # a mixed state has to come back too
    modes = [module.training for module in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    before = x.clone()
    attack.pgd(net, x, y, strength=0.1, steps=2, **SCALE)
    assert [module.training for module in net.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(x, before) and x.grad is None
    with pytest.raises(MeasureError, match="finite"):
        attack.fgsm(nn.Sequential(net, Broken()), x, y, strength=0.1, **SCALE)
    assert [module.training for module in net.modules()] == modes


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float("nan")


def test_inference_mode_around_the_call_the_images_or_the_weights_is_no_obstacle():
    x, y = pictures()
    expected = attack.pgd(small(), x, y, strength=0.1, steps=2, **SCALE)
    with torch.inference_mode():
        net, images, labels = small(), x.clone(), y.clone()
        assert next(net.parameters()).is_inference() and images.is_inference()
        inside = attack.pgd(net, images, labels, strength=0.1, steps=2, **SCALE)
    assert not inside.is_inference()
    assert torch.allclose(inside, expected, atol=1e-6)
    assert torch.allclose(attack.pgd(net, images, labels, strength=0.1, steps=2, **SCALE), expected, atol=1e-6)


def test_each_image_is_attacked_for_itself():
    net, (x, y) = small(), pictures()
    start = {i: attack.random_start(5, i, x.shape[1:], strength=0.1) for i in ((0, 1, 2, 3, 4, 5, 6, 7), (5, 2))}
    whole, part = (attack.pgd(net, x[list(i)], y[list(i)], strength=0.1, steps=3, start=s, **SCALE) for i, s in start.items())
    # a sign turns where a gradient is zero but for rounding: nearly all pixels agree
    assert ((whole[[5, 2]] - part).abs() < 1e-5).double().mean() > 0.99


def test_random_starts_fill_their_ball_and_hang_on_seed_and_index():
    box = attack.random_start(1, range(200), (3, 8, 8), strength=0.2)
    assert box.abs().max() <= 0.2 and box.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.02)
    ball = attack.random_start(1, range(2000), (1, 2, 2), strength=0.2, norm="l2")
    assert length(ball).max() <= 0.2 + 1e-7
    # uniform in a ball of 4 dimensions: the share within half the radius is 1/16
    assert (length(ball) < 0.1).double().mean() == pytest.approx(1 / 16, abs=0.02)
    assert ball.mean(0).abs().max() < 0.01
    assert torch.equal(attack.random_start(1, [7], (3, 8, 8), strength=0.2)[0], box[7])
    assert not torch.equal(attack.random_start(2, [7], (3, 8, 8), strength=0.2)[0], box[7])


def test_grey_images_stay_grey():
    net, (x, y) = small(), pictures(channels=1)
    found = attack.pgd(net, x, y, strength=0.1, steps=2, **SCALE)
    assert found.shape == x.shape
    assert loss(net, found, y).mean() > loss(net, x, y).mean()


def test_a_shipped_architecture_is_attacked():
    net = build(presets.resolve("alternet-mini"), 32, 10, seed=0).eval()
    x, y = pictures(2, 32)
    found = attack.fgsm(net, x, y, strength=8 / 255, **SCALE)
    assert found.dtype == torch.float32
    assert float((found - x).abs().amax()) == pytest.approx(8 / 255, abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"strength": -1.0}, "strength"),
        ({"strength": math.nan}, "strength"),
        ({"norm": "l1"}, "Known: linf, l2"),
        ({"steps": 0}, "1 step"),
        ({"step_size": -0.1}, "1 step"),
        ({"ring": (30, 31)}, "no frequency"),
        ({"images": torch.full((8, 3, SIDE, SIDE), 1.5)}, "before they are normalised"),
        ({"images": torch.full((8, 3, SIDE, SIDE), math.nan)}, "before they are normalised"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "belong together"),
    ],
)
def test_no_attack_from_nonsense(changed, word):
    x, y = pictures()
    ask = {"images": x, "labels": y, "strength": 0.1, **SCALE, **changed}
    with pytest.raises(MeasureError, match=word):
        attack.pgd(linear(), **ask)


def test_a_ring_that_holds_nothing_is_what_bands_says():
    assert bands.radii(SIDE, 30, 31) == (3, 3)
