"""How much of the picture does a unit see?

**Idea.** Ask what comes out of a unit in the middle of its map which pixels it would answer to. The gradient with respect to the
picture says so: pixels that could matter but hardly do stay dark in it.

**Formula.** y is the output of a unit (after the residual sum) at a central position; a map of even side has no centre, so the
images take turns at the four positions around it. s is a random vector of ±1 over the channels, drawn anew for each image and
unit, and g = |∂(s·y)/∂x|, mean over the colours of a pixel x. A random s stands for all channels at once: the mean of
(∂(s·y)/∂x)² over s is the sum of (∂y_c/∂x)² over the channels c. For each position g is averaged over its images. Of this field:
the radius around the position, in pixels, of the circle that holds half of it; the share of the picture's pixels above 5 % of its
largest value (the effective receptive field); the share with any gradient at all (the theoretical one); each as the mean over
the positions.

**How to read it.** A unit that widens the view has a larger radius than the unit before it. Beside it stands the radius of a unit
that answers to every pixel alike, the most that can be expected of a picture this large. Intervals are 95 %, over images (eight groups
of them, each left out in turn); those of a whole kind are over its units.

**What it cannot say.** A gradient is a small change of a pixel, not the removal of an object, and not attention: values, skips and
all earlier units count too. The skip carries a position's own pixels through the whole net and keeps the radius small. Positions at the
border are not looked at, nor is what a CLS token sees. Where a stem's kernel is not centred on its cell the radius is off by up to
half a stride.

**Sources.** Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016. Ours: random
signs in place of a single channel, the radius, and the intervals.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.analyses._units import HEAD, KINDS, ON_HELP, head, maps_of, name
from core.analyses._units import by_kind as _by_kind
from core.metrics.receptive import central, covered, jackknife, radius
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from core.models import Net

#: Images whose graph is kept at a time.
CHUNK = 32
#: Groups of images that the interval leaves out in turn.
GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(128, label="Images", low=GROUPS * 4, high=10_000, origin="ours: the radius is known to 0.3 pixels or better")
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images and signs are drawn.")
    on: str = param("test", label="Set of images", origin="ours", help=ON_HELP)


COLUMNS = (
    *HEAD,
    Column(id="radius", dtype="float", unit="pixels", term="receptive_radius"),
    Column(id="ci_low", dtype="float", unit="pixels", term="interval"),
    Column(id="ci_high", dtype="float", unit="pixels", term="interval"),
    Column(id="radius_uniform", dtype="float", unit="pixels", term="receptive_uniform"),
    Column(id="share", dtype="float", unit="of the picture", term="receptive_share"),
    Column(id="share_low", dtype="float", unit="of the picture", term="interval"),
    Column(id="share_high", dtype="float", unit="of the picture", term="interval"),
    Column(id="support", dtype="float", unit="of the picture", term="receptive_support"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def measure(subject: Subject, params: Params, progress: Callable[..., None]) -> Measurement:
    """The effective receptive field of the stem's and every unit's output, with intervals over images.

    One forward pass a chunk of images, and one backward pass from each unit to the picture.  The array `maps` is (rows, height,
    width): the field, mean over images and positions, adding up to one.  Source: Luo et al. 2016.
    """
    import torch

    # a copy: its weights need no gradient, and are ordinary tensors even where the net was loaded in inference mode
    net, done = copy.deepcopy(subject.net).requires_grad_(False), 0
    sides = {place: head(place, net.units)[-1] for place in range(-1, len(net.units))}
    sums = {place: np.zeros((GROUPS, len(central(side)), net.image_size, net.image_size)) for place, side in sides.items()}
    signs = torch.Generator().manual_seed(params.seed)
    for x, _ in subject.chunks(params.on, params.images, params.seed, CHUNK):
        turn = np.arange(done, done + len(x))
        for place, position, field in fields(net, x, turn, signs):
            np.add.at(sums[place], (turn // 4 % GROUPS, position), field.cpu().numpy())
        done += len(x)
        progress(done, max(params.images, done), f"{done} of {params.images} images")
    rows = [(*head(place, net.units), *_numbers(sums[place], sides[place]), done, params.seed) for place in sums]
    maps = np.stack([parts.sum((0, 1)) for parts in sums.values()])
    return Measurement(
        table=pd.DataFrame(rows, columns=[c.id for c in COLUMNS]),
        arrays={"maps": (maps / maps.sum((1, 2), keepdims=True)).astype(np.float32)},
        notes={"images": done, "seed": params.seed, "on": params.on, "image_size": net.image_size},
    )


def fields(net: "Net", x: "Tensor", turn: np.ndarray, signs: "torch.Generator") -> "Iterator[tuple[int, np.ndarray, Tensor]]":
    """(place, number of each image's central position, |∂(s·y)/∂x| as (batch, height, width)) for the stem's and every unit's output.

    `turn` says whose turn each image's position is.  One forward pass serves all; the signs are drawn in the order unit, image, channel.
    """
    import torch

    from core.models import probe

    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        with probe(net) as taps:
            net(x)
        for place, out in maps_of(taps).items():
            middle = central(out.shape[-1])
            position = turn % len(middle)
            i, j = torch.tensor(middle)[position].to(out.device).unbind(1)
            s = torch.randint(0, 2, out.shape[:2], generator=signs).mul(2).sub(1).to(out)
            (gradient,) = torch.autograd.grad(out[torch.arange(len(out), device=out.device), :, i, j], x, s, retain_graph=True)
            yield place, position, gradient.abs().mean(1)


def _numbers(sums: np.ndarray, side: int) -> tuple[float, ...]:
    """radius, low, high, radius_uniform, share, low, high, support of fields (groups, positions, height, width) of a map's positions."""
    stride = sums.shape[-1] / side
    centres = [((i + 0.5) * stride - 0.5, (j + 0.5) * stride - 0.5) for i, j in central(side)]

    def both(fields: np.ndarray) -> tuple[float, float]:
        radii = [radius(field, centre) for field, centre in zip(fields, centres, strict=True)]
        return float(np.mean(radii)), float(np.mean([covered(field) for field in fields]))

    whole = sums.sum(0)
    without = np.array([both(np.delete(sums, group, 0).sum(0)) for group in range(len(sums))])
    wide, share = both(whole)
    low, high = np.clip(jackknife(share, without[:, 1]), 0, 1)
    support = float(np.mean([covered(field, 0.0) for field in whole]))
    return wide, *jackknife(wide, without[:, 0]), both(np.ones_like(whole))[0], share, float(low), float(high), support


def steps(table: pd.DataFrame) -> pd.DataFrame:
    """One row a unit with its `change`: its radius minus that of the unit before it, in pixels."""
    rows = table.sort_values("position")
    return rows.assign(change=rows["radius"].diff()).iloc[1:].reset_index(drop=True)


def by_kind(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean widening of the view in pixels a kind of unit, over the units of all nets: kind, units, mean, low, high, lowered, raised.

    Resampling units are left out.  The 95 % interval is over units.
    """
    return _by_kind(pd.concat([steps(table) for table in tables.values()], ignore_index=True), "change")


def takeaway(tables: dict[str, pd.DataFrame]) -> str:
    """How far the last unit of some nets sees, and which kind of unit widens the view, in words; ** marks the key words.

    A kind widens or narrows the view only if its interval over units leaves zero out.
    """
    if not tables:
        return "No net on stage has been measured yet."
    last = {net: table.loc[table["position"].idxmax()] for net, table in tables.items()}
    said = [f"{words.plain(row.radius, 1)} pixels in {net}" for net, row in last.items()]
    alike = max(row.radius_uniform for row in last.values())
    text = f"Half of what the last unit answers to lies within **{words.seq(said)}** (every pixel alike: {words.plain(alike, 1)})"
    clear, unclear = [], []
    for row in by_kind(tables).itertuples():
        value = words.signed(row.mean)
        if row.units == 1:
            unclear.append(f"the one {KINDS[row.kind]} unit {value}")
            continue
        value += f" ± {words.plain(row.high - row.mean)}"
        if row.low <= 0 <= row.high:
            unclear.append(f"{KINDS[row.kind]} units {value}")
        else:
            agree, verb = (row.lowered, "narrow") if row.mean < 0 else (row.raised, "widen")
            share = f"all {row.units}" if agree == row.units else f"{agree} of {row.units}"
            clear.append(f"**{KINDS[row.kind]} units {verb} the view** ({value} pixels, {share})")
    if clear:
        return f"{text}; {words.seq(clear)}."
    return f"{text}; no kind of unit widens the view clearly: {words.seq(unclear)}." if unclear else f"{text}."


def describe(table: pd.DataFrame, unit: str) -> str:
    """How much of the picture one unit sees, in words with its interval."""
    row = table[table["unit"] == unit].iloc[0]
    text = f"Half of what it answers to lies within {words.plain(row.radius, 1)} pixels"
    text += f" (95 % {words.plain(row.ci_low, 1)} to {words.plain(row.ci_high, 1)} over {row.images} images);"
    text += f" every pixel alike would be {words.plain(row.radius_uniform, 1)}."
    text += f" {words.percent(row.share, 0)} of the picture counts, {words.percent(row.support, 0)} could."
    before = table[table["position"] == row.position - 1]
    if before.empty:
        return text
    change = row.radius - before["radius"].iloc[0]
    return f"{text} The unit {'narrows' if change < 0 else 'widens'} the view by {words.plain(abs(change))} pixels."


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs: a forward pass, and a backward pass from each unit, half the net deep on average."""
    return count(arch, image_size, 10)["flops"] * params.images * (1 + (len(arch.letters) + 1) / 2)


def supports(arch: Architecture) -> str:
    """Every net can be measured."""
    return ""


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", **settings: Any) -> Any:
    """The radius over depth, for one net; that of the focused unit stands under it."""
    from core.analyses._pictures import over_depth

    names = [name(row, net) for row in table.itertuples()]
    rows = table.assign(value=table["radius"], low=table["ci_low"], high=table["ci_high"], name=names)
    focus = focus if focus in set(rows["unit"]) else ""
    note = f"{words.plain(float(rows.loc[rows['unit'] == focus, 'radius'].iloc[0]), 1)} px" if focus else ""
    return over_depth(rows, title="radius that holds half [pixels]", theme=theme, heading=net, focus=focus, note=note, **settings)


ANALYSIS = Analysis(
    id="receptive",
    title="Receptive field",
    question="How much of the picture does a unit see?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=("Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016",),
    cost=cost,
    supports=supports,
    needs="blocks",
    measure=measure,
    chart=chart,
)
