"""Rows of claims: sign and word, claim and test, effect with its interval, what it stands on, the way to the evidence, and why."""

from collections.abc import Sequence
from html import escape
from urllib.parse import parse_qs, urlsplit

import streamlit as st

from core.chart import CSS
from core.claims import CLAIMS, Part, Verdict, _drawn
from core.claims.judge import NOT_MEASURED, SUPPORTED
from core.claims.noise import BETWEEN
from core.claims.paper import size
from core.ribbon import svg
from pages.ui import frame, parts, verdict_missing, verdict_words
from pages.ui.verdict_found import head
from pages.ui.verdict_missing import Step

#: px that the links at the end of a row take
LINKS = 108
STYLE = """<style>
.lab-claims{display:grid;grid-template-columns:112px minmax(0,1fr) 180px 144px;gap:2px 20px;align-items:center}
.lab-claims.strip{grid-template-columns:112px 88px minmax(0,1fr) 170px 136px}
.lab-claims.head{font-size:12px;line-height:16px;font-weight:600;color:var(--lab-muted);align-items:end;margin-right:%LINKS%px}
.lab-claims.head.strip{margin-right:62px}
.lab-claims .sign{display:flex;gap:8px;align-items:center;font-size:13px;line-height:18px;font-weight:600;color:var(--lab-ink)}
.lab-claims .sign img{flex:none}
.lab-claims .claim b{display:block;font-size:15px;line-height:20px;font-weight:600;color:var(--lab-ink);text-wrap:balance}
.lab-claims .claim span{display:block;font-size:13px;line-height:17px;color:var(--lab-muted);text-wrap:pretty}
.lab-claims .claim i{display:block;font-style:normal;font-size:13px;line-height:17px;color:var(--lab-ink2);margin-top:2px}
.lab-claims .effect{text-align:right;font-size:15px;line-height:20px;color:var(--lab-ink);white-space:nowrap}
.lab-claims .effect b{font-weight:650}
.lab-claims .effect small{display:block;font-size:13px;line-height:17px;color:var(--lab-muted)}
.lab-claims.strip .effect{font-size:14px;color:var(--lab-ink2)}
.lab-claims.strip{min-height:40px}
.lab-parts{display:grid;grid-template-columns:minmax(0,1.5fr) minmax(0,1fr) 180px 144px;gap:10px 20px;align-items:center;font-size:13px;
line-height:17px;color:var(--lab-ink2)}
.lab-parts b{font-weight:600;color:var(--lab-ink)}
.lab-parts span{display:block;color:var(--lab-muted)}
.lab-parts .effect{text-align:right;white-space:nowrap}
.lab-facts{display:grid;grid-template-columns:84px minmax(0,1fr);gap:3px 16px;margin:12px 0 2px!important;
padding:0!important;font-size:13px;line-height:18px}
.lab-facts dt,.lab-facts dd{margin:0!important;padding:0!important}
.lab-facts dt{color:var(--lab-muted)}
.lab-facts dd{margin:0;color:var(--lab-ink2)}
[class*="st-key-row_claim_"]{padding:8px 0}
[class*="st-key-why_claim_"]{background:var(--lab-card);border-radius:10px;padding:12px 16px;margin-bottom:12px}
[class*="st-key-todo_"]{border-top:1px solid var(--lab-line);padding-top:4px}
.lab-claims:not(.head)>.claim:nth-last-child(2){grid-column:span 2}
@media(max-width:640px){
.lab-claims.head{display:none}
.lab-claims,.lab-claims.strip{grid-template-columns:minmax(0,1fr) auto}
.lab-claims .sign,.lab-claims:not(.head)>.claim:nth-child(n){grid-column:1/-1}
.lab-claims .effect{grid-column:2}
.lab-claims .sign{min-height:28px}
.lab-claims.strip .mini{display:none}
.lab-parts{grid-template-columns:minmax(0,1fr) auto}
.lab-parts>:nth-child(4n+1),.lab-parts>:nth-child(4n+2){grid-column:1/-1}
[class*="st-key-row_claim_"]>:last-child{top:8px!important}
[class*="st-key-row_claim_"] [data-testid="stPageLink-NavLink"],[class*="st-key-row_claim_"] button{min-height:28px}
}
</style>""".replace("%LINKS%", str(LINKS + 16))


