"""Walks away from trained weights: directions that compare between nets, and the L2 part in closed form."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import MeasureError

#: Parts of a name that mark what is left where it is: position tables and the class token, which are no filters.
UNTOUCHED = ("pos", "table", "cls")
#: How a direction is scaled: one norm a filter of the output (Li et al.), or over the first axis (the paper's code).
NORMS = ("filter", "dim0")


def moves(name: str, weight: Tensor) -> bool:
    """Whether a walk changes this parameter: matrices and filters do, 1-D tensors, position tables and the class token do not."""
    return weight.dim() > 1 and not any(part in UNTOUCHED for part in name.split("."))


def direction(weights: Mapping[str, Tensor], seed: int, norm: str = "filter") -> dict[str, Tensor]:
    """A random Gaussian direction for the parameters that move, scaled to the weights' own size; by name, float32.

    `filter`: each output filter of the direction has the norm of the same filter of the weights.  `dim0`: the norm runs over the first
    axis, one for each remaining index.  The same seed gives the same direction on every machine.
    Raises MeasureError if nothing moves or the norm is unknown.  Source: Li et al., NeurIPS 2018, §4; paper, Fig. 1a.
    """
    if norm not in NORMS:
        raise MeasureError(f"There is no norm {norm[:40]!r}. Known: {', '.join(NORMS)}.")
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, weight in weights.items():
        if not moves(name, weight):
            continue
        draw = torch.randn(weight.shape, generator=generator, dtype=torch.float32).to(weight.device)
        size, drawn = _norms(weight.detach().float(), norm), _norms(draw, norm)
        found[name] = draw * (size / drawn.clamp_min(1e-12))
    if not found:
        raise MeasureError("No parameter of this net has filters; there is no direction to walk in.")
    return found


def _norms(weight: Tensor, norm: str) -> Tensor:
    if norm == "dim0":
        return weight.norm(dim=0, keepdim=True)
    return weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1))


@dataclass(frozen=True, kw_only=True)
class L2:
    """The L2 part of a plane of weights, in closed form: products between weights w and directions a, b, one row a tensor.

    `products` (tensors, 6) float64: w·w, a·a, b·b, w·a, w·b, a·b.
    """

    products: np.ndarray

    def squares(self, x: float, y: float) -> np.ndarray:
        """||w + x a + y b||² of each tensor."""
        ww, aa, bb, wa, wb, ab = self.products.T
        return np.maximum(ww + x * x * aa + y * y * bb + 2 * (x * wa + y * wb + x * y * ab), 0.0)

    def norm(self, x: float, y: float) -> float:
        """The sum of the tensors' norms, not squared, as in the paper's figure."""
        return float(np.sqrt(self.squares(x, y)).sum())

    def half_square(self, x: float, y: float) -> float:
        """Half the sum of squares: the term whose gradient is weight decay."""
        return float(self.squares(x, y).sum() / 2)


def l2(weights: Mapping[str, Tensor], a: Mapping[str, Tensor], b: Mapping[str, Tensor] | None = None) -> L2:
    """The closed form over all parameters; those that do not move count where they are."""
    rows = []
    for name, weight in weights.items():
        w = weight.detach().double().flatten()
        u, v = (d[name].double().flatten() if d is not None and name in d else torch.zeros_like(w) for d in (a, b))
        rows.append([float(p @ q) for p, q in ((w, w), (u, u), (v, v), (w, u), (w, v), (u, v))])
    return L2(products=np.array(rows))
