"""The job list: who has which device, why something waits, how something ended, and the next useful step."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import io, jobs, presets, recipe, store
from core.jobs import record, state
from core.run import Run
from tests.pages import made_jobs

Opened = Callable[..., AppTest]


def text(app: AppTest) -> str:
    return " ".join(block.proto.body for block in app.get("html")).replace("\u00a0", " ")


def labels(app: AppTest, job: str) -> list[str]:
    """The buttons of a job's row."""
    return [button.label for button in app.button if (button.key or "").endswith(job)]


def training(seed: int = 0, **made: object) -> str:
    how = dataclasses.asdict(recipe.get("quick", epochs=20))
    run = Run(arch=presets.resolve("ccwccw-cmmccm").notation, data="fashion", recipe=how, seed=seed, name="Yours")
    store.create(run)
    return made_jobs.write("train", {"run": run.to_json(), "device": "auto"}, label=f"Yours, seed {seed}", **made)


def place(name: str, title: str, taken: str = "") -> jobs.Place:
    return jobs.Place(id=name, title=title, taken=taken)


def stands(monkeypatch: pytest.MonkeyPatch, *devices: jobs.Place, **facts: object) -> None:
    """The queue stands so."""
    usual = {"engine": "local", "devices": devices, "used_bytes": 3 << 20, "free_bytes": 50 << 30, "held": "", "notice": ""}
    monkeypatch.setattr(jobs, "status", lambda: jobs.Status(**{**usual, **facts}))


def order() -> list[str]:
    queued = [job for job in jobs.list() if job.state == "queued"]
    return [job.id for job in sorted(queued, key=lambda job: (-job.priority, job.seq))]


def test_a_job_goes_first_or_last_in_its_line(opened: Opened, checkout: Path) -> None:
    first, second, third = (training(seed, started=False) for seed in range(3))
    elsewhere = made_jobs.write("fetch", {"id": "cifar10"}, label="Get CIFAR-10", started=False, device="network")
    app = opened("train")
    assert labels(app, elsewhere) == ["Remove"]
    assert "3rd in line for the CPU" in text(app) and "next in line for the network" in text(app)
    app.button(key=f"place_{third}").click().run()
    assert [job for job in order() if job != elsewhere] == [third, first, second]
    assert labels(app, third) == ["Go last", "Remove"] and labels(app, first) == ["Go first", "Remove"]
    app.button(key=f"place_{third}").click().run()
    assert [job for job in order() if job != elsewhere] == [first, second, third]


def test_what_never_began_is_removed_with_its_run(opened: Opened, checkout: Path) -> None:
    job = training(started=False)
    app = opened("train")
    app.button(key=f"cancel_{job}").click().run()
    assert not jobs.list() and not store.list_runs()
    assert "No job yet" in text(app)


def test_what_has_trained_before_is_only_taken_out_of_the_line(opened: Opened, checkout: Path) -> None:
    job = training(started=False)
    made_jobs.history(store.list_runs()[0].id, [0.5, 0.6])
    app = opened("train")
    app.button(key=f"cancel_{job}").click().run()
    assert not jobs.list() and len(store.list_runs()) == 1


def test_a_killed_job_says_that_it_is_tried_again(opened: Opened, checkout: Path) -> None:
    job = training(progress={"step": 3, "total": 10, "rate": 1.0, "eta_s": 7.0, "message": ""})  # its process is gone
    assert jobs.get(job).state == "queued"
    app = opened("train")
    assert state.WORDS["lost"] in text(app) and "attempt 2 of 3" in text(app).lower()
    assert labels(app, job) == ["Remove", "Details"]


def test_a_later_attempt_is_said(opened: Opened, checkout: Path) -> None:
    job = training(tries=2, progress={"step": 3, "total": 10, "rate": 1.0, "eta_s": 7.0, "message": "epoch 7 of 20"})
    with made_jobs.alive(job):
        assert "epoch 7 of 20 · about 7 s left · attempt 2" in text(opened("train"))


