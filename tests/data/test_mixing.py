"""Mixup, CutMix, smoothing and erasing: the sums of the labels, and timm as the oracle."""

import numpy as np
import pytest
import torch
from timm.data.mixup import Mixup

from core.data.augment import blend, erase
from core.data.draws import Mix, draw_epoch, draw_mix, mix_from


def batch(n=8, side=32, classes=10, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, side, side, generator=rng), torch.randint(0, classes, (n,), generator=rng)


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.8), (1.0, 0.0), (0.0, 0.8), (0.2, 1.0)])
def test_equals_timm_given_the_same_random_numbers(mixup, cutmix):
    theirs = Mixup(mixup_alpha=mixup, cutmix_alpha=cutmix, label_smoothing=0.1, num_classes=10)
    kept = np.random.get_state()
    try:
        for seed in range(40):
            x, y = batch(seed=seed)
            np.random.seed(seed)
            wanted_x, wanted_y = theirs(x.clone(), y)
            mixed_x, mixed_y = blend(x.clone(), y, mix_from(np.random.RandomState(seed), 32, mixup, cutmix), 10, 0.1)
            assert torch.allclose(mixed_x, wanted_x, atol=1e-6) and torch.allclose(mixed_y, wanted_y, atol=1e-6)
    finally:
        np.random.set_state(kept)


def test_labels_by_hand():
    x, y = torch.zeros(2, 3, 4, 4), torch.tensor([0, 2])
    x[1] = 1
    mixed, target = blend(x.clone(), y, Mix(0.7, None), 4, 0.2)
    # smoothed: 0.85 for the class and 0.05 for each other; then 0.7 and 0.3 of the two images
    assert target[0].tolist() == pytest.approx([0.7 * 0.85 + 0.3 * 0.05, 0.05, 0.7 * 0.05 + 0.3 * 0.85, 0.05])
    assert target.sum(1).tolist() == pytest.approx([1, 1])
    assert mixed[0].unique().tolist() == pytest.approx([0.3]) and mixed[1].unique().tolist() == pytest.approx([0.7])
    pasted, target = blend(x.clone(), y, Mix(1 - 4 / 16, (0, 2, 1, 3)), 4, 0.0)
    assert pasted[0].sum() == 3 * 4 and target[0].tolist() == pytest.approx([0.75, 0, 0.25, 0])


def test_a_pasted_box_counts_with_the_area_that_is_left():
    for step in range(200):
        mix = draw_mix(32, seed=0, epoch=0, step=step, mixup=0.0, cutmix=0.8)
        top, bottom, left, right = mix.box
        assert 0 <= top <= bottom <= 32 and 0 <= left <= right <= 32
        assert mix.share == pytest.approx(1 - (bottom - top) * (right - left) / 1024)


def test_both_kinds_are_drawn_equally_often_with_their_own_alpha():
    drawn = [draw_mix(32, seed=1, epoch=0, step=s, mixup=1.0, cutmix=0.8) for s in range(2_000)]
    shares = np.array([m.share for m in drawn if m.box is None])
    assert len(shares) / 2_000 == pytest.approx(0.5, abs=0.04)
    assert shares.mean() == pytest.approx(0.5, abs=0.03) and shares.var() == pytest.approx(1 / 12, abs=0.01)  # Beta(1, 1)


def test_erased_boxes_have_the_asked_share_and_size():
    boxes = draw_epoch(4_000, 32, seed=0, epoch=0, pad=0, flip=False, erasing=0.25).erase
    some = boxes[boxes[:, 2] > 0]
    assert len(some) / 4_000 == pytest.approx(0.25, abs=0.03)
    top, left, height, width = some.T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 32).all() and (left + width <= 32).all()
    area = height * width / 1024
    assert area.min() > 0.01 and area.max() < 0.36 and area.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.02)
    x = torch.ones(2, 3, 32, 32)
    erase(x, torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0]]))
    assert (x[0] == 0).sum() == 3 * 12 and (x[0, :, 1:4, 2:6] == 0).all() and (x[1] == 1).all()
