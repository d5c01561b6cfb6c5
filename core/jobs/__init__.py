"""Background work: a job is its own process and a folder; the folder is the truth, so the app may come and go.

    <home>/jobs/<id>/job.json       what was asked; never changes
                     worker.json    attempt, process, when its turn came
                     progress.json  metrics.jsonl  out.log
                     cancel         there once somebody asked to stop
                     exit.json      how it ended; earlier attempts' are exit.<n>.json
                     alive.lock     locked by the process for as long as it lives

Knows no task: a task is a name and JSON arguments, mapped to work in the job's own process.
"""

from core.jobs.context import Cancelled, Context
from core.jobs.engine import cancel, get, metrics, remove, resume, submit, tail
from core.jobs.engine import everything as list
from core.jobs.record import LIVE, Job, Progress

__all__ = ["LIVE", "Cancelled", "Context", "Job", "Progress", "cancel", "get", "list", "metrics", "remove", "resume", "submit", "tail"]
