"""Many hands at once: dispatchers, submitters, two labs on one machine, and strangers on its GPUs."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest

from core import jobs
from core.errors import JobError
from core.jobs import index, leases, queue, record, state
from tests.jobs import matrix_lab
from tests.jobs.matrix_lab import Lab, dispatchers, ended, kill, running, starts, there, until

lab = pytest.fixture(matrix_lab.open_lab)


def apps(lab: Lab, count: int, each: int) -> list["subprocess.Popen[bytes]"]:
    """Programs that submit at the same time."""
    return [matrix_lab.start(["-m", "tests.jobs.matrix_app", "count", str(each), "cuda", "3"]) for _ in range(count)]


def test_four_dispatchers_and_three_apps_on_two_devices(lab: Lab):
    lab.gpus(2)
    children = [*(matrix_lab.start(matrix_lab.DISPATCHER) for _ in range(4)), *apps(lab, 3, 8)]
    for child in children[4:]:
        assert child.wait(30) == 0
    submitted = (lab.traces / "submitted").read_text().split()
    until(lambda: all(job.state in jobs.ENDED for job in jobs.list()), 40)
    assert len(set(submitted)) == 24 and {job.id for job in jobs.list()} == set(submitted)
    assert {job.state for job in jobs.list()} == {"succeeded"}
    assert starts(lab) == Counter(submitted), "each began once"
    assert len(dispatchers()) == 1
    assert {place for event, _, place, _ in lab.traced() if event == "start"} == {"Fake 0 (cuda:0)", "Fake 1 (cuda:1)"}
    for child in children[:4]:
        kill([child.pid])
        child.wait()


def test_two_labs_one_device(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Each has its own list and dispatcher; the machine's GPU is one."""
    lab.gpus(1)
    other = lab.home.with_name("home of another")
    done = []
    for turn in range(2):
        for home in (lab.home, other):
            monkeypatch.setenv("ALTERLAB_HOME", str(home))
            done.append((home, jobs.submit("count", {"steps": 5, "device": "cuda"}, label=str(turn)).id))
    for home, job in done:
        monkeypatch.setenv("ALTERLAB_HOME", str(home))
        assert ended(job).state == "succeeded"
    assert len(dispatchers(lab.home)) == len(dispatchers(other)) == 1
    assert not [line for line in lab.traced() if line[0] == "double"]
    assert Counter(line[0] for line in lab.traced()) == {"start": 4, "end": 4}
    kill(dispatchers(other))
    monkeypatch.setenv("ALTERLAB_HOME", str(lab.home))


def test_a_lab_that_waits_for_another_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    lab.gpus(1)
    first = running(jobs.submit("count", {"steps": 1000, "device": "cuda"}).id)
    other = lab.home.with_name("home of another")
    monkeypatch.setenv("ALTERLAB_HOME", str(other))
    second = jobs.submit("count", {"steps": 1, "device": "cuda"})
    time.sleep(0.8)
    assert jobs.get(second.id).state == "queued"
    assert next(place.taken for place in jobs.status().devices if place.id == "cuda:0") == "another lab on this machine"
    monkeypatch.setenv("ALTERLAB_HOME", str(lab.home))
    jobs.cancel(first.id)
    assert ended(first.id).state == "cancelled"
    monkeypatch.setenv("ALTERLAB_HOME", str(other))
    assert ended(second.id).state == "succeeded"
    kill(dispatchers(other))
    monkeypatch.setenv("ALTERLAB_HOME", str(lab.home))


def test_a_stranger_on_the_gpu(lab: Lab):
    """A program that is no job of a lab: the job waits and says for whom; another GPU is not held up."""
    lab.gpus(1)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    lab.apps(f"GPU-0-of-the-matrix, {stranger.pid}, /usr/bin/blender")
    waiting = jobs.submit("count", {"steps": 1, "device": "cuda:0"})
    until(lambda: f"busy elsewhere: blender (process {stranger.pid})" in jobs.get(waiting.id).reason)
    assert jobs.get(waiting.id).state == "queued"
    assert "blender" in next(place.taken for place in jobs.status().devices if place.id == "cuda:0")
    assert ended(jobs.submit("count", {"steps": 1, "device": "cpu"}).id).state == "succeeded", "the CPU is free"
    assert jobs.get(waiting.id).state == "queued" and waiting.id not in starts(lab)
    stranger.kill()
    stranger.wait()
    lab.apps()
    matrix_lab.stop_dispatcher()  # it asks again after some seconds; the next one does at once
    assert ended(waiting.id).state == "succeeded", "and starts when it is gone"


