"""A Slurm cluster for tests: one controller and two nodes on this machine, on loopback, in a folder that is gone afterwards.

    with cluster() as slurm:
        os.environ.update(slurm.env)

Nothing of the machine's own Slurm or munge is read or touched: configuration, key, socket and state lie in the folder.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "sinfo", "scancel")
#: Debian keeps daemons where an ordinary user's PATH does not look
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
#: the fake GPU of a node is a file that every machine has
NODES = {"n1": "/dev/null", "n2": "/dev/zero"}
#: seconds between a hard stop's SIGTERM and its SIGKILL
KILL_WAIT_S = 2

CONF = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[ctld]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={at}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={at}/state
SlurmctldPidFile={at}/ctld.pid
SlurmctldLogFile={at}/ctld.log
SlurmdSpoolDir={at}/%n
SlurmdPidFile={at}/%n.pid
SlurmdLogFile={at}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
SlurmctldTimeout=5
SlurmdTimeout=5
MessageTimeout=3
KillWait={kill_wait}
ReturnToService=2
GresTypes=gpu
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=1000 Gres=gpu:1 State=UNKNOWN\n"
PARTITION = "PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"


def missing() -> str:
    """The programs that a cluster needs and this machine has not, as words; "" if all are here."""
    return ", ".join(name for name in PROGRAMS if not shutil.which(name, path=SEARCH))


@dataclass
class Cluster:
    """`env` leads Slurm's commands here; `nodes` are the names of the nodes, each with one fake GPU and four CPUs."""

    at: Path
    env: dict[str, str]
    nodes: tuple[str, ...] = tuple(NODES)
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def say(self, *words: str) -> str:
        """What one of Slurm's commands prints; fails with its words if it fails."""
        done = subprocess.run(words, env=os.environ | self.env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def start_controller(self) -> None:
        """Start the controller, with what it had saved, and wait until it answers."""
        self._daemon("ctld", "slurmctld", "-D")
        self._until(lambda: self._asks("squeue", "--noheader"), "slurmctld answers")

    def kill_controller(self, at_once: bool = False) -> None:
        """SIGKILL to the controller.  First it is let write down its jobs (up to 5 s), unless `at_once`: then it forgets the latest."""
        if not at_once:
            saved, before = self.at / "state" / "job_state", time.time()
            self._daemons["ctld"].send_signal(signal.SIGHUP)
            self._until(lambda: saved.exists() and saved.stat().st_mtime > before, "slurmctld saves its jobs")
        self._kill("ctld")

    def start_node(self, name: str) -> None:
        """Start a node's daemon and wait until the node is in use again."""
        self._daemon(name, "slurmd", "-D", "-N", name)
        self._until(lambda: self.state(name) in ("idle", "mixed", "allocated"), f"node {name} is up")

    def kill_node(self, name: str) -> None:
        """SIGKILL to a node's daemon; what runs there lives on."""
        self._kill(name)

    def state(self, name: str) -> str:
        """A node's state in Slurm's words; a `*` at the end: it does not answer."""
        return self._asks("sinfo", "--noheader", "--Node", f"--nodes={name}", "--format=%T").strip()

    def processes(self) -> list[int]:
        """Everything of this cluster that lives: daemons, job steps, and what jobs have started."""
        return [pid for pid in _pids() if pid != os.getpid() and self._mark in _environ(pid)]

    @property
    def _mark(self) -> bytes:
        return f"SLURM_CONF={self.env['SLURM_CONF']}".encode()

    def _daemon(self, key: str, program: str, *words: str) -> None:
        path = shutil.which(program, path=SEARCH)
        assert path, f"no {program} on this machine"
        with (self.at / f"{key}.out").open("ab") as out:  # the working folder holds what a daemon leaves when it crashes
            self._daemons[key] = subprocess.Popen(
                [path, *words],
                env=os.environ | self.env,
                cwd=self.at,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _kill(self, key: str) -> None:
        daemon = self._daemons[key]
        daemon.kill()
        daemon.wait()

    def _asks(self, *words: str) -> str:
        done = subprocess.run(words, env=os.environ | self.env, capture_output=True, text=True, timeout=30, check=False)
        return (done.stdout or " ") if done.returncode == 0 else ""

    def _until(self, found: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not found():
            dead = [key for key, daemon in self._daemons.items() if daemon.poll() not in (None, -signal.SIGKILL)]
            if dead or time.monotonic() > end:
                logs = [f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in sorted(self.at.glob("*.[lo][ou][gt]"))]
                why = f"ended at once: {', '.join(dead)}" if dead else f"waited {seconds:.0f} s"
                raise RuntimeError("\n".join([f"The test cluster of Slurm does not work here: not seen that {what} ({why}).", *logs]))
            time.sleep(0.02)

    def _up(self) -> None:
        key = self.at / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {
            "key-file": key,
            "socket": self.at / "munge.socket",
            "pid-file": self.at / "munge.pid",
            "seed-file": self.at / "munge.seed",
        }
        # forced: it would not have its key in a folder that others may write to, as /tmp is
        self._daemon("munge", "munged", "--foreground", "--force", "--num-threads=1", *(f"--{name}={path}" for name, path in files.items()))
        self._until(files["socket"].exists, "munged listens")
        for name in self.nodes:
            self._daemon(name, "slurmd", "-D", "-N", name)
        self.start_controller()
        self._until(lambda: all(self.state(name) == "idle" for name in self.nodes), "both nodes are idle")

    def _down(self) -> None:
        """End all, by process id, until nothing of it is left."""
        end = time.monotonic() + 15
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for daemon in self._daemons.values():
                daemon.poll()
            if time.monotonic() > end:
                raise RuntimeError(f"Processes of the test cluster cannot be ended: {left}")
            time.sleep(0.02)
        for daemon in self._daemons.values():
            daemon.wait()


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that is up, torn down at the end with every process that it started.  RuntimeError says why it does not come up."""
    # not in pytest's own folder: the address of munge's socket has to fit into 108 characters
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        at, host = Path(folder).resolve(), socket.gethostname().partition(".")[0]
        slurm = Cluster(at, {"SLURM_CONF": str(at / "slurm.conf")})
        ports = _free("ctld", *slurm.nodes)
        for name in ("state", *slurm.nodes):
            (at / name).mkdir()
        user = pwd.getpwuid(os.getuid()).pw_name
        lines = [NODE.format(name=name, host=host, port=ports[name]) for name in slurm.nodes]
        conf = CONF.format(at=at, host=host, user=user, ports=ports, kill_wait=KILL_WAIT_S)
        (at / "slurm.conf").write_text("".join([conf, *lines, PARTITION]))
        (at / "gres.conf").write_text("".join(f"NodeName={name} Name=gpu File={path}\n" for name, path in NODES.items()))
        (at / "cgroup.conf").write_text("CgroupAutomount=no\n")
        try:
            slurm._up()
            yield slurm
        finally:
            slurm._down()


def _free(*names: str) -> dict[str, int]:
    """A port on loopback for each name, free a moment ago."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0)))) for _ in names]
        return dict(zip(names, (one.getsockname()[1] for one in held), strict=True))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _environ(pid: int) -> list[bytes]:
    """What a process was started with; [] for one that is gone, a zombie, or somebody else's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
