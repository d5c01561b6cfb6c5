"""Nets that are no row of residual units: their blocks are watched from outside while the net runs as it was built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.models.zoo.parts import Place
from core.spec import Unit

if TYPE_CHECKING:
    from core.models.zoo.net import ZooNet


class Watched(nn.Module):
    """Stands for a block of the net: what goes in and comes out passes through it, so that a probe sees it."""

    def __init__(self, going_in: Place, coming_out: Place) -> None:
        super().__init__()
        self.going_in, self.coming_out = going_in, coming_out

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """What the block gave; x itself where the net is not run."""
        return x if out is None else out

    def as_map(self, x: Tensor) -> Tensor:
        """What comes out as (B, C, h, w)."""
        return self.coming_out.as_map(x)


class _Tell:
    """A forward hook that shows a block's input and output to the one that stands for it.  An object: a copy of the net copies it along."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        """Nothing is changed."""
        self.watched(args[0], out)


#: Nets whose tokens lie row by row, with no class token among them where their blocks are watched.
_IN_ROWS = ("Cait", "Xcit", "ConVit")


def watch_blocks(net: ZooNet, x: Tensor) -> None:
    """Give the net units that stand for whole blocks, where its blocks hand on square maps one after the other; level `blocks` then.

    A block counts only if its maps can be told for sure: by the number of channels that timm states for its stage.
    """
    found, calls = _candidates(net.model), list[tuple[nn.Module, Any, Any]]()
    handles = [part.register_forward_hook(lambda m, args, out: calls.append((m, args[0] if args else None, out))) for part, *_ in found]
    with torch.no_grad():
        net.model(x)
    for handle in handles:
        handle.remove()
    facts = {id(part): (stage, width) for part, stage, width in found}
    rows = type(net.model).__name__ in _IN_ROWS
    seen = []
    for module, x_in, out in calls:
        stage, width = facts[id(module)]
        b = _place(out, width, rows)
        a = None if b is None else _place(x_in, None, rows, b.form)
        if a is not None and b is not None:
            seen.append((module, stage, a, b, a.as_map(x_in).shape[1], b.as_map(out).shape[1]))
    if not seen or len(seen) != len({id(module) for module, *_ in seen}):
        return
    order = sorted({stage for _, stage, *_ in seen})
    counts = dict.fromkeys(order, 0)
    for i, (module, stage, a, b, width_in, width) in enumerate(seen):
        counts[stage] += 1
        watched = Watched(a, b)
        module.register_forward_hook(_Tell(watched))
        net.blocks.append(watched)
        net.units.append(
            Unit(
                stage=order.index(stage) + 1, index=counts[stage], letter="k", kind="block", form="whole", depth=(i + 1) / len(seen),
                resampling=a.side != b.side or width_in != width, side=b.side, width_in=width_in, width=width, heads=0, window=0, kernel=0,
                stride=max(1, round(a.side / b.side)),
            )
        )  # fmt: skip
    net.level = "blocks"


def _candidates(model: nn.Module) -> list[tuple[nn.Module, int, int]]:
    """(block, number of its stage, channels of its map): what timm's feature info names, split where it is a row of blocks."""
    named = dict(model.named_modules())
    found: list[tuple[nn.Module, int, int]] = []
    for number, entry in enumerate(getattr(model, "feature_info", None) or [], 1):
        path = entry.get("module", "") if isinstance(entry, dict) else ""
        stage = named.get(path)
        if stage is not None and number > 1 and not _computes(stage):  # a norm: what it norms is the block
            beside = list(named[path.rpartition(".")[0]].children())
            stage = beside[beside.index(stage) - 1] if beside[0] is not stage else None
        if stage is None or not _computes(stage) or not any(True for _ in stage.children()):  # a single layer belongs to the stem
            continue
        row = stage if isinstance(stage, nn.Sequential) else getattr(stage, "blocks", None)
        parts = list(row) if isinstance(row, nn.Sequential) else []
        split = len(parts) > 1 and len({type(part) for part in parts}) <= 2
        found += [(part, number, int(entry["num_chs"])) for part in (parts if split else [stage])]
    return list({id(part): (part, number, width) for part, number, width in found}.values())


def _computes(module: nn.Module) -> bool:
    return any(p.dim() > 1 for p in module.parameters())


def _place(x: Any, width: int | None, rows: bool, form: str = "") -> Place | None:
    """How a tensor lies on a square map of `width` channels, if there is one way only; `form` where that is known."""
    if not isinstance(x, Tensor):
        return None
    if x.dim() == 4:
        first = x.shape[2] == x.shape[3] and form != "last" and width in (None, x.shape[1])
        last = x.shape[1] == x.shape[2] and form != "map" and width in (None, x.shape[3])
        if first != last:
            return Place(form="map" if first else "last", prefix=0, side=x.shape[2])
    side = round(x.shape[1] ** 0.5)
    if x.dim() == 3 and rows and side * side == x.shape[1] and width in (None, x.shape[2]):
        return Place(form="tokens", prefix=0, side=side)
    return None
