"""The Fourier analysis against a written-out definition, and its words against tables whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from core.analyses import _pass, fourier
from core.errors import MeasureError
from core.table import check
from tests.analyses.given import Given, outputs

HYBRID = "cwt-cmo/width=16,32/heads=1,1"


def measure(subject: Given, **params) -> tuple[pd.DataFrame, dict, dict]:
    result = fourier.ANALYSIS.measure(subject, fourier.Params(**params), lambda *_a, **_k: None)
    return result.table, result.arrays, result.notes


def brute_force(maps: torch.Tensor) -> np.ndarray:
    """(images, K): mean over channels of ln|fft2| on the diagonal, minus k = 0, in float64."""
    side = maps.shape[-1]
    logs = torch.log(torch.fft.fft2(maps.double()).abs() + 1e-6).mean(1)
    diagonal = torch.stack([logs[:, k, k] for k in range(math.ceil(side / 2))], 1)
    return (diagonal - diagonal[:, :1]).numpy()


NOTATIONS = [HYBRID, "mtmt/stem=patch4/width=32", "mt/stem=patch4/width=32/head=cls", "wtst-gw/stem=patch2/width=32,64"]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_row_equals_the_definition(notation):
    subject = Given(notation)
    table, arrays, _ = measure(subject, images=20)
    maps = outputs(subject)
    assert list(dict.fromkeys(table["unit"])) == list(maps)
    for i, (unit, rows) in enumerate(table.groupby("unit", sort=False)):
        expected = brute_force(maps[unit])
        assert rows["delta_log_amplitude"].to_numpy() == pytest.approx(expected.mean(0), abs=2e-4)
        assert rows["frequency"].to_numpy() == pytest.approx([2 * k / maps[unit].shape[-1] for k in range(expected.shape[1])])
        assert rows["k"].tolist() == list(range(expected.shape[1]))
        assert rows["top"].tolist() == [False] * (expected.shape[1] - 1) + [True]
        assert arrays["high"][:, i] == pytest.approx(expected[:, -1], abs=1e-3)


def test_steps_are_paired_by_image():
    subject = Given(HYBRID)
    table, _, _ = measure(subject)
    maps = outputs(subject)
    row = fourier.steps(table).set_index("unit").loc["s1u2"]
    change = brute_force(maps["s1u2"])[:, -1] - brute_force(maps["s1u1"])[:, -1]
    half = 2.093 * change.std(ddof=1) / math.sqrt(20)
    assert row["change"] == pytest.approx(change.mean(), abs=2e-4)
    assert row["change_high"] - row["change"] == pytest.approx(half, abs=2e-4)
    assert row["change"] - row["change_low"] == pytest.approx(half, abs=2e-4)


def test_where_there_is_no_step_there_is_no_number():
    table, _, _ = measure(Given(HYBRID))
    assert table.loc[table["unit"] == "stem", "change"].isna().all()
    assert table.loc[table["k"] == 0, "change"].isna().all()
    halved = table[table["unit"] == "s2u1"]  # 16x16 to 8x8: only highest against highest
    assert halved["change"].notna().tolist() == [False, False, False, True]
    assert halved["resampling"].all()
    kept = table[(table["unit"] == "s2u2") & (table["k"] > 0)]
    assert kept["change"].notna().all()
    before = table[table["unit"] == "s2u1"]["delta_log_amplitude"].to_numpy()
    assert kept["change"].to_numpy() == pytest.approx(kept["delta_log_amplitude"].to_numpy() - before[1:], abs=1e-6)


def test_empty_slots_are_no_units_and_places_agree_with_the_spec():
    table, _, notes = measure(Given(HYBRID), images=64, seed=7)
    assert "s2u3" not in set(table["unit"])
    top = table[table["top"]]
    assert top["position"].tolist() == [0, 1, 2, 3, 4, 5]
    assert top["depth"].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert top["kind"].tolist() == ["stem", "conv", "msa", "mlp", "conv", "msa"]
    assert top["side"].tolist() == [16, 16, 16, 16, 8, 8]
    assert notes == {"left_out": [], "images": 20, "seed": 7, "on": "test", "of": "output", "inside": ""}
    assert set(table["images"]) == {20} and set(table["seed"]) == {7}


def test_the_sample_that_was_asked_for_is_drawn():
    subject = Given(HYBRID)
    measure(subject, images=64, seed=7)
    assert subject.asked == [("test", 64, 7)]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_change_nothing_and_bound_the_batch(chunk, monkeypatch):
    subject = Given(HYBRID)
    whole, _, _ = measure(subject)
    seen = []
    subject.net.register_forward_pre_hook(lambda _m, args: seen.append(len(args[0])))
    monkeypatch.setattr(_pass, "CHUNK", chunk)
    parts, _, _ = measure(subject)
    assert max(seen) <= min(chunk, 20) and max(seen) - min(seen) <= 1 and sum(seen) == 20
    pd.testing.assert_frame_equal(whole, parts, atol=2e-4)


def test_maps_under_4x4_are_left_out_and_named():
    table, arrays, notes = measure(Given("c-c-c-c/stem=patch4/width=16"))
    assert list(dict.fromkeys(table["unit"])) == ["stem", "s1u1", "s2u1"]
    assert notes["left_out"] == ["s3u1", "s4u1"]
    assert table[table["unit"] == "s2u1"]["frequency"].tolist() == [0, 0.5]
    assert arrays["high"].shape == (20, 3)


def test_a_net_without_a_large_map_is_refused_in_words():
    with pytest.raises(MeasureError, match="smaller than 4x4"):
        measure(Given("c/stem=patch16/width=16"))


def test_a_unit_that_is_off_changes_nothing():
    subject = Given(HYBRID)
    subject.net.blocks[1].off = True
    row = fourier.steps(measure(subject)[0]).set_index("unit").loc["s1u2"]
    assert row["change"] == 0 and row["change_low"] == 0 and row["change_high"] == 0


class Blur(torch.nn.Module):
    """The mean of 2x2 neighbours round a torus: a filter whose effect on every frequency is known."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(torch.roll(x, (dy, dx), dims=(2, 3)) for dy in (0, 1) for dx in (0, 1)) / 4


