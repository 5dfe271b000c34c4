"""CIFAR's files, with few images in them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.cifar_layout import write_cifar10, write_cifar100
from tests.photo_fixtures import crops


@pytest.fixture(scope="session")
def cifar_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both data sets in their layout: 100 and 20 images of ten classes, 200 and 100 of a hundred; to be copied."""
    root = tmp_path_factory.mktemp("cifar")
    write_cifar10(root, crops(120, 32), [number % 10 for number in range(120)])
    write_cifar100(root, crops(200, 32, seed=1), crops(100, 32, seed=2), [f"class {number}" for number in range(100)])
    return root


@pytest.fixture
def cifar_root(cifar_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``cifar_files``.

    Their checksums are checked; only those that are expected are of these files and not of the 330 MB of the originals.
    """
    from torchvision.datasets import CIFAR10, CIFAR100

    root = tmp_path / "cifar"
    shutil.copytree(cifar_files, root)
    for source in (CIFAR10, CIFAR100):
        folder = root / source.base_folder

        def md5(name: str, folder: Path = folder) -> str:
            return hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()

        for listed in ("train_list", "test_list"):
            monkeypatch.setattr(source, listed, [[name, md5(name)] for name, _ in getattr(source, listed)])
        monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5(source.meta["filename"])})
    return root


@pytest.fixture
def cifar100_subset_root(tmp_path: Path) -> Path:
    """The file of ``cifar100-subset``, with two training images and one test image per class."""
    folder = tmp_path / "data" / "cifar-100-subset"
    folder.mkdir(parents=True)
    train, test = (crops(count, 32).transpose(0, 2, 3, 1) for count in (200, 100))
    names = np.array([f"class {number}" for number in range(100)])
    labels: dict[str, Any] = {"y_train": np.arange(200) % 100, "y_test": np.arange(100)}
    np.savez(folder / "cifar100_subset_5k_1k.npz", x_train=train, x_test=test, fine_label_names=names, **labels)
    return tmp_path / "data"
