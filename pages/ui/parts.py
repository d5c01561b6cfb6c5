"""The small parts of a page: heading, takeaway sentence, number, chip, link-like button."""

import base64
import re
from html import escape

import streamlit as st

from core import ribbon
from core.words import rich


def theme() -> str:
    """`light` or `dark`, as this reader sees the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


def spoken(text: str) -> str:
    """The same sentence without marks, for alt texts."""
    return text.replace("**", "")


def header(question: str, over: str = "") -> None:
    """The small section word and the page's question."""
    with st.container(gap=None):
        if over:
            st.html(f'<div class="lab-over">{escape(over)}</div>')
        st.title(question, anchor=False)


def take(text: str) -> None:
    """The takeaway: one sentence computed from the data, bold through **…**."""
    st.html(f'<p class="lab-take">{rich(text)}</p>')


def h2(title: str, small: str = "") -> None:
    """A second-level heading with an aside in grey."""
    aside = f"<small>{escape(small)}</small>" if small else ""
    st.html(f'<h2 class="lab-h2">{escape(title)}{aside}</h2>')


def sub(text: str) -> None:
    """A line of secondary text."""
    st.html(f'<div class="lab-sub">{rich(text)}</div>')


def label(text: str) -> None:
    """A small label above a group."""
    st.html(f'<div class="lab-label">{escape(text)}</div>')


def big(name: str, number: str, unit: str = "", below: str = "") -> None:
    """One large number with its name, unit and a line of context."""
    under = f'<div class="lab-sub">{rich(below)}</div>' if below else ""
    st.html(f'<div class="lab-label">{escape(name)}</div><div class="lab-big">{escape(number)} <small>{escape(unit)}</small></div>{under}')


def img(markup: str) -> str:
    """An SVG of core.ribbon as an image tag: Streamlit keeps no SVG in HTML.

    The image follows the page's light or dark scheme by itself; its label becomes the alt text.
    """
    said = re.search(r'aria-label="([^"]*)"', markup)
    width, height = re.search(r'width="([\d.]+)" height="([\d.]+)"', markup).groups()
    alone = markup.replace('style="', 'style="color-scheme:light dark;', 1)
    code = base64.b64encode(alone.encode()).decode()
    return f'<img class="lab-svg" src="data:image/svg+xml;base64,{code}" width="{width}" height="{height}" alt="{said[1] if said else ""}">'


def svg(markup: str) -> None:
    """Draws an SVG made by core.ribbon."""
    st.html(img(markup))


def chip_html(family: str, text: str, right: str = "") -> str:
    """One net: its mark, its name, a value at the right end."""
    value = f"<i>{escape(right)}</i>" if right else ""
    return f'<div class="lab-chip">{img(ribbon.family_icon(family, 15))}<span>{escape(text)}</span>{value}</div>'


def key(letters: dict[str, str]) -> None:
    """A line that explains marks: letter -> words."""
    items = "".join(
        f'<div class="lab-chip">{img(ribbon.icon(letter, 16))}<span class="lab-sub">{escape(words)}</span></div>'
        for letter, words in letters.items()
    )
    st.html(f'<div class="lab-key">{items}</div>')


def row(alignment: str = "center", key: str | None = None):
    """A horizontal group of controls that wraps on a narrow screen."""
    return st.container(horizontal=True, vertical_alignment=alignment, key=key)
