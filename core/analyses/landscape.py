"""How bumpy is the valley the net sits in?

**Idea.** Walk away from the weights in a random direction and look at the loss. If it rises slowly the net sits in a wide
valley, and small changes of its weights hardly matter; the paper finds that attention makes the valley wider and smoother.

**Formula.** z(x, y) = loss(w + x·a + y·b) on one fixed set of training images, augmented and with soft labels as in training; loss = mean
cross entropy by log-softmax, the net in eval mode. a and b are Gaussian; each output filter of a has the length of the same filter of w
(filter normalisation), so that 1 is "every filter moved by its own length" in any net. Biases, norms and position tables stay. The
rise at distance r is the mean of z − z(0, 0) over the points with max(|x|, |y|) = r that did not diverge. The L2 part is known
without measuring: λ·Σ‖w_p‖ as in the paper's figure, or λ/2·Σ‖w_p‖², whose gradient is weight decay.

**How to read it.** Compare nets at one distance and on the same images: the heights at the centre differ, the rise is what is flat or
steep. The band shows how much that depends on the direction. In the paper's own data the rise of its ViT is 0.8 to 0.4 times that of its
ResNet over the rings 0.2 to 1.0, and 94 to 97 % of the height in its picture is the L2 part, which says nothing about the images.

**What it cannot say.** A slice shows two of hundreds of thousands of directions, and random ones miss the few in which the loss bends
most: see the Hessian for those, or walk along them. Ours to choose, so to be known: the length of a filter (over its inputs; the
paper's code norms over the first axis, "dim0" here); training images with their augmentation, without which the order of nets can turn;
statistics of BatchNorms as trained, which lets a convolutional net diverge far out ("batch" takes them anew at each point); a point whose
loss is no number is marked, counted and left out of means, which makes a net that diverges look flatter than it is. In bf16 a loss differs
from fp32 by 0.1 % as a rule and by 1 % at single points of a convolutional net; what was found at centre and corners is with the result.

**Sources.** Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018; Park and Kim, How Do Vision Transformers Work?,
ICLR 2022, Fig. 1a, Fig. C.4a; Goodfellow, Vinyals and Saxe, Qualitatively Characterizing Neural Network Optimization Problems, ICLR 2015
(the line between two nets).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from core import store
from core.analyses import Analysis, Arrays, Rows, Subject, in_rows
from core.analyses._batches import AUGMENT
from core.analyses._hills import PARTS as PARTS  # the names that a page asks for
from core.analyses._hills import chart as chart
from core.analyses._hills import chart_contour as chart_contour
from core.analyses._hills import chart_line as chart_line
from core.analyses._hills import chart_lines as chart_lines
from core.analyses._hills import grid as grid
from core.analyses._hills import heights as heights
from core.analyses._hills import levels as levels
from core.analyses._said import Found as Found
from core.analyses._said import alt_text as alt_text
from core.analyses._said import ratio as ratio
from core.analyses._said import rings_of as rings_of
from core.analyses._said import takeaway as takeaway
from core.analyses._steps import is_checked, plan, radii, ring
from core.errors import MeasureError
from core.params import param
from core.recipe import from_dict
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

#: Images that the directions of most curvature are found on.
BENT = 128


@dataclass(frozen=True, kw_only=True)
class Params:
    """Where to walk, and on what the loss is measured."""

    on: ClassVar[str] = "train"
    along: str = param("random", label="Direction", choices=("random", "curvature", "line"), origin="paper, Fig. 1a: random",
                       help="random, along the two directions of most curvature, or straight from another net to this one.")  # fmt: skip
    other: str = param("", label="From", origin="ours: the net's own start", help="Run at the other end. Empty: this run, untrained.")
    phase: str = param("end", label="Phase", choices=("init", "warmup", "third", "twothirds", "end"), origin="paper, Fig. 1a: the end")
    augment: str = param("recipe", label="Images", choices=tuple(AUGMENT), origin="paper: the images as they were seen in training")
    images: int = param(256, label="Images", unit="training images", low=1, high=50_000,
                        origin="ours: the paper takes all; the spread over directions is wider than that over 256 images")  # fmt: skip
    side: int = param(21, label="Points a side", low=3, high=101, origin="paper's code: 21", help="Odd: the weights are the centre.")
    reach: float = param(1.0, label="Reach", low=1e-4, high=1e4, origin="paper's code: 1", help="How far the grid goes to each side.")
    planes: int = param(8, label="Pairs of directions", low=1, high=32, origin="ours: the paper shows one",
                        help="All but the first are measured at every second point.")  # fmt: skip
    norm: str = param("filter", label="Length", choices=("filter", "dim0"), origin="Li et al., §4; the paper's code: dim0")
    bn: str = param("frozen", label="BatchNorm", choices=("frozen", "batch"), origin="paper's code: frozen",
                    help="batch: means and variances from the same images at each point.")  # fmt: skip
    precision: str = param("auto", label="Precision", choices=("auto", "bf16", "fp32"), origin="ours: bf16 where the processor has it")
    seed: int = param(0, label="Seed of images", low=0, high=10**6, origin="ours")
    direction: int = param(0, label="Seed of directions", low=0, high=10**6, origin="ours",
                           help="Directions of the pair p have the seeds 1000 · this + 2p and the next.")  # fmt: skip


COLUMNS = (
    Column(id="plane", dtype="int", unit="", term="plane"),
    Column(id="x", dtype="float", unit="steps", term="step"),
    Column(id="y", dtype="float", unit="steps", term="step"),
    Column(id="nll", dtype="float", unit="nat", term="nll", optional=True),
    Column(id="rise", dtype="float", unit="nat", term="rise", optional=True),
    Column(id="diverged", dtype="bool", unit="", term="diverged"),
    Column(id="l2_norm", dtype="float", unit="nat", term="l2_norm", optional=True),
    Column(id="l2_half", dtype="float", unit="nat", term="l2_half", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)


# ---- measuring


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Draw the images once; the function it returns measures the points of a row."""
    import torch

    from core.analyses import _surface
    from core.analyses._batches import frozen
    from core.train.device import precision

    batches = frozen(subject, params.augment, params.images, _surface.BATCH, params.seed)
    dtype = "bf16" if precision(params.precision, subject.device) == torch.bfloat16 else "fp32"
    fast = _surface.Surface(subject.net, batches, precision=dtype, bn=params.bn)
    todo, distances = plan(params), radii(params)
    origin = _origin(subject, params)
    ways: dict[int, _surface.Plane] = {}

    def way(plane: int) -> _surface.Plane:
        if plane not in ways:
            ways.clear()  # a plane is as large as two nets
            if params.along == "random":
                ways[plane] = _surface.random_plane(subject.net, 1000 * params.direction + 2 * plane, params.norm)
            elif params.along == "curvature":
                ways[plane] = _surface.curvature_plane(subject.net, batches, BENT)
            else:
                ways[plane] = _surface.line(subject.net, origin)
        return ways[plane]

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun = time.perf_counter()
        plane, points = todo[i]
        walk = way(plane)
        plain = _surface.Surface(subject.net, batches, bn=params.bn) if dtype == "bf16" and i == 0 else None
        nll, checked = [], []
        sums, on_ring = np.zeros((len(distances), params.images)), np.zeros((len(distances), 2), dtype=np.int64)
        first = np.empty(0, dtype=np.float32)
        for done, (x, y) in enumerate(points, 1):
            moved = walk.at(x, y)
            each = fast.losses(moved)
            nll.append(float(each.mean(dtype=np.float64)))
            if i == 0 and done == 1:
                first = each
            if plain and is_checked(params, x, y):
                checked.append((nll[-1], float(plain.losses(moved).mean(dtype=np.float64))))
            if (k := ring(params, plane, x, y)) is not None:
                on_ring[k, int(np.isfinite(nll[-1]))] += 1
                if np.isfinite(nll[-1]):
                    sums[k] += each
            progress(done, len(points), f"{done} of {len(points)} points")
        size = [(walk.l2.norm(x, y), walk.l2.half_square(x, y)) for x, y in points]
        facts = {name: np.array(value) for name, value in walk.facts.items()}
        return {
            "nll": np.array(nll), "l2": np.array(size), "first": first, "checked": np.array(checked).reshape(-1, 2), "sums": sums,
            "on_ring": on_ring, "precision": np.array(dtype), "batches": np.array(batches.digest),
            "seconds": np.array(time.perf_counter() - begun), **facts,
        }  # fmt: skip

    return row


