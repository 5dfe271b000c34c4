"""SVHN: its files and their checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import SVHN

from bench import DataError
from tests.datasets.reading import load, md5, random_images


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
