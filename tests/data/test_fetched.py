"""Sets from the network: the download and its failures against a server of this test, and torchvision's layout.  Offline."""

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from core import data
from core.data import fetched
from core.errors import DataError


@pytest.fixture
def served(tmp_path):
    """A folder and the address it is served at."""
    place = tmp_path / "served"
    place.mkdir()
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield place, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def small_imagenette(path):
    """An archive laid out as Imagenette's, with three pictures of each of two classes in either split."""
    with tarfile.open(path, "w:gz") as archive:
        for split in ("train", "val"):
            for name in ("n01440764", "n02102040"):
                for i in range(3):
                    picture = io.BytesIO()
                    Image.new("RGB", (40, 32), (i * 60, 90, 90)).save(picture, "JPEG")
                    entry = tarfile.TarInfo(f"imagenette2-320/{split}/{name}/{i}.JPEG")
                    entry.size = picture.tell()
                    picture.seek(0)
                    archive.addfile(entry, picture)
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_fetches_checks_unpacks_and_prepares(served, home, tmp_path, monkeypatch):
    place, address = served
    md5 = small_imagenette(place / "imagenette2-320.tgz")
    monkeypatch.setattr(fetched, "sources", lambda id: [(address + "imagenette2-320.tgz", md5)])
    assert "python -m core data get imagenette" in data.available("imagenette")
    told = []
    data.fetch("imagenette", lambda step, total, message: told.append((step, total, message)))
    assert told[0][0] > 0 and told[-1][2] == "unpacking" and all(step <= total for step, total, _ in told)
    assert data.available("imagenette") == "" and data.prepared("imagenette", "test")
    assert sorted(p.name for p in data.data_root().iterdir()) == ["imagenette2-320", "prepared"]
    images = data.load("imagenette", "train", 64)
    assert images.pixels.shape == (6, 3, 64, 64) and images.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_another_file_than_the_official_one_is_refused(served, home, monkeypatch):
    place, address = served
    (place / "x.tgz").write_bytes(b"something else")
    monkeypatch.setattr(fetched, "sources", lambda id: [(address + "x.tgz", "0" * 32)])
    with pytest.raises(DataError, match="something else than the official file"):
        data.fetch("cifar10")
    assert list(data.data_root().iterdir()) == []


def test_a_missing_file_and_no_network_are_told_in_words(served, home, monkeypatch):
    _, address = served
    for source in (address + "gone.tgz", "http://127.0.0.1:9/cifar.tgz", "http://name.invalid/cifar.tgz"):
        monkeypatch.setattr(fetched, "sources", lambda id, source=source: [(source, "0" * 32)])
        with pytest.raises(DataError, match=r"could not be fetched.*Connect this machine to the network"):
            data.fetch("cifar10")
    assert list(data.data_root().iterdir()) == []


def test_a_cancelled_download_leaves_nothing(served, home, monkeypatch):
    place, address = served
    (place / "x.tgz").write_bytes(bytes(100_000))
    monkeypatch.setattr(fetched, "sources", lambda id: [(address + "x.tgz", "0" * 32)])

    class Stop(Exception):
        pass

    def stop(step, total, message):
        raise Stop

    with pytest.raises(Stop):
        data.fetch("cifar10", stop)
    assert list(data.data_root().iterdir()) == []


def test_addresses_are_torchvisions():
    for id, count in (("fashion-full", 4), ("cifar10", 1), ("cifar100", 1), ("imagenette", 1)):
        found = fetched.sources(id)
        assert len(found) == count and all(a.startswith("http") and len(md5) == 32 for a, md5 in found)


def test_loading_what_is_not_there_says_how_to_get_it(home):
    for id in ("cifar10", "cifar100", "imagenette"):
        with pytest.raises(DataError, match=f"python -m core data get {id}"):
            data.load(id, "train")


def test_cifar_is_read_as_torchvision_lays_it_out(home, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    place = tmp_path / "sets" / "cifar-10-batches-py"
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (10_000, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, 10_000)
    content = {"test_batch": {"data": pixels.reshape(10_000, -1), "labels": labels.tolist()}, "batches.meta": {"label_names": ["x"] * 10}}
    for name in fetched.NEEDED["cifar10"]:
        (place / name).write_bytes(pickle.dumps(content.get(name, {})))
    md5 = {name: hashlib.md5((place / name).read_bytes()).hexdigest() for name in fetched.NEEDED["cifar10"]}
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "train_list", [[n, md5[n]] for n in md5 if n.startswith("data")])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]})
    monkeypatch.setenv("ALTERLAB_DATA", str(tmp_path / "sets"))
    found, found_labels, _ = fetched.read("cifar10", "test", 32, data.data_root())
    assert np.array_equal(found, pixels) and np.array_equal(found_labels, labels)
    with pytest.raises(DataError, match="not the expected ones"):  # these are not the official images
        data.load("cifar10", "test")
    (place / "test_batch").write_bytes(b"damaged")
    with pytest.raises(DataError, match="is damaged"):
        data.load("cifar10", "test")


def test_every_card_is_whole():
    for id, spec in data.DATASETS.items():
        assert spec.id == id and len(spec.classes) == len(set(spec.classes)) >= 8
        assert len(spec.mean) == len(spec.std) == 3 and all(0 < v < 1 for v in spec.mean + spec.std)
        assert spec.source and spec.licence and spec.note and spec.channels in (1, 3)
        assert data.available(id) == "" or spec.needs_download
    assert next(iter(data.DATASETS)) == "fashion"


@pytest.mark.parametrize(("id", "split", "size"), [("nonsense", "train", 32), ("fashion", "val", 32), ("fashion", "test", 5000)])
def test_wrong_arguments_are_told(id, split, size):
    with pytest.raises(DataError):
        data.load(id, split, size)


def test_another_size_is_resized():
    images = data.load("fashion", "test", 16)
    assert images.pixels.shape == (10_000, 1, 16, 16)
    whole = data.load("fashion", "test")
    assert images.digest != whole.digest
    assert np.abs(images.pixels.mean((1, 2, 3)) - whole.pixels.mean((1, 2, 3))).max() < 2
