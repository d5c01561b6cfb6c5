"""Results of one analysis for the models on stage: what is stored, what is being measured, what is missing."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses, data, io, jobs, store, words
from core.analyses import Analysis
from core.errors import StoreError
from core.jobs import shards
from core.run import Run
from core.table import Measurement
from pages.ui import parts, pickers, states

#: The tasks that measure.
TASKS = ("measure", "measure_rows")
#: What a measurement takes here.
seconds = analyses.seconds


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A stored result of one run; `stale` if the method or the weights have changed since."""

    run: Run
    table: pd.DataFrame
    manifest: dict[str, Any]
    stale: bool

    @property
    def arrays(self) -> dict[str, Any]:
        """What is stored beside the table."""
        return _arrays(self.run.id, self.manifest["analysis"], self.manifest["key"], str(io.home()))


def answers(analysis: Analysis, runs: Sequence[Run], wanted: dict[str, Any], free: Sequence[str] = ("images", "seed")) -> dict[str, Answer]:
    """The best stored result of each run, by run id: fresh before stale, these very parameters before others.

    Parameters named in `free` may differ from `wanted`; the figure must then say so.  So may images that a set does not have.
    """
    found, question = {}, analysis.params(**wanted)
    for run in runs:
        wanted = dataclasses.asdict(analyses.fitted(run, question))
        fit = [m for m in store.list_results(run.id, analysis.id) if _fits(m.get("params") or {}, wanted, free) and not m.get("error")]
        ranked = sorted(
            fit, key=lambda m: (not _stale(analysis, run, m), m["params"] == wanted, m["params"].get("images", 0)), reverse=True
        )
        for manifest in ranked:
            table = _table(run.id, analysis.id, manifest["key"], str(io.home()))
            if table is not None:
                found[run.id] = Answer(run=run, table=table, manifest=manifest, stale=_stale(analysis, run, manifest))
                break
    return found


def tables(found: Sequence[Answer]) -> dict[str, pd.DataFrame]:
    """Tables by the net's name on screen, told apart where two nets have one name."""
    named = pickers.names([answer.run for answer in found])
    return {named[answer.run.id]: answer.table for answer in found}


def stale_said(found: Sequence[Answer]) -> str:
    """Which results are older than the method or the weights, in a sentence; "" if none is."""
    names = ", ".join(pickers.title(answer.run) for answer in found if answer.stale)
    return f"{names}: measured before the last change of the method or the weights." if names else ""


def _fits(params: dict[str, Any], wanted: dict[str, Any], free: Sequence[str]) -> bool:
    return all(params.get(name) == value for name, value in wanted.items() if name not in free)


def _stale(analysis: Analysis, run: Run, manifest: dict[str, Any]) -> bool:
    """Whether the method's version or the weights are no longer those that were measured."""
    if manifest.get("version") != analysis.version:
        return True
    measured_on = manifest.get("weights")
    try:
        path = store.weights(run.id, manifest.get("phase", "end"))
    except StoreError:  # a result may be passed on without the weights; there is nothing it could be older than
        return False
    return measured_on is not None and measured_on != _digest(str(path), path.stat().st_mtime_ns)


@st.cache_data(max_entries=256, show_spinner=False)
def _digest(path: str, changed: int) -> str:
    from pathlib import Path

    return io.digest_file(Path(path))


@st.cache_data(max_entries=64, show_spinner=False)
def _table(run_id: str, analysis_id: str, key: str, home: str) -> pd.DataFrame | None:
    stored = store.load_result(run_id, analysis_id, key)
    return stored.table if stored else None


@st.cache_data(max_entries=32, show_spinner=False)
def _arrays(run_id: str, analysis_id: str, key: str, home: str) -> dict[str, Any]:
    stored = store.load_result(run_id, analysis_id, key)
    return stored.arrays if stored else {}


def job_of(analysis: Analysis, run: Run, params: Any) -> jobs.Job | None:
    """The newest job that asks this question of this run, alone or beside others."""
    wanted = dataclasses.asdict(analyses.fitted(run, params))
    for job in jobs.list():
        asks, whole = job.args.get("asks"), job.task in TASKS and "part" not in job.args
        if whole and job.args.get("run") == run.id and isinstance(asks, dict) and asks.get(analysis.id) == wanted:
            return job
    return None


