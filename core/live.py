"""What must answer a click at once: questions to one warm worker process, which keeps nets and images loaded.

The worker is a plain subprocess, `python -m core live`; what it can answer stands in core/answers.py, and only it imports torch.  There
is one a server process; sessions and threads share it.  It is given one question at a time, so no answer can go to another asker, and a
click goes before nets that are only being loaded ahead.  It ends with its server, after IDLE_S without a question, and is started anew
by the next one; a question in which it broke is asked once more without a word.

ALTERLAB_LIVE is the device: `cpu` (the default), `cuda`, `auto`, as `--device` of the command line.  The worker takes no lease, which is
why the default is the processor: on a GPU it counts as a stranger, so that jobs for that GPU wait until the worker has ended.
"""

import atexit
import contextlib
import fcntl
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from core import errors, io
from core.errors import LabError, LiveError
from core.frames import KEPT, LOG_BYTES, LONGEST_ANSWER, LONGEST_QUESTION, PIPE, pack, receive, send

#: seconds without a question after which the worker ends and its memory is free
IDLE_S = 900.0
#: seconds after which a question that nobody waits for any more (its net may be loading for the next one) ends the worker
STUCK_S = 60.0
#: seconds in which an idle worker's death is noticed
LOOK_S = 0.5
#: questions that may wait
WAITING = 64
#: what an asker reads whose worker was ended on purpose
ENDED = "The live worker was ended. Try again."
#: reasons of failures that are remembered
REASONS = 64
#: which arguments name what has to be loaded for a question, and their defaults; all arguments where nothing stands here
LOADED: dict[str, dict[str, Any]] = {
    "lesion": {"run": "", "images": 256, "seed": 0}, "attention": {"run": ""}, "picture": {"run": ""}, "lens": {"runs": []},
    "spoiled": {"run": ""},
}  # fmt: skip


def warm(op: str, **args: Any) -> None:
    """Load what a question needs, in the background; returns at once.  Tries again what has failed.

    Raises LiveError if the arguments cannot be sent.
    """
    _worker().put(_question(op, args, waits=False))


def state(op: str, **args: Any) -> str:
    """Whether a question can be answered at once: `cold`, `warming`, `ready` or `failed`.  Never waits."""
    return _worker().state(_key(op, args))


def reason(op: str, **args: Any) -> str:
    """The sentence that says why `state` is `failed`; "" if it is not."""
    return _worker().failed.get(_key(op, args), "")


def ask(op: str, timeout_s: float = 10.0, **args: Any) -> dict[str, Any]:
    """The answer, with `seconds` as measured inside the worker.  Waits at most `timeout_s`, loading included.

    Raises LiveError in a plain sentence if the worker broke or took too long; the LabError of the work itself if the question is wrong.
    """
    worker, question = _worker(), _question(op, args, time.monotonic() + timeout_s)
    worker.put(question)
    if not question.done.wait(timeout_s) and worker.withdraw(question):
        raise LiveError(f"There was no answer within {timeout_s:g} s. The machine may be busy; try again in a moment.")
    if question.error is not None:
        raise question.error
    return question.answer


def close() -> None:
    """End the worker and everything that belongs to it; who still waits gets a LiveError.  The next question starts another."""
    global _current
    with _lock:
        worker, _current = _current, None
    if worker is not None:
        worker.close()


# ---- the worker, as the server's side knows it


@dataclass(eq=False, kw_only=True)
class _Question:
    key: tuple[str, str]
    frame: bytes
    number: int
    deadline: float
    waits: bool
    tries: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    error: LabError | None = None
    done: threading.Event = field(default_factory=threading.Event)


_numbers = itertools.count(1)


def _question(op: str, args: dict[str, Any], deadline: float = 0.0, waits: bool = True) -> _Question:
    number = next(_numbers)
    frame = pack({"number": number, "op": op, "args": args}, LONGEST_QUESTION)
    return _Question(key=_key(op, args), frame=frame, number=number, deadline=deadline, waits=waits)


def _key(op: str, args: dict[str, Any]) -> tuple[str, str]:
    """What a question needs loaded, the same for all questions that need the same."""
    named = LOADED.get(op)
    chosen = args if named is None else {name: args.get(name, default) for name, default in named.items()}
    return op, str(pack(sorted(chosen.items()), LONGEST_QUESTION)[4:], "ascii")


