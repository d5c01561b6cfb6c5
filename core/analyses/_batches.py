"""Training batches that are drawn once and then stay the same: for every point of a surface, every product, every net of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import MeasureError, unknown
from core.recipe import RECIPES, from_dict

if TYPE_CHECKING:
    from torch import Tensor

    from core.analyses import Subject

#: Which images: as the run itself saw them in training, with the paper's mix-up and RandAugment, or as they are.
AUGMENT = {
    "recipe": "augmented training images",
    "paper": "training images augmented and mixed as in the paper",
    "clean": "training images as they are",
}


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Batches on the device: `x` (B, 3, H, W) float32 normalised, `target` (B, classes) float32 soft labels; `digest` of both."""

    x: list[Tensor]
    target: list[Tensor]
    digest: str
    said: str


def frozen(subject: Subject, augment: str, images: int, size: int, seed: int) -> Frozen:
    """`images` of the run's own training images, in equal shares of the classes, in batches of `size` (the last may be shorter).

    `recipe`: with the run's augmentation, mixing and label smoothing; `paper`: with those of the paper's recipe; `clean`: neither, and hard
    labels.  The seed draws images and augmentation; two runs of the same images and recipe get the same batches.
    Raises MeasureError if the run has fewer images.  Source: paper, §2 and Appendix A.1.
    """
    import torch.nn.functional as F

    from core.data import subset
    from core.data.augment import Feeder

    if augment not in AUGMENT:
        raise unknown(MeasureError, "way to feed images", augment, AUGMENT)
    run, pictures = subject.run, subject.pictures("train")
    own = subset(pictures.labels, run.fraction, run.limit, run.seed)
    if images > len(own):
        raise MeasureError(f"{images} images are asked for; {run.id} was trained on {len(own)}.")
    chosen = own[subset(pictures.labels[own], 1.0, images, seed)]
    recipe = RECIPES["plain"] if augment == "clean" else RECIPES["paper"] if augment == "paper" else from_dict(run.recipe)
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in ("flip", "randaugment", "mixup", "cutmix", "smoothing", "erasing")}
    # on grey sets the paper's shift would cut the object: the set's own
    pad = pictures.spec.pad if recipe.pad < 0 or augment == "paper" else recipe.pad
    feeder = Feeder(pictures, chosen, size, pad=pad, seed=seed, drop_last=False, **settings)
    x, target = [], []
    for pixels, y in feeder.epoch(0):
        soft = y if y.ndim == 2 else F.one_hot(y, feeder.classes).float() * (1 - recipe.smoothing) + recipe.smoothing / feeder.classes
        x.append(pixels)
        target.append(soft)
    told = _digest(x, target)
    x, target = ([t.to(subject.device) for t in group] for group in (x, target))
    return Frozen(x=x, target=target, digest=told, said=AUGMENT[augment])


def losses(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of each image with its soft label [nat], by log-softmax in float32 (in float64 for float64 logits): (B,)."""
    wide = logits if logits.dtype.itemsize == 8 else logits.float()
    return -(target * wide.log_softmax(1)).sum(1)


def _digest(x: list[Tensor], target: list[Tensor]) -> str:
    """16 hex digits of all pixels and labels in their order."""
    import hashlib

    told = hashlib.sha256()
    for tensor in (*x, *target):
        told.update(np.ascontiguousarray(tensor.contiguous().cpu().numpy()))
    return told.hexdigest()[:16]