def submit(run: Run, asks: Sequence[tuple[Analysis, Any]]) -> None:
    """Queue questions (analysis, parameters) about one run as one job; a live job for the same questions is not doubled.

    A measurement in rows is asked alone; several GPUs, or the nodes of a cluster, share its rows.
    """
    asks = [(analysis, analyses.fitted(run, params)) for analysis, params in asks]
    args = {"run": run.id, "asks": {analysis.id: dataclasses.asdict(params) for analysis, params in asks}, "device": "auto"}
    label = f"{words.seq([analysis.title for analysis, _ in asks])} of {pickers.title(run)}"
    analysis, params = asks[0]
    if analysis.rows is None:
        jobs.submit("measure", args, label=label, dedup=io.digest(args))
        return
    rows = analysis.rows.count(run.plan, params)
    total, devices = seconds(analysis, run, params), _devices()
    parts = shards.parts(rows, (total or 0.0) / rows, devices) if devices > 1 else 1
    parts, rows = (parts, rows) if parts > 1 else (0, 0)
    jobs.submit("measure_rows", args, label=label, dedup=io.digest(args), parts=parts, rows=rows)


def _devices() -> int:
    """How many devices may share a measurement: the GPUs of this machine; of a cluster nobody knows, so a few."""
    now = jobs.status()
    return sum(place.id.startswith("cuda") for place in now.devices) if now.engine == "local" else 4


def partial(analysis: Analysis, run: Run, params: Any) -> Measurement | None:
    """What the rows make that a job of this question has done so far, if it lives or can go on; None if there are none."""
    params = analyses.fitted(run, params)
    job = job_of(analysis, run, params)
    if job is None or not (job.state in jobs.LIVE or kept(analysis, run, params, job)):
        return None
    done = shards.done(job.folder) if analysis.rows else 0
    return _gathered(analysis.id, run.id, dataclasses.asdict(params), job.id, done) if done else None


def kept(analysis: Analysis, run: Run, params: Any, job: jobs.Job | None) -> str:
    """`6 of 24 batches`: what a measurement in rows had done when it was stopped or failed, so that it can go on; else ""."""
    if analysis.rows is None or job is None or job.state not in ("failed", "cancelled"):
        return ""
    done, total = shards.done(job.folder), analysis.rows.count(run.plan, analyses.fitted(run, params))
    plural = "batches" if analysis.rows.word == "batch" else ""
    return f"{done} of {words.some(total, analysis.rows.word, plural)}" if 0 < done < total else ""


@st.cache_data(max_entries=8, show_spinner=False)
def _gathered(analysis_id: str, run_id: str, params: dict[str, Any], job_id: str, done: int) -> Measurement | None:
    analysis = analyses.get(analysis_id)
    assert analysis.rows is not None
    return analysis.rows.gather(store.find(run_id), analysis.params(**params), shards.found(jobs.get(job_id).folder))


