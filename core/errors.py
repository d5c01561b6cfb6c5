"""The tree of errors a user may meet.  Every message says what, which value, and what would be right.

LabError
├── SpecError      a network or its notation cannot be built
├── DataError      images missing, unreadable or of the wrong shape
├── TrainError     training cannot start, or diverged
├── MeasureError   an analysis does not apply, or matched nothing
├── StoreError     a run or a result is missing, damaged or read-only
├── JobError       a background job cannot be queued, found or changed
└── LiveError      a question to the live worker broke, took too long, or cannot be asked
"""

from collections.abc import Iterable


class LabError(Exception):
    """Base of all errors that are shown to the user in plain words."""


class SpecError(LabError):
    """A network description is impossible; the text names the place and what would be right."""


class DataError(LabError):
    """Images are missing, unreadable or do not fit."""


class TrainError(LabError):
    """Training cannot start or did not stay finite."""


class MeasureError(LabError):
    """A measurement does not apply to this net, or it matched no unit."""


class StoreError(LabError):
    """A stored run or result is missing, damaged or read-only."""


class JobError(LabError):
    """A background job cannot be queued, found or changed."""


class LiveError(LabError):
    """A question to the live worker broke, took too long, or cannot be asked."""


def unknown(kind: type[LabError], what: str, value: object, valid: Iterable[object]) -> LabError:
    """The error for an unknown id: names the value (shortened) and lists the valid ones."""
    listed = ", ".join(str(v) for v in valid) or "none yet"
    shown = repr(value if len(repr(value)) <= 60 else str(value)[:57] + "...")
    return kind(f"There is no {what} {shown}. Known: {listed}.")