def blurring() -> Given:
    subject = Given("ccc/width=16")
    subject.net.blocks[1] = Blur()
    return subject


def test_a_known_blur_changes_each_frequency_by_its_transfer_function():
    table, _, _ = measure(blurring())
    rows = table[(table["unit"] == "s1u2") & (table["k"] > 0)]
    # one axis passes |cos(w / 2)|, the diagonal meets both; the same for every image, so the interval closes
    expected = [2 * math.log(math.cos(math.pi * f / 2)) for f in rows["frequency"]]
    assert rows["change"].to_numpy() == pytest.approx(expected, abs=2e-3)
    assert (rows["change_high"] - rows["change_low"]).max() < 2e-3


def test_branch_is_what_the_unit_adds():
    subject = Given("cc/width=16")
    table, _, notes = measure(subject, of="branch")
    maps = outputs(subject)
    added = maps["s1u2"] - maps["s1u1"]
    got = table.loc[table["unit"] == "s1u2", "delta_log_amplitude"].to_numpy()
    assert got == pytest.approx(brute_force(added).mean(0), abs=1e-3)
    assert list(dict.fromkeys(table["unit"])) == ["s1u1", "s1u2"]
    assert table["change"].isna().all()
    assert notes["of"] == "branch"


def test_no_hook_stays_behind():
    subject = Given(HYBRID)
    measure(subject)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.net.modules())


def test_progress_ends_at_the_last_image():
    seen = []
    ask = fourier.Params(images=70)
    fourier.ANALYSIS.measure(Given(HYBRID, n=70), ask, lambda step, total, message="": seen.append((step, total)))
    assert seen == [(24, 70), (47, 70), (70, 70)]


@pytest.mark.parametrize("of", ["output", "branch"])
def test_the_table_is_tidy(of):
    table, _, _ = measure(Given(HYBRID), of=of)
    check(table, fourier.COLUMNS, keys=("unit", "layer", "k"))


@pytest.mark.gpu
def test_the_gpu_agrees():
    here, _, _ = measure(Given(HYBRID))
    there, _, _ = measure(Given(HYBRID, device="cuda"))
    assert np.allclose(here["delta_log_amplitude"], there["delta_log_amplitude"], atol=5e-3)


def made(changes: dict[str, list[float]], resampling: tuple[float, ...] = ()) -> pd.DataFrame:
    """A table with the given changes by kind, as `steps` reads it."""
    rows = [{"kind": "stem", "change": math.nan, "resampling": False}]
    rows += [{"kind": kind, "change": change, "resampling": False} for kind, values in changes.items() for change in values]
    rows += [{"kind": "conv", "change": change, "resampling": True} for change in resampling]
    return pd.DataFrame(rows).assign(top=True)


