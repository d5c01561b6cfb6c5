"""Two curves of accuracy: over the frequency of noise, and over the strength of an attack."""

import dataclasses
from collections.abc import Sequence

import streamlit as st

from core import analyses, words
from core.analyses import adversarial, band_noise
from core.analyses._bands_said import pi
from core.errors import MeasureError
from core.run import Run
from pages.ui import figure, parts, robust_nets
from pages.ui.draw import draw
from pages.ui.robust_nets import Head, Own, Seen

NOISE, ATTACKS = analyses.get("band_noise"), analyses.get("adversarial")
#: RMS of the noise, pixels from 0 to 1; 0 takes that of the data set
STRENGTH = {0.0: "The set’s own", 0.05: "0.05", 0.1: "0.1", 0.2: "0.2"}
ENERGY = {"equal": "Equal in every ring", "reference": "As in the paper’s code"}
#: frequencies that an attack may use, in hundredths of π
RINGS = {"all": (0, 0), "low": (0, 30), "high": (70, 100)}
RING = {"all": "All", "low": "Below 0.3π", "high": "Above 0.7π"}
HEIGHT = 330


# ---- noise of one ring of frequencies


def show_noise(head: Head, runs: Sequence[Run]) -> Own:
    """Change of accuracy over the frequency of the noise; contrast and crossing beneath."""
    usual = NOISE.params()
    with parts.row("bottom"):
        strength = robust_nets.choose("Strength of the noise, RMS", "strength", STRENGTH, 0.0)
        with st.popover("Options"):
            energy = robust_nets.choose("Energy", "energy", ENERGY, usual.energy)
            paper = robust_nets.switch(
                "The paper’s two curves", "paper", help="ImageNet at 224 pixels, another strength: for the shape only."
            )
    params = dataclasses.replace(usual, rms=strength, energy=energy)
    seen = robust_nets.gathered(NOISE, runs, params, ("images", "seed", "precision"))
    ready = [one for one in robust_nets.some(seen) if len(band_noise.rings(one.table))]
    full = robust_nets.whole(ready)
    takeaway = noise_said(full) or robust_nets.nothing(NOISE, runs, seen)
    robust_nets.said(head, takeaway, robust_nets.stale_said(seen))
    above = st.container()
    if ready:

        def make(theme: str) -> object:
            return band_noise.chart_nets(
                robust_nets.tables(ready), theme, families=robust_nets.families(ready), paper=paper, height=HEIGHT
            )  # fmt: skip

        st.space("xsmall")
        draw(make, [robust_nets.facts(ready), paper], "robust_noise", takeaway)
        caveats = noise_foot(seen, ready, paper)
        both = robust_nets.together(ready)
        figure.foot_line(caveats, both, "noise-by-frequency", "robust_noise", lambda: figure.svg_file(make, takeaway, caveats))
        contrasts(full)
    robust_nets.ask(NOISE, params, runs, seen, above)
    return {"strength": [str(strength)] if strength else [], "energy": [energy] if energy != usual.energy else [],
            "paper": ["1"] if paper else []}  # fmt: skip


def noise_said(full: Sequence[Seen]) -> str:
    """The takeaway of what is whole; why there is none where nets saw other images; "" for nothing."""
    if not full:
        return ""
    try:
        return _noise_said(robust_nets.facts(full), robust_nets.by_name(full))
    except MeasureError as error:
        return str(error)


@st.cache_data(max_entries=32, show_spinner=False)
def _noise_said(facts: list[list[str]], _found: dict[str, Seen]) -> str:
    return band_noise.takeaway(_found)


def contrasts(full: Sequence[Seen]) -> None:
    """Contrast K of each net, its worst ring, and where two nets cross."""
    if not full:
        return
    parts.h2("Broad or fine", "K: mean change at 0.7π to 0.9π minus mean change at 0.1π to 0.3π")
    rows = []
    for one in full:
        try:
            k, low, high = band_noise.contrast(one)
        except MeasureError:  # images too small for all rings
            k = low = high = float("nan")
        table = band_noise.rings(one.table)
        worst = table.loc[table["change"].idxmin()]
        spread = f"{words.signed(low, 1)} to {words.signed(high, 1)}" if k == k else ""
        rows.append([one.name, f"{words.percent(float(worst['clean']))}", f"{words.signed(worst['change'], 1)}|at {pi(worst['frequency'])}",
                     f"{words.signed(k, 1) if k == k else words.NOTHING}|{spread}"])  # fmt: skip
    robust_nets.table(["Net", "Without noise", "Worst ring, points", "Contrast K, 95 %"], rows, "Contrast between broad and fine noise")
    if said := crossed(full):
        parts.sub(said)


def crossed(full: Sequence[Seen]) -> str:
    """From which frequency on the net of highest contrast loses no more than that of lowest; "" if that cannot be asked."""
    try:
        order = sorted(full, key=lambda one: -band_noise.contrast(one)[0])
        if len(order) < 2:
            return ""
        return _crossed(robust_nets.facts(order), order[0], order[-1])
    except MeasureError:
        return ""


