"""The lens in words: the takeaway, the foot line, the table and the drawing that are computed from a sweep."""

import math
from collections.abc import Callable
from html import escape

import numpy as np
import pandas as pd

from core import words
from core.chart import LIGHT, family_token
from core.metrics import lens
from pages.ui import figure
from pages.ui.lens_view import Lane, View, captions, pi


def takeaway(view: View) -> str:
    """One sentence: how much each net needs, or bears, to keep the answer that it gives to the whole image."""
    whole = {lane.answers[-1] for lane in view.lanes}
    goal = f"say {view.lanes[0].answers[-1]}" if len(whole) == 1 else "keep the answer to the whole image"
    if len(whole) == 1 and view.label and not view.lanes[0].good[-1]:
        goal += f", which is wrong ({view.label})"
    return {"low": _low, "high": _high, "band": _band, "noise": _noise}[view.kind](view, goal)


def held(view: View, lane: Lane) -> int:
    """Up to which step the answer to the whole image stays as it is: the lowest such step of `low`, the highest of `high`."""
    through, whole = lane.answers[:-1], lane.answers[-1]
    other = [i for i, answer in enumerate(through) if answer != whole]
    last = len(through) - 1
    if view.kind == "low":
        return min(other[-1] + 1, last) if other else 0
    return max(other[0] - 1, 0) if other else last


def kept(lane: Lane) -> int:
    """At how many steps the answer is that to the whole image."""
    return sum(answer == lane.answers[-1] for answer in lane.answers[:-1])


def _groups(view: View, value: Callable[[Lane], int], most_first: bool = False) -> list[tuple[int, str, bool]]:
    """The nets by value, those that are alike together: (value, their names, whether they are several)."""
    found: dict[int, list[str]] = {}
    differ = len({lane.answers[-1] for lane in view.lanes}) > 1 and view.kind != "noise"
    for lane in view.lanes:
        found.setdefault(value(lane), []).append(f"{lane.title} ({lane.answers[-1]})" if differ else lane.title)
    return [(key, words.seq(found[key]), len(found[key]) > 1) for key in sorted(found, reverse=most_first)]


def _more(head: str, rest: list[str]) -> str:
    return f"{head}{'; ' if rest else ''}{', '.join(rest)}."


def _low(view: View, goal: str) -> str:
    (at, names, several), *rest = _groups(view, lambda lane: lens.at("low", view.steps[held(view, lane)]))
    what = f"the frequencies below **{pi(at)}**" if at else "**nothing of the image**"
    return _more(f"To {goal}, **{names}** need{'' if several else 's'} {what}", [f"{who} those below {pi(at)}" for at, who, _ in rest])


def _high(view: View, goal: str) -> str:
    (at, names, _), *rest = _groups(view, lambda lane: lens.at("high", view.steps[held(view, lane)]), most_first=True)
    if not at:
        return f"**{names}** cannot do without the lowest frequencies and still {goal}."
    more = [f"{who} without those below {pi(at)}" if at else f"{who} cannot do without the lowest" for at, who, _ in rest]
    return _more(f"**{names}** can do without the frequencies below **{pi(at)}** and still {goal}", more)


def _band(view: View, goal: str) -> str:
    (n, names, _), *rest = _groups(view, kept, most_first=True)
    head = f"In **{n}** of {len(view.steps)} steps a band {pi(lens.BAND)} wide is enough for **{names}** to {goal}"
    return _more(head, [f"in {n} for {who}" for n, who, _ in rest])


def _noise(view: View, goal: str) -> str:
    (n, names, _), *rest = _groups(view, lambda lane: len(view.steps) - kept(lane))
    return _more(f"Noise turns the answer of **{names}** in **{n}** of {len(view.steps)} steps", [f"of {who} in {n}" for n, who, _ in rest])


def foot(view: View, about: str) -> str:
    """What, n, caveat; `about` says which image."""
    n, side = len(view.steps), view.shape[1]
    half = sum(len(step) > 1 for step in view.steps)
    every = f"{half} of them half-way between two" if half else "all that differ" if n < lens.MOST else "spread over all that differ"
    wide = {"band": f"steps of a band {pi(lens.BAND)} wide", "noise": f"steps of a band {pi(lens.NOISE)} wide"}
    loud = f"; root mean square {words.plain(view.strength)} of the range of pixels, draw {view.index}" if view.kind == "noise" else ""
    good = "Coloured: right. Empty: wrong." if view.label else "Coloured: the answer to the whole picture. Empty: another."
    quick = "under 0.1 s" if view.seconds < 0.1 else f"{words.plain(view.seconds, 1)} s"
    return (
        f"{good} ▼ the net changes its mind. {n} {wide.get(view.kind, 'cut-offs')} at {side}×{side} pixels, {every}{loud}; "
        f"each net asked once, {quick}; dragging asks nothing more. {about}: one image, so no interval."
    )


def table(view: View) -> pd.DataFrame:
    """The numbers behind the lanes: one row a net and step, the whole image last."""
    rows = []
    for lane in view.lanes:
        for i, (answer, sure, good) in enumerate(zip(lane.answers, lane.sure, lane.good, strict=True)):
            low, high = np.mean(view.steps[i], axis=0) / 100 if i < len(view.steps) else (math.nan, math.nan)
            seen = captions(view.kind, view.steps[i])[0] if i < len(view.steps) else "the whole image"
            rows.append((lane.title, seen, low, high, answer, sure, good))
    return pd.DataFrame(rows, columns=["net", "seen", "low_pi", "high_pi", "answer", "probability", "right" if view.label else "as_whole"])


def file(view: View, about: str) -> bytes:
    """The lanes as an SVG file that stands alone."""
    left, wide, tall = 150, 620, 44
    body = []
    for number, lane in enumerate(view.lanes):
        y, token = 20 + number * tall, family_token(lane.family)
        body.append(f'<text x="0" y="{y + 20}" font-size="14" font-weight="600" fill="{LIGHT["ink"]}">{escape(lane.title)}</text>')
        for a, b in lane.runs():
            x, w = left + wide * a / len(view.steps), wide * (b - a) / len(view.steps) - 2
            good = lane.good[a]
            paint = f'fill="{LIGHT.get(f"{token}-w", LIGHT["wash"])}"' if good else f'fill="none" stroke="{LIGHT["line"]}"'
            body.append(f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="30" rx="4" {paint}/>')
            if good:
                body.append(f'<rect x="{x:.1f}" y="{y + 24}" width="{w:.1f}" height="6" rx="2" fill="{LIGHT[token]}"/>')
            if w > 7 * len(lane.answers[a]):
                look = f'font-size="13" text-anchor="middle" fill="{LIGHT["ink" if good else "muted"]}"'
                body.append(f'<text x="{x + w / 2:.1f}" y="{y + 18}" {look}>{escape(lane.answers[a])}</text>')
            if a:
                body.append(f'<path d="M{x - 6:.1f} {y - 8}h10l-5 7Z" fill="{LIGHT["ink"]}"/>')
    y = 20 + len(view.lanes) * tall
    places = [lens.at(view.kind, step) for step in view.steps]
    for part in range(5):
        i = round((len(places) - 1) * part / 4)
        x = left + wide * (i + 0.5) / len(places)
        body.append(f'<text x="{x:.1f}" y="{y + 10}" font-size="12" text-anchor="middle" fill="{LIGHT["muted"]}">{pi(places[i])}</text>')
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 20}" height="{y + 20}">{"".join(body)}</svg>'
    return figure.framed(drawn, takeaway(view), foot(view, about))
