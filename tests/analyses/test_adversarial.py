"""Attacks: on a linear net every answer is known; the same on a real one against a walk by hand; words and pictures."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from core import data
from core.analyses import Subject, adversarial
from core.errors import MeasureError
from core.metrics.attack import fgsm, pgd
from core.metrics.interval import share_interval
from core.models import build
from core.run import Run
from core.spec import parse
from core.table import check

SIDE, N = 8, 60


def quiet(*_args, **_settings) -> None:
    """Progress that nobody hears."""


class Linear(torch.nn.Module):
    """Two classes, apart by a plane."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3 * SIDE * SIDE, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


@pytest.fixture
def linear(monkeypatch) -> Subject:
    """A linear net on images of middling grey: no strength of the tests takes a pixel out of its range."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    spec = dataclasses.replace(data.get("fashion"), mean=(0.5,) * 3, std=(0.25,) * 3)
    images = data.Images(
        pixels=rng.integers(100, 150, (N, 1, SIDE, SIDE), dtype=np.uint8), labels=np.arange(N) % 2, spec=spec, split="test", digest=""
    )
    monkeypatch.setattr(Subject, "pictures", lambda self, on: images)
    subject = Subject(Run(arch="c/width=16", data="fashion", recipe={}), "cpu")
    subject.net = Linear().eval()
    return subject


def measure(subject: Subject, **params):
    return adversarial.ANALYSIS.measure(subject, adversarial.Params(**{"images": N, **params}), quiet)


def margins(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """How far each image is on the right side, in logits, and the gradient of that in its own pixels."""
    images = subject.pictures("test")
    weight = subject.net.head.weight.detach().double()
    towards = (weight[0] - weight[1]).view(3, SIDE, SIDE)
    pixels = torch.from_numpy(images.pixels).double() / 255
    bias = subject.net.head.bias.detach().double()
    x = ((pixels.expand(-1, 3, -1, -1) - 0.5) / 0.25 * towards).sum((1, 2, 3)) + bias[0] - bias[1]
    return (x * torch.from_numpy(1 - 2 * images.labels)).numpy(), (towards.sum(0) / 0.25).numpy()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_both_attacks_find_the_known_adversary_of_a_linear_net(linear, norm):
    margin, slope = margins(linear)
    fall = np.abs(slope).sum() if norm == "linf" else np.sqrt((slope**2).sum())
    border = np.sort(margin[margin > 0] / fall)
    # between two images, where rounding cannot matter
    strengths = [(border[k] + border[k + 1]) / 2 for k in (2, 8, 14)]
    text = ",".join(f"{s * (255 if norm == 'linf' else 1):.9f}" for s in strengths)
    found = measure(linear, norms=norm, **{norm: text})
    check(found.table, adversarial.COLUMNS, keys=("attack", "norm", "strength"))
    for attack in ("fgsm", "pgd"):
        rows = adversarial.line(found.table, attack, norm)
        assert rows["strength"].tolist() == pytest.approx([0, *strengths])
        assert rows["lost"].tolist() == [0, 3, 9, 15], attack
        assert rows["accuracy"].tolist() == pytest.approx([np.mean(margin > s * fall) for s in (0, *strengths)])
        row = rows.iloc[2]
        assert row[["ci_low", "ci_high"]].tolist() == list(share_interval(int(N * row["accuracy"] + 0.5), N)[1:])
        low, high = share_interval(9, N)[1:]
        assert row[["change", "change_low", "change_high"]].tolist() == pytest.approx([-15, -100 * high, -100 * low])
    assert found.arrays["predicted"].shape == (8, N) and found.arrays["predicted"].dtype == np.uint8


def test_on_a_real_net_it_is_what_the_attack_finds_and_never_rises_with_the_ball():
    torch.set_num_threads(1)
    subject = Subject(Run(arch="ct/width=16", data="fashion", recipe={}), "cpu")
    subject.net = build(parse("ct/width=16"), 32, 10, seed=0).eval()
    with torch.no_grad():
        x, _ = subject.images("test", 100, 3)
        subject.net.head.weight.mul_(20)
        subject.net.head.bias.sub_(subject.net(x).mean(0))
    found = measure(subject, images=70, seed=5, norms="linf", linf="1,4", steps=3)
    images = data.load("fashion", "test")
    index = data.subset(images.labels, 1.0, 70, 5)
    assert np.array_equal(found.arrays["index"], index) and np.array_equal(found.arrays["label"], images.labels[index])
    pixels, y = torch.from_numpy(images.pixels[index]).float() / 255, torch.from_numpy(images.labels[index])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (images.spec.mean, images.spec.std))

    def misread(x: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return (subject.net((x - mean) / std).argmax(1) != y).numpy()

    clean, about = misread(pixels), {"mean": images.spec.mean, "std": images.spec.std}
    rows = {
        (attack, s): misread(make(subject.net, pixels, y, strength=s / 255, **about, **more))
        for attack, make, more in (("fgsm", fgsm, {}), ("pgd", pgd, {"steps": 3})) for s in (1, 4)
    }  # fmt: skip
    wrong = found.arrays["predicted"] != found.arrays["label"]
    expected = [clean, clean | rows["fgsm", 1], clean | rows["fgsm", 4], clean, clean | rows["pgd", 1],
                clean | rows["pgd", 1] | rows["pgd", 4]]  # fmt: skip
    assert 0 < clean.mean() < 1 and wrong[-1].sum() > clean.sum()
    assert np.array_equal(wrong, np.stack(expected))
    assert (found.table["clean"] == (~clean).mean()).all() and found.notes["steps"] == 3


def test_what_a_smaller_ball_holds_the_larger_holds_too_but_one_step_may_miss(linear, monkeypatch):
    from core.metrics import attack

    def misses(net, images, labels, *, strength, **_settings):
        """Turns every picture over at strength 1 and leaves it as it is above."""
        return 1 - images if strength < 1.5 / 255 else images

    monkeypatch.setattr(attack, "fgsm", misses)
    monkeypatch.setattr(attack, "pgd", misses)
    table = measure(linear, norms="linf", linf="1,2").table
    one, many = (adversarial.line(table, name)["lost"].tolist() for name in ("fgsm", "pgd"))
    assert one[1] > 0 and one == [0, one[1], 0] and many == [0, one[1], one[1]]


def test_a_ring_that_the_net_does_not_look_at_is_no_way_in(linear):
    with torch.no_grad():  # a net that sees the mean alone
        linear.net.head.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 3 * SIDE * SIDE))
        linear.net.head.bias.zero_()
    open_to = {"attacks": "pgd", "norms": "l2", "l2": "2"}
    whole, ring = measure(linear, **open_to), measure(linear, **open_to, ring_low=60, ring_high=90)
    assert whole.table.iloc[-1]["lost"] > 0 and ring.table.iloc[-1]["lost"] == 0
    assert ring.table.iloc[0][["ring_low", "ring_high"]].tolist() == [60, 90]
    assert whole.table.iloc[0][["ring_low", "ring_high"]].tolist() == [0, 100]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"linf": ""}, "strengths in L∞"), ({"linf": "1,x"}, "numbers above 0"), ({"linf": "0,1"}, "numbers above 0"),
     ({"linf": "nan"}, "numbers above 0"), ({"linf": "1e9"}, "numbers above 0"), ({"l2": ",".join("1" * 3) + ",-1"}, "strengths in L2"),
     ({"images": N + 1}, "61 images"), ({"ring_low": 50, "ring_high": 20}, "backwards")],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_words(linear, settings, sentence):
    with pytest.raises(MeasureError, match=sentence):
        measure(linear, **settings)


# ---- words and pictures


@dataclasses.dataclass
class Found:
    table: pd.DataFrame
    arrays: dict


def made(*right: float, n: int = 400, seed: int = 0) -> Found:
    """PGD in L-infinity at 0, 1, 2, ... that leaves these shares right."""
    order = np.random.default_rng(seed).permutation(n)
    predicted = np.stack([(order >= round(share * n)).astype(np.uint8) for share in right])
    rows = [("pgd", "linf", k / 255, 0, 100, *share_interval(round(share * n), n), right[0], 0.0, 0.0, 0.0, 0, n, 0)
            for k, share in enumerate(right)]  # fmt: skip
    table = pd.DataFrame(rows, columns=[column.id for column in adversarial.COLUMNS])
    return Found(table, {"predicted": predicted, "label": np.zeros(n, np.uint8), "index": np.arange(n)})


def test_the_takeaway_stands_where_accuracy_has_halved():
    one = adversarial.takeaway({"A": made(0.9, 0.8, 0.4, 0.1)})
    assert one == "PGD of L∞ size 2/255 leaves A **40.0 %** right (95 % 35.3 to 44.9) of 90.0 %."
    two = adversarial.takeaway({"B": made(0.9, 0.7, 0.3, 0.1), "A": made(0.9, 0.8, 0.5, 0.2)})
    assert two.startswith("**A** is hardest to mislead: PGD of L∞ size 2/255 leaves A 50.0 % and B 30.0 % right, **20.0 points**")
    assert "**not clear**" in adversarial.takeaway({"B": made(0.9, 0.45, seed=1), "A": made(0.9, 0.45)})
    assert adversarial.takeaway({}) == "" == adversarial.takeaway({"A": made(0.9, 0.4)}, norm="l2")
    assert adversarial.takeaway({"A": made(0.9)}) == "", "strength 0 alone is no attack"
    other = made(0.9, 0.2)
    other.arrays["index"] = other.arrays["index"] + 1
    assert adversarial.takeaway({"A": made(0.9, 0.4), "B": other}).endswith("of other images each.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_has_a_line_a_net_from_zero_up(theme):
    found = {"A": made(0.9, 0.8, 0.4).table, "B": made(0.8, 0.7, 0.41).table}
    spec = adversarial.chart_nets(found, theme, families={"A": "conv", "B": "msa"}).to_dict()
    rows = [row for part in spec["datasets"].values() for row in part]
    assert {(row["net"], row["at"]) for row in rows} == {(net, k) for net in "AB" for k in (0, 1, 2)}
    beside = sorted(row["place"] for row in rows if "place" in row)
    assert beside[1] - beside[0] > 5, "names stand apart where lines end together"
    assert spec["layer"][1]["encoding"]["x"]["scale"]["domain"] == [0, 2]
    assert adversarial.chart(found["A"], theme, net="A").to_dict()["layer"]
    with pytest.raises(MeasureError, match="was not measured"):
        adversarial.chart_nets(found, theme, families={}, norm="l2")