def legend(strip: bool = False) -> None:
    """The heads of the columns; over the drawings what their lines mean."""
    upright = f'<path d="M4 0V14" stroke="{CSS["faint"]}" stroke-width="1.4"'
    solid, dashed = svg(f"{upright}/>", 8, 14), svg(f'{upright} stroke-dasharray="2 3"/>', 8, 14)
    marks = ((solid, "no effect"), (dashed, "threshold"), (svg(_drawn.diamond(6, 7, 4.5), 12, 14), "paper"))
    key = "".join(f'<span style="display:inline-flex;gap:3px;align-items:center">{parts.img(mark)}{word}</span>' for mark, word in marks)
    key = f'<div style="display:flex;gap:10px;font-weight:400;white-space:nowrap">{key}</div>'
    last = '<div style="text-align:right">Effect here</div>' if strip else '<div style="text-align:right">Effect, 95 %</div>'
    cells = f"<div>Verdict</div>{'<div></div>' if strip else ''}<div>{'Claim' if strip else 'Claim and test'}</div>{key}{last}"
    st.html(f'<div class="lab-claims head{" strip" if strip else ""}">{cells}</div>')


def signed(verdict: str) -> str:
    """Sign and word of a verdict; a withdrawn claim has the word only."""
    mark, word = _drawn.sign(verdict), verdict.capitalize()
    quiet = "" if mark else ' style="font-weight:400;color:var(--lab-muted)"'
    return f'<div class="sign"{quiet}>{parts.img(mark) if mark else ""}{escape(word)}</div>'


def drawing(verdict: Verdict, width: float = _drawn.WIDE) -> str:
    """The effect of a claim beside no effect, threshold and paper."""
    return _part_drawn(verdict.id, head(verdict), verdict.verdict, verdict_words.spoken(verdict), width)


def _part_drawn(claim_id: str, part: Part | None, verdict: str, label: str, width: float = _drawn.WIDE) -> str:
    if part is None:
        return ""
    band, paper = BETWEEN if claim_id == "N2" else None, size(claim_id, part.title)
    found = _drawn.interval(part.effect, part.rule, verdict, paper=paper, band=band, label=label, width=width)
    return f"<div>{parts.img(found)}</div>"


def see(verdict: Verdict) -> None:
    """The link to the page that shows the evidence, with the very nets and settings."""
    place = urlsplit(verdict.evidence)
    if verdict.nets and place.path and frame.exists(place.path):
        st.page_link(frame.PAGES / f"{place.path}.py", label="See it", query_params=parse_qs(place.query))


def strip(verdict: Verdict, mini: str) -> None:
    """A headline claim with its picture, as Start shows it."""
    effect = verdict_words.plainly(verdict)
    cells = f'{signed(verdict.verdict)}<div class="mini">{parts.img(mini)}</div>'
    open_ = f"<span>{parts.rich(told)}</span>" if (told := verdict_words.shortly(verdict)) else ""
    cells += f'<div class="claim"><b>{escape(verdict_words.title(verdict.id))}</b>{open_}</div>{drawing(verdict, 170)}'
    if verdict.verdict == NOT_MEASURED:
        todo = verdict_missing.steps([verdict])
        effect = f"{verdict_missing.price(todo)} to {'measure' if all(step.ask for step in todo) else 'train'}" if todo else ""
    with st.container(horizontal=True, vertical_alignment="center", key=f"row_claim_{verdict.id}", gap="small"):
        st.html(f'<div class="lab-claims strip">{cells}<div class="effect">{parts.rich(effect)}</div></div>')
        with st.container(horizontal=True, width=46, gap=None, horizontal_alignment="right"):
            if verdict.effect is not None:
                see(verdict)
            else:
                st.page_link(frame.PAGES / "scorecard.py", label="Why", query_params={"claim": verdict.id})


