"""The page process stays light: pages open without torch, and core.chart without altair until a chart is made."""

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


def test_the_look_needs_no_chart_library(tmp_path: Path) -> None:
    done = python(_CHART, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
