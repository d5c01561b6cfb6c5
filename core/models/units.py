"""Look at a net's units, or switch some off; both leave the net as they found it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from core.errors import MeasureError, unknown
from core.models.blocks import Residual
from core.models.net import Net
from core.models.zoo.parts import ReadUnit
from core.spec import Unit
from core.unit import stays_on


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


def as_map(x: Tensor, place: Any = None) -> Tensor:
    """The stream as (B, C, h, w): tokens lose their CLS and go back to their grid.  `place` knows where a net has a layout of its own."""
    if place is not None:
        return place.as_map(x)
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
    if not len(net.blocks):
        raise MeasureError(getattr(net, "why", "") or "This net has no unit; there is nothing to measure.")
    wanted = range(len(net.units)) if positions is None else positions
    taps, handles = Taps(), []

    def keep(position: int, tokens: bool):
        def hook(_module: nn.Module, _args: tuple, out: Tensor) -> None:
            own = getattr(net.blocks[position], "coming_out", None)
            taps.maps[position] = out.permute(0, 3, 1, 2) if tokens and out.dim() == 4 else as_map(out, own)

        return hook

    def keep_stem(_module: nn.Module, args: tuple) -> None:
        taps.stem = as_map(args[0], getattr(net.blocks[0], "going_in", None))

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


#: Ways to switch a unit off: its whole residual branch, or only the 3x3 convolution inside a bottleneck.
HOW = ("branch", "3x3")


def refusal(unit: Unit, how: str = "branch") -> str:
    """Why a unit cannot be switched off in this way, as a sentence; "" if it can.  MeasureError for an unknown way."""
    if how not in HOW:
        raise unknown(MeasureError, "way to switch a unit off", how, HOW)
    return stays_on(unit, how)


def check_lesion(net: Net, positions: Sequence[int], how: str = "branch") -> None:
    """Raise MeasureError for a position that is beyond the net or cannot be switched off in this way."""
    for position in positions:
        if not 0 <= position < len(net.blocks):
            raise MeasureError(f"There is no unit {position}; the net has units 0 to {len(net.blocks) - 1}.")
        if reason := refusal(net.units[position], how):
            raise MeasureError(reason)


@contextmanager
def lesion(net: Net, positions: Sequence[int], how: str = "branch") -> Iterator[Net]:
    """Switch units off.  `branch`: the skip (a projection where the unit resamples) is all that is left.  `3x3`: inside a
    bottleneck that keeps the map's size, the 3x3 convolution with the norm and ReLU behind it is left out; its 1x1s stay.

    Raises MeasureError for a position without such a part (patch merging) or beyond the net: a lesion that
    changes nothing is an error, not a result.  Source: paper, Fig. 10b (3x3 in a ResNet, one MSA or MLP branch in a ViT).
    """
    if not positions:
        raise MeasureError("The lesion names no unit; choose at least one.")
    check_lesion(net, positions, how)
    with ExitStack() as healed:
        for position in set(positions):
            block = net.blocks[position]
            assert isinstance(block, Residual)
            if how == "branch":
                healed.callback(setattr, block, "off", block.off)
                block.off = True
            else:
                _leave_out_3x3(block, healed)
        yield net


def _leave_out_3x3(block: Residual, healed: ExitStack) -> None:
    """Put nothing in the place of the 3x3 convolution, its norm and its ReLU."""
    body = block.body
    if isinstance(block, ReadUnit):
        healed.callback(setattr, body, "steps", body.steps)
        body.steps = block.without_3x3()
        return
    assert isinstance(body, nn.Sequential)
    first = next(i for i, part in enumerate(body) if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3))
    for i in range(first, first + 3):
        healed.callback(body.__setitem__, i, body[i])
        body[i] = nn.Identity()
