"""The attention weights of a foreign MSA, whatever shape they have there, as (batch, heads, N, N) on the whole map.

The branch is run again with fused attention off, and what its softmax gives is caught; a Grid says which positions its rows and
columns are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.errors import MeasureError
from core.models.zoo.parts import Chain, Step


class _Softmaxes(TorchFunctionMode):
    """Keeps what every softmax gives."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """The function itself, watched."""
        out = func(*args, **(kwargs or {}))
        if func in (torch.softmax, Tensor.softmax, F.softmax):
            self.found.append(out)
        return out


@contextmanager
def unfused(module: nn.Module) -> Iterator[None]:
    """Attention written out while it lasts: fused attention shows no weights and has no second derivative."""
    was = [(part, part.fused_attn) for part in module.modules() if isinstance(getattr(part, "fused_attn", None), bool)]
    try:
        for part, _ in was:
            part.fused_attn = False  # type: ignore[assignment]
        yield
    finally:
        for part, fused in was:
            part.fused_attn = fused  # type: ignore[assignment]


class Looking(Chain):
    """The branch of an MSA unit whose weights can be read.  `side` is that of its map, in positions."""

    def __init__(self, steps: tuple[Step, ...], attention: nn.Module, grid: "Grid", heads: int) -> None:
        super().__init__(*steps)
        self.held, self.grid, self.heads, self.side = (attention,), grid, heads, 0

    def weights(self, x: Tensor) -> Tensor:
        """(batch, heads, N, N) for the input x of the branch: how much of each position (column) goes into each position (row).

        Rows add up to one.  Class and register tokens come first and count as one: what goes to any of them, and their mean.
        """
        with unfused(self.held[0]), _Softmaxes() as seen:
            self.forward(x)
        if len(seen.found) != 1:
            raise MeasureError(f"The attention weights of this unit cannot be read: {len(seen.found)} softmaxes were seen, not one.")
        return self.grid.on_map(seen.found[0], len(x), self.side)

    def uniform(self) -> Tensor:
        """(N, N): the weights of a unit of the same reach that looks at all it can see alike; without class tokens."""
        device = next(self.held[0].parameters()).device
        return self.grid.uniform(self.side).to(device)


class Grid:
    """Every position sees every other; `prefix` class and register tokens come before them.

    Weights may come as (batch, heads, n, n) or (batch * heads, n, n); keys may be groups of `pooled` positions that follow each other.
    """

    def __init__(self, prefix: int = 0, pooled: int = 1) -> None:
        self.prefix, self.pooled = prefix, pooled

    def on_map(self, raw: Tensor, batch: int, side: int) -> Tensor:
        """The weights between all positions."""
        weights = raw if raw.dim() == 4 else raw.unflatten(0, (batch, -1))
        if self.pooled > 1:
            weights = weights.repeat_interleave(self.pooled, -1) / self.pooled
            weights = F.pad(weights, (0, side * side - weights.shape[-1]))
        if self.prefix > 1:
            p = self.prefix
            weights = torch.cat([weights[..., :p].sum(-1, keepdim=True), weights[..., p:]], -1)
            weights = torch.cat([weights[..., :p, :].mean(-2, keepdim=True), weights[..., p:, :]], -2)
        n = side * side + (self.prefix > 0)
        if weights.shape[-2:] != (n, n):
            raise MeasureError(f"The attention weights of this unit have the shape {tuple(raw.shape)}, which does not fit {n} positions.")
        return weights

    def uniform(self, side: int) -> Tensor:
        """One over the number of positions."""
        return torch.full((side * side,) * 2, 1 / side**2)


class Windows(Grid):
    """Positions meet in groups: `places(side)` is (groups, queries) of positions and (groups, keys), -1 outside the map.

    `hidden(groups)` (groups, queries, keys) is true where a query does not see a key though both are in the group.  Weights come as
    (batch * groups, heads, queries, keys), or with `heads_first` as (batch * heads, groups, queries, keys).
    """

    def __init__(
        self, places: Callable[[int], tuple[Tensor, Tensor]], hidden: Callable[[], Tensor | None] | None = None, heads_first: bool = False
    ) -> None:
        super().__init__()
        self.places, self.hidden, self.heads_first = places, hidden, heads_first

    def on_map(self, raw: Tensor, batch: int, side: int) -> Tensor:
        """The weights on the whole map; weight on what pads the map is left out, and rows are scaled up for it."""
        queries, keys = (p.to(raw.device) for p in self.places(side))
        parts = raw.unflatten(0, (batch, -1)) if self.heads_first else raw.unflatten(0, (batch, len(queries))).transpose(1, 2)
        n = side * side
        full = raw.new_zeros(batch, parts.shape[1], n + 1, n + 1)  # one row and column for what lies outside
        rows, columns = (queries % (n + 1))[:, :, None], (keys % (n + 1))[:, None, :]
        rows, columns = torch.broadcast_tensors(rows, columns)
        full.view(batch, parts.shape[1], -1)[:, :, (rows * (n + 1) + columns).flatten()] = parts.flatten(2)
        inside = full[..., :n, :n]
        return inside / inside.sum(-1, keepdim=True)

    def uniform(self, side: int) -> Tensor:
        """The same for all that is seen."""
        queries, keys = self.places(side)
        alike = torch.ones(len(queries), 1, queries.shape[1], keys.shape[1])
        if self.hidden is not None and (hidden := self.hidden()) is not None:
            alike = alike.masked_fill(hidden.cpu()[:, None], 0.0)
        return Windows(self.places).on_map(alike, 1, side)[0, 0]
