"""`python -m core study`: a family trained and measured here and now, its table and its verdicts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from core import claims, studies, words
from core.claims.judge import NOT_MEASURED
from core.errors import LabError


def run(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """List the studies, or do what is open of one unless only its plan is asked for; in words unless --json is given, and as a value.

    LabErrors in words, also if it was asked to stop.
    """
    said: Callable[[str], None] = (lambda _text: None) if args.json else print
    if not args.name:
        known = studies.catalogue().values()
        for one in known:
            said(f"{one.id:16} {one.question} ({words.seq(one.claims)})")
        return {"studies": [{"study": s.id, "title": s.title, "question": s.question, "claims": list(s.claims)} for s in known]}
    one, setting = studies.get(args.name), studies.Setting(size=args.size, data=args.data, seeds=args.seeds)
    price = studies.cost(one, setting)
    took = f"about {words.duration(price.seconds)}" if price.seconds is not None else "nothing was timed here yet"
    todo = f"{words.some(price.nets, 'net')} to train, {price.shared} trained already, {words.some(price.measurements, 'measurement')}"
    said(f"{one.title}: {todo}; {took}, {price.bytes / 1e6:,.0f} MB.")
    failed = [] if args.plan else _go_through(one, setting, args.device, console)
    table, found = studies.table(one, setting), studies.verdicts(one, setting)
    shown = table[["label", "line", "seed", "state", "said", *one.shows]]
    said(shown.to_string(index=False, na_rep="–", float_format=lambda number: words.plain(number, 3)))
    for verdict in found:  # what is missing is made by the study itself, until it is through
        early = verdict.verdict == NOT_MEASURED and not (table["state"] == "ready").all()
        said(f"{verdict.id}: {verdict.verdict}.{'' if early else ' ' + verdict.reason}")
    return {
        "study": one.id, "size": setting.size, "data": setting.data, "seeds": setting.count, "cost": asdict(price), "failed": failed,
        "table": json.loads(table.to_json(orient="records", double_precision=12)), "claims": [claims.to_json(verdict) for verdict in found],
    }  # fmt: skip


def _go_through(study: studies.Study, setting: studies.Setting, device: str, console: Any) -> list[str]:
    """Train and measure the nets of a study one after the other; which failed, and why.  `console` is a Listener that hears Ctrl-C."""
    import torch

    from core.io import threads
    from core.jobs import Cancelled
    from core.studies._work import do

    torch.set_num_threads(threads())
    console.stops()
    done, failed = 0, []
    try:
        while done < len(members := study.members(setting)):  # it may grow
            if why := do(members[done], console, device):
                print(why, file=sys.stderr)
                failed.append(why)
            done += 1
    except Cancelled:
        raise LabError("Stopped. What is trained and measured is kept; the same command goes on from there.") from None
    return failed
