"""A ViT of one width with more and more heads, so that each head is narrower.

The paper: more heads smooth the loss; there are fewer negative eigenvalues, and they are smaller (Fig. C.5).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed

HEADS = (1, 3, 6)


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT with 1, 3 and 6 heads."""
    archs = {heads: changed(setting.base("vit"), heads=heads) for heads in HEADS}
    return [Member(label=f"{heads} head{'s' if heads > 1 else ''}", x=heads, run=setting.run(arch, seed), asks=(CURVATURE, ANSWERS))
            for heads, arch in archs.items()]  # fmt: skip


STUDY = Study(
    id="heads", title="Heads", question="Do more heads make the loss smoother?", axis="Heads", claims=("L11",), family=family,
    shows=("nep", "ape", "accuracy"),
)  # fmt: skip
