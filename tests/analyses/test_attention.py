"""The attention analysis against closed forms, against weights found by hand, and its words against tables whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from core import analyses, glossary, spec, store
from core.analyses import attention, variance
from core.analyses._pass import through
from core.errors import MeasureError
from core.metrics.interval import mean_interval
from core.models.looks import attentions, looks
from core.table import check
from tests.analyses.given import Given

EVERY = "mwsl/stem=patch4/width=32/heads=2/window=4/kernel=3/pos=rel"
CLS = "mtm/stem=patch4/width=32/heads=2/head=cls"


def measure(subject: Given, **params):
    return attention.ANALYSIS.measure(subject, attention.Params(**params), lambda *_a, **_k: None)


def sees(form: str, q: tuple[int, int], k: tuple[int, int]) -> bool:
    """Whether position q sees position k, both (row, column), on an 8x8 map with windows of 4 and kernels of 3."""
    if form == "local":
        return max(abs(q[0] - k[0]), abs(q[1] - k[1])) <= 1
    shift = {"global": None, "windowed": 0, "shifted": 2}[form]
    return shift is None or all((a + shift) // 4 == (b + shift) // 4 for a, b in zip(q, k, strict=True))


def alike(form: str) -> tuple[float, float]:
    """(distance in pixels, entropy) of uniform attention, position by position; a position of the 8x8 map is 4 pixels wide."""
    places = [(i, j) for i in range(8) for j in range(8)]
    seen = [[math.dist(q, k) for k in places if sees(form, q, k)] for q in places]
    return 4 * np.mean([np.mean(row) for row in seen]), float(np.mean([math.log(len(row)) for row in seen]))


def test_attention_that_does_not_choose_has_the_closed_form_of_its_reach():
    subject = Given(EVERY, n=8)
    for module in attentions(subject.net).values():
        torch.nn.init.zeros_(module.qkv.weight)
        torch.nn.init.zeros_(module.qkv.bias)
    table = measure(subject, images=8).table
    check(table, attention.COLUMNS, keys=("unit", "head"))
    assert table["head"].tolist() == [0, 1, 2] * 4
    for row in table.itertuples():
        assert (row.distance, row.entropy) == pytest.approx(alike(row.form), rel=1e-5)
        assert (row.distance_uniform, row.entropy_uniform) == pytest.approx(alike(row.form), rel=1e-5)
    assert table["cls_share"].isna().all()


def test_attention_to_oneself_is_near_and_certain_whatever_the_reach():
    subject = Given(EVERY, n=8)
    for module in attentions(subject.net).values():
        with torch.no_grad():
            module.table[len(module.table) // 2] = 1e4  # the bias of offset (0, 0)
    table = measure(subject, images=8).table
    assert table[["distance", "entropy"]].abs().max(axis=None) < 1e-9
    assert table["distance_uniform"].min() > 3


def test_rows_equal_loops_over_recorded_weights():
    subject = Given(EVERY, n=40)
    result = measure(subject, images=40)
    with torch.inference_mode(), looks(subject.net) as seen:
        subject.net(subject.x)
    y, x = np.divmod(np.arange(64), 8)
    apart = 4 * np.hypot(y[:, None] - y[None], x[:, None] - x[None])
    for row, kept in zip(result.table.itertuples(), result.arrays["distance"], strict=True):
        weights = seen[row.position - 1].double().numpy()
        far = (weights * apart).sum(-1).mean(-1)
        each = far.mean(1) if row.head == 0 else far[:, row.head - 1]
        assert kept == pytest.approx(each, rel=1e-4)
        assert (row.distance, row.ci_low, row.ci_high) == pytest.approx(tuple(map(float, mean_interval(each))), rel=1e-4)
        spread = -(weights * np.log(np.maximum(weights, 1e-300))).sum(-1).mean(-1)
        assert row.entropy == pytest.approx((spread if row.head == 0 else spread[:, row.head - 1]).mean(), rel=1e-4)
    assert result.table["images"].eq(40).all()


def test_cls_is_left_out_and_its_share_told():
    """Scores of 0 but for CLS, whose key gives every query ln 64: half goes to CLS, the rest is uniform over the 64 patches."""
    subject = Given(CLS, n=8)
    for module in attentions(subject.net).values():
        module.weights = lambda x: torch.softmax(torch.tensor([math.log(64.0)] + [0.0] * 64), 0).expand(len(x), 2, 65, 65)
    table = measure(subject, images=8).table
    assert table["cls_share"].to_numpy() == pytest.approx(0.5, rel=1e-5)
    assert table["distance"].to_numpy() == pytest.approx(alike("global")[0], rel=1e-5)
    assert table["entropy"].to_numpy() == pytest.approx(math.log(64), rel=1e-5)


def test_it_shares_a_pass_and_leaves_the_net_as_it_was():
    subject = Given("cmwt/width=16/heads=1/window=4", n=70)
    alone = measure(subject, images=70)
    watches = [attention.watch(subject, attention.Params()), variance.watch(subject, variance.Params())]
    both = through(subject, watches, "test", 70, 0, lambda *_a, **_k: None)
    pd.testing.assert_frame_equal(both[0].table, alone.table)
    assert len(subject.asked) == 2 and len(both[1].table) == 5
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.net.modules())


def test_a_net_without_msa_is_told_so():
    assert "no MSA unit" in attention.supports(spec.parse("cct"))
    assert not any(attention.supports(spec.parse(letter)) for letter in "mwsl")
    with pytest.raises(MeasureError, match="no MSA unit"):
        measure(Given("cc/width=16", n=8), images=8)


@pytest.fixture(scope="module")
def shipped() -> analyses.Subject:
    return analyses.Subject(next(run for run in store.list_runs() if run.id.startswith("alternet-mini")), device="cpu")


def test_a_look_at_one_test_image_is_what_the_analysis_counts(shipped):
    answer = attention.look(shipped, 7, "s2u3")
    weights = attention.unpack(answer)
    assert weights.shape == tuple(answer["shape"]) == (answer["heads"], answer["side"] ** 2, answer["side"] ** 2)
    assert weights.sum(-1) == pytest.approx(1, abs=2e-3) and answer["cls_share"] is None and not answer["cls"]
    y, x = np.divmod(np.arange(answer["side"] ** 2), answer["side"])
    apart = answer["image_size"] / answer["side"] * np.hypot(y[:, None] - y[None], x[:, None] - x[None])
    assert (weights * apart).sum(-1).mean(-1) == pytest.approx(answer["distance"], rel=2e-3)
    picture = attention._picture(shipped, 7)
    assert attention.look(shipped, 0, "s2u3", picture[0]) == answer | {"index": 0}, "a picture of one's own is looked at alike"
    assert attention.look(shipped, 8, "s2u3")["weights"] != answer["weights"]


@pytest.mark.parametrize(
    ("index", "unit", "picture", "words"),
    [
        (10_000, "s2u3", None, "0 to 9999"),
        (-1, "s2u3", None, "no test image -1"),
        (0, "s1u1", None, "MSA units: s1u3, s1u6, s2u3, s2u6"),
        (0, "s9u9", None, "no MSA unit 's9u9'"),
        (0, "s2u3", torch.zeros(3, 8, 8), r"should be \(3, 32, 32\)"),
    ],
)
def test_a_look_that_cannot_be(shipped, index, unit, picture, words):
    with pytest.raises(MeasureError, match=words):
        attention.look(shipped, index, unit, picture)


def test_a_look_with_cls_and_one_too_large(monkeypatch):
    subject = Given(CLS, n=8)
    answer = attention.look(subject, 0, "s1u3", subject.x[0])
    assert answer["cls"] and answer["shape"] == [2, 65, 65] and len(answer["cls_share"]) == 2
    monkeypatch.setattr(attention, "MOST", 2 * 65**2 - 1)
    with pytest.raises(MeasureError, match="8,450 weights"):
        attention.look(subject, 0, "s1u3", subject.x[0])


def made(**heads: list[float]) -> pd.DataFrame:
    """A table of units by id with the distances of their heads; uniform is 10 pixels and 64 positions."""
    rows = []
    for unit, values in heads.items():
        rows += [{"unit": unit, "head": i, "distance": value} for i, value in enumerate([sum(values) / len(values), *values])]
    table = pd.DataFrame(rows).assign(distance_uniform=10.0, entropy=math.log(16), entropy_uniform=math.log(64), cls_share=math.nan)
    return table.assign(ci_low=table["distance"] - 0.5, ci_high=table["distance"] + 0.5, images=99)


def test_the_words():
    table = made(s1u1=[2.0, 6.0], s1u3=[8.0, 8.0])
    assert attention.takeaway({"ViT": table}) == (
        "On average attention looks **6.0 pixels far in ViT** (60 % of what looking at all within reach alike would give); "
        "its heads from 2.0 (s1u1 head 1) to 8.0 (s1u3 head 1)."
    )
    assert attention.takeaway({"A": table, "B": made(s2u1=[5.0])}).endswith(" and **5.0 pixels far in B** (50 %).")
    assert attention.describe(table, "s1u1") == (
        "Looks 4.0 pixels far (95 % 3.5 to 4.5 over 99 images); everything within its reach alike would be 10.0. "
        "Its heads: 2.0 (head 1) to 6.0 (head 2). A position shares its attention among about 16 places of 64."
    )
    assert attention.describe(table.assign(cls_share=0.25), "s1u3").endswith("25.0 % of it goes to CLS.")
    assert "no MSA unit" in attention.describe(table, "s1u2")
    assert "measured" in attention.takeaway({})


def test_the_picture_holds_every_head_and_the_columns_their_terms():
    table = measure(Given(EVERY, n=8), images=8).table
    spec_ = attention.chart(table, net="Net", family="msa", focus="s1u2").to_dict()
    text = str(spec_)
    assert all(f"head {number}" in text for number in (1, 2)) and "uniform" in text
    assert f"{table.set_index(['unit', 'head']).loc[('s1u2', 0), 'distance']:.1f} px" in text
    assert {column.term for column in attention.COLUMNS} <= set(glossary.TERMS)
    assert analyses.get("attention").card.startswith("How far does attention look?")
