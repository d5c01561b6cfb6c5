"""Batches: right pixels, the same for a seed whatever the device, workers and point of entry."""

import random

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf

from core import data
from core.data import augment
from core.data.augment import Feeder, cut_device, cut_host, eval_batches, normalise, pad_images
from core.data.dataset import Images
from core.data.draws import draw_epoch
from core.errors import DataError

POLICY = "rand-m9-n2-mstd1.0"
STRONG = dict(pad=4, flip=True, mixup=1.0, cutmix=0.8, smoothing=0.1, erasing=0.25)


def images(channels=3, n=96, size=32):
    rng = np.random.default_rng(channels)
    spec = data.get("fashion" if channels == 1 else "cifar10")
    pixels = rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8)
    return Images(pixels=pixels, labels=rng.integers(0, 10, n), spec=spec, split="train", digest="")


def feeder(of=None, batch=16, indices=None, **settings):
    of = of or images()
    return Feeder(of, np.arange(len(of)) if indices is None else indices, batch, **settings)


def same(one, other):
    one, other = list(one), list(other)
    return len(one) == len(other) > 0 and all(torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(one, other, strict=True))


@pytest.mark.parametrize(("channels", "pad"), [(3, 4), (1, 2), (3, 0)])
def test_equals_torchvision_given_the_draws(channels, pad):
    of = images(channels)
    feed = feeder(of, pad=pad, flip=True, seed=3)
    draws = draw_epoch(96, 32, seed=3, epoch=2, pad=pad, flip=True, erasing=0.0)
    assert 0 < draws.mirror.sum() < 96 and (pad == 0 or len(set(draws.top)) == 2 * pad + 1)
    seen = 0
    for x, y in feed.epoch(2):
        assert x.shape == (16, 3, 32, 32) and x.is_contiguous(memory_format=torch.channels_last)
        for image, label in zip(x, y, strict=True):
            i = draws.order[seen]
            wanted = tvf.crop(tvf.pad(torch.from_numpy(of.pixels[i]), [pad] * 4), int(draws.top[seen]), int(draws.left[seen]), 32, 32)
            wanted = tvf.hflip(wanted) if draws.mirror[seen] else wanted
            wanted = tvf.normalize(wanted.expand(3, -1, -1).double() / 255, of.spec.mean, of.spec.std)
            assert (image - wanted).abs().max() <= 1e-6
            assert label == of.labels[i]
            seen += 1
    assert seen == 96


@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_of_cutting_give_the_same(channels):
    padded = pad_images(images(channels).pixels, 4)
    rng = np.random.default_rng(0)
    rows, top, left, mirror = rng.integers(0, 96, 50), rng.integers(0, 9, 50), rng.integers(0, 9, 50), rng.random(50) < 0.5
    host = cut_host(padded, rows, top, left, mirror, 32)
    device = cut_device(*(torch.from_numpy(a) for a in (padded, rows, top, left, mirror)), 32)
    assert np.array_equal(host, device.numpy())
    for k in range(50):
        plain = padded[rows[k], top[k] : top[k] + 32, left[k] : left[k] + 32]
        assert np.array_equal(host[k], plain[:, ::-1] if mirror[k] else plain)


def test_every_image_comes_once_and_epochs_differ():
    of = images(n=80)
    marked = of.pixels.copy()
    marked[:, :, 0, 0] = np.arange(80)[:, None]
    feed = feeder(Images(pixels=marked, labels=of.labels, spec=of.spec, split="train", digest=""))
    m, s = of.spec.mean[0], of.spec.std[0]
    orders = [torch.cat([((x[:, 0, 0, 0] * s + m) * 255).round() for x, _ in feed.epoch(e)]).tolist() for e in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(80)) and orders[0] != orders[1]


@pytest.mark.parametrize("settings", [STRONG, {"randaugment": POLICY, "pad": 2}, {}])
def test_same_seed_same_batches_other_seed_others(settings):
    one = list(feeder(seed=1, **settings).epoch(4))
    assert same(one, feeder(seed=1, **settings).epoch(4))
    assert not same(one, feeder(seed=2, **settings).epoch(4))
    assert not same(one, feeder(seed=1, **settings).epoch(5))


def test_an_epoch_can_be_entered_at_any_step():
    feed = feeder(seed=1, randaugment=POLICY, **STRONG)
    whole = list(feed.epoch(3))
    for start in (1, 4, 5):
        assert same(whole[start:], feeder(seed=1, randaugment=POLICY, **STRONG).epoch(3, start_step=start))
    assert list(feed.epoch(3, start_step=6)) == []


@pytest.mark.slow
def test_workers_change_nothing_but_the_time():
    of = images(n=64)
    alone = list(feeder(of, randaugment=POLICY, **STRONG).epoch(1))
    helped = feeder(of, randaugment=POLICY, workers=2, **STRONG)
    try:
        assert same(alone, helped.epoch(1))
        next(iter(helped.epoch(0)))  # an epoch that is left early
        assert same(alone[2:], helped.epoch(1, start_step=2))
        for process in helped._pool.pool._processes.values():
            process.kill()
        with pytest.raises(DataError, match="ended from outside"):
            list(helped.epoch(2))
    finally:
        helped.close()


