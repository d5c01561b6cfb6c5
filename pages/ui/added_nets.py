"""Nets from elsewhere on the Build page: imports at work, what stopped them, what has come, and all that are here."""

import time
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from core import analyses, imports, jobs, ribbon, store, words
from core.jobs import state
from core.outline import Outline
from core.run import Run
from core.spec import layout
from pages.ui import add_net, frame, jobwords, measured, parts, pickers, states

#: page -> an analysis that is at home there: if it does not apply to a net, the page has nothing to show of it
_PAGES = {
    "frequency": ("Frequency", "fourier"), "features": ("Features", "variance"), "lesion": ("Lesion", "lesion"),
    "landscape": ("Landscape", "landscape"), "curvature": ("Curvature", "hessian"), "robustness": ("Robustness", "band_noise"),
    "lens": ("Lens", ""),
}  # fmt: skip
#: an upload younger than this may be about to get its job
_OLD_S = 3600
_SHOWN = 6
#: imports that stopped and are told in full; more would push the net off the screen
_TOLD = 2


def watch() -> None:
    """Progress of imports and what is left of those that stopped; the page's only polling part.

    It puts a net on stage whose import was begun in this visit, when that is done.
    """
    before = _live(jobs.list())

    @st.fragment(run_every=1.0 if before else None)
    def poll() -> None:
        with states.guard():
            everything = [job for job in jobs.list() if job.task == "import_net"]
            if _live(everything) != before:
                st.rerun()
            _turn(everything)
            newest = _newest(everything)
            for job in newest:
                if job.state in jobs.LIVE:
                    _at_work(job)
            ended = [job for job in newest if job.state in ("failed", "cancelled")]
            for job in ended[:_TOLD]:
                _stopped(job)
            if ended[_TOLD:]:
                with st.expander(f"{words.count(len(ended) - _TOLD)} more that were not added"):
                    for job in ended[_TOLD:]:
                        _stopped(job)

    poll()


def _live(everything: Sequence[jobs.Job]) -> set[tuple[str, str]]:
    return {(job.id, job.state) for job in everything if job.task == "import_net" and job.state in jobs.LIVE}


def _newest(everything: Sequence[jobs.Job]) -> list[jobs.Job]:
    """Of several tries with one net the last."""
    found: dict[Any, jobs.Job] = {}
    for job in everything:
        found.setdefault((job.args.get("name"), job.args.get("images"), job.args.get("label")), job)
    return list(found.values())


def _turn(everything: Sequence[jobs.Job]) -> None:
    """Onto the stage, once."""
    job = next((job for job in everything if job.id == st.session_state.get("net_waits")), None)
    if job is None or job.state in jobs.LIVE:
        return
    del st.session_state["net_waits"]
    if job.state == "succeeded" and (run := jobwords.run_of(job)):
        st.session_state["net_new"] = run.id
        frame.go("build", m=[known.id for known in pickers.beside(pickers.stage(), run)])


def _at_work(job: jobs.Job) -> None:
    text, share = measured.progress(job)
    with st.container(border=True):
        if states.running(f"**{jobwords.name(job)}** · {text}", share, key=f"net_stop_{job.id}"):
            jobs.cancel(job.id)
            st.rerun()


def _stopped(job: jobs.Job) -> None:
    """Why a net did not come, and the ways on."""
    called = jobwords.name(job).removeprefix("Add ")
    own = job.state == "failed" and job.cause == "exception"
    with st.container(border=True, key=f"net_over_{job.id}"):
        parts.h2(f"{called} was {'not added' if job.state == 'failed' else 'stopped before it was there'}")
        parts.sub("Nothing of it was kept." if job.state == "cancelled" else job.reason.replace(state.KEPT, "").strip())
        with parts.row():
            if own and st.button("Change it", key=f"net_change_{job.id}", help="The same choices, again"):
                add_net.ask(job.args)  # not as a callback: only this part of the page would be drawn again
                st.rerun()
            if not own and st.button("Try again", key=f"net_again_{job.id}"):
                jobs.resume(job.id)
                st.session_state["net_waits"] = job.id
                st.rerun()
            if st.button("Drop it", key=f"net_drop_{job.id}", type="tertiary", help="Take away this line, and the file if it was uploaded"):
                imports.forget(str(job.args.get("weights", "")))
                jobs.remove(job.id)
                st.rerun()


