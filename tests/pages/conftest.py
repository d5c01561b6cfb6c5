"""A lab with its own data folder and its own shipped nets, opened without a browser."""

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from core import data, io, jobs, live, presets, size, spec, store
from core.analyses import fourier
from core.jobs import wake
from core.recipe import RECIPES
from core.run import Run
from core.table import Measurement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page test starts a process that works: no dispatcher, no live worker."""
    monkeypatch.setattr(wake, "ensure", lambda: None)
    monkeypatch.setattr(live, "warm", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(live, "state", lambda *_args, **_kwargs: "warming")


Stand = TypeVar("Stand")


def stands_in(worker: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """The live worker's place is taken by one that has `state`, `reason`, `warm` and `ask`."""
    monkeypatch.setattr(live, "state", lambda op, **args: worker.state)
    monkeypatch.setattr(live, "reason", lambda op, **args: worker.reason)
    monkeypatch.setattr(live, "warm", worker.warm)
    monkeypatch.setattr(live, "ask", worker.ask)
    return worker


def pictured(index: int) -> dict:
    """What the live worker says of a test image of Fashion-MNIST."""
    images = data.load("fashion-full", "test", 32)
    code = base64.b64encode(images.pixels[index].tobytes()).decode()
    return {"shape": [1, 32, 32], "pixels": code, "class": images.spec.classes[int(images.labels[index])], "seconds": 0.0}


@pytest.fixture
def checkout(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for shipped runs; `home` is empty too."""
    place = tmp_path / "checkout"
    monkeypatch.setattr(io, "CHECKOUT", place)
    return place


@pytest.fixture
def through_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run goes through app.py, as on a server that has been visited before.

    AppTest forgets between runs that `st.navigation` was called and would run the page's file alone, without the frame.
    """
    begin = PagesManager.__init__

    def visited(self: PagesManager, *args: object, **kwargs: object) -> None:
        begin(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", visited)


@pytest.fixture
def opened(checkout: Path, through_app: None) -> Callable[..., AppTest]:
    """Opens the lab on a page, with query parameters, as a link does."""

    def open_page(name: str = "start", **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        return app if name == "start" else app.switch_page(f"pages/{name}.py").run()

    return open_page


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Jobs are written down instead of started."""
    asked: list[tuple] = []

    def submit(task: str, args: dict, *, label: str = "", dedup: str = "", **_: object) -> None:
        asked.append((task, args, label, dedup))

    monkeypatch.setattr(jobs, "submit", submit)
    return asked


@pytest.fixture
def shipped(checkout: Path) -> list[Run]:
    """Three shipped nets with stored results; their spectra fall by 0.2 at each MSA and rise by 0.1 at each other unit."""
    return [ship(name, accuracy) for name, accuracy in (("resnet-mini", 0.9), ("vit-mini", 0.8), ("alternet-mini", 0.85))]


def ship(name: str, accuracy: float, data: str = "fashion-full", seed: int = 0) -> Run:
    """A trained net as it comes with the lab, with its spectra, in `checkout`."""
    arch = presets.resolve(name)
    recipe = dataclasses.asdict(RECIPES["quick"])
    run = Run(arch=arch.notation, data=data, recipe=recipe, name=presets.PRESETS[name].title, seed=seed)
    place = io.CHECKOUT / "checkpoints" / run.id
    place.mkdir(parents=True)
    io.write_json(place / "run.json", run.to_json())
    facts = {"seconds": 100.0, "cpu_seconds": 100.0, "steps": 1000, "batch": 128, "device": "cpu", "threads": 1}
    facts |= {"n_train": 60_000, "n_test": 10_000}
    io.write_json(place / "final.json", {"accuracy": accuracy, "nll": 0.4, "ece": 0.02, **facts, **size.count(arch, 32, 10)})
    manifest = {"params": dataclasses.asdict(fourier.Params(images=64)), "version": fourier.ANALYSIS.version}
    store.save_result(run.id, "fourier", io.digest({"of": name}), Measurement(table=spectra(arch)), manifest, shipped=True)
    return run


def spectra(arch: spec.Architecture) -> pd.DataFrame:
    """A table as fourier measures it, with known steps: -0.2 at MSA, +0.1 elsewhere."""
    rows, level = [], -2.0
    slots = spec.layout(arch, 32)
    heads = [("stem", 0, 0, 0, "stem", "", "", 0.0, False, slots[0].side, None)]
    heads += [
        (s.id, place, s.stage, s.index, s.kind, s.form, s.letter, s.depth, s.resampling, s.side, -0.2 if s.kind == "msa" else 0.1)
        for place, s in enumerate(slots, 1)
    ]
    for *head, step in heads:
        level += step or 0.0
        half = head[-1] // 2
        for k in range(half):
            value, top = (level if k == half - 1 else level * k / half), k == half - 1
            change = (step, step - 0.01, step + 0.01) if step is not None and top else (float("nan"),) * 3
            rows.append((*head, "", k, 2 * k / head[-1], top, value, value - 0.02, value + 0.02, *change, 64, 0))
    return pd.DataFrame(rows, columns=[column.id for column in fourier.COLUMNS])
