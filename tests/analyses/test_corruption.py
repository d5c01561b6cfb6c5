"""Corruptions: every cell against a walk by hand, the mean and mCE against their definitions, official files, words and pictures."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from core import data
from core.analyses import Subject, corruption
from core.analyses import _cells as cells
from core.data.corruptions import KINDS, SEVERITIES, counted
from core.data.corruptions.generate import corrupt
from core.errors import MeasureError
from core.metrics.interval import paired_interval, share_interval
from core.models import build
from core.run import Run
from core.spec import parse
from core.table import check

NAMES = [column.id for column in corruption.COLUMNS]


def quiet(*_args, **_settings) -> None:
    """Progress that nobody hears."""


def given(images: str = "fashion") -> Subject:
    """A small net whose answers differ from image to image."""
    torch.set_num_threads(1)
    subject = Subject(Run(arch="ct/width=16", data=images, recipe={}), "cpu")
    subject.net = build(parse("ct/width=16"), 32, 10, seed=0).eval()
    with torch.no_grad():
        x, _ = Subject(Run(arch="ct/width=16", data="fashion", recipe={}), "cpu").images("test", 100, 3)
        subject.net.head.weight.mul_(20)
        subject.net.head.bias.sub_(subject.net(x).mean(0))
    return subject


def measure(subject: Subject, **params):
    return corruption.ANALYSIS.measure(subject, corruption.Params(**{"images": 40, "precision": "fp32", **params}), quiet)


@pytest.fixture(scope="module")
def found():
    return measure(given(), seed=5)


def test_every_cell_equals_the_walk_by_hand(found):
    table, arrays, subject = found.table, found.arrays, given()
    check(table, corruption.COLUMNS, keys=("kind", "severity"))
    assert len(table) == 19 * 5 and table["kind"].unique().tolist() == list(KINDS) and set(table["severity"]) == set(SEVERITIES)
    images = data.load("fashion", "test")
    index = data.subset(images.labels, 1.0, 40, 5)
    assert np.array_equal(arrays["index"], index) and np.array_equal(arrays["label"], images.labels[index])
    assert arrays["predicted"].shape == (95, 40) and arrays["predicted"].dtype == np.uint8
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (images.spec.mean, images.spec.std))
    y = torch.from_numpy(images.labels[index])

    def by_hand(pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return subject.net((pixels.float().expand(-1, 3, -1, -1) / 255 - mean) / std).double()

    clean = by_hand(torch.from_numpy(images.pixels[index])).argmax(1)
    assert np.array_equal(arrays["clean"], clean) and len(set(clean.tolist())) > 3
    before = (clean == y).numpy()
    for kind, severity in (("gaussian_noise", 5), ("glass_blur", 3), ("fog", 1), ("contrast", 5), ("spatter", 4)):
        place = int(np.flatnonzero((table["kind"] == kind) & (table["severity"] == severity))[0])
        row = table.iloc[place]
        logits = by_hand(corrupt(torch.from_numpy(images.pixels[index]), kind, severity, seed=5, indices=index))
        assert np.array_equal(arrays["predicted"][place], logits.argmax(1)), (kind, severity)
        now = (logits.argmax(1) == y).numpy()
        lost, gained = int(np.sum(before & ~now)), int(np.sum(now & ~before))
        assert row[["accuracy", "ci_low", "ci_high"]].tolist() == list(share_interval(int(now.sum()), 40))
        assert row[["change", "change_low", "change_high"]].tolist() == [100 * v for v in paired_interval(lost, gained, 40)]
        assert (row["lost"], row["gained"], row["images"], row["seed"]) == (lost, gained, 40, 5)
        assert row["nll"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, y)), abs=1e-4)
        assert (row["group"], row["extra"], row["table"], row["source"]) == (
            KINDS[kind].group, KINDS[kind].extra, "CIFAR-C", "generated",
        )  # fmt: skip
    assert found.notes["of"] == 19 and found.notes["precision"] == "float32"


def test_a_net_that_sees_nothing_loses_nothing():
    subject = given()
    torch.nn.init.zeros_(subject.net.head.weight)
    table = measure(subject, extra=False).table
    assert len(table) == 75 and (table["change"] == 0).all() and (table["lost"] == 0).all()
    assert (table["change_low"] < 0).all() and (table["change_high"] > 0).all()
    assert table["nll"].nunique() == 1


def test_the_mean_is_over_the_15_kinds_and_its_interval_over_images(found):
    table, arrays = found.table, found.arrays
    mean, low, high = corruption.mean_accuracy(table, arrays)
    assert mean == pytest.approx(table[table["kind"].isin(counted())]["accuracy"].mean())
    own = (arrays["predicted"][:75] == arrays["label"]).mean(0)  # the extra kinds come last
    half = 2.0227 * own.std(ddof=1) / np.sqrt(40)
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=1e-4)
    spoiled = table.assign(accuracy=np.where(table["extra"], 0.0, table["accuracy"]))
    assert corruption.mce(spoiled, table) == pytest.approx(100), "the extra kinds count in no mean"
    part = table[table["kind"] != "fog"]
    assert not corruption.whole(part) and corruption.whole(table[~table["extra"]])
    for call in (lambda: cells.shares(part, arrays), lambda: corruption.mce(part, table), lambda: corruption.mce(table, part)):
        with pytest.raises(MeasureError, match=r"15 kinds|75 cells"):
            call()


def made(accuracy, **changed) -> pd.DataFrame:
    """A whole table whose accuracies are those of a function of kind and severity."""
    rows = [
        (kind, about.group, about.extra, s, a := accuracy(kind, s), a - 0.02, a + 0.02, 0.9, 100 * (a - 0.9), 100 * (a - 0.9) - 2,
         100 * (a - 0.9) + 2, 10, 2, 0.5, "CIFAR-C", "generated", 40, 0)
        for kind, about in KINDS.items() for s in SEVERITIES
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=NAMES).assign(**changed)


def test_mce_is_the_mean_of_ratios_of_summed_errors():
    baseline = made(lambda kind, s: 1 - (0.5 if kind == "fog" else 0.1))
    # fog: errors sum to 2.5 as the baseline's; all others sum to 0.75 over 0.5
    net = made(lambda kind, s: 1 - (s / 6 if kind == "fog" else 0.05 * s))
    assert corruption.mce(net, baseline) == pytest.approx((100 + 14 * 150) / 15)
    assert corruption.mce(baseline, baseline) == pytest.approx(100)
    with pytest.raises(MeasureError, match="same images"):
        corruption.mce(net, baseline.assign(seed=1))
    with pytest.raises(MeasureError, match="no error at gaussian noise"):
        corruption.mce(net, made(lambda kind, s: 1.0))


def test_in_bf16_few_answers_turn():
    fine, coarse = (measure(given(), extra=False, precision=precision) for precision in ("fp32", "bf16"))
    assert (fine.arrays["predicted"] == coarse.arrays["predicted"]).mean() > 0.9
    assert np.abs(fine.table["nll"] - coarse.table["nll"]).max() > 0 and coarse.notes["precision"] == "bfloat16"


def test_too_many_images_are_refused():
    with pytest.raises(MeasureError, match="10001 images"):
        measure(given(), images=10_001)


# ---- official files


@pytest.fixture
def cifar(tmp_path, monkeypatch) -> Subject:
    """A net on a CIFAR-10 of sixty made images, whose published files hold what the lab generates with seed 0."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    images = data.Images(pixels=pixels, labels=np.arange(60) % 10, spec=data.get("cifar10"), split="test", digest="")
    subject = given("cifar10")
    monkeypatch.setenv("ALTERLAB_DATA", str(tmp_path))
    monkeypatch.setattr(Subject, "pictures", lambda self, on: images)
    return subject


