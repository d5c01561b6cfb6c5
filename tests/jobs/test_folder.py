"""The folder is the truth, and files break: half-written, missing, hostile.  No job runs here."""

import fcntl
import os
import time

import pytest

from core import io, jobs
from core.errors import JobError
from core.jobs import Context, index, record, state, wake

ASKED = {
    "format": record.FORMAT, "seq": 1, "task": "sleep", "args": {}, "label": "", "dedup": "", "priority": 0, "device": "cpu", "devices": 1,
    "processes": 1, "engine": "local", "attempts": 1, "needs": [], "parent": "", "rows": 0, "grace_s": 10.0, "created": 1.0,
}  # fmt: skip
NAME = "000001-sleep-abcdef"


@pytest.fixture
def place(home, monkeypatch):
    """The folder of a job that nobody starts."""
    monkeypatch.setattr(wake, "ensure", lambda: None)
    folder = home / "jobs" / NAME
    (folder / "attempts").mkdir(parents=True)
    io.write_json(folder / "job.json", ASKED)
    return folder


@pytest.fixture
def attempt(place):
    """Its first attempt, with empty slots; the list knows it as running."""
    folder = place / "attempts" / "1"
    folder.mkdir()
    for name in ("exit.slot", "report.slot"):
        record.reserve(folder / name)
    assert jobs.get(NAME).state == "running"
    return folder


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../jobs", "/etc/passwd", NAME + "/..", NAME + "\n", "000001-sleep-abcdeF", "0" * 5000, "a\0b", ".lock", None, 3],
)
def test_hostile_ids_never_become_a_path(place, name):
    for ask in (jobs.get, jobs.cancel, jobs.resume, jobs.remove, jobs.tail, jobs.metrics, jobs.history, lambda n: jobs.prioritise(n, 1)):
        with pytest.raises(JobError, match="There is no job") as error:
            ask(name)
        assert NAME in str(error.value) and len(str(error.value)) < 300
    for link in ({"needs": [name]}, {"parent": name} if name else {"needs": [name]}):
        with pytest.raises(JobError, match="There is no job"):
            jobs.submit("sleep", {}, **link)
    assert not (place / "cancel").exists() and record.names() == [NAME]


@pytest.mark.parametrize("task", ["", "../x", "Sleep", "a b", "x" * 21])
def test_hostile_tasks(place, task):
    with pytest.raises(JobError, match="not the name of a task"):
        jobs.submit(task, {})


def test_what_is_asked_is_checked_before_anything_is_queued(place):
    for args in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(JobError, match="plain JSON"):
            jobs.submit("sleep", args)
    for priority in (1001, -1001, 0.5, True):
        with pytest.raises(JobError, match="priority"):
            jobs.submit("sleep", {}, priority=priority)
        with pytest.raises(JobError, match="priority"):
            jobs.prioritise(NAME, priority)
    for name in ("devices", "processes", "attempts"):
        for value in (0, 101, 1.0, True, "1"):
            with pytest.raises(JobError, match=name):
                jobs.submit("sleep", {}, **{name: value})
    for value in (-1, 3601, float("nan")):
        with pytest.raises(JobError, match="grace_s"):
            jobs.submit("sleep", {}, grace_s=value)
    with pytest.raises(JobError, match="device"):
        jobs.submit("sleep", {"device": "tpu"})
    assert [job.id for job in jobs.list()] == record.names() == [NAME]


def test_an_engine_that_is_none(place, monkeypatch):
    monkeypatch.setenv("ALTERLAB_ENGINE", "kubernetes")
    with pytest.raises(JobError, match="ALTERLAB_ENGINE is 'kubernetes'; it should be local"):
        jobs.submit("sleep", {})


