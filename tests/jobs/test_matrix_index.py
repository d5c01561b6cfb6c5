"""The list of jobs is damaged in every way: jobs go on, the list is made again from the folders, and people are told."""

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from core import jobs
from core.jobs import index, record, wake
from tests.jobs import matrix_lab
from tests.jobs.matrix_lab import Lab, dispatchers, ended, kill, listing, running, starts, until

lab = pytest.fixture(matrix_lab.open_lab)
CPU = {"steps": 1, "device": "cpu"}


def noise(path: Path, offset: int, size: int, seed: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(seed).randbytes(size))


def at_the_front(path: Path) -> None:
    noise(path, 0, 8192)


def in_the_middle(path: Path) -> None:
    noise(path, path.stat().st_size // 2 - 4096, 8192)


def truncated(path: Path) -> None:
    os.truncate(path, 0)


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def gone(path: Path) -> None:
    path.unlink()


def half_made(path: Path) -> None:
    """A file that an upgrade left half-way: tables, and no version."""
    path.unlink()
    made(path, "CREATE TABLE job(id TEXT)", 0)


def of_another_version(path: Path) -> None:
    path.unlink()
    made(path, "CREATE TABLE job(id TEXT, seq INTEGER)", 7)


def without_tables(path: Path) -> None:
    path.unlink()
    made(path, "CREATE TABLE other(id TEXT)", index.VERSION)


def with_other_columns(path: Path) -> None:
    path.unlink()
    made(path, "CREATE TABLE job(id TEXT, seq INTEGER)", index.VERSION)


def made(path: Path, statement: str, version: int) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.execute(f"PRAGMA user_version={version}")
    db.commit()
    db.close()


def some_of_each() -> dict[str, jobs.Job]:
    """A list with a job in every state, and more of them than one page holds."""
    found = {"succeeded": jobs.submit("count", CPU), "failed": jobs.submit("bug", {"device": "cpu"})}
    for job in found.values():
        ended(job.id)
    found["running"] = running(jobs.submit("gated", CPU, label="the one that runs").id)
    found["queued"] = jobs.submit("count", CPU, priority=5, dedup="same")
    found["waiting"] = jobs.submit("count", CPU, needs=[found["queued"].id])
    found["cancelled"] = jobs.submit("count", CPU)
    jobs.cancel(found["cancelled"].id)
    for n in range(6):
        jobs.submit("count", {**CPU, "device": "network", "more": "x" * 3000}, label=f"filler {n}", needs=[found["waiting"].id])
    return found


def test_damaged_while_a_job_runs(lab: Lab):
    """One kind of damage after the other, with a dispatcher at work."""
    found = some_of_each()
    before = listing()
    kinds = (at_the_front, in_the_middle, half, truncated, gone, half_made, of_another_version, without_tables, with_other_columns)
    for damage in kinds:
        for file in record.root().glob("jobs.db.damaged-*"):
            file.unlink()
        damage(index.path())
        until(lambda: listing() == before, 5)  # a job that was queued waits for a moment
        assert record.alive(found["running"].place)
        if damage in (truncated, gone):  # an empty file is what a new lab has
            assert not jobs.status().notice
            continue
        assert "made again from the jobs' folders" in jobs.status().notice, damage
        assert len(list(record.root().glob("jobs.db.damaged-*"))) == 1, "set aside once"
        jobs.dismiss()
        assert not jobs.status().notice
    twin = jobs.submit("count", CPU, dedup="same")
    assert twin.id == found["queued"].id, "the same question is still not queued twice"
    (found["running"].folder / "go").touch()
    for name in ("running", "queued", "waiting"):
        assert ended(found[name].id).state == "succeeded"
    assert starts(lab)[found["running"].id] == 1 and len(dispatchers()) == 1, "neither it nor the dispatcher noticed"


def test_noise_anywhere(lab: Lab):
    """Small scratches in a file's pages: the list is as before, or made again; never a mistake in code, never a job less."""
    some_of_each()
    matrix_lab.stop_dispatcher()
    ids = sorted(record.names())
    whole, rng = index.path().read_bytes(), random.Random(5)
    rebuilt = 0
    for turn in range(50):
        for file in record.root().glob("jobs.db*"):
            file.unlink()
        index.path().write_bytes(whole)
        noise(index.path(), rng.randrange(len(whole)), rng.choice((1, 16, 512)), seed=turn)

        def read() -> list[str]:
            with index.connect() as db:
                return sorted(job.id for job in index.rows(db))

        def write() -> None:
            with index.connect(write=True) as db:
                for job in index.rows(db):
                    index.change(db, job, job.state, reason="touched")

        index.checked(write)
        assert index.checked(read) == ids, turn
        rebuilt += bool(list(record.root().glob("jobs.db.damaged-*")))
    assert rebuilt > 5, "else nothing was tried"


def test_four_processes_find_the_damage_at_once(lab: Lab):
    """One makes the list again; the submits of all come through."""
    for _ in range(3):
        ended(jobs.submit("count", CPU).id)
    matrix_lab.stop_dispatcher()
    at_the_front(index.path())
    lab.gpus(4)
    children = [matrix_lab.start(["-m", "tests.jobs.matrix_app", "count", "3", "cuda", "1"]) for _ in range(4)]
    assert [child.wait(30) for child in children] == [0] * 4
    until(lambda: all(job.state == "succeeded" for job in jobs.list()))
    assert len(jobs.list()) == 15 and set(starts(lab).values()) == {1}
    assert len(list(record.root().glob("jobs.db.damaged-*"))) == 1


def test_a_list_that_was_restored_from_yesterday(lab: Lab):
    """An older copy of the file knows neither the newest job nor how others ended."""
    first = jobs.submit("count", CPU)
    ended(first.id)
    running(jobs.submit("count", {**CPU, "steps": 15}).id)
    matrix_lab.stop_dispatcher()
    shutil.copy(index.path(), record.root() / "yesterday")
    wake.ensure()
    until(lambda: all(job.state == "succeeded" for job in jobs.list()))
    newest = jobs.submit("count", CPU)
    ended(newest.id)
    matrix_lab.stop_dispatcher()
    os.replace(record.root() / "yesterday", index.path())
    wake.ensure()
    until(lambda: [job.state for job in jobs.list()] == ["succeeded"] * 3)
    assert set(starts(lab).values()) == {1}, "nothing runs a second time"


def test_killed_while_it_makes_the_list_again(lab: Lab):
    """At random moments: the next one begins anew."""
    some_of_each()
    before, rng = listing(), random.Random(9)
    matrix_lab.stop_dispatcher()
    whole = index.path().read_bytes()
    for _ in range(6):
        for file in record.root().glob("jobs.db*"):
            file.unlink()
        index.path().write_bytes(whole)
        at_the_front(index.path())
        child = matrix_lab.start(["-c", "from core.jobs import index; index._opened().__enter__()"])
        until(lambda child=child: child.poll() is not None or list(record.root().glob("jobs.db.damaged-*")))
        matrix_lab.until(lambda: False, rng.random() * 0.03, fail=False)
        kill([child.pid])
        child.wait()
        with index.connect() as db:
            assert len(index.rows(db)) == len(before)
