"""What the Data page knows of a set: counts, pictures, spectrum, each worked out once; and its choices, which stand in the address."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from core import data, io, words
from core.data import imported, summary
from core.data.dataset import DatasetSpec
from pages.ui import address, choices

SPLITS = {"train": "Training", "test": "Test"}
#: images that a spectrum is the mean of, drawn in equal shares of the classes
SAMPLE = 256
#: parts of the sample, whose differences say how sure its mean is
PARTS = 8
#: px on the page are 72; twice as fine for a sharp screen
THUMB = 144
Counts = list[dict[str, Any]]


def counts(dataset: str) -> Counts:
    """For each class how many images train and test: rows {class, train, test}."""
    if own(dataset):
        return imported.report(imported.find(dataset))["classes"]
    return _counts(dataset, str(io.home()))


@st.cache_data(max_entries=32, show_spinner=False)
def _counts(dataset: str, home: str) -> Counts:
    spec = data.get(dataset)
    found = [np.bincount(data.load(dataset, split).labels, minlength=len(spec.classes)) for split in SPLITS]
    return [{"class": name, "train": int(a), "test": int(b)} for name, a, b in zip(spec.classes, *found, strict=True)]


def own(dataset: str) -> bool:
    """Whether the reader brought this set."""
    return dataset.startswith(imported.PREFIX)


def named(spec: DatasetSpec) -> str:
    """The set in a foot line; two sets of the reader's own may have one title, so theirs comes with its id."""
    return f"{spec.title}, {spec.id}" if own(spec.id) else spec.title


def pictures(dataset: str, split: str, labels: Sequence[int], each: int, seed: int) -> list[dict[str, Any]]:
    """`each` images of some classes, drawn: rows {class, label, index, image (WebP)}."""
    return _pictures(dataset, split, tuple(labels), each, seed, str(io.home()))


@st.cache_data(max_entries=64, show_spinner=False)
def _pictures(dataset: str, split: str, labels: tuple[int, ...], each: int, seed: int, home: str) -> list[dict[str, Any]]:
    found, rows = data.load(dataset, split), []
    for label in labels:
        drawn = np.random.default_rng([seed, label]).permutation(np.flatnonzero(found.labels == label))[:each]
        rows += [_row(found, label, int(index)) for index in np.sort(drawn)]
    return rows


def in_order(dataset: str, split: str, label: int, first: int, most: int) -> list[dict[str, Any]]:
    """The images of one class in the order of the set, from the `first` on."""
    return _in_order(dataset, split, label, first, most, str(io.home()))


@st.cache_data(max_entries=64, show_spinner=False)
def _in_order(dataset: str, split: str, label: int, first: int, most: int, home: str) -> list[dict[str, Any]]:
    found = data.load(dataset, split)
    return [_row(found, label, int(index)) for index in np.flatnonzero(found.labels == label)[first : first + most]]


def _row(found: data.Images, label: int, index: int) -> dict[str, Any]:
    image = summary.webp(found, index, THUMB)
    return {"class": found.spec.classes[label], "label": label, "index": index, "image": image}


def spectrum(dataset: str) -> tuple[list[dict[str, float]], list[list[float]], int]:
    """(rows {frequency, log_amplitude, low, high}, the same log amplitudes of eight parts of the sample, images).

    Of the training images, of the test images if there are no others; no parts if the sample is too small for any.
    """
    return _spectrum(dataset, str(io.home()))


@st.cache_data(max_entries=32, show_spinner=False)
def _spectrum(dataset: str, home: str) -> tuple[list[dict[str, float]], list[list[float]], int]:
    found = data.load(dataset, part(data.get(dataset)))
    chosen = data.subset(found.labels, limit=min(SAMPLE, len(found)), seed=0)
    some = [chosen[start::PARTS] for start in range(PARTS)] if len(chosen) >= 4 * PARTS else []
    parts = [[row["log_amplitude"] for row in summary.mean_spectrum(found, one)] for one in some]
    return summary.mean_spectrum(found, chosen), parts, len(chosen)


def part(spec: DatasetSpec, wanted: str = "train") -> str:
    """The split that is meant: a set for testing only has no training images."""
    return wanted if wanted == "test" or spec.train_n else "test"


def files(dataset: str, split: str) -> list[tuple[str, int, int]]:
    """For each image of a set of the reader's own its file and the size that it had; empty for others."""
    return _files(dataset, split, str(io.home())) if own(dataset) else []


@st.cache_data(max_entries=8, show_spinner=False)
def _files(dataset: str, split: str, home: str) -> list[tuple[str, int, int]]:
    return imported.files(imported.find(dataset), split)


def number(spec: DatasetSpec) -> str:
    """`800 training and 200 test images`."""
    if not spec.train_n:
        return words.some(spec.test_n, "test image")
    return f"{words.count(spec.train_n)} training and {words.some(spec.test_n, 'test image')}"


# ---- choices


take, choose = partial(choices.take, "data"), partial(choices.choose, "data")


def select(label: str, key: str, known: Mapping[Any, str], default: Any, **more: Any) -> Any:
    """One of many, in a list; it stands in the address as `key`."""
    take(key, list(known), default)
    return st.selectbox(
        label, list(known), format_func=lambda value: known.get(value, str(value)), key=f"data_{key}",
        on_change=lambda: address.moved(key), persist_state="session", **more,
    )  # fmt: skip


def put(key: str, value: Any) -> None:
    """Changes a choice; for callbacks, before the page is drawn again."""
    st.session_state[f"data_{key}"] = value
    address.moved(key)
