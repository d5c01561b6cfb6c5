"""What if this block were attention: the net as a ribbon of units, changed by click, its size and cost live."""

from pages.ui import frame

frame.require()

from functools import partial

import streamlit as st

from core import cost, data, edit, exports, presets, recipe, rule, snippet, words
from core.errors import LabError
from core.size import count
from core.spec import Architecture, layout
from pages.ui import add_net, added_nets, editor, parts, pickers, states, twin
from pages.ui.copylink import copy_link

#: shown in the row; the others stand behind "More"
_ROW = {
    "resnet-mini": "ResNet",
    "vit-mini": "ViT",
    "alternet-mini": "AlterNet",
    "alternet-reversed-mini": "Reversed",
    "swin-mini": "Swin",
}


#: sizes at which a net is drawn if it does not fit the chosen images
_SIZES = (32, 224, 512)


def _refusal(arch: Architecture, size: int, classes: int) -> str:
    """Why a net cannot be built for images of this size, or nothing."""
    try:
        count(arch, size, classes)
    except LabError as error:
        return str(error)
    return ""


def _base(arch: Architecture) -> str:
    """The preset that the net is compared with: the one it was started from while the stages are the same, else the nearest."""
    chosen = st.session_state.get("build_base", "")
    if chosen in presets.PRESETS and edit.changed(arch, presets.resolve(chosen)) is not None:
        return chosen
    return edit.nearest_preset(arch)


def _start_from(preset: str = "") -> None:
    preset = preset or st.session_state["build_from"]
    if preset in presets.PRESETS:
        st.session_state["build_base"] = preset
        editor.change(presets.resolve(preset))


def _paste() -> None:
    try:
        editor.change(presets.resolve(st.session_state["build_notation"].strip()))
        st.session_state["build_base"] = ""
    except LabError as error:
        st.session_state["build_refused"] = str(error)


def _controls(base: str, fits: bool) -> None:
    with parts.row():
        if base in _ROW:
            st.session_state["build_from"] = base
        else:
            st.session_state["build_from"] = None
        with st.container(horizontal=True, vertical_alignment="center", width="stretch", gap="small"):
            st.segmented_control(
                "Start from",
                list(_ROW),
                format_func=_ROW.get,
                key="build_from",
                on_change=_start_from,
                label_visibility="collapsed",
                required=bool(base in _ROW),
            )
            with st.popover("More", type="tertiary"):
                for preset in presets.PRESETS.values():
                    if preset.id not in _ROW:
                        st.button(
                            preset.title,
                            key=f"more_{preset.id}",
                            help=preset.note,
                            on_click=_start_from,
                            args=(preset.id,),
                            type="tertiary",
                        )
            st.button("Add a net", key="build_add", type="tertiary", on_click=add_net.ask, help="One from elsewhere, by its name or file")
        with st.container(horizontal=True, vertical_alignment="center", width="content", gap="medium"):
            st.button("Undo", key="build_undo", on_click=pickers.undo, type="tertiary", disabled=not st.session_state.get("arch_undo"))
            copy_link("build_link")
            if st.button("Show as code", key="build_code", type="tertiary", disabled=not fits):
                _code(pickers.arch())


@st.dialog("This net as a program", width="large")
def _code(arch: Architecture) -> None:
    """The net in plain PyTorch or with timm, its trained weights under the same names, and the same by command."""
    size, classes = st.session_state["build_size"], st.session_state["build_classes"]
    texts = {"PyTorch": snippet.plain(arch, size, classes), "timm": snippet.with_timm(arch, size, classes)}
    known = [name for name, text in texts.items() if text]
    st.html('<div class="lab-sub">The same net without the lab: its weights fit as they are, and the answers are the same.</div>')
    for name, place in zip(known, st.tabs(known), strict=True):
        with place:
            st.code(texts[name], language="python", height=380)
            st.download_button("net.py", texts[name], "net.py", "text/x-python", key=f"code_{name.lower()}", on_click="ignore")
    for run in pickers.finished():
        if (run.arch, run.image_size, run.classes) == (arch.notation, size, classes):
            st.download_button(
                f"Weights of {pickers.title(run)}, trained on {pickers.set_title(run.data)}", partial(exports.safetensors, run.id),
                f"{run.id}.safetensors", "application/octet-stream", key=f"code_weights_{run.id}", on_click="ignore", type="tertiary",
                help="safetensors, fp32, under the names of this program",
            )  # fmt: skip
    with st.expander("With the lab installed"):
        st.code(
            "from core.models import build\nfrom core.presets import resolve\n\n"
            f'net = build(resolve("{arch.notation}"), image_size={size}, classes={classes})',
            language="python",
        )
        st.code(
            f'python -m core describe "{arch.notation}" --image-size {size} --classes {classes} --code\n'
            f'python -m core train --arch "{arch.notation}" --data {pickers.images()} --recipe quick\n'
            "python -m core export RUN --to . --format safetensors",
            language="bash",
        )


