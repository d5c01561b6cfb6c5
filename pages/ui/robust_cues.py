"""Shape against texture: which of two conflicting cues nets follow that were trained on the lab's own set of shapes."""

from collections.abc import Sequence

import streamlit as st

from core import analyses, data, words
from core.analyses import shape_texture
from core.run import Run
from pages.ui import figure, frame, parts, pickers, robust_nets, states
from pages.ui.draw import draw
from pages.ui.robust_nets import Head, Own, Seen

ANALYSIS = analyses.get("shape_texture")


def show(head: Head, runs: Sequence[Run]) -> Own:
    """A lane a net; of one net alone a lane a shape."""
    able, params = [run for run in runs if run.data.startswith(ANALYSIS.trained_on)], ANALYSIS.params()
    others = [run for run in runs if run not in able]
    named = pickers.names(runs)
    refused = words.seq([named[run.id] for run in others])
    if runs and not able:
        robust_nets.said(head, f"This can be asked of nets that were trained on **{data.title(shape_texture.DATA)}**; none is on stage.")
        cost = "The pictures of Shapes and textures are drawn here; nothing is downloaded."
        if states.empty(f"**{refused}: trained on images whose classes are no shapes.**", "Train one", "robust_train", cost=cost):
            frame.go("train", d=shape_texture.DATA)
        return {}
    seen = robust_nets.gathered(ANALYSIS, able, params)
    takeaway = shape_texture.takeaway(robust_nets.tables(seen)) or robust_nets.nothing(ANALYSIS, runs, seen)
    left_out = f"{refused}: trained on other images, so not asked here." if others else ""
    robust_nets.said(head, takeaway, robust_nets.stale_said(seen), left_out)
    if seen:

        def make(theme: str) -> object:
            if len(seen) == 1:
                return shape_texture.chart(seen[0].table, theme, net=seen[0].name, family=robust_nets.families(seen)[seen[0].name])
            return shape_texture.chart_nets(robust_nets.tables(seen), theme, families=robust_nets.families(seen))

        st.space("xsmall")
        draw(make, [robust_nets.facts(seen)], "robust_cues", takeaway)
        caveats = foot(seen)
        both = robust_nets.together(seen)
        figure.foot_line(caveats, both, "shape-or-texture", "robust_shape_texture", lambda: figure.svg_file(make, takeaway, caveats))
        parts.h2("Which cue decides", "pictures whose shape, texture and colour name three classes")
        counts(seen)
    robust_nets.ask(ANALYSIS, params, able, seen)
    return {}


def counts(seen: Sequence[Seen]) -> None:
    """How many decisions follow what."""
    rows = []
    for one in seen:
        row = one.table[one.table["class"] == ""].iloc[0]
        rows.append([one.name, *(words.count(int(row[f"by_{cue}"])) for cue in ("shape", "texture", "colour", "none"))])
    robust_nets.table(["Net", "Shape", "Texture", "Colour", "None"], rows, "Decisions by cue")


def foot(seen: Sequence[Seen]) -> str:
    """What, n, seed, caveat."""

    def about(one: Seen) -> str:
        return f"{words.count(int(one.table['images'].iloc[0]))} pictures in which the cues disagree, seed {one.params.get('seed', 0)}"

    return f"{robust_nets.each(seen, about)}. Bars: 95 %. Dashed: 50 %, what a guess gives. The label of this set is the shape."
