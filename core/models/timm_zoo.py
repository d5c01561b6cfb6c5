"""Any net that timm knows, by name, read into the lab's units: `build("resnet50", image_size=224, classes=1000)`.

timm is imported where a net is built: it costs seconds.  The four nets of the paper at 32x32 have names of their own, `paper-…`.
"""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.data.dataset import PHOTO_MEAN, PHOTO_STD
from core.errors import SpecError, StoreError
from core.models.weights_file import Weights, compare, fit, read_weights
from core.models.zoo.net import LEVELS, ZooNet, read
from core.models.zoo.published import PUBLISHED, recognised
from core.outline import Outline
from core.zoo_names import every, names

__all__ = [
    "LEVELS", "PUBLISHED", "ZooNet", "build", "describe", "load", "names", "normalisation", "read", "read_weights", "rebuild",
    "recognised", "scores",
]  # fmt: skip


def build(
    name: str,
    *,
    image_size: int,
    classes: int,
    channels: int = 3,
    weights: Path | None = None,
    pretrained: bool = False,
    new_head: bool = False,
) -> ZooNet:
    """A net by its name, in eval mode, read into units: with random weights, those of a file, or those that its authors published.

    `new_head`: a classifier of another size than in the file stays random; otherwise that is an error.  What the weights are is in
    `net.source`.  SpecError for a name, size or count of classes that cannot be; StoreError for weights that cannot be had or do not fit.
    """
    _check(name, image_size, classes, channels)
    found = read_weights(weights) if weights is not None else None
    model = _made(name, image_size, classes, channels, pretrained)
    fresh: tuple[str, ...] = ()
    if found is not None:
        fresh = load(model, found, name, new_head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net = read(model, image_size, classes=classes, channels=channels, name=name)
        except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
            raise _unfit(name, image_size, error) from error
    if net.classes != classes:
        raise SpecError(f"{name} gives {net.classes} scores an image, not {classes}.")
    net.source = {
        "kind": "file" if found else "published" if pretrained else "random", "file": found.name if found else "",
        "digest": found.digest if found else "", "key": found.key if found else "", "left": list(found.left) if found else [],
        "fresh": list(fresh),
    }  # fmt: skip
    return net


def rebuild(outline: Outline, classes: int) -> ZooNet:
    """The net that an outline describes, with random weights; where its head knows more classes than the images have, only theirs are
    given.  SpecError if it cannot be built here, or is read into other units than before.
    """
    net = build(outline.name.partition(":")[2], image_size=outline.image_size, classes=outline.scores)
    if tuple(net.units) != outline.units:
        raise SpecError(f"{outline.name} is read into other units here than when it was imported; import it again.")
    if outline.outputs:
        net.head, net.classes = Chosen(outline.outputs), len(outline.outputs)
    if net.classes != classes:
        raise SpecError(f"{outline.name} tells {net.classes} classes apart, not {classes}.")
    return net


class Chosen(nn.Module):
    """Some of the scores of a head that knows more classes than the images have."""

    def __init__(self, outputs: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("outputs", torch.tensor(list(outputs)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, all classes) to (B, chosen classes)."""
        return x[:, self.outputs]


def scores(name: str, weights: Weights | None, published: bool) -> int:
    """How many classes the classifier of a file, or of the published weights, tells apart; 0 where that cannot be told."""
    if weights is None:
        import timm

        cfg = timm.models.get_pretrained_cfg(name, allow_unregistered=True) if published and name not in PUBLISHED else None
        return int(cfg.num_classes or 0) if cfg is not None else 0
    state = PUBLISHED[name].rename(weights.state) if name in PUBLISHED else weights.state
    ends = ("head.weight", "fc.weight", "classifier.weight", "head.fc.weight", "head.l.weight", "last_linear.weight", "classifier.1.weight")
    found = [tensor.shape[0] for word, tensor in state.items() if word in ends and tensor.dim() in (2, 4)]
    return int(found[-1]) if found else 0


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, deviation) that the published weights of a net want their images normalised with; ImageNet's where timm does not know."""
    if name in PUBLISHED:
        return PUBLISHED[name].mean, PUBLISHED[name].std
    import timm

    cfg = timm.models.get_pretrained_cfg(name, allow_unregistered=True)
    mean, std = (cfg.mean, cfg.std) if cfg is not None else (PHOTO_MEAN, PHOTO_STD)
    return tuple(map(float, mean)), tuple(map(float, std))


def load(model: nn.Module, weights: Weights, name: str, new_head: bool = False) -> tuple[str, ...]:
    """Put weights into a timm net; names that older files use are translated.  Gives the names that stay random; raises as `build`."""
    state = PUBLISHED[name].rename(weights.state) if name in PUBLISHED else dict(weights.state)
    if name not in PUBLISHED and compare(model, state):
        state = _translated(model, state)
    return fit(model, state, weights.name, _classifier(model) if new_head else ())


def _translated(model: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """The weights under timm's names and sizes where timm has a translation for this family, else as they are."""
    import sys

    translate = getattr(sys.modules.get(type(model).__module__), "checkpoint_filter_fn", None)
    if translate is None:
        return state
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = translate(dict(state), model)
    except (KeyError, ValueError, RuntimeError, AttributeError, TypeError, IndexError):
        return state  # made for other files: the mismatch is then told in the file's own names
    return found if len(compare(model, found).said) <= len(compare(model, state).said) else state


def _classifier(model: nn.Module) -> tuple[str, ...]:
    named = getattr(model, "pretrained_cfg", {}).get("classifier") or ("head", "fc", "classifier")
    return (named,) if isinstance(named, str) else tuple(named)


def _check(name: str, image_size: int, classes: int, channels: int) -> None:
    bare, dot, tag = name.partition(".")
    if bare not in every():
        near = difflib.get_close_matches(bare, every(), 4, 0.5)
        close = f" Did you mean {', '.join(near)}?" if near else " Search by a part of the name, for example resnet or vit_tiny."
        raise SpecError(f"There is no net {name!r:.80} in timm.{close}")
    if dot and name not in PUBLISHED:
        import timm

        known = [full.partition(".")[2] for full in timm.list_pretrained(f"{bare}.*")]
        if tag not in known:
            has = f"those that it has are {', '.join(known[:6])}" if known else "it has none"
            raise SpecError(f"{bare} has no published weights called {tag!r:.60}; {has}.")
    for what, value, low, high in (
        ("image size", image_size, 8, 1024),
        ("number of classes", classes, 2, 100_000),
        ("number of channels", channels, 1, 16),
    ):
        if type(value) is not int or not low <= value <= high:
            raise SpecError(f"The {what} is {value!r:.40}; it should be a whole number from {low} to {high}.")
    if name in PUBLISHED and image_size != PUBLISHED[name].image_size:
        raise SpecError(f"{name} takes images of {PUBLISHED[name].image_size} pixels, not {image_size}.")


def _made(name: str, image_size: int, classes: int, channels: int, pretrained: bool) -> nn.Module:
    if name in PUBLISHED:
        if pretrained:
            raise StoreError(f"The weights of {name} are not fetched; get the authors' file {PUBLISHED[name].file}_….pth.tar and give it.")
        return PUBLISHED[name].make(classes, channels)
    import timm

    settings: dict[str, Any] = {"num_classes": classes, "in_chans": channels, "pretrained": pretrained}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return timm.create_model(name, img_size=image_size, **settings)
            except TypeError as error:
                if "img_size" not in str(error):
                    raise
                return timm.create_model(name, **settings)
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError) as error:
        if pretrained and not isinstance(error, AssertionError):
            raise StoreError(
                f"The published weights of {name} could not be had ({_short(error)}); give a file with its weights."
            ) from error
        raise _unfit(name, image_size, error) from error
    except OSError as error:  # no network, or no such file on the hub
        raise StoreError(
            f"The published weights of {name} could not be fetched ({type(error).__name__}); give a file with its weights."
        ) from error


def _unfit(name: str, image_size: int, error: Exception) -> SpecError:
    return SpecError(f"{name} cannot be built for images of {image_size} pixels ({_short(error)}). {_usual(name)}")


def _usual(name: str) -> str:
    import timm

    cfg = timm.models.get_pretrained_cfg(name, allow_unregistered=True) if name not in PUBLISHED else None
    return f"It was made for {cfg.input_size[-1]} pixels." if cfg is not None and cfg.input_size else "Try a larger size."


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text if len(text) <= 100 else f"{text[:97]}...") or type(error).__name__


def describe(net: ZooNet) -> dict[str, Any]:
    """What a run of this net stores, as JSON: pages draw from it without torch.  `flops` of one image are counted by running it once."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    first = next(net.parameters())
    with counter, torch.no_grad():
        net(torch.zeros(1, net.channels, net.image_size, net.image_size, device=first.device, dtype=first.dtype))
    kinds = {unit.kind for unit in net.units}
    family = "hybrid" if {"conv", "msa"} <= kinds else "msa" if kinds & {"msa", "mix"} else "conv"
    return {
        "name": net.name, "image_size": net.image_size, "classes": net.classes, "channels": net.channels, "level": net.level,
        "why": net.why, "prefix": net.prefix, "family": family, "params": sum(p.numel() for p in net.parameters()),
        "flops": counter.get_total_flops(),
        "source": net.source, "units": [dataclasses.asdict(unit) for unit in net.units],
        "attention": sorted(net.looking()),
    }  # fmt: skip
