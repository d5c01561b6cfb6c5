"""What a CUDA device must give: training that learns and resumes, and the same spectra as a CPU."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytest

from core import analyses, recipe, store
from core.run import Run

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

ARCH = "cccc-ccmm/width=32,64/heads=1,2/window=4,8"


@dataclass
class Ear:
    """A listener that keeps what it heard and asks to stop after a step."""

    stop_after: int = 10**9
    step: int = 0
    rows: list[dict] = field(default_factory=list)

    def progress(self, step: int, total: int, message: str = "", **metrics: float) -> None:
        self.step = step

    def metric(self, row: dict) -> None:
        self.rows.append(row)

    def cancelled(self) -> bool:
        return self.step >= self.stop_after


def small_run(seed: int = 0, **changes: object) -> Run:
    """Two epochs on 512 images."""
    chosen = recipe.get("quick", **{"epochs": 2, "batch": 32, **changes})
    return Run(arch=ARCH, data="fashion", recipe=asdict(chosen), seed=seed, limit=512, name="gpu test")


def trained(run: Run, ear: Ear | None = None) -> dict:
    """Train on the CUDA device; final.json."""
    from core.train.loop import train

    return train(run, store.create(run), ear or Ear(), device="cuda")


def test_training_on_cuda_learns(home: Path) -> None:
    """The loss is finite and falls, and the run says where it was trained."""
    ear = Ear()
    final = trained(small_run(epochs=4), ear)
    assert all(math.isfinite(row["train_loss"]) for row in ear.rows)
    assert ear.rows[-1]["train_loss"] < ear.rows[0]["train_loss"]
    assert final["accuracy"] > 0.3  # chance is 0.1
    assert final["device"].startswith("cuda")


def test_an_interrupted_training_goes_on(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the first epoch and started again, it ends where the uninterrupted one does (up to the order of sums)."""
    from safetensors.numpy import load_file

    from core.jobs import Cancelled

    run = small_run(precision="fp32")
    with pytest.raises(Cancelled):
        trained(run, Ear(stop_after=1))
    stopped = trained(run)
    resumed = load_file(store.weights(run.id))
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path / "other"))
    straight = trained(run)
    whole = load_file(store.weights(run.id))
    assert stopped["steps"] == straight["steps"]
    for name, weights in whole.items():
        if np.issubdtype(weights.dtype, np.floating):
            np.testing.assert_allclose(resumed[name].astype(np.float64), weights.astype(np.float64), atol=2e-2, err_msg=name)


def test_fourier_is_the_same_on_both_devices(home: Path) -> None:
    """Δ log amplitude of every unit and frequency agrees within 1e-4."""
    run = small_run()
    trained(run)
    tables = {}
    for device in ("cpu", "cuda"):
        fourier = analyses.get("fourier")
        tables[device] = fourier.measure(analyses.Subject(run, device), fourier.params(images=64), lambda *_: None).table
    for column in tables["cpu"].select_dtypes("number"):
        np.testing.assert_allclose(tables["cuda"][column], tables["cpu"][column], atol=1e-4, err_msg=column)
