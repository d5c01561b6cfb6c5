"""A network as a sequence of residual units, and the text that writes it.

    ccwccw-ccmccm/width=32,64/heads=1,2/window=4,8

Stages are parted by `-`, one letter is one unit, options follow after `/`.  A list gives one value a stage.

    c conv (basic)    m MSA over the whole map     x mix: learned, fixed spatial weights (Mixer)
    b bottleneck      w windowed MSA               t MLP
    d depthwise conv  s windowed MSA, shifted      p pool: a fixed blur, nothing learned
    g patch merging   l local K x K MSA            o none: an empty slot

The first unit of stage 2, 3, ... halves the map, which only c, b, d and g can do.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from core.errors import SpecError
from core.outline import Outline
from core.unit import BLOCKS as BLOCKS
from core.unit import STRIDED as STRIDED
from core.unit import WORDS as WORDS
from core.unit import Block as Block
from core.unit import Unit as Unit

MAX_NOTATION = 512
MAX_UNITS = 160
MAX_PAIRS = 2**24  # queries x keys of one unit: 4,096 positions that all see each other


@dataclass(frozen=True, kw_only=True)
class Stem:
    """How pixels become the first map: total stride and a word."""

    stride: int
    words: str


STEMS: dict[str, Stem] = {
    "conv3": Stem(stride=1, words="3x3 conv"),
    "conv3s2": Stem(stride=2, words="3x3 conv, stride 2"),
    "conv2": Stem(stride=4, words="two 3x3 convs, stride 2 each"),
    "conv7": Stem(stride=4, words="7x7 conv, stride 2, and max-pool"),
    **{f"patch{p}": Stem(stride=p, words=f"patches of {p}x{p}") for p in (1, 2, 4, 8, 16)},
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Units at one resolution.  `window` and `kernel` are in map positions."""

    letters: str
    width: int
    heads: int
    window: int = 4
    kernel: int = 3


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A whole network.  Every option has a place in the notation.

    `pos`: abs (a table added after the stem), rel (a bias in every MSA) or none.  `msa`: prenorm (ViT) or
    bottleneck (AlterNet's pre-activation form).  `dim_head` 0 means width / heads.  `bias`: of q, k, v.
    """

    stages: tuple[Stage, ...]
    stem: str = "conv3s2"
    stem_width: int = 0
    pos: str = "rel"
    msa: str = "prenorm"
    mlp: int = 4
    head: str = "gap"
    dim_head: int = 0
    bias: bool = True

    @property
    def letters(self) -> str:
        """All unit letters without stage marks."""
        return "".join(stage.letters for stage in self.stages)

    @property
    def first_width(self) -> int:
        """Channels after the stem."""
        return self.stem_width or self.stages[0].width

    @cached_property
    def notation(self) -> str:
        """The shortest text that `parse` reads back into this architecture."""
        return write(self)

    def stages_text(self) -> str:
        """Only the letters, stages parted by `-`."""
        return "-".join(stage.letters for stage in self.stages)


_LISTS = {"width": (8, 4096), "heads": (1, 64), "window": (2, 64), "kernel": (2, 31)}
_NUMBERS = {"stem_width": (8, 1024), "mlp": (1, 8), "dim_head": (8, 256)}
_CHOICES = {
    "stem": tuple(STEMS),
    "pos": ("abs", "rel", "none"),
    "msa": ("prenorm", "bottleneck"),
    "head": ("gap", "cls"),
    "bias": ("0", "1"),
}
_OPTIONS = (*_LISTS, *_NUMBERS, *_CHOICES)


def _defaults(count: int, stem: str) -> dict[str, Any]:
    widths = tuple(32 * 2 ** min(i, 6) for i in range(count))
    return {"width": widths, "window": (4,) * count, "kernel": (3,) * count, "pos": "abs" if stem.startswith("patch") else "rel"}


def usual_heads(width: int) -> int:
    """32 channels a head, or the next fewer heads that divide the width."""
    return next(heads for heads in range(max(1, width // 32), 0, -1) if width % heads == 0)


def parse(text: str) -> Architecture:
    """The architecture that a notation describes.

    Raises SpecError naming the place.  Accepts hostile text: it is bounded before it is read.
    """
    if not isinstance(text, str) or not text.strip():
        raise SpecError("The notation is empty. Write one letter a unit, for example ccwccw-ccmccm.")
    text = text.strip()
    if len(text) > MAX_NOTATION:
        raise SpecError(f"The notation has {len(text)} characters; at most {MAX_NOTATION} are read.")
    if not re.fullmatch(r"[a-z0-9_=,/-]+", text):
        odd = next(ch for ch in text if not re.match(r"[a-z0-9_=,/-]", ch))
        raise SpecError(f"The notation holds {odd!r}; it is written in small letters, digits and - / = , _ only.")
    body, *parts = text.split("/")
    groups = body.split("-")
    for i, group in enumerate(groups, 1):
        if not group:
            raise SpecError(f"Stage {i} is empty. Write one letter a unit between the dashes.")
        for j, letter in enumerate(group, 1):
            if letter not in BLOCKS:
                known = ", ".join(f"{key} {WORDS[key]}" for key in BLOCKS)
                raise SpecError(f"Stage {i}, unit {j} is {letter!r}, which is no kind of unit. Known: {known}.")
    given = _options(parts, len(groups))
    stem = str(given.get("stem", "conv3s2"))
    values = {**_defaults(len(groups), stem), **given}
    widths = values["width"]
    heads = given.get("heads", tuple(map(usual_heads, widths)))
    stages = tuple(
        Stage(letters=g, width=int(w), heads=int(h), window=int(win), kernel=int(k))
        for g, w, h, win, k in zip(groups, widths, heads, values["window"], values["kernel"], strict=True)
    )
    arch = Architecture(
        stages=stages,
        stem=stem,
        stem_width=int(given.get("stem_width", 0)),
        pos=str(values["pos"]),
        msa=str(given.get("msa", "prenorm")),
        mlp=int(given.get("mlp", 4)),
        head=str(given.get("head", "gap")),
        dim_head=int(given.get("dim_head", 0)),
        bias=given.get("bias", "1") == "1",
    )
    check(arch)
    # widths that equal the stem's say nothing new: one architecture, one text
    return replace(arch, stem_width=0) if arch.stem_width == arch.stages[0].width else arch


def _options(parts: list[str], count: int) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in _OPTIONS:
            raise SpecError(f"There is no option {name!r}. Known: {', '.join(_OPTIONS)}.")
        if name in given:
            raise SpecError(f"The option {name} is given twice; keep one.")
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise SpecError(f"{name} is {value!r}; it should be one of {', '.join(_CHOICES[name])}.")
            given[name] = value
            continue
        low, high = (_LISTS | _NUMBERS)[name]
        numbers = [_number(name, item, low, high) for item in value.split(",")]
        if name in _NUMBERS:
            if len(numbers) != 1:
                raise SpecError(f"{name} takes one number, not {len(numbers)}.")
            given[name] = numbers[0]
        else:
            if len(numbers) == 1:
                numbers *= count
            if len(numbers) != count:
                raise SpecError(f"{name} has {len(numbers)} values for {count} stages; give one a stage, or one for all.")
            given[name] = tuple(numbers)
    return given


def _number(name: str, text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise SpecError(f"{name} is {text!r}; it should be a whole number from {low} to {high}.")
    if not low <= int(text) <= high:
        raise SpecError(f"{name} is {int(text)}; it should be from {low} to {high}.")
    return int(text)


def write(arch: Architecture) -> str:
    """The notation of an architecture: letters, then only the options that differ from their default."""
    defaults = _defaults(len(arch.stages), arch.stem)
    parts = [arch.stages_text()]

    def add(name: str, value: object, default: object) -> None:
        if value != default:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(int(value) if isinstance(value, bool) else value)
            parts.append(f"{name}={text}")

    widths = tuple(stage.width for stage in arch.stages)
    add("stem", arch.stem, "conv3s2")
    add("stem_width", arch.stem_width, 0)
    add("width", widths, defaults["width"])
    add("heads", tuple(stage.heads for stage in arch.stages), tuple(map(usual_heads, widths)))
    add("window", tuple(stage.window for stage in arch.stages), defaults["window"])
    add("kernel", tuple(stage.kernel for stage in arch.stages), defaults["kernel"])
    add("pos", arch.pos, defaults["pos"])
    add("msa", arch.msa, "prenorm")
    add("mlp", arch.mlp, 4)
    add("head", arch.head, "gap")
    add("dim_head", arch.dim_head, 0)
    add("bias", arch.bias, True)
    return "/".join(parts)


def check(arch: Architecture) -> None:
    """Raise SpecError where the architecture cannot be built at any image size."""
    if len(arch.letters) > MAX_UNITS:
        raise SpecError(f"The net has {len(arch.letters)} units; at most {MAX_UNITS} can be built.")
    if len(arch.stages) > 6:
        raise SpecError(f"The net has {len(arch.stages)} stages; at most 6 can be built.")
    if not set(arch.letters) - set("og"):
        raise SpecError("Every unit of the net is empty. Keep at least one unit that computes.")
    width = arch.first_width
    for i, stage in enumerate(arch.stages, 1):
        if stage.width % 8:
            raise SpecError(f"Stage {i} is {stage.width} channels wide; the width should be a multiple of 8.")
        first = stage.letters[0]
        if i > 1 and first not in STRIDED:
            raise SpecError(
                f"Stage {i}, unit 1 is {WORDS[first]} in the slot that halves the map, and {WORDS[first]} cannot do that. "
                "Put a conv (c, b or d) or a patch merging (g) there."
            )
        if i == 1 and width != stage.width and first not in "cbd":
            raise SpecError(
                f"Stage 1, unit 1 is {WORDS[first]}, which cannot widen {width} channels to {stage.width}. "
                "Put a conv (c, b or d) there, or give the stem the same width."
            )
        for j, letter in enumerate(stage.letters, 1):
            if letter == "g" and (i == 1 or j > 1):
                raise SpecError(f"Stage {i}, unit {j} is a patch merging; it can only be the first unit of a stage after the first.")
            if BLOCKS[letter].kind == "msa":
                _check_heads(arch, stage, i)
        width = stage.width
    if arch.head == "cls" and (len(arch.stages) > 1 or set(arch.letters) - set("mto") or arch.msa != "prenorm"):
        raise SpecError("A CLS token only passes through global MSA and MLP at one resolution. Use head=gap, or m and t in one stage.")
    if arch.pos == "rel" and arch.head == "cls":
        raise SpecError("A CLS token has no place on the map, so relative positions cannot reach it. Use pos=abs or head=gap.")


def _check_heads(arch: Architecture, stage: Stage, number: int) -> None:
    inner = stage.width // 4 if arch.msa == "bottleneck" else stage.width
    if not arch.dim_head and inner % stage.heads:
        fits = [h for h in range(1, 65) if inner % h == 0]
        raise SpecError(f"Stage {number}: {inner} channels do not divide among {stage.heads} heads; {', '.join(map(str, fits))} would.")


def layout(arch: Architecture | Outline, image_size: int) -> list[Unit]:
    """Every slot of the net with its shapes at an image size, empty slots included.

    Raises SpecError where the map gets too small or a window does not divide it, or for a foreign net at another size than it was read.
    """
    if isinstance(arch, Outline):
        if image_size != arch.image_size:
            raise SpecError(f"{arch.name} was read at {arch.image_size} pixels, not at {image_size}; import it at this size.")
        return list(arch.units)
    if not 8 <= image_size <= 512:
        raise SpecError(f"The image size is {image_size}; it should be from 8 to 512 pixels.")
    stride = STEMS[arch.stem].stride
    if image_size % stride:
        raise SpecError(f"{image_size} pixels do not divide into a stem of stride {stride}.")
    side, width, filled = image_size // stride, arch.first_width, 0
    total = len(arch.letters.replace("o", ""))
    slots: list[Unit] = []
    for i, stage in enumerate(arch.stages, 1):
        for j, letter in enumerate(stage.letters, 1):
            block, step = BLOCKS[letter], 2 if i > 1 and j == 1 else 1
            if step == 2 and (side < 2 or side % 2):
                raise SpecError(f"Stage {i} would halve a {side}x{side} map. Use fewer stages, a stem of smaller stride, or larger images.")
            side //= step
            window, form = _reach(stage, block, side, i, j)
            keys = stage.kernel**2 if form == "local" else window**2 if block.kind == "msa" else side**2 if block.kind == "mix" else 0
            if side**2 * keys > MAX_PAIRS:
                raise SpecError(
                    f"Stage {i}, unit {j}: {side**2:,} positions that each see {keys:,} need too much memory. "
                    "Use windows, a stem of larger stride, or smaller images."
                )
            filled += letter != "o"
            slots.append(
                Unit(
                    stage=i, index=j, letter=letter, kind=block.kind, form=form, depth=filled / total,
                    resampling=step == 2 or width != stage.width, side=side, width_in=width, width=stage.width,
                    heads=stage.heads, window=window, kernel=stage.kernel, stride=step,
                )
            )  # fmt: skip
            width = stage.width
    return slots


def _reach(stage: Stage, block: Block, side: int, i: int, j: int) -> tuple[int, str]:
    """Window side and form after clamping to the map: a window as large as the map is global and has no shift."""
    if block.form in ("windowed", "shifted"):
        if stage.window >= side:
            return side, "windowed"
        if side % stage.window:
            fits = [w for w in range(2, side + 1) if side % w == 0]
            raise SpecError(
                f"Stage {i}, unit {j}: a window of {stage.window} does not divide the {side}x{side} map; {', '.join(map(str, fits))} would."
            )
        return stage.window, block.form
    if block.form == "local":
        if stage.kernel >= side:  # the paper's "8x8" on an 8x8 map is global attention (paper, Fig. 7)
            return side, "global"
        if stage.kernel % 2 == 0:
            raise SpecError(
                f"Stage {i}, unit {j}: a local kernel of {stage.kernel} has no centre; "
                f"use an odd number, or {side} or more for the whole map."
            )
        return stage.kernel, "local"
    if block.form == "global":
        return side, "global"
    if block.form == "depthwise" and stage.kernel % 2 == 0:
        raise SpecError(f"Stage {i}, unit {j}: a depthwise kernel of {stage.kernel} has no centre; use an odd number.")
    return 0, block.form
