"""The variance analysis against numpy over maps found by hand, and its words against tables whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from core.analyses import variance
from core.table import check
from tests.analyses.given import Given, outputs

HYBRID = "cwt-cmo/width=16,32/heads=1,1"


def measure(subject: Given, **params) -> tuple[pd.DataFrame, dict]:
    result = variance.ANALYSIS.measure(subject, variance.Params(**params), lambda *_a, **_k: None)
    return result.table, result.notes


@pytest.mark.parametrize("notation", [HYBRID, "mt/stem=patch4/width=32/head=cls", "wtst-gw/stem=patch2/width=32,64"])
def test_every_row_equals_numpy(notation):
    subject = Given(notation, n=40)
    table, _ = measure(subject, images=40)
    check(table, variance.COLUMNS, keys=("unit",))
    maps = outputs(subject)
    assert table["unit"].tolist() == list(maps)
    by_hand = {unit: x.double().flatten(2).numpy().var(axis=2, ddof=1).mean(1) for unit, x in maps.items()}
    before = None
    for row in table.itertuples():
        here = by_hand[row.unit]
        assert row.variance == pytest.approx(here.mean(), rel=1e-5)
        assert row.ci_high - row.variance == pytest.approx(2.0227 * here.std(ddof=1) / math.sqrt(40), rel=1e-3)
        assert math.isnan(row.ratio) if before is None else row.ratio == pytest.approx(here.mean() / before.mean(), rel=1e-5)
        before = here
    assert table["images"].eq(40).all()


def test_units_that_change_resolution_are_marked():
    table, notes = measure(Given(HYBRID, n=8), images=8)
    assert table.loc[table["resampling"], "unit"].tolist() == ["s2u1"]
    assert notes == {"images": 8, "seed": 0, "on": "test"}


def test_a_unit_that_adds_nothing_has_the_ratio_one_exactly():
    subject = Given("cm/width=16/heads=1", n=8)
    for parameter in subject.net.blocks[1].parameters():
        torch.nn.init.zeros_(parameter)
    last = measure(subject, images=8)[0].iloc[-1]
    assert (last.ratio, last.ratio_low, last.ratio_high) == (1.0, 1.0, 1.0)


def test_the_net_is_left_as_it_was():
    subject = Given(HYBRID, n=8)
    before = {name: t.clone() for name, t in subject.net.state_dict().items()}
    measure(subject, images=8)
    assert all(torch.equal(t, before[name]) for name, t in subject.net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.net.modules())


def test_the_interval_of_a_ratio_covers_what_is_true():
    """Means 2 and 1 of images that vary together: 95 of 100 intervals should hold 2."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        common = rng.gamma(4.0, 0.25, 60)
        low, high = variance.ratio_interval(2 * common * rng.gamma(16.0, 1 / 16, 60), common * rng.gamma(16.0, 1 / 16, 60))[1:]
        held += low <= 2.0 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_nothing_to_compare_is_no_number():
    assert all(map(math.isnan, variance.ratio_interval(np.ones(4), np.zeros(4))))
    assert variance.ratio_interval(np.array([2.0]), np.array([1.0]))[0] == pytest.approx(2.0)
    assert math.isnan(variance.ratio_interval(np.array([2.0]), np.array([1.0]))[1])


def made(ratios: dict[str, list[float]], resampling: tuple[float, ...] = ()) -> pd.DataFrame:
    rows = [{"kind": "stem", "ratio": math.nan, "resampling": False}]
    rows += [{"kind": kind, "ratio": ratio, "resampling": False} for kind, values in ratios.items() for ratio in values]
    return pd.DataFrame(rows + [{"kind": "conv", "ratio": ratio, "resampling": True} for ratio in resampling])


def test_kinds_are_geometric_means_without_the_units_that_change_resolution():
    kinds = variance.by_kind(made({"msa": [0.5, 0.8], "conv": [1.2]}, resampling=(0.1,))).set_index("kind")
    assert kinds.loc["msa", "mean"] == pytest.approx(math.sqrt(0.4))
    assert kinds.loc["conv", "mean"] == pytest.approx(1.2) and math.isnan(kinds.loc["conv", "low"])
    assert kinds.loc["msa", ["units", "lowered", "raised"]].tolist() == [2, 2, 0]


def test_the_takeaway_names_net_number_interval_and_clarity():
    text = variance.takeaway({"ViT": made({"msa": [0.9, 0.91, 0.89, 0.9], "mlp": [1.2, 0.8, 1.05]})})
    assert text == (
        "In ViT, **MSA units lower the variance** (×0.90, 95 % ×0.89 to ×0.91, all 4); not clear: MLP units ×1.00 (95 % ×0.60 to ×1.68)."
    )
    unclear = variance.takeaway({"A": made({"conv": [2.0, 0.5]}), "B": made({"msa": [0.8]})})
    assert unclear.startswith("In A and B, **no kind of unit lowers or raises the variance clearly**: the one MSA unit ×0.80")
    assert "measured" in variance.takeaway({})


def test_the_picture_holds_every_unit_and_the_ratio_of_the_focused_one():
    table, _ = measure(Given(HYBRID, n=8), images=8)
    spec = variance.chart(table, net="Net", family="hybrid", focus="s1u2").to_dict()
    assert all(unit in str(spec) for unit in table["unit"]) and f"×{table.set_index('unit').loc['s1u2', 'ratio']:.2f}" in str(spec)
