"""The figures of a report: for each question the sentence that its analysis says, and its charts.

An analysis that is not named here is drawn by its own `chart`, a panel a net, without a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core import analyses, store
from core.analyses import (
    adversarial,
    attention,
    band_noise,
    calibration,
    cka,
    corruption,
    density,
    fourier,
    hessian,
    landscape,
    lesion,
    receptive,
    shape_texture,
    subsets,
    variance,
)
from core.analyses._hills import heights
from core.analyses._pictures import domain
from core.errors import LabError
from core.report.gather import Question, title

#: Width of the page's text, what an axis takes of a panel, and the gap between panels [px].
PAGE, AXIS, GAP = 860, 62, 16


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to one question as charts and sentences take them, by the nets' names."""

    found: dict[str, store.Stored]
    families: dict[str, str]
    params: dict[str, Any]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Table by net."""
        return {net: one.table for net, one in self.found.items()}

    @property
    def phase(self) -> str:
        """The moment of training that was asked about."""
        return self.params.get("phase", "end")

    def column(self, *names: str) -> pd.Series:
        """Columns of all nets, one under the other."""
        return pd.concat([table[name] for table in self.tables.values() for name in names])

    def width(self) -> int:
        """The width of a panel where the nets stand side by side."""
        return panel(columns(len(self.found)))

    def each(self, draw: Callable[..., Any], **settings: Any) -> list[Any]:
        """A panel a net."""
        return [draw(table, net=net, family=self.families[net], width=self.width(), **settings) for net, table in self.tables.items()]


def answers(question: Question) -> Answers:
    """What was found, by net."""
    return Answers(
        found={net.title: one for net, one in question.answers}, families={net.title: net.family for net, _ in question.answers},
        params=dict(question.params),
    )  # fmt: skip


def columns(panels: int) -> int:
    """How many panels stand side by side: up to three, four as two and two."""
    return 2 if panels == 4 else min(panels, 3)


def cell(side_by_side: int) -> int:
    """The width of a place where so many charts stand side by side [px]."""
    return (PAGE - GAP * (side_by_side - 1)) // side_by_side


def panel(side_by_side: int) -> int:
    """The width of a chart's plot there; one alone leaves room for names at its sides [px]."""
    return cell(side_by_side) - AXIS if side_by_side > 1 else 620


def say(question: Question) -> str:
    """The takeaway of an analysis about these nets; "" where it has none; why they do not compare, where they do not."""
    known = SAYS.get(question.analysis.id)
    try:
        return known(answers(question)) if known else ""
    except LabError as error:
        return str(error)


def rows(question: Question) -> list[list[Any]]:
    """The charts of a question in rows of panels.  Raises LabError where there is nothing that can be drawn."""
    known = DRAWS.get(question.analysis.id)
    return known(answers(question)) if known else [_alone(question.analysis, answers(question))]


def _alone(analysis: analyses.Analysis, a: Answers) -> list[Any]:
    return [analysis.chart(table, "light", net=net, family=a.families[net]) for net, table in a.tables.items()]


# ---- sentences


def _by_net(say: Callable[[pd.DataFrame, str], str]) -> Callable[[Answers], str]:
    return lambda a: " ".join(say(table, net) for net, table in a.tables.items())


def _say_cka(a: Answers) -> str:
    if other := a.params.get("against"):
        return " ".join(cka.takeaway_pair(table, net, _named(other)) for net, table in a.tables.items())
    return " ".join(cka.takeaway(net, (one.manifest.get("notes") or {}).get("contrast")) for net, one in a.found.items())


def _say_landscape(a: Answers) -> str:
    return landscape.takeaway({net: (one.table, one.arrays, one.manifest["notes"]) for net, one in a.found.items()})


def _say_fourier(a: Answers) -> str:
    return "" if a.params.get("inside") else fourier.takeaway(a.tables)


SAYS: dict[str, Callable[[Answers], str]] = {
    "fourier": _say_fourier, "variance": lambda a: variance.takeaway(a.tables), "attention": lambda a: attention.takeaway(a.tables),
    "receptive": lambda a: receptive.takeaway(a.tables), "cka": _say_cka, "landscape": _say_landscape,
    "lesion": _by_net(lesion.takeaway), "subsets": _by_net(subsets.takeaway),
    "hessian": lambda a: hessian.takeaway(a.tables, a.phase), "density": lambda a: density.takeaway(a.tables, a.phase),
    "band_noise": lambda a: band_noise.takeaway(a.found), "corruption": lambda a: corruption.takeaway(a.found),
    "adversarial": lambda a: adversarial.takeaway(a.found), "calibration": lambda a: calibration.takeaway(a.tables),
    "shape_texture": lambda a: shape_texture.takeaway(a.tables),
}  # fmt: skip


# ---- charts


def _wide(picture: Any, side_by_side: int = 1, width: int = 0) -> Any:
    picture.width = width or panel(side_by_side)
    return picture


