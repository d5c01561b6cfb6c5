"""Oracles for rings of frequencies: numpy's own transform and frequencies in exact fractions, the paper's table, nets that cannot see."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from core.errors import MeasureError
from core.metrics import bands, noise

RINGS = [bands.ring(centre) for centre in bands.CENTRES]
RESNET = [-5.01, -8.84, -12.72, -10.74, -10.29, -10.10, -9.67, -13.59, -15.38]
VIT = [-5.50, -12.07, -14.93, -13.43, -11.56, -9.77, -6.29, -4.32, -4.84]


def turns(side: int) -> np.ndarray:
    """Whole turns of each index of numpy's transform, as numpy says."""
    return np.rint(np.abs(np.fft.fftfreq(side)) * side).astype(int)


def mask(side: int, low: int, high: int) -> np.ndarray:
    """The ring in exact fractions of π, (side, side) bool; the limit itself belongs to what ends there."""
    inside = np.zeros((side, side), bool)
    for y, a in enumerate(turns(side)):
        for x, b in enumerate(turns(side)):
            f = Fraction(2 * int(max(a, b)), side)
            inside[y, x] = Fraction(low, 100) <= f and (f < Fraction(high, 100) or (high == 100 and low < 100))
    return inside


def filtered(pixels: np.ndarray, low: int, high: int) -> np.ndarray:
    found = np.fft.ifft2(np.fft.fft2(pixels) * mask(pixels.shape[-1], low, high))
    assert np.abs(found.imag).max() < 1e-12  # the mask is symmetric: nothing imaginary is thrown away
    return found.real


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize("side", [8, 9, 15, 16, 28, 32, 33, 40, 64])
def test_a_ring_is_the_exact_mask_on_numpys_transform(side):
    pixels = pictures(2, side, side)
    for low, high in [*RINGS, (0, 35), (35, 100), (0, 100), (0, 0), (100, 100), (40, 41)]:
        expected = filtered(pixels, low, high)
        assert np.allclose(bands.keep(pixels, low, high), expected, atol=1e-12), (low, high)
        assert torch.allclose(noise.keep(torch.tensor(pixels), low, high), torch.tensor(expected), atol=1e-12)
        assert np.allclose(noise.keep(torch.tensor(pixels, dtype=torch.float32), low, high).numpy(), expected, atol=1e-5)
        assert bands.share(side, low, high) == pytest.approx(mask(side, low, high).mean())


