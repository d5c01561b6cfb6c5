"""`corrupt`: a batch of images through one kind of corruption."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from core.data.corruptions import blur, digital, noise, weather
from core.data.corruptions.catalog import Row, constants, table_of
from core.data.corruptions.draws import Draws
from core.data.corruptions.jpeg import jpeg_compression
from core.data.corruptions.spatter import spatter
from core.errors import DataError

Make = Callable[[Tensor, Row, Draws], Tensor]

MAKE: dict[str, Make] = {
    make.__name__: make
    for make in (
        noise.gaussian_noise, noise.shot_noise, noise.impulse_noise, blur.defocus_blur, blur.glass_blur, blur.motion_blur,
        blur.zoom_blur, weather.snow, weather.frost, weather.fog, weather.brightness, digital.contrast, digital.elastic_transform,
        digital.pixelate, jpeg_compression, noise.speckle_noise, blur.gaussian_blur, spatter, digital.saturate,
    )
}  # fmt: skip

SMALLEST = 16  # pixels a side: the published constants mean nothing below
# Values that are worked on at a time: they stay in the cache.  Kinds with many short steps want more images at once.
CHUNK = 64 * 3 * 32 * 32
WIDE = {"motion_blur": 16, "snow": 4, "spatter": 2, "fog": 2}


def corrupt(
    pixels: Tensor, kind: str, severity: int, *, seed: int = 0, indices: Sequence[int] | np.ndarray | Tensor | None = None, table: str = ""
) -> Tensor:
    """Images uint8 (B, C, side, side) of 1 or 3 channels -> the same, corrupted.

    kind: a key of KINDS · severity: 1 to 5 · indices: the images' places in their set, 0, 1, ... if not given · table: a key of TABLES,
    the one for the size nearest to `side` if not given.  The same seed, index and severity give the same image, whatever else is in
    the batch.  Raises DataError for what cannot be corrupted.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or pixels.shape[2] != pixels.shape[3]:
        shape = " x ".join(str(n) for n in pixels.shape)
        raise DataError(f"Corruptions take square images of whole bytes, (images, 1 or 3, side, side), not {pixels.dtype} {shape}.")
    if pixels.shape[-1] < SMALLEST:
        raise DataError(f"Corruptions take images of {SMALLEST} pixels a side or more, not {pixels.shape[-1]}.")
    constant = constants(kind, severity, table or table_of(pixels.shape[-1]))
    places = np.arange(len(pixels)) if indices is None else np.asarray(indices, dtype=np.int64)
    if places.shape != (len(pixels),) or (len(places) and places.min() < 0):
        raise DataError(f"{len(pixels)} images need as many indices, none below 0; given were {places.size}.")
    if not 0 <= seed < 1 << 64:
        raise DataError(f"A seed lies between 0 and 2^64 - 1, not {seed}.")
    together = max(1, CHUNK * WIDE.get(kind, 1) // pixels[:1].numel()) if len(pixels) else 1
    made = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    with torch.inference_mode():
        for start in range(0, len(pixels), together):
            part = slice(start, start + together)
            draws = Draws(seed=seed, kind=kind, severity=severity, indices=places[part], device=pixels.device)
            made[part] = MAKE[kind](pixels[part].contiguous(), constant, draws)
    return made
