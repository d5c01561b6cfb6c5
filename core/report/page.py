"""The report as a page: nets, verdicts, figures, numbers; one file, no script that runs, nothing that is fetched."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from core import ribbon, words
from core.analyses import Analysis
from core.chart import LIGHT
from core.claims import Verdict
from core.claims.nets import base, changed
from core.data import set_title
from core.metrics.interval import share_interval
from core.outline import Outline
from core.recipe import from_dict
from core.report.figures import columns
from core.report.gather import Question, Reported, unusual
from core.report.style import CSS
from core.report.verdicts import tally
from core.spec import layout
from core.words import rich

#: Tables with more rows stand in the data block alone.
SHORT = 80
WHEN = {"init": "before training", "warmup": "after warm-up", "third": "after a third of training",
        "twothirds": "after two thirds of training", "end": "after training"}  # fmt: skip


def whole(title: str, body: Sequence[str], numbers: str) -> str:
    """The file: head, body, and all numbers as JSON."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n" + "\n".join(body) + "\n</main>\n"
        f'<script type="application/json" id="numbers">{numbers}</script>\n</body>\n</html>\n'
    )


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str).replace("<", "\\u003c")


def head(found: Sequence[Reported], judged: Sequence[Verdict], asked: Sequence[Analysis]) -> str:
    """The question, the answer in a sentence, what it stands on, and a line of links."""
    days = sorted({str(one.manifest.get("created", ""))[:10] for net in found for one in net.results} - {""})
    when = f" · results of {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    codes = sorted({str(one.manifest.get("code", "")) for net in found for one in net.results} - {""})
    versions: dict[str, set[str]] = {}
    for net in found:
        for one in net.results:
            for name, version in (one.manifest.get("versions") or {}).items():
                versions.setdefault(name, set()).add(str(version))
    measured = ", ".join(f"{name} {' and '.join(sorted(held))}" for name, held in sorted(versions.items()))
    of = f"Measured with {measured}{'; lab ' + ', '.join(codes) if codes else ''}." if measured else ""
    sets = dict.fromkeys(base(net.run.data) for net in found)
    said = [f"On {set_title(i)}, {tally([one for one in judged if base(one.data) == i])}" for i in sets
            if any(base(one.data) == i for one in judged)]  # fmt: skip
    seeds = len({net.run.seed for net in found})
    about = f"{words.some(len(found), 'net')}, {words.some(seeds, 'seed')}: {words.seq([net.title for net in found])}."
    links = [("nets", "The nets"), *((anchor(i), f"Verdicts on {set_title(i)}") for i in sets)]
    links += [(a.id, a.title) for a in asked]
    nav = "".join(f'<a href="#{at}">{rich(text)}</a>' for at, text in links)
    question = "Which of the paper’s claims hold here?" if judged else "What was measured of these nets?"
    return (
        f'<header><div class="over">AlterLab · Report made {datetime.date.today().isoformat()}{when}</div><h1>{question}</h1>'
        f'<p class="lead">{rich(" ".join(said) or about)}</p><p class="quiet">{rich(about if said else "")} {rich(of)} '
        f"The paper: Park and Kim, How Do Vision Transformers Work?, ICLR 2022.</p><nav>{nav}</nav></header>"
    )


def anchor(data_id: str) -> str:
    """The id of the verdicts on a set of images."""
    return f"verdicts-{''.join(letter if letter.isalnum() else '-' for letter in data_id)}"


# ---- nets


def nets(found: Sequence[Reported]) -> str:
    """Each net: its ribbon, how it was trained, and what came of it."""
    return f'<div class="nets">{"".join(map(_net, found))}</div>'


