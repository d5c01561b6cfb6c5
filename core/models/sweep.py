"""What a net answers with units switched off, without computing twice what comes before them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from core.models.net import Net
from core.models.units import check_lesion, lesion

#: Images that Kept may hold in memory, as bytes of stored unit inputs: 256 images of a mini net take about 80 MB.
BUDGET = 300_000_000


def chunk_for(device: torch.device) -> int:
    """Images in one pass: on a processor so few that their maps stay in its caches, on a GPU enough to keep it busy."""
    return 64 if device.type == "cpu" else 512


def sweep(net: Net, x: Tensor, positions: Sequence[int], how: str = "branch", chunk: int = 0) -> Tensor:
    """(1 + positions, n, classes) float32: row 0 the whole net, then one row a position with that unit alone switched off.

    A lesioned unit starts from what the whole net has reached there, so the sweep of all units costs about half of one
    forward pass each.  Nothing is kept but logits; `chunk` images at a time (0: by the device).  Raises MeasureError as `lesion`.
    """
    check_lesion(net, positions, how)
    parts = []
    with _evaluating(net) as device:
        for images in x.split(chunk or chunk_for(device)):
            stream, rows = net.embed(images.to(device)), {}
            for i, block in enumerate(net.blocks):
                if i in positions:
                    with lesion(net, [i], how):
                        rows[i] = _rest(net, block(stream), i + 1)
                stream = block(stream)
            whole = net.classify(stream).float()
            parts.append(torch.stack([whole, *(rows[i] for i in positions)]))
    return torch.cat(parts, 1)


class Kept:
    """Inputs of units for images x (n, 3, H, W), so that the next lesion starts at the unit that it switches off.

    Every unit's input is kept where that fits into `budget` bytes, else every second one's, every third one's, …; a lesion then starts
    at the last one before it.  `bytes` says how much is held.
    """

    def __init__(self, net: Net, x: Tensor, budget: int = BUDGET, chunk: int = 0) -> None:
        self.net = net
        with _evaluating(net) as device:
            self.images = x.to(device).split(chunk or chunk_for(device))
            self.kept: list[dict[int, Tensor]] = []
            parts, step = [], 0
            for images in self.images:
                streams = [net.embed(images)]
                for block in net.blocks:
                    streams.append(block(streams[-1]))
                parts.append(net.classify(streams.pop()).float())
                step = step or _step([s.numel() * s.element_size() * len(x) // len(images) for s in streams], budget)
                self.kept.append({i: streams[i] for i in range(0, len(streams), step)} if step <= len(streams) else {})
            self.whole = torch.cat(parts)

    @property
    def bytes(self) -> int:
        """What the kept inputs hold in memory."""
        return sum(s.numel() * s.element_size() for chunk in self.kept for s in chunk.values())

    def logits(self, positions: Sequence[int], how: str = "branch") -> Tensor:
        """(n, classes) float32 with all these units off at once; with none, what the whole net says.  MeasureError as `lesion`."""
        if not positions:
            return self.whole
        first, parts = min(positions), []
        with _evaluating(self.net), lesion(self.net, positions, how):
            for images, kept in zip(self.images, self.kept, strict=True):
                start = max((i for i in kept if i <= first), default=0)
                parts.append(_rest(self.net, kept[start] if kept else self.net.embed(images), start))
        return torch.cat(parts)


def _step(sizes: list[int], budget: int) -> int:
    """The least step at which every step-th input fits into the budget; beyond the net if not even the first does."""
    return next((step for step in range(1, len(sizes) + 1) if sum(sizes[::step]) <= budget), len(sizes) + 1)


def _rest(net: Net, stream: Tensor, start: int) -> Tensor:
    for block in net.blocks[start:]:
        stream = block(stream)
    return net.classify(stream).float()


@contextmanager
def _evaluating(net: Net) -> Iterator[torch.device]:
    """No gradients, eval mode; the mode is put back.  Gives the device that the net is on."""
    training = net.training
    try:
        net.eval()
        with torch.inference_mode():
            yield next(net.parameters()).device
    finally:
        net.train(training)
