"""Oracles for loss surfaces: plain code beside them, bowls and saddles in closed form, nets whose line has no barrier."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core import spec, store
from core.analyses import Subject, _surface, landscape
from core.analyses._batches import Frozen, frozen
from core.analyses._hills import height, spread
from core.errors import MeasureError
from core.metrics.curvature import hvp
from core.metrics.landscape import direction
from core.models import Net, build
from core.recipe import RECIPES
from core.run import Run
from core.spec import parse
from core.table import Measurement, check
from core.train.snapshot import save_weights

CNN, VIT = "cc-c/width=16,32", "mt/stem=patch4/width=32/heads=2/head=cls"
MIXED = "cwt-cm/width=16,32/heads=1,2"


def stored(notation: str, seed: int = 0, change: Callable[[Net], None] = lambda _net: None) -> Run:
    """A run in the store, untrained; its BatchNorms have seen noise, so that their statistics are not the trivial ones."""
    run = Run(arch=parse(notation).notation, data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]), seed=seed)
    net = build(parse(notation), 32, 10, seed=seed)
    with torch.no_grad():
        net.train()(torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
        net.head.weight.mul_(8)  # so that the loss is not log 10 everywhere
        change(net)
    save_weights(net, store.create(run) / "weights" / "end.safetensors")
    return run


@pytest.fixture
def subject(home) -> Callable[..., Subject]:
    torch.set_num_threads(1)
    return lambda notation=CNN, seed=0, change=lambda _net: None: Subject(stored(notation, seed, change), "cpu")


def params(**changes: object) -> landscape.Params:
    return landscape.Params(**{"images": 24, "side": 3, "planes": 1, "precision": "fp32", **changes})


def quiet(*_a: object, **_k: object) -> None:
    """No progress."""


def measure(subject: Subject, **changes: object) -> Measurement:
    return landscape.ANALYSIS.measure(subject, params(**changes), quiet)


def plain_loss(net: nn.Module, batches: Frozen) -> float:
    """The mean loss with soft labels, as one would write it."""
    with torch.no_grad():
        each = [F.cross_entropy(net(x), y, reduction="none") for x, y in zip(batches.x, batches.target, strict=True)]
    return float(torch.cat(each).double().mean())


def images(subject: Subject, n: int = 24) -> Frozen:
    return frozen(subject, "recipe", n, _surface.BATCH, 0)


# ---- the loss at a point


@pytest.mark.parametrize("notation", [CNN, VIT, MIXED])
def test_the_centre_is_the_plainly_measured_loss(subject, notation):
    one = subject(notation)
    exact = measure(one)
    assert exact.table["nll"][0] == plain_loss(one.net, images(one)), "exactly"
    fast = measure(one, precision="bf16")
    assert fast.table["nll"][0] == pytest.approx(exact.table["nll"][0], rel=0.01)
    # the five points measured in both are told with their largest difference
    both = fast.table.merge(exact.table, on=["plane", "x", "y"], suffixes=("", "_exact"))
    checked = both[(both["x"].abs() == both["y"].abs())]
    apart = (checked["nll"] / checked["nll_exact"] - 1).abs().max()
    assert fast.notes["checked"] == 5 and fast.notes["error"] == pytest.approx(apart) and 0 < apart < 0.02
    assert (fast.notes["precision"], exact.notes["precision"], exact.notes["error"]) == ("bf16", "fp32", None)


def test_a_point_is_the_net_with_its_weights_moved_by_hand(subject):
    one = subject(MIXED)
    found = measure(one, direction=3).table.set_index(["x", "y"])
    weights = dict(one.net.named_parameters())
    a, b = direction(weights, 3000), direction(weights, 3001)
    with torch.no_grad():
        for name in a:
            weights[name].add_(a[name] * 1.0).add_(b[name] * -1.0)
    assert found.loc[(1.0, -1.0), "nll"] == pytest.approx(plain_loss(one.net, images(one)), rel=1e-5)
    squares = [float(w.detach().double().square().sum()) for w in one.net.parameters()]
    assert found.loc[(1.0, -1.0), "l2_norm"] == pytest.approx(0.05 * sum(s**0.5 for s in squares), rel=1e-5)
    assert found.loc[(1.0, -1.0), "l2_half"] == pytest.approx(0.025 * sum(squares), rel=1e-5)


@pytest.mark.parametrize("notation", [CNN, VIT])
def test_only_filters_move(subject, notation):
    one = subject(notation)
    moved = _surface.random_plane(one.net, 0, "filter").at(0.5, -0.5)
    state = one.net.state_dict()
    still = set(state) - set(moved)
    assert all(state[name].dim() > 1 for name in moved) and {name for name in state if name.endswith(("bias", "running_var"))} <= still
    assert {"pos", "cls"} & set(state) <= still
    surface = _surface.Surface(one.net, images(one))
    surface.losses(moved)
    assert all(torch.equal(surface.slots[name], state[name]) for name in still)
    assert not any(torch.equal(surface.slots[name], state[name]) for name in moved)


@pytest.mark.parametrize("along", ["random", "curvature", "line"])
def test_the_net_stays_as_it_was(subject, along):
    one = subject(MIXED)
    before = {name: tensor.clone() for name, tensor in one.net.state_dict().items()}
    attends = [getattr(module, "attend", "") for module in one.net.modules()]
    measure(one, along=along, precision="bf16", bn="batch")
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.net.state_dict().items())
    assert [getattr(module, "attend", "") for module in one.net.modules()] == attends
    for module in one.net.modules():
        assert not (module._forward_hooks or module._forward_pre_hooks or module.training)
    assert all(weight.grad is None and weight.requires_grad for weight in one.net.parameters())


def test_statistics_of_the_images_take_the_place_of_the_stored_ones(subject):
    def doctored(net: Net) -> None:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean += 3

    honest, odd = subject(CNN, 0), subject(CNN, 1)
    odd.net.load_state_dict(honest.net.state_dict())
    doctored(odd.net)
    frozen_ones = [measure(one).table["nll"] for one in (honest, odd)]
    anew = [measure(one, bn="batch").table["nll"] for one in (honest, odd)]
    assert abs(frozen_ones[0][0] - frozen_ones[1][0]) > 0.05 and anew[0].tolist() == anew[1].tolist()
    # one batch: as in training, but for the variance's n - 1
    batches = images(honest)
    honest.net.train()
    assert anew[0][0] == pytest.approx(plain_loss(honest.net, batches), rel=2e-3)
    fast = measure(honest, bn="batch", precision="bf16").table["nll"]
    assert fast[0] == pytest.approx(anew[0][0], rel=0.02)


# ---- directions of curvature, and lines


def test_the_second_difference_along_an_eigenvector_is_its_eigenvalue(subject):
    one = subject("mt/stem=patch4/width=32/heads=2")  # GELU and softmax: smooth
    found = measure(one, along="curvature", reach=0.02, images=16)
    at = found.table.set_index(["x", "y"])["nll"]
    bends = [(at[(x, y)] - 2 * at[(0.0, 0.0)] + at[(-x, -y)]) / 0.02**2 for x, y in ((0.02, 0.0), (0.0, 0.02))]
    assert bends == pytest.approx(found.notes["eigenvalues"], rel=0.02)
    assert found.notes["lengths"][0] == pytest.approx([1.0, 1.0], abs=1e-6) and max(found.notes["residuals"]) < 1e-2
    # no random direction bends more
    batches, net = images(one, 16), one.net.attend("plain")
    weights = list(net.parameters())
    product = hvp(F.cross_entropy(net(batches.x[0]), batches.target[0]), weights)
    probe = torch.randn(sum(w.numel() for w in weights), generator=torch.Generator().manual_seed(5))
    assert float(product(probe / probe.norm()).norm()) < abs(found.notes["eigenvalues"][0])


def test_a_line_ends_in_both_nets(subject):
    one = subject(CNN, 0)
    other = stored(CNN, 1)
    found = measure(one, along="line", other=other.id, side=5)
    table, batches = found.table, images(one)
    assert table["x"].tolist() == [0.0, 1.0, 0.5, 0.25, 0.75] and (table["y"] == 0).all()
    far = Subject(other, "cpu").net
    assert table["nll"][:2].tolist() == [plain_loss(far, batches), plain_loss(one.net, batches)] == found.notes["ends"]
    straight = table["nll"][0] + (table["nll"][1] - table["nll"][0]) * table["x"]
    assert found.notes["barrier"] == pytest.approx((table["nll"] - straight).max())
    assert table["rise"].min() == pytest.approx(min(0, (table["nll"] - min(found.notes["ends"])).min()))
    assert landscape.ANALYSIS.others(params(along="line", other=other.id)) == (other.id,)
    half = {name: (tensor + far.state_dict()[name]) / 2 for name, tensor in one.net.state_dict().items() if tensor.is_floating_point()}
    one.net.load_state_dict(half, strict=False)
    assert table["nll"][2] == pytest.approx(plain_loss(one.net, batches), rel=1e-5), "statistics of BatchNorms go along"


def test_a_line_that_has_no_barrier_and_one_that_has(subject):
    # cross entropy bends upwards everywhere in the weights of the last layer
    one = subject(CNN, 0)
    same = stored(CNN, 0)

    def other_head(net: Net) -> None:
        net.load_state_dict(one.net.state_dict())
        net.head.weight.add_(torch.randn(net.head.weight.shape, generator=torch.Generator().manual_seed(1)))

    far = stored(CNN, 1, other_head)
    convex = measure(one, along="line", other=far.id, side=5).notes
    assert convex["barrier"] == 0.0

    def permuted(net: Net) -> None:  # the same function, other weights: both ends have one loss, and between them it is higher
        net.load_state_dict(one.net.state_dict())
        first, norm, _, second = net.blocks[0].body
        order = torch.arange(15, -1, -1)
        for tensor in (first.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(tensor[order].clone())
        second.weight.copy_(second.weight[:, order].clone())

    bent = measure(one, along="line", other=stored(CNN, 2, permuted).id, side=5).notes
    assert bent["ends"][0] == pytest.approx(bent["ends"][1], rel=1e-5) and bent["barrier"] > 1e-4
    with pytest.raises(MeasureError, match="another architecture"):
        measure(one, along="line", other=stored(VIT).id)
    start = measure(one, along="line", side=3)
    net = build(parse(CNN), 32, 10, seed=0).half().float().eval()  # stored in fp16
    assert start.table["nll"][0] == pytest.approx(plain_loss(net, images(one)), rel=1e-3) and start.notes["other"] == "init"
    assert same.id == one.run.id


# ---- rows


def test_rows_in_any_order_and_by_many_processes_are_one_surface(subject):
    one, asked = subject(MIXED), params(side=5, planes=2, precision="bf16")
    whole = landscape.ANALYSIS.measure(one, asked, quiet)
    rows = range(landscape.ROWS.count(one.arch, asked))
    halves: dict[int, dict[str, np.ndarray]] = {}
    for mine in (rows[1::2], rows[0::2]):
        row = landscape.ROWS.start(Subject(one.run, "cpu"), asked)
        for i in reversed(mine):
            halves[i] = row(i, quiet)
    split = landscape.ROWS.gather(one.run, asked, halves)
    pd.testing.assert_frame_equal(split.table, whole.table, check_exact=True)
    assert split.notes == whole.notes and set(split.arrays) == set(whole.arrays)
    assert all(np.array_equal(split.arrays[name], whole.arrays[name]) for name in whole.arrays)


def test_a_part_is_the_same_table_with_less_in_it(subject):
    one, asked = subject(), params(side=5, planes=2)
    row = landscape.ROWS.start(one, asked)
    rows = {i: row(i, quiet) for i in range(landscape.ROWS.count(one.arch, asked))}
    whole = landscape.ROWS.gather(one.run, asked, rows).table
    first = landscape.ROWS.gather(one.run, asked, {0: rows[0]})
    pd.testing.assert_frame_equal(first.table, whole[:9], check_exact=True)
    assert (first.notes["rows"], first.notes["of"], first.notes["points"]) == (1, 4, 50) and len(whole) == 50
    assert np.isnan(first.arrays["ring_rise"]).all() and "not measured yet" in landscape.takeaway({"A": found(first)})
    later = landscape.ROWS.gather(one.run, asked, {2: rows[2]})
    check(later.table, landscape.COLUMNS)
    assert later.table["rise"].isna().all() and later.table["nll"].notna().all() and not later.arrays
    plane = landscape.ROWS.gather(one.run, asked, {i: rows[i] for i in (0, 1)})
    assert np.isfinite(plane.arrays["ring_rise"][0]).all() and np.isnan(plane.arrays["ring_rise"][1]).all()


def test_points_that_diverge_are_marked_and_counted(subject):
    far = measure(subject(), reach=1e20, planes=2)
    check(far.table, landscape.COLUMNS)
    gone = far.table[(far.table["x"] != 0) | (far.table["y"] != 0)]
    assert gone["diverged"].all() and gone["nll"].isna().all() and not far.table["diverged"][0]
    assert (far.arrays["ring_diverged"] == 1).all() and far.notes["diverged"] == 16
    assert landscape.takeaway({"A": found(far)}) == "Around the weights, **A’s loss is no number**; A diverged at 16 of 18 points."


@pytest.mark.parametrize("side", [3, 5, 7, 9, 11, 13, 21])
def test_every_plane_has_its_axes_and_whole_rings(side):
    asked = params(side=side, planes=2)
    rows = landscape.plan(asked)
    assert {(0.0, 0.0), (-1.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)} <= set(rows[0][1]) and len(rows[0][1]) == 9
    points = [(plane, *point) for plane, some in rows for point in some]
    assert len(points) == len(set(points)) and sum(plane == 0 for plane, *_ in points) == side**2
    for axis in (0, 1):
        assert sum(point[2 - axis] == 0 for point in points if point[0] == 1) == side - 1, "the centre is that of the first plane"
    for plane in (0, 1):
        step = 2 / (side - 1) * (1 if plane == 0 or side % 4 != 1 or side == 5 else 2)
        for radius in landscape.radii(asked):
            on = [p for p in points if p[0] == plane and max(abs(p[1]), abs(p[2])) == pytest.approx(radius) and _coarse(p, step)]
            assert len(on) == 8 * round(radius / step)
    with pytest.raises(MeasureError, match="odd"):
        landscape.plan(params(side=side + 1))


def _coarse(point: tuple[int, float, float], step: float) -> bool:
    return all(abs(v / step - round(v / step)) < 1e-6 for v in point[1:])


# ---- numbers and words


def made(loss: Callable[[float, float], float], asked: landscape.Params, batches: str = "same", spread_over: float = 0.1) -> Measurement:
    """What gather makes of rows whose images have the loss `loss(x, y)` times 1 plus a spread that adds up to nothing."""
    distances = landscape.radii(asked)
    each = 1 + spread_over * np.linspace(-1, 1, asked.images)
    rows = {}
    for i, (plane, points) in enumerate(landscape.plan(asked)):
        sums, on = np.zeros((len(distances), asked.images)), np.zeros((len(distances), 2), dtype=np.int64)
        for x, y in points:
            k = landscape.ring(asked, plane, x, y)
            if k is not None:
                on[k, int(np.isfinite(loss(x, y)))] += 1
                sums[k] += loss(x, y) * each if np.isfinite(loss(x, y)) else 0
        rows[i] = {
            "nll": np.array([loss(x, y) for x, y in points]), "l2": np.ones((len(points), 2)), "first": (loss(0, 0) * each).astype("f4"),
            "checked": np.ones((1, 2)), "sums": sums, "on_ring": on, "lengths": np.ones(2), "precision": np.array("fp32"),
            "batches": np.array(batches), "eigenvalues": np.ones(2), "residuals": np.ones(2), "products": np.array(9),
            "seconds": np.array(1.0),
        }  # fmt: skip
    run = Run(arch=parse(CNN).notation, data="fashion", recipe=dataclasses.asdict(RECIPES["quick"]))
    return landscape.ROWS.gather(run, asked, rows)


def found(measurement: Measurement) -> landscape.Found:
    return measurement.table, measurement.arrays, measurement.notes


def test_rings_of_a_bowl_and_of_a_saddle():
    # on the ring max(|x|, |y|) = r of a grid with step h = 0.2: mean of x² + y² over its 8 r/h points, written out
    asked = params(side=11, planes=2)
    bowl, saddle = made(lambda x, y: 3 + x**2 + y**2, asked), made(lambda x, y: 3 + x**2 - y**2, asked)
    assert bowl.arrays["radii"].tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    for radius in (0.2, 0.6, 1.0):
        inner = np.arange(-round(radius / 0.2), round(radius / 0.2) + 1) * 0.2
        by_hand = np.mean([a * a + b * b for a in inner for b in inner if max(abs(a), abs(b)) == pytest.approx(radius)])
        rise, low, high, gone = landscape.rings_of(found(bowl), radius)
        assert rise == pytest.approx(by_hand, rel=1e-5) and low < rise < high and gone == 0
        assert landscape.rings_of(found(saddle), radius)[0] == pytest.approx(0, abs=1e-6), "it rises as much as it falls"
    with pytest.raises(MeasureError, match=r"No ring was measured at 0\.3"):
        landscape.rings_of(found(bowl), 0.3)


def test_a_ring_leaves_out_what_diverged():
    broken = made(lambda x, y: np.inf if x > 0.9 and y > 0 else 3 + max(abs(x), abs(y)), params(side=11))
    rise, _, _, gone = landscape.rings_of(found(broken), 1.0)
    assert rise == pytest.approx(1.0, rel=1e-5) and gone == pytest.approx(5 / 40) and broken.notes["diverged"] == 5
    assert broken.table.loc[broken.table["diverged"], ["nll", "rise"]].isna().all(axis=None)


def test_the_sentence_compares_and_says_what_is_not_clear():
    asked = params(side=11, planes=4)
    flat, steep = made(lambda x, y: 1 + x**2 + y**2, asked), made(lambda x, y: 0.5 + 2.4 * (x**2 + y**2), asked)
    assert landscape.takeaway({"ResNet": found(steep), "ViT": found(flat)}) == (
        "Around the weights, **ViT’s loss rises 2.4 times slower** than ResNet’s (at 0.4 of a step; 95 %: 2.4 to 2.4)."
    )
    assert landscape.ratio(found(steep), found(flat), 0.4) == pytest.approx((2.4, 2.4, 2.4), rel=1e-4)
    other = made(lambda x, y: 1 + 1.01 * (x**2 + y**2), asked, "other", spread_over=1.0)
    unclear = landscape.takeaway({"A": found(other), "B": found(flat)})
    assert unclear.startswith(
        "Around the weights, **whether B’s loss rises slower** than A’s **is not clear** (ratio 1.0 at 0.4 of a step; 95 %: 0."
    )
    alone = landscape.takeaway({"B": found(made(lambda x, y: 1 + x**2 + y**2, params(side=11)))})
    assert "**B’s loss rises by 0.22 at 0.4 of a step** (95 % over images, one pair of directions: 0.2" in alone
    torn = made(lambda x, y: np.nan if x == y == 1 else 1 + x**2 + y**2, asked)
    assert landscape.takeaway({"B": found(torn)}).endswith("; B diverged at 4 of 484 points.")
    level = landscape.takeaway({"A": found(steep), "B": found(made(lambda x, y: 1 + x**2 - y**2, asked))})
    assert "**which rises slower is not clear**" in level and "for A" in level
    bent = made(lambda x, y: 1 + x**2, params(along="curvature"))
    assert landscape.takeaway({"A": found(bent)}) == "Along its two directions of most curvature, **A’s loss bends with 1.0 and 1.0**."
    hill = made(lambda x, _y: 1 + x * (1 - x), params(along="line", side=5))
    assert landscape.takeaway({"A": found(hill)}) == (
        "Between its start and A, **the loss rises 0.25 above the straight line**, 50 % of the way."
    )
    flat = made(lambda x, _y: 1 - x, params(along="line", side=5))
    assert landscape.takeaway({"A": found(hill), "B": found(flat)}) == (
        "On the straight line between two nets, **the loss rises above it** by 0.25 for A; B has **no barrier**."
    )
    sharp = dataclasses.replace(bent, notes={**bent.notes, "eigenvalues": [-661.4, 171.9]})
    assert landscape.takeaway({"A": found(sharp), "B": found(bent)}) == (
        "Along the two directions of most curvature, **B’s loss bends least** (1.0 and 1.0) and A’s most (−661 and 172)."
    )


def test_reckoned_work_counts_every_point_and_both_precisions():
    arch, one = spec.parse(CNN), params(side=11, planes=1, images=100)
    flops = landscape.count(arch, 32, 10)["flops"] * 100
    assert landscape.cost(arch, 32, one) == pytest.approx(flops * (121 + 5))
    assert landscape.cost(arch, 32, dataclasses.replace(one, precision="bf16", bn="batch")) == pytest.approx(flops * (121 + 5))


# ---- pictures


def test_the_parts_of_a_height():
    table = made(lambda x, y: np.nan if x == 1 else 1 + x**2 + y**2, params(side=5)).table
    x, y, z = landscape.grid(table, part="sum")
    assert x.tolist() == y.tolist() == [-1, -0.5, 0, 0.5, 1] and z[2, 2] == pytest.approx(1 + 0.05) and np.isnan(z[:, 4]).all()
    assert height(table, "l2_half").isna().sum() == 5
    with pytest.raises(MeasureError, match="Known: nll"):
        height(table, "l3")
    assert landscape.levels([table]) == [1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]
    logged = landscape.levels([table], log=True)
    assert 6 <= len(logged) <= 8 and np.ptp(np.diff(np.log(logged))) < 0.1
    assert "1.00 at the weights" in landscape.alt_text(table, "A") and "5 points diverged" in landscape.alt_text(table, "A")


def test_the_band_holds_the_directions_and_counts_the_diverged():
    tilted = made(lambda x, y: np.inf if x == 1 else 1 + x**2 + 3 * y**2, params(side=5, planes=2)).table
    rows = spread(tilted).set_index("step")
    assert rows.loc[0.5, "mean"] == pytest.approx(1 + (0.25 + 0.75) / 2) and rows.loc[-0.5, "low"] < rows.loc[-0.5, "high"]
    assert rows.loc[1.0, ["directions", "diverged"]].tolist() == [2, 2] and rows.loc[1.0, "mean"] == pytest.approx(4)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_show_the_weights_the_levels_and_what_diverged(theme):
    table = made(lambda x, y: np.inf if x == y == 1 else 1 + x**2 + y**2, params(side=11, planes=2)).table
    bands = json.dumps(landscape.chart(table, theme, family="msa", net="A", log=True, scale=[1, 3]).to_dict(), ensure_ascii=False)
    assert all(f'"direction": "{d}"' in bands for d in ("1x", "1y", "2x", "2y")) and '"log"' in bands
    assert "Loss along the direction" in bands
    contour = json.dumps(landscape.chart_contour(table, theme, at=[1.5, 2.0], net="A", ticks=False).to_dict())
    assert '"text": "1.5"' in contour and '"text": "2"' in contour and '"diverged": true' in contour
    line = made(lambda x, _y: np.inf if x == 0.5 else 2 - x, params(along="line", side=5)).table
    told = json.dumps(landscape.chart(line, theme, start="init", end="A").to_dict())
    assert "init to A" in told and '"diverged": true' in told
    part = landscape.chart_contour(table[:1], theme)
    assert part.to_dict()["layer"], "one point has no lines yet"


def test_weights_that_were_never_trained_are_not_called_trained() -> None:
    """A net may be measured as it was drawn, or have come with random weights: no sentence may know better."""
    one = found(made(lambda x, y: 1 + x * x + y * y, landscape.Params(phase="init", side=5, planes=2, images=8)))
    for said in (landscape.takeaway({"A": one}), landscape.takeaway({"A": one, "B": one}), landscape.alt_text(one[0], "A")):
        assert "weights" in said and "trained" not in said
