"""What a study is: a family of nets that differ in one thing, what is measured of them, and which claims they are asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from core import analyses, data, words
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
        "recipe": ("quick", {"epochs": 5, "batch": 64, "lr": 0.001}),
    },
    "full": {"vit": "vit-ti", "conv": "preresnet-50-3464", "hybrid": "alternet-50", "images": 0, "seeds": 3, "recipe": ("paper", {})},
}  # fmt: skip
#: Epochs over few images: about as many steps as over all that the mini size takes, as far as so many epochs bring them.
MOST_EPOCHS = 100
#: The nets of both sizes are made for images of so many pixels; others are resized, and shifted by the paper's 4 pixels.
SIDE, SHIFT = 32, 4
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

    @property
    def images(self) -> int:
        """How many training images a net sees that is given all of the study's."""
        most, whole = SIZES[self.size]["images"], data.get(self.data).train_n
        return min(most, whole) if most else whole

    def base(self, kind: str) -> str:
        """The notation of the net of a kind (vit, conv, hybrid) that the study starts from."""
        return resolve(SIZES[self.size][kind]).notation

    def run(self, arch: str, seed: int, *, share: float = 1.0, **changes: Any) -> Run:
        """The run of a net on a `share` of the study's images; `changes` are those of the recipe's fields.

        In the mini size few images are seen so often that steps, and those of the warm-up, stay about as many (MOST_EPOCHS).
        """
        spec, (name, usual) = data.get(self.data), SIZES[self.size]["recipe"]
        few, most = round(share * self.images), SIZES[self.size]["images"]
        usual = {**usual, **({} if spec.image_size == SIDE else {"pad": SHIFT}), **changes}
        if few < most:
            plain = recipe_of(name, **usual)
            epochs = min(round(plain.epochs * most / few), MOST_EPOCHS) if few else MOST_EPOCHS
            usual |= {"epochs": epochs, "warmup": round(plain.warmup * epochs / plain.epochs)}
        arch = resolve(arch).notation
        return Run(
            arch=arch, data=spec.id, recipe=asdict(recipe_of(name, **usual)), seed=seed,
            fraction=share * self.images / spec.train_n if share < 1 else 1.0, limit=0 if share < 1 or most >= spec.train_n else most,
            image_size=SIDE, classes=len(spec.classes), name=name_of(arch),
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
        """The nets in their order, each with all its seeds.  LabError if the set has too few images for one of them."""
        each = [self.family(setting, seed) for seed in range(setting.count)]
        found = [member for alike in zip(*each, strict=True) for member in alike]
        for member in found:
            if (have := images_of(member.run)) < (least := _least(member)):
                raise LabError(
                    f"{self.title}: {words.some(have, 'training image')} of {data.get(setting.data).title} "
                    f"would be too few; {words.count(least)} are needed. Choose a larger set of images."
                )
        return found

    def rows(self, setting: Setting) -> int:
        """How many nets there can be at most."""
        return setting.count * self.most(setting) if self.most else len(self.members(setting))


def images_of(run: Run) -> int:
    """How many training images a run sees."""
    many = round(data.get(run.data).train_n * run.fraction)
    return min(many, run.limit) if run.limit else many


def _least(member: Member) -> int:
    """Training images without which a net cannot be trained on every class, or cannot be measured."""
    asked = [analyses.get(name).params(**settings) for name, settings in member.asks]
    drawn = [params.images for params in asked if getattr(params, "on", "test") == "train"]
    return max([member.run.recipe["batch"], member.run.classes, *drawn])


def changed(notation: str, **options: Any) -> str:
    """A notation with some of its options replaced."""
    kept = [part for part in notation.split("/") if part.partition("=")[0] not in options]
    return resolve("/".join([*kept, *(f"{name}={value}" for name, value in options.items())])).notation
