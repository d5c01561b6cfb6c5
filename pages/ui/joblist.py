"""The jobs on the Train page: what each device does, who is in line, what has ended and the next useful step; one line each."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core import chart, io, jobs, store, words
from core.run import Run
from pages.ui import jobwords, parts, pickers, plan, states

_INK = chart.CSS["ink"]
_LINE = f'fill="none" stroke="{_INK}" stroke-width="1.8"'
_RING = f'<circle cx="8" cy="8" r="5" {_LINE}/>'
_HALF = f'<path d="M8 3a5 5 0 0 1 0 10z" fill="{_INK}"/>{_RING}'
_SIGNS = {
    "running": f'<circle cx="8" cy="8" r="5" fill="{_INK}"/>',
    "starting": _HALF,
    "cancelling": _HALF,
    "queued": _RING,
    "waiting": _RING,
    "succeeded": f'<path d="M3 8.4l3.2 3.2L13 4.6" {_LINE}/>',
    "failed": f'<path d="M4 4l8 8M12 4l-8 8" {_LINE}/>',
    "cancelled": f'<rect x="4" y="4" width="8" height="8" fill="{_INK}"/>',
}
#: lines shown at once: in line, and ended; the rest is folded away
_WAITING, _ENDED, _FOLDED = 5, 6, 60
#: how `core.jobs.status` begins when a device is with somebody who is no job of this lab
_FOREIGN = ("another lab", "busy elsewhere", "unknown")
_PLACES = {"slurm": "Slurm starts them where there is room", "ray": "Ray starts them where there is room"}


@st.cache_data(ttl=5, max_entries=8, show_spinner=False)
def _status(home: str) -> jobs.Status:
    return jobs.status()


def status() -> jobs.Status:
    """How the queue stands, at most 5 s old."""
    return _status(str(io.home()))


def gpus(device: str) -> int:
    """How many GPUs one training may take: those of this machine, or up to eight on a cluster if it asks for GPUs."""
    now = status()
    if device == "cpu" or now.engine != "local":
        return 8 if device == "cuda" else 0
    return min(sum(place.id.startswith("cuda") for place in now.devices), 8)


def view(everything: Sequence[jobs.Job]) -> None:
    """Heading, what has to be known, the living jobs by device, the line, the ended ones, and the room on the disk."""
    now = status()
    kinds = {place.title for place in now.devices}
    one = f"one at a time on this {next(iter(kinds))}" if len(kinds) == 1 else "one at a time on each device"
    parts.h2("Jobs", _PLACES.get(now.engine, one) if everything else "")
    if now.held:
        states.note(f"**Nothing new is started.** {now.held}")
    if now.notice:
        states.note(now.notice, "Dismiss", "job_notice", _dismiss)
    family: dict[str, list[jobs.Job]] = {}
    known = {job.id for job in everything}
    for job in everything:
        if job.parent in known:
            family.setdefault(job.parent, []).append(job)
    top = [job for job in everything if job.parent not in known]
    spoken = {jobwords.trained(job) or (job.result or {}).get("run") for job in everything if job.task in ("train", "import_net")}
    orphans = [run for run in pickers.runs() if not store.is_shipped(run.id) and run.id not in spoken]
    if not everything and not orphans:
        parts.sub("No job yet. Training and measuring run here in the background; you can close the tab.")
        return

    def row(job: jobs.Job) -> None:
        _row(job, everything, family.get(job.id, ()))

    with st.container(gap=None, key="jobs"):
        _at_work(top, everything, now, row)
        waiting = [job for job in jobwords.in_order(top) if not _moving(job, family)]
        ended = [job for job in top if job.state in jobs.ENDED]
        _some([partial(row, job) for job in waiting], _WAITING, "more in line", "jobs_waiting")
    with st.container(gap=None, key="jobs_over"):
        _some([*(partial(row, job) for job in ended), *(partial(_orphan, run) for run in orphans)], _ENDED, "earlier", "jobs_ended")
    st.html(f'<div class="lab-foot">Jobs take {_bytes(now.used_bytes)} of the disk; {_bytes(now.free_bytes)} are free.</div>')


def _dismiss() -> None:
    jobs.dismiss()
    _status.clear()


def _bytes(number: int) -> str:
    return f"{number / 1e9:,.0f} GB" if number >= 1e10 else f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{max(number / 1e6, 1):.0f} MB"


def _moving(job: jobs.Job, family: dict[str, list[jobs.Job]]) -> bool:
    """Whether a job that waits for its parts has one at work."""
    return any(part.state in jobs.STARTED for part in family.get(job.id, ()))


def _at_work(top: Sequence[jobs.Job], everything: Sequence[jobs.Job], now: jobs.Status, row: Callable[[jobs.Job], None]) -> None:
    """Jobs with an attempt under way, under the name of their device where there are several; then who else has a device."""
    started = [job for job in everything if job.state in jobs.STARTED]
    places = {job.id: ", ".join(sorted({one.where for one in started if job.id in (one.id, one.parent)})) for job in top}
    moving = {one for job in started for one in (job.id, job.parent)}
    working = sorted((job for job in top if job.state in jobs.LIVE and job.id in moving), key=lambda job: (places[job.id], job.seq))
    several = len({*places.values(), *(place.title for place in now.devices)} - {""}) > 1
    last = ""
    for job in working:
        if several and places[job.id] != last:
            parts.label(places[job.id] or "Starting")
        last = places[job.id]
        row(job)
    if not any(job.state in jobs.LIVE for job in everything):
        return
    ours = "".join(f", {job.where}, " for job in started)
    others = [place for place in now.devices if f", {place.title}, " not in ours]
    said = [f"{place.title}: {place.taken}." for place in others if place.taken.startswith(_FOREIGN)]
    free = [place.title for place in others if not place.taken.startswith(_FOREIGN)]
    if free and several and now.engine == "local":
        said.append(f"Free: {'; '.join(free)}.")
    if said:
        parts.sub(" ".join(said))


def _some(rows: Sequence[Callable[[], None]], first: int, more: str, key: str) -> None:
    """The first rows; the others folded away, and not drawn while they are."""
    for row in rows[:first]:
        row()
    rest = rows[first:]
    if not rest:
        return
    folded = st.expander(f"{words.count(len(rest))} {more}", key=key, on_change="rerun", type="compact")
    if folded.open:
        with folded, st.container(gap=None):
            for row in rest[:_FOLDED]:
                row()
            if len(rest) > _FOLDED:
                parts.sub(f"{words.count(len(rest) - _FOLDED)} more; python -m core jobs list shows all.")


def _line(key: str, state: str, name: str, text: str, share: float | None) -> st.delta_generator.DeltaGenerator:
    """Draws a row and returns the place for its actions."""
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" style="">{_SIGNS[state]}</svg>'
    bar = ""
    if share is not None:
        now = f'aria-valuenow="{round(share * 100)}" aria-valuemin="0" aria-valuemax="100"'
        track = f'<div class="lab-bar" role="progressbar" aria-label="{parts.rich(name)}" {now}>'
        bar = f'{track}<i style="width:{share:.1%}"></i></div>'
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row_{key}"):
        st.html(
            f'<div class="lab-job"><div class="lab-chip">{parts.img(drawing)}<b>{jobwords.STATES[state]}</b></div>'
            f'<div class="lab-name">{parts.rich(name)}</div><div class="lab-sub">{parts.rich(text)}{bar}</div></div>'
        )
        return st.container(horizontal=True, horizontal_alignment="right", gap="small", width=168, key=key)


def _row(job: jobs.Job, everything: Sequence[jobs.Job], family: Sequence[jobs.Job]) -> None:
    text, share = jobwords.said(job, everything, family)
    shown = "running" if job.state == "waiting" and any(part.state in jobs.STARTED for part in family) else job.state
    with _line(f"job_{job.id}", shown, jobwords.name(job), text, share):
        _actions(job, shown, everything, family)
    if family and job.state != "succeeded":
        folded = st.expander(f"its {len(family)} parts", key=f"parts_{job.id}", on_change="rerun", type="compact")
        if folded.open:
            with folded, st.container(gap=None):
                for part in sorted(family, key=lambda part: part.seq):
                    text, share = jobwords.said(part, everything)
                    called = jobwords.name(part).removeprefix(f"{jobwords.name(job)} · ")
                    with _line(f"job_{part.id}", part.state, called, text, share):
                        if part.attempt:
                            _details(part)


def _actions(job: jobs.Job, shown: str, everything: Sequence[jobs.Job], family: Sequence[jobs.Job]) -> None:
    """At most one useful step and the way to the details."""
    step = jobwords.next_step(job, everything) if job.state in jobs.ENDED else ""
    if step:
        _step(job, step)
    elif shown in ("starting", "running") and st.button("Stop", key=f"stop_{job.id}", type="tertiary"):
        jobs.cancel(job.id)
        st.rerun()
    elif shown in ("queued", "waiting"):
        if not job.attempt:
            _place(job, everything, family)
        if st.button("Remove", key=f"cancel_{job.id}", type="tertiary", help="Take it out of the line"):
            with states.guard():
                plan.forget(job)
                st.rerun()
    if job.attempt or job.state in jobs.ENDED:
        _details(job, "Show log" if step == "log" else "Details")


def _details(job: jobs.Job, word: str = "Details") -> None:
    if st.button(word, key=f"details_{job.id}", type="tertiary"):
        st.session_state["job_details"] = job.id
        st.rerun()


def _place(job: jobs.Job, everything: Sequence[jobs.Job], family: Sequence[jobs.Job]) -> None:
    """First in its line, or last if it is the first; a job in parts moves with all of them."""
    mine = {job.id, *(part.id for part in family)}
    kind = next((jobwords.line(one) for one in (job, *family) if one.state == "queued"), None)
    queue = [one for one in jobwords.in_order(everything) if one.state == "queued" and jobwords.line(one) == kind]
    others = [one.priority for one in queue if one.id not in mine]
    if not others or len(others) == len(queue):
        return
    first = queue[0].id in mine
    if st.button("Go last" if first else "Go first", key=f"place_{job.id}", type="tertiary"):
        with states.guard():
            jobs.prioritise(job.id, max(min(others) - 1, -1000) if first else min(max(others) + 1, 1000))
            st.rerun()


def _step(job: jobs.Job, step: str) -> None:
    """The one next useful button of an ended job."""
    if step == "open" and (dataset := jobwords.images_of(job)):
        st.button("Open", key=f"open_{job.id}", type="tertiary", on_click=_ask, args=("data", {"d": dataset}), help="Look at its images")
    elif step == "open" and job.task == "study":
        query = {"study": str(job.args.get("study", ""))}
        st.button("Open", key=f"open_{job.id}", type="tertiary", on_click=_ask, args=("train", query), help="Look at its nets")
    elif step == "open" and (run := jobwords.run_of(job)):
        page, what, query = jobwords.shown_on(job)
        st.button("Open", key=f"open_{job.id}", type="tertiary", on_click=_open, args=(run, page, query), help=what)
    elif step == "resume" and st.button("Go on", key=f"resume_{job.id}", type="tertiary"):
        with states.guard():
            jobs.resume(job.id)
            st.rerun()
    elif step.isdecimal() and st.button(f"Again with {step}", key=f"half_{job.id}", type="tertiary", help="Train anew with half the batch"):
        with states.guard():
            st.session_state["train_show"] = plan.again_with_half(job)
            st.rerun()


def _orphan(run: Run) -> None:
    done = pickers.accuracy(run) is not None
    state, text = "succeeded" if done else "cancelled", jobwords.finished(run)
    seed = f", seed {run.seed}" if run.recipe or not run.outline else ""
    with _line(f"run_{run.id}", state, f"{pickers.title(run)}{seed}", text, None):
        if done:
            st.button("Open", key=f"open_{run.id}", type="tertiary", on_click=_open, args=(run,))
        if st.button("Remove", key=f"remove_{run.id}", type="tertiary"):
            st.session_state["run_remove"] = run.id
            st.rerun()


def _open(run: Run, page: str = "frequency", query: dict[str, str] | None = None) -> None:
    """Puts a net on stage and asks for a page."""
    st.session_state["m"] = [known.id for known in pickers.beside(pickers.stage(), run)]
    _ask(page, query or {})


def _ask(page: str, query: dict[str, str]) -> None:
    """Asks for another page, which the page's polling part then turns to."""
    st.session_state["job_open"] = (page, query)
