"""How many directions bend, and how much?

**Idea.** The leading eigenvalues tell of a few directions. The spectral density tells of all of them at once: for most nets nearly all of
the hundreds of thousands of directions are flat, and a few stick out.

**Formula.** For the mean loss of several hundred training images, all together, with their augmentation and soft labels: for a random
vector v of ±1/√n, `steps` of Lanczos with full reorthogonalisation on exact products H·v give nodes θ and weights τ² whose sums are the
moments vᵀHᵏv; the mean over vectors ("probes") estimates the density φ(λ) = 1/n · Σ δ(λ − λᵢ). The curve is
Σ τ² · max(0, 1 − |u(λ) − u(θ)| / h): the share of eigenvalues near λ on the signed logarithm u of the axis, h = 0.18 of its steps.

**How to read it.** The peak at zero holds nearly all directions. What lies far out at the right are the few steep ones, often about as
many as classes; what lies left of zero bends down. The height is a logarithm: one line down is a thousandth.

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


def curve(table: pd.DataFrame, x: np.ndarray, u: Callable[[Any], Any], width: float) -> np.ndarray:
    """Share of all eigenvalues near each x, mean over probes: each node counts within `width` steps on the axis `u`, less with distance.

    Nothing leaks further: the peak at zero holds nearly all, and a bell's tail would look as if many directions bent down.
    """
    near = np.maximum(1 - np.abs(u(np.asarray(x, dtype=float))[:, None] - u(table["node"].to_numpy())) / width, 0.0)
    return near @ table["weight"].to_numpy() / table["probe"].nunique()


def moments(table: pd.DataFrame) -> tuple[float, float]:
    """(mean, mean square) of all eigenvalues: tr H / n and tr H² / n, as the probes see them."""
    probes = table["probe"].nunique()
    return float((table["weight"] * table["node"]).sum() / probes), float((table["weight"] * table["node"] ** 2).sum() / probes)


def ends(table: pd.DataFrame) -> tuple[float, float]:
    """(lowest, highest) node: the ends of the spectrum, which Lanczos finds first."""
    return float(table["node"].min()), float(table["node"].max())


def takeaway(found: Mapping[str, pd.DataFrame], phase: str = "end") -> str:
    """How steep the steepest direction is and how deep the deepest, of the loss of all images; "" for none."""
    said = [f"**from {short(ends(table)[0])} to {short(ends(table)[1])}** for {net}" for net, table in found.items()]
    if not said:
        return ""
    images = words.count(int(next(iter(found.values()))["images"].iloc[0]))
    return f"{WHEN.get(phase, WHEN['end'])} the eigenvalues of the loss of {images} images together range {words.seq(said)}."


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "conv", **_settings: Any) -> Any:
    """One net's density."""
    return chart_lanes({net: table}, theme, families={net: family})


def chart_lanes(found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str]) -> Any:
    """The share of eigenvalues near each value, a lane a net on one axis, its height by powers of ten."""
    from core.analyses import _bends

    # weights below a millionth of a direction are rounding
    kept = {net: table[table["weight"] > 1e-12] for net, table in found.items()}
    signed = _bends.Signed(pd.concat([table["node"][table["node"].abs() > 1e-2 * table["node"].abs().max()] for table in kept.values()]))
    steps = np.linspace(signed.low, signed.high, 480)
    x = signed.x(np.unique(np.concatenate([steps, [0.0]])))
    curves, facts = {}, []
    for net, table in kept.items():
        curves[net] = pd.DataFrame({"x": x, "share": curve(table, x, signed.u, _bends.WIDTH)})
        low, high = ends(table)
        below = float(table.loc[table["node"] < -1e-2 * table["node"].abs().max(), "weight"].sum() / table["probe"].nunique())
        said = f"{net}: from {short(low)} to {short(high)}, {table['probe'].nunique()} probes"
        facts.append((net, f"{short(low)} to {short(high)}", np.nan, "", f"{said}; {below:.1e} of all clearly below zero"))
    table = pd.DataFrame(facts, columns=["net", "share", "mean", "mean_text", "said"])
    return _bends.shares(curves, signed, table, theme, families, "Hessian eigenvalues, signed log")


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
