"""Which class and which split a file belongs to, from the names of its folders alone."""

from dataclasses import dataclass

from core import words
from core.data.sources import Item, Left, Source, parts, shown
from core.errors import DataError

MOST_CLASSES = 10_000
TRAINING, HELD_OUT = ("train", "training"), ("test", "testing", "val", "valid", "validation")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Class names in order; for each file (sorted by split, class, path) its label and split, "" if no folder tells; what is left out.

    `base` is the folder that holds the class folders, for messages.
    """

    base: str
    classes: tuple[str, ...]
    files: tuple[tuple[Item, int, str], ...]
    left: tuple[Left, ...]

    @property
    def by_folder(self) -> bool:
        """Whether folders tell the splits."""
        return any(split for _, _, split in self.files)


def arrange(source: Source) -> Layout:
    """Classes and splits of what was found.

    A single folder around everything is looked through.  With a folder `train` and one of `test` or `val`, these are the splits; with
    one of them alone, it is the set.  Raises DataError if there are not two classes, or two differ only in capitals.
    """
    top = _wrapped(source)
    held = _below(source, top)
    names = {name.lower(): name for name in held}
    train = next((names[n] for n in TRAINING if n in names), None)
    test = next((names[n] for n in HELD_OUT if n in names), None)
    if train is None and len(held) == 1 and test is not None:
        train, test = test, None
    base = top if train is None else _join(top, train)
    splits = {base: "train", _join(top, test): "test"} if train is not None and test is not None else {base: ""}
    return _read(source, base, splits)


def _wrapped(source: Source) -> str:
    """The folder that everything stands in: the top, or a single folder in it that holds folders and no files."""
    top = ""
    for _ in range(2):
        inside = _below(source, top)
        if len(inside) != 1 or inside[0].lower() in (*TRAINING, *HELD_OUT):
            break
        inner = _join(top, inside[0])
        if len(_below(source, inner)) < 1 or _has_files(source, inner):
            break
        top = inner
    return top


def _below(source: Source, folder: str) -> list[str]:
    """Names of the folders right below a folder, in order."""
    depth, start = (len(parts(folder)), folder + "/") if folder else (0, "")
    return sorted(parts(f)[depth] for f in source.folders if f.startswith(start) and len(parts(f)) == depth + 1)


def _has_files(source: Source, folder: str) -> bool:
    return any(item.path.rpartition("/")[0] == folder for item in source.items)


def _join(top: str, name: str) -> str:
    return f"{top}/{name}" if top else name


def _read(source: Source, base: str, splits: dict[str, str]) -> Layout:
    known: dict[str, str] = {}  # what a class is called -> the same in small letters
    for folder in splits:
        known.update({shown(name): shown(name).casefold() for name in _below(source, folder)})
    if len(set(known.values())) < len(known):
        twins = sorted(n for n, key in known.items() if list(known.values()).count(key) > 1)
        raise DataError(f"The class folders {twins[0]!r} and {twins[1]!r} differ only in capitals; give them one name, or two.")
    classes = tuple(sorted({shown(name) for name in _below(source, base)}))
    if not 2 <= len(classes) <= MOST_CLASSES:
        where = _join(str(source.place), base) if base else str(source.place)
        loose = sum(item.path.rpartition("/")[0] == base for item in source.items)
        flat = f" {words.some(loose, 'file lies', 'files lie')} in it side by side: sort them into such folders." if loose else ""
        raise DataError(f"{where} holds {len(classes)} folders; it should hold one for each class, from 2 to {MOST_CLASSES:,}.{flat}")
    labels = {name: label for label, name in enumerate(classes)}
    deep = len(parts(base)) if base else 0
    files: list[tuple[Item, int, str]] = []
    left = list(source.left)
    for item in source.items:
        names = parts(item.path)
        folder = "/".join(names[:deep]) if deep else ""
        if folder not in splits or len(names) < deep + 2:
            where = "in no class folder" if folder in splits else "beside the folders that are used"
            left.append(Left(item.path, "stray", f"lies {where}"))
        elif (name := shown(names[deep])) not in labels:
            left.append(Left(item.path, "untrained", f"is of the class {name!r}, which {base} has not"))
        else:
            files.append((item, labels[name], splits[folder]))
    files.sort(key=lambda f: (f[2] == "test", f[1], parts(f[0].path)))
    full = {label for _, label, split in files if split != "test"}
    left += [Left(_join(base, name), "empty class", "holds no files") for name, label in labels.items() if label not in full]
    return Layout(base=base, classes=classes, files=tuple(files), left=tuple(left))
