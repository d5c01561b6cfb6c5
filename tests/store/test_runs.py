"""Runs on disk: identity, roots, damage."""

import dataclasses
import json
import os
import re

import pytest

from core import io, store
from core.errors import StoreError, TrainError
from core.run import ID, Run
from core.store import runs

RUN = Run(arch="cc-cm", data="fashion", recipe={"name": "quick", "lr": 0.002}, name="Yours")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A shipped root that can only be read, holding one run."""
    root = tmp_path / "shipped"
    run = dataclasses.replace(RUN, name="ResNet-mini", seed=7)
    (root / run.id).mkdir(parents=True)
    io.write_json(root / run.id / "run.json", run.to_json())
    monkeypatch.setattr(runs, "shipped_root", lambda: root)
    return run


@pytest.mark.parametrize(
    "change",
    [{"arch": "cc-cc"}, {"data": "cifar10"}, {"recipe": {"name": "quick", "lr": 0.001}}, {"seed": 1}, {"fraction": 0.5}, {"limit": 9},
     {"image_size": 64}, {"classes": 9}],
)  # fmt: skip
def test_every_field_but_the_label_is_identity(change):
    assert dataclasses.replace(RUN, **change).digest != RUN.digest
    assert dataclasses.replace(RUN, **change).id != RUN.id


def test_ids_are_readable_safe_and_the_same_for_the_same_run():
    assert re.fullmatch(r"cc-cm-fashion-s0-[0-9a-f]{8}", RUN.id)
    assert dataclasses.replace(RUN, name="Other").id == RUN.id, "a label does not make another run"
    assert dataclasses.replace(RUN, recipe={"name": "custom", "lr": 0.002}).id == RUN.id, "nor does a recipe's name"
    assert dataclasses.replace(RUN, recipe={**RUN.recipe, "epochs": 10}).id == RUN.id, "nor a field at its default"
    assert dataclasses.replace(RUN, recipe={**RUN.recipe, "epochs": 11}).id != RUN.id
    assert Run(arch="cccccc-cccccc", data="fashion", recipe={}).id.startswith("resnet-mini-fashion-s0-")
    assert Run(**{**RUN.to_json(), "fraction": 1}).id == RUN.id, "1 and 1.0 are the same share"
    assert Run(arch="cc-cm/width=32,96", data="d", recipe={}).id.startswith("cc-cm-d-s0-")
    assert Run(arch="cc-cm/width=32,64/heads=1,2", data="d", recipe={}).id == Run(arch="cc-cm", data="d", recipe={}).id, "one net, one run"
    for data in ("folder:/home/me/My Cats/", "Ünïcode \0 \n", "../../etc", "y" * 500, "..", "-"):
        odd = Run(arch="c" * 150, data=data, recipe={}, seed=2**63 - 1)
        assert ID.fullmatch(odd.id) and not odd.id.startswith(".")
    assert "my-cats" in Run(arch="c", data="folder:/home/me/My Cats/", recipe={}).id


@pytest.mark.parametrize(
    "field", [{"seed": -1}, {"seed": True}, {"seed": 1.0}, {"limit": -1}, {"fraction": 0}, {"fraction": 1.01}, {"fraction": float("nan")},
              {"fraction": "1"}, {"image_size": 0}, {"classes": 0}, {"arch": ""}, {"arch": "zz"}, {"arch": "../../etc"}, {"recipe": None},
              {"name": 5}],
)  # fmt: skip
def test_fields_out_of_bounds_are_refused_in_words(field):
    with pytest.raises(TrainError, match=next(iter(field))):
        dataclasses.replace(RUN, **field)
    with pytest.raises(StoreError):
        Run.from_json({**RUN.to_json(), **field})


def test_a_run_goes_out_and_comes_back(home):
    assert store.list_runs() == [run for run in store.list_runs() if store.is_shipped(run.id)]
    place = store.create(RUN)
    assert place == home / "runs" / RUN.id == store.folder(RUN.id)
    assert store.find(RUN.id) == RUN and RUN in store.list_runs()
    assert not store.is_shipped(RUN.id)
    assert store.final(RUN.id) is None
    before = (place / "run.json").stat().st_mtime_ns
    assert store.create(RUN) == place and (place / "run.json").stat().st_mtime_ns == before


def test_shipped_runs_come_first_and_are_only_read(home, shipped):
    store.create(RUN)
    assert [run.id for run in store.list_runs()] == [shipped.id, RUN.id]
    assert store.is_shipped(shipped.id)
    with pytest.raises(StoreError, match="came with the lab"):
        store.delete(shipped.id)
    with pytest.raises(StoreError, match="Another seed"):
        store.create(shipped)
    assert store.find(shipped.id) == shipped
    (home / "runs" / shipped.id).mkdir()
    io.write_json(home / "runs" / shipped.id / "run.json", shipped.to_json())
    assert [run.id for run in store.list_runs()] == [shipped.id, RUN.id], "one id, one run"
    assert store.folder(shipped.id).parent == runs.shipped_root()


@pytest.mark.parametrize("name", ["", ".", "..", "../runs", "/etc", "a/b", "x\n", "x\0", "A", "z" * 500, ".lock", None, 5])
def test_hostile_ids_never_become_a_path(home, name):
    store.create(RUN)
    secret = home / "run.json"
    io.write_json(secret, RUN.to_json())
    for ask in (store.find, store.folder, store.is_shipped, store.final, store.history, store.weights, store.delete, store.list_results):
        with pytest.raises(StoreError, match="There is no run") as error:
            ask(name)
        assert RUN.id in str(error.value)
    assert secret.exists() and store.find(RUN.id) == RUN


def test_damage_is_told_by_find_and_does_not_break_the_list(home):
    place = store.create(RUN)
    whole = (place / "run.json").read_bytes()
    other = store.create(dataclasses.replace(RUN, seed=3))
    for cut in (0, 1, len(whole) // 2, len(whole) - 3):
        (place / "run.json").write_bytes(whole[:cut])
        assert place.name not in [run.id for run in store.list_runs()] and other.name in [run.id for run in store.list_runs()]
        with pytest.raises(StoreError, match="damaged"):
            store.find(RUN.id)
    (place / "run.json").write_text(json.dumps({**RUN.to_json(), "seed": 5}))
    with pytest.raises(StoreError, match="describes the run"):
        store.find(RUN.id)
    (place / "run.json").write_text(json.dumps({**RUN.to_json(), "colour": 5}))
    with pytest.raises(StoreError, match="colour"):
        store.find(RUN.id)
    store.delete(RUN.id)
    assert not place.exists()


def test_a_damaged_final_is_told(home):
    place = store.create(RUN)
    io.write_json(place / "final.json", {"accuracy": 0.9})
    assert store.final(RUN.id) == {"accuracy": 0.9}
    (place / "final.json").write_text('{"accur')
    with pytest.raises(StoreError, match="cannot be read"):
        store.final(RUN.id)


def test_a_torn_line_of_history_loses_itself_alone(home):
    place = store.create(RUN)
    assert store.history(RUN.id) == []
    for epoch in (1, 2):
        store.append_history(place, {"epoch": epoch, "accuracy": epoch / 10})
    whole = (place / "history.jsonl").read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last):
        (place / "history.jsonl").write_bytes(whole[:-cut])
        assert [row["epoch"] for row in store.history(RUN.id)] == ([1, 2] if cut == 1 else [1])
    assert (place / "history.jsonl").read_bytes().endswith(b"{")
    store.append_history(place, {"epoch": 2, "accuracy": 0.5})
    assert store.history(RUN.id) == [{"epoch": 1, "accuracy": 0.1}, {"epoch": 2, "accuracy": 0.5}]
    store.append_history(place, {"epoch": 1, "accuracy": 0.7})
    assert [row["accuracy"] for row in store.history(RUN.id)] == [0.7, 0.5], "an epoch that was run again counts once"
    store.rewrite_history(place, keep=1)
    assert store.history(RUN.id) == [{"epoch": 1, "accuracy": 0.7}]
    store.rewrite_history(place, keep=0)
    assert store.history(RUN.id) == []


def test_weights_are_listed_when_a_phase_is_missing(home):
    place = store.create(RUN)
    with pytest.raises(StoreError, match="Known: none yet"):
        store.weights(RUN.id)
    (place / "weights").mkdir()
    for phase in ("third", "init"):
        (place / "weights" / f"{phase}.safetensors").touch()
    assert store.weights(RUN.id, "third") == place / "weights" / "third.safetensors"
    with pytest.raises(StoreError, match="Known: init, third"):
        store.weights(RUN.id)
    with pytest.raises(StoreError):
        store.weights(RUN.id, "../run")


def test_deleting_takes_everything_at_once(home):
    place = store.create(RUN)
    (place / "weights").mkdir()
    (place / "weights" / "end.safetensors").touch()
    store.delete(RUN.id)
    assert os.listdir(home / "runs") == []
    assert store.create(RUN) == place
