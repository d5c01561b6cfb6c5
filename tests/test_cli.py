"""The command line: one JSON object, exit codes, plain sentences."""

import json
import subprocess
import sys

import pytest

from core.__main__ import main


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