def _origin(subject: Subject, params: Params) -> Any:
    """The net that a line starts at; None for a plane.  MeasureError unless it is another net of the same architecture."""
    if params.along != "line":
        return None
    own = subject.run
    if not params.other:
        return Subject(own, str(subject.device), "init").net
    other = store.find(params.other)
    if (other.arch, other.image_size, other.classes) != (own.arch, own.image_size, own.classes):
        raise MeasureError(f"{other.id} has another architecture than {own.id}; a straight line joins only nets of the same one.")
    return Subject(other, str(subject.device)).net


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """The table of the points that are there; rises and rings where the centre, or the whole ring, is there too."""
    todo, decay, found = plan(params), from_dict(run.recipe).weight_decay, []
    planes, distances = max(plane for plane, _ in todo) + 1, radii(params)
    sums, on_ring = np.zeros((planes, len(distances), params.images)), np.zeros((planes, len(distances), 2), dtype=np.int64)
    for i, arrays in sorted(rows.items()):
        plane, points = todo[i]
        for (x, y), nll, l2 in zip(points, arrays["nll"], arrays["l2"], strict=True):
            found.append((plane, x, y, float(nll), *(decay * l2)))
        if distances:
            sums[plane] += arrays["sums"]
            on_ring[plane] += arrays["on_ring"]
    whole = [all(i in rows for i, (plane, _) in enumerate(todo) if plane == p) for p in range(planes)]
    centre = next((point for point in found if point[:3] == (0, 0.0, 0.0)), None)
    if centre and params.along != "line":  # the other planes go through the same point
        found += [(plane, *centre[1:]) for plane in range(1, planes) if any(todo[i][0] == plane for i in rows)]
    table = pd.DataFrame(found, columns=["plane", "x", "y", "nll", "l2_norm", "l2_half"])
    finite = np.isfinite(table["nll"])
    table["nll"] = table["nll"].where(finite)
    for part in ("l2_norm", "l2_half"):
        table[part] = table[part].where(np.isfinite(table[part]))
    ends = table.loc[table["x"].isin([0.0, 1.0]), "nll"] if params.along == "line" else table.loc[:0, "nll"]
    base = ends.min() if 0 in rows else float("nan")
    table = table.assign(rise=table["nll"] - base, diverged=~finite, images=params.images, seed=params.seed)[[c.id for c in COLUMNS]]
    arrays = {}
    if distances and 0 in rows:
        with np.errstate(invalid="ignore"):
            rises = sums / on_ring[:, :, 1:] - rows[0]["first"]  # no finite point: 0 / 0
        rises[~np.array(whole)] = np.nan
        share = np.where(np.array(whole)[:, None], on_ring[:, :, 0] / np.maximum(on_ring.sum(2), 1), np.nan)
        arrays = {"radii": np.array(distances), "ring_rise": rises.astype(np.float32), "ring_diverged": share}
    return Measurement(table=table, arrays=arrays, notes=_notes(run, params, rows, table, decay))


