"""Does it go by shape or by texture?

**Idea.** Show a net pictures whose shape says one class, whose texture says another and whose colour says a third, and see which it
follows.

**Formula.** New pictures of the lab's own set are drawn (neither training nor test images), those kept in which all three cues name other
classes. Share by shape = decisions for the class of the shape / decisions for the class of the shape or of the texture, with Wilson's
95 % interval; in all, and for each shape.

**How to read it.** 100 % goes by shape alone, 0 % by texture alone, and a net that guesses follows both alike: 50 %. Shape is broad
(most of it below 0.4π) and texture is fine (0.67π) by construction, so it is also a question of low against high frequencies.

**What it cannot say.** Only nets trained on these pictures know the classes, so others are refused. A net learns the cue that it was
trained for: in the set as it comes the label is the shape, and the texture says nothing about it, so a share near 100 % there means
that the net has learnt its task, and what falls short of it is how far fine detail disturbs it. A preference of its own would show
only where training left the choice, on pictures whose texture agreed with the shape. The figures are eight outlines on a plain ground.

**Sources.** The measure: Geirhos et al., ImageNet-trained CNNs are biased towards texture, ICLR 2019 (share of shape decisions under
cue conflict); the pictures are the lab's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.data import shapes
from core.errors import MeasureError
from core.metrics.interval import share_interval
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    import altair as alt

DATA = "shapes-textures"
#: Seeds below this one draw the training and the test images of the set.
_FIRST_SEED = 2


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(2_000, label="Images", unit="pictures", low=8, high=20_000, origin="ours: a share to 2 points")
    seed: int = param(0, label="Seed", low=0, high=10**6, origin="ours", help="Which pictures are drawn.")


COLUMNS = (
    Column(id="class", dtype="str", unit="", term="class"),
    Column(id="share", dtype="float", unit="share", term="shape_share", optional=True),
    Column(id="ci_low", dtype="float", unit="share", term="interval", optional=True),
    Column(id="ci_high", dtype="float", unit="share", term="interval", optional=True),
    Column(id="by_shape", dtype="int", unit="images", term="by_shape"),
    Column(id="by_texture", dtype="int", unit="images", term="by_texture"),
    Column(id="by_colour", dtype="int", unit="images", term="by_colour"),
    Column(id="by_none", dtype="int", unit="images", term="by_none"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def conflicts(n: int, size: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """n pictures uint8 (n, 3, size, size) whose three cues name three classes, and the class of each cue."""
    # two in three of independent cues disagree altogether
    pixels, cues = shapes.generate(2 * n + 64, size, seed=_FIRST_SEED + seed)
    differ = (cues["shape"] != cues["texture"]) & (cues["shape"] != cues["colour"]) & (cues["texture"] != cues["colour"])
    kept = np.flatnonzero(differ)[:n]
    return pixels[kept], {name: values[kept] for name, values in cues.items()}


def measure(subject: Subject, params: Params, progress: Callable[..., None]) -> Measurement:
    """Which cue the net follows: a row for all pictures (class "") and one for each shape.

    Raises MeasureError if no decision follows either cue.
    """
    import torch

    from core.data.augment import normalise
    from core.models import chunk_for

    pixels, cues = conflicts(params.images, subject.run.image_size, params.seed)
    parts, done = [], 0
    for part in torch.from_numpy(pixels).split(chunk_for(subject.device)):
        with torch.inference_mode():
            parts.append(subject.net(normalise(part.to(subject.device), subject.spec)).argmax(1).cpu().numpy())
        done += len(part)
        progress(done, len(pixels), f"{done} of {len(pixels)} pictures")
    predicted = np.concatenate(parts)
    if not np.any((predicted == cues["shape"]) | (predicted == cues["texture"])):
        raise MeasureError("None of the net's decisions follows the shape or the texture, so there is no share to tell.")
    rows = [("", *_counts(predicted, cues), len(predicted), params.seed)]
    for number, title in enumerate(shapes.SHAPES):
        here = cues["shape"] == number
        if here.any():
            rows.append((title, *_counts(predicted[here], {k: v[here] for k, v in cues.items()}), int(here.sum()), params.seed))
    arrays = {"predicted": predicted.astype(np.uint8), **{name: values.astype(np.uint8) for name, values in cues.items()}}
    notes = {"on": "conflicts", "images": len(predicted), "seed": params.seed}
    return Measurement(table=pd.DataFrame(rows, columns=[column.id for column in COLUMNS]), arrays=arrays, notes=notes)


def _counts(predicted: np.ndarray, cues: Mapping[str, np.ndarray]) -> tuple[float, float, float, int, int, int, int]:
    """Share by shape with its interval (NaN where nothing follows either cue), and how many decisions follow what."""
    shape, texture, colour = (int(np.sum(predicted == cues[cue])) for cue in ("shape", "texture", "colour"))
    share = share_interval(shape, shape + texture) if shape + texture else (np.nan, np.nan, np.nan)
    return (*share, shape, texture, colour, len(predicted) - shape - texture - colour)


# ---- words and pictures


def takeaway(found: Mapping[str, pd.DataFrame]) -> str:
    """The share by shape of each net, in one sentence; "" for none."""
    rows = {net: table[table["class"] == ""].iloc[0] for net, table in found.items()}
    if not rows:
        return ""
    if len(rows) == 1:
        net, row = next(iter(rows.items()))
        side = "by **shape**" if row["ci_low"] > 0.5 else "by **texture**" if row["ci_high"] < 0.5 else "**not clearly** by either cue"
        return (
            f"{net} goes {side}: **{words.percent(row['share'])}** (95 % {words.plain(100 * row['ci_low'], 1)} to "
            f"{words.plain(100 * row['ci_high'], 1)}) of its decisions for one of the two are for the shape."
        )
    order = sorted(rows, key=lambda net: -rows[net]["share"])
    first, last = rows[order[0]], rows[order[-1]]
    each = words.seq([f"{net} **{words.percent(rows[net]['share'])}**" for net in order])
    if first["ci_low"] <= last["ci_high"]:
        return f"Decisions by shape rather than texture: {each}; **not clearly** different."
    return f"Decisions by shape rather than texture: {each}; {order[0]} goes by shape the most, {order[-1]} the least."


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of one forward pass."""
    return count(arch, image_size, len(shapes.SHAPES))["flops"] * params.images


