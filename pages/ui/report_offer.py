"""The report of the nets and claims on screen: one file, made when it is asked for, and what is in it."""

from collections.abc import Sequence

import streamlit as st

from core import claims, report, words
from core.run import Run
from pages.ui import parts

#: the address of the file
NAME = "alterlab-report.html"


def offer(runs: Sequence[Run], only: Sequence[str] = (), key: str = "report") -> None:
    """A popover with the claims to choose and the download; `only` are the claims that stand chosen, none for all."""
    with st.popover("Report", type="primary", key=f"{key}_open", on_change="rerun", width="content") as opened:
        if opened.open:
            with st.container(width=360):
                _inside(runs, only, key)


def _inside(runs: Sequence[Run], only: Sequence[str], key: str) -> None:
    nets = f"**{words.some(len(runs), 'net')}**, their figures and all their numbers" if runs else "**No net** is on stage"
    parts.sub(f"{nets}: one file under 5 MB that opens and prints anywhere, without a network.")
    chosen = st.multiselect(
        "Claims", list(claims.CLAIMS), default=[one for one in only if one in claims.CLAIMS], key=f"{key}_claims",
        format_func=lambda one: f"{one} · {claims.CLAIMS[one].title}", placeholder=f"All {len(claims.CLAIMS)}",
    )  # fmt: skip
    ids = [run.id for run in runs]
    st.download_button(
        "Download", lambda: report.build(ids, chosen).html.encode(), NAME, "text/html", key=f"{key}_file", on_click="ignore",
        disabled=not ids, help="It is made while you wait, in ten to twenty seconds.",
    )  # fmt: skip
