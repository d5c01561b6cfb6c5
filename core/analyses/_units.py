"""What analyses of units share: the columns that say which unit a row is about, the maps of a pass, means by kind."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.metrics.interval import mean_interval
from core.spec import WORDS
from core.table import Column

if TYPE_CHECKING:
    from torch import Tensor

    from core.models import Taps
    from core.spec import Unit

#: Images that the analyses of maps draw when nothing else is asked, the same for all so that they can share a pass.
IMAGES = 512

ON_HELP = "test and train are the net's own images; the id of a data set takes its test images, normalised as the net's own."

#: What the words of a summary call each kind, in the order of the summary.
KINDS = {"msa": "MSA", "conv": "Conv", "mlp": "MLP", "mix": "Mix", "pool": "Pool", "block": "Block"}

HEAD = (
    Column(id="unit", dtype="str", unit="", term="unit"),
    Column(id="position", dtype="int", unit="", term="position"),
    Column(id="stage", dtype="int", unit="", term="stage"),
    Column(id="index", dtype="int", unit="", term="index"),
    Column(id="kind", dtype="str", unit="", term="kind"),
    Column(id="form", dtype="str", unit="", term="form"),
    Column(id="letter", dtype="str", unit="", term="letter"),
    Column(id="depth", dtype="float", unit="0 stem to 1 last unit", term="depth"),
    Column(id="resampling", dtype="bool", unit="", term="resampling"),
    Column(id="side", dtype="int", unit="positions", term="side"),
)


def head(place: int, slots: "list[Unit]") -> tuple[Any, ...]:
    """The values of HEAD for the unit at `place` (from 0; -1 is the stem).  A merge counts as resampling."""
    if place < 0:
        return ("stem", 0, 0, 0, "stem", "", "", 0.0, False, slots[0].side * slots[0].stride)
    s = slots[place]
    return (s.id, place + 1, s.stage, s.index, s.kind, s.form, s.letter, s.depth, s.resampling or s.kind == "merge", s.side)


def maps_of(taps: "Taps", of: str = "output") -> "dict[int, Tensor]":
    """What a probe saw, by place: -1 is the stem, which has no branch."""
    return dict(taps.maps.items()) if of == "branch" or taps.stem is None else {-1: taps.stem, **taps.maps}


def name(row: Any, net: str = "") -> str:
    """What a unit is called in words: `Stage 1, unit 3 · Windowed MSA`."""
    text = "Stem" if row.kind == "stem" else f"Stage {row.stage}, unit {row.index} · {WORDS[row.letter]}"
    return f"{net} · {text}" if net else text


def by_kind(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean of a change a kind of unit, resampling units left out: kind, units, mean, low, high, lowered, raised.

    The 95 % interval is over units (Student t), the number that limits the answer; one unit has none.
    """
    usable = table[~table["resampling"]]
    rows = []
    for kind in KINDS:
        change = usable.loc[usable["kind"] == kind, column].to_numpy()
        if len(change):
            mean, low, high = map(float, mean_interval(change))
            rows.append((kind, len(change), mean, low, high, int(np.sum(change < 0)), int(np.sum(change > 0))))
    return pd.DataFrame(rows, columns=["kind", "units", "mean", "low", "high", "lowered", "raised"])
