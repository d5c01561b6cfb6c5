"""A foreign net as a row of the lab's units, found out in one forward pass and checked against the untouched net."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.models.zoo.looking import Looking
from core.models.zoo.parts import CannotSplit, Chain, Piece, Place, Plan, ReadMerge, ReadUnit, letter_of
from core.spec import Unit

#: What can be looked into: every unit; outputs of whole blocks; nothing but the answers.
LEVELS = ("units", "blocks", "logits")

#: Largest difference of logits, relative to their largest, at which a net counts as read rightly.
TOLERANCE = 1e-4


class _Entry(nn.Module):
    """Where the stream enters what comes after the last unit.  Casting it casts all weights that are used there."""

    def __init__(self, held: tuple[nn.Module, ...]) -> None:
        super().__init__()
        self.held = held

    def forward(self, x: Tensor) -> Tensor:
        """The stream as it is."""
        return x

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Entry:
        for module in self.held:
            module._apply(fn, recurse=False)
        return self


class _WrittenOut(TorchFunctionMode):
    """Activations that PyTorch can differentiate only once, from parts that it can differentiate twice."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """The same values."""
        if func is F.hardsigmoid:
            return F.relu6(args[0] + 3) / 6
        if func is F.hardswish:
            return args[0] * (F.relu6(args[0] + 3) / 6)
        return func(*args, **(kwargs or {}))


class ZooNet(nn.Module):
    """A net that was built elsewhere, seen as units.  `model` holds its weights under their own names.

    `level` says how far it could be taken apart and `why` the reason where that is not all the way: `units` with every branch; `blocks`
    with the outputs of whole blocks; `logits` with nothing inside.  `blocks[i]` is the module of `units[i]`.  `prefix` counts class and
    register tokens.  `norm` and `head` mark the two ends of what comes after the last unit.
    """

    by_map = False

    def __init__(self, model: nn.Module, image_size: int, classes: int, channels: int = 3, name: str = "") -> None:
        super().__init__()
        self.model, self.image_size, self.classes, self.channels, self.name = model, image_size, classes, channels, name
        self.level, self.why, self.prefix = "logits", "", 0
        self.units: list[Unit] = []
        self.blocks = nn.ModuleList()
        self.norm, self.head = _Entry(()), nn.Identity()
        self.start, self.tail = Chain(), Chain()
        self.layers: dict[int, list[tuple[str, nn.Module, Place]]] = {}
        self.source: dict[str, Any] = {}
        self.plain = False
        self.fused = tuple((part, part.fused_attn) for part in model.modules() if isinstance(getattr(part, "fused_attn", None), bool))

    def embed(self, x: Tensor) -> Tensor:
        """Pixels (B, channels, H, W) to the stream before the first unit; where units are not told apart, the pixels."""
        x = x.contiguous()  # not channels_last: timm views maps as rows
        return self.start(x) if self.level == "units" else x

    def classify(self, x: Tensor) -> Tensor:
        """The stream after the last unit to logits (B, classes); where units are not told apart, pixels to logits."""
        if self.level != "units":
            return self.head(self.model(self.norm(x)))
        return self.head(self.tail(self.norm(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (B, channels, H, W) to logits (B, classes)."""
        with _WrittenOut() if self.plain else nullcontext():
            x = self.embed(x)
            if self.level == "units":
                for block in self.blocks:
                    x = block(x)
            return self.classify(x)

    def attend(self, how: str) -> ZooNet:
        """`plain` writes out what has no second derivative (fused attention, hard activations); else it is as it was built.  Gives self."""
        self.plain = how == "plain"
        for part, fused in self.fused:
            part.fused_attn = fused and how != "plain"  # type: ignore[assignment]
        return self

    def looking(self) -> dict[int, Looking]:
        """The MSA units whose attention weights can be read, by place."""
        held = {i: getattr(block, "body", None) for i, block in enumerate(self.blocks)}
        return {i: body for i, body in held.items() if isinstance(body, Looking)}


