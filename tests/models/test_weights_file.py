"""Files of weights: the good ones in all their layouts, and the bad ones, each refused in one plain sentence."""

import io
import json
import pickle
import struct
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import StoreError
from core.io import digest_file
from core.models.weights_file import compare, fit, read_weights

STATE = {"stem.weight": torch.arange(6.0).view(2, 3), "stem.bias": torch.ones(2), "count": torch.tensor(3)}


class Small(nn.Module):
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 5), nn.Linear(5, classes)


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


# ---- good files


@pytest.mark.parametrize("ending", [".pth", ".pt", ".pth.tar", ".bin", ".PTH"])
def test_what_torch_saves_is_read_whatever_its_ending(tmp_path: Path, ending: str) -> None:
    torch.save(STATE, tmp_path / f"net{ending}")
    found = read_weights(tmp_path / f"net{ending}")
    assert same(found.state, STATE) and found.key == "" and found.left == ()
    assert found.digest == digest_file(tmp_path / f"net{ending}") and found.bytes == (tmp_path / f"net{ending}").stat().st_size


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "net.safetensors")
    assert same(read_weights(tmp_path / "net.safetensors").state, STATE)


def test_the_format_of_before_2020_is_read(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(read_weights(tmp_path / "old.pth").state, STATE)


@pytest.mark.parametrize(
    ("around", "key"),
    [
        (lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}}, "state_dict"),
        (lambda s: {"model": s, "args": Namespace(lr=0.1)}, "model"),
        (lambda s: {"state_dict": {n: -v for n, v in s.items()}, "state_dict_ema": s}, "state_dict_ema"),
        (lambda s: {"name": "vit_ti", "model": {"state_dict": s}}, "model.state_dict"),
    ],
)
def test_weights_are_found_inside_a_checkpoint(tmp_path: Path, around, key: str) -> None:
    torch.save(around(STATE), tmp_path / "c.pth.tar")
    found = read_weights(tmp_path / "c.pth.tar")
    assert same(found.state, STATE) and found.key == key and "stem.weight" not in found.left


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.module."])
def test_what_wrappers_put_before_names_is_taken_off(tmp_path: Path, prefix: str) -> None:
    torch.save({f"{prefix}{name}": value for name, value in STATE.items()}, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth").state, STATE)


def test_a_prefix_of_some_names_only_stays(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(state, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth").state, state)


def test_what_is_no_weight_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {**STATE, "note": "text"}, "epoch": 3}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").left == ("epoch", "note")


def test_weights_do_not_hang_on_the_file(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(b"\0" * 4000)
    assert same(found.state, STATE)


# ---- bad files


class Evil:
    """Runs a program when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def archive(path: Path, index: bytes, data: dict[str, bytes], pack: int = zipfile.ZIP_STORED) -> Path:
    """A file in torch's layout with an index of our own."""
    with zipfile.ZipFile(path, "w", pack) as out:
        out.writestr("w/data.pkl", index)
        out.writestr("w/byteorder", b"little")
        out.writestr("w/version", b"3\n")
        for name, content in data.items():
            out.writestr(f"w/data/{name}", content)
    return path


class _Storage:
    """Stands for a storage in an index that we write ourselves."""

    def __init__(self, numel: int, key: str = "0") -> None:
        self.numel, self.key = numel, key


def index_of(shape: tuple[int, ...], stride: tuple[int, ...], claimed: int) -> bytes:
    """The index of one tensor `w` with this shape and stride over a storage that claims so many numbers."""

    class Writer(pickle._Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", torch.FloatStorage, obj.key, "cpu", obj.numel) if isinstance(obj, _Storage) else None

        def save_tensor(self, obj: "Claim") -> None:
            self.save_reduce(torch._utils._rebuild_tensor_v2, (_Storage(claimed), 0, shape, stride, False, {}), obj=obj)

    class Claim:
        pass

    Writer.dispatch = {**pickle._Pickler.dispatch, Claim: Writer.save_tensor}
    out = io.BytesIO()
    Writer(out, 2).dump({"w": Claim()})
    return out.getvalue()


def test_an_index_of_our_own_is_read_when_it_is_honest(tmp_path: Path) -> None:
    values = torch.arange(4.0)
    path = archive(tmp_path / "honest.pth", index_of((4,), (1,), 4), {"0": values.numpy().tobytes()})
    assert torch.equal(read_weights(path).state["w"], values)


@pytest.mark.parametrize(
    ("shape", "stride", "claimed"),
    [((10**12,), (0,), 4), ((10**6,), (1,), 4), ((10**6,), (1,), 10**6), ((10**5, 10**5), (0, 0), 4), ((2**40,), (1,), 2**40)],
)
def test_claims_beyond_the_file_are_refused(tmp_path: Path, shape: tuple, stride: tuple, claimed: int) -> None:
    path = archive(tmp_path / "huge.pth", index_of(shape, stride, claimed), {"0": torch.arange(4.0).numpy().tobytes()})
    with pytest.raises(StoreError, match=r"claims|damaged"):
        read_weights(path)


def bad(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "w.pth"
    if kind == "code":
        torch.save({"state_dict": Evil(tmp_path / "ran")}, path)
    elif kind == "code, old format":
        torch.save({"w": torch.ones(1), "x": Evil(tmp_path / "ran")}, path, _use_new_zipfile_serialization=False)
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    elif kind == "cut short":
        torch.save({f"w{i}": torch.randn(100) for i in range(20)}, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "cut short, old format":
        torch.save({f"w{i}": torch.randn(100) for i in range(20)}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "packed":
        archive(path, index_of((10**8,), (1,), 10**8), {"0": b"\0" * (4 * 10**6)}, zipfile.ZIP_DEFLATED)
    elif kind == "other archive":
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("picture.png", b"x" * 100)
    elif kind == "TorchScript":
        archive(path, index_of((4,), (1,), 4), {"0": b"\0" * 16})
        with zipfile.ZipFile(path, "a") as out:
            out.writestr("w/code/__torch__.py", "class Net(Module): pass")
    elif kind == "text":
        path.write_text("these are not weights\n" * 20)
    elif kind == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 500)
    elif kind == "empty":
        path.touch()
    elif kind == "list":
        torch.save([torch.ones(2)], path)
    elif kind == "tensor":
        torch.save(torch.ones(2), path)
    elif kind == "whole net":
        torch.save(nn.Linear(2, 2), path)
    elif kind == "no tensor":
        torch.save({"epoch": 3, "name": "x"}, path)
    elif kind == "not finite":
        torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, path)
    elif kind == "later archive":
        torch.save({"a": torch.ones(2)}, path)
        whole = bytearray(path.read_bytes())
        struct.pack_into("<H", whole, whole.index(b"PK\x01\x02") + 6, 99)  # "needs zip 9.9 to be read"
        path.write_bytes(whole)
    elif kind == "complex":
        torch.save({"a": torch.ones(2, dtype=torch.complex64)}, path)
    elif kind == "sparse":
        torch.save({"a": torch.eye(3).to_sparse()}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("code", r"more than weights \(\S+\), which could run as a program"), ("code, old format", "could run as a program"),
        ("bare pickle", "could run as a program|damaged"),
        ("cut short", "damaged"), ("cut short, old format", "damaged"), ("packed", "packed archive"), ("later archive", "damaged"),
        ("other archive", "none that torch"),
        ("TorchScript", "TorchScript program"), ("text", "damaged"), ("picture", "damaged"), ("empty", "is empty"),
        ("list", "holds a list"),
        ("tensor", "a single tensor"), ("whole net", "could run as a program"), ("no tensor", "no weights"), ("not finite", "not finite"),
        ("complex", "kind that the lab does not read"), ("sparse", "kind that the lab does not read"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_a_sentence_and_nothing_of_it_runs(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        read_weights(bad(tmp_path, kind))
    assert not (tmp_path / "ran").exists()
    text = str(refused.value)
    assert text.startswith("w.pth") and text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 320


def safetensors_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 64,
        struct.pack("<Q", 2**60) + b"{}",
        safetensors_of({"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}, b"\0" * 16),
        safetensors_of({"w": {"dtype": "F32", "shape": [10**6], "data_offsets": [0, 16]}}, b"\0" * 16),
        safetensors_of(b"{not json"),
        b"\0\0",
    ],
)  # fmt: skip
def test_a_bad_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"no whole \.safetensors file"):
        read_weights(path)


def test_a_pickle_called_safetensors_is_not_opened_as_one(tmp_path: Path) -> None:
    torch.save({"state_dict": Evil(tmp_path / "ran")}, tmp_path / "w.safetensors")
    with pytest.raises(StoreError, match=r"no whole \.safetensors file"):
        read_weights(tmp_path / "w.safetensors")
    assert not (tmp_path / "ran").exists()


def test_missing_files_other_endings_and_large_files(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no file x\.pth"):
        read_weights(tmp_path / "x.pth")
    (tmp_path / "x.pkl").write_bytes(b"1")
    with pytest.raises(StoreError, match=r"should end in one of \.safetensors"):
        read_weights(tmp_path / "x.pkl")
    torch.save(STATE, tmp_path / "x.pth")
    with pytest.raises(StoreError, match=r"at most 0\.0 GB are read"):
        read_weights(tmp_path / "x.pth", limit=100)
    (tmp_path / "d.pth").mkdir()
    with pytest.raises(StoreError, match="There is no file"):
        read_weights(tmp_path / "d.pth")


# ---- into a net


def test_what_does_not_fit_is_a_readable_list_and_the_net_stays_as_it_was() -> None:
    small = Small()
    before = {name: value.clone() for name, value in small.state_dict().items()}
    state = {"body.weight": torch.ones(5, 7), "head.weight": before["head.weight"], **{f"extra{i}": torch.ones(1) for i in range(9)}}
    found = compare(small, state)
    assert (
        found.shapes == ("body.weight 5×7, the net has 5×3",) and found.missing == ("body.bias", "head.bias") and len(found.unexpected) == 9
    )
    with pytest.raises(StoreError, match=r"2 missing in the file: body.bias, head.bias; 9 in the file.* and 5 more\.$"):
        fit(small, state, "w.pth")
    assert same(small.state_dict(), before)


def test_a_new_head_is_left_random_only_where_that_is_asked_for() -> None:
    small, other = Small(4), Small(9)
    before = small.head.weight.clone()
    with pytest.raises(StoreError, match=r"head\.weight 9×5, the net has 4×5"):
        fit(small, other.state_dict(), "w.pth")
    assert fit(small, other.state_dict(), "w.pth", fresh=("head",)) == ("head.weight", "head.bias")
    assert torch.equal(small.body.weight, other.body.weight) and torch.equal(small.head.weight, before)
    assert fit(small, Small(4).state_dict(), "w.pth", fresh=("head",)) == ()


def test_half_precision_is_widened_and_counters_may_lack() -> None:
    norm = nn.BatchNorm2d(3)
    state = {name: value.half() if value.is_floating_point() else value for name, value in norm.state_dict().items()}
    state.pop("num_batches_tracked")
    assert fit(norm, state, "w.pth") == () and norm.weight.dtype == torch.float32
