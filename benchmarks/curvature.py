"""How fast, and how truly, the lab finds the outermost eigenvalues of the Hessian beside PyHessian, in one run.

shipped   the 5 eigenvalues of largest magnitude for mini-batches of 16 augmented training images, both sides on the very same batches
          and weights, in turns (AB BA ...) on one thread; a ratio is the median of the ratios of the rounds, in CPU seconds, wall time
          beside it.  PyHessian as its readers call it, `eigenvalues(top_n=5)` with its defaults.  The truth, for the first two
          batches, is scipy's eigsh on products in float64; an error is the largest of the five, relative, signs included.
tiny      nets of a few hundred weights whose Hessian is written down and diagonalised: how many products both need.  PyHessian is
          given a tolerance of 1e-6 and as many steps as it likes.  The lab must equal the dense eigenvalues for every seed.
The run fails if the lab's error is above 1e-4 anywhere.

    python -m pip install --target .local/peers --no-deps pyhessian      # the peer; without it, power iteration written out below
    python benchmarks/curvature.py [--nets ResNet-mini,ViT-mini] [--rounds 5] [--seeds 10] [--quick] [--json]
"""

import argparse
import copy
import importlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / ".local" / "peers"))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from core import store
from core.analyses import Subject, hessian
from core.analyses._batches import frozen
from core.metrics.curvature import hvp, outermost
from core.run import Run

try:
    peer = importlib.import_module("pyhessian.hessian")  # the package has a class of this name too
except ImportError:
    peer = None

TOP, BATCH = hessian.Params().top, hessian.Params().batch
GOALS, MOST_PRODUCTS, NEAR = {"ResNet-mini": 10.0, "ViT-mini": 6.0}, 40, 1e-4
#: mini-batches whose values are compared with the truth, which takes as long as both sides together
CHECKED = 2
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def silent(*_: object, **__: object) -> None:
    """A progress that nobody reads."""


def apart(found: np.ndarray, true: np.ndarray) -> float:
    """Largest relative error of the values, by rank of magnitude; of true values whose magnitudes tie within 1e-4, any may stand there."""
    found, true = (values[np.argsort(-np.abs(values))] for values in (np.asarray(found, float), np.asarray(true, float)))
    worst = 0.0
    for value, rank in zip(found, true, strict=False):
        ties = true[np.abs(np.abs(true) - abs(rank)) <= 1e-4 * abs(rank)]
        worst = max(worst, float(np.abs(ties - value).min() / abs(rank)))
    return worst if len(found) >= TOP else float("inf")


# ---- the peer


def theirs(net: nn.Module, x: Tensor, y: Tensor, steps: int = 100, tolerance: float = 1e-3) -> tuple[np.ndarray, int]:
    """PyHessian's values (or those of plain power iteration) and how many products they took."""
    if peer is None:
        return power(net, x, y, steps, tolerance)
    calls, multiply = [], peer.hessian_vector_product

    def counted(*args: Any) -> Any:
        calls.append(1)
        return multiply(*args)

    peer.hessian_vector_product = counted
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that backward() with a graph keeps memory
            values, _ = peer.hessian(net, F.cross_entropy, data=(x, y), cuda=False).eigenvalues(maxIter=steps, tol=tolerance, top_n=TOP)
    finally:
        peer.hessian_vector_product = multiply
        for parameter in net.parameters():
            parameter.grad = None
    return np.array(values), len(calls)


def power(net: nn.Module, x: Tensor, y: Tensor, steps: int, tolerance: float) -> tuple[np.ndarray, int]:
    """Power iteration, one value after the other, each kept orthogonal to those before."""
    parameters, values, vectors, products = list(net.parameters()), [], [], 0
    product = hvp(F.cross_entropy(net(x), y), parameters)
    for _ in range(TOP):
        v, value = torch.randn(sum(p.numel() for p in parameters)).to(x), None
        for _ in range(steps):
            for known in vectors:
                v = v - (known @ v) * known
            v = v / v.norm()
            ahead = product(v)
            products, before, value = products + 1, value, float(v @ ahead)
            v = ahead / ahead.norm()
            if before is not None and abs(before - value) < tolerance * (abs(before) + 1e-6):
                break
        values.append(value)
        vectors.append(v)
    return np.array(values), products


