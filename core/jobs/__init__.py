"""Background work: jobs that outlive the app, wait for devices, and end honestly.  Knows no task.

A job is a folder (`record`), an attempt is a process tree under a small parent (`shepherd`), one elected process starts and records
them (`dispatcher`), a SQLite file is queue and index (`index`), and `engines` say where attempts run.  `state` says what follows from
what; `queue` changes, `view` looks, `wake` keeps the dispatcher there.
"""

from core.jobs.context import Cancelled, Context
from core.jobs.queue import cancel, prioritise, remove, resume, submit
from core.jobs.record import Job, Progress
from core.jobs.state import ENDED, LIVE, STARTED
from core.jobs.view import Attempt, Place, Status, dismiss, get, history, metrics, status, tail
from core.jobs.view import everything as list

__all__ = [
    "ENDED", "LIVE", "STARTED", "Attempt", "Cancelled", "Context", "Job", "Place", "Progress", "Status", "cancel", "dismiss", "get",
    "history", "list", "metrics", "prioritise", "remove", "resume", "status", "submit", "tail",
]  # fmt: skip
