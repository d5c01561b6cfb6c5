"""Images changed on purpose to be misread: one step and many steps up the loss, in an L-infinity or an L2 ball.

Everything is on the scale of pixels, 0 to 1; the net's own normalisation happens inside, so strengths compare between data sets.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import MeasureError, unknown
from core.metrics import bands, noise
from core.metrics.bands import Ring

#: How large a change is: its largest value, or the root of its sum of squares over all values of an image.
NORMS = ("linf", "l2")
Loss = Callable[[Tensor], Tensor]
#: Kept away from zero when a change is divided by its own size.
_NOTHING = 1e-30


def fgsm(
    net: nn.Module, images: Tensor, labels: Tensor, *, strength: float, mean: Sequence[float], std: Sequence[float],
    norm: str = "linf", ring: Ring | None = None,
) -> Tensor:  # fmt: skip
    """One step of the whole `strength` up the gradient of the loss: images (B, C, H, W) from 0 to 1, the same shape back.

    It may miss: on a bent loss a long step can end lower than it began.  Arguments and errors as `pgd`.
    Source: Goodfellow, Shlens and Szegedy, ICLR 2015.
    """
    _check(images, labels, strength, norm, ring)
    with _attacked(net, labels, mean, std) as loss:
        clean = images.detach().clone()
        return _step(loss, clean, clean, strength, strength, norm, ring)[0]


def pgd(
    net: nn.Module, images: Tensor, labels: Tensor, *, strength: float, mean: Sequence[float], std: Sequence[float],
    norm: str = "linf", steps: int = 10, step_size: float | None = None, start: Tensor | None = None, ring: Ring | None = None,
) -> Tensor:  # fmt: skip
    """Many steps up the gradient, each brought back into the ball; of all points met, the clean image included, the worst one.

    `images` (B, C, H, W) from 0 to 1, C being 3, or 1 for grey images, which then stay grey; `labels` (B,); `mean` and `std` of the
    data set.  `strength` is the ball's radius, `step_size` 2.5 · strength / steps unless given, `start` a first change
    (`random_start`) or none.  Each image is attacked for itself: the batch does not matter.

    Without `ring` the result stays between 0 and 1.  With it the change has frequencies of that ring only (its steps are cut to the
    ring, its size is held by scaling) and may leave 0 to 1, as band noise does: clipping would spread it over all frequencies.

    The net answers in eval mode; its modes, gradients and weights are left as they were.  Raises MeasureError for images outside
    0 to 1, a negative strength, no step, an unknown norm, a ring without frequencies, or a net whose outputs are not finite.
    Source: Madry et al., ICLR 2018; the frequency-limited form: paper, Fig. 2b's companion code.
    """
    _check(images, labels, strength, norm, ring)
    size = 2.5 * strength / steps if step_size is None and steps > 0 else step_size
    if steps < 1 or size is None or not 0 <= size < math.inf:
        raise MeasureError(f"An attack of {steps} steps of size {size} does nothing; it takes 1 step or more of a size of 0 or more.")
    with _attacked(net, labels, mean, std) as loss:
        clean = images.detach().clone()
        at = clean if start is None else _bring(clean, _cut(start.detach().to(clean), ring), strength, norm, ring)
        worst, highest = clean, torch.full((len(clean),), -math.inf, device=clean.device) if start is None else loss(clean)
        for _ in range(steps):
            after, before = _step(loss, clean, at, size, strength, norm, ring)
            worst, highest = _worse(worst, highest, at, before)
            at = after
        return _worse(worst, highest, at, loss(at))[0]


def random_start(
    seed: int, indices: np.ndarray | Sequence[int], shape: Sequence[int], *, strength: float, norm: str = "linf"
) -> Tensor:  # fmt: skip
    """A first change for `pgd`, uniform in the ball: (images, *shape) float32; an image's own depends on seed and index alone."""
    if norm not in NORMS:
        raise unknown(MeasureError, "norm", norm, NORMS)
    count = math.prod(shape)
    drawn = (bands.words(seed, indices, count + 1, stream=1) >> np.uint64(11)) * 2.0**-53
    if norm == "linf":
        change = strength * (2 * drawn[:, :count] - 1)
    else:
        # a direction by Box and Muller's method, a radius whose power `count` is uniform
        other = (bands.words(seed, indices, count, stream=2) >> np.uint64(11)) * 2.0**-53
        way = np.sqrt(-2 * np.log1p(-drawn[:, :count])) * np.cos(2 * np.pi * other)
        change = strength * drawn[:, count:] ** (1 / count) * way / np.linalg.norm(way, axis=1, keepdims=True)
    return torch.from_numpy(change.reshape(-1, *shape).astype(np.float32))


