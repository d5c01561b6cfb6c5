"""A study of three tiny nets on few images, and one of two that shares a net with it."""

from __future__ import annotations

from core import studies
from core.studies import Member, Setting, Study
from core.studies._family import ANSWERS, SIZES

SIZE = {"vit": "mm/stem=patch8/width=16", "conv": "cc/width=8", "hybrid": "cm/width=8", "images": 320, "seeds": 1,
        "recipe": ("quick", {"epochs": 3, "batch": 32})}  # fmt: skip
SETTING = {"size": "tiny", "data": "fashion", "seeds": 1}
KINDS = ("conv", "hybrid", "vit")


def _family(*kinds: str):
    def family(setting: Setting, seed: int) -> list[Member]:
        return [Member(label=kind, run=setting.run(setting.base(kind), seed), asks=(ANSWERS,)) for kind in kinds]

    return family


STUDIES = {
    name: Study(id=name, title=name.title(), question="Which?", axis="Net", claims=claims, family=_family(*kinds))
    for name, kinds, claims in (("three", KINDS, ("A4",)), ("two", ("conv", "vit"), ()))
}  # fmt: skip


def register() -> None:
    """Make them known, as a file of each would."""
    SIZES["tiny"] = SIZE
    studies.catalogue().update(STUDIES)


def forget() -> None:
    """The lab as it was."""
    SIZES.pop("tiny", None)
    for name in STUDIES:
        studies.catalogue().pop(name, None)
