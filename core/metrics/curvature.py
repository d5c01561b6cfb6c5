"""How the loss bends: products with the Hessian, its outermost eigenvalues, and the density of all of them.

A Hessian is never written down; everything is done by products H·v, which are exact (a second backward pass through a kept graph).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from core.errors import MeasureError

Product = Callable[[Tensor], Tensor]
#: Pairs beyond those asked for that must be in sight, to this residual relative to their value, and steps for which all must stay good.
SPARE, IN_SIGHT, QUIET = 2, 0.2, 2
#: Values below this share of the largest are judged as if they had it: float32 tells no more of them.
LEAST = 1e-3


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


def summed(loss: Callable[[int], Tensor], parts: int, parameters: Sequence[Tensor], kept: int) -> Product:
    """v -> H·v of the sum of `loss(i)` over the parts.

    The graph of each part is kept as long as all graphs together hold at most `kept` bytes; the others are made anew for each product,
    which costs half as much again.  Raises MeasureError as `hvp` does.
    """
    held: list[Product] = []
    seen: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    for i in range(parts):
        if sum(seen.values()) * (i + 1) > kept * max(i, 1):
            break
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            held.append(hvp(loss(i), parameters))

    def product(vector: Tensor) -> Tensor:
        total = torch.zeros_like(vector)
        for i in range(parts):
            total += held[i](vector) if i < len(held) else hvp(loss(i), parameters)(vector)
        return total

    return product


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Gradients on, no autocast, products of matrices in whole float32; what was set before is set again after."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _norm(vector: Tensor) -> float:
    """Its length, summed in float64: in float32 half a million squares add up wrong by 1e-4, and the eigenvalues with them."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


