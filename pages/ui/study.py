"""A study on the Train page: which one, what it costs, its figure, its claims, its nets; and while it runs, how far it is."""

from collections.abc import Callable, Sequence

import streamlit as st

from core import data, jobs, studies
from core.errors import LabError
from core.studies import SIZES, Setting, Study, _drawn
from pages.ui import address, choices, data_jobs, figure, frame, jobdetails, parts, states, study_known, study_rows, study_words
from pages.ui.draw import draw
from pages.ui.study_known import Known

ONE, STUDY = "One net", "A study"
SIZE = {"mini": "Mini", "full": "Full"}
SEEDS = {0: "Usual", 1: "1", 3: "3", 5: "5"}
#: added to what a study says of itself
METHOD = """
**Mini** trains small nets for a few epochs, minutes a net on a laptop; **Full** trains the nets of the paper by its recipe.
**Usual** seeds: one in Mini, three in Full. A net that is trained already, by whatever part of the lab, is not trained again.

Claims are judged by the rules of the whole lab, but on the nets of this study alone: most of them ask for three seeds of each net.
"""


def chosen() -> bool:
    """Whether the page is about a study: a link names one, or the reader has chosen so."""
    for given in address.brought("study")[:1]:
        if given in studies.catalogue():
            st.session_state["study_study"], st.session_state["train_mode"] = given, STUDY
        else:
            st.session_state["study_unknown"] = given[:40]
    return st.session_state.get("train_mode") == STUDY


def switch() -> None:
    """One net or a study; without a study nothing of it stands in the address."""
    st.session_state.setdefault("train_mode", ONE)
    st.segmented_control(
        "Train", [ONE, STUDY], required=True, key="train_mode", label_visibility="collapsed", on_change=lambda: address.moved("study")
    )
    if st.session_state["train_mode"] == ONE:
        for name in ("study", "size", "seeds"):
            address.write(name, [])


def page(pick_images: Callable[[], str]) -> None:
    """The study's question and answer, controls and cost, then what is known of it; `pick_images` draws the choice of images."""
    study = studies.get(choices.take("study", "study", list(studies.catalogue()), next(iter(studies.catalogue()))))
    parts.header(study.question, over="Make")
    take = st.container()
    switch()
    setting, place = controls(pick_images)
    try:
        known = study_known.known(study, setting)
    except LabError as error:  # of too few images
        states.note(f"**This study cannot be done so.** {error}")
        return
    job = study_known.job_of(study, setting)
    alive = job is not None and job.state in jobs.LIVE
    answer = study_words.answer(study, known)
    with take:
        parts.take(answer)
    missing = "" if known.done else data.available(setting.data)
    with place:
        why = "It is running." if alive else "Nothing is left to do." if known.done else missing
        goes_on = job is not None and job.state in ("failed", "cancelled") and not known.done  # then that is the one main button
        kind = "secondary" if goes_on else "primary"
        pressed = st.button("Run the study", key="study_run", type=kind, disabled=bool(why), help=why or None)
    if missing and setting.data in data.DATASETS:
        states.note(f"**These images are not here yet.** {missing}", "Get them", "study_fetch", data_jobs.get, (setting.data,))
    elif missing:
        states.note(f"**This cannot be trained.** {missing}")
    if not alive:
        parts.sub(study_words.price(study, setting, known, frame.device().startswith("CPU")))
    if pressed:
        study_known.submit(study, setting, known.cost)
        st.rerun()
    progress(study, setting, known, job)
    st.html(study_rows.STYLE)
    picture(study, setting, known, answer, alive)
    study_rows.claims(known)
    if not _drawn.in_rows(study):
        parts.h2("The nets")
        study_rows.nets(study, known, alive)
    figure.method(f"{study.about}\n{METHOD}")
    jobdetails.dialogs()


def controls(pick_images: Callable[[], str]) -> tuple[Setting, st.delta_generator.DeltaGenerator]:
    """The row of controls; (how the study is done, the place for its button)."""
    known = studies.catalogue()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="study_controls"):
        st.selectbox(
            "Study", list(known), format_func=lambda one: known[one].title, key="study_study", width=176,
            persist_state="session", on_change=lambda: address.moved("study"),
        )  # fmt: skip
        size = choices.choose("study", "Size", "size", SIZE, "mini")
        images = pick_images()
        seeds = choices.choose("study", "Seeds", "seeds", SEEDS, 0)
        place = st.container(width="content")
    address.write("study", [st.session_state["study_study"]])
    address.write("size", [size] if size != "mini" else [])
    address.write("seeds", [str(seeds)] if seeds else [])
    return Setting(size=size, data=images, seeds=0 if seeds == SIZES[size]["seeds"] else seeds), place


def progress(study: Study, setting: Setting, known: Known, job: jobs.Job | None) -> None:
    """How far the study's job is, or what a stopped one has kept; the page's only polling part.

    The page is drawn anew when a net lands or the job ends.
    """
    if job is None or (known.done and job.state not in jobs.LIVE):
        return

    @st.fragment(run_every=1.0 if job.state in jobs.LIVE else None)
    def poll() -> None:
        with states.guard():
            now = study_known.job_of(study, setting)
            if now is None or (now.id, now.state, study_known.stored()) != (job.id, job.state, known.stored):
                st.rerun()
            if now.state in jobs.LIVE:
                with st.container(border=True):
                    text, share = study_words.progress(now, study, known)
                    if states.running(text, share, key="study_stop"):
                        jobs.cancel(now.id)
                        st.rerun()
            elif now.state in ("failed", "cancelled"):
                title = "The study was stopped" if now.state == "cancelled" else "The study stopped"
                reason = f"{now.reason} " if now.state == "failed" else ""
                if states.failed(title, f"{reason}{study_words.kept(known)}", button="Go on", key="study_on"):
                    study_known.submit(study, setting, known.cost)
                    st.rerun()
                if st.button("Details", key="study_details", type="tertiary"):
                    st.session_state["job_details"] = now.id
                    st.rerun()

    poll()


def picture(study: Study, setting: Setting, known: Known, answer: str, alive: bool) -> None:
    """A panel a measure, or a row a net; the foot line under them."""
    st.space("xsmall")
    foot, says = study_words.foot(study, setting, known), parts.spoken(answer)
    if _drawn.in_rows(study):
        study_rows.nets(study, known, alive)

        def file() -> bytes:
            return _drawn.rows_file(study, known.table, says, foot)
    else:
        charts = [lambda theme, one=one: _drawn.panel(study, known.table, one, theme) for one in study.shows]
        facts = known.table.to_csv(index=False)
        beside = 2 if len(charts) == 4 else 3
        for first in range(0, len(charts), beside):
            _row(study.shows[first : first + beside], charts[first : first + beside], facts, says)

        def file() -> bytes:
            return figure.svg_file(charts, says, foot)

    figure.foot_line(foot, study_words.numbers(study, known), f"study-{study.id}-{setting.size}-{setting.data}", "study", file)


def _row(shows: Sequence[str], charts: Sequence[Callable], facts: str, says: str) -> None:
    columns = st.columns(len(charts), gap="medium")
    for name, column, chart in zip(shows, columns, charts, strict=False):
        with column:
            draw(chart, [name, facts], f"study_chart_{name}", f"{_drawn.titled(name)[0]}. {says}")
