"""The command line: one JSON object, exit codes, plain sentences."""

import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import jobs, store
from core.__main__ import main
from core.data import intake
from core.errors import JobError
from core.jobs import engines, record, wake
from core.run import Run
from tests.data.bad_pictures import good
from tests.pages import made_jobs

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ALTERLAB_HOME", str(tmp_path))


def run(capsys, *args):
    code = main(args)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_describe_gives_the_papers_size_as_json(capsys):
    code, out, _ = run(capsys, "describe", "alternet-50", "--image-size", "32", "--classes", "100", "--json")
    answer = json.loads(out)
    assert code == 0
    assert round(answer["parameters"] / 1e6, 2) == 33.01
    assert len(answer["units"]) == 17
    assert set(answer) == {"parameters", "flops", "units", "notation"}
    assert {"stage", "index", "kind", "depth", "resampling"} <= set(answer["units"][0])


def test_describe_needs_no_torch():
    code = "import sys; from core.__main__ import main; main(['describe', 'vit-ti', '--json']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("describe", "cc-mc"), "Stage 2, unit 1"),
        (("train", "--arch", "resnet-mini", "--data", "nonsense"), "There is no data set 'nonsense'"),
        (("train", "--arch", "resnet-mini", "--recipe", "nonsense"), "There is no recipe"),
        (("train", "--arch", "resnet-mini", "--set", "lr=much"), "lr is 'much'"),
        (("train", "--arch", "resnet-mini", "--set", "nothing"), "name=value"),
        (("train", "--arch", "resnet-mini", "--fraction", "7"), "fraction"),
        (("measure", "no-such-run", "fourier"), "There is no run"),
        (("measure", "no-such-run", "no-such-analysis"), "There is no analysis"),
        (("data", "get"), "Say which images"),
        (("data", "add"), "Say which pictures to import"),
        (("data", "add", "/there/is/none"), "There is no folder and no zip file '/there/is/none'"),
        (("data", "add", ".", "--set", "image_size=7"), "image_size is 7"),
        (("data", "remove"), "Say which set of your own"),
        (("data", "remove", "fashion"), "There is no set of your own 'fashion'"),
        (("jobs", "show", "000001-train-abcdef"), "job"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_1(capsys, args, says):
    code, out, err = run(capsys, *args)
    assert code == 1
    assert says in err and "Traceback" not in err
    code, out, err = run(capsys, *args, "--json")
    assert code == 1 and says in json.loads(out)["error"]


def test_wrong_arguments_exit_2():
    with pytest.raises(SystemExit) as caught:
        main(["describe"])
    assert caught.value.code == 2


def test_train_runs_measure_and_the_same_question_is_not_measured_twice(capsys, tmp_path):
    train = ("train", "--arch", "cm-cm", "--limit", "128", "--epochs", "1", "--set", "batch=32", "--json")
    code, out, _ = run(capsys, *train)
    first = json.loads(out)
    assert code == 0 and first["steps"] == 4 and first["n_train"] == 128
    _, out, _ = run(capsys, *train)
    assert json.loads(out)["digest"] == first["digest"] and json.loads(out)["seconds"] == first["seconds"]
    _, out, _ = run(capsys, "runs", "--json")
    assert first["run"] in [r["run"] for r in json.loads(out)["runs"]]
    measure = ("measure", first["run"], "fourier", "--set", "images=16", "--json")
    _, out, _ = run(capsys, *measure)
    one = json.loads(out)
    assert one["manifest"]["weights"] == first["digest"] and one["manifest"]["params"]["images"] == 16
    assert {row["images"] for row in one["table"]} == {16}
    _, out, _ = run(capsys, *measure)
    assert json.loads(out)["manifest"]["created"] == one["manifest"]["created"]
    place = tmp_path / "copy"
    code, out, _ = run(capsys, "export", first["run"], "--to", str(place), "--json")
    assert code == 0
    names = sorted(p.name for p in place.rglob("*") if p.is_file())
    assert names == ["arrays.npz", "end.safetensors", "final.json", "history.jsonl", "manifest.json", "run.json", "table.parquet"]
    code, _, _ = run(capsys, "export", first["run"], "--to", str(tmp_path / "light"), "--no-weights")
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "light").rglob("*") if p.is_file()) == [n for n in names if n != "end.safetensors"]


def test_pictures_are_added_listed_and_removed(capsys, tmp_path):
    source = good(tmp_path / "my set")
    (source / "red" / "bad.png").write_text("no picture")
    code, out, err = run(capsys, "data", "add", str(source), "--set", "image_size=32")
    assert code == 0 and "putting the set together" in err
    said = "left out: red/bad.png cannot be read as a picture: nothing in it is one"
    *_, last = lines = out.splitlines()
    assert lines[:2] == [said, "1 left out: no picture"]
    assert last.startswith("own:my-set@") and last.endswith("16 + 4 images of 2 classes at 32 px")
    code, out, _ = run(capsys, "data", "add", str(source), "--set", "image_size=32", "--json")
    made = json.loads(out)
    assert code == 0 and made["left_out"] == {"no picture": 1} and made["rows"][0]["file"] == "red/bad.png"
    _, out, _ = run(capsys, "data", "list")
    assert out.splitlines()[-1].startswith(f"{made['id']} my set: 16 + 4 images of 32 px")
    _, out, _ = run(capsys, "data", "list", "--json")
    listed = json.loads(out)
    assert listed["datasets"][-1]["id"] == made["id"] and listed["datasets"][-1]["available"] and listed["unfinished"] == []
    store.create(Run(arch="c-c", data=made["id"], recipe={}, classes=2))
    code, _, err = run(capsys, "data", "remove", "my-set")
    assert code == 1 and "is used by" in err
    code, out, _ = run(capsys, "data", "remove", made["id"], "--force")
    assert code == 0 and "Its images are missing now to" in out
    assert run(capsys, "data", "list")[1].count("own:") == 0


