"""The layers inside one unit, and what each of them hands on, as maps."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from core.errors import MeasureError
from core.models.attention import Attention, join
from core.models.blocks import Blur, Mix, OnTokens, Residual
from core.models.net import Net
from core.models.units import as_map
from core.models.zoo.net import ZooNet
from core.models.zoo.parts import Place
from core.spec import Unit

_WORDS = {nn.BatchNorm2d: "BatchNorm", nn.LayerNorm: "LayerNorm", nn.ReLU: "ReLU", nn.GELU: "GELU", nn.Linear: "Linear",
          Mix: "Mix", Blur: "Blur"}  # fmt: skip
GOING_IN, COMING_OUT, ATTENDED, PROJECTED = "Going in", "Coming out", "Attended values", "Projection"


def layers(net: Net, position: int) -> list[tuple[str, nn.Module]]:
    """(name, module) of the layers of a unit's branch in order of computation; names are words, numbered where they repeat.

    Of an attention there are two: the attended values (what goes into its projection) and the projection.
    Raises MeasureError for a position beyond the net or a patch merging, which has no branch.
    """
    if not 0 <= position < len(net.blocks):
        raise MeasureError(f"There is no unit {position}; the net has units 0 to {len(net.blocks) - 1}.")
    block = net.blocks[position]
    if not isinstance(block, Residual):
        raise MeasureError(f"Unit {net.units[position].id} {_no_branch(net.units[position])}: it has no branch to look into.")
    found: list[tuple[str, nn.Module]] = []
    own = _read(net, position)
    for module in own or (*_flat(block.pre), *_flat(block.body)):
        if isinstance(module, Attention):
            found += [(ATTENDED, module), (PROJECTED, module)]
        elif isinstance(module, nn.Conv2d):
            side = module.kernel_size[0]
            found.append((f"{side}×{side} Conv", module))
        else:
            found.append((_WORDS.get(type(module)) or _word(module), module))
    seen: dict[str, int] = {}
    named = []
    for word, module in found:
        seen[word] = seen.get(word, 0) + 1
        named.append((word if seen[word] == 1 else f"{word} {seen[word]}", module))
    return named


@contextmanager
def probe_layers(net: Net, position: int) -> Iterator[dict[str, Tensor]]:
    """Record what goes into a unit, what each of its layers hands on and what comes out, by name in order of computation.

    All are maps (batch, channel, height, width).  Hooks are removed on exit.  Asked for by readers of the paper: the spectrum of one
    convolution instead of a whole block.
    """
    block, named, own = net.blocks[position], layers(net, position), _read(net, position)
    seen: dict[str, Tensor] = dict.fromkeys([GOING_IN, *(name for name, _ in named), COMING_OUT])
    handles, by_name = [], dict(named)

    def keep(name: str, tokens: bool):
        def hook(_module: nn.Module, _args: tuple, out: Tensor) -> None:
            seen[name] = as_map(out, own[module]) if (module := by_name.get(name)) in own else _map(out, tokens, block)

        return hook

    def attended(name: str, attention: Attention):
        def hook(_module: nn.Module, args: tuple) -> None:
            values = args[0]
            if values.dim() == 3 and attention.window < attention.side and attention.form != "local":
                values = join(values, attention.window, attention.side)  # a shifted map stays rolled: amplitudes do not change by it
            elif values.dim() == 3 and values.shape[1] == attention.side**2:
                values = values.unflatten(1, (attention.side, attention.side))
            seen[name] = _map(values, True)

        return hook

    def going_in(_module: nn.Module, args: tuple) -> None:
        seen[GOING_IN] = as_map(args[0], getattr(block, "going_in", None))

    try:
        handles.append(block.register_forward_pre_hook(going_in))
        handles.append(block.register_forward_hook(keep(COMING_OUT, False)))
        for name, module in named:
            if name == ATTENDED:
                handles.append(module.proj.register_forward_pre_hook(attended(name, module)))
            else:
                handles.append(module.register_forward_hook(keep(name, block.tokens or isinstance(module, Attention))))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _flat(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential):
        return [inner for part in module for inner in _flat(part)]
    return [module.inner] if isinstance(module, OnTokens) else [] if isinstance(module, nn.Identity) else [module]


def _map(x: Tensor, tokens: bool, block: nn.Module | None = None) -> Tensor:
    return x.permute(0, 3, 1, 2) if tokens and x.dim() == 4 else as_map(x, getattr(block, "coming_out", None))


def _read(net: Net | ZooNet, position: int) -> dict[nn.Module, Place]:
    """The layers of a unit that was read from a foreign net, with how each lays out what it gives; none for the lab's own nets."""
    return {module: place for _, module, place in net.layers.get(position, ())} if isinstance(net, ZooNet) else {}


def _word(module: nn.Module) -> str:
    """A layer of a foreign net in the lab's words: its type, shortened."""
    name = type(module).__name__
    return next((word for word in ("BatchNorm", "LayerNorm", "GroupNorm", "LayerScale") if name.startswith(word)), name)


def _no_branch(unit: Unit) -> str:
    return {"whole": "is a whole block", "plain": "has no path around it"}.get(unit.form, "is a patch merging")