def row(verdict: Verdict, todo: Sequence[Step], open_: bool, toggle) -> bool:
    """A claim as the scorecard shows it; `toggle` opens and closes its details.  True when Measure was pressed."""
    claim, part = CLAIMS[verdict.id], head(verdict)
    cells = signed(verdict.verdict)
    told = "" if verdict.verdict == SUPPORTED else f"<i>{parts.rich(_brief(verdict_words.why(verdict)))}</i>"
    cells += f'<div class="claim"><b>{escape(claim.title)}</b><span>{parts.rich(claim.statistic)}</span>{told}</div>'
    cells += drawing(verdict)
    can = verdict_missing.measurable(todo)
    if part is not None:
        lines = [f"<b>{parts.rich(verdict_words.effect(part))}</b>", verdict_words.limits(part), verdict_words.basis(verdict)]
        cells += f'<div class="effect">{lines[0]}{"".join(f"<small>{parts.rich(one)}</small>" for one in lines[1:])}</div>'
    else:
        known = verdict_missing.price(todo) if todo and verdict.verdict == NOT_MEASURED else ""
        cells += f'<div class="effect"><small>{parts.rich(known)}</small></div>'
    pressed = False
    with st.container(horizontal=True, vertical_alignment="center", key=f"row_claim_{verdict.id}", gap="small"):
        st.html(f'<div class="lab-claims">{cells}</div>')
        with st.container(horizontal=True, width=LINKS, gap="small", horizontal_alignment="right", vertical_alignment="center"):
            if verdict.verdict == NOT_MEASURED and can:
                pressed = st.button("Measure", key=f"measure_{verdict.id}", type="tertiary")
            elif verdict.effect is not None:
                see(verdict)
            st.button("Close" if open_ else "Why", key=f"toggle_{verdict.id}", type="tertiary", on_click=toggle, args=(verdict.id,))
    return pressed


def _brief(text: str, most: int = 150) -> str:
    """As many of its sentences as fit, at least one; the rest stands in the details."""
    if len(text) <= most:
        return text
    cut = max(text.rfind(mark, 0, most) for mark in (". ", "; "))
    return f"{text[: cut + 1] if cut > 0 else text[:most]}\u00a0…"


def details(verdict: Verdict, todo: Sequence[Step]) -> list[Step]:
    """All that is known of a claim: its statements with both sides, how it is judged, what is missing.  What was pressed."""
    claim = CLAIMS[verdict.id]
    with st.container(key=f"why_claim_{verdict.id}", gap="small"):
        if verdict.parts:
            st.html(f'<div class="lab-parts">{"".join(_statement(verdict, part) for part in verdict.parts)}</div>')
        facts = [("Test", claim.statistic), ("Expected", claim.expected), ("The paper", claim.paper), ("Supported if", claim.threshold)]
        facts += [("Threshold", claim.origin), ("Source", claim.source)]
        shown = "".join(f"<dt>{name}</dt><dd>{parts.rich(text)}</dd>" for name, text in facts if text)
        st.html(f'<dl class="lab-facts">{shown}</dl>')
        pressed = []
        if todo:
            parts.label("What would say more" if verdict.effect is not None else "What is missing")
        for number, step in enumerate(todo):
            with st.container(horizontal=True, vertical_alignment="center", key=f"todo_{verdict.id}_{number}"):
                st.html(f'<div class="lab-sub" style="color:var(--lab-ink)">{parts.rich(_step_said(step))}</div>')
                if step.open and st.button("Measure" if step.ask else "Train it", key=f"do_{verdict.id}_{number}", type="tertiary"):
                    pressed.append(step)
        if verdict.missing:
            st.code("\n".join(verdict.missing), language="bash", wrap_lines=True)
    return pressed


def _step_said(step: Step) -> str:
    kind = "" if step.ask else "Train "
    if step.under_way:
        return f"{kind}{step.title}: under way"
    return f"{kind}{step.title}: {step.refusal or verdict_missing.price([step])}"


def _statement(verdict: Verdict, part: Part) -> str:
    """One statement: what it is and why, its sides, its drawing, its numbers."""
    beside = "" if part.counted else "Beside it: "
    sides = "<br>".join(f"{escape(name)} <b>{verdict_words.number(value, '')}</b>" for name, value in part.sides.items())
    low_high, unit = verdict_words.limits(part), verdict_words.stands_on(part.effect.n, part.effect.of, part.seeds)
    label = f"effect {verdict_words.effect(part)}, 95 % {low_high}"
    return (
        f"<div><b>{escape(beside + part.title)}</b><span>{parts.rich(part.why)}</span></div><div>{sides}</div>"
        f"{_part_drawn(verdict.id, part, part.verdict, label)}"
        f'<div class="effect"><b>{parts.rich(verdict_words.effect(part))}</b><span>{low_high}</span><span>{unit}</span></div>'
    )
