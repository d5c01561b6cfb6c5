"""The process of a job's attempt: do the work and say how it ended.  Loads nothing that the work does not ask for."""

import contextlib
import errno
import importlib
import json
import os
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import io
from core.errors import JobError, LabError, unknown
from core.jobs import Cancelled, Context, processes, record
from core.jobs.state import STOPPED_CODE, WORDS

Task = Callable[[dict[str, Any], Context], dict[str, Any]]


def main(folder: str | Path) -> int:
    """Run an attempt's work to its end and leave the process with the code that says how.

    Tasks come from `core.tasks`, or the module that ALTERLAB_TASKS names.  JobError if the folder is no attempt.
    """
    attempt = Path(folder).absolute()
    job = attempt.parent.parent
    asked = record.load(job / "job.json")
    if "task" not in asked or not attempt.name.isdecimal() or os.environ.get(processes.MARK) != str(attempt):
        raise JobError("A worker is started by the queue, not by hand. Let the job go on instead.")
    processes.die_with_parent()
    rank = int(os.environ.get("RANK", "0"))
    context = Context(job, int(attempt.name), rank)

    def told(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # engines and parents both send one: the second must not hit us on the way out
        context.stop = True

    signal.signal(signal.SIGTERM, told)
    word = _outcome(attempt, asked, context)
    if _speaks(rank, word, attempt):
        record.write_slot(attempt / "report.slot", {key: word[key] for key in ("outcome", "cause", "message")})
    if word["trace"]:  # after the report: a full disk must not swallow both
        with contextlib.suppress(OSError):
            print(word["trace"], file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit({"done": 0, "stopped": STOPPED_CODE}.get(word["outcome"], 1))


def _speaks(rank: int, word: dict[str, str], attempt: Path) -> bool:
    """Of several processes of a job the first speaks, unless another knows better why they all end."""
    if word["cause"] == "lost":
        return rank == 0 and not record.read_slot(attempt / "report.slot")
    return rank == 0 or word["outcome"] == "error"


def _outcome(attempt: Path, asked: dict[str, Any], context: Context) -> dict[str, str]:
    """Work, and say how it ended: outcome, cause, message for people, trace for the log."""
    try:
        tasks: dict[str, Task] = importlib.import_module(os.environ.get("ALTERLAB_TASKS", "core.tasks")).TASKS
        if asked["task"] not in tasks:
            raise unknown(JobError, "task", asked["task"], tasks)
        if context.rank == 0:
            print(f"attempt {attempt.name}: {asked['task']} on {os.environ.get('ALTERLAB_WHERE') or asked['device']}", flush=True)
        result = tasks[asked["task"]](_on_device(asked), context)
        if context.rank == 0:
            io.write_atomic(attempt / "result.json", _plain(result))
        return _word("done")
    except Cancelled:
        return _word("stopped")
    except LabError as error:
        if type(error).__name__ == "PeerLost":  # another process of this job is gone: as if this one were
            return _word("error", "lost", str(error))
        return _word("error", _cause(error, attempt), str(error))
    except BaseException as error:
        cause, reference = _cause(error, attempt), secrets.token_hex(2)
        message = WORDS.get(cause) or f"Something unexpected went wrong (reference {reference}); see the log."
        return _word("error", cause, message, f"reference {reference}\n{traceback.format_exc()}")


def _plain(result: object) -> str:
    try:
        return json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise JobError(f"The work returned what is not plain JSON: {error}.") from error


def _on_device(asked: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with the GPU named as this process sees it: the leased ones are the only ones it has."""
    args = asked["args"]
    return {**args, "device": "cuda"} if asked["device"].startswith("cuda") and "device" in args else args


def _word(outcome: str, cause: str = "", message: str = "", trace: str = "") -> dict[str, str]:
    return {"outcome": outcome, "cause": cause, "message": message, "trace": trace}


def _cause(error: BaseException, attempt: Path) -> str:
    """A word for what went wrong."""
    chain, seen = error, []
    while chain is not None and chain not in seen:
        seen.append(chain)
        chain = chain.__cause__ or chain.__context__
    if any(isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT) for e in seen):
        return "disk_full"
    if any(isinstance(e, OSError | RuntimeError) for e in seen) and shutil.disk_usage(attempt).free < 1 << 20:
        return "disk_full"  # writers of tensors report a full disk in words of their own
    if any(type(e).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(e) for e in seen):
        return "gpu_oom"
    if any(isinstance(e, MemoryError) or "can't allocate memory" in str(e) for e in seen):
        return "host_oom"
    return "exception"
