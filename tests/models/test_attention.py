"""Attention against torch's MultiheadAttention and against loops over single tokens."""

import pytest
import torch

from core.models.attention import Attention
from core.spec import layout, parse


def unit_attention(letter, *, side=8, window=4, kernel=3, heads=2, width=32, relative=False):
    arch = parse(f"{letter}/stem=patch1/width={width}/heads={heads}/window={window}/kernel={kernel}")
    unit = layout(arch, side)[0]
    torch.manual_seed(0)
    module = Attention(width, width, unit, dim_head=width // heads, bias=True, relative=relative, shared=False).double().eval()
    if relative:
        torch.nn.init.normal_(module.table)
    return module


def by_hand(module, x, sees, offset=None):
    """Softmax attention token by token.  `sees(q, k)` says whether position q may look at k, both (row, column)."""
    b, h, w, _ = x.shape
    heads, d = module.heads, module.inner // module.heads
    q, k, v = module.qkv(x).view(b, h, w, 3, heads, d).unbind(3)
    out = torch.zeros(b, h, w, heads, d, dtype=x.dtype)
    places = [(i, j) for i in range(h) for j in range(w)]
    for n in range(b):
        for head in range(heads):
            for i, j in places:
                keys = [p for p in places if sees((i, j), p)]
                s = torch.stack([q[n, i, j, head] @ k[n, a, e, head] / d**0.5 for a, e in keys])
                if offset is not None:
                    s = s + torch.stack([module.table[offset((i, j), p), head] for p in keys])
                weights = s.softmax(0)
                out[n, i, j, head] = sum(weight * v[n, a, e, head] for weight, (a, e) in zip(weights, keys, strict=True))
    return module.proj(out.reshape(b, h, w, heads * d))


@pytest.mark.parametrize("how", ["plain", "sdpa"])
@pytest.mark.parametrize("tokens", [False, True])
def test_global_equals_torch(how, tokens):
    module = unit_attention("m")
    module.attend = how
    reference = torch.nn.MultiheadAttention(32, 2, batch_first=True).double().eval()
    with torch.no_grad():
        reference.in_proj_weight.copy_(module.qkv.weight)
        reference.in_proj_bias.copy_(module.qkv.bias)
        reference.out_proj.weight.copy_(module.proj.weight)
        reference.out_proj.bias.copy_(module.proj.bias)
        x = torch.randn(2, 65, 32).double() if tokens else torch.randn(2, 8, 8, 32).double()
        flat = x if tokens else x.flatten(1, 2)
        expected = reference(flat, flat, flat, need_weights=False)[0].reshape(x.shape)
        assert torch.allclose(module(x), expected, atol=1e-12)


@pytest.mark.parametrize("how", ["plain", "sdpa"])
@torch.no_grad()
def test_windows_do_not_see_each_other(how):
    module = unit_attention("w", relative=True)
    module.attend = how
    x = torch.randn(1, 8, 8, 32).double()

    def offset(q, k):
        return (q[0] - k[0] + 3) * 7 + q[1] - k[1] + 3

    expected = by_hand(module, x, lambda q, k: (q[0] // 4, q[1] // 4) == (k[0] // 4, k[1] // 4), offset)
    assert torch.allclose(module(x), expected, atol=1e-12)


@pytest.mark.parametrize("how", ["plain", "sdpa"])
@pytest.mark.parametrize("side", [8, 12])
@torch.no_grad()
def test_shifted_windows_stop_at_every_border(how, side):
    module = unit_attention("s", side=side)
    module.attend = how
    x = torch.randn(2, side, side, 32).double()

    def band(i):  # windows shifted by 2: the first two rows are cut off from the last two
        return (i + 2) // 4

    expected = by_hand(module, x, lambda q, k: (band(q[0]), band(q[1])) == (band(k[0]), band(k[1])))
    assert torch.allclose(module(x), expected, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
@torch.no_grad()
def test_local_masks_places_outside_the_map(kernel):
    module = unit_attention("l", kernel=kernel, relative=True)
    x = torch.randn(1, 8, 8, 32).double()
    r = kernel // 2

    def near(q, k):
        return abs(q[0] - k[0]) <= r and abs(q[1] - k[1]) <= r

    def offset(q, k):
        return (k[0] - q[0] + r) * kernel + k[1] - q[1] + r

    assert torch.allclose(module(x), by_hand(module, x, near, offset), atol=1e-12)


@torch.no_grad()
def test_a_local_kernel_as_large_as_the_map_is_global():
    torch.manual_seed(1)
    x = torch.randn(1, 8, 8, 32).double()
    assert torch.allclose(unit_attention("l", kernel=8)(x), unit_attention("m")(x), atol=1e-12)


FORMS = ("m", "w", "s", "l")


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("letter", FORMS)
@torch.no_grad()
def test_weights_are_those_of_the_forward(letter, relative):
    module = unit_attention(letter, relative=relative)
    x = torch.randn(3, 8, 8, 32).double()
    weights = module.weights(x)
    assert weights.shape == (3, 2, 64, 64)
    values = module.qkv(x).chunk(3, -1)[2].reshape(3, 64, 2, 16).transpose(1, 2)
    again = module.proj((weights @ values).transpose(1, 2).reshape(3, 8, 8, 32))
    for how in ("plain", "sdpa"):
        module.attend = how
        assert torch.allclose(again, module(x), atol=1e-12)
    assert torch.allclose(weights.sum(-1), torch.ones(()).double())
    assert torch.equal(weights > 0, (module.uniform() > 0).expand_as(weights)), "0 outside of the reach, and only there"


@torch.no_grad()
def test_weights_with_a_cls_token():
    module = unit_attention("m")
    x = torch.randn(2, 65, 32).double()
    weights = module.weights(x)
    values = module.qkv(x).chunk(3, -1)[2].view(2, 65, 2, 16).transpose(1, 2)
    assert weights.shape == (2, 2, 65, 65)
    assert torch.allclose(module.proj((weights @ values).transpose(1, 2).reshape(2, 65, 32)), module(x), atol=1e-12)


@pytest.mark.parametrize(
    ("letter", "sees"),
    [
        ("m", lambda q, k: True),
        ("w", lambda q, k: (q[0] // 4, q[1] // 4) == (k[0] // 4, k[1] // 4)),
        ("s", lambda q, k: all((a + 2) // 4 == (b + 2) // 4 for a, b in zip(q, k, strict=True))),
        ("l", lambda q, k: max(abs(q[0] - k[0]), abs(q[1] - k[1])) <= 1),
    ],
)
def test_uniform_weights_are_alike_over_the_reach(letter, sees):
    places = [(i, j) for i in range(8) for j in range(8)]
    reach = torch.tensor([[float(sees(q, k)) for k in places] for q in places])
    assert torch.allclose(unit_attention(letter).uniform().float(), reach / reach.sum(-1, keepdim=True))


def test_attention_has_a_second_derivative():
    module = unit_attention("m")
    x = torch.randn(1, 8, 8, 32).double()
    loss = module(x).pow(2).sum()
    first = torch.autograd.grad(loss, module.qkv.weight, create_graph=True)[0]
    second = torch.autograd.grad(first.pow(2).sum(), module.qkv.weight)[0]
    assert second.abs().sum() > 0
