"""Files cut off at every byte, as a power cut leaves them: what is whole is used, what is torn is never believed."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core import io, jobs, table
from core.jobs import Context, record, state
from tests.jobs import matrix_lab
from tests.jobs.matrix_lab import Lab, ended, running, until

lab = pytest.fixture(matrix_lab.open_lab)


def attempt(folder: Path) -> Path:
    """A made-up attempt that ended well."""
    place = folder / "jobs" / "000001-count-abcdef" / "attempts" / "1"
    place.mkdir(parents=True)
    io.write_json(place / "begun.json", {"pid": 1, "boot": "", "started": 1.0})
    record.reserve(place / "exit.slot")
    record.reserve(place / "report.slot")
    record.write_slot(place / "exit.slot", {"code": 0, "oom": False, "full": False, "hard": 0.0, "launch": "", "ended": 2.0})
    record.write_slot(place / "report.slot", {"outcome": "done", "cause": "", "message": ""})
    return place


def verdict(place: Path) -> str:
    end = state.after("running", 3, 3, record.seen(place))
    assert end.state in ("succeeded", "failed"), end
    return end.state


@pytest.mark.parametrize("slot", ["exit.slot", "report.slot"])
def test_a_torn_slot_is_never_success(tmp_path: Path, slot: str):
    place = attempt(tmp_path)
    assert verdict(place) == "succeeded"
    whole = (place / slot).read_bytes()
    used = len(whole.rstrip(b"\0"))
    rng = random.Random(1)
    for cut in range(used - 1):  # the last byte is a line's end
        for rest in (b"", bytes(len(whole) - cut), rng.randbytes(used - cut)):
            (place / slot).write_bytes(whole[:cut] + rest)
            assert verdict(place) == "failed", (slot, cut, rest[:8])
    for at in range(used - 1):
        for flip in (1, 32, 128):
            (place / slot).write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            assert verdict(place) == "failed" or (at < 8 and flip == 32 and whole[at : at + 1].isalpha()), (slot, at)
    (place / slot).unlink()
    assert verdict(place) == "failed"


def test_a_slot_half_overwritten(tmp_path: Path):
    """The old word up to a byte, the new one after it, or the other way round."""
    path = tmp_path / "state.slot"
    record.write_slot(path, old := {"state": "queued", "attempt": 3, "reason": "x" * 40})
    first = path.read_bytes()
    record.write_slot(path, new := {"state": "succeeded", "attempt": 4, "reason": ""})
    second = path.read_bytes()
    for cut in range(300):
        for mixed in (first[:cut] + second[cut:], second[:cut] + first[cut:]):
            path.write_bytes(mixed)
            assert record.read_slot(path) in ({}, old, new), cut


def test_torn_progress(tmp_path: Path):
    place = attempt(tmp_path)
    job = place.parent.parent
    context = Context(job, 1)
    context.progress(7, 10, "seven", loss=0.5)
    whole = (job / "progress.json").read_bytes()
    for cut in range(len(whole)):
        (job / "progress.json").write_bytes(whole[:cut])
        assert record.progress(job) is None, cut
        assert verdict(place) == "succeeded"
    for rest in (b"[1]", b"null", b'"words"', b"{}", b"\xff\xfe", b'{"step": null, "total": []}', b'{"step": "x", "total": 1}'):
        (job / "progress.json").write_bytes(rest)
        assert verdict(place) == "succeeded", rest
    (job / "progress.json").write_bytes(whole)
    said = record.progress(job)
    assert said and (said.step, said.total, said.message) == (7, 10, "seven")


def test_torn_metrics(tmp_path: Path):
    """A last line that is not whole is left out, and the next row does not run into it."""
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": n, "loss": 1 / n, "attempt": 1} for n in range(1, 4)]
    for row in rows:
        table.append_row(path, row)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = [row for n, row in enumerate(rows) if cut >= len(b"\n".join(whole.split(b"\n")[: n + 1]))]
        assert table.read_rows(path) == kept, cut
        table.append_row(path, {"step": 9})
        assert table.read_rows(path) == [*kept, {"step": 9}], cut


def test_torn_begun(tmp_path: Path):
    """Who started is unknown; how it ended is not."""
    place = attempt(tmp_path)
    whole = (place / "begun.json").read_bytes()
    for cut in range(len(whole) - 1):
        (place / "begun.json").write_bytes(whole[:cut])
        assert verdict(place) == "succeeded"
        assert not record.seen(place).begun


def test_torn_state_of_a_queued_job(lab: Lab):
    """The list is made again while a job's last decision is torn: it is looked at anew, and what has run does not run again."""
    done, failed = ended(jobs.submit("count", {"steps": 1, "device": "cpu"}).id), ended(jobs.submit("bug", {"device": "cpu"}).id)
    matrix_lab.stop_dispatcher()
    for job in (done, failed):
        whole = (job.folder / "state.slot").read_bytes()
        (job.folder / "state.slot").write_bytes(whole[:20])
    (record.root() / "jobs.db").unlink()
    assert [ended(job.id).state for job in (done, failed)] == ["succeeded", "failed"]
    assert jobs.get(failed.id).cause == "exception"
    assert matrix_lab.starts(lab) == {done.id: 1, failed.id: 1}


