"""What stands under (or is) the figure of a study: its nets as rows, and what became of its claims."""

from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from core import words
from core.claims import CLAIMS, Verdict
from core.claims._drawn import sign
from core.claims.judge import NOT_MEASURED
from core.studies import MEASURES, Study, _drawn
from pages.ui import frame, parts, study_words, verdict_found, verdict_words
from pages.ui.study_known import Known

STYLE = """<style>
.lab-net{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1.6fr) minmax(0,1.5fr);gap:2px 20px;align-items:center}
.lab-net.wide{grid-template-columns:minmax(0,.8fr) minmax(0,1.5fr) 200px 104px minmax(0,.8fr)}
.lab-net b{font-size:15px;line-height:20px;font-weight:600;color:var(--lab-ink)}
.lab-net i,.lab-claim i{display:block;font-style:normal;font-size:13px;line-height:17px;color:var(--lab-muted)}
.lab-net em{font-style:normal;font-size:15px;line-height:20px;color:var(--lab-ink);white-space:nowrap}
.lab-net.back{opacity:.62}
.lab-claim{display:grid;grid-template-columns:132px minmax(0,1fr) 148px;gap:2px 20px;align-items:start;font-size:15px;line-height:20px;
color:var(--lab-ink)}
.lab-claim>:first-child{display:flex;gap:8px;align-items:center;font-size:13px;font-weight:600}
.lab-claim>:last-child{text-align:right}
.lab-sub,.lab-claim i{text-wrap:pretty}
.lab-ends{display:flex;justify-content:space-between;font-size:12px;line-height:16px;color:var(--lab-muted);padding:0 8px}
@media(max-width:640px){.lab-net,.lab-claim{grid-template-columns:minmax(0,1fr);padding-right:72px}
.lab-claim>:last-child{text-align:left}
.lab-net.wide{grid-template-columns:104px minmax(0,1fr)}
.lab-net.wide>:nth-child(-n+3){grid-column:1/-1}
.st-key-study_scale i{display:none}
.st-key-study_scale .lab-ends{width:200px}}
</style>"""
#: measures that a page of its own shows, by the page; what is not here is shown on Frequency
_PAGES = {"ape": "curvature", "ape_end": "curvature", "nep": "curvature", "gap": "robustness"}


def nets(study: Study, known: Known, busy: bool) -> None:
    """A row a net: its name, its ribbon, how far it is, the way to its pages; of some studies with its place on the scale."""
    wide, name = _drawn.in_rows(study), study.shows[0]
    scale = _drawn.reach(study, known.table) if wide else (0.0, 1.0)
    page = next((_PAGES[one] for one in study.shows if one in _PAGES), "frequency")
    query = {"show": "calibration"} if page == "robustness" else {}
    with st.container(gap=None, key="study_nets"):
        if wide:
            low, high = (words.plain(end, 1) for end in scale)
            ends = f"<span>{low}</span><span>{high}</span>" if known.nets[name].notna().any() else ""
            cells = f'<i>{study.axis}</i><i></i><div class="lab-ends">{ends}</div><i>{MEASURES[name].title}</i><i></i>'
            with st.container(horizontal=True, gap="small", key="study_scale"):
                st.html(f'<div class="lab-net wide">{cells}</div>')
                _link("", "", [])
        for place, (_, row) in enumerate(known.nets.iterrows()):
            own = known.table[(known.table["label"] == row["label"]) & (known.table["line"] == row["line"])]
            state = study_words.state(row, known.table, busy)
            cells = [f"<div>{_named(str(row['label']), row['line'], 'b')}</div>", f"<div>{parts.img(_drawn.drawn_net(row))}</div>"]
            value, _, spread = _drawn.written(row, name).replace(" (", "|").rstrip(")").partition("|")
            number = _named(value, spread, "em") if value else f"<i>{state}</i>"
            size = f"<i>{words.millions(row['parameters'])} parameters</i>"
            if wide:
                seeds = own[own[name].notna()][name].tolist()
                cells.append(f"<div>{parts.img(_drawn.strip(row, name, seeds, scale))}</div>")
                last = f"<b>{parts.rich(row['said'])}</b>" if row["said"] else f"<i>{state if value and state != 'ready' else ''}</i>"
                cells += [f"<div>{number}</div>", f"<div>{last}{size}</div>"]
            else:
                cells.append(f"<div><em>{state[0].upper()}{state[1:]}</em>{size}</div>")
            looks = f"lab-net{' wide' if wide else ''}{' back' if row['said'].startswith('taken back') else ''}"
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row_study_{place}"):
                st.html(f'<div class="{looks}">{"".join(cells)}</div>')
                _link("Open", page, own[own["state"].isin(["trained", "ready"])]["run"].tolist()[:4], **query)


def _link(label: str, page: str, runs: list[str], **query: Any) -> None:
    """The way to what is known of some nets, at the right end of a row; its room is kept where there is none."""
    with st.container(horizontal=True, horizontal_alignment="right", width=64):
        if runs and frame.exists(page):
            st.page_link(frame.PAGES / f"{page}.py", label=label, query_params={"m": runs, **query})
        else:
            st.html("<span></span>")


def _named(text: str, below: str, tag: str) -> str:
    return f"<{tag}>{parts.rich(text)}</{tag}>" + (f"<i>{parts.rich(below)}</i>" if below else "")


def claims(known: Known) -> None:
    """Sign, word, claim, reason, effect with its interval, the way to the evidence: a row a claim."""
    if not known.verdicts:
        return
    parts.h2("What the paper claims", "judged on these nets alone")
    with st.container(gap=None, key="study_claims"):
        for one in known.verdicts:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row_claim_{one.id}"):
                _claim(one, known)


def _claim(one: Verdict, known: Known) -> None:
    part, claim, mark = verdict_found.head(one), CLAIMS[one.id], sign(one.verdict)
    number = _named(verdict_words.effect(part), verdict_words.limits(part), "span") if part else ""
    why = "".join(f"<i>{parts.rich(line)}</i>" for line in _reason(one, known))
    st.html(
        f'<div class="lab-claim"><div>{parts.img(mark) if mark else ""}{one.verdict.capitalize()}</div>'
        f"<div>{parts.rich(claim.title)}<i>{one.id}: {parts.rich(claim.statistic)}.</i>{why}</div><div>{number}</div></div>"
    )
    page, _, query = one.evidence.partition("?")
    asked = parse_qs(query)
    _link("See it", page, asked.pop("m", []) if page != "train" else [], **asked)


def _reason(one: Verdict, known: Known) -> list[str]:
    """Why, statement by statement; commands are for the console, here the study makes what is missing."""
    said = study_words.statements(one)
    if one.verdict != NOT_MEASURED:
        return said
    if not known.done:
        return [*said, "Waits for nets that this study trains and measures."]
    return [*said, "The rest needs nets that are not in this size; Full has more."]
