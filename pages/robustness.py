"""What breaks a net: corruptions, noise of one band of frequencies, attacks, how sure it is, shape against texture."""

from pages.ui import frame

frame.require()

from collections.abc import Callable, Sequence

import streamlit as st

from core import analyses
from core.run import Run
from pages.ui import figure, focus, parts, pickers, robust_cells, robust_cues, robust_curves, robust_nets, robust_sure, states
from pages.ui.robust_nets import Head, Own

#: what `show` in the address may be: the analysis of each view
SHOW = {
    "corruption": "Corruptions", "band_noise": "Noise by frequency", "adversarial": "Attacks", "calibration": "Calibration",
    "shape_texture": "Shape or texture",
}  # fmt: skip
VIEWS: dict[str, Callable[[Head, Sequence[Run]], Own]] = {
    "corruption": robust_cells.show, "band_noise": robust_curves.show_noise, "adversarial": robust_curves.show_attacks,
    "calibration": robust_sure.show, "shape_texture": robust_cues.show,
}  # fmt: skip
#: what else may stand in the address, of any view
OWN = (
    "severity", "cells", "kind", "net", "level", "strength", "energy", "paper", "attack", "norm", "ring", "under", "at", "temperature",
)  # fmt: skip


def page() -> None:
    """Question, answer, controls, the figure, the method: those of the chosen view."""
    show = robust_nets.take("show", list(SHOW), "corruption")
    analysis = analyses.get(show)
    parts.header(analysis.question, over="Images")
    head = st.container()
    with states.guard():
        robust_nets.choose("Show", "show", SHOW, "corruption")
        own = VIEWS[show](head, pickers.stage())
        focus.write(show=[show], **{key: own.get(key, []) for key in OWN})
    figure.method(analysis.card)


page()
