"""Where and in which precision to compute; chosen by what was measured, stated in every run."""

import contextlib
import os
import platform
from pathlib import Path

import torch

from core.errors import TrainError


def resolve(name: str = "auto") -> torch.device:
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.  TrainError if it is not there."""
    if name in ("", "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TrainError(f"There is no device {name[:40]!r}. Known: auto, cpu, cuda, cuda:0, mps.") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise TrainError(f"The device {name} is not on this machine, which has {torch.cuda.device_count()} CUDA devices. Use auto or cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise TrainError("The device mps is not on this machine. Use auto or cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise TrainError(f"Devices of type {device.type} are not supported. Known: auto, cpu, cuda, cuda:0, mps.")
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware (elsewhere autocast would be slower than fp32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    with contextlib.suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text()
        return "avx512_bf16" in flags or "amx_bf16" in flags or "bf16" in flags.partition("Features")[2].split("\n")[0].split()
    return False


def precision(wanted: str, device: torch.device) -> torch.dtype:
    """bf16 or fp32 from a recipe's `precision`."""
    if wanted == "bf16" or (wanted == "auto" and has_bf16(device)):
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The autocast context for a precision; off for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def attention_form(device: torch.device, dtype: torch.dtype) -> str:
    """Plain softmax attention for bf16 training on CPUs (twice as fast there), SDPA elsewhere."""
    return "plain" if device.type == "cpu" and dtype == torch.bfloat16 else "sdpa"


def describe(device: torch.device) -> dict[str, object]:
    """What a run records about the machine: {device, hardware, threads}."""
    if device.type == "cuda":
        return {"device": str(device), "hardware": torch.cuda.get_device_name(device), "threads": torch.get_num_threads()}
    return {"device": device.type, "hardware": processor(), "threads": torch.get_num_threads()}


def processor() -> str:
    """The processor's name and core count, as the system tells it."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores"
