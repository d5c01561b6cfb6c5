"""Oracles for curvature: finite differences, symmetry, dense eigenvalues, spectra known by construction."""

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import MeasureError
from core.metrics.curvature import exact, hvp, outermost, quadrature, summed
from core.metrics.twice import quick


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
    assert found.converged.all() and found.products <= 40
    assert found.values.tolist() == pytest.approx(wanted.tolist(), rel=1e-4), "signs included"
    for value, vector, residual in zip(found.values, found.vectors, found.residuals, strict=True):
        left = float((matrix @ vector - value * vector).norm() / found.values[0].abs())
        assert left == pytest.approx(float(residual), rel=1e-3, abs=1e-9), "the residual is that of the vector"


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
    found = outermost(hvp(0.5 * w @ matrix @ w, [w]), 30, 3, tolerance=1e-8, like=matrix)
    assert found.values.tolist() == pytest.approx(sorted(np.linspace(-2.0, 5.0, 30), key=abs)[::-1][:3], abs=1e-6)


def test_scipy_agrees():
    sparse = pytest.importorskip("scipy.sparse.linalg")
    matrix = symmetric(np.random.default_rng(0).normal(size=300) ** 3)
    found = outermost(lambda v: matrix @ v, 300, 6, tolerance=1e-9, like=matrix)
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
    probes = [quadrature(lambda v: matrix @ v, 100, 12, seed=seed, like=matrix) for seed in range(200)]
    assert all(float(weights.sum()) == pytest.approx(1) for _, weights in probes)
    for power in (1, 2):
        seen = np.array([float((weights * nodes**power).sum()) for nodes, weights in probes])
        assert abs(seen.mean() - (spectrum**power).mean()) < 4 * seen.std(ddof=1) / 200**0.5
    assert all(float(nodes[-1]) == pytest.approx(3, abs=1e-6) and float(nodes[0]) == pytest.approx(-1, abs=1e-6) for nodes, _ in probes)


def test_a_probe_of_few_values_ends_early():
    nodes, weights = quadrature(lambda v: 2 * v, 50, 10, like=drawn(1))
    assert nodes.tolist() == pytest.approx([2.0]) and weights.tolist() == pytest.approx([1.0])
    with pytest.raises(MeasureError, match="at least 1"):
        quadrature(lambda v: v, 5, 0)


TRAPS = {
    "close": [1.0, -0.999, 0.998, 0.6, -0.599],
    "crowd": [1.0, 0.99, 0.98, -0.97, 0.96],
    "one far out": [100.0, 1.0, -0.98, 0.9, 0.8],
    "at the edge of the rest": [5.0, 3.0, -2.0, 1.0, 0.4],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_no_value_is_missed_and_errors_are_within_the_tolerance(trap):
    spectrum = np.concatenate([TRAPS[trap], np.linspace(-0.35, 0.35, 295)])
    diagonal = torch.from_numpy(spectrum)
    for seed in range(25):
        found = outermost(lambda v: diagonal * v, 300, 5, seed=seed, like=diagonal)
        assert found.converged.all()
        assert found.values.tolist() == pytest.approx(sorted(TRAPS[trap], key=abs)[::-1], rel=1e-4), seed


def test_more_directions_than_a_block_holds():
    matrix = symmetric(np.linspace(-1.0, 1.0, 60) ** 3)
    found = outermost(lambda v: matrix @ v, 60, 6, tolerance=1e-6, like=matrix)
    assert found.products > 16 and found.converged.all()
    for value, vector in zip(found.values, found.vectors, strict=True):
        assert float(vector.norm()) == pytest.approx(1) and torch.allclose(matrix @ vector, value * vector, atol=1e-4)


class Two(nn.Module):
    """A convolution, strided and by groups, with what stands around it; then tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, 2, 1, groups=2), nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.LayerNorm(4), Attention(4), nn.GELU(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x)))
        return self.body(y.flatten(2).transpose(1, 2)).mean(1)


def test_quick_products_are_the_products():
    """Every operation with a derivative of our own, among others in one net, against PyTorch's double backward."""
    torch.manual_seed(0)
    net = Two().double()
    net(drawn(20, 2, 8, 8, seed=5))
    net.eval()
    parameters = list(net.parameters())
    size = sum(p.numel() for p in parameters)

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(net(drawn(6, 2, 8, 8, seed=6)), torch.arange(6) % 3)

    plain = loss()
    slow = hvp(plain, parameters)
    with quick():
        fast = hvp(loss(), parameters)
        assert torch.allclose(loss(), plain, rtol=1e-12)
    for seed in range(3):
        v = drawn(size, seed=seed)
        assert torch.allclose(fast(v), slow(v), rtol=1e-9, atol=1e-12)
        assert torch.equal(fast(v), fast(v)), "the kept graph is not used up"


def test_quick_leaves_alone_what_it_does_not_know():
    x = drawn(3, 4, 5, 5)
    plain = [nn.functional.gelu(x, approximate="tanh"), x.softmax(1), nn.functional.conv2d(x, drawn(2, 4, 3, 3), padding="same")]
    with quick():
        found = [nn.functional.gelu(x, approximate="tanh"), x.softmax(1), nn.functional.conv2d(x, drawn(2, 4, 3, 3), padding="same")]
    assert all(torch.equal(one, other) for one, other in zip(plain, found, strict=True))


def test_parts_add_up_whether_their_graphs_are_kept_or_not():
    net, parameters = made("attention")
    x, y = drawn(10, 6, seed=1), torch.arange(10) % 4

    def part(i: int) -> torch.Tensor:
        return nn.functional.cross_entropy(net(x[5 * i : 5 * i + 5]), y[5 * i : 5 * i + 5], reduction="sum") / 10

    size = sum(p.numel() for p in parameters)
    v, whole = drawn(size, seed=4), hvp(loss_of(net), parameters)
    for kept in (0, 10**9):
        assert torch.allclose(summed(part, 2, parameters, kept)(v), whole(v), rtol=1e-9, atol=1e-12)


def test_exact_restores_what_was_set():
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = True
        with torch.inference_mode(), exact(torch.device("cpu")):
            assert not torch.backends.cuda.matmul.allow_tf32 and torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


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


def test_half_a_million_float32_numbers_are_no_less_exact():
    """Sums of so many squares in float32 would make every direction too long or too short by 1e-4."""
    spectrum = torch.linspace(-1.0, 1.0, 500_000) ** 9 * 3
    spectrum[:3] = torch.tensor([40.0, -25.0, 12.0])
    ends = outermost(lambda v: spectrum * v, len(spectrum), 3, tolerance=1e-4)
    assert ends.converged.all() and ends.values.tolist() == pytest.approx([40.0, -25.0, 12.0], rel=1e-4)
