"""Nets of tokens: ViT, DeiT, EVA, BEiT, Mixer, PiT, Twins.  Their stream is (B, prefix + N, C)."""

import torch
from torch import Tensor, nn

from core.models.zoo.looking import Grid
from core.models.zoo.parts import Added, Call, CannotSplit, Piece, Plan, Step, Sum, Times, swap


def vit(model: nn.Module) -> Plan:
    """VisionTransformer and its distilled form."""
    prefix = model.num_prefix_tokens
    pieces = [piece for block in model.blocks for piece in vit_block(block, 1, prefix)]
    embed = (model.patch_embed, Call(model, "_pos_embed"), model.patch_drop, model.norm_pre)
    return Plan(embed=embed, pieces=pieces, tail=(model.norm, Call(model, "forward_head")), form="tokens", prefix=prefix)


def vit_block(block: nn.Module, stage: int, prefix: int) -> list[Piece]:
    """A block of timm.models.vision_transformer."""
    name = type(block).__name__
    if name == "Block":
        first, second = (block.norm1, block.attn, block.ls1, block.drop_path1), (block.norm2, block.mlp, block.ls2, block.drop_path2)
    elif name == "ResPostBlock":
        first, second = (block.attn, block.norm1, block.drop_path1), (block.mlp, block.norm2, block.drop_path2)
    elif name == "ParallelThingsBlock":
        heads = sum(part.attn.num_heads for part in block.attns)
        return [
            Piece(stage=stage, kind="msa", form="global", branch=(Sum(*block.attns),), heads=heads),
            Piece(stage=stage, kind="mlp", branch=(Sum(*block.ffns),)),
        ]
    elif name.endswith("ParallelScalingBlock"):  # MSA and MLP share their projections: one unit
        return [Piece(stage=stage, kind="block", form="parallel", branch=(Added(block),), heads=block.num_heads)]
    else:
        raise CannotSplit(f"its blocks are of the type {name}")
    read = Grid(prefix) if type(block.attn).__name__ == "Attention" else None
    return [_msa(stage, first, block.attn, read), Piece(stage=stage, kind="mlp", branch=second)]


def _msa(stage: int, branch: tuple[Step, ...], attention: nn.Module, grid: Grid | None) -> Piece:
    heads = attention.num_heads
    return Piece(stage=stage, kind="msa", form="global", branch=branch, heads=heads, attention=grid and (attention, grid))


class _WithRope:
    """Attention with the rotary positions of its net, made anew each time: they may be learned."""

    def __init__(self, model: nn.Module, attention: nn.Module, index: int) -> None:
        self.model, self.attention, self.index = model, attention, index

    def __call__(self, x: Tensor) -> Tensor:
        """attention(x, rope)."""
        rope = self.model.rope
        if rope is None:
            return self.attention(x, rope=None)
        fixed = hasattr(rope, "feat_shape") and not self.model.dynamic_img_size
        angles = rope.get_embed() if fixed else rope.get_embed(shape=self.model.patch_embed.grid_size)
        return self.attention(x, rope=angles[self.index] if getattr(self.model, "rope_mixed", False) else angles)


class _Embedded:
    """The first of what a method gives: EVA's positions come as a pair of tokens and angles."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, x: Tensor) -> Tensor:
        """Tokens with their positions."""
        return self.model._pos_embed(x)[0]


def eva(model: nn.Module) -> Plan:
    """Eva: EVA, EVA02, ViTs with rotary positions, DINOv3."""
    pieces = []
    for i, block in enumerate(model.blocks):
        attention, grid = _WithRope(model, block.attn, i), Grid(model.num_prefix_tokens)
        name = type(block).__name__
        if name == "EvaBlock":
            first: tuple[Step, ...] = (block.norm1, attention, Times(block, "gamma_1"), block.drop_path1)
            second: tuple[Step, ...] = (block.norm2, block.mlp, Times(block, "gamma_2"), block.drop_path2)
        elif name == "EvaBlockPostNorm":
            first, second = (attention, block.norm1, block.drop_path1), (block.mlp, block.norm2, block.drop_path2)
        else:
            raise CannotSplit(f"its blocks are of the type {name}")
        pieces += [_msa(1, first, block.attn, grid), Piece(stage=1, kind="mlp", branch=second)]
    embed = (model.patch_embed, _Embedded(model), model.norm_pre)
    tail = (model.norm, Call(model, "forward_head"))
    return Plan(embed=embed, pieces=pieces, tail=tail, form="tokens", prefix=model.num_prefix_tokens)


class _WithShared:
    """Attention with the bias of relative positions that all blocks of a BEiT share."""

    def __init__(self, model: nn.Module, attention: nn.Module) -> None:
        self.model, self.attention = model, attention

    def __call__(self, x: Tensor) -> Tensor:
        """attention(x, bias)."""
        shared = self.model.rel_pos_bias
        return self.attention(x, shared_rel_pos_bias=None if shared is None else shared())


class _WithClass:
    """Adds class tokens and positions to patches."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, 1 + N, C)."""
        x = torch.cat([self.model.cls_token.expand(len(x), -1, -1), x], 1)
        return x if self.model.pos_embed is None else x + self.model.pos_embed


def beit(model: nn.Module) -> Plan:
    """Beit and BEiT v2."""
    pieces = []
    for block in model.blocks:
        first = (block.norm1, _WithShared(model, block.attn), Times(block, "gamma_1"), block.drop_path1)
        second = (block.norm2, block.mlp, Times(block, "gamma_2"), block.drop_path2)
        pieces += [_msa(1, first, block.attn, Grid(1)), Piece(stage=1, kind="mlp", branch=second)]
    embed = (model.patch_embed, _WithClass(model), model.pos_drop)
    return Plan(embed=embed, pieces=pieces, tail=(model.norm, Call(model, "forward_head")), form="tokens", prefix=1)


