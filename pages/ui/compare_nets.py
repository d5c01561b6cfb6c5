"""Which nets Compare sets side by side: A and B are the first two on stage, others of the stage may stand beside them."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from core import ribbon, store, words
from core.chart import family_token
from core.run import Run
from pages.ui import address, focus, parts, pickers

#: what the columns are called
LETTERS = "ABCD"
KEEP: dict[str, Any] = {"persist_state": "session"}


def names() -> dict[str, str]:
    """All trained nets that can be chosen, by run id; those named alike are told apart by their images, else by the end of their ids."""
    runs, found = pickers.finished(), {}
    titles = {run.id: pickers.title(run) for run in runs}
    sets = {run.id: pickers.test_set(run.data) for run in runs}
    for run in runs:
        same = [other.id for other in runs if titles[other.id] == titles[run.id]]
        twins = [other for other in same if sets[other] == sets[run.id]]
        name = titles[run.id] if len(twins) == len(same) else f"{titles[run.id]}, {pickers.set_title(sets[run.id])}"
        found[run.id] = name if len(twins) == 1 or run.id == twins[0] else f"{name} ({run.id[-4:]})"
    return found


def chosen() -> list[Run]:
    """A and B, then what the reader has put beside them; fewer than two where the stage is not set."""
    stage = pickers.stage()
    return [*stage[:2], *(run for run in stage[2:] if run.id in _beside(stage))]


def _beside(stage: Sequence[Run]) -> list[str]:
    """The ids of the nets beside A and B, as a link brings them or as they were."""
    known = [run.id for run in stage[2:]]
    if address.emptied("also", "of"):
        st.session_state["compare_also"] = []
    if given := address.brought("also"):
        st.session_state["compare_also"] = given
    st.session_state["compare_also"] = [run_id for run_id in st.session_state.get("compare_also", []) if run_id in known]
    return st.session_state["compare_also"]


def choose(place: int, run_id: str | None) -> None:
    """Puts a net in the place of A (0) or B (1); one that stands there already changes places.  For callbacks."""
    stage = list(st.session_state.get("m", []))
    if run_id is None:
        return
    if run_id in stage:
        other = stage.index(run_id)
        if place < len(stage):
            stage[place], stage[other] = stage[other], stage[place]
    elif place < len(stage):
        stage[place] = run_id
    else:
        stage.append(run_id)
    st.session_state["m"] = stage[: pickers.MAX_ON_STAGE]
    address.moved("m")


def swap() -> None:
    """A becomes B and B becomes A."""
    stage = list(st.session_state.get("m", []))
    st.session_state["m"] = [*stage[1::-1], *stage[2:]]
    address.moved("m")


def swapping() -> None:
    """The button that swaps A and B."""
    st.button("Swap", key="compare_swap", on_click=swap, help="A becomes B and B becomes A")


def beside() -> None:
    """What else of the stage stands beside A and B; nothing to choose where the stage holds no more."""
    stage = pickers.stage()
    rest = {run.id: name for run, name in ((run, names().get(run.id, run.id)) for run in stage[2:])}
    if rest:
        st.pills("Beside A and B", list(rest), format_func=lambda i: rest.get(i, i), selection_mode="multi", key="compare_also",
                 on_change=lambda: address.moved("also"), **KEEP)  # fmt: skip


def heads(runs: Sequence[Run]) -> list:
    """A column a net: its select, its units, what it costs and how it was trained; returns the columns."""
    known, columns = names(), st.columns(max(2, len(runs)), gap="medium")
    for i, column in enumerate(columns):
        with column:
            _head(runs[i] if i < len(runs) else None, i, known, small=len(columns) > 2)
    return columns


def _head(run: Run | None, place: int, known: Mapping[str, str], small: bool) -> None:
    letter = LETTERS[place]
    colour = f"var(--lab-{family_token(pickers.family(run))})" if run else "var(--lab-line)"
    icon = parts.img(ribbon.family_icon(pickers.family(run), 15)) if run else ""
    title = f"<b>{escape(known.get(run.id, run.id))}</b>" if run and place > 1 else ""
    st.html(f'<div class="lab-card" style="border-color:{colour};padding:0;margin:0"></div>')
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        tall = ' style="min-height:40px"' if place > 1 else ""  # as tall as the selects of A and B
        st.html(f'<div class="lab-chip"{tall}>{icon}<span>{letter}</span>{title}</div>', width="content")
        if place < 2:
            key, more = f"compare_{letter.lower()}", {} if run else {"index": None, "placeholder": "Choose a net"}
            st.session_state[key] = run.id if run else None
            st.selectbox(f"Net {letter}", list(known), format_func=lambda i: known.get(i, i), key=key, label_visibility="collapsed",
                         on_change=lambda: choose(place, st.session_state[key]), **more)  # fmt: skip
        if place == 1 and run and not small:
            swapping()
    if run is None:
        return
    if slots := focus.slots(run):  # none where a net from elsewhere could not be read into units
        parts.svg(ribbon.draw(slots, side=11 if small else 16, label=f"The units of {known.get(run.id, run.id)}"))
    final = store.final(run.id) or {}
    numbers = [("Accuracy", words.percent(final["accuracy"]))]
    numbers += [("Parameters", words.millions(final["parameters"]))] if final.get("parameters") else []
    numbers += [("Work per image", f"{words.mflop(final['flops'])} MFLOP")] if final.get("flops") else []
    cells = "".join(f'<div><div class="lab-label">{escape(name)}</div>{escape(number)}</div>' for name, number in numbers)
    st.html(f'<div class="compare-facts">{cells}</div><div class="lab-foot">{escape(trained(run))}</div>')


def trained(run: Run) -> str:
    """`60,000 training images of Fashion-MNIST · 10,307 steps · seed 0`; of a net from elsewhere only where it was tested."""
    final = store.final(run.id) or {}
    title = pickers.set_title(run.data)
    said = [f"{words.count(final['n_train'])} training images of {title}" if final.get("n_train") else title]
    said += [f"{words.count(final['steps'])} steps"] if final.get("steps") else []
    said += [f"{run.image_size} pixels"]
    return " · ".join([*said, f"seed {run.seed}"] if final.get("steps") else said)


CSS = """<style>
.compare-facts{display:flex;flex-wrap:wrap;gap:6px 28px;font-size:20px;line-height:26px;color:var(--lab-ink);margin-bottom:4px}
.compare-facts+.lab-foot{margin-bottom:12px}
.compare-all{width:100%;border-collapse:collapse;font-size:14px;line-height:20px;color:var(--lab-ink)}
.compare-all th,.compare-all td{border-top:1px solid var(--lab-line);padding:7px 0 7px 14px;text-align:right;white-space:nowrap;
font-weight:400}
.compare-all th[scope=row]{text-align:left;padding-left:0;white-space:normal}
.compare-all thead th{border:0;font-size:12px;line-height:16px;font-weight:600;color:var(--lab-muted);vertical-align:bottom;
white-space:normal}
.compare-all small{font-size:13px;color:var(--lab-muted)}
.compare-all b{font-weight:650}
.compare-all .none{color:var(--lab-muted)}
.compare-all img{display:inline-block;vertical-align:middle;max-width:none}
.compare-all .words{text-align:left}
@media(max-width:640px){
.compare-all thead{position:absolute;left:-9999px}
.compare-all tr{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));border-top:1px solid var(--lab-line);padding:8px 0}
.compare-all th,.compare-all td{border:0;padding:2px 0;text-align:left;white-space:normal}
.compare-all th[scope=row]{grid-column:1/-1;font-weight:600}
.compare-all td[data-name]::before{content:attr(data-name) ": ";color:var(--lab-muted);font-size:13px}
.compare-all .line{grid-column:1/-1}
.compare-all td:empty{display:none}
}
</style>"""
