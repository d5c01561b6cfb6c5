"""What the layers inside a unit hand on, against walking through the unit by hand."""

import pytest
import torch

from core.errors import MeasureError
from core.models import COMING_OUT, GOING_IN, build, layers, probe_layers
from core.spec import parse


def seen(notation: str, position: int) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    net = build(parse(notation), 32, 10, seed=0).eval()
    with torch.inference_mode(), probe_layers(net, position) as record:
        net(torch.randn(3, 3, 32, 32))
    return net, record


def test_every_layer_of_a_conv_unit_by_hand():
    net, record = seen("cb/width=16", 0)
    block, x = net.blocks[0], record[GOING_IN]
    assert list(record) == [GOING_IN, "BatchNorm", "ReLU", "3×3 Conv", "BatchNorm 2", "ReLU 2", "3×3 Conv 2", COMING_OUT]
    with torch.inference_mode():
        for name, layer in zip(list(record)[1:-1], (*block.pre, *block.body), strict=True):
            x = layer(x)
            assert torch.equal(record[name], x), name
        assert torch.allclose(record[COMING_OUT], record[GOING_IN] + x)
    assert "1×1 Conv 2" in dict(layers(net, 1))


@pytest.mark.parametrize(
    ("notation", "position"),
    [
        ("mt/stem=patch4/width=32/heads=2", 0),
        ("mt/stem=patch4/width=32/heads=2/head=cls", 0),
        ("wt/stem=patch2/width=32/heads=2/window=4", 0),
        ("ls/stem=patch2/width=32/heads=2/kernel=3/window=4", 0),
        ("ccm/width=32/heads=2/window=8", 2),
    ],
)
def test_attended_values_are_what_the_projection_takes(notation, position):
    """Position by position, the projection of the one is the other: windows are put back where they belong."""
    net, record = seen(notation, position)
    block = net.blocks[position]
    attention = next(module for module in block.modules() if hasattr(module, "proj"))
    assert record["Attended values"].shape[2:] == record[GOING_IN].shape[2:] and record["Attended values"].shape[1] == attention.inner
    with torch.inference_mode():
        projected = attention.proj(record["Attended values"].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.allclose(projected, record["Projection"], atol=1e-6)


def test_a_shifted_window_is_only_rolled():
    net, record = seen("ws/stem=patch2/width=32/heads=2/window=4", 1)
    with torch.inference_mode():
        attention = net.blocks[1].body
        projected = attention.proj(record["Attended values"].permute(0, 2, 3, 1)).roll((2, 2), (1, 2)).permute(0, 3, 1, 2)
    assert torch.allclose(projected, record["Projection"], atol=1e-6)


def test_tokens_become_maps_and_mixing_is_one_layer():
    _, record = seen("xt/stem=patch4/width=32", 1)
    assert list(record) == [GOING_IN, "LayerNorm", "Linear", "GELU", "Linear 2", COMING_OUT]
    assert [tuple(x.shape) for x in record.values()] == [(3, c, 8, 8) for c in (32, 32, 128, 128, 32, 32)]
    assert list(seen("xp/stem=patch4/width=32", 0)[1]) == [GOING_IN, "LayerNorm", "Mix", COMING_OUT]
    _, cls = seen("mt/stem=patch4/width=32/head=cls", 1)
    assert tuple(cls["GELU"].shape) == (3, 128, 8, 8)


def test_nothing_stays_behind_and_what_has_no_branch_is_refused():
    net = build(parse("wt-gw/stem=patch2/width=32,64"), 32, 10, seed=0).eval()
    with pytest.raises(MeasureError, match="patch merging"), probe_layers(net, 2):
        pass
    with pytest.raises(MeasureError, match="no unit 9"):
        layers(net, 9)
    with pytest.raises(ZeroDivisionError), probe_layers(net, 0):
        _ = 1 / 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