def test_a_stopped_import_goes_on_with_the_same_command(capsys, tmp_path, monkeypatch):
    source = good(tmp_path / "set")
    with monkeypatch.context() as patch:
        patch.setattr(intake, "assemble", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        code, _, err = run(capsys, "data", "add", str(source), "--name", "Mine")
        assert code == 1 and "Stopped. The same command goes on from there." in err
    assert "mine             import not finished" in run(capsys, "data", "list")[1]
    assert run(capsys, "data", "add", str(source), "--name", "Mine")[0] == 0
    assert "not finished" not in run(capsys, "data", "list")[1]


# ---- jobs


@pytest.fixture
def at_rest(tmp_path, monkeypatch):
    """No dispatcher is started; leases are of this test."""
    monkeypatch.setenv("ALTERLAB_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr(wake, "ensure", lambda: None)


def answer(capsys, *args):
    code, out, _ = run(capsys, "jobs", *args, "--json")
    assert code == 0
    return json.loads(out)


def test_jobs_are_listed_shown_moved_and_stopped(capsys, at_rest):
    first, second = (jobs.submit("sleep", {"device": "cpu"}, label=name).id for name in ("one", "two"))
    assert [job["id"] for job in answer(capsys, "list")["jobs"]] == [second, first]
    assert answer(capsys, "priority", second, "-7")["job"]["priority"] == -7
    assert answer(capsys, "cancel", first)["job"]["state"] == "cancelled"
    shown = answer(capsys, "show", first)
    assert shown["job"]["cause"] == "user" and shown["attempts"] == []
    assert answer(capsys, "resume", first)["job"]["state"] == "queued"
    _, out, _ = run(capsys, "jobs")
    assert [line.split()[:3] for line in out.splitlines()] == [[second, "queued", "two"], [first, "queued", "one"]]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("cancel",), "Say which job: python -m core jobs cancel ID"),
        (("priority", "ID"), "Say how high"),
        (("priority", "ID", "1001"), "from -1000 to 1000"),
        (("resume", "ID"), "only a failed or cancelled one"),
        (("tail", "../../etc/passwd"), "There is no job"),
    ],
)
def test_a_job_command_that_cannot_be_done_says_why(capsys, at_rest, args, says):
    job = jobs.submit("sleep", {"device": "cpu"}).id
    code, _, err = run(capsys, "jobs", *(job if arg == "ID" else arg for arg in args))
    assert code == 1 and says in err and "Traceback" not in err


def test_tail_follows_a_job_over_its_attempts_to_its_end(capsys, at_rest):
    job = made_jobs.write("sleep", {}, label="one", tries=2)

    def go_on():
        with (record.root() / job / "attempts" / "2" / "out.log").open("a") as log:
            log.write("added\n")
        made_jobs.finish(job, state="failed", cause="exception", reason="It broke.")

    with made_jobs.alive(job):
        later = threading.Timer(0.5, go_on)
        later.start()
        code, out, _ = run(capsys, "jobs", "tail", job, "--follow")
        later.join()
    assert code == 0
    lines = out.splitlines()
    assert lines[:-1] == ["first line", "last line of attempt 1", "first line", "last line of attempt 2", "added"]
    assert lines[-1].endswith("It broke.")
    _, out, _ = run(capsys, "jobs", "tail", job)
    assert out.splitlines() == lines[:-1]


@pytest.mark.timeout(60)
def test_serve_is_the_dispatcher_until_it_is_told_to_stop(tmp_path, monkeypatch):
    """It starts jobs, a second one is refused in words, SIGTERM ends it and leaves what runs."""
    monkeypatch.setenv("ALTERLAB_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr(wake, "ensure", lambda: None)  # so that only `serve` can have started the job
    serve = [sys.executable, "-m", "core", "jobs", "serve"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lab:
        try:
            assert "Starts and watches the jobs" in lab.stdout.readline()
            until(wake.lives)
            second = subprocess.run(serve, capture_output=True, text=True, timeout=20, check=False)
            assert second.returncode == 1 and "lives already" in second.stderr and "Traceback" not in second.stderr
            job = jobs.submit("sleep", {"device": "cpu", "steps": 200, "delay_s": 0.1})
            until(lambda: jobs.get(job.id).state == "running")
        finally:
            lab.send_signal(signal.SIGTERM)
            code = lab.wait(10)
        assert code == 0, lab.stderr.read()
    try:
        assert jobs.get(job.id).state == "running"
    finally:
        jobs.cancel(job.id)
        until(lambda: jobs.get(job.id).state == "cancelled", 15)


def test_the_clusters_of_the_readme_can_be_chosen(monkeypatch):
    """Each ALTERLAB_ENGINE of README.md makes an engine, with the options that stand there."""
    lines = [shlex.split(line, comments=True) for line in README.read_text().splitlines() if line.startswith("export ALTERLAB_ENGINE=")]
    chosen = [words[1].partition("=")[2] for words in lines]
    assert [setting.partition(":")[0] for setting in chosen] == ["slurm", "slurm", "ray"]
    for setting in chosen:
        monkeypatch.setenv("ALTERLAB_ENGINE", setting)
        name, _ = engines.setting()
        assert engines.engine(name).name == name
    monkeypatch.setenv("ALTERLAB_ENGINE", "slurm:--wrap=x")
    with pytest.raises(JobError, match="option of sbatch"):
        engines.engine("slurm")


def until(true, seconds=10.0):
    """Wait for something."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
