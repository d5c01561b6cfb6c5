"""What a row of the job list opens: a job's attempts and log, and the question before something is deleted."""

import streamlit as st

from core import jobs, store, words
from core.errors import StoreError
from core.run import Run
from pages.ui import jobwords, parts, pickers, states

_LINES = 300


def dialogs() -> None:
    """Opens what a row asked for; called once by the page, outside its polling part.

    What was asked for stays in the session until the dialog is closed, so that a redraw of the page does not close it.
    """
    with states.guard():
        if job_id := st.session_state.get("job_details"):
            job = jobs.get(job_id)
            st.dialog(jobwords.name(job), width="medium", on_dismiss=_close)(_details)(job)
        elif job_id := st.session_state.get("job_remove"):
            job = jobs.get(job_id)
            run = jobwords.run_of(job)
            if job.task == "train" and run is not None and not store.is_shipped(run.id):
                _delete(run, job_id)
            else:
                _close()
                jobs.remove(job_id)
                st.rerun()
        elif run_id := st.session_state.get("run_remove"):
            _delete(store.find(run_id), "")


def _close() -> None:
    for asked in ("job_details", "job_remove", "run_remove"):
        st.session_state.pop(asked, None)


def _details(job: jobs.Job) -> None:
    with states.guard():
        parts.sub(_summary(job))
        tries = jobs.history(job.id)
        if len(tries) > 1:
            st.html("".join(f'<div class="lab-foot">{parts.rich(_attempt(one))}</div>' for one in tries))
        if job.attempt:
            log = jobs.tail(job.id, _LINES)
            tall = 420 if log.count("\n") > 18 else "content"
            st.code(log or "Nothing was written yet.", language=None, wrap_lines=True, height=tall)
        if job.state in jobs.ENDED:
            with st.container(horizontal=True):
                if job.state != "succeeded" and st.button("Go on", key="details_resume"):
                    jobs.resume(job.id)
                    _close()
                    st.rerun()
                if st.button("Remove", key="details_remove"):
                    _close()
                    st.session_state["job_remove"] = job.id
                    st.rerun()


def _summary(job: jobs.Job) -> str:
    """`Failed on CPU after 3 min. The disk is full.`"""
    where = f" on {job.where}" if job.where else ""
    took = f" after {words.duration(job.ended - job.started)}" if job.started and job.ended and job.ended > job.started else ""
    return f"**{jobwords.STATES[job.state]}**{where}{took}. {job.reason}".strip()


def _attempt(one: jobs.Attempt) -> str:
    """`Attempt 1 on n1: killed from outside after 40 s, 0.8 GB of memory at most`."""
    how = "under way" if not one.cause else jobwords.CAUSES.get(one.cause, one.cause.replace("signal:", "ended with "))
    took = f" after {words.duration(one.ended - one.started)}" if one.started and one.ended and one.ended > one.started else ""
    most = f", {words.plain(one.peak_bytes / 1e9, 1)} GB of memory at most" if one.peak_bytes else ""
    return f"**Attempt {one.n}** on {one.host or 'a machine that left no name'}: {how}{took}{most}"


@st.dialog("Delete this net?", on_dismiss=_close)
def _delete(run: Run, job_id: str) -> None:
    what = "its weights, its curves and everything measured on it are deleted. This cannot be undone."
    parts.sub(f"**{pickers.title(run)}**, seed {run.seed}: {what}")
    with st.container(horizontal=True), states.guard():
        if st.button("Delete", key="delete_run", type="primary"):
            everything = jobs.list()
            if what := jobwords.busy(run.id, everything):
                raise StoreError(f"{pickers.title(run)} is being {what} right now, or waits for that. Stop that first.")
            _close()
            store.delete(run.id)
            for job in [job for job in everything if jobwords.trained(job) == run.id]:
                jobs.remove(job.id)
            st.rerun()
        if job_id and st.button("Only remove the line", key="remove_line"):
            _close()
            jobs.remove(job_id)
            st.rerun()
        if st.button("Keep", key="keep_run"):
            _close()
            st.rerun()
