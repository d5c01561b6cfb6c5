"""The CKA analysis against the estimator over maps found by hand, its contrast of stages, and its words."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from core import store
from core.analyses import Subject, _pass, cka
from core.errors import MeasureError
from core.metrics.similarity import Cka
from core.recipe import RECIPES
from core.run import Run
from core.table import check
from tests.analyses.given import Given, outputs

HYBRID = "cwt-cmo/width=16,32/heads=1,1"


def measure(subject: Given, **params) -> tuple[pd.DataFrame, dict]:
    result = cka.ANALYSIS.measure(subject, cka.Params(**params), lambda *_a, **_k: None)
    return result.table, result.notes


def by_hand(maps: list[torch.Tensor], others: list[torch.Tensor], sizes: list[int]) -> np.ndarray:
    found = Cka(len(maps), len(others))
    batches = [list(zip(*(x.double().split(sizes) for x in side), strict=True)) for side in (maps, others)]
    for rows, columns in zip(*batches, strict=True):
        found.add(rows, columns)
    return found.value().numpy()


@pytest.mark.parametrize("notation", [HYBRID, "mt/stem=patch4/width=32/head=cls", "wtst-gw/stem=patch2/width=32,64"])
def test_every_pair_equals_the_estimator(notation, monkeypatch):
    monkeypatch.setattr(_pass, "CHUNK", 16)
    subject = Given(notation, n=40)
    table, notes = measure(subject, images=40)
    check(table, cka.COLUMNS, keys=("unit", "with_unit"))
    maps = outputs(subject)
    expected = by_hand(list(maps.values()), list(maps.values()), [14, 13, 13])
    assert table["unit"].drop_duplicates().tolist() == list(maps)
    assert table["cka"].to_numpy().reshape(expected.shape) == pytest.approx(expected, abs=1e-4)
    assert notes["batches"] == 3 and table["images"].eq(40).all()
    same = table[table["unit"] == table["with_unit"]]
    assert same["cka"].to_numpy() == pytest.approx(1.0, abs=1e-6)
    assert same["ci_low"].to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_the_contrast_is_within_minus_between_without_the_stem():
    table, notes = measure(Given(HYBRID, n=32), images=32)
    units = table[(table["kind"] != "stem") & (table["with_kind"] != "stem") & (table["position"] < table["with_position"])]
    same = units["stage"] == units["with_stage"]
    within, between = units.loc[same, "cka"].mean(), units.loc[~same, "cka"].mean()
    assert notes["contrast"] == pytest.approx({"within": within, "between": between, "difference": within - between})
    assert "contrast" not in measure(Given("ccm/width=16/heads=1", n=8), images=8)[1], "one stage has nothing between"


def test_two_batches_give_an_interval(monkeypatch):
    monkeypatch.setattr(_pass, "CHUNK", 10)
    _, notes = measure(Given(HYBRID, n=40), images=40)
    found = notes["contrast"]
    assert found["low"] < found["difference"] < found["high"]


@pytest.fixture
def other(home, monkeypatch) -> Run:
    """A stored run, whose net is made by hand."""
    run = Run(arch="mt/stem=patch4/width=32", data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]), seed=3)
    store.create(run)
    theirs = Given(run.arch, n=24)
    monkeypatch.setattr(Subject, "net", theirs.net)
    monkeypatch.setattr(Subject, "chunks", lambda _self, *ask: theirs.chunks(*ask))
    return run


def test_two_nets_see_the_same_images(other):
    subject = Given(HYBRID, n=24)
    subject.run = dataclasses.replace(other, arch=HYBRID, data="fashion-full")  # shares its test images with fashion
    table, notes = measure(subject, images=24, against=other.id)
    mine, theirs = outputs(subject), outputs(Given(other.arch, n=24))
    expected = by_hand(list(mine.values()), list(theirs.values()), [24])
    assert table["cka"].to_numpy().reshape(expected.shape) == pytest.approx(expected, abs=1e-4)
    assert table["with_unit"].drop_duplicates().tolist() == list(theirs) and "contrast" not in notes
    assert cka.ANALYSIS.others(cka.Params(against=other.id)) == (other.id,)
    text = cka.takeaway_pair(table, "A", "B")
    best = table[(table["kind"] != "stem") & (table["with_kind"] != "stem")]["cka"].max()
    assert f"CKA {best:.2f}" in text and text.startswith("A and B see most alike at **stage ")


def test_nets_of_other_images_do_not_compare(other):
    subject = Given(HYBRID, n=8)
    subject.run = dataclasses.replace(other, data="shapes-textures")
    with pytest.raises(MeasureError, match="same images"):
        measure(subject, images=8, against=other.id)


def test_words():
    clear = {"within": 0.8, "between": 0.3, "difference": 0.5, "low": 0.4, "high": 0.6}
    assert cka.takeaway("A", clear) == (
        "In A, **units of one stage see more alike** than units of different stages (0.80 within a stage, 0.30 between stages: "
        "difference +0.50, 95 % +0.40 to +0.60)."
    )
    assert "cannot be told apart" in cka.takeaway("A", {**clear, "low": -0.1})
    assert "less alike" in cka.takeaway("A", {**clear, "difference": -0.5, "low": -0.6, "high": -0.4})
    assert "no interval" in cka.takeaway("A", {"within": 0.8, "between": 0.3, "difference": 0.5})
    assert "one stage" in cka.takeaway("A", None)


def test_a_unit_that_says_the_same_of_all_is_like_nothing():
    subject = Given("cc/width=16", n=8)
    subject.net.stem.weight.data.zero_()
    table, _ = measure(subject, images=8)
    assert table.loc[table["unit"] == "stem", "cka"].isna().all()
    assert "like nothing" in cka.describe(table, "stem", "s1u1")


def test_the_picture_holds_every_pair():
    table, _ = measure(Given(HYBRID, n=20), images=20)
    for theme in ("light", "dark"):
        spec = cka.chart(table, theme, net="Net", focus="s1u2").to_dict()
        assert spec["layer"] and all(unit in str(spec) for unit in table["unit"])
    value = table[(table["unit"] == "s1u2") & (table["with_unit"] == "s2u1")]["cka"].iloc[0]
    assert math.isfinite(value) and cka.describe(table, "s1u2", "s2u1").startswith(f"CKA {value:.2f}")
