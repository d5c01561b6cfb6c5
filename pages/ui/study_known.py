"""What is known of a study: its nets, verdicts and cost, read anew only when something was stored; its newest job."""

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core import cost, io, jobs, store, studies
from core.claims import Verdict
from core.jobs import shards
from core.studies import Cost, Setting, Study, _drawn
from pages.ui import joblist, pickers


@dataclass(frozen=True, kw_only=True)
class Known:
    """`table` has a row a run, `nets` a row a net; `timed` says where times come from, `stored` what it was read from."""

    table: pd.DataFrame
    nets: pd.DataFrame
    verdicts: list[Verdict]
    cost: Cost
    rows: int
    ended: bool
    recipe: str
    hardware: tuple[str, ...]
    tested: int
    timed: str
    stored: str

    @property
    def measured(self) -> int:
        """How many runs are trained and measured."""
        return int((self.table["state"] == "ready").sum())

    @property
    def trained(self) -> int:
        """How many runs are trained."""
        return int(self.table["state"].isin(["trained", "ready"]).sum())

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.cost.nets or self.cost.measurements)


def stored() -> str:
    """A digest of what is stored: which runs there are, when each was finished, and when results were added."""
    facts: list[Any] = [run.id for run in store.list_runs()]
    for root in (store.shipped_root(), store.user_root()):
        for path in sorted(found for pattern in ("*/final.json", "*/results/*") for found in root.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # deleted since
                facts.append([str(path), path.stat().st_mtime_ns])
    return io.digest(facts)


def known(study: Study, setting: Setting) -> Known:
    """What is stored of a study's nets."""
    return _known(study.id, dataclasses.asdict(setting), stored())


@st.cache_resource(max_entries=64, show_spinner=False)
def _known(study_id: str, given: dict[str, Any], stored: str) -> Known:
    study, setting = studies.get(study_id), Setting(**given)
    table, members = studies.table(study, setting), study.members(setting)
    for name in study.shows:
        table[f"{name}_asked"] = [_drawn.asked(member, name) for member in members]
    finals = [final for run in table[table["state"].isin(["trained", "ready"])]["run"] if (final := store.final(run))]
    first = members[0].run
    epochs, speed = sorted({member.run.recipe["epochs"] for member in members}), cost.train_speed(first.plan, first.image_size)
    return Known(
        table=table, nets=_drawn.nets(study, table), verdicts=studies.verdicts(study, setting),
        cost=studies.cost(study, setting), rows=study.rows(setting), ended=study.ended(setting),
        recipe=f"{' to '.join(str(one) for one in dict.fromkeys((epochs[0], epochs[-1])))} epochs, batch {first.recipe['batch']}",
        hardware=tuple(dict.fromkeys(str(final.get("device", "")).upper() for final in finals if final.get("device"))),
        tested=max((int(final.get("n_test", 0)) for final in finals), default=0), timed=speed[1] if speed else "", stored=stored,
    )  # fmt: skip


# ---- the job


def args(study: Study, setting: Setting) -> dict[str, Any]:
    """What the job of a study is told."""
    return {"study": study.id, "setting": dataclasses.asdict(setting), "device": "auto"}


def job_of(study: Study, setting: Setting) -> jobs.Job | None:
    """The newest job of a study, not one of its parts."""
    wanted = args(study, setting)
    return next((job for job in jobs.list() if job.task == "study" and job.args == wanted), None)


def submit(study: Study, setting: Setting, price: Cost) -> None:
    """Queue a study; one that is under way is not doubled.

    Several GPUs, or the nodes of a cluster, share its nets; not of one that grows, where each net waits for the one before.
    """
    wanted, rows, devices = args(study, setting), study.rows(setting), joblist.gpus("cuda")
    parts = shards.parts(rows, (price.seconds or 0.0) / rows, devices) if devices > 1 and not study.most else 0
    parts, rows = (parts, rows) if parts > 1 else (0, 0)
    label = f"Study: {study.title}, {setting.size}, {pickers.set_title(setting.data)}"
    jobs.submit("study", wanted, label=label, dedup=io.digest(wanted), parts=parts, rows=rows)
