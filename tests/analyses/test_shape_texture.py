"""Shape or texture: nets that can only see one of the two, built by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from core import analyses
from core.analyses import Subject, shape_texture
from core.data import shapes
from core.errors import MeasureError
from core.metrics.interval import share_interval
from core.run import Run
from core.table import check

SIDE = 32


def quiet(*_args, **_settings) -> None:
    """Progress that nobody hears."""


def given(net: torch.nn.Module, images: str = "shapes-textures") -> Subject:
    torch.set_num_threads(1)
    subject = Subject(Run(arch="c/width=16", data=images, recipe={}, classes=8), "cpu")
    subject.net = net.eval()
    return subject


def measure(net: torch.nn.Module, **params):
    return shape_texture.measure(given(net), shape_texture.Params(**{"images": 320, **params}), quiet)


class ByTexture(torch.nn.Module):
    """The direction in which the pattern of period three is strongest; it sees nothing but the ring of that frequency."""

    def __init__(self) -> None:
        super().__init__()
        y, x = np.mgrid[:SIDE, :SIDE]
        angles = np.pi / 8 * np.arange(8)[:, None, None]
        waves = np.exp(2j * np.pi / shapes.PERIOD * (np.cos(angles) * x + np.sin(angles) * y))
        self.register_buffer("waves", torch.from_numpy(waves.astype(np.complex64)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1)
        return torch.einsum("bhw,khw->bk", (grey - grey.mean((1, 2), keepdim=True)).to(self.waves.dtype), self.waves).abs()


class ByShape(torch.nn.Module):
    """The most alike of drawn masks, compared with the picture after a blur that takes the pattern away."""

    def __init__(self) -> None:
        super().__init__()
        rng, n = np.random.default_rng(7), 120
        masks = [
            shapes.figure(shape, SIDE, rng.uniform(0.3, 0.4, n) * SIDE, SIDE / 2 + rng.uniform(-0.12, 0.12, (2, n)) * SIDE,
                          np.deg2rad(rng.uniform(-15, 15, n)))
            for shape in range(8)
        ]  # fmt: skip
        self.register_buffer("masks", self._level(torch.from_numpy(np.concatenate(masks)).float()))
        self.n = n

    @staticmethod
    def _level(x: torch.Tensor) -> torch.Tensor:
        blurred = torch.nn.functional.avg_pool2d(x[:, None], 3, 1, 1).flatten(1)
        centred = blurred - blurred.mean(1, keepdim=True)
        return centred / centred.norm(dim=1, keepdim=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        alike = self._level(x.mean(1)) @ self.masks.T
        return alike.unflatten(1, (8, self.n)).amax(2)


class Answers(torch.nn.Module):
    """Says what it was given to say, image after image."""

    def __init__(self, answers: np.ndarray) -> None:
        super().__init__()
        self.answers, self.at = torch.from_numpy(answers), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.at += len(x)
        return torch.nn.functional.one_hot(self.answers[self.at - len(x) : self.at], 8).float()


def test_all_three_cues_disagree_in_every_picture():
    pixels, cues = shape_texture.conflicts(500, SIDE, 0)
    assert pixels.shape == (500, 3, SIDE, SIDE) and all(len(values) == 500 for values in cues.values())
    for one, other in (("shape", "texture"), ("shape", "colour"), ("texture", "colour")):
        assert (cues[one] != cues[other]).all()
    assert np.bincount(cues["shape"], minlength=8).min() > 40
    again, _ = shape_texture.conflicts(500, SIDE, 0)
    other, _ = shape_texture.conflicts(500, SIDE, 1)
    assert np.array_equal(pixels, again) and not np.array_equal(pixels, other)
    seen = {picture.tobytes() for split in ("train", "test") for picture in shapes.read(split, SIDE)[0]}
    assert not seen & {picture.tobytes() for picture in pixels}, "no picture of the set itself"


def test_nets_that_see_one_cue_only_are_told_apart():
    by_texture, by_shape = measure(ByTexture()).table.iloc[0], measure(ByShape()).table.iloc[0]
    assert by_texture["share"] < 0.05 and by_texture["by_texture"] > 300
    assert by_shape["share"] > 0.95 and by_shape["by_shape"] > 250


def test_shares_are_counted_as_defined():
    n = 320
    _, cues = shape_texture.conflicts(n, SIDE, 3)
    answers = cues["texture"].copy()
    answers[:120] = cues["shape"][:120]
    answers[120:160] = cues["colour"][120:160]
    for i in range(160, 180):  # the first class that no cue names
        answers[i] = next(k for k in range(8) if k not in {cues[cue][i] for cue in cues})
    found = measure(Answers(answers), images=n, seed=3)
    check(found.table, shape_texture.COLUMNS, keys=("class",))
    whole = found.table.iloc[0]
    assert whole[["by_shape", "by_texture", "by_colour", "by_none", "images", "seed"]].tolist() == [120, 140, 40, 20, n, 3]
    assert whole[["share", "ci_low", "ci_high"]].tolist() == list(share_interval(120, 260))
    assert found.table["class"].tolist() == ["", *shapes.SHAPES]
    parts = found.table.iloc[1:]
    for column in ("by_shape", "by_texture", "by_colour", "by_none", "images"):
        assert parts[column].sum() == whole[column]
    star = cues["shape"] == shapes.SHAPES.index("star")
    row = parts.set_index("class").loc["star"]
    assert row["by_shape"] == star[:120].sum() and row["images"] == star.sum()
    assert np.array_equal(found.arrays["predicted"], answers) and np.array_equal(found.arrays["texture"], cues["texture"])


def test_a_net_that_follows_neither_has_no_share():
    _, cues = shape_texture.conflicts(64, SIDE, 0)
    with pytest.raises(MeasureError, match="no share"):
        measure(Answers(cues["colour"]), images=64)
    answers = np.where(np.arange(64) < 1, cues["shape"], cues["colour"])
    table = measure(Answers(answers), images=64).table
    check(table, shape_texture.COLUMNS)
    assert table["share"].notna().sum() == 2 and shape_texture.chart(table).to_dict()["layer"]


def test_nets_of_other_images_are_refused_in_words():
    run = given(ByShape(), "fashion").run
    why = analyses.refusal(shape_texture.ANALYSIS, run)
    assert "trained on Shapes and textures" in why and "trained on Fashion" in why
    assert analyses.refusal(shape_texture.ANALYSIS, given(ByShape()).run) == ""


# ---- words and pictures


def made(hits: int, n: int) -> pd.DataFrame:
    return pd.DataFrame([("", *share_interval(hits, n), hits, n - hits, 0, 0, n, 0)], columns=[c.id for c in shape_texture.COLUMNS])


def test_the_takeaway_says_no_more_than_the_interval():
    assert shape_texture.takeaway({"A": made(90, 100)}) == (
        "A goes by **shape**: **90.0 %** (95 % 82.6 to 94.5) of its decisions for one of the two are for the shape."
    )
    assert "by **texture**" in shape_texture.takeaway({"A": made(10, 100)})
    assert "**not clearly** by either cue" in shape_texture.takeaway({"A": made(52, 100)})
    assert shape_texture.takeaway({"A": made(50, 100), "B": made(90, 100)}).endswith("B goes by shape the most, A the least.")
    assert shape_texture.takeaway({"A": made(85, 100), "B": made(90, 100)}).endswith("**not clearly** different.")
    assert shape_texture.takeaway({}) == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_has_a_lane_a_net(theme):
    found = {"A": made(50, 100), "B": made(90, 100)}
    spec = shape_texture.chart_nets(found, theme, families={"A": "msa", "B": "conv"}).to_dict()
    rows = [row for part in spec["datasets"].values() for row in part if "lane" in row]
    assert {row["lane"]: row["said"] for row in rows} == {"A": "50.0 % (40.4 to 59.6)", "B": "90.0 % (82.6 to 94.5)"}
