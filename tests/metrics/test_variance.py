"""Oracles for the variance over positions: constants, known noise, the definition by hand."""

import numpy as np
import pytest
import torch

from core.errors import MeasureError
from core.metrics.variance import spatial_variance


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_constant_map_has_none():
    assert torch.equal(spatial_variance(torch.full((2, 3, 8, 8), 7.0)), torch.zeros(2, dtype=torch.float64))


def test_each_channel_has_its_own_mean():
    """Channels that are constant, each at another level, do not vary over the picture."""
    x = torch.arange(5.0).reshape(1, 5, 1, 1).expand(1, 5, 4, 4)
    assert spatial_variance(x).item() == 0.0


def test_equals_numpy_and_is_unbiased():
    x = noise(4, 6, 3, 5) * 2.5 + 1.0
    by_hand = np.var(x.double().numpy().reshape(4, 6, 15), axis=2, ddof=1).mean(1)
    assert np.allclose(spatial_variance(x.double()).numpy(), by_hand, rtol=1e-12)
    assert np.allclose(spatial_variance(x).numpy(), by_hand, rtol=1e-6)
    assert torch.allclose(spatial_variance(x.to(memory_format=torch.channels_last)), spatial_variance(x), rtol=1e-6)
    # small maps of noise of variance 4: without the n - 1 the mean would be 3
    assert spatial_variance(2 * noise(20_000, 1, 2, 2)).mean().item() == pytest.approx(4.0, rel=0.03)


def test_a_large_mean_does_not_drown_it():
    x = noise(2, 4, 8, 8, seed=1)
    assert torch.allclose(spatial_variance((x + 4096).half().float()), spatial_variance((x + 4096).half().float() - 4096), rtol=1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 4)])
def test_what_has_no_positions_is_refused(shape):
    with pytest.raises(MeasureError, match="no variance over positions"):
        spatial_variance(torch.zeros(*shape))
