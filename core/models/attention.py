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
        tokens, mask = self._groups(x)
        y = self._dense(tokens, mask)
        if self._whole:
            return y.reshape(*x.shape[:-1], -1)
        y = join(y, self.window, self.side)
        return y.roll((self.window // 2,) * 2, (1, 2)) if mask is not None else y

    def weights(self, x: Tensor) -> Tensor:
        """(batch, heads, N, N): how much of each position (column) goes into each position (row) of the whole map.

        Rows add up to one; what a position cannot see is 0.  With a CLS token, which comes first, N is the positions and one.
        """
        if self.form == "local":
            scores, _ = self._near_scores(x)
            return self._on_map(scores.softmax(-1).squeeze(3).transpose(1, 2))
        tokens, mask = self._groups(x)
        q, k, _ = self._heads(tokens)
        return self._on_map(self._scores(q, k, self._added(len(tokens), mask)).softmax(-1))

    def uniform(self) -> Tensor:
        """(N, N): the weights of a unit of the same reach that looks at all it can see alike; without CLS."""
        if self.form == "local":
            return self._on_map(self.mask.softmax(-1)[None, None])[0, 0]
        n, groups = self.window**2, (self.side // self.window) ** 2
        mask = self.mask if self.form == "shifted" else self.proj.weight.new_zeros(groups, n, n)
        return self._on_map(mask.softmax(-1)[:, None])[0, 0]

    @property
    def _whole(self) -> bool:
        """Whether every position sees every other."""
        return self.form != "local" and self.window == self.side

    def _groups(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The tokens that meet, (groups, n, C), and, where the windows are shifted, the mask within them."""
        if self._whole:
            return x if x.dim() == 3 else x.flatten(1, 2), None
        if self.form != "shifted":
            return split(x, self.window), None
        return split(x.roll((-(self.window // 2),) * 2, (1, 2)), self.window), self.mask

    def _on_map(self, weights: Tensor) -> Tensor:
        """Weights within groups (B * windows, heads, n, n), or of near places (B, heads, N, K^2), as (B, heads, N, N)."""
        if self._whole:
            return weights
        positions = torch.arange(self.side**2, device=weights.device).view(1, self.side, self.side, 1)
        if self.form == "local":  # a place outside the map has the weight 0 and may count as any
            b, heads, n, k2 = weights.shape
            places = self._near(positions)[0, :, 0].expand(b, heads, n, k2)
            return weights.new_zeros(b, heads, n, n).scatter_add_(-1, places, weights)
        places = self._groups(positions)[0][..., 0]  # (windows, n)
        inside = weights.unflatten(0, (-1, len(places))).transpose(1, 2)
        full = weights.new_zeros(*inside.shape[:2], self.side**2, self.side**2)
        full[:, :, places[:, :, None], places[:, None, :]] = inside
        return full

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, (groups, heads, n, channels a head) each."""
        return self.qkv(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _added(self, groups: int, mask: Tensor | None) -> Tensor | None:
        """What is added to the scores: the bias of relative positions, and the mask of each of the groups."""
        added = self.bias()
        if mask is None:
            return added
        full = mask[:, None] if added is None else mask[:, None] + added.to(mask.dtype)[None]  # (windows, heads, n, n)
        return full.repeat(groups // len(mask), 1, 1, 1)

    def _scores(self, q: Tensor, k: Tensor, added: Tensor | None) -> Tensor:
        """(groups, heads, n, n) before the softmax."""
        scores = (q * self.scale) @ k.transpose(-2, -1)
        return scores if added is None else scores + added.to(scores.dtype)

    def _dense(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(groups, n, C): every token of a group attends to all tokens of its group."""
        b, n, _ = x.shape
        q, k, v = self._heads(x)
        added = self._added(b, mask)
        if self.attend == "sdpa":
            if added is not None:
                added = added.to(q.dtype).expand(b, self.heads, n, n)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=self.scale)
        else:
            y = self._scores(q, k, added).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, self.inner))

    def _local(self, x: Tensor) -> Tensor:
        """(B, H, W, C): each query sees its K x K neighbours; places outside the map are masked with -inf."""
        b, h, w, _ = x.shape
        scores, values = self._near_scores(x)
        y = scores.softmax(-1) @ self._near_heads(values)  # (B, N, heads, 1, d)
        return self.proj(y.reshape(b, h, w, self.inner))

    def _near_scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, heads, 1, K^2) before the softmax, and the values (B, H, W, inner)."""
        q, keys, values = self.qkv(x).chunk(3, -1)
        q = q.reshape(x.shape[0], self.side**2, self.heads, 1, -1) * self.scale
        scores = q @ self._near_heads(keys).transpose(-2, -1) + self.mask.to(q.dtype)[None, :, None, None, :]
        added = self.bias()
        return (scores if added is None else scores + added[None, None].to(scores.dtype)), values  # bias: (1, 1, heads, 1, K^2)

    def _near(self, t: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, N, C, K^2): what lies around each position, 0 outside the map."""
        p = self.kernel // 2
        u = F.pad(t, (0, 0, p, p, p, p)).unfold(1, self.kernel, 1).unfold(2, self.kernel, 1)  # B H W C K K
        return u.reshape(t.shape[0], self.side**2, t.shape[-1], self.kernel**2)

    def _near_heads(self, t: Tensor) -> Tensor:
        """(B, H, W, inner) -> (B, N, heads, K^2, channels a head)."""
        return self._near(t).unflatten(2, (self.heads, -1)).transpose(-2, -1)
