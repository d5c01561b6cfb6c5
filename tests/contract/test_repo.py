"""The repository as a stranger finds it: its commands are real, nothing in it points at one machine, and it stays small."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import core

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis", ".local", "node_modules"}
TEXT = {".py", ".md", ".toml", ".txt", ".js", ".css", ".html", ".json", ".jsonl", ".yml", ".yaml", ".sh", ".cfg", ""}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, without what git ignores."""
    found = []
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in SKIPPED]
        found += [Path(folder, name) for name in names]
    return tuple(found)


@cache
def texts() -> dict[str, str]:
    """Path -> text of every text file but this one, which has to name what it forbids."""
    here = Path(__file__).resolve()
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in files() if p.suffix in TEXT and p != here}


FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.\-:/<>*])/(?:home/(?!me\b)|work/|root/|Users/|mnt/|opt/)[\w.]"),
    "a package registry's host": re.compile(
        r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.com|deb\.debian\.org|archive\.ubuntu|download\.pytorch|index-url", re.I
    ),
    "a private or local mirror": re.compile(r"file:///|https?://(?:10|172|192)\.\d"),
    "a conflict mark": re.compile(r"^(?:<{7} |>{7} )", re.M),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_points_at_one_machine(what: str) -> None:
    """No absolute path, no registry host: the project names what it needs and lets the reader's own tools fetch it."""
    hits = [f"{name}: {match.group()}" for name, text in texts().items() for match in [FORBIDDEN[what].search(text)] if match]
    assert not hits


def test_the_patterns_can_find_something() -> None:
    """Each pattern above matches what it is meant for and leaves ordinary text alone."""
    bad = ['open("/home/ann/x.npy")', "pip install --index" + "-url https://py" + "pi.org/simple x", "file:///srv/wheels", "<<<<<<< HEAD"]
    for pattern, text in zip(FORBIDDEN.values(), bad, strict=True):
        assert pattern.search(text)
        assert not pattern.search("See docs/start.png, ~/.local/share/alterlab, https://arxiv.org/abs/2202.06709 and tests/home/x.")


def test_no_pickle_and_no_swallowed_error() -> None:
    """Nothing is stored by pickle, and no error is caught to be dropped."""
    code = {name: text for name, text in texts().items() if name.endswith(".py")}
    loads = re.compile(r"^\s*(?:import|from) (?:pickle|dill|cloudpickle)\b|allow_pickle=True|weights_only=False", re.M)
    drops = re.compile(r"except(?:\s+\(?(?:Base)?Exception\b[^\n]*)?:\s*\n\s*(?:pass|continue)\b|suppress\((?:Base)?Exception\)")
    assert not [name for name, text in code.items() if name.startswith(("core/", "pages/", "app.py")) and loads.search(text)]
    assert not [name for name, text in code.items() if drops.search(text)]


def test_requirements_are_bounded() -> None:
    """Every requirement has a lowest version, and an upper bound."""
    seen = set()
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            line = line.partition("#")[0].strip()
            if not line or line.startswith("-r "):
                continue
            package, bounds = re.fullmatch(r"([A-Za-z0-9_.\-]+)(?:\[\w+\])?\s*(.*)", line).groups()
            seen.add(package)
            if "==" in bounds:
                continue
            assert ">=" in bounds, f"{name}: {line} has no lowest version"
            assert "<" in bounds, f"{name}: {line} has no upper bound"
    assert {"streamlit", "torch", "timm", "pytest"} <= seen


def test_every_import_is_required() -> None:
    """A third-party module imported by app, pages or core stands in requirements.txt, or comes with one that does."""
    required = set(re.findall(r"^[a-z0-9_.\-]+", (ROOT / "requirements.txt").read_text().lower(), re.M))
    # what a module is called where it is installed, or the package that always brings it
    provider = {"PIL": "torchvision", "vl_convert": "vl-convert-python"}
    known = {*sys.stdlib_module_names, "core", "pages"}
    pattern = re.compile(r"^\s*(?:import|from) ([A-Za-z_]\w*)", re.M)
    missing = set()
    for name, text in texts().items():
        if name.endswith(".py") and name.startswith(("core/", "pages/", "app.py")):
            code = re.sub(r'""".*?"""', "", text, flags=re.S)
            imported = set(pattern.findall(code)) - known
            missing |= {f"{name}: {module}" for module in imported if provider.get(module, module).lower() not in required}
    assert not missing


