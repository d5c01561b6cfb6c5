"""One training as several processes of one node: who takes which share of a batch, and how they agree.

torchrun starts the processes and tells each its place.  All make the same batches from the same seed and each takes a share of every
batch; the gradients are added up once after the backward pass, weighted by share, so that a step is the step of one process on the whole
batch.  That is an all_reduce of ours and not DistributedDataParallel: the gradient is whole where SAM, the clip and the optimiser take
it, the net stays the net that is averaged, stored and loaded, shares may differ in size, and nets of a few million weights gain nothing
from sending while they compute.
"""

import datetime
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import LabError, TrainError
from core.jobs import Cancelled

#: How long a process waits for the others; one that is gone is noticed at once, this is for one that hangs.
WAIT = datetime.timedelta(hours=2)
GONE = "A process of this training has ended before the others; its last lines in the log say why."
#: Each meeting of this process with the others leaves its addresses under a number of its own.
_MEETINGS = itertools.count()


class PeerLost(TrainError):
    """Another process of this training is gone, so this one cannot go on; the cause is the other's."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of one training, seen from one of them; alone it costs nothing."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and speaks for all."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Which of `n` rows are this process's: consecutive ones, as many as the others have or one more."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place; the same bits in each.  Raises PeerLost."""
        if self.size > 1:
            import torch.distributed as dist

            try:
                dist.all_reduce(values)
            except RuntimeError as error:
                raise PeerLost(GONE) from error
        return values

    def number(self, value: float) -> float:
        """The sum of a number over all processes."""
        return value if self.size == 1 else self.total(torch.tensor(value, dtype=torch.float64, device=self.device)).item()

    def any(self, wish: bool) -> bool:
        """Whether one of the processes wishes it; the answer is the same in all, and they wait for each other."""
        return self.number(float(wish)) > 0

    def add_up(self, tensors: list[Tensor]) -> None:
        """Put the sum over all processes into each of the tensors, in one message."""
        flat = self.total(torch.cat([t.reshape(-1) for t in tensors]))
        parts = flat.split([t.numel() for t in tensors])
        torch._foreach_copy_(tensors, [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)])


def ranks() -> tuple[int, int]:
    """(rank, processes) as torchrun tells them; (0, 1) for a process that was started alone.  TrainError if they make no sense."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    told = {name: os.environ.get(name, "") for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    if not all(value.isdecimal() for value in told.values()) or int(told["RANK"]) >= int(told["WORLD_SIZE"]):
        said = ", ".join(f"{name}={value[:20]!r}" for name, value in told.items())
        raise TrainError(f"The environment gives no place among the processes of a training ({said}). Start them with torchrun.")
    if told["RANK"] != told["LOCAL_RANK"]:
        raise TrainError("The processes of one training have to run on one machine; these are spread over several.")
    return int(told["RANK"]), int(told["WORLD_SIZE"])


@contextmanager
def join(device: torch.device) -> Iterator[Team]:
    """Meet the other processes, if there are any; each takes a GPU of its own (nccl), or all compute on the CPU (gloo).

    Raises TrainError if the devices do not suffice.
    """
    rank, size = ranks()
    if size == 1:
        yield Team(device=device)
        return
    if device.type not in ("cpu", "cuda"):
        raise TrainError(f"Several processes cannot train on {device.type}; only on CUDA devices or the CPU.")
    if device.type == "cuda":
        if device.index is not None:
            raise TrainError(f"Each of {size} processes takes a GPU of its own. Ask for cuda, not {device}.")
        if torch.cuda.device_count() < size:
            raise TrainError(f"{size} processes need {size} GPUs; {torch.cuda.device_count()} are here.")
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    import torch.distributed as dist

    gpu, together = device.type == "cuda", False
    try:
        store, *_ = next(dist.rendezvous("env://", rank, size, timeout=WAIT))
        store = dist.PrefixStore(f"training/{next(_MEETINGS)}", store)
        dist.init_process_group(
            "nccl" if gpu else "gloo", store=store, rank=rank, world_size=size, timeout=WAIT, device_id=device if gpu else None
        )
    except RuntimeError as error:
        raise PeerLost(GONE) from error
    try:
        yield Team(device=device, rank=rank, size=size)
        together = True
    except (Cancelled, LabError) as error:
        together = not isinstance(error, PeerLost)
        raise
    finally:
        # nccl takes leave together: after an error that is this process's own nobody else comes, and it would wait for ever
        if together or not gpu:
            dist.destroy_process_group()
