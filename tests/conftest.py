"""What every test stands on: a data folder of its own, one thread, and plain words where something is missing."""

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest

# Before torch is imported anywhere: tests run beside each other on small machines, and one thread gives the same sums each time.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
_HOME = tempfile.TemporaryDirectory(prefix="alterlab-tests-")
os.environ["ALTERLAB_HOME"] = _HOME.name
# leases of devices are of the machine, not of the data folder: a lab that works here must not keep tests from running
os.environ["ALTERLAB_LEASES"] = f"{_HOME.name}/leases"
# hypothesis would keep a folder in the checkout
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{_HOME.name}/hypothesis"

from hypothesis import settings  # noqa: E402 - reads the folder above when it is imported

settings.register_profile("lab", deadline=None, derandomize=True, database=None, print_blob=False)
settings.load_profile("lab")

NO_BROWSER = "no Chromium on this machine; `make test-deps` gets one"
NO_GPU = "no CUDA device on this machine"


@cache
def chromium() -> str:
    """Path of a Chromium, or ""."""
    from tests.browser.chromium import find

    return find()


@cache
def cuda() -> bool:
    """Whether torch sees a CUDA device."""
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip with a line what this machine cannot run."""
    for item in items:
        if item.get_closest_marker("browser") and not chromium():
            item.add_marker(pytest.mark.skip(reason=NO_BROWSER))
        if item.get_closest_marker("gpu") and not cuda():
            item.add_marker(pytest.mark.skip(reason=NO_GPU))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a missing browser is seen by, even in a long log."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if any(NO_BROWSER in reason for reason in reasons):
        terminalreporter.section("browser tests were skipped")
        terminalreporter.line("There is no Chromium on this machine, so no page was opened in a browser. To get one: make test-deps")
    if any("slurm" in reason.lower() for reason in reasons):
        terminalreporter.section("tests on a Slurm cluster were skipped")
        terminalreporter.line("The same jobs were tested on this machine only. To get Slurm: make test-deps")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder for this test alone."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("ALTERLAB_HOME", str(folder))
    monkeypatch.setenv("ALTERLAB_LEASES", str(tmp_path / "leases"))
    return folder
