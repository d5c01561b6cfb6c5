"""What a study is: a family of nets that differ in one thing, what is measured of them, and which claims they are asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from core import data
from core.errors import LabError, unknown
from core.presets import name_of, resolve
from core.recipe import get as recipe_of
from core.run import Run

#: An analysis with its settings.
Ask = tuple[str, dict[str, Any]]
#: Nets to start from, images and recipe of a size.  `mini` trains a net in minutes on a laptop, `full` has the nets of the paper.
SIZES: dict[str, dict[str, Any]] = {
    "mini": {
        "vit": "vit-mini", "conv": "resnet-mini", "hybrid": "alternet-mini", "images": 20_000, "seeds": 1,
        "recipe": ("quick", {"epochs": 6, "batch": 64, "lr": 0.001}),
    },
    "full": {"vit": "vit-ti", "conv": "preresnet-50-3464", "hybrid": "alternet-50", "images": 0, "seeds": 3, "recipe": ("paper", {})},
}  # fmt: skip
#: Epochs over a share of the images: as many steps as over all of them, as far as so many epochs bring them.
MOST_EPOCHS = 100
#: As many mini-batches as the judge asks for.
CURVATURE: Ask = ("hessian", {"phase": "warmup", "images": 640})
#: Keeps the answers to all test images, so that accuracies are compared image by image.
ANSWERS: Ask = ("calibration", {})


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How large a study is, on which images, and with how many seeds (0: as many as its size has)."""

    size: str = "mini"
    data: str = "fashion"
    seeds: int = 0

    def __post_init__(self) -> None:
        """LabError for an unknown size or set of images, or a number of seeds that is none."""
        if self.size not in SIZES:
            raise unknown(LabError, "size of a study", self.size, SIZES)
        if not 0 <= self.seeds <= 10:
            raise LabError(f"A study with {self.seeds} seeds is not offered; 1 to 10 are.")
        data.get(self.data)

    @property
    def count(self) -> int:
        """How many seeds."""
        return self.seeds or SIZES[self.size]["seeds"]

    def base(self, kind: str) -> str:
        """The notation of the net of a kind (vit, conv, hybrid) that the study starts from."""
        return resolve(SIZES[self.size][kind]).notation

    def run(self, arch: str, seed: int, *, share: float = 1.0, **changes: Any) -> Run:
        """The run of a net; `share` of the images with about as many steps as with all, `changes` of the recipe's fields."""
        spec, (name, usual) = data.get(self.data), SIZES[self.size]["recipe"]
        usual = {**usual, **changes}
        if share < 1:
            epochs = recipe_of(name, **usual).epochs
            usual["epochs"] = max(epochs, min(round(epochs / share), MOST_EPOCHS))
        most = SIZES[self.size]["images"]
        limit = most if share == 1 and most < spec.train_n else 0
        arch = resolve(arch).notation
        return Run(
            arch=arch, data=spec.id, recipe=asdict(recipe_of(name, **usual)), seed=seed, fraction=share, limit=limit,
            image_size=spec.image_size, classes=len(spec.classes), name=name_of(arch),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Member:
    """A net of a family: what it is called beside the others, the line it stands in, its place on a numeric axis, and what is measured."""

    label: str
    run: Run
    line: str = ""
    x: float | None = None
    asks: tuple[Ask, ...] = (ANSWERS,)
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A family of nets and the question put to it.

    `family` gives its nets for a setting and a seed; one that grows (`most` nets) looks at what is trained already and gives those that
    are decided, and the next one unless it has `ended`.  `shows` names the measures of the picture (`_told.MEASURES`), `axis` what the
    nets differ in.
    """

    id: str
    title: str
    question: str
    axis: str
    claims: tuple[str, ...]
    family: Callable[[Setting, int], list[Member]]
    shows: tuple[str, ...] = ("accuracy",)
    most: Callable[[Setting], int] | None = None
    ended: Callable[[Setting], bool] = lambda _setting: True
    about: str = ""

    def members(self, setting: Setting) -> list[Member]:
        """The nets in their order, each with all its seeds."""
        each = [self.family(setting, seed) for seed in range(setting.count)]
        return [member for alike in zip(*each, strict=True) for member in alike]

    def rows(self, setting: Setting) -> int:
        """How many nets there can be at most."""
        return setting.count * self.most(setting) if self.most else len(self.members(setting))


def changed(notation: str, **options: Any) -> str:
    """A notation with some of its options replaced."""
    kept = [part for part in notation.split("/") if part.partition("=")[0] not in options]
    return resolve("/".join([*kept, *(f"{name}={value}" for name, value in options.items())])).notation
