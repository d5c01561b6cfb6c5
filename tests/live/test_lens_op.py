"""The lens as the live worker answers it, with the nets that ship: what it says, how long it takes, and what it refuses."""

import base64

import numpy as np
import pytest

from core import answers, data, live, store
from core.errors import LabError, MeasureError
from core.metrics import lens

RUNS = [run.id for run in store.list_runs() if store.is_shipped(run.id)][:4]


@pytest.mark.slow
def test_shipped_nets_answer_all_steps_in_a_moment(home: object) -> None:
    """Through a real worker; the goal for four small nets on a processor is 1.5 s."""
    try:
        live.warm("lens", runs=RUNS)
        told = live.ask("lens", timeout_s=60, runs=RUNS, kind="noise", index=4113, strength=0.2)
        assert live.state("lens", runs=RUNS) == "ready" and live.state("lens", runs=RUNS[:1]) == "cold"
        images = data.load("fashion-full", "test", 32)
        assert base64.b64decode(told["pixels"]) == images.pixels[4113].tobytes()
        assert told["label"] == images.spec.classes[images.labels[4113]]
        took = []
        for kind in lens.KINDS:
            told = live.ask("lens", runs=RUNS, kind=kind, index=7)
            took.append(told["seconds"])
            assert set(told["nets"]) == set(RUNS) and len(told["steps"]) == len(lens.steps(kind, 32))
            for said in told["nets"].values():
                assert len(said["answers"]) == len(told["steps"]) + 1 and all(0 < share <= 1 for share in said["sure"])
        assert min(took) < 1.5
        own = live.ask("lens", runs=RUNS, pixels=base64.b64encode(images.pixels[7].tobytes()).decode(), channels=1)
        test = live.ask("lens", runs=RUNS, index=7)
        assert own["label"] is None
        for run in RUNS:
            assert own["nets"][run]["answers"] == test["nets"][run]["answers"] and own["nets"][run]["right"] is None
            assert own["nets"][run]["sure"] == pytest.approx(test["nets"][run]["sure"], abs=1e-6)
    finally:
        live.close()


def test_the_answers_to_a_whole_image_are_those_of_the_stored_accuracy() -> None:
    """Of 20 test images as they are, about as many are right as the run says: normalised as for testing."""
    right = [answers.lens(RUNS[:1], index=index)["nets"][RUNS[0]]["right"] for index in range(20)]
    assert sum(row[-1] for row in right) >= 16
    assert all(row[-1] == row[-2] for row in right), "the last cut-off is the whole image"
    assert np.mean([row[0] for row in right]) < 0.5, "the mean colour alone is no image"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"runs": []}, "one to 4 runs"), ({"runs": "abc"}, "one to 4 runs"), ({"runs": RUNS[:1] * 2}, "one to 4 runs"),
        ({"runs": ["x"] * 5}, "one to 4 runs"), ({"runs": [7]}, "one to 4 runs"), ({"runs": ["../../etc/passwd"]}, "no run|not a run|run"),
        ({"kind": "blur", "index": 0}, "no kind of lens 'blur'"), ({"kind": 3}, "kind is 3"), ({"index": -1}, "from 0 to 9999"),
        ({"index": 10_000}, "from 0 to 9999"), ({"index": True}, "from 0 to 9999"), ({"index": "0"}, "from 0 to 9999"),
        ({"strength": 0}, "strength is 0"), ({"strength": 1e9}, "strength is"), ({"strength": float("nan")}, "strength is nan"),
        ({"strength": "1"}, "strength is"), ({"pixels": "AAAA"}, "base64 of 1x32x32 bytes"), ({"pixels": "!" * 1366}, "base64 of 1x32x32"),
        ({"pixels": "AAAA", "channels": 2}, "channels is 2"), ({"pixels": 7}, "pixels is 7"), ({"pixels": "ä"}, "base64 of"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(args: dict, why: str) -> None:
    with pytest.raises(LabError, match=why) as caught:
        answers.lens(**{"runs": RUNS[:1], **args})
    assert isinstance(caught.value, MeasureError) or "runs" in args
