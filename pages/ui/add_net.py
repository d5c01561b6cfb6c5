"""The dialog that brings a net in from elsewhere: any of timm's by name, with weights that are random, published or in a file."""

import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import streamlit as st

from core import data, imports, io, jobs, store, words, zoo_names
from core.errors import LabError, StoreError
from core.outline import NAME
from core.run import slug
from pages.ui import parts, pickers, states

OPEN = "net_adding"
#: shown before anything is typed, after the paper's own
KNOWN = ("resnet50", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_tiny")
SHOWN = 8
SIZES = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384)
WEIGHTS = {"random": "Random", "published": "Published by its authors", "file": "From a file"}
ENDINGS = (".safetensors", ".pth.tar", ".pth", ".pt", ".bin")
#: MB of an upload, which is held in memory while it arrives; larger ones are given by their path
LARGEST = 512
#: side of the images that the paper's own nets take
PAPER_SIZE = 32


def largest() -> int:
    """MB that an upload may have here: the server has a limit of its own."""
    return min(LARGEST, int(st.get_option("server.maxUploadSize")))


def ask(args: dict[str, Any] | None = None) -> None:
    """Opens the dialog, filled in as an earlier try was; for callbacks."""
    st.session_state[OPEN] = True
    st.session_state.pop("net_kept", None)
    if args is None:
        return
    weights = str(args.get("weights") or "")
    st.session_state.update({
        "net_search": args["name"], "net_name": args["name"], "net_images": args["images"], "net_size": args.get("image_size", 0),
        "net_weights": "file" if weights else "published" if args.get("published") else "random",
        "net_new_head": bool(args.get("new_head")), "net_label": args.get("label", ""), "net_seed": args.get("seed", 0),
    })  # fmt: skip
    if imports.uploaded(weights):
        st.session_state["net_kept"] = weights
    elif weights:
        st.session_state["net_path"] = weights


def dialog() -> None:
    """Draws the dialog if it is open; it stays until it is closed, so that a redraw of the page does not lose what was typed."""
    if st.session_state.get(OPEN):
        _form()


def _close() -> None:
    st.session_state.pop(OPEN, None)


def matches(text: str) -> list[str]:
    """Names that hold the text: the paper's first, then those that begin with it, then the shorter; a name with a tag stands for itself."""
    text = text.strip().lower().removeprefix(imports.PREFIX)
    bare, dot, _tag = text.partition(".")
    if dot and bare in zoo_names.every() and NAME.fullmatch(imports.PREFIX + text):
        return [text]
    odd = re.search(r"[^a-z0-9_*?.\s-]", text)
    found = [] if odd else zoo_names.names(f"*{re.sub(r'[ -]+', '*', text)}*")
    titled = [name for name, title in zoo_names.PAPER.items() if text and text in title.lower() and name not in found]
    return sorted([*titled, *found], key=lambda name: (name != text, name not in zoo_names.PAPER, not name.startswith(text), len(name)))


@st.dialog("Add a net", width="medium", on_dismiss=_close)
def _form() -> None:
    name = _which()
    ours = name in zoo_names.PAPER
    left, right = st.columns(2, gap="medium")
    with left:
        images = _images()
    with right:
        size = _size(images, ours)
    chosen: dict[str, Any] = {"name": name, "images": images, "image_size": 0 if size == data.get(images).image_size else size}
    upload = _weights(chosen, ours)
    left, right = st.columns([3, 1], gap="medium")
    with left:
        usual = zoo_names.PAPER.get(name, name)
        label = st.text_input("Name on screen", key="net_label", placeholder=usual or "as the net is called", max_chars=60).strip()
    if label:
        chosen["label"] = label
    with right:
        seed = int(st.number_input("Seed", 0, 2**31 - 1, key="net_seed", help="Of what is random: all weights, or a new classifier."))
    if seed:
        chosen["seed"] = seed
    ready = bool(name) and (chosen["kind"] != "file" or upload is not None or bool(chosen.get("weights")))
    parts.sub(what_happens(chosen) if ready else "Choose a net first." if not name else "Choose the file of its weights.")
    with states.guard():
        if st.button("Add this net", type="primary", key="net_add", disabled=not ready):
            try:
                start(chosen, upload)
            except LabError as error:
                states.note(f"**This net cannot be added.** {error}")
            else:
                _close()
                st.rerun()


