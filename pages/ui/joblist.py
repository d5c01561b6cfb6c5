"""Jobs as rows: sign, word, name, progress in words, what can be done; and the dialogs for logs and deletion."""

from collections.abc import Sequence

import streamlit as st

from core import chart, jobs, store, words
from core.errors import LabError, StoreError
from core.run import Run
from pages.ui import measured, parts, pickers, states

WORDS = {
    "running": "Running",
    "waiting": "Waiting",
    "cancelling": "Stopping",
    "succeeded": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
}
_INK = chart.CSS["ink"]
_LINE = f'fill="none" stroke="{_INK}" stroke-width="1.8"'
_SIGNS = {
    "running": f'<circle cx="8" cy="8" r="5" fill="{_INK}"/>',
    "waiting": f'<circle cx="8" cy="8" r="5" {_LINE}/>',
    "cancelling": f'<path d="M8 3a5 5 0 0 1 0 10z" fill="{_INK}"/><circle cx="8" cy="8" r="5" {_LINE}/>',
    "succeeded": f'<path d="M3 8.4l3.2 3.2L13 4.6" {_LINE}/>',
    "failed": f'<path d="M4 4l8 8M12 4l-8 8" {_LINE}/>',
    "cancelled": f'<rect x="4" y="4" width="8" height="8" fill="{_INK}"/>',
}
#: rows before the rest goes behind "earlier jobs"
_FIRST = 8


def run_of(job: jobs.Job) -> Run | None:
    """The stored run that a job trains or measures; None if it is gone or its description is damaged."""
    given = job.args.get("run")
    try:
        return store.find(Run.from_json(given).id if isinstance(given, dict) else str(given))
    except LabError:
        return None


def busy(run_id: str, everything: Sequence[jobs.Job]) -> str:
    """What a live job does with a run, `trained` or `measured`; "" if none needs it."""
    live = [job for job in everything if job.state in jobs.LIVE]
    if any(trained(job) == run_id for job in live):
        return "trained"
    return "measured" if any(job.args.get("run") == run_id for job in live) else ""


def trained(job: jobs.Job) -> str:
    """Id of the run that a training job is for, stored or not; "" for other jobs."""
    given = job.args.get("run")
    try:
        return Run.from_json(given).id if job.task == "train" and isinstance(given, dict) else ""
    except StoreError:
        return ""


def said(job: jobs.Job, waiting: Sequence[str]) -> tuple[str, float | None]:
    """(progress in words, share done or None) of a job; `waiting` are the ids in line, first first."""
    if job.state == "waiting":
        place = waiting.index(job.id) if job.id in waiting else 0
        return ("next in line" if place == 0 else f"{_ordinal(place + 1)} in line"), None
    if job.state in jobs.LIVE:
        return measured.progress(job)
    if job.state == "succeeded":
        return _outcome(job), None
    return job.reason or ("stopped; what was saved is kept" if job.state == "cancelled" else "no reason was left"), None


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _outcome(job: jobs.Job) -> str:
    if job.task == "fetch":
        return "its images can be used now"
    run = run_of(job)
    if run is None:
        return "its net was deleted"
    if job.task != "train":
        return "measured"
    return finished(run)


def finished(run: Run) -> str:
    """`90.6 % after 20 epochs, 3 min` of a trained run."""
    try:
        final = store.final(run.id)
    except StoreError as error:
        return str(error)
    accuracy = pickers.accuracy(run)
    if final is None or accuracy is None:
        return "not trained to the end" if final is None else "its last measurement is damaged; train it again"
    epochs, seconds = len(store.history(run.id)) or run.recipe.get("epochs", 0), final.get("seconds")
    time = f", {words.duration(seconds)}" if isinstance(seconds, int | float) and seconds > 0 else ""
    return f"{words.percent(accuracy)} after {words.some(epochs, 'epoch')}{time}"


def rows(all_jobs: Sequence[jobs.Job]) -> None:
    """Every job, the living ones first, then the newest; and the reader's runs that no job speaks of any more."""
    waiting = [job.id for job in sorted(all_jobs, key=lambda job: (-job.priority, job.seq)) if job.state == "waiting"]
    rank = {"running": 0, "cancelling": 0, "waiting": 1}
    order = sorted(all_jobs, key=lambda job: (rank.get(job.state, 2), job.seq if job.state == "waiting" else -job.seq))
    spoken = {run.id for job in all_jobs if job.task == "train" and (run := run_of(job))}
    orphans = [run for run in pickers.runs() if not store.is_shipped(run.id) and run.id not in spoken]
    if not order and not orphans:
        parts.sub("No job yet. Training and measuring run here in the background; you can close the tab.")
        return
    for job in order[:_FIRST]:
        _row(job, waiting)
    rest = order[_FIRST:]
    if rest or orphans:
        with st.expander(f"Earlier ({len(rest) + len(orphans)})"):
            for job in rest:
                _row(job, waiting)
            for run in orphans:
                _orphan(run)


