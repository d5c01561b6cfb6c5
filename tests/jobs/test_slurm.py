"""The Slurm engine against a real cluster of two nodes; a shell script stands in for the shepherd."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import io
from core.errors import JobError
from core.jobs import engines, record
from core.jobs.engines import Claim, slurm
from core.jobs.record import Job
from tests.jobs import slurm_lab
from tests.jobs.slurm_lab import Cluster

pytestmark = pytest.mark.skipif(bool(slurm_lab.missing()), reason=f"no {slurm_lab.missing()} on this machine; `make test-deps` gets Slurm")

#: says that it began, waits for the file `finish`, and takes a polite request as such unless the file `stubborn` is there
SHEPHERD = """
env > "$1/env"; pwd > "$1/cwd"; echo $$ >> "$1/began"
if [ -e "$1/stubborn" ]; then trap '' TERM; else trap 'echo TERM >> "$1/said"; exit 75' TERM; fi
while [ ! -e "$1/finish" ]; do sleep 0.05; done
"""


def new(device: str = "cpu", devices: int = 1) -> Job:
    """A job with an id of its own: by its name Slurm knows it, even after its end."""
    name = f"000001-train-{secrets.token_hex(3)}"
    harm = {"args": {"x": "$(touch pwned) --wrap=ls"}, "label": "; touch pwned #"}
    return Job(id=name, seq=1, task="train", state="queued", device=device, devices=devices, **harm)


@pytest.fixture(scope="module")
def lab() -> Iterator[Cluster]:
    with slurm_lab.cluster() as running:
        yield running


@pytest.fixture
def engine(lab: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[slurm.Slurm]:
    for name, value in lab.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm, "ANSWER_S", 0.02)
    monkeypatch.setattr(slurm, "command", lambda attempt: ["/bin/sh", "-c", SHEPHERD, "sh", str(attempt)])
    yield fresh()
    lab.say("scancel", "--me", "--signal=KILL")
    until(lambda: not lab.say("squeue", "--noheader").strip())


def fresh(options: str = "") -> slurm.Slurm:
    """An engine that remembers nothing."""
    slurm.make.cache_clear()
    return slurm.make(options)


def until(found: Callable[[], object], seconds: float = 15.0) -> float:
    """Wait until `found()` is true; returns the seconds that it took."""
    begun = time.monotonic()
    while not found():
        assert time.monotonic() - begun < seconds, f"nothing for {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - begun


def attempt(job: Job) -> Path:
    folder = io.home() / "jobs" / job.id / "attempts" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start(engine: slurm.Slurm, job: Job) -> Path:
    claim = engine.claim(job, 0)
    assert isinstance(claim, Claim)
    engine.start(job, attempt(job), claim)
    return attempt(job)


def reaches(engine: slurm.Slurm, place: Path, state: str, seconds: float = 15.0) -> float:
    return until(lambda: engine.poll([place]) == {place: state}, seconds)


def began(place: Path) -> list[int]:
    """Processes that have begun an attempt."""
    return [int(line) for line in (place / "began").read_text().split()] if (place / "began").exists() else []


def runs(engine: slurm.Slurm, job: Job) -> tuple[Path, int]:
    """Start a job's attempt and wait until it runs: its folder and its process."""
    place = start(engine, job)
    until(lambda: began(place))
    reaches(engine, place, "running")
    return place, began(place)[0]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_cluster_listens_on_loopback_only(lab: Cluster) -> None:
    ports = {int(word.partition("=")[2]) for word in (lab.at / "slurm.conf").read_text().split() if word.partition("=")[0].endswith("Port")}
    ports |= {int(word[5:]) for word in (lab.at / "slurm.conf").read_text().split() if word.startswith("Port=")}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].rpartition(":") for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) in ports]
    assert len(listening) == len(ports) == 3
    assert {address for address, _, _ in listening} == {"0100007F"}


