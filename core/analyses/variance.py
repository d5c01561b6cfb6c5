"""Which blocks even the picture out, and which give it contrast?

**Idea.** Averaging makes values alike: a unit that mixes positions by weights that add up to one lowers the variance over the
picture. Compare the variance of the map going into a unit with that of the map coming out.

**Formula.** For each image, channel and unit output X (after the residual sum): the variance over the h·w positions with
divisor h·w − 1; mean over channels, then over images. The ratio of a unit is its variance over that of the unit before it.

**How to read it.** A ratio of 1 changes nothing, 0.9 takes a tenth of the variance away. In the paper MSA lowers the
variance and Conv and MLP raise it. Intervals are 95 %, over images paired between the units; those of a whole kind are over its
units.

**What it cannot say.** Where the map is made smaller the ratio is one of resolutions: such units are hatched and left out of
every mean. Levels of different nets do not compare, ratios do. Without a normalising layer behind the last unit a large
variance may simply be a large scale. It describes what units do, not whether the net needs it.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 9 and Fig. D.1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.analyses._pass import Watch, alone
from core.analyses._units import HEAD, IMAGES, KINDS, ON_HELP, head, maps_of, name
from core.analyses._units import by_kind as _by_kind
from core.errors import MeasureError
from core.metrics.interval import mean_interval, t_quantile
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    from core.models import Taps
    from core.spec import Unit


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(IMAGES, label="Images", low=8, high=10_000, origin="paper's notebook: one batch of 256; ours twice that")
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, in equal shares of the classes.")
    on: str = param("test", label="Set of images", origin="paper: test images", help=ON_HELP)


COLUMNS = (
    *HEAD,
    Column(id="variance", dtype="float", unit="", term="variance"),
    Column(id="ci_low", dtype="float", unit="", term="interval"),
    Column(id="ci_high", dtype="float", unit="", term="interval"),
    Column(id="ratio", dtype="float", unit="out / in", term="variance_ratio", optional=True),
    Column(id="ratio_low", dtype="float", unit="out / in", term="interval", optional=True),
    Column(id="ratio_high", dtype="float", unit="out / in", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def watch(subject: Subject, params: Params) -> Watch:
    """Variance over positions of every unit's output, and its ratio to the unit before, with intervals over images.

    Keeps one number an image and unit.  Raises MeasureError if every map is a single position.  Source: paper, Fig. 9.
    """
    from core.metrics.variance import spatial_variance
    from core.models import probe, units

    parts: dict[int, list[np.ndarray]] = {}

    def see(taps: "Taps") -> None:
        for place, maps in maps_of(taps).items():
            if maps.shape[-1] > 1:
                parts.setdefault(place, []).append(spatial_variance(maps).cpu().numpy())

    def done() -> Measurement:
        if not parts:
            raise MeasureError("Every map of this net is a single position; it has no variance over positions.")
        slots, values = units(subject.net), {place: np.concatenate(parts[place]) for place in sorted(parts)}
        table = pd.DataFrame([_row(place, slots, values, params.seed) for place in values], columns=[c.id for c in COLUMNS])
        return Measurement(table=table, notes={"images": len(values[max(values)]), "seed": params.seed, "on": params.on})

    return Watch(probe=probe, see=see, done=done)


def _row(place: int, slots: "list[Unit]", values: dict[int, np.ndarray], seed: int) -> tuple[Any, ...]:
    here, before = values[place], values.get(place - 1)
    ratio = (np.nan, np.nan, np.nan) if before is None else ratio_interval(here, before)
    return (*head(place, slots), *map(float, (*mean_interval(here), *ratio)), len(here), seed)


def ratio_interval(out: np.ndarray, into: np.ndarray) -> tuple[float, float, float]:
    """(ratio, low, high) of two means over the same images: mean out / mean in, 95 % by the delta method on its logarithm.

    NaN where a mean is zero: there is nothing to compare.
    """
    if out.mean() <= 0 or into.mean() <= 0:
        return np.nan, np.nan, np.nan
    middle = np.log(out.mean() / into.mean())
    spread = (out / out.mean() - into / into.mean()).std(ddof=1) / np.sqrt(len(out)) if len(out) > 1 else np.nan
    half = t_quantile(len(out) - 1) * spread if len(out) > 1 else np.nan
    return float(np.exp(middle)), float(np.exp(middle - half)), float(np.exp(middle + half))


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean of the ratio a kind of unit, resampling units left out: kind, units, mean, low, high, lowered, raised.

    The 95 % interval is over units, of the logarithm.
    """
    usable = table[table["ratio"].notna()]
    kinds = _by_kind(usable.assign(change=np.log(usable["ratio"])), "change")
    return kinds.assign(**{column: np.exp(kinds[column]) for column in ("mean", "low", "high")})


