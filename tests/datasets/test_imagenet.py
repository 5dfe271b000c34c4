"""ImageNet: its folders, streamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench import DataError
from bench.images.streaming import StreamedImages
from tests.datasets.reading import load


def test_imagenet_layout_is_streamed(ten_classes: Path, tmp_path: Path) -> None:
    files = sorted((ten_classes / "train").glob("*/*"))
    for split in ("train", "val"):
        for number in range(1000):
            folder = tmp_path / "imagenet" / split / f"n{number:08d}"
            folder.mkdir(parents=True)
            shutil.copyfile(files[number % 7], folder / f"{folder.name}_{split}.JPEG")
    dataset = load("imagenet", tmp_path)
    assert isinstance(dataset.train.images, StreamedImages)
    assert (dataset.train.images.shape, dataset.num_classes) == ((1000, 3, 224, 224), 1000)
    batch = dataset.train.images[np.array([3, 10, 4])]
    assert np.array_equal(batch[0], batch[1]), "classes 3 and 10 hold the same photograph"
    assert not np.array_equal(batch[0], batch[2])


def test_a_part_of_imagenet_is_sent_to_folder(ten_classes: Path, tmp_path: Path) -> None:
    shutil.copytree(ten_classes, tmp_path / "imagenet")
    with pytest.raises(DataError, match=r"found 10 and 10\. .*folder\(path="):
        load("imagenet", tmp_path)
