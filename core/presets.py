"""Named nets to start from: small ones that a laptop trains in minutes, and the paper's own sizes.

The mini nets follow one principle: no measured map below 8x8, at least four units of each kind that do not
resample, at least four units a stage, widths in multiples of 32 with 32 channels a head.
"""

from dataclasses import dataclass
from functools import cache

from core.errors import SpecError, unknown
from core.outline import Outline
from core.spec import Architecture, parse
from core.unit import kind_of


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named architecture, the image size it is meant for, and why it looks as it does."""

    id: str
    title: str
    notation: str
    image_size: int = 32
    note: str = ""

    @property
    def family(self) -> str:
        """conv, msa or hybrid: which kinds of spatial unit it holds."""
        return family(parse(self.notation))


def alternate(depths: tuple[int, ...], msas: tuple[int, ...], conv: str = "b", msa: str = "w") -> str:
    """Stage letters with MSA at every second place counted from each stage's end (paper, Fig. 11).

    Raises SpecError if a stage cannot hold that many: the first unit of a stage stays conv.
    """
    if len(depths) != len(msas):
        raise SpecError(f"{len(msas)} MSA counts for {len(depths)} stages; give one a stage.")
    groups = []
    for i, (depth, n) in enumerate(zip(depths, msas, strict=True), 1):
        if n < 0 or 2 * n > depth:
            raise SpecError(f"Stage {i} has {depth} units; {n} MSAs do not fit between convs there, at most {depth // 2} do.")
        groups.append(conv * (depth - 2 * n) + (conv + msa) * n)
    return "-".join(groups)


_ALTER = "stem=conv3/stem_width=64/width=256,512,1024,2048/heads=3,6,12,24/window=4/pos=rel/msa=bottleneck/dim_head=64/bias=0"
_RESNET = "stem=conv3/stem_width=64/width=256,512,1024,2048"
_VIT = "mtmtmtmtmtmt"

PRESETS: dict[str, Preset] = {
    p.id: p
    for p in (
        Preset(
            id="resnet-mini",
            title="ResNet-mini",
            notation="cccccc-cccccc",
            note="Twelve pre-activation convs at 16x16 and 8x8; the twin of AlterNet-mini.",
        ),
        Preset(
            id="vit-mini",
            title="ViT-mini",
            notation=f"{_VIT}/stem=patch4/width=96",
            note="Six MSA and six MLP units on 8x8 patches, plain patch stem; claims about ViT are judged on it.",
        ),
        Preset(
            id="alternet-mini",
            title="AlterNet-mini",
            notation="ccwccw-ccmccm",
            note="ResNet-mini with MSA at every third place, windows of 4 at 16x16, the whole map at 8x8.",
        ),
        Preset(
            id="swin-mini",
            title="Swin-mini",
            notation="wtst-gwtstwtst/stem=patch2/width=64,96/heads=2,3/pos=rel",
            note="Windowed MSA with shifts at 16x16 and, after patch merging, 8x8.",
        ),
        Preset(
            id="pit-mini",
            title="PiT-mini",
            notation="mtmt-gmtmtmtmt/stem=patch2/width=64,96/heads=2,3",
            note="A ViT in two stages: MSA over the whole map at 16x16, then 8x8.",
        ),
        Preset(
            id="alternet-reversed-mini",
            title="AlterNet-reversed-mini",
            notation="wccwcc-cmccmc",
            note="AlterNet-mini with its MSAs at the start of the stages instead of the end.",
        ),
        Preset(
            id="localvit-mini",
            title="LocalViT-mini",
            notation="ltltltltltlt/stem=patch4/width=96",
            note="ViT-mini whose MSAs see 3x3 neighbours only.",
        ),
        Preset(
            id="mixer-mini",
            title="Mixer-mini",
            notation="xtxtxtxtxtxt/stem=patch4/width=96/pos=none",
            note="ViT-mini with learned but fixed spatial mixing in place of attention.",
        ),
        Preset(
            id="vit-convstem-mini",
            title="ViT-convstem-mini",
            notation=f"{_VIT}/stem=conv2/width=96/pos=abs",
            note="ViT-mini behind two convs: learns faster, less pure.",
        ),
        Preset(
            id="resnet-hires",
            title="ResNet-hires",
            notation="cc-ccc-ccc/stem=conv3/width=32,64,96",
            note="Three stages at 32x32, 16x16 and 8x8.",
        ),
        Preset(
            id="alternet-hires",
            title="AlterNet-hires",
            notation="cc-ccw-cmcm/stem=conv3/width=32,64,96",
            note="ResNet-hires with MSA at the ends of stages 2 and 3.",
        ),
        Preset(
            id="preresnet-50",
            title="Pre-activation ResNet-50",
            notation=f"{alternate((3, 4, 6, 3), (0, 0, 0, 0))}/{_RESNET}",
            note="Bottlenecks (3, 4, 6, 3), 3x3 stem.",
        ),
        Preset(
            id="preresnet-50-3464",
            title="Pre-activation ResNet-50, 3-4-6-4",
            notation=f"{alternate((3, 4, 6, 4), (0, 0, 0, 0))}/{_RESNET}",
            note="The conv baseline of AlterNet-50.",
        ),
        Preset(
            id="alternet-50",
            title="AlterNet-50",
            notation=f"{alternate((3, 4, 6, 4), (0, 1, 1, 2))}/{_ALTER}",
            note="The paper's CIFAR-100 net: four MSAs (0, 1, 1, 2), windows of 4.",
        ),
        Preset(
            id="alternet-50-imagenet",
            title="AlterNet-50 for ImageNet",
            notation=f"{alternate((3, 4, 6, 4), (0, 1, 3, 2))}/{_ALTER.replace('conv3', 'conv7').replace('window=4', 'window=7')}",
            image_size=224,
            note="Six MSAs (0, 1, 3, 2), windows of 7, 7x7 stem.",
        ),
        Preset(
            id="vit-ti",
            title="ViT-Ti, patch 2",
            notation=f"{'mt' * 12}/stem=patch2/width=192/heads=3/bias=0",
            note="The paper's ViT at 32x32: twelve blocks on 16x16 patches.",
        ),
    )
}

SHIPPED = ("resnet-mini", "vit-mini", "alternet-mini", "swin-mini", "pit-mini", "alternet-reversed-mini")


def resolve(text: str) -> Architecture:
    """The architecture of a preset id or of a notation; SpecError in words otherwise."""
    if text in PRESETS:
        return parse(PRESETS[text].notation)
    if "-mini" in text or "-hires" in text or "net" in text or text.startswith("vit"):
        raise unknown(SpecError, "preset", text, PRESETS)
    return parse(text)


@cache
def _titles() -> dict[str, str]:
    return {parse(p.notation).notation: p.title for p in PRESETS.values()}


def name_of(notation: str) -> str:
    """The title of the preset with this canonical notation, or "" if it is none."""
    return _titles().get(notation, "")


def family(arch: Architecture | Outline) -> str:
    """`msa` if all spatial units are attention, `conv` if none is, else `hybrid`."""
    kinds = {kind_of(letter) for letter in arch.letters} & {"conv", "msa", "mix", "pool"}
    if "msa" not in kinds:
        return "conv"
    return "msa" if kinds == {"msa"} else "hybrid"
