"""The paper's four nets at 32x32, and files of weights in the layout that its authors released."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.errors import StoreError
from core.models import timm_zoo
from core.models.zoo.published import PUBLISHED, recognised


def released(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Today's weights under the names of the released files, written down from the nets that those were saved from."""
    if name == "paper-resnet-50":
        found = {}
        for word, value in state.items():
            first, _, rest = word.partition(".")
            if first in ("conv1", "bn1"):
                word = f"layer0.{0 if first == 'conv1' else 1}.{rest}"
            elif first == "fc":
                word = f"classifier.0.dense.{rest}"
            found[word.replace("downsample", "shortcut")] = value
        return found
    if name == "paper-swin-ti":
        found = {}
        for word, value in state.items():
            if match := re.fullmatch(r"layers\.(\d)\.downsample\.(.*)", word):
                word = f"layers.{int(match[1]) - 1}.downsample.{match[2]}"
            found[word.replace("head.fc.", "head.")] = value
        found["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 16, 16)
        found["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
        return found
    if name == "paper-pit-ti":
        return {re.sub(r"transformers\.(\d)\.pool", lambda m: f"transformers.{int(m[1]) - 1}.pool", w): v for w, v in state.items()}
    return dict(state)


@pytest.mark.parametrize(
    ("name", "units", "sides", "millions"),
    [
        ("paper-resnet-50", {"conv": 16}, [32, 16, 8, 4], 23.71),
        ("paper-vit-ti", {"msa": 12, "mlp": 12}, [16], 5.40),
        ("paper-pit-ti", {"msa": 12, "mlp": 12, "merge": 2}, [31, 16, 8], 4.58),
        ("paper-swin-ti", {"msa": 12, "mlp": 12, "merge": 3}, [32, 16, 8, 4], 27.56),
    ],
)
def test_the_papers_nets_have_its_settings(name: str, units: dict, sides: list[int], millions: float) -> None:
    net = timm_zoo.build(name, image_size=32, classes=100)
    assert net.level == "units" and {kind: sum(u.kind == kind for u in net.units) for kind in units} == units
    assert list(dict.fromkeys(u.side for u in net.units)) == sides
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions
    if name == "paper-vit-ti":
        assert net.model.blocks[0].attn.qkv.bias is None and net.units[0].heads == 3 and net.prefix == 1
    if name == "paper-swin-ti":
        last = [u for u in net.units if u.kind == "msa" and u.stage == 4]
        assert [u.form for u in last] == ["windowed", "windowed"], "a window as large as the map has no shift"
        assert net.units[0].window == 4 and net.model.layers[0].blocks[0].attn.qkv.bias is None


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_files_are_read(tmp_path: Path, name: str, prefix: str) -> None:
    torch.manual_seed(1)
    there = PUBLISHED[name].make(100, 3).eval()
    path = tmp_path / f"{PUBLISHED[name].file}_0123456789.pth.tar"
    stored = {f"{prefix}{word}": value for word, value in released(name, there.state_dict()).items()}
    torch.save({"name": name, "state_dict": stored}, path)
    assert recognised(path.name) == name
    net = timm_zoo.build(name, image_size=32, classes=100, weights=path)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = there(x)
        assert float((net(x) - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    assert net.source["key"] == "state_dict" and net.source["left"] == ["name"] and net.source["fresh"] == []


def test_a_file_of_another_of_the_nets_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": PUBLISHED["paper-pit-ti"].make(100, 3).state_dict()}, tmp_path / "w.pth.tar")
    with pytest.raises(StoreError, match="do not fit the net"):
        timm_zoo.build("paper-vit-ti", image_size=32, classes=100, weights=tmp_path / "w.pth.tar")
    assert recognised("some_other.pth.tar") == ""


def test_published_weights_of_the_paper_are_not_fetched() -> None:
    with pytest.raises(StoreError, match=r"get the authors' file vit_ti_cifar100_….pth.tar"):
        timm_zoo.build("paper-vit-ti", image_size=32, classes=100, pretrained=True)


def test_swin_files_of_before_the_merging_moved_are_translated(tmp_path: Path) -> None:
    """timm's own translation, for any Swin by name."""
    import timm

    model = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, num_classes=5).eval()
    torch.save({"model": released("paper-swin-ti", model.state_dict())}, tmp_path / "swin.pth")
    net = timm_zoo.build("swin_tiny_patch4_window7_224", image_size=56, classes=5, weights=tmp_path / "swin.pth")
    x = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        assert torch.allclose(net(x), model(x), atol=1e-5)
