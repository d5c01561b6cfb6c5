"""Taking pictures in: each is checked and decoded once, in shards that outlive a stop, then put together as a set.

Everything happens in a staging folder.  A shard is a file of decoded pictures and what was found out about each; one that is there
is not made again.  The staging folder belongs to one request; another request, or a source that changed, begins anew.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.data import picture, sources
from core.data.layout import Layout
from core.data.sources import Item, Left, Source, shown
from core.data.subset import subset
from core.errors import DataError
from core.io import read_json, write_atomic, write_json

Progress = Callable[[int, int, str], None]
SHARD_BYTES = 24 << 20
_AT_ONCE = 32  # pictures between two words of progress
_THREADS = 4


@contextmanager
def staged(place: Path, request: dict[str, Any]) -> Iterator[None]:
    """The staging folder at `place`, ready for this request and for nobody else.  Raises DataError if another process works in it."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError("This set is being imported already; wait for that, or stop it first.") from None
        if not (place / "request.json").is_file() or read_json(place / "request.json") != request:
            for path in place.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != "lock":
                    path.unlink()
            write_json(place / "request.json", request)
        yield


def at_work(place: Path) -> bool:
    """Whether a process is at work in a staging folder."""
    try:
        with (place / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def image_size(source: Source, plan: Layout) -> int:
    """The size to take if none is asked for: the median shorter side of 100 pictures, down to a multiple of 32, from 32 to 224."""
    step = max(1, len(plan.files) // 100)
    with sources.opened(source) as get, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [min(_sides(get, item)) for item, _, _ in plan.files[::step]]
    sizes = [side for side in found if side > 0]
    return min(224, max(32, int(np.median(sizes)) // 32 * 32)) if sizes else 32


def _sides(get: Callable[[Item], BinaryIO], item: Item) -> tuple[int, int]:
    try:
        with get(item) as file:
            return picture.sides(file)
    except picture.Unfit:
        return 0, 0


def check_disk(place: Path, count: int, size: int) -> None:
    """Raise DataError if the decoded pictures, which lie there twice for a moment, would not fit."""
    needed, free = 2 * count * 3 * size * size, shutil.disk_usage(place).free
    if needed > free - (256 << 20):
        raise DataError(
            f"{count:,} pictures of {size} x {size} pixels take {needed >> 20:,} MB while they are put together; {place} has "
            f"{free >> 20:,} MB free. Take a smaller size."
        )


def decode(source: Source, plan: Layout, place: Path, size: int, smallest: int, crop: float, progress: Progress) -> list[Path]:
    """Check and decode all files into shards below `place`; returns the shards in order.  What `progress` raises stops it."""
    each = max(16, SHARD_BYTES // (3 * size * size))
    (place / "shards").mkdir(exist_ok=True)
    starts = range(0, len(plan.files), each)
    shards = [place / "shards" / f"{number:06}.npz" for number in range(len(starts))]
    threads = min(_THREADS, os.cpu_count() or 1)
    with sources.opened(source) as get, warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; sizes are checked
        for start, shard in zip(starts, shards, strict=True):
            files = [item for item, _, _ in plan.files[start : start + each]]
            if shard.is_file():
                progress(start + len(files), len(plan.files), "checking and decoding pictures")
                continue
            pixels = np.empty((len(files), 3, size, size), np.uint8)
            facts: list[dict[str, Any]] = []
            for first in range(0, len(files), _AT_ONCE):
                progress(start + first, len(plan.files), "checking and decoding pictures")
                for fact, square in pool.map(lambda item: _one(get, item, size, smallest, crop), files[first : first + _AT_ONCE]):
                    if square is not None:
                        pixels[len(facts)] = square
                    facts.append(fact)
            _keep(shard, pixels, facts)
    return shards


def _one(get: Callable[[Item], BinaryIO], item: Item, size: int, smallest: int, crop: float) -> tuple[dict[str, Any], np.ndarray | None]:
    try:
        with get(item) as file:
            found = picture.read(file, item.path, size, smallest=smallest, crop=crop)
    except picture.Unfit as error:
        return {"reason": error.reason, "words": str(error)}, None
    key = hashlib.blake2b(found.square, digest_size=16).hexdigest()
    return {"key": key, "width": found.width, "height": found.height, "notes": list(found.notes)}, found.square


def _keep(shard: Path, pixels: np.ndarray, facts: list[dict[str, Any]]) -> None:
    whole = io.BytesIO()
    np.savez(whole, pixels=pixels, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8))
    write_atomic(shard, whole.getbuffer())


def facts_of(shard: Path) -> list[dict[str, Any]]:
    """What was found out about each picture of a shard."""
    with np.load(shard, allow_pickle=False) as held:
        return json.loads(held["facts"].tobytes())


def choose(plan: Layout, facts: list[dict[str, Any]], *, same: bool, test_share: float, seed: int) -> tuple[Layout, np.ndarray, list[Left]]:
    """The layout with classes that hold pictures, the split of each file (1 train, 2 test, 0 left out), and what was left out.

    Of pictures that are the same to a net the first one stays, unless `same` keeps all; one in the test folder comes first, so that
    nothing is trained on that is tested.
    """
    left: list[Left] = []
    first: dict[str, int] = {}
    fit = np.zeros(len(facts), bool)
    for i in sorted(range(len(facts)), key=lambda i: (plan.files[i][2] != "test", i)):
        (item, label, _), fact = plan.files[i], facts[i]
        if "reason" in fact:
            left.append(Left(item.path, fact["reason"], fact["words"]))
            continue
        twin = first.setdefault(fact["key"], i)
        if twin == i or same:
            fit[i] = True
            continue
        other, theirs, _ = plan.files[twin]
        more = "" if theirs == label else f", which is of the class {plan.classes[theirs]}"
        left.append(Left(item.path, "other class" if more else "duplicate", f"is the same picture as {shown(other.path)}{more}"))
    split = _split(plan, fit, test_share, seed)
    labels = np.array([label for _, label, _ in plan.files], np.int64)
    held = np.bincount(labels[split == 1], minlength=len(plan.classes)) > 0
    if not (split == 1).any():  # a set for testing only
        held = np.bincount(labels[split == 2], minlength=len(plan.classes)) > 0
    for i in np.flatnonzero((split > 0) & ~held[labels]):
        split[i] = 0
        left.append(Left(plan.files[i][0].path, "untrained", "is of a class that holds no pictures for training"))
    tried = {label for _, label, _ in plan.files}
    for label in np.flatnonzero(~held):
        if int(label) in tried:
            left.append(Left(plan.classes[label], "empty class", "holds no pictures that could be taken"))
    kept = np.flatnonzero(held)
    numbers = {int(old): new for new, old in enumerate(kept)}
    files = tuple((item, numbers.get(label, -1), part) for item, label, part in plan.files)
    return Layout(base=plan.base, classes=tuple(plan.classes[i] for i in kept), files=files, left=plan.left), split, left


def _split(plan: Layout, fit: np.ndarray, test_share: float, seed: int) -> np.ndarray:
    split = np.zeros(len(fit), np.int8)
    if plan.by_folder:
        split[fit] = np.array([1 if part == "train" else 2 for _, _, part in plan.files], np.int8)[fit]
        return split
    chosen = np.flatnonzero(fit)
    if len(chosen) == 0:
        return split
    split[chosen] = 2
    if test_share < 1:
        labels = np.array([plan.files[i][1] for i in chosen], np.int64)
        split[chosen[subset(labels, 1 - test_share, seed=seed)]] = 1
    return split


def assemble(
    shards: list[Path], labels: np.ndarray, split: np.ndarray, size: int, place: Path, progress: Progress
) -> tuple[list[float], list[float]]:
    """Write the splits below `place` as prepare.py keeps them; returns mean and standard deviation of the training images, 0..1.

    Of a set for testing only, they are those of the test images.  Written as plain files: mapped ones would count as memory.
    """
    counts, before = np.zeros((3, 256), np.int64), 0
    measured = 1 if (split == 1).any() else 2
    with ExitStack() as open_files:
        parts = {code: _Part(place / name, int((split == code).sum()), size) for code, name in ((1, "train"), (2, "test"))}
        for part in parts.values():
            open_files.enter_context(part.file)
        for shard in shards:
            with np.load(shard, allow_pickle=False) as held:
                pixels = held["pixels"]
            codes = split[before : before + len(pixels)]
            for code, part in parts.items():
                some = np.ascontiguousarray(pixels[codes == code])
                part.add(some)
                if code == measured:
                    counts += [np.bincount(some[:, channel].reshape(-1), minlength=256) for channel in range(3)]
            before += len(pixels)
            progress(before, len(split), "putting the set together")
        for code, part in parts.items():
            part.end(labels[split == code])
    share, scale = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = share @ scale
    std = np.sqrt((share * (scale - mean[:, None]) ** 2).sum(1))
    return mean.round(4).tolist(), std.round(4).tolist()


class _Part:
    """The pixels, labels and digest of a split while they are written."""

    def __init__(self, place: Path, total: int, size: int) -> None:
        place.mkdir(parents=True)
        shape = (total, 3, size, size)
        self.place, self.file, self.sha = place, (place / "pixels.npy").open("wb"), hashlib.sha256(repr(shape).encode())
        np.lib.format.write_array_header_1_0(self.file, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def add(self, pixels: np.ndarray) -> None:
        self.file.write(pixels)
        self.sha.update(pixels)

    def end(self, labels: np.ndarray) -> None:
        self.sha.update(np.ascontiguousarray(labels, "<i8"))  # as dataset.digest, which would want all pixels at once
        self.file.flush()
        os.fsync(self.file.fileno())
        np.save(self.place / "labels.npy", labels)
        write_json(self.place / "digest.json", self.sha.hexdigest()[:16])
