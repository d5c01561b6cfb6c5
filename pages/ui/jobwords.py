"""What is said about a job: how far it is, why it waits, how it ended, and the one next useful step.  Draws nothing."""

import json
from collections.abc import Sequence
from functools import lru_cache

from core import data, jobs, store, words
from core.data import imported
from core.errors import LabError, StoreError
from core.jobs import state
from core.run import Run
from pages.ui import measured, pickers, plan

STATES = {
    "waiting": "Waiting",
    "queued": "Waiting",
    "starting": "Starting",
    "running": "Running",
    "cancelling": "Stopping",
    "succeeded": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
}
CAUSES = {
    "killed": "killed from outside",
    "lost": "ended without a word",
    "engine": "ended by the cluster",
    "preempted": "asked to make room",
    "unstarted": "never began",
    "launch": "could not be started",
    "gpu_oom": "GPU memory ran out",
    "host_oom": "memory ran out",
    "disk_full": "disk full",
    "exception": "error",
    "user": "stopped",
    "succeeded": "done",
}
OUT_OF_MEMORY = ("gpu_oom", "host_oom")
_DEVICES = {"cpu": "the CPU", "cuda": "a GPU", "mps": "the GPU", "network": "the network"}


def trained(job: jobs.Job) -> str:
    """Id of the run that a training job is for, stored or not; "" for other jobs."""
    given = job.args.get("run")
    return _run_id(json.dumps(given)) if job.task == "train" and isinstance(given, dict) else ""


@lru_cache(maxsize=4096)
def _run_id(given: str) -> str:
    try:
        return Run.from_json(json.loads(given)).id
    except StoreError:
        return ""


def run_of(job: jobs.Job) -> Run | None:
    """The stored run that a job trains, measures or has taken in; None if it is gone or its description is damaged."""
    result = job.result or {}
    try:
        return store.find(trained(job) if job.task == "train" else str((result if job.task == "import_net" else job.args).get("run")))
    except LabError:
        return None


def busy(run_id: str, everything: Sequence[jobs.Job]) -> str:
    """What a live job does with a run, `trained` or `measured`; "" if none needs it."""
    live = [job for job in everything if job.state in jobs.LIVE]
    if any(trained(job) == run_id for job in live):
        return "trained"
    return "measured" if any(job.args.get("run") == run_id for job in live) else ""


#: analysis -> the page that shows it; what is not here is shown on Frequency
_PAGES = {
    "landscape": "landscape", "hessian": "curvature", "density": "curvature", "variance": "features", "cka": "features",
    "attention": "features", "receptive": "features", "lesion": "lesion", "subsets": "lesion",
    **dict.fromkeys(("band_noise", "calibration", "corruption", "adversarial", "shape_texture"), "robustness"),
}  # fmt: skip
_SEE = {
    "frequency": "See what its blocks do to frequencies",
    "features": "See what its units do to features",
    "lesion": "See what it can live without",
    "landscape": "See the loss around its weights",
    "curvature": "See how its loss bends",
    "robustness": "See what breaks it",
}


def shown_on(job: jobs.Job) -> tuple[str, str, dict[str, str]]:
    """(page, what one sees there, what its address says beside the net) of what a job has made."""
    asks = job.args.get("asks")
    first = next(iter(asks), "") if isinstance(asks, dict) else ""
    page = _PAGES.get(first, "frequency")
    return page, _SEE[page], {"show": first} if page in ("features", "robustness") else {}


def images_of(job: jobs.Job) -> str:
    """Id of the set of images that an ended job has brought, if it is there; "" for other jobs."""
    brought = job.args.get("id") if job.task == "fetch" else (job.result or {}).get("data") if job.task == "import_images" else ""
    return str(brought) if brought in pickers.sets() else ""


def name(job: jobs.Job) -> str:
    """What a job is called."""
    return job.label or job.task


# ---- in line


def line(job: jobs.Job) -> tuple[str, str]:
    """The line that a job stands in: those of one engine that wait for one kind of device."""
    return job.engine, job.device.partition(":")[0]


def in_order(everything: Sequence[jobs.Job]) -> list[jobs.Job]:
    """Queued jobs as they will be started, then those that wait for others."""
    found = [job for job in everything if job.state in ("queued", "waiting")]
    return sorted(found, key=lambda job: (job.state == "waiting", -job.priority, job.seq))


