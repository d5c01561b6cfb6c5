"""Taking a set in: from a folder of pictures with one subfolder a class, or from a zip of one, to a set under a name (`imported`)."""

import os
import shutil
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.data import imagenet, intake, layout, sources
from core.data.dataset import PHOTO_MEAN, PHOTO_STD
from core.data.imported import PREFIX, inbox, names, report, root
from core.data.intake import Progress
from core.data.picture import NOTES
from core.data.sources import Left, shown
from core.errors import DataError
from core.io import digest, read_json, write_json
from core.params import check, param
from core.run import slug

VERSION = 1  # of what `add` makes of the same files
LONGEST = 40
NORMALISE = ("auto", "own", "imagenet")


@dataclass(frozen=True, kw_only=True)
class Import:
    """How a set is taken in."""

    image_size: int = param(
        0, label="Image size", unit="px", low=0, high=384, origin="the median shorter side of the pictures, at most 224",
        help="Side of the square images, from 32; 0 takes the origin's. Nets can be trained and measured at other sizes too.",
    )  # fmt: skip
    test_share: float = param(
        0.2, label="Share for testing", low=0.0, high=1.0, origin="a common share",
        help="Of every class, where no folders train and test (or val) tell. 1 makes a set for testing only.",
    )  # fmt: skip
    seed: int = param(0, label="Seed of the split", low=0, origin="any number does", help="The same seed, the same test images.")
    crop: float = param(
        1.0, label="Middle share", low=0.1, high=1.0, origin="the whole shorter side",
        help="The middle square's side as a share of the picture's shorter side; many pretrained nets are tested with 0.875.",
    )  # fmt: skip
    smallest: int = param(16, label="Smallest side", unit="px", low=1, origin="half of the smallest images", help="Of pictures taken.")
    normalise: str = param(
        "auto", label="Mean and deviation", choices=NORMALISE, origin="own; ImageNet's where folders are WordNet ids",
        help="own: of this set's training images. imagenet: those that most pretrained nets were trained with.",
    )  # fmt: skip
    same: bool = param(False, label="Keep pictures that are there twice", origin="a net is not tested on what it was trained on")

    def __post_init__(self) -> None:
        """Check types and bounds."""
        check(self, DataError)
        if self.image_size and self.image_size < 32:
            raise DataError(f"image_size is {self.image_size}; it should be from 32 to 384 pixels, or 0 for one that suits the pictures.")
        if self.test_share == 0:
            raise DataError("test_share is 0; it should be above 0, so that there are images to test with.")


def name_of(title: str) -> str:
    """The name that a title gives a set: small letters, digits and dashes.  Raises DataError if the title is empty."""
    if not title.strip():
        raise DataError("The set has no name; give it one, for example: my-pictures.")
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return slug(plain, LONGEST) if any(c.isalnum() for c in plain) else f"set-{digest(title.strip())[:6]}"


