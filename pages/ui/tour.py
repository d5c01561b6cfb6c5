"""The guided tour: seven steps on seven pages, the step in the address as `tour`, a check that turns once the visitor has done it.

A page says with `did` that something was done on it; that counts only on the step that asks for it.  There is no other state than the
number of the step, the steps done, and whether the tour has just ended.
"""

from html import escape
from pathlib import Path

import streamlit as st

from core import cost, store, words
from core.chart import CSS
from core.ribbon import svg
from pages.ui import address, parts, pickers, plan, states
from pages.ui.tour_steps import STEPS

_PAGES = Path(__file__).resolve().parents[1]
#: images of the short training, and about how long a job takes to begin and to test [s]
SHORT, AROUND_S = 2000, 20
#: what travels from step to step in the address
_CARRIED = ("m", "d", "arch")
_STYLE = """<style>
.st-key-tour{border:1px solid var(--lab-line);border-radius:12px;padding:12px 16px;background:var(--lab-card);margin-bottom:12px;
gap:8px 24px}
.lab-tour{font-size:14px;line-height:20px;color:var(--lab-ink2)}
.lab-tour .top{display:flex;flex-wrap:wrap;gap:0 12px;align-items:center;color:var(--lab-muted);font-size:13px;margin-bottom:3px}
.lab-tour .top b{font-size:15px;font-weight:650;color:var(--lab-ink)}
.lab-tour .check{display:inline-flex;gap:6px;align-items:center;font-weight:400}
.lab-tour .check.done{font-weight:650;color:var(--lab-ink)}
.lab-tour p{margin:0;font-size:14px;line-height:20px;text-wrap:pretty}
.lab-tour p.do{color:var(--lab-ink)}
.lab-tour ul{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:4px 0 0!important;padding:0!important}
.lab-tour li{display:inline-flex;gap:6px;align-items:center;margin:0!important;padding:0!important;font-size:13px;line-height:20px}
.lab-tour img{flex:none}
@media(max-width:640px){
.st-key-tour{padding:10px 12px;gap:8px 12px;margin-bottom:4px}
.lab-tour .check{margin-left:auto}
.lab-tour p{font-size:13px;line-height:18px}
.st-key-tour button{min-height:44px}
}
</style>"""


def _sign(done: bool) -> str:
    """A green disc with a tick, or an empty ring; the word beside it says the same."""
    tick = f'<path d="M5 8.2l2.1 2.1 3.9-4.3" fill="none" stroke="{CSS["bg"]}" stroke-width="1.7" stroke-linecap="round"/>'
    ring = f'<circle cx="8" cy="8" r="6" fill="none" stroke="{CSS["faint"]}" stroke-width="1.6"/>'
    return parts.img(svg(f'<circle cx="8" cy="8" r="7" fill="{CSS["hyb"]}"/>{tick}' if done else ring, 16, 16))


# ---- the state


def step() -> int:
    """The step that the tour is on, 1 to 7; 0 if there is no tour."""
    now = st.session_state.get("tour", 0)
    return now if now in range(1, len(STEPS) + 1) else 0


def _done() -> set[int]:
    return st.session_state.setdefault("tour_done", set())


def wants(stem: str) -> bool:
    """Whether the page on screen is that of the step, and the step is not done yet."""
    now = step()
    return bool(now) and STEPS[now - 1].stem == stem == st.session_state.get("tour_page") and now not in _done()


def did(stem: str) -> None:
    """Says, from a callback, that the visitor has done what the step on this page asks for; the page is then drawn as a whole."""
    if wants(stem):
        _done().add(step())
        st.rerun()


def begin() -> None:
    """Starts the tour anew, with nets on stage that have results; for a callback."""
    st.session_state["tour_done"] = set()
    shipped = {run.id for run in pickers.shipped()}
    if not st.session_state.get("m") or not set(st.session_state["m"]) <= shipped:
        st.session_state["m"] = pickers.usual_stage()
        address.moved("m")
    st.session_state["tour_go"] = True  # the card turns the page: it comes before all else on it
    _to(1)


def _to(number: int, over: bool = False) -> None:
    st.session_state["tour"], st.session_state["tour_over"] = number, over
    address.moved("tour")


def open_page() -> None:
    """To the page of the step, with what it needs in the address; never returns."""
    now = step()
    kept = {key: values for key in _CARRIED if (values := st.query_params.get_all(key))}
    if STEPS[now - 1].stem == "train":
        st.session_state["train_mode"] = "One net"
    st.switch_page(_PAGES / f"{STEPS[now - 1].stem}.py", query_params={**kept, "tour": str(now)})


def _take_link() -> None:
    """The step that a link or the browser's history brings, if it is one; anything else is ignored and leaves the address."""
    for given in address.brought("tour")[:1]:
        if given in {str(number) for number in range(1, len(STEPS) + 1)}:
            st.session_state["tour"], st.session_state["tour_over"] = int(given), False
    address.write("tour", [str(step())] if step() else [])


