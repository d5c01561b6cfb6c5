"""From a spec to a module."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.blocks import make_stem, make_unit
from core.outline import Outline
from core.spec import STEMS, Architecture, Unit, layout


class Net(nn.Module):
    """Stem, units, classifier.  `blocks[i]` is the module of `units[i]`.

    A net with conv units ends in BN-ReLU, as pre-activation ResNet; one without ends in LayerNorm, as ViT.
    """

    def __init__(self, arch: Architecture, image_size: int, classes: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.arch, self.image_size, self.classes = arch, image_size, classes
        self.units: list[Unit] = [u for u in layout(arch, image_size) if u.kind != "none"]
        side, first, last = image_size // STEMS[arch.stem].stride, arch.first_width, arch.stages[-1].width
        self.stem = make_stem(arch)
        with_cls = arch.head == "cls"
        self.cls = nn.Parameter(torch.randn(1, 1, first) * 0.02) if with_cls else None
        self.pos = nn.Parameter(torch.randn(1, side**2 + with_cls, first) * 0.02) if arch.pos == "abs" else None
        self.blocks = nn.ModuleList(make_unit(arch, u, drop_path * u.depth) for u in self.units)
        self.by_map = any(u.kind == "conv" for u in self.units)
        self.norm = nn.BatchNorm2d(last) if self.by_map else nn.LayerNorm(last)
        self.head = nn.Linear(last, classes)

    def embed(self, x: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) to the stream before the first unit: (B, C, h, w), or (B, 1 + N, C) with CLS."""
        x = self.stem(x)
        side = x.shape[-1]
        if self.cls is not None:
            tokens = torch.cat([self.cls.to(x.dtype).expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
            return tokens if self.pos is None else tokens + self.pos.to(x.dtype)
        if self.pos is None:
            return x
        # cast: adding the fp32 table to a bf16 stem would make the whole stream fp32
        return x + self.pos.to(x.dtype).view(1, side, side, -1).permute(0, 3, 1, 2)

    def classify(self, x: Tensor) -> Tensor:
        """The stream after the last unit to logits (B, classes)."""
        if self.by_map:
            return self.head(F.relu(self.norm(x)).mean((2, 3)))
        if x.dim() == 4:
            return self.head(self.norm(x.permute(0, 2, 3, 1)).mean((1, 2)))
        return self.head(self.norm(x[:, 0]))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W) to logits (B, classes)."""
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.classify(x)

    def attend(self, how: str) -> "Net":
        """Choose how attention is computed ("plain" or "sdpa") and return self; same values, other speed."""
        from core.models.attention import Attention

        for module in self.modules():
            if isinstance(module, Attention):
                module.attend = how
        return self


def build(arch: Architecture | Outline, image_size: int, classes: int, drop_path: float = 0.0, seed: int | None = None) -> Net:
    """A freshly initialised net (PyTorch's default init, as the paper's; position tables N(0, 0.02^2)).

    With a seed the weights are the same on every machine, and the caller's random state is left alone.  An imported net is built by timm.
    """
    if isinstance(arch, Outline):
        from core.models.timm_zoo import rebuild

        return rebuild(arch, classes)
    if seed is None:
        return Net(arch, image_size, classes, drop_path).to(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(arch, image_size, classes, drop_path).to(memory_format=torch.channels_last)