def _fourier(a: Answers) -> list[list[Any]]:
    if a.params.get("inside"):
        return [[fourier.chart_layers(table, heading=net, family=a.families[net], width=a.width()) for net, table in a.tables.items()]]
    tops = pd.concat([table.loc[table["top"], "delta_log_amplitude"] for table in a.tables.values()])
    first = a.each(fourier.chart, scale=domain(tops, below=0.2), select=False)
    kinds = fourier.by_kind(pd.concat(a.tables.values(), ignore_index=True))
    return [first] if kinds.empty else [first, [_wide(fourier.chart_kinds(a.tables, heading="Change made by each unit"))]]


def _variance(a: Answers) -> list[list[Any]]:
    first = a.each(variance.chart, scale=domain(a.column("variance"), below=0.2, log=True), select=False)
    kinds = variance.by_kind(pd.concat(a.tables.values(), ignore_index=True))
    return [first] if kinds.empty else [first, [_wide(variance.chart_kinds(a.tables, heading="Change made by each unit"))]]


def _attention(a: Answers) -> list[list[Any]]:
    return [a.each(attention.chart, scale=domain(a.column("distance", "distance_uniform"), 0.12), select=False)]


def _receptive(a: Answers) -> list[list[Any]]:
    return [a.each(receptive.chart, scale=domain(a.column("ci_low", "ci_high"), below=0.2), select=False)]


def _cka(a: Answers) -> list[list[Any]]:
    side = a.width() + AXIS // 2
    given = {"width": side, "height": side} | ({"other": _named(a.params["against"])} if a.params.get("against") else {})
    return [[cka.chart(table, net=net, heading=net, family=a.families[net], **given) for net, table in a.tables.items()]]


def _lesion(a: Answers) -> list[list[Any]]:
    found = {net: lesion.whole(table) for net, table in a.tables.items()}
    ends = pd.concat([*(table[["ci_low", "ci_high", "change"]].stack() for table in found.values()), pd.Series([0.0])])
    return [a.each(lesion.chart, scale=domain(ends, 0.1), select=False)]


def _landscape(a: Answers) -> list[list[Any]]:
    tables = list(a.tables.values())
    if a.params["along"] == "line":
        start = _named(a.params["other"]) if a.params.get("other") else "its start"
        return [a.each(landscape.chart_line, scale=heights(tables), start=start, end="the net")]
    lines = a.each(landscape.chart_lines, scale=heights(tables, lines=True))
    at = landscape.levels(tables)
    return [lines, a.each(landscape.chart_contour, at=at, height=min(a.width(), 280))]


def _adversarial(a: Answers) -> list[list[Any]]:
    ways = list(dict.fromkeys((row.attack, row.norm) for table in a.tables.values() for row in table.itertuples()))
    drawn = []
    for attack, norm in ways:
        held = {net: table for net, table in a.tables.items() if len(adversarial.line(table, attack, norm))}
        drawn.append(adversarial.chart_nets(held, families=a.families, attack=attack, norm=norm, width=panel(2), height=200))
    return [drawn[i : i + 2] for i in range(0, len(drawn), 2)]


DRAWS: dict[str, Callable[[Answers], list[list[Any]]]] = {
    "fourier": _fourier, "variance": _variance, "attention": _attention, "receptive": _receptive, "cka": _cka, "lesion": _lesion,
    "landscape": _landscape, "adversarial": _adversarial, "subsets": lambda a: [a.each(subsets.chart)],
    "hessian": lambda a: [[_wide(hessian.chart_spectra(a.tables, families=a.families))]],
    "density": lambda a: [[_wide(density.chart_lanes(a.tables, families=a.families))]],
    "band_noise": lambda a: [[_wide(band_noise.chart_nets(a.tables, families=a.families))]],
    "corruption": lambda a: [[_wide(corruption.chart_nets(a.tables, severity=0, select=False), width=120 * len(a.found))]],
    "calibration": lambda a: [[_wide(calibration.chart_nets(a.tables, families=a.families), width=340)]],
    "shape_texture": lambda a: [[_wide(shape_texture.chart_nets(a.tables, families=a.families))]],
}  # fmt: skip


def over_training(asked: Sequence[Question]) -> tuple[str, list[Any]]:
    """(sentence, charts) of the Hessian's two numbers over the phases that were measured; nothing for fewer than two phases."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    families: dict[str, str] = {}
    for question in asked:
        one = answers(question)
        found.setdefault(one.phase, one.tables)
        families |= one.families
    if len(found) < 2:
        return "", []
    charts = [_wide(hessian.chart_phases(found, which=which, families=families), 2) for which in hessian.TITLES]
    return " ".join(hessian.say_phases(found, which) for which in hessian.TITLES), charts


def _named(run_id: str) -> str:
    try:
        return title(store.find(run_id))
    except LabError:  # it was deleted; its name is still an answer
        return run_id
