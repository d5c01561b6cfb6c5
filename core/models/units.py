"""Look at a net's units, or switch some off; both leave the net as they found it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn

from core.errors import MeasureError
from core.models.blocks import Residual
from core.models.net import Net
from core.spec import Unit


def units(net: Net) -> list[Unit]:
    """The units of a net in the order of computation, patch mergings included, empty slots not."""
    return net.units


@dataclass
class Taps:
    """What the last forward pass showed: `stem` and one entry a unit, each (batch, channel, height, width)."""

    stem: Tensor | None = None
    maps: dict[int, Tensor] = field(default_factory=dict)

    def __getitem__(self, position: int) -> Tensor:
        """The map of unit `position` (from 0)."""
        return self.maps[position]

    def __len__(self) -> int:
        """How many units were seen."""
        return len(self.maps)


def as_map(x: Tensor) -> Tensor:
    """The stream as (B, C, h, w): tokens lose their CLS and go back to their grid."""
    if x.dim() == 4:
        return x
    side = int((x.shape[1] - 1) ** 0.5)  # a CLS net has square maps by construction
    return x[:, 1:].transpose(1, 2).reshape(len(x), -1, side, side)


@contextmanager
def probe(net: Net, point: str = "output", positions: Sequence[int] | None = None) -> Iterator[Taps]:
    """Record unit outputs after the residual add (`output`), or what the branch alone adds (`branch`).

    Hooks are removed on exit.  Source: paper, Figs. 8 and 9 (measured after the skip-add).
    """
    if point not in ("output", "branch"):
        raise MeasureError(f"There is no probe point {point!r}. Known: output, branch.")
    wanted = range(len(net.units)) if positions is None else positions
    taps, handles = Taps(), []

    def keep(position: int, tokens: bool):
        def hook(_module: nn.Module, _args: tuple, out: Tensor) -> None:
            taps.maps[position] = out.permute(0, 3, 1, 2) if tokens and out.dim() == 4 else as_map(out)

        return hook

    def keep_stem(_module: nn.Module, args: tuple) -> None:
        taps.stem = as_map(args[0])

    try:
        handles.append(net.blocks[0].register_forward_pre_hook(keep_stem))
        for position in wanted:
            block = net.blocks[position]
            if point == "output":
                handles.append(block.register_forward_hook(keep(position, False)))
            elif isinstance(block, Residual):
                handles.append(block.body.register_forward_hook(keep(position, block.tokens)))
        if len(handles) == 1:
            raise MeasureError("The probe matched no unit; there is nothing to measure.")
        yield taps
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def lesion(net: Net, positions: Sequence[int]) -> Iterator[Net]:
    """Switch residual branches off: the skip (a projection where the unit resamples) is all that is left.

    Raises MeasureError for a position without a branch (patch merging) or beyond the net: a lesion that
    changes nothing is an error, not a result.
    """
    chosen = []
    for position in positions:
        if not 0 <= position < len(net.blocks):
            raise MeasureError(f"There is no unit {position}; the net has units 0 to {len(net.blocks) - 1}.")
        block = net.blocks[position]
        if not isinstance(block, Residual):
            raise MeasureError(f"Unit {net.units[position].id} is a patch merging: it has no branch that could be switched off.")
        chosen.append(block)
    if not chosen:
        raise MeasureError("The lesion names no unit; choose at least one.")
    before = [block.off for block in chosen]
    try:
        for block in chosen:
            block.off = True
        yield net
    finally:
        for block, was in zip(chosen, before, strict=True):
            block.off = was
