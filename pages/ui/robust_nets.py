"""What is known of the nets on stage, for every view of Robustness: stored results, or the rows that a running job has made."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from core import io, jobs, words
from core.analyses import Analysis
from core.run import Run
from pages.ui import address, choices, measured, parts, pickers
from pages.ui.measured import Asked

Head = st.delta_generator.DeltaGenerator
#: parameters of the address and what each was chosen to be
Own = dict[str, list[str]]
KEEP: dict[str, Any] = {"persist_state": "session"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One net's answer; `so_far` (rows done, rows in all) while a job still makes it, else None.  `facts` names table and arrays."""

    run: Run
    name: str
    table: pd.DataFrame
    arrays: Mapping[str, Any]
    params: Mapping[str, Any]
    notes: Mapping[str, Any]
    facts: str
    stale: bool = False
    so_far: tuple[int, int] | None = None

    @property
    def images(self) -> str:
        """`2,000 test images of Fashion-MNIST, seed 0`."""
        count = words.count(int(self.table["images"].iloc[0]))
        return f"{count} test images of {pickers.set_title(pickers.test_set(self.run.data))}, seed {self.params.get('seed', 0)}"


def gathered(analysis: Analysis, runs: Sequence[Run], params: Any, free: Sequence[str] = ("images", "seed")) -> list[Seen]:
    """What there is of each net, in the order of the stage: a fresh result, else what a job has made so far, else an old result.

    A net whose job has made nothing yet has an empty table.
    """
    wanted, named, found = dataclasses.asdict(params), pickers.names(runs), []
    stored = measured.answers(analysis, runs, wanted, free)
    for run in runs:
        answer, about = stored.get(run.id), {"run": run, "name": named[run.id]}
        live = _live(analysis, run, params, about) if answer is None or answer.stale else None
        if answer is not None and (live is None or live.table.empty):
            found.append(
                Seen(
                    **about, table=answer.table, arrays=answer.arrays, params=answer.manifest.get("params") or {}, stale=answer.stale,
                    notes=answer.manifest.get("notes") or {}, facts=answer.manifest["key"],
                )
            )  # fmt: skip
        elif live is not None:
            found.append(live)
    return found


def _live(analysis: Analysis, run: Run, params: Any, about: Mapping[str, Any]) -> Seen | None:
    if analysis.rows is None:
        return None
    part, total = measured.partial(analysis, run, params), analysis.rows.count(run.plan, params)
    asked = dataclasses.asdict(params)
    done = int(part.notes["rows"]) if part else 0
    shared: dict[str, Any] = {**about, "params": asked, "so_far": (done, total)}
    shared["facts"] = f"{analysis.id} of {run.id}, {io.digest(asked)}: {done}"
    if part is not None:
        return Seen(**shared, table=part.table, arrays=part.arrays, notes=part.notes)
    job = measured.job_of(analysis, run, params)
    if job is None or job.state not in jobs.LIVE:
        return None
    empty = pd.DataFrame(columns=[column.id for column in analysis.columns])
    return Seen(**shared, table=empty, arrays={}, notes={})


def whole(seen: Sequence[Seen]) -> list[Seen]:
    """Those that are measured to the end."""
    return [one for one in seen if one.so_far is None]


def some(seen: Sequence[Seen]) -> list[Seen]:
    """Those of which there is something to draw."""
    return [one for one in seen if len(one.table)]


def by_name(seen: Iterable[Seen]) -> dict[str, Seen]:
    """What takeaways take."""
    return {one.name: one for one in seen}


def tables(seen: Iterable[Seen]) -> dict[str, pd.DataFrame]:
    """What charts take."""
    return {one.name: one.table for one in seen}


def families(seen: Iterable[Seen]) -> dict[str, str]:
    """The mark of each net by its name."""
    return {one.name: pickers.family(one.run) for one in seen}


def facts(seen: Iterable[Seen]) -> list[list[str]]:
    """What a drawing of these nets depends on."""
    return [[one.name, one.facts] for one in seen]


def together(seen: Sequence[Seen]) -> pd.DataFrame:
    """The tables of several nets as one, the net's name first."""
    both = pd.concat([one.table.assign(net=one.name) for one in some(seen)], ignore_index=True)
    return both[["net", *both.columns.drop("net")]]


def lacking(runs: Sequence[Run], seen: Sequence[Seen]) -> list[Run]:
    """The runs without a fresh and whole result."""
    fresh = {one.run.id for one in whole(seen) if not one.stale}
    return [run for run in runs if run.id not in fresh]


