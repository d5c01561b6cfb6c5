"""How sharp is the valley, and is it one?

**Idea.** The Hessian says how the loss bends along every direction of the weights. Its largest eigenvalues say how sharp the valley
is, and a negative one that there is a way down: the loss is not convex there. The paper finds the loss of attention flat but not
convex early in training, the loss of convolutions sharp and convex.

**Formula.** For each mini-batch of 16 training images, augmented and with soft labels as in training: the 5 eigenvalues λ of largest
magnitude of the Hessian of the mean cross entropy over all parameters, the net in eval mode, in float32. Found by Lanczos with full
reorthogonalisation on exact products H·v, both ends at once; each with its residual ‖H·v − λ·v‖ / |λ₁|, and shown if the bound of its
relative error, residual² over the distance to the next value, is within the tolerance for two steps. NEP = share of λ < 0, APE = mean of
λ > 0, from raw values. Intervals draw whole mini-batches with replacement (2,000 times, widened for few batches as Student's t); that of
NEP holds at least the exact one of how many batches have any negative value, so "none found" is never "0 to 0".

**How to read it.** Compare nets at the same moment of training and on the same batches: values grow while a net trains. A smaller mean is a
flatter valley, more negatives are fewer valleys. In the paper, at the end of warm-up, 9 % of ViT's values are negative and 0.1 % of
ResNet's, while their mean is a twelfth.

**What it cannot say.** Values are of mini-batches: the loss of all images bends less, see the density. Five values are at the ends of
hundreds of thousands. ReLU has no second derivative, GELU and softmax have, and that is a part of any difference in negatives. Weight
decay as half the squared length of all parameters, λ/2·Σ‖w‖², adds exactly λ to every value; that is left out here and told beside the
figure. The paper's L2 part, λ·Σ‖w_p‖ without the square, is no such shift: it bends by λ/‖w_p‖ across each tensor and not along it. A value
that has not converged is counted and never shown. The order of values of equal magnitude is chance.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 1c and Fig. 4; Ghorbani, Krishnan and Xiao, An Investigation
into Neural Net Optimization via Hessian Eigenvalue Density, ICML 2019 (Lanczos on nets); Pearlmutter, Fast Exact Multiplication by the
Hessian, Neural Computation 6, 1994; Clopper and Pearson, Biometrika 26, 1934.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Arrays, Rows, Subject, in_rows
from core.analyses._batches import AUGMENT
from core.errors import MeasureError, unknown
from core.metrics import sharpness
from core.metrics.interval import mean_interval
from core.params import param
from core.recipe import from_dict
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    on: ClassVar[str] = "train"
    images: int = param(384, label="Images", unit="training images", low=1, high=50_000,
                        origin="ours: 24 mini-batches; the paper takes a tenth of the training images")  # fmt: skip
    batch: int = param(16, label="Images a mini-batch", low=1, high=512, origin="paper: 16")
    top: int = param(5, label="Values a mini-batch", low=1, high=50, origin="paper: 5")
    phase: str = param("end", label="Phase", choices=("init", "warmup", "third", "twothirds", "end"), origin="paper, Fig. 4")
    augment: str = param("recipe", label="Images", choices=tuple(AUGMENT), origin="paper: the images as they were seen in training")
    tolerance: float = param(1e-4, label="Tolerance", low=1e-6, high=0.1, origin="ours: 1e-4 was met with 1e-5 on the shipped nets",
                             help="Largest relative error of a value that is shown, by its bound.")  # fmt: skip
    most: int = param(100, label="Most products", low=5, high=1000, origin="ours: 13 to 30 are needed",
                      help="Products with the Hessian after which a mini-batch is given up.")  # fmt: skip
    seed: int = param(0, label="Seed", low=0, high=10**6, origin="ours", help="Which images are drawn, and how they are augmented.")


COLUMNS = (
    Column(id="batch", dtype="int", unit="", term="batch"),
    Column(id="rank", dtype="int", unit="", term="rank"),
    Column(id="eigenvalue", dtype="float", unit="nat", term="eigenvalue", optional=True),
    Column(id="residual", dtype="float", unit="", term="residual"),
    Column(id="converged", dtype="bool", unit="", term="converged"),
    Column(id="products", dtype="int", unit="", term="products"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)
#: When a moment of training is, as a sentence begins with it.
WHEN = {
    "init": "Before training", "warmup": "At the end of warm-up", "third": "After a third of training",
    "twothirds": "After two thirds of training", "end": "At the end of training",
}  # fmt: skip


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Draw the batches once; the function it returns measures one of them."""
    from core.analyses._batches import frozen, losses
    from core.metrics.curvature import exact, hvp, outermost
    from core.metrics.twice import quick

    batches = frozen(subject, params.augment, params.images, params.batch, params.seed)
    net = copy.deepcopy(subject.net).attend("plain")  # fused attention has no second derivative on a processor
    parameters = list(net.parameters())
    size = sum(parameter.numel() for parameter in parameters)

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun = time.perf_counter()
        with exact(subject.device):
            with quick():
                product = hvp(losses(net(batches.x[i]), batches.target[i]).mean(), parameters)
            ends = outermost(
                product, size, min(params.top, size), tolerance=params.tolerance, most=params.most, seed=params.seed + i,
                like=batches.x[i].new_zeros(()), progress=lambda done: progress(min(done, 29), 30, f"{done} products"),
            )  # fmt: skip
        return {
            "eigenvalue": ends.values.cpu().numpy(), "residual": ends.residuals.cpu().numpy(),
            "converged": ends.converged.cpu().numpy(), "products": np.array(ends.products), "batches": np.array(batches.digest),
            "said": np.array(batches.said), "seconds": np.array(time.perf_counter() - begun),
        }  # fmt: skip

    return row


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """The values of the batches that are there; one that has not converged is no number."""
    found = []
    for batch, arrays in sorted(rows.items()):
        good = arrays["converged"].astype(bool)
        found.append(pd.DataFrame({
            "batch": batch, "rank": np.arange(1, len(good) + 1), "eigenvalue": np.where(good, arrays["eigenvalue"], np.nan),
            "residual": arrays["residual"].astype(float), "converged": good, "products": int(arrays["products"]),
            "images": params.images, "seed": params.seed,
        }))  # fmt: skip
    table = pd.concat(found, ignore_index=True)
    first = rows[min(rows)]
    notes = {
        "batches": str(first["batches"]), "said": str(first["said"]), "phase": params.phase,
        "weight_decay": float(from_dict(run.recipe).weight_decay), "values": len(table),
        "unconverged": int((~table["converged"]).sum()), "products": int(sum(int(row["products"]) for row in rows.values())),
        "rows": len(rows), "of": _batches(params),
    }  # fmt: skip
    return Measurement(table=table, notes=notes)


