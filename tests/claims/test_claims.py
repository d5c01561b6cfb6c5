"""Three prepared tables for each claim give the three verdicts; too little gives undecided; nothing names the run that is missing."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from core import claims
from core.claims.nets import PHASES, Net
from core.presets import resolve
from tests.claims import made
from tests.claims.made import ALTERNET, PIT, RESNET, REVERSED, SWIN, TWIN_DW, TWIN_LOCAL, TWIN_MIX, VIT, net

#: What each of three seeds shows: 1 the way of the claim, -1 the other way.
WAYS = {"supported": (1, 1, 1), "contradicted": (-1, -1, -1), "undecided": (1, -1, 0)}
Nets = list[Net]


def e(way: float, size: float = 0.5) -> float:
    return math.exp(size * way)


def bent(ape: float = 100.0, nep: float = 0.3, phases: Sequence[str] = ("warmup",), seed: int = 0, batches: int = 40) -> list:
    return [made.hessian(ape, nep, phase, batches, seed) for phase in phases]


def l1(w: float, s: int) -> Nets:
    return [net(VIT, s, bent(100 / e(w), phases=PHASES, seed=s)), net(RESNET, s, bent(phases=PHASES, seed=s + 9))]


def l2(w: float, s: int) -> Nets:
    return [net(VIT, s, [made.landscape(1 / e(w), seed=s)]), net(RESNET, s, [made.landscape(1.0, seed=s + 9)])]


def l3(w: float, s: int) -> Nets:
    return [net(VIT, s, bent(nep=0.3 + 0.2 * w, seed=s)), net(RESNET, s, bent(seed=s + 9))]


def l4(w: float, s: int) -> Nets:
    return [net(VIT, s, bent(nep=0.3 + 0.2 * w), fraction=0.06), net(VIT, s, bent())]


def l5(w: float, s: int) -> Nets:
    return [net(VIT, s, [*bent(nep=0.3 + 0.2 * w), *bent(phases=("end",))])]


def l6(w: float, s: int) -> Nets:
    return [net(f"{VIT}/head=cls", s, bent(nep=0.3 + 0.2 * w)), net(VIT, s, bent())]


def l7(w: float, s: int) -> Nets:
    return [net(TWIN_LOCAL, s, bent(), accuracy=0.8 + 0.03 * w), net(VIT, s, bent(nep=0.3 + 0.2 * w))]


def l8(w: float, s: int) -> Nets:
    order = {1: (1, 2, 3, 4, 5, 6), -1: (6, 5, 4, 3, 2, 1), 0: (3, 6, 1, 5, 2, 4)}[{0: 1, 1: -1, 2: 0}[s] if w == 9 else int(w)]
    archs = (RESNET, ALTERNET, REVERSED, SWIN, PIT, VIT)
    return [net(arch, s, accuracy=0.9 - 0.02 * i, loss=0.5 + 0.1 * place) for i, (arch, place) in enumerate(zip(archs, order, strict=True))]


def l9(w: float, s: int) -> Nets:
    return [net(VIT, s, fraction=f, loss=2 - 0.3 * w * i + 0.01 * s) for i, f in enumerate((0.02, 0.06, 0.2, 1.0))]


def l10(w: float, s: int) -> Nets:
    return [net(VIT, s, bent()), net(PIT, s, bent(nep=0.3 - 0.2 * w)), net(SWIN, s, bent(100 / e(w)))]


def l11(w: float, s: int) -> Nets:
    return [net(f"{VIT}/heads={h}", s, bent(100 * h ** (-0.5 * w), 0.5 - 0.1 * w * math.log2(h))) for h in (1, 3, 6)]


def l12(w: float, s: int) -> Nets:
    return [net(VIT.replace("patch4", f"patch{p}"), s, bent(100 * p ** (0.5 * w), 0.5 - 0.12 * w * math.log2(p))) for p in (2, 4, 8)]


def l13(w: float, s: int) -> Nets:
    large = [*bent(100 / e(w)), *bent(100 * e(w), phases=("end",))]
    return [net(VIT.replace("96", "192"), s, large, parameters=2_000_000), net(VIT, s, bent(phases=("warmup", "end")))]


def l14(w: float, s: int) -> Nets:
    return [net(VIT, s, accuracy=0.8 + 0.03 * w, sam=0.05), net(VIT, s)]


def l15(w: float, s: int) -> Nets:
    return [net(VIT, s), net(TWIN_LOCAL, s), net(TWIN_MIX, s, accuracy=0.8 - 0.03 * w), net(TWIN_DW, s, accuracy=0.8 - 0.03 * w)]


def spectra(w: float, s: int) -> Nets:
    late, early = {"msa": -0.1 * w, "mlp": 0.1 * w, "conv": 0.1 * w}, {"msa": 0.2 * w, "mlp": -0.2 * w, "conv": 0.0}
    return [net(arch, s, [made.fourier(arch, late, early, seed=s)]) for arch in (VIT, RESNET)]


def spreads(w: float, s: int) -> Nets:
    logs = {"msa": -0.1 * w, "mlp": 0.2 * w, "conv": 0.2 * w}
    return [net(arch, s, [made.variance(arch, logs, -0.5 * w, 0.3 * w, seed=s)]) for arch in (VIT, RESNET)]


def s1(w: float, s: int) -> Nets:
    return [net(RESNET, s, [made.cka(0.3 * w)]), net(SWIN, s, [made.cka(0.2 * w)])]


def s2(w: float, s: int) -> Nets:
    return [net(RESNET, s, [made.lesion(RESNET, {"s1u6": 0.5 + 0.2 * w, "s2u6": 0.5 + 0.2 * w}, seed=s)])]


def s3(w: float, s: int) -> Nets:
    return [net(SWIN, s, [made.lesion(SWIN, {"s2u3": 0.5 - 0.2 * w, "s2u8": 0.5 - 0.2 * w}, seed=s)])]


def noisy(gap: Callable[[float], float], s: int) -> Nets:
    f = np.arange(1, 10) / 10
    conv = [0.8, *([0.6] * 9)]
    vit = [0.8, *(0.6 + gap(x) for x in f)]
    return [net(VIT, s, [made.band_noise(vit, s)]), net(RESNET, s, [made.band_noise(conv, s)])]


def n1(w: float, s: int) -> Nets:
    return noisy(lambda f: 0.15 * w * (f - 0.5), s)


def n2(w: float, s: int) -> Nets:
    place = {1: 0.55, -1: 0.2, 0: 0.87}[int(w)]
    return noisy(lambda f: 0.12 * (f - place), s)


def few(w: float, s: int, fractions: Sequence[float]) -> Nets:
    pairs = [(ALTERNET, 0.8 + 0.03 * w), (RESNET, 0.8)]
    return [net(arch, s, [made.corruption(acc - 0.2, s)], accuracy=acc, fraction=f) for f in fractions for arch, acc in pairs]


def a2(w: float, s: int) -> Nets:
    return [net(ALTERNET, s, accuracy=0.8 + 0.03 * w), net(REVERSED, s)]


def a3(w: float, s: int) -> Nets:
    return [net("ccwccw-ccmcmm", s, accuracy=0.8 - 0.03 * w), net(ALTERNET, s)]


def a4(w: float, s: int) -> Nets:
    return [net(ALTERNET, s, bent(100 / e(w), seed=s)), net(RESNET, s, bent(seed=s + 9))]


def g1(w: float, s: int) -> Nets:
    return [net(VIT, s, [made.calibration(-0.05 * w)], mixup=1.0)]


def g2(w: float, s: int) -> Nets:
    return [net(VIT, s, bent(100 / e(w), 0.3 + 0.2 * w), mixup=1.0), net(VIT, s, bent())]


PREPARED: dict[str, Callable[[float, int], Nets]] = {
    "L1": l1, "L2": l2, "L3": l3, "L4": l4, "L5": l5, "L6": l6, "L7": l7, "L8": l8, "L9": l9, "L10": l10, "L11": l11, "L12": l12,
    "L13": l13, "L14": l14, "L15": l15, "F1": spectra, "F2": spectra, "F3": spectra, "V1": spreads, "V2": spreads, "V3": spreads,
    "S1": s1, "S2": s2, "S3": s3, "N1": n1, "N2": n2, "A1": lambda w, s: few(w, s, (0.06,)), "A2": a2, "A3": a3, "A4": a4,
    "A5": lambda w, s: few(w, s, (0.06, 0.2, 1.0)), "G1": g1, "G2": g2,
}  # fmt: skip
#: Claims whose verdict takes three nets of a kind, and those that one net with enough units, images or mini-batches decides.
PAIRS = ["L1", "L2", "L3", "L4", "L6", "L7", "L10", "L11", "L12", "L13", "L14", "L15", "N1", "N2", "A1", "A2", "A3", "A4", "A5", "G2"]


def verdict(claim: str, nets: Sequence[Net]) -> claims.Verdict:
    return claims.judge_nets(made.shelf(*nets), [claim])[0]


def seeds(claim: str, ways: Sequence[float]) -> Nets:
    if claim == "L8" and ways == WAYS["undecided"]:
        return [one for s in range(3) for one in l8(0, s)]
    return [one for s, way in enumerate(ways) for one in PREPARED[claim](way, s)]


def test_every_claim_is_prepared() -> None:
    assert set(PREPARED) | {"W1"} == set(claims.CLAIMS)


@pytest.mark.parametrize("claim", PREPARED)
@pytest.mark.parametrize("wanted", WAYS)
def test_three_tables_give_three_verdicts(claim: str, wanted: str) -> None:
    found = verdict(claim, seeds(claim, WAYS[wanted]))
    assert found.verdict == wanted, found.reason
    assert found.effect is not None and found.n and found.evidence and found.nets
    assert found.seeds == 3
    for part in found.parts:
        held = (part.effect.low, part.effect.value, part.effect.high)
        assert math.isnan(held[0]) or held[0] <= held[1] <= held[2], part


@pytest.mark.parametrize("claim", PREPARED)
def test_an_interval_on_the_side_of_the_claim(claim: str) -> None:
    """What supports and what contradicts lie on two sides of no effect, with nothing of one in the other."""
    supports, contradicts = (verdict(claim, seeds(claim, WAYS[way])) for way in ("supported", "contradicted"))
    assert supports.low is not None and contradicts.high is not None and supports.high is not None and contradicts.low is not None
    assert supports.low > contradicts.high or supports.high < contradicts.low


@pytest.mark.parametrize("claim", PAIRS)
def test_one_seed_of_a_pair_is_undecided_and_the_next_is_named(claim: str) -> None:
    found = verdict(claim, seeds(claim, (1,)))
    assert found.verdict == "undecided", found.reason
    assert "1 of 3 seeds" in found.reason and any("--seed 1" in command for command in found.missing)


@pytest.mark.parametrize("claim", PREPARED)
def test_nothing_measured_names_the_run(claim: str) -> None:
    """On an empty shelf, and beside nets that were never measured, a claim says which command makes what is missing."""
    for nets in ((), tuple(net(arch, data_id="fashion-full") for arch in (RESNET, VIT))):
        found = verdict(claim, nets)
        if claim in ("L8",) and nets:  # the runs alone are enough for a number
            continue
        assert found.verdict == "not measured", found.reason
        assert found.effect is None and found.missing
        assert found.missing[0] in found.reason


@pytest.mark.parametrize("claim", PREPARED)
def test_commands_can_be_run(claim: str) -> None:
    from core.__main__ import arguments, pairs
    from core.params import parse
    from core.recipe import Recipe

    shelves = (), tuple(net(arch, batch=64) for arch in (RESNET, VIT, ALTERNET)), tuple(seeds(claim, (1,)))
    for nets in shelves:
        for command in verdict(claim, nets).missing:
            words = shlex.split(command)
            assert words[:3] == ["python", "-m", "core"]
            args = arguments().parse_args(words[3:])
            if args.command == "train":
                resolve(args.arch)
                parse(Recipe, dict(pairs(args.set)))
            else:
                assert claims.Net and args.analysis[0] in claims.nets.analyses.catalogue()
                parse(claims.nets.analyses.get(args.analysis[0]).params, dict(pairs(args.set)))


def test_withdrawn() -> None:
    found = verdict("W1", seeds("L1", (1, 1, 1)))
    assert (found.verdict, found.effect) == ("withdrawn", None)


# ---- too little of what is counted


def test_too_few_mini_batches() -> None:
    """24 mini-batches are enough for a mean and too few for a share; the command for 40 is named."""
    nets = [one for s in range(3) for one in (
        net(VIT, s, bent(50, 0.5, PHASES, s, 24)), net(RESNET, s, bent(100, 0.1, PHASES, s + 9, 24)))]  # fmt: skip
    assert verdict("L1", nets).verdict == "supported"
    found = verdict("L3", nets)
    assert found.verdict == "undecided" and "24 of 40 mini-batches" in found.reason
    assert any("--set images=640" in command for command in found.missing)


def test_few_units_take_three_seeds() -> None:
    """ViT-mini has four MSAs beyond the first quarter: one seed is too little, three are enough, and so are six units of two nets."""
    one = net(VIT, 0, [made.fourier(VIT, {"msa": -0.1}, {})])
    found = verdict("F1", [one])
    assert found.verdict == "undecided" and "4 of 6 units or 1 of 3 seeds" in found.reason
    both = [one, net(ALTERNET, 0, [made.fourier(ALTERNET, {"msa": -0.1}, {})])]
    assert verdict("F1", both).verdict == "supported"
    assert verdict("F1", [net(VIT, s, [made.fourier(VIT, {"msa": -0.1}, {}, seed=s)]) for s in range(3)]).verdict == "supported"


def test_too_few_images() -> None:
    swept = made.lesion(RESNET, {"s1u6": 0.7, "s2u6": 0.7}, n=2000)
    swept.manifest["params"]["images"] = 0
    found = verdict("S2", [net(RESNET, 0, [swept])])
    assert found.verdict == "undecided" and "2,000 of 10,000 images" in found.reason


def test_few_directions() -> None:
    nets = [one for s in range(3) for one in (net(VIT, s, [made.landscape(0.5, 2, s)]), net(RESNET, s, [made.landscape(1.0, 2, s + 9)]))]
    assert verdict("L2", nets).verdict == "undecided"


def test_noise_is_judged_where_it_costs_enough_and_on_photographs() -> None:
    weak = [net(arch, s, [made.band_noise([0.8, *([0.78] * 6), *([high] * 3)], s)])
            for s in range(3) for arch, high in ((VIT, 0.79), (RESNET, 0.75))]  # fmt: skip
    found = verdict("N1", weak)
    assert found.verdict == "undecided" and "worst ring costs" in found.reason
    plain = claims.judge_nets(claims.Shelf(data="fashion-full", nets=tuple(seeds("N1", (1, 1, 1)))), ["N1"])[0]
    assert plain.verdict == "undecided" and "photographs" in plain.reason and plain.effect is not None


# ---- which compare


def test_other_recipes_do_not_compare() -> None:
    nets = [*(n for s in range(3) for n in (net(VIT, s, bent(50, phases=PHASES), lr=1e-3), net(RESNET, s, bent(phases=PHASES))))]
    assert verdict("L1", nets).verdict == "not measured"


@pytest.mark.parametrize("claim", ["L1", "L3", "L5", "L6", "L10", "A4"])
def test_other_questions_do_not_compare(claim: str) -> None:
    """Measured on different batches, nets are not compared; both are to be measured alike."""
    nets = [claims.Net(run=one.run, final=one.final, history=one.history, manifests=lambda _analysis, own=own: own, load=one.load)
            for i, one in enumerate(seeds(claim, (1,)))
            for own in [[{**m, "params": {**m["params"], "images": 384 + i}} for m in one.manifests("hessian")]]]  # fmt: skip
    if claim == "L5":
        nets[0].manifests("hessian")[0]["params"]["images"] = 16
    found = verdict(claim, nets)
    assert found.verdict == "not measured" and len(found.missing) >= 1 and "measure" in found.missing[0]


def test_equal_accuracy_is_judged_beside_equal_epoch() -> None:
    """A conv net that is as accurate early as the ViT at its end: the pair at equal accuracy turns the verdict."""

    def learned(one: Net, first: float, last: float) -> Net:
        rows = [{**row, "accuracy": first + (last - first) * (row["epoch"] - 1) / 9} for row in one.history]
        return claims.Net(run=one.run, final={**one.final, "accuracy": last}, history=rows, manifests=one.manifests, load=one.load)

    def pair(s: int, early: float) -> Nets:
        conv = [*bent(early, seed=s), *bent(200, phases=PHASES[1:], seed=s)]
        return [learned(net(VIT, s, bent(100, phases=PHASES, seed=s + 5)), 0.3, 0.7), learned(net(RESNET, s, conv), 0.7, 0.9)]

    found = verdict("L1", [one for s in range(3) for one in pair(s, 200)])
    assert found.verdict == "supported" and "equal accuracy" in found.reason
    equal = next(part for part in found.parts if part.title.startswith("equal accuracy"))
    assert "ViT-mini end of training, ResNet-mini end of warm-up" in equal.title
    turned = verdict("L1", [one for s in range(3) for one in pair(s, 20)])
    assert turned.verdict == "undecided"


def test_conv_and_msa_stand_side_by_side() -> None:
    found = verdict("F1", seeds("F1", (1, 1, 1)))
    assert found.sides["MSA"] == pytest.approx(-0.1, abs=0.03) and found.sides["Conv"] == pytest.approx(0.1, abs=0.03)
    pair = verdict("A2", seeds("A2", (1, 1, 1)))
    assert any("parameters" in name for name in pair.sides)


@pytest.mark.parametrize("claim", ["L7", "L14", "A1", "A2", "A3", "A5"])
def test_the_evidence_has_the_nets_in_the_order_of_the_sign(claim: str) -> None:
    """What a claim calls one minus other stands on Compare as B minus A."""
    nets = {one.run.id: one for one in seeds(claim, (1,))}
    found = verdict(claim, list(nets.values()))
    place = urlsplit(found.evidence)
    shown = parse_qs(place.query)
    a, b = (nets[i] for i in shown["m"][:2])
    assert place.path == "compare" and shown["of"] == ["accuracy"]
    assert claims.accuracy.difference(b, a).value == pytest.approx(found.parts[0].effect.value)


def test_the_evidence_of_one_net_or_of_so_many_batches_says_which() -> None:
    sharp, first = verdict("L1", seeds("L1", (1,))), verdict("S2", seeds("S2", (1,)))
    assert parse_qs(urlsplit(sharp.evidence).query)["batches"] == [str(sharp.n)]
    assert parse_qs(urlsplit(first.evidence).query)["net"] == [first.nets[0]]  # whatever net the page showed before
    over = parse_qs(urlsplit(verdict("L8", seeds("L8", (1,))).evidence).query)
    assert over["of"] == ["all"] and over["also"] == over["m"][2:]


def test_accuracies_are_paired_by_image_where_answers_were_kept() -> None:
    one, other = (net(arch, 0, [made.lesion(arch, {})], accuracy=0.8) for arch in (ALTERNET, RESNET))
    assert claims.accuracy.difference(one, other).high - claims.accuracy.difference(one, other).low < 1e-9  # the same images are right
    apart = claims.accuracy.difference(net(ALTERNET), net(RESNET))
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * 100 * (2 * 0.16 / 10_000) ** 0.5, rel=0.02)


# ---- the command line, on what is shipped


def test_the_command_judges_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    from core.__main__ import main

    assert main(["claims", "--json", "--only", "F1", "S1", "A5", "W1"]) == 0
    rows = json.loads(capsys.readouterr().out)["claims"]
    assert [row["id"] for row in rows if row["data"] == "fashion-full"] == ["F1", "S1", "A5", "W1"] or rows[0]["id"] == "F1"
    for row in rows:
        assert {"id", "title", "verdict", "effect", "low", "high", "n", "seeds", "reason", "evidence"} <= set(row)
        assert row["verdict"] in claims.VERDICTS
    assert main(["claims", "--only", "S1"]) == 0
    assert "Stages are separate small nets" in capsys.readouterr().out
    assert main(["claims", "nobody"]) == 1
    assert main(["claims", "--only", "Z9"]) == 1
    assert "Known: L1" in capsys.readouterr().err
