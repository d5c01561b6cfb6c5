"""A conv net and its hybrid with MSAs at stage ends, trained on fewer and fewer images; in the mini size with about as many steps.

The paper: the hybrid wins on few images as on many (Fig. 12).
"""

from core.studies._family import ANSWERS, Ask, Member, Setting, Study

SHARES = {"mini": (0.06, 0.2, 1.0), "full": (0.02, 0.06, 0.2, 1.0)}
CORRUPTED: Ask = ("corruption", {})


def family(setting: Setting, seed: int) -> list[Member]:
    """Both nets on each share."""
    shares = SHARES[setting.size]
    nets = {"Conv net": "conv", "Hybrid": "hybrid"}
    return [member(setting, kind, seed, share, (ANSWERS, CORRUPTED) if share == shares[0] else (ANSWERS,), line)
            for line, kind in nets.items() for share in shares]  # fmt: skip


def member(setting: Setting, kind: str, seed: int, share: float, asks: tuple[Ask, ...], line: str = "") -> Member:
    """The net of a kind on a share of the images, called by how many these are."""
    images = round(share * setting.images)
    return Member(label=f"{images:,} images", line=line, x=images, run=setting.run(setting.base(kind), seed, share=share), asks=asks)


STUDY = Study(
    id="few_images", title="Few images", question="Does a hybrid win on few images?", axis="Training images", claims=("A1", "A5"),
    family=family, shows=("accuracy", "train_loss"),
)  # fmt: skip
