"""What a job may rely on, the same on every engine: one suite, run on this machine, on a Slurm cluster and on a Ray cluster.

The clusters are real, two nodes on one host; where one cannot be had, its tests are skipped with the reason.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import data, io, jobs, store
from core.jobs import engines, record, state, wake
from core.recipe import get as recipe
from core.run import Run
from tests.jobs import ray_lab, slurm_lab
from tests.jobs.conftest import begun, dispatcher, ended, of_jobs, running, there, until
from tests.jobs.stand_in import few


@pytest.fixture(scope="module")
def slurm():
    if slurm_lab.missing():
        pytest.skip(f"no {slurm_lab.missing()} on this machine; `make test-deps` gets Slurm")
    with slurm_lab.cluster() as cluster:
        yield {"ALTERLAB_ENGINE": "slurm", **cluster.env}


@pytest.fixture(scope="module")
def ray():
    if not ray_lab.RAY:
        pytest.skip(ray_lab.needs_ray.kwargs["reason"])
    with ray_lab.cluster() as cluster:
        yield cluster.env


@pytest.fixture(params=["local", "slurm", "ray"], scope="module")
def cluster(request):
    """The engine's name, and what a lab has to be told to use it; a cluster is up for all tests."""
    return request.param, {} if request.param == "local" else request.getfixturevalue(request.param)


@pytest.fixture
def engine(cluster, lab, monkeypatch):
    """A lab whose jobs go to the engine."""
    name, env = cluster
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    return name


def killed(job):
    """How a job is told to have ended whose parent was killed: here its lock says so, elsewhere the cluster."""
    return "lost" if job.engine == "local" else "engine"


def count(job):
    return record.load(job.folder / "count.json").get("count", 0)


def ran(job):
    """(attempt, step) of all that was done, in order."""
    return [tuple(map(int, line.split())) for line in (job.folder / "ran.txt").read_text().splitlines()]


def deaf(job):
    """Wait for a `stuck` job; its processes: worker, forked child, program in a session of its own."""
    path = job.folder / "pids.json"
    until(path.exists, 30)
    pids = io.read_json(path)
    assert all(map(there, pids))
    return pids


def test_it_starts_says_how_far_it_is_and_succeeds(engine):
    job = jobs.submit("chain", {"steps": 30, "delay_s": 0.05}, label="Thirty")
    assert (job.state, job.seq, job.label, job.engine) == ("queued", 1, "Thirty", engine)
    running(job.id)
    until(lambda: (now := jobs.get(job.id).progress) is not None and now.rate)
    now = jobs.get(job.id)
    assert now.state == "running" and now.where and now.started >= now.created
    assert 0 < now.progress.step < 30 == now.progress.total and 1 < now.progress.rate < 20 and now.progress.eta_s > 0
    assert 0 < len(jobs.metrics(job.id)) <= 30
    done = ended(job.id)
    assert (done.state, done.cause, done.reason, done.result["count"], done.result["from"]) == ("succeeded", "", "", 30, 0)
    assert (done.progress.step, done.progress.eta_s, done.progress.message) == (30, 0.0, "hashed 30 times")
    assert [row["step"] for row in jobs.metrics(job.id)] == list(range(1, 31))
    assert jobs.tail(job.id).startswith("attempt 1: chain on ") and done.ended >= done.started
    (attempt,) = jobs.history(job.id)
    assert (attempt.n, attempt.code, attempt.cause) == (1, 0, "succeeded") and attempt.peak_bytes > 5e6 and attempt.host


def test_a_polite_request_stops_it_and_keeps_what_it_saved(engine):
    job = jobs.submit("chain", {"steps": 999, "delay_s": 0.05})
    pid = running(job.id)
    jobs.cancel(job.id)
    assert jobs.get(job.id).state in ("cancelling", "cancelled")
    done = ended(job.id)
    assert (done.state, done.cause, done.reason) == ("cancelled", "user", state.STOPPED)
    assert 1 <= count(job) < 999
    until(lambda: not there(pid))
    jobs.cancel(job.id)  # again: nothing happens
    assert jobs.get(job.id) == done


