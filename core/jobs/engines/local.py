"""This machine: a job starts as soon as it holds the lease of its device."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from core import io
from core.jobs import leases, processes, record
from core.jobs.engines import Claim, Engine, command, environment
from core.jobs.record import Job

_children: list[subprocess.Popen[bytes]] = []


def make(options: str = "") -> Engine:
    """The engine of this machine; it has no options."""
    return Local()


class Local:
    """Starts attempts as children in sessions of their own; their parent's death does not touch them."""

    name = "local"

    def claim(self, job: Job, live: int) -> Claim | str:
        """Leases for all devices that a job wants, or none."""
        wanted = leases.devices(job.device)
        if len(wanted) < job.devices:
            return f"This machine has {len(wanted)} of the {job.devices} devices {job.device!r} that it needs."
        got: list[leases.Device] = []
        handles: list[int] = []
        why = ""
        for device in wanted:
            if (handle := leases.take(device)) is None:
                continue
            if stranger := leases.stranger(device):
                why = f"{device.title} is {stranger}."
                os.close(handle)
                continue
            got.append(device)
            handles.append(handle)
            if len(got) == job.devices:
                break
        if len(got) < job.devices:
            for handle in handles:
                os.close(handle)
            return why
        env = {}
        if job.device != "mps" and not (job.device.startswith("cuda") and not got[0].uuid):
            env["CUDA_VISIBLE_DEVICES"] = ",".join(device.uuid for device in got if device.uuid)
        return Claim(handles=tuple(handles), env=env, where=", ".join(device.title for device in got))

    def start(self, job: Job, attempt: Path, claim: Claim) -> None:
        """Start the shepherd with the lock that says it lives already in its hands."""
        alive = record.hold(attempt)
        try:
            env = {**os.environ, **environment(claim), "ALTERLAB_ALIVE_FD": str(alive), "ALTERLAB_WHERE": claim.where}
            env.pop(processes.MARK, None)
            with (attempt / "shepherd.log").open("ab") as log:
                _children.append(
                    subprocess.Popen(
                        command(attempt), cwd=io.CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True, pass_fds=(alive, *claim.handles),
                    )
                )  # fmt: skip
        except OSError as error:
            record.write_slot(attempt / "exit.slot", {"code": None, "launch": f"{error}.", "ended": record.now()})
        finally:
            os.close(alive)

    def poll(self, attempts: Sequence[Path]) -> dict[Path, str]:
        """Asks the lock that the kernel holds for each shepherd."""
        for child in _children.copy():
            if child.poll() is not None:
                _children.remove(child)
        return {attempt: "running" if record.alive(attempt) else "ended" for attempt in attempts}

    def stop(self, attempt: Path, hard: bool) -> None:
        """The shepherd sees the request's file itself; what is left after its death is ended here."""
        if hard:
            processes.end(attempt)
