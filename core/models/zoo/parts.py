"""What a foreign net is put together from: its own modules, held but not owned, so that its weights keep their names.

A unit here is  after(skip(x) + branch(x)).  Modules stay registered in the foreign net alone; units hold them in tuples, which a deep copy
follows and `state_dict` does not, so that every weight has one name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from core.models.blocks import Residual

Step = Callable[[Tensor], Tensor]


class CannotSplit(Exception):
    """A net or block is no row of residual units; the text says why, as the end of a sentence."""


# ---- steps


class Chain(nn.Module):
    """Steps one after the other."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = tuple(step for step in steps if not isinstance(step, nn.Identity))

    def forward(self, x: Tensor) -> Tensor:
        """All steps in their order."""
        for step in self.steps:
            x = step(x)
        return x


class Call:
    """A method of a module as a step."""

    def __init__(self, owner: nn.Module, name: str) -> None:
        self.owner, self.name = owner, name

    def __call__(self, x: Tensor) -> Tensor:
        """owner.name(x)."""
        return getattr(self.owner, self.name)(x)


class Times:
    """A layer scale that is a bare parameter of its block: x times owner.name, which may be None."""

    def __init__(self, owner: nn.Module, name: str, shape: tuple[int, ...] = (-1,)) -> None:
        self.owner, self.name, self.shape = owner, name, shape

    def __call__(self, x: Tensor) -> Tensor:
        """Multiplied over channels."""
        scale = getattr(self.owner, self.name)
        return x if scale is None else x * scale.view(self.shape)


class Sum:
    """Several modules side by side, added up."""

    def __init__(self, *parts: Step) -> None:
        self.parts = parts

    def __call__(self, x: Tensor) -> Tensor:
        """The sum of what each makes of x."""
        total = self.parts[0](x)
        for part in self.parts[1:]:
            total = total + part(x)
        return total


class Added:
    """What a block that cannot be taken apart adds to its input: block(x) - x."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __call__(self, x: Tensor) -> Tensor:
        """The difference."""
        return self.block(x) - x


def swap(x: Tensor) -> Tensor:
    """(B, N, C) to (B, C, N) and back."""
    return x.transpose(1, 2)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C), a view."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """(B, H, W, C) to (B, C, H, W), a view."""
    return x.permute(0, 3, 1, 2)


class OnTokens:
    """Runs steps for tokens (B, N, C) on a map (B, C, H, W)."""

    def __init__(self, *steps: Step) -> None:
        self.inner = Chain(*steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Flattened, run, and put back on the map."""
        return self.inner(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(len(x), -1, *x.shape[2:])


# ---- what a family's reader says


@dataclass(kw_only=True)
class Piece:
    """One unit as a reader finds it; sides and widths are seen in a forward pass later.

    `skip`: steps on the skip path, () for none.  `pre`: steps that skip and branch both start from.  `after`: steps after the sum.
    `plain`: there is no skip path, so nothing can be switched off.  `middle`: the steps (from, to) of the branch that are a bottleneck's
    3x3 with its norm and activation.  `attention` and `grid` say how the weights of an MSA are read; without it they are not.
    """

    stage: int
    kind: str
    branch: Sequence[Step]
    form: str = ""
    skip: Sequence[Step] = ()
    pre: Sequence[Step] = ()
    after: Sequence[Step] = ()
    plain: bool = False
    heads: int = 0
    window: int = 0
    kernel: int = 0
    middle: tuple[int, int] | None = None
    attention: Any = None


@dataclass(kw_only=True)
class Plan:
    """A whole net as a reader finds it.  `form` of the stream: map (B, C, H, W), last (B, H, W, C) or tokens (B, prefix + N, C)."""

    embed: Sequence[Step]
    pieces: list[Piece]
    tail: Sequence[Step]
    form: str = "map"
    prefix: int = 0


def letter_of(kind: str, form: str, depthwise: bool = False) -> str:
    """The letter of core.spec that draws a unit; k, a block that is not taken apart, has none there but a mark of its own."""
    if kind == "msa":
        return {"windowed": "w", "shifted": "s", "local": "l"}.get(form, "m")
    if kind == "conv":
        return "d" if depthwise or form == "depthwise" else "b" if form == "bottleneck" else "c"
    return {"mlp": "t", "mix": "x", "pool": "p", "merge": "g"}.get(kind, "k")


# ---- units


@dataclass(kw_only=True)
class Place:
    """How a unit's stream is laid out: see Plan.form; `side` of its map in positions."""

    form: str
    prefix: int
    side: int

    def as_map(self, x: Tensor) -> Tensor:
        """The stream as (B, C, side, side); class and register tokens are left out."""
        if self.form == "last":
            return x.permute(0, 3, 1, 2)
        if self.form == "tokens":
            return x[:, self.prefix :].transpose(1, 2).reshape(len(x), -1, self.side, self.side)
        return x


class ReadUnit(Residual):
    """A residual unit of a foreign net: after(skip(x) + branch(x)).  `off` leaves the skip, and what comes after the sum."""

    def __init__(self, piece: Piece, body: Chain) -> None:
        skip = Chain(*piece.skip) if piece.skip else None
        super().__init__(Chain(*piece.pre), body, project=skip, tokens=False)
        self.after, self.middle = Chain(*piece.after), piece.middle
        self.going_in = self.coming_out = Place(form="map", prefix=0, side=0)

    def forward(self, x: Tensor) -> Tensor:
        """The stream, laid out as the foreign net has it."""
        seen = self.pre(x)
        skip = seen if self.project is None else self.project(seen)
        return self.after(skip if self.off else skip + self.body(seen))

    def without_3x3(self) -> tuple[Step, ...]:
        """The steps of the branch without a bottleneck's 3x3 convolution, its norm and its activation."""
        assert isinstance(self.body, Chain) and self.middle is not None
        return self.body.steps[: self.middle[0]] + self.body.steps[self.middle[1] :]

    def as_map(self, x: Tensor) -> Tensor:
        """What comes out of the unit, or of its branch, as (B, C, h, w)."""
        return self.coming_out.as_map(x)


class ReadMerge(nn.Module):
    """A part of a foreign net without a skip path: patch merging, or a plain convolution."""

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self.body = Chain(*piece.pre, *piece.branch, *piece.after)
        self.going_in = self.coming_out = Place(form="map", prefix=0, side=0)

    def forward(self, x: Tensor) -> Tensor:
        """All its steps."""
        return self.body(x)

    def as_map(self, x: Tensor) -> Tensor:
        """What comes out as (B, C, h, w)."""
        return self.coming_out.as_map(x)
