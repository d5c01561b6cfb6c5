"""Claims about what units do to feature maps: fine detail, variance, likeness (paper, Figs. 2a, 8, 9, 10a and D)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.analyses import fourier
from core.claims.claim import Missing, Part, mean, part
from core.claims.judge import Effect, Rule, of_mean
from core.claims.loss import no_net
from core.claims.nets import Net, Shelf, answers, by_seed, measure_command

#: Units of a kind: at 3 of 3 a sign test has p = 0.25, at 6 of 6 0.03; three seeds make up for fewer.  Images: 256 leave the sign of
#: nearly no unit open.  Both measured on five small nets before these.
UNITS, IMAGES = 6, 256
#: The paper’s early layers behave oppositely: the first quarter of the depth is judged apart.
EARLY = 0.25
BLURS = Rule(sign=-1, least=0.0, share=0.6, n=UNITS, either=True)
SHARPENS = Rule(sign=1, least=0.0, share=0.6, n=UNITS, either=True)
EARLY_UP, EARLY_DOWN = (Rule(sign=sign, least=0.0, n=UNITS, either=True) for sign in (1, -1))
EVENS = Rule(sign=-1, least=1.0, zero=1.0, share=0.7, n=UNITS, either=True)
SPREADS = Rule(sign=1, least=1.0, zero=1.0, share=0.6, n=UNITS, either=True)
PEAKS = Rule(sign=1, least=1.0, zero=1.0, share=0.5, n=UNITS, either=True)
DROPS = Rule(sign=-1, least=1.0, zero=1.0, share=0.5, n=UNITS, either=True)
APART = Rule(sign=1, least=0.1, n=IMAGES)
MSA_NETS = ("vit", "swin", "pit", "hybrid", "reversed", "local")
MLP_NETS, CONV_NETS = ("vit", "swin", "pit", "local", "mix", "depthwise"), ("conv", "hybrid", "reversed")


# ---- statistics of a table


def detail(table: pd.DataFrame, kind: str, where: str = "late") -> np.ndarray:
    """The changes of Δ log amplitude at the highest frequency that units of a kind make.

    `where` is `early` (the first quarter of depth), `late` (beyond it) or `all`.  Units that change the resolution are left out.
    """
    rows = fourier.steps(table)
    rows = rows[(rows["kind"] == kind) & ~rows["resampling"]]
    if where != "all":
        rows = rows[(rows["depth"] <= EARLY + 1e-9) == (where == "early")]
    return rows["change"].to_numpy(dtype=float)


def factors(table: pd.DataFrame, kind: str) -> np.ndarray:
    """Logarithms of the variance ratios of units of a kind that keep the resolution."""
    rows = table[table["ratio"].notna() & ~table["resampling"] & (table["kind"] == kind)]
    return np.log(rows["ratio"].to_numpy(dtype=float))


def at_resampling(table: pd.DataFrame) -> np.ndarray:
    """Logarithms of the variance ratios where a stage begins with a smaller map."""
    rows = table[table["ratio"].notna() & table["resampling"] & (table["stage"] > 1)]
    return np.log(rows["ratio"].to_numpy(dtype=float))


def at_ends(table: pd.DataFrame) -> np.ndarray:
    """For each stage of two units or more: the logarithm of the last unit's variance over the largest of the others; above 0: the peak."""
    found = []
    for stage, rows in table[table["kind"] != "stem"].groupby("stage"):
        values = rows.sort_values("position")["variance"].to_numpy(dtype=float)
        if stage > 0 and len(values) > 1 and (values > 0).all():
            found.append(float(np.log(values[-1] / values[:-1].max())))
    return np.array(found)


def of_units(values: np.ndarray, sign: int, log: bool = False, of: str = "units") -> Effect:
    """Mean over units with Student's interval; of logarithms as a factor.  `agree` is the share that goes the way of the claim."""
    found = of_mean(values, of, sign)
    if not log:
        return found
    value, low, high = (float(np.exp(v)) for v in (found.value, found.low, found.high))
    return Effect(value=value, low=low, high=high, n=found.n, of=found.of, agree=found.agree)


