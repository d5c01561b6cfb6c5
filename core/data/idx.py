"""`fashion-full`: all of Fashion-MNIST from its four IDX files, from Debian's package or from torchvision's folder."""

import gzip
from pathlib import Path

import numpy as np

from core.data.shipped import pad
from core.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
NAMES = {"train": "train", "test": "t10k"}
COUNTS = {"train": 60_000, "test": 10_000}
LARGEST = 64 << 20  # bytes unpacked; the largest official file has 47 million


def folders(root: Path) -> tuple[Path, Path]:
    """Where the files may be: Debian's package, and below `root` as torchvision lays them out."""
    return DEBIAN, root / "FashionMNIST" / "raw"


def find(root: Path) -> Path | None:
    """The first folder that holds all four files, packed or not."""
    for folder in folders(root):
        if all(_file(folder, split, kind) for split in NAMES for kind in ("images-idx3", "labels-idx1")):
            return folder
    return None


def _file(folder: Path, split: str, kind: str) -> Path | None:
    stem = f"{NAMES[split]}-{kind}-ubyte"
    return next((p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()), None)


def _read(folder: Path, split: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    path = _file(folder, split, kind)
    if path is None:
        raise DataError(f"{folder} has no file {NAMES[split]}-{kind}-ubyte.gz. Get fashion-full again.")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST)
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}). Get fashion-full again.") from error
    head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    if content[: len(head)] != head or len(content) != len(head) + np.prod(shape):
        raise DataError(f"{path} is not the file of Fashion-MNIST that it should be. Get fashion-full again.")
    return np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)


def read_raw(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Unpadded pixels uint8 (N, 28, 28) and labels uint8 (N,).  Raises DataError on a missing or damaged file."""
    n = COUNTS[split]
    return _read(folder, split, "images-idx3", (n, 28, 28)), _read(folder, split, "labels-idx1", (n,))


def read(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (N, 1, 32, 32) and labels int64 (N,)."""
    images, labels = read_raw(folder, split)
    return pad(images), labels.astype(np.int64)
