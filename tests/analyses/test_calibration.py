"""Calibration of a net against plain definitions, nets whose confidence is known, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
import torch

from core import glossary
from core.analyses import Subject, calibration
from core.data import load
from core.data.augment import normalise
from core.data.corruptions.generate import corrupt
from core.errors import MeasureError
from core.metrics import calibration as metric
from core.metrics.interval import share_interval
from core.table import check
from tests.analyses.test_lesion import given

NAMES = ["accuracy", "nll", "brier", "ece", "gap", "acc90", "freq90", "unc90"]


def measure(subject: Subject, **params):
    return calibration.measure(subject, calibration.Params(**{"images": 120, **params}), lambda *_a, **_k: None)


class Sure(torch.nn.Module):
    """Always says the same of ten classes, with probability `p`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.logits = torch.full((10,), float(np.log((1 - p) / 9)))
        self.logits[3] = float(np.log(p))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), 10)


def test_every_number_equals_its_plain_definition():
    subject = given()
    subject.net.head.weight.data *= 2  # surer, so that confidences above 90 % are there
    found = measure(subject, bins=10)
    table, arrays = found.table, found.arrays
    check(table, calibration.COLUMNS, keys=("condition", "scaled", "kind", "measure", "low"))
    x, y = subject.images("test", 120, 0)
    with torch.inference_mode():
        logits = subject.net(x).double().numpy()
    y = y.numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, hit = p.max(1), p.argmax(1) == y
    assert np.array_equal(arrays["predicted"][0], p.argmax(1)) and np.allclose(arrays["confidence"][0], confidence, atol=1e-5)
    one, bins = calibration.measures(table), calibration.part(table).query("kind == 'bin'")
    assert list(one.index) == NAMES == list(calibration.TITLES) and set(NAMES) <= set(glossary.TERMS)
    sure = confidence > 0.9
    assert 0 < sure.sum() < 120 and 0 < hit.sum() < 120
    plain = {"accuracy": hit.mean(), "nll": -np.log(p[np.arange(120), y]).mean(),
             "brier": np.square(p - np.eye(10)[y]).sum(1).mean(), "gap": confidence.mean() - hit.mean(), "acc90": hit[sure].mean(),
             "freq90": sure.mean(), "unc90": (~sure)[~hit].mean()}  # fmt: skip
    error = 0.0
    for i, row in enumerate(bins.itertuples()):
        inside = (confidence >= i / 10) & ((confidence < (i + 1) / 10) | (i == 9))
        assert (row.low, row.high, row.n) == (i / 10, (i + 1) / 10, inside.sum())
        if inside.any():
            assert row.confidence == pytest.approx(confidence[inside].mean(), abs=1e-5) and row.value == hit[inside].mean()
            assert (row.ci_low, row.ci_high) == share_interval(int(hit[inside].sum()), int(inside.sum()))[1:]
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
        else:
            assert np.isnan([row.confidence, row.value, row.ci_low, row.ci_high]).all()
    for name, value in (plain | {"ece": error}).items():
        assert one.loc[name, "value"] == pytest.approx(value, abs=1e-5), name
        assert one.loc[name, "ci_low"] <= one.loc[name, "value"] <= one.loc[name, "ci_high"]
    assert one["n"].to_dict() == {name: {"acc90": sure.sum(), "unc90": (~hit).sum()}.get(name, 120) for name in NAMES}
    assert bins["n"].sum() == 120


@pytest.mark.parametrize("p", [0.3, 0.95])
def test_a_net_that_always_says_the_same_has_known_numbers(p):
    subject = given("c/width=16")
    subject.net = Sure(p).eval()
    one = calibration.measures(measure(subject).table)["value"]
    assert one["accuracy"] == 0.1 and one["gap"] == pytest.approx(p - 0.1, abs=1e-6) and one["ece"] == pytest.approx(p - 0.1, abs=1e-6)
    rest = (1 - p) / 9
    assert one["nll"] == pytest.approx(-0.1 * np.log(p) - 0.9 * np.log(rest), abs=1e-5)
    right, wrong = (1 - p) ** 2 + 9 * rest**2, p**2 + (1 - rest) ** 2 + 8 * rest**2
    assert one["brier"] == pytest.approx(0.1 * right + 0.9 * wrong, abs=1e-5)
    assert one["freq90"] == (p > 0.9) and one["unc90"] == (p <= 0.9)
    assert one["acc90"] == 0.1 if p > 0.9 else np.isnan(one["acc90"]), "no sure answer, no share of them"


def test_corrupted_images_are_those_of_the_generator_and_stand_beside_the_clean_ones():
    subject = given("c/width=16")
    found = measure(subject, corruption="contrast", severity=4, seed=2)
    assert found.notes["conditions"] == ["clean", "contrast"] and found.arrays["predicted"].shape == (2, 120)
    images, index = load("fashion", "test"), found.arrays["index"]
    pixels = corrupt(torch.from_numpy(images.pixels[index]), "contrast", 4, seed=2, indices=index)
    with torch.inference_mode():
        logits = subject.net(normalise(pixels, subject.spec)).numpy()
    answers = metric.answers(logits, images.labels[index])
    rows = calibration.part(found.table, "contrast")
    assert set(rows["severity"]) == {4} and not rows["scaled"].any()
    spoiled, clean = calibration.measures(found.table, "contrast")["value"], calibration.measures(found.table)["value"]
    assert spoiled["nll"] == pytest.approx(answers.nll.mean(), rel=1e-5) and spoiled["accuracy"] == answers.correct.mean()
    assert clean["nll"] != pytest.approx(spoiled["nll"], rel=1e-3)
    pd.testing.assert_frame_equal(calibration.part(found.table), calibration.part(measure(subject, seed=2).table))


