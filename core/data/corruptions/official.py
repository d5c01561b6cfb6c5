"""The published files: CIFAR-10-C and CIFAR-100-C (an array for each kind), ImageNet-C (folders of JPEG files).

CIFAR-…-C holds `KIND.npy`, uint8 (50,000, 32, 32, 3), the 10,000 test images at severity 1, then at 2, ..., and `labels.npy`, the labels
five times over.  ImageNet-C holds `KIND/SEVERITY/SYNSET/*.JPEG`, perhaps below a folder of the group.  The files are not trusted:
nothing in them is run, and what is not as it should be ends in a DataError that says what.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data import folder as pictures
from core.data import prepare
from core.data.corruptions.catalog import KINDS, SEVERITIES, constants
from core.errors import DataError

GIVE = "give the folder that holds gaussian_noise.npy and labels.npy, or gaussian_noise/1/n01440764/..."


@dataclass(frozen=True, kw_only=True, eq=False)
class Official:
    """One kind at one severity.

    pixels: uint8 (N, 3, side, side), read from the file as they are looked at · labels: int64 (N,) · classes: the names of the class
    folders of ImageNet-C in the order of the labels, empty for CIFAR.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = ()


def published(root: Path) -> list[str]:
    """The kinds that a folder holds, extra ones included; none if it is no folder of published files."""
    return [kind for kind in KINDS if _array(root, kind).is_file() or _folder(root, kind) is not None]


def read_official(root: Path, kind: str, severity: int, *, size: int = 224) -> Official:
    """One kind at one severity; JPEG files are decoded once at `size` pixels and kept.  DataError if it is not there or not whole."""
    constants(kind, severity, "cifar-c")  # refuses what is unknown
    if _array(root, kind).is_file():
        return _read_arrays(root, kind, severity)
    if (place := _folder(root, kind)) is not None:
        return _read_pictures(place / str(severity), size)
    raise DataError(f"{root} has no {KINDS[kind].title.lower()}: {GIVE}.")


def _array(root: Path, kind: str) -> Path:
    return root / f"{kind}.npy"


def _folder(root: Path, kind: str) -> Path | None:
    return next((p for p in (root / kind, root / KINDS[kind].group / kind, root / "extra" / kind) if p.is_dir()), None)


def _load(path: Path) -> np.ndarray:
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise DataError(f"{path} is a link out of its folder; put the file itself there.")
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"a file of version {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            held = path.stat().st_size - file.tell()
        # numpy multiplies without looking for an overflow, and would then map memory that is not there
        if math.prod(shape) * dtype.itemsize != held or min(shape, default=0) < 0:
            raise ValueError(f"it says {shape} of {dtype} and holds {held:,} bytes")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array of numbers ({str(error)[:120]}). Get it again.") from error


def _read_arrays(root: Path, kind: str, severity: int) -> Official:
    every, labels = _load(_array(root, kind)), _load(root / "labels.npy")
    parts = len(SEVERITIES)
    pictured = every.dtype == np.uint8 and every.ndim == 4 and every.shape[1] == every.shape[2] and every.shape[3] == 3
    if not pictured or len(every) % parts or not len(every):
        shape = " x ".join(str(n) for n in every.shape)
        raise DataError(f"{_array(root, kind)} holds {every.dtype} {shape}; it should hold uint8 50000 x 32 x 32 x 3.")
    if labels.dtype.kind not in "iu" or labels.shape != (len(every),):
        raise DataError(f"{root / 'labels.npy'} should hold {len(every):,} whole numbers, one for each image.")
    n = len(every) // parts
    rows = np.asarray(labels, dtype=np.int64).reshape(parts, n)
    if (rows != rows[0]).any() or rows.min() < 0:
        raise DataError(f"{root / 'labels.npy'} should hold the same {n:,} labels, none below 0, once for each severity.")
    return Official(pixels=every[(severity - 1) * n : severity * n].transpose(0, 3, 1, 2), labels=rows[0])


def _read_pictures(place: Path, size: int) -> Official:
    listed = pictures.listing(place.absolute())
    labels = np.concatenate([listed.labels["train"], listed.labels["test"]])
    files = [*listed.files["train"], *listed.files["test"]]
    order = sorted(range(len(files)), key=lambda i: (labels[i], files[i]))
    files, labels = [files[i] for i in order], labels[order]
    state = [(str(p.relative_to(listed.root)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]

    def fill(pixels: np.ndarray) -> np.ndarray:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(files), 512):  # a broken picture is heard of before all the others are read
                for i, picture in enumerate(pool.map(lambda p: pictures.decode(p, size), files[start : start + 512]), start):
                    pixels[i] = picture
        return labels

    kept = prepare.place(f"imagenet-c:{listed.root}", "test", size, state)
    pixels, labels, _ = prepare.keep(kept, (len(files), 3, size, size), fill)
    return Official(pixels=pixels, labels=labels, classes=listed.classes)
