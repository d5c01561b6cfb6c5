"""Help, in a drawer at the right: what every word, method and claim means, and every key that works."""

from html import escape

import streamlit as st

from core.words import rich
from pages.ui import help_entries, help_keys
from pages.ui.help_entries import ANSWERS, Entry

_STYLE = """<style>
.lab-gloss{font-size:14px;line-height:20px;color:var(--lab-ink2)}
.lab-gloss h3{font-size:12px;line-height:16px;font-weight:600;color:var(--lab-muted);margin:18px 0 4px;padding:0;letter-spacing:0}
.lab-gloss h3:first-child{margin-top:4px}
.lab-gloss details{border-top:1px solid var(--lab-line)}
.lab-gloss details:last-of-type{border-bottom:1px solid var(--lab-line)}
.lab-gloss summary{cursor:pointer;padding:6px 22px 6px 0;min-height:24px;position:relative;list-style:none;
color:var(--lab-ink);font-size:15px}
.lab-gloss summary::-webkit-details-marker{display:none}
.lab-gloss summary::after{content:"";position:absolute;right:5px;top:13px;width:6px;height:6px;border:solid var(--lab-muted);
border-width:0 1.5px 1.5px 0;transform:rotate(45deg)}
.lab-gloss details[open] summary::after{transform:translateY(3px) rotate(225deg)}
.lab-gloss summary:focus-visible{outline:2px solid var(--lab-ink);outline-offset:2px;border-radius:3px}
.lab-gloss summary b{font-weight:600}
.lab-gloss small{font-size:13px;color:var(--lab-muted);margin-left:8px}
.lab-gloss dl{margin:0 0 12px!important;padding:0!important}
.lab-gloss dt{font-size:12px;line-height:16px;font-weight:600;color:var(--lab-muted);margin:8px 0 1px!important;padding:0!important}
.lab-gloss dt:first-child{margin-top:0!important}
.lab-gloss dd{margin:0!important;padding:0!important;overflow-wrap:anywhere}
.lab-gloss .fig{font-size:13px;color:var(--lab-muted);margin-top:8px}
.lab-gloss article{border:1px solid var(--lab-line);border-radius:10px;background:var(--lab-card);padding:12px 16px 4px;margin:4px 0 8px}
.lab-gloss article h4{font-size:16px;line-height:22px;font-weight:650;color:var(--lab-ink);margin:0 0 8px;padding:0}
.lab-gloss article h4 small{display:block;margin:0;font-weight:400;line-height:18px}
.lab-keys{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0;font-size:14px;line-height:20px;color:var(--lab-ink2);margin:0}
.lab-keys h3{grid-column:1/-1;font-size:15px;line-height:20px;font-weight:650;color:var(--lab-ink);margin:18px 0 4px;padding:0;
letter-spacing:0}
.lab-keys h3:first-child{margin-top:4px}
.lab-keys h3 small{font-size:13px;font-weight:400;color:var(--lab-muted);margin-left:8px}
.lab-keys span{border-top:1px solid var(--lab-line);padding:5px 0}
.lab-keys .k{text-align:right;padding-left:16px;color:var(--lab-muted);font-size:13px}
.lab-keys kbd{font:500 12px/16px var(--st-font,inherit);color:var(--lab-ink);background:var(--lab-wash);border:1px solid var(--lab-line);
border-radius:4px;padding:1px 6px;margin:0 1px;white-space:nowrap;display:inline-block}
</style>"""


@st.dialog("Help", position="right", width=560)
def drawer(stem: str, titles: dict[str, str]) -> None:
    """The drawer on the page `stem`; `titles` are the pages by stem, in their order."""
    words, keys = st.tabs(["Words and measures", "Keyboard"], key="help_tab")
    with words:
        known = {one.id: one for _, group in help_entries.sections(stem) for one in group}
        chosen = st.selectbox(
            "Find a word, a measure, a method or a claim", list(known), index=None, format_func=lambda key: said(known[key]),
            placeholder="Type a part of it", filter_mode="contains", key="help_find",
        )  # fmt: skip
        if chosen in known:
            st.html(f'<div class="lab-gloss" role="status">{card(known[chosen])}</div>')
        st.html(f'<div class="lab-gloss">{listed(stem)}</div>')
    with keys:
        st.html(f'<div class="lab-keys">{keyboard(stem, titles)}</div>')
    st.html(_STYLE)


def said(entry: Entry) -> str:
    """An entry as it stands in the list to choose from; no two alike."""
    kind = help_entries.GROUPS[entry.group].removesuffix("s").lower()
    same = sum(other.title == entry.title for other in help_entries.entries().values())
    more = f" · {entry.name}" if entry.name else f" · {entry.id.partition(':')[2].replace('_', ' ')}" if same > 1 else ""
    return f"{entry.title}{more} ({kind})" if entry.group != "word" else f"{entry.title}{more}"


def card(entry: Entry) -> str:
    """The chosen entry, open."""
    name = f"<small>{escape(entry.name)}</small>" if entry.name else ""
    return f"<article><h4>{escape(entry.title)}{name}</h4>{answers(entry)}</article>"


def listed(stem: str) -> str:
    """All entries, closed; those of the page first."""
    html = []
    for title, group in help_entries.sections(stem):
        html.append(f"<h3>{escape(title)}</h3>")
        for one in group:
            name = f"<small>{escape(one.name)}</small>" if one.name else ""
            html.append(f"<details><summary><b>{escape(one.title)}</b>{name}</summary>{answers(one)}</details>")
    return "".join(html)


def answers(entry: Entry) -> str:
    """What an entry says; a word has one answer and needs no heading."""
    if set(entry.answers) == {"what"}:
        body = f"<dd>{rich(entry.answers['what'])}</dd>"
    else:
        body = "".join(f"<dt>{ANSWERS[key]}</dt><dd>{rich(text.replace('`', ''))}</dd>" for key, text in entry.answers.items())
    figure = f'<dd class="fig">In the paper: {escape(entry.figure)}</dd>' if entry.figure else ""
    return f"<dl>{body}{figure}</dl>"


def keyboard(stem: str, titles: dict[str, str]) -> str:
    """The keys: everywhere, then those of the page in view, then the other pages in their order, then of a presentation."""
    groups: dict[tuple[str, str], list[help_keys.Press]] = {}
    for press in help_keys.KEYS:
        groups.setdefault((press.page, press.part), []).append(press)
    order = ["", stem, *titles, "present"]
    html = []
    for (page, part), presses in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        title = titles.get(page) or {"": "Everywhere", "present": "While presenting"}[page]
        html.append(f"<h3>{escape(title)}{f'<small>on {escape(part)}</small>' if part else ''}</h3>")
        for press in presses:
            keys = " or ".join(
                " + ".join(f"<kbd>{escape(sign)}</kbd>" for sign in help_keys.written(key)) for key in press.keys
            )  # fmt: skip
            html.append(f'<span>{escape(press.does)}</span><span class="k">{keys}</span>')
    return "".join(html)
