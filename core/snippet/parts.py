"""The texts that a snippet is put together from.

A line that ends in `#? a & !b` is kept where a holds and b does not; `@name@` is filled in.
"""

import re
from collections.abc import Mapping

_MARK = re.compile(r"\s*#\?(.*)$")


def fill(template: str, flags: set[str], words: Mapping[str, object]) -> str:
    """The lines of a template that hold under the flags, with the words in their places."""
    lines = []
    for line in template.strip("\n").split("\n"):
        mark = _MARK.search(line)
        terms = [term.strip() for term in mark[1].split("&")] if mark else []
        if all((term.lstrip("!") in flags) != term.startswith("!") for term in terms):
            lines.append(line[: mark.start()] if mark else line)
    return re.sub(r"@(\w+)@", lambda found: str(words[found[1]]), "\n".join(lines))


RESIDUAL = '''
class Residual(nn.Module):
    """skip + body(pre(x)).  Where the skip is projected, it starts from pre(x)."""  #? project
    """skip + body(pre(x))."""  #? !project

    def __init__(self, pre, body, project=None):  #? project
    def __init__(self, pre, body):  #? !project
        super().__init__()
        self.pre, self.body, self.project = pre, body, project  #? project
        self.pre, self.body = pre, body  #? !project

    def forward(self, x):
        y = self.pre(x)  #? project
        return (x if self.project is None else self.project(y)) + self.body(y)  #? project
        return x + self.body(self.pre(x))  #? !project
'''

TOKEN_RESIDUAL = '''
class TokenResidual(nn.Module):
    """skip + body(pre(x)), where pre and body see the map (B, C, H, W) as (B, H, W, C)."""

    def __init__(self, pre, body):
        super().__init__()
        self.pre, self.body = pre, body

    def forward(self, x):
        return x + self.body(self.pre(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
'''

CONV = """
def conv(cin, cout, k=1, stride=1, groups=1):
    return nn.Conv2d(cin, cout, k, stride, k // 2, groups=groups, bias=False)
"""

PROJECT = """
def projection(cin, c, stride):
    return conv(cin, c, 1, stride) if stride > 1 or cin != c else None
"""

BASIC = '''
def basic(cin, c, stride=1):
    """Pre-activation conv unit: two 3x3 convs."""
    project = projection(cin, c, stride)  #? project
    body = nn.Sequential(conv(cin, c, 3, stride), nn.BatchNorm2d(c), nn.ReLU(), conv(c, c, 3))
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body, project)  #? project
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body)  #? !project
'''

BOTTLENECK = '''
def bottleneck(cin, c, stride=1):
    """Pre-activation conv unit: 1x1 to a quarter of the width, 3x3, 1x1 back."""
    project, w = projection(cin, c, stride), c // 4  #? project
    w = c // 4  #? !project
    body = nn.Sequential(
        conv(cin, w), nn.BatchNorm2d(w), nn.ReLU(),
        conv(w, w, 3, stride), nn.BatchNorm2d(w), nn.ReLU(),
        conv(w, c),
    )
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body, project)  #? project
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body)  #? !project
'''

DEPTHWISE = '''
def depthwise(cin, c, k, stride=1):
    """Pre-activation conv unit: k x k for each channel alone, then 1x1."""
    project = projection(cin, c, stride)  #? project
    body = nn.Sequential(conv(cin, cin, k, stride, groups=cin), nn.BatchNorm2d(cin), nn.ReLU(), conv(cin, c))
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body, project)  #? project
    return Residual(nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU()), body)  #? !project
'''

