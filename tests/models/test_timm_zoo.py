"""Nets of timm as units: the same answers, every branch found, weights under their own names, attention read rightly."""

import copy
import json
import os
import re
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from core.errors import MeasureError, SpecError, StoreError
from core.models import Kept, layers, lesion, probe, probe_layers, refusal, sweep, timm_zoo
from core.models.looks import attentions, looks
from core.models.zoo import nets
from core.models.zoo.net import read
from core.spec import Unit
from tests.models import zoo_table


def made(name: str, size: int = 64) -> timm_zoo.ZooNet:
    return zoo_table.built(name, size)


def pictures(size: int, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(3))


def close(a: torch.Tensor, b: torch.Tensor, by: float = 1e-5) -> bool:
    return float((a - b).abs().max()) <= by * float(b.abs().max())


# ---- names


def test_names_are_those_of_timm_and_nothing_is_built_for_them() -> None:
    assert set(timm_zoo.names()) == {*timm.list_models(), *timm_zoo.PUBLISHED}
    assert timm_zoo.names("convnext_at") == [
        "convnext_atto",
        "convnext_atto_ols",
        "convnext_atto_rms",
    ] or "convnext_atto" in timm_zoo.names("convnext_at")
    assert timm_zoo.names("resnet5?") == [name for name in timm_zoo.names() if re.fullmatch("resnet5.", name)] != []
    assert timm_zoo.names("no such net") == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "resnet500"}, "There is no net 'resnet500' in timm. Did you mean"),
        ({"image_size": 4}, "The image size is 4"),
        ({"classes": 1}, "The number of classes is 1"),
        ({"channels": 0}, "The number of channels is 0"),
        ({"name": "halonet26t", "image_size": 64}, r"halonet26t cannot be built for images of 64 pixels .* made for 256 pixels"),
        ({"name": "paper-vit-ti", "image_size": 64}, "takes images of 32 pixels"),
        ({"name": "test_vit.nobody_in1k"}, "test_vit has no published weights called 'nobody_in1k'; those that it has are r160_in1k"),
    ],
)
def test_what_cannot_be_built_is_said(more: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        timm_zoo.build(**{"name": "resnet18", "image_size": 64, "classes": 10, **more})


def test_weights_that_cannot_be_fetched_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_args: object, **_more: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(StoreError, match=r"could not be fetched .*give a file"):
        timm_zoo.build("resnet18", image_size=64, classes=1000, pretrained=True)


# ---- the same net


@pytest.mark.parametrize("model", zoo_table.QUICK)
def test_a_family_is_read_as_the_table_says(model: str) -> None:
    family, _, size = next(found for found in zoo_table.everything() if found[1] == model)
    assert f"| {' | '.join(zoo_table.row(family, model, size))} |" in zoo_table.DOCS.read_text()


def test_the_table_names_forty_nets_and_thirty_are_read_into_units() -> None:
    lines = [line for line in zoo_table.DOCS.read_text().splitlines() if line.startswith("| ") and "`" in line]
    assert len(lines) == len(zoo_table.everything()) >= 40
    assert sum("whole blocks" not in line and "| none |" not in line for line in lines) >= 30


@pytest.mark.skipif(not os.environ.get("ALTERLAB_TEST_TIMM"), reason="builds sixty nets, seven minutes; `make test-timm` does it")
@pytest.mark.timeout(1800)
def test_the_whole_table_is_true() -> None:
    """Builds and measures every net of docs/timm.md; ALTERLAB_WRITE_DOCS=1 writes it anew."""
    text = zoo_table.table([zoo_table.row(*found) for found in zoo_table.everything()])
    if os.environ.get("ALTERLAB_WRITE_DOCS"):
        zoo_table.DOCS.write_text(text)
    assert zoo_table.DOCS.read_text() == text


def test_weights_keep_their_names_and_stand_once() -> None:
    net = made("resnet18")
    assert list(net.state_dict()) == [f"model.{name}" for name in net.model.state_dict()]
    assert [name for name, _ in net.named_parameters()] == [f"model.{name}" for name, _ in net.model.named_parameters()]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "densenet121"])
