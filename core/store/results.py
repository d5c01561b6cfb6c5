"""Results, addressed by their question: the same question lands in the same folder, a changed method in another."""

from __future__ import annotations

import datetime
import logging
import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import core
from core import io
from core.errors import StoreError
from core.store import runs
from core.table import Measurement

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ANALYSIS = re.compile(r"[a-z][a-z0-9_]{0,39}")
KEY = re.compile(r"[0-9a-f]{16}")
PACKAGES = ("torch", "numpy", "pandas", "pyarrow")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A result as it lies on disk."""

    manifest: dict[str, Any]
    table: pd.DataFrame
    arrays: dict[str, np.ndarray]


def result_key(analysis_id: str, version: int, params: dict[str, Any], weights_digest: str, data_digest: str) -> str:
    """16 hex digits that name a question: method and its version, parameters, weights and images."""
    return io.digest({"analysis": analysis_id, "version": version, "params": params, "weights": weights_digest, "data": data_digest})


@cache
def revision() -> str:
    """The code's git revision (`-dirty` if changed since), or the package's version outside a checkout."""
    command = ["git", "-C", str(io.CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
    if (io.CHECKOUT / ".git").exists():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            return core.__version__
        if done.returncode == 0:
            return done.stdout.strip()
    return core.__version__


@cache
def packages() -> dict[str, str]:
    """Versions of the packages that numbers depend on; one that is not installed is left out."""
    return {d.metadata["Name"].lower(): d.version for name in PACKAGES for d in metadata.distributions(name=name)}


def _checked(run_id: str, analysis_id: str, key: str = "") -> Path:
    """`<run id>/results/<analysis>[/<key>]`; StoreError if a part could not be such a name."""
    runs.folder(run_id)
    if not ANALYSIS.fullmatch(analysis_id):
        raise StoreError(f"{analysis_id[:60]!r} is not an analysis id: lower-case letters, digits and _ make one.")
    if key and not KEY.fullmatch(key):
        raise StoreError(f"{key[:60]!r} is not the key of a result: 16 hex digits make one.")
    return Path(run_id) / "results" / analysis_id / key


def save_result(
    run_id: str, analysis_id: str, key: str, measurement: Measurement, manifest: dict[str, Any], *, shipped: bool = False
) -> Path:
    """Store a measurement under its key, whole or not at all; returns the folder.

    If another process stored the same question first, its answer stays; a damaged one is replaced.  `shipped` writes
    beside the shipped run instead of into the user's root (for the maintainers' own command).

    Raises StoreError if the run or the names are unknown, or the measurement cannot be stored.
    """
    import numpy as np

    place = (runs.shipped_root() if shipped else runs.user_root()) / _checked(run_id, analysis_id, key)
    if not KEY.fullmatch(key):
        raise StoreError("A result needs a key of 16 hex digits to be stored under.")
    if odd := [name for name, array in measurement.arrays.items() if np.asarray(array).dtype.hasobject]:
        raise StoreError(f"The array {odd[0]!r} holds Python objects; only numbers and texts of fixed length can be stored.")
    origin = {"code": revision(), "versions": packages(), "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    facts = {**origin, "notes": measurement.notes, "error": "", **manifest, "run": run_id, "analysis": analysis_id, "key": key}

    def fill(aside: Path) -> None:
        arrays, table = BytesIO(), BytesIO()
        np.savez_compressed(arrays, **measurement.arrays)  # type: ignore[arg-type]  # names are free
        measurement.table.to_parquet(table, index=False)
        io.write_atomic(aside / "arrays.npz", arrays.getvalue())
        io.write_atomic(aside / "table.parquet", table.getvalue())
        io.write_json(aside / "manifest.json", facts)

    if not io.publish_folder(place, fill) and _read(place) is None:
        aside = place.with_name(f".damaged-{uuid.uuid4().hex}")
        os.rename(place, aside)
        io.publish_folder(place, fill)
        shutil.rmtree(aside, ignore_errors=True)  # the whole answer is in its place; of the damaged one nothing is wanted
    return place


def _read(place: Path) -> Stored | None:
    """The result in a folder; None if there is none, or (with a line in the log) if it is damaged."""
    import numpy as np
    import pyarrow.parquet as pq

    if not (place / "manifest.json").is_file():
        return None
    try:
        manifest = io.read_json(place / "manifest.json")
        if not isinstance(manifest, dict) or manifest.get("key") != place.name:
            raise ValueError("the manifest belongs to another result")
        # not pandas' reader, which imports pyarrow.dataset; from memory, so that a damaged file is not left open
        table = pq.ParquetFile(BytesIO((place / "table.parquet").read_bytes())).read().to_pandas()
        # from memory: numpy leaves a damaged file open
        with np.load(BytesIO((place / "arrays.npz").read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # one flipped byte makes zip, zlib, numpy, parquet and pandas raise almost anything
        log.warning("The stored result %s is damaged (%s); it counts as not measured.", place, error)
        return None
    return Stored(manifest=manifest, table=table, arrays=arrays)


def load_result(run_id: str, analysis_id: str, key: str) -> Stored | None:
    """The stored answer to a question, the user's before the shipped one; None if there is none that can be read."""
    name = _checked(run_id, analysis_id, key)
    if not key:
        return None
    return next((found for root in (runs.user_root(), runs.shipped_root()) if (found := _read(root / name))), None)


def list_results(run_id: str, analysis_id: str = "") -> list[dict[str, Any]]:
    """Manifests of what is stored for a run (of one analysis, or of all), oldest first; each holds `key` and `shipped`."""
    runs.folder(run_id)
    if analysis_id:
        _checked(run_id, analysis_id)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for root in (runs.shipped_root(), runs.user_root()):
        for path in sorted((root / run_id / "results").glob(f"{analysis_id or '*'}/*/manifest.json")):
            if not (KEY.fullmatch(path.parent.name) and ANALYSIS.fullmatch(path.parent.parent.name)):
                continue
            try:
                manifest = io.read_json(path)
            except (OSError, ValueError):
                log.warning("The manifest %s cannot be read; its result counts as not measured.", path)
                continue
            if isinstance(manifest, dict) and manifest.get("key") == path.parent.name:
                found.setdefault((path.parent.parent.name, path.parent.name), {**manifest, "shipped": root == runs.shipped_root()})
    return sorted(found.values(), key=lambda manifest: str(manifest.get("created", "")))
