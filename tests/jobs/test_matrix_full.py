"""No room: a disk that is full to the last byte, and memory that runs out on the machine and on a GPU."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import jobs
from core.errors import JobError
from core.jobs import processes, record, wake
from tests.jobs import matrix_lab
from tests.jobs.matrix_lab import Lab, ended, kill, running, shepherd, starts, until

lab = pytest.fixture(matrix_lab.open_lab)
GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def small_disk(lab: Lab, request: pytest.FixtureRequest) -> Iterator[int]:
    """24 MB, or as many as a test says, for all that the lab keeps."""
    size = getattr(request, "param", 24)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", lab.home], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield size << 20
    matrix_lab.sweep(lab.home)
    subprocess.run(["umount", "-l", lab.home], check=True)


def test_disk_full(lab: Lab, small_disk: int):
    job = jobs.submit("flood", {"device": "cpu"})
    waiting = jobs.submit("count", {"steps": 1, "device": "cpu"})  # while there is still room for it
    running(job.id)
    assert ended(job.id).cause == "disk_full" and "disk is full" in jobs.get(job.id).reason
    assert jobs.get(job.id).state == "failed" and record.free() < 1 << 20
    # nothing new is started or taken in, and all that says why
    until(lambda: not record.alive(job.place))
    assert "jobs wait until there is more" in jobs.status().held
    for _ in range(2):
        with pytest.raises(JobError, match=r"nothing was queued\. Free some space"):
            jobs.submit("count", {"steps": 1, "device": "cpu"})
    assert jobs.get(waiting.id).state == "queued" and waiting.id not in starts(lab) and len(record.names()) == 2
    # what people do about it goes on without a word to the lab
    (job.folder / "flood").unlink()
    assert ended(waiting.id).state == "succeeded"
    assert (jobs.get(job.id).state, jobs.get(job.id).cause, jobs.get(job.id).attempt) == ("failed", "disk_full", 1)
    assert jobs.metrics(job.id) and not jobs.status().held
    steps = [row["step"] for row in jobs.metrics(job.id)]
    assert steps == list(range(1, len(steps) + 1)), "whole rows only"


@pytest.mark.parametrize("small_disk", [48], indirect=True)
def test_the_ballast_pays_for_the_last_word(lab: Lab, small_disk: int):
    """On a disk that was not small from the start, even the list is right when not a byte is left."""
    job = running(jobs.submit("flood", {"device": "cpu"}).id)
    assert (record.root() / "ballast").stat().st_size == 4 << 20
    until(lambda: matrix_lab.recorded(job.id) == "failed")
    assert not (record.root() / "ballast").exists() and record.free() < record.FLOOR and jobs.get(job.id).cause == "disk_full"
    (job.folder / "flood").unlink()
    again = jobs.submit("count", {"steps": 1, "device": "cpu"})
    assert ended(again.id).state == "succeeded"
    until(lambda: (record.root() / "ballast").exists())


def test_a_disk_that_fills_while_the_dispatcher_is_dead(lab: Lab, small_disk: int):
    """The next one starts with no byte left: it says how the job ended, and records it as soon as it can."""
    job = running(jobs.submit("flood", {"device": "cpu", "bytes": 1 << 16}).id)
    matrix_lab.stop_dispatcher()
    until(lambda: not record.alive(job.place))
    assert record.free() == 0
    wake.ensure()
    until(wake.lives)
    assert ended(job.id).cause == "disk_full"
    (job.folder / "flood").unlink()
    until(lambda: matrix_lab.recorded(job.id) == "failed")
    again = jobs.resume(job.id)
    assert running(again.id).attempt == 2
    jobs.cancel(job.id)
    assert ended(job.id).state in ("cancelled", "failed")


def test_a_cancel_on_a_full_disk(lab: Lab, small_disk: int):
    """The wish to stop gets through, for it is what frees the disk."""
    job = running(jobs.submit("count", {"steps": 1000, "device": "cpu"}).id)
    with (lab.home / "stranger").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert record.free() == 0
    with contextlib.suppress(JobError):  # says that the list cannot be changed; the file is there
        jobs.cancel(job.id)
    assert until(lambda: not record.alive(job.place)) < 5
    until(lambda: jobs.get(job.id).state in jobs.ENDED)
    (lab.home / "stranger").unlink()
    until(lambda: matrix_lab.recorded(job.id) in jobs.ENDED)


def little_memory(size: int) -> Path:
    """A new group of processes with so much memory and no swap; skips the test, and says why, where there can be none."""
    name = f"alterlab-matrix-{os.getpid()}"
    if os.geteuid():
        pytest.skip("only root may limit memory")
    if (GROUPS / "memory" / "memory.limit_in_bytes").exists():
        group, limits = GROUPS / "memory" / name, {"memory.limit_in_bytes": size, "memory.memsw.limit_in_bytes": size}
    elif "memory" in (GROUPS / "cgroup.subtree_control").read_text() if (GROUPS / "cgroup.subtree_control").exists() else "":
        group, limits = GROUPS / name, {"memory.max": size, "memory.swap.max": 0, "memory.oom.group": 0}
    else:
        pytest.skip("this machine's control groups do not limit memory")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"control groups cannot be changed here: {error}")
    for file, value in limits.items():
        with contextlib.suppress(FileNotFoundError):  # without swap accounting
            (group / file).write_text(str(value))
    return group


def test_host_out_of_memory(lab: Lab):
    group = little_memory(100 << 20)
    try:
        before = processes.oom_kills()
        job = jobs.submit("gulp", {"device": "cpu", "group": str(group)})
        other = jobs.submit("count", {"steps": 1, "device": "cpu"})
        job = ended(job.id)
        assert processes.oom_kills() > before, "the kernel did kill it"
        assert (job.state, job.cause, job.attempt) == ("failed", "host_oom", 1) and "probably" in job.reason
        assert ended(other.id).state == "succeeded"
        until(lambda: not (group / "cgroup.procs").read_text())
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), 5, fail=False)
        group.rmdir()


def test_a_kill_without_want_of_memory_is_no_host_oom(lab: Lab):
    job = running(jobs.submit("count", {"steps": 1000, "device": "cpu"}, attempts=1).id)
    kill(matrix_lab.workers(job.id))
    assert ended(job.id).cause == "killed"


def test_gpu_out_of_memory(lab: Lab):
    """It fails alone: no second try, and the next job has the GPU."""
    lab.gpus(1)
    job, other = jobs.submit("gpu", {"device": "cuda"}), jobs.submit("count", {"steps": 1, "device": "cuda"})
    job = ended(job.id)
    assert (job.state, job.cause, job.attempt) == ("failed", "gpu_oom", 1) and "Half the batch" in job.reason
    assert ended(other.id).state == "succeeded"


@pytest.mark.parametrize(("task", "cause"), [("bug", "exception"), ("stops", "preempted")])
def test_other_ends(lab: Lab, task: str, cause: str):
    job = ended(jobs.submit(task, {"device": "cpu"}, attempts=1).id)
    assert (job.state, job.cause) == ("failed", cause) and "secret" not in job.reason


def test_told_to_stop_by_the_machine(lab: Lab):
    """A shutdown sends SIGTERM to all: the work is saved, and goes on when there is a dispatcher again."""
    job = running(jobs.submit("count", {"steps": 60, "device": "cpu"}).id)
    kill([shepherd(job)], 15)
    again = matrix_lab.next_try(job.id)
    assert again.cause == "preempted"
    done = ended(job.id)
    assert done.state == "succeeded" and done.result and done.result["from"] > 0
