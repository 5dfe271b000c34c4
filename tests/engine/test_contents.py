"""What is said of a data set before a run."""

from __future__ import annotations

import numpy as np

from bench import Dataset, make_dataset
from bench.data import take_pool
from bench.engine.contents import contents
from bench.modifiers import modified


def dataset(train: list[int], test: list[int], names: tuple[str, ...]) -> Dataset:
    splits = [(np.zeros((len(labels), 1, 4, 4), np.uint8), labels) for labels in (train, test)]
    return make_dataset(*splits, class_names=names, mean=(0.5,), std=(0.5,))


def test_few_classes_are_all_named() -> None:
    held = contents(dataset([0, 0, 0, 1], [0, 1], ("testing", "training")))
    assert held.line("mine") == "mine: 4 images of 2 classes (testing, training) with 1 to 3 each; 2 test images"


def test_of_many_classes_the_ends_are_named_and_what_the_test_split_lacks_is_said() -> None:
    names = tuple(f"class {number}" for number in range(20))
    held = contents(dataset([*range(20)] * 60, [3, 3, 4], names))
    assert held.line("mine") == (
        "mine: 1,200 images of 20 classes (class 0, class 1, ..., class 19) with 60 each; 3 test images of 2 of them"
    )
    assert held.document("mine")["class_sizes"] == [60] * 20


def test_a_version_and_its_pool_are_counted_as_they_are_used(digits: Dataset) -> None:
    pool = take_pool(modified(digits, {"imbalance": 10}), 60)
    held = contents(pool)
    assert held.class_sizes == tuple(np.bincount(pool.train.labels, minlength=10).tolist())
    assert held.line("digits").startswith("digits: 60 images of 10 classes (0, 1, ..., 9) with ")