def add(source: Path | str, title: str = "", settings: Import | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Take a folder or a zip file in under a name; returns its report, as `report` does.

    progress(done, of, words) in files; what it raises stops the import, and the same call goes on from there, also after a kill.  The
    set appears in one step at the end.  The same pictures under the same name again are told from what is there.  Raises DataError in
    words if nothing can be made of the source, the name is taken, or the disk is too full.
    """
    settings, told = settings or Import(), progress or (lambda done, of, words: None)
    place = Path(source).expanduser().absolute()
    title = " ".join(shown(title).split()) or (place.stem if place.is_file() else place.name)
    name = name_of(title)
    if name in names():
        if asked := _repeated(name, place, settings):
            return asked
        raise DataError(f"There is a set {name!r} already. Take another name, or remove it first: python -m core data remove {name}")
    told(0, 1, "listing files")
    found = sources.look(place)
    request = _request(found, settings)
    part = root() / f".{name}.part"
    with intake.staged(part, request):
        try:
            plan = layout.arrange(found)
            done = _made(found, plan, title, name, settings, part, told)
            if name in names():  # another import was quicker
                raise DataError(f"There is a set {name!r} already. Take another name, or remove it first.")
        except DataError:
            shutil.rmtree(part, ignore_errors=True)  # it would end so again
            raise
        os.rename(done, root() / name)
        shutil.rmtree(part, ignore_errors=True)
    if found.zipped and found.place.parent == inbox().resolve():
        found.place.unlink(missing_ok=True)
    return report(name)


def _request(found: sources.Source, settings: Import) -> dict[str, Any]:
    state = digest(repr((found.items, sorted(found.folders))).encode())  # names may hold what is no text
    return {
        "version": VERSION, "shard": intake.SHARD_BYTES, "source": shown(str(found.place)), "settings": asdict(settings), "state": state,
    }  # fmt: skip


def _made(found: sources.Source, plan: layout.Layout, title: str, name: str, settings: Import, part: Path, told: Progress) -> Path:
    """The finished set in a folder of the staging folder."""
    size = settings.image_size or intake.image_size(found, plan)
    intake.check_disk(part, len(plan.files), size)
    total = len(plan.files) + len(plan.files) // 8 + 1  # putting together takes about an eighth of the time
    shards = intake.decode(found, plan, part, size, settings.smallest, settings.crop, lambda done, of, words: told(done, total, words))
    facts = [fact for shard in shards for fact in intake.facts_of(shard)]
    kept, split, left = intake.choose(plan, facts, same=settings.same, test_share=settings.test_share, seed=settings.seed)
    left = [*plan.left, *left]
    _check(found, kept, split, left, settings)
    labels = np.array([label for _, label, _ in kept.files], np.int64)
    done = part / "set"
    shutil.rmtree(done, ignore_errors=True)
    measured = intake.assemble(
        shards, labels, split, size, done,
        lambda at, of, words: told(len(plan.files) + at * (total - len(plan.files)) // max(1, of), total, words),
    )  # fmt: skip
    card = _card(found, kept, split, title, name, size, settings, measured, done)
    write_json(done / "card.json", card)
    write_json(done / "report.json", _report(card, kept, split, facts, left))
    write_json(done / "files.json", {
        part_name: [[shown(kept.files[i][0].path), facts[i]["width"], facts[i]["height"]] for i in np.flatnonzero(split == code)]
        for code, part_name in ((1, "train"), (2, "test"))
    })  # fmt: skip
    return done


def _check(found: sources.Source, kept: layout.Layout, split: np.ndarray, left: list[Left], settings: Import) -> None:
    """Raise DataError if there is no set in what is left, with the reasons."""
    counts = Counter(row.reason for row in left if row.reason != "empty class")
    examples = {row.reason: f"{shown(row.file)} {row.words}" for row in reversed(left)}
    why = "".join(f" {n:,} left out as {reason}, as {examples[reason]}." for reason, n in counts.most_common(3))
    if len(kept.classes) < 2:
        raise DataError(f"{found.place} holds pictures of {len(kept.classes)} classes that could be taken; there should be two.{why}")
    if not (split == 2).any():
        raise DataError(f"{found.place} holds {int((split == 1).sum())} pictures; that is too few to keep some for testing.{why}")
    if not (split == 1).any() and settings.test_share < 1:
        raise DataError(f"{found.place} holds no pictures for training that could be taken.{why}")


def _card(
    found: sources.Source, kept: layout.Layout, split: np.ndarray, title: str, name: str, size: int, settings: Import,
    measured: tuple[list[float], list[float]], done: Path,
) -> dict[str, Any]:  # fmt: skip
    """What the set is: everything that a DatasetSpec needs, and where it comes from."""
    wnids = imagenet.are_wnids(kept.classes)
    photo = settings.normalise == "imagenet" or (settings.normalise == "auto" and wnids)
    mean, std = (PHOTO_MEAN, PHOTO_STD) if photo else measured
    std = [max(value, 0.01) for value in std]  # one colour everywhere would divide by nothing
    classes = imagenet.titles(kept.classes) if wnids else kept.classes
    digests = [read_json(done / part / "digest.json") for part in ("train", "test")]
    content = digest([size, list(classes), digests, list(mean), list(std)])
    return {
        "id": f"{PREFIX}{name}@{content[:8]}", "name": name, "title": title, "classes": list(classes), "folders": list(kept.classes),
        "image_size": size, "train_n": int((split == 1).sum()), "test_n": int((split == 2).sum()), "mean": list(mean), "std": list(std),
        "measured": {"mean": measured[0], "std": measured[1]}, "normalised": "imagenet" if photo else "own", "digests": digests,
        "split": "folders" if kept.by_folder else "drawn", "outputs": imagenet.outputs(kept.classes), "content": content,
        "source": shown(str(found.place)), "settings": asdict(settings), "request": _request(found, settings),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _report(card: dict[str, Any], kept: layout.Layout, split: np.ndarray, facts: list[dict[str, Any]], left: list[Left]) -> dict[str, Any]:
    """Counts by reason, and a row for each file that was left out or changed."""
    rows = [{"file": shown(r.file), "outcome": "left out", "reason": r.reason, "words": r.words} for r in left]
    for i in np.flatnonzero(split):
        for note in facts[i]["notes"]:
            rows.append({"file": shown(kept.files[i][0].path), "outcome": "changed", "reason": note, "words": f"is {NOTES[note]}"})
    train = np.bincount([kept.files[i][1] for i in np.flatnonzero(split == 1)], minlength=len(kept.classes))
    test = np.bincount([kept.files[i][1] for i in np.flatnonzero(split == 2)], minlength=len(kept.classes))
    counted = {outcome: Counter(row["reason"] for row in rows if row["outcome"] == outcome) for outcome in ("left out", "changed")}
    return {
        "id": card["id"], "name": card["name"], "title": card["title"], "image_size": card["image_size"], "train_n": card["train_n"],
        "test_n": card["test_n"], "left_out_n": counted["left out"].total(), "left_out": dict(counted["left out"].most_common()),
        "changed": dict(counted["changed"].most_common()),
        "classes": [{"class": c, "train": int(a), "test": int(b)} for c, a, b in zip(card["classes"], train, test, strict=True)],
        "rows": rows,
    }  # fmt: skip


def _repeated(name: str, place: Path, settings: Import) -> dict[str, Any] | None:
    """The report of a set that was made of the same request: a job that was killed after its last step, and began again."""
    card = read_json(root() / name / "card.json")
    if not place.exists():
        return report(name) if card["source"] == shown(str(place.resolve())) and card["settings"] == asdict(settings) else None
    return report(name) if card["request"] == _request(sources.look(place), settings) else None
