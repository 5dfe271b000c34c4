"""The readers that go through torchvision, on small files in the original layouts, and on damaged ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray
from torchvision.datasets import STL10, SVHN

from bench import DataError, Dataset
from bench.loading import load_dataset
from bench.plugins import datasets
from tests.datasets.cifar_layout import CLASSES, write_cifar10
from tests.narrowing import in_memory
from tests.photo_fixtures import crops


def load(name: str, root: Path) -> Dataset:
    return load_dataset(name, {}, root=root, download=False, pool_size=None)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def random_images(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)


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


@pytest.fixture
def svhn_root(tmp_path: Path) -> Path:
    for split, count in (("train", 12), ("test", 11)):
        images = random_images(32, 32, 3, count)
        labels = np.arange(count, dtype=np.uint8)[:, None] % 10 + 1
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": labels})
    return tmp_path


def test_svhn_layout(svhn_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The check itself stays on: it only expects these files instead of the 246 MB of the original.
    files = {split: svhn_root / f"{split}_32x32.mat" for split in ("train", "test")}
    monkeypatch.setattr(SVHN, "split_list", {split: ["", file.name, md5(file)] for split, file in files.items()})
    dataset = load("svhn", svhn_root)
    assert np.array_equal(np.asarray(dataset.train.images)[5], random_images(32, 32, 3, 12)[..., 5].transpose(2, 0, 1))
    assert dataset.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert dataset.class_names[0] == "0"


def test_an_svhn_file_with_another_checksum_is_named(svhn_root: Path) -> None:
    with pytest.raises(DataError, match=r"train_32x32\.mat is corrupt or another version: .*e26dedcc434d2e4c54c9b2d4a"):
        load("svhn", svhn_root)


@pytest.fixture
def stl10_root(tmp_path: Path) -> Path:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for split, count in (("train", 10), ("test", 10)):
        random_images(count, 3, 96, 96).tofile(folder / f"{split}_X.bin")
        np.arange(1, count + 1, dtype=np.uint8).tofile(folder / f"{split}_y.bin")
    random_images(1, 3, 96, 96).tofile(folder / "unlabeled_X.bin")
    return tmp_path


def test_stl10_layout(stl10_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for attribute in ("train_list", "test_list"):
        listed = [[name, md5(stl10_root / "stl10_binary" / name)] for name, _ in getattr(STL10, attribute)]
        monkeypatch.setattr(STL10, attribute, listed)
    dataset = load("stl10", stl10_root)
    stored = random_images(10, 3, 96, 96)
    assert np.array_equal(np.asarray(dataset.train.images), stored.transpose(0, 1, 3, 2)), "columns come first on disk"
    assert dataset.test.labels.tolist() == list(range(10))


def test_an_stl10_file_with_another_checksum_is_named(stl10_root: Path) -> None:
    with pytest.raises(DataError, match=r"train_X\.bin is corrupt or another version"):
        load("stl10", stl10_root)


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


def test_a_failed_download_names_the_file_and_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SVHN, "split_list", {"train": ["http://127.0.0.1:9/", "train_32x32.mat", "0" * 32]})
    with pytest.raises(DataError, match=r"train_32x32\.mat could not be fetched: .*refused.*Fetch it by hand"):
        load_dataset("svhn", {}, root=tmp_path / "new", download=True, pool_size=None)
