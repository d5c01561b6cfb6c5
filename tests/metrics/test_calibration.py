"""Oracles for calibration: plain definitions, corners at confidence 1, a temperature put in by hand, coverage by simulation."""

import math

import numpy as np
import pytest
import torch

from core.errors import MeasureError
from core.metrics import calibration, classify
from core.metrics.interval import share_interval


def soft(n: int = 10_000, classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, classes))
    labels = rng.integers(0, classes, n)
    logits[np.arange(n), labels] += 1.5
    return logits, labels


def calibrated(n: int, temperature: float, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn with the probabilities of logits / temperature: that temperature is the truth."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n, classes))
    p = np.exp(logits / temperature)
    p /= p.sum(1, keepdims=True)
    return logits, (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(0, classes - 1)


@pytest.mark.parametrize("bins", [10, 15])
def test_equals_the_plain_definition_on_10000_soft_predictions(bins):
    logits, labels = soft()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, hit = p.max(1), p.argmax(1) == labels
    error = 0.0
    for i in range(bins):
        inside = (confidence >= i / bins) & ((confidence < (i + 1) / bins) | (i == bins - 1))
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    found = calibration.scores(calibration.answers(logits, labels), bins, resamples=50)
    value = {name: score[0] for name, score in found.items() if score}
    assert value["ece"] == pytest.approx(error, abs=1e-12)
    assert value["nll"] == pytest.approx(-np.log(p[np.arange(len(p)), labels]).mean(), abs=1e-12)
    assert value["brier"] == pytest.approx(np.square(p - np.eye(10)[labels]).sum(1).mean(), abs=1e-12)
    assert value["accuracy"] == hit.mean()
    assert value["gap"] == pytest.approx(confidence.mean() - hit.mean(), abs=1e-12)
    sure = confidence > 0.9
    assert value["acc90"] == hit[sure].mean() and value["freq90"] == sure.mean()
    assert value["unc90"] == (~sure)[~hit].mean()


def test_is_the_same_as_the_running_tally_of_torch():
    logits, labels = soft(2000)
    total = classify.tally(torch.tensor(logits), torch.tensor(labels))
    found = calibration.answers(logits, labels)
    table = calibration.bin_table(found.confidence, found.correct)
    assert np.allclose(table, total.bins.numpy(), atol=1e-9)
    summary = total.summary()
    assert calibration.ece(table) == pytest.approx(summary["ece"], abs=1e-12)
    assert found.nll.mean() == pytest.approx(summary["nll"], abs=1e-12)
    assert found.brier.mean() == pytest.approx(summary["brier"], abs=1e-12)
    assert calibration.ece(total.bins.numpy()) == pytest.approx(summary["ece"], abs=1e-12)  # stored tallies will do


def test_corners_at_confidence_one():
    sure = np.ones(10)
    for right, error, sign in ((np.ones(10), 0.0, 0.0), (np.zeros(10), 1.0, 1.0)):
        table = calibration.bin_table(sure, right)
        assert (calibration.ece(table), calibration.gap(table)) == (error, sign)
        assert table[0].tolist() == [0] * 14 + [10]
        assert calibration.ece_interval(sure, right, resamples=20) == (error, error, error)
    # 1.0 and a lower confidence do not share a bin of their own; the two-image case of a known fault elsewhere
    assert calibration.ece(calibration.bin_table(np.array([1.0, 0.95]), np.array([1, 0]), 10)) == pytest.approx(0.475)


def test_the_lower_edge_belongs_to_a_bin():
    for bins in (10, 15, 20):
        table = calibration.bin_table(np.arange(bins) / bins, np.zeros(bins), bins)
        assert table[0].tolist() == [1] * bins


def test_the_gap_has_a_sign():
    timid, bold = (calibration.bin_table(np.full(10, c), np.arange(10) < 7) for c in (0.5, 0.9))
    assert calibration.gap(timid) == pytest.approx(-0.2)
    assert calibration.gap(bold) == pytest.approx(0.2)
    # over- and under-confidence that cancel leave no gap but an error
    mixed = calibration.bin_table(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 0, 1, 1]))
    assert calibration.gap(mixed) == pytest.approx(0.0)
    assert calibration.ece(mixed) == pytest.approx(0.4)


def test_shares_above_and_below_nine_tenths():
    found = calibration.Answers(
        confidence=np.array([0.95, 0.99, 0.9, 0.3, 0.91]), correct=np.array([1, 0, 1, 0, 1], bool), nll=np.ones(5), brier=np.ones(5)
    )
    scores = calibration.scores(found, resamples=10)
    assert scores["acc90"] == share_interval(2, 3)  # 0.9 itself is not above 0.9
    assert scores["freq90"] == share_interval(3, 5)
    assert scores["unc90"] == share_interval(1, 2)


def test_what_has_no_image_has_no_number():
    unsure = calibration.Answers(confidence=np.full(4, 0.5), correct=np.ones(4, bool), nll=np.ones(4), brier=np.ones(4))
    scores = calibration.scores(unsure, resamples=10)
    assert scores["acc90"] is None and scores["unc90"] is None
    assert scores["freq90"] is not None and scores["freq90"][0] == 0
    bars = calibration.diagram(calibration.bin_table(unsure.confidence, unsure.correct, 10))
    assert [bar.images for bar in bars] == [0] * 5 + [4] + [0] * 4
    assert bars[0].accuracy is None and bars[0].confidence is None
    assert (bars[5].low, bars[5].high, bars[5].confidence, bars[5].accuracy) == (0.5, 0.6, 0.5, share_interval(4, 4))


