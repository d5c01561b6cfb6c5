"""Presentation mode: `?present=` in the address, which view of the deck is on screen, and what the page looks like then.

`present=here` shows the page in view, `present=3` the third view of the deck.  A view is opened as a fresh visitor would see its link:
what was chosen before on other pages does not reach it.
"""

import re
from collections.abc import Sequence

import streamlit as st

from core import deck
from pages.ui import address

#: the place in session state: None, 0 for the page in view, n for the n-th of the deck
_PLACE, _TURN = "presenting", "present_turn"
#: what outlives a turn: the net of Build and its undo
_KEPT = ("_frame", "arch", "arch_undo")
#: how much larger a chart's type is; how much taller its plot, unless that is higher than HIGHEST px already
TYPE, TALL, HIGHEST = 1.4, 1.3, 400

STYLE = """
[data-testid="stSidebar"],[data-testid="stExpandSidebarButton"],[data-testid="stHeader"]{display:none}
[data-testid="stMainBlockContainer"]{max-width:1480px;margin:0 auto;padding-top:28px!important;padding-bottom:96px!important}
[data-testid="stMain"] h1{font-size:42px;line-height:48px}
.lab-take{font-size:26px;line-height:35px;max-width:1160px}
.lab-over{font-size:17px;line-height:22px}
.lab-sub{font-size:17px;line-height:24px}
.lab-foot{font-size:15px;line-height:20px}
[data-testid="stMain"] :is([data-testid="stExpander"],[data-testid="stPopover"],[data-testid="stDownloadButton"],.lab-note,
[class*="st-key-note_"],.st-key-tour,.st-key-start_ways,.st-key-scorecard_offer),
[data-testid="stMain"] [data-testid="stElementContainer"]:is(:has([data-testid="stButtonGroup"]),:has([data-testid="stSelectbox"]),
:has([data-testid="stMultiSelect"]),:has([data-testid="stSlider"]),:has([data-testid="stNumberInput"]),:has([data-testid="stTextInput"]),
:has([data-testid="stCheckbox"])),
[data-testid="stMain"] [class*="_foot"] [class*="_link"]{display:none!important}
[data-testid="stMain"] :is([data-testid="stPageLink"],[data-testid="stButton"]){display:none}
.st-key-present_bar [data-testid="stButton"]{display:block!important}
/* one picture: what follows the row of panels, the surface, or the line under the first figure is folded away */
[data-testid="stLayoutWrapper"]:has(> * > [data-testid="stColumn"] [data-testid="stVegaLiteChart"])
~ [data-testid="stLayoutWrapper"]:has([data-testid="stVegaLiteChart"]),
.st-key-landscape_surface ~ :not(:has([class*="_foot"])),
[data-testid="stMain"] :has(> [class*="st-key-"][class*="_foot"]) ~ *,
[data-testid="stMainBlockContainer"] > * > :has([class*="st-key-"][class*="_foot"]) ~ *{display:none}
.st-key-present_bar{position:fixed;left:0;right:0;bottom:0;z-index:90;background:var(--lab-bg);border-top:1px solid var(--lab-line);
padding:8px 28px;flex-wrap:nowrap;justify-content:space-between}
.st-key-present_bar .lab-foot{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;text-align:center}
.st-key-present_quiet{display:none}
@media(min-width:1500px) and (min-height:900px){.lab-claims,.st-key-lesion_bars{zoom:1.25}}
@media(max-width:640px){
[data-testid="stMain"] h1{font-size:30px;line-height:36px}
.lab-take{font-size:20px;line-height:28px}
.st-key-present_bar{padding:6px 12px}
.st-key-present_bar kbd{display:none}
}
"""


def place() -> int | None:
    """Which view of the deck is on screen, from 1; 0 for a page outside of it; None while nothing is presented."""
    return st.session_state.get(_PLACE)


def on() -> bool:
    """Whether this visit presents."""
    return place() is not None


def take(count: int) -> None:
    """What a link brings: `here`, or a place in a deck of `count` views.  Anything else is ignored and leaves the address."""
    for given in address.brought("present")[:1]:
        if given == "here":
            st.session_state[_PLACE] = 0
        elif re.fullmatch("[1-9][0-9]?", given, re.ASCII) and int(given) <= count:
            st.session_state[_PLACE] = int(given)
    now = place()
    if now is not None and now > count:  # the deck became shorter
        st.session_state[_PLACE] = now = 0
    address.write("present", [] if now is None else [str(now or "here")])


def start() -> None:
    """Presents the page in view; for callbacks."""
    st.session_state[_PLACE] = 0
    address.moved("present")


def leave() -> None:
    """Back to the page as it is worked with; for callbacks."""
    st.session_state[_PLACE] = None
    address.moved("present")


def turn(links: Sequence[str], to: int) -> None:
    """To the view `to` (from 1) of the deck; for callbacks.  Beyond an end nothing happens."""
    if not 1 <= to <= len(links):
        return
    for key in [key for key in st.session_state if key not in _KEPT]:
        del st.session_state[key]
    st.session_state[_PLACE] = to
    st.session_state[_TURN] = links[to - 1]


def turned() -> tuple[str, dict[str, list[str]]] | None:
    """Page and parameters of the view that was turned to in this run, once."""
    link = st.session_state.pop(_TURN, "")
    if not link:
        return None
    page, query = deck.parted(link)
    return page, {**query, "present": [str(place())]}
