"""A finished run leaves the lab: its weights as plain safetensors, or the whole net as ONNX.  The counterpart of `imports`."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from core import data, io, store
from core.errors import DataError, StoreError

#: What the ONNX exporter of PyTorch imports and does not bring along.
NEEDED = ("onnx", "onnxscript")


def safetensors(run_id: str) -> bytes:
    """A safetensors file of a finished run: fp32, under the names that its snippet has (core.snippet; those of timm for an imported net).

    What the net wants its images normalised with, and the names of its classes, stand in the file's metadata.  Needs no torch.
    StoreError if the run is not finished.
    """
    import numpy as np
    from safetensors.numpy import load, save

    _finished(run_id)
    state = load(store.weights(run_id).read_bytes())
    plain = {name.removeprefix("model."): t.astype(np.float32) if t.dtype == np.float16 else t for name, t in state.items()}
    return save(plain, {"format": "pt", **_facts(run_id)})


def onnx(run_id: str) -> bytes:
    """An ONNX file of a finished run: `images` (batch, 3, H, W), normalised, to `logits` (batch, classes), for a batch of any size, fp32.

    StoreError if the run is not finished, if what the exporter needs is not installed, or if it cannot express the net.
    """
    _finished(run_id)
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise StoreError(
            f"To write ONNX, PyTorch needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"pip install {' '.join(missing)}"
        )
    import torch

    from core.models import build
    from core.train.snapshot import load_weights

    run = store.find(run_id)
    net = build(run.plan, run.image_size, run.classes, seed=0)
    load_weights(net, store.weights(run_id))
    net.attend("plain").eval().to(memory_format=torch.contiguous_format)  # the exporter stumbles over fused attention with a bias
    images = torch.zeros(2, 3, run.image_size, run.image_size)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(folder) / "net.onnx"
        try:
            program: Any = torch.onnx.export(
                net, (images,), input_names=["images"], output_names=["logits"], dynamo=True, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )  # fmt: skip
            program.model.metadata_props.update(_facts(run_id))
            program.save(place, external_data=False)
        except (RuntimeError, ValueError, TypeError) as error:
            cause = error.__cause__ or error
            said = " ".join(str(cause).split())[:120] or type(cause).__name__
            raise StoreError(f"PyTorch's exporter cannot express this net in ONNX ({said}).") from error
        if isinstance(program.model.graph.inputs[0].shape[0], int):  # a length read in a way that the exporter takes for a constant
            raise StoreError("PyTorch's exporter can only express this net in ONNX for one size of batch, so it is not exported.")
        return place.read_bytes()


FORMATS = {"safetensors": safetensors, "onnx": onnx}


def write(run_id: str, kind: str, to: Path) -> Path:
    """Write a run as one file, `to`/<run id>.<kind>; returns its path.  StoreError as `safetensors` and `onnx`."""
    path = to / f"{run_id}.{kind}"
    io.write_atomic(path, FORMATS[kind](run_id))
    return path


def _finished(run_id: str) -> None:
    if store.final(run_id) is None:
        raise StoreError(f"The run {run_id} is not finished; only finished runs are exported. Train it to the end first.")


def _facts(run_id: str) -> dict[str, str]:
    """What somebody needs to use the net: text only."""
    run = store.find(run_id)
    facts = {"net": run.arch, "run": run_id, "image_size": str(run.image_size)}
    try:
        card = data.card_for(run.plan, data.get(run.data))
    except DataError:  # images of one's own that were removed since
        return facts
    return facts | {name: json.dumps(value) for name, value in (("mean", card.mean), ("std", card.std), ("classes", card.classes))}
