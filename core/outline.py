"""A net that is not written in the lab's notation (a timm model): its units as pages see them, without torch."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import SpecError
from core.unit import BLOCKS, FOREIGN, Unit

#: How much of a net could be read.  `units`: every residual branch, nothing is left out.  `blocks`: whole blocks, none of which can be
#: switched off.  `logits`: only its answers.
LEVELS = ("units", "blocks", "logits")
NAME = re.compile(r"timm:[a-z0-9_-]{1,80}(\.[a-z0-9_]{1,60})?")
_MOST_UNITS = 1_000


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A net built by somebody else: `name` (`timm:resnet18`), the image size it was read at, its units and its cost.

    `flops` are 2 x multiply-adds of one image forward.  `why` says in a sentence what keeps a net from level `units`; `prefix` counts
    tokens that have no place on the map.  `scores` is how many classes its head tells apart; `outputs` are those of them that stand for
    the classes of the images, where the head knows more.  `mean` and `std` are what it wants its images normalised with, () for what
    the images have.  `weights` says where its weights came from; `digest`, that of the stored file, is part of a run's identity.
    """

    name: str
    image_size: int
    units: tuple[Unit, ...]
    parameters: int
    flops: int
    level: str = "units"
    why: str = ""
    prefix: int = 0
    scores: int = 0
    outputs: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    weights: str = "random"
    digest: str = ""

    @property
    def notation(self) -> str:
        """What stands in the place of a notation: its name."""
        return self.name

    @property
    def head(self) -> str:
        """`cls` where tokens without a place travel along, else `gap`, as in a notation."""
        return "cls" if self.prefix else "gap"

    @property
    def letters(self) -> str:
        """The letters of its units."""
        return "".join(unit.letter for unit in self.units)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads."""
        return asdict(self) | {"units": [asdict(unit) for unit in self.units]}

    @classmethod
    def from_json(cls, values: Any) -> "Outline":
        """The outline that `to_json` wrote; SpecError in words for anything else."""
        if not isinstance(values, dict) or set(values) != {field.name for field in fields(cls)}:
            raise SpecError("This is not the outline of a net; import the net again.")
        units = values["units"]
        if not isinstance(units, list | tuple) or len(units) > _MOST_UNITS:
            raise SpecError(f"The outline of a net should list its units, at most {_MOST_UNITS}.")
        lists = {name: _numbers(name, values[name]) for name in ("outputs", "mean", "std")}
        made = cls(**{**values, **lists, "units": tuple(_unit(given) for given in units)})
        sound = (
            isinstance(made.name, str) and NAME.fullmatch(made.name) and made.level in LEVELS
            and all(isinstance(text, str) and len(text) <= 1_000 for text in (made.why, made.weights, made.digest))
            and all(type(n) is int and 0 < n < 10**16 for n in (made.image_size, made.parameters, made.flops, made.scores))
            and type(made.prefix) is int and 0 <= made.prefix <= 1_000
            and all(type(n) is int and n < made.scores for n in made.outputs) and len(made.mean) == len(made.std) and all(made.std)
            and [unit.depth for unit in made.units] == sorted(unit.depth for unit in made.units)
        )  # fmt: skip
        if not sound:
            raise SpecError(f"The outline of {str(values.get('name'))[:80]!r} holds values that no net has; import the net again.")
        return made


def _numbers(name: str, given: Any) -> tuple[Any, ...]:
    """A short list of numbers from 0 on."""
    good = isinstance(given, list | tuple) and len(given) <= 100_000 and all(type(n) in (int, float) and 0 <= n <= 10**6 for n in given)
    if not good:
        raise SpecError(f"The outline's {name} is {str(given)[:40]!r}; it should be a list of numbers.")
    return tuple(given)


def _unit(given: Any) -> Unit:
    """One unit, its values of the right type and in bounds."""
    kinds = {field.name: field.type for field in fields(Unit)}
    if not isinstance(given, dict) or set(given) != set(kinds):
        raise SpecError("A unit of the outline has other fields than a unit has; import the net again.")
    for name, kind in kinds.items():
        value = given[name]
        good = (
            isinstance(value, str) and len(value) <= 40 if kind is str
            else isinstance(value, bool) if kind is bool
            else type(value) in ((int, float) if kind is float else (int,)) and 0 <= value <= 10**6
        )  # fmt: skip
        if not good:
            raise SpecError(f"A unit of the outline has {name} {str(value)[:40]!r}; import the net again.")
    known = BLOCKS | FOREIGN
    if given["letter"] not in known or not 0 <= given["depth"] <= 1 or given["kind"] not in {block.kind for block in known.values()}:
        raise SpecError(f"A unit of the outline is {given['letter'][:4]!r} at depth {given['depth']}; import the net again.")
    return Unit(**given)