def test_a_temperature_is_fitted_to_clean_images_and_judged_on_others():
    subject = given()
    found = measure(subject, temperature=True, corruption="contrast", images=121, seed=1)
    x, y = subject.images("test", 121, 1)
    with torch.inference_mode():
        logits = torch.cat([subject.net(part) for part in x.tensor_split(2)]).numpy()
    truth = metric.scale(logits, y.numpy(), seed=1)
    assert found.notes["temperature"] == pytest.approx(truth.temperature, rel=1e-4) and truth.temperature != pytest.approx(1, abs=0.05)
    assert (found.notes["fitted"], found.notes["images"]) == (61, 60)
    for scaled, scores in ((False, truth.before), (True, truth.after)):
        one = calibration.measures(found.table, scaled=scaled)
        for name, score in scores.items():
            wanted = (np.nan,) * 3 if score is None else score
            near = 0.02 if name == "ece" else 1e-4  # its interval comes from resampling images, which stand in another order here
            assert np.allclose(one.loc[name, ["value", "ci_low", "ci_high"]].astype(float), wanted, atol=near, equal_nan=True), name
            assert score is None or one.loc[name, "value"] == pytest.approx(score[0], abs=1e-4)
    one, two = (calibration.part(found.table, "contrast", scaled) for scaled in (False, True))
    assert set(two["temperature"]) == {found.notes["temperature"]} and set(one["temperature"]) == {1.0}, "the one of clean images"
    assert found.arrays["confidence"].shape == (4, 60) and found.arrays["predicted"].shape == (2, 60)
    accuracy = [calibration.measures(found.table, "contrast", scaled).loc["accuracy", "value"] for scaled in (False, True)]
    assert accuracy[0] == accuracy[1], "no answer changes"


@pytest.mark.parametrize(
    ("settings", "sentence"), [({"images": 20_000}, "20000 images"), ({"images": 1, "temperature": True}, "two images or more")]
)
def test_what_cannot_be_measured_is_refused_in_words(settings, sentence):
    with pytest.raises(MeasureError, match=sentence):
        measure(given("c/width=16"), **settings)


# ---- words and pictures


def made(sure: float, right: int, n: int = 400, condition: str = "clean") -> pd.DataFrame:
    """A net that is always as sure as this and right this often."""
    logits = np.zeros((n, 2))
    logits[:, 0] = np.log(sure / (1 - sure))
    found = metric.answers(logits, (np.arange(n) >= right).astype(int))
    about = (condition, 3 * (condition != "clean"), False, 1.0)
    rows = [(*about, *row, n, 0) for row in calibration._rows(found, calibration.Params())]
    return pd.DataFrame(rows, columns=[column.id for column in calibration.COLUMNS])


def test_the_takeaway_says_who_is_too_sure():
    under, over, fine = made(0.7, 320), made(0.95, 320), made(0.8, 321)
    one = calibration.takeaway({"A": under})
    assert one.startswith("**A is less sure than it may be**: 70.0 % sure on average, 80.0 % right (gap −10.0 points, −1")
    assert "**A is too sure**" in calibration.takeaway({"A": over})
    assert "as sure as it may be on average" in calibration.takeaway({"A": fine})
    two = calibration.takeaway({"A": under, "B": over, "C": fine})
    assert "A (−10.0) is **less sure than it may be**" in two and "B (+15.0) is **too sure**" in two and "least for C" in two
    both = calibration.takeaway({"A": under, "B": under})
    assert "are **less sure than they may be**" in both and "Calibration error 10.0 %, not clearly different." in both
    assert "not been" not in both and "No net" in calibration.takeaway({}) == calibration.takeaway({"A": under}, "fog")
    assert calibration.takeaway({"A": made(0.9, 100, condition="fog")}, "fog").startswith("Under fog of severity 3, **A is too sure**")


def test_the_takeaway_names_the_temperature():
    table = made(0.7, 320).assign(scaled=True, temperature=0.71)
    assert calibration.takeaway({"A": table}, scaled=True).startswith("With temperature 0.71, **A is")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_diagram_holds_every_bin_that_has_images(theme):
    table = measure(given("c/width=16")).table
    bins = calibration.reliability(table)
    assert 1 < len(bins) < 15
    spec = calibration.chart_nets({"A": table, "B": table}, theme, families={"A": "conv", "B": "msa"}).to_dict()
    rows = pd.DataFrame([row for rows in spec["datasets"].values() for row in rows])
    drawn = rows[rows["ci_low"].notna()].drop_duplicates(["net", "low"])
    assert len(drawn) == 2 * len(bins) and drawn["n"].sum() == 240
    assert calibration.chart(table, theme, net="A", family="hybrid").to_dict()["layer"]
    with pytest.raises(MeasureError, match="nothing to draw"):
        calibration.chart_nets({"A": table}, theme, families={}, condition="fog")
