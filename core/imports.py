"""A net that was made elsewhere becomes a run: built by timm, filled with its weights, read into units, tested on images, stored.

Any net that timm knows by name, with the weights its authors published, those of a file, or none; and the paper's own nets at 32x32.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import data, io, store
from core.data import imagenet
from core.errors import StoreError, TrainError
from core.outline import Outline
from core.run import Run
from core.zoo_names import PAPER

Progress = Callable[..., None]
#: What stands before a net's name in a run.
PREFIX = "timm:"


def weights_of(name: str, weights: str, published: bool, seed: int) -> str:
    """Where weights come from, in words, for the pages."""
    return f"the file {Path(weights).name}" if weights else "published" if published else f"random, seed {seed}"


def inbox() -> Path:
    """Where uploaded files of weights wait for their import, each in a folder of its own."""
    return io.home() / "inbox"


def uploaded(weights: str) -> bool:
    """Whether a file of weights lies in the inbox, which nobody else knows."""
    return bool(weights) and Path(weights).parent.parent == inbox().absolute()


def forget(weights: str) -> None:
    """Delete a file of weights that was uploaded; one that lies elsewhere is the reader's and stays."""
    if uploaded(weights):
        shutil.rmtree(Path(weights).parent, ignore_errors=True)


def take_in(
    name: str, images: str, *, weights: str = "", published: bool = False, new_head: bool = False, image_size: int = 0, seed: int = 0,
    label: str = "", device: str = "auto", progress: Progress = lambda *a, **k: None,
) -> Run:  # fmt: skip
    """The finished run of a timm net on a set of images; the one that is there if the same net was taken in before.

    `weights` is a file, `published` fetches those of its authors, neither gives random ones drawn with `seed`.  Where the head knows the
    1,000 classes of ImageNet and the images are some of them, those outputs are compared; `new_head` puts a random classifier of the
    right size in the place of one that does not fit.  Nothing is stored before all is measured.  LabErrors say what does not fit.
    """
    import torch

    from core.models.net import build
    from core.train import device as hardware
    from core.train.evaluate import evaluate
    from core.train.snapshot import fill, rounded

    begun, cpu = time.perf_counter(), time.process_time()
    name = name.removeprefix(PREFIX)
    spec = data.get(images)
    size = image_size or spec.image_size
    progress(0, 3, f"building {name}")
    outline, net = _read(name, spec, size, weights, published, new_head, seed)
    stored = rounded(net)
    run = Run(
        arch=outline.name, data=spec.id, recipe={}, image_size=size, classes=len(spec.classes), name=label or PAPER.get(name, name),
        outline=dataclasses.replace(outline, digest=io.digest(stored)).to_json(),
    )  # fmt: skip
    if run.id in {known.id for known in store.list_runs()} and store.final(run.id) is not None:
        return store.find(run.id)
    progress(1, 3, "testing on all test images")
    place = hardware.resolve(device)
    test = data.normalised_for(run.plan, data.load(spec.id, "test", size))
    whole = build(run.plan, size, run.classes, seed=0)
    fill(whole, stored, name)
    whole.to(place).eval()
    scores = evaluate(whole, test, None, place, torch.float32)
    final: dict[str, Any] = {**{k: scores[k] for k in ("accuracy", "nll", "ece", "brier")}, "n_test": scores["images"]}
    if outline.outputs:
        whole.head, places = torch.nn.Identity(), test.labels
        among = dataclasses.replace(test, labels=torch.tensor(outline.outputs).numpy()[places])
        final |= {"raw_accuracy": evaluate(whole, among, None, place, torch.float32)["accuracy"], "raw_of": outline.scores}
    final |= {
        "n_train": 0, "steps": 0, "test_digest": test.digest, "parameters": outline.parameters, "flops": outline.flops,
        **hardware.describe(place), "precision": "float32", "torch": torch.__version__, "digest": io.digest(stored),
        "weights": outline.weights, "seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu,
    }  # fmt: skip
    progress(2, 3, "storing")
    folder = store.create(run)
    io.write_atomic(folder / "weights" / "end.safetensors", stored)
    io.write_json(folder / "final.json", final)
    progress(3, 3, "done")
    return run


def recognised(file: str) -> str:
    """The net that a file belongs to by its name, for the files that the paper's authors released; "" for any other."""
    from core.models import timm_zoo

    return timm_zoo.recognised(file)


def _read(name: str, spec: data.DatasetSpec, size: int, weights: str, published: bool, new_head: bool, seed: int) -> tuple[Outline, Any]:
    """The outline of a net without its digest, and the net itself with the weights it shall have."""
    import torch

    from core.models import timm_zoo

    if weights and published:
        raise TrainError("A file and the published weights are both asked for; choose one.")
    classes, path = len(spec.classes), Path(weights).expanduser() if weights else None
    found = timm_zoo.read_weights(path) if path else None
    scores = timm_zoo.scores(name, found, published) if found or published else classes
    outputs: tuple[int, ...] = ()
    if scores not in (classes, 0) and not new_head:
        chosen = imagenet.outputs(spec.classes) if scores == imagenet.OUTPUTS else None
        if chosen is None:
            raise StoreError(
                f"The classifier of these weights knows {scores:,} classes; {spec.title} has {classes}, which are not among them by name. "
                "Import it with a new classifier, which is random until it is fine-tuned."
            )
        outputs = chosen
    head = scores if outputs else classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = timm_zoo.build(name, image_size=size, classes=head, weights=path, pretrained=published, new_head=new_head)
    told = timm_zoo.describe(net)
    mean, std = timm_zoo.normalisation(name) if found or published else ((), ())
    outline = Outline(
        name=PREFIX + name, image_size=size, units=tuple(net.units), parameters=told["params"], flops=told["flops"], level=told["level"],
        why=told["why"], prefix=told["prefix"], scores=head, outputs=outputs, mean=mean, std=std,
        weights=weights_of(name, weights, published, seed),
    )  # fmt: skip
    return outline, net
