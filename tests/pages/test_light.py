"""The page process stays light: pages open without torch, libraries come ahead of them, core.chart without altair."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_OPEN = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({app!r}, default_timeout=60)
app.run()
for page in {pages!r}:
    app.switch_page(f"pages/{{page}}.py").run()
    assert not app.exception, page
heavy = [name for name in ("torch", "torchvision", "timm") if name in sys.modules]
assert not heavy, heavy
"""
_AHEAD = """
import sys
from streamlit.web.server.app_discovery import discover_asgi_app
from pathlib import Path
assert discover_asgi_app(Path("app.py")).import_string == "app:app"
import app
assert app.app.script_path == Path("app.py").resolve(), app.app.script_path
assert "pandas" not in sys.modules, "the server answers before the libraries are loaded"
from pages.ui import ahead
ahead.load()
before = {name.partition(".")[0] for name in sys.modules}
from streamlit.testing.v1 import AppTest
test = AppTest.from_file("app.py", default_timeout=60).run()
assert not test.exception and test.title and "went wrong" not in str(test), test
assert "See it" in {link.proto.label for link in test.get("page_link")}, "the shipped results are read and judged"
late = {name.partition(".")[0] for name in sys.modules} - before
late &= {"numpy", "pandas", "pyarrow", "altair", "PIL", "narwhals", "jsonschema"}
assert not late, late
import pyarrow
assert pyarrow.default_memory_pool().backend_name == "system" and not sys.modules["pyarrow._s3fs"]
heavy = {"torch", "torchvision", "timm", "matplotlib", "vl_convert"} & set(sys.modules)
assert not heavy, heavy
"""
_CHART = """
import sys
from core import chart, ribbon, words, glossary, edit, rule
heavy = [name for name in ("altair", "streamlit", "torch", "vl_convert") if name in sys.modules]
assert not heavy, heavy
"""


def python(code: str, home: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "ALTERLAB_HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)


@pytest.mark.timeout(110)
def test_no_page_brings_torch_into_its_process(tmp_path: Path) -> None:
    pages = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
    done = python(_OPEN.format(app=str(ROOT / "app.py"), pages=pages), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.timeout(110)
def test_the_server_loads_ahead_what_the_first_page_needs(tmp_path: Path) -> None:
    """`streamlit run app.py` serves `app`, which answers at once; after `load` a page imports no library of its own, and no torch."""
    done = python(_AHEAD, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_look_needs_no_chart_library(tmp_path: Path) -> None:
    done = python(_CHART, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
