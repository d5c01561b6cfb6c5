"""Which block can this net live without?

**Idea.** Switch off one residual unit of a trained net, keep its skip, and let the net answer the same test images again.
What it then gets wrong is what this unit was needed for.

**Formula.** Accuracy with the unit off minus accuracy of the whole net, in points: 100 · (gained − lost) / n, where lost images turn
from right to wrong and gained ones from wrong to right. The 95 % interval is Agresti and Min's for paired shares, p is McNemar's
exact test; that of the loss is Student's t over the differences by image.

**How to read it.** −5 means 5 of 100 images fewer are right. An interval that holds 0 says that these images cannot tell
whether the unit is needed at all. Small changes need all test images: 0.3 points are not to be seen in 500. In the paper the
first units of a stage matter more in a ResNet, and in Swin the first MLPs and the last MSAs of a stage.

**What it cannot say.** Nothing is retrained, so it tells what this net leans on, not what a net could do without: two units may
stand in for each other. Batch norms behind the unit keep the means and variances of the whole net. Where a CLS token travels along
it goes through the skip too. Of a windowed and a shifted MSA, which work as a pair, taking one also takes the shift or leaves it alone.
A unit that changes the resolution keeps its projection only; it is hatched and left out of comparisons. A patch merging has no
branch. "3×3 only" is the paper's lesion of a ResNet: within a bottleneck the 3×3 convolution is left out with the norm and ReLU
behind it, the 1×1s stay; it is another question than that of the whole branch.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 10b and Fig. D.4; Veit, Wilber and Belongie, Residual
Networks Behave Like Ensembles of Relatively Shallow Networks, NeurIPS 2016; Agresti and Min, Statistics in Medicine 24, 2005.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.analyses._bench import Bench as Bench
from core.analyses._bench import compare, drawn, positions
from core.analyses._units import HEAD, head, name
from core.analyses._units import by_kind as _by_kind
from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    from core.spec import Unit


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(0, label="Images", unit="test images", low=0, high=1_000_000, help="0 takes all test images.",
                        origin="ours: effects are fractions of a point, which 500 images cannot tell")  # fmt: skip
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, in equal shares of the classes.")
    how: str = param("branch", label="Remove", choices=("branch", "3x3"), origin="paper: a whole branch in a ViT, the 3x3 in a ResNet",
                     help="branch: all that the unit adds. 3x3: only the 3x3 convolution inside a bottleneck.")  # fmt: skip
    units: str = param("", label="Units together", origin="ours", help="Units to switch off at once, as s2u3,s3u1. Empty: each in turn.")
    precision: str = param("fp32", label="Precision", choices=("fp32", "bf16"), origin="ours: bf16 can turn an image by rounding alone")


COLUMNS = (
    *HEAD,
    Column(id="class", dtype="str", unit="", term="class"),
    Column(id="accuracy", dtype="float", unit="share", term="accuracy"),
    Column(id="clean", dtype="float", unit="share", term="clean"),
    Column(id="change", dtype="float", unit="points", term="accuracy_change"),
    Column(id="ci_low", dtype="float", unit="points", term="interval"),
    Column(id="ci_high", dtype="float", unit="points", term="interval"),
    Column(id="lost", dtype="int", unit="images", term="lost"),
    Column(id="gained", dtype="int", unit="images", term="gained"),
    Column(id="p", dtype="float", unit="", term="mcnemar"),
    Column(id="nll", dtype="float", unit="nat", term="nll"),
    Column(id="nll_change", dtype="float", unit="nat", term="nll_change"),
    Column(id="nll_low", dtype="float", unit="nat", term="interval", optional=True),
    Column(id="nll_high", dtype="float", unit="nat", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


# ---- measuring


def measure(subject: Subject, params: Params, progress: Callable[..., None]) -> Measurement:
    """What switching units off changes: for each unit (or for `units` together) a row for all images and one a class.

    Keeps an answer and a loss an image and unit.  Raises MeasureError if no unit can be switched off in this way.
    Source: paper, Fig. 10b.
    """
    from core.models import refusal

    slots = subject.net.units
    left_out = [slot.id for slot in slots if refusal(slot, params.how)]
    groups = [[i] for i, slot in enumerate(slots) if slot.id not in left_out]
    if params.units:
        groups = [positions(subject.net, params.units.split(","))]
    if not groups:
        raise MeasureError(f"No unit of this net can be switched off in the way {params.how!r}. Use branch.")
    label, index = drawn(subject, params.images, params.seed)
    predicted, loss = _answers(subject, params, groups, len(index), progress)
    classes = subject.spec.classes
    rows = []
    for group, now, after in zip(groups, predicted[1:], loss[1:], strict=True):
        about = _about(group, slots)
        for number in (None, *np.unique(label)):
            of = slice(None) if number is None else label == number
            found = compare(predicted[0, of] == label[of], now[of] == label[of])
            change, low, high = mean_interval(after[of] - loss[0, of])
            losses = {"nll": after[of].mean(), "nll_change": change, "nll_low": low, "nll_high": high}
            rows.append((*about, "" if number is None else classes[number], *({**found, **losses}[c.id] for c in COLUMNS[11:-2]),
                         len(label[of]), params.seed))  # fmt: skip
    notes = {"left_out": left_out, "images": len(index), "seed": params.seed, "on": "test", "how": params.how}
    arrays = {"predicted": predicted, "label": label.astype(predicted.dtype), "index": index}
    return Measurement(table=pd.DataFrame(rows, columns=[c.id for c in COLUMNS]), arrays=arrays, notes=notes)


def _answers(
    subject: Subject, params: Params, groups: list[list[int]], n: int, progress: Callable[..., None]
) -> tuple[np.ndarray, np.ndarray]:
    """(predicted classes, losses [nat]), each (1 + groups, n); row 0 is the whole net."""
    import torch

    from core.metrics.classify import nll
    from core.models import chunk_for, lesion, sweep
    from core.train.device import autocast

    dtype = torch.bfloat16 if params.precision == "bf16" else torch.float32
    predicted, loss, done = [], [], 0
    for x, y in subject.chunks("test", params.images, params.seed, chunk_for(subject.device)):
        with torch.inference_mode(), autocast(subject.device, dtype):
            if params.units:
                with lesion(subject.net, groups[0], params.how):
                    off = sweep(subject.net, x, [])
                logits = torch.cat([sweep(subject.net, x, []), off])
            else:
                logits = sweep(subject.net, x, [group[0] for group in groups], params.how)
        predicted.append(logits.argmax(2).cpu().numpy().astype(np.min_scalar_type(logits.shape[2] - 1)))
        loss.append(np.stack([nll(rows, y).cpu().numpy() for rows in logits]))
        done += len(x)
        progress(done, n, f"{done} of {n} images")
    return np.concatenate(predicted, 1), np.concatenate(loss, 1)


def _about(group: list[int], slots: "list[Unit]") -> tuple[Any, ...]:
    """The values of HEAD; for several units those of the first, but for what they do not share."""
    if len(group) == 1:
        return head(group[0], slots)
    told = dict(zip([c.id for c in HEAD], head(group[0], slots), strict=True))
    told |= {"unit": ",".join(slots[i].id for i in group), "kind": "several", "form": "", "letter": ""}
    return tuple((told | {"resampling": any(slots[i].resampling for i in group)}).values())


# ---- words and pictures


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are about all classes, in the order of the net."""
    return table[table["class"] == ""].reset_index(drop=True)


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Mean change [points] a kind of unit, resampling units left out: kind, units, mean, low, high, lowered, raised.

    The 95 % interval is over units (Student t); one unit has none.
    """
    return _by_kind(whole(table), "change")


def takeaway(table: pd.DataFrame, net: str) -> str:
    """Which unit the net can least do without, in one sentence; ** marks the key words.  Resampling units are left out.

    A unit is needed only if its interval leaves zero out.
    """
    rows = whole(table)
    if (rows["kind"] == "several").any():
        row = rows.iloc[0]
        return f"In {net}, switching off **{words.seq(row.unit.split(','))}** together {_costs(row)}."
    usable = rows[~rows["resampling"]].sort_values("change", kind="stable")
    if usable.empty:
        return f"In {net}, every unit changes the resolution, so none can be compared."
    needed = usable[usable["ci_high"] < 0]
    if needed.empty:
        row = usable.iloc[0]
        return f"In {net}, **no unit is needed clearly**: switching off the {called(rows, row.unit)} {_costs(row, plain=True)}."
    first = needed.iloc[0]
    said = f"In {net}, switching off the **{called(rows, first.unit)}** {_costs(first)}"
    others = usable.drop(index=first.name)
    near = others[others["ci_low"] <= first["ci_high"]]
    if len(near):
        other = near.iloc[0]
        also = f"the {called(rows, other.unit)} ({words.plain(-other['change'], 1)})"
        return f"{said}, not clearly more than {also}." if other["ci_high"] < 0 else f"{said}; whether {also} is needed is not clear."
    if len(needed) == 1:
        return f"{said}; **no other unit is needed clearly**." if len(others) else f"{said}."
    times = first["change"] / others.iloc[0]["change"]
    if times < 1.15:
        return f"{said}, the {called(rows, others.iloc[0].unit)} nearly as much ({words.plain(-others.iloc[0]['change'], 1)})."
    return f"{said}, {words.plain(times, 1)} times the next costliest."


def called(rows: pd.DataFrame, unit: str) -> str:
    """What a unit is called among those of its kind in its stage: `last MSA of stage 2`."""
    from core.analyses._units import KINDS

    row = rows[rows["unit"] == unit].iloc[0]
    same = rows.loc[(rows["stage"] == row["stage"]) & (rows["kind"] == row["kind"]), "unit"].tolist()
    place = "" if len(same) == 1 else "last " if unit == same[-1] else f"{_ORDINALS[same.index(unit)]} " if len(same) <= 12 else ""
    if not place and len(same) > 1:
        return f"{KINDS[row['kind']]} unit {unit}"
    where = f" of stage {row['stage']}" if rows["stage"].nunique() > 1 else ""
    return f"{place}{KINDS[row['kind']]}{where}"


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")


def _costs(row: Any, plain: bool = False) -> str:
    """`costs **5.0 points** (95 % 4.6 to 5.4)`: signs turned, so that a cost is a positive number; a gain is called one."""
    gain = row["change"] > 0
    sign, verb = (1, "gains") if gain else (-1, "costs")
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    mark = "" if plain else "**"
    return f"{verb} {mark}{words.plain(abs(row['change']), 1)} points{mark} (95 % {words.plain(low, 1)} to {words.plain(high, 1)})"


def describe(table: pd.DataFrame, unit: str) -> str:
    """What switching one unit off does, in words with its interval; what is left where the unit resamples."""
    rows = table[table["unit"] == unit]
    if rows.empty:
        return "It has nothing that could be switched off in this way."
    row, classes = rows[rows["class"] == ""].iloc[0], rows[rows["class"] != ""].sort_values("change", kind="stable")
    text = f"Switched off, it {_costs(row, plain=True)}: {words.count(row['lost'])} of {words.count(row['images'])} test images turn wrong"
    text += f", {words.count(row['gained'])} turn right"
    if row["ci_low"] <= 0 <= row["ci_high"]:
        text += "; whether it is needed is not clear"
    elif len(classes) > 1 and classes.iloc[0]["ci_high"] < 0:
        text += f"; most in {classes.iloc[0]['class']} ({words.signed(classes.iloc[0]['change'], 1)})"
    return f"{text}. {'Its projection stays, so it compares with no unit that keeps the resolution.' if row['resampling'] else ''}".strip()


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes: half of one for each unit, as those before a lesion are shared.  All images count as 10,000."""
    passes = 2 if params.units else 1 + len(arch.letters) / 2
    return count(arch, image_size, 10)["flops"] * (params.images or 10_000) * passes


def supports(arch: Architecture) -> str:
    """Every net has a branch that can be switched off."""
    return ""


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", off: Sequence[str] = (), **settings: Any) -> Any:
    """Change of accuracy by unit, as bars from the ribbon down, with 95 % whiskers; units that are `off` are crossed out."""
    from core.analyses._hanging import bars

    rows = whole(table)
    names = [row.unit.replace(",", ", ") if row.kind == "several" else name(row, net) for row in rows.itertuples()]
    return bars(rows.assign(name=names), theme=theme, heading=net, focus=focus, off=off, **settings)


ANALYSIS = Analysis(
    id="lesion",
    title="Lesion",
    question="Which block can this net live without?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 10b, Fig. D.4",
        "Veit, Wilber and Belongie, Residual Networks Behave Like Ensembles of Relatively Shallow Networks, NeurIPS 2016",
        "Agresti and Min, Statistics in Medicine 24, 2005",
    ),
    cost=cost,
    supports=supports,
    needs="units",
    measure=measure,
    chart=chart,
)
