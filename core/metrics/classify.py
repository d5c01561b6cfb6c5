"""How well a classifier answers: accuracy, negative log-likelihood, calibration error, Brier score.

Sums are kept per image and divided once, so that batches of any size give the same numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import MeasureError


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """-ln p(label) of each image [nat], by log-softmax: (batch, class), (batch,) -> (batch,) float64."""
    return -_log_probability(logits, labels).gather(1, labels[:, None])[:, 0]


def brier(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared distance between the probabilities and the one-hot label, 0 to 2: (batch,) float64."""
    p = _log_probability(logits, labels).exp()
    return p.square().sum(1) - 2 * p.gather(1, labels[:, None])[:, 0] + 1


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the highest logit is the label's: (batch,) bool."""
    _check(logits, labels)
    return logits.argmax(1) == labels


def confidence(logits: Tensor) -> Tensor:
    """The highest probability of each image: (batch,) float64."""
    return torch.softmax(logits.double(), dim=1).amax(1)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over images.  `bins` (3, n) float64: images, their confidence, and how many are correct, in each confidence bin."""

    images: int
    correct: float
    nll: float
    brier: float
    bins: Tensor

    def __add__(self, other: "Tally") -> "Tally":
        """The tally of both sets of images together."""
        if self.bins.shape != other.bins.shape:
            raise MeasureError(f"Tallies with {self.bins.shape[1]} and {other.bins.shape[1]} confidence bins do not add up.")
        return Tally(
            images=self.images + other.images,
            correct=self.correct + other.correct,
            nll=self.nll + other.nll,
            brier=self.brier + other.brier,
            bins=self.bins + other.bins,
        )

    def summary(self) -> dict[str, float]:
        """{accuracy, nll [nat], ece, brier, images}; accuracy and ece from 0 to 1."""
        count, sure, right = self.bins
        n = self.images
        # |mean confidence - accuracy| of each bin, weighted by its images; an empty bin weighs nothing
        ece = float((sure - right).abs().sum() / count.sum())
        return {"accuracy": self.correct / n, "nll": self.nll / n, "ece": ece, "brier": self.brier / n, "images": n}


def tally(logits: Tensor, labels: Tensor, bins: int = 15) -> Tally:
    """Sums over one batch: logits (batch, class), labels int64 (batch,).

    Calibration bins are [i/bins, (i+1)/bins), the last one closed so that a confidence of exactly 1 counts.

    Raises MeasureError for an empty batch, labels that are no class, or logits that are not finite.
    Source: expected calibration error, Guo et al. 2017, §2 (15 bins).
    """
    hit, sure = correct(logits, labels).double(), confidence(logits)
    place = (sure * bins).long().clamp(0, bins - 1)
    table = torch.zeros(3, bins, dtype=torch.float64, device=logits.device)
    table.index_add_(1, place, torch.stack([torch.ones_like(sure), sure, hit]))
    return Tally(
        images=len(labels),
        correct=float(hit.sum()),
        nll=float(nll(logits, labels).sum()),
        brier=float(brier(logits, labels).sum()),
        bins=table.cpu(),
    )


def _log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    _check(logits, labels)
    return torch.log_softmax(logits.double(), dim=1)


def _check(logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or logits.numel() == 0:
        raise MeasureError(
            f"Outputs {tuple(logits.shape)} and labels {tuple(labels.shape)} do not belong together; "
            "they should be (images, classes) and (images,), with at least one image."
        )
    if not torch.isfinite(logits).all():
        raise MeasureError("The net's outputs are not finite; it may have diverged.")
    if int(labels.min()) < 0 or int(labels.max()) >= logits.shape[1]:
        raise MeasureError(f"Labels run from {int(labels.min())} to {int(labels.max())}; the net has {logits.shape[1]} classes.")
