"""Plain controls that do all that the ribbon does, and the settings that a ribbon cannot show.

They are ordinary widgets: they work with a keyboard, a screen reader, a phone, and in tests.
"""

from collections.abc import Callable

import streamlit as st

from core import edit
from core.edit import choices
from core.errors import LabError
from core.spec import BLOCKS, STEMS, WORDS, Architecture
from pages.ui import editor, parts, pickers

_POS = {"rel": "relative, in every MSA", "abs": "a table after the stem", "none": "none"}
_MSA = {"prenorm": "pre-norm (ViT)", "bottleneck": "bottleneck (AlterNet)"}
_HEAD = {"gap": "mean over the map (GAP)", "cls": "class token (CLS)"}


def units(arch: Architecture, image_size: int, stage: int, index: int) -> None:
    """One segmented control per stage picks the unit; a select gives it a kind."""
    for number, held in enumerate(arch.stages, 1):
        key = f"twin_stage_{number}"
        places = list(range(1, len(held.letters) + 1))
        st.session_state[key] = index if number == stage else None
        st.segmented_control(
            f"Stage {number}",
            places,
            format_func=lambda j, letters=held.letters: f"{j} {WORDS[letters[j - 1]]}" if j <= len(letters) else str(j),
            key=key,
            on_change=_pick,
            args=(number,),
            wrap=True,
        )
    refusals = choices(arch, image_size, stage, index)
    now = arch.stages[stage - 1].letters[index - 1]
    kinds = [letter for letter in BLOCKS if not refusals[letter] or letter == now]
    st.session_state["twin_kind"] = now
    st.selectbox(
        f"Stage {stage}, unit {index} is", kinds, format_func=lambda x: WORDS[x], key="twin_kind", on_change=_kind, args=(stage, index)
    )


def _pick(stage: int) -> None:
    index = st.session_state[f"twin_stage_{stage}"]
    if index:
        pickers.set_focus(f"s{stage}u{index}")


def _kind(stage: int, index: int) -> None:
    editor.put(stage, index, st.session_state["twin_kind"])


def settings(arch: Architecture, image_size: int) -> None:
    """Depth, width, heads, window of each stage; stem, head, positions and the form of MSA of the net."""
    for number, held in enumerate(arch.stages, 1):
        parts.label(f"Stage {number}")
        with st.container(horizontal=True):
            _number("Units", f"set_depth_{number}", len(held.letters), 1, 64, 1, lambda v, n=number: edit.resized(pickers.arch(), n, v))
            _number("Channels", f"set_width_{number}", held.width, 8, 4096, 8, lambda v, n=number: _widened(n, v))
            _number("Heads", f"set_heads_{number}", held.heads, 1, 64, 1, lambda v, n=number: edit.with_stage(pickers.arch(), n, heads=v))
            _number(
                "Window", f"set_window_{number}", held.window, 2, 64, 1, lambda v, n=number: edit.with_stage(pickers.arch(), n, window=v)
            )
            _number(
                "Kernel", f"set_kernel_{number}", held.kernel, 2, 31, 1, lambda v, n=number: edit.with_stage(pickers.arch(), n, kernel=v)
            )
    parts.label("Whole net")
    with st.container(horizontal=True):
        _choice("Stem", "set_stem", arch.stem, {name: stem.words for name, stem in STEMS.items()})
        _choice("Head", "set_head", arch.head, _HEAD)
        _choice("Positions", "set_pos", arch.pos, _POS)
        _choice("Form of MSA", "set_msa", arch.msa, _MSA)


def _widened(stage: int, width: int) -> Architecture:
    """Another width keeps 32 channels a head where that divides."""
    heads = max(1, width // 32)
    return edit.with_stage(pickers.arch(), stage, width=width, heads=heads if width % heads == 0 else 1)


def _number(label: str, key: str, value: int, low: int, high: int, step: int, make: Callable[[int], Architecture]) -> None:
    st.session_state[key] = value
    st.number_input(label, low, high, step=step, key=key, on_change=_apply, args=(key, make), width=132)


def _choice(label: str, key: str, value: str, words: dict[str, str]) -> None:
    st.session_state[key] = value
    name = key.removeprefix("set_")
    st.selectbox(
        label, list(words), format_func=lambda x: words.get(x, x), key=key, on_change=_apply,
        args=(key, lambda v: edit.with_option(pickers.arch(), **{name: v})), width=222,
    )  # fmt: skip


def _apply(key: str, make: Callable) -> None:
    try:
        editor.change(make(st.session_state[key]))
    except LabError as error:
        st.session_state["build_refused"] = str(error)
