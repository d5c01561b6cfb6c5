"""The only place that maps a job's name to work.  Heavy imports stand inside: a job waits for its turn without them."""

import time
from collections.abc import Callable
from typing import Any

from core import io
from core.errors import JobError
from core.jobs import Cancelled, Context, record


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

    def progress(step: int, total: int, message: str = "", **metrics: float) -> None:
        context.check()
        context.progress(step, total, message, **metrics)

    stored = measure_together(args["run"], args["asks"], device=args.get("device", "auto"), progress=progress)
    return {"run": args["run"], "keys": {analysis: answer.manifest["key"] for analysis, answer in stored.items()}}


def fetch(args: dict[str, Any], context: Context) -> dict[str, Any]:
    """Get a set of images ({id}) from its source."""
    from core import data

    def progress(step: int, total: int, message: str = "") -> None:
        context.check()
        context.progress(step, total, message)

    data.fetch(args["id"], progress)
    return {"data": args["id"]}


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
    "fetch": fetch,
    "sleep": sleep,
}
