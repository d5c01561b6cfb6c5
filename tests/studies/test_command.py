"""`python -m core study`: what there is, what one would take, and what is known of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core import studies
from core.__main__ import main
from core.claims import CLAIMS
from core.studies import Setting, _work
from tests.studies import made

pytestmark = pytest.mark.usefixtures("home")


def run(capsys, *args: str) -> tuple[int, str, str]:
    code = main(["study", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_all_are_listed(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == list(studies.ORDER)
    code, out, _ = run(capsys, "--json")
    listed = json.loads(out)["studies"]
    assert code == 0 and [one["study"] for one in listed] == list(studies.ORDER)
    assert {claim for one in listed for claim in one["claims"]} <= set(CLAIMS) and len(listed[0]["question"]) > 10


def test_a_plan_trains_nothing_and_needs_no_torch():
    code = (
        "import sys; from core.__main__ import main; main(['study', 'heads', '--plan', '--json']); "
        "assert 'torch' not in sys.modules and 'streamlit' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    plan = json.loads(done.stdout)
    assert (plan["study"], plan["size"], plan["data"], plan["seeds"]) == ("heads", "mini", "fashion", 1)
    assert plan["cost"]["nets"] == 3 and plan["cost"]["seconds"] > 100 and plan["cost"]["bytes"] > 10**7
    assert [row["label"] for row in plan["table"]] == ["1 head", "3 heads", "6 heads"] and plan["table"][0]["accuracy"] is None
    assert plan["claims"][0]["id"] == "L11" and plan["claims"][0]["verdict"] == "not measured" and plan["failed"] == []


def test_a_plan_in_words(capsys):
    code, out, _ = run(capsys, "heads", "--plan")
    first, *rest = out.splitlines()
    assert code == 0 and first.startswith("Heads: 3 nets to train, 0 trained already, 6 measurements; about ") and first.endswith(" MB.")
    assert "nan" not in out.lower() and rest[-1] == "L11: not measured."
    made.finish(studies.get("heads"), Setting())
    code, out, _ = run(capsys, "heads", "--plan")
    assert out.startswith("Heads: 0 nets to train, 3 trained already, 0 measurements") and "L11: undecided. log" in out


def test_a_study_is_gone_through_and_tells_what_failed(capsys, monkeypatch):
    def do(one, console, device):
        made.trained(one.run)
        return "SAM, 0.05, seed 0: The loss was no longer finite." if "SAM" in one.label else ""

    monkeypatch.setattr(_work, "do", do)
    code, out, err = run(capsys, "sam", "--json")
    answer = json.loads(out)
    assert code == 0 and "no longer finite" in err and len(answer["failed"]) == 1
    assert [row["state"] for row in answer["table"]] == ["trained", "trained"]


def test_stopped_it_says_how_to_go_on(capsys, monkeypatch):
    from core.jobs import Cancelled

    def do(one, console, device):
        raise Cancelled

    monkeypatch.setattr(_work, "do", do)
    code, _, err = run(capsys, "sam")
    assert code == 1 and "the same command goes on from there" in err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nonsense",), "There is no study 'nonsense'"), (("heads", "--seeds", "11"), "11 seeds is not offered; 1 to 10 are"),
        (("heads", "--seeds", "-1"), "-1 seeds"), (("heads", "--data", "nonsense"), "There is no data set 'nonsense'"),
        (("few_images_vit", "--data", "imagenette", "--plan"), "640 are needed. Choose a larger set of images."),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence_and_exit_1(capsys, args, says):
    code, _, err = run(capsys, *args)
    assert code == 1 and says in err and "Traceback" not in err and err.count("\n") == 1
    code, out, _ = run(capsys, *args, "--json")
    assert code == 1 and says in json.loads(out)["error"]


@pytest.mark.parametrize("args", [("heads", "--size", "huge"), ("heads", "--seeds", "few")])
def test_wrong_arguments_exit_2(capsys, args):
    with pytest.raises(SystemExit) as caught:
        main(["study", *args])
    assert caught.value.code == 2 and "Traceback" not in capsys.readouterr().err
