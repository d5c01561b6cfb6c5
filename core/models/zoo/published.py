"""The paper's nets for 32x32 images, as timm builds them, and the names of their weights in the files that the authors released.

Source: paper, §4 and Appendix A.1; settings of the released CIFAR-100 checkpoints.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Published:
    """One net of the paper: `make(classes, channels)` builds it; `rename` gives the released weights the names that they have here.

    `file` begins the name of the released file; `mean` and `std` are what its images were normalised with.
    """

    make: Callable[[int, int], nn.Module]
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    file: str
    image_size: int = 32
    mean: tuple[float, float, float] = (0.5071, 0.4867, 0.4408)
    std: tuple[float, float, float] = (0.2675, 0.2565, 0.2761)


def _resnet(classes: int, channels: int) -> nn.Module:
    from timm.models.resnet import Bottleneck, ResNet

    net = ResNet(Bottleneck, (3, 4, 6, 3), num_classes=classes, in_chans=channels)
    net.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)  # the stem for small images: full resolution, no pooling
    net.maxpool = nn.Identity()
    return net


def _vit(classes: int, channels: int) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        num_classes=classes, in_chans=channels, img_size=32, patch_size=2, embed_dim=192, depth=12, num_heads=3, qkv_bias=False
    )


def _pit(classes: int, channels: int) -> nn.Module:
    from timm.models.pit import PoolingVisionTransformer

    sizes: dict[str, Any] = {"base_dims": [32, 32, 32], "depth": [2, 6, 4], "heads": [2, 4, 8], "mlp_ratio": 4}
    return PoolingVisionTransformer(num_classes=classes, in_chans=channels, img_size=32, patch_size=2, stride=1, **sizes)


def _swin(classes: int, channels: int) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        num_classes=classes, in_chans=channels, img_size=32, patch_size=1, window_size=4, embed_dim=96, depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24), qkv_bias=False,
    )  # fmt: skip


def _resnet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stem in layer0, projections called shortcut, and the head a classifier with a pooling before it."""
    swaps = (
        (r"^layer0\.0\.", "conv1."), (r"^layer0\.1\.", "bn1."), (r"\.shortcut\.", ".downsample."), (r"^classifier\.0\.dense\.", "fc."),
    )  # fmt: skip
    found = {}
    for name, value in state.items():
        for old, new in swaps:
            name = re.sub(old, new, name)
        found[name] = value
    return found


def _same(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(state)


def _pit_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A pooling belonged to the stage before it."""
    if not any(name.startswith("transformers.0.pool.") for name in state):
        return dict(state)
    return {re.sub(r"^transformers\.(\d+)\.pool\.", lambda m: f"transformers.{int(m[1]) + 1}.pool.", name): v for name, v in state.items()}


def _swin_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A patch merging belonged to the stage before it, the head had no pooling, and masks that follow from the sizes were stored."""
    state = {name: value for name, value in state.items() if not name.endswith(("attn_mask", "relative_position_index"))}
    if not any(name.startswith("layers.0.downsample.") for name in state):
        return state
    found = {re.sub(r"^layers\.(\d+)\.downsample\.", lambda m: f"layers.{int(m[1]) + 1}.downsample.", name): v for name, v in state.items()}
    return {re.sub(r"^head\.(weight|bias)$", r"head.fc.\1", name): value for name, value in found.items()}


PUBLISHED: dict[str, Published] = {
    "paper-resnet-50": Published(make=_resnet, rename=_resnet_names, file="resnet_50_cifar100"),
    "paper-vit-ti": Published(make=_vit, rename=_same, file="vit_ti_cifar100"),
    "paper-pit-ti": Published(make=_pit, rename=_pit_names, file="pit_ti_cifar100"),
    "paper-swin-ti": Published(make=_swin, rename=_swin_names, file="swin_ti_cifar100"),
}


def recognised(file: str) -> str:
    """Which of the paper's nets a released file belongs to, by the file's name; "" for any other file."""
    return next((name for name, net in PUBLISHED.items() if file.lower().startswith(net.file)), "")