def _batches(params: Params) -> int:
    return -(-params.images // params.batch)


# ---- what a table says


def kept(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that may be shown: those whose value has converged."""
    return table[table["converged"] & table["eigenvalue"].notna()]


def summary(table: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """NEP [0 to 1] and APE with 95 % intervals over batches, counts, and the ends.  MeasureError if no value converged."""
    rows = kept(table)
    values = rows["eigenvalue"].to_numpy()
    found = sharpness.sharpness(values, rows["batch"].to_numpy(), seed)
    return {
        "nep": found.nep, "nep_low": found.nep_low, "nep_high": found.nep_high,
        "ape": found.ape, "ape_low": found.ape_low, "ape_high": found.ape_high,
        "batches": int(rows["batch"].nunique()), "values": len(values), "unconverged": len(table) - len(values),
        "largest": float(values.max()), "smallest": float(values.min()),
    }  # fmt: skip


def pair(one: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """`ratio` of the APEs and `difference` of the NEPs of two tables, one to the other, each with `_low` and `_high` (95 %)."""
    sides = [(rows["eigenvalue"].to_numpy(), rows["batch"].to_numpy()) for rows in (kept(one), kept(other))]
    ratio = sharpness.ape_ratio(*sides, seed=seed)
    difference = sharpness.nep_difference(*(sharpness.sharpness(*side, seed) for side in sides))
    names = ("", "_low", "_high")
    return {f"{what}{name}": value for what, trio in (("ratio", ratio), ("difference", difference))
            for name, value in zip(names, trio, strict=True)}  # fmt: skip


def takeaway(found: Mapping[str, pd.DataFrame], phase: str = "end") -> str:
    """How much flatter the flattest net is than the sharpest, and whether it is a valley; for one net its two numbers; "" for none."""
    found = {title: table for title, table in found.items() if len(kept(table))}
    said = {title: summary(table) for title, table in found.items()}
    when = WHEN.get(phase, WHEN["end"])
    if not said:
        return ""
    order = sorted((title for title in said if said[title]["ape"] == said[title]["ape"]), key=lambda title: said[title]["ape"])
    if len(order) < 2:
        title, one = next(iter(said.items()))
        mean = f"; its positive ones are **{short(one['ape'])}** on average{_range(one, 'ape', short)}" if one["ape"] == one["ape"] else ""
        return f"{when} {_negative(one, f'of {title}’s')}{mean}."
    flat, sharp = order[0], order[-1]
    two = pair(found[sharp], found[flat])
    if not two["ratio_low"] > 1:
        shares = words.seq([f"**{words.percent(said[title]['nep'])}**" for title in (flat, sharp)])
        ratio, limits = _times(two)
        return (
            f"{when} it is **not clear** whether {flat}’s loss is flatter than {sharp}’s ({ratio} times{f', {limits}' if limits else ''}); "
            f"{shares} of their leading eigenvalues are negative."
        )
    more, (ratio, limits) = pair(found[flat], found[sharp])["difference_low"] > 0, _times(two)
    return (
        f"{when} {flat}’s loss is **{ratio} times flatter** than {sharp}’s ({limits}), "
        f"{'but' if more else 'and'} {_negative(said[flat], 'of its')}."
    )


def _negative(one: Mapping[str, float], whose: str) -> str:
    if one["nep"] == 0:
        return f"**none** {whose} leading eigenvalues is negative (up to {words.percent(one['nep_high'])} may be)"
    return f"**{words.percent(one['nep'])}** {whose} leading eigenvalues are negative{_range(one, 'nep', words.percent)}"


def _range(one: Mapping[str, float], which: str, write: Callable[[float], str]) -> str:
    low, high = one[f"{which}_low"], one[f"{which}_high"]
    return f" ({write(low)} to {write(high)})" if low == low else ""


def short(value: float) -> str:
    """An eigenvalue to three digits at most: 141, 34.2, 0.57."""
    size = abs(value)
    return words.plain(value, 0 if size >= 100 else 1 if size >= 10 else 2)


def _times(two: Mapping[str, float]) -> tuple[str, str]:
    """A factor and its 95 % limits, all to as many digits as the lowest needs; "" for limits that are not known."""
    ratio, low, high = two["ratio"], two["ratio_low"], two["ratio_high"]
    least = low if low == low else ratio
    digits = 0 if least >= 9.95 else 1 if least >= 1.05 else 2
    return words.plain(ratio, digits), f"{words.plain(low, digits)} to {words.plain(high, digits)}" if low == low else ""


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the products, 17 a batch for five values, each as long as six forward passes as they are reckoned with (measured)."""
    return count(arch, image_size, 10)["flops"] * params.images * (7 + 2 * params.top) * 6


def supports(arch: Architecture) -> str:
    """Every loss bends."""
    return ""


ROWS = Rows(count=lambda _arch, params: _batches(params), start=start, gather=gather, word="batch")


# ---- charts


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "conv", **_settings: Any) -> Any:
    """One net's values."""
    return chart_spectra({net: table}, theme, families={net: family})


def chart_spectra(found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str]) -> Any:
    """The density of the values of several nets, a lane each on one axis.  MeasureError if no value converged."""
    from core.analyses import _bends

    values = {net: kept(table)["eigenvalue"].to_numpy(dtype=float) for net, table in found.items()}
    return _bends.spectra(values, _facts(found), theme, families, "leading Hessian eigenvalues, signed log")