def test_the_state_follows_the_lock_and_the_files(place, attempt):
    lock = record.hold(attempt)
    assert jobs.get(NAME).state == "running" and record.alive(attempt)
    io.write_json(attempt / "begun.json", {"pid": 0, "worker": 0, "started": 5.0, "boot": "", "where": "CPU"})
    assert (jobs.get(NAME).state, jobs.get(NAME).started, jobs.get(NAME).where) == ("running", 5.0, "CPU")
    (place / "cancel").touch()
    assert jobs.get(NAME).state == "cancelling"
    record.write_slot(attempt / "report.slot", {"outcome": "done", "cause": "", "message": ""})
    assert jobs.get(NAME).state == "cancelling", "the worker's word alone is no end"
    io.write_json(attempt / "result.json", {"a": 1})
    record.write_slot(attempt / "exit.slot", {"code": 0, "ended": 6.0})
    job = jobs.get(NAME)
    assert (job.state, job.reason, job.result, job.ended) == ("succeeded", state.FINISHED_FIRST, {"a": 1}, 6.0), "counts when it is written"
    record.reserve(attempt / "exit.slot")
    os.close(lock)
    assert jobs.get(NAME).state == "cancelled", "asked to stop, and gone without a word of its parent"
    (place / "cancel").unlink()
    assert (jobs.get(NAME).state, jobs.get(NAME).cause) == ("failed", "lost")
    io.write_json(attempt / "begun.json", {"pid": 0, "worker": 0, "started": 5.0, "boot": "another", "where": "CPU"})
    assert "restarted" in jobs.get(NAME).reason


def test_asking_whether_a_parent_lives_is_never_taken_for_one(attempt):
    os.close(record.hold(attempt))
    other = os.open(attempt / "alive.lock", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)  # as somebody else who asks
    assert not record.alive(attempt)
    os.close(other)


def test_every_half_written_file_is_survived(place, attempt):
    """Each file cut at each byte: the job still reads; what is not whole does not count."""
    io.write_json(attempt / "begun.json", {"pid": 0, "worker": 0, "started": 5.0, "boot": "", "where": ""})
    words = {"exit.slot": {"code": 0, "ended": 6.0}, "report.slot": {"outcome": "done", "cause": "", "message": "done ✓"}}
    for name, value in words.items():
        record.write_slot(attempt / name, value)
    assert jobs.get(NAME).state == "succeeded"
    for name in words:
        whole = (attempt / name).read_bytes()
        for cut in range(len(whole.rstrip(b"\n\0"))):
            (attempt / name).write_bytes(whole[:cut])
            assert jobs.get(NAME).state == "failed", (name, cut)
            (attempt / name).write_bytes(whole[:cut].ljust(record.SLOT, b"\0"))
            assert jobs.get(NAME).state == "failed", (name, cut)
        (attempt / name).write_bytes(whole)
        assert jobs.get(NAME).state == "succeeded"
    io.write_json(place / "progress.json", {"step": 1, "total": 2, "rate": None, "eta_s": None, "message": ""})
    for path in (place / "progress.json", attempt / "begun.json"):
        whole = path.read_bytes().strip()
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            job = jobs.get(NAME)
            assert job.state == "succeeded" and (job.progress is None) == (path.name == "progress.json")
        path.write_bytes(whole)


def test_a_damaged_description_hides_one_job_and_no_other(place):
    other = place.with_name("000002-sleep-abcdef")
    (other / "attempts").mkdir(parents=True)
    io.write_json(other / "job.json", {**ASKED, "seq": 2})
    whole = (place / "job.json").read_bytes()
    for cut in range(0, len(whole) - 2, 9):
        (place / "job.json").write_bytes(whole[:cut])
        index.path().unlink(missing_ok=True)
        assert [job.id for job in jobs.list()] == [other.name]
        with pytest.raises(JobError, match="damaged"):
            jobs.get(NAME)
    (place / "job.json").write_bytes(whole)
    index.path().unlink()
    assert [job.id for job in jobs.list()] == [other.name, NAME]


