"""Data sets by the names of torchvision and of Hugging Face's library, from files that the tests write themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import BenchError, DataError
from bench.datasets.with_torchvision import SETS
from bench.errors import SpecError, UnknownName
from bench.plugins import datasets
from tests.datasets.reading import load
from tests.narrowing import in_memory


def picture(grey: int, side: int = 20) -> Image.Image:
    return Image.fromarray(np.full((side, side + 4, 3), grey, dtype=np.uint8))


def food101(root: Path) -> None:
    base = root / "food-101"
    (base / "meta").mkdir(parents=True)
    lists: dict[str, dict[str, Any]] = {"train": {}, "test": {}}
    for number, name in enumerate(("apple_pie", "beignets")):
        (base / "images" / name).mkdir(parents=True)
        for item in range(5):
            picture(40 * number + item).save(base / "images" / name / f"{item}.jpg", quality=100)
            lists["test" if item == 4 else "train"].setdefault(name, []).append(f"{name}/{item}")
    for split, names in lists.items():
        (base / "meta" / f"{split}.json").write_text(json.dumps(names))


def test_a_set_of_torchvision_has_its_own_items_classes_and_splits(tmp_path: Path) -> None:
    from torchvision.datasets import Food101

    food101(tmp_path)
    data = load("torchvision", tmp_path, name="Food101", size=16)
    assert data.class_names == ("apple_pie", "beignets")
    for split, name in ((data.train, "train"), (data.test, "test")):
        own = Food101(str(tmp_path), split=name)
        assert split.images.shape == (len(own), 3, 16, 16)
        assert split.labels.tolist() == [label for _, label in own]
        greys = [np.asarray(image).mean() for image, _ in own]
        np.testing.assert_allclose(in_memory(split.images).mean((1, 2, 3)), greys, atol=1)


def test_a_set_without_splits_has_a_part_held_out(tmp_path: Path) -> None:
    for name in ("AnnualCrop", "Forest", "River"):
        (tmp_path / "eurosat" / "2750" / name).mkdir(parents=True)
        for item in range(10):
            picture(10 * item).save(tmp_path / "eurosat" / "2750" / name / f"{name}_{item}.jpg")
    data = load("torchvision", tmp_path, name="EuroSAT", size=16)
    assert data.class_names == ("AnnualCrop", "Forest", "River")
    assert (len(data.train), len(data.test)) == (24, 6)
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]


def test_every_listed_set_is_torchvisions_and_takes_the_arguments() -> None:
    import inspect

    from torchvision import datasets as theirs

    for name, splits in SETS.items():
        takes = inspect.signature(getattr(theirs, name).__init__).parameters
        free = any(item.kind is item.VAR_KEYWORD for item in takes.values())
        for given in (part for part in splits if part is not None):
            assert free or set(given) <= takes.keys(), name
        assert "download" in takes or free or name == "FER2013", name


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("Food10", UnknownName, "Did you mean Food101"),
        ("CIFAR10", DataError, "has a name of its own here: use cifar10"),
        ("CocoDetection", UnknownName, "unknown classification set"),
        ("", DataError, "say which one, for example torchvision"),
        ("Food101", DataError, r"cannot read Food101 below .*add --download"),
    ],
)
def test_what_torchvision_cannot_give_is_refused(
    tmp_path: Path, name: str, error: type[BenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        load("torchvision", tmp_path, name=name)


def test_more_than_memory_allows_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    food101(tmp_path)
    with pytest.raises(DataError, match=r"8 pictures, which take 0.0 GB at size=64, more than memory_gb=1e-06"):
        load("torchvision", tmp_path, name="Food101", memory_gb=1e-6)


def test_sizes_are_checked() -> None:
    with pytest.raises(SpecError, match="size=2 is not valid"):
        datasets.get("hf").resolve({"size": 2})
