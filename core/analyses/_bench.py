"""What changes when units of a net are off, image by image; and a net with its images at hand, so that a click is answered at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.analyses import Subject
from core.errors import MeasureError, unknown
from core.metrics.interval import mcnemar, paired_interval, share_interval

if TYPE_CHECKING:
    from core.models import Net


def positions(net: "Net", ids: Sequence[str]) -> list[int]:
    """The places of units by id, each once, in the order of the net.  MeasureError lists the known ids."""
    known = {slot.id: i for i, slot in enumerate(net.units)}
    for unit in ids:
        if unit not in known:
            raise unknown(MeasureError, "unit", unit, known)
    return sorted({known[unit] for unit in ids})


def drawn(subject: Subject, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels, places in the test split) of the images that `Subject.chunks` gives."""
    from core.data import subset

    labels = subject.pictures("test").labels
    index = subset(labels, 1.0, images, seed) if images else np.arange(len(labels))
    return labels[index], index.astype(np.int32)


def compare(before: np.ndarray, now: np.ndarray) -> dict[str, Any]:
    """What changed between two answers to the same images, each right (True) or not: accuracies as shares, changes in points."""
    lost, gained, n = int(np.sum(before & ~now)), int(np.sum(now & ~before)), len(now)
    change, low, high = (100 * value for value in paired_interval(lost, gained, n))
    return {"accuracy": float(now.mean()), "clean": float(before.mean()), "change": change, "ci_low": low, "ci_high": high,
            "lost": lost, "gained": gained, "p": mcnemar(lost, gained)}  # fmt: skip


#: what is told of a class
_OF_A_CLASS = ("clean", "accuracy", "change", "ci_low", "ci_high")


class Bench:
    """A net with its images at hand, so that any lesion is answered within a moment."""

    def __init__(self, subject: Subject, images: int = 256, seed: int = 0) -> None:
        """Loads the images and lets the whole net answer them.  Raises MeasureError if there are not so many."""
        from core.models import Kept

        self.subject, self.seed = subject, seed
        x, self.y = subject.images("test", images, seed)
        self.label, self.index = drawn(subject, images, seed)
        self.kept = Kept(subject.net, x)
        self.before = self.kept.whole.argmax(1).cpu().numpy()

    def answer(self, off: Sequence[str], how: str = "branch") -> dict[str, Any]:
        """What the net can do with these units off, as JSON: shares, changes in points with 95 % intervals, by class, and the flips.

        A flip is an image that turns from right to wrong or back; `index` is its place in the test split.  MeasureError for a unit
        that is not there or cannot be switched off in this way.
        """
        from core.metrics.classify import nll
        from core.models import HOW

        if how not in HOW:
            raise unknown(MeasureError, "way to switch a unit off", how, HOW)
        places, label, titles = positions(self.subject.net, off), self.label, self.subject.spec.classes
        logits = self.kept.logits(places, how)
        after, loss, clean = logits.argmax(1).cpu().numpy(), float(nll(logits, self.y).mean()), float(nll(self.kept.whole, self.y).mean())
        was, now = self.before == label, after == label
        _, clean_low, clean_high = share_interval(int(was.sum()), len(was))
        classes = []
        for number in np.unique(label):
            here = label == number
            found = compare(was[here], now[here])
            classes.append({"class": titles[number], "images": int(here.sum()), **{key: found[key] for key in _OF_A_CLASS}})
        flips = [
            {"index": int(self.index[i]), "label": titles[label[i]], "before": titles[self.before[i]], "after": titles[after[i]],
             "turned": "right" if now[i] else "wrong"}
            for i in np.flatnonzero(was != now)
        ]  # fmt: skip
        return {"images": len(label), "seed": self.seed, **compare(was, now), "clean_low": clean_low, "clean_high": clean_high,
                "nll": loss, "nll_change": loss - clean, "classes": classes, "flips": flips,
                "off": [self.subject.net.units[i].id for i in places]}  # fmt: skip
