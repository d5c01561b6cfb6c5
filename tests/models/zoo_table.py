"""What can be measured of nets of timm, found out by doing it on random weights; docs/timm.md is made from these rows."""

import warnings
from collections import Counter
from pathlib import Path

import torch

from core.metrics.curvature import hvp
from core.metrics.twice import quick
from core.models import probe, refusal, sweep, timm_zoo
from core.models.zoo.net import shake

DOCS = Path(__file__).parents[2] / "docs" / "timm.md"

#: family -> model:image size, small images and small nets of each kind
NETS = {
    "ViT": "vit_tiny_patch16_224:64 vit_small_patch16_18x2_224:64 vit_small_patch14_reg4_dinov2:56",
    "DeiT": "deit_tiny_patch16_224:64 deit_tiny_distilled_patch16_224:64 deit3_small_patch16_224:64",
    "EVA, DINOv3": "eva02_tiny_patch14_224:56 vit_small_patch16_dinov3:64",
    "BEiT": "beit_base_patch16_224:64",
    "Swin": "swin_tiny_patch4_window7_224:64 swinv2_tiny_window8_256:64",
    "PiT": "pit_ti_224:64 pit_ti_distilled_224:64",
    "Twins": "twins_svt_small:64",
    "Mixer": "mixer_s16_224:64 resmlp_12_224:64 gmlp_ti16_224:64",
    "MetaFormer": "poolformer_s12:64 convformer_s18:64 caformer_s18:64",
    "ResNet": "resnet18:64 resnet26d:64 resnet50:64 seresnet50:64 resnetv2_50:64",
    "ResNeXt": "resnext50_32x4d:64",
    "Wide ResNet": "wide_resnet50_2:64",
    "ConvNeXt": "convnext_atto:64 convnextv2_atto:64",
    "EfficientNet": "efficientnet_b0:64 efficientnetv2_rw_t:64",
    "MobileNet": "mobilenetv2_050:64 mobilenetv3_small_050:64 mobilenetv4_hybrid_medium:64",
    "RegNet": "regnetx_002:64 regnety_002:64",
    "ByobNet": "repvgg_a0:64 gernet_s:64",
    "BoTNet, HaloNet, LambdaResNet": "botnet26t_256:64 halonet26t:256 lambda_resnet26t:64",
    "CoAtNet, MaxViT": "coatnet_nano_rw_224:64 maxvit_pico_rw_256:64 maxxvit_rmlp_nano_rw_256:64",
    "NextViT": "nextvit_small:64",
    "The paper's": "paper-resnet-50:32 paper-vit-ti:32 paper-pit-ti:32 paper-swin-ti:32",
    "DenseNet": "densenet121:64",
    "Others": "res2net50_26w_4s:64 dla34:64 inception_next_atto:64 ghostnet_100:64 tiny_vit_5m_224:64 edgenext_xx_small:64 "
    "cait_xxs24_224:64 xcit_nano_12_p16_224:64 volo_d1_224:64 levit_128s:64 mvitv2_tiny:64 coat_lite_tiny:64",
}  # fmt: skip
QUICK = ("deit_tiny_distilled_patch16_224", "swin_tiny_patch4_window7_224", "pit_ti_224", "resnet18", "convnext_atto",
         "mobilenetv3_small_050", "botnet26t_256", "poolformer_s12", "coatnet_nano_rw_224", "densenet121", "mvitv2_tiny")  # fmt: skip
_HEAD = ("family", "model", "image", "units", "fourier", "variance", "CKA", "attention", "lesion", "Hessian")
_TEXT = """# Nets of timm in the lab

Any net of timm can be read by its name (`core.models.timm_zoo`). What the lab can measure of it depends on how far it is a row of residual
units: `x + branch(x)`. Each row below was found out on random weights by doing it: the units add up to the untouched net's answers, every
branch that can be switched off changes them, and a product with the Hessian is symmetric. Where no unit is named, the net runs as it
was built: outputs of whole blocks are seen where they lie on a square map beyond doubt, and calibration, robustness, landscape and Hessian
need no units at all.

A number before a kind is how many units there are of it; *block* is one that is not taken apart. Attention says of how many MSA units the
weights can be read. Names are those of timm {version}; image sizes are chosen small.

"""


