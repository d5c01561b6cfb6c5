"""A folder of pictures, or a zip of one, as a plain list of files; what must not be followed or opened is left out with its reason."""

import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.data import archive
from core.data.picture import Unfit
from core.errors import DataError

MOST_FILES, DEEPEST = 2_000_000, 10
_ASIDE = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")


@dataclass(frozen=True)
class Left:
    """A file or folder that is left out: its path from the top, a reason for counting, and words that go on after its name."""

    file: str
    reason: str
    words: str


@dataclass(frozen=True)
class Item:
    """A file: its path from the top with slashes, its size in bytes, and what changes when its content does."""

    path: str
    size: int
    state: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """What lies in `place`, a folder or a zip file: files in order of their paths, folders, and what is left out."""

    place: Path
    zipped: bool
    items: tuple[Item, ...]
    folders: frozenset[str]
    left: tuple[Left, ...]


def shown(name: str) -> str:
    """A file's name as it may stand on a screen: composed, and without what cannot be printed."""
    text = unicodedata.normalize("NFC", name)
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def parts(path: str) -> tuple[str, ...]:
    """The names in a path; files are sorted by these."""
    return tuple(path.split("/"))


def look(place: Path) -> Source:
    """What lies in a folder or a zip file.  Raises DataError in words if it is neither."""
    if place.is_dir():
        return _folder(place.resolve())
    if not place.is_file():
        raise DataError(f"There is no folder and no zip file {shown(str(place))[:200]!r}; give the whole path of one.")
    found, left = archive.contents(place)
    items, folders, aside = [], set(), [Left(*row) for row in left]
    for name, size, state in found:
        names = parts(name.rstrip("/"))
        if why := _refused(names, name.endswith("/")):
            aside.append(Left(name, *why))
            continue
        folders.update("/".join(names[:n]) for n in range(1, len(names)))
        if name.endswith("/"):
            folders.add(name.rstrip("/"))
        else:
            items.append(Item(name, size, state))
    return _source(place.resolve(), True, items, folders, aside)


def _source(place: Path, zipped: bool, items: list[Item], folders: set[str], left: list[Left]) -> Source:
    in_order = tuple(sorted(items, key=lambda item: parts(item.path)))
    return Source(place=place, zipped=zipped, items=in_order, folders=frozenset(folders), left=tuple(left))


def _refused(names: tuple[str, ...], folder: bool) -> tuple[str, str] | None:
    """Why a file or folder of this name is not looked at."""
    if any(name.startswith(".") or name.lower() in _ASIDE for name in names):
        return "hidden", "is hidden or of the system"
    if len(names) > DEEPEST + (not folder):
        return "deep", f"lies more than {DEEPEST} folders deep"
    if not folder and names[-1].lower().endswith(ARCHIVES):
        return "archive", "is an archive, which is not opened; unpack it"
    return None


def _folder(root: Path) -> Source:
    items: list[Item] = []
    folders: set[str] = set()
    left: list[Left] = []
    waiting = [""]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(root / here), key=lambda entry: entry.name)
        except OSError as error:
            left.append(Left(here or ".", "unreadable", f"cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            names = parts(path)
            if why := _refused(names, entry.is_dir(follow_symlinks=False)) or _linked(entry, root):
                left.append(Left(path, *why))
            elif entry.is_dir():
                folders.add(path)
                waiting.append(path)
            else:
                try:
                    state = entry.stat()
                except OSError as error:
                    left.append(Left(path, "unreadable", f"cannot be read: {error.strerror}"))
                    continue
                if stat.S_ISREG(state.st_mode):
                    items.append(Item(path, state.st_size, state.st_mtime_ns))
                else:
                    left.append(Left(path, "no file", "is no file but a pipe, a socket or a device"))
        if len(items) > MOST_FILES:
            raise DataError(f"{root} holds more than {MOST_FILES:,} files; that is more than the lab reads.")
    return _source(root, False, items, folders, left)


def _linked(entry: os.DirEntry, root: Path) -> tuple[str, str] | None:
    if not entry.is_symlink():
        return None
    if not os.path.exists(entry.path):  # also of links that lead to one another, at which is_dir and resolve raise
        return "link", "cannot be read: it is a link that ends nowhere"
    if entry.is_dir() or not Path(entry.path).resolve().is_relative_to(root):
        return "link", f"is a link to a folder or out of {root}; put the pictures themselves there"
    return None


@contextmanager
def opened(source: Source) -> Iterator[Callable[[Item], BinaryIO]]:
    """A function that opens a file of the source (also from several threads); what it cannot open it raises as Unfit."""
    if source.zipped:
        with archive.opened(source.place) as unpack:
            yield lambda item: unpack(item.path)
        return

    def get(item: Item) -> BinaryIO:
        try:
            return (source.place / item.path).open("rb")
        except OSError as error:
            raise Unfit("unreadable", f"cannot be read: {error.strerror}") from error

    yield get
