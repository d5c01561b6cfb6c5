"""Which frequencies can this net not bear noise in?

**Idea.** Add weak random noise that lives in one ring of frequencies, let the net answer the same test images again, and go through the
rings from broad to fine. Where it then errs is what it looks at.

**Formula.** Noise δ is white, ±1 in every value. Of its Fourier transform only a square ring is kept: max(|ky|, |kx|) in
[f − 0.05π, f + 0.05π), f from 0.1π to 0.9π. What is left is scaled to one root mean square (RMS) an image, the same in every ring, and
added to the pixels from 0 to 1 before they are normalised; nothing is clipped. Change = accuracy with noise minus accuracy without, in
points, with Agresti and Min's 95 % interval for paired shares. Contrast K = mean change at 0.7π to 0.9π minus mean change at 0.1π to 0.3π.

**How to read it.** −20 at 0.3π: 20 of 100 images more are wrong once noise of this frequency lies on them. K above 0: fine noise hurts
less than broad noise. The noise of an image is the same for every net, so nets are compared image by image. In the paper, noise of high
frequency hurts a ResNet most, and a ViT hardly (K −4.0 and +5.7).

**What it cannot say.** Everything hangs on the RMS, so it stands beside every number: weak noise costs nothing anywhere, and under strong
noise every net guesses, which looks like being equally robust (floor). The RMS of a data set is chosen so that the worst ring costs a net
10 to 30 points; pictures on plain ground, like those of Fashion, bear much less of it than photographs. A net that is hardly better than
guessing has nothing to lose. With energy = reference the signs keep their strength, as in the paper's code, and a ring is the louder the
more frequencies it holds: the shape of the curve is then partly that of the rings. The paper adds its noise after normalisation.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 2b; Agresti and Min, Statistics in Medicine 24, 2005.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.analyses import Analysis, Arrays, Rows, Subject, in_rows
from core.analyses._bands_said import contrast as contrast
from core.analyses._bands_said import crossing as crossing
from core.analyses._bands_said import floor as floor
from core.analyses._bands_said import pair as pair
from core.analyses._bands_said import rings as rings
from core.analyses._bands_said import say_crossing as say_crossing
from core.analyses._bands_said import takeaway as takeaway
from core.analyses._bench import compare, drawn
from core.metrics import bands
from core.metrics.interval import mean_interval
from core.params import param
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(2000, label="Images", unit="test images", low=0, high=1_000_000, help="0 takes all test images.",
                        origin="ours: changes of 2 points are clear")  # fmt: skip
    rms: float = param(0.0, label="Strength", unit="RMS, pixels from 0 to 1", low=0.0, high=1.0, help="0 takes the data set’s own.",
                       origin="ours: the worst ring costs a net 10 to 30 points")  # fmt: skip
    energy: str = param("equal", label="Energy", choices=("equal", "reference"), origin="ours; reference is the paper’s code",
                        help="equal: one RMS in every ring. reference: signs of one size, so that higher rings are louder.")  # fmt: skip
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, and their noise.")
    precision: str = param("fp32", label="Precision", choices=("fp32", "bf16", "auto"), help="auto: bf16 where the processor has it.",
                           origin="ours: bf16 can turn an image by rounding alone")  # fmt: skip


COLUMNS = (
    Column(id="frequency", dtype="float", unit="π", term="band", optional=True),
    Column(id="rms", dtype="float", unit="pixels from 0 to 1", term="noise_rms"),
    Column(id="accuracy", dtype="float", unit="share", term="accuracy"),
    Column(id="clean", dtype="float", unit="share", term="clean_images"),
    Column(id="change", dtype="float", unit="points", term="spoiled_change", optional=True),
    Column(id="ci_low", dtype="float", unit="points", term="interval", optional=True),
    Column(id="ci_high", dtype="float", unit="points", term="interval", optional=True),
    Column(id="lost", dtype="int", unit="images", term="spoiled_lost"),
    Column(id="gained", dtype="int", unit="images", term="spoiled_gained"),
    Column(id="p", dtype="float", unit="", term="mcnemar", optional=True),
    Column(id="nll", dtype="float", unit="nat", term="nll"),
    Column(id="nll_change", dtype="float", unit="nat", term="spoiled_nll", optional=True),
    Column(id="nll_low", dtype="float", unit="nat", term="interval", optional=True),
    Column(id="nll_high", dtype="float", unit="nat", term="interval", optional=True),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)
#: RMS at which the worst ring costs a net 10 to 30 points.  Fashion, shipped nets, 2,000 images: 20 points for ResNet-mini and
#: AlterNet-mini, 1 for ViT-mini, which bears far more; at 0.05 the first two lose 50 to 55, at 0.1 70 to 74 (ViT-mini 40).
#: CIFAR-10, ResNet-mini, 500 images: 19 points at 0.06, 5 at 0.03, 51 at 0.1.
RMS = {"fashion": 0.025, "fashion-full": 0.025, "cifar10": 0.06}
#: For sets without nets to choose it by: a quarter of the standard deviation that photographs have.
OTHERS = 0.06


def strength(data: str, params: Params) -> float:
    """What the noise is scaled to: its RMS with energy `equal`, the size of the signs with `reference`.

    The data set's own for rms = 0; with `reference` the signs that have the same mean energy over the rings of a large image.
    """
    own = params.rms or RMS.get(data, OTHERS)
    if params.rms or params.energy == "equal":
        return own
    return own / float(np.mean([(edge[1] ** 2 - edge[0] ** 2) / 1e4 for edge in map(bands.ring, bands.CENTRES)])) ** 0.5


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Let the net answer the images as they are; the function it returns measures one ring, empty arrays if no frequency lies in it."""
    import torch

    from core.metrics import noise
    from core.metrics.classify import nll
    from core.models import chunk_for
    from core.train.device import autocast, precision

    dtype = precision(params.precision, subject.device)
    size, device = subject.run.image_size, subject.device
    scale = strength(subject.run.data, params)
    label, index = drawn(subject, params.images, params.seed)

    def answers(ring: bands.Ring | None, progress: Callable[..., None]) -> tuple[np.ndarray, np.ndarray, float]:
        """Predicted classes, losses [nat], and the RMS of the noise as it was added."""
        predicted, loss, squares, done = [], [], 0.0, 0
        for x, y in subject.chunks("test", params.images, params.seed, chunk_for(device)):
            if ring is not None:
                white = noise.white(index[done : done + len(x)], size, seed=params.seed, channels=subject.spec.channels, device=device)
                added = noise.limited(white, ring, strength=scale, energy=params.energy)
                squares += float(added.double().square().mean((1, 2, 3)).sum())
                x = x + noise.normalised(added, subject.spec.std)
            with torch.inference_mode(), autocast(device, dtype):
                logits = subject.net(x).float()
            predicted.append(logits.argmax(1).cpu().numpy().astype(np.min_scalar_type(logits.shape[1] - 1)))
            loss.append(nll(logits, y).cpu().numpy())
            done += len(x)
            progress(done, len(index))
        return np.concatenate(predicted), np.concatenate(loss), (squares / len(index)) ** 0.5

    clean, clean_loss, _ = answers(None, lambda *_: None)
    there = bands.filled(size)

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun, centre = time.perf_counter(), bands.CENTRES[i]
        predicted, loss, rms = answers(bands.ring(centre), progress) if centre in there else (clean[:0], clean_loss[:0], 0.0)
        return {
            "predicted": predicted, "loss": loss, "rms": np.array(rms), "clean": clean, "clean_loss": clean_loss,
            "label": label.astype(clean.dtype), "index": index, "precision": np.array(str(dtype).removeprefix("torch.")),
            "seconds": np.array(time.perf_counter() - begun),
        }  # fmt: skip

    return row


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """The clean answers and those of the rings that are there, by rising frequency."""
    first = rows[min(rows)]
    label, loss, before = first["label"], first["clean_loss"], first["clean"] == first["label"]
    missing = dict.fromkeys(("frequency", "change", "ci_low", "ci_high", "p", "nll_change", "nll_low", "nll_high"), np.nan)
    share = float(before.mean())
    counts = {"images": len(label), "seed": params.seed}
    found = [{**missing, "rms": 0.0, "accuracy": share, "clean": share, "lost": 0, "gained": 0, "nll": float(loss.mean()), **counts}]
    answers = [first["clean"]]
    for i, arrays in sorted(rows.items()):
        if len(arrays["predicted"]):
            change, low, high = map(float, mean_interval(arrays["loss"] - loss))
            losses = {"nll": float(arrays["loss"].mean()), "nll_change": change, "nll_low": low, "nll_high": high}
            about = {"frequency": bands.CENTRES[i] / 100, "rms": float(arrays["rms"])}
            found.append({**about, **compare(before, arrays["predicted"] == label), **losses, **counts})
            answers.append(arrays["predicted"])
    notes = {
        "rms": params.rms or RMS.get(run.data, OTHERS), "measured": run.data in RMS, "strength": strength(run.data, params),
        "energy": params.energy, "precision": str(first["precision"]), "images": len(label), "seed": params.seed,
        "rows": len(rows), "of": len(bands.CENTRES),
    }  # fmt: skip
    arrays = {"predicted": np.stack(answers), "label": label, "index": first["index"]}
    return Measurement(table=pd.DataFrame(found, columns=[c.id for c in COLUMNS]), arrays=arrays, notes=notes)


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes, one a ring and one without noise.  All images count as 10,000."""
    return count(arch, image_size, 10)["flops"] * (params.images or 10_000) * (1 + len(bands.CENTRES))


def supports(arch: Architecture) -> str:
    """Every net can be given noisy images."""
    return ""


ROWS = Rows(count=lambda _arch, _params: len(bands.CENTRES), start=start, gather=gather, word="ring")


# ---- charts


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "conv", **settings: Any) -> Any:
    """One net's curve."""
    return chart_nets({net: table}, theme, families={net: family}, **settings)


def chart_nets(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str], paper: bool = False, height: int = 260
) -> Any:
    """Change of accuracy over the noise's frequency, a line a net with its 95 % band; `paper` adds its two curves, quietly."""
    from core.analyses import _bands_drawn

    rows = pd.concat([rings(table).assign(net=net) for net, table in found.items()], ignore_index=True)
    return _bands_drawn.curves(rows, theme, families, paper=paper, height=height)


ANALYSIS = Analysis(
    id="band_noise",
    title="Noise by frequency",
    question="Which frequencies can this net not bear noise in?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. 2b",
        "Agresti and Min, Statistics in Medicine 24, 2005",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
)
