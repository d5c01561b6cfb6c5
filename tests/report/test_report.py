"""The report as a file: what stands in it, that it is whole HTML without anything fetched, and that its numbers are the stored ones."""

import json
import math
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core import claims, io, report, store
from core.__main__ import main
from core.report import gather, page
from core.run import Run
from tests.pages.conftest import ship

VOID = {"meta", "link", "br", "img", "hr", "input", "col", "source", "wbr"}
FETCHED = ("src", "href", "xlink:href", "action", "data", "srcset", "poster", "background")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """A conv net and a ViT that came with the lab, as they are shipped."""
    found = [next(run for run in gather.chosen((), "") if run.name == name) for name in ("ResNet-mini", "ViT-mini")]
    assert all(len(store.list_results(run.id)) > 10 for run in found)
    return found


@pytest.fixture(scope="module")
def made(runs: list[Run]) -> report.Report:
    return report.build([run.id for run in runs])


@pytest.fixture(scope="module")
def numbers(made: report.Report) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="numbers">(.*?)</script>', made.html, re.DOTALL)[1])


@pytest.fixture
def checkout(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for shipped runs."""
    monkeypatch.setattr(io, "CHECKOUT", tmp_path / "checkout")
    return tmp_path / "checkout"


class Page(HTMLParser):
    """Tags that are closed as they were opened, ids, and all that could be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [
            (tag, name, value or "") for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data", "srcset")
        ]
        self.wrong += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data):
        self.text += data


def test_it_is_one_whole_page_under_5_mb_that_fetches_nothing(made):
    assert len(made.html.encode()) < report.LIMIT
    read = Page(made.html)
    assert made.html.startswith("<!DOCTYPE html>") and not read.open and not read.wrong
    assert len(read.ids) == len(set(read.ids)), "an id stands twice"
    assert {tag for tag, _, _ in read.links} == {"a"} and all(value.startswith("#") for _, _, value in read.links)
    assert {value[1:] for _, _, value in read.links} <= set(read.ids)
    assert read.tags.count("script") == 1 and read.tags.count("h1") == 1 and "link" not in read.tags and "iframe" not in read.tags
    assert not re.search(r"@import|url\((?!#)", made.html)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", re.sub(r"<script type.*?</script>", "", made.html, flags=re.DOTALL)))
    assert outside == {"http://www.w3.org/2000/svg"}, "a name of XML, which nothing fetches"


def test_clips_and_gradients_of_a_figure_are_its_own(made):
    asked = set(re.findall(r"url\(#([^)]+)\)", made.html))
    assert asked <= set(Page(made.html).ids)


def test_the_numbers_are_those_of_the_store(made, numbers, runs):
    each = [(run, m) for run in runs for m in store.list_results(run.id) if gather.holds(m, store.final(run.id))]
    stored = {(run.id, m["analysis"], m["key"]) for run, m in each}
    assert {(one["run"], one["analysis"], one["key"]) for one in numbers["results"]} == stored and not numbers["left_out"]
    for one in numbers["results"]:
        table = store.load_result(one["run"], one["analysis"], one["key"]).table
        told = one["table"]
        assert told["order"] == list(table.columns) and told["rows"] == len(table)
        for name in told["order"]:
            column = told["columns"].get(name) or [told["same"][name]] * told["rows"]
            assert all(a == b or (a is None and math.isnan(b)) for a, b in zip(column, table[name].tolist(), strict=True)), (one, name)
    for net, run in zip(numbers["nets"], runs, strict=True):
        assert net["final"] == store.final(run.id) and net["run"] == run.to_json()
        assert net["accuracy"]["low"] < net["final"]["accuracy"] < net["accuracy"]["high"]


