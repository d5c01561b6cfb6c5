"""A Ray cluster of two machines with one made-up GPU each, for tests.

Ray is no part of the lab: `make test-ray` installs it beside it and runs these tests in a network that holds this machine's loopback
only, because whoever reaches a cluster may run anything there.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core import io

#: the `ray` program; set by `make test-ray`
RAY = os.environ.get("ALTERLAB_TEST_RAY", "")
needs_ray = pytest.mark.skipif(not RAY, reason="needs a Ray cluster; `make test-ray` makes one")

HEAD, PORT, DASHBOARD = "127.0.0.1", 6379, 8265

#: stands for a machine: whatever is started below stays below, so that all of it can be found and ended
MACHINE = """
import os, subprocess, sys
from core.jobs import processes
processes.adopt_orphans()
print(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=100).returncode, flush=True)
while True:
    os.wait()
"""


@dataclass
class Cluster:
    """A running cluster; `env` is what a lab has to be told to use it."""

    folder: Path
    settings: dict[str, str]
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    machines: list[subprocess.Popen[bytes]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def env(self) -> dict[str, str]:
        return {"ALTERLAB_ENGINE": f"ray:http://{HEAD}:{DASHBOARD}", "RAY_AUTH_TOKEN": self.token}

    def start_node(self) -> None:
        """Add a machine with one GPU and two CPUs; the first is the head."""
        number = len(self.machines)
        as_head = ["--head", f"--port={PORT}", f"--dashboard-host={HEAD}", f"--dashboard-port={DASHBOARD}", f"--temp-dir={self.folder}/t"]
        as_node = [f"--address={HEAD}:{PORT}", f"--dashboard-agent-listen-port={52365 + number}"]
        env = {
            **os.environ,
            **{"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"},
            # a dead machine is noticed after 3 s instead of 20
            **{"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "1000", "RAY_health_check_failure_threshold": "3"},
            **self.settings,
        }
        ray = [RAY, "start", *(as_head if number == 0 else as_node), f"--node-ip-address={HEAD}", "--num-gpus=1", "--num-cpus=2"]
        ray += ["--object-store-memory=80000000", "--include-log-monitor=false", "--disable-usage-stats"]
        begun = time.monotonic()
        log = self.folder / f"machine-{number}.log"
        with log.open("wb") as file:
            machine = subprocess.Popen(
                [sys.executable, "-c", MACHINE, *ray],
                cwd=io.CHECKOUT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
            )
        self.machines.append(machine)
        assert machine.stdout
        if machine.stdout.readline() != b"0\n":
            raise RuntimeError(f"Ray did not start: {log.read_text()[-3000:]}")
        self.seconds += time.monotonic() - begun

    def processes(self, node: int | None = None) -> dict[int, str]:
        """Living processes with their command line: of one machine, its jobs included, or of all."""
        parents, lines = {}, {}
        for place in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # ended just now
                if place.name.isdecimal():
                    state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
                    if state not in "ZX":
                        parents[int(place.name)] = int(parent)
                        lines[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        found = {machine.pid for machine in (self.machines if node is None else [self.machines[node]])}
        machines = found.copy()
        while below := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= below
        return {pid: lines[pid] for pid in found - machines if pid in lines}

    def node_of(self, pid: int) -> int:
        """Number of the machine on which a process runs."""
        return next(node for node in range(len(self.machines)) if pid in self.processes(node))

    def kill_node(self, node: int = 1) -> None:
        """Kill the daemon of a machine, and nothing else of it; `start_node` gives the cluster a new machine."""
        self._kill(node, "/raylet/raylet ")

    def kill_head(self) -> None:
        """Kill the head's memory: the cluster forgets everything, and its address stays silent for a minute before it refuses."""
        self._kill(0, "/gcs/gcs_server ")

    def _kill(self, node: int, word: str) -> None:
        pids = [pid for pid, line in self.processes(node).items() if word in line]
        assert pids, f"nothing to kill: {self.processes(node)}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill everything, also what is started meanwhile."""
        patience = time.monotonic() + 20
        while pids := self.processes():
            if time.monotonic() > patience:
                raise RuntimeError(f"These processes of the cluster cannot be ended: {pids}")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for machine in self.machines:
            machine.kill()
            machine.communicate()


@contextlib.contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Two machines on this one, torn down completely.  `settings` are environment variables of Ray's own processes."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        outside = probe.connect_ex(("192.0.2.1", 9)) == 0
    if outside:
        raise RuntimeError("A cluster is started only in a network of its own (make test-ray).")
    # short: Ray's sockets lie below, and their paths may have 107 characters
    place = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    lab = Cluster(folder=place, settings=settings)
    try:
        lab.start_node()
        lab.start_node()
        yield lab
    finally:
        lab.end()
        shutil.rmtree(place)