def mixer(model: nn.Module) -> Plan:
    """MlpMixer: Mixer, ResMLP, gMLP."""
    pieces: list[Piece] = []
    for block in model.blocks:
        name = type(block).__name__
        if name == "MixerBlock":
            mix: tuple[Step, ...] = (block.norm1, swap, block.mlp_tokens, swap, block.drop_path)
            mlp: tuple[Step, ...] = (block.norm2, block.mlp_channels, block.drop_path)
        elif name == "ResBlock":
            mix = (block.norm1, swap, block.linear_tokens, swap, Times(block, "ls1"), block.drop_path)
            mlp = (block.norm2, block.mlp_channels, Times(block, "ls2"), block.drop_path)
        elif name == "SpatialGatingBlock":  # positions are mixed inside the MLP: one unit
            pieces.append(Piece(stage=1, kind="block", form="gated", branch=(block.norm, block.mlp_channels, block.drop_path)))
            continue
        else:
            raise CannotSplit(f"its blocks are of the type {name}")
        pieces += [Piece(stage=1, kind="mix", branch=mix), Piece(stage=1, kind="mlp", branch=mlp)]
    return Plan(embed=(model.stem,), pieces=pieces, tail=(model.norm, Call(model, "forward_head")), form="tokens")


class _PitEmbed:
    """Pixels to tokens with positions, class (and distillation) tokens first."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, prefix + N, C)."""
        m = self.model
        x = m.pos_drop(m.patch_embed(x) + m.pos_embed).flatten(2).transpose(1, 2)
        return m.transformers[0].norm(torch.cat([m.cls_token.expand(len(x), -1, -1), x], 1))


class _PitPool:
    """Halves the map of tokens; the class tokens get a linear layer of their own."""

    def __init__(self, stage: nn.Module, prefix: int) -> None:
        self.stage, self.prefix = stage, prefix

    def __call__(self, x: Tensor) -> Tensor:
        """(B, prefix + N, C) to the next stage's tokens."""
        first, rest = x[:, : self.prefix], x[:, self.prefix :]
        side = round(rest.shape[1] ** 0.5)
        maps, first = self.stage.pool(rest.transpose(1, 2).reshape(len(x), -1, side, side), first)
        return self.stage.norm(torch.cat([first, maps.flatten(2).transpose(1, 2)], 1))


class _Prefix:
    """The class tokens alone."""

    def __init__(self, prefix: int) -> None:
        self.prefix = prefix

    def __call__(self, x: Tensor) -> Tensor:
        """The first tokens."""
        return x[:, : self.prefix]


def pit(model: nn.Module) -> Plan:
    """PoolingVisionTransformer: the pair of map and class tokens becomes one row of tokens."""
    prefix, pieces = model.num_tokens, []
    for number, stage in enumerate(model.transformers, 1):
        if stage.pool is not None:
            pieces.append(Piece(stage=number, kind="merge", branch=(_PitPool(stage, prefix),)))
        pieces += [piece for block in stage.blocks for piece in vit_block(block, number, prefix)]
    tail = (_Prefix(prefix), model.norm, Call(model, "forward_head"))
    return Plan(embed=(_PitEmbed(model),), pieces=pieces, tail=tail, form="tokens", prefix=prefix)


class _Sized:
    """A module that has to be told the map's side, as a step on tokens; the first of what it gives if that is a pair."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, x: Tensor) -> Tensor:
        """module(x, (side, side))."""
        side = round(x.shape[1] ** 0.5)
        return self.module(x, (side, side))


class _Patches:
    """A patch embedding that gives tokens and their grid: the tokens."""

    def __init__(self, embed: nn.Module) -> None:
        self.embed = embed

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, C)."""
        return self.embed(x)[0]


def _tokens_to_map(x: Tensor) -> Tensor:
    side = round(x.shape[1] ** 0.5)
    return x.transpose(1, 2).reshape(len(x), -1, side, side)


def twins(model: nn.Module) -> Plan:
    """Twins (PCPVT and SVT): local and pooled attention in turn, positions by a depthwise convolution after each stage's first block."""
    pieces: list[Piece] = []
    for number, (patches, drop, blocks, positions) in enumerate(
        zip(model.patch_embeds, model.pos_drops, model.blocks, model.pos_block, strict=True), 1
    ):
        if number > 1:
            pieces.append(Piece(stage=number, kind="merge", branch=(_tokens_to_map, _Patches(patches), drop)))
        for j, block in enumerate(blocks):
            local = type(block.attn).__name__ == "LocallyGroupedAttn"
            form = "windowed" if local else "global"
            whole = Grid() if not local and getattr(block.attn, "sr", None) is None else None
            pieces += [
                Piece(stage=number, kind="msa", form=form, branch=(block.norm1, _Sized(block.attn), block.drop_path1),
                      heads=block.attn.num_heads, window=block.attn.ws if local else 0, attention=whole and (block.attn, whole)),
                Piece(stage=number, kind="mlp", branch=(block.norm2, block.mlp, block.drop_path2)),
            ]  # fmt: skip
            if j == 0:
                conv = positions.proj
                pieces.append(Piece(stage=number, kind="conv", form="depthwise", branch=(_OnMap(conv),), kernel=conv[0].kernel_size[0]))
    embed = (_Patches(model.patch_embeds[0]), model.pos_drops[0])
    return Plan(embed=embed, pieces=pieces, tail=(model.norm, Call(model, "forward_head")), form="tokens")


class _OnMap:
    """Runs a step for maps on tokens without a prefix."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __call__(self, x: Tensor) -> Tensor:
        """(B, N, C) in and out."""
        return self.step(_tokens_to_map(x)).flatten(2).transpose(1, 2)
