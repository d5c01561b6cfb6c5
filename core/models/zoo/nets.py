"""Families of nets, by the class that timm makes them of: each function gives the plan of a whole net."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from core.models.zoo import conv_blocks, token_nets
from core.models.zoo.looking import Grid, Windows
from core.models.zoo.parts import Call, CannotSplit, OnTokens, Piece, Plan, Step, channels_first, channels_last

Read = Callable[[nn.Module, int], list[Piece]]


def _stages(stages: Iterable[nn.Module], read: Read) -> list[Piece]:
    """The pieces of stages that hold their blocks in `blocks` or are rows of blocks, with the downsampling before them as merges."""
    pieces = []
    for number, stage in enumerate(stages, 1):
        down = getattr(stage, "downsample", None)
        if down is not None and not isinstance(down, nn.Identity):
            pieces.append(Piece(stage=number, kind="merge", branch=(down,)))
        blocks = getattr(stage, "blocks", stage)
        pieces += [piece for block in blocks.children() for piece in read(block, number)]
    return pieces


def _head(model: nn.Module) -> Step:
    return Call(model, "forward_head")


# ---- convolutional nets


def resnet(model: nn.Module) -> Plan:
    """ResNet, ResNeXt, Wide ResNet, SE-ResNet, ResNet-D and others of that class."""

    def read(block: nn.Module, stage: int) -> list[Piece]:
        if type(block).__name__ not in ("BasicBlock", "Bottleneck") or type(block).__module__ != "timm.models.resnet":
            raise CannotSplit(f"its blocks are of the type {type(block).__name__}")
        return conv_blocks.resnet(block, stage)

    pieces = _stages((model.layer1, model.layer2, model.layer3, model.layer4), read)
    return Plan(embed=(model.conv1, model.bn1, model.act1, model.maxpool), pieces=pieces, tail=(_head(model),))


def resnetv2(model: nn.Module) -> Plan:
    """Pre-activation ResNet, BiT."""
    return Plan(embed=(model.stem,), pieces=_stages(model.stages, conv_blocks.resnetv2), tail=(model.norm, _head(model)))


def regnet(model: nn.Module) -> Plan:
    """RegNet X, Y, Z."""
    pieces = _stages((model.s1, model.s2, model.s3, model.s4), conv_blocks.regnet)
    return Plan(embed=(model.stem,), pieces=pieces, tail=(model.final_conv, _head(model)))


def convnext(model: nn.Module) -> Plan:
    """ConvNeXt and ConvNeXt v2."""
    return Plan(embed=(model.stem,), pieces=_stages(model.stages, conv_blocks.convnext), tail=(model.norm_pre, _head(model)))


def efficientnet(model: nn.Module) -> Plan:
    """EfficientNet, MobileNet and relatives; v3 and v4 keep their last convolution in the head."""
    own = (model.conv_head, model.bn2) if type(model).__name__ == "EfficientNet" else ()
    return Plan(embed=(model.conv_stem, model.bn1), pieces=_stages(model.blocks, conv_blocks.efficientnet), tail=(*own, _head(model)))


def byobnet(model: nn.Module) -> Plan:
    """ByobNet: RepVGG, GE-Net, and the hybrids BoTNet, HaloNet, LambdaResNet."""

    def read(block: nn.Module, stage: int) -> list[Piece]:
        return _self_attention(block, stage) if type(block).__name__ == "SelfAttnBlock" else conv_blocks.byob(block, stage)

    return Plan(embed=(model.stem,), pieces=_stages(model.stages, read), tail=(model.final_conv, _head(model)))


def _self_attention(b: nn.Module, stage: int) -> list[Piece]:
    """A bottleneck whose 3x3 is attention.  Lambda layers weigh no positions, so they are a kind of their own."""
    attention, name = b.self_attn, type(b.self_attn).__name__
    branch = (b.conv1_1x1, b.conv2_kxk, attention, b.post_attn, b.conv3_1x1, b.drop_path)
    more: dict[str, Any] = {
        "stage": stage, "branch": branch, "after": (b.act,), "plain": b.shortcut is None, "heads": attention.num_heads,
        "skip": () if b.shortcut is None or isinstance(b.shortcut, nn.Identity) else (b.shortcut,),
    }  # fmt: skip
    if name == "BottleneckAttn":
        read = None if isinstance(attention.pool, nn.AvgPool2d) else (attention, Grid())
        return [Piece(kind="msa", form="global", attention=read, **more)]
    if name == "HaloAttn":
        read = None if attention.block_stride != 1 or isinstance(attention.pool, nn.AvgPool2d) else (attention, _halo(attention))
        return [Piece(kind="msa", form="windowed", window=attention.win_size, attention=read, **more)]
    return [Piece(kind="block", form=name.removesuffix("Layer").lower(), **more)]


class _Blocks:
    """Which positions meet in halo attention: a block of queries, and the block with a rim as keys."""

    def __init__(self, block: int, halo: int) -> None:
        self.block, self.halo = block, halo

    def __call__(self, side: int) -> tuple[Tensor, Tensor]:
        """(blocks, queries) and (blocks, keys); -1 outside the map."""
        b, wide = self.block, self.block + 2 * self.halo
        at = torch.arange(side * side).view(side, side)
        queries = at.unfold(0, b, b).unfold(1, b, b).reshape(-1, b * b)
        padded = nn.functional.pad(at, [self.halo] * 4, value=-1)
        return queries, padded.unfold(0, wide, b).unfold(1, wide, b).reshape(-1, wide * wide)


def _halo(attention: nn.Module) -> Windows:
    return Windows(_Blocks(attention.block_size, attention.halo_size), heads_first=True)


# ---- windows


class _Shifted:
    """Which positions meet in Swin's windows, after the roll and the padding; one group is one window."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __call__(self, side: int) -> tuple[Tensor, Tensor]:
        """(windows, positions) twice; -1 outside the map."""
        (h, w), (dy, dx) = self.block.window_size, self.block.shift_size
        at = torch.arange(side * side).view(side, side).roll((-dy, -dx), (0, 1))
        at = nn.functional.pad(at, (0, -side % w, 0, -side % h), value=-1)
        places = at.unfold(0, h, h).unfold(1, w, w).reshape(-1, h * w)
        return places, places

    def hidden(self) -> Tensor | None:
        """True where the roll brought positions together that do not see each other."""
        mask = self.block.attn_mask
        return None if mask is None else mask < -50


