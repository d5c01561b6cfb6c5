"""The way from a conv net to AlterNet, on the paper's own numbers and beside them."""

from __future__ import annotations

import pytest

from core import studies
from core.presets import PRESETS
from core.spec import parse
from core.studies import Setting
from core.studies.buildup import steps
from tests.studies import made

FULL = Setting(size="full", data="cifar100", seeds=1)
#: Accuracies of the paper's trials [%], in the order of the rule (spec of Fig. 12a).
PAPER = [82.48, 83.45, 83.66, 83.77, 83.52, 84.02, 83.39, 83.80]
STUDY = studies.get("buildup")

pytestmark = pytest.mark.usefixtures("home")


def words(setting: Setting) -> list[str]:
    """What became of each net."""
    return [f"{step.place}: {step.verdict}".removesuffix(", not clear") for step in steps(setting)[1:]]


def test_the_papers_numbers_lead_to_the_papers_net():
    made.grown(FULL, PAPER)
    assert words(FULL) == [
        "stage 4, unit 4: kept", "stage 4, unit 2: kept", "stage 3, unit 6: kept", "stage 3, unit 4: taken back", "stage 2, unit 4: kept",
        "stage 2, unit 2: taken back", "stage 1, unit 3: taken back",
    ]  # fmt: skip
    assert STUDY.ended(FULL) and len(STUDY.members(FULL)) == len(PAPER) <= STUDY.rows(FULL)
    rises = [step.rise for step in steps(FULL)[1:]]
    assert [round(rise.value, 2) for rise in rises if rise] == [0.97, 0.21, 0.11, -0.25, 0.25, -0.63, -0.22]
    final = steps(FULL)[5]
    assert final.arch == parse(PRESETS["alternet-50"].notation).notation
    table = studies.table(STUDY, FULL).set_index("label")
    assert table.loc["5. stage 2, unit 4", "accuracy"] == pytest.approx(84.02) and table["parameters"].is_unique
    assert round(table.loc["5. stage 2, unit 4", "parameters"] / 1e6, 2) == 33.01  # Fig. 12a


def test_a_rise_within_its_interval_is_called_not_clear():
    made.grown(FULL, PAPER)
    assert steps(FULL)[1].verdict == "kept, not clear" and steps(FULL)[3].verdict == "kept, not clear"
    assert steps(FULL)[6].verdict == "taken back, not clear"
    mini = Setting(data="cifar10")
    made.grown(mini, [60.0, 65.0, 55.0])
    assert [step.verdict for step in steps(mini)[1:]] == ["kept", "taken back", ""]


def test_the_next_net_waits_for_the_one_before():
    assert [step.verdict for step in steps(FULL)] == ["", ""] and not STUDY.ended(FULL)
    made.grown(FULL, PAPER[:3])
    found = steps(FULL)
    assert [bool(step.verdict) for step in found] == [False, True, True, False] and found[-1].place == "stage 3, unit 6"
    assert [member.label for member in STUDY.members(FULL)][-1] == "3. stage 3, unit 6"


def test_seeds_are_averaged_and_all_are_waited_for():
    two = Setting(data="cifar10", seeds=2)
    made.grown(two, [80, 81])
    assert steps(two)[-1].verdict == "" and len(steps(two)) == 2  # one of two seeds says nothing
    made.trained(two.run("resnet-mini", 1), 0.80)
    made.trained(two.run(steps(two)[1].arch, 1), 0.78)
    assert words(two) == ["stage 2, unit 6: taken back", "stage 1, unit 6: "]
    assert steps(two)[1].rise.value == pytest.approx(-0.5)
    assert [member.run.seed for member in STUDY.members(two)] == [0, 1, 0, 1, 0, 1] and STUDY.rows(two) == 12


def test_it_stops_at_most_there():
    mini = Setting()
    made.grown(mini, [80, 81, 82, 83, 84, 85])
    assert STUDY.ended(mini) and len(STUDY.members(mini)) == STUDY.rows(mini) == 6
    assert parse(steps(mini)[-1].arch).stages_text() == "cccwcw-cmcmcm"


def test_it_ends_early_where_nothing_helps():
    mini = Setting()
    made.grown(mini, [80, 79, 78])
    assert STUDY.ended(mini) and words(mini) == ["stage 2, unit 6: taken back", "stage 1, unit 6: taken back"]
    assert studies.cost(STUDY, mini).nets == 0
