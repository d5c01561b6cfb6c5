"""Which blocks blur, and which sharpen?

**Idea.** A feature map is a picture. Its Fourier transform tells how much of it is broad and how much is fine detail.
Compare the map going into a unit with the map coming out: a unit that blurs lowers the fine detail relative to the mean.

**Formula.** For each image, channel and unit output X (after the residual sum): F = fft2(X) over height and width,
A = ln(|F| + 10⁻⁶); mean of A over channels and images; its diagonal a_k from zero frequency, k = 0 … ⌈h/2⌉ − 1.
Δ log amplitude = a_k − a_0, at the true frequency 2k/h · π on a map of side h. The change made by a unit is its value at
the highest frequency minus that of the unit before it.

**How to read it.** 0 means as strong as the mean of the map; −1 means e times weaker. A falling step blurs, a rising step
sharpens. White noise lies at +0.35 for every frequency but zero, because zero frequency is real and the others are complex.
Intervals are 95 %, over images paired between the units; those of a whole kind are over its units.

**What it cannot say.** Each map is measured against its own mean and its own finest frequency, so the jump at a unit that
halves the map is a change of resolution: it is hatched and left out of every mean. Levels of different nets do not compare,
steps do. Maps under 4×4 have too few frequencies and are left out. The highest sample of an even map lies below π: 0.88π at
16×16, 0.75π at 8×8. It describes what units do, not whether the net needs it.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 2a, Fig. 8 and Fig. D.2.
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
from core.errors import MeasureError, unknown
from core.outline import Outline
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    from core.metrics.moments import Moments
    from core.models import Net


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(IMAGES, label="Images", low=8, high=10_000,
                        origin="ours: the sign of nearly every unit's step is clear at 170 images")  # fmt: skip
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, in equal shares of the classes.")
    of: str = param("output", label="Of", origin="paper, Figs. 2a and 8: after the residual sum", choices=("output", "branch"),
                    help="output: what leaves the unit. branch: only what the unit adds, another question.")  # fmt: skip
    inside: str = param("", label="Inside of unit", origin="asked for by readers of the paper",
                        help="A unit such as s2u3: the spectrum after each of its layers, instead of after every unit.")  # fmt: skip
    on: str = param("test", label="Set of images", origin="paper: test images", help=ON_HELP)


COLUMNS = (
    *HEAD,
    Column(id="layer", dtype="str", unit="", term="layer"),
    Column(id="k", dtype="int", unit="", term="sample"),
    Column(id="frequency", dtype="float", unit="π", term="frequency"),
    Column(id="top", dtype="bool", unit="", term="highest frequency"),
    Column(id="delta_log_amplitude", dtype="float", unit="ln", term="delta_log_amplitude"),
    Column(id="ci_low", dtype="float", unit="ln", term="interval"),
    Column(id="ci_high", dtype="float", unit="ln", term="interval"),
    Column(id="change", dtype="float", unit="ln", term="change", optional=True),
    Column(id="change_low", dtype="float", unit="ln", term="interval", optional=True),
    Column(id="change_high", dtype="float", unit="ln", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def watch(subject: Subject, params: Params) -> Watch:
    """Δ log amplitude of every unit (or of every layer inside one unit) at every diagonal frequency, with intervals over images.

    Keeps sums, and one number an image and unit.
    Raises MeasureError if no map is as large as 4x4, or for an unknown unit.  Source: paper, Figs. 2a and 8.
    """
    from core.metrics.moments import Moments
    from core.metrics.spectrum import MIN_SIDE, delta_log_amplitude
    from core.models import COMING_OUT, GOING_IN, layers, probe, probe_layers, units

    slots = units(subject.net)
    if params.inside and params.of == "branch":
        raise MeasureError("Inside a unit its layers are measured one by one; set of=output.")
    position = next((i for i, slot in enumerate(slots) if slot.id == params.inside), -1)
    if params.inside and position < 0:
        raise unknown(MeasureError, "unit", params.inside, [slot.id for slot in slots])
    if params.inside:
        layers(subject.net, position)  # refuses a patch merging
    levels: dict[Any, Moments] = {}
    changes: dict[Any, Moments] = {}
    high: dict[Any, list[np.ndarray]] = {}
    left_out: set[Any] = set()
    sides: dict[Any, int] = {}

    def before(spectra: dict[Any, np.ndarray], at: Any) -> np.ndarray | None:
        """What a change is counted from: the unit before, or what goes into the unit for what comes out."""
        if params.inside:
            return spectra.get(GOING_IN) if at == COMING_OUT else None
        return None if params.of == "branch" else spectra.get(at - 1)

    def see(record: Any) -> None:
        spectra = {}
        for at, maps in (record if params.inside else maps_of(record, params.of)).items():
            if maps.shape[-1] < MIN_SIDE:
                left_out.add(at)
            else:
                spectra[at] = delta_log_amplitude(maps).cpu().double().numpy()
                sides[at] = maps.shape[-1]
        for at, here in spectra.items():
            levels.setdefault(at, Moments()).add(here)
            high.setdefault(at, []).append(here[:, -1].astype(np.float32))
            into = before(spectra, at)
            if into is not None:  # paired by image; where the sides differ, only each map's own highest frequency compares
                step = here - into if into.shape == here.shape else here[:, -1:] - into[:, -1:]
                changes.setdefault(at, Moments()).add(step)

    def done() -> Measurement:
        if not levels:
            raise MeasureError(
                "Every map is smaller than 4x4; there is no frequency to read. Use larger images or a stem of smaller stride."
            )
        rows = []
        for at in levels if params.inside else sorted(levels):
            place, layer = (position, at) if params.inside else (at, "")
            about = (*head(place, slots)[:-1], sides[at])  # a layer's map may be larger than what its unit hands on
            rows += _rows(about, layer, levels[at], changes.get(at), params.seed)
        images = next(iter(levels.values())).n
        small = [at if params.inside else slots[at].id if at >= 0 else "stem" for at in sorted(left_out)]
        notes = {"left_out": small, "images": images, "seed": params.seed, "on": params.on, "of": params.of, "inside": params.inside}
        arrays = {} if params.inside else {"high": np.stack([np.concatenate(high[at]) for at in sorted(high)], axis=1)}
        return Measurement(table=pd.DataFrame(rows, columns=[c.id for c in COLUMNS]), arrays=arrays, notes=notes)

    def look(net: "Net") -> Any:
        return probe_layers(net, position) if params.inside else probe(net, params.of)

    return Watch(probe=look, see=see, done=done)


def _rows(about: tuple[Any, ...], layer: str, level: "Moments", change: "Moments | None", seed: int) -> list[tuple[Any, ...]]:
    """The table's rows of one unit or layer, k rising."""
    mean, low, high = level.interval()
    samples, side = len(mean), about[-1]
    step = np.full((3, samples), np.nan)
    if change is not None:
        found = np.stack(change.interval())
        step[:, -found.shape[1] :] = found
        step[:, 0] = np.nan  # every spectrum is 0 at zero frequency
    return [
        (*about, layer, k, 2 * k / side, k == samples - 1, *map(float, (mean[k], low[k], high[k], *step[:, k])), level.n, seed)
        for k in range(samples)
    ]


