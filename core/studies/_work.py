"""Trains and measures one net of a study; what another job is at is waited for, not done twice."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core import analyses, store
from core.errors import MeasureError, TrainError
from core.jobs import Cancelled
from core.studies._family import Member
from core.studies._told import answerable
from core.train.loop import Busy, Listener, train
from core.train.parallel import PeerLost

#: seconds between two looks whether another process is done with a net
PAUSE_S = 2.0
#: how much of a net's progress its training is
TRAINING = 0.7


class _Part:
    """A listener that hears a part of the work, from one share of it to another."""

    def __init__(self, listener: Listener, first: float, last: float, said: str) -> None:
        self.listener, self.first, self.last, self.said = listener, first, last, said

    def progress(self, step: int, total: int, message: str = "", **_: float) -> None:
        """Passed on as a share of the whole."""
        share = self.first + (self.last - self.first) * step / max(total, 1)
        self.listener.progress(int(1000 * share), 1000, f"{self.said}: {message}" if message else self.said)

    def metric(self, row: dict[str, Any]) -> None:
        """Not passed on: the run's own history has it."""

    def cancelled(self) -> bool:
        """Whether to stop."""
        return self.listener.cancelled()

    def measured(self, step: int, total: int, message: str = "", **_: float) -> None:
        """Passed on; Cancelled if the listener asks to stop, which a training asks itself."""
        self.progress(step, total, message)
        if self.cancelled():
            raise Cancelled


def do(member: Member, listener: Listener, device: str = "auto") -> str:
    """Train a member unless that is done, then answer its open questions; why that failed in words, "" if it did not.

    Cancelled if the listener asks to stop.  What is no fault of this net is raised: images that are not there, a disk that is full, …
    """
    try:
        _train(member, listener, device)
        _measure(member, listener, device)
    except PeerLost:
        raise
    except (TrainError, MeasureError) as error:
        return f"{' '.join(filter(None, (member.line, member.label)))}, seed {member.run.seed}: {error}"
    return ""


def _train(member: Member, listener: Listener, device: str) -> None:
    run = member.run
    while run.id not in {known.id for known in store.list_runs()} or store.final(run.id) is None:
        try:
            train(run, store.create(run), _Part(listener, 0.0, TRAINING, member.label), device=device)
        except Busy:
            _wait(listener, f"{member.label}: being trained by another job")


def _measure(member: Member, listener: Listener, device: str) -> None:
    run = member.run
    if not answerable(run, member.asks):
        return
    with _alone(member, listener):
        left = answerable(run, member.asks)
        for done, (name, settings) in enumerate(left):
            first, last = (TRAINING + (1 - TRAINING) * (done + i) / len(left) for i in (0, 1))
            part = _Part(listener, first, last, f"{member.label}: {analyses.get(name).title}")
            analyses.measure_run(run.id, name, settings, device=device, progress=part.measured)


@contextmanager
def _alone(member: Member, listener: Listener) -> Iterator[None]:
    """Keep other studies from measuring the net meanwhile; the kernel lets go when the process ends."""
    place = store.user_root() / member.run.id  # of a run that came with the lab, too: its new results lie there
    place.mkdir(parents=True, exist_ok=True)
    with (place / "measuring.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(listener, f"{member.label}: being measured by another job")
        yield


def _wait(listener: Listener, said: str) -> None:
    listener.progress(0, 1000, said)
    if listener.cancelled():
        raise Cancelled
    time.sleep(PAUSE_S)
