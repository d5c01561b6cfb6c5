"""The lens as an own component: pictures that follow a drag in the browser, a card and a lane a net, flips on the track.

Python gives the image and every answer once; the browser filters the image by the same definition.  Where a drag ends comes back as
the number of a step and is checked here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import streamlit as st

from core import io, words
from core.chart import family_shape, family_token
from core.metrics import lens
from core.metrics.lens import Step

_CSS = """:host{display:block}
.box{font-family:var(--st-font);font-variant-numeric:tabular-nums;color:var(--lab-ink);container-type:inline-size}
.top{display:grid;grid-template-columns:minmax(0,2.7fr) minmax(0,1fr);gap:28px}
.pictures{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:28px;align-content:start}
figure{margin:0;min-width:0}
.frame{position:relative}
canvas{display:block;width:100%;aspect-ratio:1;border-radius:3px;image-rendering:pixelated;border:1px solid var(--lab-line);
box-sizing:border-box}
.frame svg{position:absolute;inset:0;width:100%;height:100%}
figcaption{margin-top:8px;min-height:40px;font-size:14px;line-height:20px;color:var(--lab-muted)}
.kept figcaption{font-weight:650;color:var(--lab-ink)}
.cards{display:flex;flex-direction:column;gap:9px}
.card{border-top:2px solid;padding-top:5px}
.head{display:flex;flex-wrap:wrap;gap:0 10px;justify-content:space-between;font-size:13px;line-height:20px;color:var(--lab-muted)}
.card b{display:block;font-size:19px;line-height:23px;font-weight:620;overflow-wrap:anywhere}
.card small{display:block;font-size:13px;line-height:17px;color:var(--lab-muted)}
button{all:unset;cursor:pointer;box-sizing:border-box;color:var(--lab-ink2)}
.card button{font-size:12px;min-height:24px;text-decoration:underline;text-decoration-color:var(--lab-faint);text-underline-offset:3px}
.card button[aria-pressed=true]{font-weight:650;color:var(--lab-ink);text-decoration-thickness:2px;text-decoration-color:var(--lab-ink)}
button:focus-visible{outline:2px solid var(--lab-ink);outline-offset:2px;border-radius:3px}
.desk{position:relative;margin-top:14px;padding:20px 64px 26px 150px}
.lane{position:relative;height:30px;margin-bottom:22px}
.name{position:absolute;right:100%;width:150px;top:5px;display:flex;gap:8px;align-items:center;font-size:14px;line-height:20px}
.name svg{width:16px;height:16px;flex:none}
.name b{font-weight:650;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;margin-right:8px}
.run{position:absolute;top:0;bottom:0;margin-left:1px;box-sizing:border-box;border:1px solid var(--lab-line);border-radius:4px;
text-align:center;font-size:14px;line-height:28px;color:var(--lab-muted);overflow:hidden;white-space:nowrap;container-type:inline-size}
.run.good{border:0;font-weight:650;color:var(--lab-ink);line-height:24px}
.run span{display:block;overflow:hidden;text-overflow:ellipsis;padding:0 4px}
@container (max-width:40px){.run span{visibility:hidden}}
.flip{position:absolute;top:-8px;margin-left:-5px;border:5px solid transparent;border-top:7px solid var(--lab-ink);border-bottom:0}
.ends{position:absolute;top:-4px;left:150px;right:64px;display:flex;justify-content:space-between;font-size:12px;line-height:16px;
color:var(--lab-muted)}
.plot{position:absolute;top:12px;bottom:26px;left:150px;right:64px;cursor:ew-resize;touch-action:pan-y;outline:none;user-select:none}
.line{position:absolute;top:0;bottom:0;border-left:2px solid var(--lab-ink);margin-left:-1px}
.rail{position:relative;height:4px;margin:16px 0 8px;border-radius:2px;background:var(--lab-line)}
.done{position:absolute;inset:0 auto 0 0;border-radius:2px;background:var(--lab-ink)}
.knob{position:absolute;bottom:0;width:15px;height:15px;margin:0 0 0 -10px;border:2.5px solid var(--lab-ink);border-radius:50%;
background:var(--lab-bg)}
.plot:focus-visible .knob{outline:2px solid var(--lab-ink);outline-offset:3px}
.what{position:absolute;left:0;width:144px;bottom:25px;font-size:13px;line-height:18px}
.value{position:absolute;right:0;bottom:25px;font-size:14px;line-height:20px;font-weight:650}
.ticks{position:absolute;left:150px;right:64px;bottom:0;height:16px}
.ticks span{position:absolute;transform:translateX(-50%);font-size:12px;line-height:16px;color:var(--lab-muted);white-space:nowrap}
@container (max-width:600px){
.top{grid-template-columns:minmax(0,1fr);gap:16px}
.pictures{gap:10px}
figcaption{min-height:54px;font-size:13px;line-height:18px}
.cards{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:12px 16px}
.card button,.plot{min-height:44px}
.card{display:flex;flex-direction:column;align-items:flex-start}
.head{display:contents}
.head span{font-size:13px;line-height:20px;color:var(--lab-muted)}
.card button{order:1;display:flex;align-items:center}
.desk{padding:28px 0 44px}
.lane{margin-bottom:34px}
.lane:first-child{margin-top:14px}
.name{right:auto;left:0;width:auto;top:-26px}
.flip{top:-7px}
.ends{left:0;right:0;top:0}
.plot{left:0;right:0;top:32px;bottom:44px}
.what{width:auto;bottom:0}
.value{bottom:0}
.ticks{left:0;right:0;bottom:22px}
}
"""
_JS = Path(__file__).parent / "js"
_COMPONENT = st.components.v2.component(
    "lab_lens",
    html='<div class="box"><div class="top"><div class="pictures"></div><div class="cards"></div></div>'
    '<div class="desk"><div class="ends"><span class="from"></span><span class="till"></span></div><div class="tracks"></div>'
    '<div class="rail"><div class="done"></div></div>'
    '<div class="what"></div><div class="value"></div><div class="ticks"></div>'
    '<div class="plot" role="slider" tabindex="0" aria-valuemin="0"><i class="line"></i><i class="knob"></i></div></div></div>',
    css=_CSS,
    js="\n".join((_JS / name).read_text(encoding="utf-8") for name in ("lens_filter.js", "lens.js")),
)
_SHAPES = {"triangle-up": "triangle"}


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A net with its answers, a step each and one for the whole image: class, probability, whether it counts as good."""

    run: str
    title: str
    family: str
    answers: tuple[str, ...]
    sure: tuple[float, ...]
    good: tuple[bool, ...]
    places: dict[str, Any] | None = None

    def runs(self) -> list[tuple[int, int]]:
        """[from, to) of the steps with one answer after the other."""
        through = self.answers[:-1]
        edges = [0, *(i for i in range(1, len(through)) if through[i] != through[i - 1]), len(through)]
        return list(pairwise(edges))


