"""The question before a set of the reader's own is deleted."""

import streamlit as st

from core import store
from core.data import imported
from core.errors import DataError, LabError
from pages.ui import parts, pickers, states

ASKED = "data_remove"
#: users of a set that are named
_NAMED = 6


def ask(dataset: str) -> None:
    """Opens the question; for callbacks."""
    st.session_state[ASKED] = dataset


def dialog() -> None:
    """Draws the question if it was asked."""
    dataset = st.session_state.get(ASKED, "")
    if dataset in pickers.sets():
        _question(dataset)
    else:
        _close()


def _close() -> None:
    st.session_state.pop(ASKED, None)


@st.dialog("Delete these images?", on_dismiss=_close)
def _question(dataset: str) -> None:
    with states.guard():
        name = imported.find(dataset)
        using = imported.users(name)
        parts.sub(
            f"The decoded images of **{pickers.set_title(dataset)}** are deleted; the pictures that they were made of stay where they are."
        )
        forced = False
        if using:
            some = [_called(user) for user in using[:_NAMED]] + ([f"and {len(using) - _NAMED} more"] if len(using) > _NAMED else [])
            parts.sub(f"It is used by: {'; '.join(some)}. Without it they can be shown, but not measured, trained further or tested.")
            forced = st.checkbox("Delete it all the same", key="data_force")
        refused = ""
        with parts.row():
            if st.button("Delete", key="data_delete", type="primary"):
                try:
                    imported.remove(name, force=forced)
                except DataError as error:
                    refused = str(error)
                else:
                    _close()
                    st.rerun()
            if st.button("Keep", key="data_keep"):
                _close()
                st.rerun()
        if refused:
            states.note(f"**It stays.** {refused}")


def _called(user: str) -> str:
    """A run or a job as a reader knows it."""
    try:
        run = store.find(user)
    except LabError:
        return f"job {user}"
    return f"**{pickers.title(run)}** ({user})"
