"""A conv net and its hybrid, trained alike but for the seed: how much of a difference is chance.

The paper: AlterNet’s loss is flatter than that of its conv net (Fig. 12c).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study

LEAST = 3


def family(setting: Setting, seed: int) -> list[Member]:
    """Both nets with one seed; of a study of one seed, with LEAST."""
    seeds = range(LEAST) if setting.count == 1 else [seed]
    nets = {"Conv net": "conv", "Hybrid": "hybrid"}
    return [Member(label=f"seed {s}", line=line, run=setting.run(setting.base(kind), s), asks=(ANSWERS, CURVATURE))
            for line, kind in nets.items() for s in seeds]  # fmt: skip


STUDY = Study(
    id="seeds", title="Seeds", question="How much of a difference between nets is chance?", axis="Seed", claims=("A4",), family=family,
    shows=("accuracy", "train_loss", "ape"),
)  # fmt: skip