@dataclass(frozen=True, kw_only=True)
class View:
    """One image through one lens: the steps, the nets' lanes, and what the browser needs to make the pictures.

    `label` is the class of a test image, "" for the reader's own.
    """

    kind: str
    steps: tuple[Step, ...]
    lanes: tuple[Lane, ...]
    label: str
    shape: tuple[int, int, int]
    pixels: str
    mean: tuple[float, ...]
    strength: float
    index: int
    seconds: float

    def flips(self) -> list[int]:
        """The steps at which some net changes its mind, rising."""
        return sorted({start for lane in self.lanes for start, _ in lane.runs() if start})

    def near(self, at: int) -> int:
        """The step nearest to a place on the axis of frequencies, in hundredths of π."""
        return min(range(len(self.steps)), key=lambda i: abs(lens.at(self.kind, self.steps[i]) - at))


def pi(edge: float) -> str:
    """`0.40π`."""
    return f"{words.plain(edge / 100)}π"


ENDS = {
    "low": ("blurred", "as it is"),
    "high": ("as it is", "finest detail only"),
    "band": ("coarse", "fine"),
    "noise": ("coarse noise", "fine noise"),
}
WHAT = {"low": "Keep frequencies below", "high": "Keep frequencies from", "band": "Keep a band around", "noise": "Noise around"}