def test_kinds_are_averaged_without_the_units_that_change_resolution():
    kinds = fourier.by_kind(made({"msa": [-0.1, -0.3], "conv": [0.2]}, resampling=(1.7, 1.1))).set_index("kind")
    assert kinds.loc["msa", "mean"] == pytest.approx(-0.2)
    assert kinds.loc["msa", "high"] == pytest.approx(-0.2 + 12.706 * math.sqrt(0.02) / math.sqrt(2))
    assert kinds.loc["conv", "mean"] == pytest.approx(0.2)
    assert math.isnan(kinds.loc["conv", "low"])
    assert kinds.loc["msa", ["units", "lowered", "raised"]].tolist() == [2, 2, 0]


def test_the_takeaway_names_net_number_interval_and_clarity():
    text = fourier.takeaway({"ViT": made({"msa": [-0.2, -0.19, -0.21, -0.2], "mlp": [0.1, -0.1, 0.05]})})
    assert text == "In ViT, **MSA units blur** (−0.20 ± 0.01, all 4); not clear: MLP units +0.02 ± 0.26."


def test_the_takeaway_says_when_nothing_is_clear():
    text = fourier.takeaway({"A": made({"conv": [0.5, -0.5]}), "B": made({"msa": [0.3]})})
    assert text.startswith("In A and B, **no kind of unit blurs or sharpens clearly**")
    assert "the one MSA unit +0.30" in text


def test_the_takeaway_of_nothing():
    assert "measured" in fourier.takeaway({})
    assert "resol" in fourier.takeaway({"A": made({}, resampling=(1.0,))}) or "none can be judged" in fourier.takeaway({"A": made({})})


def test_a_unit_is_described_with_its_interval():
    table, _, _ = measure(blurring())
    # 7/8 pi at 16x16: 2 ln cos(7/16 pi) = -3.27, 96 % of the detail gone
    assert fourier.describe(table, "s1u2") == "Lowers the highest frequency by 3.27 (95 % −3.27 to −3.27): about 96 % less fine detail."
    assert "no unit before it" in fourier.describe(table, "stem")


@pytest.mark.parametrize("focus", ["", "s2u2", "s2u1", "stem"])
def test_the_pictures_can_be_drawn(focus):
    table, _, _ = measure(Given(HYBRID))
    for picture in (
        fourier.chart(table, net="Net", family="hybrid", focus=focus, width=300),
        fourier.chart_spectra(table, net="Net", family="hybrid", focus=focus, theme="dark"),
        fourier.chart_kinds({"Net": table}, heading="Change made by each unit"),
    ):
        assert picture.to_dict()["layer"]


def test_inside_a_unit_every_layer_has_its_own_spectrum():
    subject = Given("cc/width=16")
    table, arrays, notes = measure(subject, inside="s1u2")
    check(table, fourier.COLUMNS, keys=("layer", "k"))
    x = outputs(subject)["s1u1"]
    block, maps = subject.net.blocks[1], {"Going in": x}
    with torch.inference_mode():
        for name, layer in zip(
            ("BatchNorm", "ReLU", "3×3 Conv", "BatchNorm 2", "ReLU 2", "3×3 Conv 2"), (*block.pre, *block.body), strict=True
        ):
            x = layer(x)
            maps[name] = x
    maps["Coming out"] = outputs(subject)["s1u2"]
    assert list(dict.fromkeys(table["layer"])) == list(maps) and set(table["unit"]) == {"s1u2"}
    for name, rows in table.groupby("layer"):
        assert rows["delta_log_amplitude"].to_numpy() == pytest.approx(brute_force(maps[name]).mean(0), abs=2e-4), name
    assert table.loc[table["layer"] != "Coming out", "change"].isna().all()
    whole = fourier.steps(measure(subject)[0]).set_index("unit").loc["s1u2"]
    last = table[(table["layer"] == "Coming out") & table["top"]].iloc[0]
    assert (last["change"], last["change_low"]) == pytest.approx((whole["change"], whole["change_low"]))
    assert not arrays and notes["inside"] == "s1u2"


def test_inside_a_unit_that_halves_the_map_each_layer_keeps_its_own_side():
    table, _, _ = measure(Given(HYBRID), inside="s2u1")
    sides = table.groupby("layer", sort=False)["side"].first()
    assert sides["Going in"] == 16 and sides["3×3 Conv"] == 8 and sides["Coming out"] == 8
    assert table[table["layer"] == "Coming out"]["change"].notna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"inside": "s9u9"}, "no unit 's9u9'"), ({"inside": "s1u1", "of": "branch"}, "of=output"), ({"inside": "s2u1"}, "merging")],
)
def test_what_cannot_be_looked_into_is_said(settings, words):
    with pytest.raises(MeasureError, match=words):
        measure(Given("wt-gw/stem=patch2/width=32,64"), **settings)
