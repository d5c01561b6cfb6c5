"""Turns, twins, needs, parts and leases: who computes when, and on what."""

import itertools
import os
import signal
import subprocess
import sys

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import leases, record, state
from tests.jobs.conftest import begun, dispatcher, end_all, ended, of_lab, running, there, until

LONG = {"steps": 999, "delay_s": 0.02}
SHORT = {"steps": 2, "delay_s": 0.03}


def overlap(*done):
    """Pairs of ended jobs that ran at the same time."""
    times = sorted((job.started, job.ended) for job in done)
    return [(a, b) for a, b in itertools.pairwise(times) if b[0] < a[1]]


def test_one_computes_at_a_time_in_order_of_priority_then_age(lab):
    first = jobs.submit("chain", {"steps": 10, "delay_s": 0.05})
    running(first.id)
    others = [jobs.submit("chain", SHORT, priority=p) for p in (0, 0, 5, -5)]
    assert {jobs.get(j.id).state for j in others} == {"queued"}
    jobs.prioritise(others[3].id, 10)
    order = [first, others[3], others[2], others[0], others[1]]
    done = [ended(j.id) for j in order]
    assert {j.state for j in done} == {"succeeded"} and [j.priority for j in done] == [0, 10, 5, 0, 0]
    assert [j.started for j in done] == sorted(j.started for j in done), "overtaken"
    assert not overlap(*done), "two computed at once"


def test_another_device_does_not_wait_and_downloads_go_beside(lab):
    running(jobs.submit("chain", {**LONG, "device": "cpu"}).id)
    assert ended(jobs.submit("chain", {**SHORT, "device": "mps"}).id).state == "succeeded"
    loads = [jobs.submit("chain", {"steps": 8, "delay_s": 0.05, "device": "network"}) for _ in range(3)]
    done = [ended(job.id) for job in loads]
    assert {job.state for job in done} == {"succeeded"}
    first, second, third = sorted((job.started, job.ended) for job in done)
    assert second[0] < first[1], "two at a time"
    assert third[0] >= min(first[1], second[1]), "and the third after one of them"


SMI = """#!/bin/sh
case "$1" in
--query-gpu*) echo "0, GPU-aaaa, Fast One"; echo "1, GPU-bbbb, Fast One" ;;
--query-compute-apps*) cat "{apps}" ;;
esac
"""


@pytest.fixture
def gpus(lab, tmp_path, monkeypatch):
    """Two GPUs, as far as the driver's tool tells; and the file that says which programs compute on them."""
    tool, apps = tmp_path / "bin" / "nvidia-smi", tmp_path / "apps"
    tool.parent.mkdir()
    tool.write_text(SMI.format(apps=apps))
    tool.chmod(0o755)
    apps.touch()
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    leases._gpus.cache_clear()  # the minute's answer, asked before there was this tool
    return apps


