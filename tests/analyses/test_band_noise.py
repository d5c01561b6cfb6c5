"""Noise ring by ring against a Fourier transform by hand, nets that ignore a ring, and what curves say, with numbers known beforehand."""

import dataclasses
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch

from core import store
from core.analyses import Subject, band_noise
from core.errors import MeasureError
from core.metrics import bands, noise
from core.metrics.interval import mcnemar, paired_interval
from core.models import build
from core.run import Run
from core.spec import parse
from core.table import Measurement, check
from tests.analyses.test_lesion import given

CENTRES = np.arange(1, 10) / 10


def measure(subject: Subject, **params):
    return band_noise.ANALYSIS.measure(subject, band_noise.Params(**{"images": 60, **params}), lambda *_a, **_k: None)


def noise_by_hand(index: np.ndarray, centre: float, rms: float, seed: int = 0) -> np.ndarray:
    """Grey noise (images, 1, 32, 32) of one ring: white signs, masked where the larger of both frequencies lies in it, scaled."""
    turns = np.abs(np.fft.fftfreq(32)) * 2
    radius = np.maximum(turns[:, None], turns[None])
    spectrum = np.fft.fft2(bands.signs(seed, index, (1, 32, 32)).astype(float))
    made = np.fft.ifft2(spectrum * ((radius >= centre - 0.05 - 1e-12) & (radius < centre + 0.05 - 1e-12)))
    assert np.abs(made.imag).max() < 1e-12
    return made.real * rms / np.sqrt(np.square(made.real).mean((1, 2, 3), keepdims=True))


def test_every_row_equals_noise_added_by_hand():
    subject = given()
    found = measure(subject, rms=0.2, seed=5)
    table, arrays = found.table, found.arrays
    check(table, band_noise.COLUMNS, keys=("frequency",))
    assert np.isnan(table["frequency"].iloc[0]) and np.allclose(table["frequency"].iloc[1:], CENTRES)
    assert arrays["predicted"].shape == (10, 60) and arrays["predicted"].dtype == np.uint8
    assert {"rms": 0.2, "strength": 0.2, "rows": 9, "of": 9, "energy": "equal", "seed": 5}.items() <= found.notes.items()
    x, y = subject.images("test", 60, 5)
    assert np.array_equal(arrays["label"], y)
    before = None
    for i, centre in enumerate((None, *CENTRES)):
        added = 0 if centre is None else torch.from_numpy(noise_by_hand(arrays["index"], centre, 0.2, 5) / subject.spec.std[0])
        with torch.inference_mode():
            logits = subject.net((x + added).float()).double()
        answers, row = logits.argmax(1).numpy(), table.iloc[i]
        assert np.array_equal(arrays["predicted"][i], answers), centre
        loss = torch.nn.functional.cross_entropy(logits, y, reduction="none").numpy()
        right = answers == y.numpy()
        assert row["accuracy"] == pytest.approx(right.mean()) and row["nll"] == pytest.approx(loss.mean(), abs=1e-4)
        if before is None:
            before, first = right, loss
            assert row["rms"] == row["lost"] == row["gained"] == 0 and np.isnan(row["change"])
            continue
        lost, gained = int(np.sum(before & ~right)), int(np.sum(right & ~before))
        assert (row["lost"], row["gained"], row["clean"]) == (lost, gained, before.mean())
        assert row[["change", "ci_low", "ci_high"]].tolist() == [100 * value for value in paired_interval(lost, gained, 60)]
        assert row["p"] == mcnemar(lost, gained)
        assert row["nll_change"] == pytest.approx((loss - first).mean(), abs=1e-4)
    assert len(np.unique(arrays["predicted"], axis=0)) == 10, "every ring changes some answer of this net"


class Deaf(torch.nn.Module):
    """A net that does not see one ring."""

    def __init__(self, net: torch.nn.Module, low: int, high: int) -> None:
        super().__init__()
        self.net, self.low, self.high = net, low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x - noise.keep(x.contiguous(), self.low, self.high))


@pytest.mark.parametrize(("low", "high"), [(55, 100), (25, 45)])
def test_a_net_that_ignores_rings_is_unmoved_by_them(low, high):
    subject = given()
    subject.net = Deaf(subject.net, low, high).eval()
    table = band_noise.rings(measure(subject, rms=0.2).table)
    inside = (table["frequency"] * 100 > low) & (table["frequency"] * 100 < high)
    assert 0 < inside.sum() < 9
    assert (table.loc[inside, ["lost", "gained", "change"]] == 0).all(axis=None) and (table.loc[inside, "p"] == 1).all()
    assert np.abs(table.loc[inside, "nll_change"]).max() < 1e-3
    assert (table.loc[~inside, ["lost", "gained"]].sum(axis=1) > 0).all() and np.abs(table.loc[~inside, "nll_change"]).min() > 1e-2


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_is_as_strong_as_it_is_said_to_be(channels):
    subject = given("c/width=16")
    subject.spec = dataclasses.replace(subject.spec, channels=channels)  # colour images have noise of their own in each channel
    equal = band_noise.rings(measure(subject, images=16, rms=0.03).table)["rms"]
    assert np.allclose(equal, 0.03, rtol=1e-5)
    loud = band_noise.rings(measure(subject, images=16, rms=0.1, energy="reference").table)["rms"]
    assert np.allclose(loud, [0.1 * bands.share(32, *bands.ring(c)) ** 0.5 for c in bands.CENTRES], rtol=0.06)