ATTENTION = '''
class Attention(nn.Module):
    """Softmax attention within windows, some of them shifted; (B, H, W, C) in and out."""  #? shifted
    """Softmax attention within windows; (B, H, W, C) in and out."""  #? windows & !shifted
    """Softmax attention of every position to all others; (B, H, W, C) in and out."""  #? !windows & !cls
    """Softmax attention of every token to all others; (B, N, C) in and out."""  #? cls

    def __init__(self, width, out, heads, window, shift=0, side=0):  #? shifted
    def __init__(self, width, out, heads, window):  #? sized & !shifted
    def __init__(self, width, out, heads):  #? !sized
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift  #? shifted
        self.heads, self.window = heads, window  #? windows & !shifted
        self.heads = heads  #? !windows
        self.qkv = nn.Linear(width, 3 * @inner@)  #? bias
        self.qkv = nn.Linear(width, 3 * @inner@, bias=False)  #? !bias
        self.proj = nn.Linear(@inner@, out)
        # one number for each offset between two positions, the same for all heads  #? rel & shared
        # one number for each head and each offset between two positions  #? rel & !shared
        self.table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, @tables@))  #? rel
        place = torch.cartesian_prod(torch.arange(window), torch.arange(window))  #? rel
        offset = place[:, None] - place + window - 1  #? rel
        self.register_buffer("index", offset[..., 0] * (2 * window - 1) + offset[..., 1], persistent=False)  #? rel
        self.register_buffer("mask", None, persistent=False)  #? shifted
        if shift:  # what the roll made neighbours does not see each other  #? shifted
            zone = (torch.arange(side) >= side - window).int() + (torch.arange(side) >= side - shift).int()  #? shifted
            zone = self.split((3 * zone[:, None] + zone)[None, :, :, None])[..., 0]  # (windows, positions)  #? shifted
            apart = zone[:, :, None] != zone[:, None, :]  #? shifted
            self.mask = torch.zeros(apart.shape).masked_fill(apart, float("-inf"))  #? shifted

    def split(self, x):  # (B, H, W, C) -> (B * windows, positions, C)  #? windows
        b, h, w, c = x.shape  #? windows
        m = self.window  #? windows
        return x.reshape(b, h // m, m, w // m, m, c).transpose(2, 3).reshape(-1, m * m, c)  #? windows
  #? windows
    def join(self, t, h, w):  # the way back  #? windows
        m = self.window  #? windows
        return t.reshape(-1, h // m, w // m, m, m, t.shape[-1]).transpose(2, 3).reshape(-1, h, w, t.shape[-1])  #? windows
  #? windows
    def forward(self, x):
        h, w = x.shape[1:3]  #? !cls
        t = self.split(x.roll((-self.shift, -self.shift), (1, 2)))  #? shifted
        t = self.split(x)  #? windows & !shifted
        t = x.flatten(1, 2)  #? !windows & !cls
        t = x  #? cls
        q, k, v = self.qkv(t).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index].permute(2, 0, 1)[None]  #? rel
        bias = self.mask  #? shifted & !rel
        if self.mask is not None:  #? shifted
            bias = (bias + self.mask[:, None]).repeat(t.shape[0] // self.mask.shape[0], 1, 1, 1)  #? shifted & rel
            bias = self.mask[:, None].repeat(t.shape[0] // self.mask.shape[0], 1, 1, 1)  #? shifted & !rel
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  #? biased
        y = F.scaled_dot_product_attention(q, k, v)  #? !biased
        y = self.proj(y.transpose(1, 2).flatten(2))
        return self.join(y, h, w).roll((self.shift, self.shift), (1, 2))  #? shifted
        return self.join(y, h, w)  #? windows & !shifted
        return y.unflatten(1, (h, w))  #? !windows & !cls
        return y  #? cls
'''

LOCAL = '''
class LocalAttention(nn.Module):
    """Softmax attention of every position to the kernel x kernel around it; (B, H, W, C) in and out."""

    def __init__(self, width, out, heads, side, kernel):
        super().__init__()
        self.heads, self.kernel = heads, kernel
        self.qkv = nn.Linear(width, 3 * @inner@)  #? bias
        self.qkv = nn.Linear(width, 3 * @inner@, bias=False)  #? !bias
        self.proj = nn.Linear(@inner@, out)
        self.table = nn.Parameter(torch.zeros(kernel**2, @tables@))  # one number for each neighbour  #? rel
        inside = F.unfold(torch.ones(1, 1, side, side), kernel, padding=kernel // 2)[0].T  # (positions, kernel^2)
        self.register_buffer("mask", torch.zeros(inside.shape).masked_fill(inside == 0, float("-inf")), persistent=False)

    def around(self, t):  # (B, H, W, C) -> (B, positions, heads, kernel^2, C a head)
        p, k = self.kernel // 2, self.kernel
        t = F.pad(t, (0, 0, p, p, p, p)).unfold(1, k, 1).unfold(2, k, 1).flatten(4).flatten(1, 2)
        return t.unflatten(2, (self.heads, -1)).transpose(-2, -1)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q = q.flatten(1, 2).unflatten(-1, (self.heads, 1, -1))
        scores = q @ self.around(k).transpose(-2, -1) * q.shape[-1] ** -0.5 + self.mask[:, None, None, :]
        scores = scores + self.table.T[:, None, :]  #? rel
        y = (scores.softmax(-1) @ self.around(v)).flatten(2)
        return self.proj(y).unflatten(1, x.shape[1:3])
'''

