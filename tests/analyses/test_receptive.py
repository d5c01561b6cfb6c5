"""The receptive field against supports known in closed form and against finite differences, pixel by pixel."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from core import analyses, glossary
from core.analyses import receptive
from core.metrics.receptive import central
from core.models import units
from core.models.looks import attentions
from core.table import check
from tests.analyses.given import Given

HYBRID = "cwt-cmo/width=16,32/heads=1,1"


def measure(subject: Given, **params):
    return receptive.ANALYSIS.measure(subject, receptive.Params(**params), lambda *_a, **_k: None)


def support(result, unit: str, size: int = 32) -> float:
    """How many pixels have any gradient."""
    return float(result.table.set_index("unit").loc[unit, "support"] * size**2)


@pytest.mark.parametrize(
    ("notation", "pixels"),
    [
        ("d/stem=conv3/width=16", {"stem": 9, "s1u1": 25}),  # one 3x3 conv, then another
        ("cd/stem=conv3/width=16", {"stem": 9, "s1u1": 49, "s1u2": 81}),  # a basic block holds two
        ("d/stem=conv3s2/width=16", {"stem": 9, "s1u1": 49}),  # 3 + 2 x 2
        ("t/stem=patch4/width=16", {"stem": 16, "s1u1": 16}),
        ("wt/stem=patch2/width=16/window=4", {"stem": 4, "s1u1": 64, "s1u2": 64}),
        ("l/stem=patch2/width=16/kernel=3", {"s1u1": 36}),
        ("m/stem=patch8/width=16", {"stem": 64, "s1u1": 1024}),
        ("x/stem=patch4/width=16", {"s1u1": 1024}),
        ("mt/stem=patch4/width=16/head=cls", {"stem": 16, "s1u2": 1024}),
    ],
)
def test_what_can_be_seen_is_exactly_what_the_layers_reach(notation, pixels):
    result = measure(Given(notation, n=64), images=64)
    assert {unit: round(support(result, unit), 6) for unit in pixels} == pixels


def test_a_patch_stem_sees_its_patch_alike_on_average():
    """Half of a uniform 4x4 patch lies within what half of its 16 pixels do, whatever the weights: near 1.5 pixels."""
    subject = Given("t/stem=patch4/width=16", n=32, size=28)  # a map of 7x7 has a centre
    torch.nn.init.constant_(subject.net.stem.weight, 1.0)
    result = measure(subject, images=32)
    row, stem = result.table.iloc[0], result.arrays["maps"][0]
    assert stem.shape == (28, 28) and np.argwhere(stem > 0).min() == 12 and np.argwhere(stem > 0).max() == 15
    assert stem[12:16, 12:16] == pytest.approx(1 / 16)
    # 4 pixels at 0.707 hold a quarter, 8 more at 1.581 hold three quarters: half lies in the middle between the two
    assert row.radius == pytest.approx((math.hypot(0.5, 0.5) + math.hypot(0.5, 1.5)) / 2)
    assert row.share == row.support == 16 / 784


class NoSkip(torch.nn.Module):
    """In place of a unit's skip: nothing."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return 0 * seen.permute(0, 3, 1, 2)


def test_uniform_attention_answers_to_every_pixel_alike():
    """Without skip and norm, over a stem whose weights are alike within a patch: the radius is that of the whole picture."""
    subject = Given("m/stem=patch4/width=16/heads=1", n=32)
    module = attentions(subject.net)[0]
    with torch.no_grad():
        subject.net.stem.weight.fill_(0.01)
        subject.net.stem.weight[::2] *= -1
        module.qkv.weight[:32] = 0  # queries and keys; the values stay
        module.qkv.bias[:32] = 0
    block = subject.net.blocks[0]
    block.pre, block.project = torch.nn.Identity(), NoSkip()
    row = measure(subject, images=32).table.iloc[1]
    assert row.radius == pytest.approx(row.radius_uniform) and row.share == 1.0


@pytest.mark.parametrize(
    "notation", ["cms/stem=conv3/width=8/heads=1/window=2", "mt/stem=patch2/width=8/heads=1/head=cls", "cp-gt/width=8,8"]
)
def test_every_field_equals_finite_differences(notation):
    subject = Given(notation, n=2, size=8)
    net, x = subject.net.double(), subject.x.double()
    turn, step = np.array([1, 2]), 1e-5
    found = [(place, position, g) for place, position, g in receptive.fields(net, x, turn, torch.Generator().manual_seed(3))]
    generator = torch.Generator().manual_seed(3)
    signs = [torch.randint(0, 2, (2, channels), generator=generator).double() * 2 - 1 for channels in [8] * (1 + len(units(net)))]

    @torch.no_grad()
    def answers(picture: torch.Tensor) -> list[torch.Tensor]:
        """s·y at the central position, of the stem and of every unit, for both images."""
        stream, said = net.embed(picture), []
        for k in range(1 + len(net.blocks)):
            stream = stream if k == 0 else net.blocks[k - 1](stream)
            maps = stream
            if stream.dim() == 3:
                side = math.isqrt(stream.shape[1] - 1)
                maps = stream[:, 1:].transpose(1, 2).unflatten(2, (side, side))
            middle = central(maps.shape[-1])
            at = [middle[t % len(middle)] for t in turn]
            said.append(torch.stack([(signs[k][n] * maps[n, :, i, j]).sum() for n, (i, j) in enumerate(at)]))
        return said

    assert [place for place, _, _ in found] == list(range(-1, len(units(net))))
    by_hand = [torch.zeros(2, 8, 8).double() for _ in found]
    for colour in range(3):
        for i in range(8):
            for j in range(8):
                nudge = torch.zeros_like(x)
                nudge[:, colour, i, j] = step
                for total, up, down in zip(by_hand, answers(x + nudge), answers(x - nudge), strict=True):
                    total[:, i, j] += ((up - down) / (2 * step)).abs() / 3
    for (_, _, field), expected in zip(found, by_hand, strict=True):
        assert torch.allclose(field, expected, atol=1e-6, rtol=1e-4)


