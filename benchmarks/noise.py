"""What noise limited to rings of frequencies costs in the lab beside a plain loop: numpy, one Fourier transform an image and ring.

The loop is what a script would do: for each ring and each image draw signs, transform, mask the ring, transform back, scale.  The lab
makes one set of coefficients an image and cuts all rings out of it.  One thread, in turns (AB BA ...), CPU seconds; a ratio is the
median of the ratios of the rounds.  Both must put the same energy into each ring and none outside (to 1e-5).

    python benchmarks/noise.py [--images 512] [--side 32] [--rounds 5] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from core.metrics import bands, noise

GOAL, RMS = 15.0, 0.1


def loop(images: int, side: int, centres: tuple[int, ...]) -> list[np.ndarray]:
    """The plain way, for colour images; (images, 3, side, side) a ring."""
    turns = np.minimum(np.arange(side), side - np.arange(side))
    radius = np.maximum(turns[:, None], turns[None, :])
    found = []
    for centre in centres:
        start, end = bands.radii(side, *bands.ring(centre))
        mask = (radius >= start) & (radius < end)
        made = np.empty((images, 3, side, side), np.float32)
        for index in range(images):
            white = np.random.default_rng([0, index]).choice([-1.0, 1.0], (3, side, side))
            kept = np.fft.ifft2(np.fft.fft2(white) * mask).real
            made[index] = kept * (RMS / np.sqrt((kept**2).mean()))
        found.append(made)
    return found


def lab(images: int, side: int, centres: tuple[int, ...]) -> list[np.ndarray]:
    """The lab's way."""
    white = noise.white(range(images), side)
    return [noise.limited(white, bands.ring(centre), strength=RMS).numpy() for centre in centres]


def worst(made: list[np.ndarray], side: int, centres: tuple[int, ...]) -> float:
    """The largest share of energy outside its ring, or relative error of the root mean square."""
    errors = []
    for pixels, centre in zip(made, centres, strict=True):
        start, end = bands.radii(side, *bands.ring(centre))
        turns = np.minimum(np.arange(side), side - np.arange(side))
        radius = np.maximum(turns[:, None], turns[None, :])
        energy = np.abs(np.fft.fft2(pixels.astype(np.float64))) ** 2
        outside = energy[..., (radius < start) | (radius >= end)].sum() / energy.sum()
        size = np.sqrt((pixels.astype(np.float64) ** 2).mean((1, 2, 3)))
        errors += [float(outside), float(np.abs(size / RMS - 1).max())]
    return max(errors)


def cpu(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> int:
    """Print the ratio; 1 if the goal is missed or a ring holds what it should not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    centres = bands.filled(asked.side)
    ways = (loop, lab)
    errors = [worst(way(asked.images, asked.side, centres), asked.side, centres) for way in ways]
    seconds: list[list[float]] = [[], []]
    for turn in range(asked.rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            seconds[side].append(cpu(lambda way=ways[side]: way(asked.images, asked.side, centres)))
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    micro = [statistics.median(each) / asked.images / len(centres) * 1e6 for each in seconds]
    if asked.json:
        print(json.dumps({"loop_us": micro[0], "lab_us": micro[1], "ratio": ratio, "errors": errors}))
    else:
        print(f"{len(centres)} rings of {asked.images} images, {asked.side}x{asked.side}x3: CPU microseconds an image and ring")
        print(f"plain loop {micro[0]:.1f}, lab {micro[1]:.1f}: x{ratio:.1f} (goal x{GOAL:g}); error at most {max(errors):.0e}")
    return int(ratio < GOAL or max(errors) > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
