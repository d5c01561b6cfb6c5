"""The sections of a report that hold its figures: an analysis each, in the order of the app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from core import words
from core.analyses import Analysis
from core.errors import LabError
from core.report import drawing, figures, gather, page
from core.report.gather import Question, Reported
from core.words import rich

#: Figures may take so much of the file [bytes]; the rest is for the numbers.
MOST = 3_600_000


def asked(found: Sequence[Reported]) -> list[Analysis]:
    """The analyses of the figures, in their order."""
    each = [question.analysis for group in gather.drawn(found) for question in gather.questions(group)]
    order = {name: place for place, name in enumerate(gather.ORDER)}
    return sorted({analysis.id: analysis for analysis in each}.values(), key=lambda a: order.get(a.id, len(order)))


def drawn(found: Sequence[Reported], progress: Callable[..., None]) -> tuple[list[str], int]:
    """The sections with the figures, an analysis each, and how many questions they answer."""
    groups = gather.drawn(found)
    order = [analysis.id for analysis in asked(found)]
    each = [question for group in groups for question in gather.questions(group)]
    each.sort(key=lambda question: order.index(question.analysis.id))  # within an analysis they stay as they are
    sections, used, done = [], 0, 0
    if len([net for group in groups for net in group]) < len(found):
        said = "The figures show one net of each architecture, its first seed; the numbers of all are in the data block."
        sections.append(f'<p class="quiet">{said}</p>')
    for analysis_id, held in groupby(each, key=lambda question: question.analysis.id):
        questions = list(held)
        method = questions[0].analysis
        part = [f'<section><h3 id="{analysis_id}">{rich(method.question)} <small>{rich(method.title)}</small></h3>']
        for number, question in enumerate(questions):
            part.append(_figure(question, f"{analysis_id}{number}") if used < MOST else _undrawn(question))
            used, done = used + len(part[-1].encode()), done + 1
            progress(done, len(each), method.title)
        part += _over_training(questions) if analysis_id == "hessian" and used < MOST else []
        sections.append("".join([*part, page.card(method.card), "</section>"]))
    missing = sorted({title for group in groups for title in gather.unasked(group)})
    if missing:
        sections.append(f'<p class="quiet">Not measured of any of these nets: {rich(words.seq(missing))}.</p>')
    return ['<h2 id="figures">What was measured</h2>', *sections], done


def _figure(question: Question, name: str) -> str:
    said, foot, below = figures.say(question), page.foot(question), page.table(question)
    try:
        drawn = []
        for row, charts in enumerate(figures.rows(question)):
            alts = [_alt(question, said, row, column, len(charts)) for column in range(len(charts))]
            drawn.append(drawing.row(charts, alts, f"{name}-{row}", figures.cell(figures.columns(len(charts)))))
    except LabError as error:
        return page.figure(said, [[f"<p>{rich(str(error))}</p>"]], foot, below, page.label(question))
    return page.figure(said, drawn, foot, below, page.label(question))


def _alt(question: Question, said: str, row: int, column: int, panels: int) -> str:
    """What a screen reader says: the takeaway on the first panel, the net or the place on the others."""
    title, nets = question.analysis.title, [net.title for net, _ in question.answers]
    of = f"{title}, {nets[column]}" if panels == len(nets) else f"{title}, row {row + 1}, panel {column + 1}"
    return f"{of}: {said.replace('**', '')}" if said and not row and not column else of


def _undrawn(question: Question) -> str:
    text = "Not drawn, so that the file stays under 5 MB; its numbers are in the data block."
    return page.figure(figures.say(question), [[f"<p>{text}</p>"]], page.foot(question), label=page.label(question))


def _over_training(questions: Sequence[Question]) -> list[str]:
    """The two numbers of the Hessian over the phases, for nets that were all measured at several."""
    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in questions:
        groups.setdefault(tuple(net.run.id for net, _ in question.answers), []).append(question)
    found = []
    for place, held in enumerate(groups.values()):
        said, charts = figures.over_training(held)
        if charts:
            drawn = drawing.row(charts, [said, "The second number of the same figure"], f"phases{place}-", figures.cell(2))
            found.append(page.figure("", [drawn], f"{page.foot(held[0]).partition(', weights')[0]}, at each phase.", label="Over training"))
    return found
