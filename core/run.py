"""What was trained: architecture, images, recipe and seed.  The same answers to these are the same run."""

import dataclasses
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from core import words
from core.errors import SpecError, StoreError, TrainError
from core.io import digest
from core.outline import Outline
from core.presets import name_of
from core.recipe import Recipe
from core.spec import Architecture, parse

ID = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,119}")


def slug(text: str, longest: int) -> str:
    """Lower-case letters, digits and dashes of a text, at most `longest`; `x` if nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:longest].strip("-") or "x"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training, before, while and after it is done.  `name` is only its label; all other fields make its identity.

    `arch` is a notation, `data` a data set's id, `recipe` the fields of a Recipe, `fraction` the share of training images
    in (0, 1], `limit` the largest number of them (0 is no limit), `image_size` in pixels.  For an imported net `arch` is its name and
    `outline` what Outline.to_json says of it.

    Raises TrainError in words on a field out of bounds.
    """

    arch: str
    data: str
    recipe: dict[str, Any]
    seed: int = 0
    fraction: float = 1.0
    limit: int = 0
    image_size: int = 32
    classes: int = 10
    outline: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        """Check types and bounds; whole numbers given as `fraction` become floats, so that 1 and 1.0 are one run."""
        for name, kind in (("arch", str), ("data", str), ("name", str), ("recipe", dict), ("outline", dict)):
            if not isinstance(getattr(self, name), kind):
                raise TrainError(f"The run's {name} is {getattr(self, name)!r:.60}; it should be of type {kind.__name__}.")
        for name, low, high in (("seed", 0, 2**63 - 1), ("limit", 0, 2**40), ("image_size", 1, 4096), ("classes", 1, 1_000_000)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise TrainError(f"The run's {name} is {value!r:.60}; it should be a whole number from {low} to {high}.")
        if isinstance(self.fraction, bool) or not isinstance(self.fraction, int | float) or not 0 < self.fraction <= 1:
            raise TrainError(f"The run's fraction is {self.fraction!r:.60}; it should be a share of the images above 0 and at most 1.")
        object.__setattr__(self, "fraction", float(self.fraction))
        if not self.arch or not self.data:
            raise TrainError("The run names no architecture or no images; it should name both.")
        try:  # one net, one text: otherwise the same net written in two ways would be two runs
            object.__setattr__(self, "arch", self.plan.notation)
        except SpecError as error:
            raise TrainError(f"The run's arch cannot be built: {error}") from None
        if isinstance(self.plan, Outline) and self.plan.image_size != self.image_size:
            raise TrainError(f"{self.arch} was read at {self.plan.image_size} pixels; the run says {self.image_size}.")

    @cached_property
    def plan(self) -> Architecture | Outline:
        """The architecture that the notation describes, or the outline of an imported net.  SpecError if it is neither."""
        return Outline.from_json(self.outline) if self.outline else parse(self.arch)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the identity: every field but the label; of the recipe, what differs from the default.

        So a recipe's name makes no other run, nor does a field that a later version adds.
        """
        facts = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("name", "outline")}
        if self.outline:  # what was imported, not how the lab reads it today
            facts["weights"] = self.outline["digest"]
            if self.recipe:  # all of it may be at its default, and yet the net is no longer as it came
                facts["tuned"] = True
        usual = dataclasses.asdict(Recipe())
        facts["recipe"] = {k: v for k, v in self.recipe.items() if k != "name" and (k not in usual or v != usual[k])}
        return digest(facts)

    @property
    def id(self) -> str:
        """`<preset or letters>-<data>-s<seed>-<8 hex of the identity>`: readable, unique, safe as a folder name."""
        label = slug(name_of(self.arch) or self.arch.partition("/")[0], 48)
        images = slug(self.data.rstrip("/").rpartition("/")[2], 32)
        return f"{label}-{images}-s{self.seed}-{self.digest[:8]}"

    @property
    def origin(self) -> "Run":
        """The run as it was imported, whose weights a fine-tuning starts from."""
        return dataclasses.replace(self, recipe={}, seed=0, fraction=1.0, limit=0, name="")

    def to_json(self) -> dict[str, Any]:
        """What run.json holds."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "outline" or value}

    @classmethod
    def from_json(cls, values: Any) -> "Run":
        """The run that `to_json` wrote.  StoreError in words if it is none."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or not {"arch", "data", "recipe"} <= set(values):
            raise StoreError("This is not the description of a run: it should hold arch, data and recipe.")
        if extra := sorted(set(values) - known):
            raise StoreError(
                f"The run has an unknown field {extra[0]!r:.60}; it may be of a newer version. Known: {', '.join(sorted(known))}."
            )
        try:
            return cls(**values)
        except TrainError as error:
            raise StoreError(str(error)) from None


def title(run: Run, unnamed: str = "Yours") -> str:
    """The name of a net on screen; a seed other than 0 and a part of the images are said."""
    extra = [f"seed {run.seed}"] if run.seed else []
    extra += [f"{words.percent(run.fraction, 0)} of the images"] if run.fraction < 1 else []
    name = run.name or name_of(run.arch) or unnamed
    return f"{name} ({', '.join(extra)})" if extra else name
