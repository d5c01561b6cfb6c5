"""How fast the lab measures a loss surface beside a plain loop, in one run and on the shipped nets.

The plain loop is what the usual code does at every point of the grid: put the moved weights into the net, then feed it all images anew
through a DataLoader whose workers crop and mirror them one by one with PIL, in float32.  The lab is asked by its public rows: it draws
the images once, then walks.  Same net, directions, number of images and batch; one thread; both take turns (AB BA ...), and a ratio is
the median of the ratios of the rounds.  CPU seconds count the process and its finished children; wall time stands beside them.
  a point          one point of the grid, after what is done once
  21 x 21 points   all of a plane: drawing the images and checking five points in float32 as well, spread over 441 points
Accuracy: the lab's points, fast and in float32, against a plain float32 loop on the very same batches; its centre against a plain
evaluation; a measurement that was interrupted and taken up in another order against one that was not.  The run fails if one is off.

    python benchmarks/landscape.py [--nets ResNet-mini,ViT-mini] [--rounds 5] [--workers 4] [--quick] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from core import data, store
from core.analyses import Subject, landscape
from core.analyses._batches import frozen
from core.analyses._steps import plan
from core.analyses._surface import random_plane
from core.run import Run

IMAGES, BATCH, POINTS = 512, 128, 441
GOALS = {"ResNet-mini": 20.0, "ViT-mini": 12.0}
#: largest relative difference of a loss from the float32 loop's: in the lab's own precision, and where float32 is asked for
NEAR, SAME = 5e-3, 1e-5


def silent(*_: object, **__: object) -> None:
    """A progress that nobody reads."""


# ---- the peer


class Pictures(Dataset):
    """Images as a folder of files would give them: PIL pictures through torchvision transforms."""

    def __init__(self, images: data.Images, chosen: np.ndarray) -> None:
        self.images, self.chosen, spec = images, chosen, images.spec
        mean, std = ([*values] * (3 // len(values)) for values in (spec.mean, spec.std))
        self.transform = transforms.Compose([
            transforms.RandomCrop(images.pixels.shape[-1], padding=spec.pad), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images.pixels[self.chosen[i]].transpose(1, 2, 0).squeeze())
        return self.transform(picture.convert("RGB")), int(self.images.labels[self.chosen[i]])


class Plain:
    """The plain loop: weights in, images anew, float32."""

    def __init__(self, run: Run, workers: int) -> None:
        subject = Subject(run, "cpu")
        self.net, images = subject.net.to(memory_format=torch.contiguous_format), subject.pictures("train")
        self.own = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.classes, self.smoothing = run.classes, float(run.recipe["smoothing"])
        chosen = data.subset(images.labels, 1.0, IMAGES, 0)
        self.loader = DataLoader(Pictures(images, chosen), BATCH, shuffle=True, num_workers=workers)

    def point(self, moved: dict[str, Tensor]) -> float:
        """The loss at one point."""
        self.net.load_state_dict({**self.own, **moved})
        total, n = 0.0, 0
        with torch.no_grad():
            for x, y in self.loader:
                target = F.one_hot(y, self.classes).float() * (1 - self.smoothing) + self.smoothing / self.classes
                total, n = total + F.cross_entropy(self.net(x), target).item() * len(y), n + len(y)
        return total / n

    def on(self, batches: Any, moved: dict[str, Tensor]) -> float:
        """The same on batches that are there, for the comparison of numbers."""
        self.net.load_state_dict({**self.own, **moved})
        with torch.no_grad():
            pairs = zip(batches.x, batches.target, strict=True)
            each = [F.cross_entropy(self.net(x.contiguous()), y, reduction="none").double() for x, y in pairs]
        return torch.cat(each).mean().item()


# ---- timing


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds: `cpu` of the process and its finished children, `wall` by the clock."""

    cpu: float
    wall: float