def sweep() -> None:
    """Delete uploads that no job will read any more."""
    if imports.inbox().is_dir():
        needed = {str(job.args.get("weights")) for job in jobs.list() if job.task == "import_net" and job.state != "succeeded"}
        for place in imports.inbox().absolute().glob("*/*"):
            if str(place) not in needed and time.time() - place.stat().st_mtime > _OLD_S:
                imports.forget(str(place))


def news() -> None:
    """That a net has just come, what it is, and where to go with it; until the reader has seen enough."""
    run = next((run for run in pickers.added() if run.id == st.session_state.get("net_new")), None)
    if run is None:
        return
    with st.container(border=True, key="net_news"):
        parts.h2(f"{pickers.title(run)} is on stage")
        parts.sub(f"{said(run)}. {level(run)}")
        _links(run, "news")


def said(run: Run) -> str:
    """`9.7 % of 10,000 test images of Fashion-MNIST; weights: random, seed 0`."""
    final, plan = store.final(run.id) or {}, run.plan
    assert isinstance(plan, Outline)
    raw = final.get("raw_accuracy")
    among = f" ({words.percent(raw)} among all {words.count(int(final['raw_of']))} classes)" if isinstance(raw, float) else ""
    tested = f" of {words.count(int(final['n_test']))} test images" if "n_test" in final else ""
    right = f"{words.percent(pickers.accuracy(run) or 0)}{tested} of {pickers.set_title(run.data)}{among}"
    return f"{right}; weights: {plan.weights}"


def level(run: Run) -> str:
    """How far a net was read, in a sentence."""
    plan = run.plan
    assert isinstance(plan, Outline)
    if plan.level == "units":
        return f"Read into {ribbon.summary(plan.units)}."
    return plan.why


def _links(run: Run, where: str) -> None:
    refused: dict[str, list[str]] = {}
    with st.container(horizontal=True, gap="small", key=f"net_links_{where}"):
        for page, (title, analysis) in _PAGES.items():
            if analysis and (why := analyses.refusal(analyses.get(analysis), run)):
                refused.setdefault(why, []).append(title)
            elif frame.exists(page):
                st.page_link(frame.PAGES / f"{page}.py", label=title, query_params={"m": [run.id]})
        st.page_link(frame.PAGES / "train.py", label="Fine-tune", query_params={"m": [run.id], "tune": run.id})
    if refused and run.plan.level != "units":
        every = [title for titles in refused.values() for title in titles]
        parts.sub(f"{words.seq(every)}: not for this net, since it was not read into units that can be told apart.")
    elif refused:
        parts.sub(" ".join(f"{words.seq(titles)}: {why}" for why, titles in refused.items()))


def shelf() -> None:
    """All nets from elsewhere, with what they are; they are looked at, not changed."""
    runs = pickers.added()
    if not runs:
        return
    st.space("small")
    parts.h2("Nets from elsewhere")
    parts.sub("Their units are as their authors made them and cannot be exchanged here; they can be measured, lesioned and fine-tuned.")
    rows = [partial(_row, run) for run in reversed(runs)]
    for row in rows[:_SHOWN]:
        row()
    if rows[_SHOWN:]:
        with st.expander(f"{words.count(len(rows) - _SHOWN)} more"):
            for row in rows[_SHOWN:]:
                row()


def _row(run: Run) -> None:
    plan = run.plan
    assert isinstance(plan, Outline)
    with st.container(key=f"netrow_{run.id}", gap="xsmall"):
        title, facts = escape(pickers.title(run)), escape(f"{words.millions(plan.parameters)} · {plan.image_size}×{plan.image_size}")
        st.html(
            f'<div class="lab-rule" style="padding-top:12px"><div class="lab-chip"><b>{title}</b><i>{facts}</i></div>'
            f'<div class="lab-sub">{parts.rich(said(run))}. {parts.rich(level(run))}</div></div>'
        )
        if slots := layout(plan, plan.image_size):
            st.html(parts.img(ribbon.draw(slots, side=11)))
        _links(run, run.id)
