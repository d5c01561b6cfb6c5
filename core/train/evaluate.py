"""Accuracy, NLL and ECE of a net on a set of images, hard labels, no mixing."""

import numpy as np
import torch
from torch import nn

from core.data.augment import eval_batches
from core.errors import MeasureError
from core.metrics.classify import Tally, tally
from core.train.device import autocast
from core.train.parallel import Team

#: Pixels of a batch of large images.
PIXELS = 2**20


@torch.inference_mode()
def evaluate(
    net: nn.Module, images, indices, device: torch.device, dtype: torch.dtype, batch: int = 0, team: Team | None = None
) -> dict[str, float]:
    """{accuracy, nll, ece, brier, images} over `indices` of `images` (None: all); the net's mode is put back.

    The processes of a `team` take a share of the images each, and all get the scores of the whole.  `batch` 0 takes 256 small images at a
    time, and so many large ones that their maps do not fill the memory.
    """
    batch = batch or min(256, max(8, PIXELS // images.pixels.shape[-1] ** 2))
    n = len(images) if indices is None else len(indices)
    if n == 0:
        raise MeasureError("There are no images to evaluate on; at least one is needed.")
    if team is None or team.size == 1 or n < team.size:
        return _sums(net, images, indices, device, dtype, batch).summary()
    total, failed = None, None
    try:
        own = (np.arange(n) if indices is None else indices)[team.share(n)]
        total = _sums(net, images, own, device, dtype, batch)
    except MeasureError as error:
        failed = error
    if team.any(failed is not None) or total is None:
        raise failed or MeasureError("The net's outputs are not finite in another process; it may have diverged.")
    counts = torch.tensor([total.images, total.correct, total.nll, total.brier], dtype=torch.float64)
    counts, bins = team.total(torch.cat([counts, total.bins.flatten()]).to(device)).cpu().split([4, total.bins.numel()])
    seen, correct, nll, brier = counts.tolist()
    return Tally(images=int(seen), correct=correct, nll=nll, brier=brier, bins=bins.view_as(total.bins)).summary()


def _sums(net: nn.Module, images, indices, device: torch.device, dtype: torch.dtype, batch: int) -> Tally:
    """The tally of at least one image."""
    training, parts = net.training, []
    net.eval()
    try:
        for x, y in eval_batches(images, indices, batch, device, torch.float32):
            with autocast(device, dtype):
                out = net(x)
            parts.append(tally(out.float(), y))
    finally:
        net.train(training)
    return sum(parts[1:], parts[0])