def timed(work: Callable[[], Any]) -> tuple[Cost, Any]:
    """What one call costs, and what it gives."""
    before, wall = os.times(), time.perf_counter()
    result = work()
    after, wall = os.times(), time.perf_counter() - wall
    return Cost(cpu=sum(after[:4]) - sum(before[:4]), wall=wall), result


def lab_round(subject: Subject, params: landscape.Params) -> dict[str, Cost]:
    """The lab's turn: what is done once, the first row with its checks, and a point of the second row."""
    once, row = timed(lambda: landscape.ROWS.start(subject, params))
    first, _ = timed(lambda: row(0, silent))
    second, _ = timed(lambda: row(1, silent))
    checked, more = (len(points) for _, points in plan(params))
    one = Cost(cpu=second.cpu / more, wall=second.wall / more)
    # set-up and the first row with its checks happen once in a plane, however fine it is
    rest = POINTS - checked
    plane = Cost(cpu=(once.cpu + first.cpu + rest * one.cpu) / POINTS, wall=(once.wall + first.wall + rest * one.wall) / POINTS)
    return {"a point": one, "21 x 21 points": plane}


def compare(run: Run, rounds: int, workers: int, points: int) -> dict[str, Any]:
    """Ratios and accuracy of one net."""
    subject, plain = Subject(run, "cpu"), Plain(run, workers)
    params = landscape.Params(images=IMAGES, side=5, planes=1)  # 9 points in the first row, 16 in the second
    walk = random_plane(subject.net, 0, params.norm)
    ours: dict[str, list[Cost]] = {"a point": [], "21 x 21 points": []}
    theirs: list[Cost] = []

    def lab() -> None:
        for name, cost in lab_round(subject, params).items():
            ours[name].append(cost)

    def peer() -> None:
        places = plan(params)[1][1][:points]
        cost, _ = timed(lambda: [plain.point(walk.at(x, y)) for x, y in places])
        theirs.append(Cost(cpu=cost.cpu / points, wall=cost.wall / points))

    plain.point({})  # the first forward pass is slower; the lab's is in its first row
    for number in range(rounds):
        for side in (lab, peer) if number % 2 else (peer, lab):
            side()
    return {
        "plain": middle(theirs), "lab": {name: middle(costs) for name, costs in ours.items()},
        "ratios": {name: ratios(theirs, costs) for name, costs in ours.items()}, **agreement(subject, plain),
    }  # fmt: skip


def middle(costs: list[Cost]) -> dict[str, float]:
    """The medians of the rounds [s]."""
    return {"cpu": statistics.median(c.cpu for c in costs), "wall": statistics.median(c.wall for c in costs)}


def ratios(plain: list[Cost], lab: list[Cost]) -> dict[str, float]:
    """Median, lowest and highest ratio of the rounds in CPU seconds, and the median in wall time."""
    cpu = [p.cpu / own.cpu for p, own in zip(plain, lab, strict=True)]
    wall = [p.wall / own.wall for p, own in zip(plain, lab, strict=True)]
    return {"cpu": statistics.median(cpu), "low": min(cpu), "high": max(cpu), "wall": statistics.median(wall)}


# ---- accuracy


def agreement(subject: Subject, plain: Plain) -> dict[str, Any]:
    """How far the lab's losses are from the plain loop's on the same batches, at the nine points that span the plane."""
    found: dict[str, Any] = {}
    params = landscape.Params(images=IMAGES, side=3, planes=1)
    points, walk = plan(params)[0][1], random_plane(subject.net, 0, params.norm)
    batches = frozen(subject, params.augment, IMAGES, BATCH, params.seed)
    expected = np.array([plain.on(batches, walk.at(x, y)) for x, y in points])
    for precision in ("auto", "fp32"):
        row = landscape.ROWS.start(subject, landscape.Params(images=IMAGES, side=3, planes=1, precision=precision))(0, silent)
        finite = np.isfinite(expected)
        if (np.isfinite(row["nll"]) != finite).any():
            raise SystemExit(f"{subject.run.name}: the lab and the plain loop do not diverge at the same points.")
        apart = np.abs(row["nll"][finite] / expected[finite] - 1)
        found |= {f"apart_{precision}": float(apart.max()), f"centre_{precision}": float(abs(row["nll"][0] / plain.on(batches, {}) - 1))}
        found[f"precision_{precision}"] = str(row["precision"])
    return {**found, "losses": [float(expected[0]), float(np.nanmax(expected))], "resumed": resumed(subject)}


