"""A ViT whose MSAs see 3×3 neighbours, 5×5, or the whole map.

The paper: a local constraint helps; 3×3 has the lowest error, 5×5 the fewest negative eigenvalues (Fig. 7).
"""

from core.presets import resolve
from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed


def near(notation: str, kernel: int) -> str:
    """A ViT with each MSA confined to kernel×kernel neighbours."""
    letters, _, rest = notation.partition("/")
    return changed(resolve(f"{letters.replace('m', 'l')}/{rest}").notation, kernel=kernel)


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT with each reach."""
    vit = setting.base("vit")
    archs = {"3×3": near(vit, 3), "5×5": near(vit, 5), "whole map": vit}
    asks = {label: (ANSWERS,) if label == "3×3" else (CURVATURE, ANSWERS) for label in archs}
    return [Member(label=label, run=setting.run(arch, seed), asks=asks[label]) for label, arch in archs.items()]


STUDY = Study(
    id="kernel", title="Local MSA", question="Does attention that sees only neighbours learn better?", axis="What an MSA sees",
    claims=("L7",), family=family, shows=("accuracy", "nep"),
)  # fmt: skip
