"""The same questions to every analysis: does it leave the net alone, keep its promises, and give the same numbers twice?"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from core import analyses, data, glossary, io, spec, store
from core.analyses import Subject
from core.models import build
from core.recipe import RECIPES
from core.run import Run
from core.table import check
from core.train.snapshot import save_weights

METHODS = analyses.catalogue().values()
by_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
#: Conv, windowed MSA, MLP and global MSA in two stages; a CLS token; patch merging and shifted windows
NETS = ("cwt-cm/width=16,32/heads=1,2", "mt/stem=patch4/width=32/heads=2/head=cls", "wtst-gwt/stem=patch2/width=32,64/heads=1,2")

#: what makes long measurements short
FEW = {
    "landscape": {"side": 3, "planes": 2}, "hessian": {"top": 2}, "density": {"probes": 1, "steps": 4},
    "corruption": {"extra": False}, "adversarial": {"steps": 2, "linf": "2", "l2": "0.25"},
}  # fmt: skip


@pytest.fixture
def runs(home, request) -> list[Run]:
    """Stored nets that were not trained: what an analysis promises does not depend on it."""
    torch.set_num_threads(1)
    made, images = [], request.getfixturevalue("method").trained_on or "fashion"
    for notation in NETS:
        run = Run(arch=spec.parse(notation).notation, data=images, recipe=dataclasses.asdict(RECIPES["quick"]))
        run = dataclasses.replace(run, classes=len(data.get(images).classes))
        save_weights(build(spec.parse(notation), 32, run.classes, seed=0), store.create(run) / "weights" / "end.safetensors")
        made.append(run)
    return made


def measured(method: analyses.Analysis, subject: Subject) -> pd.DataFrame:
    return method.measure(subject, method.params(images=32, **FEW.get(method.id, {})), lambda *_a, **_k: None).table


@by_method
def test_the_net_is_left_as_it_was(method, runs):
    for run in runs:
        subject = Subject(run, "cpu")
        before = {name: tensor.clone() for name, tensor in subject.net.state_dict().items()}
        attends = [getattr(module, "attend", "") for module in subject.net.modules()]
        measured(method, subject)
        assert all(torch.equal(tensor, before[name]) for name, tensor in subject.net.state_dict().items()), run.arch
        for module in subject.net.modules():
            assert not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks), run.arch
            assert not module.training and not getattr(module, "off", False)
        assert [getattr(module, "attend", "") for module in subject.net.modules()] == attends
        assert all(weight.grad is None and weight.requires_grad for weight in subject.net.parameters())


@by_method
def test_the_table_is_what_was_promised_and_the_same_twice(method, runs):
    one, two = (measured(method, Subject(runs[0], "cpu")) for _ in range(2))
    check(one, method.columns)
    pd.testing.assert_frame_equal(one, two)
    assert {"images", "seed"} <= set(one), "every number carries its images and its seed"


@by_method
def test_it_explains_itself(method):
    assert method.card.startswith(method.question) and method.question.endswith("?")
    for heading in ("**Idea.**", "**Formula.**", "**How to read it.**", "**What it cannot say.**", "**Sources.**"):
        assert heading in method.card, heading
    assert {column.term for column in method.columns} <= set(glossary.TERMS)
    for field in dataclasses.fields(method.params):
        assert field.metadata["label"] and field.metadata["origin"], field.name
    arch = spec.parse(NETS[0])
    assert method.cost(arch, 32, method.params()) > 0 and method.supports(arch) == "" and method.sources and method.version >= 1


@by_method
def test_asked_through_the_store_it_is_measured_once(method, runs, monkeypatch):
    asked = {"images": 32, **FEW.get(method.id, {})}
    first = analyses.measure_run(runs[0].id, method.id, asked)
    broken = dataclasses.replace(method, measure=lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(analyses, "get", lambda _id: broken)
    again = analyses.measure_run(runs[0].id, method.id, asked)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert again.manifest["weights"] == io.digest_file(store.weights(runs[0].id))


@pytest.mark.parametrize("method", [m for m in METHODS if m.rows], ids=lambda method: method.id)
def test_rows_may_be_measured_in_any_order_and_by_anybody(method, runs):
    params = method.params(images=32, **FEW.get(method.id, {}))
    whole = method.measure(Subject(runs[0], "cpu"), params, lambda *_a, **_k: None)
    total = method.rows.count(spec.parse(runs[0].arch), params)
    found = {i: method.rows.start(Subject(runs[0], "cpu"), params)(i, lambda *_a, **_k: None) for i in reversed(range(total))}
    assert all(float(arrays["seconds"]) > 0 for arrays in found.values())
    put = method.rows.gather(runs[0], params, found)
    pd.testing.assert_frame_equal(whole.table, put.table, check_exact=True)
    assert whole.notes == put.notes and set(whole.arrays) == set(put.arrays)
    assert all(np.array_equal(array, put.arrays[name], equal_nan=array.dtype.kind == "f") for name, array in whole.arrays.items())
    first = method.rows.gather(runs[0], params, {0: found[0]})
    check(first.table, method.columns)
    assert len(first.table) < len(whole.table) or total == 1, "a part of the picture is there before the whole"
