"""What follows from what was seen: every kind of sight, in every state."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from core.jobs.state import ENDED, LEGAL, LIVE, RETRIED, STARTED, UNSTARTED, Seen, after, pause, ready, verdict

#: exit codes with the names of their signals
CODES = ((None, ""), (0, ""), (1, ""), (75, ""), (-9, "SIGKILL"), (-15, "SIGTERM"), (-7, "SIGBUS"), (-11, "SIGSEGV"))
#: the worker's word with its cause
CAUSES = ("exception", "disk_full", "gpu_oom", "host_oom")
WORDS = (("", ""), ("done", ""), ("stopped", ""), *(("error", cause) for cause in CAUSES))
FLAGS = tuple(product((False, True), repeat=5))


def sights() -> Iterator[Seen]:
    """All that can be seen of an attempt, and much that cannot."""
    for lives, (code, signal), (outcome, cause), launch in product((True, False, None), CODES, WORDS, ("", "No space left")):
        for begun, cancel, oom, full, remote in FLAGS:
            yield Seen(
                lives=lives, begun=begun, cancel=cancel, code=code, signal=signal, outcome=outcome, cause=cause, message="words",
                oom=oom, full=full, hard=3.0 if cancel and oom else 0.0, launch=launch, remote=remote, rebooted=full, said="step 3",
            )  # fmt: skip


def moves() -> Iterator[tuple[str, int, Seen]]:
    for state, seen in product(STARTED, sights()):
        for tries in (1, 3, 3 + UNSTARTED):
            yield state, tries, seen


def test_every_move_is_legal_and_every_end_has_its_words():
    count = 0
    for state, tries, seen in moves():
        due = after(state, tries, 3, seen)
        count += 1
        assert due.state == state or due.state in LEGAL[state], (state, seen, due)
        if due.state in ("failed", "cancelled") or (due.state == "queued" and due.state != state):
            assert due.cause and due.reason, (state, seen, due)
    assert count > 90_000


def test_success_needs_two_witnesses():
    for seen in sights():
        due = verdict(seen)
        witnesses = seen.code == 0 and seen.outcome == "done"
        assert (due is not None and due.state == "succeeded") == witnesses, (seen, due)


def test_only_what_is_no_fault_of_the_work_is_tried_again_and_never_without_end():
    never = (*CAUSES, "launch", "user", "dep_failed", "timeout")
    for state, tries, seen in moves():
        due = after(state, tries, 3, seen)
        if due.state == "queued":
            assert due.cause in RETRIED and due.cause not in never
            assert tries < 3 or due.cause == "unstarted"
            assert not seen.begun or due.cause != "unstarted"
            assert tries < 3 + UNSTARTED


def test_who_was_asked_to_stop_never_fails_nor_starts_again():
    for state, tries, seen in moves():
        if seen.cancel or state == "cancelling":
            assert after(state, tries, 3, seen).state in ("cancelling", "cancelled", "succeeded"), (state, seen)


def test_nothing_ends_before_its_processes_have_or_while_nobody_can_tell():
    for state, tries, seen in moves():
        if seen.lives is not False and seen.code is None and not seen.launch:
            assert after(state, tries, 3, seen).state in STARTED, (state, seen)


def test_a_second_look_changes_nothing():
    for state, tries, seen in moves():
        once = after(state, tries, 3, seen)
        twice = after(once.state, tries, 3, seen)
        assert twice.state == once.state, (state, seen, once, twice)


@pytest.mark.parametrize("state", [*ENDED, "waiting", "queued"])
def test_what_has_no_attempt_under_way_stays_whatever_is_seen(state: str):
    assert all(after(state, 1, 3, seen).state == state for seen in sights())


def test_what_has_ended_is_moved_by_a_person_only():
    assert LEGAL["succeeded"] == ()
    assert all(set(LEGAL[state]) <= {"queued", "waiting"} for state in ENDED)
    assert LEGAL.keys() == set(LIVE) | set(ENDED)


def test_a_late_word_settles_what_a_lock_left_open():
    lost = Seen(lives=False, begun=True)
    assert after("running", 1, 3, lost).cause == "lost"
    assert after("running", 3, 3, lost).state == "failed"
    assert after("running", 1, 3, replace(lost, code=0, outcome="done")).state == "succeeded"


def test_needs():
    for states in product((*LIVE, *ENDED, ""), repeat=2):
        due = ready(list(states)).state
        bad = any(state in ("failed", "cancelled", "") for state in states)
        assert due == ("failed" if bad else "queued" if set(states) == {"succeeded"} else "waiting")
        assert due == "waiting" or due in LEGAL["waiting"]
    assert ready([]).state == "queued"


def test_pauses_grow():
    assert [pause(tries) for tries in range(4)] == [5.0, 5.0, 20.0, 80.0]
