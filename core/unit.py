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
