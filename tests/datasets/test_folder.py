"""Readers of class folders: folder, cinic10, imagenet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import DataError
from bench.data import fingerprint
from bench.errors import SpecError
from bench.images.streaming import StreamedImages
from tests.datasets.reading import load
from tests.narrowing import in_files


def first_photograph(photographs: Path) -> Path:
    return min((photographs / "n01440764").iterdir())


def test_train_and_val_folders(ten_classes: Path) -> None:
    dataset = load("folder", ten_classes.parent, path="ten-classes")
    assert dataset.train.images.shape == (300, 3, 64, 64)
    assert dataset.test.images.shape == (100, 3, 64, 64)
    assert np.bincount(dataset.train.labels).tolist() == [30] * 10
    assert (dataset.class_names[0], dataset.class_names[9]) == ("n01440764", "n03888257")
    assert isinstance(dataset.train.images, np.ndarray)


def test_streamed_and_in_memory_images_are_the_same(ten_classes: Path) -> None:
    indices = np.array([0, 299, 17])
    held = load("folder", None, path=str(ten_classes), size=32)
    streamed = load("folder", None, path=str(ten_classes), size=32, memory_gb=0)
    assert isinstance(streamed.train.images, StreamedImages)
    assert np.array_equal(held.train.images[indices], streamed.train.images[indices])
    assert np.array_equal(held.train.labels, streamed.train.labels)


def test_memory_limit_counts_both_splits(ten_classes: Path) -> None:
    needed = 400 * 3 * 16 * 16 / 1e9
    assert isinstance(load("folder", ten_classes, size=16, memory_gb=needed * 1.001).train.images, np.ndarray)
    assert isinstance(load("folder", ten_classes, size=16, memory_gb=needed * 0.999).train.images, StreamedImages)


def test_a_picture_that_is_edited_to_the_same_size_makes_another_data_set(tmp_path: Path) -> None:
    """In memory; beyond ``memory_gb``, images go by names and sizes (docs/data-and-encoders.md)."""
    for name in ("a/0", "a/1", "b/0", "b/1", "b/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png", compress_level=0)
    before, edited = fingerprint(load("folder", tmp_path, size=8)), tmp_path / "b" / "1.png"
    size = edited.stat().st_size
    Image.new("RGB", (8, 8), "white").save(edited, compress_level=0)
    assert edited.stat().st_size == size
    assert fingerprint(load("folder", tmp_path, size=8)) != before


def test_pool_of_streamed_images(ten_classes: Path) -> None:
    whole = load("folder", ten_classes, size=32, memory_gb=0)
    part = load("folder", ten_classes, size=32, memory_gb=0, pool_size=20)
    assert part.train.images.shape == (20, 3, 32, 32)
    assert np.array_equal(part.train.images[np.arange(20)], whole.train.images[part.pool_index])
    assert np.array_equal(part.train.labels, whole.train.labels[part.pool_index])
    seeds = [5, 6]
    augmented = in_files(whole.train.images).augmented(part.pool_index[[3, 8]], seeds)
    assert np.array_equal(in_files(part.train.images).augmented(np.array([3, 8]), seeds), augmented)
    assert len(part.test) == 100
    assert fingerprint(part) != fingerprint(whole)


def test_without_test_folder_a_fixed_part_of_each_class_is_held_out(photographs: Path) -> None:
    dataset = load("folder", photographs, size=16, test_fraction=0.4)
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]
    assert np.bincount(dataset.train.labels).tolist() == [3, 2]
    again = load("folder", photographs, size=16, test_fraction=0.4)
    assert fingerprint(dataset) == fingerprint(again)
    images = np.concatenate([np.asarray(dataset.train.images), np.asarray(dataset.test.images)])
    assert len(np.unique(images, axis=0)) == 9, "every photograph is in one of the splits"


def test_nested_folders_belong_to_their_class(photographs: Path) -> None:
    before = load("folder", photographs, size=16)
    file = first_photograph(photographs)
    (file.parent / "a" / "b").mkdir(parents=True)
    file.rename(file.parent / "a" / "b" / file.name)
    after = load("folder", photographs, size=16)
    assert len(after.train) + len(after.test) == 9
    assert after.class_names == before.class_names


def test_other_and_hidden_files_are_left_out(photographs: Path) -> None:
    (photographs / "n01440764" / "notes.txt").write_text("not an image")
    (photographs / "n01440764" / ".hidden.png").write_bytes(b"not an image")
    (photographs / ".cache").mkdir()
    dataset = load("folder", photographs, size=16)
    assert (len(dataset.train) + len(dataset.test), dataset.num_classes) == (9, 2)


def test_an_empty_class_is_named(photographs: Path) -> None:
    (photographs / "empty").mkdir()
    with pytest.raises(DataError, match=rf"{photographs / 'empty'} holds no image"):
        load("folder", photographs)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_corrupt_image_is_named(photographs: Path, damage: str) -> None:
    file = first_photograph(photographs)
    file.write_bytes({"truncated": file.read_bytes()[:-2000], "text": b"<html>", "empty": b""}[damage])
    with pytest.raises(DataError, match=rf"cannot decode the image {file}"):
        load("folder", photographs)


def test_a_link_to_a_file_outside_is_refused(photographs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    first_photograph(photographs).rename(outside)
    (photographs / "n01440764" / "link.jpg").symlink_to(outside)
    with pytest.raises(DataError, match=r"link\.jpg: it leads outside"):
        load("folder", photographs)


def test_a_link_to_a_class_outside_is_refused(photographs: Path, tmp_path: Path) -> None:
    (photographs / "n03028079").rename(tmp_path / "churches")
    (photographs / "n03028079").symlink_to(tmp_path / "churches", target_is_directory=True)
    with pytest.raises(DataError, match="n03028079: it leads outside"):
        load("folder", photographs)


def test_the_data_folder_itself_may_be_a_link(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photographs, target_is_directory=True)
    assert len(load("folder", tmp_path, path="link", size=16).test) == 2


def test_a_circle_of_links_is_refused(photographs: Path) -> None:
    (photographs / "n01440764" / "again").symlink_to(photographs / "n01440764", target_is_directory=True)
    with pytest.raises(DataError, match="leads back to"):
        load("folder", photographs)


@pytest.mark.timeout(60)  # a pipe that is opened is waited for
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", r"it is a named pipe, not a regular file"),
        ("gone file", r"it is a link to gone, which does not exist"),
        ("gone class", r"it is a link to gone, which does not exist"),
        ("circle", r"it is a link that leads round in a circle"),
    ],
)
def test_a_data_set_is_not_silently_smaller(photographs: Path, kind: str, reason: str) -> None:
    folder = photographs if kind == "gone class" else photographs / "n01440764"
    path = folder / ("n02000000" if kind == "gone class" else "z.jpg")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "circle" else "gone")
    with pytest.raises(DataError, match=rf"cannot use {path}: {reason}"):
        load("folder", photographs)


def test_a_link_to_a_file_that_is_no_image_matters_nowhere(photographs: Path) -> None:
    (photographs / "n01440764" / "notes").symlink_to(__file__)
    (photographs / "README").symlink_to(__file__)
    dataset = load("folder", photographs, size=16)
    assert len(dataset.train) + len(dataset.test) == 9


def test_train_without_test_folder_is_explained(ten_classes: Path, tmp_path: Path) -> None:
    shutil.copytree(ten_classes / "train", tmp_path / "train")
    with pytest.raises(DataError, match="none of test, val, valid beside it"):
        load("folder", tmp_path)


def test_a_test_class_that_training_lacks_is_named(photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(photographs, tmp_path / "data" / "train")
    shutil.copytree(photographs, tmp_path / "data" / "test")
    (tmp_path / "data" / "test" / "n03028079").rename(tmp_path / "data" / "test" / "n09999999")
    with pytest.raises(DataError, match="n09999999"):
        load("folder", tmp_path / "data")


def test_one_class_is_not_enough(photographs: Path) -> None:
    shutil.rmtree(photographs / "n03028079")
    with pytest.raises(DataError, match="at least two class folders, found n01440764"):
        load("folder", photographs)


@pytest.mark.parametrize(("path", "said"), [("a", "path='a' is relative and no data"), ("", "no path and no data")])
def test_a_path_that_starts_nowhere_is_refused(path: str, said: str) -> None:
    with pytest.raises(
        DataError, match=rf"{said} folder was given\. Use --data-root DIR \('\.' is the current folder\)"
    ):
        load("folder", None, path=path)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path / 'nowhere'} is missing"):
        load("folder", tmp_path, path="nowhere")


@pytest.mark.parametrize("params", [{"size": 0}, {"test_fraction": 1}, {"memory_gb": -1}])
def test_parameters_outside_their_range_are_refused(params: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=next(iter(params))):
        load("folder", tmp_path, **params)