def ask(
    analysis: Analysis, params: Any, runs: Sequence[Run], seen: Sequence[Seen], above: Any = None,
    waits: Callable[[], bool] = lambda: False, waited: bool = False,
) -> None:  # fmt: skip
    """One offer for all nets that lack the answer, progress of those that are measured.

    `above` is a place above the figure: there it stands while the figure is being filled.
    """
    place = above if any(one.so_far for one in seen) else None
    asked = Asked(asks=[(analysis, params)], runs=lacking(runs, seen), key=f"robust_{analysis.id}", place=place)
    measured.watch([asked], waits=waits, waited=waited)


# ---- words


def said(head: Head, sentence: str, *more: str) -> None:
    """The takeaway, and under it what is to be known of it."""
    with head:
        parts.take(sentence)
        for line in more:
            if line:
                parts.sub(line)


def nothing(analysis: Analysis, runs: Sequence[Run], seen: Sequence[Seen]) -> str:
    """In place of the takeaway while no net is measured to the end."""
    if not runs:
        return "No net is on stage. Choose one under **Models on stage**, or train one first."
    if progress := so_far(analysis, seen):
        return f"Measured **in part**: {progress}"
    if seen:
        return "**Being measured**; what is done is drawn here."
    return "The nets on stage have **not been measured yet** in this way."


def so_far(analysis: Analysis, seen: Sequence[Seen]) -> str:
    """`ViT-mini 6 of 19 kinds so far.`; "" if none is under way."""
    word = analysis.rows.word if analysis.rows else "row"
    under_way = [f"{one.name} {one.so_far[0]} of {words.some(one.so_far[1], word)}" for one in seen if one.so_far and one.so_far[0]]
    return f"{words.seq(under_way)} so far." if under_way else ""


def stale_said(seen: Sequence[Seen]) -> str:
    """Which results are older than the method or the weights; "" if none is."""
    old = words.seq([one.name for one in seen if one.stale])
    return f"{old}: measured before the last change of the method or the weights." if old else ""


def each(seen: Sequence[Seen], say: Callable[[Seen], str]) -> str:
    """What is said of every net, once where it is the same for all."""
    told: dict[str, list[str]] = {}
    for one in some(seen):
        told.setdefault(say(one), []).append(one.name)
    return next(iter(told), "") if len(told) < 2 else "; ".join(f"{words.seq(nets)}: {text}" for text, nets in told.items())


# ---- controls and rows


take, choose = partial(choices.take, "robust"), partial(choices.choose, "robust")


def switch(label: str, key: str, **more: Any) -> bool:
    """A choice of yes or no; in the address as `key`=1."""
    chosen = st.session_state
    if address.emptied(key, "show"):
        chosen[f"robust_{key}"] = False
    if address.brought(key)[:1] == ["1"]:
        chosen[f"robust_{key}"] = True
    chosen.setdefault(f"robust_{key}", False)
    return st.toggle(label, key=f"robust_{key}", on_change=lambda: address.moved(key), **KEEP, **more)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> None:
    """A small table of words: a first column of names, then numbers; a second line of a cell, after a bar, is quiet."""
    line = "border-top:1px solid var(--lab-line)"
    sides = ["left", *["right"] * (len(head) - 1)]
    cells = [f'<th scope="col" style="text-align:{side};{_HEAD}">{parts.rich(title)}</th>' for side, title in zip(sides, head, strict=True)]
    body = ""
    for name, *numbers in rows:
        quiet = '<div style="font-size:13px;line-height:17px;white-space:nowrap;color:var(--lab-muted)">'
        made = [
            f'<td style="text-align:right;padding:7px 0 7px 14px;vertical-align:top;{line}">{parts.rich(number)}'
            + (f"{quiet}{parts.rich(small)}</div>" if small else "")
            + "</td>"
            for number, _, small in (cell.partition("|") for cell in numbers)
        ]
        left = f'<th scope="row" style="text-align:left;font-weight:400;padding:7px 0;vertical-align:top;{line}">{parts.rich(name)}</th>'
        body += f"<tr>{left}{''.join(made)}</tr>"
    st.html(
        f'<div style="overflow-x:auto"><table aria-label="{escape(label)}" style="width:100%;border-collapse:collapse;font-size:14px;'
        f'line-height:20px;color:var(--lab-ink)"><tr>{"".join(cells)}</tr>{body}</table></div>'
    )


_HEAD = "font-size:12px;line-height:16px;font-weight:600;color:var(--lab-muted);padding:0 0 7px;vertical-align:bottom"
