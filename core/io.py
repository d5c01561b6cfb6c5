"""Files that are never half-written, digests that mean the same everywhere, and where things live."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent


def home() -> Path:
    """The user's data folder: $ALTERLAB_HOME, else $XDG_DATA_HOME/alterlab, else ~/.local/share/alterlab."""
    if own := os.environ.get("ALTERLAB_HOME"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "alterlab"


def cpu_jobs() -> int:
    """How many jobs compute on this machine's processor at a time: one, or $ALTERLAB_CPU_JOBS (up to 64)."""
    own = os.environ.get("ALTERLAB_CPU_JOBS", "")
    return min(max(1, int(own)), 64) if own.isdecimal() else 1


def threads() -> int:
    """CPU threads for one job: half the cores, shared by `cpu_jobs`, at least one, so that a busy neighbour does not stall it at barriers.

    $ALTERLAB_THREADS and $OMP_NUM_THREADS override.  Measured on two shared cores: two threads beside a busy neighbour are 2.6 times
    slower than one.
    """
    own = next((t for name in ("ALTERLAB_THREADS", "OMP_NUM_THREADS") if (t := os.environ.get(name, "")).isdecimal()), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(own) if own else cores // 2 // cpu_jobs())


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; the text that digests are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of `canonical(value)`, or of the bytes themselves."""
    data = value if isinstance(value, bytes) else canonical(value)
    return hashlib.sha256(data).hexdigest()[:16]


def digest_file(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write aside in the same folder, flush to disk, then rename over `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` of readable JSON."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def publish_folder(final: Path, fill: Callable[[Path], None]) -> bool:
    """Fill a new folder aside and rename it to `final` once.

    False if somebody else put `final` there first (theirs is kept: results are content-addressed).
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
    try:
        fill(aside)
        os.chmod(aside, 0o755)
        os.rename(aside, final)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        if final.is_dir():
            return False
        raise
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return True
