"""The Train page: what would be trained and what it costs, the jobs in every state, the sentence over the curves."""

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, presets, recipe, size, store
from core.run import Run
from tests.pages import made_jobs

Opened = Callable[..., AppTest]
MINE = "ccwccw-cmmccm"


def text(app: AppTest) -> str:
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


def mine(seed: int = 0, epochs: int = 20) -> Run:
    how = dataclasses.asdict(recipe.get("quick", epochs=epochs))
    return Run(arch=presets.resolve(MINE).notation, data="fashion", recipe=how, seed=seed, name="Yours")


def training(run: Run, **state: object) -> str:
    """A stored run and the job that trains it."""
    store.create(run)
    return made_jobs.write("train", {"run": run.to_json(), "device": "auto"}, label=f"Yours, seed {run.seed}", **state)


def group(app: AppTest, label: str):
    return next(g for g in app.get("button_group") if g.label == label)


def test_an_empty_lab_says_what_to_do(opened: Opened, checkout: Path) -> None:
    app = opened("train")
    assert not app.exception
    assert [title.value for title in app.title] == ["Is it learning, and when is it done?"]
    assert "Nothing is training. Choose a net and images, then press <b>Train</b>" in text(app)
    assert "No curve yet" in text(app)
    assert "No job yet" in text(app)
    assert "time unknown until a first run was timed here" in text(app)
    assert not app.button(key="train_start").disabled


def test_the_cost_is_said_before(opened: Opened, shipped: list[Run]) -> None:
    app = opened("train", arch=MINE)
    group(app, "Seeds").set_value(3).run()
    assert "3 runs of 10 epochs, 20,000 images each: about" in text(app)
    # five snapshots of 2 bytes and two resume points of 12 bytes a weight, for each of three seeds
    most = math.ceil(3 * 34 * size.count(presets.resolve(MINE), 32, 10)["parameters"] / 1e6)
    assert f"at most {most} MB on disk. You can close this tab." in text(app)
    group(app, "Share of images").set_value(0.1).run()
    assert "3 runs of 10 epochs, 2,000 images each" in text(app)


def test_a_limit_and_the_epochs_are_counted(opened: Opened, shipped: list[Run]) -> None:
    app = opened("train", arch=MINE)
    app.number_input(key="t_epochs_quick").set_value(1).run()
    app.selectbox(key="t_limit").set_value(2000).run()
    assert "1 run of 1 epoch, 2,000 images each" in text(app)
    assert app.query_params["epochs"] == "1"


def test_a_link_brings_the_epochs(opened: Opened, shipped: list[Run]) -> None:
    app = opened("start")
    app.query_params["epochs"] = "3"
    app.switch_page("pages/train.py").run()
    assert "1 run of 3 epochs" in text(app)


