"""Real photographs for every machine: cut from the two that scikit-learn ships."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

WNIDS = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)
"""Class folders as ImageNet names them."""


@cache
def photograph_of(name: str) -> NDArray[np.uint8]:
    """One of scikit-learn's, decoded once."""
    from sklearn.datasets import load_sample_image  # here, since pytest-xdist's first process never asks for crops

    return np.asarray(load_sample_image(name))


def crops(count: int, side: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Square parts of the photographs of a palace and of a flower, in turn, uint8 [N, 3, side, side]."""
    rng = np.random.default_rng(seed)
    cut = np.empty((count, side, side, 3), np.uint8)
    for number in range(count):
        photograph = photograph_of(("china.jpg", "flower.jpg")[number % 2])
        top, left = (int(rng.integers(length - side + 1)) for length in photograph.shape[:2])
        cut[number] = photograph[top : top + side, left : left + side]
    return np.ascontiguousarray(cut.transpose(0, 3, 1, 2))


@pytest.fixture(scope="session")
def patches() -> NDArray[np.uint8]:
    """300 parts, uint8 [300, 3, 32, 32]."""
    return crops(300, 32)


@pytest.fixture(scope="session")
def ten_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten class folders below ``train`` and ``val``, of 30 and 10 JPEGs each; not to be written to."""
    root = tmp_path_factory.mktemp("photographs") / "ten-classes"
    images = iter(crops(400, 72).transpose(0, 2, 3, 1))
    for split, count in (("train", 30), ("val", 10)):
        for name in WNIDS:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(next(images)).save(root / split / name / f"{name}_{number:02}.JPEG", quality=90)
    return root


@pytest.fixture
def photographs(ten_classes: Path, tmp_path: Path) -> Path:
    """Two of the classes, 5 and 4 photographs, as one directory of class folders that a test may change."""
    for name, count in (("n01440764", 5), ("n03028079", 4)):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for file in sorted((ten_classes / "train" / name).iterdir())[:count]:
            shutil.copyfile(file, tmp_path / "photographs" / name / file.name)
    return tmp_path / "photographs"