def shown(name: str) -> str:
    """The name of a net as a reader knows it."""
    return zoo_names.PAPER.get(name, name)


def _which() -> str:
    """The search box and the first matches; the chosen name, "" while nothing matches."""
    text = st.text_input(
        "Net", key="net_search", type="search", live=True, max_chars=140, placeholder="A part of its name: resnet, vit_tiny, swin …"
    )
    found = matches(text) if text.strip() else [*zoo_names.PAPER, *(name for name in KNOWN if name in zoo_names.every())]
    total = len(zoo_names.every())
    if not found:
        parts.sub(f"None of {words.count(total)} nets has this in its name. Try less of it: **resnet**, **vit**, **convnext**.")
        return ""
    first = found[:SHOWN]
    if st.session_state.get("net_name") not in first:
        st.session_state["net_name"] = first[0]
    st.pills("Matches", first, key="net_name", required=True, label_visibility="collapsed", format_func=shown)
    held = words.some(len(found), "match", "matches")
    more = f"The first {len(first)} of {held}" if len(found) > len(first) else held
    parts.sub(f"{more}; {words.count(total)} nets are known." if text.strip() else f"{words.count(total)} nets are known; these are a few.")
    return st.session_state["net_name"]


def _images() -> str:
    here = [dataset for dataset in pickers.sets() if not data.available(dataset)]
    if st.session_state.get("net_images") not in here:
        st.session_state["net_images"] = pickers.images() if pickers.images() in here else here[0]
    return st.selectbox("Images that it is tested and measured on", here, format_func=pickers.set_title, key="net_images")


def _size(images: str, ours: bool) -> int:
    """The side of the images [px]; 0 is the set's own, which then follows the set.  The paper's nets take one size only."""
    own = data.get(images).image_size
    about = "Images are enlarged or shrunk to it. Most nets of timm were made for 224; many are too coarse for 32."
    if ours:  # a widget of its own, so that this size does not stay when another net is chosen
        return st.selectbox(
            "Image size", [PAPER_SIZE], key="net_size_ours", disabled=True, format_func=lambda side: _side(side, own), help=about
        )
    if st.session_state.get("net_size", 0) in (0, own):
        st.session_state["net_size"] = 0
    sizes = sorted({0, *SIZES} - {own}, key=lambda side: side or own)
    return st.selectbox("Image size", sizes, key="net_size", format_func=lambda side: _side(side or own, own), help=about)


def _side(side: int, own: int) -> str:
    return f"{side} × {side}{', as the images are' if side == own else ''}"


def _weights(chosen: dict[str, Any], ours: bool) -> Any:
    """Where the weights come from, into `chosen`; the uploaded file if there is one."""
    kinds = [kind for kind in WEIGHTS if not (ours and kind == "published")]
    if st.session_state.get("net_weights") not in kinds:
        st.session_state["net_weights"] = "random"
    kind = chosen["kind"] = st.segmented_control("Weights", kinds, format_func=WEIGHTS.get, key="net_weights", required=True)
    upload = None
    if kind == "random":
        parts.sub("Untrained: what its shape alone does; many begin with units that add nothing. It can be trained afterwards.")
        return None
    if kind == "published":
        chosen["published"] = True
        parts.sub("They are fetched while it is added, which needs a network. Offline, get the file elsewhere and give it here.")
    elif kept := st.session_state.get("net_kept", ""):
        chosen["weights"] = kept
        with parts.row():
            parts.sub(f"The file **{Path(kept).name}** that was uploaded before.")
            st.button("Take another", key="net_other", type="tertiary", on_click=st.session_state.pop, args=("net_kept", None))
    else:
        upload = st.file_uploader(
            f"A file of up to {largest()} MB", key="net_file", max_upload_size=largest(), type=["safetensors", "pth", "pt", "tar", "bin"]
        )
        path = st.text_input("Or its place on this machine", key="net_path", placeholder="/home/me/resnet50.safetensors", max_chars=4000)
        chosen["weights"] = "" if upload is not None else path.strip()
        parts.sub("It is only read, never run: a file that could hold a program is refused." + _authors(chosen["name"]))
    if st.toggle(
        "A new classifier", key="net_new_head",
        help="Of weights for other classes all but the last layer is kept. The new last layer is random until the net is fine-tuned.",
    ):  # fmt: skip
        chosen["new_head"] = True
        parts.sub(f"The last layer is made anew for the {_classes(chosen['images'])}, and is random until the net is fine-tuned.")
    else:
        parts.sub(f"The weights must know the {_classes(chosen['images'])}: in this order, or by name among the 1,000 of ImageNet.")
    return upload