def _swin_block(block: nn.Module, stage: int, post: bool) -> list[Piece]:
    attend = Call(block, "_attn")
    if post:
        first, second = (attend, block.norm1, block.drop_path1), (block.mlp, block.norm2, block.drop_path2)
    else:
        first, second = (block.norm1, attend, block.drop_path1), (block.norm2, block.mlp, block.drop_path2)
    places = _Shifted(block)
    form = "shifted" if any(block.shift_size) else "windowed"
    return [
        Piece(stage=stage, kind="msa", form=form, branch=first, heads=block.attn.num_heads, window=int(block.window_size[0]),
              attention=(block.attn, Windows(places, places.hidden))),
        Piece(stage=stage, kind="mlp", branch=second),
    ]  # fmt: skip


def swin(model: nn.Module) -> Plan:
    """Swin and Swin v2; the stream is (B, H, W, C)."""
    post = type(model).__name__ == "SwinTransformerV2"
    pieces = _stages(model.layers, lambda block, stage: _swin_block(block, stage, post))
    return Plan(embed=(model.patch_embed,), pieces=pieces, tail=(model.norm, _head(model)), form="last")


class _Partition:
    """Which positions meet in MaxViT's windows, or in its grid: positions at equal distances over the whole map."""

    def __init__(self, size: tuple[int, int], grid: bool) -> None:
        self.size, self.grid = size, grid

    def __call__(self, side: int) -> tuple[Tensor, Tensor]:
        """(groups, positions) twice."""
        (h, w), at = self.size, torch.arange(side * side)
        if self.grid:
            places = at.view(h, side // h, w, side // w).permute(1, 3, 0, 2).reshape(-1, h * w)
        else:
            places = at.view(side // h, h, side // w, w).permute(0, 2, 1, 3).reshape(-1, h * w)
        return places, places


def _partition(block: nn.Module, stage: int) -> list[Piece]:
    """PartitionAttention of maxxvit in both layouts, and its parallel form; the stream stays (B, C, H, W)."""
    into, out = ((), ()) if type(block).__name__.endswith("2d") else ((channels_last,), (channels_first,))
    branch = (*into, block.norm1, Call(block, "_partition_attn"), block.ls1, block.drop_path1, *out)
    size = (int(block.partition_size[0]), int(block.partition_size[1]))
    if hasattr(block, "attn_block"):
        msa = Piece(stage=stage, kind="msa", form="windowed", branch=branch, heads=2 * block.attn_block.num_heads, window=size[0])
    else:
        grid = not block.partition_block
        msa = Piece(stage=stage, kind="msa", form="grid" if grid else "windowed", branch=branch, heads=block.attn.num_heads,
                    window=size[0], attention=(block.attn, Windows(_Partition(size, grid))))  # fmt: skip
    return [msa, Piece(stage=stage, kind="mlp", branch=(*into, block.norm2, block.mlp, block.ls2, block.drop_path2, *out))]


def maxxvit(model: nn.Module) -> Plan:
    """CoAtNet, CoAtNeXt, MaxViT, MaxxViT and their relatives."""

    def read(block: nn.Module, stage: int) -> list[Piece]:
        name = type(block).__name__
        if name == "MbConvBlock":
            return conv_blocks.mbconv(block, stage)
        if name == "ConvNeXtBlock":
            return conv_blocks.convnext(block, stage)
        if name == "TransformerBlock2d":
            skip = () if isinstance(block.shortcut, nn.Identity) else (block.shortcut,)
            first = (block.norm1, block.attn, block.ls1, block.drop_path1)
            return [
                Piece(stage=stage, kind="msa", form="global", branch=first, skip=skip, heads=block.attn.num_heads,
                      attention=(block.attn, Grid())),
                Piece(stage=stage, kind="mlp", branch=(block.norm2, block.mlp, block.ls2, block.drop_path2)),
            ]  # fmt: skip
        if name == "MaxxVitBlock":
            both = [part for part in (block.attn_block, block.attn_grid) if part is not None]
            return [*read(block.conv, stage), *(piece for part in both for piece in _partition(part, stage))]
        if name == "ParallelMaxxVitBlock":
            convs = block.conv.children() if isinstance(block.conv, nn.Sequential) else [block.conv]
            return [*(piece for conv in convs for piece in read(conv, stage)), *_partition(block.attn, stage)]
        raise CannotSplit(f"its blocks are of the type {name}")

    return Plan(embed=(model.stem,), pieces=_stages(model.stages, read), tail=(model.norm, _head(model)))


# ---- other hybrids


def metaformer(model: nn.Module) -> Plan:
    """PoolFormer, ConvFormer, CAFormer; stages of attention work on tokens, the stream stays (B, C, H, W)."""

    def read(block: nn.Module, stage: int) -> list[Piece]:
        mixer, tokens = block.token_mixer, type(block.token_mixer).__name__ == "Attention"

        def on(*steps: Step) -> tuple[Step, ...]:
            return (OnTokens(*steps),) if tokens else steps

        def skip(scale: nn.Module) -> tuple[Step, ...]:
            return () if isinstance(scale, nn.Identity) else on(scale)

        known: dict[str, dict[str, Any]] = {
            "Pooling": {"kind": "pool"},
            "SepConv": {"kind": "conv", "form": "depthwise", "kernel": mixer.dwconv.kernel_size[0] if hasattr(mixer, "dwconv") else 0},
            "Attention": {"kind": "msa", "form": "global", "heads": getattr(mixer, "num_heads", 0), "attention": (mixer, Grid())},
        }
        if type(mixer).__name__ not in known:
            raise CannotSplit(f"its blocks mix positions by {type(mixer).__name__}")
        first = on(block.norm1, mixer, block.drop_path1, block.layer_scale1)
        second = on(block.norm2, block.mlp, block.drop_path2, block.layer_scale2)
        return [
            Piece(stage=stage, branch=first, skip=skip(block.res_scale1), **known[type(mixer).__name__]),
            Piece(stage=stage, kind="mlp", branch=second, skip=skip(block.res_scale2)),
        ]

    return Plan(embed=(model.stem,), pieces=_stages(model.stages, read), tail=(_head(model),))


class _Beside:
    """A map and its projection side by side: NextViT widens the stream so before its second, convolutional head."""

    def __init__(self, project: nn.Module) -> None:
        self.project = project

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + C', H, W)."""
        return torch.cat([x, self.project(x)], 1)


class _BesideZero:
    """What the convolutional head of NextViT adds: nothing to the map itself, its convolution to the projection."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps

    def __call__(self, x: Tensor) -> Tensor:
        """Zeros beside the steps' result."""
        y = x
        for step in self.steps:
            y = step(y)
        return torch.cat([torch.zeros_like(x), y], 1)


def nextvit(model: nn.Module) -> Plan:
    """NextViT: convolution and MLP, and blocks of attention, convolution beside it, and MLP."""

    def read(block: nn.Module, stage: int) -> list[Piece]:
        pieces = []
        if not isinstance(block.patch_embed.conv, nn.Identity):
            pieces.append(Piece(stage=stage, kind="merge", branch=(block.patch_embed,)))
        if type(block).__name__ == "NextConvBlock":
            return [
                *pieces,
                Piece(stage=stage, kind="conv", form="basic", branch=(block.mhca, block.attn_drop_path), kernel=3),
                Piece(stage=stage, kind="mlp", branch=(block.norm, block.mlp, block.mlp_drop_path)),
            ]
        attention = block.e_mhsa
        msa = (block.norm1, OnTokens(attention), block.mhsa_drop_path)
        beside = _BesideZero((block.projection, block.mhca, block.mhca_drop_path))
        return [
            *pieces,
            Piece(stage=stage, kind="msa", form="global", branch=msa, heads=attention.num_heads,
                  attention=(attention, Grid(pooled=attention.N_ratio))),
            Piece(stage=stage, kind="conv", form="basic", branch=(beside,), skip=(_Beside(block.projection),), kernel=3),
            Piece(stage=stage, kind="mlp", branch=(block.norm2, block.mlp, block.mlp_drop_path)),
        ]  # fmt: skip

    return Plan(embed=(model.stem,), pieces=_stages(model.stages, read), tail=(model.norm, _head(model)))


#: timm's classes, by name; a class is looked for by its own name and then by those it is derived from.
FAMILIES: dict[str, Callable[[nn.Module], Plan]] = {
    "VisionTransformer": token_nets.vit, "Eva": token_nets.eva, "Beit": token_nets.beit, "MlpMixer": token_nets.mixer,
    "PoolingVisionTransformer": token_nets.pit, "Twins": token_nets.twins,
    "ResNet": resnet, "ResNetV2": resnetv2, "RegNet": regnet, "ConvNeXt": convnext, "EfficientNet": efficientnet,
    "MobileNetV3": efficientnet, "ByobNet": byobnet, "SwinTransformer": swin, "SwinTransformerV2": swin, "MaxxVit": maxxvit,
    "MetaFormer": metaformer, "NextViT": nextvit,
}  # fmt: skip