def test_a_job_runs_and_ends(engine: slurm.Slurm) -> None:
    place, _ = runs(engine, new())
    told = dict(line.split("=", 1) for line in (place / "env").read_text().splitlines() if "=" in line)
    assert told["OMP_NUM_THREADS"] == str(io.threads()) and told["ALTERLAB_HOME"] == str(io.home()) and told["ALTERLAB_WHERE"] == "Slurm"
    assert told["CUDA_VISIBLE_DEVICES"] == "" and told["PYTHONUNBUFFERED"] == "1"
    assert (place / "cwd").read_text().strip() == str(io.CHECKOUT)
    (place / "finish").touch()
    reaches(engine, place, "ended")
    assert not (io.CHECKOUT / "pwned").exists()


def test_gpus_are_booked_once(engine: slurm.Slurm) -> None:
    """Two nodes with a GPU each: the third job waits until one of the first two ends."""
    places = [start(engine, new("cuda")) for _ in range(3)]
    until(lambda: began(places[0]) and began(places[1]))
    assert engine.poll(places) == dict(zip(places, ("running", "running", "pending"), strict=True))
    assert "CUDA_VISIBLE_DEVICES=0" in (places[0] / "env").read_text().splitlines()
    (places[1] / "finish").touch()
    reaches(engine, places[1], "ended")
    reaches(engine, places[2], "running")
    assert engine.poll(places)[places[0]] == "running"


