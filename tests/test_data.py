"""What a method reaches through ``pool.images`` where the images lie in class folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError, make_dataset
from bench.array_source import ArraySource
from bench.data import Dataset, FileImages, fingerprint
from bench.loading import load_dataset
from bench.pool import Pool


def opened(dataset: Dataset) -> Pool:
    size = len(dataset.train)
    source = ArraySource(image_array=dataset.train.images, label_array=dataset.train.labels)
    return Pool(size=size, num_classes=2, rate=0.5, supervision="none", needs=["images"], source=source)


@pytest.fixture(params=[None, 5], ids=["whole", "part"])
def dataset(photographs: Path, request: pytest.FixtureRequest) -> Dataset:
    params = {"size": 16, "memory_gb": 0}
    return load_dataset("folder", params, root=photographs, download=False, pool_size=request.param)


def reached(start: object) -> Iterator[object]:
    """All that attributes lead to from ``start``: slots, properties, instance dictionaries, owners of bound methods."""
    waiting, seen = [start], {}
    while waiting:
        found: Any = waiting.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        yield found
        if isinstance(found, dict):
            waiting += [*found, *found.values()]
        elif isinstance(found, tuple | list | set):
            waiting += found
        elif not isinstance(found, str | bytes | int | float | np.ndarray | Path | type | None):
            names = [name for name in dir(found) if not name.startswith("__")]
            extra = ("__dict__", "__self__", "__defaults__", "__kwdefaults__", "__wrapped__")
            waiting += [getattr(found, name) for name in (*names, *extra) if hasattr(found, name)]


def tells(found: object) -> bool:
    """Whether it is a path, names a photograph or its class, or may hold one number per image."""
    if isinstance(found, Path | np.ndarray):
        return True
    return isinstance(found, str) and any(part in found for part in ("n01440764", "n03028079", ".JPEG"))


def test_the_search_finds_names_where_they_are_within_reach(dataset: Dataset) -> None:
    assert any(tells(found) for found in reached(dataset.train.images))


def test_no_attribute_of_a_label_free_pools_images_tells_a_label(dataset: Dataset) -> None:
    images = opened(dataset).images
    assert [found for found in reached(images) if tells(found)] == []
    assert not hasattr(images, "__dict__")


def test_the_view_reads_the_same_pixels(dataset: Dataset) -> None:
    view, images = opened(dataset).images, dataset.train.images
    assert isinstance(view, FileImages)
    assert not isinstance(images, np.ndarray)
    assert (view.shape, len(view), view.fingerprint) == (images.shape, len(images), images.fingerprint)
    indices = np.array([3, 0])
    assert np.array_equal(view[indices], images[indices])
    assert np.array_equal(view.augmented(indices, [7, 8]), images.augmented(indices, [7, 8]))


def test_images_in_memory_stay_an_array(photographs: Path) -> None:
    dataset = load_dataset("folder", {"size": 16}, root=photographs, download=False, pool_size=None)
    images = opened(dataset).images
    assert isinstance(images, np.ndarray)
    assert not images.flags.writeable


IMAGES = np.zeros((6, 3, 4, 4), np.uint8)


GOOD: dict[str, Any] = {
    "train": (IMAGES, [0, 1, 2, 0, 1, 2]),
    "test": (IMAGES[:2], (2, 0)),
    "class_names": ("a", "b", "c"),
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}


@pytest.mark.parametrize(
    "names", [("a", "b", "c"), "abc", np.array(["a", "b", "c"]), {"a": 0, "b": 1, "c": 2}, (b"a", b"b", b"c")]
)
def test_class_names_become_texts_whatever_holds_them(names: Any) -> None:
    dataset = make_dataset(**{**GOOD, "class_names": names})
    assert dataset.class_names == ("a", "b", "c")
    assert {type(name) for name in dataset.class_names} == {str}
    assert fingerprint(dataset) == fingerprint(make_dataset(**GOOD))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train": (IMAGES.tolist(), GOOD["train"][1])}, "train images must be uint8 [N, C, H, W]"),
        ({"train": (IMAGES / 255, GOOD["train"][1])}, "got float64 of shape (6, 3, 4, 4)"),
        ({"train": (IMAGES, None)}, "train split has 6 images and labels of shape ()"),
        ({"train": (IMAGES, [0.0, 1.5, 2, 0, 1, 2])}, "train labels are float64; they must be whole numbers"),
        ({"train": (IMAGES, [True, False] * 3)}, "train labels are bool"),
        ({"train": (IMAGES, ["0", "1", "2"] * 2)}, "train labels are <U1"),
        ({"train": (IMAGES, [2**70] * 6)}, "train labels are object"),
        ({"train": (IMAGES, np.array([2**63 + 5, 0, 1, 2, 0, 1], np.uint64))}, "found 0, 1, 2, 9223372036854775813"),
        ({"train": (IMAGES, [1, 2, 3] * 2)}, "train labels must number the 3 classes from 0"),
        ({"train": (IMAGES, [0, 1] * 3)}, "no image of 1 of 3 classes, such as 'c' (label 2); its labels are 0, 1."),
        ({"test": (IMAGES[:2], [0, 3])}, "test labels must number the 3 classes from 0"),
        ({"test": (IMAGES[:2], [0, -1])}, "found -1, 0"),
        ({"class_names": ("a",), "train": (IMAGES, [0] * 6)}, "at least two classes are needed, found 'a'"),
        ({"class_names": ("a", "b", "a")}, "class names must differ, found 'a' more than once"),
        ({"mean": (0.5,)}, "mean and std must be 3 numbers in [0, 1] each, one per channel"),
        ({"mean": (125.3, 123.0, 113.9)}, "numbers in [0, 1]"),
        ({"std": (0.5, 0.0, 0.5)}, "with a std above 0"),
        ({"std": (0.5, float("nan"), 0.5)}, "with a std above 0"),
    ],
)
def test_what_no_reader_may_make_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        make_dataset(**{**GOOD, **changes})
    assert says in str(caught.value)
