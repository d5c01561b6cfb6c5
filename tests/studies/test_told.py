"""What is known of a study: its table, its verdicts, and what is still to pay."""

from __future__ import annotations

import math

import pytest

from core import analyses, cost, io, store, studies
from core.claims.judge import NOT_MEASURED
from core.studies import Setting
from core.studies._told import answerable, lacking, training
from tests.studies import made

#: `core.claims` wants equal warm-ups of nets on few and on many images, though it knows that they train for other numbers of epochs.


@pytest.fixture(autouse=True)
def alone(home, tmp_path, monkeypatch):
    """No runs that came with the lab."""
    monkeypatch.setattr("core.store.runs.shipped_root", lambda: tmp_path / "shipped")


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in studies.ORDER for size in ("mini", "full")],
)  # fmt: skip
def test_what_a_study_asks_is_enough_for_its_claims(name, size):
    """Trained and measured as the study says, nothing is missing but more seeds in the mini size."""
    study = studies.get(name)
    made.finish(study, Setting(size=size, data="cifar10", seeds=3))
    for seeds in (1, 3):
        setting = Setting(size=size, data="cifar10", seeds=seeds)
        assert (studies.table(study, setting)["state"] == "ready").all()
        found = studies.verdicts(study, setting)
        assert [verdict.id for verdict in found] == list(study.claims)
        for verdict in found:
            assert verdict.verdict != NOT_MEASURED and verdict.effect is not None, verdict.reason
            assert "Not measured" not in verdict.reason or name == "seeds", verdict.reason  # A4 looks at other moments besides
            assert not [c for c in verdict.missing if "hessian" in c and "phase=warmup" in c], verdict.missing
        if seeds == 3:
            assert all(verdict.seeds == 3 for verdict in found)
            assert not [c for verdict in found for c in verdict.missing if "core train" in c]


def test_claims_read_the_shares_that_were_trained():
    setting, study = Setting(data="cifar10"), studies.get("few_images")
    made.finish(study, setting)
    few, all_ = studies.verdicts(study, setting)
    assert [part.title for part in few.parts] == ["accuracy with 2 % of the images", "accuracy under corruption"]  # 1,200 of 50,000
    assert [part.title for part in all_.parts] == ["40 % of the images", "8 % of the images", "2 % of the images"]


def test_claims_read_the_few_images_of_a_vit():
    setting, study = Setting(data="cifar10"), studies.get("few_images_vit")
    made.finish(study, setting)
    negatives, fit = studies.verdicts(study, setting)
    assert [part.title for part in negatives.parts] == ["1,200 minus 20,000 images"]
    assert list(fit.parts[0].sides) == ["1,200 images", "4,000 images", "10,000 images", "20,000 images"]


def test_locality_is_judged_on_its_best_kernel_and_on_five():
    setting, study = Setting(), studies.get("kernel")
    made.finish(study, setting)
    made.trained(study.members(setting)[0].run, 0.9)  # 3×3 is the best, but its curvature is not asked for
    assert [part.title for part in studies.verdicts(study, setting)[0].parts] == ["3×3 against global", "negative share, global minus 5×5"]


def test_the_table_says_how_far_each_net_is():
    setting, study = Setting(), studies.get("tokens")
    one, other = study.members(setting)
    assert list(studies.table(study, setting)["state"]) == ["new", "new"]
    store.create(one.run)
    made.trained(other.run, 0.9, loss=0.5, seconds=33.0)
    table = studies.table(study, setting)
    assert list(table["state"]) == ["started", "trained"] and list(table["label"]) == ["CLS", "GAP"]
    assert math.isnan(table["accuracy"][0]) and math.isnan(table["nep"][1])
    assert table["accuracy"][1] == 90 and 89 < table["accuracy_low"][1] < 90 < table["accuracy_high"][1] < 91
    assert table["seconds"][1] == 33 and table["images"][1] == 20_000 and table["run"][1] == other.run.id
    for name, settings in other.asks:
        made.keep(other.run, made.answer(name, settings))
    table = studies.table(study, setting)
    assert list(table["state"]) == ["started", "ready"]
    assert table["nep"][1] == pytest.approx(20) and table["ape"][1] == pytest.approx(100, rel=0.02) and table["nep_n"][1] == 40
    assert table["accuracy"][1] == pytest.approx(80, abs=1)  # of the answers that were kept
    assert lacking(other.run, other.asks) == []


