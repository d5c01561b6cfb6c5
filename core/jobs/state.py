"""States of a job, why attempts end, and what follows from what was seen.  Pure: no files, no clock, no processes.

waiting (needs others) -> queued -> starting -> running -> succeeded | failed | cancelled
                             ^_______ a retry, Resume _______|
"""

from dataclasses import dataclass, replace

LIVE = ("waiting", "queued", "starting", "running", "cancelling")
#: an attempt is under way
STARTED = ("starting", "running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled")
LEGAL: dict[str, tuple[str, ...]] = {
    "waiting": ("queued", "failed", "cancelled"),
    "queued": ("starting", "cancelled"),
    "starting": ("running", "cancelling", "queued", "succeeded", "failed", "cancelled"),
    "running": ("cancelling", "queued", "succeeded", "failed", "cancelled"),
    "cancelling": ("succeeded", "cancelled"),
    "failed": ("queued", "waiting"),
    "cancelled": ("queued", "waiting"),
    "succeeded": (),
}
#: causes after which the next attempt goes on from what was saved, without being asked
RETRIED = ("lost", "killed", "engine", "preempted", "signal:SIGBUS", "unstarted")
#: attempts that never began a process are no fault of the job: so many more are allowed
UNSTARTED = 5
#: exit code of a worker that stopped because it was asked to
STOPPED_CODE = 75