def _line(key: str, state: str, name: str, text: str, share: float | None) -> st.delta_generator.DeltaGenerator:
    """Draws a row and returns the place for its actions."""
    with st.container(gap="xxsmall"):
        st.html('<div class="lab-rule"></div>')
        sign, title, middle, actions = st.columns([1.1, 2.2, 3.6, 2.4], vertical_alignment="center")
    with sign:
        drawing = f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" style="">{_SIGNS[state]}</svg>'
        st.html(f'<div class="lab-chip">{parts.img(drawing)}<b style="font-weight:600;font-size:13px">{WORDS[state]}</b></div>')
    with title:
        st.html(f'<div class="lab-chip"><span>{parts.rich(name)}</span></div>')
    with middle:
        bar = ""
        if share is not None:
            now = f'aria-valuenow="{round(share * 100)}" aria-valuemin="0" aria-valuemax="100"'
            track = f'<div class="lab-bar" style="margin-top:5px" role="progressbar" aria-label="{parts.rich(name)}" {now}>'
            bar = f'{track}<i style="width:{share:.1%}"></i></div>'
        st.html(f'<div class="lab-sub">{parts.rich(text)}</div>{bar}')
    with actions:
        return st.container(horizontal=True, horizontal_alignment="right", gap="small", key=key)


def _row(job: jobs.Job, waiting: Sequence[str]) -> None:
    run, (text, share) = run_of(job), said(job, waiting)
    with _line(f"job_{job.id}", job.state, job.label or job.task, text, share):
        if job.state == "succeeded" and run is not None:
            st.button(
                "Open", key=f"open_{job.id}", type="tertiary", on_click=_open, args=(run.id,), help="See what its blocks do to frequencies"
            )
        if job.state in ("failed", "cancelled") and st.button("Resume", key=f"resume_{job.id}", type="tertiary"):
            with states.guard():
                jobs.resume(job.id)
                st.rerun()
        if job.state != "waiting" and st.button("Log", key=f"log_{job.id}", type="tertiary"):
            st.session_state["job_log"] = job.id
            st.rerun()
        if job.state == "running" and st.button("Stop", key=f"stop_{job.id}", type="tertiary"):
            jobs.cancel(job.id)
            st.rerun()
        if job.state == "waiting" and st.button("Remove", key=f"cancel_{job.id}", type="tertiary"):
            jobs.cancel(job.id)
            st.rerun()
        if job.state in ("succeeded", "failed", "cancelled") and st.button("Remove", key=f"remove_{job.id}", type="tertiary"):
            st.session_state["job_remove"] = job.id
            st.rerun()


def _orphan(run: Run) -> None:
    done = pickers.accuracy(run) is not None
    with _line(f"run_{run.id}", "succeeded" if done else "cancelled", f"{pickers.title(run)}, seed {run.seed}", finished(run), None):
        if done:
            st.button("Open", key=f"open_{run.id}", type="tertiary", on_click=_open, args=(run.id,))
        if st.button("Remove", key=f"remove_{run.id}", type="tertiary"):
            st.session_state["run_remove"] = run.id
            st.rerun()


def _open(run_id: str) -> None:
    """Puts a net on stage, in the last place if all are taken, and asks for the Frequency page."""
    others = [run.id for run in pickers.stage() if run.id != run_id]
    st.session_state["m"] = [*others[: pickers.MAX_ON_STAGE - 1], run_id]
    st.session_state["job_open"] = run_id


def dialogs() -> None:
    """Opens what a row asked for; called once by the page, outside its polling part.

    What was asked for stays in the session until the dialog is closed, so that a redraw of the page does not close it.
    """
    with states.guard():
        if job_id := st.session_state.get("job_log"):
            _log(job_id)
        elif job_id := st.session_state.get("job_remove"):
            job = jobs.get(job_id)
            run = run_of(job)
            if job.task == "train" and run is not None and not store.is_shipped(run.id):
                _delete(run, job_id)
            else:
                _close()
                jobs.remove(job_id)
                st.rerun()
        elif run_id := st.session_state.get("run_remove"):
            _delete(store.find(run_id), "")


def _close() -> None:
    for asked in ("job_log", "job_remove", "run_remove"):
        st.session_state.pop(asked, None)


@st.dialog("Log", width="large", on_dismiss=_close)
def _log(job_id: str) -> None:
    with states.guard():
        st.code(jobs.tail(job_id) or "Nothing was written yet.", language=None, wrap_lines=True)


@st.dialog("Delete this net?", on_dismiss=_close)
def _delete(run: Run, job_id: str) -> None:
    what = "its weights, its curves and everything measured on it are deleted. This cannot be undone."
    parts.sub(f"**{pickers.title(run)}**, seed {run.seed}: {what}")
    with st.container(horizontal=True), states.guard():
        if st.button("Delete", key="delete_run", type="primary"):
            everything = jobs.list()
            if what := busy(run.id, everything):
                raise StoreError(f"{pickers.title(run)} is being {what} right now, or waits for that. Stop that first.")
            _close()
            store.delete(run.id)
            for job in [job for job in everything if trained(job) == run.id]:
                jobs.remove(job.id)
            st.rerun()
        if job_id and st.button("Only remove the line", key="remove_line"):
            _close()
            jobs.remove(job_id)
            st.rerun()
        if st.button("Keep", key="keep_run"):
            _close()
            st.rerun()
