"""The cost that a study states before it starts, against what the nets that came with the lab really took."""

import pytest

from core import analyses, store
from core.store.runs import shipped_root
from core.studies._told import training

SHIPPED = sorted(path.parent.name for path in shipped_root().glob("*/final.json"))


def test_there_is_something_to_compare_with():
    assert len(SHIPPED) >= 3


@pytest.mark.parametrize("run_id", SHIPPED)
def test_the_training_of_each_net_is_foretold_by_the_others(home, monkeypatch, run_id):
    run, final = store.find(run_id), store.final(run_id)
    others = [known for known in store.list_runs() if known.id != run_id]
    monkeypatch.setattr(store, "list_runs", lambda: others)
    foretold = training(run)
    assert final is not None and foretold is not None
    assert 0.5 < foretold / (final["cpu_seconds"] / final["threads"]) < 2  # its machine was shared: what the wall took says little


def test_measurements_are_foretold_on_the_whole(home):
    """One by one they were timed beside others at work; all together they are within a factor of two."""
    took = foretold = 0.0
    for run_id in SHIPPED:
        run = store.find(run_id)
        for name in ("hessian", "calibration", "corruption", "landscape"):
            for manifest in store.list_results(run_id, name):
                analysis = analyses.get(name)
                if manifest["version"] == analysis.version:
                    took += manifest["seconds"]
                    foretold += analyses.seconds(analysis, run, analysis.params(**manifest["params"])) or 0.0
    assert took > 0 and 0.5 < foretold / took < 2, f"{foretold:.0f} s were foretold, {took:.0f} s it took"
