"""CIFAR-10 and CIFAR-100 through torchvision, and a stratified part of CIFAR-100 in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.datasets._cifar_files import read_batch, unpack
from bench.datasets._common import PAPER, required_root
from bench.datasets._corrupted import corrupted_cifar
from bench.datasets._npz import class_texts, read_arrays, square_images
from bench.datasets._torchvision import SplitArrays, TorchvisionFiles, read_splits

CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100_MEAN, CIFAR100_STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
CIFAR10_FOLDER, CIFAR100_FOLDER = "cifar-10-batches-py", "cifar-100-python"
CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
CIFAR100_FILES = ("train", "test", "meta")
SIDE = 32
SUBSET_FILE = "cifar-100-subset/cifar100_subset_5k_1k.npz"


@register_dataset(
    "cifar10",
    num_classes=10,
    image_size=32,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="Krizhevsky 2009, the python version that torchvision reads",
    # The record on Zenodo, and the MD5 that it lists.
    corrupted=corrupted_cifar("CIFAR-10-C", 2535967, "56bf5dcef84df0e2308c6dcbcbbd8499"),
)
def cifar10(root: Path | None, *, download: bool = False) -> Dataset:
    """CIFAR-10: 50,000 colour images for training and 10,000 for testing, 32x32, 10 classes.

    Krizhevsky 2009. Mean and std are measured on the training images.

    Args:
        root: directory that holds ``cifar-10-batches-py``.
        download: whether to fetch it if it is missing.

    Returns:
        Images uint8 [N, 3, 32, 32] in torchvision's order.

    Raises:
        DataError: files are missing or corrupt.
    """
    return _cifar("CIFAR10", CIFAR10_FOLDER, CIFAR10_FILES, (CIFAR10_MEAN, CIFAR10_STD), root, download)


@register_dataset(
    "cifar100",
    num_classes=100,
    image_size=32,
    mean=CIFAR100_MEAN,
    std=CIFAR100_STD,
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="Krizhevsky 2009, the python version that torchvision reads; fine labels",
    corrupted=corrupted_cifar("CIFAR-100-C", 3555552, "11f0ed0f1191edbf9fa23466ae6021d3"),
)
def cifar100(root: Path | None, *, download: bool = False) -> Dataset:
    """CIFAR-100: 50,000 colour images for training and 10,000 for testing, 32x32, 100 fine classes.

    Krizhevsky 2009. Mean and std are the values usually published for the training images.

    Args:
        root: directory that holds ``cifar-100-python``.
        download: whether to fetch it if it is missing.

    Returns:
        Images uint8 [N, 3, 32, 32] in torchvision's order.

    Raises:
        DataError: files are missing or corrupt.
    """
    return _cifar("CIFAR100", CIFAR100_FOLDER, CIFAR100_FILES, (CIFAR100_MEAN, CIFAR100_STD), root, download)


@register_dataset(
    "cifar100-subset",
    num_classes=100,
    image_size=32,
    mean=CIFAR100_MEAN,
    std=CIFAR100_STD,
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="the first 50 train and 10 test images of each fine class of CIFAR-100 (Krizhevsky 2009)",
)
def cifar100_subset(root: Path | None) -> Dataset:
    """The first 50 training and 10 test images of each fine class of CIFAR-100, 32x32: 5,000 and 1,000.

    Krizhevsky 2009. For tests and small runs. Mean and std are those of the full CIFAR-100.

    Args:
        root: directory that holds ``cifar-100-subset/cifar100_subset_5k_1k.npz``: an npz file without pickled objects,
            with ``x_train``, ``x_test`` (uint8 [N, 32, 32, 3]), ``y_train``, ``y_test`` and ``fine_label_names``.

    Returns:
        Images uint8 [N, 3, 32, 32] in the order of CIFAR-100.

    Raises:
        DataError: the file is missing or corrupt.
    """
    path = required_root(root, SUBSET_FILE) / SUBSET_FILE
    if not path.is_file():
        raise DataError(f"{path} is missing. Use --data-root DIR, where DIR holds {SUBSET_FILE}.")
    arrays = read_arrays(path, ("x_train", "y_train", "x_test", "y_test", "fine_label_names"))
    train, test = (
        (square_images(arrays[f"x_{name}"], f"{path}: x_{name}"), arrays[f"y_{name}"]) for name in ("train", "test")
    )
    names = class_texts(arrays["fine_label_names"])
    return make_dataset(train, test, class_names=names, mean=CIFAR100_MEAN, std=CIFAR100_STD)


def _cifar(
    reader: str,
    folder: str,
    files: tuple[str, ...],
    constants: tuple[tuple[float, ...], tuple[float, ...]],
    root: Path | None,
    download: bool,
) -> Dataset:
    names: list[str] = []

    def read(base: Path, train: bool, fetch: bool) -> SplitArrays:
        from torchvision import datasets
        from torchvision.datasets.utils import download_url

        source: Any = getattr(datasets, reader)
        if fetch and not all((base / path).is_file() for path in paths):
            # Not torchvision's ``download_and_extract``, which unpacks whatever the archive holds.
            download_url(source.url, base, source.filename, source.tgz_md5)
            unpack(base / source.filename, paths, base)
        listed = source.train_list if train else source.test_list
        batches = [read_batch(base / folder / name, md5) for name, md5 in listed]
        # Filled here: the reader is called for each split and returns only arrays.
        names[:] = read_batch(base / folder / source.meta["filename"], source.meta["md5"])[source.meta["key"]]
        images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, SIDE, SIDE)
        labels = [batch["labels" if "labels" in batch else "fine_labels"] for batch in batches]
        return images, np.concatenate(labels).astype(np.int64)

    def checksums() -> Mapping[str, str]:
        from torchvision import datasets

        source: Any = getattr(datasets, reader)
        listed = [*source.train_list, *source.test_list, [source.meta["filename"], source.meta["md5"]]]
        return {f"{folder}/{name}": md5 for name, md5 in listed}

    paths = tuple(f"{folder}/{name}" for name in files)
    train, test = read_splits(TorchvisionFiles(folder, paths, read, checksums), root, download=download)
    return make_dataset(train, test, class_names=names, mean=constants[0], std=constants[1])
