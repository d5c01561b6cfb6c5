"""Runs on disk, in two roots.  A name from outside becomes a path only if it has the form of an id, which leads nowhere else."""

import json
import os
import shutil
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import io, presets
from core.errors import StoreError, unknown
from core.outline import Outline
from core.run import ID, Run
from core.table import append_row, read_rows

PHASES = ("init", "warmup", "third", "twothirds", "end")


def user_root() -> Path:
    """Where runs are made."""
    return io.home() / "runs"


def shipped_root() -> Path:
    """Where the runs that come with the lab lie; only read."""
    return io.CHECKOUT / "checkpoints"


def _has(root: Path, run_id: str) -> bool:
    """Whether a root holds the run.  An id has no slash and no leading dot, so that it cannot lead out of the root."""
    return (root / run_id / "run.json").is_file()


def _names(root: Path) -> list[str]:
    """Names of the run folders in a root, in order; asks the disk once for each, so it is for lists and not for one run."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        return sorted(e.name for e in entries if ID.fullmatch(e.name) and e.is_dir() and os.path.exists(f"{e.path}/run.json"))


@lru_cache(maxsize=4096)
def _parse(path: str, changed: int, size: int) -> Run:
    return Run.from_json(json.loads(Path(path).read_text(encoding="utf-8")))


def _load(folder: Path) -> Run:
    """The run in a folder; StoreError if its description is damaged or is another run's."""
    path = folder / "run.json"
    try:
        state = path.stat()
        run = _parse(str(path), state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, StoreError) as error:
        raise StoreError(f"The run {folder.name} is damaged: run.json cannot be read ({error}). Delete the folder {folder}.") from error
    if run.id != folder.name:
        raise StoreError(f"The folder {folder} describes the run {run.id}; the folder should have that name.")
    return run


def list_runs() -> list[Run]:
    """Every readable run, shipped ones first; a damaged one is left out here and explained by `find`."""
    found: dict[str, Run] = {}
    for root in (shipped_root(), user_root()):
        for name in _names(root):
            if name in found:
                continue
            try:
                found[name] = _load(root / name)
            except StoreError:
                continue
    return list(found.values())


def folder(run_id: str) -> Path:
    """The folder of a run.  StoreError lists the known ids."""
    if isinstance(run_id, str) and ID.fullmatch(run_id):
        for root in (shipped_root(), user_root()):
            if _has(root, run_id):
                return root / run_id
    raise unknown(StoreError, "run", run_id, [run.id for run in list_runs()])


def find(run_id: str) -> Run:
    """A run by its id.  StoreError lists the known ids, or says what is damaged."""
    return _load(folder(run_id))


def is_shipped(run_id: str) -> bool:
    """Whether a run came with the lab (and cannot be deleted).  StoreError lists the known ids."""
    return folder(run_id).parent == shipped_root()


def family(run: Run) -> str:
    """The mark of a stored run: conv, msa or hybrid for shipped nets and those of others, `you` for what was built here."""
    named = is_shipped(run.id) or (isinstance(run.plan, Outline) and run.plan.level == "units")
    return presets.family(run.plan) if named else "you"


def create(run: Run) -> Path:
    """The user's folder of a run, made if it is not there; the same run lands in the same folder.

    Raises StoreError if the same run is shipped, or if another run already has the id.
    """
    if _has(shipped_root(), run.id):
        raise StoreError(f"The run {run.id} came with the lab, trained and read-only. Another seed or another name trains it anew.")
    place = user_root() / run.id
    if _has(user_root(), run.id):
        if _load(place).digest != run.digest:
            raise StoreError(f"Another run has the id {run.id}. Give this one a name of its own.")
        return place
    place.mkdir(parents=True, exist_ok=True)
    io.write_json(place / "run.json", run.to_json())
    return place


def delete(run_id: str) -> None:
    """Delete one of the user's runs with everything measured on it.  StoreError for a shipped one."""
    place = folder(run_id)
    if place.parent == shipped_root():
        raise StoreError(f"The run {run_id} came with the lab and stays; only runs of your own can be deleted.")
    # gone from every list in one step, then removed at leisure
    aside = place.with_name(f".deleted-{uuid.uuid4().hex}")
    os.rename(place, aside)
    shutil.rmtree(aside)


def history(run_id: str) -> list[dict[str, Any]]:
    """One row an epoch, in order; of an epoch that was run again after a resume the later row counts."""
    rows = {row["epoch"]: row for row in read_rows(folder(run_id) / "history.jsonl") if isinstance(row.get("epoch"), int)}
    return [rows[epoch] for epoch in sorted(rows)]


def append_history(place: Path, row: dict[str, Any]) -> None:
    """Add an epoch's row to the history in a run's folder."""
    append_row(place / "history.jsonl", row)


def rewrite_history(place: Path, keep: int) -> None:
    """Keep the first `keep` epochs of the history in a run's folder (training goes on from there)."""
    path = place / "history.jsonl"
    rows = read_rows(path)
    kept = [row for row in rows if isinstance(row.get("epoch"), int) and row["epoch"] <= keep]
    if path.exists():
        io.write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))


@lru_cache(maxsize=4096)
def _parse_final(path: str, changed: int, size: int) -> dict[str, Any]:
    value = io.read_json(Path(path))
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def final(run_id: str) -> dict[str, Any] | None:
    """The last measurement of a finished run; None while it is unfinished.  StoreError if it is damaged.

    Read anew only when the file has changed.
    """
    path = folder(run_id) / "final.json"
    try:
        state = path.stat()
        return dict(_parse_final(str(path), state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"The last measurement of {run_id} cannot be read ({error}). Train it again or delete {path}.") from error


def weights(run_id: str, phase: str = "end") -> Path:
    """The weights file of a run at init, warmup, third, twothirds or end.  StoreError lists those that are there."""
    folder(run_id)  # refuses what is no run
    there: dict[str, Path] = {}
    for root in (user_root(), shipped_root()):  # a shipped run ships few; who trained the same run has the others
        there |= {path.stem: path for path in sorted((root / run_id / "weights").glob("*.safetensors"))}
    if phase not in there:
        listed = [name for name in PHASES if name in there] + [name for name in there if name not in PHASES]
        raise unknown(StoreError, f"weights file of {run_id} for the phase", phase, listed)
    return there[phase]
