"""Files of coresets and scores: what is written, read back and refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.errors import DataError
from bench.loading import load_dataset
from bench.results.published import (
    is_whole_split,
    pool_positions,
    read_coreset,
    read_indices,
    read_scores,
    scores_path,
    write_indices,
    write_scores,
)
from tests.narrowing import present


def test_digest_is_that_of_little_endian_bytes(tmp_path: Path) -> None:
    digest = write_indices(np.array([1, 258], dtype=">i8"), tmp_path, "name")
    assert digest == hashlib.sha256(bytes([1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0])).hexdigest()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_file_with_other_weights_is_refused(tmp_path: Path, value: float) -> None:
    records = np.array([(3, 1.0), (1, value)], dtype=[("index", "<i8"), ("weight", "<f8")])
    np.save(tmp_path / "mine.npy", records)
    with pytest.raises(DataError, match=f"mine.npy gave the weight {value:g}; one finite number above 0"):
        read_coreset(tmp_path / "mine.npy")


def test_a_file_of_weights_may_be_in_any_order_and_type(tmp_path: Path) -> None:
    records = np.array([(3, 1), (1, 2)], dtype=[("index", "i4"), ("weight", "i2")])
    np.save(tmp_path / "mine.npy", records)
    kept = read_coreset(tmp_path / "mine.npy")
    assert (kept.indices.tolist(), present(kept.weights).tolist()) == ([1, 3], [2.0, 1.0])
    np.save(tmp_path / "mine.npy", np.array([(1, 3), (2, 1)], dtype=[("weight", "<f8"), ("index", "<i8")]))
    with pytest.raises(DataError, match=r"or of records \(index, weight\)"):
        read_coreset(tmp_path / "mine.npy")


def test_a_coreset_and_scores_are_read_back(tmp_path: Path) -> None:
    digest = write_indices(np.array([7, 2, 5]), tmp_path, "cell")
    assert read_indices(tmp_path / "indices" / "cell.npy", sha256=digest).tolist() == [2, 5, 7]
    scores = np.array([0.5, -1.0, 2.0], dtype=np.float32)
    digest = write_scores(scores, tmp_path)
    assert read_scores(scores_path(tmp_path, digest), sha256=digest).tolist() == scores.tolist()
    assert write_scores(None, tmp_path) == ""
    assert write_scores(scores, tmp_path) == digest
    assert len(list((tmp_path / "scores").iterdir())) == 1, "the same scores are stored once"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1.0, 2.0]), "holds float64 of shape"),
        (np.array([[1, 2], [3, 4]]), r"of shape \(2, 2\); a coreset is one row"),
        (np.array([1]), "of at least 2 whole numbers"),
        (np.array([-1, 3]), "holds the position -1; positions start at 0"),
        (np.array([3, 1, 3, 1, 1]), r"holds 2 positions more than once \(1 first\)"),
    ],
)
def test_what_is_no_coreset_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        read_coreset(tmp_path / "x.npy")


def test_other_content_than_was_published_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2]))
    with pytest.raises(DataError, match=r"is not the coreset that was published: SHA-256 .*, not 0000"):
        read_coreset(tmp_path / "x.npy", sha256="0" * 64)
    with pytest.raises(DataError, match="holds int64; scores are float32"):
        read_scores(tmp_path / "x.npy", sha256="0" * 64)
    np.save(tmp_path / "x.npy", np.zeros(3, dtype=np.float32))
    with pytest.raises(DataError, match="is damaged: SHA-256"):
        read_scores(tmp_path / "x.npy", sha256="0" * 64)
    with (tmp_path / "x.npy").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="it is longer than its header says"):
        read_scores(tmp_path / "x.npy", sha256="0" * 64)


def test_positions_in_the_pool_are_those_of_the_same_images() -> None:
    whole = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    pool = load_dataset("digits", {}, root=None, download=False, pool_size=300)
    positions = np.array([0, 17, 299])
    images = pool.pool_index[positions]
    assert pool_positions(images, pool).tolist() == positions.tolist()
    assert pool_positions(images, whole).tolist() == images.tolist()
    missing = np.setdiff1d(whole.pool_index, pool.pool_index)[[0, -1]]
    with pytest.raises(DataError, match=rf"2 of 2 positions are not in the pool of 300 .*\({missing[0]} first\)"):
        pool_positions(missing, pool)


@pytest.mark.parametrize(
    ("dataset", "whole"),
    [("digits", True), ("digits@noise=0.2", True), ("digits(pool_size=9)", False), ("digits@imbalance=10", False)],
)
def test_a_part_of_the_training_split_is_known_by_its_name(dataset: str, whole: bool) -> None:
    assert is_whole_split(dataset) == whole
