"""`folder:/path`: a folder of pictures with one subfolder a class, read where it lies, for those who know that all of it is sound.

With subfolders `train` and `test` (or `val`), these are the splits; otherwise a fifth of every class, drawn with a fixed seed, is the
test set.  The folder is not trusted: the first thing that is wrong with it ends in a DataError that names the file.  `imported` takes
a folder over, leaves out what is unfit and keeps the rest.
"""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.data import layout, picture, prepare, sources
from core.data.dataset import PHOTO_MEAN, PHOTO_STD, DatasetSpec
from core.data.subset import subset
from core.errors import DataError

PREFIX = "folder:"
TRAIN_SHARE = 0.8
_REFUSED = ("link", "unreadable", "deep")


@dataclass(frozen=True)
class Listing:
    """Class names, and for each split the files (sorted by class, then by path) with their labels."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, np.ndarray]


def listing(path: Path) -> Listing:
    """The classes and files of a folder.  Raises DataError in words if it is not laid out as one folder a class."""
    if not path.is_absolute() or not path.is_dir():
        raise DataError(f"There is no folder {str(path)[:200]!r}; give the whole path of one, as in {PREFIX}/home/me/pictures.")
    found = sources.look(path)
    root = found.place
    for left in found.left:
        if left.reason in _REFUSED:
            raise DataError(f"{root / left.file} {left.words}.")
    pictures = tuple(item for item in found.items if item.path.lower().endswith(picture.ENDINGS))
    plan = layout.arrange(replace(found, items=pictures))
    for left in plan.left:
        if left.reason == "empty class":
            raise DataError(f"{root / left.file} holds no pictures ({', '.join(picture.ENDINGS)}).")
        if left.reason == "untrained":
            raise DataError(f"{root / left.file} {left.words}.")
    files = [root / item.path for item, _, _ in plan.files]
    labels = np.array([label for _, label, _ in plan.files], np.int64)
    train = np.zeros(len(labels), bool)
    if plan.by_folder:
        train[:] = [split == "train" for _, _, split in plan.files]
        if train.all():
            raise DataError(f"{root} holds no pictures for testing: its folder test or val is empty.")
    else:
        train[subset(labels, TRAIN_SHARE)] = True
        if train.all():
            raise DataError(f"{root} holds {len(files)} pictures; that is too few to keep a fifth of them for testing.")
    parts = {"train": np.flatnonzero(train), "test": np.flatnonzero(~train)}
    return Listing(root, plan.classes, {k: [files[i] for i in p] for k, p in parts.items()}, {k: labels[p] for k, p in parts.items()})


def title(id: str) -> str:
    """The name of a folder set, which is its folder's; nothing is looked up, so it may be gone."""
    return Path(id.removeprefix(PREFIX)).name or id


def spec_of(id: str) -> DatasetSpec:
    """The card of a folder set."""
    found = listing(Path(id.removeprefix(PREFIX)))
    return DatasetSpec(
        id=id, title=found.root.name, classes=found.classes, image_size=32, channels=3, train_n=len(found.labels["train"]),
        test_n=len(found.labels["test"]), mean=PHOTO_MEAN, std=PHOTO_STD, source=str(found.root), licence="yours",
        note="Normalised with ImageNet's mean and standard deviation.",
    )  # fmt: skip


def decode(path: Path, size: int) -> np.ndarray:
    """One picture as uint8 (3, size, size): the middle square, bilinear.  Raises DataError naming the file."""
    try:
        with path.open("rb") as file:
            return picture.read(file, path.name, size).square
    except picture.Unfit as error:
        raise DataError(f"{path} {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _place(id: str, split: str, size: int, found: Listing) -> Path:
    stats = [(str(p.relative_to(found.root)), p.stat().st_size, p.stat().st_mtime_ns) for p in found.files[split]]
    return prepare.place(id, split, size, [list(found.classes), stats])


def prepared(id: str, split: str, size: int) -> bool:
    """Whether this split was decoded at this size before."""
    return prepare.is_there(_place(id, split, size, listing(Path(id.removeprefix(PREFIX)))))


def read(id: str, split: str, size: int, place: Path | None = None) -> tuple[np.ndarray, np.ndarray, str]:
    """Pixels (N, 3, size, size), labels and digest; decoded once and kept (in `place`, if the caller knows when it changes)."""
    found = listing(Path(id.removeprefix(PREFIX)))
    files, labels = found.files[split], found.labels[split]

    def fill(pixels: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings(), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; sizes are checked
            for start in range(0, len(files), 512):  # a broken picture is heard of before all the others are read
                some = files[start : start + 512]
                for i, square in enumerate(pool.map(lambda p: decode(p, size), some), start):
                    pixels[i] = square
        return labels

    return prepare.keep(place or _place(id, split, size, found), (len(files), 3, size, size), fill)