def test_the_verdicts_are_those_of_the_command_line(made, numbers, runs, capsys):
    assert main(["claims", *(run.id for run in runs), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["claims"]
    assert numbers["claims"] == said and len(said) == len(claims.CLAIMS)
    text = unescape(re.sub(r"<[^>]+>", " ", made.html))
    for one in said:
        assert one["title"] in text and one["verdict"].capitalize() in text
    assert made.claims == {word: sum(one["verdict"] == word for one in said) for word in claims.VERDICTS}
    assert text.count("Not measured: ") >= sum(one["verdict"] == "not measured" for one in said)


def test_every_figure_says_what_n_seed_net_and_data(made, runs):
    figures = re.findall(r"<figure>.*?</figure>", made.html, re.DOTALL)
    assert len(figures) >= made.figures > 10
    for figure in figures:
        foot = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.DOTALL)[1]
        assert re.search(r"[\d,]+ (augmented )?(test|training) images of Fashion.*, seed 0", foot), foot
        assert any(run.name in foot for run in runs)
        drawn = re.findall(r"<svg [^>]*>", figure)
        assert drawn and all('role="img"' in one and re.search(r'aria-label="[^"]{5,}"', one) for one in drawn)
    for run in runs:
        assert run.id in made.html and page.accuracy(store.final(run.id)).split("**")[1].replace(" %", "\u00a0%") in made.html


def test_marks_stand_in_the_figures(made):
    """Charts whose layers share one table are not empty: each kind of corruption has its cell."""
    part = re.search(r'id="corruption".*?</figure>', made.html, re.DOTALL)[0]
    assert len(re.findall(r">\d\d<", part)) >= 2 * 15


def test_a_hostile_name_is_only_a_name(checkout, monkeypatch):
    run = ship("vit-mini", 0.8)
    place = checkout / "checkpoints" / run.id / "run.json"
    io.write_json(place, {**json.loads(place.read_text()), "name": HOSTILE})
    html = report.build().html
    read = Page(html)
    assert not read.wrong and not read.open and read.tags.count("script") == 1 and "img" not in read.tags
    assert html.count("</script>") == 1 and HOSTILE in read.text
    told = json.loads(re.search(r'id="numbers">(.*?)</script>', html, re.DOTALL)[1])
    assert told["nets"][0]["run"]["name"] == HOSTILE


def test_older_results_are_not_shown_and_missing_ones_are_said(checkout):
    one, other = ship("resnet-mini", 0.9), ship("vit-mini", 0.8)
    place = next((checkout / "checkpoints" / one.id / "results" / "fourier").glob("*/manifest.json"))
    io.write_json(place, {**json.loads(place.read_text()), "version": 0})
    made = report.build()
    assert made.tables == 1 and "Not measured: ResNet-mini." in made.html
    text = re.sub(r"<[^>]+>", "", made.html)
    assert "Not measured of any of these nets:" in text and "Calibration" in text
    assert other.id in made.html and one.id in made.html


def test_what_does_not_fit_is_left_out_and_named(checkout, monkeypatch):
    run = ship("resnet-mini", 0.9)
    whole = report.build()
    assert whole.tables == 1 and not whole.left_out
    monkeypatch.setattr(report, "LIMIT", len(whole.html.encode()) + 15_000)
    small = report.build()
    assert small.tables == 0 and len(small.html) < len(whole.html)
    assert small.left_out[0].startswith(f"{run.id}/fourier/") and small.left_out[0] in small.html and "left out" in small.html


def test_only_one_of_each_architecture_is_drawn_where_there_are_many():
    def net(arch: str, seed: int) -> gather.Reported:
        run = Run(arch=arch, data="fashion-full", recipe={"name": "quick"}, seed=seed)
        return gather.Reported(run=run, final={}, title=f"{arch}{seed}", family="conv")

    few = [net("cc-cc", 0), net("cc-cc", 1), net("cm-cm", 0)]
    assert gather.drawn(few) == [few]
    many = [*few, net("cm-cm", 1), net("cm-cm", 2), net("cc-cm", 0)]
    assert [one.title for group in gather.drawn(many) for one in group] == ["cc-cc0", "cm-cm0", "cc-cm0"]


# ---- the command


def run_command(capsys, *args: str) -> tuple[int, str, str]:
    code = main(["report", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_writes_the_file_and_says_what_is_in_it(checkout, tmp_path, capsys):
    run, out = ship("resnet-mini", 0.9), tmp_path / "new folder" / "report.html"
    code, said, _ = run_command(capsys, run.id, "-o", str(out), "--claims", "F1,V1", "--json")
    told = json.loads(said)
    assert code == 0 and out.stat().st_size == told["bytes"] and told["runs"] == [run.id] and sum(told["claims"].values()) == 2
    text = out.read_text(encoding="utf-8")
    assert claims.CLAIMS["F1"].title in text and claims.CLAIMS["L1"].title not in text
    assert [path.name for path in out.parent.iterdir()] == ["report.html"], "nothing is left beside it"
    code, said, err = run_command(capsys, "-o", str(out), "--data", "fashion")
    assert code == 0 and f"1 net, {len(claims.CLAIMS)} claims, 1 table" in said and "Frequency" in err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("no-such-run",), "There is no run 'no-such-run'"),
        (("--claims", "F1,Q9"), "There is no claim 'Q9'"),
        (("--data", "nonsense"), "There is no data set 'nonsense'"),
        (("--data", "cifar10"), "None of the shipped nets was trained on CIFAR-10"),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(checkout, tmp_path, capsys, args, says):
    ship("resnet-mini", 0.9)
    out = tmp_path / "report.html"
    code, _, err = run_command(capsys, *args, "-o", str(out))
    assert code == 1 and says in err and "Traceback" not in err and not out.exists()


def test_a_folder_is_refused_before_any_work(checkout, tmp_path, capsys):
    code, _, err = run_command(capsys, "-o", str(tmp_path))
    assert code == 1 and "is a folder" in err and "report.html" in err
    (tmp_path / "file").write_text("")
    ship("resnet-mini", 0.9)
    code, _, err = run_command(capsys, "-o", str(tmp_path / "file" / "report.html"))
    assert code == 1 and "cannot be written" in err


def test_an_unfinished_net_and_an_empty_lab_are_told_apart(checkout, tmp_path, capsys):
    code, _, err = run_command(capsys, "-o", str(tmp_path / "report.html"))
    assert code == 1 and "There is no trained net to report of." in err
    run = Run(arch="cc-cc", data="fashion", recipe={"name": "quick"})
    store.create(run)
    code, _, err = run_command(capsys, run.id, "-o", str(tmp_path / "report.html"))
    assert code == 1 and "not trained to the end" in err
