"""A ViT trained on fewer and fewer images, with about as many steps.

The paper: a ViT does not over-fit few images, it fails to fit them: training loss and negative eigenvalues rise (Figs. 4 and 5).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study

SHARES = (0.02, 0.06, 0.2, 1.0)


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT on each share."""
    ends = {SHARES[0], SHARES[-1]}
    return [Member(label=f"{100 * share:g} %", x=100 * share, run=setting.run(setting.base("vit"), seed, share=share),
                   asks=(CURVATURE, ANSWERS) if share in ends else (ANSWERS,)) for share in SHARES]  # fmt: skip


STUDY = Study(
    id="few_images_vit", title="Few images, ViT", question="Does a ViT over-fit few images, or fail to fit them?",
    axis="Share of the training images, %", claims=("L4", "L9"), family=family, shows=("train_loss", "nep", "accuracy"),
)  # fmt: skip
