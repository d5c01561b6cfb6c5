"""Leading eigenvalues of mini-batches: spectra known by construction and dense ones, through the whole analysis; what is read off them."""

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from core import analyses, spec
from core.analyses import _batches, hessian
from core.errors import MeasureError
from core.metrics.curvature import hvp
from core.recipe import RECIPES
from core.run import Run
from core.table import check
from tests.metrics.test_curvature import Two, drawn

RUN = Run(arch=spec.parse("cm/width=16/heads=1").notation, data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]))


class Attended(nn.Module):
    """Makes a net what an analysis expects of one."""

    def attend(self, how: str) -> "Attended":
        self.how = how
        return self


class Quadratic(Attended):
    """The loss of every image is ½ Σ λ w², whose Hessian is known."""

    def __init__(self, spectrum: list[float]) -> None:
        super().__init__()
        self.w, self.spectrum = nn.Parameter(torch.ones(len(spectrum))), torch.tensor(spectrum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (0.5 * (self.spectrum * self.w**2).sum()).expand(len(x))


class Small(Attended):
    """Convolution, BatchNorm, LayerNorm, attention and GELU in 250 weights."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.two = Two()
        with torch.no_grad():
            self.two(drawn(20, 2, 8, 8, seed=5).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * self.two(x)


def given(net: nn.Module, monkeypatch: pytest.MonkeyPatch, batches: int = 2, quadratic: bool = False) -> Any:
    """A subject with this net; its images are drawn from a normal distribution, its labels soft."""
    x = [drawn(16, 2, 8, 8, seed=i).float() for i in range(batches)]
    target = [drawn(16, 3, seed=100 + i).float().softmax(1) for i in range(batches)]
    made = _batches.Frozen(x=x, target=target, digest="0" * 16, said="training images")
    monkeypatch.setattr(_batches, "frozen", lambda *_a: made)
    if quadratic:
        monkeypatch.setattr(_batches, "losses", lambda logits, _target: logits)
    return SimpleNamespace(net=net.eval(), run=RUN, arch=spec.parse(RUN.arch), device=torch.device("cpu"))


def measured(subject: Any, **settings: Any) -> Any:
    params = hessian.Params(**{"images": 32, **settings})
    return hessian.ANALYSIS.measure(subject, params, lambda *_a, **_k: None)


def test_a_quadratic_loss_has_the_spectrum_it_was_made_of(monkeypatch):
    rest = np.linspace(-0.4, 0.4, 95).tolist()
    found = measured(given(Quadratic([9.0, -8.9, 4.0, -2.0, 1.0, *rest]), monkeypatch, quadratic=True))
    check(found.table, hessian.COLUMNS, ("batch", "rank"))
    for _, rows in found.table.groupby("batch"):
        assert rows["rank"].tolist() == [1, 2, 3, 4, 5] and rows["converged"].all() and rows["products"].max() <= 30
        assert rows["eigenvalue"].tolist() == pytest.approx([9.0, -8.9, 4.0, -2.0, 1.0], rel=1e-4)
    summary = hessian.summary(found.table)
    assert summary["nep"] == pytest.approx(0.4) and summary["ape"] == pytest.approx(14 / 3, rel=1e-4)
    assert (summary["batches"], summary["values"], summary["unconverged"]) == (2, 10, 0)
    assert summary["largest"] == pytest.approx(9.0, rel=1e-4) and summary["smallest"] == pytest.approx(-8.9, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_values_are_the_dense_ones_signs_included(seed, monkeypatch):
    net = Small(seed)
    subject = given(net, monkeypatch)
    table = measured(subject, seed=seed).table
    exact, frozen = Small(seed).double().eval(), _batches.frozen(*[None] * 5)
    parameters = list(exact.parameters())
    size = sum(p.numel() for p in parameters)
    assert 50 <= size <= 500
    for batch, rows in table.groupby("batch"):
        logits = exact(frozen.x[batch].double())
        product = hvp(-(frozen.target[batch].double() * logits.log_softmax(1)).sum(1).mean(), parameters)
        truth = torch.linalg.eigvalsh(torch.stack([product(column) for column in torch.eye(size, dtype=torch.float64)]))
        wanted = truth[truth.abs().argsort(descending=True)][:5].tolist()
        assert rows["converged"].all() and rows["products"].max() <= 40
        assert rows["eigenvalue"].tolist() == pytest.approx(wanted, rel=1e-4), batch
    assert not hasattr(net, "how"), "it is a copy whose attention is multiplied out"


def test_what_has_not_converged_is_no_number(monkeypatch):
    found = measured(given(Quadratic(np.linspace(-1, 1, 400).tolist()), monkeypatch, quadratic=True), most=8)
    lost = ~found.table["converged"]
    assert lost.any() and found.table.loc[lost, "eigenvalue"].isna().all() and (found.table.loc[lost, "residual"] > 0).all()
    assert found.notes["unconverged"] == lost.sum() and found.notes["values"] == 10
    assert len(hessian.kept(found.table)) == 10 - lost.sum()


def test_what_is_noted(monkeypatch):
    notes = measured(given(Quadratic([3.0, 2.0, 1.0]), monkeypatch, quadratic=True), top=2).notes
    assert notes["weight_decay"] == RECIPES["quick"].weight_decay and notes["batches"] == "0" * 16 and notes["phase"] == "end"
    assert (notes["rows"], notes["of"], notes["said"]) == (2, 2, "training images")


def test_a_net_that_diverged_is_an_error(monkeypatch):
    with pytest.raises(MeasureError, match="diverged"):
        measured(given(Quadratic([float("inf"), 1.0]), monkeypatch, quadratic=True))


def test_weight_decay_shifts_every_value_by_itself():
    """What the card says of λ/2·Σ‖w‖², and of λ·Σ‖w‖, which bends by λ/‖w‖ across w and not along it."""
    w = drawn(12).requires_grad_()
    half, norm = hvp(0.5 * 0.05 * (w**2).sum(), [w]), hvp(0.05 * w.norm(), [w])
    across = drawn(12, seed=1)
    across = across - (across @ w.detach()) / (w.detach() @ w.detach()) * w.detach()
    assert torch.allclose(half(across), 0.05 * across)
    assert torch.allclose(norm(across), 0.05 * across / w.detach().norm()) and float(norm(w.detach()).norm()) < 1e-12


# ---- what a table says


def table(values: dict[int, list[float]]) -> pd.DataFrame:
    rows = [(batch, rank, value, 1e-5, value == value, 20, 16 * len(values), 0)
            for batch, own in values.items() for rank, value in enumerate(own, 1)]  # fmt: skip
    return pd.DataFrame(rows, columns=[column.id for column in hessian.COLUMNS])


def many(scale: float, negative: int = 0, batches: int = 24) -> pd.DataFrame:
    """Values of 8 to 12 times the scale; the last is negative in the first few batches."""
    return table({b: [scale * (13 - r + 0.01 * b) * (-1 if r == 5 and b < negative else 1) for r in range(1, 6)] for b in range(batches)})


def test_shares_and_means_by_hand():
    summary = hessian.summary(table({0: [10.0, -4.0], 1: [6.0, math.nan], 2: [2.0, -1.0]}))
    assert summary["nep"] == pytest.approx(2 / 5) and summary["ape"] == pytest.approx(6.0)
    assert (summary["values"], summary["unconverged"], summary["largest"], summary["smallest"]) == (5, 1, 10.0, -4.0)
    assert summary["nep_low"] < 0.4 < summary["nep_high"] and summary["ape_low"] < 6 < summary["ape_high"]


def test_a_pair_is_a_ratio_and_a_difference():
    two = hessian.pair(many(4.0), many(1.0, negative=12))
    assert two["ratio"] == pytest.approx(4 * 10.115 / 10.341, rel=1e-3) and 3.5 < two["ratio_low"] < two["ratio_high"] < 4.5
    assert two["difference"] == pytest.approx(-0.1) and two["difference_high"] < 0.1


def test_the_takeaway_names_the_flatter_net_and_its_negatives():
    said = hessian.takeaway({"A": many(4.0), "B": many(1.0, negative=12)}, "warmup")
    assert said.startswith("At the end of warm-up B’s loss is **3.9 times flatter** than A’s (")
    assert "**10.0 %** of its leading eigenvalues are negative (" in said
    surely = hessian.takeaway({"A": many(4.0, batches=96), "B": many(1.0, negative=90, batches=96)}, "warmup")
    assert ", but **18.8 %** of its" in surely, "clearly more than A's"
    assert "**none** of its leading eigenvalues is negative (up to" in hessian.takeaway({"A": many(4.0), "B": many(1.0)})


def test_the_takeaway_says_when_it_is_not_clear():
    rng = np.random.default_rng(0)
    wild = {b: rng.lognormal(2, 1) * np.array([5.0, 3, 2, 1, 1]) for b in range(8)}
    said = hessian.takeaway(
        {"A": table({b: own.tolist() for b, own in wild.items()}), "B": table({b: (1.1 * own).tolist() for b, own in wild.items()})}
    )
    assert said.startswith("At the end of training it is **not clear** whether A’s loss is flatter than B’s (1.10 times, 0.")


def test_the_takeaway_of_one_net_or_none():
    said = hessian.takeaway({"A": many(1.0, negative=12)}, "init")
    assert said.startswith("Before training **10.0 %** of A’s leading eigenvalues are negative (") and "on average" in said
    assert hessian.takeaway({}) == "" and hessian.takeaway({"A": table({0: [math.nan]})}) == ""
    assert "positive ones" not in hessian.takeaway({"A": table({0: [-1.0], 1: [-2.0]})}), "a mean of nothing is not told"


# ---- pictures


FAMILIES = {"A": "conv", "B": "msa"}


@pytest.mark.parametrize("make", [hessian.chart_spectra, hessian.chart_ladder])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lanes_are_drawn(make, theme):
    drawing = make({"A": many(40.0), "B": many(1.0, negative=12)}, theme, families=FAMILIES).to_dict()
    told = str(drawing)
    assert "bends down" in told and "10.0 % negative" in told and "none negative" in told


def test_areas_of_a_density_are_shares():
    from core.analyses._bends import Signed, density

    values = np.concatenate([np.linspace(1, 300, 90), np.linspace(-40, -0.5, 10)])
    signed = Signed(values)
    curve = density(values, signed)
    for negative, share in ((True, 0.1), (False, 0.9)):
        side = curve[curve["negative"] == negative]
        area = np.trapezoid(side["height"], signed.u(side["x"].to_numpy()))
        assert area == pytest.approx(share, rel=0.01)
    assert np.allclose(signed.x(signed.u(values)), values)
    ups = density(np.full(9, 3.0), Signed(values))
    assert ups.loc[ups["negative"], "height"].max() == 0, "what bends up never leaks to the other side"


def test_numbers_over_training():
    found = {"warmup": {"A": many(4.0), "B": many(1.0, 12)}, "end": {"A": many(8.0)}}
    rows = hessian.over_phases(found, "nep")
    assert rows[["net", "phase"]].to_numpy().tolist() == [["A", "warmup"], ["B", "warmup"], ["A", "end"]]
    assert rows["value"].tolist() == pytest.approx([0, 10, 0]) and (rows["low"] <= rows["value"]).all()
    for which in hessian.TITLES:
        told = str(hessian.chart_phases(found, "light", which=which, families=FAMILIES, phase="warmup").to_dict())
        assert "strokeDash" in told and "'name': 'phase'" in told, "a dotted line, and a click"
        assert "A " in hessian.say_phases(found, which) and "nan" not in hessian.say_phases(found, which)
    with pytest.raises(MeasureError, match="number"):
        hessian.over_phases(found, "eta")


def test_names_at_line_ends_stand_apart():
    from core.analyses._trends import _apart

    ends = _apart(pd.DataFrame({"net": ["A", "B", "C"], "value": [1.0, 1.1, 1.2]}), 1.0)
    assert (np.diff(ends["place"]) >= 1 - 1e-9).all()


def test_it_is_found_by_its_name():
    assert analyses.get("hessian").rows is not None and hessian.ROWS.count(spec.parse(RUN.arch), hessian.Params()) == 24
    assert hessian.ROWS.count(spec.parse(RUN.arch), hessian.Params(images=33)) == 3
