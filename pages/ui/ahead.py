"""What the first visit needs, loaded while the server starts and the browser fetches its files."""

import dataclasses
import gc
import importlib
import inspect
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

#: modules that import the libraries for tables, charts and the icon
NEEDED = (
    "pages.ui.frame", "pages.ui.figure", "pages.ui.measured", "pages.ui.verdict_rows",
    "pyarrow.parquet", "pyarrow.pandas_compat", "PIL.PngImagePlugin",
)  # fmt: skip


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """The server's life; it answers at once, what is NEEDED comes beside."""
    threading.Thread(target=load, name="ahead", daemon=True).start()
    yield


def load() -> None:
    """Imports what is NEEDED and every analysis, as small as they can be."""
    # pyarrow's own memory pool takes 7 MB more than the system's; its client of a cloud store 3 MB, and it goes without
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.modules.setdefault("pyarrow._s3fs", None)  # type: ignore[arg-type]  # Python's own mark for: not to be imported
    for name in NEEDED:
        importlib.import_module(name)
    importlib.import_module("core.analyses").catalogue()
    verdicts = importlib.import_module("pages.ui.verdict_found")
    verdicts.ahead()  # Start is judged first, the Scorecard when the libraries are warm
    rehearse()
    verdicts.ahead(tuple(verdicts.CLAIMS))
    # Streamlit asks who called it at its first element: 0.05 s with these modules, unless somebody has asked before
    inspect.getmodule(load.__code__)
    # Streamlit collects garbage after every script: 0.06 s less where modules are left out
    gc.collect()
    gc.freeze()


def rehearse() -> None:
    """Reads and draws what came with the lab once: the libraries' first table and first chart take longer than later ones."""
    from altair.utils.schemapi import debug_mode

    from core import analyses
    from pages.ui import draw, measured, pickers

    runs = pickers.shipped()
    for analysis in analyses.catalogue().values():
        found = measured.answers(analysis, runs, dataclasses.asdict(analysis.params()))
        for answer in list(found.values())[:1]:
            with debug_mode(False):
                draw.on_page(partial(analysis.chart, answer.table), "light")
