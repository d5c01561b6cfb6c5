"""What stands where a figure would: empty, running, failed; and the guard that turns errors into plain words."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from core.chart import CSS
from core.errors import LabError
from core.ribbon import svg
from pages.ui import parts

_LOG = logging.getLogger("alterlab")

_DOTS = ((8, 70), (54, 54), (100, 60), (146, 40), (192, 46), (238, 26), (284, 34))


def _outline() -> str:
    """The pale outline of a figure to come."""
    line, wash = CSS["line"], CSS["wash"]
    path = "M8 70L54 54L100 60L146 40L192 46L238 26L284 34L312 18"
    dots = "".join(f'<rect x="{x - 6}" y="{y - 6}" width="12" height="12" rx="2"/>' for x, y in _DOTS)
    body = f'<path d="{path}" fill="none" stroke="{line}" stroke-width="2.4"/><g fill="{wash}" stroke="{line}">{dots}</g>'
    body += f'<path d="M0 92H320" stroke="{line}"/>'
    return f'<div style="margin-bottom:12px">{parts.img(svg(body, 320, 96))}</div>'


def empty(sentence: str = "", button: str = "", key: str = "", cost: str = "", outline: bool = True) -> bool:
    """The outline of the figure to come, a sentence, what it costs, and one button; True when it was pressed."""
    says = sentence or "**Not measured yet.**"
    with st.container(border=True, key=f"{key}_empty" if key else None):
        st.html(
            (_outline() if outline else "")
            + f'<div class="lab-sub" style="font-size:15px;color:var(--lab-ink)">{parts.rich(f"{says} {cost}".strip())}</div>'
        )
        return bool(button) and st.button(button, key=key, type="primary")


def running(text: str, share: float, key: str, stop: str = "Stop") -> bool:
    """Progress in words and a bar; True when Stop was pressed."""
    share = min(max(share, 0.0), 1.0)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            facts = f'role="progressbar" aria-valuenow="{round(share * 100)}" aria-valuemin="0" aria-valuemax="100"'
            bar = f'<div class="lab-bar" {facts}><i style="width:{share:.1%}"></i></div>'
            st.html(f'<div class="lab-sub" style="color:var(--lab-ink);margin-bottom:6px">{parts.rich(text)}</div>{bar}')
        return st.button(stop, key=key, type="tertiary")


def failed(title: str, text: str, reference: str = "", button: str = "", key: str = "") -> bool:
    """What happened, what is kept, one button that goes on; no red, no traceback."""
    more = f" Reference {reference} in the log." if reference else ""
    with st.container(border=True):
        st.html(
            f'<h2 class="lab-h2">{parts.rich(title)}</h2>'
            f'<div class="lab-sub" style="font-size:15px;margin-top:6px">{parts.rich(text + more)}</div>'
        )
        return bool(button) and st.button(button, key=key, type="primary")


def note(text: str, button: str = "", key: str = "", on_click: Callable | None = None, args: tuple = ()) -> None:
    """A hint in a quiet box, with one thing to do if there is one; **…** is bold."""
    if not button:
        st.html(f'<div class="lab-note">{parts.rich(text)}</div>')
        return
    with st.container(key=f"note_{key}", gap=None):
        st.html(f'<div class="lab-note">{parts.rich(text)}</div>')
        st.button(button, key=key, type="tertiary", on_click=on_click, args=args)


@contextmanager
def guard() -> Iterator[None]:
    """Turns a LabError into its sentence and anything else into a reference; the rest of the page goes on."""
    try:
        yield
    except LabError as error:
        failed("This could not be shown", str(error))
    except Exception:
        reference = secrets.token_hex(2)
        _LOG.exception("reference %s", reference)
        failed("Something unexpected went wrong", "Your nets and results are kept.", reference)
