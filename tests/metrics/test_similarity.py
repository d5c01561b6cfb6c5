"""Oracles for CKA: the estimator written out over all quadruples of images, and what it must not see."""

from itertools import permutations

import pytest
import torch

from core.errors import MeasureError
from core.metrics.similarity import Cka, _hsic, _hsic_own, gram


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cka(x: torch.Tensor, y: torch.Tensor) -> float:
    found = Cka(1, 1)
    found.add([x], [y])
    return found.value().item()


def brute_force(x: torch.Tensor, y: torch.Tensor) -> float:
    """The unbiased HSIC as the mean over all ordered quadruples of different images (its definition as a U-statistic)."""
    k, m = x.double().flatten(1) @ x.double().flatten(1).T, y.double().flatten(1) @ y.double().flatten(1).T
    total, count = 0.0, 0
    for i, j, q, r in permutations(range(len(x)), 4):
        total += float(k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]))
        count += 1
    return total / count


def test_equals_all_quadruples():
    x, y = noise(7, 5) + 3.0, noise(7, 3, 2, seed=1)
    y[:, 0] += x[:, :2]
    grams = torch.stack([gram(x), gram(y)])
    both = _hsic(grams, grams)
    assert both[0, 1].item() == pytest.approx(brute_force(x, y), rel=1e-5)
    assert both[0, 0].item() == pytest.approx(brute_force(x, x), rel=1e-5)
    assert torch.allclose(_hsic_own(grams), both.diagonal(), rtol=1e-10)


def test_the_same_is_one_and_rotation_scale_and_shift_are_not_seen():
    x = noise(64, 20)
    turn = torch.linalg.qr(noise(20, 20, seed=2)).Q
    assert cka(x, x) == pytest.approx(1.0, abs=1e-6)
    assert cka(x, 3.7 * x @ turn + 100.0) == pytest.approx(1.0, abs=1e-4)
    assert cka(x, x @ torch.diag(torch.linspace(0.1, 5.0, 20))) < 0.9, "a stretch is seen"


def test_independent_features_are_near_zero_though_they_are_many():
    """The biased estimator would say 0.8 here: 32 images, 512 features."""
    found = Cka(1, 1)
    for batch in range(40):
        found.add([noise(32, 512, seed=2 * batch)], [noise(32, 512, seed=2 * batch + 1)])
    assert abs(found.value().item()) < 0.05


def test_many_units_at_once_are_the_pairs_one_by_one():
    units = [noise(16, 4, 3, 3), noise(16, 10, seed=1), noise(16, 2, 2, 2, seed=2)]
    units[2] += units[0].mean((1, 2, 3), keepdim=True)
    found, pairs = Cka(3, 3), {}
    found.add(units)
    for i, x in enumerate(units):
        for j, y in enumerate(units):
            pairs[i, j] = cka(x, y)
    assert all(found.value()[i, j].item() == pytest.approx(value, abs=1e-9) for (i, j), value in pairs.items())


def test_batches_are_averaged_before_the_ratio_is_taken():
    batches = [(noise(8, 6, seed=s) * (1 + s), noise(8, 6, seed=s + 9) + noise(8, 6, seed=s)) for s in range(3)]
    found = Cka(1, 1)
    for x, y in batches:
        found.add([x], [y])
    cross, left, right = (sum(brute_force(*pair) for pair in pairs) for pairs in (
        batches, [(x, x) for x, _ in batches], [(y, y) for _, y in batches],
    ))  # fmt: skip
    assert found.value().item() == pytest.approx(cross / (left * right) ** 0.5, rel=1e-4)


def test_what_cannot_be_compared():
    with pytest.raises(MeasureError, match="at least 4"):
        gram(noise(3, 5))
    with pytest.raises(MeasureError, match="same images"):
        Cka(1, 1).add([noise(8, 2)], [noise(9, 2)])
    with pytest.raises(MeasureError, match="No batch"):
        Cka(1, 1).value()
    still = Cka(1, 1)
    still.add([torch.ones(8, 3)], [noise(8, 3)])
    assert still.value().isnan().all(), "a unit that says the same of all images is like nothing"


def test_leaving_a_batch_out_is_what_the_other_batches_give():
    batches = [[noise(8, 6, seed=s), noise(8, 4, seed=s + 20) + noise(8, 6, seed=s)[:, :4]] for s in range(4)]
    found = Cka(2, 2)
    for batch in batches:
        found.add(batch)
    for out in range(4):
        others = Cka(2, 2)
        for place, batch in enumerate(batches):
            if place != out:
                others.add(batch)
        assert torch.allclose(found.without_each()[out], others.value(), atol=1e-12)
    one = Cka(1, 1)
    one.add([noise(8, 2)])
    with pytest.raises(MeasureError, match="two or more"):
        one.without_each()
    with pytest.raises(MeasureError, match="announced"):
        one.add([noise(8, 2), noise(8, 2)])