def test_the_list_made_again_tells_what_the_folders_tell(place):
    """Everything that a job can have become, read back from nothing but its folder."""
    wanted = {}
    words = [{}, {"state": "queued"}, *({"state": word, "cause": "c", "reason": "r", "ended": 9.0} for word in state.ENDED)]
    for seq, word in enumerate(words, 2):
        folder = place.with_name(f"{seq:06d}-sleep-abcdef")
        (folder / "attempts" / "1").mkdir(parents=True)
        io.write_json(folder / "attempts" / "1" / "begun.json", {"started": 5.0, "where": "CPU"})
        io.write_json(folder / "job.json", {**ASKED, "seq": seq, "priority": seq})
        if word:
            record.write_slot(folder / "state.slot", {**word, "attempt": 1, "base": 0})
        wanted[folder.name] = (word.get("state", "failed"), word.get("cause", "lost" if not word else ""), seq, 1)
    found = {job.id: (job.state, job.cause, job.priority, job.attempt) for job in jobs.list()}
    assert found == {NAME: ("waiting", "", 0, 0), **wanted}


def test_a_word_longer_than_its_slot_is_cut_and_not_lost(home):
    path = home / "x.slot"
    record.reserve(path)
    record.write_slot(path, {"message": "ä" * 9000, "cause": "exception", "code": 1})
    said = record.read_slot(path)
    assert said["cause"] == "exception" and said["code"] == 1 and said["message"] == "ä" * 1000 and path.stat().st_size == record.SLOT
    record.write_slot(path, {"message": "short"})
    assert record.read_slot(path) == {"message": "short"}, "the end of the longer one is left"


def test_a_torn_line_of_metrics_loses_itself_alone(place):
    context = Context(place, attempt=1)
    context.metric({"step": 1})
    with (place / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "lo')
    assert jobs.metrics(NAME) == [{"step": 1, "attempt": 1}]
    Context(place, attempt=2).metric({"step": 2})
    assert jobs.metrics(NAME) == [{"step": 1, "attempt": 1}, {"step": 2, "attempt": 2}]


def test_only_the_first_of_several_processes_speaks(place):
    Context(place, rank=1).progress(1, 2, loss=1.0)
    Context(place, rank=1).metric({"step": 1})
    assert jobs.metrics(NAME) == [] and record.progress(place) is None


def test_a_replaced_attempt_is_told_to_stop(place):
    context = Context(place, attempt=1)
    context.check()
    (place / "attempts" / "2").mkdir()
    with pytest.raises(jobs.Cancelled):
        context.check()
    Context(place, attempt=2).check()


def test_time_left_comes_from_a_clock_that_does_not_jump(place, attempt, monkeypatch):
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


def test_the_tail_of_a_log(place, attempt):
    assert jobs.tail(NAME) == ""
    log = attempt / "out.log"
    log.write_bytes(b"begin\r\n10 %\r20 %\r30 %\nnot utf-8: \xff\nlast")
    assert jobs.tail(NAME) == "begin\n30 %\nnot utf-8: \ufffd\nlast"
    assert jobs.tail(NAME, lines=1) == "last"
    (place / "attempts" / "2").mkdir()
    (place / "attempts" / "2" / "out.log").write_text("again\n")
    assert jobs.tail(NAME, lines=2) == "last\nagain\n", "attempts run into each other"
    log.write_bytes(b"x" * 99 + b"\n" + b"line\n" * 1_000_000)
    begun = time.perf_counter()
    assert jobs.tail(NAME, lines=3) == "line\nline\nagain\n"
    assert time.perf_counter() - begun < 0.5


def test_odd_things_among_the_jobs_are_left_alone(place):
    (place.parent / "notes.txt").write_text("mine")
    (place.parent / "holiday").mkdir()
    (place.parent / "000003-sleep-abcdef").mkdir()
    io.write_json(place.parent / "000003-sleep-abcdef" / "job.json", {**ASKED, "format": record.FORMAT + 1})
    assert [job.id for job in jobs.list()] == [NAME]
    os.rename(place, place.with_name("000012-sleep-abcdef"))
    assert record.names() == ["000012-sleep-abcdef", "000003-sleep-abcdef"]