# ---- shipped nets


def spent(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU and wall seconds of one call, and what it gives."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def truth(net: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """Two values more than are compared, in float64, by another program than the lab's."""
    net = copy.deepcopy(net).double()
    parameters = list(net.parameters())
    size, product = sum(p.numel() for p in parameters), hvp(F.cross_entropy(net(x.double()), y.double()), parameters)
    operator = LinearOperator((size, size), matvec=lambda v: product(torch.tensor(v.ravel())).numpy(), dtype=np.float64)
    start = np.random.default_rng(0).normal(size=size)
    return eigsh(operator, k=TOP + 2, which="LM", tol=1e-5, ncv=24, v0=start, return_eigenvectors=False)  # errors are about tol²


def compare(run: Run, rounds: int) -> dict[str, Any]:
    """Ratios and errors of one shipped net, one mini-batch a round."""
    subject = Subject(run, "cpu")
    params = hessian.Params()  # the batches that its page shows, the first few of them
    batches = frozen(subject, params.augment, params.images, params.batch, params.seed)
    net = copy.deepcopy(subject.net).attend("plain").eval()  # fused attention has no second derivative
    row = hessian.ROWS.start(subject, params)
    net(batches.x[0])
    found: dict[str, list[Any]] = {"lab": [], "peer": [], "true": []}
    for i in range(rounds):
        x, y = batches.x[i], batches.target[i]
        sides = {"lab": lambda i=i: row(i, silent), "peer": lambda x=x, y=y: theirs(net, x, y)}
        for side in sides if i % 2 else reversed(sides):
            found[side].append(spent(sides[side]))
        if i < CHECKED:
            found["true"].append(truth(net, x, y))
    lab, other, true = found["lab"], found["peer"], found["true"]
    ratios = [[b[way] / a[way] for a, b in zip(lab, other, strict=True)] for way in (0, 1)]
    return {
        "ratio": statistics.median(ratios[0]), "low": min(ratios[0]), "high": max(ratios[0]), "wall": statistics.median(ratios[1]),
        "lab_s": statistics.median(a[0] for a in lab), "peer_s": statistics.median(b[0] for b in other),
        "lab_products": [int(a[2]["products"]) for a in lab], "peer_products": [b[2][1] for b in other],
        "lab_error": max(apart(a[2]["eigenvalue"], t) for a, t in zip(lab, true, strict=False)),
        "peer_error": max(apart(b[2][0], t) for b, t in zip(other, true, strict=False)),
        "unconverged": sum(int((~a[2]["converged"]).sum()) for a in lab),
        "negative": sum(int((a[2]["eigenvalue"] < 0).sum()) for a in lab),
    }  # fmt: skip


# ---- tiny nets


class Attends(nn.Module):
    """One attention layer over four tokens, as an image transformer has it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.qkv, self.out, self.head = (
            nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 18), nn.Linear(6, 6), nn.Linear(6, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.flatten(1).unflatten(1, (4, 4)))
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, -1)
        tokens = tokens + self.out((q @ k.transpose(1, 2) / 6**0.5).softmax(-1) @ v)
        return self.head(F.gelu(tokens).mean(1))


def tiny(kind: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A net of a few hundred weights and 16 random pictures of 4 x 4, in float64.

    Odd seeds train it for 60 steps; untrained, values of opposite sign lie closer together in magnitude.
    """
    torch.manual_seed(seed)
    net: nn.Module = Attends()
    if kind == "conv":
        net = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
        )  # fmt: skip
    net, x = net.double(), torch.randn(BATCH, 1, 4, 4, dtype=torch.float64)
    y = F.one_hot(torch.arange(BATCH) % 4, 4).double() * 0.9 + 0.025
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(60 * (seed % 2)):
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()
    net.zero_grad()
    return net.eval(), x, y


