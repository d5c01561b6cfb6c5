"""The Ray engine against Ray itself: two machines on this one, with a small stand-in for what an attempt runs."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import io
from core.errors import JobError
from core.jobs.engines import Claim, Engine, ray
from core.jobs.record import Job
from tests.jobs import ray_lab

pytestmark = [ray_lab.needs_ray, pytest.mark.timeout(180)]

#: seconds until Ray gives up on a job that it cannot place; as it comes it would be 900
GIVES_UP_S = 6

#: writes what it is and what it hears; `how` says what it makes of SIGTERM
STAND_IN = """
import json, os, signal, sys, time
place, how = sys.argv[1:]
say = lambda word: open(place + "/said.jsonl", "a").write(json.dumps({"word": word, "t": time.time(), "pid": os.getpid()}) + "\\n")
def told(*_):
    say("told")
    if how == "saves":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(4)  # longer than the 3 s that Ray gives of itself
        say("saved")
        sys.exit(75)
signal.signal(signal.SIGTERM, told)
open(place + "/env.json", "w").write(json.dumps({**os.environ, "cwd": os.getcwd(), "ppid": os.getppid()}))
say("begun")
time.sleep(0.5 if how == "short" else 100)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[ray_lab.Cluster]:
    with ray_lab.cluster(RAY_JOB_START_TIMEOUT_SECONDS=str(GIVES_UP_S)) as lab:
        yield lab


