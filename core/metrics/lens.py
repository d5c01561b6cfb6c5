"""What a net sees of one image through a filter of frequencies.

**Idea.** One image, seen by several nets with some of its frequencies taken away, or with noise in a band of them. Where a net
changes its answer says which frequencies that answer hung on.

**Formula.** Frequencies are square rings of the image's Fourier transform: a wave with ky and kx turns over the side lies at
2 max(|ky|, |kx|) / side, in units of π. A filter takes the image's difference from the mean colour of the nets' data set, keeps
one ring of it, and adds the mean back: what is removed becomes mean colour, also the brightness where it is filtered out. The noise
is white signs seen through a ring 0.1π wide, with the same root mean square in every ring. Nothing is clipped for the nets; the
pictures on the page are clipped, and stand on mid-grey where brightness is filtered out. The browser and the server use one definition.

**How to read it.** Each lane is one net: its answers over all cut-offs, coloured where they are right. A net that keeps its
answer far to the blurred side lives on coarse shapes. What speaks for an answer is a class activation: the part of the answer's score
that each place brings, above the mean over all classes; their mean is the score itself.

**What it cannot say.** It is one image, so there is no interval, and another image may turn the order round: accuracy under
noise over many images is another measurement. Filtered images are unlike all that the nets were trained on: on a black ground the first
step of a high-pass, which takes the brightness alone and so turns the ground grey, may already change every answer.

**Sources.** Rings: Park and Kim 2022, Fig. 2b. Class activation: Zhou et al. 2016, arXiv:1512.04150.
"""

from collections.abc import Sequence

import numpy as np

from core.errors import MeasureError, unknown
from core.metrics import bands
from core.metrics.bands import Ring

#: `low` and `high` keep what lies below or above an edge, `band` keeps a ring, `noise` adds noise in one
KINDS = ("low", "high", "band", "noise")
#: hundredths of π: a ring as narrow as the paper's leaves too little of a small picture to be seen
BAND, NOISE = 20, 2 * bands.HALF
#: more steps than these differ too little to be told apart
MOST = 41


def check(kind: str) -> str:
    """The kind itself; MeasureError lists the known ones."""
    if kind not in KINDS:
        raise unknown(MeasureError, "kind of lens", kind, KINDS)
    return kind


def steps(kind: str, side: int) -> tuple[Ring, ...]:
    """The rings [low, high) of a sweep in hundredths of π, each another set of frequencies, by rising frequency; at most MOST.

    All that differ at this size, where there are no more.  The first of `high` and the last of `low` is the whole image.
    """
    if check(kind) in ("low", "high"):
        edges = [*bands.cuts(side)[:-1], 100]  # at an odd size the last cut lies below, with nothing above it
        found = [(0, edge) if kind == "low" else (edge, 100) for edge in edges]
    else:
        wide = BAND if kind == "band" else NOISE
        sets = {bands.radii(side, low, low + wide): (low, low + wide) for low in range(100 - wide, -1, -1)}  # the lowest edge stays
        found = [ring for (start, end), ring in reversed(sets.items()) if start < end and (kind == "band" or start)]
    if len(found) <= MOST:
        return tuple(found)
    return tuple(found[round(i * (len(found) - 1) / (MOST - 1))] for i in range(MOST))


def at(kind: str, ring: Ring) -> int:
    """Where a step lies on the axis of frequencies, in hundredths of π: its edge, or the middle of its ring."""
    low, high = ring
    return {"low": high, "high": low}.get(check(kind), (low + high) // 2)


def fill(mean: Sequence[float], channels: int) -> np.ndarray:
    """The colour that stands for what is removed: the data set's mean, (channels, 1, 1)."""
    return np.asarray(mean[:channels], np.float64).reshape(channels, 1, 1)


def view(pixels: np.ndarray, mean: Sequence[float], kind: str, ring: Ring, *, strength: float = 0.0, index: int = 0) -> np.ndarray:
    """An image (channels, side, side) on the scale 0 to 1 through the lens; float64, not clipped.

    `strength` is the root mean square of the noise, `index` the number of its draw.  MeasureError for a ring of noise that is empty
    or holds zero frequency.
    """
    pixels = np.asarray(pixels, np.float64)
    if check(kind) == "noise":
        return pixels + added(pixels.shape, ring, strength, index)
    ground = fill(mean, len(pixels))
    return ground + bands.keep(pixels - ground, *ring)


def bright(kind: str, ring: Ring, side: int) -> bool:
    """Whether brightness, which is zero frequency, comes through; without it a picture has to be shown on some grey."""
    start, end = bands.radii(side, *ring)
    return check(kind) == "noise" or start == 0 < end


def added(shape: Sequence[int], ring: Ring, strength: float, index: int) -> np.ndarray:
    """The noise in a ring: `noise.limited` with equal energy and seed 0, in float64 and without torch."""
    start, end = bands.radii(bands.check_square(shape), *ring)
    if start >= end or not start:
        raise MeasureError(f"There is no noise from {ring[0] / 100:g}π to {ring[1] / 100:g}π at {shape[-1]} pixels.")
    drawn = bands.keep(bands.signs(0, [index], shape)[0], *ring)
    return drawn * (strength * np.sqrt(drawn.size) / np.linalg.norm(drawn))
