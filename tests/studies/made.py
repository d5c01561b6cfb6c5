"""Runs of a study as if they had been trained and measured: stored, with numbers that a test chooses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core import io, store, studies
from core.run import Run
from core.size import count
from core.store import Stored
from core.studies._family import images_of
from core.studies.buildup import steps
from core.table import Measurement
from tests.claims import made

TESTED = 10_000


def trained(run: Run, accuracy: float = 0.8, loss: float = 1.0, **facts: Any) -> None:
    """Store a run as finished."""
    place = store.create(run)
    for epoch in (1, 2):
        store.append_history(place, {"epoch": epoch, "step": 100 * epoch, "train_loss": loss, "accuracy": accuracy})
    size = count(run.plan, run.image_size, run.classes)["parameters"]
    final = {"accuracy": accuracy, "n_test": TESTED, "n_train": images_of(run), "steps": 200, "parameters": size, "digest": "w"}
    io.write_json(place / "final.json", final | facts)


def answer(name: str, settings: dict[str, Any], accuracy: float = 0.8) -> Stored:
    """A result of an analysis that studies ask for; answers to test images are right as often as `accuracy` says."""
    if name == "hessian":
        return made.hessian(100.0, 0.2, settings["phase"], settings["images"] // 16)
    if name == "calibration":
        return replace(made.calibration(-0.1), arrays=made.answers_of([accuracy], TESTED, 0))
    return {"corruption": made.corruption, "landscape": made.landscape}[name](0.5)


def keep(run: Run, stored: Stored) -> None:
    """Store a result of a run."""
    facts = {name: stored.manifest[name] for name in ("analysis", "version", "params", "phase")}
    key = store.result_key(facts["analysis"], facts["version"], facts["params"], "w", "")
    measurement = Measurement(table=stored.table, arrays=stored.arrays, notes=stored.manifest["notes"])
    store.save_result(run.id, facts.pop("analysis"), key, measurement, facts)


def finish(study: studies.Study, setting: studies.Setting) -> None:
    """Train and measure all nets of a study, each a little better than the one before it."""
    for number in range(study.rows(setting)):
        if number == len(members := study.members(setting)):
            return
        member, accuracy = members[number], 0.7 + 0.01 * number
        trained(member.run, accuracy, loss=1 - 0.01 * number)
        for name, settings in member.asks:
            keep(member.run, answer(name, settings, accuracy))


def grown(setting: studies.Setting, accuracies: list[float], seed: int = 0) -> None:
    """Train the nets of a build-up in their order with these accuracies [%]."""
    trained(setting.run(setting.base("conv"), seed), accuracies[0] / 100)
    for accuracy in accuracies[1:]:
        pending = next(step for step in steps(setting)[1:] if not step.verdict)
        trained(setting.run(pending.arch, seed), accuracy / 100)
