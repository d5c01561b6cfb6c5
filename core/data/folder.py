"""`folder:/path`: any folder of pictures with one subfolder a class.

With subfolders `train` and `test` (or `val`), these are the splits; otherwise a fifth of every class, drawn with a fixed seed, is the
test set.  Pictures are cut to the middle square and resized.  The folder is not trusted: links that lead out of it, pictures of
absurd size and files that are no pictures end in a DataError that names the file.
"""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data import prepare
from core.data.dataset import PHOTO_MEAN, PHOTO_STD, DatasetSpec
from core.data.subset import subset
from core.errors import DataError

PREFIX = "folder:"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MOST_FILES, MOST_CLASSES, MOST_PIXELS, MOST_BYTES = 2_000_000, 10_000, 64_000_000, 256 << 20
TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class Listing:
    """Class names, and for each split the files (sorted by class, then by path) with their labels."""

    root: Path
    classes: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, np.ndarray]


def _entries(path: Path, root: Path) -> list[os.DirEntry]:
    """What lies in a folder, sorted, hidden files left out; DataError on a link that leads nowhere, out of `root` or to a folder."""
    try:
        found = sorted((e for e in os.scandir(path) if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"The folder {path} cannot be read: {error.strerror}.") from error
    for entry in found:
        if not entry.is_symlink():
            continue
        if not os.path.exists(entry.path):  # also of links that lead to one another, at which is_dir and resolve raise
            raise DataError(f"{entry.path} cannot be read: it is a link that ends nowhere.")
        if entry.is_dir() or not Path(entry.path).resolve().is_relative_to(root):
            raise DataError(f"{entry.path} is a link to a folder or out of {root}; put the pictures themselves there.")
    return found


def _folders(path: Path, root: Path) -> list[str]:
    return [e.name for e in _entries(path, root) if e.is_dir()]


def _pictures(path: Path, root: Path) -> list[Path]:
    """All pictures below a class folder, at most eight folders deep."""
    found: list[Path] = []
    waiting = [path]
    while waiting:
        for entry in _entries(waiting.pop(), root):
            if entry.is_dir():
                waiting.append(Path(entry.path))
                if len(waiting[-1].relative_to(path).parts) > 8:
                    raise DataError(f"{entry.path} lies more than eight folders deep in its class.")
            elif entry.name.lower().endswith(ENDINGS):
                found.append(Path(entry.path))
        if len(found) > MOST_FILES:
            raise DataError(f"{path} holds more than {MOST_FILES:,} pictures; that is more than the lab reads.")
    return sorted(found)


def listing(path: Path) -> Listing:
    """The classes and files of a folder.  Raises DataError in words if it is not laid out as one folder a class."""
    if not path.is_absolute() or not path.is_dir():
        raise DataError(f"There is no folder {str(path)[:200]!r}; give the whole path of one, as in {PREFIX}/home/me/pictures.")
    root = path.resolve()
    names = _folders(root, root)
    held_out = next((name for name in ("test", "val") if name in names), None)
    base = root / "train" if "train" in names else root
    classes = tuple(_folders(base, root))
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataError(f"{base} holds {len(classes)} folders; it should hold one for each class, from 2 to {MOST_CLASSES:,}.")
    train = _by_class(base, classes, root)
    if base == root or held_out is None:
        return _split(root, classes, *train)
    if extra := set(_folders(root / held_out, root)) - set(classes):
        raise DataError(f"{root / held_out} has the class {sorted(extra)[0]!r}, which {base} has not.")
    test = _by_class(root / held_out, classes, root, may_lack=True)
    if len(test[1]) == 0:
        raise DataError(f"{root / held_out} holds no pictures.")
    return Listing(root, classes, {"train": train[0], "test": test[0]}, {"train": train[1], "test": test[1]})


def _by_class(base: Path, classes: Sequence[str], root: Path, *, may_lack: bool = False) -> tuple[list[Path], np.ndarray]:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = _pictures(base / name, root) if (base / name).is_dir() else []
        if not found and not may_lack:
            raise DataError(f"{base / name} holds no pictures ({', '.join(ENDINGS)}).")
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, np.int64)


def _split(root: Path, classes: tuple[str, ...], files: list[Path], labels: np.ndarray) -> Listing:
    train = np.zeros(len(labels), bool)
    train[subset(labels, TRAIN_SHARE)] = True
    if train.all():
        raise DataError(f"{root} holds {len(files)} pictures; that is too few to keep a fifth of them for testing.")
    parts = {"train": np.flatnonzero(train), "test": np.flatnonzero(~train)}
    return Listing(root, classes, {k: [files[i] for i in p] for k, p in parts.items()}, {k: labels[p] for k, p in parts.items()})


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
    from PIL import Image, ImageOps

    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size >> 20:,} MB; pictures up to {MOST_BYTES >> 20} MB are read.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; sizes are checked here
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataError(f"{path} is {picture.width} x {picture.height}; pictures up to {MOST_PIXELS:,} pixels are read.")
                picture.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded near the wanted size, which is several times faster
                upright = ImageOps.exif_transpose(picture).convert("RGB")
                square = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except Exception as error:  # decoders of broken files raise almost anything
        raise DataError(f"{path} cannot be read as a picture ({type(error).__name__}: {str(error)[:120]}).") from error
    return np.asarray(square).transpose(2, 0, 1)


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
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(files), 512):  # a broken picture is heard of before all the others are read
                some = files[start : start + 512]
                for i, picture in enumerate(pool.map(lambda p: decode(p, size), some), start):
                    pixels[i] = picture
        return labels

    return prepare.keep(place or _place(id, split, size, found), (len(files), 3, size, size), fill)
