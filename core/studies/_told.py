"""What is known of a study's nets: a table read from what is stored of them, the verdicts on its claims, and what is still to pay."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from core import analyses, store
from core import cost as timing
from core.analyses._cells import shares
from core.claims import Shelf, Verdict, base, judge_nets
from core.claims.accuracy import right
from core.claims.judge import NAN, Effect, of_mean
from core.claims.loss import sharpness
from core.claims.nets import Net, answers, of_store
from core.claims.vary import gap
from core.errors import StoreError
from core.metrics.interval import share_interval
from core.recipe import from_dict
from core.run import Run
from core.size import count
from core.spec import parse
from core.studies._family import Ask, Member, Setting, Study, images_of

#: snapshots that a training leaves: start, end of warm-up, a third, two thirds, end
SNAPSHOTS, BYTES, RESULT_BYTES = 5, 2, 100_000


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of a net: its name, its unit, and how it is read from what is stored; None where it is not measured."""

    title: str
    unit: str
    of: Callable[[Net], Effect | None]


def _accuracy(net: Net) -> Effect:
    if found := right(net):
        return of_mean(100 * found[1])
    n = int(net.final["n_test"])
    share, low, high = share_interval(round(net.final["accuracy"] * n), n)
    return Effect(value=100 * share, low=100 * low, high=100 * high, n=n)


def _fit(net: Net) -> Effect | None:
    return Effect(value=float(net.history[-1]["train_loss"]), n=net.images) if net.history else None


def _corrupted(net: Net) -> Effect | None:
    found = answers([(net, {})], "corruption")
    return of_mean(100 * shares(found[0].table, found[0].arrays)) if found else None


def _sharp(phase: str, which: int) -> Callable[[Net], Effect | None]:
    return lambda net: got[which] if (got := sharpness(net, phase)) else None


MEASURES = {
    "accuracy": Measure(title="Test accuracy", unit="%", of=_accuracy),
    "train_loss": Measure(title="Training loss", unit="nats", of=_fit),
    "corrupted": Measure(title="Accuracy under corruption", unit="%", of=_corrupted),
    "gap": Measure(title="Confidence minus accuracy", unit="points", of=gap),
    "ape": Measure(title="Mean of positive eigenvalues, end of warm-up", unit="", of=_sharp("warmup", 0)),
    "ape_end": Measure(title="Mean of positive eigenvalues, end", unit="", of=_sharp("end", 0)),
    "nep": Measure(title="Negative eigenvalues, end of warm-up", unit="%", of=_sharp("warmup", 1)),
}


def net_of(member: Member, known: dict[str, Run] | None = None) -> Net | None:
    """The finished net of a member; None while it is not trained.  `known` holds the stored runs by id, to read them once."""
    known = {run.id: run for run in store.list_runs()} if known is None else known
    return of_store(known[member.run.id]) if member.run.id in known else None


def lacking(run: Run, asks: Sequence[Ask]) -> list[Ask]:
    """The questions about a run that have no answer of today's method yet, as far as they apply to it."""
    found = []
    for name, settings in asks:
        analysis = analyses.get(name)
        wanted = dataclasses.asdict(analysis.params(**settings))
        told = store.list_results(run.id, name)
        if not analyses.refusal(analysis, run) and not any(
            m.get("version") == analysis.version and m.get("params") == wanted and not m.get("error") for m in told
        ):
            found.append((name, settings))
    return found


def answerable(run: Run, asks: Sequence[Ask]) -> list[Ask]:
    """What is lacking of a trained run and can be measured: its weights are there.  A run that came with the lab may have none."""
    found = []
    for name, settings in lacking(run, asks):
        with contextlib.suppress(StoreError):
            store.weights(run.id, getattr(analyses.get(name).params(**settings), "phase", "end"))
            found.append((name, settings))
    return found