KEPT = "Kept: its log and all it saved; it can go on from that."
NEVER_BEGUN = "Cancelled before its turn came."
NO_USE = "Not begun: another part failed. If the whole goes on, it is run again."
UNREACHABLE = "The cluster does not answer. What the job said last stands; nothing is given up."
STOPPED = f"Stopped as asked. {KEPT}"
FINISHED_FIRST = "The work was done before the request to stop came through."
ENDED_HARD = "It did not stop within {grace:.0f} s of being asked, so it was ended. It can go on from what it saved."
WORDS = {
    "killed": "The process was killed from outside.",
    "lost": "The process and its parent ended without a word: both were killed.",
    "rebooted": "The machine restarted while it ran.",
    "preempted": "Another program asked it to stop: the machine shutting down, or the time limit of a cluster.",
    "engine": "The cluster ended it or lost its machine.",
    "unstarted": "It could not be started: the queue or the machine stopped just then.",
    "gpu_oom": "The GPU ran out of memory. Half the batch needs about half as much.",
    "host_oom": "The machine ran out of memory. Half the batch or a smaller net needs less.",
    "disk_full": "The disk is full. Free some space; it can go on from what was saved.",
    "dep_failed": "A job that it needs did not succeed. If this one goes on, both are run again.",
}
PROBABLY_MEMORY = "It was killed while the machine was out of memory, so probably for that. Half the batch or a smaller net needs less."
SILENT = "The process ended with exit code {code} and without a word; see the log."


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What can be seen of an attempt.

    `lives`: whether its processes can still be running, None if nobody can tell now; `begun`: whether the worker's process was
    started; `cancel`: whether the job was asked to stop; `code`: exit code of the worker, negative for a signal, None while there
    is none; `outcome`: the worker's own word (done, stopped, error) with its `cause` and `message`; `signal`: the name of the
    signal of a negative code; `oom`: the kernel killed for memory meanwhile; `full`: the disk was full at the end; `hard`: seconds
    of grace after which it was ended; `launch`: why no process could be started; `remote`: an engine says what lives, not a lock;
    `said`: how far it had come, in words; `moved`: this attempt got on.
    """

    lives: bool | None
    begun: bool = False
    cancel: bool = False
    code: int | None = None
    outcome: str = ""
    cause: str = ""
    message: str = ""
    signal: str = ""
    oom: bool = False
    full: bool = False
    hard: float = 0.0
    launch: str = ""
    remote: bool = False
    rebooted: bool = False
    said: str = ""
    moved: bool = False


@dataclass(frozen=True, kw_only=True)
class Next:
    """What a job becomes: state, cause (a word for programs), reason (a sentence for people); `free`: the attempt is not counted."""

    state: str
    cause: str = ""
    reason: str = ""
    free: bool = False


def verdict(seen: Seen) -> Next | None:
    """How an attempt ended; None while it has not, or nobody can tell.

    Success needs two witnesses: exit code 0 and the worker's own word that it is done.
    """
    over = seen.code is not None or seen.launch
    if not over and seen.lives is not False:
        return None
    if seen.code == 0 and seen.outcome == "done":
        return Next(state="succeeded", reason=FINISHED_FIRST if seen.cancel else "")
    if seen.cancel:
        if not seen.begun:
            return Next(state="cancelled", cause="user", reason=NEVER_BEGUN)
        if seen.outcome == "error":
            return Next(state="cancelled", cause="user", reason=f"It was asked to stop, and failed while stopping: {seen.message}")
        return Next(state="cancelled", cause="user", reason=ENDED_HARD.format(grace=seen.hard) if seen.hard else STOPPED)
    cause, words = _failure(seen, bool(over))
    return Next(state="failed", cause=cause, reason=f"{words} {seen.said}".rstrip() if cause in RETRIED else words)


def _failure(seen: Seen, over: bool) -> tuple[str, str]:
    if seen.launch:
        return "launch", f"The process could not be started: {seen.launch}"
    if seen.outcome == "error":
        return seen.cause or "exception", seen.message or WORDS.get(seen.cause, "")
    if not over:
        cause = "unstarted" if not seen.begun else "engine" if seen.remote else "lost"
        return cause, WORDS["rebooted" if cause == "lost" and seen.rebooted else cause]
    if seen.outcome == "stopped" or seen.code == STOPPED_CODE:
        return "preempted", WORDS["preempted"]
    if seen.signal == "SIGKILL":
        return ("host_oom", PROBABLY_MEMORY) if seen.oom else ("killed", WORDS["killed"])
    if seen.full:
        return "disk_full", WORDS["disk_full"]
    if seen.signal in ("SIGTERM", "SIGINT", "SIGHUP"):
        return "preempted", WORDS["preempted"]
    if seen.signal:
        return f"signal:{seen.signal}", f"The process ended with {seen.signal}, an error inside a library; see the log."
    return "exception", SILENT.format(code=seen.code)


def after(state: str, tries: int, attempts: int, seen: Seen) -> Next:
    """What follows for a job in `state` whose current attempt, the `tries`-th since it was queued by hand, was seen like this.

    A cause that is no fault of the work is tried again, up to `attempts` times in all; anything else is for the user to decide.
    An attempt that was sent away after it had got on (a time limit of a cluster) is not counted.
    """
    if state not in STARTED:
        return Next(state=state)
    if state == "cancelling":
        seen = replace(seen, cancel=True)
    end = verdict(seen)
    if end is None:
        return Next(state="cancelling" if seen.cancel else "running" if seen.begun else state)
    if end.state == "failed":
        allowed = attempts + UNSTARTED if end.cause == "unstarted" else attempts
        free = end.cause == "preempted" and seen.moved
        again = end.cause in RETRIED and (tries < allowed or free)
        follows = "It goes on by itself from what it saved" + ("." if free else f" (attempt {tries + 1} of {allowed}).") if again else KEPT
        if end.cause in RETRIED:
            end = replace(end, state="queued" if again else "failed", reason=f"{end.reason} {follows}", free=free)
    return end


def pause(tries: int) -> float:
    """Seconds before the next attempt after `tries` failed ones."""
    return 5.0 * 4 ** (max(tries, 1) - 1)


def ready(needed: list[str]) -> Next:
    """What a waiting job becomes, given the states of the jobs that it needs ("" for one that is gone)."""
    if any(state in ("failed", "cancelled", "") for state in needed):
        return Next(state="failed", cause="dep_failed", reason=WORDS["dep_failed"])
    return Next(state="queued" if all(state == "succeeded" for state in needed) else "waiting")
