"""Sets from the network: their cards, their download with progress, and reading them as torchvision lays them out."""

import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.data import folder, prepare
from core.data.dataset import PHOTO_MEAN, PHOTO_STD, DatasetSpec, resize
from core.errors import DataError

CIFAR_100 = (
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy", "bridge", "bus",
    "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo",
    "keyboard", "lamp", "lawn mower", "leopard", "lion", "lizard", "lobster", "man", "maple tree", "motorcycle", "mountain", "mouse",
    "mushroom", "oak tree", "orange", "orchid", "otter", "palm tree", "pear", "pickup truck", "pine tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf", "woman", "worm",
)  # fmt: skip

SPECS = (
    DatasetSpec(
        id="cifar10", title="CIFAR-10", image_size=32, channels=3, train_n=50_000, test_n=10_000, needs_download=True,
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010), source="Krizhevsky 2009, cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; for research", note="Mean and standard deviation as in the paper (Appendix A.1).",
        digests=("f3120a8fa253dbda", "815bee49b92162b0"),
    ),
    DatasetSpec(
        id="cifar100", title="CIFAR-100", image_size=32, channels=3, train_n=50_000, test_n=10_000, needs_download=True,
        classes=CIFAR_100, mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761),
        source="Krizhevsky 2009, cs.toronto.edu/~kriz/cifar.html", licence="none stated; for research",
        note="Mean and standard deviation as in the paper (Appendix A.1).",
    ),
    DatasetSpec(
        id="imagenette", title="Imagenette", image_size=224, channels=3, train_n=9_469, test_n=3_925, needs_download=True,
        classes=("tench", "English springer", "cassette player", "chain saw", "church", "French horn", "garbage truck", "gas pump",
                 "golf ball", "parachute"),
        mean=PHOTO_MEAN, std=PHOTO_STD, source="Howard, github.com/fastai/imagenette", licence="Apache 2.0 (the photos are from ImageNet)",
        note="Ten classes of ImageNet with a shorter side of 320 pixels; the middle square, resized. Any size can be asked for.", pad=16,
    ),
)  # fmt: skip

SIZES = {"fashion-full": 31, "cifar10": 170, "cifar100": 169, "imagenette": 342}  # MB to download
DECODED = tuple(spec.id for spec in SPECS)  # kept decoded by prepare.py
PLACES = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python", "imagenette": "imagenette2-320", "fashion-full": "FashionMNIST"}
NEEDED = {
    "cifar10": ("test_batch", "batches.meta", *(f"data_batch_{i}" for i in range(1, 6))),
    "cifar100": ("train", "test", "meta"),
    "imagenette": ("train", "val"),
}
Progress = Callable[[int, int, str], None]


def find(id: str, root: Path) -> Path | None:
    """The set's folder below `root`, if all its parts are there."""
    place = root / PLACES[id]
    return place if all((place / name).exists() for name in NEEDED[id]) else None


def _state(place: Path, id: str) -> list[Any]:
    """What tells that the source changed: names, sizes and times of its parts."""
    return [str(place), [[name, (place / name).stat().st_size, (place / name).stat().st_mtime_ns] for name in NEEDED[id]]]


def prepared(id: str, split: str, size: int, root: Path) -> bool:
    """Whether this split was decoded at this size before."""
    place = find(id, root)
    return place is not None and prepare.is_there(_spot(id, split, size, place))


def _spot(id: str, split: str, size: int, place: Path) -> Path:
    name = f"{folder.PREFIX}{place}" if id == "imagenette" else id
    return prepare.place(name, split, size, _state(place, id))


def read(id: str, split: str, size: int, root: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Pixels (N, 3, size, size), labels and digest.  Raises DataError if the files are damaged."""
    place = find(id, root)
    if place is None:
        raise DataError(f"{root} has no {PLACES[id]}.")
    if id == "imagenette":
        return folder.read(f"{folder.PREFIX}{place}", split, size, _spot(id, split, size, place))

    def fill(pixels: np.ndarray) -> np.ndarray:
        found, labels = _cifar(id, split, root)
        pixels[:] = resize(found, size)
        return labels

    return prepare.keep(_spot(id, split, size, place), (50_000 if split == "train" else 10_000, 3, size, size), fill)


def _cifar(id: str, split: str, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Through torchvision, which checks the MD5 of every file before it reads it."""
    from torchvision.datasets import CIFAR10, CIFAR100

    try:
        found = (CIFAR10 if id == "cifar10" else CIFAR100)(str(root), train=split == "train")
    except (RuntimeError, OSError) as error:
        raise DataError(f"{root / PLACES[id]} is damaged ({error}). Delete that folder and get {id} again.") from error
    return np.ascontiguousarray(found.data.transpose(0, 3, 1, 2)), np.array(found.targets, np.int64)


def sources(id: str) -> list[tuple[str, str]]:
    """[(address, MD5)] of a set's files, as torchvision knows them."""
    from torchvision.datasets import CIFAR10, CIFAR100, FashionMNIST, Imagenette

    if id == "fashion-full":
        return [(FashionMNIST.mirrors[0] + name, md5) for name, md5 in FashionMNIST.resources]
    if id == "imagenette":
        return [Imagenette._ARCHIVES["320px"]]
    cifar = CIFAR10 if id == "cifar10" else CIFAR100
    return [(cifar.url, cifar.tgz_md5)]


def download(id: str, root: Path, progress: Progress) -> None:
    """Fetch, check and unpack a set aside, then move it to its place in one step.

    progress(bytes so far, about how many in all, what is being done); what it raises ends the download.
    Raises DataError in words when a file cannot be had or is not the official one.
    """
    files = sources(id)
    root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=root, prefix=f".{id}."))
    try:
        done, about = 0, SIZES[id] * 1_000_000
        for address, md5 in files:
            name = address.rsplit("/", 1)[1]
            done += _get(address, md5, aside / name, lambda n, before=done, name=name: progress(before + n, about, f"downloading {name}"))
        progress(about, about, "unpacking")
        for path in list(aside.iterdir()):
            if path.name.endswith((".tgz", ".tar.gz")):
                with tarfile.open(path) as archive:
                    archive.extractall(aside, filter="data")
                path.unlink()
        _move(id, aside, root)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{id} could not be unpacked into {root}: {error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move(id: str, aside: Path, root: Path) -> None:
    place = root / PLACES[id]
    if id == "fashion-full":
        (aside / "raw").mkdir()
        for path in list(aside.glob("*.gz")):
            path.rename(aside / "raw" / path.name)
        place.mkdir(exist_ok=True)
        place, source = place / "raw", aside / "raw"
    else:
        source = aside / PLACES[id]
    if place.exists():  # an incomplete one; `find` did not take it
        place.rename(aside / "replaced")
    source.rename(place)


def _get(address: str, md5: str, target: Path, tell: Callable[[int], None]) -> int:
    """One file; returns its size."""
    seen, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(address, timeout=30) as answer, target.open("wb") as file:
            while block := answer.read(1 << 18):
                file.write(block)
                seen.update(block)
                size += len(block)
                tell(size)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{address} could not be fetched ({reason}). Connect this machine to the network and try again, "
            f"or put the files where torchvision keeps them, below {target.parent.parent}."
        ) from error
    if seen.hexdigest() != md5:
        raise DataError(f"{address} gave something else than the official file (MD5 {seen.hexdigest()}, not {md5}). Try again later.")
    return size