def readme_commands() -> list[str]:
    """The command lines in README.md's shell blocks, continued lines joined, comments dropped."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def lab_commands() -> list[list[str]]:
    """The arguments of each `python -m core ...` in README.md."""
    return [shlex.split(line, comments=True)[3:] for line in readme_commands() if re.match(r"(?:\S*/)?python3? -m core ", line)]


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m core` with these arguments."""
    return subprocess.run([sys.executable, "-m", "core", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_readme_commands_are_real() -> None:
    """make targets exist, files named exist, subcommands answer --help, and describe prints what it is said to print."""
    lines = readme_commands()
    assert {"make run", "make test"} <= set(lines)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert {w for w in words[1:] if "=" not in w} <= targets, line
        elif words[0].endswith("pip"):
            assert (ROOT / words[words.index("-r") + 1]).is_file(), line
        elif words[0].endswith("streamlit"):
            assert words[1] == "run" and (ROOT / words[2]).is_file(), line
        elif words[0].endswith(("python", "python3")):
            assert words[1] == "-m" and words[2] in ("core", "venv", "pytest"), line
        else:
            raise AssertionError(f"README.md shows a command this test does not know: {line}")


@pytest.mark.slow
def test_readme_lab_commands_answer(tmp_path: Path) -> None:
    """Each `python -m core` subcommand of README.md has its help, and knows every option that README.md gives it."""
    commands = lab_commands()
    assert commands
    for name in sorted({words[0] for words in commands}):
        done = lab(name, "--help")
        assert done.returncode == 0, (name, done.stderr)
        for words in commands:
            if words[0] == name:
                options = {word.partition("=")[0] for word in words if word.startswith("--")}
                assert options <= set(re.findall(r"--[a-z-]+", done.stdout)), words


def test_readme_shows_what_describe_prints() -> None:
    """The describe lines of README.md run as they stand."""
    described = [words for words in lab_commands() if words[0] == "describe"]
    assert described
    for words in described:
        wanted = words if "--json" in words else [*words, "--json"]
        done = lab(*wanted)
        assert done.returncode == 0, (words, done.stderr)
        assert json.loads(done.stdout)["parameters"] > 0


def test_readme_links_lead_somewhere() -> None:
    """Pictures and files that the Markdown files link to are in the repository."""
    missing = []
    for path in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text()):
            if not (path.parent / target).exists():
                missing.append(f"{path.name}: {target}")
    assert not missing


def test_one_version_everywhere() -> None:
    """pyproject.toml, the package and the newest entry of CHANGELOG.md agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest and project["version"] == core.__version__ == newest.group(1)


def test_files_stay_readable_and_small() -> None:
    """Source files end near 300 lines, and no single file is too large for a clone."""
    long = {name: n for name, text in texts().items() if name.endswith((".py", ".js")) and (n := text.count("\n")) > 520}
    assert not long
    large = {path.relative_to(ROOT).as_posix(): size for path in files() if (size := path.stat().st_size) > 12_000_000}
    assert not large


def test_text_of_the_user_documents() -> None:
    """The documents use plain words: no exclamation marks, no pictographs, no badges."""
    for path in ROOT.glob("*.md"):
        text = re.sub(r"```.*?```|`[^`]*`|!\[", "", path.read_text(), flags=re.S)
        assert "!" not in text, path.name
        assert not re.search(r"[\U0001F000-\U0001FAFF\u2600-\u27BF]", text), path.name
        assert "shields.io" not in text, path.name
