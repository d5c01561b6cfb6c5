"""Four ViTs that differ in their spatial unit alone, by two properties: do its weights depend on the image, and how far does it reach?

MSA: image, far.  Local MSA: image, near.  Mix: fixed, far.  Depthwise conv: fixed, near.
The paper: that weights depend on the image is what makes MSAs work, not their reach (section 1).
"""

from core.presets import resolve
from core.studies._family import ANSWERS, Member, Setting, Study
from core.studies.kernel import near

FAR, NEAR = "whole map", "neighbours"


def family(setting: Setting, seed: int) -> list[Member]:
    """The four corners."""
    vit = setting.base("vit")
    letters, _, rest = vit.partition("/")
    fixed = {letter: resolve(f"{letters.replace('m', letter)}/{rest}").notation for letter in "xd"}
    corners = [("by image", FAR, vit), ("by image", NEAR, near(vit, 3)), ("fixed", FAR, fixed["x"]), ("fixed", NEAR, fixed["d"])]
    asks = (ANSWERS,) if setting.size == "mini" else (ANSWERS, ("hessian", {"phase": "end", "images": 640}), ("landscape", {}))
    return [Member(label=reach, line=f"weights {kind}", run=setting.run(arch, seed), asks=asks) for kind, reach, arch in corners]


STUDY = Study(
    id="specificity", title="Specific or far", question="Is it the weights made for each image that matter, or their reach?",
    axis="What a unit sees", claims=("L15",), family=family,
)  # fmt: skip
