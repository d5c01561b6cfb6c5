"""Copy a finished run, with what was measured on it, into a folder: to share it, or to ship it with the lab."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from core.errors import StoreError
from core.store import results, runs


def export(run_id: str, to: Path, phases: Sequence[str] = ("end",)) -> Path:
    """`to`/<run id> with run.json, history, final.json, the weights of `phases`, and all results; returns it.

    A file that is there already is replaced; nothing is removed.  Raises StoreError if the run is unfinished.
    """
    place = runs.folder(run_id)
    if runs.final(run_id) is None:
        raise StoreError(f"The run {run_id} is not finished; only finished runs are exported. Train it to the end first.")
    target = to / run_id
    wanted = [place / name for name in ("run.json", "history.jsonl", "final.json")] + [runs.weights(run_id, phase) for phase in phases]
    for path in wanted:
        copy = target / path.relative_to(place)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if copy.resolve() != path.resolve():
            shutil.copyfile(path, copy)
    for manifest in results.list_results(run_id):
        name = Path("results") / manifest["analysis"] / manifest["key"]
        for root in (runs.user_root(), runs.shipped_root()):
            if (root / run_id / name).is_dir() and not (target / name).exists():
                shutil.copytree(root / run_id / name, target / name)
    return target