# ---- the card


def card(stem: str) -> None:
    """At the top of a page while the tour is on: the step, or the way back to it, or what was seen when it has just ended."""
    with states.guard():
        _take_link()
        st.session_state["tour_page"] = stem
        now = step()
        if now and st.session_state.pop("tour_go", False):
            open_page()
        if now and STEPS[now - 1].stem == stem:
            _here(now)
        elif now:
            _elsewhere(now)
        elif st.session_state.get("tour_over") and stem == STEPS[-1].stem:
            _over()
        else:
            st.session_state["tour_over"] = False


def _says(body: str) -> st.delta_generator.DeltaGenerator:
    """The words, and the place below them."""
    place = st.container(width="stretch", key="lab_says_tour", gap="small")
    with place:
        st.html(f'{_STYLE}<div class="lab-tour" role="region" aria-label="Tour">{body}</div>')
    return place


def _top(number: int, right: str = "") -> str:
    return f'<div class="top"><span>Tour, {number} of {len(STEPS)}</span><b>{escape(STEPS[number - 1].title)}</b>{right}</div>'


def _here(now: int) -> None:
    """The step on its own page."""
    one, done = STEPS[now - 1], now in _done()
    word = "Done" if done else "To do"
    check = f'<span class="check{" done" if done else ""}" role="status">{_sign(done)}{word}</span>'
    with st.container(horizontal=True, vertical_alignment="center", key="tour"):
        below = _says(f'{_top(now, check)}<p class="do">{escape(one.do)}</p><p>{escape(one.look)}</p>')
        if one.stem == "train":
            with below, states.guard():
                _trainings()
        with st.container(horizontal=True, width="content", gap="small", vertical_alignment="center", key="tour_ways"):
            if now > 1 and st.button("Back", key="tour_back"):
                _to(now - 1)
                open_page()
            if st.button("Next" if now < len(STEPS) else "Finish", key="tour_next"):
                if now < len(STEPS):
                    _to(now + 1)
                    open_page()
                _to(0, over=True)
                st.rerun()
            _leave()


def _leave(word: str = "Leave") -> None:
    if st.button(word, key="tour_leave", type="tertiary"):
        _to(0)
        st.rerun()


def _elsewhere(now: int) -> None:
    """The visitor has gone to another page: where the tour waits."""
    with st.container(horizontal=True, vertical_alignment="center", key="tour"):
        _says(f"{_top(now)}<p>The tour waits on the page {escape(STEPS[now - 1].page)}.</p>")
        with st.container(horizontal=True, width="content", gap="small", vertical_alignment="center", key="tour_ways"):
            if st.button("Go there", key="tour_there"):
                open_page()
            _leave()


def _trainings() -> None:
    """What step 2 offers: the curve of a net that came with the lab, at once; or a real short training of the net of Build."""
    finished = [run for run in pickers.gallery() if store.history(run.id)]
    shown = next((run for run in finished if pickers.family(run) == "hybrid"), next(iter(finished), None))
    short = plan.plan_of(pickers.arch(), pickers.images(), "quick", 1, 1.0, SHORT, 1, "auto")
    with st.container(horizontal=True, width="content", gap="small", key="tour_trainings"):
        if shown and st.button(f"Open {pickers.title(shown)}", key="tour_finished"):
            st.session_state["train_show"] = shown.id
            did("train")
        if not short.refusal:
            label = f"Train mine, about {words.duration(_seconds(short))}"
            if st.button(label, key="tour_train", help=f"One epoch on {words.count(SHORT)} images. {plan.price(short)}"):
                plan.start(short)
                st.session_state["train_show"] = short.runs[0].id
                did("train")


def _seconds(short: plan.Plan) -> float:
    """About how long the short training takes, from its press to its curve."""
    speed = cost.train_speed(pickers.arch(), short.runs[0].image_size)
    return AROUND_S + (short.images * short.epochs / speed[0] if speed else 0)


def _over() -> None:
    """What was seen, and three ways on."""
    done = _done()
    seen = "".join(
        f"<li>{_sign(number in done)}{escape(one.done if number in done else f'{one.title}: not done')}</li>"
        for number, one in enumerate(STEPS, 1)
    )
    said = "all seven steps done" if len(done) == len(STEPS) else f"{len(done)} of {len(STEPS)} steps done"
    with st.container(key="tour"):
        _says(f'<div class="top"><b>The tour is over</b><span role="status">{said}</span></div><ul>{seen}</ul>')
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="tour_ways"):
            for label, stem in (
                ("Build a net", "build"),
                ("Compare two nets", "compare"),
                ("Your own image under the Lens", "lens"),
            ):
                if st.button(label, key=f"tour_on_{stem}"):
                    _to(0)
                    st.switch_page(_PAGES / f"{stem}.py")
            _leave("Close")