def read(model: nn.Module, image_size: int, *, classes: int = 0, channels: int = 3, name: str = "") -> ZooNet:
    """A live timm net as units; it shares the modules and weights of `model`, and puts it into eval mode.

    What is found is checked on weights that are shaken for a moment: units that do not add up to the net's own logits are not used.
    """
    for part in model.modules():
        if getattr(part, "inplace", False) is True:  # in place, a unit would change what was kept of the one before it
            part.inplace = False  # type: ignore[assignment]
    model.eval()
    net = ZooNet(model, image_size, classes or int(getattr(model, "num_classes", 0)), channels, name)
    with _shaken(model):
        return _read(net, _picture(net)).eval()


def _read(net: ZooNet, x: Tensor) -> ZooNet:
    from core.models.zoo.nets import FAMILIES
    from core.models.zoo.whole import watch_blocks

    model = net.model
    with torch.no_grad():
        own = model(x)
    if not isinstance(own, Tensor) or own.dim() != 2:
        net.why = "The net does not answer with one row of class scores an image."
        return net
    net.classes = own.shape[1]
    if not bool(own.isfinite().all()):
        net.why = "The net's answers are no finite numbers, so nothing inside it was looked for."
        return net
    plan_of = next((FAMILIES[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in FAMILIES), None)
    try:
        if plan_of is None:
            raise CannotSplit(f"nets of the type {type(model).__name__} are not known as residual units")
        _settle(net, plan_of(model), x, own)
        return net
    except CannotSplit as error:
        why = str(error)
    except (AttributeError, TypeError, RuntimeError, IndexError, KeyError) as error:  # another version of the library, or another build
        why = f"it is not built as nets of the type {type(model).__name__} usually are ({type(error).__name__})"
    net = ZooNet(model, net.image_size, net.classes, net.channels, net.name)
    watch_blocks(net, x)
    left = "outputs of whole blocks" if net.level == "blocks" else "its answers"
    net.why = f"This net cannot be taken apart into residual units: {why}. What can be measured are {left}."
    return net


def shake(model: nn.Module, dice: torch.Generator) -> None:
    """Scales of norms and layers near 1, biases and matrices moved by a tenth: every part then matters to the answers."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=dice).to(p)
            if p.dim() < 2 and "bias" not in name and "beta" not in name:
                p.copy_(1 + 0.1 * noise)
            else:
                p += (0.1 if p.dim() < 2 else max(0.1 * float(p.std(correction=0)), 0.01)) * noise


@contextmanager
def _shaken(model: nn.Module) -> Iterator[None]:
    """Other weights while it lasts: layers that start at zero, or nearly, would hide what they add."""
    kept, dice = [(p, p.detach().clone()) for p in model.parameters()], torch.Generator().manual_seed(0)
    try:
        shake(model, dice)
        yield
    finally:
        with torch.no_grad():
            for p, was in kept:
                p.copy_(was)


def _picture(net: ZooNet) -> Tensor:
    x = torch.randn(1, net.channels, net.image_size, net.image_size, generator=torch.Generator().manual_seed(0))
    first = next(net.parameters())
    return x.to(device=first.device, dtype=first.dtype)


def _settle(net: ZooNet, plan: Plan, x: Tensor, own: Tensor) -> None:
    """Put the units of a plan into the net: their shapes as seen on x; CannotSplit if the logits are not `own`."""
    if not plan.pieces:
        raise CannotSplit("it has no blocks")
    net.start, net.tail, net.prefix = Chain(*plan.embed), Chain(*plan.tail), plan.prefix
    blocks = [_module(piece) for piece in plan.pieces]
    with torch.no_grad():
        stream = net.start(x)
        place = _place(plan, stream)
        shapes = [(_width(plan, stream), place.side)]
        for i, block in enumerate(blocks):
            block.going_in = place
            with _leaves(block) as seen:
                stream = block(stream)
            place = _place(plan, stream)
            block.coming_out = place
            if isinstance(block, ReadUnit) and isinstance(block.body, Looking):
                block.body.side = place.side
            net.layers[i] = _layers(seen, block.going_in, place)
            shapes.append((_width(plan, stream), place.side))
        with _leaves(net.tail) as tail:
            logits = net.tail(stream)
    if logits.shape != own.shape or not torch.allclose(logits, own, rtol=0, atol=TOLERANCE * float(own.abs().max()) + 1e-6):
        raise CannotSplit("its units do not add up to the same answers")
    net.norm = _Entry(tuple(dict.fromkeys(module for module, _ in tail)))
    net.blocks = nn.ModuleList(blocks)
    net.units = _units(plan.pieces, shapes)
    net.level = "units"


def _module(piece: Piece) -> ReadUnit | ReadMerge:
    if piece.kind == "merge" or piece.plain:
        return ReadMerge(piece)
    if piece.attention is None:
        return ReadUnit(piece, Chain(*piece.branch))
    attention, grid = piece.attention
    return ReadUnit(piece, Looking(tuple(piece.branch), attention, grid, piece.heads))


def _width(plan: Plan, stream: Tensor) -> int:
    return stream.shape[1] if plan.form == "map" else stream.shape[-1]


def _place(plan: Plan, stream: Tensor) -> Place:
    if not isinstance(stream, Tensor) or stream.dim() != (3 if plan.form == "tokens" else 4):
        raise CannotSplit("what passes between its blocks is no map")
    if plan.form == "tokens":
        side = round((stream.shape[1] - plan.prefix) ** 0.5)
        if side * side != stream.shape[1] - plan.prefix:
            raise CannotSplit("its tokens lie on no square map")
        return Place(form="tokens", prefix=plan.prefix, side=side)
    height, width = stream.shape[2:] if plan.form == "map" else stream.shape[1:3]
    if height != width:
        raise CannotSplit("its maps are not square")
    return Place(form=plan.form, prefix=0, side=int(height))


def _units(pieces: list[Piece], shapes: list[tuple[int, int]]) -> list[Unit]:
    units, counts = [], dict[int, int]()
    for i, (piece, (width_in, side_in), (width, side)) in enumerate(zip(pieces, shapes, shapes[1:], strict=False)):
        counts[piece.stage] = counts.get(piece.stage, 0) + 1
        form = "plain" if piece.plain and piece.kind != "merge" else piece.form
        if form == "bottleneck" and piece.middle is None and side == side_in:
            form = "basic"  # its 3x3 changes the width, so it cannot be left out alone
        units.append(
            Unit(
                stage=piece.stage, index=counts[piece.stage], kind=piece.kind, form=form,
                letter=letter_of(piece.kind, form, piece.form == "depthwise"), depth=(i + 1) / len(pieces),
                resampling=side != side_in or width != width_in, side=side, width_in=width_in, width=width, heads=piece.heads,
                window=piece.window or (side if piece.form == "global" else 0), kernel=piece.kernel, stride=max(1, round(side_in / side)),
            )
        )  # fmt: skip
    return units


# ---- layers inside a unit


@contextmanager
def _leaves(module: nn.Module) -> Iterator[list[tuple[nn.Module, Any]]]:
    """Every module that owns weights or has no parts, with what it gives, as a forward pass of `module` runs them."""
    seen: list[tuple[nn.Module, Any]] = []

    def hook(part: nn.Module, _args: Any, out: Any) -> None:
        if not any(True for _ in part.children()) or any(True for _ in part.parameters(recurse=False)):
            seen.append((part, out))

    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def _layers(seen: list[tuple[nn.Module, Any]], going_in: Place, coming_out: Place) -> list[tuple[str, nn.Module, Place]]:
    """(type, module, layout) of the layers whose output is a map of one of the unit's two resolutions, in order of computation."""
    found = []
    for module, out in seen:
        if isinstance(module, nn.Identity | nn.Dropout) or type(module).__name__ == "DropPath" or not isinstance(out, Tensor):
            continue
        for place in (coming_out, going_in):
            if (layout := _laid(module, out, place)) is not None:
                found.append((type(module).__name__, module, layout))
                break
    return found


def _laid(module: nn.Module, out: Tensor, place: Place) -> Place | None:
    side = place.side
    if out.dim() == 4 and out.shape[0] == 1 and out.shape[2:] == (side, side) and not isinstance(module, nn.Linear):
        return dataclasses.replace(place, form="map", prefix=0)
    if out.dim() == 4 and out.shape[0] == 1 and out.shape[1:3] == (side, side):
        return dataclasses.replace(place, form="last", prefix=0)
    if out.dim() == 3 and out.shape[0] == 1 and out.shape[1] == side * side + place.prefix:
        return dataclasses.replace(place, form="tokens")
    return None
