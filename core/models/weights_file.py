"""Weights from a file of unknown origin: nothing in it is run, and no more is read than the file holds.

`.safetensors`, or what `torch.save` writes (`.pth`, `.pt`, `.pth.tar`, `.bin`), which is only read by torch's loader of plain weights.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import StoreError
from core.io import digest_file

#: Largest file that is read [bytes].
LIMIT = 8 * 2**30
ENDINGS = (".safetensors", ".pth", ".pt", ".pth.tar", ".bin")
#: Where checkpoints keep the weights among other things, the averaged ones first, as timm does.
KEYS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict", "net", "module", "weights")
#: What wrappers put in front of every name.
PREFIXES = ("module.", "_orig_mod.", "model.")
_MOST_TENSORS, _MOST_INDEX, _SHOWN = 100_000, 100_000_000, 4


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors by name as a file holds them, on the processor.  `key` is where in the file they lay, `left` what lay beside them.

    `digest` is of the file, 16 hex digits; `bytes` its size.
    """

    state: dict[str, Tensor]
    digest: str
    bytes: int
    name: str
    key: str = ""
    left: tuple[str, ...] = ()


def read_weights(path: Path, limit: int = LIMIT) -> Weights:
    """The weights in a file.  StoreError in one plain sentence for a file that is no such file, is too large, damaged or may hold code."""
    path = Path(path)
    name = path.name if len(path.name) <= 60 else f"{path.name[:40]}…{path.name[-16:]}"
    if not path.is_file():
        raise StoreError(f"There is no file {name}.")
    if not path.name.lower().endswith(ENDINGS):
        raise StoreError(f"{name} does not end like a file of weights; it should end in one of {', '.join(ENDINGS)}.")
    size = path.stat().st_size
    if size == 0:
        raise StoreError(f"{name} is empty.")
    if size > limit:
        raise StoreError(f"{name} has {size / 1e9:.1f} GB; at most {limit / 1e9:.1f} GB are read.")
    loaded = _safetensors(path, name) if path.name.lower().endswith(".safetensors") else _torch(path, name)
    inner, key = _unpacked(loaded, name)
    state = {word: value for word, value in inner.items() if isinstance(word, str) and isinstance(value, Tensor)}
    if not state:
        raise StoreError(f"{name} holds no weights: no tensor with a name was found in it.")
    _check(state, name, size)
    outside = [str(word)[:60] for word in loaded if word != key] if key else []
    left = sorted([*outside, *(str(word)[:60] for word in inner if word not in state)])
    state = {word: value.clone() for word, value in state.items()}  # away from the mapped file
    return Weights(state=_bare(state), digest=digest_file(path), bytes=size, name=name, key=key, left=tuple(left))


def _safetensors(path: Path, name: str) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, RuntimeError, MemoryError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{name} is no whole .safetensors file ({_short(error)}); get it again.") from error


def _torch(path: Path, name: str) -> Mapping[Any, Any]:
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _check_archive(path, name)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):  # timm stores its settings beside the weights
            warnings.simplefilter("ignore")
            # mapped: what the index claims can then never reach beyond the file
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # whatever a hostile file makes the loader do
        text = str(error)
        if re.search(r"Unsupported (global|class)|Trying to (call|instantiate)|can only (build|reduce)", text, re.I):
            named = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", text)
            what = named[1] if named else "an object"
            raise StoreError(
                f"{name} holds more than weights ({what[:60]}), which could run as a program; ask for a .safetensors file, "
                "or save only its state_dict."
            ) from error
        why = "" if "weights_only" in text else f" ({_short(error)})"  # the loader's advice is to open the file unsafely
        raise StoreError(f"{name} cannot be read: it is no file of weights, or it is damaged or incomplete{why}.") from error
    if isinstance(loaded, Tensor):
        raise StoreError(f"{name} holds a single tensor, not the named weights of a net.")
    if not isinstance(loaded, Mapping):
        raise StoreError(f"{name} holds a {type(loaded).__name__}, not the named weights of a net.")
    return loaded