def why_waiting(job: jobs.Job, everything: Sequence[jobs.Job]) -> str:
    """The place of a job in its line and what it waits for."""
    if job.state == "waiting":
        needed = [other for other in everything if other.id in job.needs and other.state != "succeeded"]
        return f"starts after {name(needed[0]) if len(needed) == 1 else words.some(len(needed), 'other job')}"
    queued = [other for other in in_order(everything) if other.state == "queued"]
    if job.cause and job.reason:  # it was tried before
        return job.reason
    place = [other.id for other in queued if line(other) == line(job)].index(job.id)
    text = "next in line" if place == 0 else f"{_ordinal(place + 1)} in line"
    if len({line(other) for other in queued}) > 1 or job.devices > 1:
        text += f" for {_wanted(job)}"
    return f"{text} · {job.reason}" if job.reason else text


def _wanted(job: jobs.Job) -> str:
    if job.devices > 1:
        return f"{job.devices} GPUs"
    return f"GPU {job.device[5:]}" if ":" in job.device else _DEVICES.get(job.device, "a place")


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


# ---- at work


def said(job: jobs.Job, everything: Sequence[jobs.Job], parts: Sequence[jobs.Job] = ()) -> tuple[str, float | None]:
    """(progress or outcome in words, share done or None) of a job with its parts."""
    if job.state == "waiting" and job.rows and parts:
        return _of_parts(job, parts)
    if job.state in ("waiting", "queued"):
        return why_waiting(job, everything), None
    if job.state in jobs.LIVE:
        text, share = measured.progress(job)
        return text + (f" · attempt {job.tries}" if job.tries > 1 else ""), share
    if job.state == "succeeded":
        return _outcome(job), None
    reason = job.reason.replace(state.KEPT, "What it saved is kept.")
    return reason or ("stopped; what was saved is kept" if job.state == "cancelled" else "no reason was left"), None


def _of_parts(job: jobs.Job, parts: Sequence[jobs.Job]) -> tuple[str, float | None]:
    """How far a job is whose rows its parts make."""
    if all(part.state in ("waiting", "queued") and not part.tries for part in parts):
        return f"its {words.some(len(parts), 'part')} wait for their turn", None
    done = job.progress.step if job.progress else 0
    pace = sum(part.progress.rate or 0 for part in parts if part.progress and part.state == "running")
    left = f" · {measured.left((job.rows - done) / pace)}" if pace and job.rows > done else ""
    return f"{done} of {words.some(job.rows, 'row')} done{left}", min(done / max(job.rows, 1), 1.0)


# ---- over


def _outcome(job: jobs.Job) -> str:
    if job.task == "fetch":
        return "its images can be used now"
    if job.task == "import_images":
        return _imported(images_of(job))
    run = run_of(job)
    if run is None:
        return "its net was deleted" if job.args.get("run") or job.task == "import_net" else "done"
    if job.task not in ("train", "import_net"):
        return "measured"
    return finished(run)


def _imported(dataset: str) -> str:
    """`1,000 images in 10 classes, 12 files left out`."""
    if not dataset:
        return "its set was deleted, or is another one now"
    known = data.get(dataset)
    try:
        left = imported.report(imported.find(dataset))["left_out_n"]
    except LabError as error:
        return str(error)
    aside = f", {words.some(left, 'file')} left out" if left else ""
    return f"{words.some(known.train_n + known.test_n, 'image')} in {words.some(len(known.classes), 'class', 'classes')}{aside}"


def finished(run: Run) -> str:
    """`90.6 % after 20 epochs, 3 min` of a trained run."""
    try:
        final = store.final(run.id)
    except StoreError as error:
        return str(error)
    accuracy = pickers.accuracy(run)
    if final is None or accuracy is None:
        return "not trained to the end" if final is None else "its last measurement is damaged; train it again"
    seconds = final.get("seconds")
    time = f", {words.duration(seconds)}" if isinstance(seconds, int | float) and seconds > 0 else ""
    if run.outline and not run.recipe:
        return f"{words.percent(accuracy)} as it came, its weights {run.outline['weights']}{time}"
    epochs = len(store.history(run.id)) or run.recipe.get("epochs", 0)
    return f"{words.percent(accuracy)} after {words.some(epochs, 'epoch')}{time}"


def next_step(job: jobs.Job, everything: Sequence[jobs.Job]) -> str:
    """What is most useful now that a job has ended: `open`, `resume`, `log`, the smaller batch as a number, or ""."""
    if job.state == "succeeded":
        return "open" if run_of(job) is not None or images_of(job) or job.task == "study" else ""
    if job.state == "failed" and job.cause == "exception":
        return "log"
    if job.cause in OUT_OF_MEMORY and (smaller := plan.halved(job)) is not None:
        under_way = busy(smaller.id, everything) or any(trained(other) == smaller.id and other.state == "succeeded" for other in everything)
        return "" if under_way else str(smaller.recipe["batch"])
    return "resume"