def test_half_a_resume_point(tmp_path: Path):
    """Of the newest point that was cut anywhere, the one before it is used; with neither whole, training starts anew."""
    import torch

    from core.train import snapshot

    def parts() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = torch.nn.Linear(2, 2)
        return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    net, optimiser = parts()
    for step in (1, 2):
        net(torch.ones(1, 2)).sum().backward()
        optimiser.step()
        snapshot.save_point(tmp_path, net, optimiser, None, {"step": step})
        if step == 1:
            weight = net.weight.detach().clone()
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    whole = last.read_bytes()
    fresh, other = parts()
    start = fresh.weight.detach().clone()
    for cut in range(len(whole)):
        last.write_bytes(whole[:cut])
        info = snapshot.load_point(tmp_path, fresh, other, None)
        assert info == {"step": 1} and torch.equal(fresh.weight, weight), cut
    fresh, other = parts()
    kept = previous.read_bytes()
    for cut in range(0, len(kept), 7):
        previous.write_bytes(kept[:cut])
        assert snapshot.load_point(tmp_path, fresh, other, None) is None and torch.equal(fresh.weight, start)
    last.write_bytes(whole)
    assert snapshot.load_point(tmp_path, fresh, other, None) == {"step": 2} and torch.equal(fresh.weight, net.weight)
    shutil.rmtree(tmp_path)


def test_half_a_count(tmp_path: Path):
    """The self-test's own checkpoint: a torn one is a clean start."""
    from core.tasks import sleep

    context = Context(tmp_path, 1)
    assert sleep({"steps": 2, "delay_s": 0}, context) == {"count": 2, "from": 0}
    whole = (tmp_path / "count.json").read_bytes()
    for cut in range(len(whole)):
        (tmp_path / "count.json").write_bytes(whole[:cut])
        first = sleep({"steps": 3, "delay_s": 0}, context)["from"]
        assert first == 0 or (first == 2 and json.loads(whole[:cut])["count"] == 2), cut


def test_torn_job(lab: Lab):
    """What a job was asked is lost: it is not believed, nor does it hold up the others."""
    first = running(jobs.submit("count", {"steps": 20, "device": "cpu"}).id)
    torn = jobs.submit("count", {"steps": 1, "device": "cpu"})
    (torn.folder / "job.json").write_bytes((torn.folder / "job.json").read_bytes()[:40])
    last = jobs.submit("count", {"steps": 1, "device": "cpu"})
    assert [ended(job.id).state for job in (first, last)] == ["succeeded"] * 2
    until(lambda: jobs.get(torn.id).state in jobs.ENDED)
    assert jobs.get(torn.id).state == "failed"


def test_the_list_says_what_the_folders_say(lab: Lab):
    """A result that is torn is none, and the job still is what it was."""
    job = ended(jobs.submit("count", {"steps": 1, "device": "cpu"}).id)
    (job.place / "result.json").write_text('{"count": ')
    assert replace(jobs.get(job.id), result=None) == replace(job, result=None)