def chart_ladder(found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str]) -> Any:
    """The values by rank, a lane a net: a dot a mini-batch, and the mean of each rank with its 95 % interval."""
    from core.analyses import _bends

    rows = pd.concat([kept(table).assign(net=net) for net, table in found.items()], ignore_index=True)
    means = []
    for (net, rank), group in rows.groupby(["net", "rank"], sort=False):
        mean, low, high = mean_interval(group["eigenvalue"].to_numpy(dtype=float))
        means.append({"net": net, "rank": rank, "mean": float(mean), "low": float(low), "high": float(high)})
    table = rows[["net", "rank", "batch", "eigenvalue"]]
    return _bends.ladder(table, pd.DataFrame(means), _facts(found), theme, families, "Hessian eigenvalues by rank, signed log")


def chart_phases(
    found: Mapping[str, Mapping[str, pd.DataFrame]], theme: str = "light", *, which: str, families: Mapping[str, str], phase: str = "",
    height: int = 150,
) -> Any:  # fmt: skip
    """NEP (`nep`, in %) or APE (`ape`) over training, from tables by phase and net; dotted at `phase`."""
    from core.analyses import _trends

    table = over_phases(found, which)
    return _trends.phases(table, theme, families, title=TITLES[which], shown=phase, height=height)


#: What the two numbers are called on screen.
TITLES = {"nep": "Share negative, %", "ape": "Mean of positives"}