@pytest.mark.parametrize("cause", ["gpu_oom", "host_oom"])
def test_out_of_memory_offers_half_the_batch(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    job = training(end={"state": "failed", "cause": cause, "reason": state.WORDS[cause]}, devices=2)
    asked: list[tuple] = []
    monkeypatch.setattr(jobs, "submit", lambda task, args, **more: asked.append((task, args, more)))
    app = opened("train")
    assert labels(app, job) == ["Again with 64", "Details"] and state.WORDS[cause] in text(app)
    app.button(key=f"half_{job}").click().run()
    assert not app.exception
    [(task, args, more)] = asked
    old, new = Run.from_json(jobs.get(job).args["run"]), Run.from_json(args["run"])
    assert (task, new.recipe["batch"], old.recipe["batch"]) == ("train", 64, 128)
    assert dataclasses.replace(new, recipe=old.recipe) == old and new.id != old.id
    assert (more["dedup"], more["label"], more["devices"], more["processes"]) == (new.id, "Yours, seed 0, batch 64", 2, 2)
    assert store.find(new.id) == new and app.session_state["train_show"] == new.id


@pytest.mark.parametrize(
    ("end", "says", "offered"),
    [
        ({"state": "failed", "cause": "exception", "reason": "It broke."}, "It broke.", ["Show log"]),
        ({"state": "failed", "cause": "disk_full", "reason": state.WORDS["disk_full"]}, "The disk is full.", ["Go on", "Details"]),
        ({"state": "failed", "cause": "lost", "reason": f"Gone. {state.KEPT}"}, "Gone. What it saved is kept.", ["Go on", "Details"]),
        (
            {"state": "cancelled", "cause": "user", "reason": state.STOPPED},
            "Stopped as asked. What it saved is kept.",
            ["Go on", "Details"],
        ),
        ({"state": "succeeded"}, "not trained to the end", ["Open", "Details"]),
    ],
)
def test_an_ended_job_says_why_and_offers_one_step(opened: Opened, checkout: Path, end: dict, says: str, offered: list[str]) -> None:
    job = training(end=end)
    app = opened("train")
    assert says in text(app) and labels(app, job) == offered


def test_the_details_tell_the_attempts_and_resume(opened: Opened, checkout: Path) -> None:
    job = training(tries=2, end={"state": "failed", "cause": "exception", "reason": "It broke."})
    record.write_slot(record.root() / job / "attempts" / "1" / "exit.slot", {"code": -9, "ended": made_jobs.ENDED, "peak_rss": 800 << 20})
    app = opened("train")
    app.button(key=f"details_{job}").click().run()
    assert "<b>Failed</b> on CPU after 2 min. It broke." in text(app)
    assert "<b>Attempt 1</b> on this-machine: killed from outside after 2 min, 0.8 GB of memory at most" in text(app)
    assert "<b>Attempt 2</b> on this-machine: error" in text(app)
    assert app.code[0].value.splitlines()[-1] == "last line of attempt 2"
    app.button(key="details_resume").click().run()
    assert jobs.get(job).state == "queued" and not app.code


def test_parts_are_folded_under_their_job(opened: Opened, checkout: Path) -> None:
    whole = made_jobs.write("measure", {}, label="Loss surface", started=False, needs=["x"], rows=9)
    told = {"step": 1, "total": 3, "rate": 0.5, "eta_s": 4.0, "message": "row 2 of 9"}
    ended, running, queued = (
        made_jobs.write("measure", {}, label=f"Loss surface · part {n}", parent=whole, progress=told, **made)
        for n, made in enumerate(({"end": {"state": "succeeded"}}, {}, {"started": False}), 1)
    )
    (record.root() / whole / "shards").mkdir()
    for row in range(4):
        (record.root() / whole / "shards" / f"{row:05d}.npz").touch()
    with made_jobs.alive(running):
        app = opened("train")
        assert "4 of 9 rows done · about 10 s left" in text(app)
        assert labels(app, whole) == ["Stop"] and "part 1" not in text(app)
        app.session_state[f"parts_{whole}"] = True
        app.run()
        assert "part 1" in text(app) and "row 2 of 9" in text(app) and "next in line" in text(app)
        assert labels(app, running) == ["Details"]
    assert {ended, queued} < {job.id for job in jobs.list()}


def test_what_needs_others_says_whom(opened: Opened, checkout: Path) -> None:
    first = training(0, started=False)
    training(1, started=False, needs=[first])
    assert "starts after Yours, seed 0" in text(opened("train"))


def test_devices_are_named_where_there_are_several(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands(
        monkeypatch, place("cpu", "CPU"), place("cuda:0", "H100 (cuda:0)", "Yours, seed 0"),
        place("cuda:1", "H100 (cuda:1)", "another lab on this machine"),
        place("cuda:2", "H100 (cuda:2)", "busy elsewhere: python (process 42)"), place("cuda:3", "H100 (cuda:3)", "Yours, seed 0"),
    )  # fmt: skip
    job = training(where="H100 (cuda:0), H100 (cuda:3)", device="cuda", devices=2)
    training(1, started=False, device="cuda", devices=2)
    with made_jobs.alive(job):
        app = opened("train")
    assert "one at a time on each device" in text(app)
    assert '<div class="lab-label">H100 (cuda:0), H100 (cuda:3)</div>' in text(app)
    said = "H100 (cuda:1): another lab on this machine. H100 (cuda:2): busy elsewhere: python (process 42). Free: CPU."
    assert said in text(app)
    assert "next in line for 2 GPUs" in text(app)
    assert "Jobs take 3 MB of the disk; 54 GB are free." in text(app)


def test_one_device_needs_no_name(opened: Opened, checkout: Path) -> None:
    job = training()
    with made_jobs.alive(job):
        app = opened("train")
    assert "one at a time on this CPU" in text(app) and "Free:" not in text(app)
    assert "Running" in text(app)


def test_a_notice_is_shown_until_it_is_dismissed(opened: Opened, checkout: Path) -> None:
    record.root().mkdir(parents=True)
    (record.root() / "notice").write_text("The list of jobs was damaged. It was made again.")
    app = opened("train")
    assert "The list of jobs was damaged. It was made again." in text(app)
    app.button(key="job_notice").click().run()
    assert "was damaged" not in text(app) and not (record.root() / "notice").exists()


def test_a_held_queue_says_why(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands(monkeypatch, place("cpu", "CPU"), held="The disk has 3 MB left; jobs wait until there is more.")
    assert "<b>Nothing new is started.</b> The disk has 3 MB left" in text(opened("train"))


def test_a_long_list_is_folded_and_not_drawn(opened: Opened, checkout: Path) -> None:
    for n in range(20):
        made_jobs.write("sleep", {}, label=f"waits {n}.", started=False)
        made_jobs.write("sleep", {}, label=f"ended {n}.", end={"state": "cancelled", "reason": "x"})
    app = opened("train")
    assert [expander.label for expander in app.expander] == ["15 more in line", "14 earlier"]
    assert "waits 4." in text(app) and "waits 5." not in text(app)
    assert "ended 14." in text(app) and "ended 13." not in text(app)
    app.session_state["jobs_ended"] = True
    app.run()
    assert "ended 0." in text(app)


def test_several_gpus_can_share_a_training(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []
    monkeypatch.setattr(jobs, "submit", lambda task, args, **more: asked.append(more))
    stands(monkeypatch, place("cpu", "CPU"), place("cuda:0", "A"), place("cuda:1", "B"))
    app = opened("train")
    chosen = next(group for group in app.get("button_group") if group.label == "GPUs for each run")
    chosen.set_value(2).run()
    app.button(key="train_start").click().run()
    assert (asked[0]["devices"], asked[0]["processes"]) == (2, 2)


def test_one_gpu_leaves_no_choice(opened: Opened, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands(monkeypatch, place("cpu", "CPU"), place("cuda:0", "A"))
    assert not [group for group in opened("train").get("button_group") if group.label == "GPUs for each run"]


def test_jobs_of_another_layout_are_left_alone(opened: Opened, checkout: Path) -> None:
    old = record.root() / "000001-train-abcdef"
    old.mkdir(parents=True)
    io.write_json(old / "job.json", {"seq": 1, "task": "train"})
    app = opened("train")
    assert not app.exception and "No job yet" in text(app)