class _Worker:
    """The process, its line of questions, and the thread that goes between them."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.changed = threading.Condition()
        self.asked: deque[_Question] = deque()  # somebody waits for these
        self.ahead: deque[_Question] = deque()  # these load something for later
        self.current: _Question | None = None
        self.ready: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.failed: dict[tuple[str, str], str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.thread: threading.Thread | None = None
        self.closed = False

    def put(self, question: _Question) -> None:
        with self.changed:
            line = self.asked if question.waits else self.ahead
            if not question.waits and self.state(question.key) in ("ready", "warming"):
                return
            if self.closed:
                raise LiveError(ENDED)
            if len(line) >= WAITING:
                raise LiveError(f"{WAITING} questions wait for the live worker already. Try again in a moment.")
            line.append(question)
            if self.thread is None:  # a daemon, so that it keeps no server from ending
                thread = threading.Thread(target=self._keep, name="live", daemon=True)
                thread.start()
                self.thread = thread
            self.changed.notify()

    def withdraw(self, question: _Question) -> bool:
        """Nobody waits for this one any more; False if it was answered in the meantime."""
        with self.changed:
            if question in self.asked:
                self.asked.remove(question)
            return not question.done.is_set()

    def state(self, key: tuple[str, str]) -> str:
        known = [self.current, *self.asked.copy(), *self.ahead.copy()]
        if self.process is not None and self.process.poll() is None and key in self.ready:
            return "ready"
        if any(question is not None and question.key == key for question in known):
            return "warming"
        return "failed" if key in self.failed else "cold"

    def close(self) -> None:
        with self.changed:
            self.closed, thread = True, self.thread
            if self.process is not None:
                self.process.kill()
            self.changed.notify()
        if thread is not None:
            thread.join()

    # what follows runs in the thread, which lives as long as the process: the kernel ends a child with the thread that started it

    def _keep(self) -> None:
        while (question := self._next()) is not None:
            said = self._exchange(question)
            if isinstance(said, str):
                question.tries += 1
                self._end()
                with self.changed:
                    if question.tries < 2 and not self.closed and (time.monotonic() < question.deadline or not question.waits):
                        (self.asked if question.waits else self.ahead).appendleft(question)
                        continue
                said = {"error": ENDED if self.closed else said}
            self._settle(question, said)

    def _next(self) -> _Question | None:
        """The next question; None, and the process is gone, when there has been none for a while."""
        idle = time.monotonic() + IDLE_S
        with self.changed:
            self.current = None
            while not self.closed:
                if line := self.asked or self.ahead:
                    self.current = line.popleft()
                    return self.current
                if self.process is None or self.process.poll() is not None or time.monotonic() >= idle:
                    break
                self.changed.wait(min(LOOK_S, max(0.0, idle - time.monotonic())))
            self._end()
            for question in (*self.asked, *self.ahead):
                question.error = LiveError(ENDED)
                question.done.set()
            self.asked.clear()
            self.ahead.clear()
            self.thread = None
            return None

    def _exchange(self, question: _Question) -> dict[str, Any] | str:
        """Give the question and take what the worker says; or why it says nothing, as a sentence."""
        try:
            with self.changed:
                if self.closed:  # since the question was taken from the line
                    return ENDED
                process = self.process = self.process or self._start()
        except OSError as error:
            question.tries = 2
            return f"The live worker cannot be started: {error}."
        assert process.stdin and process.stdout
        until = max(question.deadline, time.monotonic() + STUCK_S)
        with contextlib.suppress(OSError):  # its end of a pipe is gone
            send(process.stdin.fileno(), question.frame)
            said = receive(process.stdout.fileno(), LONGEST_ANSWER, until)
            if isinstance(said, dict) and said.get("number") == question.number:
                return said
        if time.monotonic() >= until:
            question.tries = 2
            return "The live worker did not come to an end with this and was stopped. Try again."
        return "The live worker broke twice before it could answer; live.log in the data folder may say why. Try again."

    def _start(self) -> subprocess.Popen[bytes]:
        with _log() as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "core", "live"], cwd=io.CHECKOUT, env={**os.environ, **self.settings}, bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        if process.stdin and hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # too many large pipes: then a long question waits until it is read
                fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE)
        return process

    def _end(self) -> None:
        """Kill the process, if there is one: it holds nothing that is worth saving."""
        with self.changed:
            process, self.process = self.process, None
            self.ready.clear()
        if process is not None:
            process.kill()
            with process:  # closes the pipes and waits
                pass

    def _settle(self, question: _Question, said: dict[str, Any]) -> None:
        with self.changed:
            self.current = None
            if (sentence := said.get("error")) is None:
                question.answer = said["answer"]
                self.failed.pop(question.key, None)
                self.ready[question.key] = None
                self.ready.move_to_end(question.key)
                for key in [key for key in self.ready if key[0] == question.key[0]][:-KEPT]:
                    del self.ready[key]
            else:
                kind = getattr(errors, str(said.get("kind")), LiveError)
                question.error = kind(sentence)
                if said.get("dropped"):  # the worker keeps nothing after what it did not expect
                    self.ready.clear()
                if not question.waits:
                    self.failed[question.key] = sentence
                    for key in [*self.failed][:-REASONS]:
                        del self.failed[key]
            question.done.set()


def _log() -> IO[bytes]:
    """Where the worker's words go; nowhere if the data folder is full or read-only, which is no reason not to answer."""
    path = io.home() / "live.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb" if path.exists() and path.stat().st_size > LOG_BYTES else "ab")
    except OSError:
        return Path(os.devnull).open("ab")


_lock = threading.Lock()
_current: _Worker | None = None


def _worker() -> _Worker:
    """The one worker of this process; another one when the settings have changed since."""
    global _current
    settings = {name: os.environ.get(name, "") for name in ("ALTERLAB_LIVE", "ALTERLAB_ANSWERS")}
    settings["ALTERLAB_HOME"] = str(io.home().absolute())
    with _lock:
        if _current is None or _current.settings != settings:
            if _current is not None:
                _current.close()
            _current = _Worker(settings)
        return _current


atexit.register(close)