def test_a_copy_is_whole_and_its_own(name: str) -> None:
    net, x = made(name), pictures(64)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        before = net(x)
        assert torch.equal(twin(x), before)
        for p in twin.parameters():
            p.mul_(1.1)
        assert not close(twin(x), before, 1e-3) and torch.equal(net(x), before)
        with probe(twin) as taps:
            twin(x)
    assert len(taps) == len(twin.units)
    if twin.level == "units":
        with torch.no_grad(), lesion(twin, [0]):
            assert torch.equal(net(x), before)


@pytest.mark.parametrize("name", ["coatnet_nano_rw_224", "botnet26t_256", "resnet18", "densenet121"])
def test_pictures_in_channels_last_memory_give_the_same(name: str) -> None:
    net, x = made(name), pictures(64)
    with torch.no_grad():
        assert close(net(x.contiguous(memory_format=torch.channels_last)), net(x))


def test_reading_leaves_weights_mode_and_random_numbers_alone() -> None:
    torch.manual_seed(5)
    model = timm.create_model("convnext_atto", num_classes=10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    net = read(model, 64)
    assert torch.equal(torch.get_rng_state(), state) and not net.training and net.classes == 10
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ---- units


def test_units_say_where_they_stand() -> None:
    net = made("swin_tiny_patch4_window7_224", 56)
    assert [(u.stage, u.index, u.letter, u.side, u.width) for u in net.units][:6] == [
        (1, 1, "w", 14, 96), (1, 2, "t", 14, 96), (1, 3, "s", 14, 96), (1, 4, "t", 14, 96), (2, 1, "g", 7, 192), (2, 2, "w", 7, 192),
    ]  # fmt: skip
    merge, first = net.units[4], net.units[0]
    assert merge.resampling and merge.stride == 2 and merge.width_in == 96 and not first.resampling
    assert (first.heads, first.window, net.units[-1].depth, net.prefix) == (3, 7, 1.0, 0)


def test_kinds_of_convolution_are_told_apart() -> None:
    kinds = {name: [(u.form, u.kernel) for u in made(name).units if u.kind == "conv"] for name in ("resnet50", "resnet18", "convnext_atto")}
    assert kinds["resnet50"][:2] == [("bottleneck", 3)] * 2 and kinds["resnet18"][0] == ("basic", 3)
    assert kinds["convnext_atto"][0] == ("depthwise", 7)
    plain = [u for u in made("mobilenetv3_small_050").units if u.form == "plain"]
    assert plain and all("no path around" in refusal(u) for u in plain)


def test_a_unit_switched_off_is_the_net_without_that_branch() -> None:
    net, x = made("vit_tiny_patch16_224"), pictures(64)
    by_hand = copy.deepcopy(net.model)
    with torch.no_grad():
        by_hand.blocks[3].attn.proj.weight.zero_()
        by_hand.blocks[3].attn.proj.bias.zero_()
        with lesion(net, [6]):
            off = net(x)
        assert close(off, by_hand(x)) and not close(off, net(x), 1e-3)


def test_a_bottleneck_without_its_3x3_is_the_net_without_that_layer() -> None:
    net, x = made("resnet50"), pictures(64)
    by_hand = copy.deepcopy(net.model)
    by_hand.layer1[1].conv2, by_hand.layer1[1].bn2, by_hand.layer1[1].act2 = nn.Identity(), nn.Identity(), nn.Identity()
    with torch.no_grad():
        whole = net(x)
        with lesion(net, [1], "3x3"):
            assert close(net(x), by_hand(x)) and not close(net(x), whole, 1e-3)
        assert torch.equal(net(x), whole)
    strided = next(u for u in net.units if u.stride == 2)
    assert "no 3x3" in refusal(strided, "3x3") and refusal(strided) == ""


@pytest.mark.parametrize("name", ["resnet18", "pit_ti_224", "caformer_s18", "resnetv2_50"])
def test_a_sweep_and_what_is_kept_say_the_same_as_one_lesion_at_a_time(name: str) -> None:
    net, x = made(name), pictures(64)
    able = [i for i, unit in enumerate(net.units) if not refusal(unit)][:5]
    rows, kept = sweep(net, x, able), Kept(net, x)
    with torch.no_grad():
        for i, found in zip(able, rows[1:], strict=True):
            with lesion(net, [i]):
                alone = net(x)
            assert close(found, alone) and close(kept.logits([i]), alone)


def test_a_probe_sees_what_the_blocks_of_the_net_give() -> None:
    for name, size, blocks, prefix in (
        ("vit_small_patch14_reg4_dinov2", 56, lambda m: list(m.blocks), 5),
        ("swin_tiny_patch4_window7_224", 56, lambda m: [b for s in m.layers for b in s.blocks], None),
        ("resnet18", 64, lambda m: [b for s in (m.layer1, m.layer2, m.layer3, m.layer4) for b in s], None),
    ):
        net, seen = made(name, size), []
        handles = [b.register_forward_hook(lambda _m, _a, out, seen=seen: seen.append(out)) for b in blocks(net.model)]
        with torch.no_grad(), probe(net) as taps:
            net.model(pictures(size))
            for handle in handles:
                handle.remove()
            net(pictures(size))
        ends = [i for i, u in enumerate(net.units) if u.kind == "mlp"] or list(range(len(net.units)))
        assert len(ends) == len(seen)
        for i, out in zip(ends, seen, strict=True):
            if prefix is not None:
                side = net.units[i].side
                out = out[:, prefix:].transpose(1, 2).unflatten(2, (side, side))
            elif name.startswith("swin"):
                out = out.permute(0, 3, 1, 2)
            assert close(taps[i], out)


def test_a_branch_is_what_the_unit_adds() -> None:
    net = made("swin_tiny_patch4_window7_224", 56)
    with torch.no_grad(), probe(net) as outs:
        net(pictures(56))
    with torch.no_grad(), probe(net, "branch") as adds:
        net(pictures(56))
    assert close(adds[1], outs[1] - outs[0], 1e-4) and 4 not in adds.maps


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "resnet18", "swin_tiny_patch4_window7_224", "coatnet_nano_rw_224", "nextvit_small"]
)
def test_layers_inside_units_hand_on_maps(name: str) -> None:
    net = made(name)
    for place, unit in list(enumerate(net.units))[:6]:
        if unit.kind == "merge":
            with pytest.raises(MeasureError, match="patch merging"):
                layers(net, place)
            continue
        named = layers(net, place)
        with torch.no_grad(), probe_layers(net, place) as seen:
            net(pictures(64))
        assert len(named) >= 2 and len({word for word, _ in named}) == len(named)
        assert all(m is not None and m.dim() == 4 and m.shape[2] == m.shape[3] for m in seen.values()), (
            unit.id,
            [k for k, v in seen.items()],
        )


