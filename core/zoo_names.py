"""Names of nets that can be imported, without torch and without timm being imported: the paper's own first, then timm's."""

import importlib.util
import re
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

#: The paper's nets for 32x32 images.
PAPER = {
    "paper-resnet-50": "ResNet-50 of the paper",
    "paper-vit-ti": "ViT-Ti of the paper, patches of 2x2",
    "paper-pit-ti": "PiT-Ti of the paper",
    "paper-swin-ti": "Swin-Ti of the paper",
}


@cache
def every() -> tuple[str, ...]:
    """Every name: the paper's nets, then timm's in the order of the alphabet.  Read from timm's source: it costs seconds to import."""
    found = importlib.util.find_spec("timm")
    folder = Path(found.submodule_search_locations[0]) / "models" if found and found.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        return tuple(PAPER)
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
    made = re.findall(r"^@register_model\s*\ndef (\w+)\(", text, re.M)
    return (*PAPER, *sorted(set(made), key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]))


def names(pattern: str = "") -> list[str]:
    """Names that hold the pattern, or match it where it has `*` or `?`."""
    pattern = pattern.strip().lower()
    if any(sign in pattern for sign in "*?["):
        return [name for name in every() if fnmatch(name, pattern)]
    return [name for name in every() if pattern in name]
