"""What a set of images is: its card, its pixels with labels, and the digest that names them."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from core.errors import DataError
from core.outline import Outline

# ImageNet's per-channel statistics, the usual ones for photographs (paper, Appendix A.1).
PHOTO_MEAN, PHOTO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The card of a data set.

    `image_size` is the size that `load` gives when no other is asked for; `channels` is how the pixels are kept (1 grey, 3 colour;
    nets always see 3).  `mean` and `std` are per delivered channel on the scale 0..1.  `pad` is the shift in pixels that random
    cropping uses when a recipe leaves it to the data set.  `digests` are those of (train, test) at `image_size`, "" where only
    loading can tell.
    """

    id: str
    title: str
    classes: tuple[str, ...]
    image_size: int
    channels: int
    train_n: int
    test_n: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    licence: str
    note: str = ""
    subset_of: str = ""
    needs_download: bool = False
    pad: int = 4
    digests: tuple[str, str] = ("", "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Pixels uint8 (N, C, H, W) with C 1 or 3, labels int64 (N,), and the 16 hex digits that name exactly these."""

    pixels: np.ndarray
    labels: np.ndarray
    spec: DatasetSpec
    split: str
    digest: str

    def __len__(self) -> int:
        """How many images."""
        return len(self.labels)


def card_for(plan: object, card: DatasetSpec) -> DatasetSpec:
    """A set's card with the mean and deviation that an imported net wants; as it is for all other nets."""
    if not isinstance(plan, Outline) or not plan.mean:
        return card
    mean, std = (tuple(map(float, numbers)) for numbers in (plan.mean, plan.std))
    return replace(card, mean=mean, std=std)


def normalised_for(plan: object, images: Images) -> Images:
    """Images as the net of this plan is given them; see `card_for`."""
    return replace(images, spec=card_for(plan, images.spec))


def digest(pixels: np.ndarray, labels: np.ndarray) -> str:
    """First 16 hex digits of the SHA-256 over shape, pixels (N, C, H, W) and labels as little-endian int64."""
    sha = hashlib.sha256(repr(pixels.shape).encode())
    for start in range(0, len(pixels), 4096):
        sha.update(np.ascontiguousarray(pixels[start : start + 4096]))
    sha.update(np.ascontiguousarray(labels, dtype="<i8"))
    return sha.hexdigest()[:16]


def check_split(split: str) -> str:
    """The split itself; DataError if it is neither train nor test."""
    if split not in ("train", "test"):
        raise DataError(f"There is no split {split[:40]!r}. Known: train, test.")
    return split


def check_size(image_size: int) -> int:
    """The size itself; DataError if it is out of bounds."""
    if not 8 <= image_size <= 512:
        raise DataError(f"The image size is {image_size}; it should be between 8 and 512 pixels.")
    return image_size


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Square images (N, C, H, H) brought to (N, C, size, size), bilinear with antialiasing (paper, Appendix A.1 tests with bilinear)."""
    from PIL import Image

    if pixels.shape[2] == size:
        return pixels
    out = np.empty((*pixels.shape[:2], size, size), np.uint8)
    for source, target in zip(pixels, out, strict=True):
        for channel, plane in enumerate(source):
            target[channel] = np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
    return out