def _net(net: Reported) -> str:
    run = net.run
    icon = ribbon.family_icon(net.family, 15, LIGHT)
    drawn = ribbon.draw(layout(run.plan, run.image_size), side=13, paint=LIGHT)
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{rich(value)}</dd></div>" for name, value in _facts(net).items())
    name = f"<h3>{icon}{escape(net.title)}</h3><code>{escape(run.id)}</code>"
    return f'<section class="net">{name}<div class="ribbon">{drawn}</div><code>{escape(run.arch)}</code><dl>{facts}</dl></section>'


def _facts(net: Reported) -> dict[str, str]:
    run, final = net.run, net.final
    found = {"Accuracy": accuracy(final)}
    if final.get("n_train"):
        found["Trained on"] = f"{words.count(int(final['n_train']))} images of {set_title(run.data)}, seed {run.seed}"
    else:
        found["Images"] = f"{set_title(run.data)}, seed {run.seed}"
    found["Recipe"] = recipe(net)
    if "parameters" in final and "flops" in final:
        found["Size"] = f"{words.millions(final['parameters'])} parameters, {words.mflop(final['flops'])} MFLOP an image"
    if "seconds" in final:
        where = final.get("hardware") or final.get("device") or "unknown hardware"
        found["Trained in"] = f"{words.duration(final['seconds'])} on {where}, {final.get('precision', 'precision unknown')}"
    return found


def accuracy(final: Any) -> str:
    """`93.1 % of 10,000 test images (95 % 92.6 to 93.6)`."""
    n = int(final.get("n_test") or 0)
    if not n:
        return f"{words.percent(final['accuracy'], 2)}; of how many images is not known"
    share, low, high = share_interval(round(final["accuracy"] * n), n)
    limits = f"95 % {words.plain(100 * low, 1)} to {words.plain(100 * high, 1)}"
    return f"**{words.percent(share)}** of {words.count(n)} test images ({limits})"


def recipe(net: Reported) -> str:
    """How a net was trained, in words; what differs from the usual recipe is named."""
    run = net.run
    if not run.recipe:
        return f"imported: {run.plan.weights}" if isinstance(run.plan, Outline) else "not known"
    made = from_dict(run.recipe)
    said = f"{words.some(made.total_epochs, 'epoch')}, batch {made.batch}, {made.optimiser}, learning rate {made.lr:g}"
    rest = {name: value for name, value in changed(run.recipe).items() if name not in ("epochs", "batch", "optimiser", "lr")}
    labels = type(made).__dataclass_fields__
    return said + "".join(f", {labels[name].metadata['label'].lower()} {value}" for name, value in rest.items())


# ---- figures


def figure(takeaway: str, rows: Sequence[Sequence[str]], foot: str, below: str = "", label: str = "") -> str:
    """One question's pictures: sentence, panels in rows, what and n and seed, table."""
    panels = "".join(f'<div class="row r{columns(len(row))}">{"".join(f"<div>{one}</div>" for one in row)}</div>' for row in rows)
    head = f"<h4>{escape(label)}</h4>" if label else ""
    said = f'<p class="take">{rich(takeaway)}</p>' if takeaway else ""
    return f"<figure>{head}{said}{panels}<figcaption>{rich(foot)}</figcaption></figure>{below}"


def foot(question: Question) -> str:
    """What, n, seed, net, data, and when it was measured."""
    said: dict[str, list[str]] = {}
    for net, one in question.answers:
        said.setdefault(_images(one.manifest, one.table), []).append(net.title)
    each = [f"{words.seq(titles)}: {text}" for text, titles in said.items()]
    days = sorted({str(one.manifest.get("created", ""))[:10] for _, one in question.answers} - {""})
    text = f"{'; '.join(each)}. Intervals: 95 %."
    if question.missing:
        text += f" Not measured: {words.seq([net.title for net in question.missing])}."
    if days:
        text += f" Measured {' to '.join(dict.fromkeys((days[0], days[-1])))}."
    rows = sum(len(one.table) for _, one in question.answers)
    return text if rows <= SHORT else f"{text} {words.count(rows)} rows of numbers, in the data block."


