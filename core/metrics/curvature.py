"""How the loss bends: products with the Hessian, its outermost eigenvalues, and what the paper reads off them.

A Hessian is never written down; everything is done by products H·v, which are exact (a second backward pass through a kept graph).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import MeasureError

Product = Callable[[Tensor], Tensor]
#: Pairs beyond those asked for that must be in sight, to this residual, and steps for which nothing may change after that.
SPARE, IN_SIGHT, QUIET = 2, 0.05, 3


def hvp(loss: Tensor, parameters: Sequence[Tensor]) -> Product:
    """v -> H·v of a scalar loss, v and H·v flat over all parameters in their order.

    The graph of the gradient is kept until the function is dropped, so a product costs one backward pass.  Never `jacfwd` over
    `jacrev`: that is wrong through LayerNorm.  Raises MeasureError for a loss that is not finite or does not depend on the parameters.
    """
    if loss.numel() != 1 or not torch.isfinite(loss):
        raise MeasureError("The loss is not one finite number; the net may have diverged.")
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise MeasureError("The loss does not depend on the parameters; there is no curvature to measure.")
    sizes = [parameter.numel() for parameter in parameters]

    def product(vector: Tensor) -> Tensor:
        pieces = [piece.view_as(parameter) for piece, parameter in zip(vector.split(sizes), parameters, strict=True)]
        used = [(g, piece) for g, piece in zip(gradients, pieces, strict=True) if g is not None and g.requires_grad]
        if not used:  # a linear loss bends nowhere
            return torch.zeros_like(vector)
        found = torch.autograd.grad(
            [gradient for gradient, _ in used], parameters, [piece for _, piece in used], retain_graph=True, allow_unused=True
        )
        flat = [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]
        return torch.cat([piece.reshape(-1) for piece in flat])

    return product


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Eigenvalues of largest magnitude, signs kept, largest magnitude first.

    `residuals` are ||H·v - λ·v|| relative to the largest magnitude; `converged` says which of them are within the tolerance.  `products`
    is how many H·v it took.  `vectors` (k, n) belong to the values.
    """

    values: Tensor
    residuals: Tensor
    converged: Tensor
    products: int
    vectors: Tensor


def outermost(
    product: Product,
    size: int,
    k: int,
    *,
    tolerance: float = 1e-5,
    most: int = 100,
    seed: int = 0,
    like: Tensor | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Ends:
    """The k eigenvalues of largest magnitude of a symmetric map of `size` numbers, by Lanczos with full reorthogonalisation.

    Both ends of the spectrum converge together, so a negative value is found as well as a positive one of the same size.  Two values of
    nearly equal magnitude are the trap: the usual rule stops when the first of them has converged.  So SPARE more pairs must be in sight,
    and the k must stay as they are for QUIET more steps.  Fewer than k come back if the start reaches no more.
    `like` gives device and type of the vectors.  Raises MeasureError for k < 1 or a product that is not finite.
    """
    if not 1 <= k <= size:
        raise MeasureError(f"{k} eigenvalues are asked for; it should be from 1 to the {size} parameters.")
    like = torch.zeros((), dtype=torch.float32) if like is None else like
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like)
    basis, alpha, beta = [start / start.norm()], [], []
    asked, quiet, before = min(k + SPARE, size), 0, torch.empty(0)
    while True:
        ahead = product(basis[-1])
        if not torch.isfinite(ahead).all():
            raise MeasureError("A product with the Hessian is not finite; the net may have diverged.")
        alpha.append(float(basis[-1].double() @ ahead.double()))
        for _ in range(2):  # once is not enough in float32
            for vector in basis:
                ahead = ahead - (vector @ ahead) * vector
        beta.append(float(ahead.norm()))
        values, vectors = torch.linalg.eigh(_tridiagonal(alpha, beta))
        order = values.abs().argsort(descending=True)[:asked]
        scale = float(values.abs().max()) or 1.0
        residuals = beta[-1] * vectors[-1, order].abs() / scale
        progress(len(alpha))
        top = values[order[:k]]
        stands = len(order) == asked and len(before) == k and float((top - before).abs().max()) <= tolerance * scale
        good = float(residuals[:k].max()) <= tolerance and float(residuals.max()) <= IN_SIGHT
        quiet, before = quiet + 1 if stands and good else 0, top
        reached = beta[-1] <= 1e-6 * scale or len(alpha) == size  # all that can be reached from this start
        if reached or quiet >= QUIET or len(alpha) == min(most, size):
            break
        basis.append(ahead / beta[-1])
    chosen = order[:k]
    ritz = torch.stack([_mixed(column.tolist(), basis) for column in vectors[:, chosen].T])
    return Ends(
        values=values[chosen], residuals=residuals[:k], converged=residuals[:k] <= tolerance, products=len(alpha), vectors=ritz
    )


