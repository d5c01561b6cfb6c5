"""Does this net know how sure it may be?

**Idea.** A net says with each answer how sure it is. Of the answers given with 80 % confidence, 80 % should be right. If fewer are, the
net is too sure; if more are, it is less sure than it may be.

**Formula.** Confidence is the highest probability. Answers are put into 15 bins [i/15, (i+1)/15), the last one closed. ECE = mean over
bins of |confidence − accuracy|, weighted by their images; signed gap = mean confidence − accuracy. NLL = −ln p of the right class; Brier =
Σ (p − one-hot)², 0 to 2. Freq-90 = share of answers with confidence above 90 %, Acc-90 = share of these that is right, Unc-90 = share of
wrong answers with at most 90 %. Shares have Wilson's 95 % interval, means Student's t over images, ECE a bootstrap over images.

**How to read it.** On the diagonal, confidence is what it says. Above it the net is less sure than it may be (gap below 0), below it too
sure. NLL and Brier judge answers and confidence together. In the paper strong augmentation makes nets less sure than they may be; label
smoothing does the same. A temperature above 1 makes a net less sure, below 1 surer; no answer changes. It is fitted to one random half of
the clean images, and all numbers are then of the other half.

**What it cannot say.** ECE averages absolute values, so chance alone makes it larger than 0, more so with few images or many bins; where
a perfectly calibrated net would reach as much, its interval starts at 0. The signed gap does not suffer from this, but too sure here and
not sure enough there cancel. Confidence is calibrated for one set of images: on spoiled ones it mostly is not. A net that is right more
often has an easier life in NLL and Brier.

**Sources.** Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. F.1; Guo, Pleiss, Sun and Weinberger, On Calibration of
Modern Neural Networks, ICML 2017; Brier, Monthly Weather Review 78, 1950; Ovadia et al., Can You Trust Your Model’s Uncertainty?, NeurIPS
2019 (temperature from clean images).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Subject
from core.analyses._bench import drawn
from core.data.corruptions import KINDS
from core.errors import MeasureError
from core.metrics import calibration as metric
from core.params import param
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(0, label="Images", unit="test images", low=0, high=1_000_000, help="0 takes all test images.",
                        origin="ours: ECE is biased upwards with few images")  # fmt: skip
    seed: int = param(0, label="Seed", origin="ours", low=0, high=10**6, help="Which images are drawn, how they are spoiled and halved.")
    bins: int = param(15, label="Bins", low=2, high=100, origin="Guo et al. 2017; the paper’s code takes 10")
    corruption: str = param("", label="Corruption", choices=("", *KINDS), origin="ours", help="Empty: images as they are only.")
    severity: int = param(3, label="Severity", low=1, high=5, origin="ours: the middle one", help="Of the corruption, 1 to 5.")
    temperature: bool = param(False, label="Temperature", origin="paper: nets as they are",
                              help="Fit a temperature to half of the clean images and judge the other half.")  # fmt: skip


COLUMNS = (
    Column(id="condition", dtype="str", unit="", term="calibration_condition"),
    Column(id="severity", dtype="int", unit="", term="severity"),
    Column(id="scaled", dtype="bool", unit="", term="scaled"),
    Column(id="temperature", dtype="float", unit="", term="temperature"),
    Column(id="kind", dtype="str", unit="", term="calibration_kind"),
    Column(id="measure", dtype="str", unit="", term="calibration_measure"),
    Column(id="low", dtype="float", unit="share", term="bin", optional=True),
    Column(id="high", dtype="float", unit="share", term="bin", optional=True),
    Column(id="confidence", dtype="float", unit="share", term="confidence", optional=True),
    Column(id="value", dtype="float", unit="", term="calibration_value", optional=True),
    Column(id="ci_low", dtype="float", unit="", term="interval", optional=True),
    Column(id="ci_high", dtype="float", unit="", term="interval", optional=True),
    Column(id="n", dtype="int", unit="images", term="calibration_n"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)
#: What the measures are called on screen, in the order of the table.
TITLES = {
    "accuracy": "Accuracy", "nll": "NLL", "brier": "Brier", "ece": "ECE", "gap": "Signed gap", "acc90": "Acc-90", "freq90": "Freq-90",
    "unc90": "Unc-90",
}  # fmt: skip
CLEAN = "clean"


# ---- measuring


def measure(subject: Subject, params: Params, progress: Callable[..., None]) -> Measurement:
    """Scores and reliability bins of images as they are and, if asked for, corrupted; before and after a temperature, if asked for.

    Keeps confidence and answer of each image that is judged.  MeasureError if there are not so many images, or one alone to be halved.
    """
    label, index = drawn(subject, params.images, params.seed)
    conditions = [(CLEAN, 0), *([(params.corruption, params.severity)] if params.corruption else [])]
    logits = []
    for done, (kind, severity) in enumerate(conditions):
        said = KINDS[kind].title if severity else "images as they are"
        logits.append(_logits(subject, params, index, kind, severity, lambda step, total, done=done, said=said: progress(
            done * total + step, len(conditions) * total, said)))  # fmt: skip
    judged, temperatures = np.arange(len(index)), [1.0]
    if params.temperature:
        if len(index) < 2:
            raise MeasureError("A temperature takes two images or more: one to fit, one to judge.")
        fit, judged = np.array_split(np.random.default_rng(params.seed).permutation(len(index)), 2)
        judged = np.sort(judged)
        temperatures.append(metric.fit_temperature(logits[0][fit], label[fit]))
    rows, confidence = [], []
    for (kind, severity), all_logits in zip(conditions, logits, strict=True):
        for scaled, temperature in enumerate(temperatures):
            found = metric.answers(all_logits[judged], label[judged], temperature)
            confidence.append(found.confidence.astype(np.float32))
            about = (kind, severity, bool(scaled), temperature)
            rows += [(*about, *row, len(judged), params.seed) for row in _rows(found, params)]
    predicted = np.stack([one[judged].argmax(1).astype(np.min_scalar_type(one.shape[1] - 1)) for one in logits])
    notes = {"temperature": temperatures[-1], "fitted": len(index) - len(judged), "images": len(judged), "seed": params.seed, "on": "test",
             "bins": params.bins, "conditions": [kind for kind, _ in conditions]}  # fmt: skip
    arrays = {"confidence": np.stack(confidence), "predicted": predicted, "label": label[judged].astype(predicted.dtype),
              "index": index[judged]}  # fmt: skip
    return Measurement(table=pd.DataFrame(rows, columns=[c.id for c in COLUMNS]), arrays=arrays, notes=notes)


def _logits(
    subject: Subject, params: Params, index: np.ndarray, kind: str, severity: int, progress: Callable[[int, int], None]
) -> np.ndarray:
    """(images, classes) float32, of images as they are for severity 0."""
    import torch

    from core.data.augment import normalise
    from core.data.corruptions.generate import corrupt
    from core.models import chunk_for

    size, found, done = chunk_for(subject.device), [], 0
    pixels = subject.pictures("test").pixels if severity else None
    for x, _ in subject.chunks("test", params.images, params.seed, size):
        part = index[done : done + len(x)]
        if pixels is not None:
            made = corrupt(torch.from_numpy(np.array(pixels[part])).to(subject.device), kind, severity, seed=params.seed, indices=part)
            x = normalise(made, subject.spec)
        with torch.inference_mode():
            found.append(subject.net(x).float().cpu().numpy())
        done += len(x)
        progress(done, len(index))
    return np.concatenate(found)


def _rows(found: metric.Answers, params: Params) -> list[tuple[Any, ...]]:
    """kind, measure, low, high, confidence, value, ci_low, ci_high, n: the measures, then the bins."""
    sure, n = found.confidence > metric.SURE, len(found.correct)
    of = {"acc90": int(sure.sum()), "unc90": int((~found.correct.astype(bool)).sum())}
    nothing, rows = (np.nan,) * 3, []
    for name, score in metric.scores(found, params.bins, params.seed).items():
        rows.append(("measure", name, *nothing, *(score or nothing), of.get(name, n)))
    for one in metric.diagram(metric.bin_table(found.confidence, found.correct, params.bins)):
        confidence = np.nan if one.confidence is None else one.confidence
        rows.append(("bin", "accuracy", one.low, one.high, confidence, *(one.accuracy or nothing), one.images))
    return rows


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs of the forward passes; making corrupted images adds about as much as half a pass.  All images count as 10,000."""
    return count(arch, image_size, 10)["flops"] * (params.images or 10_000) * (2.5 if params.corruption else 1)