def test_a_reliability_diagram_adds_up_to_its_error():
    found = calibration.answers(*soft(3000))
    table = calibration.bin_table(found.confidence, found.correct)
    bars = [bar for bar in calibration.diagram(table) if bar.accuracy and bar.confidence is not None]
    assert sum(bar.images for bar in bars) == 3000
    assert all(bar.low <= bar.confidence < bar.high and bar.accuracy[1] <= bar.accuracy[0] <= bar.accuracy[2] for bar in bars)
    error = sum(bar.images / 3000 * abs(bar.accuracy[0] - bar.confidence) for bar in bars)
    assert error == pytest.approx(calibration.ece(table), abs=1e-12)


def test_the_interval_of_an_error_is_seeded_and_holds_its_estimate():
    found = calibration.answers(*soft(2000))
    value, low, high = calibration.ece_interval(found.confidence, found.correct, seed=3, resamples=200)
    assert low <= value <= high and low > 0
    assert (value, low, high) == calibration.ece_interval(found.confidence, found.correct, seed=3, resamples=200)
    assert (value, low, high) != calibration.ece_interval(found.confidence, found.correct, seed=4, resamples=200)


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_the_interval_of_an_error_holds_the_truth_most_of_the_time(shift):
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.beta(5, 1.2, n) * 0.9 + 0.1
        return confidence, rng.random(n) < np.clip(confidence - shift, 0, 1)

    truth = calibration.ece(calibration.bin_table(*draw(1_000_000))) if shift else 0.0
    held = 0
    for seed in range(60):
        _, low, high = calibration.ece_interval(*draw(600), seed=seed, resamples=100)
        held += low <= truth <= high
    assert held >= 47  # 95 % of 60 is 57; plain percentiles hold the truth 0 times for shift 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(temperature):
    logits, labels = calibrated(20_000, temperature)
    fitted = calibration.fit_temperature(logits, labels)
    assert fitted == pytest.approx(temperature, rel=0.03)

    def cost(t: float) -> float:
        return float(calibration.answers(logits, labels, t).nll.mean())

    assert cost(fitted) <= min(cost(fitted * 1.001), cost(fitted / 1.001), cost(1.0))


def test_a_temperature_without_end_is_the_end():
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert calibration.fit_temperature(logits, np.array([0, 1])) == pytest.approx(calibration.COLDEST)  # all right: ever colder
    assert calibration.fit_temperature(logits, np.array([1, 0])) == pytest.approx(calibration.HOTTEST)  # all wrong: ever hotter


def test_scaling_is_judged_on_images_it_did_not_see():
    logits, labels = calibrated(8000, 3.0)
    found = calibration.scale(logits, labels, seed=1)
    assert found.temperature == pytest.approx(3.0, rel=0.05) and found.images == 4000
    before, after = ({name: score[0] for name, score in side.items() if score} for side in (found.before, found.after))
    assert after["accuracy"] == before["accuracy"]  # the order of classes does not change
    assert after["nll"] < before["nll"] and after["ece"] < 0.3 * before["ece"]
    assert before["gap"] > 0.1 > abs(after["gap"])
    order = np.random.default_rng(1).permutation(8000)
    fit, judge = order[:4000], order[4000:]
    assert found.temperature == calibration.fit_temperature(logits[fit], labels[fit])
    assert after["nll"] == pytest.approx(calibration.answers(logits[judge], labels[judge], found.temperature).nll.mean())
    # labels of the judged half have no say in the temperature
    twisted = labels.copy()
    twisted[judge] = (twisted[judge] + 1) % 5
    assert calibration.scale(logits, twisted, seed=1).temperature == found.temperature


def test_large_logits_do_not_overflow():
    found = calibration.answers(np.array([[2000.0, 0.0], [0.0, 2000.0]]), np.array([0, 0]))
    assert found.nll.tolist() == [0.0, 2000.0]
    assert found.confidence.tolist() == [1.0, 1.0]
    assert math.isfinite(calibration.fit_temperature(np.array([[2000.0, 0.0], [0.0, 2000.0]]), np.array([0, 0])))


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda: calibration.answers(np.zeros((0, 3)), np.zeros(0, int)), "an image or more"),
        (lambda: calibration.answers(np.zeros((2, 3)), np.array([0, 3])), "3 classes"),
        (lambda: calibration.answers(np.full((2, 3), np.inf), np.array([0, 1])), "finite"),
        (lambda: calibration.answers(np.zeros((2, 3)), np.array([0, 1]), 0.0), "above 0"),
        (lambda: calibration.bin_table(np.array([]), np.array([])), "one image"),
        (lambda: calibration.bin_table(np.array([1.2]), np.array([1])), "between 0 and 1"),
        (lambda: calibration.bin_table(np.array([np.nan]), np.array([1])), "between 0 and 1"),
        (lambda: calibration.scale(np.zeros((1, 3)), np.array([0])), "two images"),
    ],
)
def test_no_number_from_nonsense(ask, word):
    with pytest.raises(MeasureError, match=word):
        ask()