def _mixed(shares: Sequence[float], basis: Sequence[Tensor]) -> Tensor:
    """The weighted sum of some vectors."""
    total = torch.zeros_like(basis[0])
    for share, vector in zip(shares, basis, strict=True):
        total.add_(vector, alpha=share)
    return total


def _tridiagonal(alpha: Sequence[float], beta: Sequence[float]) -> Tensor:
    """The map as Lanczos sees it after len(alpha) steps, float64; the last beta lies outside."""
    inner = torch.tensor(beta[: len(alpha) - 1], dtype=torch.float64)
    return torch.diag(torch.tensor(alpha, dtype=torch.float64)) + torch.diag(inner, 1) + torch.diag(inner, -1)


def density(product: Product, size: int, *, probes: int, steps: int, seed: int = 0, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Nodes and weights (probes, steps) of the spectral density by stochastic Lanczos quadrature; each row's weights add up to one.

    The density of eigenvalues is the mean over probes of the weighted points.  Source: Ghorbani, Krishnan and Xiao, ICML 2019, §2.
    """
    if probes < 1 or steps < 1:
        raise MeasureError(f"{probes} probes of {steps} steps are asked for; both should be at least 1.")
    like = torch.zeros((), dtype=torch.float32) if like is None else like
    nodes, weights = [], []
    for probe in range(probes):
        draw = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(seed + probe))
        start = (2.0 * draw - 1.0).to(like)
        basis, alpha, beta = [start / start.norm()], [], []
        for _ in range(min(steps, size)):
            ahead = product(basis[-1])
            alpha.append(float(basis[-1].double() @ ahead.double()))
            for _again in range(2):
                for vector in basis:
                    ahead = ahead - (vector @ ahead) * vector
            beta.append(float(ahead.norm()))
            if beta[-1] <= 1e-6 * max(map(abs, alpha)):
                break
            basis.append(ahead / beta[-1])
        values, vectors = torch.linalg.eigh(_tridiagonal(alpha, beta))
        pad = steps - len(values)  # an early end has fewer nodes; the rest weighs nothing
        nodes.append(torch.cat([values, values.new_zeros(pad)]))
        weights.append(torch.cat([vectors[0].square(), values.new_zeros(pad)]))
    return torch.stack(nodes), torch.stack(weights)


def negative_share(values: Tensor) -> float:
    """NEP: the share of negative values [0 to 1].  MeasureError for none.  Source: paper, Fig. 1c."""
    if values.numel() == 0:
        raise MeasureError("There is no eigenvalue to take a share of.")
    return float((values < 0).double().mean())


def positive_mean(values: Tensor) -> float:
    """APE: the mean of the positive values; NaN if there is none.  MeasureError for no value at all.  Source: paper, Fig. 1c."""
    if values.numel() == 0:
        raise MeasureError("There is no eigenvalue to take a mean of.")
    positive = values[values > 0].double()
    return float(positive.mean()) if len(positive) else float("nan")