def supports(arch: Architecture) -> str:
    """Every net says how sure it is."""
    return ""


# ---- words and pictures


def part(table: pd.DataFrame, condition: str = CLEAN, scaled: bool = False) -> pd.DataFrame:
    """The rows of images as they are or of a corruption, as the net is or with the fitted temperature; none if not measured."""
    return table[(table["condition"] == condition) & (table["scaled"] == scaled)].reset_index(drop=True)


def measures(table: pd.DataFrame, condition: str = CLEAN, scaled: bool = False) -> pd.DataFrame:
    """value, ci_low, ci_high and n by measure (TITLES); a value is missing where no image counts."""
    rows = part(table, condition, scaled)
    return rows.loc[rows["kind"] == "measure", ["measure", "value", "ci_low", "ci_high", "n"]].set_index("measure")


def reliability(table: pd.DataFrame, condition: str = CLEAN, scaled: bool = False) -> pd.DataFrame:
    """The bins that hold an image, by rising confidence."""
    rows = part(table, condition, scaled)
    return rows[(rows["kind"] == "bin") & (rows["n"] > 0)].reset_index(drop=True)


def takeaway(found: Mapping[str, pd.DataFrame], condition: str = CLEAN, scaled: bool = False) -> str:
    """Which nets are too sure or not sure enough, in a sentence or two; a gap whose interval holds 0 is called none."""
    tables = {net: rows for net, table in found.items() if len(rows := part(table, condition, scaled))}
    if not tables:
        return "No net on stage has been measured yet in this way."
    each = {net: measures(table, condition, scaled) for net, table in tables.items()}
    first = next(iter(tables.values())).iloc[0]
    where = f"Under {KINDS[condition].title.lower()} of severity {first['severity']}, " if condition != CLEAN else ""
    if scaled:
        fitted = list(dict.fromkeys(words.plain(float(table["temperature"].iloc[0])) for table in tables.values()))
        where = f"With temperature {words.seq(fitted)}{where.replace('Under', ' and under')}{'' if where else ', '}"
    if len(each) == 1:
        net, one = next(iter(each.items()))
        accuracy, gap = one.loc["accuracy", "value"], one.loc["gap"]
        between = f"{_points(gap['ci_low'])} to {_points(gap['ci_high'])}"
        return (
            f"{where}**{net} is {_judged(gap)}**: {words.percent(accuracy + gap['value'])} sure on average, "
            f"{words.percent(accuracy)} right (gap {_points(gap['value'])} points, {between})."
        )
    kinds: dict[str, list[str]] = {}
    for net, one in sorted(each.items(), key=lambda item: -abs(item[1].loc["gap", "value"])):
        kinds.setdefault(_judged(one.loc["gap"]), []).append(f"{net} ({_points(one.loc['gap', 'value'])})")
    said = [
        f"{words.seq(nets)} {'is' if len(nets) == 1 else 'are'} **{kind if len(nets) == 1 else kind.replace('it may', 'they may')}**"
        for kind, nets in kinds.items()
    ]
    order = sorted(each, key=lambda net: each[net].loc["ece", "value"])
    best, worst = (each[net].loc["ece"] for net in (order[0], order[-1]))
    apart = best["ci_high"] < worst["ci_low"]
    least, most = words.percent(best["value"]), words.percent(worst["value"])
    error = most if least == most else f"{least.removesuffix(' %')} to {most}"
    return f"{where}{'; '.join(said)}. Calibration error {error}, {f'least for {order[0]}' if apart else 'not clearly different'}."