def test_a_deaf_job_is_ended_with_its_children(engine):
    job = jobs.submit("stuck", {}, grace_s=0.6)
    pids = deaf(job)
    asked = time.monotonic()
    jobs.cancel(job.id)
    done = ended(job.id)
    assert time.monotonic() - asked >= 0.6, "the polite time was not kept"
    assert (done.state, done.reason) == ("cancelled", state.ENDED_HARD.format(grace=0.6))
    until(lambda: not any(map(there, pids)), 2)


def test_failures_end_in_plain_words_and_are_not_tried_again(engine):
    """An error of the work is for the user to decide; an exit code of 0 without the worker's word is no success."""
    wanted = {
        "words": ("exception", "The loss was no longer finite. Try a lower rate."),
        "bug": ("exception", "Something unexpected went wrong (reference "),
        "disk": ("disk_full", state.WORDS["disk_full"]),
        "memory": ("host_oom", state.WORDS["host_oom"]),
        "gpu": ("gpu_oom", state.WORDS["gpu_oom"]),
        "exit": ("exception", "Something unexpected went wrong"),
        "odd": ("exception", "The work returned what is not plain JSON"),
        "silent": ("exception", state.SILENT.format(code=0)),
        "abort": ("signal:SIGSEGV", "The process ended with SIGSEGV"),
    }
    asked = {how: jobs.submit("fails", {"how": how}) for how in wanted}
    for how, (cause, words) in wanted.items():
        job = ended(asked[how].id, 60)
        assert (job.state, job.cause, job.attempt, job.result) == ("failed", cause, 1, None), how
        assert job.reason.startswith(words) and "secret" not in job.reason
    reference = jobs.get(asked["bug"].id).reason.partition("(reference ")[2][:4]
    log = jobs.tail(asked["bug"].id)
    assert f"reference {reference}" in log and "ValueError: secret detail" in log
    assert "Segmentation fault" in jobs.tail(asked["abort"].id), "the log does not say where"


def test_a_killed_worker_is_told_as_killed(engine):
    job = jobs.submit("chain", {"steps": 999, "delay_s": 0.05}, attempts=1)
    os.kill(running(job.id), signal.SIGKILL)
    done = ended(job.id)
    assert (done.state, done.cause, done.attempt) == ("failed", "killed", 1)
    assert done.reason.startswith(state.WORDS["killed"]) and "step 1 of 999" in done.reason and done.ended
    assert jobs.history(job.id)[0].code == -9
    until(lambda: not of_jobs(), 3)


def test_a_killed_worker_is_tried_again_and_goes_on_from_what_it_saved(engine):
    """Beside it an uninterrupted one: the same end to the last bit."""
    plain = jobs.submit("chain", {"steps": 40})
    job = jobs.submit("chain", {"steps": 40, "delay_s": 0.05}, attempts=2)
    pid = running(job.id)
    until(lambda: count(job) >= 3)
    os.kill(pid, signal.SIGKILL)
    until(lambda: jobs.get(job.id).state == "queued")
    kept = count(job)
    again = jobs.get(job.id)
    assert again.cause == "killed" and 3 <= kept < 40
    assert until(lambda: jobs.get(job.id).attempt == 2, 60) > 3, "no pause before the next attempt"
    done = ended(job.id, 60)
    assert (done.state, done.attempt, done.tries) == ("succeeded", 2, 2)
    assert done.result == {**ended(plain.id).result, "from": kept}
    assert [n.cause for n in jobs.history(job.id)] == ["killed", "succeeded"]
    first, second = ([step for attempt, step in ran(job) if attempt == n] for n in (1, 2))
    assert second == list(range(kept + 1, 41)) and first in (list(range(1, kept + 1)), list(range(1, kept + 2))), "more than one twice"
    steps = [row["step"] for row in jobs.metrics(job.id)]  # killed between saving and telling, one may be missing
    assert steps == sorted(set(steps)) and len(steps) >= 39
    assert "attempt 1" in jobs.tail(job.id) and "attempt 2" in jobs.tail(job.id)