def everything() -> list[tuple[str, str, int]]:
    """(family, model, image size) of all rows."""
    pairs = [(family, *spec.split(":")) for family, specs in NETS.items() for spec in specs.split()]
    return [(family, model, int(size)) for family, model, size in pairs]


def built(model: str, size: int) -> timm_zoo.ZooNet:
    """A net on random weights without zeros, so that nothing that a branch adds is hidden."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = timm_zoo.build(model, image_size=size, classes=10)
    shake(net.model, torch.Generator().manual_seed(0))
    return net


def answers(net: timm_zoo.ZooNet, n: int = 2) -> tuple[torch.Tensor, float]:
    """Pictures, and the largest difference of the net's answers to those of the untouched model, relative to the largest answer."""
    x = torch.randn(n, 3, net.image_size, net.image_size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = net.model(x)
        return x, float((net(x) - own).abs().max() / own.abs().max())


def row(family: str, model: str, size: int) -> tuple[str, ...]:
    """One line of the table; an AssertionError where a net does not do what its level says."""
    net = built(model, size)
    x, off = answers(net)
    assert off < 1e-5, f"{model}: answers differ by {off:.1e}"
    maps = _maps(net, x)
    kinds = Counter(unit.kind for unit in net.units if net.level == "units")
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or (f"{len(net.units)} whole blocks" if net.units else "none")
    seen = bool(maps) and all(m.shape[2] == m.shape[3] and bool(m.isfinite().all()) for m in maps)
    return (
        family, f"`{model}`", str(size), told, _yes(seen and max(m.shape[-1] for m in maps) >= 4), _yes(seen), _yes(seen),
        f"{len(net.looking())} of {kinds['msa']}" if kinds["msa"] else "–", _lesions(net, x), _yes(_bends(net, x[:1])),
    )  # fmt: skip


def _yes(it_is: bool) -> str:
    return "yes" if it_is else "no"


def _maps(net: timm_zoo.ZooNet, x: torch.Tensor) -> list[torch.Tensor]:
    if not net.units:
        return []
    with torch.no_grad(), probe(net) as taps:
        net(x)
    assert len(taps) == len(net.units) and taps.stem is not None
    sides = [(taps[i].shape[1], taps[i].shape[-1]) for i in range(len(taps))]
    assert sides == [(unit.width, unit.side) for unit in net.units]
    return [taps.stem, *taps.maps.values()]


def _lesions(net: timm_zoo.ZooNet, x: torch.Tensor) -> str:
    """How many units can be switched off; every one of them must change the answers."""
    able = [i for i, unit in enumerate(net.units) if not refusal(unit)]
    if not able:
        return "no"
    rows = sweep(net, x, able)
    changed = (rows[1:] - rows[0]).abs().amax((1, 2)) / rows[0].abs().max()
    assert float(changed.min()) > 1e-6, f"{net.name}: {net.units[able[int(changed.argmin())]].id} off changes nothing"
    return "yes" if len(able) == len(net.units) else f"{len(able)} of {len(net.units)}"


def _bends(net: timm_zoo.ZooNet, x: torch.Tensor) -> bool:
    """Whether products with the Hessian of the loss are finite and symmetric: u'Hv = v'Hu."""
    weights = [p for p in net.attend("plain").parameters() if p.requires_grad]
    with quick():
        loss = torch.nn.functional.cross_entropy(net(x), torch.tensor([3] * len(x)))
        product = hvp(loss, weights)
    size = sum(p.numel() for p in weights)
    u, v = (torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in (5, 6))
    hu, hv = product(u), product(v)
    net.attend("sdpa")
    scale = float(hu.norm() * v.norm())
    return bool(hu.isfinite().all()) and scale > 0 and abs(float(u.double() @ hv.double() - v.double() @ hu.double())) < 1e-4 * scale


def table(rows: list[tuple[str, ...]]) -> str:
    """The whole document."""
    import timm

    lines = [f"| {' | '.join(cells)} |" for cells in (_HEAD, ("---",) * len(_HEAD), *rows)]
    whole = sum("block" not in cells[3] or "whole" not in cells[3] for cells in rows if cells[3] != "none")
    text = _TEXT.replace("{version}", ".".join(timm.__version__.split(".")[:2]))
    return f"{text}{len(rows)} nets, {whole} of them read into units.\n\n" + "\n".join(lines) + "\n"
