"""A job from submission to its end: what it says, how it stops, and what kills it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import engine, record
from core.worker import FINISHED_FIRST, MEMORY, NEVER_BEGUN, OUTSIDE, STOPPED
from tests.jobs.conftest import ended, process, running, there, until


def test_a_job_counts_says_so_and_succeeds(lab):
    job = jobs.submit("sleep", {"steps": 3, "delay_s": 0.02}, label="Three")
    assert job.state == "waiting" and job.label == "Three" and job.seq == 1
    done = ended(job.id)
    assert (done.state, done.reason, done.result) == ("succeeded", "", {"count": 3, "from": 0})
    assert done.created <= done.started <= done.ended
    assert (done.progress.step, done.progress.total, done.progress.message) == (3, 3, "counted to 3")
    assert [row["step"] for row in jobs.metrics(job.id)] == [1, 2, 3]
    assert jobs.tail(job.id).splitlines()[-3:] == ["count 1", "count 2", "count 3"]
    assert jobs.tail(job.id, lines=1) == "count 3\n"
    assert [j.id for j in jobs.list()] == [job.id]


def test_the_process_has_its_own_session_and_no_keyboard(lab):
    pid = running(jobs.submit("sleep", {"steps": 999}).id)
    assert os.getsid(pid) == pid != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_nothing_heavy_is_loaded_before_the_work_asks_for_it(lab, monkeypatch):
    monkeypatch.setenv("ALTERLAB_THREADS", "3")
    result = ended(jobs.submit("modules", {}).id).result
    assert result["loaded"] == []
    assert result["env"]["OMP_NUM_THREADS"] == result["env"]["MKL_NUM_THREADS"] == "3"


def test_half_the_cores_by_default(monkeypatch):
    for name in ("ALTERLAB_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for cores, threads in ((1, "1"), (2, "1"), (8, "4")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        assert engine._threads()["OMP_NUM_THREADS"] == threads
    assert engine._threads()["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert engine._threads()["OMP_NUM_THREADS"] == "5"


APP = """
import time
from core import jobs
from core.jobs import engine
print(jobs.submit("sleep", {"steps": 8, "delay_s": 0.1}).id, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_job_survives_the_app_that_started_it(lab, end):
    """The app is killed, or Ctrl-C goes to its whole group; a new process finds the job running and sees it through."""
    app = subprocess.Popen(
        [sys.executable, "-c", APP], cwd=io.CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    job_id = app.stdout.readline().strip()
    pid = running(job_id)
    os.killpg(app.pid, end)
    app.communicate()
    assert there(pid) and jobs.get(job_id).state == "running"
    assert ended(job_id).state == "succeeded"
    until(lambda: not there(pid))


def test_kill_9_is_failed_at_once_and_resume_goes_on_where_it_was(lab):
    job = jobs.submit("sleep", {"steps": 12, "delay_s": 0.05})
    pid = running(job.id)
    until(lambda: len(jobs.metrics(job.id)) >= 3)
    os.kill(pid, signal.SIGKILL)
    took = until(lambda: jobs.get(job.id).state == "failed")
    killed = jobs.get(job.id)
    assert took < 0.5
    assert "killed" in killed.reason and "step 1 of 12" in killed.reason and killed.ended
    counted = io.read_json(record.root() / job.id / "count.json")["count"]
    assert 3 <= counted < 12

    again = jobs.resume(job.id)
    assert (again.id, again.state, again.attempt) == (job.id, "waiting", 2)
    done = ended(job.id)
    assert (done.state, done.result) == ("succeeded", {"count": 12, "from": counted})
    # killed between saving and telling, one row may be missing; none is twice
    steps = [row["step"] for row in jobs.metrics(job.id)]
    assert steps == sorted(set(steps)) and {1, 2, 3, 12} <= set(steps)
    assert "attempt 1" in jobs.tail(job.id) and "attempt 2" in jobs.tail(job.id)


def test_a_polite_request_stops_it_and_keeps_what_it_saved(lab):
    job = jobs.submit("sleep", {"steps": 999, "delay_s": 0.05})
    pid = running(job.id)
    jobs.cancel(job.id)
    assert jobs.get(job.id).state in ("cancelling", "cancelled")
    done = ended(job.id)
    assert (done.state, done.reason) == ("cancelled", STOPPED)
    assert io.read_json(record.root() / job.id / "count.json")["count"] >= 1
    until(lambda: not there(pid))
    jobs.cancel(job.id)  # again: nothing happens
    assert jobs.get(job.id) == done


def test_a_missed_signal_does_not_matter_the_file_is_enough(lab):
    """As from another machine, or before the process could listen."""
    job = jobs.submit("sleep", {"steps": 999, "delay_s": 0.05})
    (record.root() / job.id / "cancel").touch()
    assert ended(job.id).state == "cancelled"


def test_a_deaf_job_is_ended_with_its_children(lab):
    job = jobs.submit("stuck", {})
    pids_file = record.root() / job.id / "pids.json"
    until(pids_file.exists)
    pids = io.read_json(pids_file)
    assert all(map(there, pids))
    begun = time.monotonic()
    jobs.cancel(job.id)
    assert jobs.get(job.id).state == "cancelling"
    done = ended(job.id)
    assert (done.state, done.reason) == ("cancelled", record.HARD_STOP)
    assert time.monotonic() - begun >= 0.5, "the polite time was not kept"
    until(lambda: not any(map(there, pids)))


def test_a_frozen_job_is_ended_by_whoever_looks(lab):
    """Stopped by the kernel it cannot end itself; a look at the list does it."""
    job = jobs.submit("sleep", {"steps": 999})
    pid = running(job.id)
    os.kill(pid, signal.SIGSTOP)
    jobs.cancel(job.id)
    assert jobs.list()[0].state == "cancelling" and there(pid)
    long_ago = time.time() - record.GRACE_S - 3
    os.utime(record.root() / job.id / "cancel", (long_ago, long_ago))
    until(lambda: jobs.list()[0].state == "cancelled")
    until(lambda: not there(pid))


def test_a_stop_from_outside_is_told_apart_from_the_users(lab):
    job = jobs.submit("sleep", {"steps": 999, "delay_s": 0.05})
    os.kill(running(job.id), signal.SIGTERM)
    done = ended(job.id)
    assert (done.state, done.reason) == ("failed", OUTSIDE)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("words", "The loss was no longer finite. Try a lower rate."),
        ("bug", "Something unexpected went wrong (reference "),
        ("disk", "The disk is full."),
        ("memory", MEMORY),
        ("exit", "Something unexpected went wrong"),
        ("odd", "The work returned what is not plain JSON"),
    ],
)
def test_failures_end_in_plain_words(lab, how, words):
    job = ended(jobs.submit("fails", {"how": how}).id)
    assert job.state == "failed" and job.reason.startswith(words) and job.result is None
    assert "secret" not in job.reason
    if how == "bug":
        reference = job.reason.partition("(reference ")[2][:4]
        assert f"reference {reference}" in jobs.tail(job.id) and "ValueError: secret detail" in jobs.tail(job.id)


