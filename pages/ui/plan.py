"""What a press of Train would start, what it costs, and starting it."""

import dataclasses
import math

from core import cost, data, jobs, presets, recipe, size, spec, store, words
from core.errors import LabError
from core.run import Run
from pages.ui import pickers

#: Bytes on disk for each weight of a run while it trains: five snapshots in fp16, and the last two resume points, each with the
#: weight and the optimiser's two moments in fp32.
KEPT = 5 * 2 + 2 * 3 * 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What Train would start: one run a seed; `refusal` says why it cannot, `images` are seen in one epoch."""

    runs: tuple[Run, ...] = ()
    images: int = 0
    epochs: int = 0
    device: str = "auto"
    gpus: int = 1
    refusal: str = ""


def plan_of(
    arch: spec.Architecture, images: str, name: str, epochs: int, share: float, limit: int, seeds: int, device: str, gpus: int = 1
) -> Plan:
    """The runs of a choice, or why there can be none; `gpus` share the batches of each run."""
    try:
        chosen = data.get(images)
        if missing := data.available(images):
            return Plan(refusal=missing)
        classes = len(chosen.classes)
        size.count(arch, chosen.image_size, classes)
        how = recipe.get(name, epochs=epochs)
        title = presets.name_of(arch.notation) or "Yours"
        runs = tuple(
            Run(
                arch=arch.notation, data=images, recipe=dataclasses.asdict(how), seed=seed, fraction=share, limit=limit,
                image_size=chosen.image_size, classes=classes, name=title,
            )
            for seed in range(seeds)
        )  # fmt: skip
        seen = round(chosen.train_n * share)
        return Plan(runs=runs, images=min(seen, limit or seen), epochs=how.total_epochs, device=device, gpus=gpus)
    except LabError as error:
        return Plan(refusal=str(error))


def tuning_of(net: Run, name: str, epochs: int, slower: int, share: float, limit: int, seeds: int, device: str, gpus: int = 1) -> Plan:
    """As `plan_of`, going on from the weights that a net came with, at a `slower`-th of the recipe's learning rate."""
    try:
        chosen = data.get(net.data)
        if missing := data.available(net.data):
            return Plan(refusal=missing)
        store.weights(net.id)
        how = recipe.get(name, epochs=epochs, lr=recipe.RECIPES[name].lr / slower)
        title = f"{pickers.title(net)} {'trained' if untrained(net) else 'fine-tuned'}"
        runs = tuple(
            dataclasses.replace(net.origin, recipe=dataclasses.asdict(how), seed=seed, fraction=share, limit=limit, name=title)
            for seed in range(seeds)
        )
        seen = round(chosen.train_n * share)
        return Plan(runs=runs, images=min(seen, limit or seen), epochs=how.total_epochs, device=device, gpus=gpus)
    except LabError as error:
        return Plan(refusal=str(error))


def untrained(net: Run) -> bool:
    """Whether an added net came with random weights."""
    return bool(net.outline) and str(net.outline.get("weights", "")).startswith("random")


def price(plan: Plan) -> str:
    """What Train will cost, before it is pressed."""
    run, count = plan.runs[0], len(plan.runs)
    arch = run.plan
    what = f"{words.some(count, 'run')} of {words.some(plan.epochs, 'epoch')}, {words.count(plan.images)} images each"
    speed = cost.train_speed(arch, run.image_size)
    took = plan.images * plan.epochs * count / speed[0] if speed else 0
    time = f"about {words.duration(took)} ({speed[1]})" if speed else "time unknown until a first run was timed here"
    disk = size.count(arch, run.image_size, run.classes)["parameters"] * KEPT * count / 1e6
    return f"{what}: {time}, at most {math.ceil(disk):,} MB on disk. You can close this tab."


def start(plan: Plan) -> list[Run]:
    """Queue one job a seed; returns the runs that were trained already and are not trained again."""
    known = {run.id for run in store.list_runs()}
    done = [run for run in plan.runs if run.id in known and pickers.accuracy(run) is not None]
    for run in plan.runs:
        if run not in done:
            queue(run, plan.device, plan.gpus)
    return done


def queue(run: Run, device: str, gpus: int = 1) -> None:
    """Store what a run is and queue its training; one that is under way is not doubled."""
    store.create(run)
    few = f", {words.count(run.limit)} images" if run.limit else ""
    batch = f", batch {run.recipe['batch']}" if run.recipe.get("name") == "custom" else ""
    label = f"{pickers.title(dataclasses.replace(run, seed=0))}, seed {run.seed}{few}{batch}"
    jobs.submit("train", {"run": run.to_json(), "device": device}, label=label, dedup=run.id, devices=gpus, processes=gpus)


def halved(job: jobs.Job) -> Run | None:
    """The training of a job with half the batch, which needs about half the memory and is another run; None if there is none."""
    try:
        run = Run.from_json(job.args["run"]) if job.task == "train" else None
        if run is None or (batch := recipe.from_dict(run.recipe).batch // 2) < 2:
            return None
        return dataclasses.replace(run, recipe={**run.recipe, "batch": batch, "name": "custom"})
    except LabError:
        return None


def again_with_half(job: jobs.Job) -> str:
    """Queue a training that ran out of memory with half its batch; returns the new run's id.  LabError if it cannot be."""
    run = halved(job)
    if run is None:
        raise LabError("This batch cannot be halved.")
    queue(run, str(job.args.get("device", "auto")), job.devices)
    return run.id


def forget(job: jobs.Job) -> None:
    """Take a job out of the line; of one that never began nothing stays, not even the run that it would have trained."""
    jobs.cancel(job.id)
    if job.attempt or jobs.get(job.id).state != "cancelled":
        return
    jobs.remove(job.id)
    if job.task == "train":
        run = Run.from_json(job.args["run"])
        if not store.is_shipped(run.id) and store.final(run.id) is None and not store.history(run.id):
            store.delete(run.id)