@st.cache_data(max_entries=32, show_spinner=False)
def _crossed(facts: list[list[str]], _one: Seen, _other: Seen) -> str:
    return band_noise.say_crossing(_one, _other, _one.name, _other.name)


def noise_foot(seen: Sequence[Seen], ready: Sequence[Seen], paper: bool) -> str:
    """What, n, seed, strength, caveat."""

    def about(one: Seen) -> str:
        strength, own = float(one.notes["rms"]), one.params.get("rms") in (0, 0.0)
        given = "equal RMS" if one.notes.get("energy") == "equal" else "signs of one size, mean RMS"
        known = (", the set’s own" if one.notes.get("measured") else ", that of sets it was not chosen for") if own else ""
        return f"{one.images}; {given} {strength:g} of the range of a pixel{known}"

    text = [f"{robust_nets.each(ready, about)}.", "Bands: 95 %, paired over images."]
    if len(ready) > 1:
        text.append("The same noise for every net.")
    if paper:
        text.append("Dashed: the paper’s nets on ImageNet under another strength; compare shapes, not heights.")
    text.append(robust_nets.so_far(NOISE, seen))
    return " ".join(part for part in text if part)


# ---- attacks


def show_attacks(head: Head, runs: Sequence[Run]) -> Own:
    """Accuracy against the strength of an attack."""
    with parts.row("bottom"):
        attack = robust_nets.choose("Attack", "attack", {"pgd": "PGD", "fgsm": "FGSM"}, "pgd")
        norm = robust_nets.choose("Size", "norm", adversarial.NORMS, "linf")
        ring = robust_nets.choose("Frequencies it may use", "ring", RING, "all")
    low, high = RINGS[ring]
    params = dataclasses.replace(ATTACKS.params(), ring_low=low, ring_high=high)
    seen = robust_nets.gathered(ATTACKS, runs, params)
    ready = [one for one in robust_nets.some(seen) if len(adversarial.line(one.table, attack, norm))]
    where = f"With changes {RING[ring].lower()} only: " if ring != "all" else ""
    told = adversarial.takeaway(robust_nets.by_name(ready), attack, norm)
    takeaway = f"{where}{told}" if told else robust_nets.nothing(ATTACKS, runs, seen)
    robust_nets.said(head, takeaway, robust_nets.stale_said(seen))
    above = st.container()
    if ready:

        def make(theme: str) -> object:
            return adversarial.chart_nets(
                robust_nets.tables(ready), theme, families=robust_nets.families(ready), attack=attack, norm=norm, height=HEIGHT
            )  # fmt: skip

        st.space("xsmall")
        draw(make, [robust_nets.facts(ready), attack, norm], "robust_attack", takeaway)
        caveats = attack_foot(seen, ready, attack, norm, ring)
        both = robust_nets.together(ready)
        figure.foot_line(caveats, both, f"attacks-{ring}", "robust_attack", lambda: figure.svg_file(make, takeaway, caveats))
        left_over(ready, attack, norm)
    robust_nets.ask(ATTACKS, params, runs, seen, above)
    return {"attack": [attack], "norm": [norm], "ring": [ring] if ring != "all" else []}


def left_over(ready: Sequence[Seen], attack: str, norm: str) -> None:
    """What is left at each strength, as numbers."""
    lines = {one.name: adversarial.line(one.table, attack, norm) for one in ready}
    at = sorted({float(strength) for line in lines.values() for strength in line["strength"]})
    parts.h2("What is left", f"share right under {adversarial.ATTACKS[attack]}, {adversarial.NORMS[norm]}, 95 % beneath")
    rows = []
    for strength in at:
        row = [adversarial.written(norm, strength) if strength else "As they are"]
        for line in lines.values():
            here = line[line["strength"] == strength]
            row.append(_share(here.iloc[0]) if len(here) else words.NOTHING)
        rows.append(row)
    robust_nets.table(["Strength", *lines], rows, "Accuracy under attack")


def _share(row: "object") -> str:
    low, high = (words.plain(100 * row[name], 1) for name in ("ci_low", "ci_high"))  # type: ignore[index]
    return f"{words.percent(row['accuracy'])}|{low} to {high}"  # type: ignore[index]


def attack_foot(seen: Sequence[Seen], ready: Sequence[Seen], attack: str, norm: str, ring: str) -> str:
    """What, n, seed, steps, caveat."""

    def about(one: Seen) -> str:
        steps = f", PGD of {words.some(int(one.params.get('steps', 10)), 'step')}" if attack == "pgd" else ", one step"
        return f"{one.images}{steps}"

    text = [f"{robust_nets.each(ready, about)}.", "Bands: 95 %, over images."]
    text.append("Strength: the largest change of a pixel." if norm == "linf" else "Strength: the length of the change over all pixels.")
    if ring != "all":
        text.append(f"The change has frequencies {RING[ring].lower()} only; pixels may leave their range.")
    text += ["An upper bound: stronger attacks find more.", robust_nets.so_far(ATTACKS, seen)]
    return " ".join(part for part in text if part)
