"""Sets of images on their way here: downloads and imports as jobs, how far they are, what stopped them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import data, jobs
from core.data import fetched, imported, importing, intake
from core.errors import LabError
from pages.ui import frame, jobwords, measured, parts, states

TASKS = ("fetch", "import_images")
#: downloads and imports have a line of their own: they need no device, so they do not wait behind trainings
LINE = "network"
#: an upload younger than this may be about to get its job
_OLD_S = 3600


def get(dataset: str) -> None:
    """Download a set in the background, or decode one that is here for the first time."""
    jobs.submit("fetch", {"id": dataset, "device": LINE}, label=f"Get {data.title(dataset)}", dedup=f"fetch {dataset}")


def begin(source: Path, title: str, settings: dict[str, Any]) -> None:
    """Import a folder or a zip file in the background; what was stopped under this name goes on if nothing has changed."""
    args = {"source": str(source), "name": title, "settings": settings, "device": LINE}
    job = jobs.submit("import_images", args, label=f"Import of {title}", dedup=f"import {importing.name_of(title)}")
    st.session_state["data_waits"] = job.id if job else ""


def lacks(dataset: str) -> str:
    """What has to be done before a set can be looked at: `get` it from the network, `decode` it once, or nothing."""
    if data.available(dataset):
        return "get"
    return "" if all(data.prepared(dataset, split) for split in ("train", "test")) else "decode"


def offer(dataset: str) -> None:
    """In place of the picture of a set that is not here: what it costs and one button."""
    spec = data.get(dataset)
    if job := _under_way(dataset):
        parts.sub(f"{spec.title} is on its way: {measured.progress(job)[0]}.")
        return
    if lacks(dataset) == "get":
        says, cost = (
            f"**{spec.title} is not on this machine.**",
            f"{fetched.SIZES[dataset]} MB from {spec.source}. Licence: {spec.licence}.",
        )
    else:
        says, cost = f"**{spec.title} is here, but not decoded yet.**", "That is done once and takes a minute or two."
    if states.empty(says, "Get it" if lacks(dataset) == "get" else "Decode it", "data_get", cost=cost, outline=False):
        get(dataset)
        st.rerun()


def _under_way(dataset: str) -> jobs.Job | None:
    return next((job for job in jobs.list() if job.task == "fetch" and job.args.get("id") == dataset and job.state in jobs.LIVE), None)


def watch() -> None:
    """Progress of all downloads and imports, and what is left of those that stopped; the page's only polling part.

    It turns to a set whose import was begun in this visit when that is done.
    """
    before = _live(jobs.list())

    @st.fragment(run_every=1.0 if before else None)
    def poll() -> None:
        with states.guard():
            everything = jobs.list()
            if _live(everything) != before:
                st.rerun()
            _turn(everything)
            _cards(everything)

    poll()


def _live(everything: Sequence[jobs.Job]) -> set[tuple[str, str]]:
    return {(job.id, job.state) for job in everything if job.task in TASKS and job.state in jobs.LIVE}


def _turn(everything: Sequence[jobs.Job]) -> None:
    """To the new set, once."""
    waits = st.session_state.get("data_waits", "")
    job = next((job for job in everything if job.id == waits), None)
    if job is None or job.state in jobs.LIVE:
        return
    del st.session_state["data_waits"]
    if made := jobwords.images_of(job):
        st.session_state["data_new"] = made
        frame.go("data", d=made, show="images")


def _cards(everything: Sequence[jobs.Job]) -> None:
    spoken: set[str] = set()
    for job in everything:  # newest first: of several tries to bring one set the last one counts
        if job.task not in TASKS or (set_name := _name(job)) in spoken:
            continue
        spoken.add(set_name)
        if job.state in jobs.LIVE:
            _at_work(job)
        elif job.state in ("failed", "cancelled") and not _here(job, set_name):
            _stopped(job, set_name)
    for name in imported.unfinished():
        if name not in spoken:
            _left_over(name)
    for name in imported.names():
        _damaged(name)


def _name(job: jobs.Job) -> str:
    """Which set a job brings."""
    return str(job.args.get("id")) if job.task == "fetch" else importing.name_of(str(job.args.get("name") or "?"))


def _here(job: jobs.Job, name: str) -> bool:
    return name in imported.names() if job.task == "import_images" else name not in data.DATASETS or not lacks(name)


def _at_work(job: jobs.Job) -> None:
    text, share = measured.progress(job)
    with st.container(border=True):
        if states.running(f"**{jobwords.name(job)}** · {text}", share, key=f"data_stop_{job.id}"):
            jobs.cancel(job.id)
            st.rerun()


def _stopped(job: jobs.Job, name: str) -> None:
    """Why a job ended before its set was there, and the ways on."""
    kept = name in imported.unfinished()
    goes_on = job.state == "cancelled" or job.cause != "exception" or job.task == "fetch" or not uploaded(job.args.get("source"))
    text = "You stopped it." if job.state == "cancelled" else job.reason
    text += " What was decoded is kept." if kept else ""
    with st.container(border=True, key=f"data_over_{job.id}"):
        parts.h2(f"{jobwords.name(job)} {'was stopped' if job.state == 'cancelled' else 'has ended early'}")
        parts.sub(text)
        with parts.row():
            if goes_on and st.button("Go on" if kept or job.state == "cancelled" else "Try again", key=f"data_on_{job.id}"):
                jobs.resume(job.id)
                if job.task == "import_images":
                    st.session_state["data_waits"] = job.id
                st.rerun()
            if st.button("Drop it", key=f"data_drop_{job.id}", type="tertiary", help="Delete what was decoded, and this line"):
                if kept:
                    imported.remove(name)
                _forget_upload(job.args.get("source"))
                jobs.remove(job.id)
                st.rerun()


def _left_over(name: str) -> None:
    """An import from the command line that was stopped, or one whose job is gone."""
    if intake.at_work(imported.root() / f".{name}.part"):
        parts.sub(f"**{name}** is being imported from the command line.")
        return
    with st.container(border=True):
        parts.sub(f"**{name}** was not imported to its end. The same import under the same name goes on from there.")
        if st.button("Drop it", key=f"data_rest_{name}", type="tertiary"):
            imported.remove(name)
            st.rerun()


def _damaged(name: str) -> None:
    try:
        imported.card(name)
    except LabError as error:
        with st.container(border=True):
            parts.sub(f"**{name}** cannot be used. {error}")
            if st.button("Delete it", key=f"data_damaged_{name}", type="tertiary"):
                imported.remove(name, force=True)
                st.rerun()


def uploaded(source: Any) -> bool:
    """Whether a source is a file that was uploaded here, which nobody else knows."""
    return Path(str(source)).parent == imported.inbox().absolute()


def _forget_upload(source: Any) -> None:
    if uploaded(source):
        Path(str(source)).unlink(missing_ok=True)


def sweep() -> None:
    """Delete uploads that no job will read any more."""
    if imported.inbox().is_dir():
        needed = {str(job.args.get("source")) for job in jobs.list() if job.task == "import_images" and job.state != "succeeded"}
        for place in imported.inbox().iterdir():
            if str(place.absolute()) not in needed and time.time() - place.stat().st_mtime > _OLD_S:
                place.unlink(missing_ok=True)


def fresh(dataset: str) -> bool:
    """Whether this set was brought just now, in this visit, and the reader has not looked at anything else since."""
    if st.session_state.get("data_new") != dataset or st.session_state.get("data_show", "images") != "images":
        st.session_state.pop("data_new", None)
        return False
    return True
