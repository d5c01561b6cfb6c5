"""The bar of a presentation, and the drawer in which its deck is put together."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from core import deck, words
from core.errors import LabError
from pages.ui import help_keys, parts, pickers, present


def links(pages: Sequence[str]) -> list[str]:
    """The deck: the visitor's own, else the one that comes with the lab on the nets of its gallery."""
    return deck.own(pages) or usual(pages)


def usual(pages: Sequence[str]) -> list[str]:
    """The deck that comes with the lab."""
    trained = [run for run in pickers.shipped() if pickers.accuracy(run) is not None]
    first = {run.arch: run for run in reversed(trained) if run.data == trained[0].data}  # the first seed of each net
    nets = list(first.values())[::-1][:3]
    return deck.default(pages, [run.id for run in nets], nets[0].data if nets else "")


def bar(held: Sequence[str], titles: Mapping[str, str], stem: str) -> None:
    """Leave · which view · previous and next; at the foot of the window."""
    now = present.place() or 0
    said = f"{now} of {len(held)} · {titles[stem]}" if now else titles[stem]
    with st.container(horizontal=True, vertical_alignment="center", key="present_bar"):
        st.button("Leave", key="present_leave", type="tertiary", shortcut=help_keys.LEAVE, on_click=present.leave)
        st.html(f'<div class="lab-foot" role="status">{escape(said)}</div>', width="stretch")
        with st.container(horizontal=True, width="content", gap="small"):
            for label, step, keys in (("Previous", -1, help_keys.PREVIOUS), ("Next", 1, help_keys.NEXT)):
                off = not 1 <= now + step <= len(held)
                st.button(label, key=f"present_{label.lower()}", shortcut=keys[0], disabled=off, on_click=present.turn,
                          args=(held, now + step))  # fmt: skip
    with st.container(key="present_quiet"):  # for remote controls, which send other keys; drawn nowhere
        for step, keys in ((-1, help_keys.PREVIOUS), (1, help_keys.NEXT)):
            st.button(keys[1], key=f"present_{keys[1].lower()}", shortcut=keys[1], on_click=present.turn, args=(held, now + step))


@st.dialog("Present", position="right", width=560)
def drawer(stem: str, titles: Mapping[str, str], here: str) -> None:
    """Start, and the deck as a list; `here` is the link of the page in view."""
    pages = list(titles)
    mine = deck.own(pages)
    held = mine or usual(pages)
    parts.sub("One picture and its sentence a view, in large type. Keys: → and ← turn the views, Esc leaves.")
    with st.container(horizontal=True):
        if st.button("Present the deck", key="present_start", type="primary", disabled=not held):
            present.turn(held, 1)
            st.rerun()
        if st.button("Present this view", key="present_here"):
            present.start()
            st.rerun()
    parts.h2("The deck", f"{words.some(len(held), 'view')}, {'yours' if mine else 'as it comes with the lab'}")
    with st.container(gap=None, key="present_list"):
        for number, link in enumerate(held):
            _row(number, link, held, titles)
    if problem := st.session_state.pop("present_problem", ""):
        parts.sub(problem)
    with st.container(horizontal=True):
        st.button("Add this view", key="present_add", disabled=here in held[-1:], on_click=_keep, args=([*held, here], pages))
        if mine:
            st.button("Back to the lab’s own deck", key="present_reset", type="tertiary", on_click=_keep, args=([], pages))


def _row(number: int, link: str, held: Sequence[str], titles: Mapping[str, str]) -> None:
    """One view with what it shows, and three ways to change its place."""
    page, query = deck.parted(link)
    with st.container(horizontal=True, vertical_alignment="center", key=f"deck_view_{number}"):
        text = f'<b>{number + 1}. {escape(titles[page])}</b><span class="lab-sub">{escape(about(query))}</span>'
        with st.container(width="stretch", key=f"deck_says_{number}"):
            st.html(f'<div class="lab-view">{text}</div>')
        out = [*held[:number], *held[number + 1 :]]
        for label, moved in (("Up", _swapped(held, number - 1)), ("Down", _swapped(held, number)), ("Remove", out)):
            off = moved == list(held) or not moved
            st.button(label, key=f"present_{label.lower()}_{number}", type="tertiary", disabled=off, on_click=_keep,
                      args=(moved, list(titles)))  # fmt: skip


def about(query: Mapping[str, Sequence[str]]) -> str:
    """What a link chooses, in a few words: nets, images, and the values of the rest."""
    known = {run.id: run for run in pickers.finished()}
    said = [", ".join(pickers.title(known[i]) if i in known else "a net that is not here" for i in query.get("m", ()))]
    said += [pickers.set_title(value) for value in query.get("d", ())]
    rest = [value for key, values in query.items() if key not in ("m", "d") for value in values]
    said += [pickers.title(known[value]) if value in known else value for value in rest]
    text = " · ".join(one for one in said if one)
    return text if len(text) <= 110 else f"{text[:109]}…"


def _swapped(held: Sequence[str], first: int) -> list[str]:
    """The deck with the view at `first` and the next one changed over."""
    if not 0 <= first < len(held) - 1:
        return list(held)
    return [*held[:first], held[first + 1], held[first], *held[first + 2 :]]


def _keep(held: Sequence[str], pages: Sequence[str]) -> None:
    try:
        deck.keep(held, pages)
    except (LabError, OSError) as error:
        known = isinstance(error, LabError)
        st.session_state["present_problem"] = str(error) if known else "The deck could not be written to the data folder."


def link_here(stem: str) -> str:
    """The page in view as a link of the deck: "" if its address is none."""
    query = [(key, value) for key in st.query_params for value in st.query_params.get_all(key)]
    try:
        return deck.checked(deck.link(stem, query), [stem])
    except LabError:
        return ""
