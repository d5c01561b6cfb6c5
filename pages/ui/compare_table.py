"""All measures of A and B at once: numbers, difference with interval, whether it is clear, how many images say so."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from core import words
from core.chart import CSS
from core.claims import gain_words
from core.claims.gains import Gain
from core.claims.nets import Net
from core.ribbon import number, svg
from pages.ui import parts

#: px of the small picture of an interval
WIDE, TALL = 128, 18
CARD = """**What stands here.** Each row is one number of both nets, from results that are stored for both on the same question, and
the difference B minus A with its 95 % interval. A factor (×) is B by A. A difference is clear if the interval leaves out none.

**How the intervals are made.** Where both nets answered the same images, the difference is taken image by image; where that is not
possible, it is made from the two intervals by squaring and adding (Zou and Donner 2008), and n is said twice. Curvature draws whole
mini-batches anew, the landscape images together and directions apart.

**What it cannot say.** These are two trained nets and not two architectures: another seed may turn a small difference, and the interval
over images does not hold that. A net with more parameters or more work per image may gain by that alone, so both stand above every
gain. Eleven differences are eleven chances for one to look clear. “Better” is said where a measure has a good end; sharpness, variance or
fine detail have none."""


def facts(nets: Sequence[Net]) -> list[tuple[str, list[str], str]]:
    """What the nets cost and saw: name, a text a net, how B differs from A."""
    kinds = (("Parameters", "parameters", words.millions), ("Work per image, MFLOP", "flops", words.mflop))
    found = []
    for title, key, write in kinds:
        values = [net.final.get(key) for net in nets]
        if all(values[:2]):
            share = 100 * (float(values[1] or 0) / float(values[0] or 1) - 1)
            found.append((title, [write(value) if value else words.NOTHING for value in values], f"{words.signed(share, 0)} %"))
    for title, key in (("Training images", "n_train"), ("Training steps", "steps")):
        values = [net.final.get(key) for net in nets]
        if all(values[:2]) and values[0] != values[1]:  # what is the same stands above already
            more = f"{words.signed(100 * (float(values[1] or 0) / float(values[0] or 1) - 1), 0)} %"
            found.append((title, [words.count(int(value)) if value else words.NOTHING for value in values], more))
    fits = [training_loss(net) for net in nets]
    if all(value == value for value in fits[:2]):
        found.append(("Training loss, last epoch", [words.plain(value, 3) for value in fits], words.signed(fits[1] - fits[0], 3)))
    return found


def training_loss(net: Net) -> float:
    """NLL on the training images in the last epoch, as it was trained; NaN where that is not known."""
    return float(net.history[-1].get("train_loss", math.nan)) if net.history else math.nan


def show(gains: Sequence[Gain], more: Sequence[Sequence[Gain]], nets: Sequence[Net], names: Sequence[str]) -> None:
    """The table; `more` holds the gains of further nets against A, whose numbers stand beside, in the order of `nets` from C on."""
    titles = ["Measure", *(f"{letter} {name}" for letter, name in zip("ABCD", names, strict=False)), "B − A", "95 %", "", "n"]
    head = "".join(f'<th scope="col"{_words(title)}>{escape(title)}</th>' for title in titles)
    body = ""
    for title, values, differ in facts(nets):
        cells = "".join(f'<td data-name="{escape(name, quote=True)}">{escape(text)}</td>' for name, text in zip(names, values, strict=True))
        differ = f'<td data-name="B − A">{escape(differ)}</td>{"<td></td>" * 3}'
        body += f'<tr><th scope="row">{escape(title)}</th>{cells}{differ}</tr>'
    for i, gain in enumerate(gains):
        values = [*gain.sides, *(other[i].sides[1] for other in more)]
        cells = "".join(_cell(value, gain, name) for value, name in zip(values, names, strict=True))
        body += f'<tr><th scope="row">{escape(gain.title)}{_unit(gain)}</th>{cells}{_difference(gain)}</tr>'
    st.html(f'<div style="overflow-x:auto"><table class="compare-all" aria-label="All measures of both nets">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")  # fmt: skip


def _words(title: str) -> str:
    return ' style="text-align:left;padding-left:0"' if title == "Measure" else ""


def _unit(gain: Gain) -> str:
    unit = {"%": "", "×": "", "CKA": ""}.get(gain.unit, gain.unit)
    return f" <small>{escape(unit)}</small>" if unit else ""


def _cell(value: float, gain: Gain, name: str) -> str:
    label = f'data-name="{escape(name, quote=True)}"'
    if value == value:
        return f"<td {label}>{escape(gain_words.number(value, gain))}</td>"
    return "<td></td>" if gain.measure == "cka" else f'<td {label} class="none">not measured</td>'


def _difference(gain: Gain) -> str:
    effect = gain.effect
    if effect is None:
        none = f'<td data-name="B − A" class="none">{words.NOTHING}</td><td class="line"></td>'
        return f'{none}<td class="words none">{_lack(gain)}</td><td></td>'
    size, judged = escape(gain_words.difference(gain)), escape(gain_words.judged(gain))
    strong = f"<b>{size}</b>" if gain.clear else size
    name = "CKA" if gain.measure == "cka" else "B − A"
    line = interval(gain) if gain.measure != "cka" else ""
    limits = f"<small>{escape(gain_words.limited(gain))}</small>" if effect.low == effect.low else ""
    said = f"<b>{judged}</b>" if gain.clear else judged
    return (
        f'<td data-name="{name}">{strong}</td><td class="line">{limits} {line}</td>'
        f'<td class="words">{said}</td><td data-name="n"><small>{escape(counted(gain))}</small></td>'
    )


def _lack(gain: Gain) -> str:
    sides = [value == value for value in gain.sides]
    return "not measured" if gain.measure == "cka" else "does not compare" if all(sides) else ""


def counted(gain: Gain) -> str:
    """`10,000 images`, or `2 × 24 mini-batches` where the intervals of both were put together."""
    if gain.effect is None:
        return ""
    twice = "" if gain.paired or gain.measure == "cka" else "2 × "
    return f"{twice}{words.count(gain.effect.n)} {gain.effect.of}"


def interval(gain: Gain) -> str:
    """A picture of the interval about no difference, which stands in the middle; each row has its own scale."""
    assert gain.effect is not None
    there = math.log if gain.ratio else float
    ends = (gain.effect.low, gain.effect.value, gain.effect.high)
    if not all(math.isfinite(end) and (end > 0 or not gain.ratio) for end in ends):
        return ""
    low, value, high = (there(end) for end in ends)
    reach = 1.08 * max(abs(low), abs(high)) or 1.0
    x0, x, x1 = (WIDE / 2 + end / reach * (WIDE / 2 - 5) for end in (low, value, high))
    ink = CSS["ink"] if gain.clear else CSS["faint"]
    y = TALL / 2
    body = (
        f'<path d="M{WIDE / 2:g} 0V{TALL}" stroke="{CSS["faint"]}" stroke-width="1.2"/>'
        f'<path d="M{number(x0)} {y:g}H{number(x1)}" stroke="{ink}" stroke-width="2.4" stroke-linecap="round"/>'
        f'<circle cx="{number(x)}" cy="{y:g}" r="4" fill="{ink}"/>'
    )
    return parts.img(svg(body, WIDE, TALL, f"{gain_words.difference(gain)}, 95 % {gain_words.limited(gain)}"))


def table(gains: Sequence[Gain], more: Sequence[Sequence[Gain]], nets: Sequence[Net], names: Sequence[str]) -> pd.DataFrame:
    """The same numbers for the table view and the CSV, unrounded."""
    called = [f"{letter}: {name}" for letter, name in zip("ABCD", names, strict=False)]
    rows: list[dict[str, Any]] = []
    for i, gain in enumerate(gains):
        effect, values = gain.effect, [*gain.sides, *(other[i].sides[1] for other in more)]
        compared = "B against A" if gain.measure == "cka" else "B by A" if gain.ratio else "B minus A"
        about = {"measure": gain.title, "unit": gain.unit, **dict(zip(called, values, strict=True)), "compared": compared}
        numbers = (effect.value, effect.low, effect.high, effect.n, effect.of) if effect else (None, None, None, None, "")
        about |= dict(zip(("difference", "low", "high", "n", "of"), numbers, strict=True))
        rows.append(about | {"clear": gain_words.judged(gain), "interval": gain.how if effect else ""})
    for title, key in (("Parameters", "parameters"), ("FLOPs per image", "flops"), ("Training images", "n_train"), ("Steps", "steps")):
        rows.append({"measure": title, **{name: net.final.get(key) for name, net in zip(called, nets, strict=True)}})
    rows.append({"measure": "Training loss", **{name: training_loss(net) for name, net in zip(called, nets, strict=True)}})
    rows.append({"measure": "Seed", **{name: net.run.seed for name, net in zip(called, nets, strict=True)}})
    return pd.DataFrame(rows)


def file(gains: Sequence[Gain], nets: Sequence[Net], names: Sequence[str]) -> bytes:
    """The table of A and B as a drawing that stands alone, on white."""
    from core.chart import LIGHT, SANS

    rows = [(title, values[0], values[1], differ, None) for title, values, differ in facts(nets[:2])]
    rows += [(g.title, *(gain_words.number(side, g) for side in g.sides), gain_words.difference(g), g) for g in gains]
    top, tall = 84, 26
    height, text = top + tall * len(rows) + 16, []

    def put(x: float, y: float, said: str, anchor: str = "start", look: str = "") -> None:
        text.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}"{look}>{escape(said)}</text>')

    strong, quiet = ' font-weight="600"', f' fill="{LIGHT["muted"]}"'
    put(16, 34, f"{names[1]} (B) against {names[0]} (A)", look=' font-size="17" font-weight="600"')
    for x, said in ((390, names[0]), (520, names[1]), (610, "B − A")):
        put(x, 66, said, "end", strong)
    for i, (title, one, other, differ, gain) in enumerate(rows):
        y = top + tall * i + 6
        put(16, y, title)
        for x, said in ((390, one), (520, other)):
            put(x, y, said, "end")
        put(610, y, differ, "end", strong if gain is not None and gain.clear else "")
        if gain is not None and gain.effect is not None:
            limits = gain_words.limited(gain) if gain.effect.low == gain.effect.low else ""
            put(624, y, limits, look=quiet)
            put(760, y, gain_words.judged(gain), look=strong if gain.clear else quiet)
            put(850, y, counted(gain), look=quiet)
    font = SANS.replace('"', "'")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="{height}" viewBox="0 0 1000 {height}" font-family="{font}" '
        f'font-size="13" fill="{LIGHT["ink"]}"><rect width="100%" height="100%" fill="{LIGHT["bg"]}"/>{"".join(text)}</svg>'
    ).encode()
