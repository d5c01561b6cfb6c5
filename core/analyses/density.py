"""How many directions bend, and how much?

**Idea.** The leading eigenvalues tell of a few directions. The spectral density tells of all of them at once: for most nets nearly all of
the hundreds of thousands of directions are flat, and a few stick out.

**Formula.** For the mean loss of several hundred training images, all together, with their augmentation and soft labels: for a random
vector v of ±1/√n, `steps` of Lanczos with full reorthogonalisation on exact products H·v give nodes θ and weights τ² whose sums are the
moments vᵀHᵏv; the mean over vectors ("probes") estimates the density φ(λ) = 1/n · Σ δ(λ − λᵢ). A bar is Σ τ² of the nodes in a quarter
step of the axis, a signed logarithm; nothing is smoothed. Nodes between −1 and 1 count as flat whatever their sign, a unit step along
them changes the loss by less than half a nat: they stand for nearly all directions, of which each may bend a little either way.

**How to read it.** The grey bar holds nearly all directions: they are flat. What lies far out at the right are the few steep
ones, often about as many as classes; what lies left of zero, filled, bends down. The height is a logarithm: one line down is a thousandth.

**What it cannot say.** A probe sees the ends and the moments exactly but not single eigenvalues inside: a node stands for all near it. A
share of one in n is a single direction, and a probe can weigh it several times too light or too heavy. This is the loss of all images
together, which bends less, and less often down, than that of a mini-batch: its values are not those of the spectrum of mini-batches.
Weight decay as half the squared length of all parameters would shift the whole curve by λ; it is left out.

**Sources.** Ghorbani, Krishnan and Xiao, An Investigation into Neural Net Optimization via Hessian Eigenvalue Density, ICML 2019, §2;
Golub and Meurant, Matrices, Moments and Quadrature, 2010; Park and Kim, How Do Vision Transformers Work?, ICLR 2022 (the question).
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
from core.analyses.hessian import WHEN, short
from core.params import param
from core.recipe import from_dict
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

#: Images whose graph is kept at a time, and how many bytes all kept graphs may take; beyond that a graph is made anew for each product.
CHUNK, KEPT = 64, 2 * 2**30
#: What counts as flat, the same for all nets and moments: nearer to zero the probes do not tell.  The width of a bar in steps of the axis.
FLAT, STEP = 1.0, 0.25


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    on: ClassVar[str] = "train"
    images: int = param(256, label="Images", unit="training images", low=1, high=50_000, origin="ours: minutes on a processor")
    probes: int = param(2, label="Probes", low=1, high=64, origin="ours: the ends agree from the first; Ghorbani: 10",
                        help="Random vectors that the spectrum is seen through.")  # fmt: skip
    steps: int = param(32, label="Steps", low=2, high=200, origin="ours; Ghorbani: 80", help="Nodes of each probe.")
    phase: str = param("end", label="Phase", choices=("init", "warmup", "third", "twothirds", "end"), origin="paper, Fig. 4")
    augment: str = param("recipe", label="Images", choices=tuple(AUGMENT), origin="paper: the images as they were seen in training")
    seed: int = param(0, label="Seed", low=0, high=10**6, origin="ours", help="Which images are drawn, their augmentation, the probes.")


COLUMNS = (
    Column(id="probe", dtype="int", unit="", term="probe"),
    Column(id="node", dtype="float", unit="nat", term="node"),
    Column(id="weight", dtype="float", unit="", term="weight"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Draw the images once; the function it returns sends one probe through their loss."""
    import torch

    from core.analyses._batches import frozen, losses
    from core.metrics.curvature import exact, quadrature, summed
    from core.metrics.twice import quick

    batches = frozen(subject, params.augment, params.images, CHUNK, params.seed)
    net = copy.deepcopy(subject.net).attend("plain")  # fused attention has no second derivative on a processor
    parameters = list(net.parameters())
    size = sum(parameter.numel() for parameter in parameters)

    def loss(i: int) -> torch.Tensor:
        with quick():
            return losses(net(batches.x[i]), batches.target[i]).sum() / params.images

    with exact(subject.device):
        product = summed(loss, len(batches.x), parameters, KEPT)

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun = time.perf_counter()
        with exact(subject.device):
            nodes, weights = quadrature(
                product, size, params.steps, seed=1000 * params.seed + i, like=batches.x[0].new_zeros(()),
                progress=lambda done: progress(done, params.steps, f"{done} of {params.steps} steps"),
            )  # fmt: skip
        return {
            "node": nodes.numpy(), "weight": weights.numpy(), "batches": np.array(batches.digest), "said": np.array(batches.said),
            "parameters": np.array(size), "seconds": np.array(time.perf_counter() - begun),
        }  # fmt: skip

    return row


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """The nodes of the probes that are there."""
    table = pd.concat([
        pd.DataFrame({"probe": probe, "node": arrays["node"], "weight": arrays["weight"], "images": params.images, "seed": params.seed})
        for probe, arrays in sorted(rows.items())
    ], ignore_index=True)  # fmt: skip
    first = rows[min(rows)]
    notes = {
        "batches": str(first["batches"]), "said": str(first["said"]), "phase": params.phase, "parameters": int(first["parameters"]),
        "weight_decay": float(from_dict(run.recipe).weight_decay), "rows": len(rows), "of": params.probes,
    }  # fmt: skip
    return Measurement(table=table, notes=notes)


def flat(table: pd.DataFrame) -> pd.Series:
    """Which nodes are flat, whatever their sign."""
    return table["node"].abs() <= FLAT


