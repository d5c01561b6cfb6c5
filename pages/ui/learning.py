"""How the watched training stands: which runs are meant, one sentence about them, their curves and what these stand on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import jobs, recipe, store, words
from core.run import Run
from pages.ui import curves, figure, jobwords, pickers, states
from pages.ui.curves import Curve
from pages.ui.draw import draw


def watched(everything: Sequence[jobs.Job]) -> list[Run]:
    """The run whose curve is drawn and its other seeds, the one in work first; what was started last."""
    runs = {run.id: run for run in pickers.runs()}
    trained = [i for job in everything if (i := jobwords.trained(job)) in runs]
    first = st.session_state.get("train_show")
    first = first if first in runs else next(iter(trained), "")
    if not first:
        return []

    def question(run: Run) -> dict[str, Any]:
        return {name: value for name, value in run.to_json().items() if name not in ("seed", "name")}

    group = [run for run in runs.values() if question(run) == question(runs[first]) and (run.id in trained or run.id == first)]
    working = {jobwords.trained(job) for job in everything if job.state in jobs.STARTED}
    return sorted(group, key=lambda run: (run.id not in working, not store.history(run.id), run.seed))


def _job(run: Run, everything: Sequence[jobs.Job]) -> jobs.Job | None:
    return next((job for job in everything if jobwords.trained(job) == run.id), None)


def total_epochs(run: Run) -> int:
    """Epochs that a run will have when it is done."""
    return recipe.from_dict(run.recipe).total_epochs


def sentence(shown: Sequence[Run], everything: Sequence[jobs.Job], ghost: Run | None) -> str:
    """Where the training stands, in one sentence computed from its history."""
    if not shown:
        return "Nothing is training. Choose a net and images, then press **Train**."
    run, rows = shown[0], store.history(shown[0].id)
    job, title, total = _job(run, everything), pickers.title(run), total_epochs(run)
    state = job.state if job else "succeeded" if pickers.accuracy(run) is not None else "cancelled"
    if not rows:
        begun = {
            "waiting": "waits for its turn",
            "queued": "waits for its turn",
            "failed": "stopped before its first epoch was over",
            "cancelled": "was stopped in its first epoch",
        }
        return f"{title} {begun.get(state, f'is in epoch 1 of {total}')}.{_left(job)}"
    done, accuracy = int(rows[-1]["epoch"]), float(rows[-1]["accuracy"])
    if state == "succeeded" and (final := pickers.accuracy(run)) is not None:
        accuracy = final
    verb = {"succeeded": "reached", "failed": "stopped at", "cancelled": "was stopped at"}.get(state, "is at")
    when = f"after {words.some(done, 'epoch')}" if done >= total else f"after {done} of {words.some(total, 'epoch')}"
    return f"{title} {verb} **{words.percent(accuracy)}** {when}{_against(done, accuracy, run, ghost)}.{_left(job)}"


def _left(job: jobs.Job | None) -> str:
    if job is None or job.state != "running" or job.progress is None or (job.progress.eta_s or 0) < 1:
        return ""
    return f" **{words.duration(job.progress.eta_s)}** to go."


def _against(epoch: int, accuracy: float, run: Run, ghost: Run | None) -> str:
    """`, 2.1 points ahead of AlterNet-mini at that point`, if the reference saw the same images and has that epoch."""
    if ghost is None or ghost.id == run.id or ghost.data != run.data:
        return ""
    row = next((row for row in store.history(ghost.id) if row["epoch"] == epoch), None)
    if row is None:
        return ""
    gap = accuracy - float(row["accuracy"])
    how = f"{words.plain(abs(100 * gap), 1)} points {'ahead of' if gap > 0 else 'behind'}"
    return f", {'level with' if abs(gap) < 5e-4 else how} {pickers.title(ghost)} at that point"


def picture(shown: Sequence[Run], everything: Sequence[jobs.Job], ghost: Run | None) -> None:
    """Accuracy and loss, the foot line under both."""
    drawn = [
        Curve(name=f"{pickers.title(run)} · seed {run.seed}", family=pickers.family(run), role="own" if i == 0 else "seed", rows=rows)
        for i, run in enumerate(shown)
        if (rows := store.history(run.id))
    ]
    if ghost is not None and ghost.id not in {run.id for run in shown}:
        # beside a short run the reference is drawn no further than twice as far, or the short one would be a dot
        rows, far = store.history(ghost.id), 2 * max((total_epochs(run) for run in shown), default=10**6)
        drawn.append(
            Curve(name=pickers.title(ghost), family="ref", role="ghost", rows=[row for row in rows if row["epoch"] <= max(far, 5)])
        )
    if not drawn:
        states.empty("**No curve yet.** It is drawn epoch by epoch while a net trains.")
        return
    epochs = max([*(total_epochs(run) for run in shown), *(int(curve.rows[-1]["epoch"]) for curve in drawn)])
    foot = foot_text(shown, ghost if any(curve.role == "ghost" for curve in drawn) else None)
    says = sentence(shown, everything, ghost)
    facts = [epochs, [[curve.name, curve.family, curve.role, curve.rows] for curve in drawn]]
    charts = [lambda theme, i=i: curves.both(drawn, epochs, theme)[i] for i in (0, 1)]
    for i, (column, chart, what) in enumerate(zip(st.columns(2, gap="large"), charts, ("Test accuracy", "Training loss"), strict=True)):
        with column:
            draw(chart, [i, *facts], f"train_chart_{i}", f"{what}. {says}")
    figure.foot_line(foot, curves.table(drawn), "training", "train", lambda: figure.svg_file(charts, says, foot))


def foot_text(shown: Sequence[Run], ghost: Run | None) -> str:
    """Which seeds, which images, what the dashed line is."""
    text = []
    if shown:
        run = shown[0]
        others = [str(other.seed) for other in shown[1:]]
        names = f"{len(others)} other seeds" if len(others) > 4 else f"seed{'s' if len(others) > 1 else ''} {words.seq(others)}"
        thin = f"; {names} as thin lines" if others else ""
        title, images = pickers.title(dataclasses.replace(run, seed=0)), pickers.set_title(run.data)
        text.append(f"{title}: seed {run.seed}{thin}, {images}, recipe {run.recipe.get('name', '')}.")
        rows = store.history(run.id)
        tested = rows[-1].get("n_test") if rows else None
        text.append(f"Accuracy while training on {words.count(int(tested))} test images." if tested else "")
    if ghost is not None:
        unlike = [] if not shown else [name for name in ("data", "recipe") if getattr(ghost, name) != getattr(shown[0], name)]
        unlike = [{"data": "images"}.get(name, name) for name in unlike]
        text.append(f"Dashed: stored run of {pickers.title(ghost)}{', other ' + words.seq(unlike) if unlike else ''}.")
        tested = (store.history(ghost.id) or [{}])[-1].get("n_test")
        on = f", {words.count(int(tested))} test images" if tested else ""
        text.append(f"That run: seed {ghost.seed}, {pickers.set_title(ghost.data)}{on}.")
    return " ".join(part for part in text if part)
