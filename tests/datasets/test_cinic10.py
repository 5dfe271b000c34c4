"""CINIC-10: its folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import DataError
from tests.datasets.reading import load

CINIC_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture
def cinic(ten_classes: Path, tmp_path: Path) -> Path:
    """Photographs at 32x32 as PNG in the layout of CINIC-10, three per class and split."""
    for split in ("train", "valid", "test"):
        for name, source in zip(CINIC_CLASSES, sorted((ten_classes / "train").iterdir()), strict=True):
            (tmp_path / "CINIC-10" / split / name).mkdir(parents=True)
            start = {"train": 0, "valid": 3, "test": 6}[split]
            for file in sorted(source.iterdir())[start : start + 3]:
                with Image.open(file) as image:
                    image.resize((32, 32)).save(tmp_path / "CINIC-10" / split / name / f"{file.stem}.png")
    return tmp_path


def test_cinic10_layout(cinic: Path) -> None:
    merged, alone = load("cinic10", cinic), load("cinic10", cinic, merge_valid=False)
    assert (len(merged.train), len(alone.train), len(merged.test)) == (60, 30, 30)
    assert np.array_equal(np.asarray(merged.train.images)[:30], np.asarray(alone.train.images))
    assert np.bincount(merged.train.labels).tolist() == [6] * 10
    file = min((cinic / "CINIC-10" / "valid" / "cat").iterdir())
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(np.asarray(merged.train.images)[30 + 3 * 3], expected)


@pytest.mark.parametrize("name", ["valid", "test/cat"])
def test_an_incomplete_cinic10_is_explained(cinic: Path, name: str) -> None:
    shutil.rmtree(cinic / "CINIC-10" / name)
    with pytest.raises(DataError, match=rf"{cinic / 'CINIC-10' / name} is missing: .* not complete"):
        load("cinic10", cinic)
