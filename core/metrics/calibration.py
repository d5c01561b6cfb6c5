"""Does a net know how sure it may be?  Bins of confidence, scores with their 95 % intervals, temperature scaling.

Numpy only, so that pages can use it on stored answers.  Bins are those of classify.py: [i/n, (i+1)/n), the last one closed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.errors import MeasureError
from core.metrics.interval import mean_interval, share_interval

#: Above this confidence an answer counts as sure in Acc-90, Freq-90 and Unc-90.
SURE = 0.9
#: Temperatures outside these are not looked for: where the loss still falls at an end, the end is given.
COLDEST, HOTTEST = 0.01, 100.0
Interval = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a net said to each image, arrays (n,): confidence 0 to 1, whether it was right, NLL [nat] and Brier score."""

    confidence: np.ndarray
    correct: np.ndarray
    nll: np.ndarray
    brier: np.ndarray


def answers(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> Answers:
    """The answers behind logits (images, classes), divided by a temperature; ties go to the first class.

    Raises MeasureError for no image, labels that are no class, logits that are not finite or a temperature that is not above 0.
    """
    logits, labels = _checked(logits, labels)
    if not temperature > 0:
        raise MeasureError(f"The temperature is {temperature}; it should be above 0.")
    log_p = _log_softmax(logits / temperature)
    p, own = np.exp(log_p), np.arange(len(labels))
    return Answers(
        confidence=p.max(1),
        correct=logits.argmax(1) == labels,
        nll=-log_p[own, labels],
        brier=np.square(p).sum(1) - 2 * p[own, labels] + 1,
    )


def bin_table(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> np.ndarray:
    """(3, bins) float64: images, summed confidence and correct ones of each bin, as `classify.Tally.bins`."""
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if confidence.shape != correct.shape or confidence.ndim != 1 or bins < 1 or not len(confidence):
        raise MeasureError(f"Confidences {confidence.shape} and answers {correct.shape} do not fill {bins} bins; it takes one image.")
    if not (confidence.min() >= 0 and confidence.max() <= 1 + 1e-9):
        raise MeasureError("Confidences should lie between 0 and 1.")
    place = _places(confidence, bins)
    return np.stack([np.bincount(place, weights, bins) for weights in (np.ones_like(confidence), confidence, correct)])


def _places(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def ece(table: np.ndarray) -> float:
    """Expected calibration error, 0 to 1: |confidence - accuracy| of each bin, weighted by its images (Guo et al. 2017, §2)."""
    return float(np.abs(table[1] - table[2]).sum() / table[0].sum())


def gap(table: np.ndarray) -> float:
    """Mean confidence minus accuracy, -1 to 1; below 0 the net is less sure than it may be.  The bins do not matter to it."""
    return float((table[1] - table[2]).sum() / table[0].sum())


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bar of a reliability diagram; confidence and accuracy (value, low, high) are None in an empty bin."""

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: Interval | None


def diagram(table: np.ndarray) -> list[Bin]:
    """The bins of a reliability diagram with Wilson's interval of each accuracy."""
    n = table.shape[1]
    return [
        Bin(
            low=i / n, high=(i + 1) / n, images=int(images),
            confidence=float(sure / images) if images else None,
            accuracy=share_interval(round(right), int(images)) if images else None,
        )
        for i, (images, sure, right) in enumerate(table.T.tolist())
    ]  # fmt: skip


def scores(found: Answers, bins: int = 15, seed: int = 0, resamples: int = 1000) -> dict[str, Interval | None]:
    """(value, low, high) of accuracy, nll, brier, ece, gap, acc90, freq90 and unc90; None where no image counts.

    freq90: share of images with a confidence above 0.9.  acc90: share of right answers among them.  unc90: share with a confidence of
    at most 0.9 among the wrong answers (paper's code).  Shares after Wilson, means after Student, ECE from a seeded bootstrap.
    """
    sure, right = found.confidence > SURE, found.correct.astype(bool)
    return {
        "accuracy": _share(right),
        "nll": _mean(found.nll),
        "brier": _mean(found.brier),
        "ece": ece_interval(found.confidence, right, bins, seed, resamples),
        "gap": _mean(found.confidence - right),
        "acc90": _share(right[sure]),
        "freq90": _share(sure),
        "unc90": _share(~sure[~right]),
    }


def ece_interval(confidence: np.ndarray, correct: np.ndarray, bins: int = 15, seed: int = 0, resamples: int = 1000) -> Interval:
    """(ece, low, high): 95 % from resampled images, reflected about the estimate; low is 0 where perfect calibration explains it.

    An ECE averages absolute values: chance makes it larger, and resampling makes it larger once more, so that percentiles would often
    leave out the estimate itself.  Reflecting (the basic bootstrap) takes that second step back.  The first one is met by drawing
    answers that are right as often as their confidence says: an ECE within 97.5 % of theirs has an interval down to 0.
    Sources: Davison and Hinkley, Bootstrap Methods, 1997, §5.2; Bröcker and Smith, Weather and Forecasting 22, 2007.
    """
    value = ece(bin_table(confidence, correct, bins))
    confidence = np.asarray(confidence, np.float64)
    place, excess, n = _places(confidence, bins), confidence - correct, len(confidence)
    rng, again, perfect = np.random.default_rng(seed), np.empty(resamples), np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(0, n, n)
        again[i] = np.abs(np.bincount(place[drawn], excess[drawn], bins)).sum() / n
        perfect[i] = np.abs(np.bincount(place, confidence - (rng.random(n) < confidence), bins)).sum() / n
    low, high = 2 * value - np.quantile(again, [0.975, 0.025])
    explained = value <= np.quantile(perfect, 0.975)
    return value, 0.0 if explained else float(max(0.0, low)), float(min(1.0, max(high, value)))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T that makes the mean NLL of logits / T least, found to 1e-9 in ln T between 0.01 and 100.

    The NLL is convex in 1/T, so its slope is zero once: halved between the ends.  An end itself where the loss still falls there (all
    images right, or a net worse than chance).  Source: Guo et al. 2017, §4.2.
    """
    logits, labels = _checked(logits, labels)
    own = logits[np.arange(len(labels)), labels].mean()

    def slope(log_t: float) -> float:
        """d NLL / d (1/T): expected logit minus the label's own; rises with 1/T."""
        return float((np.exp(_log_softmax(logits * np.exp(-log_t))) * logits).sum(1).mean() - own)

    return float(np.exp(_root(slope, np.log(COLDEST), np.log(HOTTEST))))


def _root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls from `low` to `high` is zero; the nearer end if it is not zero between."""
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Temperature scaling judged on images it was not fitted to: T, and the scores of those images before and after."""

    temperature: float
    images: int
    before: dict[str, Interval | None]
    after: dict[str, Interval | None]


def scale(logits: np.ndarray, labels: np.ndarray, *, bins: int = 15, seed: int = 0) -> Scaled:
    """Fit T on a random half of the images and score the other half.  MeasureError for fewer than two images."""
    logits, labels = _checked(logits, labels)
    if len(labels) < 2:
        raise MeasureError("Temperature scaling takes two images or more: one to fit, one to judge.")
    order = np.random.default_rng(seed).permutation(len(labels))
    fit, judge = np.array_split(order, 2)
    temperature = fit_temperature(logits[fit], labels[fit])
    before, after = (scores(answers(logits[judge], labels[judge], t), bins, seed) for t in (1.0, temperature))
    return Scaled(temperature=temperature, images=len(judge), before=before, after=after)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _share(hits: np.ndarray) -> Interval | None:
    return share_interval(int(hits.sum()), len(hits)) if len(hits) else None


def _mean(values: np.ndarray) -> Interval:
    value, low, high = mean_interval(values)
    return float(value), float(low), float(high)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or logits.size == 0:
        raise MeasureError(f"Outputs {logits.shape} and labels {labels.shape} are not (images, classes) and (images,), an image or more.")
    if not np.isfinite(logits).all():
        raise MeasureError("The net's outputs are not finite; it may have diverged.")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise MeasureError(f"Labels run from {labels.min()} to {labels.max()}; the net has {logits.shape[1]} classes.")
    return logits, labels
