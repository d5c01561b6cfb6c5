"""Blocks of convolutions: each is one unit, or two where it holds an MLP of its own.  Every function gives the pieces of one block."""

from torch import nn

from core.models.zoo.parts import CannotSplit, Piece, Step, Sum, Times, channels_first, channels_last


def _kept(*steps: Step | None) -> tuple[Step, ...]:
    """The steps that do something."""
    return tuple(step for step in steps if step is not None and not isinstance(step, nn.Identity))


def _shortcut(module: nn.Module | None) -> tuple[Step, ...]:
    return () if module is None or isinstance(module, nn.Identity) else (module,)


def _conv_of(module: nn.Module) -> nn.Conv2d:
    """The convolution of a layer that may bring its norm and activation along."""
    return module if isinstance(module, nn.Conv2d) else next(part for part in module.modules() if isinstance(part, nn.Conv2d))


def _form(convs: list[nn.Module]) -> tuple[str, int]:
    """(form, kernel) of a branch by its convolutions: depthwise if one is, bottleneck for 1x1, 3x3, 1x1, else basic."""
    found = [_conv_of(conv) for conv in convs]
    widest = max(found, key=lambda conv: conv.kernel_size[0])
    kernel = int(widest.kernel_size[0])
    if any(conv.groups == conv.in_channels > 1 and conv.kernel_size[0] > 1 for conv in found):
        return "depthwise", kernel
    return ("bottleneck" if [conv.kernel_size[0] for conv in found] == [1, 3, 1] else "basic"), kernel


def _bottleneck(stage: int, steps: list[Step | None], convs: list[nn.Module], inner: list[Step | None], **more: object) -> Piece:
    """A conv unit; if it is a bottleneck whose 3x3 can be left out, `inner` are the steps that go with the 3x3."""
    branch, (form, kernel) = _kept(*steps), _form(convs)
    middle = None
    if form == "bottleneck":
        conv, dropped = _conv_of(convs[1]), _kept(*inner)
        if conv.in_channels == conv.out_channels and conv.stride[0] == 1:
            middle = (branch.index(dropped[0]), branch.index(dropped[-1]) + 1)
    return Piece(stage=stage, kind="conv", form=form, branch=branch, kernel=kernel, middle=middle, **more)  # type: ignore[arg-type]


def resnet(block: nn.Module, stage: int) -> list[Piece]:
    """timm.models.resnet: BasicBlock and Bottleneck, of ResNeXt and Wide ResNet too.  The activation comes after the sum."""
    b, skip = block, _shortcut(block.downsample)
    if type(b).__name__ == "BasicBlock":
        steps = [b.conv1, b.bn1, b.drop_block, b.act1, b.aa, b.conv2, b.bn2, b.se, b.drop_path]
        form, kernel = _form([b.conv1, b.conv2])
        return [Piece(stage=stage, kind="conv", form=form, branch=_kept(*steps), skip=skip, after=(b.act2,), kernel=kernel)]
    inner = [b.conv2, b.bn2, b.drop_block, b.act2, b.aa]
    steps = [b.conv1, b.bn1, b.act1, *inner, b.conv3, b.bn3, b.se, b.drop_path]
    return [_bottleneck(stage, steps, [b.conv1, b.conv2, b.conv3], inner, skip=skip, after=(b.act3,))]


def resnetv2(block: nn.Module, stage: int) -> list[Piece]:
    """timm.models.resnetv2: pre-activation, where a projection starts from the activated map, and post-activation."""
    b, name, skip = block, type(block).__name__, _shortcut(block.downsample)
    if name == "Bottleneck":
        steps = [b.conv1, b.norm1, b.conv2, b.norm2, b.conv3, b.norm3, b.drop_path]
        return [_bottleneck(stage, steps, [b.conv1, b.conv2, b.conv3], [b.conv2, b.norm2], skip=skip, after=(b.act3,))]
    convs = [b.conv1, b.conv2] if name == "PreActBasic" else [b.conv1, b.conv2, b.conv3]
    rest = [b.conv1, b.norm2, b.conv2] if name == "PreActBasic" else [b.conv1, b.norm2, b.conv2, b.norm3, b.conv3]
    inner = [b.conv2] if name == "PreActBasic" else [b.conv2, b.norm3]
    if skip:
        return [_bottleneck(stage, [*rest, b.drop_path], convs, inner, pre=(b.norm1,), skip=skip)]
    return [_bottleneck(stage, [b.norm1, *rest, b.drop_path], convs, inner)]


def regnet(block: nn.Module, stage: int) -> list[Piece]:
    """timm.models.regnet."""
    b, plain = block, block.downsample is None
    convs = [b.conv1, b.conv2, b.conv3]
    if type(b).__name__ == "PreBottleneck":
        steps = [b.conv1, b.norm2, b.conv2, b.se, b.norm3, b.conv3, b.drop_path]
        return [_bottleneck(stage, steps, convs, [b.conv2], pre=(b.norm1,), skip=_shortcut(b.downsample), plain=plain)]
    steps = [b.conv1, b.conv2, b.se, b.conv3, None if plain else b.drop_path]
    return [_bottleneck(stage, steps, convs, [b.conv2], skip=_shortcut(b.downsample), after=_kept(b.act3), plain=plain)]


