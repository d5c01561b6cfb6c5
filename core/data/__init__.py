"""Images: which sets there are, how to get them, and their pixels.  No torch here; augment.py feeds nets.

`fashion` comes with the lab, `shapes-textures` is drawn, the others are fetched; `own:name@digest` is a set that a user brought
(`importing` takes it in), `folder:/path` reads a folder of pictures where it lies.  Fetched sets lie under `data_root()` as torchvision
lays them out.
"""

import os
from collections.abc import Callable
from pathlib import Path

from core.data import fetched, folder, idx, imported, shapes, shipped
from core.data.dataset import DatasetSpec, Images, card_for, check_size, check_split, digest, normalised_for, resize
from core.data.subset import subset
from core.errors import DataError, LabError, unknown
from core.io import home

__all__ = [
    "DATASETS", "DatasetSpec", "Images", "available", "card_for", "data_root", "every", "fetch", "get", "load", "normalised_for",
    "prepared", "subset", "title",
]  # fmt: skip

Progress = Callable[[int, int, str], None]

_FASHION = {
    "classes": shipped.CLASSES, "image_size": 32, "channels": 1, "test_n": shipped.TEST, "mean": (0.2190,) * 3, "std": (0.3320,) * 3,
    "source": "Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747 (Zalando)", "licence": "MIT", "pad": 2,
}  # fmt: skip

DATASETS: dict[str, DatasetSpec] = {
    spec.id: spec
    for spec in (
        DatasetSpec(
            id="fashion", title="Fashion", train_n=shipped.TRAIN, subset_of="fashion-full", digests=shipped.DIGESTS,
            **_FASHION, note="The first 2,000 training images of each class and all test images, 28 x 28 padded to 32 x 32. "
            "Mean and standard deviation are those of its own padded training images.",
        ),
        DatasetSpec(
            id="fashion-full", title="Fashion-MNIST", train_n=60_000, needs_download=True, digests=("67c93f26a708dc22", shipped.DIGESTS[1]),
            **_FASHION, note="The same test images and the same normalisation as fashion, so that nets move between the two.",
        ),
        DatasetSpec(
            id="shapes-textures", title="Shapes and textures", classes=shapes.SHAPES, image_size=32, channels=3, train_n=shapes.TRAIN,
            test_n=shapes.TEST, mean=(0.242, 0.222, 0.226), std=(0.187, 0.142, 0.171), source="drawn by the lab", licence="MIT", pad=2,
            note="Shape (the label), texture and colour are independent; the texture is of high frequency, shape and colour are of low. "
            "Mean and standard deviation are those of its own training images.",
        ),
        *fetched.SPECS,
    )
}  # fmt: skip


def data_root(root: Path | None = None) -> Path:
    """Where fetched sets lie: the argument, else $ALTERLAB_DATA, else `data` in the user's data folder."""
    own = os.environ.get("ALTERLAB_DATA")
    return root or (Path(own).expanduser() if own else home() / "data")


def every() -> list[str]:
    """The ids of all sets that can be chosen: the known ones, then those that the user brought."""
    return [*DATASETS, *(imported.card(name)["id"] for name in imported.names())]


def get(id: str) -> DatasetSpec:
    """The card of a set.  `folder:/abs/path` makes one by listing the folder.  DataError lists the known ids.

    `own:name` is enough for a set that the user brought; the card's id holds the digest of its content too.
    """
    if id.startswith(imported.PREFIX):
        return imported.spec_of(id)
    if id.startswith(folder.PREFIX):
        return folder.spec_of(id)
    if id not in DATASETS:
        raise unknown(DataError, "data set", id, [*every(), f"{folder.PREFIX}/a/folder"])
    return DATASETS[id]


def title(id: str) -> str:
    """The name of a set on screen.  A folder is not looked into, so this is quick and one that was moved has a name too.

    DataError lists the known ids.
    """
    if id.startswith(imported.PREFIX):
        return imported.title(id)
    return folder.title(id) if id.startswith(folder.PREFIX) else get(id).title


def set_title(id: str) -> str:
    """The name of a set on screen; an id that this version does not know stands for itself."""
    try:
        return title(id)
    except LabError:
        return id


def available(id: str, root: Path | None = None) -> str:
    """ "" if the set can be loaded now without a network, else a plain sentence on how to get it."""
    spec = get(id)
    if not spec.needs_download:
        return ""
    there = idx.find(data_root(root)) if id == "fashion-full" else fetched.find(id, data_root(root))
    if there:
        return ""
    package = " Or install Debian's package dataset-fashion-mnist." if id == "fashion-full" else ""
    return f"{spec.title} is not on this machine yet: get it with `python -m core data get {id}` ({fetched.SIZES[id]} MB).{package}"


def fetch(id: str, progress: Progress | None = None, root: Path | None = None) -> None:
    """Download a set, telling progress(step, total, message) in bytes, and make it ready to load.

    Raises DataError in plain words when there is no network or what came is damaged.  Does nothing for a set that is there.
    """
    spec = get(id)
    if available(id, root):
        fetched.download(id, data_root(root), progress or (lambda step, total, message: None))
    if spec.needs_download and id != "fashion-full":
        for split in ("train", "test"):
            load(id, split, root=root)


def prepared(id: str, split: str = "train", image_size: int | None = None, root: Path | None = None) -> bool:
    """Whether `load` is quick and needs no torch: the set is built in, or was loaded at this size before."""
    spec = get(id)
    size = image_size or spec.image_size
    for source in (folder, imported):
        if id.startswith(source.PREFIX):
            return source.prepared(id, split, size)
    return not available(id, root) and (id not in fetched.DECODED or fetched.prepared(id, split, size, data_root(root)))


def load(id: str, split: str, image_size: int | None = None, *, root: Path | None = None) -> Images:
    """Pixels, labels and digest of one split at `image_size` (the set's own if not given).

    Arrays over `prepare.MEMORY_LIMIT` bytes are memory-mapped and read-only.  Raises DataError if the set is not on this machine,
    is damaged (its digest is not the declared one), or the split or size is impossible.
    """
    spec, size, base = get(id), image_size, data_root(root)
    check_split(split)
    size = check_size(spec.image_size if size is None else size)
    if id.startswith(folder.PREFIX):
        pixels, labels, name = folder.read(id, split, size)
    elif id.startswith(imported.PREFIX):
        pixels, labels, name = imported.read(id, split, size)
    elif id in fetched.DECODED:
        if why := available(id, root):
            raise DataError(why)
        pixels, labels, name = fetched.read(id, split, size, base)
    else:
        pixels, labels = _read_small(id, split, size, base)
        name = digest(pixels, labels)
    declared = spec.digests[split == "test"]
    if size == spec.image_size and declared and name != declared:
        raise DataError(f"The images of {id} ({split}) are not the expected ones: digest {name}, not {declared}. Get the set again.")
    return Images(pixels=pixels, labels=labels, spec=spec, split=split, digest=name)


def _read_small(id: str, split: str, size: int, base: Path):
    if id == "shapes-textures":
        return shapes.read(split, size)
    # the test images of fashion-full are in the lab's own file, so a net trained on all can be measured everywhere
    where = idx.find(base) if id == "fashion-full" and split == "train" else None
    if where:
        pixels, labels = idx.read(where, split)
    elif id == "fashion-full" and split == "train":
        raise DataError(available(id, base))
    else:
        pixels, labels = shipped.read(split)
    return resize(pixels, size), labels
