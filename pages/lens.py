"""What does each net see in this image?  One image through a filter of frequencies, with the answers of all nets on stage, live."""

from pages.ui import frame

frame.require()

import base64
import inspect
import io as bytes_io
from typing import Any

import numpy as np
import streamlit as st

from core import data, io, live, words
from core.errors import LabError
from core.frames import KEPT, LONGEST_QUESTION
from core.metrics import lens
from core.run import Run
from pages.ui import address, figure, focus, lens_upload, lens_view, lens_words, measured, parts, pickers, states, tour
from pages.ui.lens_view import Lane, View

QUESTION = "What does each net see in this image?"
SOURCES = {"sample": "Sample", "upload": "Upload", "camera": "Camera"}
KINDS = {"low": "Low-pass", "high": "High-pass", "band": "Band", "noise": "Noise"}
STRENGTHS = (0.05, 0.1, 0.2)
#: the step that is shown first, in hundredths of π; the sweeps of one visit that are kept
AT, REMEMBERED = 38, 12
#: the widest picture of the reader's own that fits into a question, by channels
WIDEST = {channels: int(((LONGEST_QUESTION - 2000) * 3 / 4 / channels) ** 0.5) for channels in (1, 3)}
KEEP: dict[str, Any] = {"persist_state": "session"}


def page() -> None:
    """Question, answer, image and lens, the pictures with lanes, the method."""
    parts.header(QUESTION, over="Images")
    with states.guard():
        body()
    figure.method(inspect.getdoc(lens) or "", "What the filter does")


def body() -> None:
    """Everything that depends on the nets."""
    nets, others = together(pickers.stage())
    if not nets:
        parts.take("No net is on stage. Choose one under **Models on stage**, or train one first.")
        return
    asked = [run.id for run in nets]
    if live.state("lens", runs=asked) == "cold":
        live.warm("lens", runs=asked)
    loading = live.state("lens", runs=asked) == "warming"
    desk(nets, others, loading)
    measured.watch([], waits=lambda: live.state("lens", runs=asked) == "warming", waited=loading)


def together(stage: list[Run]) -> tuple[list[Run], list[Run]]:
    """The nets that can see the same image, those of the chosen images first, and the rest of the stage."""

    def kind(run: Run) -> tuple[str, int]:
        return pickers.test_set(run.data), run.image_size

    chosen = [run for run in stage if kind(run)[0] == pickers.test_set(pickers.images())] or stage
    nets = [run for run in stage if kind(run) == kind(chosen[0])][:KEPT] if chosen else []
    return nets, [run for run in stage if run not in nets]


# ---- what the reader chooses


@st.fragment
def desk(nets: list[Run], others: list[Run], loading: bool) -> None:
    """What changes with image, lens and step."""
    with states.guard():
        head = st.container()
        take_link(nets[0])
        row = st.container(horizontal=True, vertical_alignment="bottom")
        with row:
            source, kind, strength = controls()
        picture, about = (sample(nets[0]), "") if source == "sample" else own(nets[0], source)
        view = seen(nets, picture, kind, strength, loading) if picture is not None else None
        if source == "sample":
            about = f"Test image {words.count(st.session_state['lens_image'])} of {pickers.set_title(pickers.test_set(nets[0].data))}"
        with head:
            parts.take(lens_words.takeaway(view) if view else waiting(nets))
            if others:
                names = words.seq([pickers.title(run) for run in others])
                parts.sub(f"{names}: trained on other images, so not asked here.")
        write(source, kind, strength)
        if view:
            with row:
                snap(view)
            shown(view, about)


def waiting(nets: list[Run]) -> str:
    """In place of the takeaway."""
    names = words.seq([f"**{pickers.title(run)}**" for run in nets])
    says = "says what it sees" if len(nets) == 1 else "say what they see"
    return f"Drag a filter over one image: {names} {says}."


def take_link(run: Run) -> None:
    """Takes over what a link brings: image, lens, step and strength, each only if it can be."""
    chosen = st.session_state
    for given in address.brought("image")[:1]:
        if given.isascii() and given.isdecimal() and len(given) < 9 and int(given) < data.get(run.data).test_n:
            chosen["lens_image"], chosen["lens_source"] = int(given), "sample"
    for given in address.brought("lens")[:1]:
        if given in KINDS:
            chosen["lens_kind"] = given
    for given in address.brought("step")[:1]:
        if given.isascii() and given.isdecimal() and len(given) < 4 and int(given) <= 100:
            chosen["lens_at"] = int(given)
    for given in address.brought("strength")[:1]:
        if given in map(str, STRENGTHS):
            chosen["lens_strength"] = float(given)


