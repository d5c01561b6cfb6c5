"""One process of a training, started by torchrun for test_parallel.py: trains what it is told and writes down how it ended."""

import dataclasses
import fcntl
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch

from core import data, recipe, store
from core.errors import TrainError
from core.jobs import Cancelled
from core.presets import resolve
from core.run import Run
from core.train import loop


class Ear:
    """Asks to stop at the look with the number `stop`, or kills its process at that with the number `die`."""

    def __init__(self, stop=None, die=None):
        self.stop, self.die = stop, die
        self.looks, self.steps, self.rows = 0, [], []

    def progress(self, step, total, message="", **_):
        self.steps.append(step)

    def metric(self, row):
        self.rows.append(row)

    def cancelled(self):
        self.looks += 1
        if self.looks == self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.looks == self.stop


def make(arch, limit, **changes):
    """A run on few images."""
    chosen = recipe.get("quick", **{"epochs": 2, "precision": "fp32", **changes})
    return Run(arch=resolve(arch).notation, data="fashion", recipe=dataclasses.asdict(chosen), limit=limit)


def few(name, split, size=None, load=data.load):
    """The images, but only 101 to test on."""
    images = load(name, split, size)
    return images if split == "train" else dataclasses.replace(images, pixels=images.pixels[:101], labels=images.labels[:101])


def digest(net):
    """What a net holds, statistics included."""
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in net.state_dict().values())).hexdigest()


class Seen(loop._Training):
    """A training whose nets can be looked at from outside; with `broken` the loss of this process is that number at every step."""

    all, broken = [], None

    def __init__(self, *args):
        super().__init__(*args)
        self.all.append(self)

    def _loss(self, x, y):
        return super()._loss(x, y) * (1 if self.broken is None else self.broken)


def learn(told, folder, rank):
    """Train as `told`; how it ended, as this process saw it."""
    mine = told.get("rank") == rank
    run = make(told["arch"], told["limit"], **told["changes"])
    ear = Ear(told.get("stop"), told.get("die")) if mine else Ear()
    Seen.broken = float("nan") if mine and told.get("broken") else None
    os.environ["ALTERLAB_HOME"], loop.REPORT_S = str(folder / told["home"]), told.get("report_s", 0.0)
    place, said = store.create(run), {"final": None}
    Seen.all.clear()
    try:
        with (place / "training.lock").open("w") as lock:
            if mine and told.get("locked"):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            said["final"] = loop.train(run, place, ear, device="cpu")
    except (Cancelled, TrainError) as error:
        said |= {"ended": type(error).__name__, "words": str(error)}
    nets = [digest(net) for t in Seen.all for net in (t.net, t.average) if net is not None]
    return said | {"run": run.id, "looks": ear.looks, "steps": ear.steps, "rows": ear.rows, "nets": nets}


def main(folder):
    """All that told.json says, one after the other."""
    rank = int(os.environ["RANK"])
    (folder / f"pid.{rank}").write_text(str(os.getpid()))
    torch.set_num_threads(1)
    data.load, loop._Training = few, Seen
    for told in json.loads((folder / "told.json").read_text()):
        said = learn(told, folder, rank)
        (folder / f"{told['name']}.{rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
