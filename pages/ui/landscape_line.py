"""Landscape between two nets: the loss on the straight line from one set of weights to another, with its barrier."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import words
from core.analyses import landscape
from core.analyses._hills import heights
from pages.ui import figure, parts, pickers
from pages.ui.draw import draw
from pages.ui.landscape_choice import Choice
from pages.ui.landscape_planes import Shown, diverged, named, precision, so_far, together


def main(shown: Sequence[Shown], choice: Choice, takeaway: str) -> None:
    """One panel a net on one y axis, from the other end (0) to the net on stage (1)."""
    st.space("xsmall")
    scale = heights([one.table for one in shown], choice.part)
    drawings, start = [], start_of(choice)
    for i, (cell, one) in enumerate(zip(st.columns(max(2, len(shown)), gap="medium"), shown, strict=False)):

        def make(theme: str, one: Shown = one, ticks: bool = i == 0) -> Any:
            return landscape.chart_line(
                one.table, theme, part=choice.part, log=choice.log, scale=scale, ticks=ticks, family=pickers.family(one.run), net=one.title,
                start=start, end=one.title,
            )  # fmt: skip

        with cell:
            says = f"{one.title}, {so_far(one)}" if one.partial else landscape.takeaway({one.title: one.found})
            draw(make, ["line", one.facts, choice.part, choice.log, scale, i, start], f"landscape_line_{i}", says)
            if one.partial:
                parts.sub(so_far(one))
        drawings.append(make)
    caveats = foot(shown, start)
    figure.foot_line(caveats, together(shown), "landscape-line", "landscape", lambda: figure.svg_file(drawings, takeaway, caveats))


def start_of(choice: Choice) -> str:
    """What stands at the left end."""
    other = next((run for run in pickers.finished() if run.id == choice.params.other), None)
    return pickers.title(other) if other else "its start"


def foot(shown: Sequence[Shown], start: str) -> str:
    """What, n, seed, diverged, precision."""
    first = shown[0]
    points = max(len(one.table) for one in shown)
    images, seed = words.count(int(first.table["images"].iloc[0])), int(first.table["seed"].iloc[0])
    said = words.seq(sorted({str(one.notes.get("said", "training images")) for one in shown}))
    end = next(iter(named(shown))) if len(shown) == 1 else "the net on stage"
    return (
        f"Straight lines through the space of all weights, 0 = {start}, 1 = {end}; a barrier is what the loss "
        f"rises above the straight line between its ends. {points} points, {images} {said}, seed {seed}; {diverged(shown)}. "
        f"{precision(shown, first)}"
    )
