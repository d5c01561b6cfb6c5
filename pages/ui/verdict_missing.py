"""What a claim still lacks, as things that can be done here: measurements and trainings, what each takes, and how it is queued.

The judge names what is missing by the lab's own commands; they are read here as the command line reads them.
"""

import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import analyses, cost, data, jobs, params, presets, recipe, store, words
from core.claims import Verdict
from core.errors import LabError
from core.recipe import Recipe
from core.run import Run
from pages.ui import measured, pickers, plan

_MEASURE, _TRAIN = ["python", "-m", "core", "measure"], ["python", "-m", "core", "train"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is missing: a measurement of a net (`ask`), or a net (`ask` is None).

    `refusal` says why it cannot be done here; `job` is the newest one that does it.
    """

    command: str
    run: Run
    ask: tuple[analyses.Analysis, Any] | None
    title: str
    refusal: str = ""
    job: jobs.Job | None = None

    @property
    def under_way(self) -> bool:
        """Whether a job of it waits or runs."""
        return self.job is not None and self.job.state in jobs.LIVE

    @property
    def open(self) -> bool:
        """Whether it can be queued now."""
        return not self.refusal and not self.under_way


def steps(verdicts: Iterable[Verdict]) -> list[Step]:
    """What claims lack, each thing once; commands that this version cannot read are left out."""
    commands = dict.fromkeys(command for one in verdicts for command in one.missing)
    return [step for command in commands if (step := read(command))]


def read(command: str) -> Step | None:
    """A command of the judge as a step; None for one that is no such command or speaks of a net that is gone."""
    found = shlex.split(command)
    try:
        if found[:4] == _MEASURE and len(found) >= 6:
            return _measurement(command, found[4], found[5], _given(found[6:])[1])
        if found[:4] == _TRAIN:
            return _training(command, *_given(found[4:]))
    except LabError:
        return None
    return None


def _given(words_: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(options, settings) of `--name value` and `--set name=value`."""
    options, settings = {}, {}
    for name, value in zip(words_[::2], words_[1::2], strict=False):
        if name == "--set":
            settings[value.partition("=")[0]] = value.partition("=")[2]
        else:
            options[name.removeprefix("--")] = value
    return options, settings


def _measurement(command: str, run_id: str, analysis_id: str, settings: dict[str, str]) -> Step:
    run, analysis = store.find(run_id), analyses.get(analysis_id)
    asked = params.parse(analysis.params, settings, LabError)
    when = f" at {_WHEN[asked.phase]}" if getattr(asked, "phase", "") in _WHEN else ""
    refusal = analyses.refusal(analysis, run)
    try:
        if not refusal:
            store.weights(run.id, getattr(asked, "phase", "end"))
    except LabError:
        refusal = "The weights of this moment are not on this machine, so it cannot be measured here."
    return Step(
        command=command, run=run, ask=(analysis, asked), title=f"{analysis.title} of {pickers.title(run)}{when}", refusal=refusal,
        job=measured.job_of(analysis, run, asked),
    )  # fmt: skip


_WHEN = {"init": "the start", "warmup": "the end of warm-up", "third": "a third of training", "twothirds": "two thirds of training"}


def _training(command: str, options: dict[str, str], settings: dict[str, str]) -> Step:
    arch, known = presets.resolve(options["arch"]), data.get(options["data"])
    changes = dataclasses.asdict(params.parse(Recipe, settings)) if settings else {}
    changes = {name: changes[name] for name in settings}
    if "epochs" in options:
        changes["epochs"] = int(options["epochs"])
    how = recipe.get("quick", **changes)
    run = Run(
        arch=arch.notation, data=known.id, recipe=dataclasses.asdict(how), seed=int(options.get("seed", 0)),
        fraction=float(options.get("fraction", 1)), limit=int(options.get("limit", 0)), image_size=known.image_size,
        classes=len(known.classes), name=presets.name_of(arch.notation),
    )  # fmt: skip
    special = {name: value for name, value in changes.items() if name in ("sam", "mixup", "cutmix", "randaugment")}
    extra = [*(["SAM"] if "sam" in special else []), *(["strong augmentation"] if set(special) - {"sam"} else [])]
    title = pickers.title(run) if run.name else pickers.title(dataclasses.replace(run, name=arch.notation))
    return Step(
        command=command, run=run, ask=None, title=f"{title}{f' with {words.seq(extra)}' if extra else ''}",
        refusal=data.available(known.id), job=_training_job(run),
    )  # fmt: skip


def _training_job(run: Run) -> jobs.Job | None:
    return next((job for job in jobs.list() if job.task == "train" and (job.args.get("run") or {}) == run.to_json()), None)


def measurable(found: Iterable[Step]) -> list[Step]:
    """The measurements that can be queued now."""
    return [step for step in found if step.ask and step.open]


def seconds(step: Step) -> float | None:
    """About how long a step takes here; None if nothing was timed."""
    return _seconds(step.command, tuple(run.id for run in pickers.finished()))


@st.cache_data(max_entries=512, show_spinner=False)
def _seconds(command: str, timed: tuple[str, ...]) -> float | None:
    step = read(command)
    if step is None:
        return None
    run = step.run
    if step.ask:
        return measured.seconds(step.ask[0], run, step.ask[1])
    seen, how = round(data.get(run.data).train_n * run.fraction), recipe.from_dict(run.recipe)
    speed = cost.train_speed(run.plan, run.image_size)
    return min(seen, run.limit or seen) * how.total_epochs * (2 if how.sam else 1) / speed[0] if speed else None


def price(found: Sequence[Step]) -> str:
    """`about 9 min` for all of them, one after the other; what is not known is said."""
    known = [took for step in found if (took := seconds(step)) is not None]
    return f"about {words.duration(sum(known))}" if found and len(known) == len(found) else "time unknown until something was timed here"


def queue(found: Iterable[Step]) -> int:
    """Queue steps: measurements of one net that can share a job do, a training is a job of its own.  How many jobs there are now more."""
    together: dict[str, tuple[Run, list[tuple[analyses.Analysis, Any]]]] = {}
    jobs_ = 0
    for step in found:
        if not step.open:
            continue
        if step.ask is None:
            plan.queue(step.run, "auto")
            jobs_ += 1
        elif step.ask[0].rows is not None or step.ask[0].id in {a.id for a, _ in together.get(step.run.id, (None, []))[1]}:
            measured.submit(step.run, [step.ask])
            jobs_ += 1
        else:
            together.setdefault(step.run.id, (step.run, []))[1].append(step.ask)
    for run, asks in together.values():
        measured.submit(run, asks)
    return jobs_ + len(together)
