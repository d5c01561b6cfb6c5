"""One unit of a net: the alphabet of kinds, and a unit in its place."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one unit is: `kind` (its family) and `form` (its reach or build)."""

    kind: str
    form: str = ""


#: The alphabet: letter -> block.  The one place where a letter gets its meaning.
BLOCKS: dict[str, Block] = {
    "c": Block(kind="conv", form="basic"),
    "b": Block(kind="conv", form="bottleneck"),
    "d": Block(kind="conv", form="depthwise"),
    "m": Block(kind="msa", form="global"),
    "w": Block(kind="msa", form="windowed"),
    "s": Block(kind="msa", form="shifted"),
    "l": Block(kind="msa", form="local"),
    "x": Block(kind="mix"),
    "t": Block(kind="mlp"),
    "p": Block(kind="pool"),
    "g": Block(kind="merge"),
    "o": Block(kind="none"),
}
#: What only imported nets hold: a block that could not be taken apart.
FOREIGN: dict[str, Block] = {"k": Block(kind="block")}
STRIDED = "cbdg"
WORDS = {
    "c": "Conv", "b": "Conv, bottleneck", "d": "Conv, depthwise", "m": "MSA", "w": "Windowed MSA",
    "s": "Windowed MSA, shifted", "l": "Local MSA", "x": "Mix", "t": "MLP", "p": "Pool", "g": "Merge", "o": "None", "k": "Block",
}  # fmt: skip


def kind_of(letter: str) -> str:
    """The kind of the unit that a letter writes, those of imported nets included."""
    return (BLOCKS.get(letter) or FOREIGN[letter]).kind


def stays_on(unit: "Unit", how: str = "branch") -> str:
    """Why a unit cannot be switched off in this way (`branch`, `3x3`), as a sentence; "" if it can."""
    if unit.kind == "merge":
        return f"Unit {unit.id} is a patch merging: it has no branch that could be switched off."
    if unit.form == "whole":
        return f"Unit {unit.id} is a whole block: what it adds could not be told apart, so it cannot be switched off."
    if unit.form == "plain":
        return f"Unit {unit.id} has no path around it, so nothing would be left without it."
    if how == "3x3" and not (unit.form == "bottleneck" and unit.stride == 1):
        return f"Unit {unit.id} has no 3x3 convolution that could be left out: only a bottleneck that keeps the map's size has one."
    return ""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit in its place: what it is, where it stands, and the shapes that meet it.

    `depth` is the place of its output between the stem (0) and the last unit (1); `side` the output
    map's side; `resampling` is true when it changes resolution or width.
    """

    stage: int
    index: int
    letter: str
    kind: str
    form: str
    depth: float
    resampling: bool
    side: int
    width_in: int
    width: int
    heads: int
    window: int
    kernel: int
    stride: int

    @property
    def id(self) -> str:
        """`s2u3` for stage 2, unit 3 (both from 1)."""
        return f"s{self.stage}u{self.index}"
