"""A ViT and a conv net trained with shifts and mirrors alone, and with RandAugment, mixup and CutMix.

The paper: strong augmentation makes nets less sure than they may be; eigenvalues shrink and more of them are negative (Fig. F).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study

WEAK = {"randaugment": "", "mixup": 0.0, "cutmix": 0.0, "erasing": 0.0, "drop_path": 0.0}
STRONG = {**WEAK, "randaugment": "rand-m9-n2-mstd1.0", "mixup": 1.0, "cutmix": 0.8}


def family(setting: Setting, seed: int) -> list[Member]:
    """Each net with each augmentation."""
    strong = STRONG if setting.size == "mini" else {**STRONG, "drop_path": 0.1}
    nets = {"ViT": ("vit", (CURVATURE, ANSWERS)), "Conv net": ("conv", (ANSWERS,))}
    return [Member(label=label, line=line, run=setting.run(setting.base(kind), seed, **changes), asks=asks)
            for line, (kind, asks) in nets.items() for label, changes in (("shifts and mirrors", WEAK), ("strong", strong))]  # fmt: skip


STUDY = Study(
    id="augmentation", title="Strong augmentation", question="Does strong augmentation make nets unsure and the loss less convex?",
    axis="Augmentation", claims=("G1", "G2"), family=family, shows=("gap", "ape", "nep", "accuracy"),
)  # fmt: skip
