"""Which nets each study trains, and that they differ in what the study says and in nothing else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from core import studies
from core.data import importing
from core.errors import LabError
from core.presets import PRESETS
from core.run import Run
from core.spec import layout, parse
from core.studies import Setting
from core.studies._family import images_of
from core.studies.placement import placed
from tests.data.bad_pictures import good

DATA = ("fashion", "cifar10", "cifar100")
FEW = {"fraction", "limit", "epochs", "warmup"}
#: What the nets of a line may differ in, and do.
DIFFER = {
    "buildup": {"letters"}, "placement": {"letters"}, "few_images": FEW, "few_images_vit": FEW, "kernel": {"letters", "kernel"},
    "specificity": {"letters"}, "tokens": {"head"}, "heads": {"heads"}, "patch": {"stem"}, "width": {"width", "heads"},
    "augmentation": {"randaugment", "mixup", "cutmix"}, "sam": {"sam"}, "seeds": {"seed"},
}  # fmt: skip
#: The paper's recipe has stochastic depth too; its epochs stay, whatever the share; its conv net knows nothing of heads.
IN_FULL = {"augmentation": {"drop_path"}, "few_images": {"epochs", "warmup", "limit"}, "few_images_vit": {"epochs", "warmup", "limit"}}
NETS = {
    "buildup": 2, "placement": 5, "few_images": 6, "few_images_vit": 4, "kernel": 3, "specificity": 4, "tokens": 2, "heads": 3, "patch": 2,
    "width": 2, "augmentation": 4, "sam": 2, "seeds": 6,
}  # fmt: skip


def facts(run: Run) -> dict[str, Any]:
    """All that makes a run, flat."""
    arch, recipe = asdict(parse(run.arch)), {k: v for k, v in run.recipe.items() if k != "name"}
    stages = arch.pop("stages")
    return {**{k: tuple(s[k] for s in stages) for k in stages[0]}, **arch, **recipe, "seed": run.seed, "fraction": run.fraction,
            "limit": run.limit, "data": run.data, "image_size": run.image_size, "classes": run.classes}  # fmt: skip


def differing(runs: list[Run]) -> set[str]:
    """What these runs differ in."""
    first, *others = map(facts, runs)
    return {name for other in others for name in first if other[name] != first[name]}


@pytest.fixture(autouse=True)
def _nothing_trained(home):
    """Studies that grow begin anew."""


def test_every_study_has_its_place():
    assert list(studies.catalogue()) == list(studies.ORDER) == list(DIFFER)
    for name, study in studies.catalogue().items():
        assert study.id == name and study.about and study.question.endswith("?")
        assert study.claims and set(study.shows) <= set(studies.MEASURES)
    with pytest.raises(LabError, match=r"There is no study 'nonsense'.*buildup"):
        studies.get("nonsense")


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", DIFFER)
def test_nets_of_the_mini_size(name, data):
    study, setting = studies.get(name), Setting(data=data)
    members = study.members(setting)
    assert len(members) == NETS[name] and study.rows(setting) <= 6
    assert len({(m.line, m.label, m.run.seed) for m in members}) == len({m.run.id for m in members}) == len(members)
    few = {m.x for m in members if name.startswith("few_images")}
    assert few in (set(), {1_200, 4_000, 20_000}, {1_200, 4_000, 10_000, 20_000})
    for line in {m.line for m in members}:
        held = [m.run for m in members if m.line == line]
        wanted = DIFFER[name] - ({"limit"} if data == "fashion" else set())
        assert differing(held) == wanted | ({"kernel"} if name == "specificity" and line == "none" else set())
    for m in members:
        assert images_of(m.run) == (m.x if few else 20_000) and m.run.classes == (100 if data == "cifar100" else 10)
        steps = images_of(m.run) // 64 * m.run.recipe["epochs"]
        assert 1_490 <= steps <= 1_560 and 300 <= images_of(m.run) // 64 * m.run.recipe["warmup"] <= 312


@pytest.mark.parametrize("name", DIFFER)
def test_nets_of_the_full_size(name):
    study, setting = studies.get(name), Setting(size="full", data="cifar100")
    members = study.members(setting)
    assert {m.run.seed for m in members} == {0, 1, 2} and len({m.run.id for m in members}) == len(members)
    assert len({(m.line, m.label, m.run.seed) for m in members}) == len(members)
    options = {"heads", "window", "msa", "dim_head", "bias"} if name in ("buildup", "placement") else set()  # of nets with MSAs
    for line in {m.line for m in members}:
        held = [m.run for m in members if m.line == line and (m.run.seed == 0 or name == "seeds")]
        assert differing(held) - options == (DIFFER[name] - IN_FULL.get(name, set())) | (IN_FULL.get(name, set()) & {"drop_path"})
    assert all(m.run.recipe["epochs"] == 300 for m in members)


def test_runs_are_shared():
    """The same net under the same conditions is one run, whatever study asks for it."""

    def ids(name: str) -> set[str]:
        return {m.run.id for m in studies.get(name).members(Setting())}

    vit, conv, hybrid = (Setting().run(net, 0).id for net in ("vit-mini", "resnet-mini", "alternet-mini"))
    for name in ("few_images_vit", "kernel", "specificity", "tokens", "heads", "patch", "width", "augmentation", "sam"):
        assert vit in ids(name), name
    assert all(conv in ids(name) for name in ("buildup", "placement", "few_images", "augmentation", "seeds"))
    assert all(hybrid in ids(name) for name in ("placement", "few_images", "seeds"))
    assert Setting().run("localvit-mini", 0).id in ids("kernel") & ids("specificity")
    full = [m.run.id for m in studies.get("width").members(Setting(size="full", data="cifar100"))]
    assert Setting(size="full", data="cifar100").run("vit-ti", 0).id in full


def test_seeds_make_the_same_nets():
    one, three = (studies.get("heads").members(Setting(seeds=seeds)) for seeds in (1, 3))
    assert [m.run for m in three if m.run.seed == 0] == [m.run for m in one] and len(three) == 9
    assert [m.run.seed for m in three[:3]] == [0, 1, 2] and len({m.label for m in three[:3]}) == 1
    assert [m.run.seed for m in studies.get("seeds").members(Setting(seeds=2))] == [0, 1, 0, 1]


@pytest.mark.parametrize("name", DIFFER)
def test_nets_can_be_built(name):
    import torch

    from core.models import build

    for member in studies.get(name).members(Setting()):
        net = build(parse(member.run.arch), 32, 10, seed=0).eval()
        with torch.no_grad():
            assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["buildup", "placement", "kernel", "specificity", "tokens", "heads", "patch", "width"])
def test_nets_of_the_paper_can_be_built(name):
    import torch

    from core.models import build

    for member in studies.get(name).members(Setting(size="full", data="cifar100", seeds=1)):
        net = build(parse(member.run.arch), 32, 100, seed=0).eval()
        with torch.no_grad():
            assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 100)


# ---- MSA here and there


@pytest.mark.parametrize(
    ("net", "where", "wanted"),
    [
        ("alternet-mini", "start", "wccwcc-cmcmcc"), ("alternet-mini", "middle", "cwccwc-cmccmc"),
        ("alternet-50", "start", "bbb-bwbb-bwbbbb-bwwb"), ("alternet-50", "middle", "bbb-bbwb-bbbwbb-bwbw"),
    ],
)  # fmt: skip
def test_places_by_hand(net, where, wanted):
    found = parse(placed(PRESETS[net].notation, where))
    assert found.stages_text() == wanted


@pytest.mark.parametrize("net", ["alternet-mini", "alternet-50", "alternet-hires", "alternet-50-imagenet"])
def test_places_hold_as_many_msas_and_none_that_changes_the_resolution(net):
    hybrid = PRESETS[net].notation
    found = [parse(hybrid), *(parse(placed(hybrid, where)) for where in ("start", "middle"))]
    assert len({arch.notation for arch in found}) == 3
    assert len({str([sorted(stage.letters) for stage in arch.stages]) for arch in found}) == 1
    for arch in found:
        assert not any(unit.kind == "msa" and unit.resampling for unit in layout(arch, 32))


# ---- images


def test_a_set_of_other_pictures_is_shrunk():
    run = Setting(data="imagenette").run("vit-mini", 0)
    assert run.image_size == 32 and run.recipe["pad"] == 4 and run.limit == 0  # its own shift is 16 pixels, of 224
    assert run.recipe["epochs"] == 11 and run.recipe["warmup"] == 2  # 9,469 images
    assert Setting().run("vit-mini", 0).recipe["pad"] == -1


def test_too_few_images_are_told():
    with pytest.raises(LabError, match="Few images, ViT: 568 training images of Imagenette would be too few; 640 are needed"):
        studies.get("few_images_vit").members(Setting(data="imagenette"))
    assert studies.get("few_images").members(Setting(data="imagenette"))
    with pytest.raises(LabError, match="Few images, ViT: 400 training images of Fashion would be too few"):
        studies.get("few_images_vit").members(Setting(size="full"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"size": "huge"}, "There is no size of a study 'huge'"), ({"data": "nonsense"}, "There is no data set 'nonsense'"),
     ({"seeds": 11}, "11 seeds is not offered"), ({"seeds": -1}, "-1 seeds")],
)  # fmt: skip
def test_what_cannot_be_done_is_told(asked, said):
    with pytest.raises(LabError, match=said):
        Setting(**asked)


def test_pictures_of_ones_own(home, tmp_path):
    """Any size, by name or with the digest of their content; so few of them are refused in a sentence."""
    made = importing.add(str(good(tmp_path / "my set")), "", importing.Import(image_size=224))
    for data in (made["id"], made["id"].partition("@")[0]):
        run = Setting(data=data).run("vit-mini", 0)
        assert (run.data, run.image_size, run.classes, run.recipe["pad"]) == (made["id"], 32, 2, 4)
        with pytest.raises(LabError, match="Heads: 16 training images of my set would be too few; 640 are needed"):
            studies.get("heads").members(Setting(data=data))
