"""Random sets of units off, against a walk by hand; what is drawn, and the words."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from core import glossary
from core.analyses import subsets
from core.errors import MeasureError
from core.table import check
from tests.analyses.test_lesion import given
from tests.models.test_units import by_hand

NET = "cwt-gmtc/width=16,32/heads=1,1"


def measure(subject, **params):
    return subsets.measure(subject, subsets.Params(**{"images": 60, "draws": 3, **params}), lambda *_a, **_k: None)


def test_every_row_equals_the_walk_by_hand():
    subject = given(NET)
    found = measure(subject, seed=4)
    table = found.table
    check(table, subsets.COLUMNS, keys=("off", "draw"))
    check(table, subsets.COLUMNS, keys=("units",))
    assert found.notes == {
        "units": ["s1u1", "s1u2", "s1u3", "s2u2", "s2u3", "s2u4"],
        "left_out": ["s2u1"],
        "images": 60,
        "seed": 4,
        "on": "test",
    }
    assert table["off"].tolist() == [0, 1, 1, 1, 2, 2, 2, 4, 4, 4, 6] and table["draw"].tolist() == [1, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    x, y = subject.images("test", 60, 4)
    ids = [slot.id for slot in subject.net.units]
    for row in table.itertuples():
        off = [ids.index(unit) for unit in row.units.split(",") if unit]
        assert len(off) == row.off
        with torch.inference_mode():
            right = (by_hand(subject.net, x, off).argmax(1) == y).float().mean()
        assert row.accuracy == pytest.approx(float(right)) and row.change == pytest.approx(100 * (row.accuracy - table["accuracy"][0]))
    assert table["accuracy"].nunique() > 3 and not any(getattr(block, "off", False) for block in subject.net.blocks)


def test_chunks_add_up(monkeypatch):
    whole = measure(given(NET)).table
    monkeypatch.setattr(subsets, "CHUNK", 16)
    told = []
    parts = subsets.measure(
        given(NET), subsets.Params(images=60, draws=3), lambda step, total, message="": told.append((step, total))
    ).table
    pd.testing.assert_frame_equal(whole, parts)
    assert told[-1] == (60 * len(whole), 60 * len(whole)) and told == sorted(told)


def test_draws_are_seeded_different_and_fair():
    places = list(range(3, 13))
    one, again, other = subsets.draw(places, 4, 20, 0), subsets.draw(places, 4, 20, 0), subsets.draw(places, 4, 20, 1)
    assert one == again != other and len({tuple(chosen) for chosen in one}) == 20
    assert all(chosen == sorted(set(chosen)) and len(chosen) == 4 and set(chosen) <= set(places) for chosen in one)
    counts = np.bincount([i for chosen in subsets.draw(places, 4, 200, 2) for i in chosen], minlength=13)[3:]
    assert counts.sum() == 800 and counts.min() > 50 and counts.max() < 110  # 80 each, more or less


def test_all_sets_are_taken_where_there_are_no_more():
    assert subsets.draw([2, 5, 7], 2, 3, 0) == [list(pair) for pair in itertools.combinations([2, 5, 7], 2)]
    assert subsets.draw([2, 5], 0, 9, 0) == [[]] and subsets.draw([2, 5], 2, 9, 0) == [[2, 5]]


def test_sizes_double_and_end_at_all():
    assert [subsets.sizes(n) for n in (1, 2, 3, 8, 12)] == [[0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4, 8], [0, 1, 2, 4, 8, 12]]


def test_a_net_whose_units_all_resample_is_refused():
    with pytest.raises(MeasureError, match="changes the resolution"):
        measure(given("c-c/stem=conv3s2/stem_width=16/width=32,64"))


def made(**accuracies: list[float]) -> pd.DataFrame:
    rows = [
        {"off": int(size[1:]), "draw": i, "units": f"{size}{i}", "accuracy": a}
        for size, many in accuracies.items()
        for i, a in enumerate(many, 1)
    ]
    return pd.DataFrame(rows)


def test_means_have_intervals_over_draws_that_stay_shares():
    found = subsets.means(made(n0=[0.9], n1=[0.8, 0.6], n2=[0.5, 0.51, 0.49])).set_index("off")
    assert found.loc[1, "mean"] == pytest.approx(0.7) and found.loc[1, ["low", "high"]].tolist() == [0, 1]
    assert found.loc[2, "high"] == pytest.approx(0.5 + 4.303 * 0.01 / math.sqrt(3))
    assert math.isnan(found.loc[0, "low"])


def test_the_takeaway_tells_one_and_half():
    text = subsets.takeaway(made(n0=[0.9], n1=[0.8, 0.81, 0.79], n2=[0.5, 0.51, 0.49], n4=[0.1]), "Net")
    assert text == (
        "Net is right on 90.0 % of the images, on **80.0 %** (95 % 77.5 to 82.5) with one and **50.0 %** (95 % 47.5 to 52.5) "
        "with **2 of 4** units off at random."
    )
    assert "on **70.0 %** with **1 of 2** units" in subsets.takeaway(made(n0=[0.9], n1=[0.7], n2=[0.1]), "Net")
    assert "cannot be drawn" in subsets.takeaway(made(n0=[0.9], n1=[0.1]), "Net")


def test_every_column_has_its_term_and_the_picture_every_set():
    assert not [column.id for column in subsets.COLUMNS if column.term not in glossary.TERMS]
    table = made(n0=[0.9], n1=[0.8, 0.81, 0.79], n2=[0.5, 0.51, 0.49], n4=[0.1])
    spec = str(subsets.chart(table, "dark", net="Net", width=300).to_dict())
    assert all(units in spec for units in table["units"])