def captions(kind: str, step: Step) -> tuple[str, str]:
    """What stands under the filtered image, and under what the filter took or added."""
    rings = [f"{words.plain(low / 100)}–{pi(high)}" for low, high in step]
    if kind == "noise":
        return f"With noise in {' and '.join(rings)}", "The noise alone"
    if kind == "band":
        half = "half of " if len(step) > 1 else ""
        return f"Kept: {half}{' and of '.join(rings)}", "Removed: all else"
    edges = [high if kind == "low" else low for low, high in step]
    below, above = _sides(edges[0], edges[-1])
    kept, gone = (below, above) if kind == "low" else (above, below)
    return f"Kept: {kept}", f"Removed: {gone}"


def _sides(a: int, b: int) -> tuple[str, str]:
    """What lies below and above a cut-off in words; between the edges a and b, which are two half-way, lies half."""
    if a == b:
        return {0: ("nothing", "all"), 100: ("all", "nothing")}.get(a, (f"below {pi(a)}", f"{pi(a)} and above"))
    return f"below {pi(a)}, half to {pi(b)}", f"half from {pi(a)}" if b == 100 else f"{pi(b)} and above, half from {pi(a)}"


def said(view: View, lane: Lane, step: int) -> str:
    """`41 % sure · wrong`; of the reader's own picture, whether it is the answer to the whole."""
    good = ("right" if lane.good[step] else "wrong") if view.label else ("as for the whole" if lane.good[step] else "not as for the whole")
    return f"{words.percent(lane.sure[step], 0)} sure · {good}".replace(" %", "\u00a0%")


def payload(view: View, step: int, turn: int) -> dict[str, Any]:
    """What the component is given."""
    under = [captions(view.kind, one) for one in view.steps]
    places = [lens.at(view.kind, one) for one in view.steps]
    whole = f"As it is: {view.label}" if view.label else "As it is"
    fixed = {
        "kind": view.kind, "steps": list(view.steps), "shape": list(view.shape), "pixels": view.pixels,
        "mean": list(view.mean), "strength": view.strength, "index": view.index, "ends": ENDS[view.kind], "what": WHAT[view.kind],
        "labels": [pi(at) for at in places], "flips": view.flips(), "ticks": ticks(places),
        "captions": {"whole": whole, "kept": [a for a, _ in under], "gone": [b for _, b in under]},
        "lanes": [
            {
                "title": lane.title, "token": family_token(lane.family), "places": lane.places,
                "shape": _SHAPES.get(family_shape(lane.family), family_shape(lane.family)),
                "steps": [{"name": lane.answers[i], "said": said(view, lane, i)} for i in range(len(view.steps))],
                "runs": [{"from": a, "to": b, "name": lane.answers[a], "good": lane.good[a]} for a, b in lane.runs()],
            }
            for lane in view.lanes
        ],
    }  # fmt: skip
    return {**fixed, "key": io.digest(fixed), "step": step, "n": turn}


def ticks(places: Sequence[int]) -> list[dict[str, Any]]:
    """Steps that get a number under the track: those nearest to the quarters of its length."""
    last = len(places) - 1
    chosen = sorted({round(last * part / 4) for part in range(5)})
    return [{"step": i, "label": {0: "0", 100: "π"}.get(places[i], pi(places[i]))} for i in chosen]


def show(view: View, step: int, *, key: str, on_step: Callable[[int], None]) -> None:
    """The component at a step; `on_step` follows when a drag has ended or a key was pressed."""

    def act() -> None:
        # a step may be told when the lens has just left the page
        told = checked(st.session_state.get(key, {}).get("act"), len(view.steps))
        if told is not None:
            st.session_state[f"{key}_n"] = told[1]
            on_step(told[0])

    _COMPONENT(key=key, data=payload(view, step, st.session_state.get(f"{key}_n", 0)), on_act_change=act, height="content")


def checked(act: object, count: int) -> tuple[int, int] | None:
    """(step, turn) of what the component sent; None if it is no step."""
    if not isinstance(act, dict) or type(act.get("step")) is not int or type(act.get("n")) is not int:
        return None
    return (act["step"], act["n"]) if 0 <= act["step"] < count else None
