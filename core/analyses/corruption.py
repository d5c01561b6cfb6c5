"""What does bad weather, blur or noise cost this net?

**Idea.** Show a net its test images again, spoiled the way cameras, weather and file formats spoil pictures: 15 common kinds, each at
5 severities. What it then gets wrong, it got right for reasons that do not last.

**Formula.** For each kind and severity: accuracy on the spoiled images, with Wilson's 95 % interval, and minus that on the same clean
images, in points, with Agresti and Min's interval for paired shares. The mean is over the 75 cells of the 15 kinds; its interval is
Student's t over images, each with its share of cells that are right. mCE = mean over the 15 kinds of 100 · Σ error of the net / Σ error of
the baseline, sums over severities; it says nothing without the name of its baseline.

**How to read it.** Ink is error: the darker a cell, the more is wrong. The same image gets the same flakes and the same noise for every
net, so nets compare image by image. Look along a row for where a net gives way, and at the groups: noise and most of digital are fine
detail, blur takes it away, fog and contrast are broad. In the paper nets that mix attention into convolutions hold up best on CIFAR-100-C.

**What it cannot say.** A severity is a published constant of its kind, so a 3 in fog is not as bad as a 3 in snow. Nets that are
better on clean images mostly are better on spoiled ones too, so look at the change beside the accuracy. The images are made here with
the published constants, those of CIFAR-C up to 84 pixels and those of ImageNet-C above, and are not the published files: the random
numbers are others, and frost is made from a generated texture in place of photographs. `source=official` reads the files. On grey images
saturation changes nothing and brightness adds to the grey value; a black border that was added to an image is spoiled with it. The
four extra kinds (speckle, Gaussian blur, spatter, saturate) are left out of every mean. By default nets answer in bf16 where the
processor has it: of 6,000 answers of the shipped nets it turned 11, and no cell of 400 images moved by more than one image.

**Sources.** Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019 (kinds,
severities, mCE); Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 12b (mean over 15 kinds and 5 severities).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import data, words
from core.analyses import Analysis, Arrays, Rows, Subject, in_rows
from core.analyses._bench import compare, drawn
from core.analyses._cells import mce as mce
from core.analyses._cells import mean_accuracy as mean_accuracy
from core.analyses._cells import means as means
from core.analyses._cells import takeaway as takeaway
from core.analyses._cells import whole as whole
from core.data.corruptions import KINDS, SEVERITIES, table_of
from core.errors import DataError, MeasureError
from core.metrics.interval import share_interval
from core.params import param
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(1_000, label="Images", unit="test images", low=0, high=1_000_000, help="0 takes all test images.",
                        origin="ours: a mean over 75 cells to 1.3 points, in two minutes")  # fmt: skip
    seed: int = param(0, label="Seed", low=0, high=10**6, origin="ours",
                      help="Which images are drawn, in equal shares of the classes, and how each is spoiled.")  # fmt: skip
    source: str = param("generated", label="Images from", choices=("generated", "official"), origin="ours: nothing to download",
                        help="official: CIFAR-10-C, CIFAR-100-C or ImageNet-C, a folder of that name beside the data sets.")  # fmt: skip
    extra: bool = param(True, label="Extra kinds", origin="the published files hold them", help="Also four that count in no mean.")
    precision: str = param("auto", label="Precision", choices=("auto", "bf16", "fp32"), origin="ours: bf16 where the processor has it")


COLUMNS = (
    Column(id="kind", dtype="str", unit="", term="corruption"),
    Column(id="group", dtype="str", unit="", term="corruption_group"),
    Column(id="extra", dtype="bool", unit="", term="corruption_extra"),
    Column(id="severity", dtype="int", unit="", term="severity"),
    Column(id="accuracy", dtype="float", unit="share", term="accuracy"),
    Column(id="ci_low", dtype="float", unit="share", term="interval"),
    Column(id="ci_high", dtype="float", unit="share", term="interval"),
    Column(id="clean", dtype="float", unit="share", term="clean_images"),
    Column(id="change", dtype="float", unit="points", term="spoiled_change"),
    Column(id="change_low", dtype="float", unit="points", term="interval"),
    Column(id="change_high", dtype="float", unit="points", term="interval"),
    Column(id="lost", dtype="int", unit="images", term="spoiled_lost"),
    Column(id="gained", dtype="int", unit="images", term="spoiled_gained"),
    Column(id="nll", dtype="float", unit="nat", term="nll"),
    Column(id="table", dtype="str", unit="", term="severity_table"),
    Column(id="source", dtype="str", unit="", term="corruption_source"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)
#: What the published sets of corrupted images are called, by the set that they were made from.
OFFICIAL = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C", "folder": "ImageNet-C"}
#: What the tables of severities are called.
TABLES = {"cifar-c": "CIFAR-C", "imagenet-c": "ImageNet-C"}
#: Images that are spoiled at a time.
_TOGETHER = 512


# ---- measuring


def kinds_of(params: Params) -> list[str]:
    """The kinds that are measured, a row each."""
    return [kind for kind, about in KINDS.items() if params.extra or not about.extra]


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Draw the images and let the net answer them clean; the function it returns measures one kind at all severities.

    Raises MeasureError if there are not so many images, or if official files are asked for and not there or not of these images.
    """
    import torch

    from core.train.device import precision

    images = subject.pictures("test")
    if params.images > len(images):
        raise MeasureError(f"{params.images} images are asked for; the test split of {images.spec.title} has {len(images)}.")
    label, index = drawn(subject, params.images, params.seed)
    kinds, dtype = kinds_of(params), precision(params.precision, subject.device)
    spoiled = _official(images, kinds) if params.source == "official" else _generated(subject, images, params.seed)

    def answered(pixels: "Callable[[np.ndarray], Tensor]") -> tuple[np.ndarray, float]:
        parts = [_answers(subject, images.spec, pixels(part), label[at], dtype) for at, part in _parts(index)]
        return np.concatenate([answer for answer, _ in parts]), float(np.concatenate([loss for _, loss in parts]).mean())

    clean, _ = answered(lambda part: torch.from_numpy(np.array(images.pixels[part])))
    about = {"clean": clean, "label": label.astype(clean.dtype), "index": index, "precision": np.array(str(dtype).removeprefix("torch."))}

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun, found = time.perf_counter(), []
        for severity in SEVERITIES:
            found.append(answered(spoiled(kinds[i], severity)))
            progress(severity, len(SEVERITIES), f"{KINDS[kinds[i]].title}, severity {severity}")
        predicted, nll = (np.stack(part) for part in zip(*found, strict=True))
        return {**about, "predicted": predicted, "nll": nll, "seconds": np.array(time.perf_counter() - begun)}

    return row


