"""Two nets side by side: each difference against what its own analysis says, or worked out anew from the stored arrays."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core import store
from core.analyses import band_noise, calibration, corruption, fourier, hessian, landscape, lesion
from core.claims import alike, gain_words, gains, profiles
from core.claims.gains import APART, BY_IMAGE, Gain
from core.claims.judge import Effect
from core.claims.nets import Net
from core.metrics.interval import mean_interval, t_quantile
from core.store import Stored

NAMES = ("ResNet-mini", "AlterNet-mini", "ViT-mini")


@pytest.fixture(scope="module")
def nets() -> dict[str, Net]:
    """Shipped nets of one set of images and one seed."""
    found = {}
    for run in store.list_runs():
        if store.is_shipped(run.id) and run.name in NAMES and run.seed == 0 and run.data == "fashion-full" and run.fraction == 1:
            net = gains.side(run)
            assert net is not None
            found[run.name] = net
    assert set(found) == set(NAMES)
    return found


@pytest.fixture(scope="module", params=["AlterNet-mini", "ViT-mini"])
def pair(nets: dict[str, Net], request: pytest.FixtureRequest) -> tuple[Net, Net]:
    return nets["ResNet-mini"], nets[request.param]


@pytest.fixture(scope="module")
def found(pair: tuple[Net, Net]) -> dict[str, Gain]:
    return {gain.title: gain for gain in gains.gains(*pair)}


def stored(net: Net, analysis: str, **fixed: Any) -> Stored:
    one = net.load(net.results(analysis, **fixed)[0])
    assert one is not None
    return one


def both(pair: tuple[Net, Net], analysis: str) -> tuple[Stored, Stored]:
    return stored(pair[0], analysis), stored(pair[1], analysis)


def right(one: Stored) -> np.ndarray:
    return 100.0 * (one.arrays["predicted"] == one.arrays["label"])


def assert_mean(effect: Effect | None, values: np.ndarray) -> None:
    """Student's interval of a mean, by its formula."""
    assert effect is not None
    half = t_quantile(len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    assert [effect.value, effect.low, effect.high] == pytest.approx([values.mean(), values.mean() - half, values.mean() + half], abs=1e-9)
    assert effect.n == len(values)


def test_accuracy_is_paired_by_image(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = both(pair, "lesion")
    gain = found["Accuracy"]
    assert_mean(gain.effect, right(b)[0] - right(a)[0])
    assert gain.sides == pytest.approx((right(a)[0].mean(), right(b)[0].mean()), abs=0.02)  # final.json is of the same weights
    assert gain.how == BY_IMAGE and gain.better == 1


def test_calibration_is_put_together_from_two_intervals(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = (100 * calibration.measures(one.table).loc["ece"] for one in both(pair, "calibration"))
    effect = found["Calibration error"].effect
    assert effect is not None and effect.value == pytest.approx(b["value"] - a["value"])
    below = math.hypot(b["value"] - b["ci_low"], a["ci_high"] - a["value"])
    above = math.hypot(b["ci_high"] - b["value"], a["value"] - a["ci_low"])
    assert [effect.low, effect.high] == pytest.approx([effect.value - below, effect.value + above])
    assert found["Calibration error"].how == APART and found["Calibration error"].better == -1


def test_corruption_is_the_mean_of_75_cells_by_image(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    each = [right(one)[~one.table["extra"].to_numpy(dtype=bool)] for one in both(pair, "corruption")]
    assert len(each[0]) == 75
    assert_mean(found["Accuracy under corruption"].effect, each[1].mean(0) - each[0].mean(0))
    mean = corruption.mean_accuracy(*(lambda one: (one.table, one.arrays))(stored(pair[1], "corruption")))[0]
    assert found["Accuracy under corruption"].sides[1] == pytest.approx(100 * mean)


def test_noise_is_paired_and_k_is_the_analysis_own(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = both(pair, "band_noise")
    assert_mean(found["Accuracy under noise"].effect, (right(b)[1:] - right(a)[1:]).mean(0))
    effect = found["High noise against low, K"].effect
    assert effect is not None and (effect.value, effect.low, effect.high) == band_noise.pair(b, a)
    assert found["High noise against low, K"].sides == pytest.approx((band_noise.contrast(a)[0], band_noise.contrast(b)[0]))


def test_curvature_is_what_hessian_says(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = both(pair, "hessian")
    said = hessian.pair(b.table, a.table)
    ape, nep = found["Sharpness, mean positive eigenvalue"], found["Negative eigenvalues"]
    assert ape.effect is not None and nep.effect is not None and ape.ratio
    assert [ape.effect.value, ape.effect.low, ape.effect.high] == pytest.approx([said["ratio"], said["ratio_low"], said["ratio_high"]])
    points = [100 * said[name] for name in ("difference", "difference_low", "difference_high")]
    assert [nep.effect.value, nep.effect.low, nep.effect.high] == pytest.approx(points)


def test_the_landscape_is_what_its_ratio_says(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = (gains.surface(one) for one in both(pair, "landscape"))
    gain = found["Rise of the loss at 0.4 of a step"]
    assert gain.effect is not None and (gain.effect.value, gain.effect.low, gain.effect.high) == landscape.ratio(b, a, 0.4)
    assert gain.sides[1] / gain.sides[0] == pytest.approx(gain.effect.value)


def test_frequency_lesion_and_variance_by_hand(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    a, b = both(pair, "fourier")
    assert_mean(found["Finest detail after the last unit"].effect, b.arrays["high"][:, -1].astype(float) - a.arrays["high"][:, -1])
    costs = []
    for one in both(pair, "lesion"):
        rows = lesion.whole(one.table)
        keep = [i for i, row in enumerate(rows.itertuples()) if not row.resampling]
        costs.append(np.mean([right(one)[0] - right(one)[1 + i] for i in keep], axis=0))
    assert_mean(found["Mean cost of a unit switched off"].effect, costs[1] - costs[0])
    logs = [np.log(t.loc[~t["resampling"] & t["ratio"].notna(), "ratio"]) for t in (one.table for one in both(pair, "variance"))]
    gain = found["Variance, out against in of a unit"]
    assert gain.effect is not None and gain.effect.value == pytest.approx(math.exp(logs[1].mean() - logs[0].mean()))
    assert gain.sides == pytest.approx((math.exp(logs[0].mean()), math.exp(logs[1].mean())))


def test_turned_round_every_difference_turns_round(pair: tuple[Net, Net], found: dict[str, Gain]) -> None:
    for gain in gains.gains(pair[1], pair[0]):
        other = found[gain.title]
        assert gain.sides == pytest.approx(other.sides[::-1], nan_ok=True)
        if gain.effect is not None and other.effect is not None and gain.measure != "cka":
            back = 1 / other.effect.value if gain.ratio else -other.effect.value
            assert gain.effect.value == pytest.approx(back), gain.title


# ---- in pieces


PIECES: dict[str, Callable[[Stored], np.ndarray]] = {
    "noise": lambda one: right(one)[1:] - right(one)[0],
    "corruption": lambda one: np.stack([right(one)[(one.table["kind"] == kind).to_numpy()].mean(0) for kind in one.table["kind"].unique()]),
}


@pytest.mark.parametrize("measure", PIECES)
def test_pieces_are_paired_by_image(pair: tuple[Net, Net], measure: str) -> None:
    analysis = gains.MEASURES[measure].analysis
    found = profiles.profile(measure, *pair)
    assert found is not None and found.how == BY_IMAGE
    a, b = (PIECES[measure](one) for one in both(pair, analysis))
    expected = np.stack(mean_interval(b - a, 1), 1)
    got = found.table[["value", "low", "high"]].to_numpy()
    assert np.allclose(sorted(map(tuple, got)), sorted(map(tuple, expected)))


def test_classes_are_paired_by_image(pair: tuple[Net, Net]) -> None:
    a, b = both(pair, "calibration")
    found = profiles.profile("accuracy", *pair)
    assert found is not None and len(found.table) == 10 and found.n == 10_000
    names, label = profiles.classes_of(pair[0].run), a.arrays["label"]
    for row in found.table.itertuples():
        values = (right(b)[0] - right(a)[0])[label == names.index(row.label)]
        assert_mean(Effect(value=row.value, low=row.low, high=row.high, n=len(values)), values)
    assert (found.table["value"].to_numpy() @ np.full(10, 0.1)) == pytest.approx((right(b)[0] - right(a)[0]).mean())  # equal classes


def test_over_depth_twins_compare_unit_by_unit(nets: dict[str, Net]) -> None:
    pair = nets["ResNet-mini"], nets["AlterNet-mini"]
    a, b = both(pair, "fourier")
    found = profiles.profile("frequency", *pair)
    assert found is not None
    expected = np.stack(mean_interval(b.arrays["high"].astype(float) - a.arrays["high"].astype(float)), 1)
    assert np.allclose(found.table[["value", "low", "high"]], expected)
    units = list(found.table.loc[found.table["other"], "unit"])
    assert units == [row.unit for row in fourier.points(b.table).itertuples() if row.kind == "msa"]
    factor = profiles.profile("variance", *pair)
    tables = [one.table for one in both(pair, "variance")]
    assert factor is not None and factor.ratio
    assert np.allclose(factor.table["value"], tables[1]["variance"].to_numpy() / tables[0]["variance"].to_numpy())
    lost = profiles.profile("lesion", *pair)
    rows = [lesion.whole(one.table) for one in both(pair, "lesion")]
    keep = ~(rows[0]["resampling"] | rows[1]["resampling"])
    assert lost is not None and np.allclose(lost.table["value"], (rows[1]["change"] - rows[0]["change"])[keep])


def test_between_its_units_a_net_is_a_straight_line() -> None:
    import pandas as pd

    one, other = (pd.DataFrame({"depth": depths}) for depths in ([0.0, 0.5, 1.0], [0.0, 0.25, 0.9, 1.0]))
    values = np.array([[1.0, 3.0, 7.0], [2.0, 0.0, 4.0]])
    assert np.allclose(values @ profiles.between(one, other), [[1.0, 2.0, 6.2, 7.0], [2.0, 1.0, 3.2, 4.0]])
    assert not profiles.side_by_side(one, other) and profiles.side_by_side(one, one)


def test_curvature_by_rank_is_paired_by_mini_batch(pair: tuple[Net, Net]) -> None:
    a, b = both(pair, "hessian")
    assert a.manifest["notes"]["batches"] == b.manifest["notes"]["batches"]
    found = profiles.profile("curvature", *pair)
    assert found is not None and found.how == "by mini-batch"
    first = [hessian.kept(one.table).query("rank == 1").set_index("batch")["eigenvalue"] for one in (a, b)]
    row = found.table.iloc[0]
    assert_mean(Effect(value=row["value"], low=row["low"], high=row["high"], n=found.n), (first[1] - first[0]).dropna().to_numpy())


def test_the_landscape_in_pieces_is_its_ratio_at_each_ring(pair: tuple[Net, Net]) -> None:
    a, b = (gains.surface(one) for one in both(pair, "landscape"))
    found = profiles.profile("landscape", *pair)
    assert found is not None
    for row in found.table.itertuples():
        assert (row.value, row.low, row.high) == pytest.approx(landscape.ratio(b, a, row.x), nan_ok=True)


def test_bins_of_confidence_come_from_both_intervals(pair: tuple[Net, Net]) -> None:
    found = profiles.profile("calibration", *pair)
    assert found is not None and found.how == APART
    a, b = (calibration.reliability(one.table).set_index("low") for one in both(pair, "calibration"))
    for row in found.table.itertuples():
        low = next(low for low in a.index if 100 * (low + a.loc[low, "high"]) / 2 == pytest.approx(row.x))
        assert min(a.loc[low, "n"], b.loc[low, "n"]) >= 10
        assert row.value == pytest.approx(100 * (b.loc[low, "value"] - a.loc[low, "value"]))
        assert row.high - row.value == pytest.approx(
            100 * math.hypot(b.loc[low, "ci_high"] - b.loc[low, "value"], a.loc[low, "value"] - a.loc[low, "ci_low"])
        )


# ---- whether nets compare


def like(net: Net, final: dict[str, Any] | None = None, **changes: Any) -> Net:
    return dataclasses.replace(net, run=dataclasses.replace(net.run, **changes), final={**net.final, **(final or {})})


def test_what_is_unlike_is_said(nets: dict[str, Net]) -> None:
    a = nets["ResNet-mini"]
    assert alike.unlike(a, nets["AlterNet-mini"]) == []
    other = like(a, {"n_train": 1000, "steps": 50}, recipe={**a.run.recipe, "lr": 0.5, "name": "else"}, seed=4)
    assert alike.unlike(a, other) == [
        "60,000 and 1,000 training images", f"another recipe (lr {a.run.recipe['lr']} against 0.5)",
        f"{a.final['steps']:,} and 50 steps of training",
    ]  # fmt: skip
    assert "other images" in alike.unlike(a, like(a, data="cifar10"))[0]
    assert alike.unlike(a, like(a, data="fashion")) == []  # a part of the same images, tested on all
    assert alike.unlike(a, like(a, data="gone:x"))[0] == "other images (Fashion-MNIST and gone:x), so no difference is shown"


def test_other_images_leave_no_difference(nets: dict[str, Net]) -> None:
    a = nets["ResNet-mini"]
    found = gains.gains(a, like(nets["ViT-mini"], data="cifar10"))
    assert all(gain.effect is None for gain in found)
    assert found[0].sides[1] == pytest.approx(100 * nets["ViT-mini"].final["accuracy"])


def test_what_only_one_has_is_shown_and_not_compared(nets: dict[str, Net]) -> None:
    bare = dataclasses.replace(nets["ViT-mini"], manifests=lambda _: [])
    for gain in gains.gains(nets["ResNet-mini"], bare):
        if gain.measure == "accuracy":
            assert gain.effect is not None and gain.how == APART  # from the two shares
        else:
            assert gain.effect is None and math.isnan(gain.sides[1])
    assert all(profiles.profile(measure, nets["ResNet-mini"], bare) is None for measure in gains.MEASURES)


# ---- words


def told(value: float, low: float, high: float, **more: Any) -> Gain:
    facts: dict[str, Any] = {"measure": "accuracy", "title": "Accuracy", "noun": "accuracy", "unit": "%", "sides": (90, 90), "better": 1}
    return Gain(**{**facts, **more}, effect=Effect(value=value, low=low, high=high, n=100))


def test_sentences() -> None:
    def say(gain: Gain) -> str:
        return gain_words.sentence(gain, "ResNet-mini", "AlterNet-mini", "26 % fewer parameters")

    end = "with 26 % fewer parameters."
    unclear = "AlterNet-mini is 0.1 points less accurate than ResNet-mini (95 % −0.4 to 0.3, **not clear**)"
    assert say(told(-0.09, -0.43, 0.26)) == f"{unclear} {end}"
    assert say(told(1.0, 0.5, 1.5)) == f"AlterNet-mini is **1.0 points more accurate** than ResNet-mini (95 % 0.5 to 1.5) {end}"
    assert say(told(0.01, -1, 1)).startswith("AlterNet-mini is as accurate as ResNet-mini (")
    ratio = told(0.5, 0.4, 0.7, measure="curvature", noun="mean positive eigenvalue", ratio=True, unit="", better=0)
    assert say(ratio) == f"AlterNet-mini’s mean positive eigenvalue is **×0.50** of ResNet-mini’s (95 % ×0.40 to ×0.70) {end}"
    ece = told(-1.0, -2.0, -0.5, measure="calibration", noun="calibration error", better=-1)
    assert say(ece) == f"AlterNet-mini’s calibration error is **1.0 points lower** than ResNet-mini’s (95 % −2.0 to −0.5) {end}"
    assert say(dataclasses.replace(ece, effect=None)) == ""


@pytest.mark.parametrize(("gain", "word"), [
    (told(1, 0.5, 2), "B better"), (told(-1, -2, -0.5), "A better"), (told(1, -0.5, 2), "not clear"),
    (told(1, 0.5, 2, better=-1), "A better"), (told(1, 0.5, 2, better=0), "B higher"),
    (told(0.5, 0.3, 0.9, ratio=True, better=0), "B lower"),
    (told(1.5, 0.3, 1.9, ratio=True, better=0), "not clear"), (told(1, math.nan, math.nan), "no interval"),
])  # fmt: skip
def test_what_is_clear(gain: Gain, word: str) -> None:
    assert gain_words.judged(gain) == word


def test_prices() -> None:
    assert gain_words.change(100, 74, "parameters") == "26 % fewer parameters"
    assert gain_words.change(100, 135, "parameters") == "35 % more parameters"
    assert gain_words.change(100, 100.2, "FLOPs") == "as many FLOPs"
    assert gain_words.change(100, 450, "FLOPs") == "4.5 times the FLOPs"
    assert gain_words.change(None, 450, "FLOPs") == gain_words.change(0, 1, "FLOPs") == ""
