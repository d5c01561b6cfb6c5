"""Oracles for classification numbers: hand-solved cases and slow loops over images."""

import math

import numpy as np
import pytest
import torch

from core.errors import MeasureError
from core.metrics import classify


def batch(n: int = 200, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, classes, generator=make), torch.randint(classes, (n,), generator=make)


def slow(logits: torch.Tensor, labels: torch.Tensor, bins: int) -> dict[str, float]:
    """One image at a time, plain Python floats."""
    right, loss, square, table = 0, 0.0, 0.0, [[0, 0.0, 0] for _ in range(bins)]
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        peak = max(row)
        weights = [math.exp(v - peak) for v in row]
        p = [w / sum(weights) for w in weights]
        best = max(range(len(p)), key=p.__getitem__)
        right += best == label
        loss -= math.log(p[label])
        square += sum((q - (i == label)) ** 2 for i, q in enumerate(p))
        entry = table[next(b for b in range(bins) if p[best] < (b + 1) / bins or b == bins - 1)]
        entry[0], entry[1], entry[2] = entry[0] + 1, entry[1] + p[best], entry[2] + (best == label)
    n = len(labels)
    ece = sum(count / n * abs(sure / count - hits / count) for count, sure, hits in table if count)
    return {"accuracy": right / n, "nll": loss / n, "ece": ece, "brier": square / n, "images": n}


@pytest.mark.parametrize("bins", [10, 15])
def test_equals_a_slow_loop(bins):
    logits, labels = batch()
    assert classify.tally(logits, labels, bins).summary() == pytest.approx(slow(logits, labels, bins), abs=1e-9)


def test_batches_of_unequal_size_change_nothing():
    logits, labels = batch(103)
    whole = classify.tally(logits, labels)
    parts = [classify.tally(a, b) for a, b in zip(logits.split(10), labels.split(10), strict=True)]
    together = parts[0]
    for part in parts[1:]:
        together = together + part
    assert together.summary() == pytest.approx(whole.summary(), abs=1e-12)


def test_uniform_answers_cost_the_log_of_the_class_count():
    summary = classify.tally(torch.zeros(40, 10), torch.arange(40) % 10).summary()
    assert summary["nll"] == pytest.approx(math.log(10))
    assert summary["brier"] == pytest.approx(0.9)
    assert summary["accuracy"] == pytest.approx(0.1)  # the first class wins every tie
    assert summary["ece"] == pytest.approx(0, abs=1e-12)


def test_full_confidence_and_all_correct_is_perfectly_calibrated():
    # at a logit gap of 60 the highest probability is exactly 1.0; a bin that leaves 1.0 out would call this ECE 1
    logits = torch.zeros(1000, 4)
    logits[:, 2] = 60
    assert classify.confidence(logits).max() == 1.0
    assert classify.tally(logits, torch.full((1000,), 2)).summary()["ece"] == 0


def test_full_confidence_and_all_wrong_is_ece_one():
    logits = torch.zeros(50, 4)
    logits[:, 2] = 60
    summary = classify.tally(logits, torch.zeros(50, dtype=torch.int64)).summary()
    assert summary["ece"] == pytest.approx(1)
    assert summary["nll"] == pytest.approx(60)  # log-softmax; the log of a float32 softmax would be infinite near here
    assert summary["brier"] == pytest.approx(2)


def test_a_confidence_on_an_edge_belongs_to_the_upper_bin():
    logits = torch.tensor([[0.0, 0.0]])  # confidence exactly 0.5
    bins = classify.tally(logits, torch.tensor([0]), bins=10).bins[0]
    assert bins.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_half_precision_outputs_are_read_in_double():
    logits, labels = batch()
    rounded = logits.bfloat16()
    assert classify.tally(rounded, labels).summary() == pytest.approx(slow(rounded.float(), labels, 15), abs=1e-9)


@pytest.mark.parametrize(
    ("logits", "labels", "word"),
    [
        (torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64), "at least one"),
        (torch.zeros(3, 10), torch.zeros(2, dtype=torch.int64), "belong together"),
        (torch.zeros(2, 10), torch.tensor([0, 10]), "10 classes"),
        (torch.zeros(2, 10), torch.tensor([-1, 3]), "-1"),
        (torch.tensor([[0.0, float("nan")]]), torch.tensor([0]), "finite"),
    ],
)
def test_no_number_from_nonsense(logits, labels, word):
    with pytest.raises(MeasureError, match=word):
        classify.tally(logits, labels)


def test_tallies_of_unlike_bins_do_not_add_up():
    logits, labels = batch(4)
    with pytest.raises(MeasureError, match="bins"):
        classify.tally(logits, labels, 10) + classify.tally(logits, labels, 15)


def test_per_image_values_are_per_image():
    logits, labels = batch(9)
    for metric in (classify.nll, classify.brier, classify.correct):
        whole = metric(logits, labels)
        assert whole.shape == (9,)
        assert torch.equal(whole[4:5], metric(logits[4:5], labels[4:5]))
    assert np.allclose(classify.nll(logits, labels), torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none"))