def on_tiny(kind: str, seeds: int) -> dict[str, Any]:
    """Products and errors for one kind of net over seeds, in float32 against the dense eigenvalues of float64."""
    found: dict[str, list[Any]] = {name: [] for name in ("lab_products", "lab_error", "peer_products", "peer_error", "weights")}
    for seed in range(seeds):
        net, x, y = tiny(kind, seed)
        parameters = list(net.parameters())
        size, product = sum(p.numel() for p in parameters), hvp(F.cross_entropy(net(x), y), parameters)
        dense = torch.stack([product(column) for column in torch.eye(size, dtype=torch.float64)])
        true = torch.linalg.eigvalsh((dense + dense.T) / 2).numpy()
        net, x, y = net.float(), x.float(), y.float()
        loss = F.cross_entropy(net(x), y)
        ends = outermost(hvp(loss, list(net.parameters())), size, TOP, tolerance=hessian.Params().tolerance, seed=seed)
        values, products = theirs(net, x, y, steps=1000, tolerance=1e-6)
        found["lab_products"].append(ends.products)
        found["lab_error"].append(apart(ends.values.numpy(), true))
        found["peer_products"].append(products)
        found["peer_error"].append(apart(values, true))
        found["weights"].append(size)
    return found


# ---- in words


def table(shipped: dict[str, Any], small: dict[str, Any], rounds: int) -> str:
    """What was found, as text."""
    name = "PyHessian" if peer else "power iteration"
    lines = [
        f"{TOP} outermost eigenvalues of batches of {BATCH}, {rounds} rounds, one thread; CPU seconds, {name} over lab",
        f"{'':14}{name:>16}{'lab':>10}{'ratio':>8}{'(low–high)':>14}{'wall':>8}{'GOAL':>7}  of goal",
    ]
    for net, a in shipped.items():
        goal, spread = GOALS[net], f"({a['low']:.2f}–{a['high']:.2f})"
        ratio = f"{a['ratio']:7.2f}x{spread:>14}{a['wall']:7.2f}x{goal:6.1f}x  {a['ratio'] / goal:.0%}"
        lines.append(f"{net:14}{a['peer_s']:14.2f} s{a['lab_s']:8.2f} s{ratio}")
    lines.append("")
    for net, a in shipped.items():
        lines.append(
            f"{net}: error of the lab {a['lab_error']:.0e} ({NEAR:.0e} allowed), of {name} {a['peer_error']:.0e}; "
            f"products {span(a['lab_products'])} and {span(a['peer_products'])}; {a['unconverged']} values of the lab left out; "
            f"{a['negative']} of {TOP * rounds} values are negative"
        )
    lines.append("")
    for kind, a in small.items():
        more = statistics.median(other / own for other, own in zip(a["peer_products"], a["lab_products"], strict=True))
        equal, other = (sum(error <= NEAR for error in a[side]) for side in ("lab_error", "peer_error"))
        lines.append(
            f"tiny {kind} net, {a['weights'][0]} weights: lab {span(a['lab_products'])} products (goal at most {MOST_PRODUCTS}), "
            f"equal to the dense ones for {equal} of {len(a['lab_error'])} seeds (error {max(a['lab_error']):.0e}); "
            f"{name} at 1e-6 {span(a['peer_products'])}, {more:.1f} times as many, for {other} (error {max(a['peer_error']):.0e})"
        )
    return "\n".join(lines)


def span(counts: list[int]) -> str:
    """`32 (30–41)`: the median and the ends."""
    return f"{statistics.median(counts):.0f} ({min(counts)}–{max(counts)})"


def main() -> int:
    """Measure, print, and fail only if the lab's values are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(GOALS), help="names of shipped nets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="one round and three seeds: the numbers are checked, the ratios are rough")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rounds, seeds = (1, 3) if args.quick else (args.rounds, args.seeds)
    small = {kind: on_tiny(kind, seeds) for kind in ("conv", "attention")}
    torch.manual_seed(0)
    runs = {run.name: run for run in store.list_runs() if store.is_shipped(run.id)}
    shipped = {name: compare(runs[name], rounds) for name in args.nets.split(",")}
    good = max(error for a in small.values() for error in a["lab_error"]) <= NEAR and all(a["lab_error"] <= NEAR for a in shipped.values())
    told = {"shipped": shipped, "tiny": small, "goals": GOALS, "passed": good}
    print(json.dumps(told) if args.json else f"{table(shipped, small, rounds)}\n\n{'values are true' if good else 'VALUES ARE WRONG'}")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
