"""The Ray engine against a small server that speaks Ray's Jobs API; the real cluster is in test_ray_cluster.py."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core import io
from core.errors import JobError
from core.jobs.engines import Claim, Engine, ray
from core.jobs.record import Job


class Head(ThreadingHTTPServer):
    """Answers as Ray 2.60 does; `usage` is what it tells of its machines, `broken` an answer given to everything."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.jobs: dict[str, dict] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.usage: dict | None = {}
        self.demand: list = []
        self.count_of = 1.0
        self.broken: tuple[int, bytes] | None = None
        self.token = ""
        self.delay_s = 0.0

    def answer(self, method: str, path: str, body: dict) -> tuple[int, bytes]:
        name, _, verb = path.removeprefix("/api/jobs/").partition("/")
        if self.broken:
            return self.broken
        if path == "/api/cluster_status":
            report = None if self.usage is None else {"loadMetricsReport": {"usageByNode": self.usage, "resourceDemand": self.demand}}
            return 200, json.dumps({"data": {"clusterStatus": report and {**report, "time": self.count_of}}}).encode()
        if method == "POST" and path == "/api/jobs/":
            name = body["submission_id"]
            if name in self.jobs:
                return 500, f"Traceback ...\nValueError: Job with submission_id {name} already exists.\n".encode()
            self.jobs[name] = {**body, "status": "PENDING"}
            return 200, json.dumps({"submission_id": name}).encode()
        if name not in self.jobs:
            return 404, f"Job {name} does not exist".encode()
        if verb == "stop":
            self.jobs[name]["status"] = "STOPPED"
            return 200, b'{"stopped": true}'
        return 200, json.dumps(self.jobs[name]).encode()


class Answers(BaseHTTPRequestHandler):
    server: Head

    def do_GET(self):
        given = self.headers.get("Authorization")
        self.server.asked.append((self.command, self.path, given))
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        time.sleep(self.server.delay_s)
        wrong = self.server.token and given != f"Bearer {self.server.token}"
        status, text = (403, b"Forbidden") if wrong else self.server.answer(self.command, self.path, body)
        try:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the one who asked has given up

    do_POST = do_GET

    def log_message(self, format, *args):
        """Says nothing."""


