"""Which of the paper's claims hold here: every claim with its effect, its interval, its verdict, and the way to the evidence."""

from pages.ui import frame

frame.require()

import json
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import claims, jobs, words
from core.claims import CLAIMS, VERDICTS, Verdict
from core.claims.judge import WITHDRAWN
from core.claims.paper import GROUPS
from pages.ui import (
    address,
    choices,
    focus,
    parts,
    pickers,
    report_offer,
    states,
    tour,
    verdict_found,
    verdict_missing,
    verdict_rows,
    verdict_words,
)
from pages.ui.copylink import copy_link
from pages.ui.verdict_found import Found
from pages.ui.verdict_missing import Step
from pages.ui.verdict_scroll import scroll_to

#: which claims are shown, by what `show` in the address may be: all, or those of one verdict
SHOW = {"all": "", **{verdict.replace(" ", "-"): verdict for verdict in VERDICTS if verdict != WITHDRAWN}}
METHOD = (
    "**A claim is a question to stored results.** Each has one or more statements; a statement is an effect with a 95 % interval: over "
    "images, mini-batches, units or nets of one seed; over seeds where there are three or more.\n\n"
    "- **Supported**: every statement's interval is clear of no effect, the way of the claim, and the effect is past the threshold.\n"
    "- **Contradicted**: a statement's interval is clear of no effect on the other side, and no statement is supported.\n"
    "- **Undecided**: the interval holds no effect, the effect is too small, or there are fewer images, mini-batches, units or seeds than "
    "were asked for before. What is clear here but short of seeds stays undecided.\n"
    "- **Not measured**: a net or a measurement is missing; the commands are named.\n\n"
    "**Thresholds** are softer than the paper's sizes, since these nets are small. They were fixed before the nets were measured, and each "
    "says where it comes from. **◇** stands only where a number of the paper compares with the effect.\n\n"
    "**What it cannot say.** Small nets on small images are another case than the paper's: a claim that fails here may hold for large "
    "nets. About one in twenty intervals misses the truth, and there are more than twenty claims."
)


def page() -> None:
    """Question, answer, controls, the claims by group, the foot line, the method."""
    parts.header("Which of the paper’s claims hold here?", over="Verdict")
    st.html(verdict_rows.STYLE)
    answer = st.container(gap=None)
    which = choices.take("scorecard", "nets", list(verdict_found.NETS), "usual")
    found = verdict_found.judged(which)
    with parts.row("bottom"):
        shown = _filter(found)
        choices.choose("scorecard", "Nets", "nets", verdict_found.NETS, "usual")
        report_offer.offer(found.runs, key="scorecard_report")
    with answer:
        parts.take(verdict_words.takeaway(found))
        parts.sub(verdict_words.honest(found))
    todo = {one.id: verdict_missing.steps([one]) for one in found.verdicts}
    with states.guard():
        _offer(todo)
    opened = _opened()
    focus.write(show=[] if shown == "all" else [shown], nets=[] if which == "usual" else [which], claim=opened)
    listed = [one for one in found.verdicts if SHOW[shown] in ("", one.verdict)]
    if not listed:
        parts.sub(f"No claim is {SHOW[shown]} here.")
    else:
        verdict_rows.legend()
    for group in GROUPS:
        if members := [one for one in listed if CLAIMS[one.id].group == group]:
            parts.h2(group)
            with st.container(gap=None):
                for one in members:
                    claim(one, todo[one.id])
    _foot(found)
    with st.expander("How this is judged"):
        st.markdown(METHOD)
    if linked := st.session_state.pop("scorecard_linked", ""):
        scroll_to(f"row_claim_{linked}")


def _filter(found: Found) -> str:
    """The verdicts with their counts; the one that is chosen is shown alone."""
    counts = verdict_words.tally(found.verdicts)
    known = {key: f"All {len(found.verdicts)}" if not verdict else f"{verdict.capitalize()} {counts.get(verdict, 0)}"
             for key, verdict in SHOW.items()}  # fmt: skip
    return choices.choose("scorecard", "Show", "show", known, "all")


def _opened() -> list[str]:
    """The claims whose details are open: those of a link, or those that were opened."""
    if brought := address.brought("claim"):
        known = [one for one in dict.fromkeys(brought) if one in CLAIMS]
        st.session_state["scorecard_open"] = known
        if known:
            st.session_state["scorecard_linked"] = known[0]
    return [one for one in st.session_state.get("scorecard_open", []) if one in CLAIMS]


