"""Recording attention during a forward pass: what is seen, of which units, and that nothing stays behind."""

import pytest
import torch

from core.errors import MeasureError
from core.models import build, lesion
from core.models.attention import Attention
from core.models.looks import attentions, looks
from core.spec import parse

HYBRID = "cmw-cs/width=16,32/heads=2,2/window=4,4/msa=bottleneck"
NETS = {HYBRID: [1, 2, 4], "mtwtslt/stem=patch2/width=32/heads=2": [0, 2, 4, 5], "mtm/stem=patch4/width=32/head=cls": [0, 2]}


@pytest.mark.parametrize("notation", NETS)
@torch.no_grad()
def test_every_msa_unit_is_seen_as_it_attends(notation):
    net, x = build(parse(notation), 32, 10, seed=0).eval(), torch.randn(2, 3, 32, 32)
    plain = net(x)
    heard = {}
    handles = [m.register_forward_hook(lambda m, a, out, p=p: heard.update({p: (a[0], out)})) for p, m in attentions(net).items()]
    with looks(net) as seen:
        assert torch.equal(net(x), plain)
    for handle in handles:
        handle.remove()
    assert list(seen) == NETS[notation]
    for place, weights in seen.items():
        module, (into, out) = attentions(net)[place], heard[place]
        tokens = into if into.dim() == 3 else into.flatten(1, 2)
        values = module.qkv(tokens).chunk(3, -1)[2].unflatten(-1, (module.heads, -1)).transpose(1, 2)
        again = module.proj((weights @ values).transpose(1, 2).flatten(2)).reshape(out.shape)
        assert torch.allclose(again, out, atol=1e-5)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@torch.no_grad()
def test_one_unit_alone_and_a_number_instead_of_the_weights(monkeypatch):
    net, x = build(parse(HYBRID), 32, 10, seed=0).eval(), torch.randn(2, 3, 32, 32)
    with looks(net) as every:
        net(x)
    monkeypatch.setattr("core.models.looks.AT_ONCE", 1)
    asked = []
    with looks(net, lambda place, weights: asked.append((place, weights.shape)) or weights.amax((2, 3)), only=2) as seen:
        net(x)
    assert asked == [(2, (1, 2, 256, 256))] * 2, "one image at a time where the weights are many"
    assert list(seen) == [2] and torch.allclose(seen[2], every[2].amax((2, 3)))


@torch.no_grad()
def test_a_unit_that_is_off_shows_nothing():
    net = build(parse("mtm/stem=patch4/width=32"), 32, 10, seed=0).eval()
    with lesion(net, [0]), looks(net) as seen:
        net(torch.randn(1, 3, 32, 32))
    assert list(seen) == [2]


def test_hooks_go_even_after_an_error_and_no_msa_is_said():
    net = build(parse("mt/stem=patch4/width=32"), 32, 10, seed=0).eval()
    with pytest.raises(RuntimeError), looks(net):
        net(torch.randn(1, 3, 8, 8))
    assert not any(isinstance(m, Attention) and m._forward_pre_hooks for m in net.modules())
    with pytest.raises(MeasureError, match="no MSA unit"), looks(build(parse("cc"), 32, 10)):
        pass
    with pytest.raises(MeasureError, match="s1u2 is not an MSA unit"), looks(net, only=1):
        pass
