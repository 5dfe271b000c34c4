"""What readers share: a stratified split."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets._common import stratified_split


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), fraction=st.floats(0.01, 0.99))
def test_stratified_split_is_a_partition(labels: list[int], fraction: float) -> None:
    array = np.array(labels, dtype=np.int64)
    train, test = stratified_split(array, fraction)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for number in np.unique(array):
        size, held = int((array == number).sum()), int((array[test] == number).sum())
        assert held == (0 if size == 1 else min(max(1, round(fraction * size)), size - 1))
