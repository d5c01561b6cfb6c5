"""The frame round every page: navigation, sidebar, and the guard that makes any page work as the first request."""

import os
from html import escape
from pathlib import Path

import streamlit as st

from core import jobs, presets, words
from pages.ui import address, help_drawer, help_keys, parts, pickers, present, present_deck, states, style, tour

PAGES = Path(__file__).resolve().parents[1]
_UI = Path(__file__).resolve().parent
ICON = str(_UI / "icon.png")
LOGO = str(_UI / "logo.png")
#: section -> (file stem, title, what the menu says); the address of a page is its file stem
SECTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "": (("start", "Start", "What this is, which claims hold, trained nets"),),
    "Make": (
        ("build", "Build", "Change a net block by block"),
        ("train", "Train", "Train it, watch it learn"),
        ("data", "Data", "Look into sets of images, bring your own"),
    ),
    "Loss": (
        ("landscape", "Landscape", "How bumpy the loss is around the trained weights"),
        ("curvature", "Curvature", "How sharply the loss bends, and which way"),
    ),
    "Blocks": (
        ("frequency", "Frequency", "Which blocks blur, which sharpen"),
        ("features", "Features", "What units do to contrast, and which layers see alike"),
        ("lesion", "Lesion", "Switch blocks off and see what the net loses"),
    ),
    "Images": (
        ("robustness", "Robustness", "What noise, weather, blur and attacks cost"),
        ("lens", "Lens", "One image as each net sees it"),
    ),
    "Verdict": (
        ("compare", "Compare", "Two nets side by side, and what the difference costs"),
        ("scorecard", "Scorecard", "Which of the paper’s claims hold here, and how sure"),
    ),
}


def pages() -> dict[str, list]:
    """The pages that exist, by section; Start is the default page and has no address of its own."""
    found = {
        section: [
            st.Page(PAGES / f"{stem}.py", title=title, default=stem == "start", help=words)
            for stem, title, words in entries
            if (PAGES / f"{stem}.py").exists()
        ]
        for section, entries in SECTIONS.items()
    }
    return {section: entries for section, entries in found.items() if entries}


def run() -> None:
    """Everything that app.py does."""
    st.session_state["_frame"] = True
    st.set_page_config(page_title="AlterLab", page_icon=ICON, layout="wide", initial_sidebar_state=248)
    if view := present.turned():
        st.navigation(pages())
        st.switch_page(PAGES / f"{view[0]}.py", query_params=view[1])
    deck = present_deck.links(list(titles())) if present.on() or "present" in st.query_params else []
    present.take(len(deck))
    page = st.navigation(pages(), position="hidden" if present.on() else "sidebar", expanded=True)
    stem = page.url_path or "start"
    # a dialog stands outside of the page, which has the theme's scheme
    more = f'[data-testid="stDialog"]{{color-scheme:{parts.theme()}}}{present.STYLE if present.on() else ""}'
    st.html(style.CSS.replace("</style>", f"{more}</style>"))
    st.logo(LOGO, size="medium")
    with states.guard():
        pickers.take_links()
    pressed = ""
    with st.sidebar, states.guard():
        sidebar()
        pressed = ways(stem)
    if present.on():
        present_deck.bar(deck, titles(), stem)
    if pressed == "help":
        help_drawer.drawer(stem, titles())
    elif pressed == "present":
        present_deck.drawer(stem, titles(), present_deck.link_here(stem))
    tour.card(stem)
    page.run()


def titles() -> dict[str, str]:
    """The pages that exist, in the order of the menu: file stem -> title."""
    return {stem: title for entries in SECTIONS.values() for stem, title, _ in entries if exists(stem)}


def require() -> None:
    """First statement of every page file.

    A folder named pages/ makes Streamlit run a deep link's file alone until `st.navigation` has been called once in
    the process; this calls it and starts over through app.py.
    """
    if "_frame" not in st.session_state:
        st.navigation(pages())
        st.rerun()


