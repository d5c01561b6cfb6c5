"""A study on the Train page: its cost before, its figure while it fills, its claims, its job, and links that name it."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest
from streamlit.testing.v1 import AppTest

from core import data, io, size, store, studies
from core.errors import LabError
from core.jobs import shards
from core.run import Run
from core.studies import Setting, _drawn
from core.table import Measurement
from pages.ui import figure, study_known
from tests.claims import made
from tests.pages import made_jobs
from tests.pages.conftest import ROOT

Opened = Callable[..., AppTest]
MINI = Setting()
TESTED = 10_000


def text(app: AppTest) -> str:
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


def group(app: AppTest, label: str):
    return next(g for g in app.get("button_group") if g.label == label)


def charts(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def train(run: Run, accuracy: float, loss: float = 0.3) -> None:
    """A net of the user's own, trained to the end."""
    place = store.create(run)
    facts = {"seconds": 90.0, "cpu_seconds": 90.0, "steps": 1000, "batch": 64, "device": "cpu", "threads": 1, "digest": "w"}
    facts |= {"n_train": round(20_000 * run.fraction), "n_test": TESTED, "nll": 0.4, "ece": 0.02, **size.count(run.plan, 32, 10)}
    rows = [{"epoch": e, "step": 100 * e, "train_loss": loss, "accuracy": accuracy, "images_per_s": 900} for e in range(1, 7)]
    io.write_atomic(place / "history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    io.write_json(place / "final.json", {"accuracy": accuracy, **facts})


def answer(run: Run, asks: Iterable[tuple[str, dict]], accuracy: float, ape: float, nep: float, gap: float) -> None:
    """What a study asks of a net, answered with these numbers."""
    for name, settings in asks:
        if name == "hessian":
            found = made.hessian(ape, nep, settings["phase"], seed=run.seed)
        elif name == "calibration":
            found = made.calibration(gap)
            found.arrays.update(made.answers_of([accuracy], TESTED, run.seed))
        else:
            found = made.corruption(accuracy - 0.2)
        facts = {name: found.manifest[name] for name in ("params", "version", "phase")} | {"weights": "w"}
        result = Measurement(table=found.table, arrays=found.arrays, notes=found.manifest["notes"])
        store.save_result(run.id, name, io.digest([name, settings]), result, facts)


def do(study_id: str, setting: Setting = MINI, only: int = 99, accuracy: Callable[[int], float] = lambda i: 0.85 + 0.01 * i) -> list[Run]:
    """The first nets of a study as if it had run: each one better, flatter and less often curved down than the one before."""
    study, runs = studies.get(study_id), []
    while len(runs) < min(only, len(members := study.members(setting))):
        member, i = members[len(runs)], len(runs)
        train(member.run, accuracy(i), 0.5 - 0.03 * i)
        answer(member.run, member.asks, accuracy(i), 20.0 / (i + 1), 0.3 / (i + 1), 0.04 - 0.01 * i)
        runs.append(member.run)
    return runs


def places(study_id: str, measure: str, setting: Setting = MINI) -> tuple[int, int]:
    """(nets drawn with a value, dashed places) of a panel."""
    study = studies.get(study_id)
    spec = _drawn.panel(study, study_known.known(study, setting).table, measure).to_dict()
    count = {"rect": 0, "point": 0}
    for layer in spec["layer"]:
        kind = layer["mark"]["type"]
        if (kind in count and "shape" in {**layer["encoding"], "x2": 0}) or kind == "rect":
            count[kind] += len(spec["datasets"][layer["data"]["name"]])
    return count["point"], count["rect"]


# ---- the page


def test_the_plain_page_is_as_it_was(opened: Opened, checkout: object) -> None:
    app = opened("train")
    assert [title.value for title in app.title] == ["Is it learning, and when is it done?"]
    assert group(app, "Train").value == "One net" and "study" not in app.query_params
    group(app, "Train").set_value("A study").run()
    assert [title.value for title in app.title] == [next(iter(studies.catalogue().values())).question]
    assert app.query_params["study"] == next(iter(studies.catalogue()))
    group(app, "Train").set_value("One net").run()
    assert [title.value for title in app.title] == ["Is it learning, and when is it done?"]
    assert "study" not in app.query_params and not app.exception


@pytest.mark.parametrize("study_id", studies.catalogue())
def test_an_empty_lab_shows_what_a_study_would_be(opened: Opened, checkout: object, study_id: str) -> None:
    app = opened("train", study=study_id)
    study = studies.get(study_id)
    assert not app.exception and [title.value for title in app.title] == [study.question]
    assert "<b>Not done yet.</b>" in text(app) and "time unknown until a first run was timed here" in text(app)
    assert not app.button(key="study_run").disabled
    assert len(charts(app)) == (0 if _drawn.in_rows(study) else len(study.shows))
    for claim in study.claims:
        assert f"<i>{claim}: " in text(app)
    assert text(app).count("Not measured<") == len(study.claims)


def test_a_link_brings_study_size_and_seeds(opened: Opened, checkout: object) -> None:
    app = opened("train", study="heads", size="full", seeds="5")
    assert app.selectbox(key="study_study").value == "heads"
    assert group(app, "Size").value == "full" and group(app, "Seeds").value == 5
    assert "15 nets to train" in text(app)
    group(app, "Size").set_value("mini").run()
    assert "size" not in app.query_params and app.query_params["seeds"] == "5" and app.query_params["study"] == "heads"
    app.selectbox(key="study_study").set_value("patch").run()
    assert app.query_params["study"] == "patch" and "10 nets to train" in text(app)


@pytest.mark.parametrize("value", ["", "nothing", "../../etc", "heads'--", "<script>", "1e309", "-1", "x" * 3000])
def test_a_hostile_link_does_no_harm(opened: Opened, checkout: object, value: str) -> None:
    app = opened("train", study=value, size=value, seeds=value)
    assert not app.exception and [title.value for title in app.title] == ["Is it learning, and when is it done?"]
    app = opened("train", study="heads", size=value, seeds=value)
    assert not app.exception and group(app, "Size").value == "mini" and group(app, "Seeds").value == 0
    assert "3 nets to train" in text(app) and "script" not in text(app)


def test_a_study_that_is_not_known_is_said(opened: Opened, checkout: object) -> None:
    app = opened("train", study="<b>no</b> such")
    assert "The study of this link is not known here." in text(app) and "&lt;b&gt;no&lt;/b&gt; such" in text(app)
    assert "not known here" not in text(app.run()), "said once"


def test_the_seeds_as_usual_are_the_same_study(opened: Opened, checkout: object, queued: list[tuple]) -> None:
    for seeds in ("0", "1"):
        app = opened("train", study="heads", seeds=seeds)
        app.button(key="study_run").click().run()
    assert len(queued) == 2 and queued[0] == queued[1]
    assert queued[0][:2] == ("study", {"study": "heads", "setting": {"size": "mini", "data": "fashion", "seeds": 0}, "device": "auto"})
    assert queued[0][3], "a study that is under way would be doubled"
    assert "Heads" in queued[0][2]


def test_the_cost_says_what_is_there_already_and_hours_plainly(opened: Opened, checkout: object) -> None:
    do("heads", only=1)
    app = opened("train", study="heads")
    left = studies.cost(studies.get("heads"), MINI)
    assert left.nets == 2 and left.shared == 1
    assert f"2 nets to train, 1 is there already; {left.measurements} measurements: about <b>" in text(app)
    assert "min</b> (from runs on this machine)" in text(app)
    group(app, "Size").set_value("full").run()
    assert " days)</b>" in text(app) and "Full has the nets of the paper and is meant for a GPU" in text(app)


def test_what_is_not_measured_yet_is_a_dashed_place_and_never_zero(opened: Opened, checkout: object) -> None:
    assert places("heads", "accuracy") == (0, 3)
    do("heads", only=2)
    assert places("heads", "accuracy") == (2, 1) and places("heads", "nep") == (2, 1)
    app = opened("train", study="heads")
    assert not app.exception
    assert "<b>2 of 3 nets so far.</b> The share of negative eigenvalues falls from <b>30.0 %</b> (1 head) to <b>15.0 %</b>" in text(app)
    assert "Dashed: not measured yet." in text(app) and "Waits for nets that this study trains" in text(app)
    assert "1 net to train, 2 are there already" in text(app)


def test_what_is_not_asked_has_no_place(checkout: object) -> None:
    """Eigenvalues of the 3×3 net belong to no claim, so it is not waited for."""
    assert places("kernel", "accuracy") == (0, 3) and places("kernel", "nep") == (0, 2)


def test_a_study_that_is_done(opened: Opened, checkout: object) -> None:
    do("heads")
    app = opened("train", study="heads")
    said = text(app)
    assert not app.exception and "falls from <b>30.0 %</b> (1 head) to <b>10.0 %</b> (6 heads)" in said
    assert "“Heads convexify and flatten”: <b>undecided</b>." in said
    assert "Undecided<" in said and "with 1 of 3 seeds" in said
    assert app.button(key="study_run").disabled and app.button(key="study_run").help == "Nothing is left to do."
    assert "3 nets trained and measured; nothing is left to do." in said
    assert said.count(">Ready<") == 3 and "Dashed" not in said
    recipe = studies.get("heads").members(MINI)[0].run.recipe
    assert f"3 nets, 1 seed, Fashion, {recipe['epochs']} epochs, batch {recipe['batch']}. Accuracy on 10,000 test images." in said
    assert len(app.get("download_button")) == 2


def test_the_file_of_a_figure_names_its_panels(checkout: object) -> None:
    do("heads", only=2)
    study = studies.get("heads")
    table = study_known.known(study, MINI).table
    made = figure.svg_file([lambda theme, one=one: _drawn.panel(study, table, one, theme) for one in study.shows], "It falls.", "One seed.")
    for said in ("Negative eigenvalues", "Mean of positive eigenvalues", "Test accuracy", "It falls.", "One seed."):
        assert f">{said}<" in made.decode()


def test_several_seeds_are_dots_and_their_mean(opened: Opened, checkout: object) -> None:
    setting = Setting(seeds=3)
    runs = do("heads", setting)
    study = studies.get("heads")
    known = study_known.known(study, setting)
    assert len(known.table) == 9 and len(known.nets) == 3 and known.nets["seeds"].tolist() == [3, 3, 3]
    first = known.table[known.table["label"] == "1 head"]["accuracy"]
    assert known.nets["accuracy"][0] == pytest.approx(first.mean()) and first.nunique() == 3
    assert known.nets["accuracy_low"][0] < first.min() - 0.1
    app = opened("train", study="heads", seeds="3")
    assert "9 nets trained and measured" in text(app) and "Pale dots: one a seed." in text(app)
    (io.home() / "runs" / runs[1].id / "final.json").unlink()
    app.run()
    assert "2 of 3 seeds ready, begun" in text(app)


def test_the_build_up_grows_row_by_row(opened: Opened, checkout: object) -> None:
    shares = [0.85, 0.87, 0.86, 0.855]
    do("buildup", only=1)
    app = opened("train", study="buildup")
    assert "no MSA was tried yet" in text(app) and "At most 5 nets to train" in text(app)
    do("buildup", accuracy=lambda i: shares[min(i, 3)])
    app.run()
    said = text(app)
    assert not app.exception and "<b>1 MSA</b> kept (stage 2, unit 6): from 85.2 % to <b>87.0 %" in said
    assert said.count(">taken back") == 2 and said.count(">kept<") == 1
    known = study_known.known(studies.get("buildup"), MINI)
    drawn = _drawn.rows_file(studies.get("buildup"), known.table, "title <&>", "foot").decode()
    assert drawn.count("taken back") == 2 and "title &lt;&amp;&gt;" in drawn and "light-dark" not in drawn


def test_lines_are_told_apart(opened: Opened, checkout: object) -> None:
    do("few_images")
    app = opened("train", study="few_images")
    said = text(app)
    assert "Test accuracy, 1,200 images: conv net <b>" in said and "20,000 images: conv net <b>" in said and "4,000 images:" not in said
    table = study_known.known(studies.get("few_images"), MINI).nets
    assert table["family"].tolist() == ["conv"] * 3 + ["hybrid"] * 3


def test_without_an_order_the_best_and_the_worst_are_named(opened: Opened, checkout: object) -> None:
    do("placement", only=3)
    app = opened("train", study="placement")
    said = "<b>3 of 5 nets so far.</b> MSAs in a stage: <b>middle</b> has the highest test accuracy, <b>87.0 %</b>, none the lowest"
    assert said in text(app)
    assert text(app).count("not trained") == 2


def test_images_that_are_not_here(opened: Opened, checkout: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "available", lambda name: "" if name.startswith("fashion") else "They are fetched once.")
    app = opened("train", study="heads", d="cifar10")
    assert not app.exception and "These images are not here yet." in text(app)
    assert app.button(key="study_run").disabled


def test_too_few_images_are_said_and_other_studies_can_be_chosen(opened: Opened, checkout: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise LabError("12 training images would be too few.")

    do("heads", only=1)
    with monkeypatch.context() as patch:
        patch.setattr(studies, "table", refuse)
        app = opened("train", study="heads")
    assert not app.exception and "This study cannot be done so.</b> 12 training images would be too few." in text(app)
    app.selectbox(key="study_study").set_value("patch").run()
    assert [title.value for title in app.title] == [studies.get("patch").question]


# ---- its job


def job(**state: object) -> str:
    study = studies.get("heads")
    name = made_jobs.write("study", study_known.args(study, MINI), label="Heads", **state)
    return name


def test_a_running_study_says_how_far_it_is(opened: Opened, checkout: object) -> None:
    do("heads", only=1)
    told = {"step": 1350, "total": 3000, "rate": 3.0, "eta_s": 540.0, "message": "3 heads: epoch 2 of 6 · 900 images/s", "attempt": 1}
    with made_jobs.alive(job(progress=told)):
        app = opened("train", study="heads")
        assert "Net 2 of 3: 3 heads, epoch 2 of 6, 900 images/s, about 9 min left" in text(app)
        assert app.button(key="study_run").disabled and app.button(key="study_run").help == "It is running."
        assert "2 nets to train" not in text(app)
        app.button(key="study_stop").click().run()
        assert "Stopping" in text(app)
        other = opened("train", study="heads", seeds="3")
        assert not other.button(key="study_run").disabled, "another setting is another study"


def test_a_stopped_study_keeps_what_it_has_and_goes_on(opened: Opened, checkout: object, queued: list[tuple]) -> None:
    do("heads", only=1)
    job(end={"state": "cancelled", "cause": "user", "reason": "stopped"})
    app = opened("train", study="heads")
    assert "The study was stopped" in text(app) and "1 of 3 nets are trained and kept, 1 measured" in text(app)
    app.button(key="study_on").click().run()
    assert [task for task, *_ in queued] == ["study"]


def test_a_failed_study_says_why_and_its_log_can_be_read(opened: Opened, checkout: object) -> None:
    job(end={"state": "failed", "cause": "exception", "reason": "The loss was no longer finite."})
    app = opened("train", study="heads")
    assert "The loss was no longer finite. 0 of 3 nets are trained" in text(app)
    app.button(key="study_details").click().run()
    assert any("last line of attempt" in code.value for code in app.code)
    do("heads")
    assert "The study stopped" not in text(opened("train", study="heads")), "nothing is left, so the failure is of the past"


def test_nets_that_are_shared_among_gpus_are_jobs_of_their_own(checkout: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []
    monkeypatch.setattr(study_known.jobs, "submit", lambda task, args, **more: asked.append(more))
    monkeypatch.setattr(study_known.joblist, "gpus", lambda device: 2)
    price = dataclasses.replace(studies.cost(studies.get("few_images"), MINI), seconds=3600.0)
    for name in ("few_images", "buildup"):
        study_known.submit(studies.get(name), MINI, price)
    assert (asked[0]["parts"], asked[0]["rows"]) == (shards.parts(6, 600.0, 2), 6) and asked[0]["parts"] > 1
    assert (asked[1]["parts"], asked[1]["rows"]) == (0, 0), "each net of a build-up waits for the one before"


def test_reading_a_study_needs_no_torch(checkout: object) -> None:
    """In a process of its own, with eigenvalues and answers that were stored: what the page reads is what it needs."""
    do("heads")
    code = "import sys; from core import studies; from pages.ui import study_known; from core.studies import Setting\n"
    code += "print(study_known.known(studies.get('heads'), Setting()).measured, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]


def test_what_is_read_is_read_again_only_when_something_was_stored(checkout: object, monkeypatch: pytest.MonkeyPatch) -> None:
    study, asked = studies.get("heads"), []
    before, table = study_known.known(study, MINI), studies.table
    monkeypatch.setattr(studies, "table", lambda *args: (asked.append(args), table(*args))[1])
    study_known.known(study, MINI)
    assert not asked
    do("heads", only=1)
    assert study_known.known(study, MINI).trained == 1 != before.trained and len(asked) == 1
