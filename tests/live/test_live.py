"""The live worker with real processes and real kills."""

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import frames, live, store
from core.errors import LabError, LiveError, MeasureError, StoreError, TrainError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def lab(home, monkeypatch):
    """A worker of the test's own, without torch; afterwards nothing of it may be left."""
    monkeypatch.setenv("ALTERLAB_ANSWERS", "tests.live.stand_ins")
    monkeypatch.setattr(live, "LOOK_S", 0.02)
    before = set(os.listdir("/proc/self/fd"))
    yield home
    live.close()
    assert [thread.name for thread in threading.enumerate() if thread.name == "live"] == []
    assert children() == []
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def children() -> list[int]:
    """Our live workers, zombies included."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and (fields[0] == "Z" or b"live" in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")):
                found.append(int(name))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(true, patience_s: float = 10.0) -> None:
    """Wait for something; fails when it does not come."""
    end = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_worker_answers_all_and_has_no_torch():
    first = live.ask("echo", value=["a", {"b": 1.5}, None, "ä\ud800"])
    assert first["value"] == ["a", {"b": 1.5}, None, "ä\ud800"]
    assert 0 <= first["seconds"] < 1
    assert first["modules"] == []
    assert live.ask("echo", value=2)["pid"] == first["pid"] == children()[0]
    assert len(children()) == 1


def test_a_question_as_large_as_a_picture_of_384_pixels_is_answered():
    picture = "x" * (384 * 384 * 3 * 4 // 3)
    assert live.ask("echo", value=picture)["value"] == picture


def test_many_threads_get_each_their_own_answer():
    def one(n):
        return live.ask("echo", timeout_s=30, value=n, delay_s=0.02 if n % 5 == 0 else 0)["value"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(60))) == list(range(60))
    assert len(children()) == 1


def test_an_abandoned_question_does_not_answer_the_next(lab):
    live.ask("echo")
    with pytest.raises(LiveError, match=re.escape("no answer within 0.1 s")):
        live.ask("echo", timeout_s=0.1, value="slow", delay_s=0.5)
    assert live.ask("echo", value="quick")["value"] == "quick"
    # one that waits in the line and is abandoned is never begun
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(live.ask, "begun", flag=str(lab / "first"), delay_s=1)
        until((lab / "first").exists)
        with pytest.raises(LiveError):
            live.ask("begun", timeout_s=0.05, flag=str(lab / "second"), delay_s=0)
        assert first.result()["value"] == "done"
    live.ask("echo")
    assert not (lab / "second").exists()


def test_what_libraries_print_and_read_does_no_harm(lab):
    assert live.ask("noisy")["read"] == ""
    assert live.ask("echo", value=1)["value"] == 1
    log = (lab / "live.log").read_text()
    assert "printed" in log and "from a child" in log


@pytest.mark.parametrize(
    ("op", "args", "kind", "says"),
    [
        ("wrong", {"unit": "s9u9"}, MeasureError, "There is no unit s9u9."),
        ("nonsense\n\0", {}, LiveError, "There is no live question .* Known: echo, noisy"),
        ("wrong", {}, LiveError, "takes unit: missing a required argument"),
        ("wrong", {"unit": "a", "__class__": 1}, LiveError, "takes unit: got an unexpected"),
        ("echo", {"value": object()}, LiveError, "Only plain values"),
        ("echo", {"value": {1, 2}}, LiveError, "Only plain values"),
        ("echo", {"value": "x" * 1_100_000}, LiveError, "at most 1,044,480 bytes"),
    ],
)
def test_a_wrong_question_is_told_so_and_the_worker_lives_on(op, args, kind, says):
    pid = live.ask("echo")["pid"]
    with pytest.raises(kind, match=says):
        live.ask(op, **args)
    assert live.ask("echo")["pid"] == pid


@pytest.mark.parametrize("what", ["bug", "exit", "answer", "no answer"])
def test_what_nobody_expected_gets_a_reference_that_is_in_the_log(lab, what):
    pid = live.ask("echo")["pid"]
    with pytest.raises(LabError) as caught:
        live.ask("unexpected", what=what)
    assert live.ask("echo")["pid"] == pid
    if what != "answer":
        reference = re.search(r"reference (\w{4})", str(caught.value))[1]
        log = (lab / "live.log").read_text()
        assert f"reference {reference}" in log and "Traceback" in log
    assert "Traceback" not in str(caught.value)


def test_killed_in_mid_question_it_is_asked_again_without_a_word(lab):
    first = live.ask("echo")["pid"]
    assert live.ask("deadly", flag=str(lab / "flag"))["value"] == "at last"
    assert live.ask("echo")["pid"] != first
    assert len(children()) == 1


def test_a_question_that_always_kills_fails_alone(lab):
    with ThreadPoolExecutor(4) as pool:
        bad = [pool.submit(live.ask, "deadly", 60, flag="", number=number) for number in (signal.SIGKILL, signal.SIGSEGV)]
        good = [pool.submit(live.ask, "echo", 60, value=n) for n in range(4)]
        for question in bad:
            with pytest.raises(LiveError, match="broke twice"):
                question.result()
        assert [question.result()["value"] for question in good] == [0, 1, 2, 3]


def test_killed_while_idle_the_next_question_works():
    live.warm("echo")
    until(lambda: live.state("echo") == "ready")
    pid = children()[0]
    os.kill(pid, signal.SIGKILL)
    until(lambda: children() == [])  # no zombie, though nobody asks
    until(lambda: live.state("echo") == "cold")
    assert live.ask("echo")["pid"] != pid


def test_one_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(live, "STUCK_S", 0.5)
    first = live.ask("echo")["pid"]
    with pytest.raises(LiveError, match="no answer within"):
        live.ask("deadly", timeout_s=0.1, flag="", number=signal.SIGSTOP)
    assert live.ask("echo")["pid"] != first
    assert not alive(first)


def test_a_question_that_somebody_waits_for_may_take_its_time(monkeypatch):
    monkeypatch.setattr(live, "STUCK_S", 0.1)
    assert live.ask("echo", delay_s=0.5, value=1)["value"] == 1


def test_a_worker_that_cannot_begin_is_an_error_in_words(monkeypatch, lab):
    monkeypatch.setenv("ALTERLAB_ANSWERS", "tests.live.missing")
    with pytest.raises(LiveError, match=r"live\.log"):
        live.ask("echo")
    assert "tests.live.missing" in (lab / "live.log").read_text()
    monkeypatch.setattr(sys, "executable", str(lab / "no-python"))
    with pytest.raises(LiveError, match="cannot be started"):
        live.ask("echo")


def test_a_data_folder_that_takes_no_log_is_no_hindrance(monkeypatch, lab):
    (lab / "file").touch()
    monkeypatch.setenv("ALTERLAB_HOME", str(lab / "file"))
    assert live.ask("echo", value=1)["value"] == 1
    with pytest.raises(LiveError, match="reference"):
        live.ask("unexpected", what="bug")


def test_states_of_warming():
    assert live.state("echo", delay_s=1.0) == "cold"
    begun = time.monotonic()
    live.warm("echo", delay_s=1.0)
    live.warm("echo", delay_s=1.0)
    assert live.state("echo", delay_s=1.0) == "warming"
    assert live.state("echo", delay_s=0.3) == "cold"
    assert time.monotonic() - begun < 1.0
    until(lambda: live.state("echo", delay_s=1.0) == "ready")
    live.warm("wrong", unit="s1u1")
    until(lambda: live.state("wrong", unit="s1u1") == "failed")
    assert live.reason("wrong", unit="s1u1") == "There is no unit s1u1."
    assert live.reason("echo") == ""


def test_a_click_goes_before_what_is_only_loaded_ahead(lab):
    live.warm("begun", flag=str(lab / "running"), delay_s=0.5)
    until((lab / "running").exists)
    live.warm("begun", flag=str(lab / "ahead"), delay_s=0)
    live.ask("begun", flag=str(lab / "click"), delay_s=0.05)
    until((lab / "ahead").exists)
    assert (lab / "click").stat().st_mtime_ns < (lab / "ahead").stat().st_mtime_ns


def test_states_name_what_is_loaded_and_not_the_click(monkeypatch):
    monkeypatch.setitem(live.LOADED, "echo", {"value": "", "delay_s": 0.0})
    live.ask("echo", value="a")
    assert live.state("echo", value="a", delay_s=0.0) == live.state("echo", value="a", off=["s1u1"]) == "ready"
    for value in range(frames.KEPT):
        live.ask("echo", value=value)
    assert [live.state("echo", value=value) for value in ("a", *range(frames.KEPT))] == ["cold", *["ready"] * frames.KEPT]
    with pytest.raises(LabError):  # after what nobody expected nothing is kept
        live.ask("unexpected", what="bug")
    assert live.state("echo", value=frames.KEPT - 1) == "cold"


def test_after_a_while_without_questions_it_ends(monkeypatch):
    monkeypatch.setattr(live, "IDLE_S", 0.2)
    pid = live.ask("echo")["pid"]
    until(lambda: children() == [] and not alive(pid))
    until(lambda: live.state("echo") == "cold")
    assert live.ask("echo")["pid"] != pid


def test_too_many_questions_are_refused(monkeypatch, lab):
    monkeypatch.setattr(live, "WAITING", 2)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(live.ask, "begun", flag=str(lab / "first"), delay_s=1)]
        until((lab / "first").exists)
        for n in range(2):
            asked.append(pool.submit(live.ask, "echo", value=n))
            until(lambda n=n: live.state("echo", value=n) == "warming")
        with pytest.raises(LiveError, match="2 questions wait for the live worker already"):
            live.ask("echo")
        assert [question.result()["value"] for question in asked] == ["done", 0, 1]


def test_who_waits_is_told_when_the_worker_is_ended():
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(live.ask, "echo", value=n, delay_s=30) for n in range(3)]
        until(lambda: all(live.state("echo", value=n, delay_s=30) == "warming" for n in range(3)))
        live.close()
        for question in asked:
            with pytest.raises(LiveError, match="was ended"):
                question.result()


SERVER = """
import sys, threading, time
from core import live
thread = threading.Thread(target=lambda: print(live.ask('echo')['pid'], flush=True))  # a script's thread, which ends before the server
thread.start()
thread.join()
time.sleep(0.3)
assert live.ask('echo', value=1)['value'] == 1
if sys.argv[1] == 'busy':
    live.warm('begun', flag=sys.argv[2], delay_s=60)
