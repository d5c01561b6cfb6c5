"""Runs and their results on disk.  A folder is a run; a result's folder is named by the question that it answers.

    <root>/<run id>/run.json  history.jsonl  final.json  weights/<phase>.safetensors  checkpoint/
                    results/<analysis>/<key>/manifest.json  table.parquet  arrays.npz

Two roots: the user's own (written) and the shipped one (only read).  New results of a shipped run go to the user's root.
"""

from core.store.export import export
from core.store.results import Stored, list_results, load_result, result_key, save_result
from core.store.runs import (
    append_history,
    create,
    delete,
    family,
    final,
    find,
    folder,
    history,
    is_shipped,
    list_runs,
    rewrite_history,
    shipped_root,
    user_root,
    weights,
)

__all__ = [
    "Stored",
    "append_history",
    "create",
    "delete",
    "export",
    "family",
    "final",
    "find",
    "folder",
    "history",
    "is_shipped",
    "list_results",
    "list_runs",
    "load_result",
    "result_key",
    "rewrite_history",
    "save_result",
    "shipped_root",
    "user_root",
    "weights",
]