def _parts(index: np.ndarray) -> list[tuple[slice, np.ndarray]]:
    return [(slice(at, at + _TOGETHER), index[at : at + _TOGETHER]) for at in range(0, len(index), _TOGETHER)]


def _answers(subject: Subject, spec: data.DatasetSpec, pixels: "Tensor", label: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """(predicted classes, losses [nat]) of bytes as the net sees them, a few at a time."""
    import torch

    from core.data.augment import normalise
    from core.metrics.classify import nll
    from core.models import chunk_for
    from core.train.device import autocast

    with torch.inference_mode(), autocast(subject.device, dtype):
        logits = torch.cat(
            [subject.net(normalise(some.to(subject.device), spec)).float() for some in pixels.split(chunk_for(subject.device))]
        )
    loss = nll(logits, torch.from_numpy(label.astype(np.int64)).to(subject.device))
    return logits.argmax(1).cpu().numpy().astype(np.min_scalar_type(logits.shape[1] - 1)), loss.cpu().numpy()


def _generated(subject: Subject, images: data.Images, seed: int) -> "Callable[[str, int], Callable[[np.ndarray], Tensor]]":
    """Images spoiled as they are asked for: the same for every net that sees this set at this size."""
    import torch

    from core.data.corruptions.generate import corrupt

    def spoiled(kind: str, severity: int) -> "Callable[[np.ndarray], Tensor]":
        return lambda part: corrupt(
            torch.from_numpy(np.array(images.pixels[part])).to(subject.device), kind, severity, seed=seed, indices=part
        )

    return spoiled


def spoil(
    subject: Subject, images: data.Images, kind: str, severity: int, index: np.ndarray, seed: int = 0, source: str = "generated"
) -> "Tensor":
    """The test images at these places as they were measured at one kind and severity: uint8 (n, channels, side, side).

    Raises MeasureError for official files that are not there; DataError for a kind or severity that does not exist.
    """
    made = _official(images, [kind]) if source == "official" else _generated(subject, images, seed)
    return made(kind, severity)(index)


def official_folder(data_id: str) -> Path:
    """Where the published corrupted images of a set are looked for: a folder of their name under `data_root()`.

    Raises MeasureError for a set of which there are none.
    """
    name = OFFICIAL.get(data_id.partition(":")[0])
    if name is None:
        raise MeasureError(f"There are no published corrupted images of {data.title(data_id)}; set source=generated to make them here.")
    return data.data_root() / name


def _official(images: data.Images, kinds: list[str]) -> "Callable[[str, int], Callable[[np.ndarray], Tensor]]":
    """Images from the published files, which have to be of the same test images in the same order."""
    import torch

    from core.data.corruptions.official import published, read_official
    from core.data.dataset import resize

    root, size = official_folder(images.spec.id), images.pixels.shape[-1]
    if missing := [kind for kind in kinds if kind not in published(root)]:
        raise MeasureError(
            f"{root.name} is looked for in {root}, which has no {words.seq([KINDS[kind].title.lower() for kind in missing])}. "
            f"Put the published files there{', leave the extra kinds out' if all(KINDS[kind].extra for kind in missing) else ''} "
            "or set source=generated."
        )

    def spoiled(kind: str, severity: int) -> "Callable[[np.ndarray], Tensor]":
        try:
            found = read_official(root, kind, severity, size=size)
        except DataError as error:
            raise MeasureError(str(error)) from error
        if not np.array_equal(found.labels, images.labels) or (found.classes and found.classes != images.spec.classes):
            raise MeasureError(
                f"{root / kind} holds {len(found.labels):,} images whose classes are not those of the {len(images):,} test images of "
                f"{images.spec.title}, one by one; without the same images in the same order there is no change to tell."
            )
        return lambda part: torch.from_numpy(np.ascontiguousarray(resize(np.ascontiguousarray(found.pixels[part]), size)))

    return spoiled


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """A row a cell, kind by kind; row i of the array `predicted` is what the net said to the images of row i of the table."""
    kinds, table = kinds_of(params), TABLES[table_of(run.image_size)]
    if params.source == "official":
        table = "ImageNet-C" if run.data.partition(":")[0] == "folder" else "CIFAR-C"
    first, found = rows[min(rows)], []
    label, clean, n = first["label"], first["clean"], len(first["label"])
    for i, arrays in sorted(rows.items()):
        about = KINDS[kinds[i]]
        for severity, predicted, nll in zip(SEVERITIES, arrays["predicted"], arrays["nll"], strict=True):
            right = predicted == label
            change = compare(clean == label, right)
            accuracy, low, high = share_interval(int(right.sum()), n)
            found.append((kinds[i], about.group, about.extra, severity, accuracy, low, high, change["clean"], change["change"],
                          change["ci_low"], change["ci_high"], change["lost"], change["gained"], float(nll), table, params.source,
                          n, params.seed))  # fmt: skip
    arrays = {"predicted": np.concatenate([rows[i]["predicted"] for i in sorted(rows)]), "clean": clean, "label": label,
              "index": first["index"]}  # fmt: skip
    notes = {"on": "test", "images": n, "seed": params.seed, "source": params.source, "table": table,
             "precision": str(first["precision"]), "rows": len(rows), "of": len(kinds)}  # fmt: skip
    return Measurement(table=pd.DataFrame(found, columns=[column.id for column in COLUMNS]), arrays=arrays, notes=notes)


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes, counted less in bf16, as measured on the shipped nets; all images count as 10,000."""
    cells = len(kinds_of(params)) * len(SEVERITIES) + 1
    return count(arch, image_size, 10)["flops"] * (params.images or 10_000) * cells * (1.0 if params.precision == "fp32" else 0.65)


def supports(arch: Architecture) -> str:
    """Every net answers spoiled images."""
    return ""


ROWS = Rows(count=lambda _arch, params: len(kinds_of(params)), start=start, gather=gather, word="kind")


# ---- charts


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", show: str = "accuracy", **settings: Any) -> Any:
    """One net: kinds by severities.  `show` is what stands in the cells: accuracy [%] or change [points]."""
    from core.analyses import _cells

    return _cells.by_severity(table, theme, net=net, show=show, **settings)


def chart_nets(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, severity: int = 3, show: str = "accuracy", **settings: Any
) -> Any:
    """Several nets at one severity, or 0 for the mean over all: kinds by nets."""
    from core.analyses import _cells

    return _cells.by_net(found, theme, severity=severity, show=show, **settings)


ANALYSIS = Analysis(
    id="corruption",
    title="Corruptions",
    question="What does bad weather, blur or noise cost this net?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019",
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 12b",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
)
