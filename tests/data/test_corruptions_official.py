"""The reader of published corrupted images, on made files: order of the severities, both layouts, and bad files."""

import io
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.corruptions.official import published, read_official
from core.errors import DataError

N = 12


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """A small CIFAR-10-C: every value of an image is ten times its severity plus its number."""
    values = np.concatenate([10 * severity + np.arange(N) for severity in range(1, 6)]).astype(np.uint8)
    np.save(tmp_path / "fog.npy", np.broadcast_to(values[:, None, None, None], (5 * N, 32, 32, 3)) + np.arange(3, dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.tile(np.arange(N) % 10, 5).astype(np.uint8))
    return tmp_path


def test_severities_lie_one_after_the_other(cifar):
    assert published(cifar) == ["fog"]
    for severity in range(1, 6):
        found = read_official(cifar, "fog", severity)
        assert found.pixels.shape == (N, 3, 32, 32) and found.pixels.dtype == np.uint8 and found.classes == ()
        assert np.array_equal(found.pixels[:, 0, 5, 9], 10 * severity + np.arange(N))
        assert np.array_equal(found.pixels[:, 2, 0, 0] - found.pixels[:, 0, 0, 0], np.full(N, 2))
        assert found.labels.dtype == np.int64 and np.array_equal(found.labels, np.arange(N) % 10)


def test_pixels_are_mapped_not_read(cifar):
    found = read_official(cifar, "fog", 2)
    base = found.pixels
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) and not found.pixels.flags.writeable


def save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


def claim(shape: tuple[int, ...]) -> bytes:
    """A file that says it is larger than it is."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue() + b"0" * 100


class Trap:
    """Writes a file if it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("fog.npy", b"", "cannot be read as an array"),
        ("fog.npy", b"\x93NUMPY\x01\x00", "cannot be read as an array"),
        ("fog.npy", claim((1 << 62, 1 << 62, 32, 3)), "cannot be read as an array"),
        ("fog.npy", claim((50_000, 32, 32, 3)), "cannot be read as an array"),
        ("fog.npy", np.zeros((60, 32, 32, 3), np.float32), r"holds float32 60 x 32 x 32 x 3; it should hold uint8"),
        ("fog.npy", np.zeros((60, 3, 32, 32), np.uint8), r"holds uint8 60 x 3 x 32 x 32; it should hold"),
        ("fog.npy", np.zeros((61, 32, 32, 3), np.uint8), r"holds uint8 61"),
        ("fog.npy", np.zeros((0, 32, 32, 3), np.uint8), r"cannot be read as an array|holds uint8 0"),
        ("fog.npy", np.zeros(60, np.uint8), r"holds uint8 60; it should"),
        ("labels.npy", np.zeros(59, np.uint8), r"should hold 60 whole numbers"),
        ("labels.npy", np.zeros(60), r"should hold 60 whole numbers"),
        ("labels.npy", np.arange(60), r"the same 12 labels, none below 0, once for each severity"),
        ("labels.npy", np.full(60, -1), r"none below 0"),
    ],
)
def test_arrays_that_are_not_as_they_should_be_are_refused(cifar, name, content, words):
    if isinstance(content, bytes):
        (cifar / name).write_bytes(content)
    else:
        save(cifar / name, content)
    with pytest.raises(DataError, match=words):
        read_official(cifar, "fog", 1)


def test_nothing_in_a_file_is_run(cifar, tmp_path):
    trap = tmp_path / "sprung"
    for bad in (np.array([Trap(str(trap))], dtype=object), None):
        if bad is None:
            (cifar / "fog.npy").write_bytes(pickle.dumps(Trap(str(trap))))
        else:
            save(cifar / "fog.npy", bad)
        with pytest.raises(DataError, match="cannot be read as an array"):
            read_official(cifar, "fog", 1)
        assert not trap.exists()


def test_a_file_that_is_cut_off_or_leads_away_is_refused(cifar, tmp_path_factory):
    whole = (cifar / "fog.npy").read_bytes()
    (cifar / "fog.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as an array"):
        read_official(cifar, "fog", 1)
    away = tmp_path_factory.mktemp("away") / "fog.npy"
    away.write_bytes(whole)
    (cifar / "fog.npy").unlink()
    (cifar / "fog.npy").symlink_to(away)
    with pytest.raises(DataError, match="a link out of its folder"):
        read_official(cifar, "fog", 1)
    (cifar / "fog.npy").unlink()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("x.npy", whole)
    (cifar / "fog.npy").write_bytes(stream.getvalue())  # several arrays in one file, which numpy would open too
    with pytest.raises(DataError):
        read_official(cifar, "fog", 1)


def test_what_is_not_there_is_said(cifar, tmp_path):
    with pytest.raises(DataError, match=r"has no snow: give the folder"):
        read_official(cifar, "snow", 1)
    with pytest.raises(DataError, match="There is no corruption 'hail'"):
        read_official(cifar, "hail", 1)
    with pytest.raises(DataError, match="severities 1 to 5"):
        read_official(cifar, "fog", 6)
    (cifar / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels.npy cannot be read"):
        read_official(cifar, "fog", 1)
    assert published(tmp_path / "nowhere") == []


@pytest.mark.parametrize("group", ["", "weather", "extra"])
def test_folders_of_pictures(tmp_path, home, group):
    root = tmp_path / "imagenet-c"
    for severity in (1, 2):
        for k, synset in enumerate(("n01440764", "n01443537")):
            place = root / group / "fog" / str(severity) / synset
            place.mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (224, 224), (40 * severity, 60 * k, 20 * i)).save(place / f"ILSVRC2012_val_{i:08d}.JPEG", quality=95)
    assert published(root) == ["fog"]
    found = read_official(root, "fog", 2)
    assert found.classes == ("n01440764", "n01443537") and found.labels.tolist() == [0] * 4 + [1] * 4
    assert found.pixels.shape == (8, 3, 224, 224)
    middle = found.pixels[:, :, 112, 112].astype(int)
    wanted = np.array([[80, 60 * k, 20 * i] for k in range(2) for i in range(4)])
    assert np.abs(middle - wanted).max() <= 3
    assert read_official(root, "fog", 1, size=32).pixels.shape == (8, 3, 32, 32)
    with pytest.raises(DataError, match="There is no folder"):
        read_official(root, "fog", 3)
    bad = root / group / "fog" / "2" / "n01440764" / "ILSVRC2012_val_00000009.JPEG"
    bad.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"00000009.JPEG cannot be read as a picture"):
        read_official(root, "fog", 2)
    bad.unlink()
    shutil.rmtree(root / group / "fog" / "2" / "n01440764")
    (root / group / "fog" / "2" / "n01440764").symlink_to("/")
    with pytest.raises(DataError, match="link to a folder or out of"):
        read_official(root, "fog", 2)
