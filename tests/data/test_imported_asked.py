"""A set of one's own, asked for as all others are: its card, its images, a training on it, and its import as a job."""

import json

import pytest

from core import data, store, tasks
from core.__main__ import main
from core.data import imported, importing, summary
from core.errors import DataError
from core.jobs import Cancelled, Context
from tests.data.bad_pictures import good

SMALL = importing.Import(image_size=32)


@pytest.fixture
def mine(tmp_path, home):
    """The id of a set of twenty pictures."""
    return importing.add(good(tmp_path / "set"), "Mine", SMALL)["id"]


def test_it_is_one_of_the_sets(mine):
    assert data.every() == [*data.DATASETS, mine] and data.get("own:mine").id == mine and data.title(mine) == "Mine"
    assert data.available(mine) == "" and data.prepared(mine, "train") and not data.prepared(mine, "train", 40)
    train, test = data.load("own:mine", "train"), data.load(mine, "test", 40)
    assert train.pixels.shape == (16, 3, 32, 32) and test.pixels.shape == (4, 3, 40, 40) and train.digest == data.get(mine).digests[0]
    data.fetch(mine)
    with pytest.raises(DataError, match=f"Known: .*{mine}"):
        data.get("none")
    assert summary.summary(mine)["sizes"] == [{"width": 40, "height": 40, "images": 16}]


def test_images_that_are_not_the_expected_ones_are_told(mine):
    (imported.root() / "mine" / "test" / "digest.json").write_text('"0000000000000000"')
    with pytest.raises(DataError, match="are not the expected ones"):
        data.load(mine, "test")


def test_a_run_is_of_these_pictures_and_no_others(mine, tmp_path, capsys):
    """The id of the run holds the content, so the same command after another import of that name trains another run."""

    def train():
        asked = ("--arch", "cm-cm", "--data", "own:mine", "--epochs", "1", "--set", "batch=8", "--json")
        assert main(["train", *asked]) == 0
        return json.loads(capsys.readouterr().out)["run"]

    first = train()
    assert store.find(first).data == mine and store.find(first).classes == 2
    imported.remove("mine", force=True)
    second = importing.add(good(tmp_path / "other", ("green", "red")), "Mine", SMALL)["id"]
    assert second != mine and train() != first
    assert data.title(store.find(first).data) == "Mine"
    with pytest.raises(DataError, match="holds other pictures"):
        data.load(store.find(first).data, "test")


def test_the_job_tells_how_far_it_is_and_stops_when_asked(tmp_path, home):
    asked = {"source": str(good(tmp_path / "set")), "name": "Mine", "settings": {"image_size": 32}}
    context = Context(tmp_path)
    context.stop = True
    with pytest.raises(Cancelled):
        tasks.TASKS["import_images"](asked, context)
    assert imported.names() == []
    context.stop = False
    made = tasks.TASKS["import_images"](asked, context)
    assert made == {"data": imported.card("mine")["id"], "name": "mine"}
    said = json.loads((tmp_path / "progress.json").read_text())
    assert said["step"] == said["total"] and said["message"] == "putting the set together"
