"""`python -m core jobs …`: the queue from the command line."""

import codecs
import contextlib
import math
import time
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from core import jobs
from core.errors import JobError
from core.jobs import dispatcher, record, wake

#: seconds between two looks at a log that is followed
LOOK_S = 0.3


def run(args: Namespace) -> dict[str, Any]:
    """Do one action; what --json prints.  JobError in words if it cannot be done."""
    if args.action == "list":
        found = jobs.list()
        return _said(args, {"jobs": [asdict(job) for job in found]}, *(_line(job) for job in found))
    if args.action == "serve":
        return serve()
    if not args.id:
        raise JobError(f"Say which job: python -m core jobs {args.action} ID")
    if args.action == "tail":
        if args.follow and not args.json:
            with contextlib.suppress(KeyboardInterrupt):
                follow(args.id)
            return {}
        text = jobs.tail(args.id)
        return _said(args, {"id": args.id, "log": text}, text.removesuffix("\n"))
    if args.action == "cancel":
        jobs.cancel(args.id)
    elif args.action == "resume":
        jobs.resume(args.id)
    elif args.action == "priority":
        if args.priority is None:
            raise JobError(f"Say how high: python -m core jobs priority {args.id} N, from -1000 to 1000")
        jobs.prioritise(args.id, args.priority)
    job, tries = jobs.get(args.id), [asdict(one) for one in jobs.history(args.id)] if args.action == "show" else []
    lines = [f"  attempt {one['n']} on {one['host'] or '?'}: {one['cause'] or 'under way'}" for one in tries]
    return _said(args, {"job": asdict(job)} | ({"attempts": tries} if args.action == "show" else {}), _line(job), *lines)


def follow(job_id: str) -> None:
    """Print a job's log and what is added to it, over its attempts, until the job has ended."""
    job = jobs.get(job_id)
    number, read, text = 0, 0, codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        ended = job.state in jobs.ENDED  # asked before the last look, so that nothing written before the end is missed
        for n in [n for n in record.attempt_numbers(job.folder) if n >= number]:
            if n > number:
                number, read = n, 0
            try:
                with (job.folder / "attempts" / str(n) / "out.log").open("rb") as file:
                    file.seek(read)
                    while part := file.read(1 << 16):
                        read += len(part)
                        print(text.decode(part), end="", flush=True)
            except FileNotFoundError:  # not begun yet, or pruned
                continue
        if ended:
            print(_line(job))
            return
        time.sleep(LOOK_S)
        job = jobs.get(job_id)


def serve() -> dict[str, Any]:
    """Be the dispatcher of this data folder, in the foreground, until SIGTERM or Ctrl-C.  JobError if there is one already.

    Jobs go on when it ends: each has a parent process of its own.
    """
    taken = JobError(f"A dispatcher of {record.root().parent} lives already: it starts the jobs.")
    if wake.lives():
        raise taken
    print(f"Starts and watches the jobs of {record.root().parent}. SIGTERM or Ctrl-C ends this; jobs that run go on.", flush=True)
    if dispatcher.main(idle_s=math.inf):
        raise taken
    return {"served": str(record.root().parent)}


def _line(job: jobs.Job) -> str:
    told, words = job.progress, job.reason
    if job.state in jobs.STARTED and told and told.total:
        words = f"{100 * told.step / told.total:.0f} %  {told.message}" + (f", {told.eta_s:,.0f} s left" if told.eta_s else "")
    return f"{job.id}  {job.state:10} {job.label}  {words}".rstrip()


def _said(args: Namespace, answer: dict[str, Any], *lines: str) -> dict[str, Any]:
    if not args.json:
        for line in lines:
            print(line)
    return answer
