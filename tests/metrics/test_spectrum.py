"""Oracles for the spectrum: closed forms, a brute-force fft2, and maps whose answer is known by construction."""

import math

import numpy as np
import pytest
import torch

from core.errors import MeasureError
from core.metrics import spectrum


def brute_force(maps: torch.Tensor) -> torch.Tensor:
    """The definition, written out with a whole 2-D transform and a shift to the centre."""
    side = maps.shape[-1]
    logs = torch.log(torch.fft.fft2(maps.double()).abs() + spectrum.FLOOR).mean(1)
    centred = torch.roll(logs, (side // 2, side // 2), dims=(1, 2))
    return torch.stack([centred[:, side // 2 + k, side // 2 + k] for k in range(math.ceil(side / 2))], dim=1)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [1, 2, 4, 5, 7, 8, 14, 16, 32])
def test_equals_the_whole_transform(side):
    maps = noise(3, 6, side, side) + 0.7
    assert torch.allclose(spectrum.log_amplitude(maps).double(), brute_force(maps), atol=2e-5)


def test_float64_maps_keep_their_precision():
    maps = noise(2, 3, 8, 8).double()
    assert torch.allclose(spectrum.log_amplitude(maps), brute_force(maps).float(), atol=2e-7)


@pytest.mark.parametrize(("side", "expected"), [(4, [0, 0.5]), (5, [0, 0.4, 0.8]), (7, [0, 2 / 7, 4 / 7, 6 / 7]), (1, [0])])
def test_frequencies_are_the_true_ones(side, expected):
    assert spectrum.frequencies(side) == pytest.approx(expected)


@pytest.mark.parametrize("side", [8, 14, 16])
def test_the_highest_sample_of_an_even_side_is_below_the_limit(side):
    assert spectrum.frequencies(side)[-1] == pytest.approx((side - 2) / side)
    assert len(spectrum.frequencies(side)) == spectrum.log_amplitude(torch.ones(1, 1, side, side)).shape[1]


@pytest.mark.parametrize("side", [8, 9, 16])
def test_a_cosine_hits_its_bin_and_no_other(side):
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    for k in range(1, math.ceil(side / 2)):
        frequency = spectrum.frequencies(side)[k]
        wave = torch.cos(math.pi * frequency * (y + x)).float()[None, None]
        amplitudes = spectrum.log_amplitude(wave)[0].exp()
        assert amplitudes[k] == pytest.approx(side * side / 2, rel=1e-4)  # half of the energy at +k, half at -k
        others = torch.cat([amplitudes[:k], amplitudes[k + 1 :]])
        assert others.max() < 1e-3


def test_a_constant_map_has_all_of_it_at_zero_frequency():
    logs = spectrum.log_amplitude(torch.full((1, 2, 8, 8), 3.0))[0]
    assert logs[0] == pytest.approx(math.log(3 * 64), abs=1e-5)
    assert (logs[1:] < -8).all()


def test_white_noise_is_flat_but_for_the_real_zero_frequency():
    # DC of real noise is real (chi-square with 1 degree), the others complex (2 degrees): E ln differs by ln(2) / 2.
    delta = spectrum.delta_log_amplitude(noise(400, 64, 8, 8)).mean(0)
    assert delta[0] == 0
    assert torch.allclose(delta[1:], torch.full((3,), math.log(2) / 2), atol=0.02)


def test_a_box_blur_of_noise_follows_its_transfer_function():
    side = 16
    maps = noise(300, 48, side, side, seed=1)
    blurred = sum(torch.roll(maps, (dy, dx), dims=(2, 3)) for dy in (0, 1) for dx in (0, 1)) / 4
    delta = spectrum.delta_log_amplitude(blurred).mean(0)
    # one axis of a 2-tap mean passes |cos(w / 2)|; the diagonal meets both axes
    transfer = [2 * math.log(math.cos(math.pi * f / 2)) for f in spectrum.frequencies(side)]
    expected = torch.tensor([0.0] + [t + math.log(2) / 2 for t in transfer[1:]])
    assert torch.allclose(delta, expected, atol=0.03)


def test_it_is_the_mean_of_the_log_over_channels_not_the_log_of_the_mean():
    quiet, loud = noise(1, 1, 8, 8), 100 * noise(1, 1, 8, 8, seed=2)
    both = spectrum.log_amplitude(torch.cat([quiet, loud], dim=1))
    apart = (spectrum.log_amplitude(quiet) + spectrum.log_amplitude(loud)) / 2
    assert torch.allclose(both, apart, atol=1e-5)


def test_images_do_not_meet():
    maps = noise(7, 4, 8, 8)
    whole = spectrum.delta_log_amplitude(maps)
    parts = torch.cat([spectrum.delta_log_amplitude(part) for part in maps.split(3)])
    assert torch.allclose(whole, parts, atol=1e-5)


def test_autocast_and_half_maps_are_measured_in_float32():
    maps = noise(2, 4, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = spectrum.log_amplitude(maps)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, spectrum.log_amplitude(maps))
    rounded = maps.bfloat16()
    assert torch.equal(spectrum.log_amplitude(rounded), spectrum.log_amplitude(rounded.float()))


@pytest.mark.gpu
def test_the_gpu_gives_the_same_numbers_even_where_tf32_is_on():
    maps = noise(4, 8, 16, 16)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        there = spectrum.log_amplitude(maps.cuda()).cpu()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert torch.allclose(there, spectrum.log_amplitude(maps), atol=1e-4)


@pytest.mark.parametrize(
    ("maps", "word"),
    [
        (torch.zeros(0, 3, 8, 8), "empty"),
        (torch.zeros(2, 8, 8), "batch, channel"),
        (torch.zeros(1, 1, 8, 6), "square"),
        (torch.full((1, 1, 8, 8), float("nan")), "finite"),
        (torch.full((1, 1, 8, 8), float("inf")), "finite"),
    ],
)
def test_what_cannot_be_measured_is_said_in_words(maps, word):
    with pytest.raises(MeasureError, match=word):
        spectrum.log_amplitude(maps)


def test_waves_stay_exact_at_large_sides():
    # the angle is reduced in whole numbers; a float32 phase of 2 pi k (y + x) / h would be off by 1e-5 here
    side = 128
    waves = spectrum._diagonal_waves(side, torch.device("cpu"), torch.float64).numpy()
    n = np.arange(side)
    k = side // 2 - 1
    row = (n[:, None] + n[None, :]).reshape(-1)
    assert np.abs(waves[k] - np.cos(2 * np.pi * k * row / side)).max() < 1e-9
