"""The density of all eigenvalues: a spectrum known by construction, a dense one, and what is read off it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from core.analyses import _batches, _bends, density
from core.metrics.curvature import hvp
from core.table import check
from tests.analyses.test_hessian import Quadratic, Small, given


def measured(subject: Any, **settings: Any) -> Any:
    return density.ANALYSIS.measure(subject, density.Params(**{"images": 32, "steps": 16, **settings}), lambda *_a, **_k: None)


def test_a_quadratic_loss_has_the_spectrum_it_was_made_of(monkeypatch):
    """Ninety flat directions, nine that bend up, one that bends down: with as many steps as values each weight is a share, on average."""
    spectrum = [0.0] * 90 + [1.0] * 9 + [-4.0]
    found = measured(given(Quadratic(spectrum), monkeypatch, quadratic=True), probes=1)
    check(found.table, density.COLUMNS)
    assert found.table["node"].tolist() == pytest.approx([-4.0, 0.0, 1.0], abs=1e-5), "three values are reached in three steps"
    assert found.table["weight"].tolist() == pytest.approx([0.01, 0.9, 0.09], rel=1e-4), "signs hit each axis alike"
    mean, square = density.moments(found.table)
    assert mean == pytest.approx(np.mean(spectrum), abs=1e-5) and square == pytest.approx(np.mean(np.square(spectrum)), rel=1e-4)


def test_moments_and_ends_are_those_of_the_dense_matrix(monkeypatch):
    subject = given(Small(0), monkeypatch)
    table = measured(subject, probes=24, steps=10).table
    exact, frozen = Small(0).double().eval(), _batches.frozen(*[None] * 5)
    parameters = list(exact.parameters())
    size = sum(p.numel() for p in parameters)
    logits = exact(torch.cat(frozen.x).double())
    product = hvp(-(torch.cat(frozen.target).double() * logits.log_softmax(1)).sum(1).mean(), parameters)
    matrix = torch.stack([product(column) for column in torch.eye(size, dtype=torch.float64)])
    truth = torch.linalg.eigvalsh(matrix)
    probes = [density.moments(rows) for _, rows in table.groupby("probe")]
    for seen, wanted in zip(np.array(probes).T, (truth.mean(), truth.square().mean()), strict=True):
        assert abs(seen.mean() - float(wanted)) < 4 * seen.std(ddof=1) / 24**0.5
    assert density.ends(table) == pytest.approx((float(truth[0]), float(truth[-1])), rel=0.02)
    assert table.groupby("probe")["weight"].sum().to_numpy() == pytest.approx(1)


def test_it_is_the_same_whether_graphs_are_kept_or_not(monkeypatch):
    one = measured(given(Small(0), monkeypatch), probes=1).table
    monkeypatch.setattr(density, "KEPT", 0)
    two = measured(given(Small(0), monkeypatch), probes=1).table
    pd.testing.assert_frame_equal(one, two, rtol=1e-4, atol=1e-5)


def table(nodes: list[float], weights: list[float], probe: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"probe": probe, "node": nodes, "weight": weights, "images": 256, "seed": 0})


def test_bars_hold_the_weights_and_never_cross_zero():
    """Two probes, their mean in each quarter step; what lies between -1 and 1 is flat and in no bar."""
    two = pd.concat([table([-2.0, 0.0, 100.0], [0.1, 0.8, 0.1]), table([-0.5, 1.5, 100.0], [0.6, 0.1, 0.3], 1)])
    signed = _bends.Signed([100.0, -1.0, 30.0])
    found = density.bars(two, signed.u)
    assert found["share"].tolist() == pytest.approx([0.05, 0.05, 0.2]) and found["low"].tolist()[:2] == [-0.25, 0.0]
    assert ((found["low"] >= 0) | (found["high"] <= 0)).all()
    assert density.shares(two) == pytest.approx({"flat": 0.7, "down": 0.05, "up": 0.25})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_said_and_drawn(theme):
    found = {"A": table([-3.0, 0.01, 40.0], [1e-4, 0.9998, 1e-4]), "B": table([-0.5, 0.0, 900.0], [1e-3, 0.998, 1e-3])}
    assert density.takeaway(found, "warmup") == (
        "At the end of warm-up at least **99.9 %** of directions are flat; **1 in 10,000** of A’s and **none** of B’s bend down, "
        "the steepest bend up by **40.0** and **900**."
    )
    assert density.takeaway({"A": found["A"]}) == (
        "At the end of training **99.98 %** of directions are flat; **1 in 10,000** of A’s bend down, the steepest bends up by **40.0**."
    )
    assert density.takeaway({}) == ""
    told = str(density.chart_lanes(found, theme, families={"A": "conv", "B": "msa"}).to_dict())
    for said in ("1 in a million", "1 in 10,000 down", "A: from −3.00 to 40.0; 99.98 % flat", "none down"):
        assert said in told
