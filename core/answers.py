"""What the live worker can answer, and its process: questions in, answers out, nets and images kept between them."""

import base64
import inspect
import os
import queue
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from core import io, store
from core.errors import LabError, LiveError, MeasureError, unknown
from core.frames import KEPT, LOG_BYTES, LONGEST_ANSWER, LONGEST_QUESTION, pack, receive, send
from core.jobs.processes import die_with_parent

if TYPE_CHECKING:
    from core.analyses import Subject
    from core.analyses.lesion import Bench
    from core.data import Images


def lesion(run: str, off: Sequence[str] = (), how: str = "branch", images: int = 256, seed: int = 0) -> dict[str, Any]:
    """What a net can do with the units `off` switched off: `Bench.answer`.  With none off it only loads the net."""
    _check("off", isinstance(off, list | tuple) and all(isinstance(unit, str) for unit in off), off, "a list of units")
    _check("how", isinstance(how, str), how, "branch or 3x3")
    _check("images", type(images) is int and images > 0, images, "a number of images")
    _check("seed", type(seed) is int and 0 <= seed < 1 << 31, seed, "a whole number from 0")
    return _bench(run, _stamp(run), images, seed).answer(off, how)


def attention(run: str, index: int | None = None, unit: str = "") -> dict[str, Any]:
    """Where a unit looks in test image `index`: `attention.look`.  Without an index it only loads the net."""
    _check("unit", isinstance(unit, str), unit, "a unit")
    subject = _subject(run, _stamp(run))
    if index is None:
        return {"units": [u.id for u in subject.net.units]}
    _check("index", type(index) is int and index >= 0, index, "the place of a test image, from 0")
    return import_module("core.analyses.attention").look(subject, index, unit)


def picture(run: str, index: int) -> dict[str, Any]:
    """Test image `index` of a run as it is: uint8 pixels of `shape` (channels, height, width) in base64, and the title of its class.

    The app's own process never reads a set of images: unpacking one takes hundreds of megabytes for a moment.
    """
    images = _pictures(run, _stamp(run))
    _check("index", type(index) is int and 0 <= index < len(images), index, f"the place of a test image, from 0 to {len(images) - 1}")
    pixels, title = images.pixels[index], images.spec.classes[int(images.labels[index])]
    return {"shape": list(pixels.shape), "pixels": base64.b64encode(pixels.tobytes()).decode(), "class": title}


def lens(
    runs: Sequence[str], kind: str = "low", index: int | None = None, pixels: str = "", channels: int = 1, strength: float = 0.2
) -> dict[str, Any]:
    """What nets answer to one image through all steps of a lens: `_lens.sweep`.  Without an image it only loads the nets.

    The image is test image `index` of the first net, or `pixels`: base64 of uint8 (channels, side, side) at the nets' size.
    """
    names = isinstance(runs, list | tuple) and all(isinstance(run, str) for run in runs) and 1 <= len(set(runs)) == len(runs) <= KEPT
    _check("runs", names, runs, f"one to {KEPT} runs")
    _check("kind", isinstance(kind, str), kind, "a kind of lens")
    _check("strength", isinstance(strength, int | float) and 0 < strength <= 1, strength, "a share of the range of pixels, up to 1")
    subjects = [_subject(run, _stamp(run)) for run in runs]
    images = _pictures(runs[0], _stamp(runs[0]))
    if index is None and not pixels:
        return {}
    if index is not None:
        _check("index", type(index) is int and 0 <= index < len(images), index, f"the place of a test image, from 0 to {len(images) - 1}")
        shown, label = images.pixels[index], int(images.labels[index])
    else:
        side = subjects[0].net.image_size
        _check("channels", channels in (1, 3), channels, "1 or 3")
        _check("pixels", isinstance(pixels, str), pixels, "base64")
        try:
            raw = base64.b64decode(pixels, validate=True)
        except ValueError:
            raw = b""
        _check("pixels", len(raw) == channels * side * side, pixels, f"base64 of {channels}x{side}x{side} bytes")
        shown, label = np.frombuffer(raw, np.uint8).reshape(channels, side, side), None
    return import_module("core.analyses._lens").sweep(subjects, shown, label, kind, float(strength), index or 0)


#: images that are spoiled for one question
_SPOILED = 64


