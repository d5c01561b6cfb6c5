"""The random numbers of an epoch, drawn ahead and from (seed, epoch) alone.

Nothing here depends on what was drawn before, on the device or on how many workers there are; so an epoch can be entered at any
step and gives the same batches everywhere.
"""

from dataclasses import dataclass

import numpy as np

# One stream for each kind of draw, so that switching one kind on leaves the others as they were.
ORDER, CROP, MIRROR, POLICY, ERASE, MIX = range(6)
AREA, ASPECT, TRIES = (0.02, 1 / 3), (0.3, 1 / 0.3), 10  # random erasing, as timm's defaults


@dataclass(frozen=True)
class Draws:
    """For each image of an epoch in the order of delivery, arrays of n values.

    order: position in the set · top, left: corner of the crop in the padded image · mirror: bool · policy: seed of its RandAugment ·
    erase: (n, 4) top, left, height, width of the erased box, height 0 for none.
    """

    order: np.ndarray
    top: np.ndarray
    left: np.ndarray
    mirror: np.ndarray
    policy: np.ndarray
    erase: np.ndarray


def draw_epoch(n: int, side: int, *, seed: int, epoch: int, pad: int, flip: bool, erasing: float) -> Draws:
    """All draws of one epoch over `n` images of `side` pixels (random crop by `pad`, mirror with probability one half)."""
    stream = [np.random.default_rng([seed, epoch, kind]) for kind in range(MIX)]
    top, left = stream[CROP].integers(0, 2 * pad + 1, (2, n))
    return Draws(
        order=stream[ORDER].permutation(n),
        top=top,
        left=left,
        mirror=stream[MIRROR].random(n) < 0.5 if flip else np.zeros(n, bool),
        policy=stream[POLICY].integers(0, 2**32, n),
        erase=_boxes(stream[ERASE], n, side, erasing),
    )


def _boxes(rng: np.random.Generator, n: int, side: int, probability: float) -> np.ndarray:
    """Boxes of random erasing (Zhong et al. 2020, arXiv:1708.04896): area and aspect until the box fits, at most ten times."""
    if not probability:
        return np.zeros((n, 4), np.int64)
    chosen = rng.random(n) < probability
    area = rng.uniform(*AREA, (n, TRIES)) * side * side
    aspect = np.exp(rng.uniform(*np.log(ASPECT), (n, TRIES)))
    height, width = np.rint(np.sqrt(area * aspect)).astype(np.int64), np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (height < side) & (width < side)
    first = np.argmax(fits, axis=1), chosen & fits.any(axis=1)
    pick = np.arange(n), first[0]
    height, width = height[pick], width[pick]
    top = (rng.random(n) * (side - height + 1)).astype(np.int64)
    left = (rng.random(n) * (side - width + 1)).astype(np.int64)
    return np.where(first[1][:, None], np.stack([top, left, height, width], 1), 0)


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed with itself in reverse order: its own share, and the box (top, bottom, left, right) if pasted."""

    share: float
    box: tuple[int, int, int, int] | None


def draw_mix(side: int, *, seed: int, epoch: int, step: int, mixup: float, cutmix: float) -> Mix:
    """One draw a batch: Mixup or CutMix with equal chance when both are on (timm's batch mode, probability 1, switch 0.5).

    The share is Beta(alpha, alpha); a pasted box that is cut off at the border counts with the area that is left.
    Source: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899; the paper's alphas are 1.0 and 0.8 (Appendix A.1).
    """
    # the legacy generator, whose stream is frozen for ever, called in the order in which timm calls it
    rng = np.random.RandomState(np.random.SeedSequence([seed, epoch, MIX, step]).generate_state(1))
    return mix_from(rng, side, mixup, cutmix)


def mix_from(rng: np.random.RandomState, side: int, mixup: float, cutmix: float) -> Mix:
    """`draw_mix` from a given generator."""
    rng.rand()  # timm draws here whether to mix at all; the probability is 1
    paste = rng.rand() < 0.5 if mixup and cutmix else bool(cutmix)
    alpha = cutmix if paste else mixup
    share = float(rng.beta(alpha, alpha))
    if not paste:
        return Mix(share, None)
    cut = int(side * np.sqrt(1 - share))
    y, x = int(rng.randint(0, side)), int(rng.randint(0, side))
    top, bottom = max(0, y - cut // 2), min(side, y + (cut + 1) // 2)
    left, right = max(0, x - cut // 2), min(side, x + (cut + 1) // 2)
    return Mix(1 - (bottom - top) * (right - left) / side**2, (top, bottom, left, right))