def test_an_unknown_task_fails_and_lists_the_known(lab):
    job = ended(jobs.submit("teleport", {}).id)
    assert job.state == "failed" and "teleport" in job.reason and "train" in job.reason


def test_a_program_that_cannot_start_is_failed(lab, monkeypatch):
    monkeypatch.setattr(engine, "COMMAND", [str(lab / "no-such-python")])
    job = jobs.submit("sleep", {})
    assert job.state == "failed" and "could not be started" in job.reason


def test_the_labs_own_command_runs_a_job(home):
    """`python -m core worker`, as the app starts it."""
    assert engine.COMMAND[1:] == ["-m", "core", "worker"]
    assert ended(jobs.submit("sleep", {"steps": 1, "delay_s": 0}).id).state == "succeeded"
    until(lambda: engine._reap() or not engine._children)


def test_a_worker_is_not_started_by_hand(lab):
    job = ended(jobs.submit("sleep", {"steps": 1, "delay_s": 0}).id)
    done = subprocess.run(
        [sys.executable, "-m", "core", "worker", str(record.root() / job.id)], cwd=io.CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "by the queue" in done.stderr and "Traceback" not in done.stderr


def test_only_what_failed_or_was_cancelled_is_resumed_and_only_what_ended_is_removed(lab):
    live = jobs.submit("sleep", {"steps": 999, "delay_s": 0.05})
    with pytest.raises(JobError, match="only a failed or cancelled one"):
        jobs.resume(live.id)
    with pytest.raises(JobError, match="cancel it first"):
        jobs.remove(live.id)
    jobs.cancel(live.id)
    ended(live.id)
    assert jobs.resume(live.id).attempt == 2
    running(live.id)
    jobs.cancel(live.id)
    assert ended(live.id).attempt == 2
    assert (record.root() / live.id / "exit.1.json").exists()
    jobs.remove(live.id)
    assert jobs.list() == []
    with pytest.raises(JobError, match="no job"):
        jobs.get(live.id)
    done = ended(jobs.submit("sleep", {"steps": 1, "delay_s": 0}).id)
    with pytest.raises(JobError, match="succeeded"):
        jobs.resume(done.id)


def test_cancel_racing_with_the_end_gives_one_end_and_no_process(lab):
    """A request at twelve moments around the end of a short job."""
    states = set()
    for i in range(12):
        job = jobs.submit("sleep", {"steps": 1, "delay_s": 0.03})
        if i % 2:
            until(lambda job=job: jobs.get(job.id).started)
        time.sleep(0.012 * (i // 2))
        jobs.cancel(job.id)
        done = ended(job.id)
        assert (done.state, done.reason) in {
            ("succeeded", ""), ("succeeded", FINISHED_FIRST), ("cancelled", STOPPED), ("cancelled", NEVER_BEGUN)
        }  # fmt: skip
        assert (done.result is not None) == (done.state == "succeeded")
        until(lambda job=job: not record.alive(record.root() / job.id))
        assert jobs.get(job.id) == done
        assert not there(process(job.id))
        states.add(done.state)
    assert states == {"succeeded", "cancelled"}, "the moments were not around the end"
