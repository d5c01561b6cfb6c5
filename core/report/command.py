"""`python -m core report`: the report as a file, and what is in it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from core import report, words


def run(args: argparse.Namespace, progress: Callable[..., None]) -> dict[str, Any]:
    """Write the file that the arguments ask for; in words unless --json is given, and as a value.

    Raises LabErrors in words; a place that cannot be written to is refused before the work where that is known.
    """
    path = report.place(args.out)
    made = report.build(args.run_ids, [claim for claim in args.claims.split(",") if claim], args.data, progress)
    size = report.write(path, made)
    if not args.json:
        held = f"{words.some(len(made.runs), 'net')}, {words.some(sum(made.claims.values()), 'claim')}, {words.some(made.tables, 'table')}"
        print(f"{path}: {size / 1e6:.1f} MB, {held}.")
        for name in made.left_out:
            print(f"left out, as the file would be over {report.LIMIT // 10**6} MB: the numbers of {name}")
    return {"file": str(path), "bytes": size, "runs": list(made.runs), "claims": made.claims, "tables": made.tables,
            "left_out": list(made.left_out)}  # fmt: skip
