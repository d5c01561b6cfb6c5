"""Landscape as surfaces and bands: what is measured of the nets on stage, drawn, and said beneath."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import analyses, size, words
from core.analyses import landscape
from core.analyses._hills import height, heights
from core.run import Run
from pages.ui import figure, measured, parts, pickers, surface, surface_file
from pages.ui.coarse import FINENESS
from pages.ui.draw import draw
from pages.ui.landscape_choice import BN, PHASE, Choice
from pages.ui.surface import Surface

ANALYSIS = analyses.get("landscape")
#: what a stored result may have otherwise than the page would ask; how fine it is only where the reader has not chosen that
FREE = ("seed", "precision")
#: the distance of the number beside a net's name
BESIDE = 0.8


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is known of one net: stored, or the rows of a job that still runs (`partial`)."""

    run: Run
    table: pd.DataFrame
    arrays: dict[str, np.ndarray]
    notes: dict[str, Any]
    params: dict[str, Any]
    facts: str
    stale: bool = False
    partial: bool = False

    @property
    def found(self) -> landscape.Found:
        """What the analysis' own functions take."""
        return self.table, self.arrays, self.notes

    @property
    def title(self) -> str:
        """The net's name on screen."""
        return pickers.title(self.run)


def found(runs: Sequence[Run], choice: Choice) -> list[Shown]:
    """What there is, in the order of the stage; a job's first rows stand before a result that is out of date."""
    asked = dataclasses.asdict(choice.params)
    usual = landscape.Params()
    free = (*FREE, *(name for name in FINENESS if asked[name] == getattr(usual, name)))
    stored, shown = measured.answers(ANALYSIS, runs, asked, free=free), []
    for run in runs:
        answer = stored.get(run.id)
        live = measured.partial(ANALYSIS, run, choice.params) if answer is None or answer.stale else None
        if live is not None:
            facts = f"{run.id} {len(live.table)}"
            shown.append(Shown(run=run, table=live.table, arrays=live.arrays, notes=live.notes, params=asked, facts=facts, partial=True))
        elif answer is not None:
            notes, key = answer.manifest.get("notes") or {}, answer.manifest["key"]
            params = answer.manifest["params"]
            one = Shown(
                run=run, table=answer.table, arrays=answer.arrays, notes=notes, params=params, facts=key, stale=answer.stale
            )  # fmt: skip
            shown.append(one)
    return shown


def named(shown: Sequence[Shown]) -> dict[str, Shown]:
    """By the net's name on screen, told apart where two nets have one name."""
    names: dict[str, Shown] = {}
    for one in shown:
        names[one.title if one.title not in names else f"{one.title} ({one.run.id[-4:]})"] = one
    return names


