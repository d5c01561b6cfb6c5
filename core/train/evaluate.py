"""Accuracy, NLL and ECE of a net on a set of images, hard labels, no mixing."""

import torch
from torch import nn

from core.data.augment import eval_batches
from core.errors import MeasureError
from core.metrics.classify import Tally, tally
from core.train.device import autocast


@torch.inference_mode()
def evaluate(net: nn.Module, images, indices, device: torch.device, dtype: torch.dtype, batch: int = 256) -> dict[str, float]:
    """{accuracy, nll, ece, brier, images} over `indices` of `images` (None: all); the net's mode is put back."""
    training, total = net.training, None
    net.eval()
    try:
        for x, y in eval_batches(images, indices, batch, device, torch.float32):
            with autocast(device, dtype):
                out = net(x)
            part: Tally = tally(out.float(), y)
            total = part if total is None else total + part
    finally:
        net.train(training)
    if total is None:
        raise MeasureError("There are no images to evaluate on; at least one is needed.")
    return total.summary()