def bars(table: pd.DataFrame, u: Callable[[Any], Any]) -> pd.DataFrame:
    """low, high, share: the part of all eigenvalues in each step of the axis `u` that holds a node, mean over probes, flat ones left out.

    Steps are cut at zero, so that nothing that bends up looks as if it bent down.
    """
    bent = table[~flat(table)]
    steps = np.floor(u(bent["node"].to_numpy()) / STEP).astype(int)
    found = (bent["weight"] / table["probe"].nunique()).groupby(steps).sum()
    return pd.DataFrame({"low": STEP * found.index, "high": STEP * (found.index + 1), "share": found.to_numpy()})


def shares(table: pd.DataFrame) -> dict[str, float]:
    """`flat`, `down`, `up`: parts of all directions [0 to 1] by the weights of the nodes, mean over probes."""
    level, parts = flat(table), {}
    for name, rows in (("flat", level), ("down", ~level & (table["node"] < 0)), ("up", ~level & (table["node"] > 0))):
        parts[name] = float(table.loc[rows, "weight"].sum() / table["probe"].nunique())
    return parts


def moments(table: pd.DataFrame) -> tuple[float, float]:
    """(mean, mean square) of all eigenvalues: tr H / n and tr H² / n, as the probes see them."""
    probes = table["probe"].nunique()
    return float((table["weight"] * table["node"]).sum() / probes), float((table["weight"] * table["node"] ** 2).sum() / probes)


def ends(table: pd.DataFrame) -> tuple[float, float]:
    """(lowest, highest) node: the ends of the spectrum, which Lanczos finds first."""
    return float(table["node"].min()), float(table["node"].max())


def takeaway(found: Mapping[str, pd.DataFrame], phase: str = "end") -> str:
    """How many directions are flat, how many bend down, and how steep the steepest is, of the loss of all images; "" for none."""
    if not found:
        return ""
    of, when = {net: shares(table) for net, table in found.items()}, WHEN.get(phase, WHEN["end"])
    least, down = min(one["flat"] for one in of.values()), [f"**{_rarely(one['down'])}** of {net}’s" for net, one in of.items()]
    said = f"{when} {'at least ' if len(of) > 1 else ''}**{_part(least)}** of directions are flat; {words.seq(down)} bend down"
    if len(of) > 2:  # two lines at most
        return f"{said}."
    up = words.seq([f"**{short(ends(table)[1])}**" for table in found.values()])
    return f"{said}, the steepest {'bends' if len(of) == 1 else 'bend'} up by {up}."


def _part(share: float) -> str:
    """98.7 %, 99.98 %."""
    return words.percent(share, 2 if 0.9995 <= share < 1 else 1)


def _rarely(share: float) -> str:
    """1.2 %, 1 in 8,200, none."""
    if share >= 0.01:
        return words.percent(share)
    return f"1 in {words.count(int(float(f'{1 / share:.2g}')))}" if share else "none"


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "conv", **_settings: Any) -> Any:
    """One net's density."""
    return chart_lanes({net: table}, theme, families={net: family})


def chart_lanes(found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str]) -> Any:
    """The share of eigenvalues near each value, a lane a net on one axis, its height by powers of ten."""
    from core.analyses import _bends

    # weights below a millionth of a direction are rounding
    kept = {net: table[table["weight"] > 1e-12] for net, table in found.items()}
    far = [table["node"][table["node"].abs() > 1e-2 * table["node"].abs().max()] for table in kept.values()]
    signed = _bends.Signed(pd.concat(far), room=0.2)
    drawn, facts = [], []
    for net, table in kept.items():
        lanes, of, (low, high) = bars(table, signed.u), shares(table), ends(table)
        lanes = lanes.assign(net=net, low=signed.x(lanes["low"]), high=signed.x(lanes["high"]))
        lanes.loc[lanes["low"].between(0, FLAT), "low"], lanes.loc[lanes["high"].between(-FLAT, 0), "high"] = FLAT, -FLAT
        lanes["said"] = [f"{short(a)} to {short(b)}: {_rarely(s)}" for a, b, s in lanes[["low", "high", "share"]].itertuples(index=False)]
        drawn.append(lanes)
        said = f"{net}: from {short(low)} to {short(high)}; {_part(of['flat'])} flat, {_rarely(of['down'])} down, {_rarely(of['up'])} up"
        said += f"; {words.some(table['probe'].nunique(), 'probe')}"
        facts.append((net, f"{_rarely(of['down'])} down", np.nan, "", said, of["flat"], f"{_part(of['flat'])} flat"))
    table = pd.DataFrame(facts, columns=["net", "share", "mean", "mean_text", "said", "flat", "flat_text"])
    return _bends.shares(pd.concat(drawn, ignore_index=True), signed, table, theme, families, "Hessian eigenvalues, signed log", FLAT)


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the products, each as long as six forward passes as they are reckoned with (measured)."""
    return count(arch, image_size, 10)["flops"] * params.images * params.probes * params.steps * 6


def supports(arch: Architecture) -> str:
    """Every loss bends."""
    return ""


ROWS = Rows(count=lambda _arch, params: params.probes, start=start, gather=gather, word="probe")
ANALYSIS = Analysis(
    id="density",
    title="Spectral density",
    question="How many directions bend, and how much?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Ghorbani, Krishnan and Xiao, An Investigation into Neural Net Optimization via Hessian Eigenvalue Density, ICML 2019",
        "Golub and Meurant, Matrices, Moments and Quadrature, 2010",
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
)
