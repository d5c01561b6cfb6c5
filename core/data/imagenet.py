"""ImageNet's 1,000 classes: which outputs of a pretrained net are the classes of a set.

The list of WordNet ids (n01440764, …) and their names is timm's, read from its files so that neither timm nor torch is imported.
"""

import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from core.errors import DataError

OUTPUTS = 1000
_WNID = re.compile(r"n\d{8}")


def _lines(name: str) -> list[str]:
    found = importlib.util.find_spec("timm")
    places = list(found.submodule_search_locations or []) if found else []
    path = Path(places[0], "data", "_info", name) if places else Path(name)
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"The list of ImageNet's classes is not where timm keeps it ({path}). Install timm again.") from error


@cache
def wnids() -> tuple[str, ...]:
    """The WordNet ids of the 1,000 outputs, in order.  Raises DataError if timm's list is missing."""
    found = tuple(_lines("imagenet_synsets.txt"))
    if len(found) != OUTPUTS:
        raise DataError(f"timm lists {len(found)} classes of ImageNet; there should be {OUTPUTS}. Install timm again.")
    return found


@cache
def words() -> tuple[tuple[str, ...], ...]:
    """The names of each output, the usual one first."""
    known = dict(line.split("\t")[:2] for line in _lines("imagenet_synset_to_lemma.txt") if "\t" in line)
    return tuple(tuple(name.strip() for name in known.get(wnid, wnid).split(",")) for wnid in wnids())


@cache
def _outputs() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {wnid: [i] for i, wnid in enumerate(wnids())}
    for i, names in enumerate(words()):
        for name in {_plain(name) for name in names}:
            found.setdefault(name, []).append(i)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def are_wnids(classes: Sequence[str]) -> bool:
    """Whether all class names are WordNet ids of the 1,000 classes."""
    return bool(classes) and all(_WNID.fullmatch(name) for name in classes) and set(classes) <= set(wnids())


def outputs(classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each class its output among the 1,000, by WordNet id or by name; None unless each has exactly one of its own."""
    found = [_outputs().get(name if _WNID.fullmatch(name) else _plain(name), []) for name in classes]
    if not found or any(len(places) != 1 for places in found):
        return None
    chosen = tuple(places[0] for places in found)
    return chosen if len(set(chosen)) == len(chosen) else None


def titles(classes: Sequence[str]) -> tuple[str, ...]:
    """The usual names of WordNet ids, with the id where two would be called the same."""
    names = [words()[wnids().index(wnid)][0] for wnid in classes]
    return tuple(f"{name} ({wnid})" if names.count(name) > 1 else name for name, wnid in zip(names, classes, strict=True))
