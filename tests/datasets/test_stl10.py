"""STL-10: its files and their checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import STL10

from bench import DataError
from tests.datasets.reading import load, md5, random_images


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
