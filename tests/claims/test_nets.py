"""What part a net plays, told by its architecture; which nets compare."""

from __future__ import annotations

import pytest

from core import claims
from core.claims import nets
from core.claims.nets import answers, role, train_command
from core.presets import PRESETS
from core.spec import parse
from tests.claims import made
from tests.claims.made import ALTERNET, PIT, RESNET, REVERSED, SWIN, TWIN_DW, VIT, net


@pytest.mark.parametrize(
    ("notation", "wanted"),
    [
        (RESNET, "conv"), (PRESETS["preresnet-50"].notation, "conv"), (PRESETS["resnet-hires"].notation, "conv"), (VIT, "vit"),
        (PRESETS["vit-ti"].notation, "vit"), (PRESETS["vit-convstem-mini"].notation, ""), (f"{VIT}/head=cls", "vit-cls"),
        (PIT, "pit"), (SWIN, "swin"), (ALTERNET, "hybrid"), (PRESETS["alternet-50"].notation, "hybrid"),
        (PRESETS["alternet-hires"].notation, "hybrid"), (REVERSED, "reversed"), ("cwccwc-cccccc", "reversed"), ("ccw-cmc", ""),
        (PRESETS["localvit-mini"].notation, "local"), (PRESETS["mixer-mini"].notation, "mix"), (TWIN_DW, "depthwise"), ("mtct", ""),
    ],
)  # fmt: skip
def test_roles(notation: str, wanted: str) -> None:
    assert role(parse(notation)) == wanted


def test_every_role_has_a_net_to_train() -> None:
    assert {role(parse(nets.preset(name))) for name in nets.ROLES} == set(nets.ROLES)


def test_nets_are_paired_by_seed_with_their_twin() -> None:
    """Of two conv nets the one of the same skeleton is the hybrid's pair, though the other has more seeds."""
    others = [net("cc-ccc-ccc/stem=conv3/width=32,64,96", s) for s in range(3)]
    pairs = made.shelf(*others, net(RESNET, 0), net(RESNET, 1), net(ALTERNET, 1)).together("hybrid", "conv")
    assert [(a.run.arch, b.run.arch, a.run.seed, b.run.seed) for a, b in pairs] == [(ALTERNET, RESNET, 1, 1)]


def test_without_a_twin_there_is_no_pair_of_a_hybrid() -> None:
    other = made.shelf(net("cc-ccc-ccc/stem=conv3/width=32,64,96"), net(ALTERNET))
    assert other.together("hybrid", "conv") and not other.together("hybrid", "conv", twins=True)


def test_more_training_images_come_first() -> None:
    small = [net(arch, s, fraction=0.06) for arch in (RESNET, VIT) for s in range(3)]
    pairs = made.shelf(*small, net(RESNET), net(VIT)).together("vit", "conv")
    assert len(pairs) == 1 and pairs[0][0].images == 50_000


def test_only_the_same_question_compares() -> None:
    """24 mini-batches against 24, though one net has 40 too; nothing is compared with another question."""
    one = net(VIT, 0, [made.hessian(50, 0.1, batches=24), made.hessian(50, 0.1, batches=40)])
    other = net(RESNET, 0, [made.hessian(100, 0.1, batches=24)])
    found = answers([(one, {"phase": "warmup"}), (other, {"phase": "warmup"})], "hessian")
    assert found is not None and {stored.manifest["params"]["images"] for stored in found} == {384}
    assert answers([(one, {"phase": "warmup"}), (net(RESNET, 0, [made.hessian(1, 0, batches=10)]), {"phase": "warmup"})], "hessian") is None


@pytest.mark.parametrize("change", [{"version": 0}, {"weights": "others"}, {"error": "x"}, {"notes": {"rows": 3, "of": 24}}])
def test_old_and_half_results_do_not_count(change: dict) -> None:
    found = made.hessian(50, 0.1, "end")
    one = net(VIT, 0, [found])
    assert one.results("hessian", phase="end")
    found.manifest.update(change)
    assert not one.results("hessian", phase="end")


def test_accuracy_at_phases() -> None:
    one = net(VIT, epochs=10)
    rows = [{**row, "accuracy": row["epoch"] / 10} for row in one.history]
    one = claims.Net(run=one.run, final={**one.final, "accuracy": 0.99}, history=rows, manifests=one.manifests, load=one.load)
    known = {phase: one.accuracy(phase) for phase in nets.PHASES}
    assert known == {"warmup": pytest.approx(0.1), "third": pytest.approx(0.333), "twothirds": pytest.approx(0.666), "end": 0.99}


def test_a_command_repeats_the_recipe() -> None:
    like = net(VIT, 0, batch=64, lr=1e-3, epochs=11, fraction=0.2)
    said = train_command(RESNET, "cifar10", like, 2, fraction=0.06)
    assert said == (
        "python -m core train --arch resnet-mini --data cifar10 --epochs 11 --seed 2 --fraction 0.06 --set batch=64 --set lr=0.001"
    )


def test_images_that_belong_together_share_a_shelf() -> None:
    found = claims.shelves([net(VIT, data_id="fashion"), net(VIT, data_id="fashion-full"), net(VIT, data_id="cifar10")])
    assert [(shelf.data, len(shelf.nets)) for shelf in found] == [("fashion-full", 2), ("cifar10", 1)]