# ---- attention


SEEN = {"vit_tiny_patch16_224": 64, "vit_small_patch14_reg4_dinov2": 56, "swin_tiny_patch4_window7_224": 56, "swinv2_tiny_window8_256": 64,
        "maxvit_pico_rw_256": 64, "coatnet_nano_rw_224": 64, "botnet26t_256": 64, "halonet26t": 256, "caformer_s18": 64,
        "eva02_tiny_patch14_224": 56, "pit_ti_distilled_224": 64, "nextvit_small": 64}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["vit_small_patch14_reg4_dinov2", "swin_tiny_patch4_window7_224", "maxvit_pico_rw_256", "halonet26t", "nextvit_small"]
)
def test_attention_weights_lie_on_the_map_and_add_up_to_one(name: str) -> None:
    net = made(name, SEEN[name])
    readable = attentions(net)
    with torch.no_grad(), looks(net) as seen:
        net(pictures(SEEN[name], 1))
    assert seen.keys() == readable.keys() != set()
    for place, weights in seen.items():
        unit = net.units[place]
        n = unit.side**2 + (net.prefix > 0)
        assert weights.shape == (1, unit.heads, n, n) and close(weights.sum(-1), torch.ones(()), 1e-4) and float(weights.min()) >= 0
        alike = readable[place].uniform()
        assert alike.shape == (unit.side**2,) * 2 and close(alike.sum(-1), torch.ones(()), 1e-4)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "maxvit_pico_rw_256", "halonet26t"])
