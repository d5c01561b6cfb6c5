"""Oracles for curvature: finite differences, symmetry, dense eigenvalues, spectra known by construction."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import MeasureError
from core.metrics.curvature import density, hvp, negative_share, outermost, positive_mean


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj((q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1) @ v)


NETS = {
    "gelu": lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4)),
    "layernorm": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 4)),
    "batchnorm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)),
    "attention": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 2)), nn.Linear(2, 4), nn.LayerNorm(4), Attention(4), nn.Flatten(), nn.Linear(12, 4)
    ),
}


def loss_of(net: nn.Module) -> torch.Tensor:
    x, y = drawn(10, 6, seed=1), torch.arange(10) % 4
    return nn.functional.cross_entropy(net(x), y)


def made(name: str) -> tuple[nn.Module, list[nn.Parameter]]:
    torch.manual_seed(0)
    net = NETS[name]().double()
    if name == "batchnorm":
        net(drawn(50, 6, seed=9))  # statistics that are not 0 and 1
    return net.eval(), list(net.parameters())


def gradient(net: nn.Module, parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss_of(net), parameters)])


def dense(net: nn.Module, parameters: list[nn.Parameter]) -> torch.Tensor:
    """The Hessian column by column, by double backward."""
    product, size = hvp(loss_of(net), parameters), sum(p.numel() for p in parameters)
    return torch.stack([product(column) for column in torch.eye(size, dtype=torch.float64)], 1)


@pytest.mark.parametrize("name", NETS)
def test_products_equal_finite_differences_and_are_symmetric(name):
    net, parameters = made(name)
    size = sum(p.numel() for p in parameters)
    product = hvp(loss_of(net), parameters)
    u, v, step = drawn(size, seed=2), drawn(size, seed=3), 1e-5

    def moved(by: float) -> torch.Tensor:
        with torch.no_grad():
            for p, piece in zip(parameters, v.split([p.numel() for p in parameters]), strict=True):
                p += by * piece.view_as(p)
        return gradient(net, parameters)

    found, there = product(v), u @ product(v)
    assert float(u @ found) == pytest.approx(float(v @ product(u)), rel=1e-9) and float(there) == pytest.approx(float(u @ found))
    differences = (moved(step) - moved(-2 * step)) / (2 * step)
    assert torch.allclose(found, differences, atol=1e-6 * float(found.abs().max()))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(3))
def test_the_outermost_equal_the_dense_eigenvalues(name, seed):
    net, parameters = made(name)
    matrix = dense(net, parameters)
    truth = torch.linalg.eigvalsh(matrix)
    wanted = truth[truth.abs().argsort(descending=True)][:5]
    found = outermost(hvp(loss_of(net), parameters), len(truth), 5, seed=seed, like=matrix)
    assert found.converged.all()
    assert torch.allclose(found.values, wanted, atol=1e-4 * float(wanted.abs().max())), (found.values, wanted)
    for value, vector in zip(found.values, found.vectors, strict=True):
        assert torch.allclose(matrix @ vector, value * vector, atol=1e-4 * float(wanted.abs().max()))


def symmetric(spectrum: np.ndarray, seed: int = 0) -> torch.Tensor:
    turn = torch.linalg.qr(drawn(len(spectrum), len(spectrum), seed=seed)).Q
    return turn @ torch.diag(torch.from_numpy(spectrum)) @ turn.T


@pytest.mark.parametrize("seed", range(10))
def test_two_values_of_nearly_equal_magnitude_are_both_found(seed):
    """The trap: a rule that looks at k values alone stops when +1.269 has converged and has not seen −1.26."""
    spectrum = np.concatenate([[1.269, -1.26, 0.9, -0.7, 0.65], np.linspace(-0.3, 0.3, 195)])
    matrix = symmetric(spectrum, seed)
    found = outermost(lambda v: matrix @ v, 200, 5, seed=seed, like=matrix)
    assert found.converged.all() and found.products <= 40
    assert found.values.tolist() == pytest.approx([1.269, -1.26, 0.9, -0.7, 0.65], abs=1e-5)


def test_the_curvature_of_a_quadratic_is_its_matrix():
    matrix = symmetric(np.linspace(-2.0, 5.0, 30))
    w = drawn(30).requires_grad_()
    found = outermost(hvp(0.5 * w @ matrix @ w, [w]), 30, 3, like=matrix)
    assert found.values.tolist() == pytest.approx(sorted(np.linspace(-2.0, 5.0, 30), key=abs)[::-1][:3], abs=1e-6)


def test_scipy_agrees():
    sparse = pytest.importorskip("scipy.sparse.linalg")
    matrix = symmetric(np.random.default_rng(0).normal(size=300) ** 3)
    found = outermost(lambda v: matrix @ v, 300, 6, like=matrix)
    theirs = sparse.eigsh(matrix.numpy(), k=6, which="LM", return_eigenvectors=False)
    assert sorted(found.values.tolist()) == pytest.approx(sorted(theirs), abs=1e-6)


def test_what_has_not_converged_is_said():
    matrix = symmetric(np.linspace(-1.0, 1.0, 400))
    found = outermost(lambda v: matrix @ v, 400, 5, most=12, like=matrix)
    assert found.products == 12 and not found.converged.all()


def test_few_dimensions_and_linear_losses_end():
    one = torch.tensor([[3.0]])
    assert outermost(lambda v: one @ v, 1, 1).values.tolist() == pytest.approx([3.0])
    w = torch.ones(4, requires_grad=True)
    assert outermost(hvp((2 * w).sum(), [w]), 4, 2).values.tolist() == [0.0], "all that a start can reach of a map that is zero"
    twice = torch.diag(torch.tensor([2.0, 2.0, 1.0]))
    assert outermost(lambda v: twice @ v, 3, 1).values[0].item() == pytest.approx(2.0)


def test_the_density_has_the_moments_of_the_spectrum():
    """tr H / n and tr H² / n from the weighted nodes, over many probes."""
    spectrum = np.concatenate([np.full(90, 0.1), np.linspace(-1, 3, 10)])
    matrix = symmetric(spectrum)
    nodes, weights = density(lambda v: matrix @ v, 100, probes=200, steps=12, like=matrix)
    assert torch.allclose(weights.sum(1), torch.ones(200, dtype=torch.float64))
    for power in (1, 2):
        found = (weights * nodes**power).sum(1)
        error = 4 * found.std().item() / math.sqrt(200)
        assert abs(found.mean().item() - (spectrum**power).mean()) < error + 1e-9


def test_shares_and_means_come_from_raw_values():
    values = torch.tensor([3.0, -1.0, 1.0, -2.0, 2.0])
    assert negative_share(values) == 0.4 and positive_mean(values) == 2.0
    assert negative_share(torch.tensor([1.0])) == 0.0 and math.isnan(positive_mean(torch.tensor([-1.0])))
    for measure in (negative_share, positive_mean):
        with pytest.raises(MeasureError, match="no eigenvalue"):
            measure(torch.empty(0))


def test_what_cannot_be_bent_is_refused():
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(MeasureError, match="finite"):
        hvp((w / 0).sum(), [w])
    with pytest.raises(MeasureError, match="does not depend"):
        hvp(torch.ones((), requires_grad=True) * 1.0, [w])
    with pytest.raises(MeasureError, match="should be from 1"):
        outermost(lambda v: v, 3, 4)
    with pytest.raises(MeasureError, match="not finite"):
        outermost(lambda v: v / 0, 3, 1)
