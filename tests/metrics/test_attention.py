"""Oracles for attention: looking everywhere alike and looking at oneself, in closed form."""

import math

import pytest
import torch

from core.errors import MeasureError
from core.metrics.attention import distances, entropy, mean_distance, patches


def test_looking_at_oneself_is_near_and_certain():
    eye = torch.eye(12).expand(2, 3, 12, 12)
    assert torch.equal(mean_distance(eye, distances(3, 4)), torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(entropy(eye), torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize(("height", "width"), [(1, 5), (4, 4), (3, 7)])
def test_looking_everywhere_alike(height, width):
    n = height * width
    alike = torch.full((1, 2, n, n), 1 / n)
    by_hand = sum(
        math.hypot(y1 - y2, x1 - x2) for y1 in range(height) for x1 in range(width) for y2 in range(height) for x2 in range(width)
    ) / n**2  # fmt: skip
    assert mean_distance(alike, distances(height, width)).tolist()[0] == pytest.approx([by_hand] * 2)
    assert entropy(alike).tolist()[0] == pytest.approx([math.log(n)] * 2)
    if height == 1:
        assert by_hand == pytest.approx((n**2 - 1) / (3 * n)), "the closed form of a row"


def test_one_step_to_the_right():
    """On a ring of a row, all but the last look one to the right, the last looks back to the first."""
    step = torch.roll(torch.eye(5), 1, dims=1).reshape(1, 1, 5, 5)
    assert mean_distance(step, distances(1, 5)).item() == pytest.approx((4 * 1 + 4) / 5)


def test_without_cls_the_patches_add_up_to_one_again():
    """A quarter of each patch's look goes to CLS, the rest to itself; CLS looks elsewhere and does not count."""
    weights = torch.zeros(1, 2, 10, 10)
    weights[..., 1:, 0], weights[..., 0, 5] = 0.25, 1.0
    weights[..., 1:, 1:] = 0.75 * torch.eye(9)
    among, to_cls = patches(weights)
    assert torch.allclose(among, torch.eye(9).double().expand(1, 2, 9, 9)) and to_cls.tolist() == [[0.25, 0.25]]
    assert mean_distance(among, distances(3, 3)).tolist() == [[0.0, 0.0]]


def test_what_is_no_attention():
    with pytest.raises(MeasureError, match="add up to one"):
        entropy(torch.ones(1, 1, 4, 4))
    with pytest.raises(MeasureError, match="do not fit"):
        mean_distance(torch.eye(4).reshape(1, 1, 4, 4), distances(3, 3))
    with pytest.raises(MeasureError, match="heads"):
        entropy(torch.eye(4))