def _notes(run: Run, params: Params, rows: Mapping[int, Arrays], table: pd.DataFrame, decay: float) -> dict[str, Any]:
    any_row, pairs = next(iter(rows.values())), rows[0]["checked"] if 0 in rows else np.empty((0, 2))
    pairs = pairs[np.isfinite(pairs).all(1)]
    todo = plan(params)
    planes = todo[-1][0] + 1
    notes: dict[str, Any] = {
        "along": params.along, "phase": params.phase, "points": sum(len(points) for _, points in todo) + planes - 1,
        "diverged": int(table["diverged"].sum()), "rows": len(rows), "of": len(todo),
        "images": params.images, "seed": params.seed, "said": AUGMENT[params.augment], "bn": params.bn, "norm": params.norm, "wd": decay,
        "batches": str(any_row["batches"]), "precision": str(any_row["precision"]), "checked": len(pairs),
        "error": float(np.max(np.abs(pairs[:, 0] / pairs[:, 1] - 1))) if len(pairs) else None,
        "lengths": [next((a["lengths"].tolist() for i, a in sorted(rows.items()) if todo[i][0] == p), None) for p in range(planes)],
    }  # fmt: skip
    if params.along == "random":
        over = "filter moved by its own length" if params.norm == "filter" else "weight moved by the length of its row over the first axis"
        return notes | {"steps": f"1 = every {over}"}
    if params.along == "curvature":
        told = {name: any_row[name].tolist() for name in ("eigenvalues", "residuals", "products")}
        return notes | told | {"steps": "1 = a step of length 1 in the space of all weights"}
    notes |= {"steps": f"0 = {params.other or 'the untrained net'}, 1 = {run.id}", "other": params.other or "init"}
    return notes | _barrier(table)


def _barrier(table: pd.DataFrame) -> dict[str, Any]:
    """How far the loss on a line rises above the straight line between its ends [nat], and where; nothing while an end is missing."""
    at = table.dropna(subset=["nll"]).set_index("x")["nll"]
    if not {0.0, 1.0} <= set(at.index):
        return {}
    above = at - (at[0.0] + (at[1.0] - at[0.0]) * at.index)
    return {"barrier": float(above.max()), "barrier_at": float(above.idxmax()), "ends": [float(at[0.0]), float(at[1.0])]}


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes, counted half in bf16, which takes half as long as the fp32 that is reckoned with."""
    points = sum(len(points) for _, points in plan(params))
    halved = 1.0 if params.precision == "fp32" else 0.5
    passes = points * halved * (2 if params.bn == "batch" else 1) + 5  # the last: what is measured in both
    if params.along == "curvature":
        passes += 15 * 10 * min(BENT, params.images) / params.images  # about 15 products, each as long as ten forward passes
    return count(arch, image_size, 10)["flops"] * params.images * passes


def supports(arch: Architecture) -> str:
    """Every net has filters to move."""
    return ""


ROWS = Rows(count=lambda _arch, params: len(plan(params)), start=start, gather=gather, word="part")
ANALYSIS = Analysis(
    id="landscape",
    title="Landscape",
    question="How bumpy is the valley the net sits in?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Li, Xu, Taylor, Studer and Goldstein, Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018",
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 1a, Fig. C.4a",
        "Goodfellow, Vinyals and Saxe, Qualitatively Characterizing Neural Network Optimization Problems, ICLR 2015",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
    others=lambda params: (params.other,) if params.along == "line" and params.other else (),
)