def spoiled(
    run: str, kind: str = "", severity: int = 1, index: Sequence[int] = (), seed: int = 0, source: str = "generated"
) -> dict[str, Any]:
    """Test images of a run as they are and as they were spoiled to be measured: `clean` and `spoiled`, base64 of uint8 of `shape`.

    The same seed, kind, severity and place give the same image as in the analysis `corruption`.  Without a place it only loads the images.
    """
    images = _pictures(run, _stamp(run))
    good = isinstance(index, list | tuple) and len(index) <= _SPOILED and all(type(i) is int and 0 <= i < len(images) for i in index)
    _check("index", good, index, f"up to {_SPOILED} places of test images, from 0 to {len(images) - 1}")
    _check("kind", isinstance(kind, str), kind, "a kind of corruption")
    _check("severity", type(severity) is int, severity, "1 to 5")
    _check("seed", type(seed) is int and 0 <= seed < 1 << 31, seed, "a whole number from 0")
    _check("source", source in ("generated", "official"), source, "generated or official")
    if not index:
        return {}
    at = np.array(index)
    made = import_module("core.analyses.corruption").spoil(_subject(run, _stamp(run)), images, kind, severity, at, seed, source)
    clean = np.ascontiguousarray(images.pixels[at])
    return {"shape": list(made.shape), "clean": base64.b64encode(clean.tobytes()).decode(),
            "spoiled": base64.b64encode(made.cpu().numpy().tobytes()).decode()}  # fmt: skip


#: what can be asked, by name
OPS: dict[str, Callable[..., dict[str, Any]]] = {
    "lesion": lesion, "attention": attention, "picture": picture, "lens": lens, "spoiled": spoiled,
}  # fmt: skip


def _check(name: str, good: bool, value: object, wanted: str) -> None:
    if not good:
        raise MeasureError(f"{name} is {repr(value)[:60]}; it should be {wanted}.")


def _stamp(run: str) -> tuple[int, ...]:
    """What changes when the weights of a run do."""
    state = store.weights(run).stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


@lru_cache(maxsize=KEPT)
def _subject(run: str, stamp: tuple[int, ...]) -> "Subject":
    import torch

    from core.analyses import Subject

    torch.set_num_threads(io.threads())  # with more, a training beside it makes one click in ten a matter of seconds
    subject = Subject(store.find(run), os.environ.get("ALTERLAB_LIVE") or "cpu")
    _ = subject.net  # loads it
    return subject


@lru_cache(maxsize=KEPT)
def _bench(run: str, stamp: tuple[int, ...], images: int, seed: int) -> "Bench":
    return import_module("core.analyses.lesion").Bench(_subject(run, stamp), images, seed)


@lru_cache(maxsize=KEPT)
def _pictures(run: str, stamp: tuple[int, ...]) -> "Images":
    return _subject(run, stamp).pictures("test")


# ---- the process


def main() -> int:
    """Answer questions from stdin on stdout until the asker is gone.  LiveError if it was started by hand."""
    if os.isatty(0):
        raise LiveError("The live worker is started by the app, not by hand.")
    die_with_parent()
    # what libraries print must not come between answers, nor what they read take questions away
    questions, answers = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    line: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions, line), daemon=True).start()
    ops = import_module(os.environ.get("ALTERLAB_ANSWERS") or "core.answers").OPS
    while True:
        send(answers, _frame(line.get(), ops))


def _listen(handle: int, line: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Pass questions on.  When the asker is gone nobody wants what is being worked on either."""
    while isinstance(asked := receive(handle, LONGEST_QUESTION), dict):
        line.put(asked)
    os._exit(0)


def _frame(asked: dict[str, Any], ops: dict[str, Callable[..., dict[str, Any]]]) -> bytes:
    """The answer to a question, or the sentence that says why there is none."""
    begun, number = time.perf_counter(), asked.get("number")
    try:
        answer = _answer(asked["op"], asked["args"], ops)
        return pack({"number": number, "answer": {**answer, "seconds": time.perf_counter() - begun}}, LONGEST_ANSWER)
    except LabError as error:
        return pack({"number": number, "error": str(error), "kind": type(error).__name__}, LONGEST_ANSWER)
    except BaseException:
        reference = secrets.token_hex(2)
        with suppress(OSError):  # a full disk must not cost the answer
            if os.fstat(2).st_size > LOG_BYTES:
                os.ftruncate(2, 0)
            print(f"reference {reference}: {repr(asked)[:500]}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        _subject.cache_clear()  # what was kept may be half done, or be what filled the memory
        _bench.cache_clear()
        _pictures.cache_clear()
        sentence = f"Something unexpected went wrong (reference {reference}); see live.log in the data folder."
        return pack({"number": number, "error": sentence, "dropped": True}, LONGEST_ANSWER)


def _answer(op: str, args: dict[str, Any], ops: dict[str, Callable[..., dict[str, Any]]]) -> dict[str, Any]:
    if op not in ops:
        raise unknown(LiveError, "live question", op, ops)
    signature = inspect.signature(ops[op])
    try:
        signature.bind(**args)
    except TypeError as error:
        raise LiveError(f"The live question {op} takes {', '.join(signature.parameters)}: {error}.") from error
    return ops[op](**args)