# ---- over nets


def tables(shelf: Shelf, analysis: str, roles: Sequence[str]) -> tuple[dict[int, list[tuple[Net, pd.DataFrame]]], list[Net], list[Net]]:
    """Tables of the nets that play these parts, by seed; those that are measured, and those that are not.

    Only seeds that all the measured architectures have, so that every seed speaks of the same units.
    """
    nets = shelf.all_alike(roles)
    held: list[tuple[Net, pd.DataFrame]] = []
    for net in nets:
        found = answers([(net, {})], analysis)
        if found and _many(found[0].table) >= IMAGES:
            held.append((net, found[0].table))
    known = {net: table for net, table in held}
    seeds: dict[str, set[int]] = {}
    for net in known:
        seeds.setdefault(net.run.arch, set()).add(net.run.seed)
    shared = set.intersection(*seeds.values()) if seeds else set()
    if not shared and seeds:  # no seed of all: the architecture with most of them
        best = max(seeds, key=lambda arch: len(seeds[arch]))
        known, shared = {net: table for net, table in known.items() if net.run.arch == best}, seeds[best]
    grouped = by_seed(net for net in known if net.run.seed in shared)
    return {seed: [(net, known[net]) for net in group] for seed, group in grouped.items()}, list(known), [n for n in nets if n not in known]


def _many(table: pd.DataFrame) -> int:
    return int(table["images"].iloc[0])


def units(
    shelf: Shelf, analysis: str, roles: Sequence[str], values: Callable[[pd.DataFrame], np.ndarray], rule: Rule, title: str, *,
    beside: Mapping[str, Callable[[pd.DataFrame], np.ndarray]] | None = None, counted: bool = True, of: str = "units",
) -> list[Part | Missing]:  # fmt: skip
    """A statement about all units that `values` takes from the tables of these nets; the nets one by one stand beside it as sides.

    `beside` are other units of all nets, such as Conv beside MSA.
    """
    by_seeds, _, missing = tables(shelf, analysis, roles)
    log, effects, used, each = rule.zero == 1, [], [], {}
    for held in by_seeds.values():
        found = [(net, v) for net, table in held if len(v := values(table))]
        if found:
            effects.append(of_units(np.concatenate([v for _, v in found]), rule.sign, log, of))
            used += [net for net, _ in found]
            for net, v in found:
                each.setdefault(net.title, []).append(float(np.exp(v.mean()) if log else v.mean()))
    gaps: list[Part | Missing] = [
        Missing(title=f"{analysis} of {net.title}", command=measure_command(net, analysis), needed=not effects and counted)
        for net in missing
    ]
    if not effects:
        return gaps or ([no_net(shelf, roles[0])] if counted else [])
    sides = {title: mean([e.value for e in effects]), **_beside(shelf, analysis, beside or {}, log)}
    if len(each) > 1:
        sides |= {f"{title} of {net}": mean(v) for net, v in each.items()}
    return [part(title, effects, rule, nets=used, unit="times" if log else "ln", sides=sides, counted=counted), *gaps]


def _beside(shelf: Shelf, analysis: str, wanted: Mapping[str, Callable[[pd.DataFrame], np.ndarray]], log: bool) -> dict[str, float]:
    everything = [table for held in tables(shelf, analysis, (*MSA_NETS, "conv", "mix", "depthwise"))[0].values() for _, table in held]
    found = {}
    for name, values in wanted.items():
        both = np.concatenate([np.empty(0), *(values(table) for table in everything)])
        if len(both):
            found[name] = float(np.exp(both.mean()) if log else both.mean())
    return found


def f1(shelf: Shelf) -> list[Part | Missing]:
    """MSAs are low-pass filters, beyond the first quarter of depth."""
    conv = {"Conv": lambda t: detail(t, "conv")}
    return units(shelf, "fourier", MSA_NETS, lambda t: detail(t, "msa"), BLURS, "MSA", beside=conv)


