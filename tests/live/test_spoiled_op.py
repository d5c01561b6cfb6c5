"""Spoiled images as the live worker gives them: those that were measured, and what it refuses."""

import base64

import numpy as np
import pytest
import torch

from core import answers, data, store
from core.data.corruptions.generate import corrupt
from core.errors import LabError

RUN = next(run.id for run in store.list_runs() if store.is_shipped(run.id))


def pixels(told: dict, name: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(told[name]), np.uint8).reshape(told["shape"])


@pytest.mark.parametrize(("kind", "severity", "seed"), [("fog", 5, 0), ("gaussian_noise", 1, 3)])
def test_the_images_are_those_that_are_measured(kind: str, severity: int, seed: int) -> None:
    """In whatever company: what an image becomes depends on its place in the test set alone."""
    told = answers.spoiled(RUN, kind, severity, [9_000, 7], seed)
    images = data.load("fashion-full", "test", 32).pixels
    assert (pixels(told, "clean") == images[[9_000, 7]]).all()
    several = np.array([7, 8, 9_000])
    made = corrupt(torch.from_numpy(np.array(images[several])), kind, severity, seed=seed, indices=several).numpy()
    assert (pixels(told, "spoiled") == made[[2, 0]]).all() and (made != images[several]).any()


def test_without_a_place_it_only_loads() -> None:
    assert answers.spoiled(RUN) == {}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"kind": "../fog"}, "fog"), ({"kind": 3}, "kind is 3"), ({"severity": 6}, "1 to 5"), ({"severity": True}, "severity is True"),
        ({"index": [10_000]}, "from 0 to 9999"), ({"index": [-1]}, "from 0 to 9999"), ({"index": "12"}, "index is '12'"),
        ({"index": [0] * 65}, "up to 64 places"), ({"seed": -1}, "seed is -1"), ({"source": "web"}, "generated or official"),
        ({"source": "official"}, "no published corrupted images of Fashion-MNIST"), ({"run": "../../etc/passwd"}, "run"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(args: dict, why: str) -> None:
    with pytest.raises(LabError, match=why):
        answers.spoiled(**{"run": RUN, "kind": "fog", "severity": 3, "index": [0], **args})
