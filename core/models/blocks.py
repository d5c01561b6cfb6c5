"""The residual units, one small module a kind, and the stems.

The stream is a map (batch, channel, height, width) in channels_last memory, so that tokens are a free view of it.
Every residual unit is  skip + drop_path(body(pre(x))) ; a lesion leaves the skip.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.attention import Attention
from core.size import stem_hidden
from core.spec import Architecture, Unit


class Residual(nn.Module):
    """skip + body(pre(x)).  `off` lesions the unit: only the skip is left (a projection, where there is one).

    `tokens` units see the map as (B, H, W, C).  `drop` is the probability to leave out the branch for an image
    in training (stochastic depth; a kept branch is scaled up so that the mean stays).
    """

    def __init__(self, pre: nn.Module, body: nn.Module, *, project: nn.Module | None = None, tokens: bool, drop: float = 0.0) -> None:
        super().__init__()
        self.pre, self.body, self.project = pre, body, project
        self.tokens, self.drop, self.off = tokens, drop, False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), or (B, N, C) where a CLS token travels along."""
        view = x.permute(0, 2, 3, 1) if self.tokens and x.dim() == 4 else x
        seen = self.pre(view) if self.project is not None or not self.off else view
        skip = x if self.project is None else self.project(seen)
        if self.off:
            return skip
        branch = self.body(seen)
        if view is not x:
            branch = branch.permute(0, 3, 1, 2)
        if self.drop and self.training:
            keep = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.drop
            branch = branch * (keep.to(branch.dtype) / (1 - self.drop))
        return skip + branch


class Merge(nn.Module):
    """Patch merging (Swin): 2x2 neighbours side by side, LayerNorm, linear.  No residual branch, no lesion."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * width_in), nn.Linear(4 * width_in, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H/2, W/2)."""
        b, c, h, w = x.shape
        t = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(b, h // 2, w // 2, 4 * c)
        return self.linear(self.norm(t)).permute(0, 3, 1, 2)


class Mix(nn.Module):
    """Mixer's token MLP: two learned position-by-position matrices, the same for every channel and every image."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(positions, positions), nn.Linear(positions, positions)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> same."""
        t = x.flatten(1, 2).transpose(1, 2)
        return self.out(F.gelu(self.into(t))).transpose(1, 2).reshape(x.shape)


class Blur(nn.Module):
    """Mean over 3x3 neighbours minus the position itself: what a residual pool unit adds.  Nothing is learned."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> same."""
        m = x.permute(0, 3, 1, 2)
        return (F.avg_pool2d(m, 3, 1, 1, count_include_pad=False) - m).permute(0, 2, 3, 1)


class OnTokens(nn.Module):
    """Runs a token module on a map: (B, C, H, W) in and out."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Permute, run, permute back; free in channels_last."""
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def conv(cin: int, cout: int, k: int = 1, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution padded to keep the map's side at stride 1."""
    return nn.Conv2d(cin, cout, k, stride, k // 2, groups=groups, bias=bias)


def make_unit(arch: Architecture, u: Unit, drop: float) -> nn.Module:
    """The module of one unit of the layout."""
    c, cin = u.width, u.width_in
    if u.kind == "conv":
        project = conv(cin, c, 1, u.stride) if u.resampling else None
        return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), _conv_body(u), project=project, tokens=False, drop=drop)
    if u.kind == "merge":
        return Merge(cin, c)
    if u.kind == "msa" and arch.msa == "bottleneck":
        w = c // 4
        attention = Attention(w, c, u, dim_head=arch.dim_head or w // u.heads, bias=arch.bias, relative=arch.pos == "rel", shared=True)
        body = nn.Sequential(conv(c, w), nn.BatchNorm2d(w), OnTokens(attention))
        return Residual(nn.Sequential(nn.BatchNorm2d(c), nn.GELU()), body, tokens=False, drop=drop)
    if u.kind == "msa":
        body = Attention(c, c, u, dim_head=arch.dim_head or c // u.heads, bias=arch.bias, relative=arch.pos == "rel", shared=False)
    elif u.kind == "mlp":
        body = nn.Sequential(nn.Linear(c, arch.mlp * c), nn.GELU(), nn.Linear(arch.mlp * c, c))
    elif u.kind == "mix":
        body = Mix(u.side**2)
    else:
        body = Blur()
    return Residual(nn.LayerNorm(c, elementwise_affine=u.kind != "pool"), body, tokens=True, drop=drop)


def _conv_body(u: Unit) -> nn.Module:
    c, cin, w = u.width, u.width_in, u.width // 4
    if u.form == "basic":
        return nn.Sequential(conv(cin, c, 3, u.stride), nn.BatchNorm2d(c), nn.ReLU(), conv(c, c, 3))
    if u.form == "bottleneck":
        return nn.Sequential(
            conv(cin, w), nn.BatchNorm2d(w), nn.ReLU(), conv(w, w, 3, u.stride), nn.BatchNorm2d(w), nn.ReLU(), conv(w, c)
        )  # fmt: skip
    return nn.Sequential(conv(cin, cin, u.kernel, u.stride, groups=cin), nn.BatchNorm2d(cin), nn.ReLU(), conv(cin, c))


def make_stem(arch: Architecture) -> nn.Module:
    """Pixels (B, 3, H, W) to the first map; no norm or activation after it (the units are pre-activation)."""
    width = arch.first_width
    if arch.stem.startswith("patch"):
        p = int(arch.stem.removeprefix("patch"))
        return nn.Conv2d(3, width, p, p)
    if arch.stem == "conv2":
        hidden = stem_hidden(width)
        return nn.Sequential(conv(3, hidden, 3, 2), nn.BatchNorm2d(hidden), nn.ReLU(), conv(hidden, width, 3, 2, bias=True))
    if arch.stem == "conv7":
        return nn.Sequential(conv(3, width, 7, 2), nn.MaxPool2d(3, 2, 1))
    return conv(3, width, 3, 1 if arch.stem == "conv3" else 2)
