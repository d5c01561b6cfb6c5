"""The figure of one measure: the nets on the same axes, and B minus A with its 95 % interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core import analyses
from core.analyses import Analysis, _apart, band_noise, calibration, cka, fourier, hessian, landscape, lesion, variance
from core.analyses._pictures import domain
from core.claims import profiles
from core.claims.alike import same_images
from core.claims.gains import MEASURES, likeness
from core.claims.nets import Net, answers
from core.claims.profiles import Profile
from core.run import Run
from core.store import Stored
from pages.ui import figure, parts, pickers
from pages.ui.draw import draw
from pages.ui.measured import Asked

Draw = Callable[[str], Any]
HEIGHT = 230


@dataclass(frozen=True, kw_only=True)
class Side:
    """One net of the figure with its stored answer."""

    run: Run
    name: str
    found: Stored

    @property
    def table(self) -> pd.DataFrame:
        """What was measured."""
        return self.found.table


def together(measure: str, nets: Sequence[Net], named: Mapping[str, str]) -> list[Side]:
    """The nets whose answers are to one question, in order; as many as agree with the first that has one."""
    analysis, agreed, found = MEASURES[measure].analysis, [], []
    for net in nets:
        if trial := answers([(one, {}) for one in (*agreed, net)], analysis):
            agreed, found = [*agreed, net], trial
    return [Side(run=net.run, name=named[net.run.id], found=one) for net, one in zip(agreed, found, strict=True)]


def lacking(measure: str, nets: Sequence[Net], sides: Sequence[Side]) -> list[Run]:
    """The runs that have to be measured before all stand in the figure."""
    held = {side.run.id for side in sides}
    out = [net.run for net in nets if net.run.id not in held]
    analysis = analyses.get(MEASURES[measure].analysis)
    if out and all(net.results(analysis.id) for net in nets):  # all are measured, but on other questions
        usual = analysis.params()
        return [net.run for net in nets if not any(m["params"] == vars(usual) for m in net.results(analysis.id))]
    return out


# ---- the nets


def over_depth(measure: str, sides: Sequence[Side]) -> list[Draw]:
    """A panel a net on one scale, for what runs over the units or along directions."""
    tables = [side.table for side in sides]
    if measure == "landscape":
        ends = landscape.heights(tables, lines=True)
        return [lambda theme, s=s, i=i: landscape.chart_lines(s.table, theme, net=s.name, family=pickers.family(s.run), scale=ends,
                                                              ticks=not i, height=HEIGHT) for i, s in enumerate(sides)]  # fmt: skip
    chart, values, more = {
        "frequency": (fourier.chart, lambda t: fourier.points(t)[["value", "low", "high"]], {}),
        "variance": (variance.chart, lambda t: t[["variance", "ci_low", "ci_high"]], {"log": True}),
        "lesion": (lesion.chart, lambda t: lesion.whole(t)[["change", "ci_low", "ci_high"]], {}),
    }[measure]
    scale = domain(pd.Series([value for table in tables for value in values(table).to_numpy().ravel()]), below=0.2, **more)
    return [lambda theme, s=s, i=i: chart(s.table, theme, net=s.name, family=pickers.family(s.run), scale=scale, select=False,
                                          **({} if measure == "lesion" else {"ticks": not i})) for i, s in enumerate(sides)]  # fmt: skip


def on_one(measure: str, sides: Sequence[Side], profile: Profile | None) -> Draw:
    """All nets in one panel, for what runs over classes, kinds, bins, rings or eigenvalues."""
    tables, families = {s.name: s.table for s in sides}, {s.name: pickers.family(s.run) for s in sides}
    if measure in ("accuracy", "corruption"):
        rows = parts_of(measure, sides, list(profile.table["label"]) if profile else [])
        return lambda theme: _apart.rows(rows, theme, title="accuracy, %", families=families)
    if measure == "calibration":
        return lambda theme: calibration.chart_nets(tables, theme, families=families, height=HEIGHT)
    if measure == "noise":
        return lambda theme: band_noise.chart_nets(tables, theme, families=families, height=HEIGHT)
    return lambda theme: hessian.chart_spectra(tables, theme, families=families)


def parts_of(measure: str, sides: Sequence[Side], order: Sequence[str]) -> pd.DataFrame:
    """Accuracy by class or by kind of corruption, of each net: net, label, value, low, high [%]; in the order of the difference."""
    found = []
    for side in sides:
        rows = profiles.by_class(side.found, side.run) if measure == "accuracy" else profiles.by_kind(side.found)
        keep = [label for label in order if label in set(rows["label"])] or list(rows["label"])[: profiles.MOST]
        found.append(rows.set_index("label").loc[keep].reset_index().assign(net=side.name))
    return pd.concat(found, ignore_index=True)


def apart(profile: Profile, height: int = 180) -> Draw:
    """The difference in pieces."""
    title = f"{profile.title}, B {'by' if profile.ratio else '−'} A"
    if "label" in profile.table:
        return lambda theme: _apart.rows(profile.table, theme, title=title, ratio=profile.ratio)
    return lambda theme: _apart.curve(profile.table, theme, title=title, over=profile.over, ratio=profile.ratio, height=height)


# ---- the page


#: measures with a panel a net; the others stand in one
PANELS = ("frequency", "variance", "lesion", "landscape")


def show(measure: str, nets: Sequence[Net], named: Mapping[str, str], profile: Profile | None, takeaway: str, foot: str) -> list[Asked]:
    """Draws what is there; returns what has to be asked, each where its net would stand."""
    sides = together(measure, nets, named)
    analysis, ids = analyses.get(MEASURES[measure].analysis), [net.run.id for net in nets]
    question, lacks = [(analysis, analysis.params())], lacking(measure, nets, sides)
    facts, drawings, asked = [[s.name, pickers.family(s.run), s.found.manifest["key"]] for s in sides], [], []
    if measure in PANELS:
        panels = dict(zip([s.run.id for s in sides], over_depth(measure, sides), strict=True)) if sides else {}
        for net, column in zip(nets, st.columns(max(2, len(nets)), gap="medium"), strict=False):
            key = f"compare_{measure}_{ids.index(net.run.id)}"
            if net.run.id in panels:
                with column:
                    draw(panels[net.run.id], [facts, measure, net.run.id], key, f"{named[net.run.id]}: {analysis.title}")
                drawings.append(panels[net.run.id])
            if net.run in lacks:
                asked.append(Asked(asks=question, runs=[net.run], key=key, place=column.container()))
        if profile is not None:
            _heading(profile)
            _difference(measure, profile, facts, takeaway)
    elif sides:
        left, right = st.columns(2, gap="medium") if profile is not None else (st.container(), None)
        both = on_one(measure, sides, profile)
        drawings.append(both)
        with left:
            parts.h2("Both nets" if len(sides) == 2 else "The nets" if len(sides) > 2 else named[sides[0].run.id])
            draw(both, [facts, measure, list(profile.table["label"]) if profile and "label" in profile.table else []],
                 f"compare_{measure}_nets", takeaway)  # fmt: skip
        if profile is not None and right is not None:
            with right:
                _heading(profile)
                _difference(measure, profile, facts, takeaway, HEIGHT)
    if measure not in PANELS and lacks:
        asked = [Asked(asks=question, runs=lacks, key=f"compare_{measure}", place=st.container())]
    if profile is not None:
        drawings.append(apart(profile))
    if drawings:
        figure.foot_line(foot, numbers(measure, sides, profile), f"compare-{measure}", f"compare_{measure}",
                         lambda: figure.svg_rows(in_rows(measure, drawings, profile), takeaway, foot))  # fmt: skip
    return asked


def in_rows(measure: str, drawings: Sequence[Draw], profile: Profile | None) -> list[list[Draw]]:
    """Panels of nets with the difference below them, as on the page; what stands in one panel beside it."""
    whole = list(drawings)
    return [whole[:-1], whole[-1:]] if measure in PANELS and profile is not None and len(whole) > 1 else [whole]


def _heading(profile: Profile) -> None:
    mark = "; marks: where B has another kind of unit than A" if "other" in profile.table and profile.table["other"].any() else ""
    parts.h2("Difference", f"B {'by' if profile.ratio else '−'} A, 95 % {profile.how}{mark}")


def _difference(measure: str, profile: Profile, facts: list, takeaway: str, height: int = 180) -> None:
    said = profiles.largest(profile)
    text = f"Difference, B {'by' if profile.ratio else 'minus'} A, {said or 'nowhere clear'}. {takeaway}"
    draw(apart(profile, height), [facts, measure, "difference"], f"compare_{measure}_difference", text)


def numbers(measure: str, sides: Sequence[Side], profile: Profile | None) -> pd.DataFrame:
    """What is drawn, of each net and of the difference, the net's name first."""
    if measure in ("accuracy", "corruption"):
        rows = [parts_of(measure, sides, list(profile.table["label"]) if profile else [])]
    else:
        rows = [side.table.assign(net=side.name) for side in sides]
    if profile is not None:
        rows.append(profile.table.assign(net=f"B {'by' if profile.ratio else 'minus'} A", n=profile.n, interval=profile.how))
    both = pd.concat(rows, ignore_index=True)
    return both[["net", *both.columns.drop("net")]]


