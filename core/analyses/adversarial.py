"""How small a change is enough to mislead it?

**Idea.** Ask the net itself in which direction its loss rises fastest, and change each picture a little that way. How fast accuracy falls
with the size of the change says how near the images lie to where the net changes its mind.

**Formula.** On pixels from 0 to 1, normalisation inside. FGSM: one step of size ε, along the sign of the gradient (L∞) or the gradient
itself (L2). PGD: 10 steps of size 2.5 · ε / 10, each brought back into the ball of radius ε around the image and into 0 … 1. The loss
that is raised is ln Σ exp(logit of another class) − logit of the right one, which rises with the NLL and does not go flat where the net
is sure. An image counts as right if the net reads it rightly both as it is and as the attack leaves it; for PGD also at every smaller ε,
since the larger ball holds the smaller. Accuracy, and the share of images that turn wrong, with Wilson's 95 % interval.

**How to read it.** ε = 1/255 in L∞ moves no pixel by more than one grey level. In L2 ε is the length of the whole change; 0.25 on 32×32
grey images is a quarter of one pixel, or 0.008 at each. Lines that fall later are harder to mislead. FGSM can lie above PGD and even rise
with ε, since one long step may overshoot. With a ring of frequencies the change has only those: compare a low and a high one.

**What it cannot say.** It is an upper bound of what is left: a stronger attack (more steps, random starts, AutoAttack) finds more, and a
net with flat or noisy gradients looks safer than it is. No change of light or of pose is meant. L2 sizes of grey and of colour images, or
of other image sizes, do not compare. With a ring pixels may leave 0 … 1, as clipping would spread the change over all frequencies.
None of the shipped nets was trained against attacks. The paper shows no such figure.

**Sources.** Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples, ICLR 2015 (FGSM); Madry et al., Towards Deep
Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core import words
from core.analyses import Analysis, Arrays, Rows, Subject, in_rows
from core.analyses._bench import drawn
from core.errors import MeasureError
from core.metrics.interval import paired_interval, share_interval
from core.params import param
from core.run import Run
from core.size import count
from core.spec import Architecture
from core.table import Column, Measurement

if TYPE_CHECKING:
    import altair as alt
    import torch


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is measured."""

    images: int = param(500, label="Images", unit="test images", low=1, high=1_000_000, origin="ours: a share to 4 points, in minutes")
    seed: int = param(0, label="Seed", low=0, high=10**6, origin="ours", help="Which images are drawn, in equal shares of the classes.")
    attacks: str = param("fgsm,pgd", label="Attacks", choices=("fgsm,pgd", "fgsm", "pgd"), origin="the two that are asked for most")
    norms: str = param("linf,l2", label="Norms", choices=("linf,l2", "linf", "l2"), origin="the two that are asked for most")
    linf: str = param("0.5,1,2,4,8", label="Strengths in L∞", unit="1/255", origin="8 is Madry et al.'s for CIFAR-10; halved down",
                      help="The largest change of a pixel, in grey levels, with commas between.")  # fmt: skip
    l2: str = param("0.0625,0.125,0.25,0.5,1", label="Strengths in L2", origin="0.5 is usual for CIFAR-10; halved and doubled",
                    help="The length of the change over all pixels from 0 to 1, with commas between.")  # fmt: skip
    steps: int = param(10, label="Steps of PGD", low=1, high=1000, origin="usual: PGD-10")
    ring_low: int = param(0, label="Ring from", unit="0.01π", low=0, high=100, origin="ours", help="Lowest frequency of the change.")
    ring_high: int = param(0, label="Ring to", unit="0.01π", low=0, high=100, origin="ours",
                           help="The frequency that the change stays below; 0 leaves it all of them.")  # fmt: skip


COLUMNS = (
    Column(id="attack", dtype="str", unit="", term="attack"),
    Column(id="norm", dtype="str", unit="", term="attack_norm"),
    Column(id="strength", dtype="float", unit="", term="attack_strength"),
    Column(id="ring_low", dtype="int", unit="0.01π", term="attack_ring"),
    Column(id="ring_high", dtype="int", unit="0.01π", term="attack_ring"),
    Column(id="accuracy", dtype="float", unit="share", term="accuracy"),
    Column(id="ci_low", dtype="float", unit="share", term="interval"),
    Column(id="ci_high", dtype="float", unit="share", term="interval"),
    Column(id="clean", dtype="float", unit="share", term="clean_images"),
    Column(id="change", dtype="float", unit="points", term="attack_change"),
    Column(id="change_low", dtype="float", unit="points", term="interval"),
    Column(id="change_high", dtype="float", unit="points", term="interval"),
    Column(id="lost", dtype="int", unit="images", term="attack_lost"),
    Column(id="images", dtype="int", unit="images", term="images"),
    Column(id="seed", dtype="int", unit="", term="seed"),
)
#: What attacks and norms are called, and the unit of a strength: what it is multiplied by and what is written behind it.
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}
NORMS = {"linf": "L∞", "l2": "L2"}
UNITS = {"linf": (255.0, "/255"), "l2": (1.0, "")}