def test_train_queues_one_job_a_seed(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    app = opened("train", arch=MINE)
    group(app, "Seeds").set_value(3).run()
    group(app, "Share of images").set_value(0.5).run()
    app.number_input(key="t_epochs_quick").set_value(4).run()
    app.button(key="train_start").click().run()
    assert not app.exception
    assert [task for task, *_ in queued] == ["train"] * 3
    for seed, (_, args, label, dedup) in enumerate(queued):
        run = Run.from_json(args["run"])
        assert (run.seed, run.fraction, run.recipe["epochs"], run.name) == (seed, 0.5, 4, "Yours")
        assert run.arch == presets.resolve(MINE).notation
        assert dedup == run.id and store.find(run.id) == run
        assert label.endswith(f"seed {seed}")
        assert args["device"] == "auto"


def test_a_preset_is_trained_under_its_name(opened: Opened, checkout: Path, queued: list[tuple]) -> None:
    app = opened("train")
    app.selectbox(key="train_net").set_value("swin-mini").run()
    app.button(key="train_start").click().run()
    assert queued[0][1]["run"]["name"] == "Swin-mini"
    assert app.session_state["arch"] == presets.resolve("swin-mini").notation


def test_the_readers_own_net_stays_in_the_list(opened: Opened, checkout: Path) -> None:
    app = opened("train", arch=MINE)
    assert app.selectbox(key="train_net").value == "yours"
    app.selectbox(key="train_net").set_value("vit-mini").run()
    app.selectbox(key="train_net").set_value("yours").run()
    assert app.session_state["arch"] == presets.resolve(MINE).notation


def on_fashion(run: Run) -> Run:
    """A shipped run once more, as if it had been trained on the images that the lab opens on."""
    twin = dataclasses.replace(run, data="fashion")
    shutil.copytree(store.folder(run.id), store.shipped_root() / twin.id)
    io.write_json(store.shipped_root() / twin.id / "run.json", twin.to_json())
    return twin


def test_what_is_trained_is_not_trained_again(opened: Opened, shipped: list[Run], queued: list[tuple]) -> None:
    app = opened("train", arch=on_fashion(shipped[0]).arch)
    app.button(key="train_start").click().run()
    assert not queued
    assert "Trained already" in text(app)


def test_a_shipped_net_of_all_images_is_the_ghost_but_no_race(opened: Opened, shipped: list[Run]) -> None:
    run = mine()
    job = training(run, progress={"step": 1, "total": 10, "rate": None, "eta_s": None, "message": ""})
    io.write_atomic(store.folder(shipped[2].id) / "history.jsonl", '{"epoch": 1, "train_loss": 1.0, "accuracy": 0.5}\n')
    made_jobs.history(run.id, [0.55])
    with made_jobs.alive(job):
        app = opened("train", arch=MINE)
    assert app.selectbox(key="ref").value == shipped[2].id
    assert "Yours is at <b>55.0 %</b> after 1 of 20 epochs." in text(app)
    assert "other images" in text(app)
    assert "That run: seed 0, Fashion-MNIST." in text(app)


def test_images_that_are_not_here_are_fetched_by_a_press(opened: Opened, checkout: Path, queued: list[tuple]) -> None:
    app = opened("train", d="cifar10")
    assert "These images are not here yet" in text(app)
    assert app.button(key="train_start").disabled
    app.button(key="train_fetch").click().run()
    assert queued == [("fetch", {"id": "cifar10", "device": "network"}, "Get CIFAR-10", "fetch cifar10")]


def test_a_net_that_does_not_fit_is_refused_in_words(opened: Opened, checkout: Path) -> None:
    app = opened("train", arch="c-c-c-c-c/stem=patch8")
    assert not app.exception
    assert "This cannot be trained" in text(app)
    assert app.button(key="train_start").disabled


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "y" * 4000, "<img src=x onerror=alert(1)>", "-1", "1e309", "ccc/width=99999999"])
def test_hostile_links_change_nothing(opened: Opened, shipped: list[Run], hostile: str) -> None:
    keys = ("arch", "ref", "t_recipe", "t_share", "t_seeds", "t_limit", "epochs", "d", "m")
    app = opened("train", **dict.fromkeys(keys, hostile))
    assert not app.exception
    assert "onerror" not in text(app)
    assert "1 run of 10 epochs, 20,000 images each" in text(app)


def test_a_running_job_shows_epoch_time_and_curves(opened: Opened, shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = mine()
    said = {"step": 61, "total": 100, "rate": 1.0, "eta_s": 61.0, "message": "epoch 13 of 20 · 5,900 images/s"}
    job = training(run, progress=said)
    made_jobs.history(run.id, [0.5 + 0.03 * i for i in range(12)])
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "cancel", stopped.append)
    with made_jobs.alive(job):
        app = opened("train", arch=MINE)
        assert "Yours is at <b>83.0 %</b> after 12 of 20 epochs" in text(app)
        assert "<b>61 s</b> to go" in text(app)
        assert "epoch 13 of 20 · 5,900 images/s · about 61 s left" in text(app)
        assert "Running" in text(app)
        assert len(app.get("vega_lite_chart")) == 2
        assert app.button(key=f"details_{job}")
        app.button(key=f"stop_{job}").click().run()
    assert stopped == [job]


def test_it_is_compared_at_the_same_epoch(opened: Opened, shipped: list[Run], checkout: Path) -> None:
    ghost, run = on_fashion(shipped[2]), mine()
    rows = "".join(f'{{"epoch": {i}, "train_loss": 1.0, "accuracy": {0.5 + 0.02 * i}}}\n' for i in range(1, 21))
    io.write_atomic(store.folder(ghost.id) / "history.jsonl", rows)
    job = training(run, progress={"step": 1, "total": 10, "rate": None, "eta_s": None, "message": ""})
    made_jobs.history(run.id, [0.55, 0.6, 0.62])
    with made_jobs.alive(job):
        app = opened("train", arch=MINE)
    assert app.selectbox(key="ref").value == ghost.id
    # 62.0 % against 50 + 3 x 2 = 56.0 %
    assert "Yours is at <b>62.0 %</b> after 3 of 20 epochs, 6.0 points ahead of AlterNet-mini at that point." in text(app)
    assert "Dashed: stored run of AlterNet-mini, other recipe." in text(app)


