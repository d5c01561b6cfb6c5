"""Parameters and FLOPs in closed form against torch's own counts and the paper's sizes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.models import build
from core.presets import PRESETS, alternate, resolve
from core.size import count
from core.spec import parse

EVERY_KIND = [
    "dodxpl-dllt",
    "mmsw-gwsp/stem=patch2/width=64,96",
    "ttmm/stem=patch4/head=cls/width=64",
    "cbdm/msa=bottleneck/bias=0/dim_head=16",
]


def torch_counts(arch, image_size, classes):
    net = build(arch, image_size, classes).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, image_size, image_size))
    return {"parameters": sum(p.numel() for p in net.parameters()), "flops": counter.get_total_flops()}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.id)
def test_presets_count_as_torch_counts(preset):
    classes = 1000 if preset.image_size == 224 else 100
    arch = resolve(preset.id)
    assert count(arch, preset.image_size, classes) == torch_counts(arch, preset.image_size, classes)


@pytest.mark.parametrize("text", EVERY_KIND)
def test_every_kind_counts_as_torch_counts(text):
    assert count(parse(text), 32, 10) == torch_counts(parse(text), 32, 10)


ALTER = "stem=conv3/stem_width=64/width=256,512,1024,2048/heads=3,6,12,24/msa=bottleneck/dim_head=64/bias=0"


@pytest.mark.parametrize(
    ("text", "size", "classes", "millions"),
    [
        ("preresnet-50", 32, 100, 23.70),
        ("preresnet-50-3464", 32, 100, 28.16),
        (f"{alternate((3, 4, 6, 4), (0, 0, 0, 1))}/{ALTER}", 32, 100, 30.26),
        (f"{alternate((3, 4, 6, 4), (0, 0, 0, 2))}/{ALTER}", 32, 100, 32.36),
        (f"{alternate((3, 4, 6, 4), (0, 0, 1, 2))}/{ALTER}", 32, 100, 32.88),
        ("alternet-50", 32, 100, 33.01),
        (f"{alternate((3, 4, 6, 4), (0, 1, 3, 2))}/{ALTER}", 32, 100, 34.06),
        ("alternet-50-imagenet", 224, 1000, 35.92),
        ("vit-ti", 32, 100, 5.4),
    ],
)
def test_paper_sizes(text, size, classes, millions):
    digits = len(str(millions).partition(".")[2]) if millions != 23.70 else 2
    counted = count(parse(text) if text not in PRESETS else resolve(text), size, classes)["parameters"] / 1e6
    assert abs(counted - millions) <= 0.5 * 10**-digits + 1e-6, counted