def over_phases(found: Mapping[str, Mapping[str, pd.DataFrame]], which: str) -> pd.DataFrame:
    """net, phase, value, low, high of NEP [%] or APE at each moment that was measured.  Raises MeasureError for another number."""
    if which not in TITLES:
        raise unknown(MeasureError, "number", which, TITLES)
    rows, factor = [], 100 if which == "nep" else 1
    for phase, tables in found.items():
        for net, table in tables.items():
            if len(kept(table)):
                one = summary(table)
                rows.append((net, phase, *(factor * one[f"{which}{end}"] for end in ("", "_low", "_high"))))
    return pd.DataFrame(rows, columns=["net", "phase", "value", "low", "high"])


def say_phases(found: Mapping[str, Mapping[str, pd.DataFrame]], which: str) -> str:
    """What a chart over training shows, for who cannot see it."""
    from core.analyses._trends import PHASES

    said = []
    for net, rows in over_phases(found, which).groupby("net", sort=False):
        each = [f"{short(value)} at {PHASES[phase]}" for phase, value in zip(rows["phase"], rows["value"], strict=True) if value == value]
        said.append(f"{net} {', '.join(each)}" if each else f"{net} has no number")
    return f"{TITLES[which]}, over training: {'; '.join(said)}." if said else f"{TITLES[which]}, over training: nothing measured yet."


def _facts(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What stands beside each lane: net, share, mean, mean_text, said."""
    rows = []
    for net, table in found.items():
        one = summary(table)
        mean = f"mean of positives {short(one['ape'])}{_range(one, 'ape', short)}" if one["ape"] == one["ape"] else "none is positive"
        said = f"{net}: {words.percent(one['nep'])} negative{_range(one, 'nep', words.percent)}, {mean}, {one['batches']} mini-batches"
        rows.append(
            (net, f"{words.percent(one['nep'])} negative" if one["nep"] else "none negative", one["ape"], f"mean {short(one['ape'])}", said)
        )
    return pd.DataFrame(rows, columns=["net", "share", "mean", "mean_text", "said"])


ANALYSIS = Analysis(
    id="hessian",
    title="Curvature",
    question="How sharp is the valley, and is it one?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 1c and Fig. 4",
        "Ghorbani, Krishnan and Xiao, An Investigation into Neural Net Optimization via Hessian Eigenvalue Density, ICML 2019",
        "Pearlmutter, Fast Exact Multiplication by the Hessian, Neural Computation 6, 1994",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
)