if sys.argv[1] != 'ends':
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["idle", "busy", "ends"])
def test_it_ends_with_its_server_and_not_with_the_thread_that_asked_first(lab, how):
    flag = lab / "begun"
    command = [sys.executable, "-W", "error", "-c", SERVER, how, str(flag)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        pid = int(server.stdout.readline())
        if how == "busy":
            until(flag.exists)
        if how != "ends":
            time.sleep(0.5)
            assert alive(pid)
            server.kill()
        assert server.wait(10) == (0 if how == "ends" else -signal.SIGKILL)
        assert server.stderr.read() == ""
    until(lambda: not alive(pid), 5.0)


def test_by_hand_it_says_who_starts_it():
    code = "import os, pty, sys\npid, _ = pty.fork()\nif pid == 0: os.execv(sys.executable, [sys.executable, '-m', 'core', 'live'])\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.stdout.write(os.read(_, 4096).decode()); os.waitpid(pid, 0)"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert "started by the app, not by hand" in done.stdout
    listed = subprocess.run([sys.executable, "-m", "core", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert "SUPPRESS" not in listed.stdout


def test_frames_that_are_none():
    read, write = os.pipe()
    with open(read, "rb", 0), open(write, "wb", 0):
        for damaged in (b"\xff\xff\xff\xff", b"\0\0\0\2{x", b"\0\0\0\5{}"):
            os.write(write, damaged)
            assert frames.receive(read, 100, time.monotonic() + 0.05) is None
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(read, False)
                os.read(read, 100)
            os.set_blocking(read, True)
        frames.send(write, frames.pack({"a": [1, "é"]}, 100))
        assert frames.receive(read, 100, time.monotonic() + 1) == {"a": [1, "é"]}
        begun = time.monotonic()
        assert frames.receive(read, 100, begun + 0.05) is None
        assert 0.04 < time.monotonic() - begun < 1


@pytest.mark.slow
def test_a_real_net_gives_what_its_bench_gives(monkeypatch):
    from core.analyses import Subject, attention, lesion

    monkeypatch.delenv("ALTERLAB_ANSWERS")
    run = next(run for run in store.list_runs() if store.is_shipped(run.id) and run.name.lower().startswith("alternet"))
    live.warm("lesion", run=run.id)
    until(lambda: live.state("lesion", run=run.id, images=256, seed=0, off=["s1u1"]) == "ready", 60)
    bench = lesion.Bench(Subject(run, "cpu"), images=256, seed=0)
    units = [u.id for u in bench.subject.net.units]
    for off in ([], units[-1:], [units[0], units[-1]]):
        said = live.ask("lesion", run=run.id, off=off)
        assert 0 < said.pop("seconds") < 10
        wanted = bench.answer(off)
        assert said.keys() == wanted.keys()
        assert (said["lost"], said["gained"], said["flips"], said["off"]) == (wanted["lost"], wanted["gained"], wanted["flips"], off)
        for name in ("accuracy", "change", "ci_low", "ci_high", "p"):
            assert said[name] == pytest.approx(wanted[name], abs=1e-9)
        assert said["nll"] == pytest.approx(wanted["nll"], abs=1e-5)
    looked = live.ask("attention", run=run.id)
    unit = next(id for id in looked["units"] if id in [u.id for u in bench.subject.net.units if u.kind == "msa"])
    assert live.state("attention", run=run.id) == "ready"
    said = live.ask("attention", run=run.id, index=3, unit=unit)
    assert said["weights"] == attention.look(bench.subject, 3, unit)["weights"]
    shown, images = live.ask("picture", run=run.id, index=9_999), bench.subject.pictures("test")
    assert base64.b64decode(shown["pixels"]) == images.pixels[9_999].tobytes() and shown["shape"] == [1, 32, 32]
    assert shown["class"] == images.spec.classes[images.labels[9_999]]
    for index in (10_000, -1, "0", True):
        with pytest.raises(MeasureError, match="place of a test image, from 0 to 9999"):
            live.ask("picture", run=run.id, index=index)
    for args, kind in (
        ({"run": "no-such-run"}, StoreError), ({"run": "../../etc/passwd"}, StoreError), ({"run": 7}, StoreError),
        ({"run": run.id, "off": ["s9u9"]}, MeasureError), ({"run": run.id, "off": "s1u1"}, MeasureError),
        ({"run": run.id, "off": [None]}, MeasureError), ({"run": run.id, "how": "<b>"}, MeasureError),
        ({"run": run.id, "images": 10**9}, MeasureError), ({"run": run.id, "images": True}, MeasureError),
        ({"run": run.id, "seed": -1}, MeasureError),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            live.ask("lesion", **args)
        assert "reference" not in str(caught.value)
    monkeypatch.setenv("ALTERLAB_LIVE", "abacus")
    with pytest.raises(TrainError, match="There is no device 'abacus'"):
        live.ask("lesion", 60, run=run.id)