def sidebar() -> None:
    """Models on stage, images, and the line about this machine."""
    runs = {run.id: run for run in pickers.finished()}
    models, before = pickers.usual_stage(), st.session_state.get("_usual", [])
    if st.session_state.get("m") == before:  # other images were chosen, and no nets
        st.session_state["m"] = models
    st.session_state["_usual"] = models
    if runs:
        st.session_state["m"] = [i for i in st.session_state.get("m", models) if i in runs]
        named = pickers.names(list(runs.values()))
        with st.container(horizontal=True, vertical_alignment="center", key="side_stage"):
            st.html('<div class="lab-label">Models on stage</div>', width="stretch")
            with st.popover("Change", type="tertiary"):
                st.multiselect(
                    "Models on stage, at most four",
                    list(runs),
                    max_selections=pickers.MAX_ON_STAGE,
                    format_func=lambda i: named.get(i, i),
                    key="m",
                    persist_state="session",
                    on_change=address.moved,
                    args=("m",),
                )
        shown = pickers.stage()
        said = pickers.names(shown)
        lines = [parts.chip_html(pickers.family(run), said[run.id], words.percent(pickers.accuracy(run) or 0)) for run in shown]
        st.html("".join(lines + _untrained()) or '<div class="lab-sub">None chosen</div>')
    else:
        parts.label("Models on stage")
        parts.sub("No trained net yet")
    if missing := st.session_state.get("m_missing", 0):
        parts.sub(f"{words.some(missing, 'net')} of the link {'is' if missing == 1 else 'are'} not on this machine.")
    sets = pickers.sets()
    if st.session_state.get("d", sets[0]) not in sets:  # it was deleted
        st.session_state["d"] = sets[0]
    st.selectbox("Images", sets, format_func=pickers.set_title, key="d", persist_state="session", on_change=address.moved, args=("d",))
    pickers.write_links(models, sets[0])


def ways(stem: str) -> str:
    """Help, Present, the line about this machine, and the keys to the next and the previous page; which drawer was asked for."""
    asked = ""
    with st.container(key="side_foot", gap="small"):
        with st.container(horizontal=True, key="side_ways", gap="small"):
            for what, key in (("help", help_keys.HELP), ("present", help_keys.PRESENT)):
                if st.button(what.capitalize(), key=f"open_{what}", type="tertiary", shortcut=key):
                    asked = what
        st.html(f'<div class="lab-foot">{escape(machine())}</div>')
    if not present.on():
        with st.container(key="side_quiet"):  # drawn nowhere: the menu is what they turn
            order = list(titles())
            for key, step in ((help_keys.PREVIOUS_PAGE, -1), (help_keys.NEXT_PAGE, 1)):
                if st.button(key, key=f"page_{step}", shortcut=key):
                    go(order[(order.index(stem) + step) % len(order)])
    return asked


def _untrained() -> list[str]:
    """A line for the net of Build while no run of it exists."""
    if "arch" not in st.session_state:
        return []
    arch = pickers.arch()
    if arch.notation in {run.arch for run in pickers.runs()}:
        return []
    return [parts.chip_html("you", presets.name_of(arch.notation) or "Yours", "not trained")]


@st.cache_data(show_spinner=False)
def device() -> str:
    """The device in words, read from the system: asking torch would cost seconds and 0.7 GB."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")) if Path("/proc/driver/nvidia/gpus").is_dir() else []
    for card in cards:
        for line in card.read_text(errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"CPU · {cores} core{'s' if cores > 1 else ''}"


def machine() -> str:
    """`CPU · 2 cores · queue empty`."""
    found = [job.state for job in jobs.list()]
    running = sum(state in jobs.STARTED for state in found)
    waiting = sum(state in jobs.LIVE for state in found) - running
    queue = ", ".join(f"{n} {word}" for n, word in ((running, "running"), (waiting, "waiting")) if n)
    return f"{device()} · {queue or 'queue empty'}"


def exists(stem: str) -> bool:
    """Whether a page is there to be linked to."""
    return (PAGES / f"{stem}.py").exists()


def go(stem: str, **query: str) -> None:
    """To another page, with a net or a focus in its address; nothing happens if that page does not exist."""
    if exists(stem):
        st.switch_page(PAGES / f"{stem}.py", query_params=query)
