"""A ViT that answers from the mean of all positions (GAP), and its twin that answers from one token (CLS).

The paper: the mean makes the loss more convex (Fig. 6).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT with each head."""
    archs = {"CLS": changed(setting.base("vit"), head="cls"), "GAP": setting.base("vit")}
    return [Member(label=label, run=setting.run(arch, seed), asks=(CURVATURE, ANSWERS)) for label, arch in archs.items()]


STUDY = Study(
    id="tokens", title="CLS or GAP", question="Does the mean of all positions make the loss more convex?", axis="Answer read from",
    claims=("L6",), family=family, shows=("nep", "ape", "accuracy"),
)  # fmt: skip