def _images(manifest: Any, table: pd.DataFrame) -> str:
    notes, params = manifest.get("notes") or {}, manifest.get("params") or {}
    kind = notes.get("said") or ("training images" if params.get("on") == "train" else "test images")
    n = int(table["images"].max()) if "images" in table else int(params.get("images") or 0)
    data_id = str(manifest.get("data", ""))
    phase = f", weights {WHEN[params['phase']]}" if params.get("phase", "end") in WHEN and "phase" in params else ""
    seed = f", seed {int(table['seed'].iloc[0])}" if "seed" in table else ""
    return f"{words.count(n)} {kind}{f' of {set_title(data_id)}' if data_id else ''}{seed}{phase}"


def label(question: Question) -> str:
    """What sets a question apart from others of its analysis: the phase and unusual settings; "" for the usual one."""
    phase = question.params.get("phase", "end")
    said = [WHEN[phase].capitalize()] if phase != "end" and phase in WHEN else []
    said += [f"{name}: {value}" for name, value in unusual(question).items() if value != ""]
    return " · ".join(said)


def card(text: str) -> str:
    """The method card, closed."""
    parts = "".join(f"<p>{rich(part)}</p>" for part in text.split("\n\n"))
    return f"<details><summary>How this is measured</summary>{parts}</details>"


def table(question: Question) -> str:
    """The numbers behind a figure, closed, where they are few; else they stand in the data block alone."""
    rows = pd.concat([one.table.assign(net=net.title) for net, one in question.answers], ignore_index=True)
    if len(rows) > SHORT:
        return ""
    rows = rows[["net", *rows.columns.drop("net")]]
    same = [name for name in rows.columns if name != "net" and rows[name].nunique(dropna=False) == 1]
    units = {column.id: column.unit for column in question.analysis.columns}
    shown = rows.drop(columns=same)
    head = "".join(f'<th scope="col">{escape(name)}<small>{escape(units.get(name, ""))}</small></th>' for name in shown.columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in shown.itertuples(index=False, name=None))
    caption = f"<caption>In all rows: {escape(', '.join(f'{name} {_cell(rows[name].iloc[0])}' for name in same))}</caption>" if same else ""
    made = f'<div class="wide"><table class="numbers">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<details><summary>Table, {words.some(len(rows), 'row')}</summary>{made}</details>"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return words.NOTHING
    if isinstance(value, float):
        return escape(f"{value:.4g}".replace("-", words.MINUS))
    return escape(str(value))


# ---- numbers


def result(net: Reported, one: Any) -> dict[str, Any]:
    """A stored answer as JSON: where it comes from, and its table by columns; `same` holds columns with one value in all rows."""
    kept = ("analysis", "key", "version", "params", "phase", "weights", "data", "data_digest", "created", "code", "versions", "seconds",
            "device", "others", "notes")  # fmt: skip
    values = {name: _plain(one.table[name]) for name in one.table.columns}
    same = {name: column[0] for name, column in values.items() if all(value == column[0] for value in column)}
    columns = {name: column for name, column in values.items() if name not in same}
    facts = {name: one.manifest[name] for name in kept if name in one.manifest}
    return {"run": net.run.id, **facts, "table": {"rows": len(one.table), "order": list(values), "same": same, "columns": columns}}


def _plain(column: pd.Series) -> list[Any]:
    return [None if value is None or value != value else value for value in column.tolist()]


def of_net(net: Reported) -> dict[str, Any]:
    """A net as JSON: its run, what training ended with, and its accuracy with the 95 % interval."""
    n = int(net.final.get("n_test") or 0)
    share = share_interval(round(net.final["accuracy"] * n), n) if n else (net.final["accuracy"], None, None)
    return {"id": net.run.id, "title": net.title, "run": net.run.to_json(), "final": dict(net.final),
            "accuracy": dict(zip(("share", "low", "high"), share, strict=True)), "results_of_former_methods": net.old}  # fmt: skip
