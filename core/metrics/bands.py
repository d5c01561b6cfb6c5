"""Square rings of frequencies on a grid of pixels, decided in whole numbers, and what is read off accuracies over them.

No torch, so that pages can use it.  The definition, for any other language to match:

* A wave on a square of `side` pixels has whole numbers of turns ky, kx; with k = min(i, side - i) for index i of a Fourier transform.
  Its radius is r = max(ky, kx), from 0 to side // 2, and its frequency 2r / side, in units of π.
* An edge is a whole number of hundredths of π, 0 to 100.  A radius lies at or above it if 200 r >= edge * side; nothing lies at or
  above the edge 100, so that the last ring takes the frequency π in.  A ring [low, high) holds the radii from `first(side, low)` up
  to, and without, `first(side, high)`.
* What lies below radius r of an image X is L X L, where L[i, j] = (1 + 2 Σ cos(2π m (i - j) / side)) / side over m = 1 … r - 1, and
  the term of m = side / 2, if it comes in, counts once and not twice; L is zero for r = 0.  A ring is the difference of two of these.

The paper draws its rings so (Fig. 2b): square, 0.1π wide, centres 0.1π to 0.9π.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from core.errors import MeasureError

#: Centres of the paper's rings in hundredths of π, and half their width.
CENTRES = tuple(range(10, 100, 10))
HALF = 5
#: Rings whose centres stand for low and for high frequencies in the contrast.
LOW, HIGH = (10, 20, 30), (70, 80, 90)
#: A ring of frequencies [low, high) in hundredths of π.
Ring = tuple[int, int]
_GOLDEN = 0x9E3779B97F4A7C15


def ring(centre: int) -> Ring:
    """The paper's ring around a centre, in hundredths of π: 40 -> (35, 45)."""
    return centre - HALF, centre + HALF


def first(side: int, edge: int) -> int:
    """The smallest radius at or above an edge in hundredths of π; side // 2 + 1, beyond all, for the edge 100."""
    if side < 1 or not 0 <= edge <= 100:
        raise MeasureError(f"An edge at {edge / 100:g}π of an image of {side} pixels does not exist; edges lie between 0 and 1π.")
    return side // 2 + 1 if edge == 100 else -(-edge * side // 200)


def radii(side: int, low: int, high: int) -> tuple[int, int]:
    """Radii [from, to) of the ring [low, high) at this size; from = to where it holds no frequency.  MeasureError for low > high."""
    if low > high:
        raise MeasureError(f"A ring from {low / 100:g}π to {high / 100:g}π runs backwards; the lower edge comes first.")
    return first(side, low), first(side, high)


def filled(side: int, centres: Iterable[int] = CENTRES) -> tuple[int, ...]:
    """The centres whose ring holds a frequency at this size; small images have gaps."""
    spans = {centre: radii(side, *ring(centre)) for centre in centres}
    return tuple(centre for centre, (start, end) in spans.items() if start < end)


def cuts(side: int) -> tuple[int, ...]:
    """The edges at which a low-pass filter changes, 0 (nothing is left) to 100 (all): no others need be tried."""
    return tuple(edge for edge in range(101) if edge == 0 or first(side, edge) != first(side, edge - 1))


def below(side: int, radius: int) -> int:
    """How many waves of one axis lie below a radius: one at 0, two at each other, but one at side / 2."""
    return min(2 * radius - 1, side) if radius else 0


def share(side: int, low: int, high: int) -> float:
    """Share of all frequencies of a side x side image that lie in the ring; white noise has this share of its energy there."""
    start, end = (below(side, radius) for radius in radii(side, low, high))
    return (end**2 - start**2) / side**2


