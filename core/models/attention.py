"""Multi-head self-attention over the whole map, over windows, or over a K x K neighbourhood.

All forms take tokens of a map, (batch, height, width, channel), and differ only in which keys a query sees.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.spec import Unit


def relative_index(side: int) -> Tensor:
    """(side^2, side^2) index of the offset between two positions into a table of (2 side - 1)^2 rows."""
    axis = torch.arange(side)
    rows, columns = (a.flatten() for a in torch.meshgrid(axis, axis, indexing="ij"))
    dy, dx = rows[:, None] - rows[None, :] + side - 1, columns[:, None] - columns[None, :] + side - 1
    return dy * (2 * side - 1) + dx


def shift_mask(side: int, window: int) -> Tensor:
    """(windows, window^2, window^2) additive mask: -inf between tokens that were not neighbours before the roll."""
    shift = window // 2
    axis = torch.arange(side)
    zone = (axis >= side - window).int() + (axis >= side - shift).int()  # three bands a side
    zones = (3 * zone[:, None] + zone[None, :]).view(side // window, window, side // window, window)
    zones = zones.permute(0, 2, 1, 3).reshape(-1, window * window)
    return torch.zeros(len(zones), window**2, window**2).masked_fill(zones[:, :, None] != zones[:, None, :], float("-inf"))


def split(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, window^2, C)."""
    b, h, w, c = x.shape
    return x.view(b, h // window, window, w // window, window, c).transpose(2, 3).reshape(-1, window**2, c)


def join(x: Tensor, window: int, side: int) -> Tensor:
    """Inverse of `split`: (B * windows, window^2, C) -> (B, side, side, C)."""
    n = side // window
    return x.view(-1, n, n, window, window, x.shape[-1]).transpose(2, 3).reshape(-1, side, side, x.shape[-1])


class Attention(nn.Module):
    """Softmax attention of one unit; input and output (B, H, W, C), or (B, N, C) tokens when global.

    `inner` = heads x channels a head.  `shared` is AlterNet's form: one bias table for all heads (paper, Fig. 11).
    `attend` may be set to "plain" or "sdpa"; plain multiplies out, which is faster for bf16 training on CPUs and
    has a second derivative, SDPA is faster elsewhere.
    """

    def __init__(self, width: int, out: int, slot: Unit, *, dim_head: int, bias: bool, relative: bool, shared: bool) -> None:
        super().__init__()
        self.heads, self.inner = slot.heads, slot.heads * dim_head
        self.form, self.side, self.window, self.kernel = slot.form, slot.side, slot.window, slot.kernel
        self.scale = dim_head**-0.5
        self.qkv = nn.Linear(width, 3 * self.inner, bias=bias)
        self.proj = nn.Linear(self.inner, out)
        self.attend = "plain"
        offsets = slot.kernel**2 if slot.form == "local" else (2 * slot.window - 1) ** 2
        self.table = nn.Parameter(torch.zeros(offsets, 1 if shared else slot.heads)) if relative else None
        if relative and slot.form != "local":
            self.register_buffer("index", relative_index(slot.window), persistent=False)
        if slot.form == "shifted":
            self.register_buffer("mask", shift_mask(slot.side, slot.window), persistent=False)
        if slot.form == "local":
            pad = slot.kernel // 2
            inside = F.unfold(torch.ones(1, 1, slot.side, slot.side), slot.kernel, padding=pad)[0].T  # (N, K^2)
            self.register_buffer("mask", torch.zeros_like(inside).masked_fill(inside == 0, float("-inf")), persistent=False)

    def bias(self) -> Tensor | None:
        """(heads or 1, queries, keys) learned bias of relative positions, None without."""
        if self.table is None:
            return None
        if self.form == "local":
            return self.table.T[:, None, :]
        n = self.window**2
        return self.table[self.index.flatten()].view(n, n, -1).permute(2, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the unit's reach."""
        if self.form == "local":
            return self._local(x)
        if x.dim() == 3 or self.window == self.side:
            shape = x.shape
            tokens = x if x.dim() == 3 else x.flatten(1, 2)
            return self._dense(tokens, None).reshape(*shape[:-1], -1)
        shift = self.window // 2 if self.form == "shifted" else 0
        if shift:
            x = x.roll((-shift, -shift), (1, 2))
        y = join(self._dense(split(x, self.window), self.mask if shift else None), self.window, self.side)
        return y.roll((shift, shift), (1, 2)) if shift else y

    def _dense(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(groups, N, C): every token of a group attends to all tokens of its group."""
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)  # (groups, heads, N, channels a head)
        added = self.bias()
        if mask is not None:
            full = mask[:, None] if added is None else mask[:, None] + added.to(mask.dtype)[None]  # (windows, heads, N, N)
            added = full.repeat(b // len(mask), 1, 1, 1)
        if self.attend == "sdpa":
            if added is not None:
                added = added.to(q.dtype).expand(b, self.heads, n, n)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=self.scale)
        else:
            scores = (q * self.scale) @ k.transpose(-2, -1)
            if added is not None:
                scores = scores + added.to(scores.dtype)
            y = scores.softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, self.inner))

    def _local(self, x: Tensor) -> Tensor:
        """(B, H, W, C): each query sees its K x K neighbours; places outside the map are masked with -inf."""
        b, h, w, _ = x.shape
        n, k2 = h * w, self.kernel**2
        q, keys, values = self.qkv(x).chunk(3, -1)
        q = q.reshape(b, n, self.heads, 1, -1) * self.scale

        def near(t: Tensor) -> Tensor:  # (B, H, W, inner) -> (B, N, heads, K^2, channels a head)
            p = self.kernel // 2
            u = F.pad(t, (0, 0, p, p, p, p)).unfold(1, self.kernel, 1).unfold(2, self.kernel, 1)  # B H W inner K K
            return u.reshape(b, n, self.heads, -1, k2).transpose(-2, -1)

        scores = q @ near(keys).transpose(-2, -1) + self.mask.to(q.dtype)[None, :, None, None, :]
        if self.table is not None:
            scores = scores + self.bias()[None, None].to(scores.dtype)  # (1, 1, heads, 1, K^2)
        y = scores.softmax(-1) @ near(values)  # (B, N, heads, 1, d)
        return self.proj(y.reshape(b, h, w, self.inner))
