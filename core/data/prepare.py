"""Decoded images kept on disk, so that pictures are decoded once and a large set is mapped, not read.

`<home>/data/prepared/<set, split, size>/<state of the source>/` holds pixels.npy, labels.npy and digest.json.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.data.dataset import digest
from core.errors import DataError
from core.io import digest as name_of
from core.io import home, publish_folder, read_json, write_json

MEMORY_LIMIT = 1 << 28  # bytes of pixels; larger arrays are memory-mapped


def place(id: str, split: str, size: int, state: Any) -> Path:
    """The folder for one split of a set at one size, as long as its source is in `state` (any JSON)."""
    return home() / "data" / "prepared" / name_of([id, split, size]) / name_of(state)


def is_there(folder: Path) -> bool:
    """Whether `keep` has filled this folder."""
    return (folder / "digest.json").is_file()


def keep(folder: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """Pixels, labels and digest from `folder`, filled first if it is not there.

    `fill` gets an uint8 array of `shape` to write into (on disk, so that it may be larger than memory) and returns the labels.
    Raises DataError if the disk is too full.
    """
    if not is_there(folder):
        needed = int(np.prod(shape, dtype=np.int64))
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        if needed > free - (256 << 20):
            have = f"{folder.parent} has {free >> 20:,} MB free"
            raise DataError(f"The decoded images take {needed >> 20:,} MB; {have}. Take a smaller size.")
        before = [p for p in folder.parent.iterdir() if p.is_dir() and not p.name.startswith(".")]
        publish_folder(folder, lambda aside: _fill(aside, shape, fill))
        for stale in before:  # decoded from a state of the source that is gone
            shutil.rmtree(stale, ignore_errors=True)
    return _read(folder)


def _fill(aside: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], np.ndarray]) -> None:
    pixels = np.lib.format.open_memmap(aside / "pixels.npy", "w+", np.uint8, shape)
    labels = fill(pixels)
    pixels.flush()
    np.save(aside / "labels.npy", labels.astype(np.int64))
    write_json(aside / "digest.json", digest(pixels, labels))


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray, str]:
    try:
        large = (folder / "pixels.npy").stat().st_size > MEMORY_LIMIT
        pixels = np.load(folder / "pixels.npy", mmap_mode="r" if large else None, allow_pickle=False)
        return pixels, np.load(folder / "labels.npy", allow_pickle=False), read_json(folder / "digest.json")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The decoded images in {folder} cannot be read ({error}). Delete that folder and try again.") from error
