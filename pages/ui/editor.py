"""The editable ribbon and the option cards: two components and what their presses do to the net.

Everything a component sends is checked here: a unit must be in the net, a letter must be a kind, and a change must
give a net that can be built.  The same changes are open to the native controls of pages/ui/twin.py.
"""

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

import streamlit as st

from core import edit, ribbon
from core.edit import choices, refusal, set_unit
from core.errors import LabError
from core.spec import BLOCKS, WORDS, Architecture, Unit, layout
from pages.ui import pickers, tour
from pages.ui.stage_view import stage_view

_JS = Path(__file__).parent / "js"
_RIBBON_CSS = """:host{display:block}
svg{display:block;overflow:visible;font-family:var(--st-font)}
.unit{cursor:pointer;outline:none}
.unit.locked{cursor:help}
.ring,.tail{visibility:hidden}
.unit:hover .ring{visibility:visible;stroke:var(--lab-faint)}
.unit.focused .ring,.unit.focused .tail{visibility:visible;stroke:var(--lab-ink)}
.unit:focus-visible .ring{visibility:visible;stroke:var(--lab-ink);stroke-width:3}
.said{display:none;font:400 13px/18px var(--st-font);color:var(--lab-muted);margin-top:4px}
.small .unit{cursor:default}
.small+.said{display:block}
"""
_SAID = "On a narrow screen the ribbon is for looking. Change units under “The same with plain controls”."
_RIBBON = st.components.v2.component(
    "lab_ribbon",
    html=f'<div class="box"></div><div class="said">{_SAID}</div>',
    css=_RIBBON_CSS,
    js=(_JS / "ribbon.js").read_text(encoding="utf-8"),
)
_OPTIONS_CSS = """:host{display:block}
.box{display:grid;grid-template-columns:repeat(auto-fill,minmax(176px,1fr));gap:10px}
button{all:unset;box-sizing:border-box;display:flex;gap:12px;align-items:center;min-height:56px;padding:7px 12px;cursor:pointer;
border:1px solid var(--lab-line);border-radius:9px;font:400 15px/19px var(--st-font);color:var(--lab-ink);background:var(--lab-bg)}
button:hover{border-color:var(--lab-faint)}
button:focus-visible{outline:2px solid var(--lab-ink);outline-offset:2px}
button[aria-pressed=true]{border:2px solid var(--lab-ink);padding:6px 11px}
button[aria-disabled=true]{border-style:dashed;cursor:help;color:var(--lab-ink2)}
svg{flex:none}
small{display:block;font-size:13px;line-height:17px;color:var(--lab-muted)}
@media(max-width:640px){.box{grid-template-columns:1fr 1fr;gap:8px}}
"""
_OPTIONS = st.components.v2.component(
    "lab_options", html='<div class="box" role="group"></div>', css=_OPTIONS_CSS, js=(_JS / "options.js").read_text(encoding="utf-8")
)
#: the kinds offered as cards, in order; forms of conv stand behind the one the net uses
_CARDS = ("c", "m", "w", "l", "x", "t", "p", "o")


def place(arch: Architecture, unit: str) -> tuple[int, int]:
    """(stage, unit) of a focused unit that is in the net, else of its last unit.  Never trusts the text."""
    stage, _, index = unit[1:].partition("u")
    known = {(i, j) for i, held in enumerate(arch.stages, 1) for j in range(1, len(held.letters) + 1)}
    if unit[:1] == "s" and stage.isdecimal() and index.isdecimal() and (int(stage), int(index)) in known:
        return int(stage), int(index)
    return len(arch.stages), len(arch.stages[-1].letters)


def change(arch: Architecture) -> None:
    """Makes a net the current one; a refusal is kept to be said on the page."""
    pickers.set_arch(arch.notation)
    st.session_state.pop("build_refused", None)


def put(stage: int, index: int, letter: str) -> None:
    """One unit of another kind, if the slot takes it."""
    arch = pickers.arch()
    try:
        layout(new := set_unit(arch, stage, index, letter), st.session_state.get("build_size", 32))
        change(new)
    except LabError as error:
        st.session_state["build_refused"] = str(error)
    else:
        if new != arch:
            tour.did("build")


def flip(unit: str) -> None:
    """What a click does: Conv becomes MSA and back; where that cannot be, the reason is kept."""
    arch = pickers.arch()
    stage, index = place(arch, unit)
    try:
        change(edit.flipped(arch, st.session_state.get("build_size", 32), stage, index))
    except LabError as error:
        st.session_state["build_refused"] = str(error)
    else:
        tour.did("build")


