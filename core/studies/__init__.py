"""Studies: families of nets that differ in one thing, trained, measured and judged together; one file each.

    _family.py   Setting, Member, Study           _told.py   table, verdicts and cost of a family
    _work.py     trains and measures one net      every other file: one study, as data

A study keeps nothing of its own: its nets are runs like any other, and its table is read from what is stored of them.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from functools import cache

from core.errors import LabError, unknown
from core.studies._family import SIZES, Member, Setting, Study
from core.studies._told import MEASURES, Cost, cost, state, table, verdicts

__all__ = ["MEASURES", "SIZES", "Cost", "Member", "Setting", "Study", "catalogue", "cost", "get", "state", "table", "verdicts"]
#: the order on screen: the paper's
ORDER = (
    "buildup", "placement", "few_images", "few_images_vit", "kernel", "specificity", "tokens", "heads", "patch", "width", "augmentation",
    "sam", "seeds",
)  # fmt: skip


@cache
def catalogue() -> dict[str, Study]:
    """Every study by id, in the order on screen; the id is the file's name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_"):  # _work loads torch
            module = importlib.import_module(f"{__name__}.{info.name}")
            found[info.name] = dataclasses.replace(module.STUDY, about=(module.__doc__ or "").strip())
    return dict(sorted(found.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)))


def get(study_id: str) -> Study:
    """One study; LabError lists the known ones."""
    if study_id not in catalogue():
        raise unknown(LabError, "study", study_id, catalogue())
    return catalogue()[study_id]
