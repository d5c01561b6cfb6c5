"""Makes what is missing in checkpoints/ with the lab's own commands: `python .ci/ship.py [--plan] [WORDS …]`.

--plan only prints the commands.  With words, only the commands that hold all of them count.
"""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import analyses, presets, store, studies  # noqa: E402
from core.__main__ import arguments, asked_run  # noqa: E402
from core.run import Run  # noqa: E402

#: images, epochs, seed, share of the training images, nets; the nets of one line compare
TRAININGS = [
    ("fashion-full", 11, 0, 1.0, presets.SHIPPED),
    ("cifar10", 13, 0, 1.0, presets.SHIPPED),
    ("fashion-full", 11, 1, 1.0, presets.SHIPPED),
    ("fashion-full", 11, 2, 1.0, presets.SHIPPED),
    ("cifar10", 13, 1, 1.0, presets.SHIPPED),
    ("cifar10", 13, 2, 1.0, presets.SHIPPED),
]
RECIPE = {"batch": 64, "lr": 0.001}
#: nets whose weights at the end of warm-up come along, of these images: curvature is judged there
EARLY, EARLY_OF = ("resnet-mini", "vit-mini", "alternet-mini"), "fashion-full"
#: what claims are judged on; the share of negative eigenvalues on 40 mini-batches
CLAIMED = ("fourier", "variance", "cka", "lesion", "band_noise", "corruption", "landscape")
JUDGED = [("hessian", {"phase": phase, "images": 640}) for phase in ("warmup", "end")]
#: what pages show besides, of nets that come with their weights
SHOWN = [("hessian", {"phase": phase}) for phase in ("init", "third", "twothirds")]
SHOWN += [("landscape", {"along": "line"}), ("landscape", {"along": "curvature", "reach": 0.5})]
#: images of the mini studies that come along, results without weights
STUDIES = [("fashion", tuple(studies.catalogue())), ("cifar10", ("few_images", "few_images_vit", "placement", "buildup"))]


def main(words: list[str]) -> int:
    """Print or run the commands; 1 if one failed."""
    plan, wanted, failed = "--plan" in words, [word for word in words if word != "--plan"], 0
    for command in commands():
        line = shlex.join(command)
        if not all(word in line for word in wanted):
            continue
        print(f"python -m core {line}", flush=True)
        if not plan:
            done = subprocess.run([sys.executable, "-m", "core", *command, "--json"], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
            failed += done.returncode != 0
    return int(failed > 0)


def commands(everything: bool = False) -> Iterator[list[str]]:
    """What is missing (or `everything`), as arguments of `python -m core`, in the order in which it is made."""
    for data, epochs, seed, share, nets in TRAININGS:
        runs = []
        for net in nets:
            train = ["train", "--arch", net, "--data", data, "--epochs", str(epochs), "--seed", str(seed)]
            train += ["--fraction", str(share)] if share < 1 else []
            train += [part for name, value in RECIPE.items() for part in ("--set", f"{name}={value}")]
            runs.append(run := asked_run(arguments().parse_args(train)))
            place, whole = store.shipped_root() / run.id, seed == 0 and share == 1
            phases = [*(["warmup"] if net in EARLY and data == EARLY_OF else []), "end"] if whole else []
            files = [place / "final.json", *(place / f"weights/{p}.safetensors" for p in phases)]
            if everything or not all(path.is_file() for path in files):
                yield train
                yield ["export", run.id, "--to", str(place.parent), *(part for p in phases for part in ("--phase", p))] + (
                    [] if phases else ["--no-weights"]
                )
        for run in runs:
            yield from measures(run, CLAIMED, JUDGED)
        if seed == 0 and share == 1:
            for run in runs:
                yield from measures(run, [name for name in analyses.catalogue() if name not in (*CLAIMED, "hessian")], SHOWN)
    for images, names in STUDIES:
        for name in names:
            yield from study(name, studies.Setting(data=images), everything)


def study(name: str, setting: studies.Setting, everything: bool) -> Iterator[list[str]]:
    """A study that is not done, and those of its runs that are not in checkpoints/; one that grows has its runs once it went on."""
    one = studies.get(name)
    members = one.members(setting)
    shipped = [all(answered(member.run, *ask) for ask in member.asks) for member in members]
    if everything or not all(shipped) or not one.ended(setting):
        yield ["study", name, "--data", setting.data]
    for member in one.members(setting):
        if everything or not all(answered(member.run, *ask) for ask in member.asks):
            yield ["export", member.run.id, "--to", str(store.shipped_root()), "--no-weights"]


def measures(run: Run, usual: Iterable[str], others: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[list[str]]:
    """What is missing of analyses with their own settings, and of some with others, as far as they apply to a net."""
    asked = [(name, settings) for name, settings in [*((name, {}) for name in usual), *others]
             if not analyses.refusal(analyses.get(name), run) and not answered(run, name, settings)]  # fmt: skip
    if plain := [name for name, settings in asked if not settings]:
        yield ["measure", run.id, *plain, "--shipped"]
    for name, settings in asked:
        if settings:
            yield ["measure", run.id, name, *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")), "--shipped"]


def answered(run: Run, name: str, settings: dict[str, Any]) -> bool:
    """Whether today's question has its answer in checkpoints/."""
    analysis, place = analyses.get(name), store.shipped_root() / run.id
    wanted = dataclasses.asdict(analysis.params(**settings))
    final = place / "final.json"
    digest = json.loads(final.read_text(encoding="utf-8")).get("digest") if final.is_file() else None
    for path in place.glob(f"results/{name}/*/manifest.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        other = told["phase"] == "end" and told["weights"] != digest
        if told["version"] == analysis.version and told["params"] == wanted and not told["error"] and not other:
            return True
    return False


if __name__ == "__main__":
    os.environ.setdefault("ALTERLAB_HOME", str(ROOT / ".local" / "ship"))
    raise SystemExit(main(sys.argv[1:]))
