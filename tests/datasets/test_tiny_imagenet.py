"""Tiny-ImageNet in the layout of ``tiny-imagenet-200``, with two images in each class."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import DataError, Dataset
from bench.loading import load_dataset
from tests.dataset_checks import check_declaration

WNIDS = [f"n{number:08d}" for number in range(200)]


def load(root: Path) -> Dataset:
    return load_dataset("tiny_imagenet", {}, root=root, download=False, pool_size=None)


def save(path: Path, level: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(level, mode))


@cache
def jpeg(level: int, mode: str) -> bytes:
    content = io.BytesIO()
    Image.new(mode, (64, 64), level if mode == "L" else (level, level, level)).save(content, "JPEG", quality=100)
    return content.getvalue()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    base = tmp_path / "tiny-imagenet-200"
    lines = []
    for number, wnid in enumerate(WNIDS):
        for item in range(2):
            # Some of the originals are grey.
            save(base / "train" / wnid / "images" / f"{wnid}_{item}.JPEG", number, "L" if item else "RGB")
        (base / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
    for place in range(300):
        number = (7 * place) % 200
        save(base / "val" / "images" / f"val_{place}.JPEG", number)
        lines.append(f"val_{place}.JPEG\t{WNIDS[number]}\t0\t0\t62\t62\n")
    (base / "val" / "val_annotations.txt").write_text("".join(lines))
    save(base / "test" / "images" / "test_0.JPEG", 0)
    (base / "wnids.txt").write_text("\n".join(reversed(WNIDS)))
    return tmp_path


def test_the_validation_images_are_the_test_split_with_the_labels_of_the_list(tiny: Path) -> None:
    dataset = load(tiny)
    check_declaration("tiny_imagenet", dataset)
    assert dataset.class_names == tuple(WNIDS)
    assert (len(dataset.train), len(dataset.test)) == (400, 300)
    for split in (dataset.train, dataset.test):
        levels = np.asarray(split.images).mean((1, 2, 3))
        np.testing.assert_allclose(levels, split.labels, atol=1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda base: (base / "val" / "val_annotations.txt").unlink(),
            r"annotations\.txt is missing\. .*by hand",
        ),
        (lambda base: (base / "val" / "images" / "val_7.JPEG").unlink(), r"no image for val_7\.JPEG, 1 in all"),
        (lambda base: save(base / "val" / "images" / "val_x.JPEG", 1), r"no label for val_x\.JPEG, 1 in all"),
        (lambda base: (base / "train" / WNIDS[3]).rename(base / "gone"), "must have 200 class folders, found 199"),
        (
            lambda base: (base / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn9\t0\t0\t1\t1\n"),
            r"line 1 names no class of the training split: 'val_0\.JPEG",
        ),
        (
            lambda base: (base / "train" / WNIDS[0] / "images" / f"{WNIDS[0]}_0.JPEG").write_bytes(b"no JPEG"),
            rf"{WNIDS[0]}_0\.JPEG",
        ),
    ],
)
def test_a_damaged_copy_is_explained(tiny: Path, damage: Callable[..., Any], says: str) -> None:
    damage(tiny / "tiny-imagenet-200")
    with pytest.raises(DataError, match=says):
        load(tiny)


def test_without_a_copy_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tiny-imagenet-200/train is missing\. Use --data-root DIR"):
        load(tmp_path)
