"""A ViT trained as usual, and with sharpness-aware minimisation (SAM), which steps towards flat places.

The paper cites SAM as a cure for the ViT's bad loss (section 3).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study

RADIUS = 0.05


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT without and with SAM."""
    return [Member(label=label, run=setting.run(setting.base("vit"), seed, sam=radius), asks=(ANSWERS, CURVATURE))
            for label, radius in (("AdamW", 0.0), (f"SAM, {RADIUS:g}", RADIUS))]  # fmt: skip


STUDY = Study(
    id="sam", title="SAM", question="Does looking for flat places help a ViT?", axis="Training", claims=("L14",), family=family,
    shows=("accuracy", "ape"),
)  # fmt: skip
