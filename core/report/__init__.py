"""A report: chosen nets and claims as one HTML file that opens and prints anywhere, without a network.

    gather.py     which nets, which stored answers still hold, which are drawn together
    figures.py    sentences and charts of each analysis      drawing.py   charts and verdicts as small SVG
    sections.py   the figures, section by section            verdicts.py  the table of claims
    command.py    python -m core report
    page.py       head, nets, tables and numbers as HTML and JSON; style.py is its look

It measures nothing: all of it is read from the store.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import claims, io, store, words
from core.claims.nets import base
from core.data import set_title
from core.errors import MeasureError, StoreError
from core.report import gather, page, sections, verdicts
from core.words import rich

__all__ = ["LIMIT", "Report", "build", "place", "write"]
#: A report is smaller than this [bytes].
LIMIT = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report and what is in it."""

    html: str
    runs: tuple[str, ...]
    claims: dict[str, int]
    figures: int
    tables: int
    left_out: tuple[str, ...]


def build(
    run_ids: Sequence[str] = (), only: Sequence[str] = (), data: str = "", progress: Callable[..., None] = lambda *_a, **_k: None
) -> Report:
    """The report of these runs (all that came with the lab if none is named), on one set of images or on all.

    `only` are the claims that are judged, all if none is named.  Raises StoreError, DataError or MeasureError in words for an unknown or
    unfinished run, an unknown set, an unknown claim, or where the libraries that draw are not installed.
    """
    _needs_drawing()
    runs = gather.chosen(run_ids, data)
    found, judged = gather.nets(runs), gather.verdicts(runs, only)
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):  # the check of every part against the schema takes longer than all the rest; the tests of the charts have it
        drawn, figures = sections.drawn(found, progress)
    body = [page.head(found, judged, sections.asked(found)), '<h2 id="nets">The nets</h2>', page.nets(found)]
    sets = dict.fromkeys(base(net.run.data) for net in found)
    for data_id in sets:
        held = [one for one in judged if base(one.data) == data_id]
        body.append(f'<h2 id="{page.anchor(data_id)}">Verdicts on {rich(set_title(data_id))}</h2>')
        if held:
            body += [f'<p class="take">{rich(verdicts.tally(held))}</p>'] if len(sets) > 1 else []
            body += [f'<p class="quiet">{_RULE}</p>', verdicts.table(held)]
        else:
            body.append("<p>No claim is judged: these nets were imported, and nothing is known of how they were trained.</p>")
    body += drawn
    results = [(net, one) for net in found for one in net.results]
    facts: dict[str, Any] = {
        "about": _ABOUT, "made": datetime.date.today().isoformat(), "code": store.results.revision(),
        "nets": [page.of_net(net) for net in found], "claims": [claims.to_json(one) for one in judged],
    }  # fmt: skip
    room = LIMIT - len(page.whole("", body, "").encode()) - len(page.embedded(facts).encode()) - 20_000
    kept, left_out = _fitting([page.result(net, one) for net, one in results], room)
    facts |= {"results": kept, "left_out": left_out}
    body.append(_end(kept, left_out))
    title = f"AlterLab report: {words.seq([net.title for net in found[:4]])}{' and others' if len(found) > 4 else ''}"
    counts = {word: sum(one.verdict == word for one in judged) for word in claims.VERDICTS}
    return Report(
        html=page.whole(title, body, page.embedded(facts)), runs=tuple(run.id for run in runs), claims=counts, figures=figures,
        tables=len(kept) - len(left_out), left_out=tuple(left_out),
    )  # fmt: skip


def place(name: str) -> Path:
    """The file that a name means.  StoreError for a folder."""
    path = Path(name).expanduser()
    if path.is_dir():
        raise StoreError(f"{path} is a folder; name a file, for example {path / 'report.html'}.")
    return path


def write(path: Path, report: Report) -> int:
    """Write a report, whole or not at all; returns its bytes.  StoreError for a folder, or a place that cannot be written."""
    content = report.html.encode()
    path = place(str(path))
    try:
        io.write_atomic(path, content)
    except OSError as error:
        raise StoreError(f"The report cannot be written to {path}: {error.strerror or error}.") from None
    return len(content)


_ABOUT = (
    "All numbers of this report. Of a table, `order` names the columns, `columns` holds them row by row, and `same` those with one value "
    "in all rows; null stands where there is no number."
)
_RULE = (
    "Supported: the 95 % interval is clear of no effect and the effect beyond the threshold. Contradicted: clear on the other side. "
    "Undecided: neither, or too few seeds or images. In the drawings, right of the solid line is the way of the claim; each has a scale of "
    "its own, ratios by their logarithm. Thresholds were fixed before measuring."
)


def _needs_drawing() -> None:
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ModuleNotFoundError as error:
        raise MeasureError(f"A report draws figures with {error.name}, which is not installed: pip install -r requirements.txt.") from None


def _fitting(results: list[dict[str, Any]], room: int) -> tuple[list[dict[str, Any]], list[str]]:
    """All results, the largest without their table where the file would grow over its limit; and which those are."""
    sizes = [len(page.embedded(one).encode()) for one in results]
    total, left_out, kept = sum(sizes), [], list(results)
    for place in sorted(range(len(results)), key=lambda i: -sizes[i]):
        if total <= room:
            break
        one = results[place]
        left_out.append(f"{one['run']}/{one['analysis']}/{one['key']}")
        kept[place] = {**one, "table": None, "left_out": "the file would be over 5 MB"}
        total -= sizes[place] - len(page.embedded(kept[place]).encode())
    return kept, left_out


def _end(kept: Sequence[dict[str, Any]], left_out: Sequence[str]) -> str:
    rows = sum(one["table"]["rows"] for one in kept if one["table"])
    text = f"{words.some(len(kept) - len(left_out), 'table')} with {words.count(rows)} rows and every verdict stand in this file as JSON: "
    text += "in the element with the id “numbers”, which runs nothing."
    if left_out:
        text += f" {words.some(len(left_out), 'table')} did not fit into 5 MB and are left out; they are named there."
    return f'<h2 id="data">All numbers</h2><p>{rich(text)}</p>'
