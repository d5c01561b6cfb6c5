"""What loss surfaces say: rises with their intervals, and sentences made from them.  No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from core import words
from core.analyses._hills import PARTS, grid
from core.errors import MeasureError
from core.metrics import flatness

#: A result as the page has it: table, arrays and notes.
Found = tuple[pd.DataFrame, Mapping[str, np.ndarray], Mapping[str, Any]]
#: A rise above the straight line [nat] that is called a barrier.
BARRIER = 0.01


def rings_of(found: Found, radius: float = 0.4) -> tuple[float, float, float, float]:
    """(rise [nat], low, high, diverged share) at a distance, 95 % over directions and images; NaN while no plane is whole.

    Raises MeasureError for a distance that was not measured.
    """
    _, arrays, _ = found
    ring = _at(found, radius)
    gone = arrays["ring_diverged"][:, ring]
    return (*flatness.rise(arrays["ring_rise"][:, ring]), float(np.nanmean(gone)) if np.isfinite(gone).any() else float("nan"))


def ratio(one: Found, other: Found, radius: float = 0.4) -> tuple[float, float, float]:
    """(ratio, low, high): rise of one net by that of the other; images are paired where both saw the same, directions never are."""
    paired = one[2].get("batches") == other[2].get("batches")
    return flatness.ratio(one[1]["ring_rise"][:, _at(one, radius)], other[1]["ring_rise"][:, _at(other, radius)], paired=paired)


def _at(found: Found, radius: float) -> int:
    held = found[1].get("radii", np.empty(0))
    near = np.flatnonzero(np.isclose(held, radius))
    if not len(near):
        raise MeasureError(f"No ring was measured at {radius:g}; there are {', '.join(f'{r:g}' for r in held) or 'none'}.")
    return int(near[0])


def takeaway(found: Mapping[str, Found], radius: float = 0.4) -> str:
    """What the nets' surfaces say, in one sentence; ** marks the key words.  `found` by title, in the order of the page.

    Of several nets the flattest is compared with the steepest, and it is said where that is not clear.
    """
    along = next(iter(found.values()))[2]["along"]
    if along != "random":
        notes = {net: notes for net, (_, _, notes) in found.items()}
        one = _of_line if along == "line" else _of_curvature
        several = _of_lines if along == "line" else _of_curvatures
        return several(notes) if len(notes) > 1 else one(*next(iter(notes.items())))
    radius, rises = _nearest(found, radius), {}
    for net, one in found.items() if radius else ():
        value = float(np.mean(_whole(one, radius))) if len(_whole(one, radius)) else np.nan
        rises |= {net: value} if np.isfinite(value) else {}
    if not rises:
        lost = radius and all(np.isfinite(arrays["ring_diverged"]).any() for _, arrays, _ in found.values())
        none = f"Around the weights, **{words.seq(list(found))}’s loss is no number**{_of_diverged(found)}."
        return none if lost else "The loss around the weights is **not measured yet**."
    gone = _of_diverged({net: found[net] for net in rises})
    flat, steep = min(rises, key=rises.__getitem__), max(rises, key=rises.__getitem__)
    if flat == steep:
        value, low, high, _ = rings_of(found[flat], radius)
        said = f"{_changes(value)} at {radius:g} of a step** ({_over(found[flat])}: {words.plain(low)} to {words.plain(high)})"
        return f"Around the weights, **{flat}’s loss {said}{gone}."
    times, low, high = ratio(found[steep], found[flat], radius)
    if not np.isfinite(low):
        both = f"{words.plain(rises[flat])} for {flat} and {words.plain(rises[steep])} for {steep}"
        return f"Around the weights, the loss rises by {both}; **which rises slower is not clear**{gone}."
    digits = 1 if low >= 1.05 or low <= 1 else 2
    interval = f"at {radius:g} of a step; {_over(found[flat], found[steep])}: {words.plain(low, digits)} to {words.plain(high, digits)}"
    said = words.plain(times, digits)
    if low <= 1:
        unclear = f"**whether {flat}’s loss rises slower** than {steep}’s **is not clear** (ratio {said} {interval})"
        return f"Around the weights, {unclear}{gone}."
    return f"Around the weights, **{flat}’s loss rises {said} times slower** than {steep}’s ({interval}){gone}."


def _whole(found: Found, radius: float) -> np.ndarray:
    """(planes, images) of the planes whose ring is there and did not diverge altogether."""
    rises = found[1]["ring_rise"][:, _at(found, radius)]
    return rises[np.isfinite(rises).all(1)]


def _nearest(found: Mapping[str, Found], radius: float) -> float:
    """The distance that all nets were measured at which is nearest to the one asked for; 0 if there is none."""
    held = [set(np.round(arrays.get("radii", np.empty(0)), 9).tolist()) for _, arrays, _ in found.values()]
    return min(set.intersection(*held), key=lambda r: abs(r - radius), default=0.0)


def _over(*found: Found) -> str:
    """`95 %`, and over what where it is not over directions."""
    one_plane = any(np.isfinite(arrays["ring_rise"]).all((1, 2)).sum() < 2 for _, arrays, _ in found)
    return "95 % over images, one pair of directions" if one_plane else "95 %"


def _changes(value: float) -> str:
    return f"rises by {words.plain(value)}" if value >= 0 else f"falls by {words.plain(-value)}"


def _of_diverged(found: Mapping[str, Found]) -> str:
    told = [f"{net} diverged at {notes['diverged']} of {words.some(notes['points'], 'point')}" for net, (_, _, notes) in found.items()
            if notes["diverged"]]  # fmt: skip
    return f"; {words.seq(told)}" if told else ""


def _of_line(net: str, notes: Mapping[str, Any]) -> str:
    if "barrier" not in notes:
        return f"The line to {net} is **not measured to both ends yet**."
    start = "its start" if notes["other"] == "init" else "the other net"
    if notes["barrier"] < BARRIER:
        return f"Between {start} and {net}, **no barrier**: the loss lies nowhere above the straight line by {BARRIER} or more."
    return (
        f"Between {start} and {net}, **the loss rises {words.plain(notes['barrier'])} above the straight line**,"
        f" {words.percent(notes['barrier_at'], 0)} of the way."
    )


def _of_lines(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Which nets have a barrier on their line, and how high it is; one sentence for all."""
    whole = {net: notes["barrier"] for net, notes in found.items() if "barrier" in notes}
    if not whole:
        return "The lines are **not measured to both ends yet**."
    high = [f"{words.plain(barrier)} for {net}" for net, barrier in whole.items() if barrier >= BARRIER]
    low = [net for net, barrier in whole.items() if barrier < BARRIER]
    free = f"{words.seq(low)} {'have' if len(low) > 1 else 'has'} **no barrier**"
    if not high:
        return f"On the straight line between two nets, {free}."
    rest = f"; {free}" if low else ""
    return f"On the straight line between two nets, **the loss rises above it** by {words.seq(high)}{rest}."


