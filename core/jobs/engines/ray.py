"""A Ray cluster starts attempts, asked through its Jobs REST API; Ray itself need not be installed here.

The address follows in the setting, `ray:http://head:8265`; a token is read from RAY_AUTH_TOKEN.  Every machine of the cluster
has to see this checkout, its Python and the data folder under the same paths.  Ray keeps no order of ours and gives up on what
waits for 15 minutes, so it is never handed more than it has room for.
"""

import http.client
import json
import math
import os
import random
import shlex
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core import io
from core.errors import JobError
from core.jobs.engines import Claim, command, environment
from core.jobs.record import Job

STATES = {"PENDING": "pending", "RUNNING": "running", "SUCCEEDED": "ended", "FAILED": "ended", "STOPPED": "ended"}
#: seconds for a question; for a start, which the head answers after its agent has (0.6 s the first time, then 0.02 s)
PATIENCE_S, START_S = 2.0, 10.0
#: seconds between two questions about an attempt, and between two requests to stop one; an answer that takes longer than this is slow
POLL_S, STOP_S, SLOW_S = 1.0, 5.0, 0.25
#: a silent head is left alone ten times as long as the question took, within these seconds: local jobs wait meanwhile
REST_S = (2.0, 60.0)
#: new counts of the cluster (one each 5 s) until one is sure to know a job that was started; the first may be from just before
COUNTED = 2
#: jobs at Ray at a time where the cluster does not tell what is free
IN_FLIGHT = 8
#: Ray kills the whole tree so many seconds after a job's own grace; the shepherd should have been faster
SPARE_S = 5


@cache
def make(options: str) -> "Ray":
    """The engine at an address such as `http://head:8265`; the same one each time, for it remembers how the head answers."""
    wrong = JobError("The address of a Ray cluster should be like ray:http://head:8265, with http or https and nothing after the port.")
    try:
        url = urlsplit(options)
        host, port = url.hostname, url.port
    except ValueError:
        raise wrong from None
    plain = not (url.username or url.password or url.query or url.fragment) and url.path in ("", "/")
    if url.scheme not in ("http", "https") or not host or not plain or any(c.isspace() for c in options):
        raise wrong
    return Ray(url.scheme == "https", host, port)


