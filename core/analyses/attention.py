"""How far does attention look?

**Idea.** Attention takes a weighted mean over positions. Its weights say how far away a position gathers from: a head that
looks next door works as a convolution does, one that looks everywhere as a mean over the picture does.

**Formula.** For each image and head, weights a_qk of the softmax and distances d_qk between the positions q and k:
distance = mean over q of Σ_k a_qk d_qk, in pixels of the picture (positions times image side / map side). Entropy = mean
over q of −Σ_k a_qk ln a_qk. Both stand beside what they would be if each position looked alike at everything within its
reach (a window, a neighbourhood, the map), so that reach, which is built in, and choice, which is learned, are told apart.
The value of a unit is the mean over its heads; intervals are 95 %, over images.

**How to read it.** A distance near that of uniform attention does not choose by distance; well below it, a head looks near.
e to the entropy is roughly how many positions share the attention. A low entropy at a large distance is a head that picks
few places far away.

**What it cannot say.** Attention weight is not influence: a position counts by its weight times its value, and the skip
carries everything past the unit. Nor does a position of a deep map hold only its own pixels. Distances of nets with other
windows compare reach as much as choice. Where a CLS token travels along, only the patches are looked at, their weights made to
add up to one again; the share that goes to CLS stands beside them.

**Sources.** Raghu et al., Do Vision Transformers See Like Convolutional Neural Networks?, NeurIPS 2021 (mean attention
distance); Park et al., What Do Self-Supervised Vision Transformers Learn?, ICLR 2023.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.analyses._pass import Watch, alone
from core.analyses._units import HEAD, IMAGES, ON_HELP, head, name
from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement
from core.unit import kind_of

if TYPE_CHECKING:
    from torch import Tensor

#: Weights that `look` hands over at most: 16 MiB.
MOST = 2**23


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(IMAGES, label="Images", low=8, high=10_000, origin="ours: as for frequency and variance, in one pass with them")
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, in equal shares of the classes.")
    on: str = param("test", label="Set of images", origin="ours", help=ON_HELP)


COLUMNS = (
    *HEAD,
    Column(id="head", dtype="int", unit="0 mean of all", term="head"),
    Column(id="distance", dtype="float", unit="pixels", term="attention_distance"),
    Column(id="ci_low", dtype="float", unit="pixels", term="interval"),
    Column(id="ci_high", dtype="float", unit="pixels", term="interval"),
    Column(id="distance_uniform", dtype="float", unit="pixels", term="attention_uniform"),
    Column(id="entropy", dtype="float", unit="nat", term="attention_entropy"),
    Column(id="entropy_low", dtype="float", unit="nat", term="interval"),
    Column(id="entropy_high", dtype="float", unit="nat", term="interval"),
    Column(id="entropy_uniform", dtype="float", unit="nat", term="attention_uniform"),
    Column(id="cls_share", dtype="float", unit="share", term="cls_share", optional=True),
    Column(id="cls_low", dtype="float", unit="share", term="interval", optional=True),
    Column(id="cls_high", dtype="float", unit="share", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def watch(subject: Subject, params: Params) -> Watch:
    """Distance and entropy of every MSA unit's attention, over all heads (head 0) and head by head, with intervals over images.

    Keeps three numbers an image and head.  The array `distance` is (rows, images).  Raises MeasureError if there is no MSA unit.
    Source: Raghu et al. 2021.
    """
    from core.models.looks import looks

    parts: dict[int, list[np.ndarray]] = {}

    def see(seen: "dict[int, Tensor]") -> None:
        for place, numbers in seen.items():
            parts.setdefault(place, []).append(numbers.cpu().numpy())

    def done() -> Measurement:
        rows, distances, images = [], [], 0
        for place in sorted(parts):
            values = np.concatenate(parts[place])  # (images, heads, 3)
            values = np.concatenate([values.mean(1, keepdims=True), values], 1)
            alike, images = uniform(subject, place), len(values)
            for number in range(values.shape[1]):
                distance, entropy, to_cls = (mean_interval(values[:, number, i]) for i in range(3))
                own = (*distance, alike[0], *entropy, alike[1], *to_cls)
                rows.append((*head(place, subject.net.units), number, *map(float, own), images, params.seed))
                distances.append(values[:, number, 0].astype(np.float32))
        table = pd.DataFrame(rows, columns=[c.id for c in COLUMNS])
        notes = {"images": images, "seed": params.seed, "on": params.on, "image_size": subject.net.image_size}
        return Measurement(table=table, arrays={"distance": np.stack(distances)}, notes=notes)

    return Watch(probe=lambda net: looks(net, _numbers(subject)), see=see, done=done)


def _numbers(subject: Subject) -> "Callable[[int, Tensor], Tensor]":
    """What stays of the weights (batch, heads, N, N) of a unit: (batch, heads, 3) distance [pixels], entropy [nat], share to CLS or NaN."""
    import torch

    from core.metrics.attention import entropy, mean_distance, patches

    between = {place: _pixels(subject, place) for place, unit in enumerate(subject.net.units) if unit.kind == "msa"}
    with_cls = subject.arch.head == "cls"

    def numbers(place: int, weights: "Tensor") -> "Tensor":
        among, to_cls = patches(weights) if with_cls else (weights, torch.full(weights.shape[:2], torch.nan, device=weights.device))
        return torch.stack([mean_distance(among, between[place]), entropy(among), to_cls.double()], -1)

    return numbers


def _pixels(subject: Subject, place: int) -> "Tensor":
    """(N, N) distances between the positions of a unit's map, in pixels of the picture, on the subject's device."""
    from core.metrics.attention import distances

    side = subject.net.units[place].side
    return (distances(side, side) * (subject.net.image_size / side)).to(subject.device)


def uniform(subject: Subject, place: int) -> tuple[float, float]:
    """(distance [pixels], entropy [nat]) of a unit that looks at everything within its reach alike."""
    from core.metrics.attention import entropy, mean_distance
    from core.models.looks import attentions

    weights = attentions(subject.net)[place].uniform()[None]
    return float(mean_distance(weights, _pixels(subject, place))), float(entropy(weights))


def look(subject: Subject, index: int, unit: str, picture: "Tensor | None" = None) -> dict[str, Any]:
    """Where one unit looks on one picture: image `index` of the test split, or a `picture` (3, H, W), normalised as the test images.

    `weights` is base64 of little-endian float16 of the stated `shape` (heads, N, N), which `unpack` reads; with `cls` the first of
    the N tokens is CLS.  `distance` [pixels], `entropy` [nat] and `cls_share` (None without CLS) hold one number a head.
    Raises MeasureError for an index, unit or picture that does not fit, and for weights beyond MOST.
    """
    import torch

    from core.models.looks import looks

    net = subject.net
    place = next((i for i, u in enumerate(net.units) if u.id == unit), None)
    if place is None or net.units[place].kind != "msa":
        here = [u.id for u in net.units if u.kind == "msa"]
        raise MeasureError(f"There is no MSA unit {unit!r} in this net. MSA units: {', '.join(here) or 'none'}.")
    if picture is None:
        picture = _picture(subject, index)
    picture = picture[None] if picture.dim() == 3 else picture
    if picture.shape != (1, 3, net.image_size, net.image_size):
        raise MeasureError(f"The picture has the shape {tuple(picture.shape)}; it should be (3, {net.image_size}, {net.image_size}).")
    slot, tokens = net.units[place], net.units[place].side ** 2 + (subject.arch.head == "cls")
    if slot.heads * tokens**2 > MOST:
        raise MeasureError(f"Unit {unit} has {words.count(slot.heads * tokens**2)} weights an image, too many to look at live.")
    with torch.inference_mode(), looks(net, only=place) as seen:
        net(picture.to(subject.device))
        weights, values = seen[place][0], _numbers(subject)(place, seen[place])[0]
    alike = uniform(subject, place)
    return {
        "unit": unit, "index": index, "side": slot.side, "image_size": net.image_size, "heads": slot.heads, "form": slot.form,
        "cls": subject.arch.head == "cls", "shape": list(weights.shape), "dtype": "float16",
        "weights": base64.b64encode(weights.cpu().numpy().astype("<f2").tobytes()).decode("ascii"),
        "distance": values[:, 0].tolist(), "distance_uniform": alike[0],
        "entropy": values[:, 1].tolist(), "entropy_uniform": alike[1],
        "cls_share": values[:, 2].tolist() if subject.arch.head == "cls" else None,
    }  # fmt: skip


def unpack(answer: dict[str, Any]) -> np.ndarray:
    """The weights of an answer of `look`, (heads, N, N) float32: row q holds where position q looks.  Needs no torch."""
    return np.frombuffer(base64.b64decode(answer["weights"]), "<f2").reshape(answer["shape"]).astype(np.float32)


def _picture(subject: Subject, index: int) -> "Tensor":
    """(1, 3, H, W): one image of the test split, normalised as for testing."""
    import torch

    from core.data.augment import eval_batches

    images = subject.pictures("test")
    if not 0 <= index < len(images):
        raise MeasureError(f"There is no test image {index}; {images.spec.title} has 0 to {len(images) - 1}.")
    return next(eval_batches(images, np.array([index]), 1, subject.device, torch.float32))[0]


def takeaway(tables: dict[str, pd.DataFrame]) -> str:
    """How far attention looks in some nets, against uniform attention of the same reach; ** marks the key words."""
    if not tables:
        return "No net on stage has been measured yet."
    said = []
    for place, (net, table) in enumerate(tables.items()):
        units = table[table["head"] == 0]
        share = words.percent((units["distance"] / units["distance_uniform"]).mean(), 0)
        reach = f"{share} of what looking at all within reach alike would give" if not place else share
        said.append(f"**{words.plain(units['distance'].mean(), 1)} pixels far in {net}** ({reach})")
    text = f"On average attention looks {words.seq(said)}"
    heads = next(iter(tables.values()))
    heads = heads[heads["head"] > 0]
    if len(tables) > 1 or len(heads) == 1:
        return f"{text}."
    near, far = heads.loc[heads["distance"].idxmin()], heads.loc[heads["distance"].idxmax()]
    return f"{text}; its heads from {_head(near, heads)} to {_head(far, heads)}."


def _head(row: pd.Series, heads: pd.DataFrame) -> str:
    several = (heads["unit"] == row["unit"]).sum() > 1
    return f"{words.plain(row['distance'], 1)} ({row['unit']}{' head ' + str(row['head']) if several else ''})"


def describe(table: pd.DataFrame, unit: str) -> str:
    """How far and how widely one unit looks, in words with its interval."""
    rows = table[table["unit"] == unit]
    if rows.empty:
        return "It is no MSA unit, so it has no attention to look at."
    row, heads = rows[rows["head"] == 0].iloc[0], rows[rows["head"] > 0]
    text = f"Looks {words.plain(row.distance, 1)} pixels far (95 % {words.plain(row.ci_low, 1)} to {words.plain(row.ci_high, 1)}"
    text += f" over {row.images} images); everything within its reach alike would be {words.plain(row.distance_uniform, 1)}."
    if len(heads) > 1:
        near, far = heads.loc[heads["distance"].idxmin()], heads.loc[heads["distance"].idxmax()]
        text += f" Its heads: {words.plain(near.distance, 1)} (head {near['head']}) to {words.plain(far.distance, 1)} (head {far['head']})."
    text += f" A position shares its attention among about {np.exp(row.entropy):.0f} places of {np.exp(row.entropy_uniform):.0f}."
    return text if np.isnan(row.cls_share) else f"{text} {words.percent(row.cls_share)} of it goes to CLS."


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs: the forward passes, and at most as much again for the weights."""
    return 2.0 * count(arch, image_size, 10)["flops"] * params.images