def f2(shelf: Shelf) -> list[Part | Missing]:
    """MLPs and convs are high-pass filters."""
    msa = {"MSA": lambda t: detail(t, "msa")}
    return [
        *units(shelf, "fourier", MLP_NETS, lambda t: detail(t, "mlp"), SHARPENS, "MLP", beside=msa),
        # conv nets have no early layers that do the opposite: all their convs count, as in the paper’s +0.024
        *units(shelf, "fourier", ("conv",), lambda t: detail(t, "conv", "all"), SHARPENS, "Conv", beside=msa),
    ]


def f3(shelf: Shelf) -> list[Part | Missing]:
    """Early layers do the opposite."""
    return [
        *units(shelf, "fourier", ("vit", "swin", "pit"), lambda t: detail(t, "msa", "early"), EARLY_UP, "early MSA",
               beside={"early Conv": lambda t: detail(t, "conv", "early")}),
        *units(shelf, "fourier", ("vit", "swin", "pit"), lambda t: detail(t, "mlp", "early"), EARLY_DOWN, "early MLP"),
    ]  # fmt: skip


def v1(shelf: Shelf) -> list[Part | Missing]:
    """MSAs lower the variance."""
    return units(shelf, "variance", MSA_NETS, lambda t: factors(t, "msa"), EVENS, "MSA", beside={"Conv": lambda t: factors(t, "conv")})


def v2(shelf: Shelf) -> list[Part | Missing]:
    """Convs and MLPs raise it."""
    msa = {"MSA": lambda t: factors(t, "msa")}
    return [
        *units(shelf, "variance", ("conv",), lambda t: factors(t, "conv"), SPREADS, "Conv", beside=msa),
        *units(shelf, "variance", MLP_NETS, lambda t: factors(t, "mlp"), SPREADS, "MLP", beside=msa),
    ]


def v3(shelf: Shelf) -> list[Part | Missing]:
    """Variance grows within a stage and falls where the map gets smaller; nets whose convs make it smaller."""
    return [
        *units(shelf, "variance", CONV_NETS, at_ends, PEAKS, "last unit by the largest other", of="stages"),
        *units(shelf, "variance", CONV_NETS, at_resampling, DROPS, "at the smaller map", of="stages"),
        *units(shelf, "variance", ("swin", "pit"), at_resampling, DROPS, "patch merging", counted=False, of="stages"),
    ]


def s1(shelf: Shelf) -> list[Part | Missing]:
    """Stages see as separate small nets do: nets of several stages, of convs and of MSAs."""
    found: list[Part | Missing] = []
    gaps: list[Missing] = []
    for role in ("conv", "swin", "pit", "hybrid"):
        nets = [net for net in shelf.all_alike([role]) if len(net.arch.stages) > 1]
        got = [(net, c) for net in nets if (c := apart(net))]
        if got:
            sides = {"within": mean([c[1]["within"] for _, c in got]), "between": mean([c[1]["between"] for _, c in got])}
            found.append(part(got[0][0].title, [c[0] for _, c in got], APART, nets=[net for net, _ in got], sides=sides))
        gaps += [Missing(title=f"CKA of {net.title}", command=measure_command(net, "cka"), needed=False) for net in nets if not apart(net)]
    if not found:
        return [Missing(title=g.title, command=g.command) for g in gaps] or [no_net(shelf, "conv")]
    return [*found, *gaps]


def apart(net: Net) -> tuple[Effect, Mapping[str, Any]] | None:
    """Mean CKA within stages minus between stages, with its jackknife interval; None if not measured."""
    found = answers([(net, {})], "cka")
    contrast = found[0].manifest["notes"].get("contrast") if found else None
    if not found or not contrast or "difference" not in contrast:
        return None
    interval = {"low": contrast.get("low", float("nan")), "high": contrast.get("high", float("nan"))}
    return Effect(value=contrast["difference"], **interval, n=int(found[0].manifest["notes"]["images"])), contrast
