r"""What a corrupted image costs in the lab beside `imagecorruptions`, one image after the other as its users call it, in one run.

Both make severity 3 of all 19 kinds with ImageNet-C's constants (the peer has no others) from the same colour images of 32 x 32, on
one thread, in turns (AB BA ...), in CPU seconds; a ratio is the median of the ratios of the rounds.  The images must agree too:
kinds without chance pixel by pixel, kinds with chance in mean and standard deviation.  Where the two are known to differ:
  zoom blur  the peer cuts the magnified copies at their corner, the published generator in their middle
  elastic    the peer leaves out the affine map and has constants of its own
  frost      the lab's textures are generated; the peer reads a photograph for every image

    python -m pip install --target .local/peers --no-deps \
      imagecorruptions-imaug scikit-image opencv-python-headless numba llvmlite lazy-loader
    python benchmarks/corruptions.py [--images 256] [--rounds 5] [--json]
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / ".local" / "peers"))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from core.data import shapes
from core.data.corruptions import KINDS
from core.data.corruptions.generate import corrupt

SEVERITY, TABLE = 3, "imagenet-c"
GOALS = {"sum": 20.0, "geometric mean": 10.0, "least": 2.5}
# a grey level: images whose values are cut, not rounded, differ by one where a sum is whole but for a rounding error
EXACT = {"defocus_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate"}
OTHER = {"zoom_blur", "elastic_transform", "frost"}
MEAN_WITHIN, SPREAD_WITHIN = 3.0, 0.08  # grey levels; relative


def peer() -> Callable[[np.ndarray, str], np.ndarray] | None:
    """The peer's own call, or None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import imagecorruptions
    except ImportError:
        return None
    return lambda picture, kind: imagecorruptions.corrupt(picture, severity=SEVERITY, corruption_name=kind)


def cpu(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def agrees(kind: str, clean: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> tuple[str, bool]:
    """What the two have in common, in words, and whether that is enough."""
    if kind in EXACT:
        most = int(np.abs(theirs.astype(int) - ours).max())
        return f"at most {most} apart", most <= 1
    a, b = theirs.astype(float) - clean, ours.astype(float) - clean
    words = f"change {a.mean():+.1f} ± {a.std():.1f} and {b.mean():+.1f} ± {b.std():.1f}"
    return words, kind in OTHER or (abs(a.mean() - b.mean()) <= MEAN_WITHIN and abs(a.std() / b.std() - 1) <= SPREAD_WITHIN)


def compare(kind: str, clean: np.ndarray, rounds: int, call: Callable[[np.ndarray, str], np.ndarray]) -> dict:
    """Both ways of one kind."""
    batch = torch.from_numpy(clean)
    pictures = list(np.ascontiguousarray(clean.transpose(0, 2, 3, 1)))
    sides = [lambda: [call(picture, kind) for picture in pictures], lambda: corrupt(batch, kind, SEVERITY, seed=1, table=TABLE)]
    theirs, ours = (side() for side in sides)  # also compiles, reads and fills what is kept
    seconds: list[list[float]] = [[], []]
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            seconds[side].append(cpu(sides[side]))
    words, good = agrees(kind, clean, np.stack(theirs).transpose(0, 3, 1, 2), ours.numpy())
    micro = [statistics.median(s) / len(clean) * 1e6 for s in seconds]
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    return {"kind": kind, "peer_us": micro[0], "lab_us": micro[1], "ratio": ratio, "agreement": words, "agrees": good}


def main() -> int:
    """Print the table; 1 if a goal is missed or images differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    call = peer()
    if call is None:
        print("imagecorruptions is not installed; the command is at the top of this file.")
        return 0
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    clean, _ = shapes.generate(asked.images, seed=7)
    rows = [compare(kind, clean, asked.rounds, call) for kind in asked.kinds]
    found = {
        "sum": sum(r["peer_us"] for r in rows) / sum(r["lab_us"] for r in rows),
        "geometric mean": math.exp(statistics.mean(math.log(r["ratio"]) for r in rows)),
        "least": min(r["ratio"] for r in rows),
    }
    if asked.json:
        print(json.dumps({"rows": rows, **found}))
    else:
        print(f"{'':18} {'peer':>8} {'lab':>8}   (CPU microseconds an image)")
        for r in rows:
            words = r["agreement"] + ("" if r["agrees"] else "  DIFFERS")
            print(f"{r['kind']:18} {r['peer_us']:8.1f} {r['lab_us']:8.1f}   x{r['ratio']:<7.1f} {words}")
        for name, value in found.items():
            print(f"{name:18} x{value:.1f} (goal x{GOALS[name]:g})")
    return int(any(found[name] < goal for name, goal in GOALS.items()) or not all(r["agrees"] for r in rows))


if __name__ == "__main__":
    sys.exit(main())