def test_the_table_is_tidy_and_the_net_is_left_as_it_was():
    subject = Given(HYBRID, n=40)
    before = {name: t.clone() for name, t in subject.net.state_dict().items()}
    result = measure(subject, images=40)
    check(result.table, receptive.COLUMNS, keys=("unit",))
    assert result.table["unit"].tolist() == ["stem", "s1u1", "s1u2", "s1u3", "s2u1", "s2u2"]
    assert result.arrays["maps"].shape == (6, 32, 32) and result.arrays["maps"].sum((1, 2)) == pytest.approx(1, rel=1e-4)
    assert (result.table["radius"].between(result.table["ci_low"], result.table["ci_high"])).all()
    assert all(torch.equal(t, before[name]) for name, t in subject.net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.net.modules())
    assert all(p.grad is None and p.requires_grad for p in subject.net.parameters())
    pd.testing.assert_frame_equal(measure(subject, images=40).table, result.table)
    assert not measure(subject, images=40, seed=1).table["radius"].equals(result.table["radius"])


def test_a_net_that_was_loaded_in_inference_mode():
    with torch.inference_mode():
        loaded = Given(HYBRID, n=32)
    table = measure(loaded, images=32).table
    pd.testing.assert_frame_equal(table, measure(Given(HYBRID, n=32), images=32).table)


def made(**nets: list[tuple[str, str, float, bool]]) -> dict[str, pd.DataFrame]:
    """Tables of (unit, letter, radius, resampling) by net."""
    kinds = {"": "stem", "c": "conv", "m": "msa", "t": "mlp"}
    tables = {}
    for net, rows in nets.items():
        table = pd.DataFrame(rows, columns=["unit", "letter", "radius", "resampling"])
        table = table.assign(position=range(len(rows)), kind=table["letter"].map(kinds), radius_uniform=12.7, share=0.25, support=1.0)
        tables[net] = table.assign(ci_low=table["radius"] - 0.5, ci_high=table["radius"] + 0.5, images=64)
    return tables


def test_the_words():
    tables = made(
        A=[
            ("stem", "", 1.0, False),
            ("s1u1", "c", 2.0, False),
            ("s1u2", "c", 3.1, False),
            ("s2u1", "c", 6.0, True),
            ("s2u2", "m", 5.5, False),
        ],
        B=[("stem", "", 1.0, False), ("s1u1", "m", 9.0, False), ("s1u2", "t", 9.1, False)],
    )
    kinds = receptive.by_kind(tables).set_index("kind")
    assert kinds.loc["conv", ["units", "raised"]].tolist() == [2, 2] and kinds.loc["conv", "mean"] == pytest.approx(1.05)
    assert kinds.loc["msa", ["units", "lowered", "raised"]].tolist() == [2, 1, 1]
    assert receptive.takeaway(tables) == (
        "Half of what the last unit answers to lies within **5.5 pixels in A and 9.1 pixels in B** (every pixel alike: 12.7); "
        "**Conv units widen the view** (+1.05 ± 0.64 pixels, all 2)."
    )
    assert receptive.describe(tables["A"], "s2u2") == (
        "Half of what it answers to lies within 5.5 pixels (95 % 5.0 to 6.0 over 64 images); every pixel alike would be 12.7. "
        "25 % of the picture counts, 100 % could. The unit narrows the view by 0.50 pixels."
    )
    assert receptive.describe(tables["A"], "stem").endswith("100 % could.")
    assert "measured" in receptive.takeaway({})


def test_the_picture_holds_every_unit_and_the_columns_their_terms():
    table = measure(Given(HYBRID, n=32), images=32).table
    text = str(receptive.chart(table, net="Net", family="hybrid", focus="s1u2").to_dict())
    assert all(unit in text for unit in table["unit"]) and f"{table.set_index('unit').loc['s1u2', 'radius']:.1f} px" in text
    assert {column.term for column in receptive.COLUMNS} <= set(glossary.TERMS)
    assert analyses.get("receptive").card.startswith("How much of the picture does a unit see?")
