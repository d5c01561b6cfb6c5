"""Whatever is killed, and when: the job goes on, or says what became of it; nothing of it is left over."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import io, jobs
from core.jobs import index, leases, record, wake
from tests.jobs import matrix_lab
from tests.jobs.matrix_lab import Lab, dispatchers, ended, kill, listing, next_try, running, shepherd, starts, there, until

lab = pytest.fixture(matrix_lab.open_lab)
LONG = {"steps": 1000, "delay_s": 0.02, "device": "cpu"}


def app(*words: str) -> "subprocess.Popen[bytes]":
    """A program that submits, in a session of its own."""
    return subprocess.Popen([sys.executable, "-m", "tests.jobs.matrix_app", *words], cwd=io.CHECKOUT, start_new_session=True)


def free() -> bool:
    """Whether the CPU can be had."""
    return not leases.held(leases.devices("cpu")[0])


def test_worker(lab: Lab):
    job = running(jobs.submit("count", LONG, attempts=1).id)
    (worker,) = matrix_lab.workers(job.id)
    kill([worker])
    assert until(lambda: jobs.get(job.id).state == "failed") < 2
    job = jobs.get(job.id)
    assert job.cause == "killed" and "killed from outside" in job.reason
    until(lambda: free() and not there(shepherd(job)))


def test_a_killed_worker_goes_on_from_what_it_saved(lab: Lab):
    job = running(jobs.submit("count", {**LONG, "steps": 30}).id)
    until(lambda: (job.folder / "count.json").exists() and int((job.folder / "count.json").read_text()) > 5)
    kill(matrix_lab.workers(job.id))
    again = next_try(job.id)
    assert (again.cause, again.attempt) == ("killed", 1) and "killed" in again.reason
    job = ended(job.id)
    assert job.state == "succeeded" and job.result and job.result["from"] > 5 and job.attempt == 2
    assert [one.cause for one in jobs.history(job.id)] == ["killed", "succeeded"]
    assert [row["step"] for row in jobs.metrics(job.id)][-1] == 30


def test_shepherd(lab: Lab):
    job = running(jobs.submit("count", LONG, attempts=1).id)
    (worker,) = matrix_lab.workers(job.id)
    kill([shepherd(job)])
    assert until(lambda: not there(worker)) < 2
    assert until(lambda: jobs.get(job.id).state == "failed") < 2
    assert jobs.get(job.id).cause == "lost" and "both were killed" in jobs.get(job.id).reason
    until(free)


def test_shepherd_and_dispatcher_with_children_that_hear_nothing(lab: Lab):
    job = running(jobs.submit("stuck", {"device": "cpu"}, attempts=1).id)
    until(lambda: len(matrix_lab.workers(job.id)) == 2)
    kill([*dispatchers(), shepherd(job)])
    until(lambda: jobs.get(job.id).state == "failed")
    until(lambda: jobs.list() and not matrix_lab.workers(job.id) and free())  # asking starts the next dispatcher
    assert jobs.get(job.id).cause == "lost"


def test_dispatcher(lab: Lab):
    first = running(jobs.submit("count", {**LONG, "steps": 30}).id)
    second = jobs.submit("count", {**LONG, "steps": 1})
    kill(dispatchers())
    time.sleep(0.3)
    assert record.alive(first.place), "the job does not need it"
    assert jobs.get(second.id).state == "queued", "and asking starts another"
    assert [ended(job.id).state for job in (first, second)] == ["succeeded", "succeeded"]
    assert starts(lab) == {first.id: 1, second.id: 1} and len(dispatchers()) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_app(lab: Lab, how: signal.Signals):
    """^C reaches all of the app's group."""
    child = app("count", "2", "cpu", "15", "wait")
    submitted = lab.traces / "submitted"
    until(lambda: submitted.exists() and submitted.read_text().count("\n") == 2)
    first, second = submitted.read_text().split()
    until(lambda: first in starts(lab))
    os.killpg(child.pid, how)
    child.wait()
    assert [ended(job).state for job in (first, second)] == ["succeeded", "succeeded"]
    assert set(starts(lab).values()) == {1}