def write(source: str, kind: str, strength: float) -> None:
    """The choices in the address; a picture of the reader's own stays out of it."""
    focus.write(
        image=[str(st.session_state["lens_image"])] if source == "sample" else [],
        lens=[kind],
        step=[str(st.session_state.get("lens_at", AT))],
        strength=[str(strength)] if kind == "noise" else [],
    )


def _moved() -> None:
    for name in ("image", "lens", "step", "strength"):
        address.moved(name)


def controls() -> tuple[str, str, float]:
    """(where the image is from, the kind of lens, the strength of its noise)."""
    chosen = st.session_state
    for key, value, known in (("lens_source", "sample", SOURCES), ("lens_kind", "low", KINDS), ("lens_strength", 0.1, STRENGTHS)):
        if chosen.get(key) not in known:
            chosen[key] = value
    st.segmented_control("Image", list(SOURCES), format_func=SOURCES.get, required=True, key="lens_source", on_change=_moved, **KEEP)
    st.segmented_control("Filter", list(KINDS), format_func=KINDS.get, required=True, key="lens_kind", on_change=_moved, **KEEP)
    if chosen["lens_kind"] == "noise":
        st.segmented_control("Strength", list(STRENGTHS), required=True, key="lens_strength", on_change=_moved, **KEEP)
    return chosen["lens_source"], chosen["lens_kind"], chosen["lens_strength"]


def sample(run: Run) -> int:
    """The number of a test image: number box, and one back or on."""
    chosen, count = st.session_state, data.get(run.data).test_n
    chosen["lens_image"] = min(max(int(chosen.get("lens_image") or 0), 0), count - 1)
    with parts.row("bottom"):
        st.number_input("Test image", 0, count - 1, step=1, key="lens_image", width=150, on_change=_moved, **KEEP)
        for label, step in (("Previous", -1), ("Next", 1)):
            st.button(label, key=f"lens_{label.lower()}", on_click=_step, args=(step, count))
    return chosen["lens_image"]


def _step(step: int, count: int) -> None:
    st.session_state["lens_image"] = (st.session_state.get("lens_image", 0) + step) % count
    _moved()


def own(run: Run, source: str) -> tuple[np.ndarray | None, str]:
    """(the reader's own picture as the nets take it, what it is called), or None and then what is missing stands here."""
    spec, side = data.get(run.data), run.image_size
    st.session_state.setdefault("lens_image", 0)
    if side > WIDEST[spec.channels]:
        most = WIDEST[spec.channels]
        parts.sub(f"Pictures of your own can be shown to nets of up to {most} pixels; these take {side}. Take a test image.")
        return None, ""
    if source == "upload":
        file = st.file_uploader(
            "A picture: PNG, JPEG, WebP or GIF, at most 10 MB", type=["png", "jpg", "jpeg", "webp", "gif"], key="lens_file",
            max_upload_size=lens_upload.MOST_BYTES >> 20,
        )  # fmt: skip
    else:
        file = st.camera_input("A photo", key="lens_photo", width=360)
    grey = spec.channels == 1
    invert = st.toggle(
        "Turn light and dark round", key="lens_invert", **KEEP,
        help="The nets know light things on black ground; most photos are the other way round.",
    ) if grey else False  # fmt: skip
    parts.sub(
        f"The middle square is taken{', in grey,' if grey else ''} at {side}×{side} pixels. It stays in this visit and is not kept on disk."
    )
    if file is None:
        return None, ""
    try:
        picture = lens_upload.read(file.getvalue(), side, spec.channels)
    except LabError as error:
        states.failed("This picture was not taken", str(error))
        return None, ""
    return 255 - picture if invert else picture, "Your own picture" if source == "upload" else "Your own photo"


# ---- what the nets say


def seen(nets: list[Run], picture: int | np.ndarray, kind: str, strength: float, loading: bool) -> View | None:
    """The image through all steps of the lens, asked once a visit; None while it cannot be said, and then that stands here."""
    asked = [run.id for run in nets]
    if isinstance(picture, np.ndarray):
        code = base64.b64encode(np.ascontiguousarray(picture).tobytes()).decode()
        which: dict[str, Any] = {"pixels": code, "channels": len(picture)}
    else:
        which = {"index": picture}
    args = {"runs": asked, "kind": kind, **which, **({"strength": strength} if kind == "noise" else {})}
    kept: dict[str, Any] = st.session_state.setdefault("lens_told", {})
    key = io.digest(args)
    if key not in kept:
        state = live.state("lens", runs=asked)
        if state == "failed":
            if states.failed("The nets could not be loaded", live.reason("lens", runs=asked), button="Try again", key="lens_again"):
                live.warm("lens", runs=asked)
                st.rerun()
            return None
        if state != "ready":
            if not loading:  # the worker has ended since, as it does when nobody asks for long
                st.rerun()
            st.html('<div class="lab-wait" role="status">Loading the nets, about 5 s</div>')
            st.skeleton(height=560)  # what stands below does not move when the lanes come
            return None
        try:
            kept[key] = live.ask("lens", timeout_s=60.0, **args)
        except LabError as error:
            if states.failed("The nets could not be asked", str(error), button="Try again", key="lens_again"):
                st.rerun()
            return None
        for old in list(kept)[:-REMEMBERED]:
            del kept[old]
    return view_of(kept[key], nets, kind, strength, picture if isinstance(picture, int) else 0)


