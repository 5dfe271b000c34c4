"""MedMNIST: its files as its own class reads them, and what cannot be read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError
from bench.errors import BenchError, SpecError, UnknownName
from bench.loading import load_dataset
from tests.datasets.reading import load
from tests.digits import load_digits
from tests.narrowing import in_memory

DIGITS = load_digits()
IMAGES = np.rint(DIGITS.images * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)[:, 2:-2, 2:-2]
LABELS = DIGITS.target.astype(np.uint8)
PARTS = {"train": slice(0, 546), "val": slice(546, 624), "test": slice(624, 780)}
"""As many images as breastmnist has; its two classes are odd and even digits here."""


def medmnist_file(folder: Path, name: str = "breastmnist.npz", **changes: Any) -> Path:
    arrays: dict[str, Any] = {}
    for part, where in PARTS.items():
        arrays |= {f"{part}_images": IMAGES[where], f"{part}_labels": LABELS[where, None] % 2}
    np.savez_compressed(folder / name, **(arrays | changes))
    return folder / name


def test_grey_medmnist_is_what_its_own_class_reads(tmp_path: Path) -> None:
    package = pytest.importorskip("medmnist", reason="the package whose file layout this is")
    medmnist_file(tmp_path)
    dataset = load("medmnist", tmp_path, name="breastmnist")
    assert dataset.class_names == ("malignant", "normal, benign")
    assert (dataset.mean, dataset.std) == ((0.5,), (0.5,))
    for split, part in ((dataset.train, "train"), (dataset.test, "test")):
        original = package.BreastMNIST(split=part, root=str(tmp_path))
        assert len(split) == len(original)
        assert np.array_equal(in_memory(split.images), original.imgs[:, None])
        assert split.labels.tolist() == original.labels[:, 0].tolist()


def test_colour_medmnist_of_another_size(tmp_path: Path) -> None:
    large = {f"{part}_images": np.zeros((7, 64, 64, 3), np.uint8) for part in PARTS}
    large["train_images"][..., 1] = 7
    labels = {f"{part}_labels": np.array([[0], [1], [6], [3], [5], [4], [2]]) for part in PARTS}
    medmnist_file(tmp_path, "dermamnist_64.npz", **large, **labels)
    dataset = load("medmnist", tmp_path, name="dermamnist", size=64)
    assert dataset.train.images.shape == (7, 3, 64, 64)
    assert [int(channel.max()) for channel in np.asarray(dataset.train.images)[0]] == [0, 7, 0]
    assert (dataset.num_classes, dataset.class_names[4], dataset.mean) == (7, "melanoma", (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("params", "kind", "says"),
    [
        ({}, DataError, "dataset medmnist: say which one, for example medmnist(name=bloodmnist); valid: pathmnist"),
        ({"name": "chestmnist"}, DataError, "chestmnist has several labels per image"),
        ({"name": "organmnist3d"}, DataError, "organmnist3d has volumes"),
        ({"name": "bloodmist"}, UnknownName, "unknown set of medmnist: 'bloodmist'. Did you mean bloodmnist"),
        ({"name": "bloodmnist", "size": 32}, SpecError, "size=32 is not valid: 28, 64, 128 or 224."),
        ({"name": "bloodmnist"}, DataError, "bloodmnist.npz is missing. Use --data-root DIR"),
        ({"name": "bloodmnist", "size": 64}, DataError, "bloodmnist_64.npz?download=1."),
    ],
)
def test_what_medmnist_cannot_read_is_explained(
    params: dict[str, Any], kind: type[BenchError], says: str, tmp_path: Path
) -> None:
    pytest.importorskip("medmnist", reason="it holds the catalogue")
    with pytest.raises(kind) as caught:
        load("medmnist", tmp_path, **params)
    assert says in str(caught.value)


def test_the_eleven_flat_sets_with_one_label_are_offered() -> None:
    pytest.importorskip("medmnist", reason="it holds the catalogue")
    with pytest.raises(DataError) as caught:
        load("medmnist", None)
    offered = str(caught.value).rpartition("valid: ")[2].rstrip(".").split(", ")
    names = ("path", "derma", "oct", "pneumonia", "retina", "breast", "blood", "tissue", "organa", "organc", "organs")
    assert sorted(offered) == sorted(f"{name}mnist" for name in names)


def test_medmnist_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[medmnist\]' in a checkout"):
        load("medmnist", None, name="bloodmnist")


def test_the_catalogue_is_read_without_importing_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("medmnist", reason="it holds the catalogue")
    for name in [name for name in sys.modules if name.partition(".")[0] == "medmnist"]:
        monkeypatch.delitem(sys.modules, name)
    medmnist_file(tmp_path)
    load("medmnist", tmp_path, name="breastmnist")
    assert "medmnist" not in sys.modules


def test_a_failed_download_names_the_file_and_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("medmnist", reason="it holds the catalogue")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(DataError, match=r"breastmnist\.npz could not be fetched: .*Fetch https://zenodo\.org/"):
        load_dataset("medmnist", {"name": "breastmnist"}, root=tmp_path, download=True, pool_size=None)