def test_app_killed_at_any_moment_of_submitting(lab: Lab):
    """What was promised is there, what was not may be; nothing runs twice."""
    rng = random.Random(3)
    lab.gpus(4)
    for _ in range(3):
        child = app("count", "10", "cuda", "1")
        time.sleep(0.15 + rng.random() * 0.3)
        kill([child.pid])
        child.wait()
    until(lambda: all(job.state in jobs.ENDED for job in jobs.list()) and len(jobs.list()) == len(record.names()), 40)
    promised = (lab.traces / "submitted").read_text().split()
    assert promised and set(promised) <= {job.id for job in jobs.list()}
    assert {job.state for job in jobs.list()} == {"succeeded"} and set(starts(lab).values()) == {1}


def test_data_loader_leaves_no_orphans(lab: Lab):
    job = jobs.submit("loader", {"device": "cpu"}, attempts=1)
    until(lambda: (job.folder / "batches").exists(), 60)
    job = jobs.get(job.id)
    tree = matrix_lab.workers(job.id)
    assert len(tree) >= 3, "the worker and two readers"
    kill([int(record.load(job.place / "begun.json")["worker"])])
    assert until(lambda: not any(map(there, tree))) < 3
    until(free)
    assert ended(job.id).cause == "killed"


def test_dispatcher_killed_at_random_moments(lab: Lab):
    """Among them between claim and start, and between an end and its record."""
    rng, ids = random.Random(7), []
    lab.gpus(4)
    for _ in range(20):
        ids.append(jobs.submit("count", {"steps": 3, "delay_s": 0.02, "device": "cuda"}, attempts=20).id)
    kills = 0
    until_s = time.monotonic() + 60
    while any(job.state not in jobs.ENDED for job in jobs.list()):
        assert time.monotonic() < until_s, jobs.list()
        time.sleep(rng.random())
        kills += len(dispatchers())
        matrix_lab.stop_dispatcher()
    assert kills > 5
    assert {job: jobs.get(job).state for job in ids} == dict.fromkeys(ids, "succeeded")
    assert set(starts(lab).values()) == {1}, "a dispatcher's death is not the job's"


@pytest.mark.slow
def test_anything_killed_at_any_moment(lab: Lab):
    """Workers, their parents and the dispatcher, 25 times; then all is done, and whoever looked never saw an end undone."""
    rng, over = random.Random(11), {}
    lab.gpus(4)
    ids = [jobs.submit("count", {"steps": 30, "delay_s": 0.02, "device": "cuda"}, attempts=100).id for _ in range(12)]
    begun, killed, pause_s = time.monotonic(), 0, 0.0
    while len(over) < len(ids):
        assert time.monotonic() - begun < 90, matrix_lab.stand()
        listed = {job.id: job for job in jobs.list()}
        assert set(listed) == set(ids)
        over |= {job.id: job.state for job in listed.values() if job.state in jobs.ENDED}
        assert all(listed[job].state == state for job, state in over.items())
        if killed < 25:
            tree = [pid for job in ids for pid in matrix_lab.workers(job)] + matrix_lab.named("core.jobs.shepherd", lab.home)
            targets = tree if rng.random() < 0.85 else dispatchers()
            kill(targets and [rng.choice(targets)])
            killed += bool(targets)
            pause_s = rng.random() * 0.4
        else:  # the pauses before further tries, up to minutes, are forgotten with the dispatcher
            matrix_lab.stop_dispatcher()
            wake.ensure()
            pause_s = 2.0
        time.sleep(pause_s)
    assert killed == 25 and set(over.values()) == {"succeeded"}
    assert all((job.result or {}).get("count") == 30 for job in jobs.list())
    steps = {job: [row["step"] for row in jobs.metrics(job)][-1] for job in ids}
    assert set(steps.values()) == {30}


def test_killed_between_claim_and_start(lab: Lab):
    """Exactly there: the list says that it starts, and no process knows of it."""
    job = jobs.submit("count", {"steps": 1, "device": "cpu"})
    ended(job.id)
    matrix_lab.stop_dispatcher()
    for half in ("claimed", "folder"):
        record.write_slot(job.folder / "state.slot", {"state": "queued", "attempt": 1, "base": 1})
        with index.connect(write=True) as db:
            db.execute("UPDATE job SET state='starting', attempt=2, base=1")
        shutil.rmtree(job.folder / "attempts" / "2", ignore_errors=True)
        if half == "folder":
            (job.folder / "attempts" / "2").mkdir()
        wake.ensure()
        assert next_try(job.id).cause == "unstarted"
        done = ended(job.id)
        assert (done.state, done.attempt) == ("succeeded", 3)
        matrix_lab.stop_dispatcher()


