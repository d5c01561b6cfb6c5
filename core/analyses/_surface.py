"""The loss of fixed images at many points of weight space, and the ways to walk there.  Works on copies; a net stays as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import MeasureError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from core.analyses._batches import Frozen
    from core.metrics.landscape import L2
    from core.models import Net

#: Images in one forward pass: 128 is quickest on a processor, a GPU takes eight such batches at once.
BATCH, ON_GPU = 128, 8


class Surface:
    """The loss of every image of `batches` at any weights of a net.

    `fp32` is the net as it is, in eval mode.  `bf16` is the fast one: weights and maps in bf16 but for BatchNorms and for what comes after
    the last unit.  Measured with one thread (AVX512-BF16), 512 images: ResNet-mini 0.56 s a point in fp32, 0.29 s in bf16, of which 0.24 s
    are convolutions at the speed of a plain product of matrices; BatchNorms multiplied into them (and ReLU and sum done within them) gain
    1 to 3 %, so that is left out.  `bn` = batch takes their statistics from the same images at each point, in a pass of its own.
    """

    def __init__(self, net: Net, batches: Frozen, *, precision: str = "fp32", bn: str = "frozen") -> None:
        import torch
        from torch import nn

        from core.train.device import attention_form

        bf16 = precision == "bf16"
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.state = own_state(net)
        norms = [module for module in self.net.modules() if isinstance(module, nn.BatchNorm2d)]
        self.restated = norms if bn == "batch" else []
        self.x, self.target = batches.x, batches.target
        device = self.x[0].device
        if device.type == "cuda" and not self.restated:  # otherwise the batches would have other statistics than on a processor
            self.x, self.target = ([torch.cat(t[i : i + ON_GPU]) for i in range(0, len(t), ON_GPU)] for t in (self.x, self.target))
        if bf16:
            self.net.bfloat16().attend(attention_form(device, torch.bfloat16))
            for module in (*norms, self.net.norm, self.net.head):
                module.float()
            self.net.norm.register_forward_pre_hook(lambda _module, args: (args[0].float(),))
            self.x = [x.bfloat16() for x in self.x]
        self.slots = self.net.state_dict()

    def losses(self, moved: Mapping[str, Tensor]) -> np.ndarray:
        """(images,) float32 [nat], with the weights `moved` by name and all others where they are; NaN or inf where they diverge."""
        import torch

        from core.analyses._batches import losses

        with torch.inference_mode():
            for name, value in {**self.state, **moved}.items():
                self.slots[name].copy_(value)
            if self.restated:
                self._restate()
            return torch.cat([losses(self.net(x), y) for x, y in zip(self.x, self.target, strict=True)]).cpu().numpy()

    def _restate(self) -> None:
        """Means and variances of the images at these weights: the average over batches, each normed by its own."""
        for norm in self.restated:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
            norm.train()
        for x in self.x:
            self.net(x)
        for norm in self.restated:
            norm.eval()


def own_state(net: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics of a net by name: all that is stored and is no counter."""
    return {name: value.detach() for name, value in net.state_dict().items() if value.is_floating_point()}


# ---- where to walk


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A way to walk: `at(x, y)` are the weights there, `l2` the closed form of their size, `facts` what is told of the directions."""

    at: Callable[[float, float], dict[str, Tensor]]
    l2: L2
    facts: dict[str, Any]


def random_plane(net: Net, seed: int, norm: str) -> Plane:
    """Along two random directions, `seed` and `seed + 1`, scaled to the weights (metrics.landscape.direction)."""
    from core.metrics.landscape import direction

    weights = dict(net.named_parameters())
    return _plane(net, direction(weights, seed, norm), direction(weights, seed + 1, norm), {})


def curvature_plane(net: Net, batches: Frozen, most: int) -> Plane:
    """Along the two eigenvectors of largest |λ| of the mean loss of the first `most` images, unit vectors over all parameters.

    Raises MeasureError if they are not found to a residual of 1 %.
    """
    import torch

    from core.analyses._batches import losses
    from core.metrics.curvature import exact, hvp, outermost
    from core.metrics.twice import quick

    with exact(batches.x[0].device), quick():
        twin = copy.deepcopy(net).attend("plain")
        x, y = (torch.cat(t)[:most] for t in (batches.x, batches.target))
        weights = dict(twin.named_parameters())
        product = hvp(losses(twin(x), y).mean(), list(weights.values()))
        size = sum(weight.numel() for weight in weights.values())
        ends = outermost(product, size, min(2, size), tolerance=1e-6, like=x.new_zeros(()))
    if float(ends.residuals.max()) > 0.01:
        raise MeasureError(f"The directions of most curvature were not found in {ends.products} products; take random ones.")
    sizes = [weight.numel() for weight in weights.values()]
    a, b = (
        {name: piece.view_as(weight) for (name, weight), piece in zip(weights.items(), vector.split(sizes), strict=True)}
        for vector in (v / v.double().norm().float() for v in ends.vectors)  # float32 sums of many squares are off by 1e-4
    )
    facts = {"eigenvalues": ends.values.tolist(), "residuals": ends.residuals.tolist(), "products": ends.products}
    return _plane(net, a, b, facts)


def line(net: Net, other: Net) -> Plane:
    """From the other net (x = 0) to this one (x = 1), statistics of BatchNorms included; both ends are exact."""
    import torch

    from core.metrics.landscape import l2

    end, start = own_state(net), own_state(other)
    if {n: w.shape for n, w in end.items()} != {n: w.shape for n, w in start.items()}:
        raise MeasureError("The two nets do not have the same weights; a line joins only nets of one architecture.")
    names = [name for name, _ in net.named_parameters()]
    step = {name: end[name] - start[name] for name in names}
    return Plane(
        at=lambda x, _y: {name: torch.lerp(start[name], end[name], x) for name in end},
        l2=l2({name: start[name] for name in names}, step),
        facts={"lengths": [_length(step), 0.0]},
    )


def _plane(net: Net, a: dict[str, Tensor], b: dict[str, Tensor], facts: dict[str, Any]) -> Plane:
    from core.metrics.landscape import l2

    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    return Plane(
        at=lambda x, y: {name: weights[name] + x * a[name] + y * b[name] for name in a},
        l2=l2(weights, a, b),
        facts={"lengths": [_length(a), _length(b)], **facts},
    )


def _length(direction: Mapping[str, Tensor]) -> float:
    return sum(float(piece.double().square().sum()) for piece in direction.values()) ** 0.5
