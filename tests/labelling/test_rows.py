"""Embeddings that are read in parts: which rows, in which type, and which masks are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.errors import DataError
from bench.labelling.rows import RowsAt, StoredRows, in_blocks, rows_at, unmasked


@pytest.mark.parametrize("size", [1, 4, 10, 11, 30])
def test_blocks_are_all_rows_in_order(size: int) -> None:
    rows = np.arange(22, dtype=np.float32).reshape(11, 2)
    blocks = list(in_blocks(rows, size))
    np.testing.assert_array_equal(np.concatenate([part for _, part in blocks]), rows)
    assert all(len(part) <= size for _, part in blocks)
    for inside, part in blocks:
        np.testing.assert_array_equal(rows[inside], part)


def test_stored_numbers_are_divided_by_a_power_of_two_and_stay_as_they_are() -> None:
    stored = np.random.default_rng(0).normal(size=(7, 3)) * 2.0**200
    before = stored.copy()
    rows = StoredRows(stored, 200)
    assert (len(rows), rows.shape) == (7, (7, 3))
    assert rows[2:5].dtype == np.float32
    np.testing.assert_array_equal(rows[2:5], (before[2:5] / 2.0**200).astype(np.float32))
    rows[:][:] = 0
    np.testing.assert_array_equal(stored, before)


def test_only_the_rows_at_the_positions_are_read() -> None:
    asked: list[Any] = []

    class Watched(np.ndarray):
        def __getitem__(self, index: Any) -> Any:
            asked.append(index)
            return super().__getitem__(index)

    rows = np.arange(20.0, dtype=np.float32).reshape(10, 2).view(Watched)
    positions = np.array([1, 4, 8])
    some = rows_at(rows, positions)
    assert (len(some), some.shape, asked) == (3, (3, 2), [])
    assert some[1:].tolist() == [[8, 9], [16, 17]]
    [read] = asked
    assert read.tolist() == [4, 8]
    assert rows_at(rows, np.arange(10)) is rows, "all rows are read by slices"
    assert RowsAt(rows, np.array([8, 1]))[:].tolist() == [[16, 17], [2, 3]]


def test_a_mask_is_refused_and_an_unused_one_is_not() -> None:
    plain = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]])
    assert type(unmasked("X", plain)) is np.ndarray
    assert unmasked("X", [1, 2]).tolist() == [1, 2]
    plain[1, 0] = np.ma.masked
    with pytest.raises(
        DataError, match=r"X is a masked array of which 1 of 4 values are masked, the first at \[1, 0\]"
    ):
        unmasked("X", plain)