@contextmanager
def _attacked(net: nn.Module, labels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Iterator[Loss]:
    """How far each image is from its label, a function of its pixels, where gradients work; the net is put back at the end."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
            # weights that want no gradient cost less; copies of those made in inference mode, which autograd refuses
            weights = {name: value.clone() if value.is_inference() else value.detach() for name, value in state.items()}
            answers = labels.clone()

            def loss(pixels: Tensor) -> Tensor:
                middle, spread = (pixels.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
                logits = torch.func.functional_call(net, weights, ((pixels - middle) / spread,))
                scores, own = logits.double(), answers[:, None]
                # NLL = ln(1 + exp(found)): both rise together along one gradient, but that of NLL vanishes where the net is sure
                found = scores.scatter(1, own, -math.inf).logsumexp(1) - scores.gather(1, own)[:, 0]
                if not torch.isfinite(found).all():
                    raise MeasureError("The net's outputs are not finite; it may have diverged.")
                return found

            yield loss
    finally:
        for module, training in modes:
            module.training = training


def _step(
    loss: Loss, clean: Tensor, at: Tensor, size: float, strength: float, norm: str, ring: Ring | None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step from `at`, brought back into the ball around `clean`; and the loss of each image at `at`."""
    pixels = at.detach().requires_grad_()
    losses = loss(pixels)
    (gradient,) = torch.autograd.grad(losses.sum(), pixels)
    with torch.no_grad():
        # by its largest value first: squares of small gradients would vanish
        way = _cut(gradient / _largest(gradient).clamp_min(torch.finfo(gradient.dtype).tiny), ring)
        if norm == "l2":
            way = way / _length(way).clamp_min(_NOTHING)
        elif ring is None:
            way = way.sign()
        else:  # the sign of what lies in the ring, cut to the ring again, still points up the loss
            way = _cut(way.sign(), ring)
            way = way / _largest(way).clamp_min(_NOTHING)
        return _bring(clean, at - clean + size * way, strength, norm, ring), losses.detach()


def _bring(clean: Tensor, change: Tensor, strength: float, norm: str, ring: Ring | None) -> Tensor:
    """The changed image, the change brought into the ball, the pixels without a ring into their range."""
    if norm == "linf" and ring is None:
        change = change.clamp(-strength, strength)
    else:
        size = _length(change) if norm == "l2" else _largest(change)
        change = change * (strength / size.clamp_min(_NOTHING)).clamp_max(1)
    return clean + change if ring is not None else (clean + change).clamp(0, 1)


def _cut(change: Tensor, ring: Ring | None) -> Tensor:
    return change if ring is None else noise.keep(change, *ring)


def _largest(x: Tensor) -> Tensor:
    return x.abs().flatten(1).amax(1).view(-1, 1, 1, 1)


def _length(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _worse(worst: Tensor, highest: Tensor, at: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
    losses = losses.detach()
    higher = losses > highest
    return torch.where(higher.view(-1, 1, 1, 1), at, worst), torch.where(higher, losses, highest)


def _check(images: Tensor, labels: Tensor, strength: float, norm: str, ring: Ring | None) -> None:
    if norm not in NORMS:
        raise unknown(MeasureError, "norm", norm, NORMS)
    if not 0 <= strength < math.inf:
        raise MeasureError(f"The strength of the attack is {strength}; it should be 0 or more.")
    if images.ndim != 4 or images.numel() == 0 or labels.shape != images.shape[:1]:
        raise MeasureError(f"Images {tuple(images.shape)} and labels {tuple(labels.shape)} do not belong together.")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise MeasureError(f"Pixels run from {low:g} to {high:g}; an attack wants them from 0 to 1, before they are normalised.")
    if ring is not None:
        start, end = bands.radii(bands.check_square(images.shape), *ring)
        if start >= end:
            raise MeasureError(f"The ring from {ring[0] / 100:g}π to {ring[1] / 100:g}π holds no frequency of these images.")
