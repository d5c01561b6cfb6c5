"""One forward pass that several analyses watch together; memory does not grow with the images but for the numbers they keep."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import MeasureError
from core.table import Measurement

if TYPE_CHECKING:
    from core.analyses import Subject
    from core.models import Net

#: Images in one forward pass, and in one batch of CKA: few enough that all units' maps stay near the processor.
CHUNK = 32


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What one analysis takes from a pass.

    `probe(net)` is a context that records; `see(what it recorded)` is called after each forward pass of a chunk of images;
    `done()` makes the measurement.
    """

    probe: "Callable[[Net], AbstractContextManager[Any]]"
    see: Callable[[Any], None]
    done: Callable[[], Measurement]


def through(
    subject: "Subject", watches: Sequence[Watch], on: str, images: int, seed: int, progress: Callable[..., None]
) -> list[Measurement]:
    """The measurements of all watches from one forward pass over `images` of the set `on` (see Subject.chunks)."""
    import torch

    done = 0
    with torch.inference_mode(), ExitStack() as stack:
        records = [stack.enter_context(watch.probe(subject.net)) for watch in watches]
        for x, _ in subject.chunks(on, images, seed, CHUNK):
            subject.net(x)
            for watch, record in zip(watches, records, strict=True):
                watch.see(record)
            done += len(x)
            progress(done, max(images, done), f"{done} of {images} images")
    if not done:
        raise MeasureError("No image was given; there is nothing to measure.")
    return [watch.done() for watch in watches]


def alone(watch: Callable[["Subject", Any], Watch]) -> Callable[["Subject", Any, Callable[..., None]], Measurement]:
    """The `measure` of an analysis that can share a pass: a pass of its own."""

    def measure(subject: "Subject", params: Any, progress: Callable[..., None]) -> Measurement:
        """One forward pass for this analysis alone."""
        return through(subject, [watch(subject, params)], params.on, params.images, params.seed, progress)[0]

    return measure
