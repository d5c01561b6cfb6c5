"""Where each attention unit looks: the weights of every MSA unit, seen during a forward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from core.errors import MeasureError
from core.models.attention import Attention
from core.models.net import Net
from core.models.zoo.net import ZooNet

#: Weights (images x heads x N x N) that exist at a time; a large map takes fewer images at once.
AT_ONCE = 2**22


def attentions(net: Net | ZooNet) -> dict[int, Any]:
    """The attention of each MSA unit by its place in the net (from 0), whatever it is wrapped in: all that have weights to look at."""
    if isinstance(net, ZooNet):
        return dict(net.looking())
    return {
        place: next(module for module in net.blocks[place].modules() if isinstance(module, Attention))
        for place, unit in enumerate(net.units)
        if unit.kind == "msa"
    }


@contextmanager
def looks(
    net: Net, keep: Callable[[int, Tensor], Tensor] = lambda place, weights: weights, only: int | None = None
) -> Iterator[dict[int, Tensor]]:
    """Record the attention weights (batch, heads, N, N) of each MSA unit that a forward pass runs, by place; or of unit `only`.

    `keep(place, weights)` says what stays of them, batch first: the weights of a large map are large, and only AT_ONCE of them exist
    at a time.  Units that are switched off show nothing.  The hooks are gone on exit.  Raises MeasureError if there is no MSA.
    """
    chosen = {place: module for place, module in attentions(net).items() if only in (None, place)}
    if not chosen:
        raise MeasureError(_nothing(net, only))
    seen: dict[int, Tensor] = {}

    def watch(place: int) -> Callable[[Attention, tuple[Tensor, ...]], None]:
        def hook(module: Attention, args: tuple[Tensor, ...]) -> None:
            images = max(1, AT_ONCE // (module.heads * module.side**4))
            seen[place] = torch.cat([keep(place, module.weights(part)) for part in args[0].split(images)])

        return hook

    handles = [module.register_forward_pre_hook(watch(place)) for place, module in chosen.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _nothing(net: Net, only: int | None) -> str:
    if only is None:
        some = any(unit.kind == "msa" for unit in net.units)
        return "The attention weights of this net cannot be read." if some else "This net has no MSA unit."
    unit = net.units[only]
    return f"The attention weights of unit {unit.id} cannot be read." if unit.kind == "msa" else f"Unit {unit.id} is not an MSA unit."