def steps(table: pd.DataFrame) -> pd.DataFrame:
    """One row a unit: its change at the highest frequency and the interval over images; resampling units included."""
    return table[table["top"] & table["change"].notna()].reset_index(drop=True)


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Mean change a kind of unit, resampling units left out: kind, units, mean, low, high, lowered, raised.

    The 95 % interval is over units (Student t), the number that limits the answer; one unit has none.
    """
    return _by_kind(steps(table), "change")


def takeaway(tables: dict[str, pd.DataFrame]) -> str:
    """What the units of some nets do to the finest detail, in one sentence; ** marks the key words.

    A kind blurs or sharpens only if its interval over units leaves zero out.
    """
    if not tables:
        return "No net on stage has been measured yet."
    kinds = by_kind(pd.concat(tables.values(), ignore_index=True))
    where = f"In {words.seq(list(tables))}" if len(tables) < 3 else f"In these {len(tables)} nets"
    if kinds.empty:
        return f"{where}, no unit keeps the size of its map, so none can be judged."
    clear, unclear = [], []
    for row in kinds.itertuples():
        name, value = KINDS[row.kind], words.signed(row.mean)
        if row.units == 1:
            unclear.append(f"the one {name} unit {value}")
            continue
        value += f" ± {words.plain(row.high - row.mean)}"
        if not row.low <= 0 <= row.high:
            agree, verb = (row.lowered, "blur") if row.mean < 0 else (row.raised, "sharpen")
            share = f"all {row.units}" if agree == row.units else f"{agree} of {row.units}"
            clear.append(f"**{name} units {verb}** ({value}, {share})")
        else:
            unclear.append(f"{name} units {value}")
    parts = [words.seq(clear)] if clear else []
    if unclear:
        parts.append(
            f"not clear: {words.seq(unclear)}" if clear else f"**no kind of unit blurs or sharpens clearly**: {words.seq(unclear)}"
        )
    return f"{where}, {'; '.join(parts)}."


def describe(table: pd.DataFrame, unit: str) -> str:
    """What one unit does to the highest frequency, in words with its interval."""
    row = table[(table["unit"] == unit) & table["top"]].iloc[0]
    if np.isnan(row.change):
        return f"Its highest frequency lies at {words.signed(row.delta_log_amplitude)}; there is no unit before it to compare with."
    verb = "Lowers" if row.change < 0 else "Raises"
    sentence = f"{verb} the highest frequency by {words.plain(abs(row.change))}"
    sentence += f" (95 % {words.signed(row.change_low)} to {words.signed(row.change_high)})"
    if row.resampling:
        return f"{sentence}. It changes the resolution, so the jump is no blur or sharpening and counts in no mean."
    if row.change_low <= 0 <= row.change_high:
        return f"{sentence}: not clear over {row.images} images."
    share = np.exp(row.change) - 1
    return f"{sentence}: about {words.percent(abs(share), 0)} {'less' if share < 0 else 'more'} fine detail."


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes; the transforms add a few percent."""
    return count(arch, image_size, 10)["flops"] * params.images


