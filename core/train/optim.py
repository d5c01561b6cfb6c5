"""Optimiser, schedule and SAM, as the recipe says."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.recipe import Recipe


def make_optimiser(net: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """AdamW (fused) or SGD with momentum 0.9; vectors are spared weight decay unless `decay_all`."""
    matrices = [p for p in net.parameters() if p.requires_grad and (p.ndim > 1 or recipe.decay_all)]
    vectors = [p for p in net.parameters() if p.requires_grad and p.ndim <= 1 and not recipe.decay_all]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}]
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0})
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=device.type in ("cpu", "cuda"))


def rate(step: int, warm: int, total: int, peak: float) -> float:
    """Learning rate of step `step` (from 0): linear over `warm` steps, then cosine to 0 at `total`."""
    if step < warm:
        return peak * (step + 1) / warm
    return 0.5 * peak * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Put one learning rate into all groups."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def sam_step(net: nn.Module, radius: float, loss: Callable[[], Tensor]) -> Tensor:
    """Gradients at the worst point within `radius` (Foret et al. 2021); gradients of the plain loss must be there.

    Batch-norm statistics are not updated by the second pass.  Returns the loss at the worst point.
    """
    parameters = [p for p in net.parameters() if p.grad is not None]
    norm = torch.stack([p.grad.norm() for p in parameters]).norm()
    moves = [p.grad * (radius / (norm + 1e-12)) for p in parameters]
    frozen = [(m, m.momentum) for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.SyncBatchNorm)]
    with torch.no_grad():
        torch._foreach_add_(parameters, moves)
    net.zero_grad(set_to_none=True)
    for module, _ in frozen:
        module.momentum = 0.0
    try:
        worst = loss()
        worst.backward()
    finally:
        for module, momentum in frozen:
            module.momentum = momentum
        with torch.no_grad():
            torch._foreach_sub_(parameters, moves)
    return worst.detach()