def _judged(gap: pd.Series) -> str:
    if gap["ci_low"] <= 0 <= gap["ci_high"]:
        return "as sure as it may be on average"
    return "too sure" if gap["value"] > 0 else "less sure than it may be"


def _points(share: float) -> str:
    """A share in points: -0.0742 -> `−7.4`."""
    return words.signed(100 * share, 1)


def chart(table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "conv", **settings: Any) -> Any:
    """One net's reliability diagram."""
    return chart_nets({net: table}, theme, families={net: family}, **settings)


def chart_nets(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str], condition: str = CLEAN, scaled: bool = False,
    height: int = 300, scale: tuple[float, float] | None = None,
) -> Any:  # fmt: skip
    """Share right over confidence, a line a net; marks are the larger the more images a bin holds; the diagonal is calibrated.

    `scale` is where the axes of confidence and of the share begin, for panels that share them.

    Raises MeasureError if no net was measured in this way.
    """
    from core.analyses import _bands_drawn

    bins = [reliability(table, condition, scaled).assign(net=net) for net, table in found.items()]
    rows = pd.concat(bins, ignore_index=True) if bins else pd.DataFrame()
    if rows.empty:
        raise MeasureError("No net was measured in this way, so there is nothing to draw.")
    return _bands_drawn.reliability(rows, theme, families, height=height, scale=scale)


ANALYSIS = Analysis(
    id="calibration",
    title="Calibration",
    question="Does this net know how sure it may be?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Park and Kim, How Do Vision Transformers Work?, ICLR 2022, Fig. F.1",
        "Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017",
        "Ovadia et al., Can You Trust Your Model’s Uncertainty?, NeurIPS 2019",
    ),
    cost=cost,
    supports=supports,
    measure=measure,
    chart=chart,
)
