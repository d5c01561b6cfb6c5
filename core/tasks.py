"""The only place that maps a job's name to work.  Heavy imports stand inside: a job waits for its turn without them."""

import json
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from core import io
from core.errors import JobError
from core.jobs import Cancelled, Context, record
from core.jobs.shards import Arrays, Sharded


def _told(context: Context) -> Callable[..., None]:
    """Progress that also hears a wish to stop."""

    def progress(step: int, total: int, message: str = "", **metrics: float) -> None:
        context.check()
        context.progress(step, total, message, **metrics)

    return progress


def train(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Train a run ({run: Run as JSON, device}), going on from its resume point; returns its id and final scores."""
    from core import store
    from core.run import Run

    run = Run.from_json(args["run"])
    folder = store.create(run)
    if (final := store.final(run.id)) is None:
        from core.train.loop import train as work

        final = work(run, folder, context, device=args.get("device", "auto"))
    return {"run": run.id, "final": final}


def measure(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Measure a run ({run: id, asks: {analysis: params}, device}); returns the key under which each answer is stored."""
    from core.analyses import measure_together

    stored = measure_together(args["run"], args["asks"], device=args.get("device", "auto"), progress=_told(context))
    return {"run": args["run"], "keys": {analysis: answer.manifest["key"] for analysis, answer in stored.items()}}


def _one(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The one question of a measurement in rows ({run: id, asks: {analysis: params}, device}): analysis, params."""
    if not isinstance(args.get("asks"), dict) or len(args["asks"]) != 1:
        raise JobError("A measurement in rows asks one question: asks should hold one analysis.")
    [(analysis, params)] = args["asks"].items()
    return analysis, params


@lru_cache(maxsize=1)
def _row(run: str, analysis: str, params: str, device: str) -> Callable[..., Arrays]:
    """What measures a row; the net, the images and the directions are made once a process."""
    from core import analyses

    return analyses.row(run, analysis, json.loads(params), device)


def _rows_count(args: dict[str, Any]) -> int:
    from core import analyses

    analysis, params = _one(args)
    return analyses.rows_of(args["run"], analysis, params)


def _rows_row(args: dict[str, Any], number: int, context: Context) -> Arrays:
    analysis, params = _one(args)
    told, said = _told(context), f"{_rows_word(args)} {number + 1} of {_rows_count(args)}"
    row = _row(args["run"], analysis, json.dumps(params), args.get("device", "auto"))
    return row(number, lambda step, total, *_a, **_k: told(step, total, said))


def _rows_reduce(args: dict[str, Any], rows: list[Arrays], context: Context) -> dict[str, Any]:
    from core import analyses

    analysis, params = _one(args)
    stored = analyses.finish(args["run"], analysis, params, dict(enumerate(rows)), args.get("device", "auto"))
    return {"run": args["run"], "keys": {analysis: stored.manifest["key"]}}


def _rows_word(args: dict[str, Any]) -> str:
    from core import analyses

    rows = analyses.get(_one(args)[0]).rows
    return rows.word if rows else "row"


def _study(args: dict[str, Any]) -> tuple[Any, Any]:
    """The study and how it is done ({study: id, setting: {size, data, seeds}, device})."""
    from core import studies

    return studies.get(args["study"]), studies.Setting(**args.get("setting", {}))


def _study_row(args: dict[str, Any], number: int, context: Context) -> Arrays:
    """One net of a study, trained and measured, or why it could not be; of a study that grows, nothing if it has ended before."""
    import numpy as np

    from core.studies._work import do

    study, setting = _study(args)
    if study.most and "part" in args:
        raise JobError(f"{study.title} decides on its next net by those before: it is one job, not several.")
    members = study.members(setting)
    failed = do(members[number], context, args.get("device", "auto")) if number < len(members) else ""
    return {"failed": np.array(failed)} if failed else {}


def _study_reduce(args: dict[str, Any], rows: list[Arrays], context: Context) -> dict[str, Any]:
    study, setting = _study(args)
    runs = [member.run.id for member in study.members(setting)]
    return {"study": study.id, "runs": runs, "failed": [str(row["failed"]) for row in rows if "failed" in row]}


def _study_rows(args: dict[str, Any]) -> int:
    study, setting = _study(args)
    return study.rows(setting)


def fetch(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Get a set of images ({id}) from its source."""
    from core import data

    data.fetch(args["id"], _told(context))
    return {"data": args["id"]}


def import_images(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Take in a folder or a zip file of pictures ({source, name, settings: fields of Import}); a resumed one goes on."""
    from core.data import importing

    made = importing.add(args["source"], args["name"], importing.Import(**args.get("settings", {})), _told(context))
    return {"data": made["id"], "name": made["name"]}


def import_net(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Take in a net that was made elsewhere ({name, images, and what else `imports.take_in` takes}); returns the id of its run."""
    from core import imports

    known = ("weights", "published", "new_head", "image_size", "seed", "label", "device")
    run = imports.take_in(args["name"], args["images"], **{k: args[k] for k in known if k in args}, progress=_told(context))
    imports.forget(args.get("weights", ""))
    return {"run": run.id}


def sleep(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Self-test of the queue: count to `steps` with `delay_s` between, saving each count; a resumed one goes on counting."""
    steps, delay_s, saved = int(args.get("steps", 3)), float(args.get("delay_s", 0.1)), context.folder / "count.json"
    if steps < 1:
        raise JobError(f"steps is {steps}; it should be at least 1.")
    first = int(record.load(saved).get("count", 0))
    for count in range(first + 1, steps + 1):
        if context.cancelled():
            raise Cancelled
        time.sleep(delay_s)
        io.write_json(saved, {"count": count})
        context.metric({"step": count})
        context.progress(count, steps, f"counted to {count}")
        print(f"count {count}", flush=True)
    return {"count": steps, "from": first}


#: what a job may be called to do
TASKS: dict[str, Callable[[dict[str, Any], Context], dict[str, Any]]] = {
    "train": train,
    "measure": measure,
    "measure_rows": Sharded(rows=_rows_count, row=_rows_row, reduce=_rows_reduce, word=_rows_word),
    "study": Sharded(rows=_study_rows, row=_study_row, reduce=_study_reduce, word=lambda _args: "net"),
    "fetch": fetch,
    "import_images": import_images,
    "import_net": import_net,
    "sleep": sleep,
}
