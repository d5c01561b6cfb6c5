"""Nets with prepared results, in memory: whatever a claim asks for, with numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from core import analyses, data, recipe
from core.claims.nets import Net, Shelf
from core.run import Run
from core.spec import layout, parse
from core.store import Stored

RESNET, ALTERNET, REVERSED = "cccccc-cccccc", "ccwccw-ccmccm", "wccwcc-cmccmc"
VIT = "mtmtmtmtmtmt/stem=patch4/width=96"
SWIN = "wtst-gwtstwtst/stem=patch2/width=64,96/heads=2,3/pos=rel"
PIT = "mtmt-gmtmtmtmt/stem=patch2/width=64,96/heads=2,3"
TWIN_LOCAL, TWIN_MIX, TWIN_DW = (VIT.replace("mt", f"{letter}t") for letter in "lxd")
DATA, IMAGES = "cifar10", 10_000


def net(
    arch: str, seed: int = 0, results: Sequence[Stored] = (), *, accuracy: float = 0.8, loss: float = 1.0, fraction: float = 1.0,
    parameters: int = 500_000, data_id: str = DATA, **changes: Any,
) -> Net:  # fmt: skip
    """A finished run with these results; `changes` are fields of its recipe."""
    run = Run(arch=arch, data=data_id, recipe=asdict(recipe.get("quick", **changes)), seed=seed, fraction=fraction)
    many = round(data.get(data_id).train_n * fraction)
    final = {"accuracy": accuracy, "n_test": IMAGES, "n_train": many, "steps": 1000, "parameters": parameters, "digest": "w"}
    history = [{"epoch": e, "step": 100 * e, "train_loss": loss, "accuracy": accuracy} for e in range(1, 11)]
    held: dict[str, list[Stored]] = {}
    for result in results:
        held.setdefault(result.manifest["analysis"], []).append(result)
    return Net(
        run=run, final=final, history=history, manifests=lambda analysis: [r.manifest for r in held.get(analysis, [])],
        load=lambda manifest: next(r for r in held[manifest["analysis"]] if r.manifest is manifest),
    )  # fmt: skip


def shelf(*nets: Net) -> Shelf:
    """The nets of one set of images."""
    return Shelf(data=DATA, nets=nets)


def stored(
    analysis: str, table: pd.DataFrame, arrays: Mapping[str, np.ndarray] | None = None, notes: Mapping[str, Any] | None = None,
    phase: str = "end", **params: Any,
) -> Stored:  # fmt: skip
    """A result of an analysis as the store hands it over."""
    method = analyses.get(analysis)
    asked = asdict(method.params()) | ({"phase": phase} if hasattr(method.params(), "phase") else {}) | params
    manifest = {"analysis": analysis, "version": method.version, "params": asked, "phase": phase, "notes": dict(notes or {})}
    return Stored(manifest=manifest, table=table, arrays=dict(arrays or {}))


# ---- results with chosen numbers


def hessian(ape: float, nep: float, phase: str = "warmup", batches: int = 40, seed: int = 0) -> Stored:
    """Five values a mini-batch: their positive mean close to `ape`, a share close to `nep` negative, alike in all batches."""
    rng = np.random.default_rng([seed, batches])
    values = ape * (1 + 0.05 * rng.standard_normal((batches, 5)))
    hit = rng.permutation(np.arange(batches * 5) < round(nep * batches * 5)).reshape(batches, 5)
    values = np.where(hit, -0.5 * values, values)
    rows = pd.DataFrame({
        "batch": np.repeat(np.arange(batches), 5), "rank": np.tile(np.arange(1, 6), batches), "eigenvalue": values.ravel(),
        "residual": 0.0, "converged": True, "products": 20, "images": 16 * batches, "seed": 0,
    })  # fmt: skip
    return stored("hessian", rows, phase=phase, images=16 * batches)


def landscape(rise: float, planes: int = 3, seed: int = 0) -> Stored:
    """Rises of the loss around a net at 0.4 of a step: `planes` pairs of directions, 256 images."""
    rng = np.random.default_rng(seed)
    ring = rise * (1 + 0.1 * rng.standard_normal((planes, 1, 256)))
    arrays = {"ring_rise": ring, "radii": np.array([0.4]), "ring_diverged": np.zeros((planes, 1))}
    return stored("landscape", pd.DataFrame({"plane": [0]}), arrays, {"batches": "b", "along": "random"})


def unit_table(arch: str, **columns: Any) -> pd.DataFrame:
    """The stem and a row a unit of a net, with what tables of maps say of units."""
    slots = layout(parse(arch), 32)
    rows = [{"unit": "stem", "position": 0, "stage": 0, "index": 0, "kind": "stem", "letter": "", "depth": 0.0, "resampling": False}]
    rows += [{"unit": s.id, "position": i, "stage": s.stage, "index": s.index, "kind": s.kind, "letter": s.letter, "depth": s.depth,
              "resampling": s.resampling or s.kind == "merge"} for i, s in enumerate(slots, 1)]  # fmt: skip
    return pd.DataFrame(rows).assign(images=512, **columns)


def fourier(arch: str, late: Mapping[str, float], early: Mapping[str, float], spread: float = 0.02, seed: int = 0) -> Stored:
    """Changes of Δ log amplitude by kind, in the first quarter of depth and beyond it."""
    table, rng = unit_table(arch, top=True), np.random.default_rng(seed)
    change = [(early if row.depth <= 0.25 else late).get(row.kind, 0.0) + spread * rng.standard_normal() for row in table.itertuples()]
    return stored("fourier", table.assign(change=change).assign(change=lambda t: t["change"].where(t["kind"] != "stem")))


def variance(arch: str, logs: Mapping[str, float], resampling: float, peak: float, spread: float = 0.02, seed: int = 0) -> Stored:
    """Variance ratios by kind as logarithms, at units that resample, and how far a stage's last unit stands above the others."""
    table, rng = unit_table(arch), np.random.default_rng(seed)
    ratio = [np.exp((resampling if row.resampling else logs.get(row.kind, 0.0)) + spread * rng.standard_normal())
             for row in table.itertuples()]  # fmt: skip
    last = table.groupby("stage")["index"].transform("max") == table["index"]
    table = table.assign(ratio=ratio, variance=np.where(last, np.exp(peak + spread * rng.standard_normal(len(table))), 1.0))
    return stored("variance", table.assign(ratio=table["ratio"].where(table["kind"] != "stem")))


