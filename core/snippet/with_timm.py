"""A net in timm's words, where timm has the same net."""

import textwrap

from core.outline import Outline
from core.snippet.plain import opening
from core.spec import Architecture, layout

_VIT = '''
{opening}
from functools import partial

from timm.models.vision_transformer import VisionTransformer
from torch import nn

net = VisionTransformer(
    img_size={size}, patch_size={patch}, num_classes={classes}, embed_dim={width}, depth={depth}, num_heads={heads}, mlp_ratio={mlp},
    qkv_bias={bias}, {head}, norm_layer=partial(nn.LayerNorm, eps=1e-5),
)


def renamed(state):
    """Weights of the lab under timm's names."""
    names = {{"stem.": "patch_embed.proj.", "pos": "pos_embed", "cls": "cls_token"}}
    for i in range({depth}):  # an attention unit and an MLP unit make one block
        names |= {{f"blocks.{{2 * i}}.pre.": f"blocks.{{i}}.norm1.", f"blocks.{{2 * i}}.body.": f"blocks.{{i}}.attn."}}
        names |= {{f"blocks.{{2 * i + 1}}.pre.": f"blocks.{{i}}.norm2."}}
        names |= {{f"blocks.{{2 * i + 1}}.body.{{k}}.": f"blocks.{{i}}.mlp.fc{{k // 2 + 1}}." for k in (0, 2)}}
    return {{next((new + k[len(old):] for old, new in names.items() if k.startswith(old)), k): v for k, v in state.items()}}
'''

_RESNET = '''
{opening}
from timm.layers import BatchNormAct2d, create_conv2d
from timm.models.resnetv2 import ResNetV2
{imported}
depths = {depths}
net = ResNetV2(
    depths, {widths}, num_classes={classes}, stem_chs={stem_width}, conv_layer=create_conv2d, norm_layer=BatchNormAct2d,
)
{stem}

def renamed(state):
    """Weights of the lab under timm's names."""
    inside = {{"pre.0.": "norm1.", "project.": "downsample.conv."}}
    inside |= {{"body.0.": "conv1.", "body.1.": "norm2.", "body.3.": "conv2.", "body.4.": "norm3.", "body.6.": "conv3."}}
    names, unit = {stem_names}, 0
    for stage, depth in enumerate(depths):
        for block in range(depth):
            names |= {{f"blocks.{{unit}}.{{old}}": f"stages.{{stage}}.blocks.{{block}}.{{new}}" for old, new in inside.items()}}
            unit += 1
    found = {{next((new + k[len(old):] for old, new in names.items() if k.startswith(old)), k): v for k, v in state.items()}}
    return found | {{"head.fc.weight": found["head.fc.weight"][:, :, None, None]}}  # timm's classifier is a 1x1 conv
'''

_NAMED = """
{opening}
import timm

try:
    net = timm.create_model("{name}", num_classes={scores}, img_size={size})
except TypeError:  # a net for images of any size
    net = timm.create_model("{name}", num_classes={scores})
"""

_PAPER = {
    "paper-resnet-50": """
from timm.models.resnet import Bottleneck, ResNet
from torch import nn

net = ResNet(Bottleneck, (3, 4, 6, 3), num_classes={scores})
net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)  # for small images: full resolution, no pooling
net.maxpool = nn.Identity()
""",
    "paper-vit-ti": """
from timm.models.vision_transformer import VisionTransformer

net = VisionTransformer(
    img_size=32, patch_size=2, num_classes={scores}, embed_dim=192, depth=12, num_heads=3, qkv_bias=False,
)
""",
    "paper-pit-ti": """
from timm.models.pit import PoolingVisionTransformer

net = PoolingVisionTransformer(
    img_size=32, patch_size=2, stride=1, num_classes={scores}, base_dims=[32, 32, 32], depth=[2, 6, 4], heads=[2, 4, 8], mlp_ratio=4,
)
""",
    "paper-swin-ti": """
from timm.models.swin_transformer import SwinTransformer

net = SwinTransformer(
    img_size=32, patch_size=1, window_size=4, num_classes={scores}, embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24),
    qkv_bias=False,
)
""",
}