def supports(arch: Architecture | Outline) -> str:
    """Every net can be measured whose maps are large enough; small ones are left out and named."""
    if isinstance(arch, Outline) and arch.units and max(unit.side * unit.stride for unit in arch.units) < 4:
        return f"{arch.name} has no map of 4×4 positions or more at {arch.image_size} pixels, so there is no frequency to read."
    return ""


TITLE = "Δ log amplitude, highest frequency"


def points(table: pd.DataFrame, net: str = "") -> pd.DataFrame:
    """One row a unit at its highest frequency, as the pictures over depth want it: value, low, high, name."""
    top = table[table["top"]].reset_index(drop=True)
    names = [name(row, net) for row in top.itertuples()]
    return top.assign(value=top["delta_log_amplitude"], low=top["ci_low"], high=top["ci_high"], name=names)


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", **settings: Any) -> Any:
    """Δ log amplitude at the highest frequency over depth, for one net; the change made stands under the focused unit."""
    from core.analyses._pictures import over_depth

    rows = points(table, net)
    if focus and focus not in set(rows["unit"]):
        focus = ""
    change = rows.loc[rows["unit"] == focus, "change"]
    note = words.signed(float(change.iloc[0])) if len(change) and pd.notna(change.iloc[0]) else ""
    return over_depth(rows, title=TITLE, theme=theme, heading=net, focus=focus, note=note, **settings)


def chart_kinds(tables: dict[str, pd.DataFrame], theme: str = "light", **settings: Any) -> Any:
    """The change made by each unit, by kind, with the mean and its 95 % interval over units."""
    from core.analyses._pictures import strip

    both = pd.concat([steps(table).assign(net=net) for net, table in tables.items()], ignore_index=True)
    both = both[~both["resampling"]]
    both = both.assign(name=[name(row, row.net) for row in both.itertuples()])
    return strip(both, by_kind(both.assign(top=True)), labels=KINDS, title="change of Δ log amplitude", theme=theme, **settings)


def chart_spectra(table: pd.DataFrame, theme: str = "light", *, net: str = "", focus: str = "", **settings: Any) -> Any:
    """Δ log amplitude over frequency, one line a unit; a focused unit stands out beside what went in."""
    from core.analyses._pictures import spectrum

    rows = table.assign(name=[name(row, net) for row in table.itertuples()])
    focus = focus if focus in set(rows["unit"]) else ""
    title = "Δ log amplitude, relative to the unit’s own zero frequency"
    return spectrum(rows, focus, value="delta_log_amplitude", title=title, theme=theme, **settings)


def layers_of(table: pd.DataFrame) -> list[str]:
    """The layers of a unit that was looked into, in order of computation."""
    return list(dict.fromkeys(table["layer"]))


def describe_layer(table: pd.DataFrame, layer: str) -> str:
    """Where the highest frequency lies after one layer and before it, in words with its interval."""
    names, tops = layers_of(table), table[table["top"]].set_index("layer")
    row = tops.loc[layer]
    said = f"The highest frequency lies at {words.signed(row['delta_log_amplitude'])}"
    said += f" (95 % {words.signed(row['ci_low'])} to {words.signed(row['ci_high'])})"
    if layer == names[0]:
        return f"{said}."
    earlier = tops.loc[names[names.index(layer) - 1]]
    if earlier["side"] != row["side"]:
        return f"{said}; before it the map was {earlier['side']}×{earlier['side']}, so the two do not compare."
    return f"{said}; before it at {words.signed(earlier['delta_log_amplitude'])}."


def chart_layers(table: pd.DataFrame, theme: str = "light", *, focus: str = "", **settings: Any) -> Any:
    """Δ log amplitude over frequency inside one unit, one line a layer; a focused layer stands out beside what went into it."""
    from core.analyses._pictures import spectrum

    names = layers_of(table)
    rows = table.assign(unit=table["layer"], name=table["layer"], position=[names.index(layer) for layer in table["layer"]])
    title = "Δ log amplitude, relative to the layer’s own zero frequency"
    return spectrum(rows, focus if focus in names else "", value="delta_log_amplitude", title=title, theme=theme, **settings)


ANALYSIS = Analysis(
    id="fourier",
    title="Frequency",
    question="Which blocks blur, and which sharpen?",
    version=2,
    params=Params,
    columns=COLUMNS,
    sources=("Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 2a, Fig. 8, Fig. D.2",),
    cost=cost,
    supports=supports,
    needs="blocks",
    measure=alone(watch),
    watch=watch,
    chart=chart,
)