def resumed(subject: Subject) -> bool:
    """Whether rows done by two processes' worth of set-up, last first, make the same table and arrays to the last bit."""
    params = landscape.Params(images=64, side=5, planes=1)
    row = landscape.ROWS.start(subject, params)
    whole = {i: row(i, silent) for i in range(2)}
    parts = {i: landscape.ROWS.start(Subject(subject.run, "cpu"), params)(i, silent) for i in (1, 0)}
    one, other = (landscape.ROWS.gather(subject.run, params, rows) for rows in (whole, parts))
    same = all(np.array_equal(one.arrays[name], other.arrays[name], equal_nan=True) for name in one.arrays)
    return bool(one.table.equals(other.table) and same)


def passed(answer: dict[str, Any]) -> bool:
    """Whether all numbers agree."""
    near = max(answer["apart_auto"], answer["centre_auto"]) <= NEAR
    return bool(near and max(answer["apart_fp32"], answer["centre_fp32"]) <= SAME and answer["resumed"])


def table(answers: dict[str, dict[str, Any]], workers: int, rounds: int) -> str:
    """What was found, as text."""
    lines = [
        f"{IMAGES} images, {rounds} rounds, one thread, plain loop with {workers} workers; CPU seconds, plain over lab",
        f"{'':30}{'plain':>10}{'lab':>10}{'ratio':>8}{'(low–high)':>14}{'wall':>8}{'GOAL':>7}  of goal",
    ]
    for net, a in answers.items():
        for what, r in a["ratios"].items():
            goal, spread = GOALS[net], f"({r['low']:.2f}–{r['high']:.2f})"
            times = f"{a['plain']['cpu'] * 1e3:7.0f} ms{a['lab'][what]['cpu'] * 1e3:7.0f} ms"
            ratio = f"{r['cpu']:7.2f}x{spread:>14}{r['wall']:7.2f}x{goal:6.1f}x  {r['cpu'] / goal:.0%}"
            lines.append(f"{net + ', ' + what:30}{times}{ratio}")
    lines.append("")
    for net, a in answers.items():
        lines.append(
            f"{net}: losses {a['losses'][0]:.3f} to {a['losses'][1]:.1f}; from the float32 loop at most {a['apart_auto']:.1e} in "
            f"{a['precision_auto']} ({NEAR:.0e} allowed), {a['apart_fp32']:.1e} in fp32 ({SAME:.0e}); centre {a['centre_auto']:.1e} and "
            f"{a['centre_fp32']:.1e}; interrupted and resumed: {'the same' if a['resumed'] else 'NOT THE SAME'}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and fail only if the numbers disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(GOALS), help="names of shipped nets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4, help="processes that load for the plain loop; 0: its own")
    parser.add_argument("--quick", action="store_true", help="one round: the numbers are checked, the ratios are rough")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores, as usual code has them
    shipped = {run.name: run for run in store.list_runs() if store.is_shipped(run.id)}
    rounds, points = (1, 1) if args.quick else (args.rounds, 3)
    answers = {name: compare(shipped[name], rounds, args.workers, points) for name in args.nets.split(",")}
    good = all(passed(a) for a in answers.values())
    told = {"images": IMAGES, "rounds": rounds, "workers": args.workers, "nets": answers, "goals": GOALS, "passed": good}
    print(json.dumps(told) if args.json else f"{table(answers, args.workers, rounds)}\n\n{'numbers agree' if good else 'NUMBERS DISAGREE'}")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