def supports(arch: Architecture) -> str:
    """Every architecture, if it was trained on this set."""
    return ""


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "ref", **settings: Any) -> "alt.LayerChart":
    """One net: its share by shape in all, and for each shape."""
    rows = table.assign(lane=[title.capitalize() or "All shapes" for title in table["class"]], net=net)
    return _lanes(rows, theme, {net: family}, **settings)


def chart_nets(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str], **settings: Any
) -> "alt.LayerChart":  # fmt: skip
    """Several nets, a lane each."""
    rows = pd.concat([table[table["class"] == ""].assign(lane=net, net=net) for net, table in found.items()], ignore_index=True)
    return _lanes(rows, theme, families, **settings)


def _lanes(rows: pd.DataFrame, theme: str, families: Mapping[str, str], width: int | None = None) -> "alt.LayerChart":
    """A mark with its 95 % whisker in each lane, between texture at the left and shape at the right; a dashed line at a guess."""
    import altair as alt

    from core.chart import family_shape, family_token, tokens, x_title

    c = tokens(theme)
    rows = rows.assign(at=100 * rows["share"], low=100 * rows["ci_low"], high=100 * rows["ci_high"])
    rows["said"] = [
        f"{words.plain(row.at, 1)} % ({words.plain(row.low, 1)} to {words.plain(row.high, 1)})" if row.at == row.at else "no decision"
        for row in rows.itertuples()
    ]
    nets = list(dict.fromkeys(rows["net"]))
    x = alt.X("at:Q", scale=alt.Scale(domain=[0, 100], nice=False), axis=alt.Axis(
        values=[0, 25, 50, 75, 100], tickCount=9, **x_title("decisions by shape, % of those by shape or by texture"),
    ))  # fmt: skip
    y = alt.Y("lane:N", sort=None, axis=alt.Axis(title=None, grid=False, labelFontSize=13, labelColor=c["ink2"]))
    tips = [alt.Tooltip("net:N"), alt.Tooltip("lane:N", title="of"), alt.Tooltip("said:N", title="by shape, 95 %"),
            alt.Tooltip("by_shape:Q"), alt.Tooltip("by_texture:Q"), alt.Tooltip("by_colour:Q"), alt.Tooltip("by_none:Q")]  # fmt: skip
    base = alt.Chart(rows).transform_filter("isValid(datum.at)").encode(y=y, tooltip=tips)
    guess = alt.Chart(pd.DataFrame({"at": [50]})).mark_rule(color=c["faint"], strokeDash=[5, 4], strokeWidth=1.4).encode(x=x)
    whisker = base.mark_rule(strokeWidth=1.5, color=c["ink2"]).encode(x=alt.X("low:Q"), x2="high:Q")
    mark = base.mark_point(size=110, filled=True, opacity=1).encode(
        x=x,
        color=alt.Color("net:N", scale=alt.Scale(domain=nets, range=[c[family_token(families.get(n, "ref"))] for n in nets]), legend=None),
        shape=alt.Shape("net:N", scale=alt.Scale(domain=nets, range=[family_shape(families.get(n, "ref")) for n in nets]), legend=None),
    )
    return alt.layer(guess, whisker, mark, height=alt.Step(28), width=width or alt.Undefined)


ANALYSIS = Analysis(
    id="shape_texture",
    title="Shape or texture",
    question="Does it go by shape or by texture?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=("Geirhos et al., ImageNet-trained CNNs are biased towards texture, ICLR 2019",),
    cost=cost,
    supports=supports,
    measure=measure,
    chart=chart,
    trained_on=DATA,
)