def publish(folder, kinds, labels=None) -> None:
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    for kind in kinds:
        every = [corrupt(torch.from_numpy(pixels), kind, severity).numpy().transpose(0, 2, 3, 1) for severity in SEVERITIES]
        np.save(folder / f"{kind}.npy", np.concatenate(every))
    np.save(folder / "labels.npy", np.tile(np.arange(60) % 10 if labels is None else labels, 5))


def test_official_files_are_read_in_place_of_generated_images(cifar, tmp_path):
    publish(tmp_path / "CIFAR-10-C", counted())
    official, generated = (measure(cifar, extra=False, source=source) for source in ("official", "generated"))
    assert np.array_equal(official.arrays["predicted"], generated.arrays["predicted"])
    assert len(np.unique(official.arrays["predicted"])) > 2
    pd.testing.assert_frame_equal(official.table.drop(columns="source"), generated.table.drop(columns="source"))
    assert set(official.table["source"]) == {"official"} and set(official.table["table"]) == {"CIFAR-C"}


def test_official_files_that_are_not_there_or_not_these_are_refused_in_words(cifar, tmp_path):
    with pytest.raises(MeasureError, match=r"CIFAR-10-C is looked for in .* Put the published files there"):
        measure(cifar, source="official")
    publish(tmp_path / "CIFAR-10-C", counted(), labels=np.arange(60) % 7)
    with pytest.raises(MeasureError, match=r"has no speckle noise, .* leave the extra kinds out"):
        measure(cifar, source="official")
    with pytest.raises(MeasureError, match="not those of the 60 test images of CIFAR-10"):
        measure(cifar, source="official", extra=False)


def test_sets_without_official_files_say_so():
    with pytest.raises(MeasureError, match="no published corrupted images of Fashion; set source=generated"):
        measure(given(), source="official")


# ---- words and pictures


