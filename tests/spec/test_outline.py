"""The outline of an imported net: what is written is read back, and nothing else is."""

import pytest

from core import presets, size, spec
from core.errors import LabError, SpecError
from core.outline import Outline
from core.run import Run


def made(**changes) -> Outline:
    units = tuple(spec.layout(spec.parse("cm-ct/width=16,32"), 32))
    facts = {"name": "timm:resnet10t", "image_size": 32, "units": units, "parameters": 1_000, "flops": 2_000, "scores": 10}
    return Outline(**{**facts, "weights": "file", "digest": "a" * 16, **changes})


def run(outline: Outline, **changes) -> Run:
    return Run(arch=outline.name, data="fashion", recipe={}, **{"image_size": outline.image_size, "outline": outline.to_json(), **changes})


def test_it_is_read_back_and_speaks_for_the_net():
    outline = made()
    assert Outline.from_json(outline.to_json()) == outline
    assert spec.layout(outline, 32) == list(outline.units) and size.count(outline, 32, 10) == {"parameters": 1_000, "flops": 2_000}
    assert presets.family(outline) == "hybrid" and outline.letters == "cmct"
    with pytest.raises(SpecError, match="read at 32 pixels, not at 64"):
        spec.layout(outline, 64)


def test_a_run_of_it_keeps_its_identity_over_another_reading():
    one = run(made())
    assert Run.from_json(one.to_json()) == one and one.plan == made() and one.id.startswith("timm-resnet10t-fashion-s0-")
    assert run(made(units=())).id == one.id, "how the lab reads a net is no part of what it is"
    assert run(made(digest="b" * 16)).id != one.id and run(made(name="timm:resnet18")).id != one.id
    with pytest.raises(LabError, match="read at 32 pixels; the run says 64"):
        run(made(), image_size=64)


def test_runs_of_the_lab_keep_their_ids():
    own = Run(arch="ccwccw-ccmccm", data="fashion-full", recipe={})
    assert "outline" not in own.to_json() and Run.from_json(own.to_json()).id == own.id


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "timm:../../etc"}, {"name": "resnet18"}, {"level": "all"}, {"prefix": -1}, {"outputs": [12]}, {"outputs": "all"},
        {"mean": [0.5]}, {"std": [0.0]}, {"parameters": -1}, {"parameters": 1.5}, {"image_size": True}, {"why": 3}, {"units": "none"},
        {"units": [{"stage": 1}]}, {"extra": 1},
    ],
)  # fmt: skip
def test_what_no_net_has_is_refused(broken):
    with pytest.raises(SpecError):
        Outline.from_json(made().to_json() | broken)


@pytest.mark.parametrize(
    ("field", "value"), [("letter", "?"), ("depth", 2.0), ("side", "32"), ("kind", "conv" * 20), ("resampling", 1), ("stage", 10**9)]
)
def test_units_are_checked_one_by_one(field, value):
    values = made().to_json()
    values["units"][2][field] = value
    with pytest.raises(SpecError, match="import the net again"):
        Outline.from_json(values)