@pytest.fixture
def head(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("ALTERLAB_THREADS", "1")
    monkeypatch.setattr(ray, "POLL_S", 0.0)
    ray.make.cache_clear()
    with Head() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def engine(head) -> Engine:
    return ray.make(f"http://127.0.0.1:{head.server_port}")


def job(**facts) -> Job:
    return Job(**{"id": "000001-sleep-abcdef", "seq": 1, "task": "sleep", "args": {}, "label": "", "state": "waiting", **facts})


def attempt(home: Path, number: int = 1) -> Path:
    place = home / "jobs" / "000001-sleep-abcdef" / "attempts" / str(number)
    place.mkdir(parents=True, exist_ok=True)
    return place


NAME = "000001-sleep-abcdef-1"


@pytest.mark.parametrize("address", ["http://head:8265", "https://ray.example", "http://[::1]:8265/", "http://head:8265"])
def test_addresses(address):
    assert ray.make(address).name == "ray"
    assert ray.make(address) is ray.make(address), "a silent head would be forgotten"


@pytest.mark.parametrize(
    "address",
    ["", "head:8265", "ray://head:10001", "file:/etc/passwd", "http://", "http://head:x", "http://head:99999", "http://head:8265/jobs",
     "http://head:8265?x", "http://head:8265#x", "http://user:secret@head:8265", "http://he ad:8265", "http://head\n:8265", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address(address):
    with pytest.raises(JobError, match=r"ray:http://head:8265") as error:
        ray.make(address)
    assert "secret" not in str(error.value)


def test_the_command_survives_the_shell(head, engine, tmp_path, monkeypatch):
    home = tmp_path / 'it\'s a $(touch hole) "home"; exit 3'
    code = "import os, sys; print(os.getcwd(), os.getppid(), sys.argv[1:])"
    monkeypatch.setattr(ray, "command", lambda place: [sys.executable, "-c", code, str(place), "a b"])
    engine.start(job(), attempt(home), Claim(where="there"))
    shell = subprocess.Popen(head.jobs[NAME]["entrypoint"], shell=True, cwd=tmp_path)
    assert shell.wait() == 0
    said = (attempt(home) / "shepherd.log").read_text()
    assert said == f"{io.CHECKOUT} {os.getpid()} {[str(attempt(home)), 'a b']}\n", "the shell should have made way for the command"
    assert not (tmp_path / "hole").exists()


def test_what_is_asked_of_ray(head, engine, home, monkeypatch):
    engine.start(job(grace_s=2.5), attempt(home), Claim(env={"X": "1"}, where="there"))
    asked = head.jobs[NAME]
    env = asked["runtime_env"]["env_vars"]
    assert env["ALTERLAB_HOME"] == str(home) and env["X"] == "1" and env["OMP_NUM_THREADS"] == "1" and env["ALTERLAB_WHERE"] == "there"
    assert int(env["RAY_JOB_STOP_WAIT_TIME_S"]) > 2.5
    assert all(isinstance(value, str) for value in env.values()), "Ray takes nothing but strings"
    assert asked["entrypoint_num_cpus"] == 1 and "entrypoint_num_gpus" not in asked
    assert "core.jobs.shepherd" in shlex.split(asked["entrypoint"])
    engine.start(job(device="cuda:0", devices=2), attempt(home, 2), Claim())
    assert head.jobs[NAME[:-1] + "2"]["entrypoint_num_gpus"] == 2
    engine.start(job(processes=2), attempt(home, 3), Claim())
    assert head.jobs[NAME[:-1] + "3"]["entrypoint_num_cpus"] == 2


def test_a_second_start_is_no_second_run(head, engine, home):
    engine.start(job(), attempt(home), Claim())
    head.jobs[NAME]["status"] = "SUCCEEDED"
    engine.start(job(), attempt(home), Claim())
    assert list(head.jobs) == [NAME] and engine.poll([attempt(home)]) == {attempt(home): "ended"}


def test_a_refused_start_is_said(head, engine, home):
    head.answer = lambda method, path, body: (500, b"Traceback\nNo agent.\n") if method == "POST" else (404, b"Job x does not exist")
    with pytest.raises(JobError, match=r"did not take the job: No agent\."):
        engine.start(job(), attempt(home), Claim())


@pytest.mark.parametrize(
    ("status", "seen"),
    [("PENDING", "pending"), ("RUNNING", "running"), ("SUCCEEDED", "ended"), ("FAILED", "ended"), ("STOPPED", "ended"),
     ("NEW", "unreachable")],
)  # fmt: skip
def test_poll(head, engine, home, status, seen):
    engine.start(job(), attempt(home), Claim())
    head.jobs[NAME]["status"] = status
    assert engine.poll([attempt(home)]) == {attempt(home): seen}


def test_one_that_ray_gave_up_on_has_ended_and_never_begun(head, engine, home):
    engine.start(job(), attempt(home), Claim())
    head.jobs[NAME] |= {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "driver_exit_code": None}
    assert engine.poll([attempt(home)]) == {attempt(home): "ended"}
    assert list(attempt(home).iterdir()) == [], "what the dispatcher tells it by"


def test_only_rays_own_word_says_that_a_job_is_unknown(head, engine, home):
    assert engine.poll([attempt(home)]) == {attempt(home): "ended"}
    for answer in ((404, b"<html>not found</html>"), (502, b"bad gateway"), (200, b"hello"), (200, b"[1]"), (302, b""), (401, b"")):
        head.broken = answer
        assert engine.poll([attempt(home)]) == {attempt(home): "unreachable"}, answer


def test_stop(head, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "STOP_S", 0.0)
    engine.stop(attempt(home), hard=False)  # unknown: nothing to do
    engine.start(job(), attempt(home), Claim())
    engine.stop(attempt(home), hard=True)
    assert head.jobs[NAME]["status"] == "STOPPED"
    head.broken = (500, b"Traceback\nNo agent.\n")
    with pytest.raises(JobError, match=r"could not stop the job: No agent\."):
        engine.stop(attempt(home), hard=False)


def test_the_token_is_sent_to_ray_and_nowhere_else(head, engine, home, monkeypatch):
    head.token = "s3cret"
    assert "set RAY_AUTH_TOKEN" in engine.claim(job(), 0)
    assert engine.poll([attempt(home)]) == {attempt(home): "unreachable"}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cret\n")
    assert engine.poll([attempt(home)]) == {attempt(home): "ended"}
    assert head.asked[-1] == ("GET", f"/api/jobs/{NAME}", "Bearer s3cret")
    head.broken = (302, b"")
    engine.poll([attempt(home)])
    assert head.asked[-1][1] == f"/api/jobs/{NAME}", "a redirect was followed"
    head.broken = None
    engine.start(job(), attempt(home), Claim())
    assert "s3cret" not in json.dumps(head.jobs)


def machine(gpus, cpus=(0, 2)) -> dict:
    return {"GPU": list(gpus), "CPU": list(cpus), "memory": [0.0, 1e9]}


@pytest.mark.parametrize(
    ("usage", "demand", "wanted", "room"),
    [
        ([machine((0, 1))], [], {"device": "cuda:0"}, True),
        ([machine((1, 1))], [], {"device": "cuda:0"}, "All GPUs"),
        ([machine((1, 2)), machine((1, 2))], [], {"device": "cuda:0", "devices": 2}, "All GPUs"),
        ([machine((0, 1)), machine((0, 1))], [], {"device": "cuda:0", "devices": 2}, "No machine .* has 2 GPUs"),
        ([{"CPU": [0, 4]}], [], {"device": "cuda:0"}, "No machine .* has 1 GPUs"),
        ([machine((0, 1))], [[{"GPU": 1.0}, 1]], {"device": "cuda:0"}, "All GPUs"),
        ([machine((0, 2))], [[{"GPU": 1.0}, 1]], {"device": "cuda:0"}, True),
        ([machine((1, 1))], [], {}, True),
        ([machine((0, 1), (1.5, 2))], [], {}, "All CPUs"),
        ([machine((0, 1), (0, 2))], [], {"processes": 3}, "No machine .* has 3 CPUs"),
        ([], [], {}, "No machine"),
    ],
)  # fmt: skip
def test_room(head, engine, usage, demand, wanted, room):
    head.usage, head.demand = {str(n): node for n, node in enumerate(usage)}, demand
    got = engine.claim(job(**wanted), 0)
    if room is True:
        assert isinstance(got, Claim) and str(head.server_port) in got.where
    else:
        assert isinstance(got, str) and re.search(room, got)


def test_what_was_started_a_moment_ago_is_not_free(head, engine, home):
    head.usage = {"a": machine((0, 1)), "b": machine((0, 1))}
    for number in (1, 2):
        assert isinstance(engine.claim(job(device="cuda:0"), 0), Claim)
        engine.start(job(device="cuda:0"), attempt(home, number), Claim())
    for _ in range(5):
        assert "All GPUs" in engine.claim(job(device="cuda:0"), 2), "the cluster's own count is renewed every 5 s only"
    assert isinstance(engine.claim(job(), 2), Claim)
    head.count_of += 5.0
    assert "All GPUs" in engine.claim(job(device="cuda:0"), 2), "this count may be from just before the start"
    head.count_of += 5.0
    assert isinstance(engine.claim(job(device="cuda:0"), 2), Claim)


def test_a_cluster_that_does_not_tell(head, engine):
    for answer in (None, (404, b"<html>"), (200, b'{"data": {"clusterStatus": {"loadMetricsReport": {"usageByNode": {"a": 3}}}}}')):
        head.usage, head.broken = None, answer
        assert isinstance(engine.claim(job(), ray.IN_FLIGHT - 1), Claim)
        assert "does not tell" in engine.claim(job(), ray.IN_FLIGHT)


def test_a_silent_head_costs_one_wait(head, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "PATIENCE_S", 0.2)
    head.delay_s = 1.0
    places = [attempt(home, number) for number in range(1, 51)]
    begun = time.monotonic()
    assert set(engine.poll(places).values()) == {"unreachable"}
    assert 0.2 <= time.monotonic() - begun < 0.6, "each was waited for"
    begun = time.monotonic()
    for _ in range(5):
        assert set(engine.poll(places).values()) == {"unreachable"}
        assert "does not answer" in engine.claim(job(), 0)
        with pytest.raises(JobError, match="does not answer"):
            engine.start(job(), places[0], Claim())
        with pytest.raises(JobError, match="does not answer"):
            engine.stop(places[0], hard=True)
    assert time.monotonic() - begun < 0.1 and len(head.asked) == 1, "it was not left alone"


def test_a_slow_head_is_asked_less_often_and_each_has_its_turn(head, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "SLOW_S", 0.01)
    head.delay_s = 0.015
    places = [attempt(home, number) for number in range(1, 5)]
    seen, spent, begun = set(), 0.0, time.monotonic()
    while len(seen) < len(places):
        asked = time.monotonic()
        assert asked - begun < 10.0, "one was never asked for"
        seen |= {place for place, state in engine.poll(places).items() if state == "ended"}
        spent += time.monotonic() - asked
        time.sleep(0.005)
    assert spent < 0.3 * (time.monotonic() - begun) + 0.05, "the dispatcher would do little else"
    head.delay_s = 0.2
    assert any("answers slowly" in str(engine.claim(job(), 0)) for _ in range(3))


def test_nobody_is_asked_twice_within_a_second(head, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "POLL_S", 30.0)
    place = attempt(home)
    engine.start(job(), place, Claim())
    for _ in range(5):
        assert engine.poll([place]) == {place: "pending"}
        head.jobs[NAME]["status"] = "RUNNING"
    for _ in range(5):
        engine.stop(place, hard=False)
    assert engine.poll([place]) == {place: "ended"}, "after a stop it is asked at once"
    assert [(method, path.rpartition("/")[2]) for method, path, _ in head.asked[1:]] == [("GET", NAME), ("POST", "stop"), ("GET", NAME)]


def test_a_head_that_comes_back_is_seen(head, engine, home, monkeypatch):
    monkeypatch.setattr(ray, "REST_S", (0.05, 0.05))
    place = attempt(home)
    head.answer = None  # the connection is cut while it answers
    head.handle_error = lambda *_: None
    assert engine.poll([place]) == {place: "unreachable"}
    del head.answer
    assert engine.poll([place]) == {place: "unreachable"}
    time.sleep(0.06)
    assert engine.poll([place]) == {place: "ended"}


def test_nobody_there(home):
    with Head() as server:
        port = server.server_port
    engine = ray.Ray(False, "127.0.0.1", port)
    assert engine.poll([attempt(home)]) == {attempt(home): "unreachable"}
    assert f"Ray at 127.0.0.1:{port} does not answer (" in engine.claim(job(), 0)