def test_a_position_feels_just_those_it_is_said_to_see(name: str) -> None:
    """Change one position going in: what comes out of the attention changes just where its weight is not zero."""
    net = made(name, SEEN[name])
    units = [place for place in attentions(net) if net.units[place].form in ("shifted", "windowed", "grid") and net.units[place].side > 4][
        :4
    ]
    assert units
    for place in units:
        body, unit = net.blocks[place].body, net.units[place]
        spot = (unit.side // 2 - 1, unit.side - 1)
        shape = (
            (1, unit.side, unit.side, unit.width)
            if net.blocks[place].coming_out.form == "last"
            else (1, unit.width_in, unit.side, unit.side)
        )
        x = torch.randn(shape, generator=torch.Generator().manual_seed(7))
        other = x.clone()
        (other[0, *spot] if shape[1] == unit.side else other[0, :, *spot]).add_(
            torch.randn(shape[-1] if shape[1] == unit.side else shape[1])
        )
        with torch.no_grad():
            change = net.blocks[place].as_map((body(other) - body(x)).abs())[0].amax(0).flatten()
            weights = body.weights(x)[0].amax(0)[:, spot[0] * unit.side + spot[1]]
        felt = change > 1e-6 * change.max()
        assert torch.equal(felt, weights > 1e-12), (unit.id, unit.form)
        assert torch.equal(felt, body.uniform()[:, spot[0] * unit.side + spot[1]] > 0)


def test_weights_give_what_the_attention_gives() -> None:
    net = made("vit_tiny_patch16_224")
    attention = net.model.blocks[2].attn
    with torch.no_grad(), looks(net, only=4) as seen:
        stream = net.embed(pictures(64))
        for block in net.blocks[:4]:
            stream = block(stream)
        net.blocks[4](stream)
        tokens = net.model.blocks[2].norm1(stream)
        values = attention.qkv(tokens).view(2, -1, 3, 3, 64)[:, :, 2].transpose(1, 2)
        assert close(attention.proj((seen[4] @ values).transpose(1, 2).reshape(2, -1, 192)), attention(tokens))


def test_looking_and_writing_out_attention_leave_it_fused() -> None:
    net, x = made("vit_tiny_patch16_224"), pictures(64)
    fused = [m.fused_attn for m in net.modules() if hasattr(m, "fused_attn")]
    with torch.no_grad():
        whole = net(x)
        assert close(net.attend("plain")(x), whole) and not any(m.fused_attn for m in net.modules() if hasattr(m, "fused_attn"))
        net.attend("sdpa")
        with looks(net):
            net(x)
    assert [m.fused_attn for m in net.modules() if hasattr(m, "fused_attn")] == fused


def test_nets_without_readable_attention_say_so() -> None:
    with pytest.raises(MeasureError, match="This net has no MSA unit"), looks(made("resnet18")):
        pass
    with pytest.raises(MeasureError, match="cannot be read"), looks(made("mobilenetv4_hybrid_medium")):
        pass


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "densenet121"])
def test_a_net_in_bf16_answers_in_fp32_after_its_last_unit(name: str) -> None:
    net, x = made(name), pictures(64)
    with torch.no_grad():
        whole = net(x)
        quick = copy.deepcopy(net).bfloat16()
        for part in (quick.norm, quick.head, *(m for m in quick.modules() if isinstance(m, nn.BatchNorm2d))):
            part.float()
        if net.level == "units":
            quick.norm.register_forward_pre_hook(lambda _module, args: (args[0].float(),))
            assert {str(p.dtype) for p in quick.parameters()} == {"torch.bfloat16", "torch.float32"}
        else:
            quick.bfloat16()
        found = quick(x.bfloat16())
    assert found.dtype == (torch.float32 if net.level == "units" else torch.bfloat16) and close(found.float(), whole, 0.1)


# ---- nets that are not taken apart


def test_whole_blocks_are_seen_but_not_switched_off() -> None:
    net, x = made("densenet121"), pictures(64)
    assert net.level == "blocks" and "cannot be taken apart" in net.why and "outputs of whole blocks" in net.why
    with torch.no_grad(), probe(net) as taps:
        net(x)
        assert len(taps) == 4 and close(taps[0], net.model.features[:4](x)) and close(taps[3], net.model.features[:-1](x))
    assert all("whole block" in refusal(unit) for unit in net.units)
    with pytest.raises(MeasureError, match="whole block"), lesion(net, [0]):
        pass
    assert close(sweep(net, x, [])[0], net(x).detach()) and close(Kept(net, x).logits([]), net(x).detach())