def test_our_own_jobs_are_no_strangers(lab: Lab):
    """A lab's process on a GPU is known by its mark, also to another lab."""
    lab.gpus(1)
    job = running(jobs.submit("count", {"steps": 1000, "device": "cuda"}).id)
    (worker,) = matrix_lab.workers(job.id)
    lab.apps(f"GPU-0-of-the-matrix, {worker}, python")
    assert leases.stranger(leases.devices("cuda")[0]) == ""
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"


def test_a_driver_that_does_not_answer(lab: Lab):
    """Fails closed: nothing is started on a GPU that cannot be asked about."""
    lab.gpus(1)
    (lab.driver / "mute").touch()
    waiting = jobs.submit("count", {"steps": 1, "device": "cuda"})
    until(lambda: "driver does not answer" in jobs.get(waiting.id).reason)
    assert ended(jobs.submit("count", {"steps": 1, "device": "cpu"}).id).state == "succeeded"
    assert jobs.get(waiting.id).state == "queued" and waiting.id not in starts(lab)
    (lab.driver / "mute").unlink()
    matrix_lab.stop_dispatcher()
    assert ended(waiting.id).state == "succeeded"


@pytest.mark.slow
def test_a_driver_that_hangs(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """What needs no GPU goes on, and so do the pages."""
    lab.gpus(1)
    assert len(leases.gpus()) == 1
    waiting = jobs.submit("count", {"steps": 1, "device": "cuda"})
    assert ended(waiting.id).state == "succeeded", "the dispatcher knows its GPU"
    (lab.driver / "hangs").touch()
    time.sleep(leases.FRESH_S)
    waiting = jobs.submit("count", {"steps": 1, "device": "cuda"})
    begun = time.monotonic()
    ids = [jobs.submit("count", {"steps": 1, "device": "cpu"}).id for _ in range(3)]
    assert [ended(job).state for job in ids] == ["succeeded"] * 3
    assert time.monotonic() - begun < leases.PATIENCE_S + 5
    assert "driver does not answer" in jobs.get(waiting.id).reason and waiting.id not in starts(lab)
    begun = time.monotonic()
    for _ in range(3):
        lab.apps()
        assert jobs.status().devices
    assert time.monotonic() - begun < 2 * leases.PATIENCE_S + 3, "the pages wait for it once"
    (lab.driver / "hangs").unlink()
    kill(matrix_lab.named("60", lab.home))
    assert ended(waiting.id).state == "succeeded"


def test_a_driver_that_is_dead(lab: Lab):
    """Not even the GPUs are known: the job says so and waits."""
    (lab.driver / "dead").touch()
    waiting = jobs.submit("count", {"steps": 1, "device": "cuda"})
    until(lambda: "0 of the 1 devices" in jobs.get(waiting.id).reason)
    jobs.cancel(waiting.id)
    assert ended(waiting.id).state == "cancelled"


def test_a_gpu_keeps_its_name_while_the_driver_is_silent(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """By another name it would have another lease, and could be had twice."""
    lab.gpus(1)
    monkeypatch.setattr(leases, "NODES", (str(lab.traces),))
    known = leases.gpus()
    assert [gpu.uuid for gpu in known] == ["GPU-0-of-the-matrix"]
    (lab.driver / "dead").touch()
    leases._gpus.cache_clear()
    assert leases.gpus() == known
    leases._last[:] = [()]
    leases._gpus.cache_clear()
    assert leases.gpus() == (), "of a driver that never answered nothing is known"
    (lab.driver / "nvidia-smi").unlink()
    leases._gpus.cache_clear()
    assert [gpu.lease for gpu in leases.gpus()] == ["cuda-0"], "without a tool there is one GPU to be had"
    leases._last[:] = [()]


def cancelled_at_random(lab: Lab, schedules: int, seed: int) -> Counter[str]:
    """Cancel at random moments around start and end, twice, together with Resume, and while the dispatcher is killed."""
    rng, ends, left = random.Random(seed), Counter(), schedules
    lab.gpus(8)
    open_jobs: dict[str, tuple[float, int]] = {}
    until_s = time.monotonic() + 5 + schedules * 0.6
    while left or open_jobs:
        assert time.monotonic() < until_s, matrix_lab.stand()
        while left and len(open_jobs) < 8:
            left -= 1
            job = jobs.submit("count", {"steps": rng.randint(1, 8), "delay_s": 0.01, "device": "cuda"}, grace_s=3)
            # from before the claim until after the end, each third while it starts
            open_jobs[job.id] = time.monotonic() + rng.choice((0.0, rng.random() * 0.3, rng.random() * 2)), rng.choice((1, 1, 2, 3))
        for job_id, (moment, times) in list(open_jobs.items()):
            if time.monotonic() < moment:
                continue
            if times:
                jobs.cancel(job_id)
                open_jobs[job_id] = (time.monotonic() + rng.choice((0.0, 0.05)), times - 1)
            elif jobs.get(job_id).state in jobs.ENDED:
                if jobs.get(job_id).state != "succeeded" and rng.random() < 0.25:
                    try:
                        jobs.resume(job_id)
                    except JobError as error:
                        raise AssertionError(matrix_lab.stand()) from error
                    open_jobs[job_id] = (time.monotonic() + rng.random() * 0.5, rng.choice((0, 1)))
                else:
                    del open_jobs[job_id]
        if rng.random() < 0.01:
            kill(dispatchers())
        time.sleep(0.005)
    for job in jobs.list():
        ends["never begun" if job.reason == state.NEVER_BEGUN else job.state] += 1
        assert job.state in ("succeeded", "cancelled"), job
        assert jobs.get(job.id) == job, "and it stays so"
        until(lambda job=job: not matrix_lab.workers(job.id))
    assert len(jobs.list()) == schedules
    probe = jobs.submit("count", {"steps": 1, "device": "cuda"})
    assert ended(probe.id).state == "succeeded", "the dispatcher is not stuck"
    return ends


def test_cancel_races_with_start_and_end(lab: Lab):
    ends = cancelled_at_random(lab, 30, seed=1)
    assert ends.keys() == {"never begun", "cancelled", "succeeded"}, ends


@pytest.mark.slow
def test_cancel_races_200_times(lab: Lab):
    ends = cancelled_at_random(lab, 200, seed=2)
    assert min(ends[end] for end in ("never begun", "cancelled", "succeeded")) > 15, ends


def test_cancel_while_it_starts_and_of_one_that_hears_nothing(lab: Lab):
    job = jobs.submit("stuck", {"device": "cpu"}, grace_s=0.3)
    until(lambda: jobs.get(job.id).state != "queued")
    jobs.cancel(job.id)
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"
    job = running(jobs.submit("stuck", {"device": "cpu"}, grace_s=0.3).id)
    until(lambda: len(matrix_lab.workers(job.id)) == 2)
    tree = matrix_lab.workers(job.id)
    jobs.cancel(job.id)
    assert until(lambda: jobs.get(job.id).state == "cancelled") < 5
    assert "did not stop within" in jobs.get(job.id).reason and not any(map(there, tree))
    until(lambda: not record.alive(job.place))
    again = jobs.resume(job.id)
    assert running(again.id).attempt == 2
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"


def test_a_late_decision_changes_nothing(lab: Lab):
    """A dispatcher that saw a job fail comes too late: it was resumed meanwhile.  Neither the list nor the folder believes it."""
    job = ended(jobs.submit("bug", {"device": "cpu"}).id)
    until(lambda: matrix_lab.recorded(job.id) == "failed")
    until(lambda: not record.alive(job.place))
    handle = leases.take(leases.devices("cpu")[0])
    assert handle, "it stays queued, for the CPU is not to be had"
    jobs.resume(job.id)
    with index.connect(write=True) as db:
        assert not queue.settle(db, replace(job, state="running"), state.Next(state="failed", cause="lost", reason="words"))
    assert record.read_slot(job.folder / "state.slot")["state"] == "queued" == matrix_lab.recorded(job.id)
    os.close(handle)


def test_a_job_submitted_while_its_lab_has_gone_to_sleep(lab: Lab):
    """Submitting wakes a dispatcher even if the last one is leaving just then."""
    for turn in range(4):
        matrix_lab.stop_dispatcher()
        child = matrix_lab.start(["-c", "import sys; from core.jobs import dispatcher; sys.exit(dispatcher.main(idle_s=0.05))"])
        time.sleep(0.1 + turn * 0.04)
        job = jobs.submit("count", {"steps": 1, "device": "cpu"})
        assert ended(job.id).state == "succeeded"
        kill([child.pid])
        child.wait()
