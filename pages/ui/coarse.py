"""Whether a stored result is coarser than the question: of fewer images, points or directions than were asked for and can be had."""

from collections.abc import Mapping
from typing import Any

from core import analyses
from core.run import Run

#: what says how fine a measurement is
FINENESS = ("images", "side", "planes")


def coarser(run: Run, stored: Mapping[str, Any], asked: Any) -> bool:
    """Whether a result about training images, with the parameters `stored`, is coarser than one with the parameters `asked`."""
    wanted = {name: getattr(asked, name) for name in FINENESS if hasattr(asked, name)}
    wanted["images"] = min(wanted["images"], analyses.there(run, asked))
    return any(stored.get(name, most) < most for name, most in wanted.items())