def test_a_killed_parent_takes_the_whole_tree_with_it(engine):
    """Its worker and what that started, also in a session of its own.  Resume goes on in the same folder."""
    job = jobs.submit("stuck", {}, attempts=1)
    pids = deaf(job)
    os.kill(begun(job.id)["pid"], signal.SIGKILL)
    done = ended(job.id, 60)
    assert (done.state, done.cause) == ("failed", killed(job))
    until(lambda: not any(map(there, pids)), 2)
    again = jobs.resume(job.id)
    assert again.id == job.id and again.state in jobs.LIVE and again.tries == again.attempt - 1, "counted from Resume on"
    until(lambda: set(io.read_json(job.folder / "pids.json")).isdisjoint(pids), 60)
    assert jobs.get(job.id).attempt == 2
    os.kill(begun(job.id, 2)["worker"], signal.SIGKILL)
    assert ended(job.id).cause == "killed", "its one attempt is counted from Resume on"


def test_an_attempt_that_was_replaced_ends_itself(engine, lab):
    """A cluster may start a job again while the first copy still runs on a machine that it has lost."""
    job = jobs.submit("stuck", {}, attempts=1)
    pids, parent = deaf(job), begun(job.id)["pid"]
    os.kill(dispatcher(lab), signal.SIGSTOP)  # nobody but the attempt itself can see it
    (job.folder / "attempts" / "2").mkdir()
    until(lambda: not any(map(there, [*pids, parent])), 3)
    assert record.read_slot(job.folder / "attempts" / "1" / "exit.slot")["code"] == -9


def test_an_attempt_that_was_started_before_is_not_started_again(engine):
    """Not beside a running one, and not after it; nor does the second start wait for the first one's end."""
    job = jobs.submit("chain", {"steps": 999, "delay_s": 0.05})
    pid = running(job.id)
    attempt = job.folder / "attempts" / "1"
    env = {**os.environ, **engines.environment(engines.Claim())}
    for over in (False, True):
        second = subprocess.run(engines.command(attempt), cwd=io.CHECKOUT, env=env, capture_output=True, text=True, timeout=10, check=False)
        assert (second.returncode, second.stderr) == (state.STOPPED_CODE, "") and there(pid) != over
        jobs.cancel(job.id)
        assert ended(job.id).reason == state.STOPPED
    assert [step for _, step in ran(job)] == list(range(1, count(job) + 1)) and jobs.tail(job.id).count("attempt 1") == 1


def test_a_killed_worker_leaves_nothing_behind_though_nobody_watches(engine, lab):
    """Its parent ends what the worker has started; no dispatcher is needed for that, and on another machine there is none."""
    job = jobs.submit("stuck", {}, attempts=1)
    pids = deaf(job)
    os.kill(chief := dispatcher(lab), signal.SIGSTOP)
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: not any(map(there, pids)), 3)
    until(lambda: jobs.get(job.id).state == "failed", 3)
    assert jobs.get(job.id).cause == "killed"
    os.kill(chief, signal.SIGCONT)


