"""A ViT trained on fewer and fewer images; in the mini size with about as many steps.

The paper: a ViT does not over-fit few images, it fails to fit them: training loss and negative eigenvalues rise (Figs. 4 and 5).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study
from core.studies.few_images import member

#: curvature takes more than 2 % of the mini size
SHARES = {"mini": (0.06, 0.2, 0.5, 1.0), "full": (0.02, 0.06, 0.2, 1.0)}


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT on each share; its curvature on the smallest and on all."""
    shares = SHARES[setting.size]
    return [member(setting, "vit", seed, share, (CURVATURE, ANSWERS) if share in (shares[0], 1.0) else (ANSWERS,)) for share in shares]


STUDY = Study(
    id="few_images_vit", title="Few images, ViT", question="Does a ViT over-fit few images, or fail to fit them?",
    axis="Training images", claims=("L4", "L9"), family=family, shows=("train_loss", "nep", "accuracy"),
)  # fmt: skip