@lru_cache(maxsize=8)
def waves(side: int) -> np.ndarray:
    """Orthonormal real waves of one axis, (wave, position) float64, by rising frequency: the first `below(side, r)` lie below r."""
    place, m = np.arange(side), np.arange(1, (side + 1) // 2)
    angle = 2 * np.pi / side * (m[:, None] * place % side)  # whole turns are taken off before rounding
    pairs = np.sqrt(2 / side) * np.stack([np.cos(angle), np.sin(angle)], axis=1).reshape(-1, side)
    rows = [np.full((1, side), side**-0.5), pairs]
    if side % 2 == 0:
        rows.append((1 - 2 * (place % 2))[None] * side**-0.5)
    found = np.concatenate(rows)
    found.flags.writeable = False
    return found


def keep(pixels: np.ndarray, low: int, high: int) -> np.ndarray:
    """Square images (…, side, side) with only the ring [low, high) left, edges in hundredths of π; float64, not clipped.

    Low-pass is (0, edge), high-pass (edge, 100); the two add up to the image.  An empty ring leaves zeros.
    Raises MeasureError for images that are not square or edges that are not in order.
    """
    side = check_square(pixels.shape)
    start, end = (below(side, radius) for radius in radii(side, low, high))
    basis = waves(side)[:end]
    inside = basis @ np.asarray(pixels, np.float64) @ basis.T
    inside[..., :start, :start] = 0
    return basis.T @ inside @ basis


def check_square(shape: Sequence[int]) -> int:
    """The side of images (…, side, side); MeasureError if they are not square."""
    if len(shape) < 2 or shape[-1] != shape[-2] or 0 in shape:
        raise MeasureError(f"Images of shape {tuple(shape)} have no square rings of frequencies; they should be square and not empty.")
    return shape[-1]


def words(seed: int, indices: np.ndarray | Sequence[int], count: int, stream: int = 0) -> np.ndarray:
    """Random numbers of 64 bits, (images, count): each depends on stream, seed, the image's index and its own place only.

    SplitMix64: mix(state + (place + 1) G) modulo 2^64, where state is folded from 0 over stream, seed and index by the same rule.
    Source: Steele, Lea and Flood, OOPSLA 2014, with the constants of its published variant 13.
    """
    state = np.zeros((1, 1), np.uint64)
    for part in ([stream], [seed], indices):
        numbers = np.asarray(part, dtype=np.int64).reshape(-1, 1).astype(np.uint64)
        state = _mix(state + (numbers + np.uint64(1)) * np.uint64(_GOLDEN))
    return _mix(state + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN))


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def signs(seed: int, indices: np.ndarray | Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """White noise of ±1, (images, *shape) int8: bit j of word w, lowest first, is position 64 w + j; a set bit is +1."""
    count = int(np.prod(shape))
    drawn = words(seed, indices, -(-count // 64)).astype("<u8", copy=False)
    bits = np.unpackbits(drawn.view(np.uint8), axis=1, count=count, bitorder="little")
    return (2 * bits.view(np.int8) - 1).reshape(-1, *shape)


def contrast(values: np.ndarray | Sequence[float], centres: Sequence[int] = CENTRES) -> np.ndarray:
    """Mean over the rings at 0.7π to 0.9π minus mean over those at 0.1π to 0.3π, along the last axis, in the values' unit.

    Positive: what is high in frequency hurts less than what is low.  With one row an image it is that image's own contrast, so that
    an interval can be taken over images.  Rings that are missing at a small size are left out; MeasureError if one side has none.
    Source: paper, Fig. 2b.
    """
    array = np.asarray(values, np.float64)
    if array.ndim == 0 or array.shape[-1] != len(centres):
        raise MeasureError(f"Values of shape {array.shape} and {len(centres)} rings do not belong together.")
    high, low = (array[..., [c in side for c in centres]] for side in (HIGH, LOW))
    if not high.shape[-1] or not low.shape[-1]:
        raise MeasureError("A contrast takes a ring between 0.1π and 0.3π and one between 0.7π and 0.9π; these images are too small.")
    return high.mean(-1) - low.mean(-1)


def crossing(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, centres: Sequence[int] = CENTRES) -> float | None:
    """The lowest frequency, in units of π, from which on curve a is never below curve b; None if a ends below.

    Linear between rings.  The first ring's frequency if a is nowhere below b.  Source: paper, Fig. 2b.
    """
    one, two = np.asarray(a, np.float64), np.asarray(b, np.float64)
    fits = one.shape == two.shape == (len(centres),) and len(one) and np.isfinite([one, two]).all()
    if not fits or list(centres) != sorted(set(centres)):
        raise MeasureError(f"Two curves over {len(centres)} rings take a finite value at each ring, rings in rising order.")
    gap = one - two
    short = np.flatnonzero(gap < 0)
    if not len(short):
        return centres[0] / 100
    last = int(short[-1])
    if last == len(gap) - 1:
        return None
    part = gap[last] / (gap[last] - gap[last + 1])
    return float(centres[last] + part * (centres[last + 1] - centres[last])) / 100
