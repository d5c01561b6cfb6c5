"""What a set of images looks like: how many of each class, how large, how bright and coloured, its mean spectrum, some of it to see.

No torch here, and a sample is enough, so that a page can ask for it.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from core import data
from core.data import imported
from core.data.dataset import Images
from core.data.subset import subset
from core.errors import DataError

SAMPLE = 256
_AT_ONCE = 16


def summary(id: str, split: str = "train", images: int = SAMPLE, seed: int = 0) -> dict[str, Any]:
    """What there is to draw of a set; the sample of `images` is stratified.

    `classes`: rows {class, train, test}.  `sizes`: rows {width, height, images} of the files that it was made of, for imported sets.
    `colour`: rows {channel, level (0..1), share} of the sample's pixel values in 32 bins.  `spectrum`: rows as `mean_spectrum` makes.
    `mean`, `std` of the sample, a channel.  `sample`: how many images.  Raises DataError if the set cannot be loaded.
    """
    spec = data.get(id)
    both = {name: data.load(id, name) for name in ("train", "test")}
    counts = {name: np.bincount(found.labels, minlength=len(spec.classes)) for name, found in both.items()}
    found = both[split] if len(both[split]) else both["test"]
    chosen = subset(found.labels, limit=min(images, len(found)), seed=seed)
    levels = np.zeros((3, 256), np.int64)
    for pixels in _chunks(found, chosen):
        levels += [np.bincount(pixels[:, channel].reshape(-1), minlength=256) for channel in range(3)]
    share, scale = levels / levels.sum(1, keepdims=True), np.arange(256) / 255
    mean = share @ scale
    return {
        "id": spec.id, "split": found.split, "sample": len(chosen), "image_size": found.pixels.shape[2],
        "classes": [{"class": name, "train": int(a), "test": int(b)} for name, a, b in zip(spec.classes, *counts.values(), strict=True)],
        "sizes": _sizes(spec.id, found.split),
        "colour": [
            {"channel": name, "level": (bin + 0.5) / 32, "share": float(part)}
            for name, row in zip(("red", "green", "blue"), share.reshape(3, 32, 8).sum(2), strict=True) for bin, part in enumerate(row)
        ],
        "mean": mean.tolist(), "std": np.sqrt((share * (scale - mean[:, None]) ** 2).sum(1)).tolist(),
        "spectrum": mean_spectrum(found, chosen),
    }  # fmt: skip


def _sizes(id: str, split: str) -> list[dict[str, int]]:
    if not id.startswith(imported.PREFIX):
        return []
    found = [(width, height) for _, width, height in imported.files(imported.find(id), split)]
    sizes, counts = np.unique(np.array(found, np.int64).reshape(-1, 2), axis=0, return_counts=True)
    return [{"width": int(w), "height": int(h), "images": int(n)} for (w, h), n in zip(sizes, counts, strict=True)]


def _chunks(found: Images, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """The chosen images a few at a time, uint8 (B, 3, H, W)."""
    for start in range(0, len(chosen), _AT_ONCE):
        pixels = np.asarray(found.pixels[chosen[start : start + _AT_ONCE]])
        yield np.repeat(pixels, 3, axis=1) if pixels.shape[1] == 1 else pixels


def mean_spectrum(found: Images, chosen: np.ndarray) -> list[dict[str, float]]:
    """Mean log amplitude over rings of equal frequency: rows {frequency, log_amplitude, low, high}.

    Pixels on the scale 0..1, each channel by itself; the natural log of the Fourier amplitude over the number of pixels is averaged
    over the frequencies of a ring (one cycle an image wide, up to `frequency` 1, which is one cycle in two pixels) and over channels,
    then over images; `low` and `high` are the tenth and ninetieth percentile of the images.  The first row is the zero frequency.
    """
    if len(chosen) == 0:
        raise DataError("There are no images to take a spectrum of; at least one is needed.")
    side = found.pixels.shape[2]
    cycles = np.fft.fftfreq(side) * side
    across = np.fft.rfftfreq(side) * side
    ring = np.rint(np.hypot(cycles[:, None], across[None])).astype(int)
    # a column of a real transform stands for two, but the first and, of an even side, the last
    weight = np.broadcast_to(np.where((across == 0) | (across == side / 2), 1.0, 2.0), ring.shape)
    inside = ring <= side // 2
    size = np.bincount(ring[inside], weight[inside])
    rows = []
    for pixels in _chunks(found, chosen):
        amplitude = np.abs(np.fft.rfft2(pixels / 255.0)) / side**2
        logs = np.log(np.maximum(amplitude, 1e-7)).mean(1)  # a flat image has no amplitude; 1e-7 is far below one step of one pixel
        rows += [np.bincount(ring[inside], (picture * weight)[inside]) / size for picture in logs]
    values = np.array(rows)
    low, high = np.percentile(values, (10, 90), axis=0)
    return [
        {"frequency": 2 * k / side, "log_amplitude": float(values[:, k].mean()), "low": float(low[k]), "high": float(high[k])}
        for k in range(side // 2 + 1)
    ]


def thumbnails(id: str, split: str = "train", each: int = 4, size: int = 96, seed: int = 0) -> list[dict[str, Any]]:
    """`each` images of every class as small WebP files: rows {class, label, index (within the split), image (bytes)}."""
    found = data.load(id, split)
    rng = np.random.default_rng(seed)
    rows = []
    for label, name in enumerate(found.spec.classes):
        places = np.flatnonzero(found.labels == label)
        for index in np.sort(rng.permutation(places)[:each]):
            rows.append({"class": name, "label": label, "index": int(index), "image": webp(found, int(index), size)})
    return rows


def webp(found: Images, index: int, size: int = 96) -> bytes:
    """One image of a set as a WebP file of at most `size` pixels; smaller ones stay as they are, without loss."""
    from PIL import Image

    pixels = np.asarray(found.pixels[index])
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    small = picture.width <= size
    if not small:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    picture.convert("RGB").save(out, "WEBP", lossless=small, quality=85)
    return out.getvalue()
