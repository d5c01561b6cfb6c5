"""A job on this machine from submission to its end: what its process is given, how it stops, and what a user may do with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import record, state
from core.recipe import get as recipe
from core.run import Run
from tests.jobs.conftest import begun, dispatcher, ended, of_jobs, running, there, until

LONG = {"steps": 999, "delay_s": 0.05}


def test_the_process_has_its_own_session_and_no_keyboard(lab):
    pid = running(jobs.submit("chain", LONG).id)
    assert os.getsid(pid) != os.getsid(0) and os.getsid(pid) != os.getsid(dispatcher(lab))
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_nothing_heavy_is_loaded_before_the_work_asks_for_it(lab, monkeypatch):
    monkeypatch.setenv("ALTERLAB_THREADS", "3")
    result = ended(jobs.submit("modules", {}).id).result
    assert result["loaded"] == []
    assert result["env"]["OMP_NUM_THREADS"] == result["env"]["MKL_NUM_THREADS"] == "3"
    assert result["env"]["CUDA_VISIBLE_DEVICES"] == "", "a job for the CPU sees GPUs"


def test_half_the_cores_by_default(monkeypatch):
    for name in ("ALTERLAB_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for cores, threads in ((1, 1), (2, 1), (8, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        assert io.threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert io.threads() == 5
    monkeypatch.setenv("ALTERLAB_THREADS", "2")
    assert io.threads() == 2


def test_a_request_whose_signal_nobody_sends_is_enough(lab):
    """As from another machine, with no dispatcher: the file does it."""
    job = jobs.submit("chain", LONG)
    running(job.id)
    os.kill(dispatcher(lab), signal.SIGSTOP)
    (job.folder / "cancel").touch()
    assert ended(job.id).state == "cancelled"


def test_a_frozen_job_is_ended_after_its_grace(lab):
    """Stopped by the kernel it cannot end itself."""
    job = jobs.submit("chain", LONG, grace_s=0.3)
    pid = running(job.id)
    os.kill(pid, signal.SIGSTOP)
    jobs.cancel(job.id)
    done = ended(job.id)
    assert done.state == "cancelled" and done.reason.startswith("It did not stop within")
    assert not there(pid)


def test_two_requests_to_stop_at_once_do_not_tear_it(lab):
    """A cluster signals the whole tree, the parent does too: the work is saved and said to be stopped all the same."""
    job = jobs.submit("chain", {"steps": 999, "delay_s": 0.2})
    pid = running(job.id)
    (job.folder / "cancel").touch()
    for _ in range(50):
        if there(pid):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.01)
    assert ended(job.id).reason == state.STOPPED
    assert record.read_slot(job.place.with_name("1") / "exit.slot")["code"] == state.STOPPED_CODE


@pytest.mark.parametrize("who", ["pid", "worker"])
def test_a_stop_from_outside_is_told_apart_from_the_users(lab, who):
    """The machine shuts down, or a cluster takes it back: what is saved counts, and as it got on it is tried again at no cost."""
    job = jobs.submit("chain", LONG, attempts=1)
    running(job.id)
    os.kill(begun(job.id)[who], signal.SIGTERM)
    until(lambda: (now := jobs.get(job.id)).state == "queued" and now.tries == 0)
    now = jobs.get(job.id)
    assert now.cause == "preempted" and now.reason.startswith(state.WORDS["preempted"])
    assert record.read_slot(job.place.with_name("1") / "exit.slot")["code"] == state.STOPPED_CODE


def test_cancelled_between_two_attempts(lab):
    job = jobs.submit("chain", LONG)
    os.kill(running(job.id), signal.SIGKILL)
    until(lambda: jobs.get(job.id).state == "queued")
    assert jobs.get(job.id).cause == "killed" and jobs.get(job.id).reason.startswith(state.WORDS["killed"])
    jobs.cancel(job.id)
    done = jobs.get(job.id)
    assert (done.state, done.reason, done.attempt) == ("cancelled", state.STOPPED, 1)


def test_an_unknown_task_fails_and_lists_the_known(lab):
    job = ended(jobs.submit("teleport", {}).id)
    assert job.state == "failed" and "teleport" in job.reason and "train" in job.reason


def test_a_process_that_cannot_start_is_told(lab):
    blocker = jobs.submit("chain", {"steps": 10, "delay_s": 0.05})
    job = jobs.submit("chain", {"steps": 1})
    (job.folder / "attempts" / "1" / "out.log").mkdir(parents=True)
    done = ended(job.id)
    assert (done.state, done.cause) == ("failed", "launch") and "could not be started" in done.reason
    assert ended(blocker.id).state == "succeeded"


def test_the_labs_own_tasks_run(lab, monkeypatch):
    """Without tasks of a test: what the app and the command line start."""
    monkeypatch.delenv("ALTERLAB_TASKS")
    job = jobs.submit("sleep", {"steps": 3, "delay_s": 0.02})
    done = ended(job.id)
    assert (done.state, done.result) == ("succeeded", {"count": 3, "from": 0})
    assert jobs.tail(job.id).splitlines()[-3:] == ["count 1", "count 2", "count 3"] and jobs.tail(job.id, lines=1) == "count 3\n"


def test_a_worker_is_not_started_by_hand(lab):
    job = ended(jobs.submit("chain", {"steps": 1}).id)
    for place in (job.place, job.folder):
        done = subprocess.run(
            [sys.executable, "-m", "core", "worker", str(place)], cwd=io.CHECKOUT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1 and "by the queue" in done.stderr and "Traceback" not in done.stderr


def test_only_what_failed_or_was_cancelled_is_resumed_and_only_what_ended_is_removed(lab):
    live = jobs.submit("chain", LONG)
    with pytest.raises(JobError, match="only a failed or cancelled one"):
        jobs.resume(live.id)
    with pytest.raises(JobError, match="cancel it first"):
        jobs.remove(live.id)
    running(live.id)
    jobs.cancel(live.id)
    kept = record.load(live.folder / "count.json")["count"]
    assert ended(live.id).state == "cancelled"
    again = jobs.resume(live.id)
    assert (again.id, again.ended, again.result) == (live.id, None, None) and again.state in jobs.LIVE
    running(live.id, attempt=2)
    jobs.cancel(live.id)
    assert ended(live.id).attempt == 2 and record.load(live.folder / "count.json")["count"] >= kept
    assert jobs.history(live.id)[-1].cause == "user"
    jobs.remove(live.id)
    assert jobs.list() == [] and not live.folder.exists()
    with pytest.raises(JobError, match="no job"):
        jobs.get(live.id)
    done = ended(jobs.submit("chain", {"steps": 1}).id)
    with pytest.raises(JobError, match="succeeded"):
        jobs.resume(done.id)


def test_of_many_attempts_the_last_three_are_kept(lab):
    job = jobs.submit("fails", {"how": "words"})
    for n in range(1, 6):
        assert ended(job.id).attempt == n
        if n < 5:
            jobs.resume(job.id)
    assert record.attempt_numbers(job.folder) == [3, 4, 5]
    assert "attempt 5" in jobs.tail(job.id) and [one.n for one in jobs.history(job.id)] == [3, 4, 5]


def test_what_a_killed_parent_left_is_ended_although_resume_came_first(lab):
    """Its end is recorded by Resume, not by the dispatcher; a child of it keeps the device until it is ended."""
    job = jobs.submit("stuck", {}, attempts=1, grace_s=0.3)
    pids = job.folder / "pids.json"
    until(pids.exists)
    worker, child, program = io.read_json(pids)
    os.kill(chief := dispatcher(lab), signal.SIGSTOP)
    os.kill(begun(job.id)["pid"], signal.SIGKILL)
    until(lambda: not there(worker))
    assert there(child) and jobs.get(job.id).cause == "lost"
    jobs.resume(job.id)
    os.kill(chief, signal.SIGCONT)
    until(lambda: not there(child) and not there(program), 5)
    begun(job.id, 2)
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"


def test_a_dispatcher_that_is_asked_to_leave_does_so_at_once(lab):
    ended(jobs.submit("chain", {"steps": 1}).id)
    pid = dispatcher(lab)
    time.sleep(0.7)  # nothing to do: it sleeps for long
    os.kill(pid, signal.SIGTERM)
    assert until(lambda: not there(pid), 5) < 1.0


LEAVES = "from core.jobs import dispatcher; dispatcher.main(idle_s=0.0); print(flush=True); input()"
SUBMITS = "from core import jobs; print(jobs.submit('chain', {'steps': 1}).id)"


def test_a_job_submitted_while_the_dispatcher_leaves_is_not_forgotten(lab):
    """It has found nothing to do and is not gone yet; nobody looks at the job afterwards, which would start another."""
    old = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", LEAVES], cwd=io.CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    old.stdout.readline()
    job_id = subprocess.run([sys.executable, "-c", SUBMITS], cwd=io.CHECKOUT, check=True, capture_output=True, text=True).stdout.strip()
    until(lambda: record.read_slot(lab / "jobs" / job_id / "state.slot").get("state") == "succeeded", 10)
    old.communicate("\n")


@pytest.mark.slow
def test_several_processes_share_a_job(lab):
    """Under torchrun: a request to stop reaches all, a killed one takes the others with it, and the work goes on from what was saved."""
    chosen = vars(recipe("quick", epochs=40, batch=16, precision="fp32"))
    run = Run(arch="cm-cm/width=32,32", data="fashion", recipe=chosen, limit=160)
    job = jobs.submit("train_few", {"run": run.to_json(), "device": "cpu"}, attempts=1, processes=2)

    def second(attempt):
        until(lambda: record.load(job.folder / "progress.json").get("attempt") == attempt and jobs.metrics(job.id), 60)
        environments = {pid: Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in of_jobs()}
        assert len(environments) == 3, "torchrun and two workers"
        return next(pid for pid, env in environments.items() if b"RANK=1" in env)

    os.kill(second(1), signal.SIGKILL)
    lost = ended(job.id)
    assert (lost.state, lost.cause) == ("failed", "lost") and lost.reason.startswith("A process of this training")
    until(lambda: not of_jobs(), 3)
    jobs.resume(job.id)
    second(2)
    jobs.cancel(job.id)
    assert ended(job.id).reason == state.STOPPED
    epochs = [row["epoch"] for row in jobs.metrics(job.id)]  # killed between telling and saving, one is told again
    assert sorted(set(epochs)) == list(range(1, max(epochs) + 1)) and len(epochs) <= max(epochs) + 1
    until(lambda: not of_jobs(), 3)


@pytest.mark.slow
def test_a_frozen_parent_does_not_keep_a_job_from_ending(lab, monkeypatch):
    """The shepherd hears nothing: the dispatcher ends the tree and the shepherd itself, some seconds after the grace."""
    job = jobs.submit("sleep", {"steps": 999, "delay_s": 0.05}, grace_s=0.3)
    pid = running(job.id)
    os.kill(record.load(jobs.get(job.id).place / "begun.json")["pid"], signal.SIGSTOP)
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"
    until(lambda: not there(pid))
