"""Which layers see alike?

**Idea.** Two layers see alike if the images that look similar to one look similar to the other. CKA compares the two tables of
similarity between images; it does not care how the channels are turned or scaled, so layers of different size and of different
nets compare.

**Formula.** For a batch of n images, K holds the inner products of a layer's features (all channels and positions), L those of the
other, both with an empty diagonal. HSIC(K, L) = [tr KL + (1ᵀK1)(1ᵀL1)/((n−1)(n−2)) − 2/(n−2) · 1ᵀKL1] / (n(n−3)), which has no bias.
Its mean over batches, then CKA = HSIC(K, L) / √(HSIC(K, K) · HSIC(L, L)). All layers see the same batches.

**How to read it.** 1: they see the same similarities; 0: nothing in common. Dark squares along the diagonal that end where a stage
ends mean that the stages work as separate small nets; an even picture means one long net. The contrast is the mean CKA of pairs of
units within a stage minus that of pairs from different stages; its 95 % interval is a jackknife over batches.

**What it cannot say.** It is one number for a pair and follows the few directions in which the features vary most. Alike does not
mean the same, and unlike does not mean worse. Neighbours share the residual stream, so a high value beside the diagonal is expected.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 10a and Fig. D.3. Nguyen, Raghu and Kornblith, ICLR 2021;
Song et al., Feature Selection via Dependence Maximization, JMLR 2012, for the estimator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject, _pass
from core.analyses._pass import Watch, alone
from core.analyses._units import HEAD, IMAGES, ON_HELP, head, maps_of, name
from core.errors import MeasureError
from core.metrics.moments import jackknife
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    from core.models import Taps


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(IMAGES, label="Images", low=8, high=10_000, origin="ours: sixteen batches of 32")
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, in equal shares of the classes.")
    on: str = param("test", label="Set of images", origin="paper: test images", help=ON_HELP)
    against: str = param("", label="Against", origin="ours: the net itself",
                         help="Another run, on the same set of images: its layers stand in the columns.")  # fmt: skip


COLUMNS = (
    *HEAD,
    *(Column(id=f"with_{c.id}", dtype=c.dtype, unit=c.unit, term=c.term) for c in HEAD),
    Column(id="cka", dtype="float", unit="0 to 1", term="cka", optional=True),
    Column(id="ci_low", dtype="float", unit="", term="interval", optional=True),
    Column(id="ci_high", dtype="float", unit="", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def watch(subject: Subject, params: Params) -> Watch:
    """CKA between all units' outputs of a net, or between those of two nets, with a jackknife interval over batches.

    Keeps one number a batch and pair.  Raises MeasureError if the other net was not trained on the same set of images.
    Source: paper, Fig. 10a.
    """
    from core.metrics.similarity import Cka
    from core.models import probe, units

    other = _other(subject, params.against) if params.against else None
    slots, against = units(subject.net), units(other.net) if other else units(subject.net)
    found = Cka(len(slots) + 1, len(against) + 1)
    chunks = other.chunks(params.on, params.images, params.seed, _pass.CHUNK) if other else None
    images = 0

    def see(taps: "Taps") -> None:
        nonlocal images
        rows = list(maps_of(taps).values())
        images += len(rows[0])
        if other is None or chunks is None:
            found.add(rows)
            return
        with probe(other.net) as theirs:
            other.net(next(chunks)[0])
        found.add(rows, list(maps_of(theirs).values()))

    def done() -> Measurement:
        value = found.value().numpy()
        low, high = (np.full_like(value, np.nan),) * 2
        if len(found.cross) > 1:
            low, high = jackknife(value, found.without_each().numpy())
        rows = [
            (*head(i, slots), *head(j, against), *(float(x[i + 1, j + 1]) for x in (value, low, high)), images, params.seed)
            for i in range(-1, len(slots))
            for j in range(-1, len(against))
        ]
        table = pd.DataFrame(rows, columns=[c.id for c in COLUMNS])
        notes: dict[str, Any] = {"images": images, "seed": params.seed, "on": params.on, "batches": len(found.cross)}
        if other is None and len({slot.stage for slot in slots}) > 1:
            notes["contrast"] = _contrast(found, slots)
        return Measurement(table=table, notes=notes)

    return Watch(probe=probe, see=see, done=done)


def _other(subject: Subject, run_id: str) -> Subject:
    from core import data, store

    run = store.find(run_id)
    own, theirs = (data.get(name).subset_of or name for name in (subject.run.data, run.data))
    if own != theirs:
        said = f"{run.id} was trained on {data.title(run.data)}, this net on {data.title(subject.run.data)}"
        raise MeasureError(f"{said}; both should see the same images.")
    return Subject(run, str(subject.device))


def _contrast(found: Any, slots: list[Any]) -> dict[str, float]:
    """Mean CKA within stages, between stages, and the difference with its interval; the stem is in no stage."""
    stage = np.array([slot.stage for slot in slots])
    above = np.triu(np.ones((len(slots), len(slots)), dtype=bool), 1)
    same = (stage[:, None] == stage[None, :]) & above
    apart = (stage[:, None] != stage[None, :]) & above

    if not same.any() or not apart.any():  # one unit in every stage, or one stage
        return {}

    def means(values: np.ndarray) -> np.ndarray:
        units = values[..., 1:, 1:]
        return np.stack([units[..., same].mean(-1), units[..., apart].mean(-1), units[..., same].mean(-1) - units[..., apart].mean(-1)], -1)

    whole = means(found.value().numpy())
    result = {"within": float(whole[0]), "between": float(whole[1]), "difference": float(whole[2])}
    if len(found.cross) > 1:
        low, high = jackknife(whole, means(found.without_each().numpy()))
        result |= {"low": float(low[2]), "high": float(high[2])}
    return {key: value for key, value in result.items() if np.isfinite(value)}


def takeaway(net: str, contrast: dict[str, float] | None) -> str:
    """How far the stages of one net are apart, in one sentence from the notes of its measurement."""
    if not contrast or "difference" not in contrast:
        why = "has one stage, or one unit in each," if contrast == {} else "has one stage,"
        return f"{net} {why} so there are **no stages to tell apart**; the picture shows how its layers drift."
    within, between, gap = contrast["within"], contrast["between"], contrast["difference"]
    numbers = f"{words.plain(within)} within a stage, {words.plain(between)} between stages"
    if "low" not in contrast:
        return f"In {net}, the mean CKA is {numbers}; one batch of images gives no interval."
    said = f"{numbers}: difference {words.signed(gap)}, 95 % {words.signed(contrast['low'])} to {words.signed(contrast['high'])}"
    if contrast["low"] > 0:
        return f"In {net}, **units of one stage see more alike** than units of different stages ({said})."
    if contrast["high"] < 0:
        return f"In {net}, **units of one stage see less alike** than units of different stages ({said})."
    return f"In {net}, the stages **cannot be told apart** by what they see ({said})."


def takeaway_pair(table: pd.DataFrame, first: str, second: str) -> str:
    """Where two nets see alike, in one sentence: the best pair of units, and the last units of both."""
    units = table[(table["kind"] != "stem") & (table["with_kind"] != "stem") & table["cka"].notna()]
    if units.empty:
        return f"Nothing that varies over these images is left to compare in {first} and {second}."
    best = units.loc[units["cka"].idxmax()]
    last = units[(units["position"] == units["position"].max()) & (units["with_position"] == units["with_position"].max())].iloc[0]
    return (
        f"{first} and {second} see most alike at **{_place(best, '')} and {_place(best, 'with_')}** (CKA {words.plain(best['cka'])}); "
        f"their last units reach {words.plain(last['cka'])}{_interval(last)}."
    )


def describe(table: pd.DataFrame, unit: str, other: str) -> str:
    """One pair of layers in words with its interval."""
    row = table[(table["unit"] == unit) & (table["with_unit"] == other)].iloc[0]
    if pd.isna(row["cka"]):
        return "One of the two says the same of every image, so it is like nothing."
    return f"CKA {words.plain(row['cka'])}{_interval(row)}."


def _place(row: pd.Series, side: str) -> str:
    return f"stage {row[f'{side}stage']}, unit {row[f'{side}index']}"


def _interval(row: pd.Series) -> str:
    return "" if pd.isna(row["ci_low"]) else f" (95 % {words.plain(row['ci_low'])} to {words.plain(row['ci_high'])})"


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes; the tables of similarity add about a tenth, another net its own pass."""
    return count(arch, image_size, 10)["flops"] * params.images * (2.1 if params.against else 1.1)


def supports(arch: Architecture) -> str:
    """Every net can be measured."""
    return ""


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "", other: str = "", focus: str = "", **settings: Any) -> Any:
    """CKA of all pairs as a map from paper to ink; stages are parted, unit marks stand along both sides."""
    from core.analyses._pictures import pairs

    def named(side: str) -> list[str]:
        part = table[[f"{side}{c.id}" for c in HEAD]].rename(columns=lambda column: column.removeprefix(side))
        return [name(row) for row in part.itertuples()]

    rows = table.assign(row_name=named(""), column_name=named("with_"))
    focus = focus if focus in set(table["unit"]) else ""
    return pairs(rows, value="cka", title="CKA", theme=theme, across=other or net, down=net, focus=focus, **settings)


ANALYSIS = Analysis(
    id="cka",
    title="CKA",
    question="Which layers see alike?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 10a, Fig. D.3",
        "Nguyen, Raghu and Kornblith, Do Wide and Deep Networks Learn the Same Things?, ICLR 2021",
    ),
    cost=cost,
    supports=supports,
    needs="blocks",
    measure=alone(watch),
    watch=watch,
    others=lambda params: (params.against,) if params.against else (),
    chart=chart,
)
