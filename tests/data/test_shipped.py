"""The images that come with the lab: whole, balanced, a subset of the full set, and the same for every reader."""

import subprocess
import sys

import numpy as np
import pytest

from core import data
from core.data import idx, shipped
from core.data.dataset import digest
from core.data.make_fashion import first_of_each
from core.errors import DataError

debian = pytest.mark.skipif(not idx.DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")


@pytest.fixture(scope="module")
def train():
    return data.load("fashion", "train")


@pytest.fixture(scope="module")
def test():
    return data.load("fashion", "test")


def test_has_the_declared_size_and_digest(train, test):
    assert train.pixels.shape == (20_000, 1, 32, 32) and test.pixels.shape == (10_000, 1, 32, 32)
    for images, declared in zip((train, test), data.get("fashion").digests, strict=True):
        assert images.digest == declared == digest(images.pixels, images.labels)
        assert images.pixels.dtype == np.uint8 and images.labels.dtype == np.int64


def test_every_class_is_there_equally_often(train, test):
    assert np.bincount(train.labels).tolist() == [2_000] * 10
    assert np.bincount(test.labels).tolist() == [1_000] * 10


def test_the_border_is_black_and_the_middle_is_not(train):
    inner = train.pixels[:, :, 2:-2, 2:-2]
    assert train.pixels.sum(dtype=np.int64) == inner.sum(dtype=np.int64) > 0


def test_declares_its_own_mean_and_deviation(train):
    spec = train.spec
    assert spec.mean == pytest.approx([train.pixels.mean() / 255] * 3, abs=5e-5)
    assert spec.std == pytest.approx([train.pixels.std() / 255] * 3, abs=5e-5)


def test_file_is_compact_and_has_its_notice():
    assert shipped.SHEET.stat().st_size < 12_000_000
    notice = shipped.SHEET.with_name("fashion.LICENSE").read_text()
    assert "Zalando SE" in notice and "The above copyright notice and this permission notice shall be included" in notice


def test_sheet_goes_there_and_back():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30_000, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, 30_000)
    back, back_labels = shipped.from_sheet(shipped.to_sheet(images, labels))
    assert np.array_equal(back, images) and np.array_equal(back_labels, labels)


def test_a_damaged_file_is_told_in_words(tmp_path, monkeypatch):
    broken = tmp_path / "fashion.webp"
    broken.write_bytes(shipped.SHEET.read_bytes()[:1000])
    monkeypatch.setattr(shipped, "SHEET", broken)
    with pytest.raises(DataError, match=r"fashion\.webp"):
        shipped._all.__wrapped__()


def test_changed_pixels_are_noticed(monkeypatch, train):
    changed = train.pixels.copy()
    changed[7, 0, 9, 9] ^= 1
    monkeypatch.setattr(shipped, "read", lambda split: (changed, train.labels))
    with pytest.raises(DataError, match="not the expected ones"):
        data.load("fashion", "train")


def test_full_set_has_the_same_test_images_everywhere(test, tmp_path):
    full = data.load("fashion-full", "test", root=tmp_path)
    assert full.digest == test.digest and full.spec.id == "fashion-full"
    assert data.get("fashion").subset_of == "fashion-full"


@debian
def test_is_the_declared_subset_of_the_full_set(train, test):
    full = data.load("fashion-full", "train")
    chosen = first_of_each(full.labels, 2_000)
    assert np.array_equal(full.pixels[chosen], train.pixels) and np.array_equal(full.labels[chosen], train.labels)
    pixels, labels = idx.read(idx.DEBIAN, "test")
    assert digest(pixels, labels) == test.digest


def test_reads_the_files_as_torchvision_keeps_them(tmp_path, test):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    head = bytes([0, 0, 8])
    pixels = np.ascontiguousarray(test.pixels[:, 0, 2:-2, 2:-2])
    shape = b"".join(n.to_bytes(4, "big") for n in pixels.shape)
    (raw / "t10k-images-idx3-ubyte").write_bytes(head + b"\3" + shape + pixels.tobytes())
    (raw / "t10k-labels-idx1-ubyte").write_bytes(head + b"\1" + shape[:4] + test.labels.astype(np.uint8).tobytes())
    read, labels = idx.read(raw, "test")
    assert digest(read, labels) == test.digest
    (raw / "t10k-labels-idx1-ubyte").write_bytes(head + b"\1" + shape[:4] + b"short")
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is not the file"):
        idx.read(raw, "test")
    with pytest.raises(DataError, match="train-images"):
        idx.read(raw, "train")


def test_listing_and_reading_need_no_torch():
    code = (
        "import sys\nfrom core import data\n"
        "[data.available(d) for d in data.DATASETS]\ndata.load('fashion', 'test'), data.load('shapes-textures', 'test')\n"
        "heavy = {'torch', 'torchvision', 'timm'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
