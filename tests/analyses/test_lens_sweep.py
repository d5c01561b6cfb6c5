"""The sweep of a lens against one image after the other, and what each place says against the logits."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core import data
from core.analyses import _lens
from core.errors import MeasureError
from core.metrics import lens
from tests.analyses.given import Given

CARD = data.get("fashion")


def subject(notation: str, name: str = "a", card: data.DatasetSpec = CARD) -> Given:
    """A net with the card of a data set and another head than a fresh one, so that its answers differ."""
    given = Given(notation)
    torch.manual_seed(3)
    torch.nn.init.normal_(given.net.head.weight, std=1.0)
    given.spec, given.run = card, SimpleNamespace(id=name)
    return given


def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1, 32, 32), dtype=np.uint8)


def alone(given: Given, seen: np.ndarray) -> torch.Tensor:
    """Logits of one image (1, side, side), normalised by hand."""
    x = (torch.from_numpy(seen).expand(3, -1, -1) - 0.2190) / 0.3320
    with torch.inference_mode():
        return given.net(x[None].float())[0]


@pytest.mark.parametrize("kind", lens.KINDS)
def test_each_step_is_what_the_net_says_of_that_image_alone(kind: str) -> None:
    nets = [subject("cc-cm/width=8,16/heads=1,2", "a"), subject("mm/width=16/heads=2/stem=patch4", "b")]
    shown = picture()
    told = _lens.sweep(nets, shown, 3, kind, 0.2, 17)
    rings = lens.steps(kind, 32)
    assert told["steps"] == [list(ring) for ring in rings] and told["label"] == CARD.classes[3]
    assert base64.b64decode(told["pixels"]) == shown.tobytes() and told["shape"] == [1, 32, 32] and told["mean"] == [0.219]
    for given in nets:
        said = told["nets"][given.run.id]
        assert len(said["answers"]) == len(said["sure"]) == len(said["right"]) == len(rings) + 1
        for i, ring in enumerate([*rings, None]):
            seen = shown / 255 if ring is None else lens.view(shown / 255, CARD.mean, kind, ring, strength=0.2, index=17)
            share = alone(given, seen).softmax(0)
            assert said["sure"][i] == pytest.approx(float(share.max()), abs=1e-4)
            assert share[CARD.classes.index(said["answers"][i])] == pytest.approx(float(share.max()), abs=1e-4)
            assert said["right"][i] == (said["answers"][i] == CARD.classes[3])


@pytest.mark.parametrize("notation", ["cc-cm/width=8,16/heads=1,2", "mm/width=16/heads=2/stem=patch4"])
def test_what_places_say_adds_up_to_the_score(notation: str) -> None:
    given, shown = subject(notation), picture()
    said = _lens.sweep([given], shown, None, "low", 0.2, 0)["nets"]["a"]
    maps = np.frombuffer(base64.b64decode(said["places"]["data"]), "<f2").reshape(said["places"]["shape"]).astype(np.float64)
    assert said["right"] is None and len(maps) == len(said["answers"])
    logits, bias = alone(given, shown / 255), given.net.head.bias.detach()
    best = int(logits.argmax())
    score = float(logits[best] - logits.mean() - (bias[best] - bias.mean()))
    assert abs(score) > 0.1 and maps[-1].mean() == pytest.approx(score, rel=5e-3)
    assert maps[-1].std() > 0


def test_a_net_that_reads_a_cls_token_has_no_places() -> None:
    said = _lens.sweep([subject("mm/width=16/heads=2/stem=patch4/head=cls")], picture(), None, "low", 0.2, 0)
    assert said["nets"]["a"]["places"] is None


def test_nets_of_other_images_are_refused() -> None:
    nets = [subject("cc/width=8", "a"), subject("cc/width=8", "b", data.get("cifar10"))]
    with pytest.raises(MeasureError, match="b and a were trained on different images"):
        _lens.sweep(nets, picture(), None, "low", 0.2, 0)
