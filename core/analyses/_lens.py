"""One image through all steps of a lens, for several nets: each net sees all steps as one batch."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.analyses import Subject
from core.errors import MeasureError
from core.metrics import lens

if TYPE_CHECKING:
    from torch import Tensor

    from core.models import Net


def sweep(
    subjects: Sequence[Subject], pixels: np.ndarray, label: int | None, kind: str, strength: float, index: int
) -> dict[str, Any]:  # fmt: skip
    """What nets answer to `pixels` (uint8, (channels, side, side)), as JSON; the image as it is stands behind the steps.

    `answers`, `sure` (probability of the answer) and `right` (None without a label) hold a value a step and one for the whole image;
    `places` is what each place says for the answer, float16 (steps + 1, h, w) in base64, None for a net that reads a CLS token.
    `mean` is the colour of what is removed.  MeasureError for nets of different sizes or classes.
    """
    first = subjects[0]
    for other in subjects:
        if other.net.image_size != first.net.image_size or other.spec.classes != first.spec.classes:
            raise MeasureError(f"{other.run.id} and {first.run.id} were trained on different images; the lens shows nets of one kind.")
    steps, mean, titles = lens.steps(kind, first.net.image_size), first.spec.mean, first.spec.classes
    image = pixels / 255
    seen = np.stack([*(lens.view(image, mean, kind, step, strength=strength, index=index) for step in steps), image])
    nets = {}
    for subject in subjects:
        chosen, sure, places = look(subject, seen)
        nets[subject.run.id] = {
            "answers": [titles[i] for i in chosen], "sure": sure,
            "right": None if label is None else [i == label for i in chosen], "places": places,
        }  # fmt: skip
    return {
        "steps": [list(step) for step in steps],
        "mean": lens.fill(mean, len(pixels)).ravel().tolist(),
        "label": None if label is None else titles[label],
        "shape": list(pixels.shape),
        "pixels": base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode(),
        "nets": nets,
    }


def look(subject: Subject, seen: np.ndarray) -> tuple[list[int], list[float], dict[str, Any] | None]:
    """(answers, their probabilities, what each place says for them) of images (n, 1 or 3, side, side) on the scale 0 to 1."""
    import torch

    mean, std = (np.reshape(part, (1, 3, 1, 1)) for part in (subject.spec.mean, subject.spec.std))
    x = torch.from_numpy(((seen - mean) / std).astype(np.float32)).to(subject.device).contiguous(memory_format=torch.channels_last)
    held: list[Tensor] = []
    net = subject.net

    def hold(_module: object, _args: object, out: "Tensor") -> None:
        held.append(out)

    handle = net.norm.register_forward_hook(hold)
    try:
        with torch.inference_mode():
            sure, chosen = net(x).softmax(1).max(1)
            places = activation(net, held[0], chosen)
    finally:
        handle.remove()
    told = None if places is None else places.cpu().numpy().astype("<f2")
    said = None if told is None else {"shape": list(told.shape), "data": base64.b64encode(told.tobytes()).decode()}
    return chosen.tolist(), sure.tolist(), said


def activation(net: "Net", normed: "Tensor", chosen: "Tensor") -> "Tensor | None":
    """What each place says for the chosen class, above the mean over classes, (n, h, w); None where a CLS token is read, or for
    an imported net.

    Its mean over places, with the bias, is the logit above the mean logit.
    """
    import torch

    if normed.dim() != 4 or not isinstance(net.head, torch.nn.Linear):
        return None
    weights = net.head.weight - net.head.weight.mean(0)
    maps = torch.relu(normed).movedim(1, -1) if net.by_map else normed
    return (maps * weights[chosen][:, None, None]).sum(-1)
