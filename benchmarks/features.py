"""What the lab's measurements of features cost beside what people use today, in one run and on the shipped nets.

Peers, each as its readers call it: the frequency notebook's way (hooks keep every latent of all images in a list, then a full 2-D FFT,
logarithm and roll of each), torch_cka's `compare` on the same units, and one whole forward pass for every lesioned unit.  Both sides
take turns (AB BA ...) on one thread; a ratio is the median of the ratios of the rounds, in CPU seconds of the process.
  all four   frequency, variance, CKA and the lesion of every unit, together
  on top     what frequency, variance and CKA cost above the forward pass alone
  lesion     every unit in turn, against one forward pass each; `theory` counts the FLOPs that need not be repeated
  memory     what a process holds at most (VmHWM) for a small and for ten times as many images, each in a process of its own
The numbers must agree too: spectra with the full FFT, CKA with float64, lesioned logits with the plain way.

    python -m pip install --target .local/peers --no-deps torch_cka      # the peer; without it CKA is compared with float64 alone
    python benchmarks/features.py [--images 1000] [--rounds 5] [--json]
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
import types
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
from torch import Tensor

from core import analyses, size, store
from core.analyses import Subject
from core.analyses._pass import through
from core.metrics.similarity import Cka
from core.models import lesion, probe, refusal, sweep
from core.run import Run
from core.train.device import autocast

NETS = ("ResNet-mini", "ViT-mini")
ASKED = ("fourier", "variance", "cka")
BATCH = 125
GOALS = {"all four": {"ResNet-mini": 4.5, "ViT-mini": 3.0}, "all four, bf16 lesion": {"ResNet-mini": 12.0, "ViT-mini": 6.0}}
ON_TOP, OF_THEORY, LESION_BF16, FLAT = 0.15, 0.95, 5.0, 1.05


def runs() -> dict[str, Run]:
    """The shipped nets that are compared."""
    return {run.name: run for run in store.list_runs() if store.is_shipped(run.id) and run.name in NETS}


# ---- the peers


def latents(net: torch.nn.Module, batches: list[Tensor]) -> list[list[Tensor]]:
    """Every unit's output for every batch, kept in a list."""
    kept = []
    with torch.no_grad(), probe(net) as taps:
        for x in batches:
            net(x)
            kept.append([taps.stem, *(taps.maps[i] for i in range(len(net.units)))])
    return kept


