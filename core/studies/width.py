"""A ViT and a wider one.

The paper: a large net is flatter early in training and sharper late (Fig. C.7).
"""

from core.spec import parse
from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed

WIDTHS = {"mini": (64, 96), "full": (192, 384)}
END = ("hessian", {"phase": "end", "images": 640})


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT at two widths, heads of equal size."""
    vit = setting.base("vit")
    stage = parse(vit).stages[0]
    archs = {width: changed(vit, width=width, heads=stage.heads * width // stage.width) for width in WIDTHS[setting.size]}
    return [Member(label=f"{width} wide", x=width, run=setting.run(arch, seed), asks=(CURVATURE, END, ANSWERS))
            for width, arch in archs.items()]  # fmt: skip


STUDY = Study(
    id="width", title="Width", question="Is a wider net flatter early and sharper late?", axis="Width", claims=("L13",), family=family,
    shows=("ape", "ape_end", "accuracy"),
)  # fmt: skip