def test_reboot(lab: Lab):
    job = running(jobs.submit("count", {**LONG, "steps": 30}).id)
    until(lambda: (job.folder / "count.json").exists())
    kill([*dispatchers(), shepherd(job)])
    until(lambda: not matrix_lab.workers(job.id) and not dispatchers())
    begun = record.load(job.place / "begun.json")
    io.write_json(job.place / "begun.json", {**begun, "boot": "another"})
    again = next_try(job.id)
    assert again.cause == "lost" and "machine restarted" in again.reason
    assert ended(job.id).state == "succeeded" and jobs.get(job.id).attempt == 2


def test_folder_deleted_under_a_running_job(lab: Lab, tmp_path: Path):
    gone = running(jobs.submit("count", LONG).id)
    tree = [*matrix_lab.workers(gone.id), shepherd(gone)]
    os.rename(gone.folder, tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)  # the work still writes there
    other = jobs.submit("count", {"steps": 1, "device": "cpu"})
    assert ended(other.id).state == "succeeded", "the queue goes on"
    assert not any(map(there, tree))
    until(lambda: [job.id for job in jobs.list()] == [other.id])
    assert record.names() == [other.id], "and does not come back"


def test_folder_deleted_while_queued(lab: Lab):
    first = running(jobs.submit("count", {**LONG, "steps": 10}).id)
    gone, last = (jobs.submit("count", {"steps": 1, "device": "cpu"}) for _ in range(2))
    shutil.rmtree(gone.folder)
    assert [ended(job.id).state for job in (first, last)] == ["succeeded"] * 2
    until(lambda: [job.id for job in jobs.list()] == [last.id, first.id])
    assert record.names() == [last.id, first.id] and gone.id not in starts(lab)


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_clock_jumps(lab: Lab, tmp_path: Path, again: bool):
    """Forward by hours, then back by days, while a job runs and one waits, or is to be tried again."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    child = matrix_lab.start(["-m", "tests.jobs.matrix_clock", "core.jobs.dispatcher", str(clock)])
    until(wake.lives)
    first = running(jobs.submit("gated", {"device": "cpu"}).id)
    second = jobs.submit("count", {**LONG, "steps": 1})
    before = [row[5] for row in listing()]
    for seconds in (7200, -3 * 86400):
        clock.write_text(str(seconds))
        time.sleep(0.4)
        assert dispatchers() == [child.pid] and [row[5] for row in listing()] == before == ["queued", "running"]
    if again:
        kill(matrix_lab.workers(first.id))
        until(lambda: matrix_lab.recorded(first.id) == "queued")
        clock.write_text("7200")  # the pause before it is measured by another clock
    (first.folder / "go").touch()
    assert [ended(job.id).state for job in (first, second)] == ["succeeded", "succeeded"]
    assert starts(lab) == {first.id: 1 + again, second.id: 1} and dispatchers() == [child.pid]
    assert all(job.started and job.ended and job.ended >= job.started for job in jobs.list())
    kill([child.pid])
    child.wait()


@pytest.mark.slow
def test_dispatchers_with_clocks_days_apart(lab: Lab):
    """All of a dispatcher's tree lives hours ahead, the next one days behind."""
    ids: list[str] = []
    libraries = sorted(Path("/usr/lib").glob("**/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("no libfaketime on this machine: make test-deps gets it")
    for jump in ("+2h", "-3d"):
        matrix_lab.stop_dispatcher()
        child = matrix_lab.start(matrix_lab.DISPATCHER, LD_PRELOAD=str(libraries[0]), FAKETIME=jump)
        until(wake.lives)
        ids.append(jobs.submit("count", {**LONG, "steps": 15}).id)
        assert ended(ids[-1]).state == "succeeded"
        assert dispatchers() == [child.pid]
        kill([child.pid])
        child.wait()
        for name in ("faketime_shm", "sem.faketime_sem"):  # it would have taken them away at its own end
            Path(f"/dev/shm/{name}_{child.pid}").unlink(missing_ok=True)
    assert [jobs.get(job).state for job in ids] == ["succeeded"] * 2 and starts(lab) == dict.fromkeys(ids, 1)