def test_an_answer_of_a_former_method_does_not_count():
    setting, study = Setting(), studies.get("tokens")
    member = study.members(setting)[1]
    made.trained(member.run)
    for name, settings in member.asks:
        stored = made.answer(name, settings)
        stored.manifest["version"] = 0
        made.keep(member.run, stored)
    assert [name for name, _ in lacking(member.run, member.asks)] == ["hessian", "calibration"]
    assert studies.state(member) == "trained"


def test_what_came_without_weights_is_not_asked_further(tmp_path):
    """A run of the lab's own may have results and no weights: what it lacks stays open, and costs nothing."""
    member = studies.get("tokens").members(Setting())[1]
    made.trained(member.run)
    io.write_json(tmp_path / "shipped" / member.run.id / "run.json", member.run.to_json())
    (store.user_root() / member.run.id / "final.json").rename(tmp_path / "shipped" / member.run.id / "final.json")
    assert store.is_shipped(member.run.id)
    assert lacking(member.run, member.asks) and not answerable(member.run, member.asks) and studies.state(member) == "trained"
    assert studies.cost(studies.get("tokens"), Setting()).measurements == 2  # of the other net
    (tmp_path / "shipped" / member.run.id / "weights").mkdir()
    (tmp_path / "shipped" / member.run.id / "weights" / "end.safetensors").touch()
    assert [name for name, _ in answerable(member.run, member.asks)] == ["calibration"]


# ---- cost


def test_cost_counts_what_is_left(monkeypatch):
    monkeypatch.setattr(cost, "train_speed", lambda arch, size: (100.0, "made up"))
    setting, study = Setting(), studies.get("heads")
    before = studies.cost(study, setting)
    asked = [analyses.seconds(analyses.get(n), m.run, analyses.get(n).params(**s)) or 0 for m in study.members(setting) for n, s in m.asks]
    assert (before.nets, before.shared, before.measurements) == (3, 0, 6)
    assert before.seconds == pytest.approx(3 * 5 * 20_000 / 100 + sum(asked))
    assert before.bytes == pytest.approx(3 * 5 * 2 * 678_000, rel=0.15)  # five snapshots in fp16, and small results
    made.trained(study.members(setting)[1].run)
    after = studies.cost(study, setting)
    assert (after.nets, after.shared, after.measurements) == (2, 1, 4)  # stored without its weights: nothing to measure
    made.finish(study, setting)
    assert studies.cost(study, setting) == studies.Cost(nets=0, shared=3, measurements=0, seconds=0.0, bytes=0)


def test_cost_of_one_that_grows_is_that_of_all_it_may_train(monkeypatch):
    monkeypatch.setattr(cost, "train_speed", lambda arch, size: (100.0, "made up"))
    setting, study = Setting(seeds=2), studies.get("buildup")
    found = studies.cost(study, setting)
    assert (found.nets, found.measurements) == (12, 12) and found.seconds is not None
    assert found.seconds > 12 * 5 * 20_000 / 100
    made.grown(Setting(), [80, 79, 78])
    assert studies.cost(study, Setting()).nets == 0


def test_sam_costs_twice_and_nothing_timed_is_said(monkeypatch):
    assert studies.cost(studies.get("sam"), Setting()).seconds is None
    monkeypatch.setattr(cost, "train_speed", lambda arch, size: (100.0, "made up"))
    plain, sam = (training(m.run) for m in studies.get("sam").members(Setting()))
    assert plain is not None and sam == 2 * plain