def test_waiting_jobs_stand_in_line(opened: Opened, checkout: Path) -> None:
    _, second = (training(mine(seed), started=False) for seed in (0, 1))
    app = opened("train")
    assert "next in line" in text(app) and "2nd in line" in text(app)
    assert "Yours waits for its turn." in text(app)
    assert app.button(key=f"cancel_{second}")


def test_a_failed_job_says_why_and_can_be_resumed(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = mine()
    reason = "The memory of this machine was full. Kept: 3 epochs."
    job = training(run, end={"state": "failed", "reason": reason})
    made_jobs.history(run.id, [0.5, 0.6, 0.7])
    resumed: list[str] = []
    monkeypatch.setattr(jobs, "resume", resumed.append)
    app = opened("train")
    assert reason in text(app)
    assert "Yours stopped at <b>70.0 %</b> after 3 of 20 epochs" in text(app)
    app.button(key=f"resume_{job}").click().run()
    assert resumed == [job]


def test_a_finished_job_opens_on_frequency(opened: Opened, shipped: list[Run]) -> None:
    run = mine()
    job = training(run, end={"state": "succeeded", "result": {"run": run.id}})
    made_jobs.history(run.id, [0.5, 0.6])
    counted = size.count(presets.resolve(MINE), 32, 10)
    io.write_json(store.folder(run.id) / "final.json", {"accuracy": 0.906, "seconds": 220.0, **counted})
    app = opened("train")
    assert "90.6 % after 2 epochs, 4 min" in text(app)
    app.button(key=f"open_{job}").click().run()
    assert [title.value for title in app.title] == ["Which blocks blur, and which sharpen?"]
    assert app.session_state["m"][-1] == run.id
    assert "Yours: not measured yet" in text(app)


def test_a_net_that_is_opened_on_a_full_stage_takes_the_place_of_one_of_other_images(opened: Opened, shipped: list[Run]) -> None:
    run, more = mine(), mine(seed=5)
    job = training(run, end={"state": "succeeded", "result": {"run": run.id}})
    training(more, end={"state": "succeeded", "result": {"run": more.id}})
    for one in (run, more):
        made_jobs.history(one.id, [0.5, 0.6])
        io.write_json(store.folder(one.id) / "final.json", {"accuracy": 0.9, **size.count(presets.resolve(MINE), 32, 10)})
    four = [*(net.id for net in shipped), more.id]
    app = opened("train", m=four)
    app.button(key=f"open_{job}").click().run()
    assert len(four) == 4 and app.session_state["m"] == [*four[:2], more.id, run.id]


def test_deleting_is_confirmed(opened: Opened, checkout: Path) -> None:
    run = mine()
    job = training(run, end={"state": "cancelled"})
    app = opened("train")
    app.button(key=f"details_{job}").click().run()
    app.button(key="details_remove").click().run()
    assert store.find(run.id) == run  # nothing yet: a dialog asks
    assert "cannot be undone" in text(app)
    app.button(key="delete_run").click().run()
    assert run.id not in {r.id for r in store.list_runs()}
    assert not jobs.list()


def test_a_line_can_go_while_the_net_stays(opened: Opened, checkout: Path) -> None:
    run = mine()
    job = training(run, end={"state": "failed", "reason": "x"})
    app = opened("train")
    app.button(key=f"details_{job}").click().run()
    app.button(key="details_remove").click().run()
    app.button(key="remove_line").click().run()
    assert not jobs.list()
    assert store.find(run.id) == run
    assert app.button(key=f"remove_{run.id}")  # the net itself is still listed


def test_the_log_is_shown(opened: Opened, checkout: Path) -> None:
    job = training(mine(), end={"state": "failed", "reason": "x"})
    app = opened("train")
    app.button(key=f"details_{job}").click().run()
    assert "last line of attempt 1" in app.code[0].value


def test_a_job_whose_run_is_gone_is_no_error(opened: Opened, checkout: Path) -> None:
    run = mine()
    made_jobs.write("train", {"run": run.to_json()}, label="Yours, seed 0", end={"state": "succeeded"})
    made_jobs.write("train", {"run": {"nonsense": 1}}, label="Odd", end={"state": "failed", "reason": "It was damaged."})
    app = opened("train")
    assert not app.exception
    assert "its net was deleted" in text(app) and "It was damaged." in text(app)