def test_the_definition_written_for_other_languages_gives_the_same():
    side, low, high = 12, 30, 70

    def box(radius: int) -> np.ndarray:
        found = np.zeros((side, side))
        for i in range(side):
            for j in range(side):
                total = 1.0 if radius else 0.0
                for m in range(1, radius):
                    total += (1 if 2 * m == side else 2) * math.cos(2 * math.pi * m * (i - j) / side)
                found[i, j] = total / side
        return found

    pixels = pictures(side, side)
    start, end = (side // 2 + 1 if edge == 100 else (edge * side + 199) // 200 for edge in (low, high))
    assert (start, end) == (2, 5)  # 200 r >= 30 * 12 from r = 2 on, 200 r < 70 * 12 up to r = 4
    expected = box(end) @ pixels @ box(end) - box(start) @ pixels @ box(start)
    assert np.allclose(bands.keep(pixels, low, high), expected, atol=1e-12)
    assert np.allclose(box(side // 2 + 1), np.eye(side), atol=1e-12)


def test_edges_are_half_open_where_floats_would_err():
    # 0.35π of 40 pixels is exactly radius 7; the float 0.35 * 40 / 2 is above 7
    assert bands.radii(40, 25, 35) == (5, 7)
    assert bands.radii(40, 35, 45) == (7, 9)
    for side in range(8, 140):
        spans = [bands.radii(side, *ring) for ring in RINGS]
        assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]  # side by side, no gap, no overlap
        for (low, high), (start, end) in zip(RINGS, spans, strict=True):
            held = [r for r in range(side // 2 + 1) if Fraction(low, 100) <= Fraction(2 * r, side) < Fraction(high, 100)]
            assert list(range(start, end)) == held


def test_low_and_high_pass_add_up_at_every_edge_and_cuts_names_the_edges_that_matter():
    pixels = pictures(32, 32)
    kept = [bands.keep(pixels, 0, edge) for edge in range(101)]
    for edge in range(101):
        assert np.allclose(kept[edge] + bands.keep(pixels, edge, 100), pixels, atol=1e-12)
    changes = [edge for edge in range(1, 101) if not np.array_equal(kept[edge], kept[edge - 1])]
    assert list(bands.cuts(32)) == [0, *changes]
    assert len(bands.cuts(32)) == 18
    assert not kept[0].any()
    assert np.allclose(kept[1], pixels.mean())


def test_a_wave_passes_its_own_ring_only():
    side = 32
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    wave = np.cos(2 * np.pi * (3 * y + 8 * x) / side)  # radius 8: exactly 0.5π
    for low, high in RINGS:
        found = bands.keep(wave, low, high)
        assert np.allclose(found, wave if (low, high) == (45, 55) else 0, atol=1e-12)


@pytest.mark.parametrize("side", [28, 32, 33])
def test_noise_keeps_to_its_ring_with_equal_energy_in_all(side):
    spectrum = noise.white(range(5), side)
    for ring in RINGS:
        found = noise.limited(spectrum, ring, strength=0.1).double().numpy()
        assert np.sqrt(np.square(found).mean((1, 2, 3))) == pytest.approx([0.1] * 5, rel=1e-6)
        energy = np.abs(np.fft.fft2(found)) ** 2
        assert energy[..., ~mask(side, *ring)].sum() < 1e-6 * energy.sum()


def test_reference_energy_is_that_of_masked_signs():
    side, strength = 32, 0.7
    drawn = bands.signs(0, range(400), (3, side, side)).astype(float)
    assert set(np.unique(drawn)) == {-1, 1}
    spectrum = noise.white(range(400), side)
    for ring in RINGS:
        found = noise.limited(spectrum, ring, strength=strength, energy="reference").numpy()
        assert np.allclose(found[:3], strength * filtered(drawn[:3], *ring), atol=1e-5)
        expected = strength * math.sqrt(mask(side, *ring).mean())
        assert np.sqrt(np.square(found).mean()) == pytest.approx(expected, rel=0.02)
    # the paper's code on 224 pixels: 0.135 at 0.1π and 0.410 at 0.9π, its edges cut to even numbers of pixels
    assert math.sqrt(bands.share(224, 5, 15)) == pytest.approx(0.135, abs=0.01)
    assert math.sqrt(bands.share(224, 85, 95)) == pytest.approx(0.410, abs=0.02)


def test_noise_depends_on_seed_and_image_alone():
    ring = (35, 45)
    whole = noise.limited(noise.white(range(100, 120), 32, seed=4), ring, strength=0.2)
    part = noise.limited(noise.white([113, 107], 32, seed=4), ring, strength=0.2)
    assert torch.allclose(part, whole[[13, 7]], atol=1e-6)
    assert np.array_equal(bands.signs(4, [113], (3, 8, 8))[0], bands.signs(4, range(100, 120), (3, 8, 8))[13])
    other = noise.limited(noise.white(range(100, 120), 32, seed=5), ring, strength=0.2)
    alike = torch.nn.functional.cosine_similarity(other.flatten(1), whole.flatten(1))
    assert alike.abs().max() < 0.25
    between = torch.nn.functional.cosine_similarity(whole[0].flatten(), whole[1].flatten(), dim=0)
    assert abs(between) < 0.25


def test_random_words_are_the_published_generators():
    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    assert mix(golden) == 0xE220A8397B1DCDAF  # SplitMix64 from state 0, as published
    state = 0
    for part in (0, 7, 41):
        state = mix((state + (part + 1) * golden) % 2**64)
    expected = [mix((state + (place + 1) * golden) % 2**64) for place in range(3)]
    assert bands.words(7, [40, 41], 3)[1].tolist() == expected
    first = bands.signs(7, [41], (1, 8, 8)).ravel()
    assert first.tolist() == [1 if expected[0] >> bit & 1 else -1 for bit in range(64)]


def test_signs_are_fair_and_white():
    drawn = bands.signs(0, range(2000), (16, 16)).astype(float)
    n = drawn.size
    assert abs(drawn.mean()) < 4 / math.sqrt(n)
    for shift, axis in [(1, 2), (1, 1), (7, 2), (1, 0)]:  # neighbours in an image, and the same place of the next image
        assert abs((drawn * np.roll(drawn, shift, axis)).mean()) < 4 / math.sqrt(n)
    power = (np.abs(np.fft.fft2(drawn)) ** 2).mean(0) / 256
    assert np.abs(power - 1).max() < 6 * math.sqrt(2 / 2000)


def test_a_ring_without_frequencies_is_said():
    assert bands.filled(32) == bands.CENTRES
    assert bands.filled(8) == (30, 50, 80)
    with pytest.raises(MeasureError, match=r"no frequency of a 8x8 image.*0.3π, 0.5π, 0.8π"):
        noise.limited(noise.white([0], 8), (5, 15), strength=0.1)
    with pytest.raises(MeasureError, match="brightness"):
        noise.limited(noise.white([0], 32), (0, 15), strength=0.1)
    assert not bands.keep(pictures(8, 8), 5, 15).any()


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda: noise.white([0], 4), "8 to 512"),
        (lambda: noise.white([], 32), "0 images"),
        (lambda: noise.limited(noise.white([0], 32), (35, 45), strength=1, energy="loud"), "Known: equal, reference"),
        (lambda: bands.keep(np.zeros((3, 8, 9)), 0, 50), "square"),
        (lambda: bands.radii(32, 50, 40), "backwards"),
        (lambda: bands.first(32, 101), "between 0 and 1π"),
        (lambda: bands.contrast([1.0, 2.0]), "belong together"),
        (lambda: bands.contrast([1.0, 2.0], (10, 50)), "too small"),
        (lambda: bands.crossing([1.0], [1.0, 2.0], (10, 20)), "finite"),
        (lambda: bands.crossing([1.0, float("nan")], [1.0, 2.0], (10, 20)), "finite"),
        (lambda: bands.crossing([1.0, 1.0], [1.0, 2.0], (20, 10)), "rising"),
    ],
)
def test_no_number_from_nonsense(ask, word):
    with pytest.raises(MeasureError, match=word):
        ask()


def test_grey_noise_is_one_channel_for_three_and_normalising_divides():
    found = noise.limited(noise.white([3], 32, channels=1), (35, 45), strength=0.1)
    assert found.shape == (1, 1, 32, 32)
    spread = noise.normalised(found, (0.5, 0.25, 0.2))
    assert torch.allclose(spread, torch.cat([2 * found, 4 * found, 5 * found], dim=1))


def test_inference_mode_and_autocast_change_nothing():
    plain = noise.limited(noise.white([1], 36), (45, 55), strength=0.1)
    noise._waves.cache_clear()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = noise.limited(noise.white([1], 36), (45, 55), strength=0.1)
    assert torch.equal(inside, plain)
    pixels = torch.rand(1, 1, 36, 36, requires_grad=True)
    noise.keep(pixels, 0, 50).sum().backward()  # the waves were made in inference mode and still take part in a gradient
    assert pixels.grad is not None


def test_a_net_that_ignores_a_ring_is_unmoved_by_its_noise():
    """A linear net behind a low-pass filter does not see what lies above it, and does see what lies below."""
    torch.manual_seed(0)
    head = torch.nn.Linear(3 * 32 * 32, 5)
    images = torch.rand(6, 3, 32, 32)

    def net(x: torch.Tensor) -> torch.Tensor:
        return head(noise.keep(x, 0, 55).flatten(1))

    spectrum, clean = noise.white(range(6), 32), net(images)
    for ring in RINGS:
        moved = (net(images + noise.limited(spectrum, ring, strength=0.5)) - clean).abs().max()
        assert moved < 1e-5 if ring[0] >= 55 else moved > 0.05, ring


def test_pooling_away_the_finest_pattern_hides_exactly_the_limit():
    # the mean of 2x2 pixels is blind to the waves of frequency π, and of the highest ring sees less than of the lowest
    finest = noise.limited(noise.white([0], 32), (95, 100), strength=0.5)
    rows = torch.full((1, 1, 32, 32), 0.5) * (1 - 2 * (torch.arange(32) % 2)).view(1, 1, 32, 1)
    assert torch.allclose(noise.keep(rows, 95, 100), rows, atol=1e-6)
    assert torch.nn.functional.avg_pool2d(rows, 2).abs().max() == 0
    # a wave at π on one axis is cancelled by each block of two whatever it does on the other
    assert torch.nn.functional.avg_pool2d(finest, 2).abs().max() < 1e-5
    seen = [
        torch.nn.functional.avg_pool2d(noise.limited(noise.white(range(20), 32), ring, strength=0.5), 2).square().mean().sqrt()
        for ring in (RINGS[0], RINGS[-1])
    ]
    assert seen[1] < 0.3 * seen[0]


def test_contrast_and_crossing_of_the_papers_curves():
    assert bands.contrast(RESNET) == pytest.approx(-4.0, abs=0.05)
    assert bands.contrast(VIT) == pytest.approx(5.7, abs=0.05)
    assert bands.contrast([RESNET, VIT]) == pytest.approx([-4.0233, 5.6833], abs=1e-3)
    assert bands.crossing(VIT, RESNET) == pytest.approx(0.579, abs=5e-4)
    assert bands.crossing(RESNET, VIT) is None  # it ends below


def test_a_crossing_is_where_the_curve_stays_above():
    centres = (10, 20, 30, 40)
    assert bands.crossing([1, -1, -1, 3], [0, 0, 0, 0], centres) == pytest.approx(0.325)  # the earlier lead is lost again
    assert bands.crossing([1, 2, 3, 4], [0, 0, 0, 0], centres) == 0.1
    assert bands.crossing([0, 0, 0, 0], [0, 0, 0, 0], centres) == 0.1  # a tie is not below
    assert bands.crossing([-1, 0, 1, 1], [0, 0, 0, 0], centres) == pytest.approx(0.2)
    assert bands.crossing([1, 1, 1, -1], [0, 0, 0, 0], centres) is None


def test_the_contrast_of_a_small_image_uses_the_rings_it_has():
    assert bands.contrast([1.0, 9.0, 4.0], bands.filled(8)) == pytest.approx(3.0)
    per_image = np.arange(18.0).reshape(2, 9)
    assert bands.contrast(per_image).tolist() == [6.0, 6.0]