def supports(arch: Architecture) -> str:
    """Only nets with an MSA unit."""
    if "msa" in map(kind_of, arch.letters):
        return ""
    return "This net has no MSA unit, so there is no attention to look at."


def chart(
    table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", scale: list[float] | None = None, **settings: Any
) -> Any:
    """Distance over depth for one net: the mean of each unit, a pale dot a head, a tick where uniform attention of its reach would lie."""
    import altair as alt

    from core.analyses._pictures import domain, over_depth
    from core.chart import tokens

    c = tokens(theme)
    aside = min(0.024, 0.35 * float((table["depth"] / table["position"]).iloc[0]))  # heads stand right of the mark of their unit
    table = table.assign(
        value=table["distance"], low=table["ci_low"], high=table["ci_high"], name=[_name(row, net) for row in table.itertuples()],
        beside=table["depth"] + aside,
    )  # fmt: skip
    scale = scale or domain(pd.concat([table["value"], table["distance_uniform"]]), 0.12)
    rows = table[table["head"] == 0].assign(stage=0)  # the extent of a stage cannot be told from its MSA units alone
    focus = focus if focus in set(rows["unit"]) else ""
    note = f"{words.plain(float(rows.loc[rows['unit'] == focus, 'value'].iloc[0]), 1)} px" if focus else ""
    picture = over_depth(
        rows, title="mean distance [pixels]", theme=theme, heading=net, focus=focus, note=note, scale=scale, **{"side": 10, **settings}
    )
    x, y = (alt.Scale(domain=d, nice=False, zero=False) for d in ([-0.04, 1.04], scale))
    heads = alt.Chart(table[table["head"] > 0]).mark_point(shape="circle", size=34, filled=True, color=c["msa"], opacity=0.6)
    heads = heads.encode(
        x=alt.X("beside:Q", scale=x), y=alt.Y("value:Q", scale=y),
        tooltip=[alt.Tooltip("name:N", title="head"), alt.Tooltip("value:Q", title="mean distance [pixels]", format=".1f")],
    )  # fmt: skip
    alike = alt.Chart(rows).encode(x=alt.X("depth:Q", scale=x), y=alt.Y("distance_uniform:Q", scale=y))
    ticks = alike.mark_tick(orient="horizontal", size=30, thickness=1.6, color=c["faint"]).encode(
        tooltip=[alt.Tooltip("name:N", title="unit"), alt.Tooltip("distance_uniform:Q", title="uniform [pixels]", format=".1f")]
    )
    widest = rows.loc[[(rows["distance_uniform"] - rows["distance"]).idxmax()]]
    said = alt.Chart(widest).encode(x=alt.X("depth:Q", scale=x), y=alt.Y("distance_uniform:Q", scale=y))
    said = said.mark_text(baseline="bottom", dy=-4, color=c["muted"], fontSize=12).encode(text=alt.TextValue("uniform"))
    picture.layer = [ticks, said, heads, *picture.layer]
    return picture


def _name(row: Any, net: str) -> str:
    return f"{name(row, net)} · head {row.head}" if row.head else name(row, net)


ANALYSIS = Analysis(
    id="attention",
    title="Attention distance",
    question="How far does attention look?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=("Raghu et al., Do Vision Transformers See Like Convolutional Neural Networks?, NeurIPS 2021",),
    cost=cost,
    supports=supports,
    needs="units",
    measure=alone(watch),
    watch=watch,
    chart=chart,
)
