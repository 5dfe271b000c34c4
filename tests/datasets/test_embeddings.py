"""Vectors of any modality as a data set: read, refused, and run through a whole grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError, Dataset
from bench.data import fingerprint
from bench.loading import load_dataset
from tests.digits import load_digits
from tests.narrowing import in_memory

DIGITS = load_digits()
X, Y = DIGITS.data.astype(np.float64), DIGITS.target


def load(folder: Path, **params: Any) -> Dataset:
    given = {"path": "mine.npz", **params}
    return load_dataset("embeddings", given, root=folder, download=False, pool_size=None)


def write(folder: Path, **arrays: Any) -> None:
    np.savez(folder / "mine.npz", **{name: value for name, value in arrays.items() if value is not None})


def test_vectors_and_labels_are_read_and_a_part_is_held_out(tmp_path: Path) -> None:
    write(tmp_path, X=X, y=Y)
    data = load(tmp_path)
    assert in_memory(data.train.images).dtype == np.float32
    assert len(data.train) + len(data.test) == len(X)
    assert np.bincount(data.test.labels).min() >= 34
    together = np.concatenate([data.train.images, data.test.images])
    assert sorted(map(bytes, together)) == sorted(map(bytes, X.astype(np.float32)))
    assert fingerprint(data) == fingerprint(load(tmp_path)) != fingerprint(load(tmp_path, test_fraction=0.3))


def test_a_test_split_of_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, X=X[:1000], y=Y[:1000], X_test=X[1000:], y_test=Y[1000:])
    data = load(tmp_path)
    np.testing.assert_array_equal(data.train.images, X[:1000].astype(np.float32))
    np.testing.assert_array_equal(data.test.labels, Y[1000:])


def test_texts_and_numbers_with_gaps_are_classes_and_names_are_given_by_number(tmp_path: Path) -> None:
    words = np.array(["odd", "even"])[(Y + 1) % 2]
    write(tmp_path, X=X, y=words)
    assert load(tmp_path).class_names == ("even", "odd")
    write(tmp_path, X=X, y=10 * Y)
    assert load(tmp_path).class_names == tuple(str(10 * digit) for digit in range(10))
    write(tmp_path, X=X, y=Y, class_names=np.array([f"digit {n}" for n in range(10)]))
    assert load(tmp_path).class_names[3] == "digit 3"


def test_both_splits_of_extreme_scale_are_divided_by_one_number(tmp_path: Path) -> None:
    write(tmp_path, X=X[:1000] * 1e-30, y=Y[:1000], X_test=X[1000:] * 1e-28, y_test=Y[1000:])
    data = load(tmp_path)
    ratio = (
        np.linalg.norm(in_memory(data.test.images), axis=1).mean()
        / np.linalg.norm(in_memory(data.train.images), axis=1).mean()
    )
    assert 80 < ratio < 120


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": None}, "lacks X"),
        ({"X": X.reshape(-1, 8, 8)}, r"vectors must be numbers \[N, D\]"),
        ({"X": np.where(X == 16, np.nan, X)}, "NaN"),
        ({"y": Y[:-1]}, "one whole number or text for each of 1797 lines"),
        ({"y": Y / 2}, "one whole number or text"),
        ({"y": Y * 0}, "at least two classes"),
        ({"X_test": X}, "one of X_test and y_test"),
        ({"X_test": X[:, :3], "y_test": Y}, "64 numbers a line and X_test 3"),
        ({"X_test": X, "y_test": Y + 5}, "y_test has 10, which y lacks"),
        ({"class_names": np.array(["a", "b"])}, "class_names has 2 names"),
        ({"y": Y.astype(object)}, "Python objects"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path, **{"X": X, "y": Y, **changes})
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_path_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"embeddings\(path=FILE.npz\)"):
        load_dataset("embeddings", {}, root=None, download=False, pool_size=None)