def state(member: Member, known: dict[str, Run] | None = None) -> str:
    """`new`, `started`, `trained` (measurements are missing) or `ready`."""
    known = {run.id: run for run in store.list_runs()} if known is None else known
    if member.run.id not in known:
        return "new"
    if store.final(member.run.id) is None:
        return "started"
    return "trained" if lacking(member.run, member.asks) else "ready"


def table(study: Study, setting: Setting) -> pd.DataFrame:
    """A row a net: what it is called, what it is, how far it is, and each measure with its 95 % interval; empty where not measured."""
    known, rows = {run.id: run for run in store.list_runs()}, []
    for place, member in enumerate(study.members(setting)):
        net = net_of(member, known)
        row = {
            "place": place, "label": member.label, "line": member.line, "x": NAN if member.x is None else float(member.x),
            "seed": member.run.seed, "run": member.run.id, "arch": member.run.arch, "state": state(member, known), "said": member.said,
            "parameters": float(_parameters(member.run)),
            "images": float(net.images) if net else NAN, "steps": float(net.final.get("steps", NAN)) if net else NAN,
            "seconds": float(net.final.get("seconds", NAN)) if net else NAN,
        }  # fmt: skip
        for name in study.shows:
            effect = (MEASURES[name].of(net) if net else None) or Effect(value=NAN)
            row |= {name: effect.value, f"{name}_low": effect.low, f"{name}_high": effect.high, f"{name}_n": float(effect.n)}
        rows.append(row)
    return pd.DataFrame(rows)


def verdicts(study: Study, setting: Setting) -> list[Verdict]:
    """The study's claims, judged on its own nets alone by the rules that hold everywhere."""
    known = {run.id: run for run in store.list_runs()}
    nets = {member.run.id: net for member in study.members(setting) if (net := net_of(member, known))}
    return judge_nets(Shelf(data=base(setting.data), nets=tuple(nets.values())), study.claims) if study.claims else []


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is still to do: nets to train, nets that are there already, measurements, seconds on this machine (None: never timed), bytes."""

    nets: int
    shared: int
    measurements: int
    seconds: float | None
    bytes: int


def cost(study: Study, setting: Setting) -> Cost:
    """What a study would still take here; of one that grows, if it grows to its end with nets like its last."""
    known = {run.id: run for run in store.list_runs()}
    members = list({member.run.id: member for member in study.members(setting)}.values())
    more = 0 if study.ended(setting) else study.rows(setting) - len(members)
    each = [_cost(member, known) for member in members] + more * [_cost(members[-1], known)]
    seconds = [one.seconds for one in each]
    return Cost(
        nets=sum(one.nets for one in each), shared=sum(one.shared for one in each), measurements=sum(one.measurements for one in each),
        seconds=None if None in seconds else float(sum(filter(None, seconds))), bytes=sum(one.bytes for one in each),
    )  # fmt: skip


def _cost(member: Member, known: dict[str, Run]) -> Cost:
    """What a net of a study would still take."""
    run = member.run
    done = run.id in known and store.final(run.id) is not None
    left = answerable(run, member.asks) if done else [ask for ask in member.asks if not analyses.refusal(analyses.get(ask[0]), run)]
    took = [analyses.seconds(analyses.get(name), run, analyses.get(name).params(**settings)) for name, settings in left]
    took += [] if done else [training(run)]
    return Cost(
        nets=int(not done), shared=int(done), measurements=len(left), seconds=None if None in took else sum(filter(None, took)),
        bytes=RESULT_BYTES * len(left) + (0 if done else SNAPSHOTS * BYTES * _parameters(run)),
    )  # fmt: skip


def _parameters(run: Run) -> int:
    return count(run.plan, run.image_size, run.classes)["parameters"]


def training(run: Run) -> float | None:
    """About how long a training takes here [s]; None if none was ever timed."""
    speed, recipe = timing.train_speed(parse(run.arch), run.image_size), from_dict(run.recipe)
    if speed is None:
        return None
    return float(images_of(run) * recipe.total_epochs * (2 if recipe.sam else 1) / speed[0])
