"""A ViT and a wider one.

The paper: a large net is flatter early in training and sharper late (Fig. C.7).
"""

from core.studies._family import ANSWERS, CURVATURE, Member, Setting, Study, changed

WIDTHS = {"mini": (96, 128), "full": (192, 384)}
END = ("hessian", {"phase": "end", "images": 640})


def family(setting: Setting, seed: int) -> list[Member]:
    """The ViT at two widths, heads of equal size."""
    base = setting.base("vit").split("/")
    plain = "/".join(part for part in base if not part.startswith("heads="))
    archs = {width: changed(plain, width=width) for width in WIDTHS[setting.size]}
    return [Member(label=f"{width} wide", x=width, run=setting.run(arch, seed), asks=(CURVATURE, END, ANSWERS))
            for width, arch in archs.items()]  # fmt: skip


STUDY = Study(
    id="width", title="Width", question="Is a wider net flatter early and sharper late?", axis="Width", claims=("L13",), family=family,
    shows=("ape", "ape_end", "accuracy"),
)  # fmt: skip