def cka(difference: float, half: float = 0.02) -> Stored:
    """The contrast between stages."""
    contrast = {"within": 0.5 + difference, "between": 0.5, "difference": difference, "low": difference - half, "high": difference + half}
    return stored("cka", pd.DataFrame({"cka": [1.0]}), notes={"contrast": contrast, "images": 512})


def answers_of(shares: Sequence[float], n: int, seed: int) -> dict[str, np.ndarray]:
    """Answers that are right with these shares, a row each, to n images; all images are of class 0."""
    drawn = np.random.default_rng([seed, n]).random(n)  # one number an image: rows differ only by their shares
    right = np.stack([drawn < share for share in shares])
    return {"predicted": (~right).astype(np.uint8), "label": np.zeros(n, np.uint8), "index": np.arange(n)}


def lesion(arch: str, share: Mapping[str, float], n: int = IMAGES, seed: int = 0) -> Stored:
    """Shares that are right without each unit (0.5 where none is given), 0.8 with all."""
    table = unit_table(arch).query("kind != 'stem' and kind != 'merge'").reset_index(drop=True)
    arrays = answers_of([0.8, *(share.get(unit, 0.5) for unit in table["unit"])], n, seed)
    return stored("lesion", table.assign(**{"class": ""}), arrays, images=0 if n == IMAGES else n)


def band_noise(shares: Sequence[float], seed: int = 0, n: int = 2000) -> Stored:
    """Shares right without noise and in nine rings of noise."""
    arrays = answers_of(shares, n, seed)
    right = (arrays["predicted"] == 0).mean(1)
    rings = pd.DataFrame({"frequency": [np.nan, *(np.arange(1, 10) / 10)], "rms": 0.1, "accuracy": right, "images": n, "seed": 0,
                          "clean": right[0], "change": [np.nan, *(100 * (right[1:] - right[0]))]})  # fmt: skip
    return stored("band_noise", rings, arrays, {"rms": 0.1}, images=n)


def corruption(share: float, seed: int = 0, n: int = 1000) -> Stored:
    """75 cells of one share right."""
    from core.data.corruptions import SEVERITIES, counted

    table = pd.DataFrame([{"kind": kind, "severity": s, "extra": False} for kind in counted() for s in SEVERITIES])
    return stored("corruption", table, answers_of([share] * len(table), n, seed))


def calibration(gap: float, half: float = 0.005) -> Stored:
    """Mean confidence minus accuracy, with an interval."""
    row = {"condition": "clean", "scaled": False, "kind": "measure", "measure": "gap", "value": gap, "ci_low": gap - half,
           "ci_high": gap + half, "n": IMAGES}  # fmt: skip
    return stored("calibration", pd.DataFrame([row]), answers_of([0.8], IMAGES, 0))
