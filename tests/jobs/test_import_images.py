"""Importing pictures as a job: killed and stopped in the middle, it goes on and makes the same set; before that there is none."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from core import data, jobs
from core.data import imported, importing
from core.errors import DataError
from core.jobs import Context
from core.tasks import TASKS
from tests.data.bad_pictures import bad, good
from tests.jobs.conftest import begun, ended, there, until

#: 55 pictures of 384 pixels a shard
SETTINGS = {"image_size": 384}
ARGS = {"name": "Pictures", "settings": SETTINGS, "device": "network"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return good(tmp_path / "source", ("a", "b", "c"), each=120, size=(64, 64))


def shards() -> list[Path]:
    return sorted((imported.root() / ".pictures.part" / "shards").glob("*.npz"))


def nothing_is_there() -> None:
    """No page and no command line sees a set that is not whole."""
    assert imported.names() == [] and data.every() == list(data.DATASETS)
    with pytest.raises(DataError, match="own:pictures"):
        data.get("own:pictures")


def same_as_in_one_go(source: Path) -> None:
    whole = importing.add(source, "whole", importing.Import(**SETTINGS))
    made, other = imported.card("pictures"), imported.card("whole")
    assert made["content"] == other["content"] and made["digests"] == other["digests"]
    assert imported.files("pictures", "test") == imported.files("whole", "test")
    assert (made["train_n"], made["test_n"]) == (whole["train_n"], whole["test_n"]) == (288, 72)
    for split in ("train", "test"):
        data.load("own:pictures", split)  # checks the digest of the pixels against the card


def test_a_killed_import_goes_on_and_makes_the_same_set(lab: Path, source: Path) -> None:
    job = jobs.submit("import_images", {"source": str(source), **ARGS}, label="Import of Pictures")
    first = begun(job.id)["worker"]
    until(lambda: len(shards()) >= 2)
    os.kill(first, signal.SIGKILL)
    until(lambda: not there(first))
    kept = {shard: shard.stat().st_mtime_ns for shard in shards()}
    assert 2 <= len(kept) < 7
    nothing_is_there()
    over = ended(job.id)
    assert (over.state, over.attempt) == ("succeeded", 2) and over.result is not None
    assert over.result["data"] == imported.card("pictures")["id"]
    assert imported.unfinished() == []
    same_as_in_one_go(source)


def test_a_stopped_import_goes_on_where_it_was(lab: Path, source: Path) -> None:
    job = jobs.submit("import_images", {"source": str(source), **ARGS})
    begun(job.id)
    until(lambda: len(shards()) >= 2)
    jobs.cancel(job.id)
    assert ended(job.id).state == "cancelled"
    kept = {shard: shard.stat().st_mtime_ns for shard in shards()}
    assert 2 <= len(kept) < 7 and imported.unfinished() == ["pictures"]
    nothing_is_there()
    jobs.resume(job.id)
    begun(job.id, 2)
    made_again = []
    while jobs.get(job.id).state in jobs.LIVE:  # they are gone when it is done
        with contextlib.suppress(FileNotFoundError):
            made_again += [shard for shard, when in kept.items() if shard.stat().st_mtime_ns != when]
    assert ended(job.id).state == "succeeded" and not made_again
    same_as_in_one_go(source)


def test_nothing_to_import_is_said_in_words_and_leaves_nothing(lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        bad(folder / name)
    for heavy in folder.rglob("heavy.png"):
        heavy.unlink()
    job = jobs.submit("import_images", {"source": str(folder), "name": "Pictures", "device": "network"})
    over = ended(job.id)
    assert (over.state, over.cause) == ("failed", "exception") and "could be taken" in over.reason
    assert imported.names() == imported.unfinished() == []


def test_progress_ends_at_all_and_hears_a_stop(home: Path, tmp_path: Path) -> None:
    source, context = good(tmp_path / "source"), Context(home)
    made = TASKS["import_images"]({"source": str(source), "name": "Small", "settings": {"image_size": 32}}, context)
    assert made == {"data": imported.card("small")["id"], "name": "small"}
    context.stop = True
    with pytest.raises(jobs.Cancelled):
        TASKS["import_images"]({"source": str(source), "name": "Other", "settings": {}}, context)
    assert imported.names() == ["small"]
