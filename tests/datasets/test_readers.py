"""Readers on real data, and what each declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import DataError
from bench.loading import DOWNLOAD
from bench.plugins import datasets
from tests.datasets.reading import load

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
