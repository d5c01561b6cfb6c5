"""Scorecard: the judge's verdicts and nothing else, each with its evidence; what is missing can be measured; links restore the view."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from core import claims, io, jobs, store
from core.analyses import hessian, lesion
from core.claims import CLAIMS, Part, Verdict
from core.claims.judge import CONTRADICTED, NOT_MEASURED, SUPPORTED, UNDECIDED, WITHDRAWN, Effect, Rule
from core.run import Run
from pages.ui import verdict_found, verdict_missing, verdict_words
from tests.pages.conftest import ROOT
from tests.pages.test_start import text


def page(opened: Callable[..., AppTest], **query: str | list[str]) -> AppTest:
    """The scorecard as a link opens it: the address comes with the page."""
    app = opened(**query).switch_page("pages/scorecard.py")
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def rows(app: AppTest) -> dict[str, str]:
    """The rows of claims, by title."""
    found = [element.proto.body for element in app.main.get("html") if 'class="lab-claims"' in element.proto.body]
    return {re.search(r'class="claim"><b>([^<]*)</b>', body)[1]: body.replace("\u00a0", " ") for body in found}


def verdict_of(row: str) -> str:
    return re.search(r'class="sign"[^>]*>(?:<img[^>]*>)?([^<]*)<', row)[1].lower()


def links(app: AppTest) -> list[tuple[str, dict[str, list[str]]]]:
    """(page, query) of each See it, in order."""
    found = []
    for element in app.main.get("page_link"):
        if element.proto.label == "See it":
            found.append((element.proto.page, parse_qs(element.proto.query_string)))
    return found


def part(**changes: object) -> Part:
    known = {"title": "MSA", "verdict": SUPPORTED, "effect": Effect(value=-0.24, low=-0.33, high=-0.15, n=7, of="units"), "unit": "ln",
             "seeds": 1, "why": "clearly the way of the claim", "nets": (), "rule": Rule(sign=-1, least=0.0),
             "sides": {"MSA": -0.24, "Conv": 0.31}}  # fmt: skip
    return Part(**{**known, **changes})


def judged_as(monkeypatch: pytest.MonkeyPatch, **made: Verdict) -> None:
    """The judge says this of some claims and has not measured the others."""
    verdict_found._verdicts.clear()
    empty = {i: Verdict(id=i, data="fashion-full", verdict=WITHDRAWN if claim.parts is None else NOT_MEASURED, reason="Not measured yet.")
             for i, claim in CLAIMS.items()}  # fmt: skip
    monkeypatch.setattr(claims, "judge_nets", lambda shelf, only: [made.get(i, empty[i]) for i in CLAIMS if i in only])


def verdict(claim_id: str, kind: str, *held: Part, **more: object) -> Verdict:
    first = held[0].effect
    known = {"effect": first.value, "low": first.low, "high": first.high, "unit": held[0].unit, "n": first.n, "of": first.of, "seeds": 1}
    return Verdict(**{"id": claim_id, "data": "fashion-full", "verdict": kind, "reason": "So.", "parts": held, **known, **more})


@pytest.fixture
def real(home: Path, through_app: None) -> Callable[..., AppTest]:
    """The lab with the nets that it comes with."""

    def open_page(**query: str | list[str]) -> AppTest:
        return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()

    return open_page


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    verdict_found._verdicts.clear()


# ---- what stands on the page


def test_an_empty_store_has_every_claim_not_measured_and_no_evidence(opened: Callable[..., AppTest]) -> None:
    app = page(opened)
    assert not app.exception and [title.value for title in app.title] == ["Which of the paper’s claims hold here?"]
    found = rows(app)
    assert list(found) and {title: verdict_of(row) for title, row in found.items()} == {
        claim.title: "withdrawn" if claim.parts is None else "not measured" for claim in CLAIMS.values()
    }
    assert f"None of {len(CLAIMS) - 1} claims can be judged yet</b> on Fashion-MNIST with 0 nets." in text(app)
    assert not links(app) and 'class="effect"><b>' not in text(app), "no effect without a measurement"


def test_the_shipped_nets_have_the_judges_verdicts_effects_and_evidence(real: Callable[..., AppTest]) -> None:
    told = {one.id: one for one in claims.judge() if one.data == "fashion-full"}
    app = page(real)
    assert not app.exception
    found, seen = rows(app), {(place, json.dumps(query, sort_keys=True)) for place, query in links(app)}
    assert {title: verdict_of(row) for title, row in found.items()} == {CLAIMS[i].title: one.verdict for i, one in told.items()}
    for one in told.values():
        row = found[CLAIMS[one.id].title]
        if one.effect is not None:
            interval = "no interval" if one.low is None else f"{verdict_words.number(one.low, one.unit, like=one.effect)} to "
            assert interval in row and verdict_words.basis(one) in row
            place = urlsplit(one.evidence)
            assert (place.path, json.dumps(parse_qs(place.query), sort_keys=True)) in seen and all(i in one.evidence for i in one.nets)
    counts = {kind: sum(one.verdict == kind for one in told.values()) for kind in claims.VERDICTS}
    said = text(app)
    assert f"Of {len(CLAIMS) - 1} claims, {counts[SUPPORTED]} " in said and f"{counts[UNDECIDED]} undecided" in said
    assert f"{counts[NOT_MEASURED]} not measured on Fashion-MNIST" in said and "One more was withdrawn by its authors." in said
    assert "These nets are small (" in said


def test_each_state_says_its_word_its_reason_and_only_what_is_measured_has_a_link(
    opened: Callable[..., AppTest], shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = shipped[1].id
    open_ = part(verdict=UNDECIDED, why="clear here, the way of the claim, with 1 of 3 seeds")
    judged_as(
        monkeypatch,
        F1=verdict("F1", SUPPORTED, part(), nets=(net,), evidence=f"frequency?m={net}&d=fashion-full"),
        F2=verdict("F2", CONTRADICTED, part(title="MLP", verdict=CONTRADICTED, why="clearly the other way"), nets=(net,), evidence=""),
        V1=verdict("V1", UNDECIDED, open_, nets=(net,), evidence=f"features?m={net}&show=variance"),
        L4=Verdict(id="L4", data="fashion-full", verdict=NOT_MEASURED, reason="Not measured yet. Missing: a ViT on few images: `python`."),
    )  # fmt: skip
    app = page(opened)
    found = rows(app)
    blurs, sharpen, evens, more, gone = (found[CLAIMS[i].title] for i in ("F1", "F2", "V1", "L4", "W1"))
    assert [verdict_of(row) for row in (blurs, sharpen, evens, more, gone)] == [
        "supported", "contradicted", "undecided", "not measured", "withdrawn"]  # fmt: skip
    assert "<b>−0.24</b>" in blurs and "−0.33 to −0.15" in blurs and "7 units · 1 seed" in blurs
    assert "Clearly the other way." in sharpen and "Clear here, the way of the claim, with 1 of 3 seeds." in evens
    assert "Missing: a ViT on few images." in more and "`" not in more
    assert "img" not in re.search(r'class="sign".*?</div>', gone)[0], "a withdrawn claim is a word only"
    assert links(app) == [("frequency", {"m": [net], "d": ["fashion-full"]}), ("features", {"m": [net], "show": ["variance"]})]
    assert "With 1 training seed a net at most, 1 claim that is clear here stays undecided" in text(app)


def test_verdicts_can_be_looked_at_one_kind_at_a_time(
    opened: Callable[..., AppTest], shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, F1=verdict("F1", SUPPORTED, part()))
    app = page(opened)
    app.segmented_control(key="scorecard_show").set_value("supported").run()
    assert list(rows(app)) == [CLAIMS["F1"].title] and app.query_params["show"] == "supported"
    app.segmented_control(key="scorecard_show").set_value("contradicted").run()
    assert not rows(app) and "No claim is contradicted here." in text(app)
    app.segmented_control(key="scorecard_show").set_value("all").run()
    assert len(rows(app)) == len(CLAIMS) and "show" not in app.query_params


def test_the_nets_on_stage_can_be_judged_alone(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    app = page(opened, m=[shipped[1].id])
    assert "with 3 nets" in text(app)
    app.segmented_control(key="scorecard_nets").set_value("stage").run()
    assert "with 1 net." in text(app) and app.query_params["nets"] == "stage"


# ---- details


def test_a_link_to_a_claim_opens_it_with_both_sides_rule_source_and_commands(real: Callable[..., AppTest]) -> None:
    app = page(real, claim="L1")
    details = next(element.proto.body for element in app.main.get("html") if "lab-parts" in element.proto.body)
    told = next(one for one in claims.judge(only=["L1"]))
    assert details.count('class="effect"') == len(told.parts) and "equal accuracy" in details
    for one in told.parts:
        assert all(f"{name} <b>{verdict_words.number(value, '')}</b>" in details for name, value in one.sides.items())
    claim, said = CLAIMS["L1"], text(app)
    assert all(fact in said for fact in (claim.threshold, claim.origin, claim.paper, claim.source))
    assert app.main.get("code")[0].value.splitlines() == list(told.missing)
    assert app.query_params["claim"] == "L1"


def test_why_opens_and_closes_a_claim_and_stands_in_the_address(
    opened: Callable[..., AppTest], shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, F1=verdict("F1", SUPPORTED, part()))
    app = page(opened)
    app.button(key="toggle_F1").click().run()
    assert "Supported if" in text(app) and app.query_params["claim"] == "F1"
    app.button(key="toggle_F1").click().run()
    assert "Supported if" not in text(app) and "claim" not in app.query_params


@pytest.mark.parametrize(
    "query",
    [
        {"claim": "<script>alert(1)</script>", "show": "../../etc", "nets": "1e309"},
        {"claim": ["L1", "L1", "Z9", "W1"], "show": ["supported", "all"], "nets": ""},
        {"claim": "", "show": "withdrawn", "nets": ["all", "stage"], "d": "own:nothing", "m": "no-such-net"},
    ],
)
def test_whatever_an_address_holds_the_page_opens(opened: Callable[..., AppTest], shipped: list[Run], query: dict) -> None:
    app = page(opened, **query)
    assert not app.exception and "went wrong" not in text(app) and "script" not in "".join(rows(app))
    assert "scorecard_open" not in app.session_state or set(app.session_state["scorecard_open"]) <= set(CLAIMS)


def test_table_and_files_hold_every_claim(opened: Callable[..., AppTest], shipped: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    from pages import scorecard

    made = verdict("F1", SUPPORTED, part(), nets=(shipped[1].id,))
    found = verdict_found.Found(data="fashion-full", runs=tuple(shipped), verdicts=(made,))
    table = scorecard._table(found)
    assert table.loc[0, ["id", "verdict", "effect", "low", "runs"]].tolist() == ["F1", SUPPORTED, -0.24, -0.33, shipped[1].id]
    assert json.loads(scorecard._json(found))["claims"][0] == json.loads(json.dumps(claims.to_json(made)))
    assert {"CSV", "JSON"} <= {element.proto.label for element in page(opened).main.get("download_button")}


# ---- what is missing


def weights(run: Run, *phases: str) -> None:
    """Files that stand for the weights of a shipped net."""
    for phase in phases:
        place = io.CHECKOUT / "checkpoints" / run.id / "weights" / f"{phase}.safetensors"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"-")


def lacking(claim_id: str, *commands: str) -> Verdict:
    return Verdict(id=claim_id, data="fashion-full", verdict=NOT_MEASURED, reason="Not measured yet.", missing=commands)


def test_measure_queues_what_a_claim_lacks_and_no_more(
    opened: Callable[..., AppTest], shipped: list[Run], queued: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shipped[1]
    weights(run, "end", "warmup")
    judged_as(
        monkeypatch,
        S3=lacking("S3", f"python -m core measure {run.id} lesion"),
        L5=lacking("L5", f"python -m core measure {run.id} hessian --set phase=warmup --set images=640",
                   f"python -m core measure {run.id} hessian --set phase=third --set images=640"),
        L14=lacking("L14", "python -m core train --arch vit-mini --data fashion-full --epochs 11 --seed 0 --set batch=64 --set sam=0.05"),
    )  # fmt: skip
    app = page(opened)
    assert "2 missing measurements can be made here, about" in text(app), "the weights of the third moment are not here"
    app.button(key="measure_S3").click().run()
    asked = dataclasses.asdict(lesion.ANALYSIS.params())
    assert [(task, args["run"], args["asks"]) for task, args, *_ in queued] == [("measure", run.id, {"lesion": asked})]
    queued.clear()
    app.button(key="scorecard_measure").click().run()
    curved = dataclasses.asdict(hessian.ANALYSIS.params(phase="warmup", images=640))
    found = sorted(((task, args["asks"]) for task, args, *_ in queued), key=str)
    assert found == [("measure", {"lesion": asked}), ("measure_rows", {"hessian": curved})], "trainings are not begun by Measure"


def test_a_net_that_is_missing_is_trained_as_the_others_were(
    opened: Callable[..., AppTest], shipped: list[Run], queued: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "python -m core train --arch vit-mini --data fashion --epochs 11 --seed 2 --fraction 0.06 --set batch=64 --set sam=0.05"
    judged_as(monkeypatch, L14=lacking("L14", command))
    app = page(opened, claim="L14")
    assert "Train ViT-mini (seed 2, 6 % of the images) with SAM: about" in text(app)
    assert "measure_L14" not in [button.key for button in app.button], "there is nothing to measure yet"
    app.button(key="do_L14_0").click().run()
    ((task, args, *_),) = queued
    run = Run.from_json(args["run"])
    assert (task, run.data, run.seed, run.fraction, run.name) == ("train", "fashion", 2, 0.06, "ViT-mini")
    assert {key: run.recipe[key] for key in ("epochs", "batch", "sam")} == {"epochs": 11, "batch": 64, "sam": 0.05}


def test_what_is_under_way_is_said_and_not_queued_twice(
    opened: Callable[..., AppTest], shipped: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shipped[1]
    weights(run, "end")
    judged_as(monkeypatch, S3=lacking("S3", f"python -m core measure {run.id} lesion"))
    app = page(opened, claim="S3")
    app.button(key="measure_S3").click().run()
    assert [job.task for job in jobs.list()] == ["measure"]
    assert "1 under way; this page follows them." in text(app) and "Lesion of ViT-mini: under way" in text(app)
    keys = [button.key for button in app.button]
    assert "measure_S3" not in keys and "scorecard_measure" not in keys


@pytest.mark.parametrize(
    "command",
    ["", "rm -rf /", "python -m core measure nobody lesion", "python -m core measure", "python -m core train --arch ??? --data fashion",
     "python -m core train --arch vit-mini --data nothing"],
)  # fmt: skip
def test_a_command_that_cannot_be_read_is_left_out(home: Path, command: str) -> None:
    assert verdict_missing.read(command) is None


def test_every_command_of_the_judge_is_read_back_as_the_command_line_reads_it(home: Path) -> None:
    from core.__main__ import arguments, asked_run

    wanted = list(dict.fromkeys(command for one in claims.judge() for command in one.missing))
    assert len(wanted) > 10
    for command in wanted:
        step, args = verdict_missing.read(command), arguments().parse_args(command.split()[3:])
        assert step is not None, command
        if step.ask is None:
            assert step.run == asked_run(args), command
        else:
            given = dict(pair.split("=") for pair in args.set)
            assert step.run.id == args.run_id and step.ask[0].id == args.analysis[0]
            assert {key: str(getattr(step.ask[1], key)) for key in given} == given


def test_a_new_result_is_judged_without_a_restart(opened: Callable[..., AppTest], shipped: list[Run]) -> None:
    """The variance of a real net arrives while the page is open."""
    app = page(opened)
    assert verdict_of(rows(app)[CLAIMS["V1"].title]) == "not measured"
    source = next((ROOT / "checkpoints").glob("vit-mini-fashion-full-s0-*")) / "results" / "variance"
    place = store.user_root() / shipped[1].id / "results" / "variance"
    shutil.copytree(source, place)
    for manifest in place.glob("*/manifest.json"):
        io.write_json(manifest, {**io.read_json(manifest), "weights": None})
    app.run()
    assert verdict_of(rows(app)[CLAIMS["V1"].title]) == claims.judge(only=["V1"])[0].verdict != "not measured"
