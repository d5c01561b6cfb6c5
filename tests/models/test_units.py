"""Probes and lesions: what they see, what they change, and that nothing is left behind."""

import pytest
import torch

from core.errors import MeasureError
from core.models import build, lesion, probe, refusal, units
from core.presets import resolve
from core.spec import parse

NETS = [
    "resnet-mini", "vit-mini", "alternet-mini", "swin-mini",
    "dxp-gmtl/width=32,64", "ttmm/stem=patch4/head=cls/width=64", "cm-cm/msa=bottleneck",
]  # fmt: skip


def net_of(text):
    return build(resolve(text), 32, 10, seed=0).eval()


def by_hand(net, x, off, how="branch"):
    """Logits with the units `off`, unit by unit from its parts; nothing of `lesion` is used."""
    stream = net.embed(x)
    for i, block in enumerate(net.blocks):
        if i not in off:
            stream = block(stream)
        elif how == "3x3":
            seen, body = block.pre(stream), block.body
            inner = torch.relu(body[1](body[0](seen)))
            stream = (stream if block.project is None else block.project(seen)) + body[6](inner)
        elif block.project is not None:
            stream = block.project(block.pre(stream))
    return net.classify(stream)


def hooks(net):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


@pytest.mark.parametrize("text", NETS)
@torch.no_grad()
def test_probe_sees_every_unit_after_the_add(text):
    net, x = net_of(text), torch.randn(2, 3, 32, 32)
    with probe(net) as taps:
        net(x)
    stream = net.embed(x)
    for i, (unit, block) in enumerate(zip(units(net), net.blocks, strict=True)):
        stream = block(stream)
        assert taps[i].shape == (2, unit.width, unit.side, unit.side)
        expected = stream if stream.dim() == 4 else stream[:, 1:].transpose(1, 2).reshape(taps[i].shape)
        assert torch.equal(taps[i], expected)
    assert hooks(net) == 0


@torch.no_grad()
def test_output_is_input_plus_branch():
    net, x = net_of("vit-mini"), torch.randn(2, 3, 32, 32)
    with probe(net) as outputs, probe(net, "branch") as branches:
        net(x)
    assert torch.allclose(outputs[0] + branches[1], outputs[1], atol=1e-6)
    assert torch.allclose(outputs.stem + branches[0], outputs[0], atol=1e-6)


@pytest.mark.parametrize("text", NETS)
@torch.no_grad()
def test_a_lesion_is_the_identity_or_the_projection_and_heals(text):
    net, x = net_of(text), torch.randn(2, 3, 32, 32)
    before = net(x)
    for i, unit in enumerate(units(net)):
        if unit.kind == "merge":
            with pytest.raises(MeasureError, match="patch merging"), lesion(net, [i]):
                pass
            continue
        with lesion(net, [i]), probe(net) as taps:
            assert not torch.allclose(net(x), before)
        into = taps.stem if i == 0 else taps[i - 1]
        block = net.blocks[i]
        expected = into if block.project is None else block.project(block.pre(into))
        assert torch.equal(taps[i], expected)
        assert torch.equal(net(x), before)


@torch.no_grad()
def test_3x3_leaves_out_the_conv_with_its_norm_and_relu_and_heals():
    net, x = net_of("bb-bb/width=32,64"), torch.randn(2, 3, 32, 32)
    before, parts = net(x), list(net.modules())
    for places in ([0], [1], [3], [0, 1, 3]):
        with lesion(net, places, "3x3"):
            assert torch.allclose(net(x), by_hand(net, x, places, "3x3"), atol=1e-6)
        with lesion(net, places):
            assert not torch.allclose(net(x), by_hand(net, x, places, "3x3"), atol=1e-4)
        assert torch.equal(net(x), before) and list(net.modules()) == parts


def test_3x3_is_only_for_bottlenecks_that_keep_the_size():
    slots = units(net_of("bc-bd/width=32,64"))
    assert [bool(refusal(slot, "3x3")) for slot in slots] == [False, True, True, True]
    assert "s2u1" in refusal(slots[2], "3x3") and not refusal(slots[2])
    with pytest.raises(MeasureError, match="Known: branch, 3x3"):
        refusal(slots[0], "4x4")


def test_a_lesion_within_a_lesion_heals_only_its_own():
    net = net_of("bb/width=32")
    with lesion(net, [0]):
        with lesion(net, [0, 1, 1]):
            assert [block.off for block in net.blocks] == [True, True]
        assert [block.off for block in net.blocks] == [True, False]
    assert not any(block.off for block in net.blocks)


def test_a_lesion_that_matches_nothing_is_an_error():
    net = net_of("resnet-mini")
    for positions in ([], [12], [-1]):
        with pytest.raises(MeasureError), lesion(net, positions):
            pass


def test_an_error_inside_leaves_no_hook_and_no_lesion():
    net = net_of("vit-mini")
    with pytest.raises(RuntimeError), probe(net), lesion(net, [0]):
        raise RuntimeError
    assert hooks(net) == 0
    assert not any(block.off for block in net.blocks)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_draws_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, two = net_of("alternet-mini").state_dict(), net_of("alternet-mini").state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert torch.equal(state, torch.get_rng_state())


def test_stochastic_depth_is_passed_grows_with_depth_and_keeps_the_mean():
    net = build(resolve("vit-mini"), 32, 10, drop_path=0.4, seed=0).train()
    assert [round(b.drop, 3) for b in net.blocks] == [round(0.4 * (i + 1) / 12, 3) for i in range(12)]
    block = net.blocks[-1]
    x = torch.randn(1, 96, 8, 8).expand(4000, -1, -1, -1)
    torch.manual_seed(0)
    with torch.no_grad():
        y = block(x) - x
    dropped = (y.abs().amax((1, 2, 3)) == 0).float().mean()
    assert abs(dropped - 0.4) < 0.03
    block.drop = 0.0
    with torch.no_grad():
        assert torch.allclose(y.mean(0), (block(x[:1]) - x[:1])[0], atol=0.05)


@torch.no_grad()
def test_pool_is_the_mean_of_neighbours_and_learns_nothing():
    net = build(parse("cp"), 32, 10, seed=0).eval()
    unit = net.blocks[1]
    assert not list(unit.parameters())
    x = torch.randn(1, 32, 16, 16)
    n = torch.nn.functional.layer_norm(x.permute(0, 2, 3, 1), (32,)).permute(0, 3, 1, 2)
    inner = sum(n[..., 1 + i : 15 + i, 1 + j : 15 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    assert torch.allclose(unit(x)[..., 1:15, 1:15], (x + 0)[..., 1:15, 1:15] + inner - n[..., 1:15, 1:15], atol=1e-5)
