"""`fashion`: the images that come with the lab, in one file.

fashion.webp is a lossless grey contact sheet: 150 rows of 200 tiles of 28 x 28 pixels, and under them six rows of pixels that
are the labels.  The 20,000 training tiles stand before the 10,000 test tiles, each part sorted by class because like beside like
packs tighter; the labels are in the original order, so the order of the images can be put back.  Made by make_fashion.py;
the notice that must stay beside it is fashion.LICENSE.
"""

from functools import cache
from pathlib import Path

import numpy as np

from core.errors import DataError

SHEET = Path(__file__).with_name("fashion.webp")
TRAIN, TEST, SIDE, ACROSS = 20_000, 10_000, 28, 200
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
# SHA-256 over (shape, pixels, labels) of the padded images, as core.data.dataset.digest makes it.
DIGESTS = ("19965f03816a3efd", "49968a0fcfac5e98")


def positions(labels: np.ndarray) -> np.ndarray:
    """For each tile of the sheet, the number of its image: the two parts one after the other, each stably sorted by class."""
    train, test = labels[:TRAIN], labels[TRAIN:]
    return np.concatenate([np.argsort(train, kind="stable"), TRAIN + np.argsort(test, kind="stable")])


def to_sheet(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The sheet's pixels from images (30000, 28, 28) and labels (30000,)."""
    tiles = images[positions(labels)].reshape(-1, ACROSS, SIDE, SIDE)
    picture = tiles.transpose(0, 2, 1, 3).reshape(-1, ACROSS * SIDE)
    foot = np.zeros((-(-len(labels) // picture.shape[1]), picture.shape[1]), np.uint8)
    foot.reshape(-1)[: len(labels)] = labels
    return np.concatenate([picture, foot])


def from_sheet(sheet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (30000, 28, 28) and labels (30000,) in their original order; the inverse of `to_sheet`."""
    height = (TRAIN + TEST) // ACROSS * SIDE
    labels = sheet[height:].reshape(-1)[: TRAIN + TEST].astype(np.int64)
    tiles = sheet[:height].reshape(-1, SIDE, ACROSS, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)
    images = np.empty_like(tiles)
    images[positions(labels)] = tiles
    return images, labels


def pad(images: np.ndarray) -> np.ndarray:
    """28 x 28 images (N, 28, 28) in the middle of black 32 x 32 ones (N, 1, 32, 32)."""
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None]


@cache
def _all() -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(SHEET, formats=["WEBP"]) as picture:
            sheet = np.asarray(picture.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"The images that come with the lab cannot be read from {SHEET} ({error}). Get the file again.") from error
    if sheet.shape != ((TRAIN + TEST) // ACROSS * SIDE + 6, ACROSS * SIDE):
        raise DataError(f"{SHEET} is a picture of another size than it should be. Get the file again.")
    return from_sheet(sheet)


def read(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (N, 1, 32, 32) and labels int64 of one split.  Raises DataError if the file is damaged."""
    part = slice(0, TRAIN) if split == "train" else slice(TRAIN, None)
    images, labels = _all()
    return pad(images[part]), labels[part].copy()