class Ray:
    """The engine, with what it remembers: how the head answers, what it said last, and what was started a moment ago."""

    name = "ray"

    def __init__(self, safe: bool, host: str, port: int | None) -> None:
        """Nothing is asked yet."""
        self.where = f"Ray at {host}" + (f":{port}" if port else "")
        self._connection = http.client.HTTPSConnection if safe else http.client.HTTPConnection
        self._place = (host, port)
        self._slow_until = {"jobs": 0.0, "cluster_status": 0.0}  # apart, so that none takes the other's turn
        self._silent_until = 0.0
        self._silence = ""
        self._seen: dict[Path, tuple[float, str]] = {}
        self._stops: dict[Path, float] = {}
        self._counts, self._count_of = 0, 0.0
        self._started: dict[str, tuple[int, str, float]] = {}

    def claim(self, job: Job, live: int) -> Claim | str:
        """Room if one machine of the cluster has what the job needs, beside all that waits there already."""
        kind, amount = _needs(job)
        if time.monotonic() < self._slow_until["cluster_status"]:
            return f"{self.where} answers slowly."
        try:
            nodes = self._nodes()
        except JobError as error:
            return str(error)
        here = Claim(where=self.where)
        if nodes is None:
            return here if live < IN_FLIGHT else f"{live} jobs are at {self.where} already, which does not tell what is free."
        if not any(node["total"].get(kind, 0.0) >= amount for node in nodes):
            return f"No machine of {self.where} has {amount:g} {kind}s."
        fits = any(node["free"].get(kind, 0.0) >= amount for node in nodes)
        return here if fits else f"All {kind}s of {self.where} are in use."

    def start(self, job: Job, attempt: Path, claim: Claim) -> None:
        """Submit the attempt under its own name; one that Ray knows by that name is not started again."""
        kind, amount = _needs(job)
        name = _name(attempt)
        log = shlex.quote(str(attempt.absolute() / "shepherd.log"))
        env = environment(claim) | {
            "ALTERLAB_WHERE": claim.where,
            "ALTERLAB_TIED": "1",  # Ray gives the machine to others as soon as its own parent of the command is gone
            "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(job.grace_s) + SPARE_S),
        }
        asked = {
            "submission_id": name,
            "entrypoint": f"cd {shlex.quote(str(io.CHECKOUT))} && exec {shlex.join(command(attempt))} >> {log} 2>&1",
            f"entrypoint_num_{kind.lower()}s": amount,
            "runtime_env": {"env_vars": env},
        }
        status, said = self._ask("POST", "/api/jobs/", asked, patience_s=START_S)
        if status != 200 and self._state(attempt) == "unknown":
            raise JobError(f"{self.where} did not take the job: {_last_line(said)}")
        self._seen.pop(attempt, None)
        self._started[name] = (self._counts, kind, amount)

    def poll(self, attempts: Sequence[Path]) -> dict[Path, str]:
        """Asks for each by name.  One that Ray does not know has ended: Ray forgets everything when its head ends.

        What is not due to be asked stands as it was last seen: each is asked once a second, and less often of a slow head.
        """
        for attempt in random.sample(attempts, len(attempts)):  # a slow head answers for some of them only: each has its turn
            if time.monotonic() < max(self._slow_until["jobs"], self._seen.get(attempt, (-POLL_S, ""))[0] + POLL_S):
                continue
            try:
                state = self._state(attempt)
            except JobError:
                state = "unreachable"
            self._seen[attempt] = (time.monotonic(), "ended" if state == "unknown" else state)
        return {attempt: self._seen.get(attempt, (0.0, "unreachable"))[1] for attempt in attempts}

    def stop(self, attempt: Path, hard: bool) -> None:
        """SIGTERM to the whole tree now, SIGKILL `SPARE_S` after the job's grace; Ray has nothing harder.

        One that waits for room stays pending until it gets some, then hears the signal as its first.
        """
        now = time.monotonic()
        if now < self._stops.get(attempt, -STOP_S) + STOP_S:
            return
        status, said = self._ask("POST", f"/api/jobs/{_name(attempt)}/stop")
        if status not in (200, 404):
            raise JobError(f"{self.where} could not stop the job: {_last_line(said)}")
        self._stops[attempt] = now
        self._seen.pop(attempt, None)

    def _state(self, attempt: Path) -> str:
        """One of `STATES`, or `unknown` if Ray says that it has no such job.  JobError for any other answer."""
        status, said = self._ask("GET", f"/api/jobs/{_name(attempt)}")
        if status == 404 and "does not exist" in str(said):  # what is not Ray says 404 too
            return "unknown"
        state = STATES.get(str(said.get("status"))) if isinstance(said, dict) else None
        if state is None:
            raise JobError(f"{self.where} gave no answer that can be understood ({status}): {_last_line(said)}")
        return state

    def _nodes(self) -> list[dict[str, dict[str, float]]] | None:
        """What each machine has in total and free; None if the cluster does not tell."""
        _, said = self._ask("GET", "/api/cluster_status")
        try:
            count_of = float(said["data"]["clusterStatus"]["time"])
            report = said["data"]["clusterStatus"]["loadMetricsReport"]
            nodes = [
                {
                    "total": {kind: float(total) for kind, (_, total) in usage.items()},
                    "free": {kind: float(total) - float(used) for kind, (used, total) in usage.items()},
                }
                for usage in report["usageByNode"].values()
            ]
            waiting = [(kind, float(n)) for needs, times in report["resourceDemand"] for kind, n in needs.items() for _ in range(times)]
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        if count_of != self._count_of:
            self._counts, self._count_of = self._counts + 1, count_of
        self._started = {name: entry for name, entry in self._started.items() if self._counts < entry[0] + COUNTED}
        # may count one twice for some seconds, which is the safe side
        for kind, amount in waiting + [entry[1:] for entry in self._started.values()]:
            for node in nodes:
                if node["free"].get(kind, 0.0) >= amount:
                    node["free"][kind] -= amount
                    break
        return nodes

    def _ask(self, method: str, path: str, body: Any = None, patience_s: float = 0.0) -> tuple[int, Any]:
        """Status and answer, as JSON where it is.  JobError in words if nobody answers or the token is not taken."""
        begun = time.monotonic()
        if begun < self._silent_until:
            raise JobError(self._silence)
        headers = {"Content-Type": "application/json"}
        if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
            headers["Authorization"] = f"Bearer {token}"
        # not urllib.request: it follows redirects and would carry the token along
        connection = self._connection(*self._place, timeout=patience_s or PATIENCE_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            now = time.monotonic()
            self._silent_until = now + min(max(10 * (now - begun), REST_S[0]), REST_S[1])
            self._silence = f"{self.where} does not answer ({str(error) or type(error).__name__})."
            raise JobError(self._silence) from None
        finally:
            connection.close()
        now = time.monotonic()
        if now - begun > SLOW_S and method == "GET":
            self._slow_until[path.split("/")[2]] = now + 10 * (now - begun)
        if answer.status in (401, 403):
            raise JobError(f"{self.where} asks for its token: set RAY_AUTH_TOKEN to the one of the cluster.")
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text


def _name(attempt: Path) -> str:
    """The name of an attempt at Ray, from `jobs/<job id>/attempts/<n>`."""
    return f"{attempt.parent.parent.name}-{attempt.name}"


def _needs(job: Job) -> tuple[str, float]:
    """What Ray is to keep for a job: GPUs, or a CPU for each thread that it will use."""
    return ("GPU", job.devices) if job.device.startswith("cuda") else ("CPU", io.threads() * max(job.devices, job.processes))


def _last_line(said: Any) -> str:
    return (str(said).strip().splitlines() or ["nothing"])[-1][:200]
