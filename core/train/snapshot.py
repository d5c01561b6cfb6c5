"""Weights and resume points on disk: safetensors for tensors, JSON for the rest, written aside and renamed."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from core.errors import StoreError
from core.io import write_atomic


def rounded(net: nn.Module) -> bytes:
    """A net as it is stored: matrices rounded to fp16, vectors and statistics in full.  What is stored is what is measured."""
    state = {
        name: (t.detach().half() if t.ndim > 1 and t.is_floating_point() else t.detach()).cpu().contiguous()
        for name, t in net.state_dict().items()
    }
    return save(state)


def save_weights(net: nn.Module, path: Path) -> None:
    """Store a net, rounded."""
    write_atomic(path, rounded(net))


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill a net from `save_weights`' file; StoreError lists what does not fit."""
    fill(net, path.read_bytes(), path.name)


def fill(net: nn.Module, stored: bytes, name: str) -> None:
    """Fill a net from what `rounded` made; StoreError, with the `name`, lists what does not fit."""
    try:
        state = load(stored)
    except Exception as error:
        raise StoreError(f"The weights {name} cannot be read ({type(error).__name__}); train the net again.") from error
    own = net.state_dict()
    odd = [f"{n}: {tuple(state[n].shape)}, not {tuple(own[n].shape)}" for n in own if n in state and state[n].shape != own[n].shape]
    odd += [f"{n} is missing" for n in own if n not in state] + [f"{n} is not part of this net" for n in state if n not in own]
    if odd:
        raise StoreError(f"The weights do not fit the net: {'; '.join(odd[:5])}{'; …' if len(odd) > 5 else ''}.")
    net.load_state_dict({name: t.to(own[name].dtype) for name, t in state.items()})


def save_point(folder: Path, net: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module | None, info: dict) -> None:
    """Everything that training needs to go on as if never stopped; the former point is kept as `previous`."""
    tensors = {f"net/{n}": t for n, t in net.state_dict().items()}
    if average is not None:
        tensors |= {f"ema/{n}": t for n, t in average.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"opt/{index}/{n}": t for n, t in values.items() if isinstance(t, Tensor)}
    data = save({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, {"info": json.dumps(info)})
    last = folder / "last.safetensors"
    if last.exists():
        last.replace(folder / "previous.safetensors")
    write_atomic(last, data)


def load_point(folder: Path, net: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module | None) -> dict | None:
    """Restore the newest readable point and return its info; None if there is none."""
    for name in ("last", "previous"):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            continue
        try:
            with safe_open(path, "pt") as file:
                info = json.loads(file.metadata()["info"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        except Exception:  # a torn file: the one before it is whole
            continue
        net.load_state_dict({k.removeprefix("net/"): t for k, t in tensors.items() if k.startswith("net/")})
        if average is not None:
            average.load_state_dict({k.removeprefix("ema/"): t for k, t in tensors.items() if k.startswith("ema/")})
        state = optimiser.state_dict()
        state["state"] = {}
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for key, t in tensors.items():
            if key.startswith("opt/"):
                _, index, field = key.split("/")
                like = parameters[int(index)]
                # fused optimisers walk memory side by side: moments need the strides of their parameter (channels_last)
                state["state"].setdefault(int(index), {})[field] = torch.empty_like(like).copy_(t) if t.shape == like.shape else t
        optimiser.load_state_dict(state)
        return info
    return None
