"""The judge on the paper's own published curves gives the paper's own numbers: it is right before it judges other nets.

The values are read off the figures of Park and Kim, ICLR 2022, and of its poster.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.claims import accuracy, features, lesions
from core.claims.judge import CONTRADICTED, SUPPORTED, UNDECIDED, Rule, decide, spearman
from core.metrics import bands
from tests.claims import made
from tests.claims.made import ALTERNET, RESNET, net

# Figs. 2a and 8: Δ log amplitude at the highest frequency; the stem, then the units (ViT: MSA and MLP in turn)
VIT_DETAIL = (-1.777, -1.887, -2.648, -2.170, -2.535, -2.167, -2.366, -2.503, -2.489, -2.667, -2.453, -2.663, -2.529, -2.644, -2.464,
              -2.599, -2.467, -2.498, -2.420, -2.408, -2.359, -2.457, -2.549, -2.568, -2.272)  # fmt: skip
RESNET_DETAIL = (-6.600, -5.633, -5.419, -5.228, -3.510, -3.717, -3.640, -3.664, -2.609, -2.838, -2.787, -2.687, -2.519, -2.572, -1.030,
                 -1.087, -1.033)  # fmt: skip
# Fig. 9: variance
VIT_VARIANCE = (0.0173, 0.0153, 0.0492, 0.0404, 0.0598, 0.0529, 0.0674, 0.0576, 0.0737, 0.0732, 0.0849, 0.0828, 0.0868, 0.0849, 0.0875,
                0.0868, 0.0867, 0.0861, 0.0838, 0.0832, 0.0779, 0.0776, 0.0749, 0.0744, 0.0927)  # fmt: skip
RESNET_VARIANCE = (0.0922, 0.2008, 0.3466, 0.4551, 0.3593, 0.4845, 0.6461, 0.7646, 0.3713, 0.4553, 0.5752, 0.6865, 0.7618, 0.8362, 0.1695,
                   0.1683, 0.2090)  # fmt: skip
DEPTHS = (3, 4, 6, 3)
# Fig. 2b: change of accuracy under noise, points, 0.1π to 0.9π
NOISE = {
    "ResNet": (-5.01, -8.84, -12.72, -10.74, -10.29, -10.10, -9.67, -13.59, -15.38),
    "ViT": (-5.50, -12.07, -14.93, -13.43, -11.56, -9.77, -6.29, -4.32, -4.84),
}
# Fig. 5a: test error, %, and training NLL of ResNeXt, ResNet, Twins, Swin, PiT, ViT, Mixer
ERRORS = (17.65, 17.26, 22.38, 23.30, 23.96, 33.49, 35.38)
LOSSES = (2.097, 2.086, 2.171, 2.225, 2.296, 2.522, 2.569)
# Fig. 10b: what switching off costs in Swin, points; MSA and MLP in turn
SWIN = {
    2: (0.42, 0.60, 1.44, 0.22),
    3: (0.23, 0.69, 0.16, 0.28, 0.39, 0.17, 0.23, 0.22, 0.60, 0.30, 0.56, 0.00),
    4: (1.09, 1.07, 1.88, 1.00),
}
# Fig. 12a: accuracy, %, while MSAs are added
BUILD_UP = {"0": 82.48, "1": 83.45, "2": 83.66, "3": 83.77, "4a": 83.52, "5a": 83.19, "4b": 84.02, "5b": 83.39, "5c": 83.80}


def vit_table() -> pd.DataFrame:
    kinds = ["stem", *(("msa", "mlp") * 12)]
    table = pd.DataFrame({"kind": kinds, "position": range(25), "stage": [0] + [1] * 24, "depth": np.arange(25) / 24})
    return table.assign(resampling=False, top=True, change=np.r_[np.nan, np.diff(VIT_DETAIL)], variance=VIT_VARIANCE,
                        ratio=np.r_[np.nan, np.divide(VIT_VARIANCE[1:], VIT_VARIANCE[:-1])])  # fmt: skip


def resnet_table(first_resamples: bool = True) -> pd.DataFrame:
    """The first block of stage 1 widens the stream; for the variance the paper counts it all the same."""
    stage = [0, *np.repeat([1, 2, 3, 4], DEPTHS)]
    first = [False, *(i == 0 and (s > 1 or first_resamples) for s, n in enumerate(DEPTHS, 1) for i in range(n))]
    table = pd.DataFrame({"kind": ["stem", *["conv"] * 16], "position": range(17), "stage": stage, "depth": np.arange(17) / 16})
    return table.assign(resampling=first, top=True, change=np.r_[np.nan, np.diff(RESNET_DETAIL)], variance=RESNET_VARIANCE,
                        ratio=np.r_[np.nan, np.divide(RESNET_VARIANCE[1:], RESNET_VARIANCE[:-1])])  # fmt: skip


def verdict(values: np.ndarray, rule: Rule) -> str:
    effect = features.of_units(values, rule.sign, log=rule.zero == 1)
    return decide(effect, rule, seeds=1)[0]


def test_msas_blur_and_mlps_sharpen_beyond_the_first_quarter() -> None:
    table = vit_table()
    msa, mlp = features.detail(table, "msa"), features.detail(table, "mlp")
    assert (len(msa), int((msa < 0).sum()), msa.mean()) == (9, 8, pytest.approx(-0.101, abs=5e-4))
    assert (len(mlp), int((mlp > 0).sum()), mlp.mean()) == (9, 8, pytest.approx(0.112, abs=5e-4))
    assert verdict(msa, features.BLURS) == verdict(mlp, features.SHARPENS) == SUPPORTED
    assert verdict(-msa, features.BLURS) == CONTRADICTED


def test_over_all_depths_the_msas_are_open() -> None:
    msa = features.detail(vit_table(), "msa", "all")
    assert (int((msa < 0).sum()), len(msa), msa.mean()) == (9, 12, pytest.approx(-0.015, abs=5e-4))
    assert verdict(msa, features.BLURS) == UNDECIDED


def test_early_layers_do_the_opposite() -> None:
    table = vit_table()
    assert features.detail(table, "msa", "early").mean() == pytest.approx(0.25, abs=0.005)
    assert features.detail(table, "mlp", "early").mean() == pytest.approx(-0.44, abs=0.005)


def test_convs_that_keep_the_resolution_are_open() -> None:
    conv = features.detail(resnet_table(), "conv", "all")
    assert (len(conv), int((conv > 0).sum()), conv.mean()) == (12, 7, pytest.approx(0.024, abs=5e-4))
    assert verdict(conv, features.SHARPENS) == UNDECIDED


def test_variance() -> None:
    msa, mlp = (features.factors(vit_table(), kind) for kind in ("msa", "mlp"))
    assert (int((msa < 0).sum()), len(msa), np.exp(msa.mean())) == (12, 12, pytest.approx(0.944, abs=5e-4))
    assert (int((mlp > 0).sum()), len(mlp), np.exp(mlp.mean())) == (8, 12, pytest.approx(1.218, abs=5e-4))
    conv = features.factors(resnet_table(first_resamples=False), "conv")
    assert (int((conv > 0).sum()), len(conv)) == (12, 13)
    assert verdict(msa, features.EVENS) == verdict(conv, features.SPREADS) == SUPPORTED


def test_variance_grows_in_stages_and_falls_between_them() -> None:
    table = resnet_table()
    assert np.exp(features.at_resampling(table)) == pytest.approx([0.79, 0.49, 0.20], abs=0.005)
    ends = features.at_ends(table)
    assert len(ends) == 4 and (ends[:3] > 0).all()


def test_noise() -> None:
    k = {name: float(bands.contrast(curve)) for name, curve in NOISE.items()}
    assert k["ViT"] == pytest.approx(5.7, abs=0.05) and k["ResNet"] == pytest.approx(-4.0, abs=0.05)
    assert k["ViT"] - k["ResNet"] == pytest.approx(9.7, abs=0.05)
    assert bands.crossing(NOISE["ViT"], NOISE["ResNet"]) == pytest.approx(0.58, abs=0.005)


def test_stronger_bias_fits_better() -> None:
    found = spearman(ERRORS, LOSSES)
    assert (found.value, found.n) == (pytest.approx(1.0), 7)
    assert decide(found, accuracy.GOES_WITH, seeds=1)[0] == SUPPORTED


def test_lesions_of_swin() -> None:
    rows = [(stage, kind) for stage, costs in SWIN.items() for kind in ("msa", "mlp") * (len(costs) // 2)]
    table = pd.DataFrame(rows, columns=["stage", "kind"]).assign(resampling=False)
    right = np.array([[100 - cost] for costs in SWIN.values() for cost in costs])
    mlp, msa = lesions.ends(table, right, "mlp", 0), lesions.ends(table, right, "msa", -1)
    assert np.ravel(list(mlp.values())) == pytest.approx([0.38, 0.50, 0.07], abs=0.005)
    assert np.ravel(list(msa.values())) == pytest.approx([1.02, 0.24, 0.79], abs=0.005)


@pytest.mark.parametrize(("one", "other", "points"), [("4b", "0", 1.54), ("4b", "4a", 0.50), ("4a", "3", -0.25), ("5a", "4a", -0.33)])
def test_build_up(one: str, other: str, points: float) -> None:
    found = accuracy.difference(net(ALTERNET, accuracy=BUILD_UP[one] / 100), net(RESNET, accuracy=BUILD_UP[other] / 100))
    assert found.value == pytest.approx(points, abs=0.005)


def test_corruption() -> None:
    """Fig. 12b: 66.67 % against 64.98 % over the corruptions."""
    pair = [net(arch, 0, [made.corruption(share, n=10_000)]) for arch, share in ((ALTERNET, 0.6667), (RESNET, 0.6498))]
    found = accuracy.sturdiness(*pair)
    assert found is not None and found.value == pytest.approx(1.69, abs=0.4) and found.low > 0