def _hint(arch: Architecture, size: int) -> None:
    found = rule.hint(arch, size)
    if found is None:
        return
    sentence = f"**{found.title}** {found.text}"
    if found.after is None:
        states.note(sentence)
    else:
        states.note(sentence, found.action, "build_rule", editor.change, (found.after,))


def _notation(arch: Architecture) -> None:
    # the text is the reader's while it is being mended: it is only rewritten when the net changed, or the page was left
    if st.session_state.get("build_notation_of") != arch.notation or "build_notation" not in st.session_state:
        st.session_state["build_notation"] = st.session_state["build_notation_of"] = arch.notation
    st.text_input(
        "Notation",
        key="build_notation",
        on_change=_paste,
        max_chars=512,
        help="The same net as text: one letter a unit, stages parted by dashes. Paste one here.",
    )


def _numbers(arch: Architecture, base: str, size: int, classes: int) -> None:
    now = count(arch, size, classes)
    title = presets.PRESETS[base].title if base else ""
    before = presets.resolve(base) if base else arch
    then = count(before, size, classes) if before != arch and not _refusal(before, size, classes) else None
    more = f"{words.signed((now['parameters'] - then['parameters']) / 1e6)} M against {title}" if then else ""
    parts.big("Weights", *words.millions(now["parameters"]).split(" "), below=more)
    less = f"{words.signed((now['flops'] - then['flops']) / 1e6, 1)} MFLOP against {title}" if then else ""
    parts.big("Work per image", words.mflop(now["flops"]), "MFLOP", below=less)
    chosen, epochs = data.get(pickers.images()), recipe.RECIPES["quick"].total_epochs
    speed = cost.train_speed(arch, size)
    context = f"{epochs} epochs of {words.count(chosen.train_n)} images"
    if speed is None:
        parts.big("Time to train", words.NOTHING, below=f"{context}; no run has been timed here yet")
    else:
        images_per_s, source = speed
        seconds = epochs * chosen.train_n / images_per_s
        parts.big("Time to train", *words.duration(seconds).split(" ", 1), below=f"{context}, {source}")
    if st.button("Train this net", key="build_train", type="primary", width="stretch"):
        frame.go("train", arch=arch.notation)


def _page() -> None:
    chosen, arch = data.get(pickers.images()), pickers.arch()
    size, classes = chosen.image_size, len(chosen.classes)
    base = _base(arch)
    parts.header("What if this block were attention?", over="Make")
    refusal, fits = "", True
    if why := _refusal(arch, size, classes):
        others = (presets.PRESETS[base].image_size if base else 32, *_SIZES)
        other = next((s for s in others if not _refusal(arch, s, classes)), 0)
        shown = f"It is drawn for {other}×{other} pixels." if other else "Mend it under **Notation**, or start from another net."
        refusal = f"**This net does not fit {chosen.title} at {size}×{size}.** {why} {shown}"
        size, fits = other or size, bool(other)
    st.session_state["build_size"], st.session_state["build_classes"] = size, classes
    parts.take(edit.difference(arch, presets.resolve(base or pickers.DEFAULT_ARCH), presets.PRESETS[base or pickers.DEFAULT_ARCH].title))
    for sentence in (pickers.arch_error() and f"**The net in this link cannot be built.** {pickers.arch_error()}", refusal):
        if sentence:
            states.note(sentence)
    added_nets.watch()
    added_nets.news()
    _controls(base, fits)
    if not fits:
        if editor.refused():
            states.note(f"**Not changed.** {editor.refused()}")
        _notation(arch)
        return
    stage, index = editor.place(arch, pickers.focus())
    pickers.set_focus(f"s{stage}u{index}")
    title = next((short for preset, short in _ROW.items() if preset == base), presets.PRESETS[base].title if base else "")
    ghost = layout(presets.resolve(base), size) if base and not _refusal(presets.resolve(base), size, classes) else ()
    channels = f"{size}×{size}×{chosen.channels}"
    editor.editable(arch, size, (("Image", channels), editor.head_words(arch, classes)), ghost, title)
    left, right = st.columns([588, 300], gap="large")
    with left, st.container(key="build_left"):
        parts.h2(f"Stage {stage}, unit {index}", "click a unit, or use the arrow keys and Space")
        editor.options(arch, size, stage, index)
        if editor.refused():
            states.note(f"**Not changed.** {editor.refused()}")
        _hint(arch, size)
        _notation(arch)
        with st.container(key="build_twin"), st.expander("The same with plain controls :gray[Pick a unit in its stage, then its kind.]"):
            twin.units(arch, size, stage, index)
        with st.expander("Depth, widths, heads, windows, stem and head :gray[One row per stage.]"):
            twin.settings(arch, size)
    with right:
        _numbers(arch, base, size, classes)


def _elsewhere() -> None:
    """Imports that run or stopped are told above the net; all nets that came from elsewhere stand below it."""
    with states.guard():
        added_nets.sweep()
        added_nets.shelf()
    add_net.dialog()


with states.guard():
    _page()
_elsewhere()
