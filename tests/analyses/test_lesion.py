"""The lesion analysis against a walk through the net by hand, the live form against the stored one, and the words."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from core import glossary
from core.analyses import Subject, lesion
from core.data import load, subset
from core.errors import MeasureError
from core.metrics.interval import paired_interval
from core.models import build
from core.run import Run
from core.spec import parse
from core.table import check
from tests.models.test_units import by_hand

HYBRID = "cwt-cmo/width=16,32/heads=1,1"
SWIN = "ws-gs/stem=patch2/width=32,64"
BOTTLENECKS = "bb-bb/width=32,64"


def given(notation: str = HYBRID) -> Subject:
    """A net that was not trained, on the images that come with the lab; its answers differ from image to image."""
    torch.set_num_threads(1)
    subject = Subject(Run(arch=notation, data="fashion", recipe={}), "cpu")
    subject.net = build(parse(notation), 32, 10, seed=0).eval()
    with torch.no_grad():  # spread the answers over the classes: the mean image gets the same logit for each
        x, _ = subject.images("test", 100, 3)
        subject.net.head.weight.mul_(20)
        subject.net.head.bias.sub_(subject.net(x).mean(0))
    return subject


def measure(subject: Subject, **params):
    return lesion.measure(subject, lesion.Params(**{"images": 120, **params}), lambda *_a, **_k: None)


@pytest.mark.parametrize(
    ("notation", "how", "units", "left_out"),
    [(HYBRID, "branch", ["s1u1", "s1u2", "s1u3", "s2u1", "s2u2"], []), (SWIN, "branch", ["s1u1", "s1u2", "s2u2"], ["s2u1"]),
     (BOTTLENECKS, "3x3", ["s1u1", "s1u2", "s2u2"], ["s2u1"])],
)  # fmt: skip
def test_every_row_equals_the_walk_by_hand(notation, how, units, left_out):
    subject = given(notation)
    found = measure(subject, seed=5, how=how)
    table, arrays = found.table, found.arrays
    check(table, lesion.COLUMNS, keys=("unit", "class"))
    assert list(dict.fromkeys(table["unit"])) == units
    assert found.notes == {"left_out": left_out, "images": 120, "seed": 5, "on": "test", "how": how}
    images = load("fashion", "test")
    index = subset(images.labels, 1.0, 120, 5)
    assert np.array_equal(arrays["index"], index) and np.array_equal(arrays["label"], images.labels[index])
    assert arrays["predicted"].shape == (1 + len(units), 120) and arrays["predicted"].dtype == np.uint8
    x, y = subject.images("test", 120, 5)
    places = [i for i, slot in enumerate(subject.net.units) if slot.id in units]
    with torch.inference_mode():
        logits = [by_hand(subject.net, x, off, how).double() for off in ([], *([i] for i in places))]
    answers = np.stack([row.argmax(1).numpy() for row in logits])
    assert len(np.unique(answers)) > 3 and np.array_equal(arrays["predicted"], answers)
    losses = np.stack([torch.nn.functional.cross_entropy(row, y, reduction="none").numpy() for row in logits])
    before = answers[0] == y.numpy()
    for i, unit in enumerate(units, 1):
        now = answers[i] == y.numpy()
        for number, title in ((None, ""), *enumerate(images.spec.classes)):
            here = np.full(120, True) if number is None else y.numpy() == number
            row = table[(table["unit"] == unit) & (table["class"] == title)].iloc[0]
            lost, gained = np.sum(here & before & ~now), np.sum(here & now & ~before)
            assert (row["lost"], row["gained"], row["images"], row["seed"]) == (lost, gained, here.sum(), 5)
            assert row["accuracy"] == pytest.approx(now[here].mean()) and row["clean"] == pytest.approx(before[here].mean())
            assert row["change"] == pytest.approx(100 * (now[here].mean() - before[here].mean()))
            assert row[["ci_low", "ci_high"]].tolist() == [100 * v for v in paired_interval(lost, gained, here.sum())[1:]]
            step = losses[i, here] - losses[0, here]
            assert row["nll"] == pytest.approx(losses[i, here].mean(), abs=1e-4)
            assert row["nll_change"] == pytest.approx(step.mean(), abs=1e-4)
            half = (row["nll_high"] - row["nll_low"]) / 2
            assert half == pytest.approx(step.std(ddof=1) / np.sqrt(here.sum()) * {120: 1.9801, 12: 2.201}[here.sum()], rel=2e-3)


def test_all_test_images_are_taken_when_none_are_counted(monkeypatch):
    subject, asked = given("c/width=16"), []
    few = load("fashion", "test")
    few = type(few)(pixels=few.pixels[:70], labels=few.labels[:70], spec=few.spec, split="test", digest="")
    monkeypatch.setattr(Subject, "pictures", lambda self, on: asked.append(on) or few)
    found = measure(subject, images=0)
    assert set(asked) == {"test"} and found.notes["images"] == 70 and found.arrays["index"].tolist() == list(range(70))
    assert set(lesion.whole(found.table)["images"]) == {70} and len(found.table) == 1 + len(np.unique(few.labels))


def test_a_unit_that_adds_nothing_changes_nothing_and_still_has_an_interval():
    subject = given("ct/width=16")
    for parameter in subject.net.blocks[1].body.parameters():
        torch.nn.init.zeros_(parameter)
    table = lesion.whole(measure(subject).table).set_index("unit")
    row = table.loc["s1u2"]
    assert (row["change"], row["lost"], row["gained"], row["p"], row["nll_change"]) == (0, 0, 0, 1, 0)
    assert row["ci_low"] < 0 < row["ci_high"] and row["nll_low"] == row["nll_high"] == 0
    assert table.loc["s1u1", "nll_change"] != 0


def test_units_together_are_one_row_each_class():
    subject = given()
    found = measure(subject, units="s2u2,s1u2,s2u2")
    table, row = found.table, lesion.whole(found.table).iloc[0]
    check(table, lesion.COLUMNS, keys=("unit", "class"))
    assert (row["unit"], row["kind"], len(table)) == ("s1u2,s2u2", "several", 11)
    x, y = subject.images("test", 120, 0)
    with torch.inference_mode():
        assert row["accuracy"] == pytest.approx(float((by_hand(subject.net, x, [1, 4]).argmax(1) == y).float().mean()))
    assert not any(block.off for block in subject.net.blocks)
    assert "**s1u2 and s2u2** together" in lesion.takeaway(table, "Net")


def test_what_cannot_be_switched_off_is_refused_in_words():
    for settings, sentence in (
        ({"how": "3x3"}, "No unit"), ({"units": "s9u9"}, "no unit 's9u9'"), ({"units": "s1u1,,"}, "no unit ''"),
        ({"units": "s1u1", "how": "3x3"}, "no 3x3"), ({"images": 10_001}, "10001 images"),
    ):  # fmt: skip
        with pytest.raises(MeasureError, match=sentence):
            measure(given(), **settings)
    with pytest.raises(MeasureError, match="patch merging"):
        measure(given(SWIN), units="s2u1")


def test_bf16_says_nearly_the_same():
    subject = given()
    fine, coarse = measure(subject), measure(subject, precision="bf16")
    same = fine.arrays["predicted"] == coarse.arrays["predicted"]
    assert same.mean() > 0.8
    assert np.abs(fine.table["nll"] - coarse.table["nll"]).max() > 0, "bf16 was not used"


def test_images_go_through_the_net_in_chunks_and_progress_ends_at_the_last():
    subject, seen, told = given("cc/width=16"), [], []
    subject.net.stem.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    lesion.measure(subject, lesion.Params(images=300), lambda step, total, message="": told.append((step, total)))
    assert max(seen) <= 64 and sum(seen) == 300
    assert told[-1] == (300, 300) and [step for step, _ in told] == sorted({step for step, _ in told})


# ---- the live form


@pytest.fixture(scope="module")
def bench() -> lesion.Bench:
    return lesion.Bench(given(), images=120, seed=5)


def test_the_bench_answers_what_is_measured(bench):
    found = measure(bench.subject, seed=5)
    for off in (["s1u1"], ["s2u2"]):
        row, said = lesion.whole(found.table).set_index("unit").loc[off[0]], bench.answer(off)
        for column in ("accuracy", "clean", "change", "ci_low", "ci_high", "lost", "gained", "p", "images", "seed"):
            assert said[column] == row[column], column
        assert said["nll"] == pytest.approx(row["nll"], abs=1e-4) and said["nll_change"] == pytest.approx(row["nll_change"], abs=1e-4)
        by_class = found.table[(found.table["unit"] == off[0]) & (found.table["class"] != "")]
        for one, (_, row) in zip(said["classes"], by_class.iterrows(), strict=True):
            assert one == {key: row[key] for key in ("class", "images", "clean", "accuracy", "change", "ci_low", "ci_high")}
    together = measure(bench.subject, seed=5, units="s1u1,s2u2")
    said = bench.answer(["s2u2", "s1u1", "s2u2"])
    assert said["off"] == ["s1u1", "s2u2"] and said["lost"] == lesion.whole(together.table).iloc[0]["lost"]


def test_flips_are_the_images_that_turn(bench):
    said = bench.answer(["s1u1"])
    assert json.loads(json.dumps(said)) == said
    images, turned = load("fashion", "test"), [flip["turned"] for flip in said["flips"]]
    assert (turned.count("wrong"), turned.count("right")) == (said["lost"], said["gained"]) and said["lost"] and said["gained"]
    for flip in said["flips"]:
        assert flip["label"] == images.spec.classes[images.labels[flip["index"]]] and flip["before"] != flip["after"]
        assert flip["label"] == flip["before" if flip["turned"] == "wrong" else "after"]
    assert [flip["index"] for flip in said["flips"]] == sorted({flip["index"] for flip in said["flips"]})
    assert said["clean_low"] < said["clean"] < said["clean_high"]


def test_nothing_off_changes_nothing(bench):
    said = bench.answer([])
    assert (said["change"], said["lost"], said["gained"], said["flips"], said["off"], said["p"]) == (0, 0, 0, [], [], 1)
    assert said["accuracy"] == said["clean"] and said["nll_change"] == 0


def test_the_bench_refuses_in_words(bench):
    for off, how, sentence in ((["s9u9"], "branch", "Known: s1u1"), (["s1u1"], "3x3", "no 3x3"), (["s1u1"], "<b>", "Known: branch, 3x3"),
                               ([], "<b>", "Known: branch")):  # fmt: skip
        with pytest.raises(MeasureError, match=sentence):
            bench.answer(off, how)
    with pytest.raises(MeasureError, match="patch merging"):
        lesion.Bench(given(SWIN), images=16).answer(["s2u1"])


# ---- words and pictures


def made(*units: tuple) -> pd.DataFrame:
    """A table from (unit, kind, change, low, high), lost and gained to match; a unit whose id ends in u1 after stage 1 resamples."""
    rows = [
        {"unit": unit, "position": i, "stage": int(unit[1]), "index": int(unit[3:]), "kind": kind, "class": title, "change": change,
         "ci_low": low, "ci_high": high, "resampling": unit.endswith("u1") and unit[1] != "1", "lost": 1500, "gained": 20, "images": 10_000}
        for i, (unit, kind, change, low, high, *rest) in enumerate(units, 1) for title in ("", *rest)
    ]  # fmt: skip
    return pd.DataFrame(rows)


ALTERNET = (("s1u1", "conv", -0.1, -0.3, 0.1), ("s1u2", "msa", -1.6, -2.0, -1.2), ("s2u1", "conv", -80, -81, -79),
            ("s2u2", "msa", -1.0, -1.3, -0.7), ("s2u3", "msa", -5.0, -5.4, -4.6))  # fmt: skip


def test_the_takeaway_names_the_costliest_unit_that_keeps_the_resolution():
    assert lesion.takeaway(made(*ALTERNET), "AlterNet-mini") == (
        "In AlterNet-mini, switching off the **last MSA of stage 2** costs **5.0 points** (95 % 4.6 to 5.4), 3.1 times the next costliest."
    )


def test_the_takeaway_does_not_say_more_than_the_intervals():
    close = made(*ALTERNET[:4], ("s2u3", "msa", -1.7, -2.1, -1.3))
    assert lesion.takeaway(close, "A").endswith("(95 % 1.3 to 2.1), not clearly more than the MSA of stage 1 (1.6).")
    nearly = made(ALTERNET[0], ("s1u2", "msa", -76.4, -77.3, -75.5), ("s1u3", "msa", -73.2, -74.1, -72.3))
    assert lesion.takeaway(nearly, "A").endswith("(95 % 75.5 to 77.3), the last MSA nearly as much (73.2).")
    alone = made(ALTERNET[0], ALTERNET[4])
    assert lesion.takeaway(alone, "A").endswith("(95 % 4.6 to 5.4); **no other unit is needed clearly**.")
    unclear = lesion.takeaway(made(ALTERNET[0], ("s1u2", "mlp", 0.2, -0.1, 0.5)), "A")
    assert unclear == "In A, **no unit is needed clearly**: switching off the Conv costs 0.1 points (95 % −0.1 to 0.3)."
    better = lesion.takeaway(made(("s1u1", "mlp", 0.4, 0.1, 0.7)), "A")
    assert better == "In A, **no unit is needed clearly**: switching off the MLP gains 0.4 points (95 % 0.1 to 0.7)."
    assert "none can be compared" in lesion.takeaway(made(ALTERNET[2]), "A")


def test_a_costliest_unit_that_is_not_clear_gives_way_to_one_that_is():
    table = made(("s1u1", "conv", -3.0, -7.0, 1.0), ("s1u2", "msa", -2.0, -2.5, -1.5))
    text = lesion.takeaway(table, "A")
    assert text == "In A, switching off the **MSA** costs **2.0 points** (95 % 1.5 to 2.5); whether the Conv (3.0) is needed is not clear."


def test_a_unit_is_described_with_its_images_and_its_worst_class():
    table = made((*ALTERNET[4], "Bag", "Shirt"), *ALTERNET[:3])
    table.loc[table["class"] == "Shirt", ["change", "ci_low", "ci_high"]] = [-20.1, -23, -17]
    assert lesion.describe(table, "s2u3") == (
        "Switched off, it costs 5.0 points (95 % 4.6 to 5.4): 1,500 of 10,000 test images turn wrong, 20 turn right; most in Shirt (−20.1)."
    )
    assert lesion.describe(table, "s1u1").endswith("turn right; whether it is needed is not clear.")
    assert lesion.describe(table, "s2u1").endswith("Its projection stays, so it compares with no unit that keeps the resolution.")
    assert "nothing that could be switched off" in lesion.describe(table, "s3u1")


def test_kinds_are_means_without_resampling_units():
    kinds = lesion.by_kind(made(*ALTERNET)).set_index("kind")
    assert kinds.loc["conv", "mean"] == pytest.approx(-0.1) and kinds.loc["msa", "mean"] == pytest.approx(-7.6 / 3)
    assert kinds.loc["msa", ["units", "lowered", "raised"]].tolist() == [3, 3, 0]


def test_every_column_has_its_term():
    assert not [column.id for column in lesion.COLUMNS if column.term not in glossary.TERMS]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_holds_every_unit_and_the_change_of_the_focused_one(theme):
    table = measure(given()).table
    spec = lesion.chart(table, theme, net="Net", family="hybrid", focus="s2u1", off=["s1u2"], width=400).to_dict()
    text = json.dumps(spec, ensure_ascii=False)
    assert all(f'"unit": "{unit}"' in text for unit in table["unit"].unique()) and "Net · Stage 1, unit 2 · Windowed MSA" in text
    crossed = [layer for layer in spec["layer"] if '"oneOf": ["s1u2"]' in json.dumps(layer)]
    assert len(crossed) == 1
    # whiskers and bars lie within the axis, the marks above them
    low, high = next(
        layer["encoding"]["y"]["scale"]["domain"]
        for layer in spec["layer"]
        if "y2" in layer.get("encoding", {}) and "y" in layer["encoding"]
    )
    rows = lesion.whole(table)
    assert low < rows["ci_low"].min() and high > max(0, rows["ci_high"].max())
    several = lesion.chart(measure(given(), units="s1u1,s1u2").table).to_dict()
    assert several["layer"]
