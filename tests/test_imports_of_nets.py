"""Nets made elsewhere become runs: their weights, classes and normalisation; what does not fit is said and leaves nothing behind."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core import analyses, data, imports, store
from core.__main__ import main
from core.analyses import Subject
from core.data import imagenet
from core.errors import LabError, MeasureError, SpecError, StoreError
from core.jobs import Context
from core.models import timm_zoo
from core.recipe import RECIPES
from core.train.loop import train

NET = "test_resnet"


@pytest.fixture(autouse=True)
def few(home, monkeypatch):
    """A hundred test images are enough to see that they are used."""
    load = data.load

    def loaded(id, split, size=None, **more):
        images = load(id, split, size, **more)
        return dataclasses.replace(images, pixels=images.pixels[:100], labels=images.labels[:100]) if split == "test" else images

    torch.set_num_threads(1)
    monkeypatch.setattr(data, "load", loaded)


def state(classes: int = 10, name: str = NET) -> dict[str, torch.Tensor]:
    """Weights of a net as timm writes them."""
    import timm

    torch.manual_seed(3)
    return timm.create_model(name, num_classes=classes).state_dict()


def test_the_weights_of_a_file_are_what_is_measured(tmp_path):
    kept = state()
    save_file(kept, tmp_path / "mine.safetensors")
    run = imports.take_in(NET, "fashion", weights=str(tmp_path / "mine.safetensors"), label="Mine", image_size=32)
    assert run.plan.level == "units" and run.plan.weights == "the file mine.safetensors" and run.name == "Mine"
    subject = Subject(store.find(run.id), "cpu")
    for name, tensor in subject.net.state_dict().items():
        own = kept[name.removeprefix("model.")]
        assert torch.equal(tensor, own.half().to(own.dtype) if own.dim() > 1 and own.is_floating_point() else own), name
    final = store.final(run.id)
    assert final["n_test"] == 100 and final["digest"] == subject.weights_digest == run.plan.digest
    found = analyses.measure_run(run.id, "variance", {"images": 8})
    assert list(dict.fromkeys(found.table["unit"]))[1:] == [unit.id for unit in run.plan.units if unit.side > 1]


def test_the_same_net_is_taken_in_once_and_another_draw_is_another_run():
    one, again = (imports.take_in(NET, "fashion", image_size=32) for _ in range(2))
    assert one.id == again.id and len([r for r in store.list_runs() if not store.is_shipped(r.id)]) == 1
    assert imports.take_in(NET, "fashion", image_size=32, seed=1).id != one.id


def test_classes_of_imagenet_are_compared_among_themselves_and_among_all(tmp_path, monkeypatch):
    save_file(state(1000), tmp_path / "thousand.safetensors")
    with pytest.raises(StoreError, match=r"knows 1,000 classes; Fashion has 10, which are not among them"):
        imports.take_in(NET, "fashion", weights=str(tmp_path / "thousand.safetensors"), image_size=32)
    assert not [r for r in store.list_runs() if not store.is_shipped(r.id)], "nothing half-taken remains"
    chosen = tuple(range(100, 200, 10))
    monkeypatch.setattr(imagenet, "outputs", lambda classes: chosen)
    run = imports.take_in(NET, "fashion", weights=str(tmp_path / "thousand.safetensors"), image_size=32)
    assert run.plan.outputs == chosen and run.plan.scores == 1000 and run.plan.mean == timm_zoo.normalisation(NET)[0]
    subject = Subject(run, "cpu")
    x, _ = subject.images("test", 64, 0)
    with torch.no_grad():
        own = subject.net(x)
        subject.net.head = torch.nn.Identity()
        whole = subject.net(x)
    assert torch.equal(own, whole[:, list(chosen)]) and own.shape == (64, 10)
    images = data.load("fashion", "test", 32)
    grey = (images.pixels[:1].repeat(3, 1) / 255 - np.reshape(run.plan.mean, (1, 3, 1, 1))) / np.reshape(run.plan.std, (1, 3, 1, 1))
    first = next(subject.chunks("test", 0, 0, 1))[0]
    assert np.allclose(first.numpy(), grey, atol=1e-5), "the net gets the normalisation that it was trained with"
    final = store.final(run.id)
    x, labels = subject.images("test", 0, 0)
    with torch.no_grad():
        best = subject.net(x)  # its head gives all thousand since above
    raw = (best.argmax(1) == torch.tensor(chosen)[labels]).double().mean()
    among = (best[:, list(chosen)].argmax(1) == labels).double().mean()
    assert final["raw_of"] == 1000 and final["raw_accuracy"] == pytest.approx(float(raw))
    assert final["accuracy"] == pytest.approx(float(among))


def test_a_new_classifier_is_random_and_can_be_fine_tuned(tmp_path):
    save_file(state(7), tmp_path / "seven.safetensors")
    run = imports.take_in(NET, "fashion", weights=str(tmp_path / "seven.safetensors"), new_head=True, image_size=32)
    begun = Subject(run, "cpu").net.state_dict()
    more = dataclasses.replace(run, recipe=dataclasses.asdict(dataclasses.replace(RECIPES["quick"], epochs=1, lr=1e-4)), limit=128, seed=2)
    assert more.origin.id == run.id and more.id != run.id
    train(more, store.create(more), Listener(), device="cpu")
    init, end = (Subject(more, "cpu", phase).net.state_dict() for phase in ("init", "end"))
    assert all(torch.equal(begun[name], init[name]) for name in begun), "it starts from the imported weights"
    moved = [float((end[n] - begun[n]).abs().max()) for n in begun if begun[n].dim() > 1]
    assert 0 < max(moved) < 0.1 and store.final(more.id)["steps"] == 1
    assert analyses.measure_run(more.id, "band_noise", {"images": 20}).table["images"].eq(20).all()


class Listener:
    def progress(self, *_args, **_more) -> None: ...

    def metric(self, _row) -> None: ...

    def cancelled(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"name": "resnet_of_mine"}, SpecError, "There is no net"),
        ({"name": NET, "images": "nothing"}, LabError, "nothing"),
        ({"name": NET, "weights": "/nowhere/at-all.pth"}, StoreError, "There is no file at-all.pth"),
        ({"name": NET, "weights": "a.pth", "published": True}, LabError, "choose one"),
        ({"name": "paper-vit-ti", "image_size": 64}, SpecError, "takes images of 32 pixels"),
    ],
)
def test_what_cannot_be_taken_in_is_one_sentence_and_leaves_nothing(asked, error, said):
    with pytest.raises(error, match=said):
        imports.take_in(asked.pop("name"), asked.pop("images", "fashion"), **{"image_size": 32, **asked})
    assert not [r for r in store.list_runs() if not store.is_shipped(r.id)]


def test_a_net_that_is_not_taken_apart_says_what_can_be_measured():
    run = imports.take_in("levit_128s", "fashion", image_size=64)
    assert run.plan.level == "logits"
    with pytest.raises(MeasureError, match=r"Lesion does not apply to levit_128s\. This net cannot be taken apart"):
        analyses.measure_run(run.id, "lesion", {"images": 8})
    assert analyses.refusal(analyses.get("calibration"), run) == ""


def test_the_command_and_the_job_do_the_same(tmp_path, capsys):
    assert main(["import-net", NET, "--data", "fashion", "--image-size", "32", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    context = Context(tmp_path)
    from core.tasks import TASKS

    assert TASKS["import_net"]({"name": NET, "images": "fashion", "image_size": 32, "device": "cpu"}, context) == {"run": told["run"]}
    assert main(["import-net", str(tmp_path / "none.pth"), "--json"]) == 1
    (tmp_path / "resnet_50_cifar100_x.pth.tar").write_bytes(b"no weights")
    assert main(["import-net", str(tmp_path / "resnet_50_cifar100_x.pth.tar"), "--data", "fashion"]) == 1
    assert "resnet_50_cifar100_x.pth.tar" in capsys.readouterr().err