def view_of(told: dict[str, Any], nets: list[Run], kind: str, strength: float, index: int) -> View:
    """What the worker said, as the page shows it."""
    lanes = []
    for run in nets:
        said = told["nets"][run.id]
        answers = tuple(said["answers"])
        good = said["right"] or [answer == answers[-1] for answer in answers]
        lanes.append(
            Lane(
                run=run.id, title=pickers.title(run), family=pickers.family(run), answers=answers, sure=tuple(said["sure"]),
                good=tuple(good), places=said["places"],
            )
        )  # fmt: skip
    return View(
        kind=kind, steps=tuple(tuple((low, high) for low, high in step) for step in told["steps"]), lanes=tuple(lanes),
        label=told["label"] or "", shape=tuple(told["shape"]), pixels=told["pixels"], mean=tuple(told["mean"]),
        strength=strength if kind == "noise" else 0.0, index=index, seconds=told["seconds"],
    )  # fmt: skip


def shown(view: View, about: str) -> None:
    """The component, its native twin, the foot line."""
    step = view.near(st.session_state.get("lens_at", AT))
    lens_view.show(view, step, key="lens_view", on_step=lambda to: put(view, to))
    figure.foot_line(
        lens_words.foot(view, about), lens_words.table(view), f"lens-{view.kind}", "lens", lambda: lens_words.file(view, about)
    )
    with st.expander("The same with plain controls"):
        twin(view, step)


def snap(view: View) -> None:
    """To the next step at which a net changes its mind; after the last, to the first."""
    step, turns = view.near(st.session_state.get("lens_at", AT)), view.flips()
    onward = next((i for i in turns if i > step), turns[0] if turns else step)
    st.space("stretch")
    st.button("Snap to next flip", key="lens_flip", disabled=not turns, on_click=lambda: put(view, onward))


def put(view: View, step: int) -> None:
    """Moves the lens to a step; for callbacks."""
    st.session_state["lens_at"] = lens.at(view.kind, view.steps[step])
    address.moved("step")
    tour.did("lens")


def twin(view: View, step: int) -> None:
    """The same with plain controls: for a screen reader, without scripts, and for tests."""
    places = [lens.at(view.kind, one) for one in view.steps]
    st.session_state["l_step"] = step
    st.select_slider(
        lens_view.WHAT[view.kind], range(len(places)), format_func=lambda i: lens_view.pi(places[i]), key="l_step",
        on_change=lambda: put(view, st.session_state["l_step"]),
    )  # fmt: skip
    caption, _ = lens_view.captions(view.kind, view.steps[step])
    said = [f"**{lane.title}**: {lane.answers[step]}, {lens_view.said(view, lane, step)}" for lane in view.lanes]
    picture = png(filtered(view, step))
    st.html(
        f'<div class="lab-flips"><figure><img src="data:image/png;base64,{picture}" width="96" height="96" alt="{caption}">'
        f'</figure></div><div class="lab-sub">{"<br>".join(map(parts.rich, [caption, *said]))}</div>'
    )


def filtered(view: View, step: int) -> np.ndarray:
    """The image at a step as the browser draws it: uint8 (channels, side, side), on mid-grey where it has no brightness of its own."""
    pixels = np.frombuffer(base64.b64decode(view.pixels), np.uint8).reshape(view.shape) / 255
    through = lens.view(pixels, view.mean, view.kind, view.steps[step], strength=view.strength, index=view.index)
    if not lens.bright(view.kind, view.steps[step], view.shape[1]):
        through = through + 0.5 - lens.fill(view.mean, len(pixels))
    return (255 * through).clip(0, 255).round().astype(np.uint8)


def png(pixels: np.ndarray) -> str:
    """Base64 PNG of uint8 (channels, side, side)."""
    from PIL import Image

    out = bytes_io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


page()
