"""A ViT that reads the picture in larger and larger patches.

The paper: small patches make a flat loss that is not convex; large ones do the opposite (Fig. C.2).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed

PATCHES = {"mini": (4, 8), "full": (2, 4, 8)}


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT with each size of patch."""
    archs = {side: changed(setting.base("vit"), stem=f"patch{side}") for side in PATCHES[setting.size]}
    return [Member(label=f"{side}×{side}", x=side, run=setting.run(arch, seed), asks=(CURVATURE, ANSWERS)) for side, arch in archs.items()]


STUDY = Study(
    id="patch", title="Patch size", question="Do small patches make the loss flat, but not convex?", axis="Pixels a patch is wide",
    claims=("L12",), family=family, shows=("ape", "nep", "accuracy"),
)  # fmt: skip