def _toggle(claim_id: str) -> None:
    opened = st.session_state.get("scorecard_open", [])
    st.session_state["scorecard_open"] = [one for one in opened if one != claim_id] if claim_id in opened else [*opened, claim_id]
    address.moved("claim")
    tour.did("scorecard")


@st.fragment
def claim(verdict: Verdict, todo: Sequence[Step]) -> None:
    """One row with its details: a fragment, so that opening one draws no other anew."""
    with states.guard():
        opened = st.session_state.get("scorecard_open", [])
        address.write("claim", [one for one in opened if one in CLAIMS])
        is_open = verdict.id in opened
        pressed = verdict_missing.measurable(todo) if verdict_rows.row(verdict, todo, is_open, _toggle) else []
        if is_open:
            pressed += verdict_rows.details(verdict, todo)
        if pressed:
            verdict_missing.queue(pressed)
            st.rerun()


def _offer(todo: dict[str, list[Step]]) -> None:
    """What can be measured now, all at once, with what it takes; what is under way, and a look each second whether it ended."""
    each = list({step.command: step for steps in todo.values() for step in steps}.values())
    can, before = verdict_missing.measurable(each), [step.command for step in each if step.under_way]
    if can or before:
        with st.container(horizontal=True, vertical_alignment="center", key="scorecard_offer"):
            said = [f"{len(before)} under way; this page follows them"] if before else []
            said += [f"{words.some(len(can), 'missing measurement')} can be made here, {verdict_missing.price(can)}"] if can else []
            st.html(f'<div class="lab-sub">{parts.rich(". ".join(said))}.</div>')
            if can and st.button("Measure what is missing", key="scorecard_measure"):
                verdict_missing.queue(can)
                st.rerun()
    if before:
        _watch([step.job.id for step in each if step.job and step.under_way])


def _watch(ids: Sequence[str]) -> None:
    @st.fragment(run_every=2.0)
    def poll() -> None:
        with states.guard():
            alive = {job.id for job in jobs.list() if job.state in jobs.LIVE}
            if not set(ids) <= alive:
                st.rerun()

    poll()


def _foot(found: Found) -> None:
    """What the drawings mean, and Table · CSV · JSON · Copy link."""
    table = _table(found)
    st.html('<div class="lab-rule"></div>')
    with st.container(horizontal=True, vertical_alignment="top"):
        with st.container(width="stretch", key="lab_says_scorecard"):
            text = (
                "Each drawing has its own scale; right of the solid line is the way of the claim, ratios are drawn by their logarithm. "
                f"Bars: 95 %. {verdict_words.nets_said(found)}, {pickers.set_title(found.data)}. Thresholds were fixed before measuring."
            )
            st.html(f'<div class="lab-foot">{parts.rich(text)}</div>')
        with st.container(horizontal=True, width="content", vertical_alignment="top", gap="small"):
            with st.popover("Table", type="tertiary", key="scorecard_table", on_change="rerun") as opened:
                if opened.open:
                    st.dataframe(table, hide_index=True, width=720)
            st.download_button("CSV", lambda: table.to_csv(index=False).encode(), "alterlab-scorecard.csv", "text/csv", key="scorecard_csv",
                               on_click="ignore", type="tertiary")  # fmt: skip
            st.download_button("JSON", lambda: _json(found), "alterlab-scorecard.json", "application/json", key="scorecard_json",
                               on_click="ignore", type="tertiary")  # fmt: skip
            copy_link("scorecard_link")


def _table(found: Found) -> pd.DataFrame:
    """One row a claim, as the command line tells it, without what is nested."""
    keep = ("id", "group", "title", "verdict", "effect", "low", "high", "unit", "n", "of", "seeds", "statistic", "expected", "paper",
            "threshold", "origin", "source", "data", "reason", "evidence")  # fmt: skip
    rows = [{key: told[key] for key in keep} | {"runs": " ".join(told["runs"])} for told in map(claims.to_json, found.verdicts)]
    return pd.DataFrame(rows, columns=[*keep, "runs"])


def _json(found: Found) -> bytes:
    """What `python -m core claims --json` says of these nets."""
    return json.dumps({"claims": [claims.to_json(one) for one in found.verdicts]}, indent=1, ensure_ascii=False).encode()


with states.guard():
    page()