# ---- measuring


def strengths(params: Params, norm: str) -> list[float]:
    """The strengths of a norm on the scale of pixels from 0 to 1, rising, without zero.  MeasureError for what is no list of them."""
    text = params.linf if norm == "linf" else params.l2
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or len(found) > 20 or not 0 < found[0] <= found[-1] <= (255 if norm == "linf" else 1000):
        raise MeasureError(f"The strengths in {NORMS[norm]} are {text[:60]!r}; they should be up to 20 numbers above 0, such as 1,2,4.")
    return [strength / UNITS[norm][0] for strength in found]


def lines(params: Params) -> list[tuple[str, str]]:
    """The pairs of attack and norm that are measured, a row each."""
    return [(attack, norm) for attack in params.attacks.split(",") for norm in params.norms.split(",")]


def start(subject: Subject, params: Params) -> Callable[[int, Callable[..., None]], Arrays]:
    """Draw the images and let the net answer them; the function it returns attacks them in one way at all strengths.

    Raises MeasureError if there are not so many images, or for strengths or a ring that are none.
    """
    import torch

    from core.metrics.attack import fgsm, pgd
    from core.models import chunk_for

    images = subject.pictures("test")
    if params.images > len(images):
        raise MeasureError(f"{params.images} images are asked for; the test split of {images.spec.title} has {len(images)}.")
    ways, lists = lines(params), {norm: strengths(params, norm) for norm in params.norms.split(",")}
    label, index = drawn(subject, params.images, params.seed)
    pixels = torch.from_numpy(np.array(images.pixels[index])).to(subject.device).float() / 255
    y, together = torch.from_numpy(label.astype(np.int64)).to(subject.device), chunk_for(subject.device)
    about = {"mean": images.spec.mean, "std": images.spec.std}
    clean = np.concatenate([_answers(subject, x, **about) for x in pixels.split(together)])

    def attacked(attack: str, norm: str, strength: float, at: "torch.Tensor") -> np.ndarray:
        more = {"norm": norm, "strength": strength, "ring": (params.ring_low, params.ring_high) if params.ring_high else None, **about}
        x = fgsm(subject.net, pixels[at], y[at], **more) if attack == "fgsm" else pgd(
            subject.net, pixels[at], y[at], steps=params.steps, **more
        )  # fmt: skip
        return _answers(subject, x, **about)

    def row(i: int, progress: Callable[..., None]) -> Arrays:
        begun, (attack, norm) = time.perf_counter(), ways[i]
        predicted = [clean]
        for done, strength in enumerate(lists[norm]):
            # what was misread needs no other attack: the ball holds the image itself, and every smaller ball
            now = (predicted[-1] if attack == "pgd" else clean).copy()
            todo = torch.from_numpy(np.flatnonzero(now == label)).to(subject.device)
            for k, part in enumerate(todo.split(together)):
                if len(part):
                    now[part.cpu().numpy()] = attacked(attack, norm, strength, part)
                share = min(1.0, (k + 1) * together / max(len(todo), 1))
                progress(round(100 * (done + share)), 100 * len(lists[norm]), f"{ATTACKS[attack]}, {NORMS[norm]} {written(norm, strength)}")
            predicted.append(now)
        return {"predicted": np.stack(predicted), "strength": np.array([0.0, *lists[norm]]), "label": label.astype(clean.dtype),
                "index": index, "seconds": np.array(time.perf_counter() - begun)}  # fmt: skip

    return row


