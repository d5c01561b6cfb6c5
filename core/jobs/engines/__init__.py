"""Where jobs run.  An engine decides where and when one command starts, and nothing else: the shepherd of an attempt.

One setting chooses: `ALTERLAB_ENGINE` is `local` (this machine, the default), `slurm`, `slurm:<options of sbatch>` or
`ray:<address of the head, http://head:8265>`.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core import io
from core.errors import JobError
from core.jobs.record import Job

ENGINES = ("local", "slurm", "ray")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Room for one attempt: leases (open files that its processes inherit), environment, and the place in words."""

    handles: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


class Engine(Protocol):
    """What the dispatcher needs of an engine.  Any call may raise JobError in words; the job then waits and is tried again."""

    name: str

    def claim(self, job: Job, live: int) -> Claim | str:
        """Room for a job's next attempt now, or why there is none, in words.  `live` attempts of this engine have not ended."""
        ...

    def start(self, job: Job, attempt: Path, claim: Claim) -> None:
        """Start `command(attempt)`.  Starting the same attempt twice must not run it twice."""
        ...

    def poll(self, attempts: Sequence[Path]) -> dict[Path, str]:
        """What is known of each: `pending`, `running`, `ended` (given up: the fence ends what lives on) or `unreachable`."""
        ...

    def stop(self, attempt: Path, hard: bool) -> None:
        """End it, politely or at once; nothing happens if it has ended."""
        ...


def command(attempt: Path) -> list[str]:
    """The command of an attempt, the same on every engine; its working directory is the checkout."""
    return [sys.executable, "-S", "-E", "-m", "core.jobs.shepherd", str(attempt)]


def setting() -> tuple[str, str]:
    """Name and options of the engine that new jobs go to.  JobError if the setting is none."""
    name, _, options = os.environ.get("ALTERLAB_ENGINE", "local").strip().partition(":")
    if name not in ENGINES:
        raise JobError(f"ALTERLAB_ENGINE is {name[:40]!r}; it should be local, slurm, slurm:<options> or ray:<address>.")
    return name, options


def engine(name: str) -> Engine:
    """The engine of that name, with the options of the setting where they are its own."""
    chosen, options = setting()
    return importlib.import_module(f"core.jobs.engines.{name}").make(options if chosen == name else "")


def environment(claim: Claim) -> dict[str, str]:
    """What the processes of an attempt are told, on any machine."""
    count = str(io.threads())
    threads = {f"{library}_NUM_THREADS": count for library in ("OMP", "MKL", "OPENBLAS")} | {"OMP_WAIT_POLICY": "passive"}
    own = {name: os.environ[name] for name in ("ALTERLAB_TASKS", "ALTERLAB_THREADS") if name in os.environ}
    home = {"ALTERLAB_HOME": str(io.home().absolute())}
    return {**threads, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **own, **home, **claim.env}
