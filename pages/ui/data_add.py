"""The dialog that brings pictures of the reader's own in: a folder on this machine or an uploaded zip file, a name, settings."""

import dataclasses
import secrets
import shutil
from pathlib import Path
from typing import Any

import streamlit as st

from core.data import imported, importing, layout, sources
from core.errors import DataError, LabError
from pages.ui import data_jobs, parts, states

OPEN = "data_adding"
FROM = {"folder": "A folder on this machine", "zip": "A zip file to upload"}
SIZES = (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384)
#: MB of an upload, which is held in memory while it arrives; larger ones are given by their path
LARGEST = 512
_LAYOUT = "my-pictures/cats/one.jpg\nmy-pictures/cats/two.png\nmy-pictures/dogs/three.jpg"


def largest() -> int:
    """MB that an upload may have here: the server has a limit of its own."""
    return min(LARGEST, int(st.get_option("server.maxUploadSize")))


def ask() -> None:
    """Opens the dialog; for callbacks."""
    st.session_state[OPEN] = True


def dialog() -> None:
    """Draws the dialog if it is open; it stays until it is closed, so that a redraw of the page does not lose what was typed."""
    if st.session_state.get(OPEN):
        _form()


def _close() -> None:
    st.session_state.pop(OPEN, None)


@st.dialog("Bring your own pictures", width="medium", on_dismiss=_close)
def _form() -> None:
    kind = st.segmented_control("From", list(FROM), format_func=FROM.get, default="folder", required=True, key="data_from")
    path, upload = "", None
    if kind == "zip":
        upload = st.file_uploader(
            f"A zip file of up to {largest()} MB; give the path of a larger one", type=["zip"], key="data_zip", max_upload_size=largest()
        )
    else:
        path = st.text_input(
            "Folder, or a zip file that is here", key="data_path", placeholder="/home/me/my-pictures", max_chars=4000
        ).strip()
    parts.sub("One folder for each class, with its pictures in it; folders **train** and **test** around them are kept as they are.")
    st.code(_LAYOUT, language=None)
    suggested = sources.shown(Path(upload.name if upload else path).stem)[: importing.LONGEST] if upload or path else ""
    title = st.text_input("Name", key="data_name", placeholder=suggested or "my pictures", max_chars=importing.LONGEST).strip() or suggested
    with st.expander("Size, split and more"):
        settings = _settings()
    with states.guard():
        if st.button("Import", type="primary", key="data_import"):
            try:
                start(path, upload, title, settings)
            except LabError as error:
                states.note(f"**This cannot be imported.** {error}")
            else:
                _close()
                st.rerun()
    parts.sub("It runs in the background. The originals stay as they are; what is unfit is left out, and a report says why.")


def _settings() -> dict[str, Any]:
    """The settings of an import as the reader wants them, those that are not as usual."""
    usual = importing.Import()
    about = {field.name: field.metadata for field in dataclasses.fields(importing.Import)}

    def words(name: str) -> dict[str, Any]:
        return {
            "label": about[name]["label"],
            "help": f"{about[name]['help']} Usual: {about[name]['origin']}.".strip(),
            "key": f"data_set_{name}",
        }

    chosen: dict[str, Any] = {}
    left, right = st.columns(2)
    with left:
        chosen["image_size"] = st.selectbox(
            **words("image_size"), options=SIZES, format_func=lambda size: f"{size} × {size}" if size else "As the pictures are, up to 224"
        )
        chosen["test_share"] = st.number_input(**words("test_share"), min_value=0.01, max_value=1.0, value=usual.test_share, step=0.05)
        chosen["normalise"] = st.selectbox(
            **words("normalise"), options=importing.NORMALISE,
            format_func={"auto": "Automatic", "own": "Its own", "imagenet": "ImageNet’s"}.get,
        )  # fmt: skip
    with right:
        chosen["crop"] = st.number_input(**words("crop"), min_value=0.1, max_value=1.0, value=usual.crop, step=0.025, format="%.3f")
        chosen["seed"] = st.number_input(**words("seed"), min_value=0, max_value=10**6, value=usual.seed)
        chosen["smallest"] = st.number_input(**words("smallest"), min_value=1, max_value=512, value=usual.smallest)
    chosen["same"] = st.toggle(**words("same"))
    return {name: value for name, value in chosen.items() if value is not None and value != getattr(usual, name)}


def start(path: str, upload: Any, title: str, settings: dict[str, Any]) -> None:
    """Check what can be checked at once, then queue the import.  Raises LabError in words that fit a form."""
    if upload is None and not path:
        raise DataError("Give a folder or a zip file first.")
    importing.Import(**settings)
    name = importing.name_of(title)
    if name in imported.names():
        raise DataError(f"There is a set {name} already. Take another name, or delete that one first.")
    if upload is not None:
        data_jobs.sweep()
        place = _kept(upload)
        try:
            _look(place)
        except DataError as error:
            place.unlink(missing_ok=True)
            raise DataError(str(error).replace(str(place.resolve()), "The file").replace(str(place), "The file")) from error
    else:
        place = Path(path).expanduser()
        if not place.is_absolute():
            raise DataError(f"{sources.shown(path)} is not a whole path; it should begin at the top, as /home/me/my-pictures does.")
        _look(place)
    data_jobs.begin(place, title, settings)


def _look(place: Path) -> None:
    """Raise DataError if there are no class folders in it."""
    layout.arrange(sources.look(place))


def _kept(upload: Any) -> Path:
    """The uploaded file in the inbox, under a name of ours."""
    inbox = imported.inbox().absolute()
    inbox.mkdir(parents=True, exist_ok=True)
    if upload.size > shutil.disk_usage(inbox).free - (256 << 20):
        raise DataError("The disk is too full to keep this file. Free some space first.")
    place = inbox / f"{secrets.token_hex(8)}.zip"
    upload.seek(0)
    with place.open("wb") as out:
        shutil.copyfileobj(upload, out, 1 << 20)
    return place
