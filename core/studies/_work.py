"""Trains and measures one net of a study; what another job is training is waited for, not trained twice."""

from __future__ import annotations

import time
from typing import Any

from core import analyses, store
from core.jobs import Cancelled
from core.studies._family import Member
from core.studies._told import lacking
from core.train.loop import Busy, Listener, train

#: seconds between two looks whether another process has finished a net
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
        if self.listener.cancelled():
            raise Cancelled

    def metric(self, row: dict[str, Any]) -> None:
        """Not passed on: the run's own history has it."""

    def cancelled(self) -> bool:
        """Whether to stop."""
        return self.listener.cancelled()


class _Training(_Part):
    """The loop asks itself whether to stop, after it has saved where it is."""

    def progress(self, step: int, total: int, message: str = "", **_: float) -> None:
        """Passed on as a share of the whole."""
        self.listener.progress(int(1000 * self.last * step / max(total, 1)), 1000, f"{self.said}: {message}")


def do(member: Member, listener: Listener, device: str = "auto") -> None:
    """Train a member unless that is done, then answer its open questions.  Cancelled if the listener asks to stop; LabErrors of both."""
    run = member.run
    while True:
        folder = store.create(run)
        if store.final(run.id) is not None:
            break
        try:
            train(run, folder, _Training(listener, 0.0, TRAINING, member.label), device=device)
        except Busy:
            listener.progress(0, 1000, f"{member.label}: being trained by another job")
            if listener.cancelled():
                raise Cancelled from None
            time.sleep(PAUSE_S)
    left = lacking(run, member.asks)
    for done, (name, settings) in enumerate(left):
        first, last = (TRAINING + (1 - TRAINING) * (done + i) / len(left) for i in (0, 1))
        part = _Part(listener, first, last, f"{member.label}: {analyses.get(name).title}")
        analyses.measure_run(run.id, name, settings, device=device, progress=part.progress)