def _check_archive(path: Path, name: str) -> None:
    """StoreError for an archive that torch did not write: packed parts (which may unpack without end), or far too many."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        # NotImplementedError: zipfile's own, for packing it does not know
        raise StoreError(f"{name} is a damaged archive; get it again.") from error
    names = [part.filename for part in parts]
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise StoreError(f"{name} is a packed archive; torch.save does not pack, so it is not opened.")
    if len(parts) > _MOST_TENSORS:
        raise StoreError(f"{name} is an archive of {len(parts):,} parts; at most {_MOST_TENSORS:,} are read.")
    if any("/code/" in part or part.endswith("constants.pkl") for part in names):
        raise StoreError(f"{name} is a TorchScript program, not a file of weights; save the net's state_dict instead.")
    index = [part for part in parts if part.filename.endswith("data.pkl")]
    if len(index) != 1:
        raise StoreError(f"{name} is an archive, but none that torch.save wrote.")
    if index[0].file_size > _MOST_INDEX:
        raise StoreError(f"{name} has an index of {index[0].file_size / 1e6:.0f} MB, which no file of weights needs.")


def _unpacked(loaded: Mapping[Any, Any], name: str) -> tuple[Mapping[Any, Any], str]:
    """The weights inside what was loaded, and the key under which they lay ("" where nothing was around them)."""
    if any(isinstance(value, Tensor) for value in loaded.values()):
        return loaded, ""
    for key in KEYS:
        if isinstance(inner := loaded.get(key), Mapping) and inner:
            deeper, below = _unpacked(inner, name) if not any(isinstance(v, Tensor) for v in inner.values()) else (inner, "")
            return deeper, f"{key}.{below}" if below else key
    held = ", ".join(str(key)[:30] for key in list(loaded)[:6])
    raise StoreError(
        f"{name} holds no weights under a known name. It holds {held or 'nothing'}; weights are looked for under {', '.join(KEYS)}."
    )


def _check(state: dict[str, Tensor], name: str, size: int) -> None:
    """StoreError for tensors of unusual kinds, or that claim more than the file can hold."""
    if len(state) > _MOST_TENSORS:
        raise StoreError(f"{name} holds {len(state):,} tensors; at most {_MOST_TENSORS:,} are read.")
    total = 0
    for word, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
            raise StoreError(f"{name}: {word[:60]} is a tensor of a kind that the lab does not read (sparse, quantised or complex).")
        needed = value.numel() * value.element_size()
        if needed > value.untyped_storage().nbytes():
            raise StoreError(f"{name}: {word[:60]} claims {tuple(value.shape)}, more numbers than the file holds.")
        total += needed
    if total > 2 * size + 2**20:
        raise StoreError(f"{name} claims {total / 1e9:.1f} GB of numbers in a file of {size / 1e9:.3f} GB.")
    if odd := [word for word, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]:
        raise StoreError(f"{name}: {odd[0][:60]} holds numbers that are not finite ({len(odd)} of {len(state)} tensors do).")


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without what a wrapper put in front of all of them."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if all(word.startswith(prefix) for word in state):
                state = {word.removeprefix(prefix): value for word, value in state.items()}
    return state


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text if len(text) <= 120 else f"{text[:117]}...") or type(error).__name__


# ---- into a net


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """What keeps weights from fitting a net, each as readable lines."""

    shapes: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything does not fit."""
        return bool(self.shapes or self.missing or self.unexpected)

    @property
    def said(self) -> str:
        """A few of each kind and how many there are."""
        parts = []
        for words, lines in (
            ("of another size", self.shapes), ("missing in the file", self.missing),
            ("in the file, but not part of the net", self.unexpected),
        ):  # fmt: skip
            if lines:
                rest = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
                parts.append(f"{len(lines)} {words}: {', '.join(lines[:_SHOWN])}{rest}")
        return "; ".join(parts)


def compare(model: nn.Module, state: Mapping[str, Tensor]) -> Mismatch:
    """What does not fit; counters that a net may lack are no mismatch."""
    own = model.state_dict()
    known = [word for word in own if word in state]
    return Mismatch(
        shapes=tuple(
            f"{word} {_size(state[word])}, the net has {_size(own[word])}" for word in known if state[word].shape != own[word].shape
        ),
        missing=tuple(word for word in own if word not in state and not word.endswith("num_batches_tracked")),
        unexpected=tuple(word for word in state if word not in own and not word.endswith("num_batches_tracked")),
    )


def fit(model: nn.Module, state: Mapping[str, Tensor], name: str, fresh: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Put weights into a net, all or none.  What lies under `fresh` and does not fit stays as the net has it; those names come back.

    StoreError with a readable list where anything else does not fit.
    """
    own = model.state_dict()
    fits = {word: value for word, value in state.items() if word in own and value.shape == own[word].shape}
    kept = tuple(word for word in own if word not in fits and word.startswith(tuple(f"{part}." for part in fresh)))
    rest = {word: value for word, value in state.items() if word not in kept and (word in own or not _under(word, fresh))}
    found = compare(model, {**rest, **{word: own[word] for word in kept}})
    if found:
        raise StoreError(f"The weights in {name} do not fit the net. {found.said}.")
    model.load_state_dict({word: fits.get(word, there).to(there.dtype) for word, there in own.items()})
    return kept


def _under(word: str, fresh: tuple[str, ...]) -> bool:
    return word.startswith(tuple(f"{part}." for part in fresh))


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