def test_each_data_set_has_its_own_strength():
    ask = band_noise.Params
    assert band_noise.strength("fashion-full", ask()) == band_noise.strength("fashion", ask()) < 0.05
    assert band_noise.strength("cifar10", ask()) == band_noise.OTHERS and band_noise.strength("fashion", ask(rms=0.2)) == 0.2
    assert band_noise.strength("fashion", ask(rms=0.2, energy="reference")) == 0.2
    signs, shares = band_noise.strength("fashion", ask(energy="reference")), [bands.share(512, *bands.ring(c)) for c in bands.CENTRES]
    assert signs**2 * np.mean(shares) == pytest.approx(band_noise.RMS["fashion"] ** 2, rel=0.01), "as much energy, shared otherwise"
    subject = given("c/width=16")
    assert measure(subject, images=8).notes["rms"] == band_noise.RMS["fashion"]


def test_an_image_has_the_same_noise_in_any_company():
    few, many = (measure(given("c/width=16"), images=n, rms=0.2) for n in (20, 70))  # 70: chunks of other sizes
    place = np.searchsorted(many.arrays["index"], few.arrays["index"])
    assert np.array_equal(many.arrays["index"][place], few.arrays["index"])
    assert np.array_equal(many.arrays["predicted"][:, place], few.arrays["predicted"])
    other = measure(given("c/width=16"), images=20, rms=0.2, seed=1)
    assert not np.array_equal(other.arrays["index"], few.arrays["index"])


def test_small_images_have_fewer_rings():
    subject = Subject(Run(arch="c/width=16", data="fashion", recipe={}, image_size=8), "cpu")
    subject.net = build(parse("c/width=16"), 8, 10, seed=0).eval()
    found = measure(subject, images=8)
    assert np.allclose(band_noise.rings(found.table)["frequency"], [0.3, 0.5, 0.8])
    assert len(found.arrays["predicted"]) == 4 and band_noise.contrast(found)[0] is not None
    row = band_noise.ROWS.start(subject, band_noise.Params(images=8))(0, lambda *_a: None)
    part = band_noise.gather(subject.run, band_noise.Params(images=8), {0: row})
    check(part.table, band_noise.COLUMNS)
    assert len(part.table) == 1 and part.notes["rows"] == 1


def test_bad_settings_are_refused_in_words():
    with pytest.raises(MeasureError, match="20000 images"):
        measure(given("c/width=16"), images=20_000)


# ---- words


def made(wrong: list[float], n: int = 200, clean: float = 0.9, seed: int = 0, rms: float = 0.02) -> Measurement:
    """Answers to `n` images of ten classes: `clean` right, and of each ring this share wrong that was right, the first ones."""
    label = np.arange(n) % 10
    right = np.arange(n) < clean * n
    rows = [right, *(right & (np.arange(n) >= share * n) for share in wrong)]
    predicted = np.stack([np.where(row, label, (label + 1) % 10) for row in rows]).astype(np.uint8)
    found = [{"predicted": answers, "loss": np.ones(n), "rms": np.array(rms)} for answers in predicted[1:]]
    first = {"clean": predicted[0], "clean_loss": np.ones(n), "label": label.astype(np.uint8), "index": np.arange(n), "precision": "fp32"}
    arrays = {i: first | row for i, row in enumerate(found)}
    return band_noise.gather(Run(arch="c", data="fashion", recipe={}), band_noise.Params(images=n, seed=seed), arrays)


LOW = [0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05]
HIGH = LOW[::-1]


def test_contrast_and_pair_are_those_of_known_curves():
    broad, fine = made(LOW), made(HIGH)
    assert band_noise.contrast(broad)[0] == pytest.approx(25) and band_noise.contrast(fine)[0] == pytest.approx(-25)
    k, low, high = band_noise.contrast(made([0.3, 0.2, 0.25, 0, 0, 0, 0.1, 0, 0.05]))
    assert k == pytest.approx(100 * (0.25 - 0.05))
    assert low < k < high
    difference, low, high = band_noise.pair(broad, fine)
    assert difference == pytest.approx(50) and 0 < low < 50 < high
    # image by image: 5 % change in all rings alike, 25 % in the broad ones of one and the fine ones of the other net
    own = np.repeat([0.0, 200.0, 0.0], [10, 50, 140])
    half = 1.972 * own.std(ddof=1) / 200**0.5
    assert high - low == pytest.approx(2 * half, rel=1e-3)
    rng = np.random.default_rng(0)
    again = own[rng.integers(0, 200, (4000, 200))].mean(1)
    assert np.allclose(np.quantile(again, [0.025, 0.975]), (low, high), atol=1.0), "the interval is that of resampled images"