class _Lanczos:
    """The map as it is seen from a start vector, one more direction a step, each orthogonal to all before it."""

    def __init__(self, product: Product, start: Tensor) -> None:
        self.product, self.ahead, self.norm = product, start, _norm(start)
        self.blocks: list[Tensor] = []  # of 16 directions each: two products of matrix and vector take out a whole block
        self.alpha: list[float] = []
        self.beta: list[float] = []

    def step(self) -> tuple[Tensor, Tensor, Tensor]:
        """(values, vectors, residuals) as seen after one more product, ascending.  MeasureError for a product that is not finite."""
        count = len(self.alpha)
        if count % 16 == 0:
            self.blocks.append(self.ahead.new_empty(16, len(self.ahead)))
        own = self.blocks[-1][count % 16]
        torch.div(self.ahead, self.beta[-1] if self.beta else self.norm, out=own)
        ahead = self.product(own)
        self.alpha.append(float(own.double() @ ahead.double()))
        if not isfinite(self.alpha[-1]):
            raise MeasureError("A product with the Hessian is not finite; the net may have diverged.")
        for _ in range(2):  # once is not enough in float32
            for rows in self._rows():
                ahead = torch.addmv(ahead, rows.T, rows @ ahead, alpha=-1)
        self.ahead = ahead
        self.beta.append(_norm(ahead))
        inner = torch.tensor(self.beta[:-1], dtype=torch.float64)
        seen = torch.diag(torch.tensor(self.alpha, dtype=torch.float64)) + torch.diag(inner, 1) + torch.diag(inner, -1)
        values, vectors = torch.linalg.eigh(seen)
        return values, vectors, self.beta[-1] * vectors[-1].abs()

    def ended(self, values: Tensor) -> bool:
        """Whether all that can be reached from the start has been."""
        return self.beta[-1] <= 1e-6 * float(values.abs().max()) or len(self.alpha) == len(self.ahead)

    def mixed(self, shares: Tensor) -> Tensor:
        """(k, n): sums of the directions, weighted by each of k columns."""
        parts = zip(shares.split(16), self._rows(), strict=True)
        return torch.stack([part.T.to(rows) @ rows for part, rows in parts]).sum(0)

    def _rows(self) -> list[Tensor]:
        return [*self.blocks[:-1], self.blocks[-1][: len(self.alpha) - 16 * (len(self.blocks) - 1)]]


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Eigenvalues of largest magnitude, signs kept, largest magnitude first.

    `residuals` are ||H·v - λ·v|| relative to the largest magnitude; `converged` says which of the values are within the tolerance.
    `products` is how many H·v it took.  `vectors` (k, n) belong to the values.
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
    tolerance: float = 1e-4,
    most: int = 100,
    seed: int = 0,
    like: Tensor | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Ends:
    """The k eigenvalues of largest magnitude of a symmetric map of `size` numbers, by Lanczos with full reorthogonalisation.

    Both ends of the spectrum converge together, so a negative value is found as well as a positive one of the same size.  A value has
    converged if the bound of its relative error is within the tolerance: residual² / distance to the next value, or the residual itself
    where that is less.  Two values of nearly equal magnitude are the trap: the usual rule stops when the first of them has converged.  So
    SPARE more pairs must be in sight, and all must be so for QUIET steps.  Fewer than k come back if the start reaches no more.
    `like` gives device and type of the vectors.  Raises MeasureError for k < 1 or a product that is not finite.
    Source: Parlett, The Symmetric Eigenvalue Problem, 1998, §11.7 and §13.
    """
    if not 1 <= k <= size:
        raise MeasureError(f"{k} eigenvalues are asked for; it should be from 1 to the {size} parameters.")
    like = torch.zeros((), dtype=torch.float32) if like is None else like
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like)
    lanczos, asked, quiet = _Lanczos(product, start), min(k + SPARE, size), 0
    while True:
        values, vectors, residuals = lanczos.step()
        progress(len(lanczos.alpha))
        order = values.abs().argsort(descending=True)[:asked]
        scale, top = float(values.abs().max()) or 1.0, order[:k]
        sizes = values.abs().clamp(min=LEAST * scale)
        errors = _errors(values, residuals)[top] / sizes[top]
        good = len(order) == asked and bool((errors <= tolerance).all() and (residuals[order] <= IN_SIGHT * sizes[order]).all())
        quiet = quiet + 1 if good else 0
        if (ended := lanczos.ended(values)) or quiet >= QUIET or len(lanczos.alpha) >= most:
            break
    return Ends(
        values=values[top], residuals=residuals[top] / scale, converged=(errors <= tolerance) | ended, products=len(lanczos.alpha),
        vectors=lanczos.mixed(vectors[:, top]),
    )  # fmt: skip


def _errors(values: Tensor, residuals: Tensor) -> Tensor:
    """How far each value may be from an eigenvalue, as long as none lies between it and its neighbours that has not been seen."""
    steps, beyond = values.diff(), values.new_full((1,), float("inf"))
    apart = torch.minimum(torch.cat([beyond, steps]), torch.cat([steps, beyond]))
    gap = (apart - residuals).clamp(min=0)
    return torch.where(residuals < gap, residuals.square() / gap, residuals)


def quadrature(
    product: Product,
    size: int,
    steps: int,
    *,
    seed: int = 0,
    like: Tensor | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Tensor, Tensor]:
    """(nodes, weights) of the spectral density as one random vector of signs sees it, by Lanczos; the weights add up to one.

    The density of eigenvalues is the mean over such probes of the weighted points.  Fewer than `steps` come back if the start reaches no
    more.  Source: Ghorbani, Krishnan and Xiao, ICML 2019, §2.
    """
    if steps < 1:
        raise MeasureError(f"A probe of {steps} steps is asked for; it should be at least 1.")
    like = torch.zeros((), dtype=torch.float32) if like is None else like
    # not torch's generator: its coins for seeds 0, 1, 2, … are alike, and 24 probes missed a trace by five standard errors
    signs = torch.from_numpy(np.random.default_rng(seed).integers(0, 2, size))
    lanczos = _Lanczos(product, (2.0 * signs - 1.0).to(like))
    while True:
        values, vectors, _ = lanczos.step()
        progress(len(lanczos.alpha))
        if lanczos.ended(values) or len(lanczos.alpha) >= steps:
            return values, vectors[0].square()