def _authors(name: str) -> str:
    return " The files that the paper’s authors released fit as they are." if name in zoo_names.PAPER else ""


def _classes(images: str) -> str:
    spec = data.get(images)
    return f"{words.some(len(spec.classes), 'class', 'classes')} of {spec.title}"


def what_happens(chosen: dict[str, Any]) -> str:
    """What pressing the button does, how long that takes, and what stays."""
    spec = data.get(chosen["images"])
    side = chosen["image_size"] or spec.image_size
    with_ = {"random": "random weights", "published": "its authors’ weights, which are fetched", "file": "the weights of the file"}
    took = last_seconds()
    time = took or "half a minute for a small net, minutes for a large one"
    return (
        f"It is built with {with_[chosen['kind']]}, read into units, and tested on all {words.count(spec.test_n)} test images of "
        f"{spec.title} at {side} × {side}. "
        f"That runs in the background ({time}). Nothing stays if it fails."
    )


def last_seconds() -> str:
    """`ResNet-50 of the paper took 38 s`: the newest import that was timed here; "" before the first."""
    timed = []
    for run in pickers.added():
        seconds = (store.final(run.id) or {}).get("seconds")
        if isinstance(seconds, int | float):
            when = (store.folder(run.id) / "final.json").stat().st_mtime
            timed.append((when, f"the last one, {pickers.title(run)}, took {words.duration(seconds)}"))
    return max(timed)[1] if timed else ""


def start(chosen: dict[str, Any], upload: Any) -> None:
    """Check what can be checked without torch, then queue the import.  Raises LabError in words that fit a form."""
    args = {key: value for key, value in chosen.items() if value and key != "kind"}
    if not NAME.fullmatch(imports.PREFIX + args["name"]):
        raise StoreError(f"{args['name'][:60]} is no name of a net: small letters, digits and underscores make one.")
    if upload is not None:
        args["weights"] = str(_kept(upload))
    elif "weights" in args:
        place = Path(args["weights"]).expanduser()
        if not place.is_absolute():
            raise StoreError("The file is no whole path; it should begin at the top, as /home/me/resnet50.safetensors does.")
        _check_ending(place.name)
        if not place.is_file():
            raise StoreError(f"There is no file {place.name[:60]} at that place.")
        args["weights"] = str(place)
    label = f"Add {args.get('label') or zoo_names.PAPER.get(args['name'], args['name'])}"
    job = jobs.submit("import_net", {**args, "device": "auto"}, label=label, dedup=f"net {io.digest(args)}")
    st.session_state["net_waits"] = job.id if job else ""


def _check_ending(name: str) -> str:
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    if not ending:
        raise StoreError(f"{name[-60:]} does not end like a file of weights; it should end in one of {', '.join(ENDINGS)}.")
    return ending


def _kept(upload: Any) -> Path:
    """The uploaded file in the inbox, in a folder of its own and under a name of safe letters."""
    ending = _check_ending(upload.name)
    folder = imports.inbox().absolute() / secrets.token_hex(8)
    if upload.size > shutil.disk_usage(io.home()).free - (256 << 20):
        raise StoreError("The disk is too full to keep this file. Free some space first.")
    folder.mkdir(parents=True)
    place = folder / f"{slug(upload.name[: -len(ending)], 48)}{ending}"
    upload.seek(0)
    with place.open("wb") as out:
        shutil.copyfileobj(upload, out, 1 << 20)
    return place