def _answers(subject: Subject, pixels: "torch.Tensor", mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """Predicted classes of pixels from 0 to 1, in fp32."""
    import torch

    with torch.inference_mode():
        middle, spread = (pixels.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        logits = subject.net((pixels - middle) / spread)
    return logits.argmax(1).cpu().numpy().astype(np.min_scalar_type(logits.shape[1] - 1))


def gather(run: Run, params: Params, rows: Mapping[int, Arrays]) -> Measurement:
    """A row an attack, norm and strength, from strength 0 up; row i of `predicted` belongs to row i of the table."""
    found, ways = [], lines(params)
    for i, arrays in sorted(rows.items()):
        label, clean = arrays["label"], arrays["predicted"][0] == arrays["label"]
        for strength, predicted in zip(arrays["strength"], arrays["predicted"], strict=True):
            right = predicted == label
            lost = int(np.sum(clean & ~right))
            # no image turns right, so the change is a share of the images, turned down
            fall, least, most = (0.0 - 100 * share for share in share_interval(lost, len(label)))
            found.append((*ways[i], float(strength), params.ring_low if params.ring_high else 0, params.ring_high or 100,
                          *share_interval(int(right.sum()), len(label)), float(clean.mean()), fall, most, least, lost, len(label),
                          params.seed))  # fmt: skip
    first = rows[min(rows)]
    arrays = {"predicted": np.concatenate([rows[i]["predicted"] for i in sorted(rows)]), "label": first["label"], "index": first["index"]}
    notes = {"on": "test", "images": len(first["label"]), "seed": params.seed, "steps": params.steps, "rows": len(rows), "of": len(ways)}
    return Measurement(table=pd.DataFrame(found, columns=[column.id for column in COLUMNS]), arrays=arrays, notes=notes)


# ---- what a table says


def written(norm: str, strength: float) -> str:
    """A strength as it is read: `2/255`, `0.25`."""
    factor, unit = UNITS[norm]
    return f"{strength * factor:.4g}{unit}"


def line(table: pd.DataFrame, attack: str = "pgd", norm: str = "linf") -> pd.DataFrame:
    """The rows of one attack and norm, from strength 0 up; none if it was not measured."""
    return table[(table["attack"] == attack) & (table["norm"] == norm)].sort_values("strength")


def takeaway(found: Mapping[str, Any], attack: str = "pgd", norm: str = "linf") -> str:
    """What is left of each net's accuracy where it has about halved, and which is hardest to mislead; "" if nothing was measured.

    `found` holds by net what was measured, with `table` and `arrays`.
    """
    found = {net: one for net, one in found.items() if len(line(one.table, attack, norm)) > 1}
    if not found:
        return ""
    common = set.intersection(*({float(s) for s in line(one.table, attack, norm)["strength"]} for one in found.values())) - {0.0}
    if not common:
        return ""
    at = {s: {net: _at(one.table, attack, norm, s) for net, one in found.items()} for s in common}
    strength = min(sorted(common), key=lambda s: abs(np.mean([row["accuracy"] / max(row["clean"], 1e-9) for row in at[s].values()]) - 0.5))
    rows = at[strength]
    how = f"{ATTACKS[attack]} of {NORMS[norm]} size {written(norm, strength)}"
    if len(rows) == 1:
        [(net, row)] = rows.items()
        return (
            f"{how} leaves {net} **{words.percent(row['accuracy'])}** right (95 % {words.plain(100 * row['ci_low'], 1)} to "
            f"{words.plain(100 * row['ci_high'], 1)}) of {words.percent(row['clean'])}."
        )
    order = sorted(rows, key=lambda net: -rows[net]["accuracy"])
    best, second = order[:2]
    left = words.seq([f"{net} {words.percent(rows[net]['accuracy'])}" for net in order])
    right = {net: found[net].arrays["predicted"][rows[net].name] == found[net].arrays["label"] for net in (best, second)}
    if len(right[best]) != len(right[second]) or not np.array_equal(found[best].arrays["index"], found[second].arrays["index"]):
        return f"{how} leaves {left} right, of other images each."
    lost, gained = int(np.sum(right[second] & ~right[best])), int(np.sum(right[best] & ~right[second]))
    more, low, high = (100 * value for value in paired_interval(lost, gained, len(right[best])))
    if low <= 0:
        return f"{how} leaves {left} right; it is **not clear** whether {best} or {second} is harder to mislead."
    return (
        f"**{best}** is hardest to mislead: {how} leaves {left} right, **{words.plain(more, 1)} points** between the first two "
        f"(95 % {words.plain(low, 1)} to {words.plain(high, 1)})."
    )


def _at(table: pd.DataFrame, attack: str, norm: str, strength: float) -> pd.Series:
    rows = line(table, attack, norm)
    return rows[rows["strength"] == strength].iloc[0]


def cost(arch: Architecture, image_size: int, params: Params) -> float:
    """FLOPs: a step of PGD as 2.8 forward passes (measured), three quarters of the images, as those misread are not attacked again."""
    each = {"fgsm": 4.0, "pgd": 2.8 * params.steps}
    passes = sum(each[attack] * (params.linf if norm == "linf" else params.l2).count(",") + each[attack] for attack, norm in lines(params))
    return count(arch, image_size, 10)["flops"] * params.images * passes * 0.75


def supports(arch: Architecture) -> str:
    """Every net has gradients."""
    return ""


ROWS = Rows(count=lambda _arch, params: len(lines(params)), start=start, gather=gather, word="attack")


# ---- charts


def chart(
    table: pd.DataFrame, theme: str = "light", *, net: str = "this net", family: str = "ref", attack: str = "", norm: str = "",
    **settings: Any,
) -> "alt.LayerChart":  # fmt: skip
    """One net's accuracy against strength; attack and norm are the table's last where none is asked for."""
    last = table.iloc[-1]
    return chart_nets({net: table}, theme, families={net: family}, attack=attack or last["attack"], norm=norm or last["norm"], **settings)


def chart_nets(
    found: Mapping[str, pd.DataFrame], theme: str = "light", *, families: Mapping[str, str], attack: str = "pgd", norm: str = "linf",
    width: int | None = None, height: int = 260,
) -> "alt.LayerChart":  # fmt: skip
    """Accuracy against strength, a line a net with its 95 % band and its name at the end.  MeasureError if none was measured so.

    The axis is straight below the smallest strength, so that it begins at 0, and logarithmic above.
    """
    import altair as alt

    from core.analyses._bands_drawn import LETTER_PX, NAME_PX, colour, names, shape
    from core.chart import tokens, x_title, y_title

    factor, unit = UNITS[norm]
    rows = [line(table, attack, norm).assign(net=net) for net, table in found.items()]
    table = pd.concat(rows, ignore_index=True)
    if table.empty:
        raise MeasureError(f"{ATTACKS[attack]} in {NORMS[norm]} was not measured; measure it first.")
    table = table.assign(
        at=(table["strength"] * factor).round(6), **{name: 100 * table[name] for name in ("accuracy", "ci_low", "ci_high")}
    )
    limits = [f"({words.plain(row.ci_low, 1)} to {words.plain(row.ci_high, 1)})" for row in table.itertuples()]
    table["said"] = [f"{words.plain(accuracy, 1)} % {between}" for accuracy, between in zip(table["accuracy"], limits, strict=True)]
    table["strength_said"] = [written(norm, strength) for strength in table["strength"]]
    c, nets, ticks = tokens(theme), list(found), sorted(set(table["at"]))
    room = min(NAME_PX, 32 + LETTER_PX * max(len(net) for net in nets))
    smallest = ticks[1] if len(ticks) > 1 else 1.0
    x_scale = alt.Scale(
        type="symlog", constant=smallest, domain=[0, ticks[-1] or 1.0], nice=False, range=[0, alt.ExprRef(f"width - {room}")]
    )
    what = f"{ATTACKS[attack]}, strength in {NORMS[norm]}" + (f", {unit.replace('/', '1/')} of the range of a pixel" if unit else "")
    x = alt.X("at:Q", scale=x_scale, axis=alt.Axis(values=ticks, tickCount=20, labelOverlap=False, format="~g", **x_title(what)))
    scale = alt.Scale(domain=[0, 100], nice=False)
    y = alt.Y("accuracy:Q", scale=scale, axis=alt.Axis(values=[0, 25, 50, 75, 100], tickCount=9, **y_title("accuracy, %")))
    tips = [alt.Tooltip("net:N"), alt.Tooltip("strength_said:N", title="strength"), alt.Tooltip("said:N", title="right, 95 %")]
    base = alt.Chart(table).encode(x=x, color=colour(nets, families, c), tooltip=tips)
    band = base.mark_area(fillOpacity=0.15).encode(y=alt.Y("ci_low:Q", scale=scale), y2="ci_high:Q")
    ends = table[table["at"] == table.groupby("net")["at"].transform("max")].sort_values("accuracy")
    ends = ends.assign(place=_apart(ends["accuracy"].to_numpy(dtype=float), 100 * 18 / height), end=ends["at"])
    layers = [band, base.mark_line().encode(y=y), base.mark_point(size=70, filled=True, opacity=1).encode(y=y, shape=shape(nets, families))]
    layers += names(ends, x.copy(), scale, nets, families, c)
    return alt.layer(*layers, height=height, width=width or alt.Undefined)


def _apart(values: np.ndarray, step: float) -> np.ndarray:
    """Rising places near rising values, none nearer to the next than `step`."""
    places = values.copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    return places


ANALYSIS = Analysis(
    id="adversarial",
    title="Attacks",
    question="How small a change is enough to mislead it?",
    version=1,
    params=Params,
    columns=COLUMNS,
    sources=(
        "Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples, ICLR 2015",
        "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018",
    ),
    cost=cost,
    supports=supports,
    measure=in_rows(ROWS),
    chart=chart,
    rows=ROWS,
)
