"""How fast the lab feeds a net beside torch's DataLoader, in one run: crop, mirror and normalise, one epoch at a time.

The peer is what most people write: images through PIL and torchvision transforms (RandomCrop with padding, RandomHorizontalFlip,
ToTensor, Normalize) in a DataLoader with four workers.  Both feed the same colour images of 32 x 32 in batches of 128, on one
thread, in turns (AB BA ...); a ratio is the median of the ratios of the rounds.  CPU seconds count the process and its finished
children, so neighbours do not disturb them; wall time stands beside them.  The row `paper` adds RandAugment through timm on both
sides and Mixup with CutMix on the lab's.  At the end the lab's batches must equal torchvision's crop and mirror of the same draws.

    python benchmarks/feed.py [--images 20000] [--rounds 5] [--json]
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torchvision.transforms.functional as tvf
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from core import data
from core.data import shapes
from core.data.augment import Feeder
from core.data.draws import draw_epoch

BATCH, PAD, WORKERS, POLICY = 128, 4, 4, "rand-m9-n2-mstd1.0"
GOAL, TOLERANCE, STEP_SHARE = 40.0, 1e-6, 0.02


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds an image."""

    cpu: float
    wall: float


class Pictures(Dataset):
    """Images as a folder of files would give them: PIL pictures through torchvision transforms."""

    def __init__(self, images: data.Images, policy: str) -> None:
        self.images, spec = images, images.spec
        strong = [rand_augment_transform(policy, {"translate_const": 14})] if policy else []
        self.transform = transforms.Compose([
            transforms.RandomCrop(32, padding=PAD), transforms.RandomHorizontalFlip(), *strong, transforms.ToTensor(),
            transforms.Normalize(spec.mean, spec.std),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images.pixels[i].transpose(1, 2, 0))), int(self.images.labels[i])


def colour_images(n: int) -> data.Images:
    """Generated colour images; what is in them does not matter for speed."""
    pixels, cues = shapes.generate(n, seed=7)
    return data.Images(pixels=pixels, labels=cues["shape"], spec=data.get("shapes-textures"), split="train", digest="")


def cost(epoch: Callable[[], int]) -> Cost:
    """What one call costs for each image it delivers."""
    before, wall = os.times(), time.perf_counter()
    n = epoch()
    after, wall = os.times(), time.perf_counter() - wall
    cpu = sum(after[:4]) - sum(before[:4])  # user and system, of the process and of its finished children
    return Cost(cpu=1e6 * cpu / n, wall=1e6 * wall / n)


def peer(images: data.Images, policy: str) -> int:
    """One epoch through the DataLoader; its workers end with it."""
    return sum(len(x) for x, _ in DataLoader(Pictures(images, policy), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True))


def lab(feeder: Feeder, epochs: int) -> int:
    """Some epochs through the lab's feeder (one is over too soon to be timed well)."""
    return sum(len(x) for e in range(epochs) for x, _ in feeder.epoch(e))


def compare(images: data.Images, policy: str, rounds: int) -> dict[str, float]:
    """Median costs of both and the median of the rounds' ratios."""
    mixing = {"randaugment": policy, "mixup": 1.0, "cutmix": 0.8, "smoothing": 0.1} if policy else {}
    feeder = Feeder(images, np.arange(len(images)), BATCH, pad=PAD, flip=True, **mixing)
    epochs = 1 if policy else 10
    lab(feeder, 1)
    ours, theirs = [], []
    for number in range(rounds):
        turns = [lambda: theirs.append(cost(lambda: peer(images, policy))), lambda: ours.append(cost(lambda: lab(feeder, epochs)))]
        for turn in turns if number % 2 else reversed(turns):
            turn()
    row = {"rounds": rounds}
    for kind in ("cpu", "wall"):
        pairs = [(getattr(t, kind), getattr(o, kind)) for t, o in zip(theirs, ours, strict=True)]
        row |= {f"{kind}_ratio": statistics.median(t / o for t, o in pairs), f"{kind}_lowest": min(t / o for t, o in pairs)}
        row |= {f"{kind}_peer_us": statistics.median(t for t, _ in pairs), f"{kind}_lab_us": statistics.median(o for _, o in pairs)}
    return row


def largest_difference(images: data.Images) -> float:
    """Between the lab's batches and torchvision's pad, crop, mirror and normalise of the same draws."""
    some, worst = np.arange(1024), 0.0
    feeder = Feeder(images, some, BATCH, pad=PAD, flip=True, seed=3)
    draws = draw_epoch(len(some), 32, seed=3, epoch=0, pad=PAD, flip=True, erasing=0.0)
    for step, (x, _) in enumerate(feeder.epoch(0)):
        for k, i in enumerate(range(step * BATCH, (step + 1) * BATCH)):
            image = tvf.pad(torch.from_numpy(images.pixels[draws.order[i]]), [PAD] * 4)
            image = tvf.crop(image, int(draws.top[i]), int(draws.left[i]), 32, 32)
            image = tvf.hflip(image) if draws.mirror[i] else image
            wanted = tvf.normalize(image.double() / 255, images.spec.mean, images.spec.std)
            worst = max(worst, float((x[k].double() - wanted).abs().max()))
    return worst


def main() -> int:
    """Print the table; 1 if the goal is missed or the batches are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "This DataLoader will create")  # four workers are meant, on any machine
    images = colour_images(args.images)
    few = colour_images(max(BATCH, args.images // 5))  # RandAugment is slow on both sides
    rows = {"crop": compare(images, "", args.rounds), "paper": compare(few, POLICY, args.rounds)}
    difference = largest_difference(images)
    speed = 1e6 / rows["crop"]["cpu_lab_us"]
    good = rows["crop"]["cpu_ratio"] >= GOAL and difference <= TOLERANCE
    if args.json:
        print(json.dumps({**rows, "difference": difference, "goal": GOAL, "images_per_s": speed, "passed": good}))
        return not good
    print(f"{'feeding':8}{'ratio cpu':>11}{'lowest':>8}{'goal':>7}{'ratio wall':>12}{'peer µs cpu':>13}{'lab µs cpu':>12}")
    for name, row in rows.items():
        goal = f"{GOAL:.0f}" if name == "crop" else "-"
        print(
            f"{name:8}{row['cpu_ratio']:>11.1f}{row['cpu_lowest']:>8.1f}{goal:>7}{row['wall_ratio']:>12.1f}"
            f"{row['cpu_peer_us']:>13.1f}{row['cpu_lab_us']:>12.2f}"
        )
    print(f"crop: {speed:,.0f} images/s of one thread, {rows['crop']['cpu_ratio'] / GOAL:.2f} times the goal of x{GOAL:.0f} cpu;")
    print(f"      under {STEP_SHARE:.0%} of a step for nets that train at less than {STEP_SHARE * speed:,.0f} images/s of that thread")
    print(f"largest difference from torchvision's crop and mirror of the same draws: {difference:.1e} (at most {TOLERANCE:.0e})")
    return not good


if __name__ == "__main__":
    sys.exit(main())