def test_each_gpu_is_leased_to_one_job_that_sees_no_other(gpus):
    two = [jobs.submit("chain", {**LONG, "device": "cuda"}) for _ in range(2)]
    for job in two:
        running(job.id)
    assert {jobs.get(job.id).where for job in two} == {"Fast One (cuda:0)", "Fast One (cuda:1)"}
    third = jobs.submit("modules", {"device": "cuda:1"})
    assert ended(jobs.submit("chain", {**SHORT, "device": "cpu"}).id).state == "succeeded", "the CPU is free"
    assert jobs.get(third.id).state == "queued"
    until(lambda: jobs.status().devices[0].taken == "")
    assert sorted(place.taken for place in jobs.status().devices) == ["", *sorted(job.id for job in two)]
    for job in two:
        jobs.cancel(job.id)
    assert ended(third.id).result["env"]["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb"
    both = ended(jobs.submit("modules", {"device": "cuda"}, devices=2).id)
    assert both.result["env"]["CUDA_VISIBLE_DEVICES"] == "GPU-aaaa,GPU-bbbb"
    never = jobs.submit("modules", {"device": "cuda"}, devices=3)
    until(lambda: "has 2 of the 3" in jobs.get(never.id).reason)


def test_a_gpu_that_another_program_uses_is_left_alone(gpus):
    gpus.write_text(f"GPU-aaaa, {os.getpid()}, relative/other/tool\n")
    assert ended(jobs.submit("modules", {"device": "cuda"}).id).result["env"]["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb"
    waits = jobs.submit("modules", {"device": "cuda:0"})
    until(lambda: jobs.get(waits.id).reason)
    assert jobs.get(waits.id).reason == f"Fast One (cuda:0) is busy elsewhere: tool (process {os.getpid()})."
    assert [place.taken for place in jobs.status().devices][1].startswith("busy elsewhere")
    gpus.write_text("")
    assert ended(waits.id).state == "succeeded"


def test_names_of_devices(gpus):
    assert [leases.canonical(d) for d in ("cpu", "cuda", "cuda:1", "mps", "network")] == ["cpu", "cuda", "cuda:1", "mps", "network"]
    assert leases.canonical("auto") == leases.canonical("") == "cuda"
    for wrong in ("tpu", "../cpu", "cuda:x", "cuda:1\n", 7, None):
        with pytest.raises(JobError, match="Known: auto"):
            leases.canonical(wrong)


def test_another_data_folder_of_this_machine_shares_the_device(lab, tmp_path, monkeypatch):
    here = jobs.submit("chain", LONG)
    running(here.id)
    other = tmp_path / "other"
    other.mkdir()
    try:
        monkeypatch.setenv("ALTERLAB_HOME", str(other))
        waits = jobs.submit("chain", SHORT)
        until(lambda: jobs.get(waits.id) and of_lab(other, "core.jobs.dispatcher"))
        assert jobs.status().devices[0].taken == "another lab on this machine" and jobs.get(waits.id).state == "queued"
        monkeypatch.setenv("ALTERLAB_HOME", str(lab))
        jobs.cancel(here.id)
        first = ended(here.id)
        monkeypatch.setenv("ALTERLAB_HOME", str(other))
        done = ended(waits.id)
        assert done.state == "succeeded" and not overlap(first, done)
    finally:
        end_all(other)
        monkeypatch.setenv("ALTERLAB_HOME", str(lab))


def test_the_device_is_free_only_when_the_last_process_is_gone(lab):
    """A killed parent and its worker are gone at once; a child that holds memory keeps the device until it is ended."""
    (cpu,) = leases.devices("cpu")
    job = jobs.submit("stuck", {}, attempts=1)
    until((job.folder / "pids.json").exists)
    worker, child, _ = io.read_json(job.folder / "pids.json")
    os.kill(chief := dispatcher(lab), signal.SIGSTOP)
    os.kill(begun(job.id)["pid"], signal.SIGKILL)
    until(lambda: not there(worker))
    assert (jobs.get(job.id).state, jobs.get(job.id).cause) == ("failed", "lost"), "what is seen is told although nobody has recorded it"
    assert there(child) and leases.held(cpu)
    after = jobs.submit("chain", {"steps": 1})
    os.kill(chief, signal.SIGCONT)
    assert ended(after.id).state == "succeeded"
    assert not there(child) and ended(job.id).cause == "lost"
    until(lambda: not leases.held(cpu))


def test_cancelled_before_its_turn(lab):
    first = jobs.submit("chain", LONG)
    running(first.id)
    second, third = (jobs.submit("chain", SHORT) for _ in range(2))
    jobs.cancel(second.id)
    over = jobs.get(second.id)
    assert (over.state, over.reason, over.attempt, over.started) == ("cancelled", state.NEVER_BEGUN, 0, None), "at once"
    jobs.cancel(first.id)
    assert ended(third.id).state == "succeeded"
    assert jobs.resume(second.id).state in (*jobs.LIVE, "succeeded")
    assert ended(second.id).state == "succeeded"


def test_the_same_work_is_not_queued_twice(lab):
    one = jobs.submit("chain", LONG, dedup="k")
    assert jobs.submit("chain", LONG, dedup="k").id == one.id
    assert jobs.submit("chain", LONG, dedup="other").id != one.id
    jobs.cancel(one.id)
    ended(one.id)
    two = jobs.submit("chain", LONG, dedup="k")
    assert two.id != one.id
    with pytest.raises(JobError, match=two.id):
        jobs.resume(one.id)


SUBMITTERS = """
from core import jobs
for i in range(6):
    jobs.submit("chain", {"steps": 999, "delay_s": 0.05}, dedup=f"work {i % 3}")
"""


def test_four_programs_submit_at_once(lab):
    """24 submissions of 3 kinds of work from 4 processes: 3 jobs with numbers of their own, and one dispatcher."""
    programs = [subprocess.Popen([sys.executable, "-c", SUBMITTERS], cwd=io.CHECKOUT, stderr=subprocess.PIPE) for _ in range(4)]
    for program in programs:
        _, errors = program.communicate(timeout=30)
        assert program.returncode == 0, errors
    found = jobs.list()
    assert sorted(j.dedup for j in found) == ["work 0", "work 1", "work 2"]
    assert [j.seq for j in found] == [3, 2, 1]
    pid = running(found[-1].id)
    for job in found:
        jobs.cancel(job.id)
    assert {ended(job.id).state for job in found} == {"cancelled"} and not there(pid)


def test_resuming_what_failed_for_its_needs_runs_both(lab):
    need = jobs.submit("chain", {"steps": 6, "delay_s": 0.05}, attempts=1)
    job = jobs.submit("chain", {"steps": 1}, needs=[need.id])
    last = jobs.submit("chain", {"steps": 1}, needs=[job.id])
    os.kill(running(need.id), signal.SIGKILL)
    assert [ended(j.id).cause for j in (need, job, last)] == ["killed", "dep_failed", "dep_failed"]
    assert jobs.resume(job.id).state == "waiting"
    assert ended(job.id).state == ended(need.id).state == "succeeded"
    assert jobs.get(need.id).started <= jobs.get(job.id).started and jobs.get(last.id).state == "failed"


def test_a_whole_is_cancelled_and_removed_with_its_parts(lab):
    whole = jobs.submit("rows", {"rows": 8, "delay_s": 0.3}, parts=3, rows=8, label="Grid")
    parts = [job for job in jobs.list() if job.parent == whole.id]
    assert len(parts) == 3 and {job.state for job in parts} <= {"queued", "starting", "running"} and whole.state == "waiting"
    begun(parts[-1].id)
    with pytest.raises(JobError, match="cancel it first"):
        jobs.remove(whole.id)
    jobs.cancel(whole.id)
    assert {ended(job.id).state for job in (whole, *parts)} == {"cancelled"}
    jobs.remove(whole.id)
    assert jobs.list() == [] == record.names()


def test_what_a_killed_parent_left_is_ended_although_the_job_was_removed(lab):
    job = jobs.submit("stuck", {}, attempts=1)
    until((job.folder / "pids.json").exists)
    pids = io.read_json(job.folder / "pids.json")
    os.kill(chief := dispatcher(lab), signal.SIGSTOP)
    os.kill(begun(job.id)["pid"], signal.SIGKILL)
    until(lambda: not there(pids[0]))
    jobs.remove(job.id)
    os.kill(chief, signal.SIGCONT)
    assert ended(jobs.submit("chain", SHORT).id).state == "succeeded" and not any(map(there, pids))
