"""`own:NAME@DIGEST`: sets that a user brought, from a folder of pictures with one subfolder a class, or from a zip of one.

`importing.add` takes a set in, `names` lists them, `report` tells what was left out and why, `remove` deletes one.  The digest in the
id is that of the content, so what was trained or measured on other pictures is never shown for these.  `<home>/data/own/<name>/` holds:

  card.json     what the set is, and where it comes from
  report.json   counts by reason, and a row for each file that was left out or changed
  files.json    the file of each image, and its size before
  train, test   pixels.npy, labels.npy, digest.json, as prepare.py keeps them
  resized       the same at other sizes, made when first asked for

A folder `.<name>.part` beside it is an import that was stopped; the same `add` goes on from there.
"""

import json
import shutil
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core import jobs, store
from core.data import intake, prepare
from core.data.dataset import DatasetSpec, resize
from core.errors import DataError, unknown
from core.io import home, read_json

PREFIX = "own:"
_SOURCES = {"own": "its own training images", "imagenet": "ImageNet"}


def root() -> Path:
    """Where sets that users brought lie."""
    return home() / "data" / "own"


def inbox() -> Path:
    """A folder for uploads: a zip file in it is deleted once it was imported."""
    return home() / "data" / "inbox"


def names() -> list[str]:
    """The names of all sets that were brought, in order."""
    if not root().is_dir():
        return []
    return sorted(p.name for p in root().iterdir() if not p.name.startswith(".") and (p / "card.json").is_file())


def unfinished() -> list[str]:
    """Names of imports that were stopped, or are at work now."""
    if not root().is_dir():
        return []
    return sorted(p.name[1:-5] for p in root().iterdir() if p.name.startswith(".") and p.name.endswith(".part"))


def find(id: str) -> str:
    """The name of the set that an id means, with or without the digest of its content.  DataError lists the known ids."""
    name, _, content = id.removeprefix(PREFIX).partition("@")
    if name not in names():
        raise unknown(DataError, "set of your own", id, [PREFIX + known for known in names()])
    now = card(name)["content"]
    if content and not now.startswith(content):
        raise DataError(
            f"The set {name} holds other pictures than {id}: it is {card(name)['id']} now. What was trained on the former can be shown, "
            "but not measured further; import the same pictures under another name for that."
        )
    return name


def card(name: str) -> dict[str, Any]:
    """What a set is and where it comes from (card.json).  Raises DataError if there is none of this name, or it is damaged."""
    if name not in names():  # so that a name from outside leads nowhere else
        raise unknown(DataError, "set of your own", name, names())
    path = root() / name / "card.json"
    return _card(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _card(path: Path, changed: int) -> dict[str, Any]:
    return _json(path)


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        name = path.parent.name
        raise DataError(f"The set {name} is damaged: {path} cannot be read ({error}). Remove it and import it again.") from error


def report(name: str) -> dict[str, Any]:
    """Counts by reason, classes, and `rows` (file, outcome, reason, words) of all files that were left out or changed."""
    card(name)
    return _json(root() / name / "report.json")


def files(name: str, split: str) -> list[tuple[str, int, int]]:
    """For each image of a split its file, and the width and height that it had."""
    card(name)
    return [(str(file), int(width), int(height)) for file, width, height in _json(root() / name / "files.json")[split]]


def title(id: str) -> str:
    """The name on screen; what the id says if the set is gone."""
    name = id.removeprefix(PREFIX).partition("@")[0]
    return card(name)["title"] if name in names() else name


def spec_of(id: str) -> DatasetSpec:
    """The card of a set as all others have it.  Its id holds the digest of the content, also if `id` did not."""
    c = card(find(id))
    size, drawn = c["image_size"], f"A share of {c['settings']['test_share']:g} of every class is for testing, drawn with seed"
    split = "Train and test are as in its folders." if c["split"] == "folders" else f"{drawn} {c['settings']['seed']}."
    return DatasetSpec(
        id=c["id"], title=c["title"], classes=tuple(c["classes"]), image_size=size, channels=3, train_n=c["train_n"], test_n=c["test_n"],
        mean=tuple(c["mean"]), std=tuple(c["std"]), source=c["source"], licence="yours", pad=max(4, size // 14),
        digests=tuple(c["digests"]),
        note=f"Middle squares of your pictures at {size} x {size}. {split} Mean and standard deviation are those of "
        f"{_SOURCES[c['normalised']]}.",
    )  # fmt: skip


def outputs(id: str) -> tuple[int, ...] | None:
    """For each class of a set its output among ImageNet's 1,000, for nets with such a head; None if the classes are not all of them."""
    found = card(find(id))["outputs"]
    return None if found is None else tuple(found)


def prepared(id: str, split: str, size: int) -> bool:
    """Whether `read` is quick: at the set's own size, and at one that was asked for before."""
    name = find(id)
    return size == card(name)["image_size"] or prepare.is_there(_resized(name, split, size))


def _resized(name: str, split: str, size: int) -> Path:
    return root() / name / "resized" / f"{split}-{size}" / "pixels"


def read(id: str, split: str, size: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Pixels (N, 3, size, size), labels and digest; large ones are memory-mapped.  Another size is made once and kept."""
    name = find(id)
    place, (train_n, test_n) = root() / name / split, (card(name)["train_n"], card(name)["test_n"])
    shape = (train_n if split == "train" else test_n, 3, size, size)

    def gone(_: np.ndarray) -> np.ndarray:
        raise DataError(f"The set {name} is damaged: {place} lacks its images. Remove it and import it again.")

    if size == card(name)["image_size"]:
        return prepare.keep(place, shape, gone)

    def fill(pixels: np.ndarray) -> np.ndarray:
        labels = read(id, split, card(name)["image_size"])[1]
        for start in range(0, len(pixels), 256):  # mapped anew each time, so that what was read does not stay in memory
            found = np.load(place / "pixels.npy", mmap_mode="r", allow_pickle=False)
            pixels[start : start + 256] = resize(found[start : start + 256], size)
        return labels

    return prepare.keep(_resized(name, split, size), shape, fill)


def users(name: str) -> list[str]:
    """Ids of the runs that were trained on a set, and of the jobs at work or in line that use it."""
    ids = (PREFIX + name, f"{PREFIX}{name}@")
    runs = [run.id for run in store.list_runs() if run.data == ids[0] or run.data.startswith(ids[1])]
    asked = {job.id: json.dumps(job.args) for job in jobs.list() if job.state in jobs.LIVE}
    return runs + [job for job, args in asked.items() if f'"{ids[0]}"' in args or f'"{ids[1]}' in args]


def remove(name: str, force: bool = False) -> list[str]:
    """Delete a set, or what is left of an import that was stopped; returns the runs that lost their images.

    Raises DataError that names them while runs or jobs use the set, unless `force`.
    """
    if name in unfinished():
        if intake.at_work(root() / f".{name}.part"):
            raise DataError(f"The set {name} is being imported now; stop that first.")
        _delete(root() / f".{name}.part")
        if name not in names():
            return []
    if name not in names():
        raise unknown(DataError, "set of your own", name, names())
    using = users(name)
    if using and not force:
        some = ", ".join(using[:5]) + (f" and {len(using) - 5} more" if len(using) > 5 else "")
        raise DataError(f"The set {name} is used by {some}, which could be shown but not measured further. Delete them first, or force it.")
    _delete(root() / name)
    return using


def _delete(place: Path) -> None:
    # gone from every list in one step, then removed at leisure
    aside = place.with_name(f".deleted-{uuid.uuid4().hex}")
    place.rename(aside)
    shutil.rmtree(aside)