def pending(analysis: Analysis, runs: Sequence[Run], params: Any, key: str) -> None:
    """What stands in place of the figures that are missing: one offer to measure, progress while it runs, what failed."""
    watch([Asked(asks=[(analysis, params)], runs=runs, key=key)])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Questions (analysis, parameters) that one job answers, the runs that lack the answer, and where offer and progress stand."""

    asks: Sequence[tuple[Analysis, Any]]
    runs: Sequence[Run]
    key: str
    place: Any = None

    def jobs(self) -> dict[str, jobs.Job | None]:
        """The newest job for each run, by run id."""
        analysis, params = self.asks[0]
        return {run.id: job_of(analysis, run, params) for run in self.runs}


def watch(asked: Sequence[Asked], waits: Callable[[], bool] = lambda: False, waited: bool = False) -> None:
    """`pending` for several groups of questions, each in its own place, with one clock: the only polling part of its page.

    It asks every second while a job is alive or something else is awaited, and redraws the page when one of them ends: `waits` says whether
    it still is, `waited` whether it was when the page was drawn.
    """

    def alive(found: list[dict[str, jobs.Job | None]]) -> list[list[str]]:
        return [[i for i, job in group.items() if _alive(job)] for group in found]

    def landed(found: list[dict[str, jobs.Job | None]]) -> int:
        """Rows that are there of work in rows: each of them makes the picture fuller."""
        live = [job for group in found for job in group.values() if job is not None and job.state in jobs.LIVE]
        return sum(shards.done(job.folder) for job in live if job.task == "measure_rows")

    first = [q.jobs() for q in asked]
    before, rows = alive(first), landed(first)

    @st.fragment(run_every=1.0 if waited or any(before) else None)
    def poll() -> None:
        with states.guard():
            found = [q.jobs() for q in asked]
            if (waits(), alive(found), landed(found)) != (waited, before, rows):
                st.rerun()
            for q, group in zip(asked, found, strict=True):
                with q.place or st.container():
                    _cards(q.asks, q.runs, group, q.key)

    poll()


def _alive(job: jobs.Job | None) -> bool:
    return job is not None and job.state in jobs.LIVE


def _cards(asks: Sequence[tuple[Analysis, Any]], runs: Sequence[Run], found: dict[str, jobs.Job | None], key: str) -> None:
    missing = []
    for run in runs:
        job, title = found[run.id], pickers.title(run)
        if job is not None and job.state in jobs.LIVE:
            text, share = progress(job)
            with st.container(border=True):
                if states.running(f"**{title}** · {text}", share, key=f"{key}_stop_{run.id}"):
                    jobs.cancel(job.id)
                    st.rerun()
        elif job is not None and (done := kept(asks[0][0], run, asks[0][1], job)):
            text = f"{job.reason} {done} are kept."
            if states.failed(f"The measurement of {title} stopped", text, button="Go on", key=f"{key}_on_{run.id}"):
                jobs.resume(job.id)
                st.rerun()
        elif job is not None and job.state == "failed":
            text = f"{job.reason} Earlier results are kept."
            if states.failed(f"The measurement of {title} stopped", text, button="Measure again", key=f"{key}_again_{run.id}"):
                submit(run, asks)
                st.rerun()
        elif why := analyses.refusal(asks[0][0], run):
            parts.sub(why)
        else:
            missing.append(run)
    if missing and states.empty(_offer(missing), "Measure", f"{key}_measure", cost=_cost(asks, missing)):
        for run in missing:
            submit(run, asks)
        st.rerun()


def _offer(runs: Sequence[Run]) -> str:
    return f"**{words.seq([pickers.title(run) for run in runs])}: not measured yet.**"


def _cost(asks: Sequence[tuple[Analysis, Any]], runs: Sequence[Run]) -> str:
    times = [_together([seconds(analysis, run, params) for analysis, params in asks]) for run in runs]
    known = [t for t in times if t is not None]
    return (
        f"Takes about {words.duration(sum(known))}, estimated from training times."
        if len(known) == len(times)
        else "Nothing was timed here yet, so the time is not known."
    )


def _together(times: Sequence[float | None]) -> float | None:
    """One start and one pass serve all; never less than the longest alone."""
    known = [t for t in times if t is not None]
    return max(known) if len(known) == len(times) else None


def progress(job: jobs.Job) -> tuple[str, float]:
    """(words, share done) of a live job: `64 of 256 images · about 22 s left`."""
    told = job.progress
    if job.state not in jobs.STARTED:
        return "waiting for its turn", 0.0
    if told is None or not told.total:
        return "stopping" if job.state == "cancelling" else "starting", 0.0
    text, share = told.message or f"{told.step} of {told.total}", told.step / told.total
    if job.state == "cancelling":
        return f"stopping · {text}", share
    return text + (f" · {left(told.eta_s)}" if told.eta_s else ""), share


def left(seconds: float) -> str:
    """`about 22 s left`."""
    return f"about {words.duration(seconds)} left" if seconds >= 1 else "nearly done"


def sets_to_measure(runs: Sequence[Run]) -> dict[str, str]:
    """What features can be measured on, id -> words: the nets' own test or training images, and every other set that is here."""
    own = {pickers.test_set(run.data) for run in runs}
    others = {i: pickers.set_title(i) for i in pickers.sets() if not data.get(i).subset_of and not data.available(i) and own != {i}}
    return {"test": "Own test images", "train": "Own training images", **others}


def images_said(found: Sequence[Answer]) -> str:
    """Which images the results stand on: `256 test images of Fashion-MNIST, seed 0`; unlike sets are said."""
    sets = {}
    for answer in found:
        params = answer.manifest.get("params") or {}
        on = params.get("on", "test")
        split = "training" if on == "train" else "test"
        title = pickers.set_title(pickers.test_set(answer.run.data) if on == "test" else answer.run.data if on == "train" else on)
        said = f"{words.count(int(answer.table['images'].iloc[0]))} {split} images of {title}, seed {params.get('seed', 0)}"
        sets.setdefault(said, []).append(pickers.title(answer.run))
    if len(sets) == 1:
        return f"Mean over {next(iter(sets))}."
    return f"Different image sets: {'; '.join(f'{words.seq(nets)} on {said}' for said, nets in sets.items())}."
