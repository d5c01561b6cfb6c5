"""A net of the lab's units in plain PyTorch: only the classes that it uses, and the names that its stored weights have."""

import textwrap

from core.presets import name_of
from core.size import count, stem_hidden
from core.snippet import parts
from core.spec import STEMS, Architecture, Unit, layout

_CONVS = {"basic": parts.BASIC, "bottleneck": parts.BOTTLENECK, "depthwise": parts.DEPTHWISE}


def plain(arch: Architecture, image_size: int, classes: int) -> str:
    """A file whose class `Net` is the net: the same parameters under the same names, and the same logits from the same weights.

    The same seed draws the same first weights.  Stochastic depth, which only acts in training, is left out.

    Raises SpecError where the net cannot be built for the image size.
    """
    parameters = count(arch, image_size, classes)["parameters"]
    units = [unit for unit in layout(arch, image_size) if unit.kind != "none"]
    flags, forms = _flags(arch, units), {unit.form for unit in units if unit.kind == "conv"}
    kinds = {unit.kind for unit in units}
    side, first, last = image_size // STEMS[arch.stem].stride, arch.first_width, arch.stages[-1].width
    heads = "heads"
    words = {
        "inner": f"heads * {arch.dim_head}" if arch.dim_head else "width", "tables": 1 if "shared" in flags else heads, "mlp": arch.mlp,
        "residual": "Residual" if flags & {"last", "cls"} else "TokenResidual", "size": image_size, "classes": classes, "first": first,
        "width": last, "side": side, "places": side**2 + ("cls" in flags), "stem": _stem(arch), "parameters": f"{parameters:,}",
        "norm": "BatchNorm2d" if "conv" in flags else "LayerNorm", "units": "\n".join(_listed(arch, units, flags)),
    }  # fmt: skip
    local = {unit.form == "local" for unit in units if unit.kind == "msa"}
    on_tokens = kinds - {"conv", "merge"} - ({"msa"} if "shared" in flags else set())
    mapped = "conv" in kinds or ("shared" in flags and "msa" in kinds)
    chosen = [
        (parts.CONV, mapped or arch.stem in ("conv2", "conv3", "conv3s2", "conv7")),
        (parts.RESIDUAL, mapped or words["residual"] == "Residual"),
        (parts.TOKEN_RESIDUAL, words["residual"] == "TokenResidual" and on_tokens),
        (parts.PROJECT, "project" in flags),
        *((text, form in forms) for form, text in _CONVS.items()),
        (parts.ATTENTION, False in local), (parts.LOCAL, True in local), (parts.ON_MAP, "shared" in flags and local),
        (parts.MSA.replace("@name@", "msa").replace("@kind@", "Attention"), False in local),
        (parts.MSA.replace("@name@", "local").replace("@kind@", "LocalAttention"), True in local),
        (parts.MLP, "mlp" in kinds), (parts.MIX, "mix" in kinds), (parts.POOL, "pool" in kinds), (parts.MERGE, "merge" in kinds),
        (parts.NET, True),
    ]  # fmt: skip
    body = "\n\n\n".join(parts.fill(text, flags, words) for text, used in chosen if used)
    head = opening(arch, image_size, classes, 'safetensors.torch.load_file("net.safetensors")')
    functional = "import torch.nn.functional as F\n" if "F." in body else ""
    return f"{head}\nimport torch\n{functional}from torch import nn\n\n\n{body}\n"


def opening(arch: Architecture, image_size: int, classes: int, load: str) -> str:
    """The docstring at the top of a snippet: what net it is, its size, and how stored weights get into it."""
    # broken before a slash where it is long
    notation = textwrap.fill(arch.notation.replace("/", " /"), 120, subsequent_indent=" " * 5, break_on_hyphens=False).replace(" /", "/")
    name = name_of(arch.notation)
    sized = f"{image_size}x{image_size} images in {classes} classes: {count(arch, image_size, classes)['parameters']:,} parameters."
    return (
        f'"""{name or "A net"}, written by AlterLab from\n    {notation}\nfor {sized}\n\n'
        f'Weights that AlterLab exports fit as they are:\n    net.load_state_dict({load})\n"""\n'
    )


def _flags(arch: Architecture, units: list[Unit]) -> set[str]:
    """What holds of the net, as the templates ask for it."""
    looking = [unit for unit in units if unit.kind == "msa"]
    dense = [unit for unit in looking if unit.form != "local"]
    found = {
        "conv": any(unit.kind == "conv" for unit in units),
        "project": any(unit.kind == "conv" and unit.resampling for unit in units),
        "shared": arch.msa == "bottleneck",
        "cls": arch.head == "cls",
        "abs": arch.pos == "abs",
        "rel": arch.pos == "rel",
        "bias": arch.bias,
        "windows": any(unit.window < unit.side for unit in dense),
        "shifted": any(unit.form == "shifted" for unit in dense),
    }
    # without convs the stream is kept as (B, H, W, C) from the stem to the head
    found["last"] = not found["conv"] and not (found["shared"] and looking)
    found["sized"] = found["rel"] or found["windows"]
    found["biased"] = found["rel"] or found["shifted"]
    return {flag for flag, true in found.items() if true}


def _stem(arch: Architecture) -> str:
    width = arch.first_width
    if arch.stem.startswith("patch"):
        side = STEMS[arch.stem].stride
        return f"nn.Conv2d(3, {width}, {side}, {side})"
    if arch.stem == "conv2":
        hidden = stem_hidden(width)
        second = f"nn.Conv2d({hidden}, {width}, 3, 2, 1)"
        return f"nn.Sequential(conv(3, {hidden}, 3, 2), nn.BatchNorm2d({hidden}), nn.ReLU(), {second})"
    if arch.stem == "conv7":
        return f"nn.Sequential(conv(3, {width}, 7, 2), nn.MaxPool2d(3, 2, 1))"
    return f"conv(3, {width}, 3)" if arch.stem == "conv3" else f"conv(3, {width}, 3, 2)"


def _listed(arch: Architecture, units: list[Unit], flags: set[str]) -> list[str]:
    """One line a unit, a remark where a stage begins."""
    lines, stage = [], 0
    for unit in units:
        if unit.stage != stage:
            stage = unit.stage
            lines.append(f"            # stage {stage}: {unit.width} channels at {unit.side}x{unit.side}")
        lines.append(f"            {_call(unit, flags)},")
    return lines


def _call(u: Unit, flags: set[str]) -> str:
    if u.kind == "conv":
        step = f", stride={u.stride}" if u.stride > 1 else ""
        return f"{u.form}({u.width_in}, {u.width}{f', {u.kernel}' if u.form == 'depthwise' else ''}{step})"
    if u.kind == "msa" and u.form == "local":
        return f"local({u.width}, heads={u.heads}, side={u.side}, kernel={u.kernel})"
    if u.kind == "msa":
        window = f", window={u.window}" if "sized" in flags else ""
        shift = f", shift={u.window // 2}, side={u.side}" if u.form == "shifted" else ""
        return f"msa({u.width}, heads={u.heads}{window}{shift})"
    return {
        "mlp": f"mlp({u.width})", "mix": f"mix({u.width}, {u.side**2})", "pool": f"pool({u.width})",
        "merge": f"Merge({u.width_in}, {u.width})",
    }[u.kind]  # fmt: skip
