"""Folders that are splits by their names, and classes that are called like splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import DataError, Dataset
from bench.data import fingerprint
from bench.loading import load_dataset

TEN = tuple(f"class {number}" for number in range(10))


def laid_out(folder: Path, *places: str) -> Path:
    """Four images in each place."""
    for place in places:
        (folder / place).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((8, 8, 3), 60 * number, np.uint8)).save(folder / place / f"{number}.png")
    return folder


def opened(folder: Path) -> Dataset:
    return load_dataset("folder", {"path": str(folder), "size": 8}, root=None, download=False, pool_size=None)


def both(train: str, test: str) -> tuple[str, ...]:
    return f"{train}/a", f"{train}/b", f"{test}/a", f"{test}/b"


PAIRS = [
    ("train", "test"),
    ("training", "testing"),
    ("Train", "Test"),
    ("TRAIN", "VAL"),
    ("trn", "tst"),
    ("tr", "dev"),
    ("train", "valid"),
    ("train", "validation"),
    ("train", "eval"),
    ("Training", "Holdout"),
    ("trainval", "test"),
    ("train_set", "test_set"),
    ("TrainImages", "TestImages"),
    ("Training Data", "Testing Data"),
    ("train2017", "val2017"),
    ("seg_train", "seg_test"),
]


@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_splits_are_read_under_their_usual_names(train: str, test: str, tmp_path: Path) -> None:
    dataset = opened(laid_out(tmp_path, *both(train, test)))
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("a", "b"), 8, 8)


@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_splits_without_class_folders_are_not_two_classes(train: str, test: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="look like splits, but there are no class folders in") as caught:
        opened(laid_out(tmp_path, train, test))
    assert f"rename the folders, for example to class_{train}" in str(caught.value)


def test_other_names_of_the_splits_change_nothing_but_names(tmp_path: Path) -> None:
    usual = opened(laid_out(tmp_path / "usual", *both("train", "test")))
    other = opened(laid_out(tmp_path / "other", *both("Training_Set", "Validation")))
    assert fingerprint(usual) == fingerprint(other)


def test_a_test_split_goes_before_a_validation_split(tmp_path: Path) -> None:
    laid_out(tmp_path, *both("train", "val"), "test/a")
    assert len(opened(tmp_path).test) == 4


@pytest.mark.parametrize(
    "places",
    [
        (*TEN, "test"),
        (*TEN, "train"),
        (*TEN, "Validation"),
        ("control", "test"),
        ("Dev", "Eve", "Val"),
        ("bullet train", "car", "test tube"),
        ("de", "en", "te", "tr"),
        ("resting", "training ground", "valley"),
    ],
)
def test_classes_that_are_called_like_splits_stay_classes(places: tuple[str, ...], tmp_path: Path) -> None:
    assert opened(laid_out(tmp_path, *places)).class_names == tuple(sorted(places))


@pytest.mark.parametrize(
    ("places", "says"),
    [
        ((*TEN, "test", "train"), "rename the folders, for example to class_train"),
        ((*TEN, "test/x", "test/y"), "test with folders in it (x, y), which looks like a split, and no train beside"),
        (("cat", "dog", "Test/cat"), "if Test is a class, put its images into"),
        (("Training/a", "Training/b"), "Training with class folders in it, but none of test, val, valid beside it"),
        (both("val", "test"), "test and val, which look like splits, but no training split"),
        (("train", "unlabeled"), "look like splits, but no test or validation split"),
        ((*both("train", "test"), "Training/a"), "Training and train, which name the same split"),
        (both("val", "train") + both("valid", "tr"), "tr and train, which name the same split"),
        (("cat_train", "cat_test", "dog_train", "dog_test"), "several pairs of splits: cat_test, cat_train, dog_test"),
        (("cat/train", "cat/test", "dog/x"), "cat holds test and train: these splits would be mixed"),
        (("cat", "dog/Training", "dog/val"), "dog holds Training and val: these splits would be mixed"),
        (("data/a", "data/b"), "at least two class folders, found data. Is it"),
        (both("train/train", "test/test"), "found train. Is it"),
        (("train/Cat", "train/Dog", "test/cat"), "has classes that"),
    ],
)
def test_what_may_be_a_split_or_a_class_is_refused_with_what_to_do(
    places: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        opened(laid_out(tmp_path, *places))
    assert says in str(caught.value)
