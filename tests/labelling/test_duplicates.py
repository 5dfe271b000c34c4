"""Near-duplicates, by slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.labelling.duplicates import without_duplicates


@given(st.integers(1, 12), st.sampled_from([0.5, 0.9, 1.0]), st.integers(0, 2**31))
def test_against_the_definition(size: int, similarity: float, seed: int) -> None:
    # Few directions of whole coordinates, so that many are the same and cosines lie apart.
    rows = np.random.default_rng(seed).integers(-1, 2, (size, 3)).astype(np.float32)

    def same(one: int, other: int) -> bool:
        a, b = rows[one].astype(float), rows[other].astype(float)
        if not a.any() or not b.any():
            return not a.any() and not b.any()
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) >= similarity - 1e-9

    stay: list[int] = []
    for item in range(size):
        if not any(same(item, earlier) for earlier in stay):
            stay.append(item)
    assert without_duplicates(rows, similarity).tolist() == stay


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_lengths_play_no_part(scale: float) -> None:
    rows = np.array([[1, 0], [2, 0], [0, 1]], dtype=np.float32) * np.float32(scale)
    assert without_duplicates(rows, 0.99).tolist() == [0, 2]


def test_more_than_one_block_is_compared() -> None:
    rows = np.random.default_rng(0).normal(size=(1100, 8)).astype(np.float32)
    told: list[tuple[int, int]] = []
    again = np.concatenate([rows, rows[::-1] * 3])
    kept = without_duplicates(again, 0.999999, progress=lambda done, whole: told.append((done, whole)))
    assert kept.tolist() == list(range(1100))
    assert told[-1] == (2200, 2200)
