"""Turns, twins and leases: who computes when."""

import itertools
import os
import signal
import subprocess
import sys

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import lease, record
from core.worker import NEVER_BEGUN
from tests.jobs.conftest import ended, process, running, there, until

LONG = {"steps": 999, "delay_s": 0.02}
SHORT = {"steps": 2, "delay_s": 0.03}


def test_one_computes_at_a_time_in_order_of_priority_then_age(lab):
    first = jobs.submit("sleep", {"steps": 12, "delay_s": 0.05})
    running(first.id)
    others = [jobs.submit("sleep", SHORT, priority=p) for p in (0, 0, 5)]
    for job in others:
        process(job.id)
    assert [jobs.get(j.id).state for j in others] == ["waiting"] * 3
    done = [ended(j.id) for j in (first, others[2], others[0], others[1])]
    assert [j.state for j in done] == ["succeeded"] * 4
    times = [(j.started, j.ended) for j in done]
    assert times == sorted(times), "overtaken"
    assert all(begun >= end for (_, end), (begun, _) in itertools.pairwise(times)), "two computed at once"


def test_another_device_does_not_wait(lab):
    running(jobs.submit("sleep", {**LONG, "device": "cpu"}).id)
    other = jobs.submit("sleep", {**SHORT, "device": "mps"})
    assert ended(other.id).state == "succeeded"


def test_names_of_devices(monkeypatch):
    assert [lease.canonical(d) for d in ("cpu", "cuda", "cuda:1", "mps")] == ["cpu", "cuda:0", "cuda:1", "mps"]
    assert lease.canonical("auto") == lease.canonical("")
    for wrong in ("tpu", "../cpu", "cuda:x", 7):
        with pytest.raises(JobError, match="Known: auto"):
            lease.canonical(wrong)


def test_cancelled_before_its_turn_and_killed_before_its_turn(lab):
    first = jobs.submit("sleep", LONG)
    running(first.id)
    second, third, fourth = (jobs.submit("sleep", SHORT) for _ in range(3))
    pids = [process(j.id) for j in (second, third)]
    jobs.cancel(second.id)
    os.kill(pids[1], signal.SIGKILL)
    assert (ended(second.id).state, ended(second.id).reason) == ("cancelled", NEVER_BEGUN)
    dead = ended(third.id)
    assert dead.state == "failed" and "before its turn" in dead.reason and dead.started is None
    assert jobs.get(fourth.id).state == "waiting"
    jobs.cancel(first.id)
    assert ended(fourth.id).state == "succeeded"
    assert not any(map(there, pids))
    assert os.listdir(lab / "leases" / f"{lease.canonical('auto').replace(':', '-')}.queue") == []
    assert jobs.resume(third.id).state == "waiting"
    assert ended(third.id).state == "succeeded"


def test_a_child_that_outlives_a_killed_worker_keeps_the_device_and_not_the_job(lab):
    """Its memory is still taken, so nobody else may compute; but the job has failed, and says so at once."""
    job = jobs.submit("stuck", {"child_s": 1.5})
    pids_file = record.root() / job.id / "pids.json"
    until(pids_file.exists)
    pid, child, program = io.read_json(pids_file)
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: jobs.get(job.id).state == "failed") < 0.5
    after = jobs.submit("sleep", SHORT)
    process(after.id)
    assert there(child) and jobs.get(after.id).state == "waiting"
    done = ended(after.id)
    assert done.state == "succeeded" and not there(child)
    os.kill(program, signal.SIGKILL)


def test_the_same_work_is_not_queued_twice(lab):
    one = jobs.submit("sleep", LONG, dedup="k")
    assert jobs.submit("sleep", LONG, dedup="k").id == one.id
    assert jobs.submit("sleep", LONG, dedup="other").id != one.id
    jobs.cancel(one.id)
    ended(one.id)
    two = jobs.submit("sleep", LONG, dedup="k")
    assert two.id != one.id
    with pytest.raises(JobError, match=two.id):
        jobs.resume(one.id)


SUBMITTERS = """
from core import jobs
from core.jobs import engine
import sys
engine.COMMAND = [sys.executable, "-m", "tests.jobs.stand_in"]
for i in range(6):
    jobs.submit("sleep", {"steps": 999, "delay_s": 0.05}, dedup=f"work {i % 3}")
"""


def test_four_programs_submit_at_once(lab):
    """24 submissions of 3 kinds of work from 4 processes: 3 jobs with numbers of their own."""
    command = [sys.executable, "-c", SUBMITTERS]
    programs = [subprocess.Popen(command, cwd=io.CHECKOUT, stderr=subprocess.PIPE) for _ in range(4)]
    for program in programs:
        _, errors = program.communicate(timeout=30)
        assert program.returncode == 0, errors
    found = jobs.list()
    assert sorted(j.dedup for j in found) == ["work 0", "work 1", "work 2"]
    assert [j.seq for j in found] == [3, 2, 1]
    pids = [process(j.id) for j in found]
    for job in found:
        jobs.cancel(job.id)
    for job in found:
        assert ended(job.id).state == "cancelled"
    until(lambda: not any(map(there, pids)))