@pytest.fixture
def engine(cluster: ray_lab.Cluster, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ALTERLAB_THREADS", "1")
    how = {"a": "short", "b": "stays", "c": "saves"}
    monkeypatch.setattr(ray, "command", lambda place: [sys.executable, "-c", STAND_IN, str(place), how[place.parent.parent.name[-1]]])
    ray.make.cache_clear()
    engine = ray.make(cluster.env["ALTERLAB_ENGINE"].removeprefix("ray:"))
    yield engine
    for place in home.glob("jobs/*/attempts/*"):
        if (heard := said(place)) and there(heard[0]["pid"]):
            os.kill(heard[0]["pid"], signal.SIGKILL)
            until(lambda place=place: engine.poll([place])[place] != "running", 10)


_numbers = iter(range(1, 1000))


def start(engine: Engine, home: Path, how: str, **facts) -> tuple[Job, Path]:
    """Start an attempt of a new job; the last letter of its name says what the stand-in does."""
    number = next(_numbers)
    name = f"{number:06d}-sleep-00000{how}"
    job = Job(**{"id": name, "seq": number, "task": "sleep", "args": {}, "label": "", "state": "waiting", **facts})
    place = home / "jobs" / name / "attempts" / "1"
    place.mkdir(parents=True)
    engine.start(job, place, Claim(where="here"))
    return job, place


def said(place: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in (place / "said.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


def words(place: Path) -> list[str]:
    return [line["word"] for line in said(place)]


def until(found: Callable[[], object], seconds: float = 30.0) -> float:
    begun = time.monotonic()
    while not found():
        assert time.monotonic() - begun < seconds, f"nothing for {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - begun


def there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_job_runs_once_under_its_name(cluster, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "POLL_S", 0.05)
    begun = time.time()
    job, place = start(engine, home, "a")
    engine.start(job, place, Claim(where="here"))
    states = [engine.poll([place])[place]]
    until(lambda: states.append(engine.poll([place])[place]) or states[-1] == "ended")
    assert [state for n, state in enumerate(states) if state not in states[:n]] in (["pending", "running", "ended"], ["running", "ended"])
    engine.start(job, place, Claim(where="here"))
    time.sleep(2.0)
    assert words(place) == ["begun"], "it ran twice"
    print(f"\ncluster up in {cluster.seconds:.1f} s, first line after {said(place)[0]['t'] - begun:.2f} s")
    env = json.loads((place / "env.json").read_text())
    assert env["cwd"] == str(io.CHECKOUT) and env["ALTERLAB_HOME"] == str(home) and env["ALTERLAB_WHERE"] == "here"
    assert env["OMP_NUM_THREADS"] == "1" and env["RAY_JOB_STOP_WAIT_TIME_S"] == "15"


def test_machines_are_filled_and_no_more(engine, home):
    gpu = {"device": "cuda:0"}
    asker = Job(id="000999-sleep-00000b", seq=999, task="sleep", args={}, label="", state="waiting", device="cuda:0")
    places = []
    for _ in range(2):
        # one that has just started may be counted twice until the cluster counts again
        until(lambda: isinstance(engine.claim(asker, len(places)), Claim), 15)
        places.append(start(engine, home, "b", **gpu)[1])
    end = time.monotonic() + 15.0  # first by our own count, then by the cluster's
    while time.monotonic() < end:
        got = engine.claim(asker, 2)
        assert isinstance(got, str) and "All GPUs" in got, (engine.poll(places), engine._ask("GET", "/api/cluster_status"))
        time.sleep(0.2)
    assert set(engine.poll(places).values()) == {"running"}
    seen = {json.loads((place / "env.json").read_text())["ppid"] for place in places}
    assert len(seen) == 2 and "No machine" in engine.claim(Job(**{**vars(asker), "devices": 2}), 2)
    for place in places:
        engine.stop(place, hard=False)


def test_a_polite_stop_is_heard_and_has_its_time(engine, home):
    _, place = start(engine, home, "c", grace_s=6.0)
    until(lambda: words(place))
    begun = time.time()
    engine.stop(place, hard=False)
    engine.stop(place, hard=False)
    until(lambda: engine.poll([place])[place] == "ended")
    heard = said(place)
    assert [line["word"] for line in heard] == ["begun", "told", "saved"]
    print(f"\nSIGTERM after {heard[1]['t'] - begun:.2f} s, ended {time.time() - heard[2]['t']:.2f} s after the last word")
    assert heard[1]["t"] - begun < 2.0 and not there(heard[0]["pid"])


def test_what_does_not_stop_is_killed_after_its_grace(engine, home, monkeypatch):
    monkeypatch.setattr(ray, "SPARE_S", 1)
    _, place = start(engine, home, "b", grace_s=1.0)
    until(lambda: words(place))
    engine.stop(place, hard=True)
    took = until(lambda: engine.poll([place])[place] == "ended")
    assert 1.5 < took < 6.0 and not there(said(place)[0]["pid"]) and "told" in words(place)
    engine.stop(place, hard=True)


def test_one_killed_from_outside_has_ended(engine, home):
    _, place = start(engine, home, "b")
    until(lambda: words(place))
    os.kill(said(place)[0]["pid"], signal.SIGKILL)
    assert until(lambda: engine.poll([place])[place] == "ended") < 3.0


def test_one_without_room_waits_and_then_has_never_begun(engine, home):
    _, place = start(engine, home, "b", device="cuda:0", devices=2)  # no machine has two
    time.sleep(2.0)
    assert engine.poll([place]) == {place: "pending"}
    engine.stop(place, hard=False)
    assert engine.poll([place]) == {place: "pending"}, "Ray ends at once what waits: say so in stop()"
    until(lambda: engine.poll([place])[place] == "ended", GIVES_UP_S + 10)
    time.sleep(1.0)
    assert list(place.iterdir()) == []


def test_only_the_token_opens_the_door(engine, home, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    asker = Job(id="000999-sleep-00000b", seq=999, task="sleep", args={}, label="", state="waiting")
    assert "set RAY_AUTH_TOKEN" in engine.claim(asker, 0)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    assert "set RAY_AUTH_TOKEN" in engine.claim(asker, 0)
    with pytest.raises(JobError, match="RAY_AUTH_TOKEN"):
        start(engine, home, "a")


def test_a_machine_that_dies_takes_its_job_along(cluster, engine, home):
    places = [start(engine, home, "b", device="cuda:0")[1] for _ in range(2)]
    until(lambda: all(words(place) for place in places))
    pids = {place: said(place)[0]["pid"] for place in places}
    lost = next(place for place in places if cluster.node_of(pids[place]) == 1)
    kept = next(place for place in places if place != lost)
    begun = time.monotonic()
    cluster.kill_node(1)
    gone = until(lambda: not there(pids[lost]))
    until(lambda: engine.poll([lost])[lost] == "ended")
    print(f"\nprocess gone after {gone:.1f} s, Ray said so after {time.monotonic() - begun:.1f} s")
    assert engine.poll([kept]) == {kept: "running"} and there(pids[kept])
    cluster.start_node()
    asker = Job(id="000999-sleep-00000b", seq=999, task="sleep", args={}, label="", state="waiting", device="cuda:0")
    until(lambda: isinstance(engine.claim(asker, 1), Claim), 30)


def test_a_dead_head_is_unreachable_and_its_jobs_go_on(cluster, engine, home):
    """The last one: the cluster cannot be used after it."""
    _, place = start(engine, home, "b")
    until(lambda: words(place))
    cluster.kill_head()
    begun = time.monotonic()
    states, spent = [], 0.0
    while time.monotonic() - begun < 8.0:
        asked = time.monotonic()
        states.append(engine.poll([place])[place])
        spent += time.monotonic() - asked
        time.sleep(0.1)
    assert set(states) == {"unreachable"} and there(said(place)[0]["pid"])
    assert spent < ray.PATIENCE_S + 0.5, "the dispatcher would stand still"
