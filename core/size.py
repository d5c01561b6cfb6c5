"""How large a net is and how much it computes, in closed form: no torch, live on the page."""

from core.errors import SpecError
from core.outline import Outline
from core.spec import STEMS, Architecture, Unit, layout

MAX_PARAMETERS = 150_000_000


def count(arch: Architecture | Outline, image_size: int, classes: int) -> dict[str, int]:
    """{parameters, flops} in closed form; flops = 2 x multiply-adds of one image forward, as torch's counter counts.

    Raises SpecError if the net is absurdly large.
    """
    slots = layout(arch, image_size)
    if isinstance(arch, Outline):
        return {"parameters": arch.parameters, "flops": arch.flops}
    if not 1 <= classes <= 100_000:
        raise SpecError(f"There are {classes} classes; it should be from 1 to 100000.")
    stem_p, stem_f = _count_stem(arch, image_size)
    extra = 1 if arch.head == "cls" else 0
    parameters, flops, side = stem_p, stem_f, image_size // STEMS[arch.stem].stride
    if arch.pos == "abs":
        parameters += (side**2 + extra) * arch.first_width
    parameters += extra * arch.first_width
    for slot in slots:
        p, f = _count_unit(arch, slot, extra)
        parameters, flops = parameters + p, flops + f
    width = arch.stages[-1].width
    parameters += 2 * width + width * classes + classes
    flops += 2 * width * classes
    if parameters > MAX_PARAMETERS:
        raise SpecError(f"The net has {parameters / 1e6:.0f} M parameters; at most {MAX_PARAMETERS // 1_000_000} M can be built here.")
    return {"parameters": parameters, "flops": flops}


def stem_hidden(width: int) -> int:
    """Channels between the two convs of the `conv2` stem (ours: wide enough to keep colour edges, cheap)."""
    return max(32, width // 4)


def _count_stem(arch: Architecture, image_size: int) -> tuple[int, int]:
    width, name = arch.first_width, arch.stem
    if name.startswith("patch"):
        p = STEMS[name].stride
        weights = 3 * p * p * width
        return weights + width, 2 * weights * (image_size // p) ** 2
    if name == "conv2":
        hidden, half, quarter = stem_hidden(width), image_size // 2, image_size // 4
        one, two = 27 * hidden, 9 * hidden * width
        return one + 2 * hidden + two + width, 2 * (one * half**2 + two * quarter**2)
    kernel, stride = {"conv3": (3, 1), "conv3s2": (3, 2), "conv7": (7, 2)}[name]
    weights = 3 * kernel**2 * width
    return weights, 2 * weights * (image_size // stride) ** 2


def _count_unit(arch: Architecture, s: Unit, extra: int) -> tuple[int, int]:
    """(parameters, flops) of one unit.  `extra` is 1 where a CLS token travels along."""
    area, area_in, c = s.side**2, (s.side * s.stride) ** 2, s.width
    tokens = area + extra
    if s.kind == "conv":
        project = s.width_in * c if s.resampling else 0
        if s.form == "basic":
            a, b = 9 * s.width_in * c, 9 * c * c
            return 2 * s.width_in + a + 2 * c + b + project, 2 * area * (a + b + project)
        if s.form == "bottleneck":
            w = c // 4
            return (
                2 * s.width_in + s.width_in * w + 2 * w + 9 * w * w + 2 * w + w * c + project,
                2 * (area_in * s.width_in * w + area * (9 * w * w + w * c + project)),
            )
        dw, pw = s.kernel**2 * s.width_in, s.width_in * c
        return 2 * s.width_in + dw + 2 * s.width_in + pw + project, 2 * area * (dw + pw + project)
    if s.kind == "msa":
        reach = s.kernel**2 if s.form == "local" else s.window**2 + extra
        offsets = s.kernel**2 if s.form == "local" else (2 * s.window - 1) ** 2
        if arch.msa == "bottleneck":
            w, inner = c // 4, s.heads * (arch.dim_head or c // 4 // s.heads)
            table = offsets if arch.pos == "rel" else 0
            qkv = 3 * w * inner
            parameters = 2 * c + c * w + 2 * w + qkv + (3 * inner if arch.bias else 0) + inner * c + c + table
            return parameters, 2 * area * (c * w + qkv + inner * c + 2 * reach * inner)
        inner = s.heads * (arch.dim_head or c // s.heads)
        table = offsets * s.heads if arch.pos == "rel" else 0
        parameters = 2 * c + 3 * c * inner + (3 * inner if arch.bias else 0) + inner * c + c + table
        return parameters, 2 * tokens * (3 * c * inner + inner * c + 2 * reach * inner)
    if s.kind == "mlp":
        hidden = arch.mlp * c
        return 2 * c + 2 * c * hidden + hidden + c, 2 * tokens * 2 * c * hidden
    if s.kind == "mix":
        return 2 * c + 2 * area * area + 2 * area, 2 * c * 2 * area * area
    if s.kind == "merge":
        return 8 * s.width_in + 4 * s.width_in * c, 2 * area * 4 * s.width_in * c
    return 0, 0  # pool and none hold nothing and multiply nothing