def _act(key: str) -> None:
    act = st.session_state.get(key, {}).get("act")
    if not isinstance(act, dict):
        return
    unit = str(act.get("unit", ""))[:12]
    st.session_state.pop("build_refused", None)
    if act.get("do") == "undo":
        pickers.undo()
        return
    stage, index = place(pickers.arch(), unit)
    pickers.set_focus(f"s{stage}u{index}")
    if act.get("do") == "flip":
        flip(unit)
    elif act.get("do") == "set" and act.get("letter") in BLOCKS:
        put(stage, index, act["letter"])


def editable(
    arch: Architecture, image_size: int, ends: tuple[tuple[str, str], tuple[str, str]], ghost: Sequence[Unit], ghost_title: str
) -> None:
    """The ribbon of the net, to click and to drive with the keyboard."""
    slots = layout(arch, image_size)
    notes, locked = _clicks(arch, image_size)
    drawing = stage_view(slots, ends=ends, ghost=ghost, ghost_title=ghost_title, notes=notes, locked=locked)
    _RIBBON(key="ribbon", data={"svg": drawing, "focus": pickers.focus()}, on_act_change=lambda: _act("ribbon"), height="content")


@lru_cache(maxsize=32)
def _clicks(arch: Architecture, image_size: int) -> tuple[dict[str, str], list[str]]:
    """What a press on each unit does, in words, and the units that stay as they are."""
    notes, locked = {}, []
    for slot in layout(arch, image_size):
        letter = edit.flip_letter(arch, image_size, slot.stage, slot.index)
        why = refusal(arch, image_size, slot.stage, slot.index, letter)
        notes[slot.id] = f"Stays as it is: {why}" if why else f"Press to make it {WORDS[letter]}"
        if why:
            locked.append(slot.id)
    return notes, locked


def options(arch: Architecture, image_size: int, stage: int, index: int) -> None:
    """A card for each kind the focused unit could be; a refused kind says why."""
    slot = next(s for s in layout(arch, image_size) if (s.stage, s.index) == (stage, index))
    allowed = choices(arch, image_size, stage, index)
    letters = list(dict.fromkeys((edit.conv_letter(arch), *_CARDS, *("g" if stage > 1 and index == 1 else ""))))
    letters = [x for x in letters if x != "c" or edit.conv_letter(arch) == "c"]
    if slot.letter not in letters:
        letters.insert(0, slot.letter)
    cards = "".join(_card(arch, slot, letter, allowed[letter]) for letter in letters)
    unit = f"s{stage}u{index}"
    _OPTIONS(key="options", data={"html": cards, "unit": unit}, on_act_change=lambda: _act("options"), height="content")


def _card(arch: Architecture, slot: Unit, letter: str, refusal: str) -> str:
    pressed, says = letter == slot.letter, refusal and short(refusal)
    icon = ribbon.icon(letter, 28, state="refused" if refusal else "")
    state = f'aria-pressed="{str(pressed).lower()}" aria-disabled="{str(bool(refusal)).lower()}"'
    text = f"<span>{escape(WORDS[letter])}<small>{escape(says or what(arch, slot, letter))}</small></span>"
    return f'<button type="button" data-letter="{letter}" {state} title="{escape(refusal)}">{icon}{text}</button>'


def what(arch: Architecture, slot: Unit, letter: str) -> str:
    """What a kind would be in this slot, in a few words."""
    stage = arch.stages[slot.stage - 1]
    heads = f"{stage.heads} head{'s' if stage.heads > 1 else ''}"
    window = min(stage.window, slot.side)
    return {
        "c": "3×3, fixed weights", "b": "1×1, 3×3, 1×1", "d": f"{stage.kernel}×{stage.kernel}, one channel each",
        "m": f"whole map, {heads}", "w": f"{window}×{window} window, {heads}", "s": f"{window}×{window}, shifted",
        "l": f"{min(stage.kernel, slot.side)}×{min(stage.kernel, slot.side)} around, {heads}", "x": "whole map, fixed",
        "t": "one position", "p": "a fixed blur", "g": "merges 2×2", "o": "the slot stays empty",
    }[letter]  # fmt: skip


def short(refusal: str) -> str:
    """The reason as it fits on a card; the whole sentence is its tooltip."""
    first = refusal.split(". ")[0].rstrip(".")
    if "halves the map" in first:
        return "cannot halve the map"
    if "cannot widen" in first:
        return "cannot widen the map"
    _, colon, rest = first.partition(": ")
    return rest if colon else first.partition(" is ")[2] or first


def head_words(arch: Architecture, classes: int) -> tuple[str, str]:
    """The words at the right end of the ribbon."""
    return "Class", f"{arch.head.upper()}, {classes}"


def refused() -> str:
    """The last refusal, said once under the ribbon."""
    return st.session_state.get("build_refused", "")