def takeaway(tables: dict[str, pd.DataFrame]) -> str:
    """What the units of some nets do to the variance, in one sentence; ** marks the key words.

    A kind lowers or raises it only if its interval over units leaves 1 out.
    """
    if not tables:
        return "No net on stage has been measured yet."
    kinds = by_kind(pd.concat(tables.values(), ignore_index=True))
    where = f"In {words.seq(list(tables))}" if len(tables) < 3 else f"In these {len(tables)} nets"
    if kinds.empty:
        return f"{where}, no unit keeps the size of its map, so none can be judged."
    clear, unclear = [], []
    for row in kinds.itertuples():
        value = f"×{row.mean:.2f}"
        if row.units == 1:
            unclear.append(f"the one {KINDS[row.kind]} unit {value}")
        elif row.low <= 1 <= row.high:
            unclear.append(f"{KINDS[row.kind]} units {value} (95 % ×{row.low:.2f} to ×{row.high:.2f})")
        else:
            agree, verb = (row.lowered, "lower") if row.mean < 1 else (row.raised, "raise")
            share = f"all {row.units}" if agree == row.units else f"{agree} of {row.units}"
            clear.append(f"**{KINDS[row.kind]} units {verb} the variance** ({value}, 95 % ×{row.low:.2f} to ×{row.high:.2f}, {share})")
    if clear:
        return f"{where}, {'; '.join([words.seq(clear), *([f'not clear: {words.seq(unclear)}'] if unclear else [])])}."
    return f"{where}, **no kind of unit lowers or raises the variance clearly**: {words.seq(unclear)}."


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes."""
    return count(arch, image_size, 10)["flops"] * params.images


def supports(arch: Architecture) -> str:
    """Every net can be measured."""
    return ""


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", **settings: Any) -> Any:
    """Variance over depth, for one net; the ratio stands under the focused unit."""
    from core.analyses._pictures import over_depth

    names = [name(row, net) for row in table.itertuples()]
    rows = table.assign(value=table["variance"], low=table["ci_low"], high=table["ci_high"], name=names)
    focus = focus if focus in set(rows["unit"]) else ""
    ratio = rows.loc[rows["unit"] == focus, "ratio"]
    note = f"×{float(ratio.iloc[0]):.2f}" if len(ratio) and pd.notna(ratio.iloc[0]) else ""
    title = "variance over the picture"
    return over_depth(rows, title=title, theme=theme, heading=net, focus=focus, note=note, log=True, **settings)


def chart_kinds(tables: dict[str, pd.DataFrame], theme: str = "light", **settings: Any) -> Any:
    """The ratio of each unit, by kind, with the geometric mean and its 95 % interval over units; equal factors are equal steps."""
    from core.analyses._pictures import strip

    both = pd.concat([table.assign(net=net) for net, table in tables.items()], ignore_index=True)
    both = both[both["ratio"].notna() & ~both["resampling"]]
    names = [name(row, row.net) for row in both.itertuples()]
    both = both.assign(name=names, change=np.log2(both["ratio"]), factor=[f"×{ratio:.2f}" for ratio in both["ratio"]])
    kinds = by_kind(both)
    said = tuple(f"×{mean:.2f}" for mean in kinds["mean"])
    kinds = kinds.assign(**{column: np.log2(kinds[column]) for column in ("mean", "low", "high")})
    title = "variance, out against in"
    return strip(both, kinds, labels=KINDS, title=title, theme=theme, said=said, factors=True, **settings)


ANALYSIS = Analysis(
    id="variance",
    title="Variance",
    question="Which blocks even the picture out, and which give it contrast?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=("Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 9, Fig. D.1",),
    cost=cost,
    supports=supports,
    needs="blocks",
    measure=alone(watch),
    watch=watch,
    chart=chart,
)
