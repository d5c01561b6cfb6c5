"""A set of the reader's own with fewer images than are usual: all of them are taken, and that is the same question everywhere."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import analyses, io, presets, store
from core.analyses import corruption, fourier, hessian, lesion
from core.data import importing
from core.run import Run
from tests.data.bad_pictures import good

Opened = Callable[..., AppTest]
TEST, TRAIN = 6, 24


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Run:
    """A finished net of a set with 24 training and 6 test images."""
    own = importing.add(good(tmp_path / "few", ("cats", "dogs", "fish"), each=10), "few", importing.Import(image_size=32))
    assert [sum(row[part] for row in own["classes"]) for part in ("train", "test")] == [TRAIN, TEST]
    made = Run(arch=presets.resolve("vit-mini").notation, data=own["id"], recipe={}, classes=3, name="Mine")
    io.write_json(store.create(made) / "final.json", {"accuracy": 0.5, "n_test": TEST})
    return made


def test_what_nobody_has_is_not_asked_for(run: Run) -> None:
    assert analyses.fitted(run, corruption.Params()).images == TEST < corruption.Params().images
    assert analyses.fitted(run, hessian.Params()).images == TRAIN, "curvature is asked of training images"
    assert analyses.fitted(run, fourier.Params(on="train")).images == TRAIN
    assert analyses.fitted(run, fourier.Params(on="fashion")) == fourier.Params(on="fashion")
    assert analyses.fitted(run, corruption.Params(images=4)).images == 4
    assert analyses.fitted(run, lesion.Params()).images == 0, "0 is all there are"
    half = dataclasses.replace(run, fraction=0.5)
    assert analyses.fitted(half, hessian.Params()).images == TRAIN // 2
    assert analyses.fitted(dataclasses.replace(half, limit=5), hessian.Params()).images == 5
    gone = dataclasses.replace(run, data="own:gone")
    assert analyses.fitted(gone, fourier.Params()) == fourier.Params() and not analyses.there(gone, fourier.Params())


def test_a_measurement_of_a_small_set_is_queued_and_timed(opened: Opened, shipped: list[Run], run: Run, queued: list[tuple]) -> None:
    params = corruption.Params()
    app = opened("robustness", m=run.id)
    app.button(key=next(str(b.key) for b in app.button if str(b.key).endswith("_measure"))).click().run()
    [(_, args, *_)] = queued
    assert args["asks"]["corruption"] == dataclasses.asdict(corruption.Params(images=TEST))
    assert analyses.rows_of(run.id, "corruption", {}) == analyses.rows_of(run.id, "corruption", {"images": TEST})
    few, many = (analyses.seconds(corruption.ANALYSIS, of, params) for of in (run, dataclasses.replace(run, data="fashion")))
    assert few and many and few - analyses.START_S == pytest.approx((many - analyses.START_S) * TEST / params.images)
