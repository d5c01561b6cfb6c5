"""Jobs on a Slurm cluster, through its own commands: sbatch, squeue, sinfo, scancel.

The nodes have to see the checkout, its Python and the data folder under the same paths as the machine that submits.
What an attempt is called, `<job id>-<n>`, is its identity: Slurm hands out its own numbers a second time when its controller
has crashed and forgotten a job.  Retries are ours, so Slurm is told not to requeue.
"""

import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from core import io
from core.errors import JobError, unknown
from core.jobs import processes, record
from core.jobs.engines import Claim, command, environment
from core.jobs.record import Job

#: options of sbatch that the setting may hold, each as --name=value; the rest is ours to say
OPTIONS = (
    *("account", "begin", "comment", "constraint", "deadline", "exclude", "exclusive", "licenses", "mail-type"),
    *("mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "nice", "nodelist", "partition", "priority", "qos", "reservation", "time", "tmp"),
)
#: those that may stand without a value
BARE = ("exclusive", "nice")
#: attempts that Slurm may hold at a time, unless the setting has --in-flight=N: our queue keeps the order of the others
IN_FLIGHT = 8
#: seconds for a question, which takes milliseconds where all is well, and for a change
PATIENCE_S, CHANGE_S = 5.0, 15.0
#: seconds for which an answer is good: one question serves all jobs that are looked at within them
ANSWER_S = 1.0
#: a silent controller is left alone so many times as long as the question took, at most REST_S: local jobs wait meanwhile
REST, REST_S = 10.0, 60.0
#: seconds between two polite requests to the same attempt
AGAIN_S = 5.0
#: a job unknown to Slurm counts as ended only after this long: a controller that crashed learns from the nodes what runs there
FORGOTTEN_S = 60.0
#: seconds before the end of a time limit at which the shepherd is told (it saves)
NOTICE_S = 90

PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
#: variables that would hide jobs from our questions, or hand on the mark of the attempt that we run in
HIDING = ("SQUEUE_", "SINFO_", "SCANCEL_", processes.MARK)
#: what Slurm's commands say when they have not reached the controller, or it is too busy
BUSY = re.compile(r"contact|timed out|temporarily|try again|socket|zero bytes", re.I)


class _Refused(JobError):
    """Slurm has understood and does not do it."""


@cache
def make(options: str) -> "Slurm":
    """The engine, with extra options of sbatch: `--partition=gpu --time=4:00:00`; the same one each time, for it remembers answers.

    JobError for an option that is not meant to be set.
    """
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise JobError(f"The options in ALTERLAB_ENGINE cannot be read: {error}.") from None
    extra, limit = [], IN_FLIGHT
    for word in words:
        found = re.fullmatch(r"--([a-z-]+)(?:=([^\x00-\x1f]+))?", word)
        if found and found[1] == "in-flight" and (found[2] or "").isdecimal() and int(found[2]) > 0:
            limit = int(found[2])
        elif found and found[1] in OPTIONS and (found[2] or found[1] in BARE):
            extra.append(word)
        else:
            raise unknown(JobError, "option of sbatch for ALTERLAB_ENGINE, written as --name=value,", word, ("in-flight", *OPTIONS))
    return Slurm(extra, limit)


class Slurm:
    """`engines.Engine` on a cluster: one batch job an attempt, whose only process is its shepherd."""

    name = "slurm"

    def __init__(self, extra: Sequence[str], limit: int) -> None:
        """Nothing is asked yet."""
        self.extra, self.limit = extra, limit
        self._known: list[list[str]] = []
        self._silent_nodes: set[str] = set()
        self._known_until = self._silent_until = -math.inf
        self._silence = ""
        self._missed: dict[Path, float] = {}
        self._told: dict[Path, float] = {}

    def claim(self, job: Job, live: int) -> Claim | str:
        """Room as long as Slurm answers and holds fewer than `limit` attempts; which node and when is for Slurm to say."""
        if live >= self.limit:
            return f"Slurm has {live} of our jobs; it gets the next when one ends."
        try:
            self._ask()
        except JobError as error:
            return str(error)
        return Claim(where="Slurm")

    def start(self, job: Job, attempt: Path, claim: Claim) -> None:
        """Submit, unless Slurm has this attempt.  What Slurm refuses has ended, with its words as the reason."""
        if (attempt / "engine.json").exists():
            return
        name = _name(attempt)
        known = [number for number, *_ in _look(f"--name={name}")]
        if not known:
            env = {**environment(claim), "ALTERLAB_WHERE": claim.where}
            try:
                gpus = self._gpus(job)
                said = _run(["sbatch", *self.extra, *_request(job, attempt, gpus)], CHANGE_S, _script(attempt, gpus), env)
            except _Refused as error:
                record.write_slot(attempt / "exit.slot", {"code": None, "launch": str(error), "ended": record.now()})
                return
            known = [said.strip().partition(";")[0]]
        io.write_json(attempt / "engine.json", {"slurm": known[0], "name": name})
        self._known_until = -math.inf

    def poll(self, attempts: Sequence[Path]) -> dict[Path, str]:
        """`unreachable`: the controller or the node is silent, or the controller has forgotten the job a moment ago.

        `ended` is what Slurm has given up.  On a node that Slurm gave up as dead a process may live on: its shepherd ends it
        as soon as there is a next attempt or a request to cancel.
        """
        try:
            self._ask()
        except JobError:
            return dict.fromkeys(attempts, "unreachable")
        return {attempt: self._stands(attempt) for attempt in attempts}

    def stop(self, attempt: Path, hard: bool) -> None:
        """Politely: SIGTERM to the shepherd alone.  Hard: to every process, and SIGKILL after Slurm's KillWait (30 s by default)."""
        ours = ["scancel", "--me", f"--name={_name(attempt)}"]
        if not hard and time.monotonic() < self._told.get(attempt, -math.inf) + AGAIN_S:
            return
        if hard:
            _run(ours, CHANGE_S)
        else:
            _run([*ours, "--state=PENDING"], CHANGE_S)  # first: a signal to a job that has not begun makes scancel try for 95 s
            _run([*ours, "--state=RUNNING", "--batch", "--signal=TERM"], CHANGE_S)
            self._told[attempt] = time.monotonic()
        self._known_until = -math.inf

    def _gpus(self, job: Job) -> int:
        """How many GPUs a job asks for; `auto` takes them where its partition has any."""
        if job.device not in ("", "auto"):
            return int(job.devices) if job.device.startswith("cuda") else 0
        named = [word.partition("=")[2] for word in self.extra if word.startswith("--partition=")]
        chosen = ",".join(named) or os.environ.get("SBATCH_PARTITION", "")
        there = [line.split("|", 1) for line in _run(["sinfo", "--noheader", "--format=%P|%G"]).splitlines()]
        mine = [gres for name, gres in there if (name.rstrip("*") in chosen.split(",") if chosen else name.endswith("*"))]
        return int(job.devices) if any(re.search(r"\bgpu:", gres) for gres in mine) else 0

    def _ask(self) -> None:
        """Learn how all jobs of the user stand, unless that was asked a moment ago.  JobError if Slurm is silent."""
        now = time.monotonic()
        if now < self._silent_until:
            raise JobError(self._silence)
        if now < self._known_until:
            return
        try:
            self._known = _look()
            nodes = sorted({node for _, state, node, _ in self._known if node and state not in PENDING | ENDED})
            lines = _run(["sinfo", "--noheader", "--Node", f"--nodes={','.join(nodes)}", "--format=%N|%T"]).split() if nodes else []
        except JobError as error:
            self._silence, took = str(error), time.monotonic() - now
            self._silent_until = time.monotonic() + min(REST * took, REST_S)
            raise
        self._silent_nodes = {line.partition("|")[0] for line in lines if line.endswith("*")}  # Slurm's mark: it does not answer
        self._known_until = time.monotonic() + ANSWER_S

    def _stands(self, attempt: Path) -> str:
        rows = [row for row in self._known if row[3] == _name(attempt)]
        if not rows:
            since = self._missed.setdefault(attempt, time.monotonic())
            return "ended" if time.monotonic() - since >= FORGOTTEN_S else "unreachable"
        self._missed.pop(attempt, None)
        living = [(state, node) for _, state, node, _ in rows if state not in ENDED]
        if any(node in self._silent_nodes for _, node in living):
            return "unreachable"
        return "ended" if not living else "pending" if all(state in PENDING for state, _ in living) else "running"


def _name(attempt: Path) -> str:
    """The name of an attempt's job.  JobError if its folder is not `…/<job id>/attempts/<n>`."""
    name = f"{attempt.parent.parent.name}-{attempt.name}"
    if not re.fullmatch(r"\d{6,12}-[a-z_]{1,20}-[0-9a-f]{6}-\d+", name):
        raise JobError(f"{attempt} is not the folder of an attempt.")
    return name


def _request(job: Job, attempt: Path, gpus: int) -> list[str]:
    """What is asked of sbatch.  Of the job only its id and numbers get here."""
    log = str(attempt.absolute() / "engine.log")
    if re.search(r"[\x00-\x1f\\]", log):
        raise JobError(f"Slurm cannot write into {str(attempt)!r}: the path has a backslash or a control character.")
    gres = [f"--gres=gpu:{gpus}"] if gpus else []
    return [
        *("--parsable", "--no-requeue", "--nodes=1", "--ntasks=1", f"--cpus-per-task={io.threads() * int(job.processes)}", *gres),
        *(f"--signal=B:USR1@{NOTICE_S}", f"--job-name={_name(attempt)}", "--export=ALL", f"--chdir={io.CHECKOUT}"),
        *(f"--output={log.replace('%', '%%')}", "--open-mode=append"),
    ]


def _script(attempt: Path, gpus: int) -> str:
    """The batch script: it becomes the shepherd, so that the signals reach that."""
    # said here, as Slurm takes this variable out of what it hands on: GPUs that a job has not asked for stay out of its sight
    hide = "" if gpus else "export CUDA_VISIBLE_DEVICES=\n"
    return f"#!/bin/sh\n{hide}exec {shlex.join(command(attempt.absolute()))}\n"


def _look(*which: str) -> list[list[str]]:
    """Number, state, node and name of the user's jobs, those that ended a short while ago (MinJobAge) among them."""
    rows = _run(["squeue", "--me", *which, "--states=all", "--noheader", "--format=%A|%T|%N|%j"]).splitlines()
    return [row.split("|", 3) for row in rows if row.count("|") >= 3]


def _run(words: list[str], patience_s: float = PATIENCE_S, script: str = "", env: dict[str, str] | None = None) -> str:
    """What one of Slurm's commands prints.  JobError if it is missing or says nothing in time, _Refused if Slurm will not do it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(HIDING)}
    try:
        done = subprocess.run(words, input=script, env=own | (env or {}), capture_output=True, text=True, timeout=patience_s, check=False)
    except FileNotFoundError:
        raise JobError(f"There is no {words[0]} on this machine, so it cannot submit to Slurm.") from None
    except subprocess.TimeoutExpired:
        raise JobError(f"Slurm has not answered {words[0]} for {patience_s:.0f} s.") from None
    if done.returncode:
        said = done.stderr.strip() or f"{words[0]} ended with code {done.returncode}"
        why = re.sub(rf"^{words[0]}: error: |^\w+ error: ", "", said.splitlines()[-1])
        raise JobError(f"Slurm does not answer: {why}.") if BUSY.search(said) else _Refused(f"Slurm refused it: {why}.")
    return done.stdout
