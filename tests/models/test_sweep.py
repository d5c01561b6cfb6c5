"""The sweep and the kept inputs against a walk through the net by hand, and what they compute only once."""

import pytest
import torch

from core.errors import MeasureError
from core.models import Kept, build, lesion, refusal, sweep, units
from core.presets import resolve
from tests.models.test_units import NETS, by_hand

BOTTLENECKS = "bb-bbm/width=32,64/heads=1,2"


def net_of(text, side=32):
    """A net whose batch norms have other statistics than 0 and 1."""
    net = build(resolve(text), side, 10, seed=0).eval()
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return net


def usable(net, how="branch"):
    return [i for i, unit in enumerate(units(net)) if not refusal(unit, how)]


@pytest.mark.parametrize(("text", "how"), [*((text, "branch") for text in [*NETS, BOTTLENECKS]), (BOTTLENECKS, "3x3")])
@torch.inference_mode()
def test_every_row_equals_the_walk_by_hand(text, how):
    net, x = net_of(text), torch.randn(5, 3, 32, 32)
    places = usable(net, how)
    assert places
    logits = sweep(net, x, places, how, chunk=2)
    expected = torch.stack([by_hand(net, x, [], how), *(by_hand(net, x, [i], how) for i in places)])
    assert logits.shape == expected.shape and (logits - expected).abs().max() <= 1e-5
    top = expected.topk(2).values
    sure = top[..., 0] - top[..., 1] > 2e-5
    assert sure.float().mean() > 0.9 and torch.equal(logits.argmax(2)[sure], expected.argmax(2)[sure])
    assert torch.equal(logits[0], sweep(net, x, [], how, chunk=2)[0])


def test_rows_come_in_the_order_that_was_asked_for():
    net, x = net_of("cmt/width=16/heads=1"), torch.randn(3, 3, 32, 32)
    forth, back = sweep(net, x, [0, 2]), sweep(net, x, [2, 0])
    assert torch.equal(forth[[0, 2, 1]], back)


def calls(net):
    """How often each block is run."""
    counts = [0] * len(net.blocks)
    for i, block in enumerate(net.blocks):
        block.register_forward_hook(lambda *_a, i=i: counts.__setitem__(i, counts[i] + 1))
    return counts


def test_what_comes_before_a_lesion_is_computed_once():
    net, x = net_of("cccc/width=16"), torch.randn(4, 3, 32, 32)
    counts = calls(net)
    sweep(net, x, [0, 1, 2, 3])
    assert counts == [2, 3, 4, 5]


@pytest.mark.parametrize(("text", "how"), [("swin-mini", "branch"), ("ttmm/stem=patch4/head=cls/width=64", "branch"), (BOTTLENECKS, "3x3")])
@pytest.mark.parametrize("share", [1, 0.4, 0.15, 0])
@torch.inference_mode()
def test_kept_inputs_give_the_same_whatever_fits(text, how, share):
    net, x = net_of(text), torch.randn(5, 3, 32, 32)
    places, everything = usable(net, how), Kept(net, x, 10**9).bytes
    kept = Kept(net, x, int(share * everything), chunk=2)
    assert kept.bytes <= share * everything and (kept.bytes > 0 or share < 0.4)
    for off in ([places[0]], [places[-1]], [places[1], places[-1]], places[::-1]):
        assert (kept.logits(off, how) - by_hand(net, x, off, how)).abs().max() <= 1e-5
    assert (kept.logits([]) - by_hand(net, x, [], how)).abs().max() <= 1e-5


def test_a_lesion_starts_at_the_nearest_input_that_is_kept():
    net, x = net_of("cccccc/width=16"), torch.randn(2, 3, 32, 32)
    one = 2 * 16 * 16 * 16 * 4
    for budget, first in ((6 * one, 3), (3 * one, 2), (2 * one, 3), (one, 0), (one - 1, 0)):
        kept = Kept(net, x, budget)
        counts = calls(net)
        kept.logits([3])
        assert counts == [0] * first + [1] * (6 - first), budget
    assert kept.bytes == 0


def test_the_net_is_left_as_it_was_in_mode_weights_and_parts():
    net, x = net_of(BOTTLENECKS), torch.randn(2, 3, 32, 32)
    net.train()
    before, parts = {k: t.clone() for k, t in net.state_dict().items()}, [id(m) for m in net.modules()]
    sweep(net, x, usable(net))
    sweep(net, x, usable(net, "3x3"), "3x3")
    Kept(net, x).logits([0, 1])
    assert net.training and all(torch.equal(t, before[k]) for k, t in net.state_dict().items())
    assert [id(m) for m in net.modules()] == parts and not any(block.off for block in net.blocks)


@pytest.mark.parametrize("how", ["branch", "3x3"])
def test_an_error_in_the_middle_heals_everything(how):
    net, x = net_of("bbb/width=32"), torch.randn(2, 3, 32, 32)
    parts = [id(m) for m in net.modules()]
    kept = Kept(net, x)

    def break_down(*_):
        if net.blocks[1].off or isinstance(net.blocks[1].body[3], torch.nn.Identity):
            raise RuntimeError("broken")

    handle = net.blocks[2].register_forward_pre_hook(break_down)
    net.train()
    for work in (lambda: sweep(net, x, [0, 1], how), lambda: kept.logits([0, 1], how)):
        with pytest.raises(RuntimeError, match="broken"):
            work()
        assert net.training and [id(m) for m in net.modules()] == parts and not any(block.off for block in net.blocks)
    handle.remove()


def test_no_gradient_is_kept():
    net, x = net_of("cm/width=16/heads=1"), torch.randn(2, 3, 32, 32)
    assert not sweep(net, x, [0]).requires_grad and not Kept(net, x).logits([0]).requires_grad


def test_units_that_cannot_be_switched_off_are_refused_in_words():
    net, x = net_of("swin-mini"), torch.randn(2, 3, 32, 32)
    for work in (lambda p, h: sweep(net, x, p, h), lambda p, h: Kept(net, x).logits(p, h), lambda p, h: lesion(net, p, h).__enter__()):
        for places, how, sentence in (
            ([4], "branch", "patch merging"),
            ([0], "3x3", "no 3x3"),
            ([99], "branch", "units 0 to"),
            ([0], "x", "Known: branch"),
        ):
            with pytest.raises(MeasureError, match=sentence):
                work(places, how)


@pytest.mark.gpu
def test_the_gpu_agrees():
    net, x = net_of("alternet-mini"), torch.randn(8, 3, 32, 32)
    here = sweep(net, x, [0, 5, 11])
    there = sweep(net.cuda(), x, [0, 5, 11])
    assert torch.allclose(here, there.cpu(), atol=5e-3)
    assert torch.allclose(Kept(net, x).logits([5]).cpu(), here[2], atol=5e-3)