@dataclasses.dataclass
class Found:
    table: pd.DataFrame
    arrays: dict


def answered(right: np.ndarray, worst: str = "fog") -> Found:
    """All cells of a net that gets the images in `right` and no others, but for those of one kind."""
    label = np.zeros(len(right), np.uint8)
    predicted = np.stack([(~right).astype(np.uint8)] * 95)
    table = made(lambda kind, s: 0.3 if kind == worst else 0.8)
    return Found(table, {"predicted": predicted, "label": label, "index": np.arange(len(right)), "clean": label})


def test_the_takeaway_says_no_more_than_the_interval():
    rng = np.random.default_rng(0)
    better, worse = rng.random(400) < 0.8, rng.random(400) < 0.6
    one = corruption.takeaway({"A": answered(better)})
    assert one.startswith(f"A gets **{100 * better.mean():.1f} %** right over 15 corruptions at 5 severities (95 % ")
    assert one.endswith("90.0 % clean; fog costs it most (−60.0 points).")
    two = corruption.takeaway({"B": answered(worse), "A": answered(better)})
    assert two.startswith("**A** holds up best") and f"**{100 * (better.mean() - worse.mean()):.1f} points** more than B" in two
    assert "**not clear** whether" in corruption.takeaway({"A": answered(better), "B": answered(rng.permutation(better))})
    half = Found(answered(better).table.iloc[:50], answered(better).arrays)
    assert corruption.takeaway({"A": half}) == "" == corruption.takeaway({})
    assert corruption.takeaway({"A": half, "B": answered(worse)}).startswith("B gets")


def test_kinds_are_means_over_severities():
    rows = corruption.means(made(lambda kind, s: 0.1 * s)).set_index("kind")
    assert rows["accuracy"].tolist() == pytest.approx([0.3] * 19) and rows.index.tolist() == list(KINDS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_holds_every_cell_and_what_is_not_measured_stays_empty(theme):
    table = made(lambda kind, s: 0.95 - 0.13 * s)
    spec = corruption.chart(table, theme, net="N").to_dict()
    [rows] = spec["datasets"].values()
    assert len(rows) == 20 * 5 and {row["column"] for row in rows} == {"1", "2", "3", "4", "5"}
    by = {(row["kind"], row["column"]): row for row in rows}
    assert by["fog", "5"]["text"] == "30" and by["fog", "5"]["ink"] == pytest.approx(0.7) and by["mean", "1"]["text"] == "82"
    assert by["fog", "5"]["lowered"] == "−60.0 (−62.0 to −58.0)" and by["mean", "1"]["lowered"] == "−8.0"
    started = corruption.chart_nets({"N": table, "M": table[table["kind"] == "fog"]}, theme, severity=3, show="change").to_dict()
    [rows] = started["datasets"].values()
    drawn = {(row["kind"], row["column"]): row["text"] for row in rows if isinstance(row["text"], str)}
    assert {kind for kind, net in drawn if net == "M"} == {"fog"} and len(rows) == 40 and drawn["fog", "M"] == "−34"
    assert cells.SELECTION in json.dumps(spec) and '"kind", "severity", "net"' in json.dumps(spec)


def test_a_picture_without_extra_kinds_has_no_row_for_them_and_odd_wishes_are_refused():
    table = made(lambda kind, s: 0.5)
    [rows] = corruption.chart(table[~table["extra"]], net="N").to_dict()["datasets"].values()
    assert len(rows) == 16 * 5
    with pytest.raises(MeasureError, match="Known: accuracy, change"):
        corruption.chart(table, net="N", show="<b>")
    with pytest.raises(MeasureError, match="Known: 1, 2"):
        corruption.chart_nets({"N": table}, severity=6)


def test_the_mean_over_severities_the_framed_cell_and_a_net_of_which_nothing_is_known():
    table = made(lambda kind, s: 0.95 - 0.1 * s)
    found = {"N": table, "Some-long-name": table.iloc[:0]}
    spec = corruption.chart_nets(found, severity=cells.EVERY, chosen=("fog", "N"), extra=True).to_dict()
    rows = [row for part in spec["datasets"].values() for row in part]
    drawn = {(row["kind"], row["column"]): row["text"] for row in rows if isinstance(row["text"], str)}
    assert drawn["fog", "N"] == drawn["mean", "N"] == "65" and {net for _, net in drawn} == {"N"} and len(rows) == 40
    frames = [layer for layer in spec["layer"] if layer["mark"].get("fill", "") is None]
    assert len(frames) == 2 and all("fog" in json.dumps(frame["transform"]) for frame in frames)
    assert '["Some-", "long-name"]' in spec["layer"][0]["encoding"]["x"]["axis"]["labelExpr"]
    nothing = corruption.chart_nets({"N": table.iloc[:0]}, extra=True).to_dict()
    assert all(row["ink"] is None for part in nothing["datasets"].values() for row in part)