def test_auto_is_a_gpu_where_there_is_one(engine: slurm.Slurm, lab: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = runs(engine, new("auto"))
    assert "CUDA_VISIBLE_DEVICES=0" in (place / "env").read_text().splitlines()
    run = slurm._run
    other = "lab*|(null)\ngpus|gpu:8\n"  # the partition that jobs go to has none
    monkeypatch.setattr(slurm, "_run", lambda words, *rest: other if words[-1] == "--format=%P|%G" else run(words, *rest))
    place, _ = runs(engine, new("auto"))
    assert "CUDA_VISIBLE_DEVICES=" in (place / "env").read_text().splitlines()
    assert fresh("--partition=gpus")._gpus(new("auto", 2)) == 2 and fresh("--partition=gpus")._gpus(new("cpu")) == 0


def test_more_gpus_than_a_node_has(engine: slurm.Slurm) -> None:
    place = start(engine, new("cuda", devices=3))
    launch = record.read_slot(place / "exit.slot")["launch"]
    assert launch.startswith("Slurm refused it: ") and "configuration is not available" in launch
    assert not (place / "engine.json").exists()


def test_starting_twice_runs_once(engine: slurm.Slurm, lab: Cluster) -> None:
    job = new()
    place, _ = runs(engine, job)
    first = io.read_json(place / "engine.json")
    start(engine, job)
    (place / "engine.json").unlink()  # as if the dispatcher had died right after sbatch
    start(fresh(), job)
    assert io.read_json(place / "engine.json") == first
    assert len(lab.say("squeue", "--noheader").splitlines()) == 1 and len(began(place)) == 1


def test_a_polite_stop_reaches_the_shepherd(engine: slurm.Slurm) -> None:
    place, _ = runs(engine, new())
    begun = time.monotonic()
    engine.stop(place, hard=False)
    reaches(engine, place, "ended", 5)
    assert time.monotonic() - begun < slurm_lab.KILL_WAIT_S + 1
    assert (place / "said").read_text() == "TERM\n"
    engine.stop(place, hard=False)  # nothing is left to stop
    engine.stop(place, hard=True)


def test_a_polite_stop_before_the_start(engine: slurm.Slurm) -> None:
    places = [start(engine, new("cuda")) for _ in range(3)]
    reaches(engine, places[2], "pending")
    begun = time.monotonic()
    engine.stop(places[2], hard=False)
    assert time.monotonic() - begun < 3
    reaches(engine, places[2], "ended")
    until(lambda: began(places[0]) and began(places[1]))
    assert engine.poll(places[:2]) == dict.fromkeys(places[:2], "running") and not began(places[2])


def test_a_hard_stop_ends_what_does_not_listen(engine: slurm.Slurm) -> None:
    job = new()
    (attempt(job) / "stubborn").touch()
    place, pid = runs(engine, job)
    engine.stop(place, hard=False)
    time.sleep(0.3)
    assert engine.poll([place]) == {place: "running"} and lives(pid)
    engine.stop(place, hard=True)
    assert engine.poll([place]) == {place: "running"} and lives(pid)  # it is not said to have ended while it lives
    reaches(engine, place, "ended", slurm_lab.KILL_WAIT_S + 10)
    assert not lives(pid)


def test_a_killed_shepherd_is_seen(engine: slurm.Slurm) -> None:
    place, pid = runs(engine, new())
    os.kill(pid, signal.SIGKILL)
    assert reaches(engine, place, "ended", 5) < 3


@pytest.mark.slow
def test_without_a_controller_nothing_is_known(engine: slurm.Slurm, lab: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new()
    place, pid = runs(engine, new())
    lab.kill_controller()
    try:
        begun = time.monotonic()
        assert engine.poll([place]) == {place: "unreachable"}
        once = time.monotonic() - begun
        for _ in range(20):  # it is left alone for a while: local jobs would wait for each question
            assert engine.poll([place]) == {place: "unreachable"}
            assert "Unable to contact slurm controller" in str(engine.claim(job, 0))
        assert time.monotonic() - begun < once + 0.5
        with pytest.raises(JobError, match="Unable to contact slurm controller"):
            engine.start(job, attempt(job), Claim(where="Slurm"))
        assert not list(attempt(job).iterdir())
    finally:
        lab.start_controller()
    monkeypatch.setattr(slurm, "REST", 0.0)
    engine = fresh()
    reaches(engine, place, "running")
    reaches(engine, start(engine, job), "running")
    assert lives(pid) and began(place) == [pid]


def test_a_controller_that_knows_nothing_is_given_time(engine: slurm.Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that crashes can forget a job that runs; only later is a job that it does not know one that has ended."""
    place = attempt(new())
    assert engine.poll([place]) == engine.poll([place]) == {place: "unreachable"}
    monkeypatch.setattr(slurm, "FORGOTTEN_S", 0.1)
    reaches(engine, place, "ended", 1)


def test_one_question_serves_all(engine: slurm.Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [runs(engine, new())[0] for _ in range(2)]
    asked: list[str] = []
    run = slurm._run
    monkeypatch.setattr(slurm, "_run", lambda words, *rest: asked.append(words[0]) or run(words, *rest))
    monkeypatch.setattr(slurm, "ANSWER_S", 60.0)
    time.sleep(0.05)
    for place in places * 5:
        assert engine.poll([place]) == {place: "running"}
    assert asked == ["squeue", "sinfo"]
    for _ in range(5):
        engine.stop(places[0], hard=False)
    assert asked[2:] == ["scancel", "scancel"]


@pytest.mark.slow
def test_a_dead_node_is_told_from_a_dead_job(engine: slurm.Slurm, lab: Cluster) -> None:
    (first, pid), (second, other) = [runs(engine, new("cuda")) for _ in range(2)]
    node = lab.say("squeue", "--noheader", f"--name={first.parent.parent.name}-1", "--format=%N").strip()
    lab.kill_node(node)
    try:
        reaches(engine, first, "unreachable", 30)
        assert engine.poll([first, second])[second] == "running" and lives(pid)
        engine.stop(first, hard=True)  # cannot arrive: nothing is said to have ended yet
        assert engine.poll([first, second])[first] == "unreachable" and lives(pid)
        reaches(engine, first, "ended", 40)  # Slurm gives the node up
    finally:
        lab.start_node(node)
    until(lambda: not lives(pid), 20)  # the node is back and is told to end what it still runs
    assert engine.poll([first, second])[second] == "running" and lives(other)


@pytest.mark.parametrize("name", ["a b", "50%j", 'it\'s "so" $HOME `x`', "Zürich; ls"])
def test_a_data_folder_may_be_called_anything(engine: slurm.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path / name))
    place, _ = runs(engine, new())
    (place / "finish").touch()
    reaches(engine, place, "ended")
    assert (place / "engine.log").exists()


def test_a_folder_that_slurm_would_read_otherwise(engine: slurm.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path / "a\n#SBATCH --array=0-9"))
    with pytest.raises(JobError, match="control character"):
        start(engine, new())


def test_variables_cannot_hide_a_job(engine: slurm.Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SQUEUE_NAMES": "other", "SQUEUE_STATES": "PENDING", "SQUEUE_FORMAT": "%i", "SCANCEL_NAME": "other"}.items():
        monkeypatch.setenv(name, value)
    place, _ = runs(engine, new())
    engine.stop(place, hard=False)
    reaches(engine, place, "ended")


def test_nothing_that_a_user_writes_reaches_a_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole request, for a job whose label and arguments would do harm."""
    seen: list[list[str]] = []
    monkeypatch.setattr(
        slurm, "_run", lambda words, *rest: seen.append([*words, *rest[1:2]]) or ("" if words[0] == "squeue" else "7;here\n")
    )
    job = replace(new("cuda", devices=2), processes=2)
    place = attempt(job)
    fresh("--partition=gpu --comment='a b'").start(job, place, Claim(where="Slurm"))
    assert [words[0] for words in seen] == ["squeue", "sbatch"]
    assert seen[1] == [
        *("sbatch", "--partition=gpu", "--comment=a b", "--parsable", "--no-requeue", "--nodes=1", "--ntasks=1"),
        *(f"--cpus-per-task={2 * io.threads()}", "--gres=gpu:2", "--signal=B:USR1@90", f"--job-name={job.id}-1", "--export=ALL"),
        *(f"--chdir={io.CHECKOUT}", f"--output={place}/engine.log", "--open-mode=append"),
        f"#!/bin/sh\nexec {' '.join(engines.command(place))}\n",
    ]
    assert "pwned" not in json.dumps(seen)
    assert io.read_json(place / "engine.json") == {"slurm": "7", "name": f"{job.id}-1"}
    for folder in (place.parent, home / "jobs" / "x; ls" / "attempts" / "1"):
        with pytest.raises(JobError, match="not the folder of an attempt"):
            fresh().stop(folder, hard=True)


@pytest.mark.parametrize(
    "options",
    [
        "--wrap=ls",
        "-p gpu",
        "script.sh",
        "--array=0-3",
        "--requeue",
        "--job-name=x",
        "--outp=/x",
        "--partition",
        "--time=1\n2",
        "--in-flight=0",
        "'",
    ],
)
def test_options_that_are_not_meant_to_be_set(options: str) -> None:
    with pytest.raises(JobError, match="ALTERLAB_ENGINE"):
        slurm.make(options)


def test_no_more_than_the_limit(engine: slurm.Slurm) -> None:
    assert isinstance(engine.claim(new(), 7), Claim)
    assert engine.claim(new(), 8) == "Slurm has 8 of our jobs; it gets the next when one ends."
    assert isinstance(fresh("--in-flight=20 --exclusive").claim(new(), 19), Claim)


def test_a_machine_without_slurm(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = "There is no squeue on this machine, so it cannot submit to Slurm."
    assert fresh().claim(new(), 0) == words
    with pytest.raises(JobError, match=words):
        fresh().start(new(), attempt(new()), Claim())
    place = attempt(new())
    assert fresh().poll([place]) == {place: "unreachable"}
    assert fresh().poll([]) == {}