def full_fft(kept: list[list[Tensor]]) -> list[Tensor]:
    """Δ log amplitude of each unit from the whole transform: log, roll, mean, diagonal."""
    found = []
    for maps in zip(*kept, strict=True):
        both = torch.cat(maps)
        logs = torch.log(torch.fft.fft2(both).abs() + 1e-6)
        side = both.shape[-1]
        logs = logs.roll((side // 2, side // 2), (2, 3)).mean((0, 1)).diagonal()[side // 2 :]
        found.append(logs - logs[0])
    return found


def spatial_variance(kept: list[list[Tensor]]) -> list[Tensor]:
    """Mean variance over positions of each unit."""
    return [torch.cat(maps).flatten(2).var(2).mean() for maps in zip(*kept, strict=True)]


def torch_cka() -> Any:
    """The peer's class, or None where it is not installed.  Its plotting is not used: empty modules stand for matplotlib."""
    for name in ("matplotlib", "matplotlib.pyplot", "mpl_toolkits", "mpl_toolkits.axes_grid1"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["mpl_toolkits"].axes_grid1 = sys.modules["mpl_toolkits.axes_grid1"]
    try:
        from torch_cka import CKA
    except ImportError:
        return None
    return CKA


def peer_cka(net: torch.nn.Module, batches: list[Tensor]) -> Tensor:
    """Its CKA of all units, with the hooks that it leaves behind taken away."""
    names = [f"blocks.{i}" for i in range(len(net.units))]
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        found = torch_cka()(net, net, "a", "b", names, names)

        class Loader(list):
            dataset = "images"

        found.compare(Loader([[x] for x in batches]))
    for module in net.modules():
        module._forward_hooks.clear()
    return found.export()["CKA"]


def naive_lesion(net: torch.nn.Module, batches: list[Tensor], places: list[int]) -> Tensor:
    """The whole net, then one whole forward pass for every unit switched off."""
    with torch.no_grad():
        rows = [torch.cat([net(x) for x in batches])]
        for place in places:
            with lesion(net, [place]):
                rows.append(torch.cat([net(x) for x in batches]))
    return torch.stack(rows)


# ---- the lab


def together(subject: Subject, images: int, asked: tuple[str, ...] = ASKED) -> list[Any]:
    """Some analyses from one pass."""
    watches = [analyses.get(name).watch(subject, analyses.get(name).params(images=images)) for name in asked]
    return through(subject, watches, "test", images, 0, lambda *_a, **_k: None)


def lesions(subject: Subject, batches: list[Tensor], places: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Every unit switched off in turn, prefixes shared."""
    with autocast(subject.device, dtype):
        return torch.cat([sweep(subject.net, x, places) for x in batches], 1)


def forward(subject: Subject, images: int) -> None:
    """The forward pass alone, as the lab feeds it."""
    from core.analyses._pass import CHUNK

    with torch.inference_mode():
        for x, _ in subject.chunks("test", images, 0, CHUNK):
            subject.net(x)


# ---- timing


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    before = time.process_time()
    work()
    return time.process_time() - before


def turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each side, in turns: forwards in even rounds, backwards in odd ones, after one round that does not count."""
    for work in sides.values():
        work()
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            spent[name].append(cpu(sides[name]))
    return spent


def ratio(above: list[float], below: list[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def theory(run: Run, places: list[int]) -> float:
    """How much less the shared prefixes compute: FLOPs of one pass a lesion over those that are left, from the first unit that differs."""
    from core import spec

    arch = spec.parse(run.arch)
    slots = [slot for slot in spec.layout(arch, run.image_size) if slot.kind != "none"]
    costs = [size._count_unit(arch, slot, 1 if arch.head == "cls" else 0)[1] for slot in slots]
    whole = size.count(arch, run.image_size, run.classes)["flops"]
    # a projection is computed by a lesioned unit too; it is left out here, so the theory is a little high
    plain = whole + sum(whole - costs[i] for i in places)
    return plain / (whole + sum(sum(costs[i + 1 :]) for i in places))


def compare(run: Run, images: int, rounds: int) -> dict[str, float]:
    """All ratios of one net, and how far the numbers are apart."""
    subject = Subject(run, "cpu")
    net = subject.net
    places = [i for i, slot in enumerate(net.units) if not refusal(slot, "branch")]
    batches = [x for x, _ in subject.chunks("test", images, 0, BATCH)]
    has_peer = torch_cka() is not None

    def notebook() -> None:
        kept = latents(net, batches)
        full_fft(kept)
        spatial_variance(kept)

    sides: dict[str, Callable[[], Any]] = {
        "forward": lambda: forward(subject, images),
        "lab": lambda: together(subject, images),
        "notebook": notebook,
        "lesion lab": lambda: lesions(subject, batches, places),
        "lesion bf16": lambda: lesions(subject, batches, places, torch.bfloat16),
        "lesion naive": lambda: naive_lesion(net, batches, places),
    }
    if has_peer:
        sides["torch_cka"] = lambda: peer_cka(net, batches)
    t = turns(sides, rounds)
    cka = t.get("torch_cka", t["forward"])
    peers = [sum(three) for three in zip(t["notebook"], cka, t["lesion naive"], strict=True)]
    return {
        "all four": ratio(peers, [a + b for a, b in zip(t["lab"], t["lesion lab"], strict=True)]),
        "all four, bf16 lesion": ratio(peers, [a + b for a, b in zip(t["lab"], t["lesion bf16"], strict=True)]),
        "on top": ratio(t["lab"], t["forward"]) - 1,
        "on top, notebook": ratio(t["notebook"], t["forward"]) - 1,
        "on top, torch_cka": ratio(cka, t["forward"]) - 1 if has_peer else float("nan"),
        "lesion": ratio(t["lesion naive"], t["lesion lab"]),
        "lesion bf16": ratio(t["lesion naive"], t["lesion bf16"]),
        "lesion theory": theory(run, places),
        **{f"seconds, {name}": statistics.median(spent) for name, spent in t.items()},
        **agreement(subject, images, batches, places, has_peer),
    }


def agreement(subject: Subject, images: int, batches: list[Tensor], places: list[int], has_peer: bool) -> dict[str, float]:
    """Largest differences from the full transform, from CKA in float64 and from plain lesions."""
    fourier, _, cka = together(subject, images)
    kept = latents(subject.net, batches)
    whole = [curve for curve in full_fft(kept) if len(curve) >= 2]
    ours = [rows["delta_log_amplitude"].to_numpy() for _, rows in fourier.table.groupby("unit", sort=False)]
    exact = Cka(len(kept[0]), len(kept[0]))
    with torch.inference_mode(), probe(subject.net) as taps:
        for x, _ in subject.chunks("test", images, 0, analyses._pass.CHUNK):
            subject.net(x)
            exact.add([m.double() for m in (taps.stem, *(taps.maps[i] for i in range(len(subject.net.units))))])
    found = {
        "spectra apart": max(float(np.abs(a - b.numpy()).max()) for a, b in zip(ours, whole, strict=True)),
        "CKA apart": float(np.abs(cka.table["cka"].to_numpy().reshape(exact.shape) - exact.value().numpy()).max()),
        "lesions apart": float((lesions(subject, batches, places) - naive_lesion(subject.net, batches, places)).abs().max()),
    }
    if has_peer:  # its own batches are larger, so it is compared with the exact value on those
        large = Cka(len(subject.net.units), len(subject.net.units))
        for maps in kept:
            large.add([m.double() for m in maps[1:]])
        found["torch_cka apart"] = float((peer_cka(subject.net, batches).double() - large.value()).abs().max())
    return found


# ---- memory


def held(side: str, run_id: str, images: int) -> tuple[float, float]:
    """What a fresh process holds before it measures so many images, and at most while it does [MB]."""
    command = [sys.executable, __file__, "--child", side, "--run", run_id, "--images", str(images)]
    before, most = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    return float(before), float(most)


def child(side: str, run_id: str, images: int) -> None:
    """The work of such a process; prints what it held before and at most."""
    subject = Subject(store.find(run_id), "cpu")
    together(subject, 32)  # libraries, net and images are there
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts from here
    if side == "lab":
        together(subject, images)
    elif side == "notebook":
        kept = latents(subject.net, [x for x, _ in subject.chunks("test", images, 0, BATCH)])
        full_fft(kept)
        spatial_variance(kept)
    print(before, resident("VmHWM"))


def resident(which: str) -> float:
    """A line of this process's memory [MB]: VmRSS now, VmHWM at most."""
    return next(int(line.split()[1]) / 1000 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{which}:"))


def main() -> int:
    """Print the table; 1 if numbers do not agree or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        child(args.child, args.run, args.images)
        return 0
    answers = {}
    for name, run in runs().items():
        rows = compare(run, args.images, args.rounds)
        sizes = {side: held(side, run.id, args.images) for side in ("lab", "notebook")}
        rows |= {f"memory, {side}": most - before for side, (before, most) in sizes.items()}
        rows["memory, tenfold"] = held("lab", run.id, 10 * args.images)[1] / sizes["lab"][1]
        answers[name] = rows
    good = all(a["spectra apart"] <= 1e-3 and a["CKA apart"] <= 1e-4 and a["lesions apart"] <= 1e-4 for a in answers.values())
    good = good and all(a["memory, tenfold"] <= FLAT for a in answers.values())
    if args.json:
        print(json.dumps({"images": args.images, "rounds": args.rounds, "nets": answers, "goals": GOALS, "passed": good}))
        return not good
    print(f"{args.images} images, {args.rounds} rounds, one thread; ratios of CPU seconds, peer over lab")
    if torch_cka() is None:
        print("torch_cka is not installed: a bare forward pass stands for it, so `all four` is too low")
    for name, a in answers.items():
        print(f"\n{name}: forward pass alone {a['seconds, forward']:.2f} s")
        for which in ("all four", "all four, bf16 lesion"):
            print(f"  {which:24} x{a[which]:5.1f}   goal x{GOALS[which][name]:.1f}")
        tops = f"notebook {a['on top, notebook']:+.0%}, torch_cka {a['on top, torch_cka']:+.0%}"
        print(f"  {'on top of the forward':24} {a['on top']:+6.0%}   goal {ON_TOP:+.0%}; {tops}")
        share = a["lesion"] / a["lesion theory"]
        possible = f"theory x{a['lesion theory']:.2f}: {share:.0%} of it, goal {OF_THEORY:.0%}"
        print(f"  {'lesion of every unit':24} x{a['lesion']:5.2f}   {possible}")
        print(f"  {'lesion in bf16':24} x{a['lesion bf16']:5.2f}   goal x{LESION_BF16:.1f}")
        grows = f"all it holds, at ten times the images, x{a['memory, tenfold']:.3f}, goal x{FLAT}"
        own, theirs = a["memory, lab"], a["memory, notebook"]
        print(f"  {'memory while measuring':24} {own:5.0f} MB more than before, notebook {theirs:.0f} MB; {grows}")
        apart = [f"{key.removesuffix(' apart')} {a[key]:.0e}" for key in a if key.endswith("apart")]
        print(f"  {'largest differences':24} {', '.join(apart)}")
    print("\nnumbers agree and memory is flat" if good else "\nNUMBERS DISAGREE OR MEMORY GROWS")
    return not good


if __name__ == "__main__":
    sys.exit(main())