ON_MAP = '''
class OnMap(nn.Module):
    """Runs a module of (B, H, W, C) on a map (B, C, H, W)."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
'''

#: @name@ is msa or local, @kind@ Attention or LocalAttention.
MSA = '''
def @name@(c, **reach):
    """AlterNet's MSA unit: pre-activation, a 1x1 conv to a quarter of the width, attention, which goes back to it."""  #? shared
    w = c // 4  #? shared
    attention = OnMap(@kind@(w, c, **reach))  #? shared
    body = nn.Sequential(conv(c, w), nn.BatchNorm2d(w), attention)  #? shared
    return Residual(nn.Sequential(nn.BatchNorm2d(c), nn.GELU()), body)  #? shared
    return @residual@(nn.LayerNorm(c), @kind@(c, c, **reach))  #? !shared
'''

MLP = """
def mlp(c):
    return @residual@(nn.LayerNorm(c), nn.Sequential(nn.Linear(c, @mlp@ * c), nn.GELU(), nn.Linear(@mlp@ * c, c)))
"""

MIX = '''
class Mix(nn.Module):
    """Mixer's token MLP: learned weights from position to position, the same for all channels; (B, H, W, C) in and out."""

    def __init__(self, positions):
        super().__init__()
        self.into, self.out = nn.Linear(positions, positions), nn.Linear(positions, positions)

    def forward(self, x):
        t = x.flatten(1, 2).transpose(1, 2)
        return self.out(F.gelu(self.into(t))).transpose(1, 2).reshape(x.shape)


def mix(c, positions):
    return @residual@(nn.LayerNorm(c), Mix(positions))
'''

POOL = '''
class Blur(nn.Module):
    """Mean of the 3x3 around a position, less the position itself; (B, H, W, C) in and out."""

    def forward(self, x):
        m = x.permute(0, 3, 1, 2)
        return (F.avg_pool2d(m, 3, 1, 1, count_include_pad=False) - m).permute(0, 2, 3, 1)


def pool(c):
    return @residual@(nn.LayerNorm(c, elementwise_affine=False), Blur())
'''

MERGE = '''
class Merge(nn.Module):
    """Patch merging: 2x2 neighbours side by side, LayerNorm, linear; half the side."""

    def __init__(self, cin, c):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * cin), nn.Linear(4 * cin, c, bias=False)

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)  #? !last
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(b, h // 2, w // 2, 4 * c)
        return self.linear(self.norm(x))  #? last
        return self.linear(self.norm(x)).permute(0, 3, 1, 2)  #? !last
'''

NET = '''
class Net(nn.Module):
    """Normalised images (B, 3, @size@, @size@) to logits (B, @classes@)."""

    def __init__(self):
        super().__init__()
        self.stem = @stem@
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, @first@))  #? cls
        self.pos = nn.Parameter(0.02 * torch.randn(1, @places@, @first@))  #? abs
        self.blocks = nn.Sequential(
@units@
        )
        self.norm = nn.@norm@(@width@)
        self.head = nn.Linear(@width@, @classes@)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)  #? cls
        x = x + self.pos  #? abs & cls
        x = x + self.pos.transpose(1, 2).unflatten(2, (@side@, @side@))  #? abs & !cls
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)  #? last & !cls
        x = self.blocks(x)
        return self.head(self.norm(x[:, 0]))  #? cls
        return self.head(F.relu(self.norm(x)).mean((2, 3)))  #? conv
        return self.head(self.norm(x).mean((1, 2)))  #? last & !cls
        return self.head(self.norm(x.permute(0, 2, 3, 1)).mean((1, 2)))  #? !last & !conv


if __name__ == "__main__":
    net = Net().eval()
    print(sum(p.numel() for p in net.parameters()), "parameters")  # @parameters@
    print(net(torch.randn(2, 3, @size@, @size@)).shape)  # (2, @classes@)
'''
