"""Devices of this machine, and who has them.  A lease is a file lock that the kernel frees when its last holder is gone.

The files lie in one place per machine, not per data folder: two labs share the same GPUs.
"""

import contextlib
import fcntl
import os
import platform
import re
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core import io
from core.errors import JobError
from core.jobs import processes, record

#: `cuda` is any GPU; `network` is what downloads wait for
DEVICE = re.compile(r"cpu|mps|network|cuda(:\d{1,2})?")
#: seconds that an answer about programs on GPUs stands, and that the driver has to answer
FRESH_S, PATIENCE_S = 5.0, 3.0
#: files of drivers: there is a GPU, though no tool tells of it
NODES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True, kw_only=True)
class Device:
    """Something that one job at a time computes on: its name for jobs, the name of its lease, and words."""

    id: str
    lease: str
    title: str
    uuid: str = ""


def folder() -> Path:
    """Where this machine's leases lie; every user may write there."""
    place = Path(os.environ.get("ALTERLAB_LEASES") or "/var/tmp/alterlab-leases")
    if not place.is_dir():
        with contextlib.suppress(FileExistsError):
            place.mkdir(parents=True)
            place.chmod(0o1777)
    return place


def _open(name: str) -> int:
    """Open a lease's file without trusting what lies there: another user may have made it."""
    path, flags = folder() / f"{name}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        try:
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(handle, 0o666)
        except FileExistsError:
            handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise JobError(f"{path} is not a plain file; delete it.")
    return handle


def take(device: Device) -> int | None:
    """The lease of a device as an open file, to be handed to the processes that use it; None if somebody has it."""
    try:
        handle = _open(device.lease)
    except OSError as error:
        raise JobError(f"The lease of {device.title} cannot be opened: {error}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def held(device: Device) -> bool:
    """Whether some job has the device now."""
    try:
        handle = _open(device.lease)
    except (OSError, JobError):
        return False
    return record.locked(handle)


# ---- devices


_late: dict[tuple[str, ...], tuple[float, subprocess.Popen[str]]] = {}


def _ask(*query: str) -> list[list[str]] | None:
    """Rows that NVIDIA's driver tool prints; None if there is no tool or no answer.

    One that hangs in the driver cannot be killed: it is left alone, and what it says within two minutes is the next one's answer.
    """
    tool, now = shutil.which("nvidia-smi"), time.monotonic()
    since, child = _late.pop(query, (now, None))
    patience = 0.01
    if child is None or now - since > 600:
        if not tool:
            return None
        try:
            child = subprocess.Popen(
                [tool, *query, "--format=csv,noheader,nounits"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        except OSError:
            return None
        since, patience = now, PATIENCE_S
    try:
        said, _ = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        _late[query] = since, child
        return None
    if child.returncode != 0 or now - since > 120:
        return None
    return [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]


#: the GPUs when the driver last answered
_last: list[tuple[Device, ...]] = [()]


@lru_cache(maxsize=2)
def _gpus(moment: int) -> tuple[Device, ...]:
    found, rows = [], _ask("--query-gpu=index,uuid,name")
    if rows is None and shutil.which("nvidia-smi"):
        return _last[-1]  # by another name a GPU would have another lease
    for row in rows or []:
        if len(row) == 3 and row[0].isdecimal() and re.fullmatch(r"[A-Za-z0-9-]{1,64}", row[1]):
            found.append(Device(id=f"cuda:{row[0]}", lease=f"cuda-{row[1]}", title=f"{row[2][:60]} (cuda:{row[0]})", uuid=row[1]))
    if not found and any(Path(node).exists() for node in NODES):
        found.append(Device(id="cuda:0", lease="cuda-0", title="GPU"))  # no tool tells more of it
    _last[:] = [tuple(found)]
    return _last[-1]


def gpus() -> tuple[Device, ...]:
    """The NVIDIA GPUs of this machine, known by UUID; asked of the driver at most once a minute."""
    return _gpus(int(time.monotonic() // 60))


def devices(kind: str) -> tuple[Device, ...]:
    """What a job that asks for `kind` may get one of."""
    if kind.startswith("cuda"):
        return tuple(gpu for gpu in gpus() if kind in ("cuda", gpu.id))
    if kind == "network":
        return tuple(Device(id="network", lease=f"network-{n}", title="network") for n in range(2))
    if kind == "mps":
        return (Device(id="mps", lease="mps", title="Apple GPU"),)
    slots = io.cpu_jobs()
    return tuple(Device(id="cpu", lease=f"cpu-{n}", title="CPU" if slots == 1 else f"CPU place {n + 1}") for n in range(slots))


def canonical(device: object) -> str:
    """`cpu`, `mps`, `network`, `cuda` or `cuda:<n>`; `auto` is the best there is.  JobError if it is no device.

    Asks the driver and not torch, which would cost seconds.
    """
    if device in ("", "auto"):
        if gpus():
            return "cuda"
        return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"
    if not isinstance(device, str) or not DEVICE.fullmatch(device):
        raise JobError(f"There is no device {str(device)[:40]!r}. Known: auto, cpu, cuda, cuda:0, mps.")
    return device


_strangers: dict[str, tuple[float, str]] = {}


def stranger(device: Device) -> str:
    """Which program that is no job of a lab computes on a GPU, in words; "" if none, as far as the driver tells."""
    known = _strangers.get(device.uuid)
    if not device.uuid or (known and time.monotonic() - known[0] < FRESH_S):
        return known[1] if known else ""
    rows = _ask("--query-compute-apps=gpu_uuid,pid,process_name")
    words = "" if rows is not None else "unknown: its driver does not answer"
    for row in rows or []:
        if row[0] == device.uuid and not (row[1].isdecimal() and processes.attempt_of(int(row[1]))):
            words = f"busy elsewhere: {Path(row[2]).name[:40] if len(row) > 2 else 'a program'} (process {row[1][:10]})"
    _strangers[device.uuid] = (time.monotonic(), words)
    return words
