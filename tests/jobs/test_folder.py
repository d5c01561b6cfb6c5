"""The folder is the truth, and files break: half-written, missing, hostile."""

import fcntl
import json
import os
import time

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import Context, record

ASKED = {"seq": 1, "task": "sleep", "args": {}, "label": "", "dedup": "", "priority": 0, "device": "cpu", "created": 1.0}
NAME = "000001-sleep-abcdef"


@pytest.fixture
def place(home):
    folder = home / "jobs" / NAME
    folder.mkdir(parents=True)
    io.write_json(folder / "job.json", ASKED)
    return folder


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../jobs", "/etc/passwd", NAME + "/..", NAME + "\n", "000001-sleep-abcdeF", "0" * 5000, "a\0b", ".lock", None, 3],
)
def test_hostile_ids_never_become_a_path(place, name):
    for ask in (jobs.get, jobs.cancel, jobs.resume, jobs.remove, jobs.tail, jobs.metrics):
        with pytest.raises(JobError, match="There is no job") as error:
            ask(name)
        assert NAME in str(error.value) and len(str(error.value)) < 300
    assert not (place / "cancel").exists() and place.exists()


@pytest.mark.parametrize("task", ["", "../x", "Sleep", "a b", "x" * 21])
def test_hostile_tasks(home, task):
    with pytest.raises(JobError, match="not the name of a task"):
        jobs.submit(task, {})


def test_arguments_are_plain_json_and_priorities_bounded(home):
    for args in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(JobError, match="plain JSON"):
            jobs.submit("sleep", args)
    for priority in (1001, -1001, 0.5, True):
        with pytest.raises(JobError, match="priority"):
            jobs.submit("sleep", {}, priority=priority)
    with pytest.raises(JobError, match="device"):
        jobs.submit("sleep", {"device": "tpu"})
    assert jobs.list() == []


def test_state_follows_the_lock_and_the_files(place):
    assert jobs.get(NAME).state == "failed", "no lock, no end"
    with (place / "alive.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert jobs.get(NAME).state == "failed", "another asker was taken for the process"
    with (place / "alive.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert jobs.get(NAME).state == "waiting"
        io.write_json(place / "worker.json", {"attempt": 1, "pid": 0, "started": 5.0})
        assert jobs.get(NAME).state == "running"
        (place / "cancel").touch()
        assert jobs.get(NAME).state == "cancelling"
        io.write_json(place / "exit.json", {"state": "succeeded", "reason": "", "ended": 6.0, "result": {"a": 1}})
        assert jobs.get(NAME).state == "succeeded", "the end counts as soon as it is written"
    (place / "exit.json").unlink()
    assert jobs.get(NAME).state == "cancelled", "asked to stop, and gone"


def test_every_half_written_file_is_survived(place):
    """Each file cut at each byte: the job still reads, or says that it is damaged; the list never breaks."""
    files = {
        "exit.json": {"state": "succeeded", "reason": "", "ended": 6.0, "result": None},
        "worker.json": {"attempt": 2, "pid": 0, "started": 5.0},
        "progress.json": {"step": 1, "total": 2, "rate": None, "eta_s": None, "message": "", "attempt": 1},
    }
    for name, value in files.items():
        whole = json.dumps(value).encode()
        for cut in range(len(whole)):
            (place / name).write_bytes(whole[:cut])
            job = jobs.get(NAME)
            assert job.state == "failed" and job.progress is None and job.attempt == 1
        (place / name).unlink()
    whole = json.dumps(ASKED).encode()
    for cut in range(len(whole)):
        (place / "job.json").write_bytes(whole[:cut])
        assert jobs.list() == []
        with pytest.raises(JobError, match="damaged"):
            jobs.get(NAME)


def test_a_torn_line_of_metrics_loses_itself_alone(place):
    context = Context(place, attempt=1)
    context.metric({"step": 1})
    with (place / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "lo')
    assert jobs.metrics(NAME) == [{"step": 1, "attempt": 1}]
    Context(place, attempt=2).metric({"step": 2})
    assert jobs.metrics(NAME) == [{"step": 1, "attempt": 1}, {"step": 2, "attempt": 2}]


def test_time_left_comes_from_a_clock_that_does_not_jump(place, monkeypatch):
    now = {"monotonic": 100.0, "wall": 1e9}
    monkeypatch.setattr(time, "monotonic", lambda: now["monotonic"])
    monkeypatch.setattr(time, "time", lambda: now["wall"])
    context = Context(place)
    context.progress(40, 100, "resumed")
    assert jobs.get(NAME).progress == jobs.Progress(step=40, total=100, message="resumed")
    for second in range(1, 11):
        now["monotonic"] += 1.0
        now["wall"] += 7200.0 if second == 5 else -300.0
        context.progress(40 + 2 * second, 100)
    said = jobs.get(NAME).progress
    assert (said.step, said.rate, said.eta_s) == (60, 2.0, 20.0), "2 steps a second since 40, 40 steps to go"
    now["monotonic"] += 0.5
    context.progress(61, 100)
    assert jobs.get(NAME).progress.step == 60, "at most once a second"
    context.progress(100, 100)
    assert (jobs.get(NAME).progress.step, jobs.get(NAME).progress.eta_s) == (100, 0.0), "but the end is always said"
    now["monotonic"] += 1.0
    context.progress(1, 50, "next part", loss=0.5)
    assert jobs.get(NAME).progress.rate is None, "a new part has a rate of its own"
    assert jobs.metrics(NAME) == [{"step": 1, "loss": 0.5, "attempt": 1}]


def test_the_tail_of_a_log(place):
    assert jobs.tail(NAME) == ""
    (place / "out.log").write_bytes(b"begin\r\n10 %\r20 %\r30 %\nnot utf-8: \xff\nlast")
    assert jobs.tail(NAME) == "begin\n30 %\nnot utf-8: \ufffd\nlast"
    assert jobs.tail(NAME, lines=1) == "last"
    (place / "out.log").write_bytes(b"x" * 99 + b"\n" + b"line\n" * 1_000_000)
    begun = time.perf_counter()
    assert jobs.tail(NAME, lines=3) == "line\nline\nline\n"
    assert time.perf_counter() - begun < 0.5


def test_odd_things_among_the_jobs_are_left_alone(place):
    (place.parent / "notes.txt").write_text("mine")
    (place.parent / "holiday").mkdir()
    assert [job.id for job in jobs.list()] == [NAME]
    os.rename(place, place.with_name("000012-sleep-abcdef"))
    assert record.names() == ["000012-sleep-abcdef"]