def test_a_net_that_shows_nothing_says_why() -> None:
    net = made("mvitv2_tiny")
    assert net.level == "logits" and net.units == [] and "What can be measured are its answers." in net.why
    with pytest.raises(MeasureError, match="cannot be taken apart"), probe(net):
        pass


def test_units_that_do_not_add_up_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: nn.Module):
        plan = nets.resnet(model)
        plan.pieces[2].after = ()
        return plan

    monkeypatch.setitem(nets.FAMILIES, "ResNet", wrong)
    net = read(timm.create_model("resnet18", num_classes=10), 64)
    assert net.level == "blocks" and "do not add up" in net.why


def test_a_branch_that_starts_at_zero_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swin v2 starts with branches of zero: a reader that loses one would go unseen on such weights."""

    def wrong(model: nn.Module):
        plan = nets.swin(model)
        plan.pieces[0].branch = plan.pieces[1].branch
        return plan

    monkeypatch.setitem(nets.FAMILIES, "SwinTransformerV2", wrong)
    model = timm.create_model("swinv2_tiny_window8_256", img_size=64, num_classes=10)
    with torch.no_grad():
        for stage in model.layers:
            for block in stage.blocks:
                for norm in (block.norm1, block.norm2):
                    norm.weight.zero_()
                    norm.bias.zero_()
    assert read(model, 64).level != "units"


def test_a_net_of_another_library_is_not_guessed_at() -> None:
    net = read(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 14 * 14, 4)), 16)
    assert net.level == "logits" and "Sequential" in net.why and net.classes == 4
    net = read(nn.Conv2d(3, 8, 3), 16)
    assert net.level == "logits" and "one row of class scores" in net.why


# ---- what a run stores


@pytest.mark.parametrize("name", ["pit_ti_distilled_224", "densenet121"])
def test_a_net_is_told_as_json(name: str) -> None:
    net = made(name)
    told = json.loads(json.dumps(timm_zoo.describe(net)))
    assert [Unit(**unit) for unit in told["units"]] == net.units and told["level"] == net.level and told["why"] == net.why
    assert (
        told["params"] == sum(p.numel() for p in net.model.parameters()) and told["flops"] > told["params"] and told["prefix"] == net.prefix
    )
    assert told["family"] == {"pit_ti_distilled_224": "msa", "densenet121": "conv"}[name]


def test_a_net_takes_the_weights_of_a_file(tmp_path: Path) -> None:
    model = timm.create_model("convnext_atto", num_classes=7).eval()
    torch.save({"state_dict": {f"module.{n}": v for n, v in model.state_dict().items()}, "epoch": 1}, tmp_path / "c.pth.tar")
    net = timm_zoo.build("convnext_atto", image_size=64, classes=7, weights=tmp_path / "c.pth.tar")
    with torch.no_grad():
        assert close(net(pictures(64)), model(pictures(64)))
    assert (
        net.source["kind"] == "file"
        and net.source["key"] == "state_dict"
        and len(net.source["digest"]) == 16
        and net.source["left"] == ["epoch"]
    )
    with pytest.raises(StoreError, match=r"c\.pth\.tar do not fit the net\. 2 of another size: head\.fc\.weight 7×320, the net has 9×320"):
        timm_zoo.build("convnext_atto", image_size=64, classes=9, weights=tmp_path / "c.pth.tar")
    net = timm_zoo.build("convnext_atto", image_size=64, classes=9, weights=tmp_path / "c.pth.tar", new_head=True)
    assert net.source["fresh"] == ["head.fc.weight", "head.fc.bias"] and torch.equal(net.model.stem[0].weight, model.stem[0].weight)
    with pytest.raises(StoreError, match="missing in the file"):
        timm_zoo.build("resnet18", image_size=64, classes=7, weights=tmp_path / "c.pth.tar")