APP = """
import sys
from core import jobs
print(jobs.submit("chain", {"steps": int(sys.argv[1]), "delay_s": 0.05}, label="From afar").id, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["kill", "interrupt"])
def test_a_job_outlives_the_app_that_started_it(engine, end):
    """The app is killed, or Ctrl-C goes to its whole group; from here the job is found, followed and stopped."""
    app = subprocess.Popen(
        [sys.executable, "-c", APP, "999"], cwd=io.CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    job_id = app.stdout.readline().strip()
    pid = running(job_id)
    os.killpg(app.pid, signal.SIGKILL if end == "kill" else signal.SIGINT)
    app.communicate(timeout=10)
    here, job = count(jobs.get(job_id)), jobs.get(job_id)
    assert job.state == "running" and there(pid) and job.label == "From afar"
    until(lambda: count(job) > here)
    assert jobs.tail(job_id).startswith("attempt 1: chain")
    jobs.cancel(job_id)
    assert ended(job_id).state == "cancelled"
    until(lambda: not there(pid))


def test_a_killed_dispatcher_is_followed_by_another(engine, lab):
    """The job goes on; what it needs next is done by the next one, which somebody who looks has started."""
    first = jobs.submit("chain", {"steps": 30, "delay_s": 0.05}, dedup="one")
    second = jobs.submit("chain", {"steps": 2}, needs=[first.id])
    pid = running(first.id)
    os.kill(dispatcher(lab), signal.SIGKILL)
    until(lambda: not wake.lives())
    assert there(pid)
    assert jobs.submit("chain", {"steps": 30}, dedup="one").id == first.id
    assert ended(second.id).state == "succeeded"
    assert jobs.get(first.id).state == "succeeded" and jobs.get(first.id).attempt == 1


def test_needs_are_waited_for_and_their_failure_is_told(engine):
    slow = jobs.submit("chain", {"steps": 10, "delay_s": 0.05})
    after = jobs.submit("chain", {"steps": 1}, needs=[slow.id])
    bad = jobs.submit("fails", {"how": "words"})
    never = jobs.submit("chain", {"steps": 1}, needs=[bad.id, slow.id])
    assert (after.state, never.state) == ("waiting", "waiting")
    done = ended(after.id)
    assert done.state == "succeeded" and done.started >= ended(slow.id).ended
    lost = ended(never.id)
    assert (lost.state, lost.cause, lost.attempt, lost.started) == ("failed", "dep_failed", 0, None)


def test_resumed_training_gives_the_weights_of_an_uninterrupted_one(engine, monkeypatch):
    """The lab's own training, killed after its first epoch; its weights are known by their digest."""
    from core.train import loop

    chosen = vars(recipe("quick", epochs=2, batch=8, drop_path=0.1, precision="fp32"))
    run = Run(arch="cm-cm/width=32,32", data="fashion", recipe=chosen, limit=160)
    monkeypatch.setattr(data, "load", few(data.load))
    plain = loop.train(run, store.create(run), jobs.Context(store.folder(run.id)), device="cpu")
    drawn = ("epoch", "step", "train_loss", "test_nll", "accuracy")
    history = [[row[name] for name in drawn] for row in store.history(run.id)]
    store.delete(run.id)

    job = jobs.submit("train_few", {"run": run.to_json(), "device": "cpu"}, attempts=1)
    pid = begun(job.id)["worker"]
    until(lambda: len(jobs.metrics(job.id)) == 1, 60)
    until(lambda: any((store.folder(run.id) / "checkpoint").glob("*.safetensors")))
    os.kill(pid, signal.SIGKILL)
    stopped = ended(job.id)
    assert (stopped.state, stopped.cause) == ("failed", "killed") and store.final(run.id) is None
    jobs.resume(job.id)
    done = ended(job.id, 60)
    assert done.state == "succeeded" and done.result["final"]["digest"] == plain["digest"]
    assert [[row[name] for name in drawn] for row in store.history(run.id)] == history


def test_shared_rows_are_the_same_as_those_of_one_job_though_one_part_is_killed(engine, lab):
    """To the last bit; and what was killed repeats at most the row that it was at."""
    args = {"rows": 12, "delay_s": 0.1}
    plain = jobs.submit("rows", {"rows": 12})
    whole = jobs.submit("rows", args, parts=3, rows=12, attempts=2)
    parts = sorted((job for job in jobs.list() if job.parent == whole.id), key=lambda job: job.seq)
    assert (whole.state, whole.rows, [job.args["part"] for job in parts]) == ("waiting", 12, [[0, 3], [1, 3], [2, 3]])
    until(lambda: len(list((whole.folder / "shards").glob("*.npz"))) >= 2, 60)  # of the first part, or more where more run at once
    os.kill(begun(parts[0].id)["worker"], signal.SIGKILL)
    until(lambda: jobs.get(parts[0].id).state == "queued")
    os.kill(dispatcher(lab), signal.SIGKILL)  # it alone knows of the pause before the next attempt
    done = ended(whole.id, 60)
    assert done.state == "succeeded" and done.result == ended(plain.id).result
    assert done.result["rows"] == list(range(12))
    killed_one, *others = (ran(job) for job in parts)
    assert jobs.get(parts[0].id).attempt == 2 and [len(rows) for rows in others] == [4, 4]
    assert [row for _, row in others[0]] == [1, 4, 7, 10] and {row for _, row in killed_one} == {0, 3, 6, 9} and len(killed_one) <= 5
    assert not (done.folder / "ran.txt").exists(), "the job that puts them together did rows itself"


def test_the_worker_is_of_the_labs_own_python(engine):
    """And has loaded nothing heavy that the work did not ask for."""
    done = ended(jobs.submit("modules", {}).id)
    assert done.result["loaded"] == [] and Path(done.result["env"]["ALTERLAB_HOME"]) == io.home()
