"""What a net sees of one image through a filter of frequencies.

**Idea.** One image, seen by several nets with some of its frequencies taken away, or with noise in a band of them. Where a net
changes its answer says which frequencies that answer hung on.

**Formula.** Frequencies are square rings of the image's Fourier transform: a wave with ky and kx turns over the side lies at
2 max(|ky|, |kx|) / side, in units of π. A filter takes the image's difference from the mean colour of the nets' data set, keeps
one ring of it, and adds the mean back: what is removed becomes mean colour, also the brightness where it is filtered out. The noise
is white signs seen through a ring 0.1π wide, with the same root mean square in every ring. Nothing is clipped for the nets; the
pictures on the page are clipped, and stand on mid-grey where brightness is filtered out. The browser and the server use one definition.

**Steps.** A small image has few filters that differ: at 32 pixels 18 cut-offs, 27 bands, 30 bands of noise. Where they are fewer than
33, steps half-way between two neighbours stand in the widest gaps, the lowest frequencies first. Such a step is the mean of the two
filters: what only one of them keeps has half its amplitude. Half-way noise is the mean of the two noises before they are scaled, then
scaled to the same root mean square. The step stands in the middle of its two, in whole hundredths of π. Brightness is never halved.

**How to read it.** Each lane is one net: its answers over all cut-offs, coloured where they are right. A net that keeps its
answer far to the blurred side lives on coarse shapes. What speaks for an answer is a class activation: the part of the answer's score
that each place brings, above the mean over all classes; their mean is the score itself.

**What it cannot say.** It is one image, so there is no interval, and another image may turn the order round: accuracy under
noise over many images is another measurement. Filtered images are unlike all that the nets were trained on: on a black ground the first
step of a high-pass, which takes the brightness alone and so turns the ground grey, may already change every answer.

**Sources.** Rings: Park and Kim 2022, Fig. 2b. Class activation: Zhou et al. 2016, arXiv:1512.04150.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from core.errors import MeasureError, unknown
from core.metrics import bands
from core.metrics.bands import Ring

#: `low` and `high` keep what lies below or above an edge, `band` keeps a ring, `noise` adds noise in one
KINDS = ("low", "high", "band", "noise")
#: hundredths of π: a ring as narrow as the paper's leaves too little of a small picture to be seen
BAND, NOISE = 20, 2 * bands.HALF
#: a step: the rings whose mean it is, one for a whole step, two neighbours for one half-way between them
Step = tuple[Ring, ...]
#: fewer steps are filled up with half-way ones; more than the most differ too little to be told apart
LEAST, MOST = 33, 41


def check(kind: str) -> str:
    """The kind itself; MeasureError lists the known ones."""
    if kind not in KINDS:
        raise unknown(MeasureError, "kind of lens", kind, KINDS)
    return kind


def steps(kind: str, side: int) -> tuple[Step, ...]:
    """The steps of a sweep by rising place; at most MOST, and LEAST or more from 32 pixels on.

    Whole steps are rings [low, high) in hundredths of π, each another set of frequencies: all that differ at this size, or MOST of
    them.  The first of `high` and the last of `low` is the whole image.
    """
    if check(kind) in ("low", "high"):
        edges = [*bands.cuts(side)[:-1], 100]  # at an odd size the last cut lies below, with nothing above it
        found = [(0, edge) if kind == "low" else (edge, 100) for edge in edges]
    else:
        wide = BAND if kind == "band" else NOISE
        sets = {bands.radii(side, low, low + wide): (low, low + wide) for low in range(100 - wide, -1, -1)}  # the lowest edge stays
        found = [ring for (start, end), ring in reversed(sets.items()) if start < end and (kind == "band" or start)]
    if len(found) > MOST:
        found = [found[round(i * (len(found) - 1) / (MOST - 1))] for i in range(MOST)]
    whole: list[Step] = [(ring,) for ring in found]
    # two neighbours may stand so close that there is no place between them, and half of the brightness is no level to show
    apart = {(*a, *b): at(kind, b) - at(kind, a) for a, b in pairwise(whole) if bright(kind, a, side) == bright(kind, b, side)}
    wide = sorted((step for step, gap in apart.items() if gap > 1), key=lambda step: -apart[step])
    return tuple(sorted([*whole, *wide[: max(LEAST - len(whole), 0)]], key=lambda step: at(kind, step)))


def at(kind: str, step: Step) -> int:
    """Where a step lies on the axis of frequencies, in hundredths of π: its edge, or the middle of its ring; half-way the middle of two."""
    places = [{"low": high, "high": low}.get(check(kind), (low + high) // 2) for low, high in step]
    return sum(places) // len(places)


def fill(mean: Sequence[float], channels: int) -> np.ndarray:
    """The colour that stands for what is removed: the data set's mean, (channels, 1, 1)."""
    return np.asarray(mean[:channels], np.float64).reshape(channels, 1, 1)


def view(pixels: np.ndarray, mean: Sequence[float], kind: str, step: Step, *, strength: float = 0.0, index: int = 0) -> np.ndarray:
    """An image (channels, side, side) on the scale 0 to 1 through the lens; float64, not clipped.

    `strength` is the root mean square of the noise, `index` the number of its draw.  MeasureError for noise in a ring that is
    empty or holds zero frequency.
    """
    pixels = np.asarray(pixels, np.float64)
    if check(kind) == "noise":
        return pixels + added(pixels.shape, step, strength, index)
    ground = fill(mean, len(pixels))
    return ground + keep(pixels - ground, step)


def keep(pixels: np.ndarray, step: Step) -> np.ndarray:
    """What the rings of a step keep of images (…, side, side), their mean."""
    return np.mean([bands.keep(pixels, *ring) for ring in step], axis=0)


def bright(kind: str, step: Step, side: int) -> bool:
    """Whether brightness, which is zero frequency, comes through; without it a picture has to be shown on some grey."""
    spans = [bands.radii(side, *ring) for ring in step]
    return check(kind) == "noise" or all(start == 0 < end for start, end in spans)


def added(shape: Sequence[int], step: Step, strength: float, index: int) -> np.ndarray:
    """The noise of a step, of a whole one `noise.limited` with equal energy and seed 0; in float64 and without torch."""
    side = bands.check_square(shape)
    for low, high in step:
        start, end = bands.radii(side, low, high)
        if start >= end or not start:
            raise MeasureError(f"There is no noise from {low / 100:g}π to {high / 100:g}π at {side} pixels.")
    drawn = keep(bands.signs(0, [index], shape)[0], step)
    return drawn * (strength * np.sqrt(drawn.size) / np.linalg.norm(drawn))