def test_only_the_same_images_under_the_same_noise_compare():
    for other in (made(LOW, seed=1), made(LOW, rms=0.05), made(LOW, n=100), made(LOW[:8])):
        for compare in (band_noise.pair, band_noise.crossing):
            with pytest.raises(MeasureError, match="do not compare"):
                compare(made(LOW), other)
    assert "different noise" in band_noise.takeaway({"A": made(LOW), "B": made(LOW, rms=0.05)})


def test_crossing_is_that_of_known_curves():
    flat = made([0.2] * 9)
    place, low, high = band_noise.crossing(made([0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1]), flat)
    assert place == pytest.approx(0.45) and 0.4 < low < 0.45 < high < 0.5
    assert band_noise.crossing(flat, made([0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1])) is None
    near = made([0.25] * 8 + [0.195])
    near.arrays["predicted"][9] = np.roll(near.arrays["predicted"][9], 20)  # it loses 39 images, 20 of them others than the 40 of `flat`
    place, _, high = band_noise.crossing(near, flat)
    assert 0.8 < place < 0.9 and high == np.inf, "one image more at the last ring is no clear crossing"
    assert band_noise.crossing(flat, flat)[0] == 0.1


def test_curves_are_said_not_to_cross_only_where_they_do_not():
    """Of each two nets that come with the lab, against the answers themselves."""
    stored = {run.id: store.load_result(run.id, "band_noise", one["key"]) for run in store.list_runs() if store.is_shipped(run.id)
              for one in store.list_results(run.id, "band_noise")}  # fmt: skip
    told = []
    for (_, one), (_, other) in permutations(stored.items(), 2):
        if not np.array_equal(one.arrays["index"], other.arrays["index"]):
            continue
        losses = []
        for found in (one, other):
            right = (found.arrays["predicted"] == found.arrays["label"]).mean(1)
            losses.append(right[0] - right[1:])
        worse, text = losses[0] > losses[1], band_noise.say_crossing(one, other, "A", "B")
        assert ("do not cross" in text) == bool(worse.all()) and text.count("A") == text.count("B") == 1
        assert ("cross, and not for good" in text) == bool(worse[-1] and not worse.all())
        told.append(text)
    assert any("cross, and not for good" in text for text in told) and any("do not cross" in text for text in told)


def test_a_floor_is_called_one():
    assert band_noise.floor(made(LOW), "A") == ""
    said = band_noise.floor(made([0.79, 0.8, 0.3, 0, 0, 0, 0, 0, 0]), "A")
    assert "0.1π and 0.2π" in said and "hardly better than guessing" in said and "0.3π" not in said
    weak = band_noise.floor(made([0.1] * 9, clean=0.15), "A")
    assert "15.0 %" in weak and "10.0 %" in weak and "little to lose" in weak
    assert weak in band_noise.takeaway({"A": made([0.1] * 9, clean=0.15)})


def test_the_takeaway_names_ring_cost_and_side():
    assert band_noise.takeaway({}) == "No net on stage has been measured yet."
    one = band_noise.takeaway({"A": made(LOW)})
    assert "0.1π costs A 30.0 points**" in one and "Broad noise hurts more: K +25.0" in one and "RMS 0.02" in one
    assert "Fine noise hurts more: K −25.0" in band_noise.takeaway({"A": made(HIGH)})
    none = band_noise.takeaway({"A": made([0.0] * 9)})
    assert "In no ring does noise cost A anything clearly" in none and "not clear: K 0.0" in none
    two = band_noise.takeaway({"A": made(HIGH), "B": made(LOW)})
    assert "B 30.0 points at 0.1π and A 30.0 points at 0.7π" in two
    assert "hurts B more: K +25.0, A −25.0 (50.0 apart" in two
    alike = band_noise.takeaway({"A": made(LOW), "B": made(LOW)})
    assert "not clear" in alike and "at 0.1π costs **A 30.0 points and B 30.0 points**" in alike
    for text in (one, two, alike):
        assert len(text) < 230 and text.count("**") % 2 == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_chart_holds_every_ring_and_the_paper_only_if_asked(theme):
    tables = {"A": made(LOW).table, "B": made(HIGH).table}
    plain = band_noise.chart_nets(tables, theme, families={"A": "conv", "B": "msa"}).to_dict()
    values = pd.DataFrame([row for rows in plain["datasets"].values() for row in rows])
    drawn = values[values["ci_low"].notna()].drop_duplicates(["net", "frequency"])
    assert len(drawn) == 18 and set(drawn.loc[drawn["net"] == "A", "change"].round(6)) == {-30, -10, -5}
    assert "paper" not in str(plain)
    beside = str(band_noise.chart_nets(tables, theme, families={"A": "conv", "B": "msa"}, paper=True).to_dict())
    assert "ViT, paper" in beside and "-15.38" in beside
    assert band_noise.chart(tables["A"], theme, net="A", family="hybrid").to_dict()["layer"]
