"""Noise that lives in one square ring of frequencies, and filters that keep one; rings are those of bands.py.

Noise is white signs, as the paper's (Fig. 2b), seen through the ring.  It is meant for pixels from 0 to 1 and is added without
clipping, because clipping would spread it over all frequencies.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from core.errors import MeasureError, unknown
from core.metrics import bands
from core.metrics.bands import Ring

#: `equal`: each image's noise has the same root mean square in every ring.  `reference`: signs of one strength, masked and left as
#: they are, so that higher rings, which hold more frequencies, are louder (the paper's code).
ENERGIES = ("equal", "reference")


def white(
    indices: np.ndarray | Sequence[int], side: int, *, seed: int = 0, channels: int = 3, device: torch.device | str = "cpu"
) -> Tensor:  # fmt: skip
    """White noise of ±1 for the images of these indices, as `coefficients`: (images, channels, side, side).

    An image's noise depends on the seed and its index alone, not on the batch, the net or the device; all rings are cut out of it.
    `channels` 1 is for grey images: it broadcasts to three equal channels.  Raises MeasureError for no image or an impossible size.
    """
    if not 8 <= side <= 512 or channels < 1 or len(indices) == 0:
        raise MeasureError(f"Noise for {len(indices)} images of {channels}x{side}x{side} cannot be made; sides run from 8 to 512.")
    drawn = torch.from_numpy(bands.signs(seed, indices, (channels, side, side))).to(device)
    return coefficients(drawn)


def limited(spectrum: Tensor, ring: Ring, *, strength: float, energy: str = "equal") -> Tensor:
    """The part of `white` noise that lies in a ring, as pixels (images, channels, side, side) on the scale 0 to 1.

    `strength` is the root mean square of every image's noise with energy `equal`, and the size of the signs before they are masked
    with `reference` (root mean square: strength · sqrt(bands.share)).  The paper's code adds the latter to normalised pixels.
    Raises MeasureError for a ring that holds no frequency at this size or holds zero frequency, or an unknown energy.
    """
    if energy not in ENERGIES:
        raise unknown(MeasureError, "energy of noise", energy, ENERGIES)
    side = bands.check_square(spectrum.shape)
    start, end = bands.radii(side, *ring)
    if start >= end or start == 0:
        known = ", ".join(f"{centre / 100:g}π" for centre in bands.filled(side))
        why = "holds zero frequency, which is brightness" if start == 0 < end else f"holds no frequency of a {side}x{side} image"
        raise MeasureError(f"The ring from {ring[0] / 100:g}π to {ring[1] / 100:g}π {why}. Centres that do not: {known}.")
    inside = _inside(spectrum, start, end)
    if energy == "reference":
        return _pixels(inside * strength, side).float()
    # the waves are orthonormal: a coefficient's energy is its pixels' energy
    norm = inside.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return _pixels(inside * (strength * (spectrum.shape[1] * side * side) ** 0.5 / norm), side).float()


def normalised(noise: Tensor, std: Sequence[float]) -> Tensor:
    """Noise for pixels from 0 to 1 as noise for normalised pixels: divided by the data set's standard deviation of each channel."""
    return noise / noise.new_tensor(std).view(1, -1, 1, 1)


def keep(pixels: Tensor, low: int, high: int) -> Tensor:
    """`bands.keep` for tensors (…, side, side) on any device; float64 stays, all else becomes float32."""
    side = bands.check_square(pixels.shape)
    return _pixels(_inside(coefficients(pixels), *bands.radii(side, low, high)), side).to(_kind(pixels))


def coefficients(pixels: Tensor) -> Tensor:
    """What each pair of waves has of square images (…, side, side): the same shape, rows and columns by rising frequency."""
    # the GPU may round float32 products to 10 bits of mantissa, and a caller's autocast would round to 8: neither here
    kind = torch.float64 if pixels.is_cuda else _kind(pixels)
    basis = _waves(bands.check_square(pixels.shape), pixels.device, kind)
    with torch.autocast(pixels.device.type, enabled=False):
        return basis @ (pixels.to(kind) @ basis.T)


def _inside(spectrum: Tensor, start: int, end: int) -> Tensor:
    """The square of coefficients below radius `end`, those below `start` set to zero."""
    side = spectrum.shape[-1]
    inner, outer = bands.below(side, start), bands.below(side, end)
    found = spectrum[..., :outer, :outer].clone()
    found[..., :inner, :inner] = 0
    return found


def _pixels(inside: Tensor, side: int) -> Tensor:
    basis = _waves(side, inside.device, inside.dtype)[: inside.shape[-1]]
    with torch.autocast(inside.device.type, enabled=False):
        return basis.T @ (inside @ basis)


def _kind(pixels: Tensor) -> torch.dtype:
    return torch.float64 if pixels.dtype == torch.float64 else torch.float32


@lru_cache(maxsize=16)
def _waves(side: int, device: torch.device, kind: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # they outlive the mode they happen to be made in
        return torch.tensor(bands.waves(side), dtype=kind, device=device)