def test_settings_do_not_disturb_each_others_draws():
    plain = draw_epoch(50, 32, seed=1, epoch=0, pad=4, flip=False, erasing=0.0)
    strong = draw_epoch(50, 32, seed=1, epoch=0, pad=4, flip=True, erasing=0.5)
    assert np.array_equal(plain.order, strong.order) and np.array_equal(plain.top, strong.top)


def test_global_random_numbers_are_left_alone():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    wanted = random.random(), np.random.rand(), torch.rand(1)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    list(feeder(randaugment=POLICY, **STRONG).epoch(0))
    assert (random.random(), np.random.rand(), torch.rand(1)) == wanted


def test_randaugment_is_timms_for_the_seed():
    from PIL import Image
    from timm.data.auto_augment import rand_augment_transform

    from core.data.policy import augment as randaugment

    pixels = images(n=12).pixels.transpose(0, 2, 3, 1)
    transform = rand_augment_transform(POLICY, {"translate_const": 14, "img_mean": (9, 8, 7)})
    ours = randaugment((pixels, np.arange(12)), POLICY, (9, 8, 7))
    for seed in range(12):
        random.seed(seed), np.random.seed(seed)
        assert np.array_equal(ours[seed], np.asarray(transform(Image.fromarray(pixels[seed]))))
    assert sum(not np.array_equal(a, b) for a, b in zip(ours, pixels, strict=True)) >= 8


def test_grey_stays_grey_through_randaugment():
    for x, _ in feeder(images(1, n=32), randaugment=POLICY, pad=2, flip=True).epoch(0):
        assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])


def test_a_wrong_policy_is_told():
    with pytest.raises(DataError, match="rand-m9-n2"):
        list(feeder(randaugment="strong please").epoch(0))


def test_last_batch_is_dropped_or_kept():
    assert feeder(images(n=40), 16).steps_per_epoch == 2
    kept = feeder(images(n=40), 16, drop_last=False)
    assert kept.steps_per_epoch == 3 and [len(x) for x, _ in kept.epoch(0)] == [16, 16, 8]
    few = feeder(images(n=5), 16)
    assert few.steps_per_epoch == 1 and [len(x) for x, _ in few.epoch(0)] == [5]


def test_feeds_only_the_chosen_images():
    of, chosen = images(), np.array([3, 50, 77])
    ((x, y),) = feeder(of, 3, chosen).epoch(0)
    assert sorted(y.tolist()) == sorted(of.labels[chosen].tolist())
    wanted = normalise(torch.from_numpy(of.pixels[chosen]), of.spec)
    assert {float(v) for v in x.sum((1, 2, 3))} == {float(v) for v in wanted.sum((1, 2, 3))}


def test_nothing_to_feed_is_an_error():
    with pytest.raises(DataError, match="Cannot feed 0 images"):
        feeder(indices=np.array([], np.int64))


def test_a_mapped_set_gives_the_same_batches(tmp_path):
    of = images()
    np.save(tmp_path / "pixels.npy", of.pixels)
    mapped = Images(pixels=np.load(tmp_path / "pixels.npy", mmap_mode="r"), labels=of.labels, spec=of.spec, split="train", digest="")
    chosen = np.arange(10, 90)
    feed = feeder(mapped, indices=chosen, **STRONG)
    assert feed.store is None
    assert same(feeder(of, indices=chosen, **STRONG).epoch(0), feed.epoch(0))


def test_the_way_of_a_gpu_gives_the_same_batches(monkeypatch):
    on_host = feeder(seed=5, **STRONG)
    through_tensor = feeder(seed=5, **STRONG)
    through_tensor.store = torch.from_numpy(through_tensor.store)
    assert same(on_host.epoch(0), through_tensor.epoch(0))


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_the_host():
    for of in (images(), images(1)):
        for (x, y), (u, v) in zip(feeder(of, **STRONG).epoch(0), feeder(of, device="cuda", **STRONG).epoch(0), strict=True):
            assert u.is_cuda and torch.allclose(x, u.cpu(), atol=2e-6) and torch.allclose(y, v.cpu())


@pytest.mark.parametrize("channels", [1, 3])
def test_evaluation_normalises_and_nothing_else(channels):
    of = images(channels)
    x, y = (torch.cat(parts) for parts in zip(*eval_batches(of, None, 40, "cpu"), strict=True))
    wanted = tvf.normalize(torch.from_numpy(of.pixels).expand(-1, 3, -1, -1).double() / 255, of.spec.mean, of.spec.std)
    assert (x - wanted).abs().max() <= 1e-6 and x.dtype == torch.float32
    assert torch.equal(y, torch.from_numpy(of.labels))
    chosen = np.array([5, 1, 9])
    ((x, y),) = eval_batches(of, chosen, 40, "cpu", torch.bfloat16)
    assert (x - wanted[chosen]).abs().max() <= 0.02 and x.dtype == torch.bfloat16 and y.tolist() == of.labels[chosen].tolist()


def test_batches_made_in_inference_mode_do_not_spoil_training():
    augment._affine.cache_clear()
    with torch.inference_mode():
        list(eval_batches(images(), None, 48, "cpu"))
    x, _ = next(feeder().epoch(0))
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (x * weight).sum().backward()
    assert weight.grad is not None
