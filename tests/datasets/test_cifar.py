"""CIFAR-10 and CIFAR-100: their files and checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError
from bench.plugins import datasets
from tests.dataset_checks import check_declaration
from tests.datasets.cifar_layout import CLASSES, write_cifar10
from tests.datasets.reading import load, random_images
from tests.narrowing import in_memory
from tests.photo_fixtures import crops


def test_cifar10_layout(cifar_root: Path) -> None:
    dataset = load("cifar10", cifar_root)
    stored = crops(120, 32)
    assert np.array_equal(in_memory(dataset.train.images), stored[:100])
    assert np.array_equal(in_memory(dataset.test.images), stored[100:])
    assert dataset.train.labels.tolist() == [*range(10)] * 10
    assert (dataset.class_names, dataset.mean) == (CLASSES, datasets.get("cifar10").info.mean)


def test_cifar100_layout_has_fine_labels(cifar_root: Path) -> None:
    dataset = load("cifar100", cifar_root)
    assert np.array_equal(in_memory(dataset.train.images), crops(200, 32, seed=1))
    assert np.array_equal(in_memory(dataset.test.images), crops(100, 32, seed=2))
    assert dataset.train.labels.tolist() == [*range(100)] * 2
    assert dataset.class_names[99] == "class 99"


@pytest.mark.parametrize("name", ["cifar-10-batches-py/data_batch_3", "cifar-100-python/test", "cifar-100-python/meta"])
def test_a_flipped_bit_in_cifar_is_named(cifar_root: Path, name: str) -> None:
    content = bytearray((cifar_root / name).read_bytes())
    content[len(content) // 2] ^= 1
    (cifar_root / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is corrupt or another version: its MD5 is not [0-9a-f]{{32}}"):
        load("cifar10" if "10-" in name else "cifar100", cifar_root)


def test_other_files_of_cifar10_than_the_originals_are_refused(tmp_path: Path) -> None:
    write_cifar10(tmp_path, random_images(60, 3, 32, 32), [number % 10 for number in range(60)])
    with pytest.raises(DataError, match=r"data_batch_1 is corrupt or another version: .*c99cafc152244af7"):
        load("cifar10", tmp_path)


def test_a_missing_cifar10_batch_is_named(cifar_root: Path) -> None:
    (cifar_root / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(DataError, match=r"data_batch_4 is missing\."):
        load("cifar10", cifar_root)


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
