"""How quick and how cheap the job engine is, on this machine, in a data folder of its own.

Starting a job is compared with starting a bare process, listing 500 jobs with reading 500 folders, in the same run.
Run: python benchmarks/jobs.py [--quick]
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
HOME = Path(tempfile.mkdtemp(prefix="alterlab-benchmark-"))
os.environ |= {"ALTERLAB_HOME": str(HOME / "home"), "ALTERLAB_LEASES": str(HOME / "leases")}
os.environ |= {"ALTERLAB_CPU_JOBS": "4", "OMP_NUM_THREADS": "1"}

from core import jobs, presets
from core.jobs import processes, record, wake
from core.recipe import RECIPES
from core.run import Run

READERS, LISTED = 8, 500


def until(found, seconds: float = 60.0) -> float:
    """Seconds until `found()` is true."""
    begun = time.perf_counter()
    while not found():
        if time.perf_counter() - begun > seconds:
            sys.exit(f"nothing for {seconds} s: {jobs.list()[:3]}")
        time.sleep(0.001)
    return time.perf_counter() - begun


def middle(times: list[float]) -> str:
    """Median and highest in milliseconds."""
    return f"{1000 * statistics.median(times):7.0f} ms (highest {1000 * max(times):.0f}, n = {len(times)})"


def first_line() -> float:
    """Seconds from submit to the worker's first line."""
    begun = time.perf_counter()
    job = jobs.submit("sleep", {"steps": 1, "delay_s": 0.01, "device": "cpu"})
    log = job.folder / "attempts" / "1" / "out.log"
    until(lambda: log.exists() and log.stat().st_size)
    took = time.perf_counter() - begun
    until(lambda: jobs.get(job.id).state == "succeeded")
    return took


def bare() -> float:
    """Seconds until a bare Python process with the worker's imports prints a line."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", "import core.worker; print(1, flush=True)"], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        return time.perf_counter() - begun


def stop_dispatcher() -> None:
    """Kill the dispatcher of this benchmark."""
    for pid in engine_processes("dispatcher"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not wake.lives())


def engine_processes(*names: str) -> list[int]:
    """Processes of the engine itself that work for our data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and f"ALTERLAB_HOME={HOME}".encode() in (entry / "environ").read_bytes():
                words = (entry / "cmdline").read_bytes().decode()
                if any(f"core.jobs.{name}" in words for name in names):
                    found.append(int(entry.name))
    return found


def counting() -> tuple[jobs.Job, int]:
    """A job that runs, and its worker."""
    job = jobs.submit("sleep", {"steps": 100_000, "delay_s": 0.2, "device": "cpu"}, attempts=1)
    until(lambda: jobs.metrics(job.id))
    return job, record.load(job.folder / "attempts" / "1" / "begun.json")["worker"]


def kill() -> float:
    """Seconds from kill -9 of a worker until its job says so."""
    job, pid = counting()
    os.kill(pid, signal.SIGKILL)
    return until(lambda: jobs.get(job.id).state == "failed")


def cancel_training() -> float:
    """Seconds from cancel to the end of a busy training, its resume point written."""
    recipe = dataclasses.asdict(RECIPES["quick"]) | {"epochs": 50 + len(jobs.list())}  # another run each time
    run = Run(arch=presets.resolve("vit-mini").notation, data="fashion", recipe=recipe, name="Benchmark")
    job = jobs.submit("train", {"run": run.to_json(), "device": "cpu"})
    until(lambda: (now := jobs.get(job.id)).progress is not None and now.progress.step > 5, 180)
    begun = time.perf_counter()
    jobs.cancel(job.id)
    until(lambda: jobs.get(job.id).state == "cancelled")
    return time.perf_counter() - begun


def cost(seconds: float, running: int = 0) -> str:
    """Memory and processor time of dispatcher and shepherds over some seconds."""
    # a shepherd is on its way out for some milliseconds, a dispatcher that lost the election for a second
    until(lambda: len(engine_processes("dispatcher")) == 1 and len(engine_processes("shepherd")) == running)
    pids = engine_processes("dispatcher", "shepherd")

    def spent() -> float:
        total = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(seconds)
    used = spent() - before
    sizes = []
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes.append(next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024)
    return f"{len(pids)} processes, {sum(sizes):.1f} MB (PSS), {100 * used / seconds:.2f} % of a core over {seconds:.0f} s"


def readers(seconds: float) -> list[float]:
    """Seconds of each list() by eight processes that look once a second."""
    code = (
        "import sys, time, random\nfrom core import jobs\ntimes = []\ntime.sleep(random.random())\n"
        f"end = time.monotonic() + {seconds}\n"
        "while time.monotonic() < end:\n    t = time.perf_counter(); n = len(jobs.list()); times.append(time.perf_counter() - t)\n"
        "    time.sleep(max(0.0, 1.0 - times[-1]))\nimport json; print(json.dumps(times[1:]))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(READERS)]
    return [t for child in children for t in json.loads(child.communicate()[0])]


def folders() -> float:
    """Seconds to list the same jobs by reading all their folders."""
    begun = time.perf_counter()
    for name in record.names():
        record.load(record.root() / name / "job.json")
        record.read_slot(record.root() / name / "state.slot")
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repetitions only")
    n = 3 if parser.parse_args().quick else 15
    seconds = 5.0 if n == 3 else 30.0
    cold = []
    for _ in range(n):
        if wake.lives():
            stop_dispatcher()
        cold.append(first_line())
    warm, plain = [], []
    for _ in range(n):
        plain.append(bare())
        warm.append(first_line())
    ratio = statistics.median(warm) / statistics.median(plain)
    print(f"submit -> first line, dispatcher there      {middle(warm)}, x{ratio:.2f} of a bare process")
    print(f"submit -> first line, dispatcher to start   {middle(cold)}")
    print(f"bare process with the worker's imports      {middle(plain)}")
    print(f"kill -9 of the worker -> failed             {middle([kill() for _ in range(n)])}")
    print(f"cancel of a busy training -> cancelled      {middle([cancel_training() for _ in range(max(2, n // 5))])}")
    print(f"engine at rest, no job:                     {cost(seconds)}")
    four = [counting()[0] for _ in range(4)]
    print(f"engine with 4 running jobs:                 {cost(seconds, 4)}")
    for _ in range(LISTED):
        jobs.submit("sleep", {"steps": 1, "device": "cpu"})
    times, direct = sorted(readers(seconds)), 1000 * statistics.median(folders() for _ in range(3))
    half, high = 1000 * statistics.median(times), 1000 * times[min(len(times) - 1, int(0.99 * len(times)))]
    print(f"{LISTED} queued and 4 running jobs listed by {READERS} processes at 1 Hz: p50 {half:.0f} ms, p99 {high:.0f} ms, highest")
    print(f"  {1000 * times[-1]:.0f} ms (n = {len(times)}); reading all their folders instead: {direct:.0f} ms, x{direct / half:.1f}")
    for job in four:
        jobs.cancel(job.id)


if __name__ == "__main__":
    watchdog = threading.Timer(600, lambda: os._exit(2))
    watchdog.daemon = True
    watchdog.start()
    try:
        main()
    finally:
        for pid in engine_processes("dispatcher"):
            os.kill(pid, signal.SIGKILL)
        for place in set(processes.marked().values()):
            if place.startswith(str(HOME)):
                processes.end(Path(place))
        shutil.rmtree(HOME, ignore_errors=True)
