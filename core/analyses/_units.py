"""What analyses of units share: the columns that say which unit a row is about, a number of every map, means by kind."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.metrics.interval import mean_interval
from core.spec import WORDS
from core.table import Column

if TYPE_CHECKING:
    from torch import Tensor

    from core.analyses import Subject
    from core.spec import Unit

#: Images in one forward pass: small enough that all units' maps together stay in the processor's cache or near it.
CHUNK = 32

#: What the words of a summary call each kind, in the order of the summary.
KINDS = {"msa": "MSA", "conv": "Conv", "mlp": "MLP", "mix": "Mix", "pool": "Pool"}

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


def each_map(
    subject: "Subject", x: "Tensor", number: "Callable[[Tensor], Tensor]", least: int, progress: Callable[..., None], of: str = "output"
) -> tuple[dict[int, np.ndarray], set[int]]:
    """`number` of every unit's maps, image by image, from one forward pass: values by place, and the places that were left out.

    Place -1 is the stem, which has no branch.  Left out are maps smaller than `least` x `least`.  Memory does not grow with the
    images but for the numbers themselves: the maps of CHUNK images are held at a time.
    """
    import torch

    from core.models import probe

    found: dict[int, list[np.ndarray]] = {}
    left_out: set[int] = set()
    with torch.inference_mode(), probe(subject.net, of) as taps:
        for start in range(0, len(x), CHUNK):
            subject.net(x[start : start + CHUNK].to(subject.device))
            maps = dict(taps.maps.items()) if of == "branch" else {-1: taps.stem, **taps.maps}
            for place, chunk in maps.items():
                if chunk.shape[-1] < least:
                    left_out.add(place)
                else:
                    found.setdefault(place, []).append(number(chunk).cpu().numpy())
            done = min(start + CHUNK, len(x))
            progress(done, len(x), f"{done} of {len(x)} images")
    return {place: np.concatenate(found[place]) for place in sorted(found)}, left_out


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