def convnext(block: nn.Module, stage: int) -> list[Piece]:
    """timm.models.convnext and the block of the same name in maxxvit: a depthwise convolution and its MLP are one unit."""
    b = block
    inside: tuple[Step, ...] = (b.norm, b.mlp) if b.use_conv_mlp else (channels_last, b.norm, b.mlp, channels_first)
    scale = b.ls if hasattr(b, "ls") else Times(b, "gamma", (1, -1, 1, 1))
    if isinstance(scale, nn.Module) and not b.use_conv_mlp:  # maxxvit scales before it goes back to channels first
        inside, scale = (channels_last, b.norm, b.mlp, scale, channels_first), nn.Identity()
    branch = _kept(getattr(b, "down", None), b.conv_dw, *inside, scale, b.drop_path)
    return [
        Piece(stage=stage, kind="conv", form="depthwise", branch=branch, skip=_shortcut(b.shortcut), kernel=int(b.conv_dw.kernel_size[0]))
    ]


def mbconv(block: nn.Module, stage: int) -> list[Piece]:
    """The MBConv of maxxvit: pre-norm, squeeze and excitation inside."""
    b = block
    steps = [b.pre_norm, b.down, b.conv1_1x1, b.norm1, b.conv2_kxk, b.se_early, b.norm2, b.se, b.conv3_1x1, b.drop_path]
    form, kernel = _form([b.conv1_1x1, b.conv2_kxk, b.conv3_1x1])
    return [
        Piece(stage=stage, kind="conv", form="depthwise" if form == "depthwise" else "basic", branch=_kept(*steps),
              skip=_shortcut(b.shortcut), kernel=kernel)
    ]  # fmt: skip


def byob(block: nn.Module, stage: int) -> list[Piece]:
    """The convolution blocks of timm.models.byobnet."""
    b, name = block, type(block).__name__
    if name in ("RepVggBlock", "MobileOneBlock"):
        return [_folded(b, stage, name)]
    layers = {
        "BasicBlock": ["conv1_kxk", "attn", "conv2_kxk"],
        "BottleneckBlock": ["conv1_1x1", "conv2_kxk", "conv2b_kxk", "attn", "conv3_1x1"],
        "DarkBlock": ["conv1_1x1", "attn", "conv2_kxk"],
        "EdgeBlock": ["conv1_kxk", "attn", "conv2_1x1"],
    }.get(name)
    if layers is None:
        raise CannotSplit(f"its blocks are of the type {name}")
    steps = [getattr(b, layer) for layer in layers]
    convs = [step for layer, step in zip(layers, steps, strict=True) if "conv" in layer and not isinstance(step, nn.Identity)]
    return [
        _bottleneck(stage, [*steps, b.attn_last, b.drop_path], convs, [convs[1]], skip=_shortcut(b.shortcut), after=_kept(b.act),
                    plain=b.shortcut is None)
    ]  # fmt: skip


def _folded(b: nn.Module, stage: int, name: str) -> Piece:
    """RepVGG and MobileOne: convolutions side by side, and a BatchNorm as the skip path where there is one."""
    after = _kept(b.attn, b.act)
    if b.reparam_conv is not None:
        return Piece(stage=stage, kind="conv", form="basic", branch=(b.reparam_conv,), after=after, plain=True)
    sides = [b.conv_1x1, b.conv_kxk] if name == "RepVggBlock" else [*_kept(b.conv_scale), *b.conv_kxk]
    form, kernel = _form(sides)
    return Piece(stage=stage, kind="conv", form=form, branch=_kept(Sum(*sides), b.drop_path), skip=_shortcut(b.identity), after=after,
                 kernel=kernel, plain=b.identity is None)  # fmt: skip


def efficientnet(block: nn.Module, stage: int) -> list[Piece]:
    """The blocks of EfficientNet, MobileNet v1 to v4 and their relatives."""
    b, name = block, type(block).__name__
    layers = {
        "ConvBnAct": ["conv", "bn1", "aa"],
        "DepthwiseSeparableConv": ["conv_s2d", "bn_s2d", "conv_dw", "bn1", "aa", "se", "conv_pw", "bn2"],
        "InvertedResidual": ["conv_s2d", "bn_s2d", "conv_pw", "bn1", "conv_dw", "bn2", "aa", "se", "conv_pwl", "bn3"],
        "UniversalInvertedResidual": ["dw_start", "pw_exp", "dw_mid", "se", "pw_proj", "dw_end", "layer_scale"],
        "EdgeResidual": ["conv_exp", "bn1", "aa", "se", "conv_pwl", "bn2"],
        "MobileAttention": ["norm", "attn", "layer_scale"],
    }.get(name)
    if layers is None:
        raise CannotSplit(f"its blocks are of the type {name}")
    steps, pieces = [getattr(b, layer, None) for layer in layers], []
    if name == "MobileAttention":
        if b.conv_cpe_dw is not None:
            pieces.append(
                Piece(stage=stage, kind="conv", form="depthwise", branch=(b.conv_cpe_dw,), kernel=_conv_of(b.conv_cpe_dw).kernel_size[0])
            )
        return [*pieces, _skipped(b, Piece(stage=stage, kind="msa", form="global", branch=steps, heads=b.attn.num_heads))]
    convs = [part for step in _kept(*steps) if isinstance(step, nn.Module) for part in step.modules() if isinstance(part, nn.Conv2d)]
    spatial = [conv for conv in convs if conv.kernel_size[0] > 1]
    form, kernel = _form(list(spatial or convs))
    if spatial or len(convs) < 2:
        piece = Piece(stage=stage, kind="conv", form=form, branch=steps, kernel=kernel)
    else:  # MobileNet v4 has blocks of two 1x1 convolutions: an MLP at each position
        piece = Piece(stage=stage, kind="mlp", branch=steps)
    return [_skipped(b, piece)]


def _skipped(b: nn.Module, piece: Piece) -> Piece:
    """The piece with the block's stochastic depth, or without a skip path where the block has none."""
    piece.plain = not b.has_skip
    piece.branch = _kept(*piece.branch, *([b.drop_path] if b.has_skip else []))
    return piece