def grid(one: Shown, part: str) -> Surface:
    """The first plane of a net as far as it is measured."""
    side, reach = one.params["side"], one.params["reach"]
    rows = one.table[one.table["plane"] == 0]
    heights, state = np.full((side, side), np.nan), np.zeros((side, side), dtype=np.uint8)
    at = tuple(np.rint((rows[name].to_numpy() / reach + 1) / 2 * (side - 1)).astype(int) for name in ("y", "x"))
    values = height(rows, part).to_numpy(dtype=float)
    heights[at] = values
    state[at] = np.where(np.isfinite(values), surface.MEASURED, surface.DIVERGED)
    whole = Surface(
        title=one.title, family=pickers.family(one.run), axis=np.linspace(-reach, reach, side), heights=heights, state=state,
        centre=float(heights[side // 2, side // 2]), sub=beside(one, part),
    )  # fmt: skip
    return surface.whole(whole) or whole


def beside(one: Shown, part: str) -> str:
    """What stands under the net's name."""
    if one.partial:
        return so_far(one)
    if values := one.notes.get("eigenvalues"):
        return f"curvature {words.seq([words.plain(v, 1) for v in values[:2]])}"
    if part != "nll" or not np.isclose(one.arrays.get("radii", np.empty(0)), BESIDE).any():
        return ""
    rise, *_ = landscape.rings_of(one.found, BESIDE)
    return f"{words.signed(rise, 1)} at {BESIDE:g} of a step" if np.isfinite(rise) else f"diverged at {BESIDE:g} of a step"


def so_far(one: Shown) -> str:
    """`130 of 900 points so far`."""
    every = sum(len(points) for _, points in landscape.plan(landscape.Params(**one.params)))
    return f"{words.count(len(one.table))} of {words.count(max(every, len(one.table)))} points so far"


def main(shown: Sequence[Shown], choice: Choice, takeaway: str) -> None:
    """The surfaces or contours, the bands beneath, one foot line for both."""
    st.space("xsmall")
    surfaces = [grid(one, choice.part) for one in shown]
    scale = surface.scale(surfaces, choice.title, log=choice.log)
    pale = all(one.stale for one in shown)
    axes = ("direction x", "direction y")
    if choice.contour:
        drawings = contours(shown, choice)
    else:
        surface.surfaces(surfaces, scale, key="landscape_surface", said=said(surfaces, takeaway), axes=axes, pale=pale)
        drawings = []
    if choice.params.along == "random":
        bands(shown, choice)
    caveats = foot(shown, choice)

    def file() -> bytes:
        if drawings:
            return figure.svg_file(drawings, takeaway, caveats)
        return surface_file.svg(surfaces, scale, takeaway, caveats, axes)

    figure.foot_line(caveats, together(shown), f"landscape-{choice.params.along}", "landscape", file)


def said(surfaces: Sequence[Surface], takeaway: str) -> str:
    """What a screen reader says in place of the surfaces."""
    ends = []
    for one in surfaces:
        known = one.heights[np.isfinite(one.heights)]
        if len(known):
            ends.append(f"{one.title} from {words.plain(known.min())} to {words.plain(known.max())}")
    return f"{parts.spoken(takeaway)} Heights: {'; '.join(ends)}. Arrow keys turn, plus and minus zoom, Home goes back."


def contours(shown: Sequence[Shown], choice: Choice) -> list[Any]:
    """The same plane from above, one panel a net at the same levels."""
    at = landscape.levels([one.table for one in shown], choice.part, choice.log)
    drawings = []
    for i, (cell, one) in enumerate(zip(st.columns(max(len(shown), 2), gap="medium"), shown, strict=False)):

        def make(theme: str, one: Shown = one, ticks: bool = i == 0) -> Any:
            return landscape.chart_contour(
                one.table, theme, part=choice.part, log=choice.log, at=at, family=pickers.family(one.run), net=one.title, ticks=ticks
            )  # fmt: skip

        with cell:
            draw(make, ["contour", one.facts, choice.part, choice.log, at, i], f"landscape_contour_{i}", f"{one.title} from above")
        drawings.append(make)
    return drawings


def bands(shown: Sequence[Shown], choice: Choice) -> None:
    """The loss along each direction alone, with the band that holds 95 % of them."""
    counts = [2 * (int(one.table["plane"].max()) + 1) for one in shown]
    few, many = min(counts), max(counts)
    so_far = " so far" if any(one.partial for one in shown) else ""
    parts.h2("Is that slice typical?", f"{many if few == many else f'{few} to {many}'} random directions{so_far}, band: 95 % of them")
    scale = heights([one.table for one in shown], choice.part, lines=True)
    for i, (cell, one) in enumerate(zip(st.columns(len(shown), gap="medium"), shown, strict=True)):

        def make(theme: str, one: Shown = one, ticks: bool = i == 0) -> Any:
            return landscape.chart_lines(
                one.table, theme, part=choice.part, log=choice.log, scale=scale, ticks=ticks, family=pickers.family(one.run), net=one.title
            )  # fmt: skip

        with cell:
            says = f"{one.title}: {choice.title.lower()} along {counts[i]} random directions"
            draw(make, ["lines", one.facts, choice.part, choice.log, scale, i], f"landscape_lines_{i}", says)


def together(shown: Sequence[Shown]) -> pd.DataFrame:
    """All points of all nets in one table, for the reader to take away."""
    return pd.concat([one.table.assign(net=name) for name, one in named(shown).items()], ignore_index=True).pipe(
        lambda table: table[["net", *(c for c in table.columns if c != "net")]]
    )


# ---- in words


def foot(shown: Sequence[Shown], choice: Choice) -> str:
    """What, n, seed, diverged, precision, whether all saw the same batches."""
    params, first = choice.params, shown[0]
    text = [what(choice)]
    sides = sorted({one.params["side"] for one in shown})
    points = f"{sides[0]}×{sides[0]} points" if len(sides) == 1 else f"{sides[0]}×{sides[0]} to {sides[-1]}×{sides[-1]} points"
    images = sorted({int(one.table["images"].iloc[0]) for one in shown})
    seeds = sorted({int(one.table["seed"].iloc[0]) for one in shown})
    said = {str(one.notes.get("said", "training images")) for one in shown}
    text.append(
        f"{points}, {words.seq([words.count(n) for n in images])} {words.seq(sorted(said))}, "
        f"seed {words.seq([str(s) for s in seeds])}; {diverged(shown)}."
    )
    if len(shown) > 1:
        same = len({one.notes.get("batches") for one in shown}) == 1
        text.append("All nets saw the same batches." if same else "The nets did not see the same batches.")
    if params.phase != "end":
        text.append(f"Weights: {PHASE[params.phase].lower()}.")
    if params.bn != "frozen":
        text.append(f"Statistics of BatchNorm {BN[params.bn].lower()}.")
    if choice.part == "l2_norm":
        text.append("L2 part: weight decay times the sum of the tensors’ norms, not squared.")
    elif choice.part == "sum":
        text.append("With the L2 part as in the paper’s figure: weight decay times the sum of the tensors’ norms.")
    elif choice.part == "l2_half":
        text.append("L2 part: half of weight decay times the sum of squares.")
    text.append(precision(shown, first))
    return " ".join(s for s in text if s)


def what(choice: Choice) -> str:
    """What x and y are."""
    if choice.params.along == "curvature":
        return "Along the two eigenvectors of largest curvature: 1 = a step of length 1."
    if choice.params.norm == "dim0":
        return "Random directions scaled over the first axis, as in the paper’s code: 1 = as far as the weights are large."
    return "Filter-normalised random directions: 1 = each filter moved by its own length."


def diverged(shown: Sequence[Shown]) -> str:
    """`none diverged`, or how many of which net."""
    counts = {name: (int(one.table["diverged"].sum()), len(one.table)) for name, one in named(shown).items()}
    bad = [f"{words.count(n)} of {words.count(of)} of {name}" for name, (n, of) in counts.items() if n]
    return f"{words.seq(bad)} diverged (×)" if bad else "none diverged"


def precision(shown: Sequence[Shown], first: Shown) -> str:
    """How the numbers were computed, and how far that is from float32."""
    kinds = {one.notes.get("precision") for one in shown}
    errors = [float(one.notes["error"]) for one in shown if one.notes.get("error") is not None and one.notes.get("precision") == "bf16"]
    if "bf16" not in kinds:
        return "Computed in float32." if first.notes.get("precision") else ""
    off = f", off float32 by at most {words.percent(max(errors), 2)} where both were computed" if errors else ""
    return f"Computed in bf16{off}."


def parameters(shown: Sequence[Run]) -> str:
    """`660,000`, or `540,000 to 710,000` for several nets."""
    counts = [size.count(run.plan, run.image_size, run.classes)["parameters"] for run in shown]
    low, high = (words.count(round(n, -4)) if n >= 1e5 else words.count(n) for n in (min(counts), max(counts)))
    return low if low == high else f"{low} to {high}"


def rings(shown: Sequence[Shown]) -> pd.DataFrame:
    """How far the loss rises at each distance, with the interval, and what part of the ring diverged."""
    rows = []
    for name, one in named(shown).items():
        for radius in one.arrays.get("radii", ()):
            rise, low, high, lost = landscape.rings_of(one.found, radius)
            rows.append({"net": name, "step": radius, "rise": rise, "low": low, "high": high, "diverged": lost})
    return pd.DataFrame(rows)