def show_likeness(nets: Sequence[Net], named: Mapping[str, str], takeaway: str, foot: str) -> list[Asked]:
    """CKA of all layers of A with all of B, the one measure that is of the two together."""
    a, b = nets[:2]
    analysis, found = analyses.get("cka"), likeness(a, b)
    if found is None:
        params = cka.Params(against=b.run.id)
        return [Asked(asks=[(analysis, params)], runs=[a.run], key="compare_cka", place=st.container())]
    stored, first = found
    down, across = (named[net.run.id] for net in ((a, b) if first else (b, a)))

    def make(theme: str) -> Any:
        return cka.chart(stored.table, theme, net=down, other=across)

    with st.container(width=560):
        draw(make, [stored.manifest["key"], down, across], "compare_cka_map", takeaway)
    figure.foot_line(foot, stored.table, "compare-cka", "compare_cka", lambda: figure.svg_file(make, takeaway, foot))
    return []


def unmeasured(nets: Sequence[Net]) -> list[tuple[Analysis, Any, list[Run]]]:
    """What some of these nets lack: analysis, parameters and which nets."""
    found: dict[str, tuple[Analysis, Any, list[Run]]] = {}
    for measure, about in MEASURES.items():
        analysis = analyses.get(about.analysis)
        if measure == "cka":
            a, b = nets[:2]
            lacks = [a.run] if same_images(a, b) and likeness(a, b) is None else []
            params = cka.Params(against=b.run.id)
        else:
            lacks = lacking(measure, nets, together(measure, nets, {net.run.id: "" for net in nets}))
            params = analysis.params()
        if able := [run for run in lacks if not analyses.refusal(analysis, run)]:
            found.setdefault(about.analysis, (analysis, params, able))
    return list(found.values())
