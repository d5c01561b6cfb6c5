"""Makes fashion.webp from the official files: `python -m core.data.make_fashion [FOLDER]`.  Run by a developer, once.

FOLDER holds the four IDX files; without it, Debian's package dataset-fashion-mnist is read.  The subset is the first 2,000
training images of each class in the order of the file, and all test images.  Prints the digests and the mean and standard
deviation that the cards of `fashion` and `fashion-full` declare.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.data import idx, shipped
from core.data.dataset import digest
from core.io import write_atomic


def first_of_each(labels: np.ndarray, each: int) -> np.ndarray:
    """Sorted positions of the first `each` images of every class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:each] for c in np.unique(labels)]))


def main(folder: Path) -> None:
    """Write the file and print what the cards need."""
    images, labels = idx.read_raw(folder, "train")
    test, test_labels = idx.read_raw(folder, "test")
    chosen = first_of_each(labels, shipped.TRAIN // 10)
    sheet = shipped.to_sheet(np.concatenate([images[chosen], test]), np.concatenate([labels[chosen], test_labels]))
    packed = BytesIO()  # quality 100 and method 6 take ten times as long and gain nothing
    Image.fromarray(sheet).save(packed, "WEBP", lossless=True, quality=75, method=4)
    write_atomic(shipped.SHEET, packed.getvalue())
    print(f"{shipped.SHEET}: {shipped.SHEET.stat().st_size:,} bytes")
    for name, pixels, of in (("train", images[chosen], labels[chosen]), ("full", images, labels), ("test", test, test_labels)):
        padded = shipped.pad(pixels)
        print(name, digest(padded, of), f"mean {padded.mean() / 255:.4f} std {padded.std() / 255:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else idx.DEBIAN)
