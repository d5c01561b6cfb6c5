"""A net and images handed to an analysis, and every map of it found without a probe."""

import math
from collections.abc import Iterator

import torch

from core.models import build, units
from core.spec import parse


class Given:
    """A subject whose net and images are handed in."""

    def __init__(self, notation: str, n: int = 20, size: int = 32, net: torch.nn.Module | None = None, device: str = "cpu"):
        torch.manual_seed(0)
        self.arch, self.device = parse(notation), torch.device(device)
        self.net = (net or build(self.arch, size, 10, seed=0)).to(self.device).eval()
        self.x = torch.randn(n, 3, size, size)
        self.asked: list[tuple] = []

    def images(self, split: str, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.asked.append((split, n, seed))
        return self.x, torch.zeros(len(self.x), dtype=torch.int64)

    def chunks(self, on: str, n: int, seed: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        self.asked.append((on, n, seed))
        for x in self.x.tensor_split(-(-len(self.x) // size)):
            yield x.to(self.device), torch.zeros(len(x), dtype=torch.int64)


def outputs(subject: Given) -> dict[str, torch.Tensor]:
    """Every map by unit id, by walking through the net by hand: stem, then one block after the other."""
    with torch.inference_mode():
        x = subject.net.embed(subject.x)
        maps = {"stem": x}
        for unit, block in zip(units(subject.net), subject.net.blocks, strict=True):
            x = block(x)
            maps[unit.id] = x
    return {unit: x if x.dim() == 4 else without_cls(x) for unit, x in maps.items()}


def without_cls(tokens: torch.Tensor) -> torch.Tensor:
    """(B, 1 + h*h, C) to (B, C, h, h)."""
    side = math.isqrt(tokens.shape[1] - 1)
    return tokens[:, 1:].permute(0, 2, 1).unflatten(2, (side, side))