def with_timm(arch: Architecture | Outline, image_size: int, classes: int) -> str:
    """A file that builds the same net as `net` with timm; "" where timm has no such net.

    `renamed(state)`, where it stands there, gives the lab's weights timm's names.  Of an imported net the names are timm's already; where
    only some of its scores stand for the classes of the images, `outputs` says which.  Raises SpecError as `layout` does.
    """
    layout(arch, image_size)
    if isinstance(arch, Outline):
        return _imported(arch)
    return _vit(arch, image_size, classes) or _resnet(arch, image_size, classes)


def _lab(arch: Architecture, image_size: int, classes: int) -> str:
    text = opening(arch, image_size, classes, 'renamed(safetensors.torch.load_file("net.safetensors"))')
    return text.replace("fit as they are", "fit with timm's names")


def _vit(arch: Architecture, image_size: int, classes: int) -> str:
    stage, letters = arch.stages[0], arch.letters.replace("o", "")
    depth = len(letters) // 2
    alike = (
        len(arch.stages) == 1 and letters == "mt" * depth and arch.stem.startswith("patch") and arch.pos == "abs"
        and arch.msa == "prenorm" and not arch.dim_head
    )  # fmt: skip
    if not alike:
        return ""
    head = 'global_pool="token"' if arch.head == "cls" else 'class_token=False, global_pool="avg", fc_norm=False'
    return _VIT.lstrip().format(
        opening=_lab(arch, image_size, classes), size=image_size, classes=classes, patch=arch.stem.removeprefix("patch"),
        width=stage.width, depth=depth, heads=stage.heads, mlp=arch.mlp, bias=arch.bias, head=head,
    )  # fmt: skip


def _resnet(arch: Architecture, image_size: int, classes: int) -> str:
    widths = [stage.width for stage in arch.stages]
    alike = (
        set(arch.letters) <= set("bo") and arch.stem in ("conv3", "conv3s2", "conv7") and arch.pos != "abs"
        and arch.first_width != widths[0] and not any(width % 32 for width in widths)
    )  # fmt: skip
    if not alike:
        return ""
    own = arch.stem != "conv7"  # timm's stem is the 7x7 conv with its pooling
    step = 1 if arch.stem == "conv3" else 2
    return _RESNET.lstrip().format(
        opening=_lab(arch, image_size, classes), depths=[len(stage.letters.replace("o", "")) for stage in arch.stages], widths=widths,
        classes=classes, stem_width=arch.first_width, imported="from torch import nn\n" if own else "",
        stem=f"net.stem = nn.Conv2d(3, {arch.first_width}, 3, {step}, 1, bias=False)\n" if own else "",
        stem_names='{"head.": "head.fc."}' if own else '{"head.": "head.fc.", "stem.0.": "stem.conv."}',
    )  # fmt: skip


def _imported(outline: Outline) -> str:
    name = outline.name.partition(":")[2]
    opening = (
        f'"""{name} for {outline.image_size}x{outline.image_size} images: {outline.parameters:,} parameters.\n\n'
        'Weights that AlterLab exports fit as they are:\n    net.load_state_dict(safetensors.torch.load_file("net.safetensors"))\n"""\n'
    )
    text = _PAPER[name].lstrip() if name in _PAPER else _NAMED.lstrip().removeprefix("{opening}\n")
    text = f"{opening}\n{text.format(name=name, scores=outline.scores, size=outline.image_size)}"
    if outline.weights == "published":
        text += "# pretrained=True would fetch the weights that its authors published\n"
    if outline.outputs:
        rows = textwrap.indent(textwrap.fill(", ".join(map(str, outline.outputs)), 120), "    ")
        text += f"# of its {outline.scores:,} scores those that stand for the classes of the images: net(x)[:, outputs]\n"
        text += f"outputs = [\n{rows},\n]\n"
    return text
