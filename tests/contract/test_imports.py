"""Who may import whom, and what must never be loaded: the layers of ARCHITECTURE.md, held by a test."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "core").rglob("*.py")
    if path.name != "__main__.py"
)
ANALYSES = sorted(path.stem for path in (ROOT / "core" / "analyses").glob("[a-z]*.py"))
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
#: where torch stands at the top of a file; elsewhere it is imported inside functions
TORCH_AT_TOP = ("core/models/", "core/train/", "core/metrics/", "core/data/augment.py", "core/data/corruptions/")

BLOCK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def without(blocked: tuple[str, ...], code: str, home: Path, *arguments: str) -> str:
    """Run `code` in a fresh Python in which some libraries are not installed; its output.  Fails with the error's text."""
    command = [sys.executable, "-W", "error", "-c", BLOCK.format(blocked=blocked) + code, *arguments]
    env = {**os.environ, "ALTERLAB_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_layers_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """import-linter's contracts, as pyproject.toml writes them."""
    from importlinter.cli import lint_imports

    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert broken == 0, capsys.readouterr().out


def test_the_linter_sees_a_forbidden_import(tmp_path: Path) -> None:
    """The contracts above can fail: a store that imports torch three calls deep and a core that imports streamlit are caught."""
    files = {
        "core/io.py": "def digest():\n    import torch\n    return torch\n",
        "core/store/__init__.py": "def load():\n    from core import io\n    return io\n",
        "core/jobs/__init__.py": "",
        "core/spec.py": "import streamlit\n",
        "core/unplaced.py": "",
        "pages/ui/__init__.py": "",
        "pages/start.py": "from pages import build\n",
        "pages/build.py": "",
    }
    for name, text in {**files, "core/__init__.py": "", "pages/__init__.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    code = "import sys\nfrom importlinter.cli import lint_imports\nsys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        assert f"{contract['name']} BROKEN" in done.stdout, done.stdout


def test_core_is_whole_without_streamlit_and_altair(tmp_path: Path) -> None:
    """Every module of core imports on a machine that has neither streamlit nor altair."""
    code = "import importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\nprint(len(sys.argv) - 1)"
    assert int(without(("streamlit", "altair"), code, tmp_path, *MODULES)) == len(MODULES) > 10


def test_analyses_import_without_torch_and_altair(tmp_path: Path) -> None:
    """Finding and listing the analyses loads neither torch nor altair: they are for `measure` and `chart`."""
    assert ANALYSES
    code = (
        "import importlib\n"
        "for name in sys.argv[1:]:\n"
        "    module = importlib.import_module(f'core.analyses.{name}')\n"
        "    assert module.ANALYSIS.id == name, (module.ANALYSIS.id, name)\n"
        "print('done')"
    )
    assert without(("torch", "torchvision", "timm", "altair", "streamlit"), code, tmp_path, *ANALYSES).strip() == "done"


def test_torch_stands_at_the_top_only_where_nets_are_made() -> None:
    """Elsewhere torch is imported inside the function that needs it."""
    wrong = []
    for path in (ROOT / "core").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(TORCH_AT_TOP):
            continue
        for node in ast.parse(path.read_text()).body:
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{name}:{node.lineno}" for module in imported if module.partition(".")[0] in ("torch", "torchvision", "timm")]
    assert not wrong


def test_no_page_loads_torch(tmp_path: Path) -> None:
    """The app's process opens every page and has no torch afterwards: it would cost seconds and slow every click."""
    code = (
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not app.exception, app.exception\n"
        "for name in sys.argv[1:]:\n"
        "    app.switch_page(f'pages/{name}.py').run()\n"
        "    assert not app.exception, (name, app.exception)\n"
        "    assert 'went wrong' not in str(app) and 'could not be shown' not in str(app), (name, app)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'matplotlib', 'plotly'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print('done')"
    )
    assert PAGES
    assert without((), code, tmp_path, *PAGES).strip().endswith("done")


@pytest.mark.slow
def test_training_and_measuring_need_no_app(tmp_path: Path) -> None:
    """A machine without streamlit and altair trains a net and measures it from the command line."""
    code = "import runpy\nsys.argv[0] = 'core'\nrunpy.run_module('core', run_name='__main__', alter_sys=True)"
    absent = ("streamlit", "altair")
    train = ("train", "--arch", "cc-cm/width=16,32/heads=1,2", "--data", "fashion", "--epochs", "1", "--limit", "256", "--device", "cpu")
    without(absent, code, tmp_path, *train)
    listed = without(absent, code, tmp_path, "runs", "--json")
    run = next(line for line in (tmp_path / "runs").iterdir() if not line.name.startswith(".")).name
    assert run in listed
    measured = without(absent, code, tmp_path, "measure", run, "fourier", "--set", "images=32", "--json")
    assert '"fourier"' in measured or "fourier" in measured
    assert list((tmp_path / "runs" / run / "results" / "fourier").glob("*/table.parquet"))
