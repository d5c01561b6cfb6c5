"""Sets of images: what is in them, how even their classes are, how fine they are; and bringing pictures of one's own."""

from pages.ui import frame

frame.require()

import streamlit as st

from core import data, words
from core.data import imported
from pages.ui import (
    address,
    data_add,
    data_classes,
    data_gallery,
    data_jobs,
    data_left,
    data_remove,
    data_shelf,
    data_spectrum,
    figure,
    focus,
    parts,
    pickers,
    states,
)  # fmt: skip

#: what `show` in the address may be; what was left out is asked of the reader's own sets alone
SHOW = {"images": "Images", "classes": "Balance", "spectrum": "Frequencies", "left": "Left out"}
VIEWS = {"images": data_gallery, "classes": data_classes, "spectrum": data_spectrum, "left": data_left}
OWN = ("split", "class", "page", "draw", "beside")


def page() -> None:
    """Question, answer, controls, the picture; then the set in words, and all sets."""
    st.html(data_gallery.CSS)
    spec = data.get(pickers.images())
    known = {key: word for key, word in SHOW.items() if key != "left" or data_shelf.own(spec.id)}
    view = VIEWS[data_shelf.take("show", list(known), "images")]
    parts.header(view.QUESTION, over="Make")
    take = st.container()
    data_jobs.watch()
    if data_jobs.fresh(spec.id):
        news(spec.id)
    if missing := st.session_state.pop("d_missing", ""):
        states.note(f"**The set of this link is not on this machine.** {missing} is unknown here; import its pictures under that name.")
    with st.container(horizontal=True, vertical_alignment="bottom", key="data_controls"):
        pick(spec.id)
        show = data_shelf.choose("Show", "show", known, "images")
        st.button("Import pictures", key="data_add", type="primary", on_click=data_add.ask)
    own: dict[str, list[str]] = {}
    with states.guard():
        if data_jobs.lacks(spec.id):
            with take:
                parts.take(
                    f"**{spec.title}**: {data_shelf.number(spec)} of {words.some(len(spec.classes), 'class', 'classes')}, to be got first."
                )
            data_jobs.offer(spec.id)
        else:
            own = VIEWS[show].show(spec, take)
    focus.write(show=[show] if show != "images" else [], **{key: own.get(key, []) for key in OWN})
    figure.method(VIEWS[show].METHOD)
    with states.guard():
        data_gallery.about(spec)
        if data_shelf.own(spec.id):
            st.button("Delete this set", key="data_ask_remove", type="tertiary", on_click=data_remove.ask, args=(spec.id,))
    with states.guard():
        data_gallery.cards(spec.id)
    data_add.dialog()
    data_remove.dialog()


def pick(dataset: str) -> None:
    """The set; the same choice as in the sidebar."""
    st.session_state["data_set"] = dataset

    def changed() -> None:
        st.session_state["d"] = st.session_state["data_set"]
        address.moved("d")

    st.selectbox("Set", pickers.sets(), format_func=pickers.set_title, key="data_set", on_change=changed, width=208)


def news(dataset: str) -> None:
    """That a set has just come, and what was left out of it; until the reader looks at something else."""
    left = imported.report(imported.find(dataset))["left_out_n"]
    said = f"{words.some(left, 'file')} left out." if left else "Nothing was left out."
    states.note(
        f"**It is there.** {said} It can be chosen on every page now.", "See the report", "data_report", data_shelf.put, ("show", "left")
    )


with states.guard():
    page()