def _of_curvatures(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The net that bends least and the one that bends most along its own two sharpest directions."""
    order = sorted(found, key=lambda net: abs(found[net]["eigenvalues"][0]))
    bends = {net: [words.plain(v, 0 if abs(v) >= 100 else 1) for v in found[net]["eigenvalues"]] for net in order}
    least, most = words.seq(bends[order[0]]), words.seq(bends[order[-1]])
    return f"Along the two directions of most curvature, **{order[0]}’s loss bends least** ({least}) and {order[-1]}’s most ({most})."


def _of_curvature(net: str, notes: Mapping[str, Any]) -> str:
    bent = words.seq([words.plain(value, 1) for value in notes["eigenvalues"]])
    return f"Along its two directions of most curvature, **{net}’s loss bends with {bent}**."


def alt_text(table: pd.DataFrame, net: str, part: str = "nll") -> str:
    """What a picture of the surface shows, for who cannot see it."""
    x, y, z = grid(table, 0, part)
    if not np.isfinite(z).any():
        return f"{PARTS[part]} around {net}: nothing measured yet."
    edge = np.maximum(np.abs(x)[None, :], np.abs(y)[:, None]) >= np.abs(x).max() * (1 - 1e-9)
    rim, gone = z[edge & np.isfinite(z)], int(table.loc[table["plane"] == 0, "diverged"].sum())
    said = f"{PARTS[part]} of {net} on {len(x)} by {len(y)} points"
    centre = z[np.flatnonzero(y == 0)][:, np.flatnonzero(x == 0)]
    if np.isfinite(centre).any():
        said += f": {words.plain(float(centre.flat[0]))} at the weights"
    if len(rim):
        said += f", {words.plain(float(rim.min()))} to {words.plain(float(rim.max()))} at the edge"
    return f"{said}; {f'{gone} points diverged' if gone else 'none diverged'}."
